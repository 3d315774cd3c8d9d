"""The group `docstore` and the one place where errors become a line on standard error and an exit status."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import click

from docstore.cli.index import index
from docstore.cli.output import shown
from docstore.cli.read import READ_COMMANDS
from docstore.cli.transfer import TRANSFER_COMMANDS
from docstore.cli.upkeep import UPKEEP_COMMANDS
from docstore.cli.work import QUEUE_COMMANDS
from docstore.errors import (
    BackendNotInstalled,
    DocstoreError,
    FilterError,
    InvalidCursor,
    InvalidPage,
    InvalidSort,
    ScopeError,
    UnknownBackend,
)

__all__ = ["app", "run"]

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_USAGE_ERRORS = (
    BackendNotInstalled,
    FilterError,
    InvalidCursor,
    InvalidPage,
    InvalidSort,
    ScopeError,
    UnknownBackend,
)


def _version() -> str:
    try:
        return version("embedded-docstore")
    except PackageNotFoundError:
        return "unknown (not installed)"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(_version(), prog_name="docstore")
def app() -> None:
    """Index files and find them again.

    \b
    docstore index ~/papers                       put a folder into ./docstore.db
    docstore find --search "annual report"        look for words
    docstore find '{"file_type": "pdf"}' --total  filter, in MongoDB's language
    docstore show notes/plan.md --content         one document and its text

    The store is named by --store and --blobs, or by the environment variables DOCSTORE_URL and
    DOCSTORE_BLOBS; without them it is ./docstore.db and ./docstore-files.

    Exit status: 0 done; 1 not found, or work that failed; 2 wrong usage or a bad filter.
    """


for _command in (index, *READ_COMMANDS, *QUEUE_COMMANDS, *UPKEEP_COMMANDS, *TRANSFER_COMMANDS):
    app.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status; no error leaves as a traceback.

    Arguments:
        arguments: what stands after the command's name.
    """
    _quiet_libraries()
    try:
        status = app.main(list(arguments), prog_name="docstore", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else DONE
    except click.exceptions.Abort:
        return _said("interrupted; what was done stays", INTERRUPTED)
    except KeyboardInterrupt:
        return _said("interrupted; what was done stays", INTERRUPTED)
    except click.UsageError as error:
        return _said(f"{error.format_message()}{_hint(error)}", USAGE)
    except click.ClickException as error:
        return _said(error.format_message(), error.exit_code)
    except DocstoreError as error:
        status = USAGE if isinstance(error, _USAGE_ERRORS) else FAILED
        return _said(error.message or type(error).__name__, status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        place = "" if error.filename is None else f": {error.filename}"
        return _said(f"{error.strerror or error}{place}", FAILED)


def _said(text: str, status: int) -> int:
    print(f"docstore: {shown(' '.join(text.split()))}", file=sys.stderr)
    return status


def _hint(error: click.UsageError) -> str:
    return "" if error.ctx is None else f" (see: {error.ctx.command_path} --help)"


def _quiet_libraries() -> None:
    """Keep what libraries say of damaged files off the terminal: the document's error says it."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    for library in ("pypdf",):
        warnings.filterwarnings("ignore", module=library)

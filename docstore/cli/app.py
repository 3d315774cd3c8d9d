"""The group `docstore` and the one place where errors become a line on standard error and an exit status."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["COMMANDS", "app", "run"]

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# Every command by its group: the module that it is in, and what it does in a line.
COMMANDS = {
    "Put in": {
        "index": ("index", "Put folders and files into a store, again and again."),
        "add": ("index", "Add files as documents of their own."),
        "import": ("transfer", "Read records or an export into a store."),
    },
    "Find": {
        "find": ("find", "List documents that match."),
        "count": ("find", "Count documents, or the values of a field."),
        "fields": ("find", "List the fields that the metadata have."),
        "facets": ("find", "Count the values of fields."),
        "explain": ("find", "Say how a filter would be run."),
    },
    "One document": {
        "show": ("documents", "Show the fields of a document."),
        "get": ("documents", "Write documents' files into a folder."),
        "cat": ("documents", "Print the bytes of a document."),
        "text": ("documents", "Print the text of a document."),
        "open": ("documents", "Open a document's file with its program."),
        "set": ("documents", "Change fields and metadata."),
        "tag": ("documents", "Add and remove tags."),
        "versions": ("documents", "List the versions of a document."),
        "retry": ("documents", "Put documents back into the queue."),
        "rm": ("documents", "Remove documents."),
    },
    "Work": {
        "work": ("work", "Work through pending documents."),
        "status": ("work", "Count documents by status."),
        "review": ("work", "Review extractions."),
    },
    "Serve": {
        "serve": ("serving", "Look at a store in a browser."),
        "mcp": ("serving", "Offer a store to agents."),
    },
    "Look after": {
        "check": ("upkeep", "Compare documents with their bytes."),
        "repair": ("upkeep", "Put right what a check finds."),
        "collect": ("upkeep", "Remove bytes that no document needs."),
        "adopt": ("upkeep", "Say that the bytes' place is this store's."),
        "stats": ("upkeep", "Count what is in a store."),
        "indexes": ("upkeep", "List, make and drop declared indexes."),
        "advise": ("upkeep", "Say which indexes would have helped."),
        "upgrade": ("upkeep", "Bring a store up to this docstore."),
        "erase": ("upkeep", "Remove everything of a tenant or owner."),
        "partition": ("upkeep", "Part the tables of a Postgres store by tenant."),
        "distribute": ("upkeep", "Distribute a Postgres store by tenant."),
    },
    "Move": {
        "backup": ("transfer", "Copy a store, bytes and all, into a folder."),
        "copy": ("transfer", "Copy one store into another."),
        "diff": ("transfer", "Compare two stores."),
        "export": ("transfer", "Write a store as JSON Lines."),
        "completion": ("serving", "Print what completes this command in a shell."),
    },
}
_WHERE = {name: place for group in COMMANDS.values() for name, place in group.items()}
# Never proposed for a slip.
_DESTRUCTIVE = frozenset({"erase", "rm", "collect", "repair", "delete"})
_USAGE_ERRORS = (
    "BackendNotInstalled", "FilterError", "InvalidCursor", "InvalidDocument", "InvalidPage", "InvalidSort",
    "ScopeError", "UnknownBackend",
)  # fmt: skip


class Commands(click.Group):
    """The commands, each imported when it is run."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(_WHERE)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a command, ``None`` if there is none of this name."""
        if name not in _WHERE:
            return None
        found: click.Command = getattr(import_module(f"docstore.cli.{_WHERE[name][0]}"), f"{name}_")
        return found

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; of a slip say what is near, but nothing that removes."""
        name = arguments[0] if arguments else ""
        if name in _WHERE or name.startswith("-"):
            return super().resolve_command(context, arguments)
        # A slip must never propose what removes.
        near = get_close_matches(name, [one for one in _WHERE if one not in _DESTRUCTIVE], 1, 0.7)
        hint = f"; did you mean {near[0]!r}?" if near else "; see: docstore --help"
        raise click.UsageError(f"there is no command {name!r}{hint}")

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command, but none that removes."""
        items = super().shell_complete(context, incomplete)
        return [item for item in items if item.value not in _DESTRUCTIVE or item.value == incomplete]

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by what they are for."""
        width = max(map(len, _WHERE))
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), short) for name, (_, short) in commands.items()])


def _version(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from docstore import __version__

        click.echo(f"docstore, version {__version__}")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Say the version."
)
def app() -> None:
    """Index files and find them again.

    \b
    docstore index ~/papers                    put a folder into ./docstore.db
    docstore find --search "annual report"     look for words
    docstore find file_type=pdf 'size>1MB'     filter, also in MongoDB's language
    docstore get papers/plan.pdf               write a file back

    The store is named by --store and --blobs, or by the environment variables DOCSTORE_URL and
    DOCSTORE_BLOBS; without them it is ./docstore.db and ./docstore-files.

    Exit status: 0 done; 1 not found, or something is wrong; 2 wrong usage; 130 interrupted.
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status; no error leaves as a traceback.

    Arguments:
        arguments: what stands after the command's name.
    """
    for logger in ("pypdf", "sqlalchemy.pool"):  # our own error says it
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    given = list(arguments) or ["--help"]
    if given[0] == "help":
        given = [*given[1:], "--help"]
    try:
        status = app.main(given, prog_name="docstore", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else DONE
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _said("interrupted; what was done stays", INTERRUPTED)
    except click.UsageError as error:
        return _said(f"{error.format_message()}{_hint(error)}", USAGE)
    except click.ClickException as error:
        return _said(error.format_message(), error.exit_code)
    except BrokenPipeError:
        # `docstore find | head` ends the pipe; without this Python complains once more when it flushes at its
        # end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if type(error).__module__.startswith("docstore"):
            raise
        place = "" if error.filename is None else f": {os.fsdecode(error.filename)}"
        return _said(f"{error.strerror or error}{place}", FAILED)
    except Exception as error:
        status = _status_of(error)
        if status is None:
            raise
        return _said(_text_of(error), status)


def _status_of(error: Exception) -> int | None:
    """Return the exit status for an error of docstore, ``None`` for any other."""
    from docstore import errors

    if not isinstance(error, errors.DocstoreError):
        return None
    usage = tuple(getattr(errors, name) for name in _USAGE_ERRORS)
    return USAGE if isinstance(error, usage) else FAILED


def _text_of(error: Exception) -> str:
    """Return what an error says, of the command's options where it says what Python is to write."""
    from docstore import errors

    if isinstance(error, errors.BlobsNotConfigured):
        return "this store was opened without bytes: say where they are, --blobs FOLDER"
    return str(error) or type(error).__name__


def _said(text: str, status: int) -> int:
    from docstore.cli.output import shown

    print(f"docstore: {shown(' '.join(text.split()))}", file=sys.stderr)
    return status


def _hint(error: click.UsageError) -> str:
    path = "" if error.ctx is None else error.ctx.command_path
    if " " in path:
        return f" (see: {path} --help)"
    is_misplaced = isinstance(error, click.NoSuchOption) and error.option_name in ("--store", "--blobs")
    return " Write it behind the command, or set DOCSTORE_URL and DOCSTORE_BLOBS." if is_misplaced else ""

"""What several commands share: where the store is, how a filter is read from the command line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

import docstore
from docstore.store import Store

__all__ = [
    "blobs_option",
    "filter_argument",
    "json_option",
    "local_path",
    "opened",
    "quiet_option",
    "scope_options",
    "search_option",
    "sqlite_file",
    "store_options",
    "within",
]

DEFAULT_STORE = "sqlite:///docstore.db"
DEFAULT_BLOBS = "./docstore-files"

F = TypeVar("F", bound=Callable[..., Any])


def store_options(command: F) -> F:
    """Add `--store` and `--blobs`."""
    command = blobs_option("Folder or fsspec URL of the bytes.")(command)
    return click.option(
        "--store",
        "url",
        metavar="URL",
        envvar="DOCSTORE_URL",
        default=DEFAULT_STORE,
        show_default=True,
        help="sqlite:///FILE.db or postgresql://… Environment: DOCSTORE_URL.",
    )(command)


def blobs_option(help: str) -> Callable[[F], F]:
    """Add `--blobs`, with a help text of the command's own."""
    return click.option(
        "--blobs",
        metavar="URL",
        envvar="DOCSTORE_BLOBS",
        default=DEFAULT_BLOBS,
        show_default=True,
        help=f"{help} Environment: DOCSTORE_BLOBS.",
    )


def json_option(help: str = "Print one JSON object.") -> Callable[[F], F]:
    """Add `--json`; the command receives it as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help=help)


def quiet_option(command: F) -> F:
    """Add `--quiet` and `-q`."""
    return click.option("--quiet", "-q", is_flag=True, help="No progress on standard error.")(command)


def scope_options(command: F) -> F:
    """Add `--tenant` and `--owner`, which confine a command."""
    command = click.option("--owner", metavar="NAME", help="Confine it to this owner.")(command)
    return click.option("--tenant", metavar="NAME", help="Confine it to this tenant.")(command)


def within(store: Store, tenant: str | None, owner: str | None) -> Store:
    """Return the view of a store that the options of a command ask for; all of it if they ask for none."""
    given = {name: value for name, value in (("tenant", tenant), ("owner", owner)) if value is not None}
    return store.scoped(**given) if given else store


def search_option(command: F) -> F:
    """Add `--search`."""
    return click.option(
        "--search",
        metavar="TEXT",
        help='Words that the name or the content must have; "…" is a phrase, -word excludes.',
    )(command)


def filter_argument(command: F) -> F:
    """Add FILTER, a JSON text; `-` reads it from standard input. The command receives it parsed."""
    return click.argument("filter", metavar="[FILTER]", required=False, callback=_parsed)(command)


def _parsed(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    read = sys.stdin.read() if text == "-" else text
    try:
        return json.loads(read, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    raise click.BadParameter(
        f"""no JSON: {reason}; expected an object such as '{{"status": "failed"}}'""", param_hint="FILTER"
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


@contextmanager
def opened(url: str, blobs: str, *, must_exist: bool = True, store_id: str | None = None) -> Iterator[Store]:
    """Open the store of a command.

    Arguments:
        url: where the store is.
        blobs: where the bytes are; an empty text: nowhere.
        must_exist: refuse an SQLite file that is not there, rather than make an empty one.
        store_id: the id that the store must have; None: any.

    Raises:
        click.ClickException: there is no such file.
        DocstoreError: the store cannot be opened.
    """
    file = sqlite_file(url)
    if must_exist and file is not None and not file.exists():
        raise click.ClickException(f"no store at {url}; make one with: docstore index FOLDER --store {url}")
    with docstore.open(url, blobs=blobs or None, store_id=store_id) as store:
        yield store


def sqlite_file(url: str) -> Path | None:
    """Return the file of an `sqlite:///…` URL, None for any other store."""
    match = re.match(r"sqlite(?:\+\w+)?:///([^?]+)", url)
    return None if match is None or match[1] == ":memory:" else Path(match[1])


def local_path(blobs: str) -> Path | None:
    """Return the local folder that a blobs URL means, None for any other filesystem."""
    if "::" in blobs:
        return None
    scheme, separator, rest = blobs.partition("://")
    if not separator:
        return Path(blobs) if blobs else None
    return Path(rest) if scheme in ("file", "local") else None

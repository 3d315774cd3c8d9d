"""Options that several commands share: where the store is, whose documents count, how a filter is written."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

import click

if TYPE_CHECKING:
    from docstore.store import Store

__all__ = [
    "all_versions_option",
    "blobs_option",
    "json_option",
    "local_path",
    "opened",
    "quiet_option",
    "scope_options",
    "search_option",
    "sqlite_file",
    "store_named",
    "store_options",
    "store_url",
    "terms_argument",
    "within",
]

# What is a URL without // behind it, too: a slip, and no file.
_SCHEMES = ("sqlite", "postgresql", "postgres", "memory", "file")
DEFAULT_STORE = "docstore.db"
DEFAULT_BLOBS = "./docstore-files"

F = TypeVar("F", bound=Callable[..., Any])


def store_options(command: F) -> F:
    """Add `--store` and `--blobs`."""
    command = blobs_option("Folder or fsspec URL of the bytes.")(command)
    return click.option(
        "--store",
        "url",
        metavar="URL|FILE",
        envvar="DOCSTORE_URL",
        default=DEFAULT_STORE,
        show_default=True,
        help="File of a SQLite store, or postgresql://… Environment: DOCSTORE_URL.",
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


def all_versions_option(command: F) -> F:
    """Add `--all-versions`."""
    return click.option(
        "--all-versions", is_flag=True, help="Older versions, too; without it only the latest of each."
    )(command)


def terms_argument(command: F) -> F:
    """Add TERM…: ``key=value`` and its like, and JSON filters; `-` reads one from standard input. The command
    receives the filter that all of them come to, ``None`` if there are none.
    """
    return click.argument("filter", metavar="[TERM]...", nargs=-1, callback=_filter_of)(command)


def _filter_of(_context: click.Context, _parameter: click.Parameter, terms: tuple[str, ...]) -> Any:
    if not terms:
        return None
    from docstore.cli.terms import filter_of

    return filter_of(terms)


def store_url(text: str) -> str:
    """Return the URL of a store that was named by its URL, the path of a SQLite file or a backup's folder.

    Raises:
        click.UsageError: the text is empty, or a URL of SQLite without the three slashes.
    """
    if not text.strip():
        raise click.UsageError("the store has no name: write its file or URL, or leave --store out")
    if os.path.isdir(text):
        text = os.path.join(text, "docstore.db")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9.-]+)(\+\w+)?:(//)?", text)
    if scheme is not None and (scheme[3] or scheme[1] in _SCHEMES):
        if scheme[1] == "sqlite" and not re.match(r"[^:]+:(///|//(\?|\Z))", text):
            raise click.UsageError(f"--store {text!r}: write the file's path alone, or sqlite:///FILE")
        return text
    # In a URL these say something else.
    return f"sqlite:///{text.replace('%', '%25').replace('?', '%3F')}"


@contextmanager
def opened(url: str, blobs: str, *, must_exist: bool = True, **options: Any) -> Iterator[Store]:
    """Open the store of a command.

    Arguments:
        url: where the store is; a SQLite file may be named by its path.
        blobs: where the bytes are; an empty text: nowhere.
        must_exist: refuse a SQLite file that is not there, rather than make an empty one.
        options: further ones of `docstore.open`.

    Raises:
        click.ClickException: there is no such file.
        click.UsageError: nothing serves such bytes.
        DocstoreError: the store cannot be opened.
    """
    from datetime import UTC

    from docstore.errors import BlobError
    from docstore.store import open

    file, blobs = sqlite_file(url), _blobs_of(url, blobs)
    if must_exist and file is not None and not file.exists():
        raise click.ClickException(
            f"there is no store at {file}: make one with  docstore index FOLDER --store {shlex.quote(url)}"
        )
    try:
        with store_named():
            store = open(store_url(url), blobs=blobs or None, default_timezone=UTC, **options)
    except BlobError as error:
        raise click.UsageError(f"--blobs: {error}") from None
    with store:
        yield store


@contextmanager
def store_named() -> Iterator[None]:
    """Refuse a `--store` that a block finds to be no URL.

    Raises:
        click.UsageError: it is none.
    """
    from sqlalchemy.exc import ArgumentError

    from docstore.errors import DocstoreError

    try:
        yield
    except (ValueError, ArgumentError) as error:
        if isinstance(error, DocstoreError):
            raise
        raise click.UsageError(
            f"--store: {error}; expected a SQLite file's path or postgresql://HOST:PORT/NAME"
        ) from None


def _blobs_of(url: str, blobs: str) -> str:
    """Return where the bytes of a store are: a backup, named by its folder, has them in it."""
    return os.path.join(url, "files") if os.path.isdir(url) and blobs == DEFAULT_BLOBS else blobs


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite store, None for any other store."""
    match = re.match(r"sqlite(?:\+\w+)?:///(?:file:)?([^?]+)", store_url(url))
    return None if match is None or match[1] == ":memory:" else Path(unquote(match[1]))


def local_path(blobs: str) -> Path | None:
    """Return the local folder that a blobs URL means, None for any other filesystem."""
    if "::" in blobs:
        return None
    scheme, separator, rest = blobs.partition("://")
    if not separator:
        return Path(blobs) if blobs else None
    return Path(rest) if scheme in ("file", "local") else None


def own_places(url: str, blobs: str) -> Callable[[str], bool]:
    """Return a test for the paths of the store itself, which must never be indexed into it.

    Arguments:
        url: the store; a local SQLite file and the files beside it that begin with its name are its own.
        blobs: the bytes; a local folder is its own.
    """
    file, folder = sqlite_file(url), local_path(_blobs_of(url, blobs))
    database = "" if file is None else os.path.realpath(file)
    files = None if folder is None else os.path.realpath(folder)

    def own(path: str) -> bool:
        if files is not None and path == files:
            return True
        return bool(database) and (path == database or path.startswith((f"{database}-", f"{database}.")))

    return own

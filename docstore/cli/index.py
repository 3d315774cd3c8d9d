"""The command `index`: a folder into a store, with a progress bar or plain lines."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from docstore.cli.indexing import Event, IndexOptions, Outcome, index_folder
from docstore.cli.options import local_path, opened, sqlite_file, store_options
from docstore.cli.output import note, shown
from docstore.cli.walk import WalkOptions, walk

__all__ = ["index", "own_places"]

_EVERY = 5.0  # seconds between two plain lines


@click.command(short_help="Put a folder into a store.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--hidden", is_flag=True, help="Take files and folders whose name begins with a dot, too.")
@click.option("--follow-links", is_flag=True, help="Follow symbolic links; each folder is entered once.")
@click.option("--exclude", metavar="PATTERN", multiple=True, help="Leave out, e.g. '*.tmp'; may be repeated.")
@click.option("--prefix", default="", metavar="TEXT", help="Put before each path, to keep folders apart.")
@click.option("--tenant", metavar="NAME", help="Tenant of what is added.")
@click.option("--owner", metavar="NAME", help="Owner of what is added.")
@click.option("--retry-failed", is_flag=True, help="Read again what failed before and has not changed.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, no list of failed texts; only errors.")
@store_options
def index(
    folder: Path,
    hidden: bool,
    follow_links: bool,
    exclude: tuple[str, ...],
    prefix: str,
    tenant: str | None,
    owner: str | None,
    retry_failed: bool,
    quiet: bool,
    url: str,
    blobs: str,
) -> int:
    """Put every file below FOLDER into the store: its bytes, its text and where it came from.

    Run it again at any time, also after it was stopped: it adds only what is new or changed. A changed
    file becomes a new version of its document, whose external_id is the path within FOLDER. Files that
    are gone from FOLDER stay in the store.

    \b
    docstore index ~/papers
    docstore index . --exclude node_modules --exclude '*.log'
    docstore index /srv/mail --store postgresql://localhost/docs --blobs s3://bucket/mail --prefix mail/

    A file whose text cannot be read (an encrypted PDF, a picture) is stored with status "failed" and the
    reason in "error"; that is no failure of the run. Exit status 1 if a file could not be read or stored;
    each is named on standard error.
    """
    options = IndexOptions(
        walk=WalkOptions(hidden, follow_links, exclude, own_places(url, blobs)),
        prefix=prefix,
        tenant=tenant,
        owner=owner,
        retry_failed=retry_failed,
    )
    started = monotonic()
    with opened(url, blobs, must_exist=False) as store, _progress(folder, options, quiet) as on_event:
        counts = index_folder(store, folder, options, on_event=on_event)
    click.echo(summary(counts, monotonic() - started))
    return 1 if counts["error"] else 0


def own_places(url: str, blobs: str) -> Callable[[str], bool]:
    """Return a test for the paths of the store itself, which must never be indexed into it.

    Arguments:
        url: the store; a local SQLite file and the files beside it that begin with its name are its own.
        blobs: the bytes; a local folder is its own.
    """
    file, folder = sqlite_file(url), local_path(blobs)
    database = "" if file is None else os.path.realpath(file)
    files = None if folder is None else os.path.realpath(folder)

    def own(path: str) -> bool:
        if files is not None and path == files:
            return True
        return bool(database) and (path == database or path.startswith((f"{database}-", f"{database}.")))

    return own


def summary(counts: Counter[Outcome], seconds: float) -> str:
    """Say in one line what a run did."""
    files = sum(number for outcome, number in counts.items() if outcome != "passed")
    parts = [
        f"{files:,} files in {seconds:.1f} s: {counts['added']:,} added, {counts['changed']:,} changed, "
        f"{counts['unchanged']:,} unchanged, {counts['failed']:,} stored without text"
    ]
    if counts["passed"]:
        parts.append(f"{counts['passed']:,} links and special files left out")
    if counts["error"]:
        parts.append(f"{counts['error']:,} could not be read or stored")
    return "; ".join(parts)


@contextmanager
def _progress(folder: Path, options: IndexOptions, quiet: bool) -> Iterator[Callable[[Event], None]]:
    report = _Report()
    if quiet:
        yield lambda event: report(event, note) if event.outcome == "error" else None
    elif sys.stderr.isatty():
        with _bar() as bar:
            files = sum(not entry.passed for entry in walk(folder, options.walk))
            task = bar.add_task("indexing", total=files)

            def on_event(event: Event) -> None:
                report(event, lambda line: bar.console.print(shown(line), soft_wrap=True))
                bar.advance(task, event.outcome != "passed")

            yield on_event
    else:
        yield _Lines(report)
    report.close()


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(file=sys.stderr, markup=False, emoji=False, highlight=False)
    return Progress(*columns, console=console, transient=True)


class _Lines:
    """Plain lines on standard error: what failed at once, how far it is every few seconds."""

    def __init__(self, report: _Report) -> None:
        self.report = report
        self.files = 0
        self.said = monotonic()

    def __call__(self, event: Event) -> None:
        """Report one file."""
        self.report(event, note)
        self.files += event.outcome != "passed"
        if monotonic() - self.said >= _EVERY:
            note(f"{self.files:,} files")
            self.said = monotonic()


class _Report:
    """Names each file that went wrong; files that nobody can read text from are counted by their type."""

    def __init__(self) -> None:
        self.textless: Counter[str] = Counter()

    def __call__(self, event: Event, say: Callable[[str], object]) -> None:
        """Report one file with `say`."""
        reason = event.reason or ""
        if event.outcome == "error":
            say(f"error: {event.name}: {reason}")
        elif event.outcome == "failed" and reason.startswith("no extractor"):
            self.textless[reason] += 1
        elif event.outcome == "failed":
            say(f"no text: {event.name}: {reason}")

    def close(self) -> None:
        """Say on standard error how many files of which type have no text."""
        for reason, number in self.textless.most_common():
            note(f"no text: {number:,} {'file' if number == 1 else 'files'}: {reason}")

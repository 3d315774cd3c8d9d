"""The commands that put files in: `index` for folders, again and again, `add` for documents of their own."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from docstore.cli.options import json_option, opened, own_places, sqlite_file, store_options

if TYPE_CHECKING:
    from docstore.ingest import Event, IndexReport
    from docstore.store import Store

_EVERY = 5.0  # seconds between two plain lines
_WATCHED = 2.0  # seconds between two looks with --watch


def _shard(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, slash, last = text.partition("/")
    if not slash or not first.isdecimal() or not last.isdecimal() or not 1 <= int(first) <= int(last):
        raise click.BadParameter(f"{text!r}: expected i/n with i from 1 to n, such as 1/3")
    return int(first), int(last)


@click.command("index", short_help="Put folders and files into a store, again and again.")
@click.argument("paths", metavar="[FOLDER|FILE]...", nargs=-1)
@click.option("--as", "name", metavar="NAME", help="What the folder is called; its own name without.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--delete", is_flag=True, help="Remove the documents of files that are gone from the folder.")
@click.option("--include", metavar="GLOB", multiple=True, help="Only files that match; repeatable.")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Leave out, e.g. '*.tmp'; repeatable.")
@click.option("--hidden", is_flag=True, help="Take files and folders whose name begins with a dot, too.")
@click.option("--no-ignore", is_flag=True, help="Take what .gitignore and .docstoreignore leave out.")
@click.option("--follow-links", is_flag=True, help="Follow symbolic links; each folder is entered once.")
@click.option("-m", "--metadata", metavar="KEY=VALUE", multiple=True, help="Metadata of what is added.")
@click.option("--tenant", metavar="NAME", help="Tenant of what is added.")
@click.option("--owner", metavar="NAME", help="Owner of what is added.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Threads that read files.")
@click.option("--shard", metavar="I/N", callback=_shard, help="Only every N-th file: for N machines.")
@click.option("--retry-failed", is_flag=True, help="Read again what failed before and has not changed.")
@click.option("--archives", is_flag=True, help="Files in archives and mails become documents of their own.")
@click.option("--watch", is_flag=True, help="Go on, and index what changes, until Ctrl-C.")
@click.option("--stdin0", is_flag=True, help="Read FILEs from standard input, each ended by a zero byte.")
@json_option()
@click.option("--quiet", "-q", is_flag=True, help="No progress, no list of failed texts; only errors.")
@store_options
def index_(
    paths: tuple[str, ...], name: str | None, dry_run: bool, delete: bool, include: tuple[str, ...],
    exclude: tuple[str, ...], hidden: bool, no_ignore: bool, follow_links: bool, metadata: tuple[str, ...],
    tenant: str | None, owner: str | None, jobs: int | None, shard: tuple[int, int] | None,
    retry_failed: bool, archives: bool, watch: bool, stdin0: bool, as_json: bool, quiet: bool, url: str,
    blobs: str,
) -> int:  # fmt: skip
    """Put every file below the FOLDERs, and the FILEs, into the store: bytes, text and where they came from.

    Run it again at any time, also after it was stopped: it adds only what is new or changed. A changed file
    becomes a new version of its document.

    \b
    docstore index ~/papers
    docstore index . --exclude '*.log' --metadata project=north
    docstore index /srv/mail --store postgresql://localhost/docs --shard 1/3
    docstore index ~/papers --delete --dry-run
    docstore index ~/mail --archives
    find . -name '*.pdf' -print0 | docstore index --stdin0

    A folder is known by its name, or the NAME that it was given, and the key of a file (external_id) is that
    name and the path within. .gitignore and .docstoreignore are heeded, and .git, node_modules, __pycache__
    and their like left out.

    What has no text, such as a picture, is stored without. Exit status 1 if a file could not be read or
    stored, or --delete was held back because a folder is missing, empty or partly unreadable.
    """
    if stdin0:
        paths = (*paths, *_paths_from_stdin())
    _check_paths(paths, delete, name)
    started = monotonic()
    chosen: dict[str, Any] = {
        "metadata": _metadata(metadata), "tenant": tenant, "owner": owner, "dry_run": dry_run, "jobs": jobs,
        "shard": shard, "retry_failed": retry_failed, "archives": archives, "name": name,
    }  # fmt: skip
    from docstore.ingest import WalkOptions

    taken = WalkOptions(
        hidden=hidden, follow=follow_links, include=include, exclude=exclude, ignore=not no_ignore,
        avoid=own_places(url, blobs),
    )  # fmt: skip
    place = _place(url, dry_run)
    with opened(place, blobs, must_exist=False) as store:
        while True:
            report = _once(store, paths, taken, chosen, delete, quiet, as_json)
            if not watch:
                break
            time.sleep(_WATCHED)
            quiet = True
    if as_json:
        _print_report(report, monotonic() - started)
    else:
        click.echo(summary(report, monotonic() - started))
    return 0 if report.ok else 1


def _place(url: str, dry_run: bool) -> str:
    """Return the store to open: one in memory for a dry run into a store that is not there."""
    file = sqlite_file(url)
    return "memory://" if dry_run and file is not None and not file.exists() else url


def _paths_from_stdin() -> list[str]:
    return [os.fsdecode(path) for path in sys.stdin.buffer.read().split(b"\0") if path]


def _check_paths(paths: tuple[str, ...], delete: bool, name: str | None) -> None:
    if not paths:
        raise click.UsageError("say what to index: FOLDER… or FILE…")
    files = [path for path in paths if not os.path.isdir(path)]
    odd = [path for path in files if os.path.exists(path) and not os.path.isfile(path)]
    if odd:
        raise click.UsageError(f"{_quoted(odd[0])} is neither a folder nor a file: leave it out")
    if delete and any(os.path.isfile(path) for path in files):
        raise click.UsageError("--delete compares whole folders: name FOLDERs alone")
    if name is not None and len(paths) > 1:
        raise click.UsageError("--as names one folder: index the others by themselves")
    missing = [path for path in files if not os.path.exists(path)]
    if missing and not delete:
        dangling = ": the link leads nowhere" if os.path.islink(missing[0]) else ""
        raise click.UsageError(f"there is no file or folder {_quoted(missing[0])}{dangling}")


def _quoted(path: str) -> str:
    return f"'{os.fsencode(path).decode(errors='backslashreplace')}'"


def _metadata(given: tuple[str, ...]) -> dict[str, Any]:
    """Return the metadata that ``--metadata`` asks for."""
    if not given:
        return {}
    from docstore.cli.terms import assignments_of

    made: dict[str, Any] = {}
    for one in given:
        if not re.match(r"[^\s=.:]+(\.[^\s=.:]+)*:?=", one):
            raise click.UsageError(f"--metadata {one!r}: expected KEY=VALUE or KEY:=JSON")
    for field, value in assignments_of(f"metadata.{one.removeprefix('metadata.')}" for one in given).items():
        *folders, last = field.split(".")[1:]
        inner = made
        for folder in folders:
            inner = inner.setdefault(folder, {})
        inner[last] = value
    return made


def _once(
    store: Store, paths: tuple[str, ...], taken: Any, chosen: dict[str, Any], delete: bool, quiet: bool,
    as_json: bool,
) -> IndexReport:  # fmt: skip
    """Index everything once, and return what that came to altogether."""
    from docstore.errors import AlreadyExists
    from docstore.ingest import IndexReport, index_files, index_folder

    total = IndexReport(dry_run=chosen["dry_run"])
    files = [path for path in paths if os.path.isfile(path)]
    with _progress(quiet, dry_run=total.dry_run and not as_json) as on_event:
        try:
            for folder in (path for path in paths if path not in files):
                done = index_folder(store, folder, options=taken, delete=delete, on_event=on_event, **chosen)
                _add(total, done)
            if files:
                _add(total, index_files(store, files, on_event=on_event, **chosen))
        except AlreadyExists as taken_already:
            raise click.UsageError(str(taken_already)) from None
    if total.kept:
        from docstore.cli.output import note

        note(f"nothing was deleted: {total.kept}")
    return total


def _add(total: IndexReport, done: IndexReport) -> None:
    total.counts.update(done.counts)
    total.ignored += done.ignored
    total.textless += done.textless
    total.kept = total.kept or done.kept


def summary(report: IndexReport, seconds: float) -> str:
    """Say in one line what a run did."""
    counts = report.counts
    files = sum(number for outcome, number in counts.items() if outcome not in ("passed", "deleted"))
    would = "would be " if report.dry_run else ""
    parts = [
        f"{files:,} {'file' if files == 1 else 'files'} in {seconds:.1f} s: "
        f"{counts['added']:,} {would}added, {counts['changed']:,} changed, {counts['unchanged']:,} unchanged"
    ]
    more = (
        (counts["adopted"], "taken over from before"),
        (counts["deleted"], f"{would}deleted"),
        (report.textless, "without text"),
        (counts["failed"], "whose text could not be read"),
        (counts["passed"], "links and special files left out"),
        (report.ignored, "ignored"),
        (counts["error"], "could not be read or stored"),
    )
    return "; ".join([*parts, *(f"{number:,} {what}" for number, what in more if number)])


def _print_report(report: IndexReport, seconds: float) -> None:
    from docstore.cli.output import print_json

    names = ("added", "changed", "unchanged", "adopted", "deleted", "failed", "passed", "error")
    counts = {name: report.counts[name] for name in names}  # type: ignore[index]
    print_json(
        {
            **counts, "ignored": report.ignored, "textless": report.textless, "dry_run": report.dry_run,
            "kept": report.kept, "ok": report.ok, "seconds": round(seconds, 3),
        }
    )  # fmt: skip


@contextmanager
def _progress(quiet: bool, *, dry_run: bool) -> Iterator[Callable[[Event], None]]:
    from docstore.cli.output import note

    report = _Report(dry_run)
    if quiet:
        yield lambda event: report(event, note) if event.outcome == "error" else None
        return
    if sys.stderr.isatty() and not dry_run:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        from docstore.cli.output import shown

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        console = Console(file=sys.stderr, markup=False, emoji=False, highlight=False)
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("indexing")

            def on_event(event: Event) -> None:
                report(event, lambda line: bar.console.print(shown(line), soft_wrap=True))
                bar.update(task, description=f"{report.files:,} files: {shown(event.name)[-60:]}")

            yield on_event
    else:
        yield _IndexLines(report)


class _IndexLines:
    """Plain lines on standard error: what failed at once, how far it is every few seconds."""

    def __init__(self, report: _Report) -> None:
        self.report = report
        self.said = monotonic()

    def __call__(self, event: Event) -> None:
        """Report one file."""
        from docstore.cli.output import note

        self.report(event, note)
        if monotonic() - self.said >= _EVERY:
            note(f"{self.report.files:,} files")
            self.said = monotonic()


class _Report:
    """Names each file that went wrong or is none, and in a dry run each that would be changed."""

    def __init__(self, dry_run: bool) -> None:
        self.dry_run = dry_run
        self.files = 0

    def __call__(self, event: Event, say: Callable[[str], object]) -> None:
        """Report one file with `say`."""
        self.files += event.outcome != "passed"
        if event.outcome == "error":
            say(f"error: {event.name}: {event.reason}")
        elif event.outcome == "passed" and event.reason != "a symbolic link":
            say(f"left out: {event.name}: {event.reason}")
        elif event.outcome == "failed":
            say(f"no text: {event.name}: {event.reason}")
        elif self.dry_run and event.outcome in _WOULD:
            from docstore.cli.output import shown

            click.echo(f"{_WOULD[event.outcome]}: {shown(event.name)}")


def _name_of(file: str) -> str:
    """Return a file's name as a document's: a byte that is no UTF-8 becomes the sign for one."""
    return os.fsencode(os.path.basename(file)).decode("utf-8", "replace")


_WOULD = {
    "added": "would add",
    "changed": "would change",
    "deleted": "would delete",
    "adopted": "would take over",
}


@click.command("add", short_help="Add files as documents of their own.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "-m", "--metadata", metavar="KEY=VALUE", multiple=True, help="Metadata; KEY:=JSON is taken, too."
)
@click.option("--filename", metavar="NAME", help="What the document is called; the file's name without.")
@click.option("--id", "id", metavar="ID", help="The document's id, of one FILE.")
@click.option("--external-id", metavar="TEXT", help="A key of your own, of one FILE: again is a new version.")
@click.option(
    "--on-conflict",
    type=click.Choice(["replace", "merge", "skip", "version", "error"]),
    help="With --id or --external-id: what to do with a document that has it.",
)
@click.option("--tenant", metavar="NAME", help="Tenant of the documents.")
@click.option("--owner", metavar="NAME", help="Owner of the documents.")
@json_option("Print an array of the documents.")
@store_options
def add_(
    files: tuple[str, ...], metadata: tuple[str, ...], filename: str | None, id: str | None,
    external_id: str | None, on_conflict: Any, tenant: str | None, owner: str | None, as_json: bool,
    url: str, blobs: str,
) -> None:  # fmt: skip
    """Add each FILE as a document (pending) and print its id; - is standard input.

    \b
    docstore add report.pdf -m vendor=Acme -m 'tags:=["q3", "draft"]'
    docstore add scan.pdf --external-id invoice/4711 --on-conflict replace
    curl -s https://example.org/a.pdf | docstore add - --filename a.pdf
    """
    from docstore.blobs.streams import is_url
    from docstore.cli.output import print_json, record

    for file in files:
        if os.path.isdir(file):
            quoted = shlex.quote(file)
            raise click.UsageError(f"{_quoted(file)} is a folder: put it in by  docstore index {quoted}")
        if file != "-" and not is_url(file) and not os.path.exists(file):
            raise click.UsageError(f"there is no file {_quoted(file)}")
    if len(files) > 1 and not (id is external_id is filename is None):
        raise click.UsageError("--id, --external-id and --filename name one document: add one FILE")
    if on_conflict is not None and id is external_id is None:
        raise click.UsageError("--on-conflict needs --id or --external-id")
    given: dict[str, Any] = {"metadata": _metadata(metadata), "tenant": tenant, "owner": owner}
    given |= {"id": id} if id is not None else {}
    given |= {"external_id": external_id} if external_id is not None else {}
    added = []
    with opened(url, blobs, must_exist=False) as store:
        for file in files:
            # A file of this name comes first; else it may be a URL that fsspec reads.
            source: Any = Path(file) if os.path.lexists(file) else file
            if file == "-":
                source = sys.stdin.buffer.read()
            named: dict[str, Any] = {"filename": filename or ("stdin" if file == "-" else _name_of(file))}
            if on_conflict is None:
                added.append(store.documents.add(source, **named, **given))
            else:
                put = store.documents.put(source, on_conflict=on_conflict, **named, **given)
                added.append(put.document)
            if not as_json:
                click.echo(added[-1].id)
    if as_json:
        print_json([record(document) for document in added])

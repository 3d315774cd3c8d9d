"""The commands of the queue: `work`, `status`, and `review` of the extractions that people look at."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from docstore.cli.options import json_option, opened, scope_options, store_options, terms_argument, within

if TYPE_CHECKING:
    from docstore.models import Document, Extraction
    from docstore.store import Store
_INTERRUPTED = 130
_LOOK_EVERY = 2.0  # seconds between two looks at an empty queue with --watch
_MOST_ERROR = 2000  # characters of a command's standard error that are kept


@click.command(
    "work", short_help="Work through pending documents.", context_settings={"ignore_unknown_options": True}
)
@click.argument("command", metavar="[CMD...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--extract", "extracts", is_flag=True, help="Read the text of each document's bytes.")
@click.option(
    "--where", "terms", metavar="TERM", multiple=True, help="Only documents that match; repeatable."
)
@click.option("--watch", is_flag=True, help="Go on when the queue is empty, until Ctrl-C.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Documents at once.")
@click.option("--lease", type=float, default=300.0, show_default=True, help="Seconds a worker may be silent.")
@click.option(
    "--max-attempts", type=click.IntRange(1), default=3, show_default=True, help="Then it is failed."
)
@json_option("Print the report as JSON.")
@scope_options
@store_options
def work_(
    command: tuple[str, ...], extracts: bool, terms: tuple[str, ...], watch: bool, jobs: int, lease: float,
    max_attempts: int, as_json: bool, tenant: str | None, owner: str | None, url: str, blobs: str,
) -> int:  # fmt: skip
    """Take pending documents out of the queue one by one, run CMD for each, and complete them.

    CMD gets the document's bytes on standard input and, in its environment, DOCSTORE_ID, DOCSTORE_FILENAME
    and DOCSTORE_CONTENT_TYPE. What it prints becomes the document's text; if it fails, what it says on
    standard error becomes the error, and the document is tried again.

    \b
    docstore work --extract --jobs 4
    docstore work --where file_type=image -- tesseract - -
    docstore work --watch -- ./classify.sh

    Any number of these may run at once, on any number of machines, on one store: each document is done by one
    of them. One that dies is found out by its lease. Ctrl-C lets the documents under way finish.

    Exit status 0 if every document was completed; 1 if some failed; 130 if it was interrupted.
    """
    if bool(command) == extracts:
        raise click.UsageError("say what to do with each document: --extract, or a command behind --")
    if command and command[0].startswith("-"):
        raise click.NoSuchOption(command[0], ctx=click.get_current_context())
    # A slip must not fail every document that waits.
    if command and shutil.which(command[0]) is None:
        raise click.UsageError(f"there is no program {command[0]!r}")
    from docstore.cli.output import note, print_json
    from docstore.cli.terms import filter_of
    from docstore.extract import completion_of

    filter = filter_of(terms) if terms else None
    options: dict[str, Any] = {
        "workers": jobs, "lease": lease, "max_attempts": max_attempts, "filter": filter,
        "worker": f"{socket.gethostname()}:{os.getpid()}", "on_progress": None if as_json else _progress,
    }  # fmt: skip
    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)

        def handle(document: Document) -> Any:
            return completion_of(store, document) if extracts else _ran(store, document, command)

        report = store.documents.process(handle, **options)
        while watch and not report.interrupted:
            for id, reason in report.errors:
                note(f"{id}: {reason}")
            time.sleep(_LOOK_EVERY)
            report = store.documents.process(handle, **options)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        for id, reason in report.errors:
            note(f"{id}: {reason}")
        lost = f", {report.lost} lost to others" if report.lost else ""
        click.echo(
            f"{report.completed:,} completed, {report.failed:,} failed{lost} in {report.seconds:.1f} s"
        )
    return _INTERRUPTED if report.interrupted else int(report.failed > 0)


def _progress(done: int) -> None:
    if done % 100 == 0:
        from docstore.cli.output import note

        note(f"{done:,} done")


class CommandFailed(Exception):
    """A command that was run for a document ended with another status than 0."""


def _ran(store: Store, document: Document, command: tuple[str, ...]) -> str | None:
    """Run a command for a document, and return what it printed."""
    environment = {
        **os.environ, "DOCSTORE_ID": document.id, "DOCSTORE_FILENAME": document.filename,
        "DOCSTORE_CONTENT_TYPE": document.content_type,
    }  # fmt: skip
    given = b"" if document.sha256 is None else store.documents.read_bytes(document.id)
    done = subprocess.run(command, input=given, capture_output=True, env=environment, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-_MOST_ERROR:]
        raise CommandFailed(f"{command[0]} ended with status {done.returncode}{': ' + said if said else ''}")
    return done.stdout.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}") or None


@click.command("status", short_help="Count documents by status.")
@terms_argument
@click.option("--all-versions", is_flag=True, help="Older versions, too; without it only the latest of each.")
@json_option("Print a JSON object of status and number.")
@scope_options
@store_options
def status_(
    filter: dict[str, Any] | None, all_versions: bool, as_json: bool, tenant: str | None, owner: str | None,
    url: str, blobs: str,
) -> None:  # fmt: skip
    """Print how many documents are pending, processing, completed and failed, and which failed last.

    \b
    docstore status
    docstore status file_type=pdf --json
    """
    from docstore.cli.output import note, print_json, shown

    with opened(url, blobs) as opened_store:
        documents = within(opened_store, tenant, owner).documents
        found = documents.count_by("status", filter, latest_only=not all_versions)
        failed = [] if as_json or not found.get("failed") else _failed_last(documents, filter)
    counts = {word: found.get(word, 0) for word in ("pending", "processing", "completed", "failed")}
    if as_json:
        print_json(counts)
        return
    width = max(len(f"{number:,}") for number in counts.values())
    for word, number in counts.items():
        click.echo(f"{word:<10}  {number:>{width},}")
    for document in failed:
        note(f"failed: {document.external_id or document.filename}: {shown(document.error or '')}")


def _failed_last(documents: Any, filter: dict[str, Any] | None) -> Any:
    failed = {"status": "failed"}
    wanted = failed if filter is None else {"$and": [filter, failed]}
    return documents.find(wanted, sort="-updated_at", limit=5).items


_WAITING = {"needs_review": True, "is_reviewed": False}


@click.command("review", short_help="Review extractions.")
@terms_argument
@click.option("--by", metavar="NAME", help="Who reviews; the name that you are logged in by without.")
@click.option("--accept", metavar="ID", multiple=True, help="Accept an extraction's results as they are.")
@click.option("--list", "lists", is_flag=True, help="Only list what waits; so it is in a pipe.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Extractions.")
@json_option("Print an array of the extractions that wait.")
@scope_options
@store_options
def review_(
    filter: dict[str, Any] | None, by: str | None, accept: tuple[str, ...], lists: bool, limit: int,
    as_json: bool, tenant: str | None, owner: str | None, url: str, blobs: str,
) -> None:  # fmt: skip
    """Go through the extractions that need a review, the oldest first: accept, correct, skip.

    Fields that were flagged come first, with the confidence that they were read with. TERMs choose among the
    extractions by their fields (filename, results.total, …).

    \b
    docstore review
    docstore review filename=invoice.pdf --by ada
    docstore review --json | jq -r '.[].id'
    docstore review --accept 0198f2a4-7c1e-7d3a-9f00-5f2a31f0c9de
    """
    from docstore.cli.output import print_json, record

    reviewer = by or getpass.getuser()
    wanted = _WAITING if filter is None else {"$and": [filter, _WAITING]}
    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)
        if accept:
            for id in accept:
                _accepted(store, store.extractions.get(id), reviewer)
            click.echo(f"{len(accept):,} accepted")
            return
        page = store.extractions.find(wanted, sort="number", limit=limit)
        waiting = page.items
        if as_json:
            print_json([record(one) for one in waiting])
        elif lists or not (sys.stdin.isatty() and sys.stdout.isatty()):
            _list(waiting)
        else:
            _go_through(store, waiting, reviewer, more=page.next_cursor is not None)


def _list(waiting: list[Extraction]) -> None:
    from docstore.cli.output import note, print_table, table_of

    if not waiting:
        note("nothing waits for a review")
        return
    rows = [(one.id, one.filename, ", ".join(_flagged(one)) or "–") for one in waiting]
    print_table(table_of(("id", "filename", "flagged"), rows))


def _flagged(extraction: Extraction) -> list[str]:
    return [name for name, flag in (extraction.review_flags or {}).items() if flag]


def _go_through(store: Store, waiting: list[Extraction], reviewer: str, *, more: bool) -> None:
    from docstore.cli.output import note, shown

    skipped = 0
    for place, extraction in enumerate(waiting, 1):
        click.echo(f"\n{place} of {len(waiting)}: {shown(extraction.filename)}")
        _show(extraction)
        answer = click.prompt(
            "accept, correct, skip or quit",
            type=click.Choice(["a", "c", "s", "q"]), default="a", show_choices=True, err=True,
        )  # fmt: skip
        if answer == "q":
            return
        if answer == "a":
            _accepted(store, extraction, reviewer)
        elif answer == "c":
            corrected = _corrected(extraction)
            store.extractions.review(extraction.id, corrected, reviewed_by=reviewer)
        else:
            skipped += 1
    if more or skipped:
        note("more wait: run it again" if more else f"{skipped:,} skipped: they wait still")
    else:
        note("nothing more waits for a review")


def _show(extraction: Extraction) -> None:
    from docstore.cli.output import shown

    flagged, scores = set(_flagged(extraction)), extraction.confidence_scores or {}
    results = extraction.results or {}
    for name in sorted(results, key=lambda name: (name not in flagged, list(results).index(name))):
        score = f"  ({scores[name]:g})" if name in scores else ""
        line = f"  {shown(name)}: {shown(json.dumps(results[name], ensure_ascii=False))}{score}"
        click.secho(line, fg="yellow" if name in flagged else None)


def _corrected(extraction: Extraction) -> dict[str, Any]:
    """Ask for each field, flagged ones first, and return the results as they should be."""
    from docstore.cli.output import shown

    results = dict(extraction.results or {})
    flagged = set(_flagged(extraction))
    for name in sorted(results, key=lambda name: name not in flagged):
        before = shown(json.dumps(results[name], ensure_ascii=False))
        given = click.prompt(f"{shown(name)} [{before}]", default="", show_default=False, err=True)
        if not given:
            continue
        try:
            results[name] = json.loads(given)
        except ValueError:
            results[name] = given
    return results


def _accepted(store: Store, extraction: Extraction, reviewer: str) -> None:
    store.extractions.review(extraction.id, extraction.results or {}, reviewed_by=reviewer)

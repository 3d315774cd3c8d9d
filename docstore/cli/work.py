"""The commands of the queue: `work` reads the text of pending documents, `status` counts them."""

from __future__ import annotations

import socket
from os import getpid
from typing import Any

import click
from rich.table import Table

from docstore.cli.options import filter_argument, json_option, opened, store_options
from docstore.cli.output import note, print_json, print_table
from docstore.extract import completion_of
from docstore.models import Status

__all__ = ["QUEUE_COMMANDS"]

_INTERRUPTED = 130


@click.command(short_help="Read the text of pending documents.")
@filter_argument
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads.")
@click.option(
    "--lease",
    type=float,
    default=300.0,
    show_default=True,
    help="Seconds after which a silent worker counts as dead.",
)
@click.option(
    "--max-attempts",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Attempts that a document has before it is failed.",
)
@json_option("Print the report as JSON.")
@store_options
def work(
    filter: dict[str, Any] | None,
    workers: int,
    lease: float,
    max_attempts: int,
    as_json: bool,
    url: str,
    blobs: str,
) -> int:
    """Take pending documents out of the queue, read the text out of their bytes, and complete them.

    Any number of these may run at once, on any number of machines, on one store: each document is done by one
    of them. One that dies is found out by its lease. Ctrl-C lets the documents under way finish.

    \b
    docstore work --workers 4
    docstore work '{"file_type": "pdf"}'

    Exit status 0 if every document was completed; 1 if some failed; 130 if it was interrupted.
    """
    with opened(url, blobs) as store:
        report = store.documents.process(
            lambda document: completion_of(store, document),
            workers=workers,
            lease=lease,
            max_attempts=max_attempts,
            filter=filter,
            worker=f"{socket.gethostname()}:{getpid()}",
            on_progress=None if as_json else _progress,
        )
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
        note(f"{done:,} done")




@click.command(short_help="Count documents by status.")
@filter_argument
@click.option(
    "--all-versions", is_flag=True, help="Older versions, too; without it only the latest of each file."
)
@json_option("Print a JSON object of status and number.")
@store_options
def status(filter: dict[str, Any] | None, all_versions: bool, as_json: bool, url: str, blobs: str) -> None:
    """Print how many documents are pending, processing, completed and failed.

    \b
    docstore status
    docstore status '{"file_type": "pdf"}' --json
    """
    with opened(url, blobs) as store:
        found = store.documents.count_by("status", filter, latest_only=not all_versions)
    counts = {word.value: found.get(word.value, 0) for word in Status}
    if as_json:
        print_json(counts)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for word, number in counts.items():
        table.add_row(word, f"{number:,}")
    print_table(table)


QUEUE_COMMANDS = (work, status)

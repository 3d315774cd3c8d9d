"""The command `review`: the queue of extractions that people have to look at, in a terminal."""

from __future__ import annotations

import getpass
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from docstore.cli.options import json_option, opened, scope_options, store_options, terms_argument, within

if TYPE_CHECKING:
    from docstore.models import Extraction
    from docstore.store import Store

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
        waiting = store.extractions.find(wanted, sort="number", limit=limit).items
        if as_json:
            print_json([record(one) for one in waiting])
        elif lists or not (sys.stdin.isatty() and sys.stdout.isatty()):
            _list(waiting)
        else:
            _go_through(store, waiting, reviewer)


def _list(waiting: list[Extraction]) -> None:
    from docstore.cli.output import note, print_table, table_of

    if not waiting:
        note("nothing waits for a review")
        return
    rows = [(one.id, one.filename, ", ".join(_flagged(one)) or "–") for one in waiting]
    print_table(table_of(("id", "filename", "flagged"), rows))


def _flagged(extraction: Extraction) -> list[str]:
    return [name for name, flag in (extraction.review_flags or {}).items() if flag]


def _go_through(store: Store, waiting: list[Extraction], reviewer: str) -> None:
    from docstore.cli.output import note

    for place, extraction in enumerate(waiting, 1):
        click.echo(f"\n{place} of {len(waiting)}: {extraction.filename}")
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
    results = dict(extraction.results or {})
    flagged = set(_flagged(extraction))
    for name in sorted(results, key=lambda name: name not in flagged):
        before = json.dumps(results[name], ensure_ascii=False)
        given = click.prompt(name, default=before, err=True)
        try:
            results[name] = json.loads(given)
        except ValueError:
            results[name] = given
    return results


def _accepted(store: Store, extraction: Extraction, reviewer: str) -> None:
    store.extractions.review(extraction.id, extraction.results or {}, reviewed_by=reviewer)

"""The commands that only read: `find`, `show`, `count`, `explain`."""

from __future__ import annotations

import re
from typing import Any

import click

from docstore.cli.options import filter_argument, json_option, opened, search_option, store_options
from docstore.cli.output import (
    document_table,
    document_view,
    note,
    print_json,
    print_table,
    record,
    shown,
)
from docstore.errors import NotFound
from docstore.models import Document
from docstore.query.plan import Plan
from docstore.query.show import show_expr
from docstore.store import Store

__all__ = ["READ_COMMANDS"]

_all_versions = click.option(
    "--all-versions", is_flag=True, help="Older versions, too; without it only the latest of each file."
)


@click.command(short_help="List documents that match a filter and a search.")
@filter_argument
@search_option
@click.option("--sort", metavar="FIELD", multiple=True, help="Field, -FIELD for descending; may be repeated.")
@click.option("--limit", type=int, default=50, show_default=True, help="Documents on a page, 0 to 1000.")
@click.option("--page", type=int, help="Page number, from 1.")
@click.option("--offset", type=int, help="Documents to leave out before the page.")
@click.option("--cursor", metavar="TEXT", help="Go on where another page ended; it says its cursor.")
@click.option("--total", is_flag=True, help="Count all that match, too.")
@click.option("--content", is_flag=True, help="With --json: include the extracted text.")
@_all_versions
@json_option("Print one JSON array of documents.")
@store_options
def find(
    filter: dict[str, Any] | None,
    search: str | None,
    sort: tuple[str, ...],
    limit: int,
    page: int | None,
    offset: int | None,
    cursor: str | None,
    total: bool,
    content: bool,
    all_versions: bool,
    as_json: bool,
    url: str,
    blobs: str,
) -> None:
    """List documents that match FILTER, newest first.

    FILTER is a JSON object in MongoDB's filter language over the document's fields (id, filename,
    external_id, file_type, content_type, size, sha256, status, error, created_at, metadata.…); "-"
    reads it from standard input. An indexed file has metadata.source.path, .folder and .modified.

    \b
    docstore find
    docstore find '{"status": "failed"}' --total
    docstore find '{"size": {"$gt": 1000000}}' --sort -size --limit 10
    docstore find '{"metadata.source.folder": {"$startsWith": "reports/"}}' --search "q3 revenue"
    docstore find --json | jq -r '.[].external_id'

    --json prints one array on standard output; totals and the cursor of the next page go to standard
    error. Exit status 0, also if nothing matches.
    """
    with opened(url, blobs) as store:
        found = store.documents.find(
            filter,
            search=search,
            sort=list(sort) or "-created_at",
            limit=limit,
            offset=offset or 0,
            page=page,
            cursor=cursor,
            total=total,
            latest_only=not all_versions,
            include={"content"} if content and as_json else (),
        )
    if as_json:
        print_json([_without_content(document, content) for document in found.items])
    elif found.items:
        print_table(document_table(found.items, chain=all_versions))
    _say_where(found, as_json)


def _without_content(document: Document, content: bool) -> dict[str, Any]:
    fields = record(document)
    if not content:
        fields.pop("content", None)
    return fields


def _say_where(page: Any, as_json: bool) -> None:
    """Say how many there are and how to go on: for people below the table, else on standard error."""
    say = note if as_json else click.echo
    if page.total is not None:
        say(f"{len(page.items):,} of {page.total:,} documents")
    elif not page.items:
        note("nothing matches")
    if page.next_cursor is not None:
        note(f"there are more: --cursor {page.next_cursor}")


@click.command(short_help="Show one document.")
@click.argument("name", metavar="ID")
@click.option("--content", is_flag=True, help="Show the extracted text, too.")
@json_option("Print JSON.")
@store_options
def show(name: str, content: bool, as_json: bool, url: str, blobs: str) -> None:
    """Show one document: all its fields, its metadata and, if asked, its text.

    ID is a document's id, its external_id (for an indexed file its path within the folder), or the
    number that a listing shows.

    \b
    docstore show 0198f2a4-7c1e-7d3a-9f00-5f2a31f0c9de
    docstore show reports/2026/q3.pdf --content
    docstore show 1422
    docstore show reports/2026/q3.pdf --json | jq .metadata

    Exit status 1 if there is no such document.
    """
    with opened(url, blobs) as store:
        document = _document(store, name, content)
    if as_json:
        print_json(_without_content(document, content))
        return
    print_table(document_view(document))
    if content:
        click.echo("\n" + shown(document.content or "", lines=True))


def _document(store: Store, name: str, content: bool) -> Document:
    include = {"content"} if content else ()
    try:
        return store.documents.get(name, include=include)
    except NotFound:
        page = store.documents.find({"external_id": name}, limit=2, include=include)
    if not page.items and re.fullmatch("[0-9]{1,18}", name):
        page = store.documents.find({"number": int(name)}, latest_only=False, include=include)
    if len(page.items) > 1:
        raise click.ClickException(f"several owners have a document {name!r}; name it by its id")
    if not page.items:
        raise click.ClickException(f"no document has the id, external_id or number {name!r}")
    return page.items[0]


@click.command(short_help="Count documents.")
@filter_argument
@search_option
@_all_versions
@json_option('Print {"count": n}.')
@store_options
def count(
    filter: dict[str, Any] | None, search: str | None, all_versions: bool, as_json: bool, url: str, blobs: str
) -> None:
    """Print how many documents match FILTER (see: docstore find --help).

    \b
    docstore count
    docstore count '{"file_type": "pdf"}' --search revenue
    """
    with opened(url, blobs) as store:
        number = store.documents.count(filter, search=search, latest_only=not all_versions)
    if as_json:
        print_json({"count": number})
    else:
        click.echo(str(number))


@click.command(short_help="Say how a filter would be run.")
@filter_argument
@search_option
@click.option("--sort", metavar="FIELD", multiple=True, help="Field, -FIELD for descending; may be repeated.")
@_all_versions
@json_option("Print JSON.")
@store_options
def explain(
    filter: dict[str, Any] | None,
    search: str | None,
    sort: tuple[str, ...],
    all_versions: bool,
    as_json: bool,
    url: str,
    blobs: str,
) -> None:
    """Say how FILTER would be run: what the database does, what is left to Python, and why.

    \b
    docstore explain '{"metadata.source.folder": "reports"}' --sort -size
    """
    with opened(url, blobs) as store:
        plan = store.documents.explain(
            filter, search=search, sort=list(sort) or "-created_at", latest_only=not all_versions
        )
    if as_json:
        print_json(plan_record(plan))
    else:
        click.echo(shown(plan, lines=True))


def plan_record(plan: Plan) -> dict[str, Any]:
    """Turn a plan into what JSON can hold: predicates as one line of text each, the rest as it is."""
    return {
        "collection": plan.collection,
        "backend": plan.backend,
        "is_pushed": plan.is_pushed,
        "sort_pushed": plan.sort_pushed,
        "window_pushed": plan.window_pushed,
        "pushed": show_expr(plan.pushed),
        "residual": show_expr(plan.residual),
        "terms": [
            {"predicate": show_expr(term.expr), "support": term.support.value, "reason": term.reason}
            for term in plan.terms
        ],
        "statement": plan.statement,
        "parameters": [str(value) for value in plan.parameters],
        "database_plan": plan.database_plan,
        "notes": list(plan.notes),
    }


READ_COMMANDS = (find, show, count, explain)

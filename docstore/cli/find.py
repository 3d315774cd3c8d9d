"""The commands that look for documents: `find`, `count`, `fields`, `facets`, `explain`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from docstore.cli.options import (
    all_versions_option,
    json_option,
    opened,
    scope_options,
    search_option,
    store_options,
    terms_argument,
    within,
)

if TYPE_CHECKING:
    from docstore.query.planner import Plan
    from docstore.store import Store

_PAGE = 1000
_FORMS = ("table", "json", "jsonl", "csv", "tsv", "ids")


def _forms(command: Any) -> Any:
    """Add an option for each form of a listing."""
    said = {
        "table": "A table, also in a pipe.",
        "json": "One JSON array.",
        "jsonl": "A JSON object a line.",
        "csv": "Comma-separated values, with a header.",
        "tsv": "The same, separated by tabs.",
        "ids": "The ids, one a line.",
    }
    for name in reversed(_FORMS):
        command = click.option(f"--{name}", "form", flag_value=name, help=said[name])(command)
    return command


@click.command("find", short_help="List documents that match.")
@terms_argument
@search_option
@click.option("--sort", metavar="FIELD", multiple=True, help="Field, -FIELD for descending; may be repeated.")
@click.option("--fields", metavar="A,B.C", help="Show these fields; a metadata field by its path.")
@_forms
@click.option("-0", "zero", is_flag=True, help="End each line with a zero byte: for xargs -0, with --ids.")
@click.option("--limit", type=int, default=50, show_default=True, help="Documents on a page, 0 to 1000.")
@click.option("--all", "everything", is_flag=True, help="All that match, however many.")
@click.option("--count", "counts", is_flag=True, help="Only how many match.")
@click.option("--page", type=int, help="Page number, from 1.")
@click.option("--offset", type=int, help="Documents to leave out before the page.")
@click.option("--cursor", metavar="TEXT", help="Go on where another page ended; it says its cursor.")
@click.option("--total", is_flag=True, help="Count all that match, too.")
@click.option("--content", is_flag=True, help="With --json and --jsonl: include the text.")
@all_versions_option
@scope_options
@store_options
def find_(
    filter: dict[str, Any] | None, search: str | None, sort: tuple[str, ...], fields: str | None,
    form: str | None, zero: bool, limit: int, everything: bool, counts: bool, page: int | None,
    offset: int | None, cursor: str | None, total: bool, content: bool, all_versions: bool,
    tenant: str | None, owner: str | None, url: str, blobs: str,
) -> None:  # fmt: skip
    """List documents that match all TERMs, newest first.

    \b
    docstore find
    docstore find file_type=pdf 'size>1MB' --sort -size
    docstore find 'filename~*.docx' 'metadata.vendor!=Acme' --fields id,due
    docstore find --search "q3 revenue" --limit 10
    docstore find '{"metadata.tags": {"$all": ["a", "b"]}}' --jsonl | jq .id
    docstore find status=failed --ids -0 --all | xargs -0 docstore retry

    A TERM is key=value, key!=value, key>value (>= < <=), key~glob, key? (has it), key:=JSON, or a filter in
    MongoDB's language as JSON ("-" reads it from standard input). A key is a field of the document, else one
    of its metadata. Sizes may have a unit: kB, MB, KiB, MiB.

    On a terminal sizes and dates are for people; in a pipe they are exact. Totals and the cursor of the next
    page go to standard error. Exit status 0, also if nothing matches.
    """
    names = _names(fields)
    if zero and form != "ids":
        raise click.UsageError("-0 ends ids: write --ids -0")
    if everything and any(one is not None for one in (page, offset, cursor)):
        raise click.UsageError("--all lists everything: leave --page, --offset and --cursor out")
    asked: dict[str, Any] = {"search": search, "latest_only": not all_versions}
    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)
        if counts:
            click.echo(store.documents.count(filter, **asked))
            return
        include = {name for name in ("content", "snippet") if name in (names or ())}
        include |= {"content"} if content else set()
        order = list(sort) or "-created_at"
        if everything:
            found = store.documents.iterate(filter, sort=order, batch_size=_PAGE, include=include, **asked)
            _print(found, form or ("table" if names is None else "tsv"), names, zero, content, all_versions)
            return
        listed = store.documents.find(
            filter, sort=order, limit=limit, offset=offset or 0, page=page, cursor=cursor, total=total,
            include=include, **asked,
        )  # fmt: skip
        _print(listed.items, form or "table", names, zero, content, all_versions)
        if search and form is None and names is None and sys.stdout.isatty():
            _print_snippets(store, listed.items, search)
    _say_where(listed)


def _names(fields: str | None) -> list[str] | None:
    from docstore.cli.terms import field_of

    if fields is None:
        return None
    names = [name.strip() for name in fields.split(",") if name.strip()]
    if not names:
        raise click.UsageError("--fields is empty: name some, such as filename,size")
    return [name if name == "snippet" else field_of(name) for name in names]


def _print(
    documents: Iterable[Any], form: str, names: Sequence[str] | None, zero: bool, content: bool, chain: bool
) -> None:
    from docstore.cli.output import is_terminal, json_text, record, shown

    if form == "ids":
        # One by one, in constant memory: --all may list millions.
        safe, end = shown if is_terminal() else str, chr(0) if zero else chr(10)
        sys.stdout.writelines(f"{safe(document.id)}{end}" for document in documents)
        return
    if form == "table" and names is None:
        _print_documents(documents, chain)
        return
    records = (record(document) for document in documents)
    rows = (_row(one, names, content) for one in records)
    if form == "jsonl":
        sys.stdout.writelines(f"{json_text(row)}\n" for row in rows)
    elif form == "json":
        _print_array(rows)
    else:
        _print_rows(rows, form, names)


def _print_documents(documents: Iterable[Any], chain: bool) -> None:
    """Print a table, of very many documents one for each thousand."""
    from docstore.cli.output import document_table, print_table

    rest = iter(documents)
    while some := list(islice(rest, _PAGE)):
        print_table(document_table(some, chain=chain))


def _row(one: dict[str, Any], names: Sequence[str] | None, content: bool) -> dict[str, Any]:
    if names is not None:
        return {name: _at(one, name) for name in names}
    if not content:
        one.pop("content", None)
    return one


def _at(value: Any, path: str) -> Any:
    """Return what stands at a path, None if nothing does; a step into an array is taken in each element."""
    if not path:
        return value
    step, _, rest = path.partition(".")
    if isinstance(value, dict):
        return _at(value[step], rest) if step in value else None
    if isinstance(value, list):
        if step.isdecimal():
            return _at(value[int(step)], rest) if int(step) < len(value) else None
        return [found for one in value if (found := _at(one, path)) is not None] or None
    return None


def _print_array(rows: Iterator[dict[str, Any]]) -> None:
    from docstore.cli.output import json_text

    begun = False
    for row in rows:
        text = json_text(row, indent=2).replace("\n", "\n  ")
        sys.stdout.write(f"{',' if begun else '['}\n  {text}")
        begun = True
    sys.stdout.write("\n]\n" if begun else "[]\n")


def _print_rows(rows: Iterator[dict[str, Any]], form: str, names: Sequence[str] | None) -> None:
    from docstore.cli.output import is_terminal, print_table, shown, table_of

    first = next(rows, None)
    header = list(names) if names is not None else list(first or ())
    every = iter(()) if first is None else (row for one in ([first], rows) for row in one)
    if form in ("csv", "tsv"):
        writer = csv.writer(sys.stdout, delimiter="," if form == "csv" else "\t", lineterminator="\n")
        writer.writerow(header)
        safe = shown if is_terminal() else str
        writer.writerows([safe(_cell(row.get(name))) for name in header] for row in every)
        return

    print_table(table_of(header, ([_cell(row.get(name)) for name in header] for row in every)))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _print_snippets(store: Store, documents: Sequence[Any], search: str) -> None:
    """Print where the words stand in each document, with colour."""
    import docstore
    from docstore.cli.output import shown, stdout

    highlight = getattr(docstore, "highlight", None)
    if highlight is None or not documents:
        return
    from rich.text import Text

    console = stdout()
    # The listing did not ask for snippets, as most are printed into a pipe.
    given: Any = store.documents.get_many([document.id for document in documents], include={"snippet"})
    for document in given:
        if not document.snippet:
            continue
        text = Text(shown(document.snippet), style="dim")
        for start, end in highlight(document.snippet, search):
            text.stylize("bold yellow", start, end)
        console.print(Text(f"{document.number}: "), text, soft_wrap=True)


def _say_where(page: Any) -> None:
    """Say on standard error how many there are, and how to go on."""
    from docstore.cli.output import note

    if page.total is not None:
        note(f"{len(page.items):,} of {page.total:,} documents")
    elif not page.items and not page.next_cursor and page.limit:
        note("nothing matches")
    if page.next_cursor is not None:
        note(f"there are more: --all, or --cursor {page.next_cursor}")


@click.command("count", short_help="Count documents, or the values of a field.")
@terms_argument
@search_option
@click.option("--by", metavar="FIELD", help="Count them by the values of this field.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="With --by: values.")
@all_versions_option
@json_option('Print {"count": n}; with --by an array of [value, n].')
@scope_options
@store_options
def count_(
    filter: dict[str, Any] | None, search: str | None, by: str | None, limit: int, all_versions: bool,
    as_json: bool, tenant: str | None, owner: str | None, url: str, blobs: str,
) -> None:  # fmt: skip
    """Print how many documents match all TERMs (see: docstore find --help).

    \b
    docstore count
    docstore count file_type=pdf --search revenue
    docstore count --by status
    docstore count --by metadata.vendor 'created_at>2026-01-01'
    """
    asked: dict[str, Any] = {"search": search, "latest_only": not all_versions}
    with opened(url, blobs) as store:
        documents = within(store, tenant, owner).documents
        if by is None:
            number = documents.count(filter, **asked)
        else:
            found = _facet(documents, by, filter, limit, asked)
    from docstore.cli.output import print_json

    if by is not None:
        _print_facet(found, as_json)
    elif as_json:
        print_json({"count": number})
    else:
        click.echo(number)


def _facet(documents: Any, by: str, filter: Any, limit: int, asked: Any) -> list[tuple[Any, int]]:
    from docstore.cli.terms import field_of

    found = documents.count_by(field_of(by), filter, limit=limit, **asked)
    return [(_plain(value), number) for value, number in found.items()]


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _print_facet(found: Sequence[tuple[Any, int]], as_json: bool) -> None:
    from docstore.cli.output import print_json, print_table, table_of

    if as_json:
        print_json([list(pair) for pair in found])
        return
    rows = [(_cell(value) if value is not None else "–", f"{number:,}") for value, number in found]
    print_table(table_of(("value", "documents"), rows, right=("documents",)))


@click.command("facets", short_help="Count the values of fields.")
@click.argument("fields", metavar="FIELD...", nargs=-1, required=True)
@click.option(
    "--where", "terms", metavar="TERM", multiple=True, help="Only documents that match; repeatable."
)
@search_option
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Values of each.")
@json_option("Print an object: of each field an array of [value, n].")
@scope_options
@store_options
def facets_(
    fields: tuple[str, ...], terms: tuple[str, ...], search: str | None, limit: int, as_json: bool,
    tenant: str | None, owner: str | None, url: str, blobs: str,
) -> None:  # fmt: skip
    """Print the values of each FIELD, with how many documents have them, most first.

    \b
    docstore facets file_type status
    docstore facets vendor --where 'created_at>2026-01-01' --limit 20
    """
    from docstore.cli.output import print_json
    from docstore.cli.terms import filter_of

    filter = filter_of(terms) if terms else None
    with opened(url, blobs) as store:
        documents = within(store, tenant, owner).documents
        found = {name: _facet(documents, name, filter, limit, {"search": search}) for name in fields}
    if as_json:
        print_json({name: [list(pair) for pair in pairs] for name, pairs in found.items()})
        return
    for place, (name, pairs) in enumerate(found.items()):
        click.echo(f"{chr(10) if place else ''}{name}")
        _print_facet(pairs, as_json=False)


@click.command("fields", short_help="List the fields that the metadata have.")
@terms_argument
@click.option("--prefix", default="metadata", show_default=True, help="The field to look below.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="Fields.")
@json_option("Print an array of objects.")
@scope_options
@store_options
def fields_(
    filter: dict[str, Any] | None, prefix: str, limit: int, as_json: bool, tenant: str | None,
    owner: str | None, url: str, blobs: str,
) -> None:  # fmt: skip
    """Print the paths that the metadata of matching documents have, with types, counts and examples.

    \b
    docstore fields
    docstore fields file_type=pdf --json
    """
    from docstore.cli.output import print_json, print_table, record, table_of

    with opened(url, blobs) as store:
        documents: Any = within(store, tenant, owner).documents
        found = documents.fields(filter, prefix=prefix, limit=limit)
    if as_json:
        print_json([record(one) for one in found])
        return
    rows = [
        (
            one.path, ", ".join(one.types), f"{one.documents:,}",
            "–" if one.distinct is None else f"{one.distinct:,}",
            ", ".join(_short(example) for example in one.examples),
        )
        for one in found
    ]  # fmt: skip
    names = ("field", "types", "documents", "values", "examples")
    print_table(table_of(names, rows, right=("documents", "values")))


def _short(value: Any) -> str:
    text = _cell(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


@click.command("explain", short_help="Say how a filter would be run.")
@terms_argument
@search_option
@click.option("--sort", metavar="FIELD", multiple=True, help="Field, -FIELD for descending; may be repeated.")
@all_versions_option
@json_option("Print JSON.")
@scope_options
@store_options
def explain_(
    filter: dict[str, Any] | None, search: str | None, sort: tuple[str, ...], all_versions: bool,
    as_json: bool, tenant: str | None, owner: str | None, url: str, blobs: str,
) -> None:  # fmt: skip
    """Say how the TERMs would be run: what the database does, what is left to Python, and why.

    \b
    docstore explain 'metadata.source.folder~reports/*' --sort -size
    """
    from docstore.cli.output import print_json, shown

    with opened(url, blobs) as store:
        plan = within(store, tenant, owner).documents.explain(
            filter, search=search, sort=list(sort) or "-created_at", latest_only=not all_versions
        )
    if as_json:
        print_json(plan_record(plan))
    else:
        click.echo(shown(plan, lines=True))


def plan_record(plan: Plan) -> dict[str, Any]:
    """Turn a plan into what JSON can hold: predicates as one line of text each, the rest as it is."""
    from docstore.query.explain import show_expr

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

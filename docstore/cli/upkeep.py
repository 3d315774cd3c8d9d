"""The commands that look after a store: check, repair, collect, stats, erase, partition and so on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.table import Table
from rich.text import Text

import docstore
from docstore.cli.options import (
    json_option,
    opened,
    quiet_option,
    scope_options,
    sqlite_file,
    store_named,
    store_options,
    store_url,
    within,
)
from docstore.cli.output import note, print_json, print_table, shown, size_text, told
from docstore.maintenance import Action, CollectReport, Finding, RepairReport, Stats

_DAY = 86_400.0

_grace = click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=_DAY,
    show_default=True,
    metavar="SECONDS",
    help="Age from which a write that did not end, dead bytes, or bytes without a row count as left behind.",
)
_prefix = click.option(
    "--prefix", default="", metavar="TEXT", help="Only keys that begin with it, such as 3f."
)
_after = click.option("--after", default="", metavar="KEY", help="Begin after this key.")
_workers = click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    metavar="N",
    help="How many objects are looked at or removed at once.",
)
_store_id = click.option(
    "--store-id", metavar="ID", help="Refuse unless database and bytes are of this store (docstore stats)."
)
_level = click.option(
    "--level",
    type=click.Choice(["size", "hash"]),
    default="size",
    show_default=True,
    help="size: names and sizes; hash: also read every byte and compare its sha256.",
)


@click.command("check", short_help="Compare documents with their bytes.")
@_level
@_grace
@_prefix
@_after
@_workers
@_store_id
@json_option()
@quiet_option
@scope_options
@store_options
def check_(
    level: Any,
    grace: float,
    prefix: str,
    after: str,
    workers: int,
    store_id: str | None,
    as_json: bool,
    quiet: bool,
    tenant: str | None,
    owner: str | None,
    url: str,
    blobs: str,
) -> int:
    """Compare documents, the rows of their bytes and the bytes themselves. Changes nothing.

    It may run while others write. Findings: missing, truncated, corrupt (bytes of a document); extra (bytes
    that no document has), stale_pending and stale_dead (what a collection should have removed), foreign
    (files that are not docstore's), unowned (the bytes are another store's, or nobody knows whose),
    unreadable (a row was changed by hand), index (derived data that does not fit).

    \b
    docstore check
    docstore check --level hash --json | jq '.findings[] | select(.kind == "missing")'
    docstore check --level hash --prefix 3f --workers 16      one part of a large storage

    Exit status 0 if nothing was found, 1 if something was.
    """
    with opened(url, blobs, store_id=store_id) as store, told("checking", quiet=quiet) as on_progress:
        report = within(store, tenant, owner).check(
            level, grace=grace, prefix=prefix, after=after, workers=workers, on_progress=on_progress
        )
    if as_json:
        print_json({**asdict(report), "ok": report.ok})
    else:
        _print_findings(report.findings)
        read = f", {size_text(report.bytes)} read" if level == "hash" else ""
        counts = (
            f"{report.documents:,} documents, {report.blobs:,} with bytes, {report.objects:,} objects{read}"
        )
        click.echo(f"{counts}: {_counted(report.findings)}")
        for said in report.notes:
            note(said)
    return 0 if report.ok else 1


def _counted(findings: Sequence[Finding]) -> str:
    if not findings:
        return "nothing found"
    kinds = Counter(finding.kind for finding in findings)
    return (
        f"{len(findings):,} found ({', '.join(f'{count:,} {kind}' for kind, count in kinds.most_common())})"
    )


def _print_findings(findings: Sequence[Finding]) -> None:
    if not findings:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("kind", "document", "key", "what"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        cells = (finding.kind, finding.document_id or "–", finding.key, finding.detail)
        table.add_row(*(Text(shown(cell)) for cell in cells))
    print_table(table)


@click.command("repair", short_help="Put right what a check finds.")
@_level
@click.option("--apply", "apply", is_flag=True, help="Do it; without, only say what would be done.")
@click.option("--force", is_flag=True, help="Take away more than a tenth of what is there, too.")
@_grace
@_store_id
@json_option()
@quiet_option
@scope_options
@store_options
def repair_(
    level: Any, apply: bool, force: bool, grace: float, store_id: str | None, as_json: bool, quiet: bool,
    tenant: str | None, owner: str | None, url: str, blobs: str,
) -> int:  # fmt: skip
    """Check, and put right what was found, or say what would be done.

    Nothing is deleted: bytes that no row knows, and that are older than the grace period, are moved below
    quarantine/ in the same storage, and lost bytes come back only from there or from another document that
    has the very same.

    \b
    docstore repair                     what would be done
    docstore repair --level hash --apply

    Exit status 0 if nothing is left to do, 1 if something is.
    """
    with opened(url, blobs, store_id=store_id) as store, told("repairing", quiet=quiet) as on_progress:
        view = within(store, tenant, owner)
        found = view.check(level, grace=grace, on_progress=on_progress)
        report = view.repair(found, dry_run=not apply, force=force, on_progress=on_progress)
    if as_json:
        print_json(asdict(report))
    else:
        _print_actions(report)
    return 0 if all(action.done for action in report.actions) else 1


def _print_actions(report: RepairReport) -> None:
    for action in report.actions:
        click.echo(f"{_verb(action, report.dry_run)}: {shown(_subject(action))}: {shown(action.detail)}")
    done = sum(action.done for action in report.actions)
    if not report.actions:
        click.echo("nothing to repair")
    elif report.dry_run:
        note(f"{len(report.actions):,} findings; nothing was changed: --apply does it")
    else:
        click.echo(f"{done:,} of {len(report.actions):,} repaired")


def _verb(action: Action, dry_run: bool) -> str:
    if action.done or action.verb == "keep":
        return action.verb
    return f"would {action.verb}" if dry_run else f"could not {action.verb}"


def _subject(action: Action) -> str:
    finding = action.finding
    named = finding.key if finding.document_id is None else f"document {finding.document_id}"
    return f"{finding.kind} {named}".rstrip()


@click.command("collect", short_help="Remove bytes that no document needs.")
@_grace
@_prefix
@_after
@_workers
@click.option("--force", is_flag=True, help="Put aside more than a tenth of the objects, too.")
@_store_id
@json_option()
@quiet_option
@scope_options
@store_options
def collect_(
    grace: float, prefix: str, after: str, workers: int, force: bool, store_id: str | None,
    as_json: bool, quiet: bool, tenant: str | None, owner: str | None, url: str, blobs: str,
) -> int:  # fmt: skip
    """Remove the bytes of deleted and replaced documents, and of writes that did not end.

    Run it from time to time, such as nightly; it is safe beside writers and beside itself, and may be
    stopped and run again. Bytes that no row knows are moved below quarantine/ when they are older than the
    grace period, and removed from there after another; if they are more than a tenth of all, they are left.

    \b
    docstore collect
    docstore collect --grace 3600 --prefix 3f      one part of a large storage

    Exit status 1 if some bytes could not be removed (the next run tries again), or were left for being too
    many.
    """
    with opened(url, blobs, store_id=store_id) as store, told("collecting", quiet=quiet) as on_progress:
        view = within(store, tenant, owner)
        report = view.collect(
            grace, prefix=prefix, after=after, workers=workers, force=force, on_progress=on_progress
        )
    if as_json:
        print_json(asdict(report))
    else:
        parts = [f"{report.swept:,} removed", f"{report.expired:,} unfinished writes withdrawn"]
        parts += [f"{report.orphans:,} without a row put aside", f"{report.dropped:,} rows dropped"]
        parts += [f"{report.emptied:,} removed from quarantine/"] if report.emptied else []
        parts += [f"{report.uploads:,} abandoned uploads aborted"] if report.uploads else []
        click.echo("; ".join(parts))
        for said in _left(report):
            note(said)
    return 1 if report.failed or report.refused else 0


def _left(report: CollectReport) -> Iterator[str]:
    """Yield what a collection left, and why."""
    if report.refused:
        yield report.refused
    if report.young:
        yield f"{report.young:,} without a row left for being younger than the grace period"
    for where, count in report.elsewhere.items():
        yield f"the bytes of {count:,} rows are at {where}: open the store with --blobs there"
    for key in report.failed:
        yield f"could not be removed now: {key}"


@click.command("adopt", short_help="Say that the bytes are this store's.")
@json_option()
@store_options
def adopt_(as_json: bool, url: str, blobs: str) -> int:
    """Say that the folder or bucket of the bytes belongs to this store, whatever mark it bears.

    Needed where add, collect and repair say that it belongs to another store, or that nobody knows to which,
    and both --store and --blobs are right.

    \b
    docstore adopt --store postgresql://localhost/docs --blobs s3://bucket/docs
    """
    with opened(url, blobs) as store:
        report = store.adopt_blobs()
    if as_json:
        print_json(asdict(report))
    elif report.before == report.store_id:
        click.echo(f"{report.location} is this store's already")
    else:
        whose = f"the store {report.before}" if report.before else "nobody"
        click.echo(f"{report.location} now belongs to the store {report.store_id}; before, to {whose}")
    return 0


@click.command("stats", short_help="Count what is in a store.")
@json_option()
@scope_options
@store_options
def stats_(as_json: bool, tenant: str | None, owner: str | None, url: str, blobs: str) -> None:
    """Count documents, extractions and bytes, and say what the backend says of itself.

    \b
    docstore stats
    docstore stats --tenant acme --json | jq .blobs.live.bytes
    """
    with opened(url, blobs) as store:
        counted = within(store, tenant, owner).stats()
    if as_json:
        print_json(asdict(counted))
    else:
        print_table(_stats_table(counted))


def _stats_table(counted: Stats) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows: list[tuple[str, object]] = [
        ("backend", counted.backend),
        ("documents", f"{counted.documents:,} ({counted.latest:,} latest versions)"),
        *((f"  {word}", f"{count:,}") for word, count in counted.statuses.items()),
        ("extractions", f"{counted.extractions:,}"),
        ("store id", counted.store_id or "none"),
        ("bytes", counted.location or "nowhere"),
        *(
            (f"  {state}", f"{total.count:,}, {size_text(total.bytes)}")
            for state, total in counted.blobs.items()
        ),
        *((f"held by {one.worker or 'a worker'}", one.filename or one.document_id) for one in counted.held),
    ]
    for name, value in rows:
        table.add_row(Text(shown(name)), Text(shown(value)))
    return table


@click.command("erase", short_help="Remove everything of a tenant or owner.")
@click.option("--yes", is_flag=True, help="Do it; without, only say what there is.")
@json_option()
@quiet_option
@scope_options
@store_options
def erase_(
    yes: bool, as_json: bool, quiet: bool, tenant: str | None, owner: str | None, url: str, blobs: str
) -> int:
    """Remove all documents of a tenant and/or owner for good, with every byte ever written for them.

    \b
    docstore erase --tenant acme          what there is of them
    docstore erase --tenant acme --yes    remove it

    Exit status 1 if some bytes could not be removed yet (the next collect tries again), are at another place
    than --blobs, or nothing was done for want of --yes.
    """
    if tenant is None and owner is None:
        raise click.UsageError("say whose: --tenant, --owner or both")
    with opened(url, blobs) as store, told("erasing", quiet=quiet) as on_progress:
        view = within(store, tenant, owner)
        if not yes:
            return _say_what_is_there(view.stats(), as_json)
        report = view.erase(on_progress=on_progress)
    if as_json:
        print_json(asdict(report))
    else:
        click.echo(f"{report.documents:,} documents and {report.blobs:,} objects erased")
        for key in report.failed:
            note(f"could not be removed now: {key}")
        for where in report.unreached:
            note(f"not reached: bytes of them are at {where}; run this with --blobs there, too")
    return 1 if report.failed or report.unreached else 0


def _say_what_is_there(counted: Stats, as_json: bool) -> int:
    print_json(asdict(counted)) if as_json else print_table(_stats_table(counted))
    note("nothing was erased: --yes does it")
    return 1


@click.command("upgrade", short_help="Bring a store up to this docstore.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option()
@store_options
def upgrade_(dry_run: bool, as_json: bool, url: str, blobs: str) -> int:
    """Bring a store's tables up to the format of this docstore. Opening a store does the same.

    Each step is one transaction, and only one process at a time runs any; it may be killed and run again.

    \b
    docstore upgrade --dry-run
    docstore upgrade --store postgresql://localhost/docs

    Exit status 1 if a dry run finds something to do.
    """
    file = sqlite_file(url)
    if file is not None and not file.exists():
        raise click.ClickException(f"there is no store at {file}: name another by --store")
    with store_named():
        report = docstore.upgrade(store_url(url), dry_run=dry_run)
    if as_json:
        print_json(asdict(report))
    elif not report.steps:
        click.echo("nothing to do")
    for step in () if as_json else report.steps:
        click.echo(f"{'would do' if dry_run else 'done'}: {step}")
    return 1 if dry_run and report.steps else 0


@click.command("indexes", short_help="List, make and drop declared indexes.")
@click.option("--create", metavar="A,-B", multiple=True, help="Keep the documents in this order.")
@click.option("--drop", metavar="A,-B", multiple=True, help="Drop the index of this order.")
@json_option("Print an array of the orders.")
@store_options
def indexes_(create: tuple[str, ...], drop: tuple[str, ...], as_json: bool, url: str, blobs: str) -> None:
    """List the orders that documents are kept in, and make or drop some. Filters need none.

    \b
    docstore indexes
    docstore indexes --create metadata.priority,-created_at
    """
    with opened(url, blobs) as store:
        for order in create:
            store.create_index(*order.split(","))
        for order in drop:
            if not store.drop_index(*order.split(",")):
                note(f"there was no index of {order}")
        found = store.indexes()
    if as_json:
        print_json([list(fields) for fields in found])
    else:
        for fields in found:
            click.echo(shown(",".join(fields)))


@click.command("advise", short_help="Say which indexes would have helped.")
@json_option("Print an array of objects.")
@store_options
def advise_(as_json: bool, url: str, blobs: str) -> None:
    """Say which declared indexes would have helped with what this process has asked.

    A command asks little: programs call store.advise() after a while of work.

    \b
    docstore advise
    """
    with opened(url, blobs) as store:
        found = store.advise()
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        click.echo(shown(one))
    if not found:
        note("nothing to advise")


@click.command("partition", short_help="Part the tables of a Postgres store by tenant.")
@click.option(
    "--by", type=click.Choice(["tenant"]), default="tenant", show_default=True, help="Part by this."
)
@click.option("--count", type=click.IntRange(1, 1024), default=16, show_default=True, help="How many parts.")
@click.option("--cancel", is_flag=True, help="Forget a run that did not end: the store can be written to.")
@quiet_option
@store_options
def partition_(by: str, count: int, cancel: bool, quiet: bool, url: str, blobs: str) -> None:
    """Part the tables of a Postgres store by the hash of the tenant, on one server.

    New tables are filled beside the old ones, compared with them, and put in their place. Until then the
    store can be read, not written to. Interrupted or killed, run it again: it goes on.

    \b
    docstore partition --store postgresql://localhost/docs --count 16
    docstore partition --store postgresql://localhost/docs --cancel
    """
    _refuse_file(url, "partition")
    with store_named(), told("partitioning", quiet=quiet) as on_progress:
        docstore.partition(store_url(url), count, cancel=cancel, on_progress=on_progress)
    click.echo("cancelled" if cancel else f"{count} partitions by {by}")


@click.command("distribute", short_help="Distribute a Postgres store by tenant.")
@quiet_option
@store_options
def distribute_(quiet: bool, url: str, blobs: str) -> None:
    """Distribute the tables of a Postgres store by tenant over the nodes of Citus, in one transaction.

    \b
    docstore distribute --store postgresql://localhost/docs
    """
    _refuse_file(url, "distribute")
    with store_named(), told("distributing", quiet=quiet) as on_progress:
        docstore.distribute(store_url(url), on_progress=on_progress)
    click.echo("distributed by tenant")


def _refuse_file(url: str, what: str) -> None:
    if sqlite_file(url) is not None:
        raise click.UsageError(
            f"{what} is for a store in Postgres: --store postgresql://…; docstore copy brings a store there"
        )

"""The commands that part a store's tables by tenant: partition, distribute."""

from __future__ import annotations

import click

import docstore
from docstore.cli.options import quiet_option, sqlite_file, store_options, store_url
from docstore.cli.progress import told


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
    with told("partitioning", quiet=quiet) as on_progress:
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
    with told("distributing", quiet=quiet) as on_progress:
        docstore.distribute(store_url(url), on_progress=on_progress)
    click.echo("distributed by tenant")


def _refuse_file(url: str, what: str) -> None:
    if sqlite_file(url) is not None:
        raise click.UsageError(
            f"{what} is for a store in Postgres: --store postgresql://…; docstore copy brings a store there"
        )

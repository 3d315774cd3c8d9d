"""Partitioning and distributing a store's tables by tenant, where its backend can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from docstore.backend import Partitions
from docstore.errors import BackendError
from docstore.maintenance.reports import OnProgress, tell
from docstore.registry import open_backend

__all__ = ["distribute", "partition"]


def partition(
    url: Any, count: int = 16, *, cancel: bool = False, on_progress: OnProgress | None = None, **options: Any
) -> None:
    """Make the tables of a store in Postgres into hash partitions by tenant, on one server.

    Partitioned tables are filled beside the old ones, compared with them, and put in their place by one
    transaction; that takes the room of both meanwhile. Until then the store can be read, and each write is
    StoreBusy. Killed on the way, the same call goes on. Where the tables are in ``count`` partitions already,
    nothing is done.

    Args:
        url: as for :func:`docstore.open`.
        count: partitions of each table, 1 to 1024.
        cancel: forget a run that did not end instead, so that the store can be written to again.
        on_progress: called after each batch, with the stages ``document``, ``extraction``, ``content``,
            ``blob``, ``usual`` (rows copied), ``index``, ``verified`` and ``partitions``.
        options: the backend's own, such as ``table_prefix``.

    Raises:
        BackendError: the store is not in Postgres; this role does not own the tables; row-level security,
            triggers, views or others' indexes would be lost: each is named. Or the database failed, or the
            new tables do not hold what the old ones do. The store is as it was.
        ValueError: ``count`` is no number of partitions.

    Example:
        >>> docstore.partition("postgresql:///library", 16)
    """

    def run(backend: Partitions) -> Iterator[tuple[str, int]]:
        if not cancel:
            return backend.partition(count)
        backend.cancel_partition()
        return iter(())

    _run(url, "partition", run, on_progress, options)


def distribute(url: Any, *, on_progress: OnProgress | None = None, **options: Any) -> None:
    """Distribute the tables of a store in Postgres by tenant over the nodes of Citus, in one transaction.

    The store is found to be distributed whenever it is opened. Where it is already, nothing is done.

    Args:
        url: as for :func:`docstore.open`: the coordinator's database, with the extension citus.
        on_progress: called after each table.
        options: the backend's own, such as ``table_prefix``.

    Raises:
        BackendError: the store is not in Postgres, the database has no Citus, or the tables are partitioned;
            or as for :func:`docstore.partition`. The store is as it was.

    Example:
        >>> docstore.distribute("postgresql://coordinator/archive")
    """
    _run(url, "distribute", lambda backend: backend.distribute(), on_progress, options)


def _run(
    url: Any,
    what: str,
    run: Callable[[Partitions], Iterator[tuple[str, int]]],
    on_progress: OnProgress | None,
    options: dict[str, Any],
) -> None:
    backend = open_backend(url, **{**options, "upgrade": False})
    try:
        if not isinstance(backend, Partitions):
            raise BackendError(
                f"cannot {what} the tables of a {backend.name} store: that is for Postgres; copy the store "
                "there first (docstore copy)"
            )
        for stage, done in run(backend):
            tell(on_progress, stage, done)
    finally:
        backend.close()

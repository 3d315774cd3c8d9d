"""The tables of a store: what is in them (``stats``), the indexes declared on them, and their partitions.

Every path is indexed anyway (:mod:`docstore.index`). A declared index keeps the documents in one order, for
sorting and ranges on large stores. ``partition`` and ``distribute`` part the tables by tenant, where the
backend can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from docstore.backend import Backend, BlobState, KeepsSettings, Partitions, Query, Reader, Scope, SortKey
from docstore.blobs import Blobs
from docstore.errors import BackendError, InvalidSort
from docstore.lifecycle import LEASE
from docstore.limits import Limits
from docstore.maintenance.reports import HeldDocument, OnProgress, Stats, Total, tell
from docstore.query.expr import TRUE, Compare, Expr
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, STATUSES, Collection
from docstore.query.instants import to_datetime
from docstore.query.paths import path_text
from docstore.query.sorting import parse_sort
from docstore.registry import open_backend

__all__ = [
    "Advice",
    "DeclaresIndexes",
    "MeasuresTables",
    "advise",
    "create_index",
    "declared",
    "distribute",
    "drop_index",
    "fields_of",
    "held_documents",
    "index_keys",
    "partition",
    "stats",
]

# Rows of blobs that are read at a time.
_BATCH = 1000
# For people to look at; `count_by("status")` has the number.
_MOST_HELD = 100


@runtime_checkable
class MeasuresTables(Protocol):
    """A backend that knows how much room its tables and indexes take (optional)."""

    def sizes(self) -> Mapping[str, int]:
        """Return bytes by table and index, under ``database`` those of the whole first."""


def stats(backend: Backend, blobs: Blobs | None, scope: Scope | None = None, *, sizes: bool = False) -> Stats:
    """Count documents, extractions and blobs, from one snapshot.

    Args:
        backend: where rows are.
        blobs: where bytes are, or ``None``.
        scope: confine the counts to a tenant and owner; ``None`` counts all.
        sizes: measure tables and indexes, too, if no scope confines it.

    Returns:
        The counts; bytes are those recorded, the storage is not looked at.

    Raises:
        BackendError: the database failed.
    """
    scope = scope or Scope()
    with backend.read(snapshot=True) as reader:
        statuses = {word: _count(reader, scope, where=Compare(("status",), "eq", word)) for word in STATUSES}
        counted = Stats(
            backend=backend.name,
            documents=_count(reader, scope),
            latest=_count(reader, scope, where=Compare(("is_latest",), "eq", True)),
            extractions=_count(reader, scope, EXTRACTIONS),
            statuses=statuses,
            blobs=_totals(reader, scope),
            location=None if blobs is None else blobs.location,
            store_id=reader.setting("store_id") if isinstance(reader, KeepsSettings) else None,
            held=held_documents(reader, scope),
        )
    if sizes and scope == Scope() and isinstance(backend, MeasuresTables):
        return replace(counted, sizes=dict(backend.sizes()))
    return counted


def held_documents(reader: Reader, scope: Scope) -> tuple[HeldDocument, ...]:
    """Return the documents that workers hold, those whose lease ends first; a hundred at most."""
    where, order = Compare(("status",), "eq", "processing"), (SortKey(("number",), False, False),)
    rows = reader.select(Query(DOCUMENTS, scope, where, order, include=LEASE, limit=_MOST_HELD))
    held = [
        HeldDocument(row["id"], row["filename"], row["lease_worker"], to_datetime(until), row["attempts"])
        for row in rows
        if (until := row["lease_expires_at"]) is not None
    ]
    return tuple(sorted(held, key=lambda one: one.expires_at))


def _count(reader: Reader, scope: Scope, collection: Collection = DOCUMENTS, where: Expr = TRUE) -> int:
    return reader.count(Query(collection, scope, where))


def _totals(reader: Reader, scope: Scope) -> dict[str, Total]:
    totals: dict[BlobState, Total] = {}
    after = ""
    while rows := reader.blobs(after_key=after, scope=scope, limit=_BATCH):
        for row in rows:
            before = totals.get(row.state, Total())
            totals[row.state] = Total(before.count + 1, before.bytes + (row.size or 0))
        after = rows[-1].key
    return dict(sorted(totals.items()))


_REASON = "sorted or chosen by these, and no index has the order"


@dataclass(frozen=True, slots=True)
class Advice:
    """An index that would have helped, by the queries seen since the store was opened.

    Attributes:
        fields: what to give to ``create_index``.
        queries: how many queries it would have helped.
        seconds: how long those took altogether; nearly all of it would be saved.
        reason: what they have in common.
    """

    fields: tuple[str, ...]
    queries: int
    seconds: float
    reason: str


@runtime_checkable
class DeclaresIndexes(Protocol):
    """A backend that keeps declared indexes (optional)."""

    def create_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Make an index of records in the order of ``keys``, then ``number``; return whether it is new."""

    def drop_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Remove it; return whether it was there."""

    def indexes(self, collection: Collection) -> list[tuple[SortKey, ...]]:
        """Return the keys of each declared index, in the order of their making."""

    def seen_orders(self, collection: Collection) -> dict[tuple[SortKey, ...], tuple[int, float]]:
        """Return, of the orders that no index had, how often each was asked for and the seconds that took."""


def index_keys(fields: Sequence[Any], limits: Limits) -> tuple[SortKey, ...]:
    """Return the keys that ``create_index(*fields)`` names.

    Raises:
        InvalidSort: none is given, or one cannot be sorted by.
    """
    if not fields:
        raise InvalidSort("create_index() needs a field path, such as 'metadata.priority'")
    order = parse_sort(list(fields), DOCUMENTS, limits)
    return order if order[-1].path != ("number",) or fields[-1] in ("number", "-number") else order[:-1]


def fields_of(keys: Sequence[SortKey]) -> tuple[str, ...]:
    """Return keys as users write them."""
    return tuple(("-" if key.descending else "") + path_text(key.path) for key in keys)


def create_index(backend: Any, fields: Sequence[Any], limits: Limits) -> bool:
    """Make a declared index; see :meth:`docstore.Store.create_index`."""
    return _declaring(backend).create_index(DOCUMENTS, index_keys(fields, limits))


def drop_index(backend: Any, fields: Sequence[Any], limits: Limits) -> bool:
    """Remove a declared index; see :meth:`docstore.Store.drop_index`."""
    return _declaring(backend).drop_index(DOCUMENTS, index_keys(fields, limits))


def declared(backend: Any) -> list[tuple[str, ...]]:
    """Return the fields of each declared index."""
    return (
        [fields_of(keys) for keys in backend.indexes(DOCUMENTS)]
        if isinstance(backend, DeclaresIndexes)
        else []
    )


def advise(backend: Any) -> list[Advice]:
    """Return the indexes that would have helped, the one that would have saved most time first."""
    if not isinstance(backend, DeclaresIndexes):
        return []
    advice = [
        Advice(fields_of(keys[:-1] or keys), queries, seconds, _REASON)
        for keys, (queries, seconds) in backend.seen_orders(DOCUMENTS).items()
    ]
    return sorted(advice, key=lambda one: -one.seconds)


def _declaring(backend: Any) -> DeclaresIndexes:
    if not isinstance(backend, DeclaresIndexes):
        raise BackendError(f"the {backend.name} backend keeps no declared indexes")
    return backend


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

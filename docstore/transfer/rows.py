"""Rows in transfers: which columns go to another store, when two rows count as the same, and what is
reported.

Reports are frozen records, each of which becomes JSON by :func:`dataclasses.asdict`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from docstore.backend import Backend, Query, Reader, Row
from docstore.models import readable
from docstore.query import executor
from docstore.query.expr import In
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, decode
from docstore.query.planner import make_plan
from docstore.query.values import canonical_json
from docstore.store import Store

__all__ = [
    "COMPARED",
    "PRIVATE",
    "CopyReport",
    "Diff",
    "Difference",
    "Failure",
    "Fingerprint",
    "Key",
    "Sum",
    "Transferred",
    "batches",
    "differing",
    "exactly",
    "found_by_id",
    "key_of",
    "look_after",
]

# Tenant and id: what a record is known by in every store.
Key = tuple[str | None, str]

# The private columns that are kept.
PRIVATE: dict[str, tuple[str, ...]] = {
    DOCUMENTS.name: ("fingerprint", "lease_token", "lease_worker", "lease_expires_at"),
    EXTRACTIONS.name: ("fingerprint",),
}
# The fields that two records must share to be the same.
COMPARED = {
    collection.name: tuple(name for name in collection.fields if name != "number")
    for collection in (DOCUMENTS, EXTRACTIONS)
}
_READ = {
    DOCUMENTS.name: frozenset({"content", "blob_key", *PRIVATE["documents"]}),
    EXTRACTIONS.name: frozenset(PRIVATE["extractions"]),
}
# Rows are read with their contents, each up to 50 MB.
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A digest of a store's content: equal for equal contents, in whatever order, on every backend.

    Attributes:
        documents: how many, all versions.
        extractions: how many.
        bytes: of the documents that have their bytes stored, as recorded.
        digest: 64 hex digits: the sum, modulo 2^256, of the sha256 of every record. A record counts with all
            its fields but ``number``, a document with the sha256 and size of its bytes, and whether they are
            stored.
    """

    documents: int
    extractions: int
    bytes: int
    digest: str


class Sum:
    """A fingerprint under way.

    Args:
        stored: whether it matters that a document's bytes are stored; false compares rows alone.
    """

    def __init__(self, *, stored: bool = True) -> None:
        self._stored = stored
        self._counts = {DOCUMENTS.name: 0, EXTRACTIONS.name: 0}
        self._bytes = 0
        self._sum = 0

    def add(self, collection: Collection, row: Row) -> None:
        """Count a row that was read with all that is compared."""
        stored = self._stored and row.get("blob_key") is not None
        self._counts[collection.name] += 1
        self._bytes += (row["size"] or 0) if stored else 0
        record = _compared(collection, row)
        text = canonical_json([collection.name, stored, record])
        self._sum = (self._sum + int.from_bytes(hashlib.sha256(text.encode()).digest())) % 2**256

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the rows so far."""
        documents, extractions = self._counts[DOCUMENTS.name], self._counts[EXTRACTIONS.name]
        return Fingerprint(documents, extractions, self._bytes, f"{self._sum:064x}")


def _compared(collection: Collection, row: Row) -> dict[str, Any]:
    decoded = decode(collection, row)
    return {name: decoded[name] for name in COMPARED[collection.name]}


def differing(collection: Collection, one: Row, other: Row, *, ignored: Iterable[str] = ()) -> list[str]:
    """Return the names of the fields in which two rows differ."""
    mine, theirs = _compared(collection, one), _compared(collection, other)
    return [
        name
        for name in COMPARED[collection.name]
        if name not in ignored and not _is_same(mine[name], theirs[name])
    ]


def _is_same(one: Any, other: Any) -> bool:
    if type(one) is type(other) and not isinstance(one, dict | list | float):
        return bool(one == other)
    return canonical_json(one) == canonical_json(other)


def look_after(what: str, *stores: Store, writes: bool = False) -> None:
    """Refuse what is no open store, asks for a scope, or is within a transaction.

    Raises:
        TypeError: something else than a Store, such as an AsyncStore.
        StoreClosed, ScopeRequired, BackendError: as for any upkeep; ReadOnlyStore where it ``writes``.
    """
    for store in stores:
        if not isinstance(store, Store):
            raise TypeError(f"{what}: {type(store).__name__}; expected a Store, of docstore.open(...)")
        store._look_after(what, writes=writes)


def key_of(row: Row) -> Key:
    """Return what a row is known by."""
    return row["tenant"], row["id"]


def exactly(backend: Backend, reader: Reader, query: Query) -> list[Row]:
    """Run a query of the library's own on any backend, whatever it leaves to the core."""
    plan = make_plan(backend, query.collection, query.where, query.order)
    return executor.rows(reader, plan, replace(query, where=plan.pushed))


def batches(store: Store, collection: Collection) -> Iterator[list[Row]]:
    """Yield all rows of a store's scope by number, with all that is kept, each batch from a block of its own.

    Raises:
        UnreadableRecord: one is not as docstore writes rows.
    """
    after: tuple[int] | None = None
    query = Query(collection, store._scope, limit=_BATCH, include=_READ[collection.name])
    while True:
        with store._context.read() as reader:
            rows = exactly(store._context.backend, reader, replace(query, after=after))
        if not rows:
            return
        yield [readable(collection, row) for row in rows]
        after = (rows[-1]["number"],)


def found_by_id(store: Store, reader: Reader, collection: Collection, ids: Sequence[str]) -> dict[Key, Row]:
    """Return the rows with these ids of all tenants, whatever the scope, by tenant and id."""
    if not ids:
        return {}
    where = In(("id",), tuple(dict.fromkeys(ids)))
    query = Query(collection, where=where, include=_READ[collection.name])
    return {key_of(row): row for row in exactly(store._context.backend, reader, query)}


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be transferred, and why.

    Attributes:
        tenant, id: which.
        reason: of the source: its bytes are missing or damaged.
    """

    tenant: str | None
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Transferred:
    """Counts of the records that reached the target.

    Attributes:
        added: documents that are new there.
        existing: documents that were there already, just so.
        replaced: documents that were there otherwise, and were overwritten (or got the bytes they lacked).
        extractions: extractions that were added or replaced.
        skipped: extractions whose document is not in the target.
        bytes: that were written.
        failures: documents that were left out, the first thousand of them.
    """

    added: int = 0
    existing: int = 0
    replaced: int = 0
    extractions: int = 0
    skipped: int = 0
    bytes: int = 0
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyReport:
    """The result of a copy.

    Attributes:
        transferred: what came to the target.
        source: the fingerprint of what was to be copied; ``None`` without verification.
        target: the fingerprint of the records of the same ids in the target; equal if the copy is complete.
    """

    transferred: Transferred
    source: Fingerprint | None = None
    target: Fingerprint | None = None

    @property
    def ok(self) -> bool:
        """Whether everything arrived, as far as was looked at."""
        return not self.transferred.failures and self.source == self.target


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that is not the same in two stores.

    Attributes:
        kind: ``only_in_a``, ``only_in_b``, ``different``, or ``unreadable`` (its bytes are missing or damaged
            in one of them).
        collection: ``documents`` or ``extractions``.
        tenant, id: which.
        fields: those that differ; ``bytes`` stands for having them stored.
        detail: for people, where the fields do not say it.
        name: the document's ``external_id``, else its filename; ``""`` of extractions.
    """

    kind: Literal["only_in_a", "only_in_b", "different", "unreadable"]
    collection: str
    tenant: str | None
    id: str
    fields: tuple[str, ...] = ()
    detail: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Diff:
    """How two stores differ.

    Attributes:
        a, b: their fingerprints.
        count: how many differences there are.
        differences: the first of them.
    """

    a: Fingerprint
    b: Fingerprint
    count: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def same(self) -> bool:
        """Whether they hold the same."""
        return self.count == 0 and self.a == self.b

"""The backend interface: what a storage engine must implement, and what it may rely on.

A backend stores rows and runs queries. The core parses, validates and plans before it calls. So a backend
sees no filter as users write it, no page, no cursor, no status rule and no version rule.

The core promises a backend:
    - An :class:`~docstore.query.expr.Expr` has no ``$``-words, and its bounds are checked.
    - It holds only leaves that :meth:`Backend.support` called exact or inexact. A leaf under ``Not`` was
      called exact.
    - ``limit`` is ``None`` or at least 1; ``offset`` is at least 0. ``order`` is never empty and ends with
      ``number``.
    - ``after`` has one value for each sort key. ``after`` and a non-zero ``offset`` never come together.
    - Rows given to :meth:`Writer.insert` have every column of the collection but ``number``. Text has no NUL
      and no lone surrogates. JSON fields are valid JSON texts without NaN and infinities.
    - Nothing is called after :meth:`Backend.close`. A :class:`Reader` or :class:`Writer` is used by one
      thread only, and not after its block.

A backend promises the core:
    - :meth:`Reader.select` and :meth:`Reader.count` return exactly the rows for which
      :func:`docstore.query.evaluator.matches` is true. For inexact leaves they return a superset.
    - ``scope`` is ANDed outermost, by exact match.
    - Everything read within one ``read(snapshot=True)`` or ``write()`` block comes from one snapshot, own
      writes included.
    - ``write()`` is atomic and, when it returns, durable. An exception in the block undoes it.
    - If the connection is lost during the commit, ``write()`` raises a BackendError with
      ``outcome_unknown``. The core then looks whether the commit happened.
    - Optional abilities are listed in :class:`Capabilities`. The core has a fallback for each.
    - Errors of the engine arrive as :class:`~docstore.errors.BackendError`, with the cause kept.

Rows are plain dictionaries from field name to value: see :class:`~docstore.query.fields.Kind` for the types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, overload, runtime_checkable

from docstore.errors import DocstoreError
from docstore.query.expr import (
    ANYWHERE,
    EMPTY_ARRAY,
    EXACT,
    Leaf,
    Lock,
    Path,
    Query,
    Row,
    Scope,
    SortKey,
    SortValue,
    Support,
    TermSupport,
)
from docstore.query.fields import Collection

__all__ = [
    "ANYWHERE",
    "EMPTY_ARRAY",
    "EXACT",
    "Backend",
    "BlobRow",
    "BlobState",
    "Capabilities",
    "Changes",
    "CopiesItself",
    "CountsBuckets",
    "CountsBy",
    "Duplicate",
    "Explains",
    "Interruptible",
    "Joins",
    "KeepsClock",
    "KeepsSettings",
    "Located",
    "Location",
    "Lock",
    "Nests",
    "Prepares",
    "Query",
    "Reader",
    "Replicates",
    "Row",
    "Rows",
    "Scope",
    "SeesAll",
    "SetsSettings",
    "SingleStatementWrites",
    "SortKey",
    "SortValue",
    "Statement",
    "Support",
    "TermSupport",
    "Translates",
    "UpdatesMany",
    "Writer",
    "capabilities_of",
    "column",
    "update_rows",
]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The optional abilities of a backend, a reader or a writer. The core has a fallback for each.

    Attributes:
        single_writer: write blocks take turns; else several work at once.
        read_only: why nothing can be written, in words, such as "the folder /x may not be written to"; ``""``
            where it can.
        readers: read blocks that are worth opening at once.
        transactions: transactions of tasks that may be open at once.
        pool_timeout: seconds that a task waits for one of those.
        takes_columns: a writer takes :class:`docstore.backend.Rows`.
        updates_many: a writer has :meth:`UpdatesMany.update_many`; else the core updates row by row.
        locks_rows: a writer keeps other blocks from the rows that it asked for with a lock; else it locks by
            name.
        reads_words: a reader brings ``words``, :func:`docstore.query.text.index_words` of the content by the
            store's own fold (``None`` without content), where :attr:`Query.only` names it; else the core
            makes them of the contents.
        counts_buckets: a reader's ``count_by`` takes a bucket; else the core puts the values together.
    """

    single_writer: bool = True
    read_only: str = ""
    readers: int = 4
    transactions: int = 8
    pool_timeout: float = 10.0
    takes_columns: bool = False
    updates_many: bool = False
    locks_rows: bool = False
    reads_words: bool = False
    counts_buckets: bool = False


_NONE = Capabilities()


def capabilities_of(one: Any) -> Capabilities:
    """Return the ``capabilities`` of a backend, a reader or a writer; of one that names none: the least."""
    found: Capabilities = getattr(one, "capabilities", _NONE)
    return found


BlobState: TypeAlias = Literal["pending", "live", "dead", "swept"]


@dataclass(frozen=True, slots=True)
class BlobRow:
    """The record of one stored object.

    Attributes:
        key: its storage key, never derived from user text and never used again.
        tenant, owner: of the document it was written for.
        sha256, size: hex and bytes; ``None`` while pending.
        state: ``pending`` (intent written, bytes on their way), ``live``, ``dead`` (to be removed), ``swept``
            (removed once).
        at: microseconds since the epoch of the last change of state.
        attempts: failed removals so far.
        place: the number of the root that its bytes were written below; 0 where nobody said.
    """

    key: str
    tenant: str | None = None
    owner: str | None = None
    sha256: str | None = None
    size: int | None = None
    state: BlobState = "pending"
    at: int = 0
    attempts: int = 0
    place: int = 0

    @staticmethod
    def of(row: Row) -> BlobRow:
        """Return a document's blob row, as far as the document's row tells it."""
        return BlobRow(row["blob_key"], row["tenant"], row["owner"])


class Duplicate(DocstoreError):
    """A unique key is taken. ``constraint`` is ``id`` (tenant, id) or ``version`` (tenant, owner,
    external_id, version, or a second latest); ``""`` where the engine does not tell.
    """

    constraint: str = ""


# Rows as they are, and the columns to set in each.
Changes: TypeAlias = Sequence[tuple[Row, Mapping[str, Any]]]


class Reader(Protocol):
    """Reads within one ``read`` or ``write`` block.

    Its ``capabilities`` say what it can do beyond this; without that attribute it can do nothing more.
    """

    def select(self, query: Query) -> Sequence[Row]:
        """Return the rows of ``query`` in its order."""

    def count(self, query: Query, at_most: int | None = None) -> int:
        """Count the rows that match, whatever the window; the count may stop at ``at_most``."""

    def blobs(
        self,
        *,
        states: Container[BlobState] = (),
        before: int | None = None,
        after_key: str = "",
        limit: int = 1000,
        keys: Sequence[str] | None = None,
        scope: Scope = ANYWHERE,
    ) -> Sequence[BlobRow]:
        """Return blob rows ordered by key: of these states (none named: all), with ``at < before``, with key
        > ``after_key``, among ``keys``, within ``scope``; at most ``limit``.
        """


class Writer(Reader, Protocol):
    """Reads and writes within one ``write`` block."""

    def now(self) -> int:
        """Return the database's clock in microseconds since the epoch; in a store it never goes back."""

    def lock(self, *names: str) -> None:
        """Hold these names until the block ends; who locks one waits. A single writer may do nothing."""

    def insert(self, collection: Collection, rows: Sequence[Row]) -> Sequence[int]:
        """Add rows; return their numbers, in order: increasing, never used before, unique in the collection.

        A writer with ``takes_columns`` is handed :class:`docstore.backend.Rows` where there are many. One
        with ``locks_rows`` waits, by :attr:`Query.lock`, for who holds a row and for nobody else.

        Raises:
            Duplicate: a unique key is taken; nothing of this call is kept.
        """

    def update(self, collection: Collection, row: Row, changes: Mapping[str, Any]) -> bool:
        """Set columns of the row with the ``number`` of ``row``, whose ``tenant`` says where an engine that
        keeps tenants apart has to look; return whether it exists.

        Raises:
            Duplicate: as for insert.
        """

    def delete(self, collection: Collection, rows: Sequence[Row]) -> int:
        """Remove rows by ``number`` and ``tenant``, with documents their extractions; return how many."""

    def insert_blob(self, blob: BlobRow) -> None:
        """Add a blob row; its key is fresh."""

    def update_blob(self, blob: BlobRow, states: Container[BlobState], **changes: Any) -> bool:
        """Set fields of the row with the key and the tenant of ``blob`` if its state is among ``states``;
        return whether it was. Competing calls on one row are serialised: exactly one of two that name the
        same state and leave it wins.
        """

    def delete_blob(self, blob: BlobRow, states: Container[BlobState]) -> bool:
        """Remove the row of ``blob`` (key, tenant) if its state is among these; return whether it was."""


class UpdatesMany(Writer, Protocol):
    """A writer with ``updates_many``."""

    def update_many(self, collection: Collection, changes: Changes) -> bool:
        """Set columns of different rows, of each its own; return whether all of them exist.

        If not, and after a Duplicate, the core undoes the block or the part of it.
        """


@runtime_checkable
class Backend(Protocol):
    """One storage engine, open on one store. Made by the entry point's ``open_backend(url, **options)``."""

    name: str
    """A short name for ``explain``, ``stats`` and error texts."""

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        """Say how far this backend can run ``leaf``. Pure and fast; called for each leaf of each query."""

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        """Say whether it can order by ``key`` and compare ``after`` with it: exact, or unsupported."""

    def read(self, *, snapshot: bool = False) -> AbstractContextManager[Reader]:
        """Open a block for reading. ``snapshot=True`` where several reads must see one state."""

    def write(self) -> AbstractContextManager[Writer]:
        """Open a block for writing, committed when it ends without an exception.

        Raises:
            StoreBusy: others kept the store for longer than the backend waits.
        """

    def close(self) -> None:
        """Release everything. Called once."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that a backend would run, its bound values, and the engine's plan (or None)."""

    text: str
    parameters: tuple[Any, ...] = ()
    plan: str | None = None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Location:
    """Where a database is, in the words of OpenTelemetry's conventions.

    Attributes:
        system: which database, such as ``postgresql``.
        namespace: the database's name or file; ``""`` if it has none.
        address: the server's host or socket folder; ``""`` if there is no server.
        port: the server's; ``None`` if there is none or it is not known.
    """

    system: str
    namespace: str = ""
    address: str = ""
    port: int | None = None


@runtime_checkable
class Located(Protocol):
    """A backend whose data are outside of this process' memory, and that says where (optional)."""

    @property
    def location(self) -> Location:
        """Where the database is; it holds no secret. No I/O."""


@runtime_checkable
class Prepares(Protocol):
    """A backend that can work something out for a query once, whatever its window (optional)."""

    def prepare(self, query: Query) -> Any:
        """Return what is worked out for ``query``; the core holds it, and hands it back with every query of
        the same collection, scope, condition and order, as :attr:`Query.prepared`. No I/O.
        """


@runtime_checkable
class Explains(Protocol):
    """A reader that can show what it would run (optional)."""

    def explain(self, query: Query) -> Statement:
        """Return the statement for ``query`` without running it."""


@runtime_checkable
class CountsBy(Protocol):
    """A reader that groups by a path itself (optional; the core otherwise reads the rows and counts)."""

    def count_by(self, query: Query, path: Path) -> Mapping[Any, int] | None:
        """Count the rows of ``query`` by each scalar value seen at ``path``; ``None``: not for this path."""


class CountsBuckets(CountsBy, Protocol):
    """A reader with ``counts_buckets``."""

    def count_by(
        self, query: Query, path: Path, bucket: Callable[[Any], Any] | None = None
    ) -> Mapping[Any, int] | None:
        """Do so, or count by the keys of buckets: once for each that a row has a value in.

        Args:
            query, path: what is counted.
            bucket: a :class:`docstore.query.facets.Bucket`, None for each value by itself.
        """


@runtime_checkable
class Nests(Protocol):
    """A writer that can undo a part of its block (optional; else a failed call spoils the transaction)."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Open a part of the block, perhaps nested: an exception undoes the part, and the block goes on."""


@runtime_checkable
class Interruptible(Protocol):
    """A reader whose statements can be interrupted (optional; without it a call that is over is waited for).

    The backend attaches :meth:`interrupt` to :func:`docstore.concurrency.current` for each block of its own,
    and detaches it before the block ends; the core does so for what is read within a transaction.
    """

    aborts: bool
    """Whether an interrupted statement aborts the transaction, so that it has to be read behind a
    savepoint.
    """

    def interrupt(self) -> None:
        """Interrupt the statement that is running, if one is; called by another thread, again and again."""

    def is_under_way(self) -> bool:
        """Return whether the block's transaction is open: an engine may roll back by itself."""


@runtime_checkable
class KeepsClock(Protocol):
    """A writer whose clock is kept in the store (optional; the core otherwise takes :meth:`Writer.now`)."""

    def kept_now(self) -> int:
        """Return :meth:`Writer.now`; after the commit no process reads less, whatever its own clock."""


@runtime_checkable
class KeepsSettings(Protocol):
    """A reader that keeps texts by name for the core: the store's id, where its places are (optional; without
    it nobody can tell whose a root of bytes is, and nothing is removed for having no row).
    """

    def setting(self, name: str) -> str | None:
        """Return the text kept under a name, ``None`` if there is none."""


@runtime_checkable
class SetsSettings(KeepsSettings, Protocol):
    """A writer that keeps texts by name (optional, with :class:`KeepsSettings`)."""

    def set_setting(self, name: str, value: str) -> None:
        """Keep a text under a name, instead of the one that was."""


@runtime_checkable
class CopiesItself(Protocol):
    """A backend that can copy its database into an SQLite file (optional; else the core copies rows)."""

    def copy_to(self, path: str) -> bool:
        """Make a file of the database as of one instant, durable; return whether a store opens it without
        being told more, else nothing was made.
        """


@runtime_checkable
class SeesAll(Protocol):
    """A reader that knows whether rows are hidden from it (optional; the core otherwise takes none to be)."""

    def hidden(self) -> str:
        """Return what hides rows from this reader, such as a policy or a late replica; ``""`` if nothing."""


@runtime_checkable
class Translates(Protocol):
    """A backend that raises BackendError within a block, too (optional; else where the block ends)."""

    def translated(self) -> AbstractContextManager[None]:
        """Let every error of the engine that is raised within arrive as BackendError."""


@runtime_checkable
class Replicates(Protocol):
    """A backend with copies that follow it (optional). A position is a text that tells how far one is."""

    def read_anywhere(self, *, snapshot: bool = False) -> AbstractContextManager[Reader]:
        """Open a block for reading where all is seen that this backend wrote, or was told to :meth:`see`."""

    def position(self) -> str:
        """Return the position that holds all that this backend has written."""

    def see(self, position: str) -> None:
        """Have all reads to come see what was written up to a position."""


@runtime_checkable
class SingleStatementWrites(Protocol):
    """A backend that can write one record for less than a block takes (optional). Each call is a transaction
    of its own and fails as the end of a write block does.
    """

    @property
    def writes_single_statements(self) -> bool:
        """Whether it can, here: as durable as a block."""

    def select_now(self, query: Query) -> tuple[Sequence[Row], int]:
        """Return the rows of a query for one id or number, unlocked, and :meth:`Writer.now`."""

    def insert_single(
        self, collection: Collection, row: Row, clocked: Sequence[str]
    ) -> tuple[int, int] | None:
        """Add a row without content; the columns in ``clocked`` get :meth:`Writer.now`. Return its number
        and that instant; ``None`` where a unique key is taken, and nothing was written.
        """

    def update_single(self, collection: Collection, before: Row, changes: Mapping[str, Any]) -> bool:
        """Set columns, none of them a text, heavy or in a unique key, of the row read as ``before``, if its
        revision, status and ``is_latest`` are still those; return whether.
        """


@runtime_checkable
class Partitions(Protocol):
    """A backend that can partition its tables by tenant (optional). A killed run can be continued."""

    def partition(self, count: int) -> Iterator[tuple[str, int]]:
        """Make ``count`` partitions on this server; yield each stage and how much of it is done."""

    def cancel_partition(self) -> bool:
        """Forget a run that did not end, so that writes go on; return whether there was one."""

    def distribute(self) -> Iterator[tuple[str, int]]:
        """Spread the tables over the nodes of a cluster; yield each stage and how much of it is done."""


@runtime_checkable
class Joins(Protocol):
    """A backend that can take part in the application's own transaction (optional)."""

    def join(self, connection: Any) -> AbstractContextManager[Callable[[], Writer]]:
        """Take part in a transaction on ``connection`` that the application begins and ends.

        The block yields a function that returns the writer of each call. It raises BackendError once the
        application has ended the transaction.

        Raises:
            TypeError: it is nothing that can be joined.
        """


Opener: TypeAlias = Callable[..., Backend]


class Rows(Sequence[Row]):
    """New rows of one collection.

    Args:
        columns: a value for each row, by the column's name; every column, at least one.
    """

    __slots__ = ("columns",)

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.columns: Mapping[str, Sequence[Any]] = columns

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values())))

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...

    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        """Return a row, made anew."""
        if isinstance(at, slice):
            return list(self)[at]
        return {name: values[at] for name, values in self.columns.items()}

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows, made anew."""
        names = tuple(self.columns)
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))


def column(rows: Sequence[Row], name: str) -> Sequence[Any]:
    """Return one column of rows, which all have it."""
    return rows.columns[name] if type(rows) is Rows else [row[name] for row in rows]


def update_rows(writer: Writer, collection: Collection, changes: Changes) -> bool:
    """Set columns of different rows, by one call if the writer takes many; return whether all exist."""
    if not capabilities_of(writer).updates_many:
        return all(writer.update(collection, row, columns) for row, columns in changes)
    able: Any = writer
    exist: bool = able.update_many(collection, changes)
    return exist

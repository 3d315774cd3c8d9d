"""StoreContext: the backend, the blobs, the limits and the current transaction of one open store.

Reads and writes enter the backend only here. So this module alone joins a transaction, refuses a closed
store, retries a lost race and looks up a commit of unknown outcome.

The plan cache, the planned queries of the last 256 different filters, stands between a call and the parser,
so that the next page of a filter needs no planning. A filter is known by its whole value, types included:
``1``, ``1.0`` and ``True`` are three.
"""

from __future__ import annotations

import marshal
import os
import random
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from types import TracebackType
from typing import Any, Generic, TypeVar

from docstore.backend import (
    Backend,
    BlobRow,
    BlobState,
    Capabilities,
    Duplicate,
    Interruptible,
    Located,
    Nests,
    Prepares,
    Query,
    Reader,
    Replicates,
    Scope,
    SingleStatementWrites,
    Translates,
    Writer,
    capabilities_of,
)
from docstore.blobs import Blobs
from docstore.concurrency import (
    STORE_DEFAULT,
    Budget,
    StoreDefault,
    Timeout,
    check,
    check_timeout,
    current,
    forgets_at_fork,
    sleep,
)
from docstore.context.ownership import Places
from docstore.crash_points import reached
from docstore.errors import (
    BackendError,
    BlobsNotConfigured,
    DocstoreError,
    InvalidDocument,
    ReadOnlyStore,
    ScopeError,
    StoreBusy,
    StoreClosed,
    shown,
)
from docstore.limits import Limits
from docstore.telemetry import SLOW, Watch
from docstore.validation import scope_text

__all__ = [
    "UNSET",
    "Recent",
    "StoreContext",
    "check_unscoped",
    "narrowed",
    "spelled",
]

T = TypeVar("T")
# Bytes of a key: a filter with thousands of values is seldom asked again, and its key costs memory.
_LONGEST = 4_096
# Questions with new values each time push out the oldest.
_KEPT = 256


def spelled(value: Any) -> bytes | None:
    """Return bytes that only an equal value of the very same types has.

    Returns:
        ``None`` for what is long, or holds more than plain Python values (a datetime, a subclass of str).
    """
    try:
        # Version 2 writes no references: equal values have equal bytes, whether or not they share objects.
        text = marshal.dumps(value, 2)
    except ValueError:
        return None
    return text if len(text) <= _LONGEST else None


class Recent(Generic[T]):
    """The last 256 things that were made, by what they were made of. Threads may share it."""

    def __init__(self) -> None:
        self._made: OrderedDict[bytes, T] = OrderedDict()
        self.forget()
        forgets_at_fork(self)

    def forget(self) -> None:
        """Take a lock that nobody holds."""
        self._mutex = threading.Lock()

    def get(self, key: bytes | None) -> T | None:
        """Return what was made of ``key``, ``None`` if that was not, or is forgotten."""
        if key is None:
            return None
        with self._mutex:
            found = self._made.get(key)
            if found is not None:
                self._made.move_to_end(key)
        return found

    def put(self, key: bytes | None, made: T) -> T:
        """Keep ``made`` for ``key``, in the place of the oldest; return it."""
        if key is not None:
            with self._mutex:
                self._made[key] = made
                if len(self._made) > _KEPT:
                    self._made.popitem(last=False)
        return made


# With pauses that double from 2 ms, the last try begins a quarter of a second after the first.
_TRIES = 8
# Postgres' LSN, as it prints one.
_POSITION = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}\Z")
# Where Postgres' log begins: every replica is past it.
_NOWHERE = "0/0"
_PENDING: tuple[BlobState, ...] = ("pending",)


@dataclass(slots=True)
class _Transaction:
    """The block that the calls of one thread or task take part in.

    Attributes:
        writer: of the block; of one that the application joined, of its last call.
        anew: returns the writer of a call in a block that the application joined; ``None``: it is ``writer``.
        promised: bytes that were written for it; they are to go if it fails.
        ended: whether the block is over; a context that was copied meanwhile may still name it.
        spoiled: what failed half-way in a block whose writer cannot undo a part.
        process: that it was begun in; a fork copies the record of a block, and must not use its connection.
    """

    writer: Writer
    anew: Callable[[], Writer] | None = None
    promised: list[BlobRow] = field(default_factory=list)
    ended: bool = False
    spoiled: BaseException | None = None
    process: int = field(default_factory=os.getpid)

    def check(self) -> None:
        """Refuse to go on if a part of it failed and could not be undone, if it has ended already, or after a
        fork; make the writer ready for one call.
        """
        if self.process != os.getpid():
            raise BackendError("this transaction belongs to the process that was forked: end it there")
        if self.spoiled is not None:
            raise BackendError(
                "a call within this transaction failed, and the transaction with it"
            ) from self.spoiled
        if self.anew is not None:
            self.writer = self.anew()
        if isinstance(self.writer, Interruptible) and not self.writer.is_under_way():
            raise BackendError("the database has rolled this transaction back by itself: begin it again")

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Let a call read; its statements may be interrupted, and the block goes on after that."""
        self.check()
        writer, call = self.writer, current()
        if not isinstance(writer, Interruptible) or not call.is_bounded:
            yield writer
            return
        nests = isinstance(writer, Nests) and writer.aborts
        with writer.savepoint() if nests else nullcontext():  # type: ignore[attr-defined]
            before = call.attach(writer.interrupt)
            try:
                yield writer
            finally:
                call.detach(before)

    @contextmanager
    def part(self) -> Iterator[Writer]:
        """Let a call be kept or undone by itself."""
        self.check()
        if isinstance(self.writer, Nests):
            with self.writer.savepoint():
                yield self.writer
            return
        try:
            yield self.writer
        except BaseException as failed:
            self.spoiled = failed
            raise


class _Budgeted:
    """A block for reading that is paid out of a budget, the waiting for its connection included."""

    __slots__ = ("_block", "_budget")

    def __init__(self, budget: Budget, block: AbstractContextManager[Reader]) -> None:
        self._budget = budget
        self._block = block

    def __enter__(self) -> Reader:
        self._budget.__enter__()
        try:
            return self._block.__enter__()
        except BaseException as error:
            self._budget.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return self._block.__exit__(kind, error, trace)
        finally:
            self._budget.__exit__(kind, error, trace)


class StoreContext:
    """The shared state of an open store.

    Args:
        backend: where rows are.
        blobs: where bytes are, or ``None``.
        limits: the bounds in force.
        default_timezone: of naive times; ``None`` refuses them.
        secrets: keys that sign cursors: the first signs, all verify; empty: cursors are unsigned.
        scope_required: whether the unscoped root refuses to be used.
        slow_query: seconds from which a query is logged; ``None``: never.
        read_only: whether the store was opened for reading alone.
        search_marks: whether searches keep marks.
        store_id: the id that the store and the root of its bytes must bear; ``None``: that of its database.
        query_timeout: seconds that a read may take unless it says otherwise; ``None`` is without limit.
        metadata_default: json's ``default=`` for metadata; ``None``: other types are refused.
        sources: ``"any"``, or ``"bytes"`` where paths and URLs are refused.
    """

    def __init__(
        self, backend: Backend, blobs: Blobs | None, *, limits: Limits, default_timezone: tzinfo | None,
        secrets: tuple[bytes, ...], scope_required: bool, slow_query: float | None = SLOW,
        read_only: bool = False, store_id: str | None = None, search_marks: bool = False,
        query_timeout: float | None = None, metadata_default: Callable[[Any], Any] | None = None,
        sources: str = "any",
    ) -> None:  # fmt: skip
        self.backend = backend
        self.blobs = blobs
        self.limits = limits
        self.default_timezone = default_timezone
        self.secrets = secrets
        self.scope_required = scope_required
        self.store_id = store_id
        self.search_marks = search_marks
        self._places: Places | None = None
        self.read_only: str = "it was opened with read_only=True" if read_only else ""
        """Why the store can only be read, in words; ``""`` where it can be written to."""
        self.capabilities: Capabilities = capabilities_of(backend)
        if not self.read_only:
            self.read_only = self.capabilities.read_only
        self.query_timeout = query_timeout
        self.metadata_default = metadata_default
        self.sources = sources
        self.listings: Recent[Any] = Recent()
        self.prepare: Callable[[Query], Any] = (
            backend.prepare if isinstance(backend, Prepares) else lambda query: None
        )
        self.closed: bool = False
        location = backend.location if isinstance(backend, Located) else None
        self.watching: Watch = Watch(backend.name, location, slow_query)
        self.single_writer: bool = self.capabilities.single_writer
        self._replicates = backend if isinstance(backend, Replicates) else None
        self._reads = backend.read if self._replicates is None else self._replicates.read_anywhere
        self._able: SingleStatementWrites | None = (
            backend if isinstance(backend, SingleStatementWrites) else None
        )
        self._current: ContextVar[_Transaction | None] = ContextVar("docstore_transaction", default=None)

    def check_open(self) -> None:
        """Raise StoreClosed if the store was closed."""
        if self.closed:
            raise StoreClosed("this store was closed: open it again with docstore.open(...)")

    def check_source(self, source: Any) -> None:
        """Refuse a path or URL as a source where the store takes none.

        Raises:
            InvalidDocument: it is one.
        """
        if self.sources == "bytes" and isinstance(source, str | os.PathLike):
            raise InvalidDocument(
                f"source: {shown(source)} is a path or URL, and this store was opened with sources='bytes'; "
                "expected bytes or a binary file object",
                field="source",
            )

    def check_writable(self, what: str = "this call") -> None:
        """Raise ReadOnlyStore if the store can only be read; ``what`` is the name of the call."""
        if self.read_only:
            raise ReadOnlyStore(
                f"{what} would change a store that can only be read: {self.read_only}", reason=self.read_only
            )

    def bytes(self) -> Blobs:
        """Return where bytes are.

        Raises:
            BlobsNotConfigured: the store was opened without.
        """
        if self.blobs is None:
            raise BlobsNotConfigured(
                "this store keeps no bytes: open it with blobs=, such as docstore.open(url, blobs='./files')"
            )
        return self.blobs

    @property
    def places(self) -> Places:
        """Whose the root of the bytes is.

        Raises:
            BlobsNotConfigured: the store was opened without ``blobs=``.
        """
        if self._places is None:
            self._places = Places(self.bytes(), self.read, self.apart, self.store_id)
        return self._places

    # -- blocks ------------------------------------------------------------------------------------

    def _in_force(self) -> _Transaction | None:
        current = self._current.get()
        # A task or thread that was started within a block copies its context, and may outlive the block.
        return None if current is None or current.ended else current

    @property
    def in_transaction(self) -> bool:
        """Whether the caller is within ``store.transaction()`` or a joined connection."""
        return self._in_force() is not None

    @property
    def transaction_in_force(self) -> object:
        """The transaction in force, for :meth:`resume` in another context."""
        return self._current.get()

    def resume(self, transaction: Any) -> None:
        """Let this context take part in a transaction that was begun in another."""
        self._current.set(transaction)

    def budget(self, timeout: Timeout = STORE_DEFAULT) -> Budget:
        """Return what the finding of one call may take.

        Raises:
            InvalidPage: ``timeout`` is no number of seconds more than 0.
        """
        return Budget(self.query_timeout if isinstance(timeout, StoreDefault) else check_timeout(timeout))

    def read(self, *, snapshot: bool = False) -> AbstractContextManager[Reader]:
        """Open a block for reading, or read within the transaction in force. It is paid out of the store's
        budget, unless the call has one already.
        """
        self.check_open()
        transaction = self._in_force()
        block = self._reads(snapshot=snapshot) if transaction is None else self._reading_in(transaction)
        if self.query_timeout is None or current().has_budget:
            return block
        return _Budgeted(Budget(self.query_timeout), block)

    def position(self) -> str:
        """Return the position that holds all that this store has written; ``0/0`` where there is none."""
        self.check_open()
        return _NOWHERE if self._replicates is None else self._replicates.position()

    def see(self, at_least: Any) -> None:
        """Have all reads to come see what was written up to a position; ``None`` asks for nothing.

        Raises:
            ValueError: it is no position.
        """
        if at_least is None:
            return
        if not isinstance(at_least, str) or not _POSITION.match(at_least):
            raise ValueError(f"at_least={shown(at_least)}: expected a position, which store.position is")
        if self._replicates is not None:
            self._replicates.see(at_least)

    @contextmanager
    def finding(self, writer: Writer, budget: Budget) -> Iterator[None]:
        """Spend a budget on what a write block looks for, before it writes."""
        transaction = self._in_force()
        reading = nullcontext() if transaction is None else transaction.reading()
        with budget, self._translated(), reading:  # what an interrupt raised is understood within the budget
            yield

    @contextmanager
    def _reading_in(self, current: _Transaction) -> Iterator[Reader]:
        with self._translated(), current.reading() as reader:
            yield reader

    def write(self, budget: Budget | None = None) -> AbstractContextManager[Writer]:
        """Open a block for writing, or write within the transaction in force, where it is kept or undone by
        itself; waiting for the block is paid out of ``budget``.
        """
        if self.closed or self.read_only:
            self.check_open()
            self.check_writable()
        current = self._in_force()
        if current is not None:
            return self._part(current)
        return self.backend.write() if budget is None else self._begun_within(budget)

    @contextmanager
    def _part(self, current: _Transaction) -> Iterator[Writer]:
        with self._translated(), current.part() as writer:
            yield writer

    @contextmanager
    def _begun_within(self, budget: Budget) -> Iterator[Writer]:
        """Open a block; a write that has begun is not cut short by time."""
        with ExitStack() as stack:
            with budget:
                writer = stack.enter_context(self.backend.write())
            yield writer

    def _translated(self) -> AbstractContextManager[None]:
        """Translate the engine's errors within the transaction in force, call by call."""
        return self.backend.translated() if isinstance(self.backend, Translates) else nullcontext()

    @contextmanager
    def apart(self) -> Iterator[Writer]:
        """Open a write block that commits by itself, if the backend has room for it beside the transaction.

        A backend with a single writer has not; the transaction itself then keeps others out until it ends.
        """
        self.check_open()
        self.check_writable()
        inside = self._in_force() if self.single_writer else None
        with self.backend.write() if inside is None else self._part(inside) as writer:
            yield writer

    def written(
        self, work: Callable[[Writer], T], *, recognises: bool = False, budget: Budget | None = None
    ) -> T:
        """Run ``work`` in a write block and return its result; a lost race is run again, a few times.

        Args:
            work: reads and writes; it is run anew from its beginning.
            recognises: whether ``work``, run again after a commit of unknown outcome, finds out by looking
                whether it was done.
            budget: what waiting for the block is paid out of; ``None``: it takes as long as it does.

        Raises:
            StoreBusy: others won every time.
            BackendError: the database failed; ``outcome_unknown`` where that cannot be found out.
        """
        for attempt in range(_TRIES):
            try:
                with self.watching("write"), self.write(budget) as writer:
                    done = work(writer)
                    check()  # who was cancelled before the commit has done nothing
                    return done
            except Duplicate as lost:
                if attempt == _TRIES - 1:
                    raise StoreBusy(f"lost to other writers {_TRIES} times: {lost}") from lost
            except BackendError as failed:
                again = failed.transient or (failed.outcome_unknown and recognises)
                if not again or self.in_transaction or attempt == _TRIES - 1:
                    raise
            # By chance, or two that lost against each other would meet again.
            sleep(random.uniform(0, 0.002 * 2**attempt))
        raise AssertionError("unreachable")

    @property
    def alone(self) -> SingleStatementWrites | None:
        """The backend, where it can write one record without a block, and no transaction is in force."""
        able = self._able
        if able is None:
            return None
        self.check_open()
        if self.read_only:
            return None
        return able if able.writes_single_statements and not self.in_transaction else None

    def written_single(self, write: Callable[[], T | None]) -> tuple[T | None, bool]:
        """Return what a write without a block did, ``None`` where a block is needed; and whether, as the
        connection was lost, it may have been done all the same.

        Raises:
            BackendError: the database refused it for good.
        """
        check()
        try:
            with self.watching("write"):
                return write(), False
        except BackendError as failed:
            if not failed.outcome_unknown and not failed.transient:
                raise
            return None, failed.outcome_unknown

    def committed(self, step: str) -> None:
        """Tell the crash hook of a step that comes after a commit; a part of a transaction has none yet."""
        if not self.in_transaction:
            reached(step)

    # -- transactions ------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        """Make one write block the transaction in force for what this thread or task calls within."""
        self.check_open()
        self.check_writable("transaction")
        current = self._in_force()
        if current is not None:
            with current.part() as writer:
                yield writer
            return
        promised: list[BlobRow] = []
        try:
            with self.taking_part(self.backend.write(), promised) as writer:
                yield writer
            self.committed("P4.2")
        except BaseException as failed:
            self.withdraw(promised, failed)
            raise

    @contextmanager
    def taking_part(
        self, block: AbstractContextManager[Writer], promised: list[BlobRow] | None
    ) -> Iterator[Writer]:
        """Make a write block the transaction in force; the caller's exceptions arrive unchanged."""
        own: BaseException | None = None
        try:
            with block as writer, self.within(writer, promised) as current:
                try:
                    yield writer
                except BaseException as raised:
                    own = raised
                    raise
                current.check()
        except BaseException as failed:
            if own is None or own is failed:
                raise
            raise own from own.__cause__

    @contextmanager
    def joined(self, block: AbstractContextManager[Callable[[], Writer]]) -> Iterator[None]:
        """Make the application's own transaction the one in force.

        Raises:
            BackendError: one of the store's own is: on SQLite the two would wait for each other.
        """
        current = self._in_force()
        if current is not None and current.anew is None:
            raise BackendError("join() within store.transaction(): leave that block before")
        with block as anew, self.within(anew(), anew=anew):
            yield

    @contextmanager
    def within(
        self,
        writer: Writer,
        promised: list[BlobRow] | None = None,
        *,
        anew: Callable[[], Writer] | None = None,
    ) -> Iterator[_Transaction]:
        """Make ``writer`` the transaction in force for a block."""
        current = _Transaction(writer, anew, [] if promised is None else promised)
        token = self._current.set(current)
        try:
            yield current
        finally:
            current.ended = True
            self._current.reset(token)

    def promise(self, blobs: Sequence[BlobRow]) -> None:
        """Remember what bytes are being written, so that they go if the transaction in force fails."""
        current = self._in_force()
        if current is not None:
            current.promised.extend(blobs)

    def withdraw(self, blobs: Sequence[BlobRow], failed: BaseException) -> None:
        """Give up bytes of a failed block: mark their intents dead, remove those without a row.

        A step that fails now is noted on ``failed``; the collector does it later. Bytes that turn
        out to be live are left.
        """
        if not blobs:
            return
        keys, tenants = [blob.key for blob in blobs], {blob.tenant for blob in blobs}
        within = Scope(tenants.pop()) if len(tenants) == 1 else Scope()
        try:
            with self.apart() as writer:
                now = writer.now()
                for blob in blobs:
                    writer.update_blob(blob, _PENDING, state="dead", at=now)
                known = {blob.key for blob in writer.blobs(keys=keys, limit=len(keys), scope=within)}
            if not self.in_transaction:
                for key in (key for key in keys if key not in known):
                    self.bytes().delete(key)
        # `failed` is what the caller must hear of; the bytes are an intent that a collection ends.
        except (DocstoreError, OSError) as also:
            failed.add_note(f"and the bytes could not be withdrawn, they will be collected: {also}")

    def close(self) -> None:
        """Close the backend; idempotent."""
        if not self.closed:
            self.closed = True
            self.backend.close()


# The default of an argument whose `None` is an error.
UNSET: Any = object()


def narrowed(scope: Scope, tenant: str = UNSET, owner: str = UNSET) -> Scope:
    """Return a scope confined further; arguments and errors as for :meth:`Store.scoped`."""
    given = {name: value for name, value in (("tenant", tenant), ("owner", owner)) if value is not UNSET}
    if not given:
        raise ScopeError("scoped() needs tenant=, owner= or both")
    for name, value in given.items():
        scope_text(name, value)
        fixed = getattr(scope, name)
        if fixed is not None and fixed != value:
            raise ScopeError(
                f"{name}={shown(value)}: this view is confined to {name}={shown(fixed)}; scopes only narrow"
            )
    return replace(scope, **given)


def check_unscoped(scope: Scope) -> None:
    """Raise ScopeError if ``scope`` confines to anything."""
    if scope != Scope():
        raise ScopeError("this view is confined to a scope: scopes only narrow")

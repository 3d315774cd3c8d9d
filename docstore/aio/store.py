"""AsyncStore and ``open_async``: the methods of Store, those of maintenance included, awaited."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from docstore.aio.documents import AsyncDocuments
from docstore.aio.extractions import AsyncExtractions
from docstore.aio.files import plain_callback
from docstore.aio.shell import Shell, Twin
from docstore.backend import ANYWHERE, Scope
from docstore.blobs import Blobs
from docstore.context.store_context import UNSET, StoreContext
from docstore.context.store_context import UNSET as _UNSET
from docstore.errors import missing
from docstore.limits import Limits
from docstore.maintenance import (
    AdoptReport,
    BackupReport,
    CheckReport,
    CollectReport,
    EraseReport,
    OnProgress,
    RepairReport,
    Stats,
)
from docstore.maintenance.tables import Advice
from docstore.store import Store, check_unscoped, narrowed, open_root
from docstore.telemetry import SLOW

__all__ = [
    "AsyncStore",
    "AsyncUpkeep",
    "open_async",
]


class AsyncUpkeep(Twin[Store]):
    """The maintenance methods of :class:`~docstore.aio.store.AsyncStore` and its views."""

    async def check(
        self,
        level: Literal["size", "hash"] = "size",
        *,
        grace: float = 86_400.0,
        prefix: str = "",
        after: str = "",
        workers: int = 1,
        listing: Iterable[tuple[str, int]] | None = None,
        on_progress: OnProgress | None = None,
    ) -> CheckReport:
        """Compare documents, the rows of their bytes and the bytes themselves: :meth:`Store.check`."""
        return await self._bytes(
            Store.check, level, grace=grace, prefix=prefix, after=after, workers=workers, listing=listing,
            on_progress=plain_callback(on_progress),
        )  # fmt: skip

    async def repair(
        self,
        report: CheckReport,
        *,
        dry_run: bool = True,
        force: bool = False,
        on_progress: OnProgress | None = None,
    ) -> RepairReport:
        """Put right what a check found, or say what would be done: :meth:`Store.repair`."""
        return await self._bytes(
            Store.repair, report, dry_run=dry_run, force=force, on_progress=plain_callback(on_progress)
        )

    async def collect(
        self,
        grace: float = 86_400.0,
        *,
        prefix: str = "",
        after: str = "",
        workers: int = 1,
        listing: Iterable[tuple[str, int]] | None = None,
        force: bool = False,
        on_progress: OnProgress | None = None,
    ) -> CollectReport:
        """Remove the bytes that no document needs any more: :meth:`Store.collect`."""
        return await self._bytes(
            Store.collect, grace, prefix=prefix, after=after, workers=workers, listing=listing, force=force,
            on_progress=plain_callback(on_progress),
        )  # fmt: skip

    async def adopt_blobs(self) -> AdoptReport:
        """Say that the root of the bytes is this store's own: :meth:`Store.adopt_blobs`."""
        return await self._bytes(Store.adopt_blobs)

    async def backup(
        self, path: str | os.PathLike[str], *, on_progress: OnProgress | None = None
    ) -> BackupReport:
        """Copy the store, rows and bytes, into a folder: :meth:`Store.backup`."""
        return await self._bytes(Store.backup, path, on_progress=plain_callback(on_progress))

    async def stats(self, *, sizes: bool = False) -> Stats:
        """Count documents, extractions and bytes: :meth:`Store.stats`."""
        return await self._bytes(Store.stats, sizes=sizes)

    async def erase(
        self, *, tenant: str = UNSET, owner: str = UNSET, on_progress: OnProgress | None = None
    ) -> EraseReport:
        """Remove everything of a tenant and/or owner, at once and for good: :meth:`Store.erase`."""
        return await self._bytes(
            Store.erase, tenant=tenant, owner=owner, on_progress=plain_callback(on_progress)
        )

    async def create_index(self, *fields: str) -> bool:
        """Keep the documents in an order of fields: :meth:`Store.create_index`."""
        return await self._bytes(Store.create_index, *fields)

    async def drop_index(self, *fields: str) -> bool:
        """Remove a declared index: :meth:`Store.drop_index`."""
        return await self._bytes(Store.drop_index, *fields)

    async def indexes(self) -> list[tuple[str, ...]]:
        """Return the fields of each declared index: :meth:`Store.indexes`."""
        return await self._read(Store.indexes)

    async def advise(self) -> list[Advice]:
        """Return the indexes that would have helped: :meth:`Store.advise`."""
        return await self._read(Store.advise)


class AsyncStore(AsyncUpkeep):
    """An asynchronous store, or a view of one that is confined to a tenant, an owner, or both.

    Attributes:
        documents: the documents.
        extractions: what was read out of them.

    Its methods are those of :class:`~docstore.store.Store`, awaited: each is made in a thread of the
    store's. Many tasks of any event loop of its process may use it at once. ``async with`` and ``await``
    open it, as does the first call. A call that is cancelled has ended when its CancelledError arrives: no
    transaction, lock or connection is left behind, and no part of what it wrote.

    Example:
        >>> async with docstore.open_async("memory://") as store:
        ...     document = await store.documents.add(filename="a.txt", metadata={"n": 1})
        ...     page = await store.documents.find({"metadata.n": 1})
    """

    documents: AsyncDocuments
    extractions: AsyncExtractions

    def __init__(
        self, shell: Shell, scope: Scope = ANYWHERE, *, confined: bool = False, is_view: bool = False
    ) -> None:
        self._shell = shell
        self._scope = scope
        self._confined = confined
        self._is_view = is_view
        self.documents = AsyncDocuments(shell, scope, confined=confined)
        self.extractions = AsyncExtractions(shell, scope, confined=confined)

    def _of(self, root: StoreContext) -> Store:
        return Store(root, self._scope, confined=self._confined, is_view=self._is_view)

    # -- scope -------------------------------------------------------------------------------------

    @property
    def position(self) -> Awaitable[str]:
        """How far the database's log is: :attr:`Store.position`, awaited: ``await store.position``."""
        return self._position()

    async def _position(self) -> str:
        root = await self._shell.root()
        return await self._shell.run("read", root.position)

    def scoped(self, *, tenant: str = _UNSET, owner: str = _UNSET) -> AsyncStore:
        """Return a view that sees and touches only this tenant and/or owner: :meth:`Store.scoped`.

        It does no I/O; awaiting the view opens the store and returns the view.

        Raises:
            ScopeError: none was given, one is empty or no text, or another is set already.
        """
        return AsyncStore(self._shell, narrowed(self._scope, tenant, owner), confined=True, is_view=True)

    def unscoped(self) -> AsyncStore:
        """Return a view of everything, said explicitly: :meth:`Store.unscoped`.

        Raises:
            ScopeError: this view is confined to a scope already; scopes only narrow.
        """
        check_unscoped(self._scope)
        return AsyncStore(self._shell, confined=True, is_view=True)

    # -- transactions ------------------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """Make several calls one commit: :meth:`Store.transaction`, with ``async with``.

        Calls of this task, and of tasks started in the block, take part in it, one after another; a task
        that goes on after the block gets a BackendError. A cancellation undoes the block.

        Example:
            >>> async with store.transaction():
            ...     first = await store.documents.add(b"one", filename="1.txt")
            ...     await store.documents.update(other_id, metadata={"first": first.id})
        """
        async with self._shell.block(lambda root: self._of(root).transaction()):
            yield self

    @asynccontextmanager
    async def join(self, connection: Any) -> AsyncIterator[Self]:
        """Take part in the application's own transaction for a block: :meth:`Store.join`.

        Args:
            connection: an SQLAlchemy ``AsyncConnection`` or ``AsyncSession`` on the database that the store
                is in, or a ``Connection`` or ``Session``. Its statements are run on its own loop.

        Raises:
            As :meth:`Store.join`.
        """
        async with self._shell.block(lambda root: self._of(root).join(connection)):
            yield self

    # -- life --------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close the store; idempotent. Later calls raise StoreClosed. On a view it does nothing."""
        if not self._is_view:
            await self._shell.close()

    def __await__(self) -> Generator[Any, None, Self]:
        """Open the store and return it."""
        yield from self._shell.root().__await__()
        return self

    async def __aenter__(self) -> Self:
        """Open the store and return it."""
        return await self

    async def __aexit__(self, *exception: object) -> None:
        """Close the store."""
        await self.close()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say where what is asked for is."""
            raise missing(self, name, of_store=True)

    def __repr__(self) -> str:
        """Show the scope."""
        scope = "".join(
            f" {name}={value!r}"
            for name, value in (("tenant", self._scope.tenant), ("owner", self._scope.owner))
            if value
        )
        return f"<AsyncStore{scope}{' closed' if self._shell.is_closed else ''}>"


def open_async(
    url: Any = "sqlite:///docstore.db",
    *,
    blobs: str | os.PathLike[str] | Blobs | None = None,
    scope_required: bool = False,
    default_timezone: tzinfo | str | None = None,
    limits: Limits | Mapping[str, int] | None = None,
    cursor_secret: str | bytes | Sequence[str | bytes] | None = None,
    slow_query: float | None = SLOW,
    query_timeout: float | None = 30.0,
    read_only: bool = False,
    store_id: str | None = None,
    search_marks: bool = False,
    sources: Literal["any", "bytes"] = "any",
    metadata_default: Callable[[Any], Any] | None = None,
    **options: Any,
) -> AsyncStore:
    """Open an asynchronous store, creating or upgrading its schema.

    Every call is one of the blocking store's, made in a thread of this store's: a few for reading, a few for
    writing, ``Blobs(upload_workers=16)`` for bytes, and one for each open transaction.

    Args:
        url: as for :func:`docstore.open`, or an ``AsyncEngine``: its connections are used on the caller's
            loop, statement by statement, which takes longer than a URL.
        blobs, scope_required, default_timezone, limits, cursor_secret, slow_query, query_timeout, read_only,
            store_id, search_marks, sources, metadata_default, options: as for :func:`docstore.open`.

    Returns:
        The store, not yet open: use it with ``async with``, or await it and close it.

    Raises:
        As :func:`docstore.open`, when it is opened.

    Example:
        >>> async with docstore.open_async("postgresql:///library", blobs="./files") as store:
        ...     await store.documents.add("report.pdf")
        >>> store = await docstore.open_async("sqlite:///library.db")
        >>> await store.close()
    """
    opening = partial(
        open_root, url, blobs=blobs, scope_required=scope_required, default_timezone=default_timezone,
        limits=limits, cursor_secret=cursor_secret, slow_query=slow_query, query_timeout=query_timeout,
        read_only=read_only, store_id=store_id, search_marks=search_marks, sources=sources,
        metadata_default=metadata_default, options=options,
    )  # fmt: skip
    return AsyncStore(Shell(opening))

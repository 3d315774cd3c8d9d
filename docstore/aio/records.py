"""AsyncRecords: reading, the same on documents and extractions, awaited."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Generic, NoReturn, TypeVar

from docstore.aio.shell import Shell, Twin
from docstore.backend import Scope
from docstore.concurrency import STORE_DEFAULT, Timeout
from docstore.iteration import Iteration
from docstore.models import Page
from docstore.query.plan import Plan
from docstore.records import Filter, Records
from docstore.root import Root

__all__ = ["AsyncIteration", "AsyncRecords"]

T = TypeVar("T")
S = TypeVar("S", bound=Records[Any])


class AsyncRecords(Twin[S], Generic[T, S]):
    """What can be read of one collection, by the methods of :class:`~docstore.records.Records`, awaited.

    Each method takes, returns and raises what the blocking one does.
    """

    def __init__(self, shell: Shell, scope: Scope, *, confined: bool) -> None:
        self._shell = shell
        self._scope = scope
        self._confined = confined
        self._made: S | None = None

    @abstractmethod
    def _make(self, root: Root) -> S:
        """Return the blocking collection."""

    async def _blocking(self) -> S:
        """Return the blocking collection, the store opened if it is not yet."""
        root = await self._shell.root()
        if self._made is None:
            self._made = self._make(root)
        return self._made

    async def find(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: str | Sequence[str] = "-created_at",
        limit: int = 50,
        offset: int = 0,
        page: int | None = None,
        cursor: str | None = None,
        direction: str | None = None,
        total: bool | int = False,
        latest_only: bool = True,
        include: Iterable[str] = (),
        strict: bool = False,
        timeout: Timeout = STORE_DEFAULT,
    ) -> Page[T]:
        """List the records that match, a page at a time: :meth:`Records.find`, awaited.

        Example:
            >>> page = await store.documents.find({"metadata.tags": "important"}, limit=10, total=True)
        """
        return await self._read(
            Records.find, filter, search=search, sort=sort, limit=limit, offset=offset, page=page,
            cursor=cursor, direction=direction, total=total, latest_only=latest_only,
            include=include, strict=strict, timeout=timeout,
        )  # fmt: skip

    def iterate(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: str | Sequence[str] = "number",
        batch_size: int = 500,
        latest_only: bool = True,
        include: Iterable[str] = (),
        cursor: str | None = None,
        timeout: Timeout = STORE_DEFAULT,
    ) -> AsyncIteration[T]:
        """Yield every record that matches, in constant memory: :meth:`Records.iterate`, with ``async for``.

        Example:
            >>> async for document in store.documents.iterate({"status": "pending"}):
            ...     print(document.filename)
        """

        async def begin() -> Iteration[T]:
            walk: Iteration[T] = await self._read(
                Records.iterate, filter, search=search, sort=sort, batch_size=batch_size,
                latest_only=latest_only, include=include, cursor=cursor, timeout=timeout,
            )  # fmt: skip
            return walk

        return AsyncIteration(begin, self._shell, timeout)

    async def count(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        at_most: int | None = None,
        timeout: Timeout = STORE_DEFAULT,
    ) -> int:
        """Count the records that match: :meth:`Records.count`, awaited."""
        return await self._read(
            Records.count, filter, search=search, latest_only=latest_only, at_most=at_most, timeout=timeout
        )

    async def count_by(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        limit: int = 100,
        timeout: Timeout = STORE_DEFAULT,
    ) -> dict[Any, int]:
        """Count the records that match by what they have at ``field``: :meth:`Records.count_by`, awaited."""
        return await self._read(
            Records.count_by, field, filter, search=search, latest_only=latest_only, limit=limit,
            timeout=timeout,
        )  # fmt: skip

    async def exists(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
    ) -> bool:
        """Return whether any record matches: :meth:`Records.exists`, awaited."""
        return await self._read(
            Records.exists, filter, search=search, latest_only=latest_only, timeout=timeout
        )

    async def get(self, id: str, *, include: Iterable[str] = ()) -> T:
        """Return the record with this id, whichever version it is: :meth:`Records.get`, awaited."""
        return await self._read(Records.get, id, include=include)

    async def get_many(self, ids: Iterable[str], *, include: Iterable[str] = ()) -> list[T]:
        """Return the records with these ids, in the order asked: :meth:`Records.get_many`, awaited."""
        return await self._read(Records.get_many, ids, include=include)

    async def explain(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: str | Sequence[str] = "-created_at",
        limit: int = 50,
        offset: int = 0,
        page: int | None = None,
        cursor: str | None = None,
        direction: str | None = None,
        total: bool | int = False,
        latest_only: bool = True,
        include: Iterable[str] = (),
        strict: bool = False,
        timeout: Timeout = STORE_DEFAULT,
    ) -> Plan:
        """Return how :meth:`find` with the same arguments would be run: :meth:`Records.explain`, awaited."""
        return await self._read(
            Records.explain, filter, search=search, sort=sort, limit=limit, offset=offset, page=page,
            cursor=cursor, direction=direction, total=total, latest_only=latest_only,
            include=include, strict=strict, timeout=timeout,
        )  # fmt: skip

    def __len__(self) -> NoReturn:
        """Refuse: counting is awaited."""
        raise TypeError("len() cannot wait: write  await store.documents.count()  or extractions.count()")

    def __contains__(self, id: object) -> NoReturn:
        """Refuse: looking is awaited."""
        raise TypeError(
            '"in" cannot wait: write  await store.documents.exists({"id": id})  or extractions.exists'
        )

    def __getitem__(self, id: object) -> NoReturn:
        """Refuse: reading is awaited."""
        raise TypeError("[] cannot wait: write  await store.documents.get(id)  or extractions.get(id)")

    def __bool__(self) -> bool:
        """Return true, as of any object: how many records there are is no matter."""
        return True

    def __aiter__(self) -> AsyncIterator[T]:
        """Walk over all records by their numbers: :meth:`iterate`."""
        return self.iterate()


class AsyncIteration(AsyncIterator[T], Generic[T]):
    """What ``iterate`` returns: :class:`~docstore.iteration.Iteration`, each batch awaited.

    Args:
        begin: starts the walk; called for the first record.
        shell: of the store.
        timeout: of each batch.
    """

    def __init__(
        self, begin: Callable[[], Awaitable[Iteration[T]]], shell: Shell, timeout: Timeout
    ) -> None:
        self._begin = begin
        self._shell = shell
        self._timeout = timeout
        self._walk: Iteration[T] | None = None

    @property
    def cursor(self) -> str | None:
        """Where the walk stands: behind the record it yielded last; ``None`` before the first one."""
        return None if self._walk is None else self._walk.cursor

    def __aiter__(self) -> AsyncIteration[T]:
        """Return itself."""
        return self

    async def __anext__(self) -> T:
        """Return the next record."""
        if self._walk is None:
            self._walk = await self._begin()
        if not self._walk.is_ready and not await self._shell.run(
            "read", self._walk.fetch, timeout=self._timeout
        ):
            raise StopAsyncIteration
        return next(self._walk)

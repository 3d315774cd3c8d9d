"""AsyncRecords: the reading methods of both asynchronous collections."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, overload

from docstore.aio.shell import Shell, Twin
from docstore.backend import Scope
from docstore.collection import REQUIRED, Records
from docstore.collection.pages import Iteration
from docstore.concurrency import STORE_DEFAULT, Timeout
from docstore.context.collection_view import Filter
from docstore.context.store_context import StoreContext
from docstore.errors import missing
from docstore.models import FieldInfo, Page, ValuePage
from docstore.query.facets import Facet
from docstore.query.planner import Plan
from docstore.query.sorting import Sort

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "AsyncIteration",
    "AsyncRecords",
]

T = TypeVar("T")
D = TypeVar("D")
S = TypeVar("S", bound=Records[Any])
# A hop to a thread and back costs more than a row, so that rows come by the hundred; a cancellation waits
# for one such part at most.
_ROWS_A_HOP = 500


class AsyncRecords(Twin[S], Generic[T, S]):
    """The reading methods of one collection: :class:`~docstore.collection.Records`, awaited.

    Each method takes, returns and raises what the blocking one does.
    """

    def __init__(self, shell: Shell, scope: Scope, *, confined: bool) -> None:
        self._shell = shell
        self._scope = scope
        self._confined = confined
        self._made: S | None = None

    @abstractmethod
    def _make(self, root: StoreContext) -> S:
        """Return the blocking collection."""

    def _of(self, root: StoreContext) -> S:
        if self._made is None:
            self._made = self._make(root)
        return self._made

    async def find(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "-created_at",
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
        at_least: str | None = None,
    ) -> Page[T]:
        """List the records that match, a page at a time: :meth:`Records.find`, awaited.

        Example:
            >>> page = await store.documents.find({"metadata.tags": "important"}, limit=10, total=True)
        """
        return await self._read(
            Records.find, filter, search=search, sort=sort, limit=limit, offset=offset, page=page,
            cursor=cursor, direction=direction, total=total, latest_only=latest_only,
            include=include, strict=strict, timeout=timeout, at_least=at_least,
        )  # fmt: skip

    async def find_one(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "-created_at",
        offset: int = 0,
        latest_only: bool = True,
        include: Iterable[str] = (),
        strict: bool = False,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> T | None:
        """Return the first record that matches, or None: :meth:`Records.find_one`, awaited."""
        return await self._read(
            Records.find_one, filter, search=search, sort=sort, offset=offset, latest_only=latest_only,
            include=include, strict=strict, timeout=timeout, at_least=at_least,
        )  # fmt: skip

    def iterate(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "number",
        batch_size: int = 500,
        latest_only: bool = True,
        include: Iterable[str] = (),
        cursor: str | None = None,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> AsyncIteration[T]:
        """Yield every record that matches, in constant memory: :meth:`Records.iterate`, with ``async for``.

        Example:
            >>> async for document in store.documents.iterate({"status": "pending"}):
            ...     print(document.filename)
        """

        async def begin() -> Iteration[T]:
            walk: Iteration[T] = await self._read(
                Records.iterate, filter, search=search, sort=sort, batch_size=batch_size,
                latest_only=latest_only, include=include, cursor=cursor, timeout=timeout, at_least=at_least,
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
        at_least: str | None = None,
    ) -> int:
        """Count the records that match: :meth:`Records.count`, awaited."""
        return await self._read(
            Records.count,
            filter,
            search=search,
            latest_only=latest_only,
            at_most=at_most,
            timeout=timeout,
            at_least=at_least,
        )

    async def count_by(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        by: str | float | None = None,
        search: str | None = None,
        latest_only: bool = True,
        limit: int = 100,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> Facet:
        """Count the records that match by what they have at ``field``: :meth:`Records.count_by`, awaited."""
        return await self._read(
            Records.count_by,
            field,
            filter,
            by=by,
            search=search,
            latest_only=latest_only,
            limit=limit,
            timeout=timeout,
            at_least=at_least,
        )

    async def distinct(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        contains: str | None = None,
        offset: int = 0,
        limit: int = 100,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> ValuePage:
        """List the different values at ``field``, a page at a time: :meth:`Records.distinct`, awaited."""
        return await self._read(
            Records.distinct, field, filter, search=search, contains=contains, offset=offset, limit=limit,
            latest_only=latest_only, timeout=timeout, at_least=at_least,
        )  # fmt: skip

    async def bounds(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> tuple[Any, Any] | None:
        """Return the least and the greatest value at ``field``: :meth:`Records.bounds`, awaited."""
        return await self._read(
            Records.bounds,
            field,
            filter,
            search=search,
            latest_only=latest_only,
            timeout=timeout,
            at_least=at_least,
        )

    async def fields(
        self,
        filter: Filter | None = None,
        *,
        prefix: str = "metadata",
        limit: int = 1000,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> list[FieldInfo]:
        """Return the paths that there are below a JSON field: :meth:`Records.fields`, awaited."""
        return await self._read(
            Records.fields,
            filter,
            prefix=prefix,
            limit=limit,
            latest_only=latest_only,
            timeout=timeout,
            at_least=at_least,
        )

    async def rows(
        self,
        fields: Iterable[str],
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "number",
        limit: int | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield chosen paths of every record as flat dictionaries: :meth:`Records.rows`, with ``async for``.

        Example:
            >>> async for row in store.documents.rows(["id", "metadata.vendor"]):
            ...     print(row["metadata.vendor"])
        """
        walk: Iterator[dict[str, Any]] = await self._read(
            Records.rows,
            fields,
            filter,
            search=search,
            sort=sort,
            limit=limit,
            latest_only=latest_only,
            timeout=timeout,
            at_least=at_least,
        )
        while some := await self._shell.run("read", lambda: list(islice(walk, _ROWS_A_HOP))):
            for row in some:
                yield row

    async def to_arrow(
        self,
        fields: Iterable[str] | None = None,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "number",
        limit: int | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> pyarrow.Table:
        """Return records as an Arrow table: :meth:`Records.to_arrow`, awaited."""
        return await self._read(
            Records.to_arrow,
            fields,
            filter,
            search=search,
            sort=sort,
            limit=limit,
            latest_only=latest_only,
            timeout=timeout,
            at_least=at_least,
        )

    async def exists(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> bool:
        """Return whether any record matches: :meth:`Records.exists`, awaited."""
        return await self._read(
            Records.exists, filter, search=search, latest_only=latest_only, timeout=timeout, at_least=at_least
        )

    @overload
    async def get(self, id: str | T, *, include: Iterable[str] = (), at_least: str | None = None) -> T: ...

    @overload
    async def get(
        self, id: str | T, *, default: D, include: Iterable[str] = (), at_least: str | None = None
    ) -> T | D: ...

    async def get(
        self,
        id: str | T,
        *,
        default: Any = REQUIRED,
        include: Iterable[str] = (),
        at_least: str | None = None,
    ) -> Any:
        """Return the record with this id, whichever version it is: :meth:`Records.get`, awaited."""
        return await self._read(Records.get, id, default=default, include=include, at_least=at_least)

    async def get_many(
        self, ids: Iterable[str | T], *, include: Iterable[str] = (), at_least: str | None = None
    ) -> list[T]:
        """Return the records with these ids, in the order asked: :meth:`Records.get_many`, awaited."""
        return await self._read(Records.get_many, ids, include=include, at_least=at_least)

    async def explain(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "-created_at",
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
        at_least: str | None = None,
    ) -> Plan:
        """Return how :meth:`find` with the same arguments would be run: :meth:`Records.explain`, awaited."""
        return await self._read(
            Records.explain, filter, search=search, sort=sort, limit=limit, offset=offset, page=page,
            cursor=cursor, direction=direction, total=total, latest_only=latest_only,
            include=include, strict=strict, timeout=timeout, at_least=at_least,
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

    def __repr__(self) -> str:
        """Show what it is, its backend once it is open, and its scope."""
        if self._made is not None:
            return repr(self._made).replace("<", "<Async", 1)
        named = (("tenant", self._scope.tenant), ("owner", self._scope.owner))
        parts = [f"{name}={value!r}" for name, value in named if value is not None]
        return f"<{' '.join([type(self).__name__, *parts])}>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say what there is instead of a method that other libraries have."""
            raise missing(self, name)

    def __aiter__(self) -> AsyncIterator[T]:
        """Walk over all records by their numbers: :meth:`iterate`."""
        return self.iterate()


class AsyncIteration(AsyncIterator[T], Generic[T]):
    """The iterator of ``iterate``: :class:`~docstore.collection.pages.Iteration`, each batch awaited.

    Args:
        begin: starts the walk; called for the first record.
        shell: of the store.
        timeout: of each batch.
    """

    def __init__(self, begin: Callable[[], Awaitable[Iteration[T]]], shell: Shell, timeout: Timeout) -> None:
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

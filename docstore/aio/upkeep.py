"""AsyncUpkeep: the maintenance methods of an asynchronous store."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Literal

from docstore.aio.shell import Twin
from docstore.aio.sources import plain_callback
from docstore.context.store_context import UNSET
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
from docstore.maintenance.declared_indexes import Advice
from docstore.store import Store

__all__ = ["AsyncUpkeep"]


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

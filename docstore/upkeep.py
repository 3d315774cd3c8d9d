"""Upkeep: the maintenance methods of a store, over :mod:`docstore.maintenance`.

They work on the whole store; in a scoped view, on the records of that tenant and owner alone. None can be
part of a transaction: each commits in batches of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from docstore.backend import ANYWHERE, Scope
from docstore.context.store_context import UNSET, StoreContext, narrowed
from docstore.errors import BackendError, ScopeError, ScopeRequired, shown
from docstore.limits import MOST_WORKERS
from docstore.query.instants import to_datetime

if TYPE_CHECKING:
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

__all__ = [
    "Upkeep",
]


class Upkeep:
    """The maintenance methods of :class:`~docstore.store.Store` and its views."""

    _context: StoreContext
    _scope: Scope
    _confined: bool

    def check(
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
        """Compare documents, the rows of their bytes and the bytes themselves; change nothing.

        It is right while others write: a record that came or went meanwhile is no finding. A scoped view sees
        only its scope. Objects without a row, and indexes, are then left to the whole store's check.

        Args:
            level: ``size`` compares names and sizes, by listing; ``hash`` also reads every byte.
            grace: seconds after which a write that did not end, or dead bytes, count as stale; repair leaves
                what has no row and is younger.
            prefix: of the keys that the check of bytes is confined to, such as ``"3f"``; ``""`` is all.
            after: key after which it begins.
            workers: how many objects are looked at, or read, at once, 1 to 256.
            listing: pairs of name and size that stand in the storage, by an inventory (of S3, say) that is
                older than this call; held in memory, some hundred bytes each. ``None``: the storage lists
                itself.
            on_progress: called after each batch with a :class:`~docstore.maintenance.Progress`.

        Returns:
            The findings; ``.ok`` says whether that is nothing. At a root that is not this store's there is
            one finding ``unowned``, and what has no row is not looked for.

        Raises:
            ValueError: another level, or a number that is out of range.
            BlobsNotConfigured: the store has bytes and was opened without ``blobs=``.
            BackendError, BlobError: the database or the storage failed.

        Example:
            >>> report = store.check(level="hash")
            >>> report.ok
            True
        """
        from docstore import maintenance

        self._look_after("check")
        root = self._context
        return maintenance.check(
            root.backend, root.blobs, level, grace=grace, prefix=prefix, after=after,
            workers=_workers(workers), listing=listing, scope=self._scope, store_id=root.store_id,
            read_only=root.read_only, on_progress=on_progress,
        )  # fmt: skip

    def repair(
        self,
        report: CheckReport,
        *,
        dry_run: bool = True,
        force: bool = False,
        on_progress: OnProgress | None = None,
    ) -> RepairReport:
        """Put right what a check found, or say what would be done. Nothing is deleted on one witness.

        An object without a row, older than the check's ``grace``, is moved below ``quarantine/``; lost bytes
        come back from there, or from another document that has the very same.

        Args:
            report: what :meth:`check` returned, not long ago; each finding is looked at again. In a scoped
                view findings of others have no action.
            dry_run: change nothing.
            force: take away more than a tenth of what is there, too; one thing is always allowed.
            on_progress: called after each finding.

        Returns:
            The actions taken, or proposed with ``dry_run``.

        Raises:
            TypeError: ``report`` is none.
            WrongBlobs: the root of the bytes is another store's, or nobody knows whose; nothing was changed.
            BlobError: more than a tenth would be taken away, and ``force`` is false; nothing was changed.
            BackendError: the database failed; what was done stays done.

        Example:
            >>> repaired = store.repair(store.check(), dry_run=False)
        """
        from docstore import maintenance

        if not isinstance(report, maintenance.CheckReport):
            raise TypeError(f"report={shown(report)}: expected what check() returned")
        self._look_after("repair", writes=not dry_run)
        root = self._context
        return maintenance.repair(
            root.backend, root.blobs, report,
            dry_run=dry_run, force=force, scope=self._scope, store_id=root.store_id, on_progress=on_progress,
        )  # fmt: skip

    def collect(
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
        """Delete the documents past their ``expires_at``, and remove the bytes that no document needs any
        more, and those of writes that did not end.

        Call it from time to time, such as nightly. It is fenced, not timed: right with ``grace=0`` beside
        writers and other collectors, and it may be killed and run again. It compacts the indexes, too, and
        leaves no byte of what was erased since; on a store without bytes that is all.

        Args:
            grace: seconds after which a write that did not end counts as abandoned. An object without a row
                is left until it is older, then moved below ``quarantine/``, and removed from there when as
                much time has passed again.
            prefix: names that the listing of the storage is confined to; ``""`` is all. Keys begin with two
                hex digits.
            after: name after which that listing begins: the ``position`` of an interrupted one.
            workers: how many requests to the storage are under way at once, 1 to 256.
            listing: pairs of name and size that stand in the storage, by an inventory that is older than this
                call; ``None``: the storage lists itself.
            force: move objects aside even if more than a tenth of those listed have no row. Without it none
                is moved then (``.refused`` says so), and all else is done.
            on_progress: called after each batch.

        Returns:
            The removed documents and objects, counted. An object that cannot be removed now is named there,
            and removed next time. Rows of bytes at another root than this store was opened with are left, and
            counted there.

        Raises:
            WrongBlobs: the root of the bytes is another store's, or nobody knows whose; nothing was done.
            BlobsNotConfigured: there are bytes to collect and the store was opened without ``blobs=``.
            BackendError: the database failed or is busy; what was done stays done.
            BlobError: the storage cannot be listed.
            ValueError: ``grace`` is negative or no number, ``workers`` is out of range.

        Example:
            >>> store.collect().swept
            0
        """
        from docstore import maintenance

        self._look_after("collect", writes=True)
        root = self._context
        deleted = self._delete_expired()
        if root.blobs is None and not self._any_blobs():
            if self._scope == ANYWHERE:
                maintenance.compact(root.backend)
            return maintenance.CollectReport(documents=deleted)
        report = maintenance.collect(
            root.backend, root.bytes(), grace,
            prefix=prefix, after=after, workers=_workers(workers), listing=listing, force=force,
            scope=self._scope, store_id=root.store_id, on_progress=on_progress,
        )  # fmt: skip
        return replace(report, documents=deleted)

    def _delete_expired(self) -> int:
        """Delete the documents past their ``expires_at``, by the database's clock; return how many."""
        from docstore.writes.edits import DocumentsView, Edits

        now = to_datetime(self._context.written(lambda writer: writer.now()))
        view = DocumentsView(self._context, self._scope, confined=True)
        return Edits(view).delete_many({"expires_at": {"$lte": now}}, timeout=None)

    def adopt_blobs(self) -> AdoptReport:
        """Say that the root of the bytes that this store was opened with is its own.

        It marks the root, whatever mark is there. Needed where ``WrongBlobs`` is raised and both URLs are
        right: a bucket that was copied without the mark, a database that was made anew from an export. What
        stands there and has no row is then collected as ever: a tenth at most, by way of ``quarantine/``.

        Returns:
            Where that is, and whose it was before.

        Raises:
            ScopeError: a scoped view cannot say so.
            BlobsNotConfigured: the store was opened without ``blobs=``.
            WrongBlobs: the store was opened with ``store_id=`` of another store.
            BlobError, BackendError: the storage or the database failed.

        Example:
            >>> report = store.adopt_blobs()
        """
        from docstore import maintenance

        self._look_after("adopt_blobs", writes=True)
        if self._scope != ANYWHERE:
            raise ScopeError("adopt_blobs is for the whole store: call it on the store that is not scoped")
        return maintenance.adopt(self._context.places, self._context.bytes())

    def backup(self, path: str | os.PathLike[str], *, on_progress: OnProgress | None = None) -> BackupReport:
        """Copy the store, rows and bytes as of one instant, into a folder that ``docstore.open(path)`` opens.

        It may run while others write. Killed on the way, or called again later, the same call brings what is
        missing; until it is done, an earlier backup in the folder is as it was. At the end every byte of the
        copy is read and compared. Of a store in SQLite the database is copied as it is; of others the rows
        are, with numbers of the copy's own, in the same order. The copy has the store's id.

        Args:
            path: of a folder of this machine: not there, empty, or with an earlier backup of this store.
            on_progress: called after each batch, with the stages ``rows`` and ``bytes``.

        Returns:
            The content of the copy, and the part copied by this run.

        Raises:
            ScopeError: a scoped view cannot be backed up.
            BackendError: the folder holds something else, or the database failed.
            BlobError: bytes are missing or damaged in the store: check and repair it first.

        Example:
            >>> report = store.backup("backups/library")
            >>> with docstore.open("backups/library", read_only=True) as copy:
            ...     copy.documents.count()
            0
        """
        from docstore import maintenance

        self._look_after("backup")
        if self._scope != ANYWHERE:
            raise ScopeError("backup is of the whole store: call it on the store that is not scoped")
        root = self._context
        return maintenance.backup(
            root.backend, root.blobs, path, search_marks=root.search_marks, on_progress=on_progress
        )

    def stats(self, *, sizes: bool = False) -> Stats:
        """Count documents, extractions and bytes, from one snapshot; within the scope of a scoped view.

        Args:
            sizes: measure tables and indexes, too. Postgres knows them; of SQLite the whole file is read.

        Returns:
            The counts, and what workers hold. Bytes are those recorded: the storage is not looked at.

        Raises:
            BackendError: the database failed.

        Example:
            >>> store.stats().documents
            0
        """
        from docstore import maintenance

        self._look_after("stats")
        return maintenance.stats(self._context.backend, self._context.blobs, self._scope, sizes=sizes)

    def erase(
        self, *, tenant: str = UNSET, owner: str = UNSET, on_progress: OnProgress | None = None
    ) -> EraseReport:
        """Remove everything of a tenant and/or owner, at once and for good: documents of all versions,
        extractions, and every byte ever written for them, writes under way included.

        Killed on the way, the same call goes on.

        Args:
            tenant, owner: whose, non-empty texts. A scoped view needs neither: it erases its own, and a part
                that is given narrows that.
            on_progress: called after each batch.

        Returns:
            The removed records, counted, and the keys whose bytes could not be removed yet: collection tries
            again until they are. ``unreached`` names the other roots that still hold bytes of the scope: make
            the call on a store that is opened with each of them, too.

        Raises:
            ScopeError: nobody was named, or one whom this view is not confined to.
            BlobsNotConfigured: bytes were written for the scope and the store was opened without ``blobs=``.
            BackendError: the database failed; what was done stays done.

        Example:
            >>> store.erase(owner="ada").documents
            0
        """
        from docstore import maintenance

        named = tenant is not UNSET or owner is not UNSET
        self._look_after("erase", names_scope=named, writes=True)
        scope = narrowed(self._scope, tenant, owner) if named else self._scope
        root = self._context
        return maintenance.erase(
            root.backend, root.blobs, scope, store_id=root.store_id, on_progress=on_progress
        )

    def create_index(self, *fields: str) -> bool:
        """Keep documents in an order of fields, for sorts by metadata paths or equalities with an order.

        Filters need none: every path is indexed without being asked. On Postgres that finds values, ranges of
        numbers, and documents that lack a value which nearly all have; an index declared for a path finds
        other ranges and complements there, too (``$ne``, ``$nin``), where few documents match, and one for a
        path of few values and then ``created_at`` reads no more of them than a page has. Making one takes
        time in proportion to the documents there are, in one transaction.

        Args:
            fields: one or several field paths, ``-`` before one for descending; paths through arrays are
                allowed.

        Returns:
            Whether the index is new; the same one again is left as it is.

        Raises:
            InvalidSort: a path is none that can be sorted by.
            BackendError: the backend keeps no declared indexes, or the database failed.

        Example:
            >>> store.create_index("metadata.priority")
            True
            >>> store.create_index("owner", "status", "-created_at")
            True
        """
        from docstore.maintenance import tables

        self._look_after("create_index", writes=True)
        return tables.create_index(self._context.backend, fields, self._context.limits)

    def drop_index(self, *fields: str) -> bool:
        """Remove an index that :meth:`create_index` made of the same fields.

        Returns:
            Whether there was one.

        Raises:
            InvalidSort: a path is none that can be sorted by.
            BackendError: the backend keeps no declared indexes, or the database failed.

        Example:
            >>> store.create_index("metadata.priority")
            True
            >>> store.drop_index("metadata.priority")
            True
        """
        from docstore.maintenance import tables

        self._look_after("drop_index", writes=True)
        return tables.drop_index(self._context.backend, fields, self._context.limits)

    def indexes(self) -> list[tuple[str, ...]]:
        """Return the fields of each declared index, in the order of their making.

        Raises:
            BackendError: the database failed.

        Example:
            >>> store.create_index("metadata.priority", "-created_at")
            True
            >>> store.indexes()
            [('metadata.priority', '-created_at')]
        """
        from docstore.maintenance import tables

        self._look_after("indexes")
        return tables.declared(self._context.backend)

    def advise(self) -> list[Advice]:
        """Return indexes that would have helped this process's queries, the greatest gain first.

        Raises:
            BackendError: the database failed.

        Example:
            >>> store.advise()
            []
        """
        from docstore.maintenance import tables

        self._look_after("advise")
        return tables.advise(self._context.backend)

    def _look_after(self, what: str, *, names_scope: bool = False, writes: bool = False) -> None:
        """Refuse what cannot be done now, or here."""
        self._context.check_open()
        if writes:
            self._context.check_writable(what)
        if self._context.scope_required and not self._confined and not names_scope:
            raise ScopeRequired(
                f"{what}: this store asks for a scope: say store.scoped(...) or store.unscoped()"
            )
        if self._context.in_transaction:
            raise BackendError(f"{what} cannot be part of a transaction: call it outside of the block")

    def _any_blobs(self) -> bool:
        with self._context.read() as reader:
            return bool(reader.blobs(scope=self._scope, limit=1))


def _workers(given: int) -> int:
    """Return a number of threads, checked."""
    if type(given) is not int or not 1 <= given <= MOST_WORKERS:
        raise ValueError(f"workers={shown(given)}: expected a whole number from 1 to {MOST_WORKERS}")
    return given

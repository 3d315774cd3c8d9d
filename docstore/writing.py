"""Writing single records: read for update, check, write, and know one's own write again. Shared by both
collections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from docstore.backend import Lock, Query, Reader, Row, Writer, WritesAlone
from docstore.checks import Checks, check_order
from docstore.errors import BackendError, InvalidDocument, NotFound, RevisionConflict, ScopeError, shown
from docstore.models import readable
from docstore.query.expr import Compare
from docstore.query.fields import Collection
from docstore.records import Records

__all__ = ["Make", "Writes"]

T = TypeVar("T")
_NOT_ALONE = frozenset({"filename", "content"})
"""Columns whose change is more than one row's."""
Make = Callable[[Row, int], Mapping[str, Any] | None]
"""From the row as it is, and now, to the columns to set, ``None`` to leave it as it is; or the exception that
says why not."""


class Writes(Records[T]):
    """What both collections need to change a record."""

    @property
    def _checks(self) -> Checks:
        root = self._root
        return Checks(root.limits, root.default_timezone, root.metadata_default)

    def _mine(
        self,
        writer: Reader,
        id: str,
        *,
        include: frozenset[str] = frozenset(),
        lock: Lock | None = "wait",
        collection: Collection | None = None,
        number: int | None = None,
    ) -> Row:
        """Return the row with this id (of this ``number``, where it is known), locked unless ``lock`` is
        ``None``: the one there is in this scope.

        Raises:
            NotFound: there is none.
            ScopeError: several tenants have one, and the scope names none of them.
        """
        wanted = self._collection if collection is None else collection
        where = Compare(("id",), "eq", id) if number is None else Compare(("number",), "eq", number)
        query = Query(wanted, self._scope, where, limit=2, include=include, lock=lock)
        return _only(self._run_exactly(writer, query), id, wanted.name.rstrip("s"))

    def _changed(
        self,
        id: str | T,
        make: Make,
        *,
        if_revision: int | None = None,
        touch: bool = True,
        include: frozenset[str] = frozenset(),
        number: int | None = None,
        along: Callable[[Writer, Row, int], None] | None = None,
        first: Callable[[Writer], None] | None = None,
    ) -> T:
        """Read a row for update, let ``make`` say what changes, write it, and do ``along`` (with the row as
        it was, and now). ``first`` is done before the row is locked.

        Where the backend can, the row is read without a lock and written by itself, if it is still the same
        then; if it is not, or nobody knows, everything is done again within a block.

        ``include`` names private columns that ``make`` or ``along`` reads.
        """
        key, expected = self._id(id), check_revision_argument(if_revision)
        tried: Row | None = None
        if along is None and first is None and (backend := self._root.alone) is not None:
            row, now = self._now(backend, key, include, number)
            readable(self._collection, row)
            self._check_revision(row, expected)
            changes = make(row, now)
            if changes is None:
                return self._made(row)
            if _NOT_ALONE.isdisjoint(changes):
                written = _written(row, changes, now, touch=touch)
                tried = _as_written(row, written)
                done, unknown = self._root.written_alone(
                    lambda: backend.update_alone(self._collection, row, written)
                )
                if done:
                    return self._made(tried)
                tried = tried if unknown else None

        def work(writer: Writer) -> Row:
            nonlocal tried
            if first is not None:
                first(writer)
            row = readable(self._collection, self._mine(writer, key, include=include, number=number))
            if tried is not None and _recognised(row, tried):
                return row
            self._check_revision(row, expected)
            now = writer.now()
            changes = make(row, now)
            if changes is None:
                return row
            tried = self._write(writer, row, changes, now, touch=touch)
            if along is not None:
                along(writer, row, now)
            return tried

        return self._made(self._root.written(work, recognises=True))

    def _now(
        self, backend: WritesAlone, id: str, include: frozenset[str], number: int | None
    ) -> tuple[Row, int]:
        """Return the row with this id as it is, and now."""
        where = Compare(("id",), "eq", id) if number is None else Compare(("number",), "eq", number)
        rows, now = backend.select_now(Query(self._collection, self._scope, where, limit=2, include=include))
        return _only(rows, id, self._noun), now

    def _write(self, writer: Writer, row: Row, changes: Mapping[str, Any], now: int, *, touch: bool) -> Row:
        """Write changes to a row, its revision one higher; return the row as it is then."""
        written = _written(row, changes, now, touch=touch)
        if not writer.update(self._collection, row["number"], written):
            raise NotFound(f"no {self._noun} with the id {shown(row['id'])}", id=row["id"])
        return _as_written(row, written)

    def _check_revision(self, row: Row, expected: int | None) -> None:
        if expected is not None and row["revision"] != expected:
            raise RevisionConflict(
                f"{self._noun} {shown(row['id'])} is at revision {row['revision']}, not {expected}",
                id=row["id"], expected=expected, current=row["revision"],
            )  # fmt: skip


def _only(rows: Sequence[Row], id: str, noun: str) -> Row:
    """Return the row with an id."""
    if not rows:
        raise NotFound(f"no {noun} with the id {shown(id)}", id=id)
    if len(rows) > 1:
        raise ScopeError(
            f"several tenants have a {noun} with the id {shown(id)}: say which with scoped(tenant=...)"
        )
    return rows[0]


def _written(row: Row, changes: Mapping[str, Any], now: int, *, touch: bool) -> Row:
    """Return the columns to set where ``changes`` are made to a row.

    Raises:
        InvalidDocument: it would be updated before it was created.
    """
    written: Row = {**({"updated_at": now} if touch else {}), **changes, "revision": row["revision"] + 1}
    created: Any = written.get("created_at", row["created_at"])
    updated: Any = written.get("updated_at", row["updated_at"])
    if updated < created:
        if "updated_at" in changes:
            check_order(created, updated)
        written["updated_at"] = created  # it was given for a time to come, or by a clock that was ahead
    return written


def _as_written(row: Row, written: Row) -> Row:
    """Return a row with columns set, those of them that were read."""
    return {**row, **{name: value for name, value in written.items() if name in row}}


def check_revision_argument(if_revision: Any) -> int | None:
    """Return the argument.

    Raises:
        InvalidDocument: it is neither ``None`` nor a whole number.
    """
    if if_revision is not None and (not isinstance(if_revision, int) or isinstance(if_revision, bool)):
        raise InvalidDocument(
            f"if_revision={shown(if_revision)}: expected a whole number or None", field="if_revision"
        )
    return if_revision


def _recognised(row: Row, tried: Row) -> bool:
    """Return whether the row is what was written before the connection was lost; if it is not, nothing was
    written then.

    Raises:
        BackendError: it was changed more than once since, so that nobody can say.
    """
    if row["revision"] > tried["revision"]:
        raise BackendError(
            f"the connection was lost while {shown(row['id'])} was being changed, and it was changed since: "
            f"look before you repeat it",
            retryable=True, outcome_unknown=True,
        )  # fmt: skip
    return row == tried

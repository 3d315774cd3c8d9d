"""Session: one block of reads or writes over a DBAPI cursor, shared by the SQL backends.

Statements are text built from fixed pieces; the driver binds every value. A dialect adds its clock, its
locks, how it inserts many rows at once, and how it shows a plan.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection as Container
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from operator import itemgetter
from types import NoneType
from typing import Any, ClassVar

from docstore.backend import ANYWHERE, BlobRow, BlobState, Changes, Query, Row, Rows, Scope, Statement
from docstore.query.expr import Path
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind
from docstore.query.text import fold, search_fold, stored_symbols, stored_words, words
from docstore_sql.compiler import Compiler, Fragment, both
from docstore_sql.counters import COUNTED, Counters
from docstore_sql.tables import Tables, columns_of

# Columns of unique keys: setting one of them may raise Duplicate.
UNIQUE = frozenset({"id", "tenant", "owner", "external_id", "version", "is_latest"})
_COUNTED = frozenset(COUNTED)
# The columns that a select reads, by what it includes: there are few different ones.
_READ: dict[tuple[type, Tables, str, frozenset[str], frozenset[str] | None], tuple[tuple[str, ...], str]] = {}
# In the order of BlobRow, which is made of a row as it comes.
_BLOB_COLUMNS = ("key", "tenant", "owner", "sha256", "size", "state", "at", "attempts", "place")


def content_columns(content: str, *, marks: bool) -> tuple[str, str, str]:
    """Return the columns of the content table: the text, its words and its symbols (rule 22)."""
    folded = search_fold(content, marks=marks)
    return content, stored_words(words(folded)), stored_symbols(folded)


def name_columns(filename: str, *, marks: bool) -> tuple[str, str | None]:
    """Return the two folds of a filename: for operators, and for search, None if that is the same."""
    folded = fold(filename)
    if filename.isascii():
        return folded, None
    searched = search_fold(filename, marks=marks)
    return folded, None if searched == folded else searched


class Session(ABC):
    """A Writer on one DBAPI connection, in a transaction that its backend begins and ends."""

    mark: ClassVar[str]
    aborts: ClassVar[bool] = False
    """Whether an interrupted statement aborts the transaction."""
    appends: ClassVar[bool] = False
    """Whether counts are kept as rows that add up, for many writers at once."""

    def __init__(self, connection: Any, tables: Tables, compilers: Mapping[str, Compiler]) -> None:
        self.connection = connection
        # A fork must not use the connection of another process.
        self.process = os.getpid()
        self.cursor = self.cursor_on(connection)
        self.tables = tables
        self.compilers = compilers
        self.counters = Counters(self)

    @staticmethod
    def cursor_on(connection: Any) -> Any:
        """Return the cursor that the session's statements run on."""
        return connection.cursor()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Open a part of the block: an exception in it undoes the changes of the part."""
        self.cursor.execute("SAVEPOINT docstore_part")
        try:
            yield
        except BaseException:
            # The error that the caller must see is the one that led here.
            with suppress(Exception):  # a connection that is gone has undone everything
                self.cursor.execute("ROLLBACK TO SAVEPOINT docstore_part")
                self.cursor.execute("RELEASE SAVEPOINT docstore_part")
            raise
        self.cursor.execute("RELEASE SAVEPOINT docstore_part")

    # -- reading -----------------------------------------------------------------------------------

    def select(self, query: Query) -> list[Row]:
        """Return the rows of ``query`` in its order."""
        names, statement = self.statement(query)
        self.run(statement)
        return self._rows(query.collection, names, self.cursor.fetchall())

    def statement(self, query: Query) -> tuple[tuple[str, ...], Fragment]:
        """Return the names of the columns read, and the statement."""
        compiler = self.compilers[query.collection.name]
        parts = [
            Fragment(f"SELECT {self.selected(query)} FROM {self.tables.of(query.collection)} AS d"),
            self.condition(query),
        ]
        parts.append(compiler.order_by(query.order).wrapped(" ORDER BY "))
        parts.append(self._window(query))
        if query.lock is not None:
            parts.append(Fragment(self.row_lock(query.lock)))
        statement = Fragment("".join(part.text for part in parts), sum((part.values for part in parts), ()))
        return self.names_read(query), statement

    def names_read(self, query: Query) -> tuple[str, ...]:
        """Return the names of the columns that ``query`` reads."""
        return self._columns_read(query)[0]

    def selected(self, query: Query) -> str:
        """Return those columns as SQL text."""
        return self._columns_read(query)[1]

    def _columns_read(self, query: Query) -> tuple[tuple[str, ...], str]:
        # A process may have stores of two backends, and of several prefixes.
        place = (type(self), self.tables, query.collection.name, query.include, query.only)
        found = _READ.get(place)
        if found is None:
            whole = (*query.collection.light(), *sorted(query.include))
            names = whole if query.only is None else tuple(sorted(query.only))
            found = _READ[place] = (names, ", ".join(map(self._read_column, names)))
        return found

    def condition(self, query: Query) -> Fragment:
        """Return the WHERE clause: the scope outermost, then the filter, then the position."""
        compiler = self.compilers[query.collection.name]
        parts = [compiler.scope(query.scope), compiler.where(query.where)]
        if query.after is not None:
            parts.append(compiler.after(query.order, query.after))
        condition = both(parts)
        return condition.wrapped(" WHERE ")

    def _read_column(self, name: str) -> str:
        return self.tables.content_of("d", name) if name in ("content", "words") else f"d.{name}"

    def _window(self, query: Query) -> Fragment:
        limit = Fragment("")
        if query.limit is not None:
            limit = Fragment(f" LIMIT {self.mark}", (query.limit,))
        elif query.offset:
            limit = Fragment(self.no_limit)
        if not query.offset:
            return limit
        return Fragment(f"{limit.text} OFFSET {self.mark}", (*limit.values, query.offset))

    no_limit: ClassVar[str] = ""

    def row_lock(self, lock: str) -> str:
        """Return the words that lock the rows read; none where there is a single writer."""
        return ""

    def count(self, query: Query, at_most: int | None = None) -> int:
        """Count the rows of ``query``, up to ``at_most``."""
        known = self.counters.count(query)
        if known is not None:
            return known if at_most is None else min(known, at_most)
        inner = self.condition(query).wrapped(f" FROM {self.tables.of(query.collection)} AS d")
        if at_most is None:
            self.run(inner.wrapped("SELECT count(*)"))
        else:
            limited = inner.wrapped("SELECT 1", f" LIMIT {self.mark}")
            capped = Fragment(f"SELECT count(*) FROM ({limited.text}) AS capped", (*limited.values, at_most))
            self.run(capped)
        return int(self.cursor.fetchone()[0])

    def count_by(self, query: Query, path: Path) -> Mapping[Any, int] | None:
        """Count by a column of the table; JSON paths are the core's, unless the dialect knows better."""
        field = query.collection.column(path[0])
        if field.kind is Kind.JSON or field.heavy:
            return None
        known = self.counters.count_by(query, field.name)
        if known is not None:
            return known
        column = self.compilers[query.collection.name].column(field)
        body = self.condition(query).wrapped(
            f"SELECT {column}, count(*) FROM {self.tables.of(query.collection)} AS d", " GROUP BY 1"
        )
        self.run(body)
        read = bool if field.kind is Kind.BOOLEAN else _same
        return {None if value is None else read(value): int(n) for value, n in self.cursor.fetchall()}

    def explain(self, query: Query) -> Statement:
        """Return the statement of ``query`` and the engine's plan for it."""
        _, statement = self.statement(query)
        return Statement(statement.text, statement.values, self.plan_of(statement))

    def blobs(
        self,
        *,
        states: Container[BlobState] = (),
        before: int | None = None,
        after_key: str = "",
        limit: int = 1000,
        keys: Sequence[str] | None = None,
        scope: Scope = ANYWHERE,
    ) -> list[BlobRow]:
        """Return blob rows ordered by key."""
        parts = [Fragment(f"b.key > {self.mark}", (after_key,))]
        if states:
            marks = ", ".join([self.mark] * len(states))
            parts.append(Fragment(f"b.state IN ({marks})", tuple(states)))
        if before is not None:
            parts.append(Fragment(f"b.at < {self.mark}", (before,)))
        if keys is not None:
            parts.append(self.listed("b.key", keys))
        parts += [
            Fragment(f"b.{name} = {self.mark}", (value,))
            for name, value in (("tenant", scope.tenant), ("owner", scope.owner))
            if value is not None
        ]
        where = both(parts)
        columns = ", ".join(f"b.{name}" for name in _BLOB_COLUMNS)
        self.run(
            Fragment(
                f"SELECT {columns} FROM {self.tables.blob} AS b WHERE {where.text}"
                f" ORDER BY b.key LIMIT {self.mark}",
                (*where.values, limit),
            )
        )
        return [BlobRow(row[0], row[1] or None, *row[2:]) for row in self.cursor.fetchall()]

    def setting(self, name: str) -> str | None:
        """Return the text kept under a name, ``None`` if there is none."""
        text = f"SELECT value FROM {self.tables.setting} WHERE name = {self.mark}"
        self.run(Fragment(text, (name,)))
        found = self.cursor.fetchone()
        return None if found is None else str(found[0])

    # -- writing -----------------------------------------------------------------------------------

    def set_setting(self, name: str, value: str) -> None:
        """Keep a text under a name."""
        self.run(
            Fragment(
                f"INSERT INTO {self.tables.setting} (name, value) VALUES ({self.mark}, {self.mark})"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )
        )

    def insert(self, collection: Collection, rows: Sequence[Row]) -> list[int]:
        """Add rows; return their numbers."""
        numbers = self.insert_rows(collection, rows)
        if collection is DOCUMENTS:
            self._insert_contents(rows, numbers)
            self.counters.add(self.counters.of_rows(rows))
        return numbers

    def _insert_contents(self, rows: Sequence[Row], numbers: Sequence[int]) -> None:
        if type(rows) is Rows and set(map(type, rows.columns["content"])) == {NoneType}:
            return
        given = [
            (number, row) for number, row in zip(numbers, rows, strict=True) if row.get("content") is not None
        ]
        if not given:
            return
        marks = self.tables.search_marks
        lines = (
            (number, row.get("tenant") or "", *content_columns(row["content"], marks=marks))
            for number, row in given
        )
        self.insert_contents(lines, len(given))

    def insert_names(self, collection: Collection) -> tuple[str, ...]:
        """Return the columns that an insert names: all of the table's own but the number."""
        return _INSERTED[collection.name]

    def insert_values(self, collection: Collection, row: Row) -> list[Any]:
        """Return the values for :meth:`insert_names`."""
        values = list(_VALUES_OF[collection.name](row))
        values[_TENANT_AT[collection.name]] = row["tenant"] or ""
        values += name_columns(row["filename"], marks=self.tables.search_marks)
        return values

    def update(self, collection: Collection, row: Row, changes: Mapping[str, Any]) -> bool:
        """Set columns of one row; return whether it exists."""
        return self.update_many(collection, [(row, changes)])

    def update_many(self, collection: Collection, changes: Changes) -> bool:
        """Set columns of rows, by a statement for all that set the same ones; return whether all exist."""
        counted: list[tuple[Row, Mapping[str, Any]]] = []
        groups: dict[tuple[str, ...], tuple[list[Row], list[Iterable[Any]]]] = {}
        for row, columns in changes:
            stored = columns
            if "content" in columns:
                stored = {name: value for name, value in columns.items() if name != "content"}
            if collection is DOCUMENTS and not _COUNTED.isdisjoint(stored):
                counted.append((row, stored))
            rows, values = groups.setdefault(tuple(stored), ([], []))
            rows.append(row)
            values.append(stored.values())
        before = self.counters.of_stored([row for row, _ in counted]) if counted else {}
        written = 0
        for names, (rows, values) in groups.items():
            written += self._update_alike(
                collection, rows, dict(zip(names, zip(*values, strict=True), strict=True))
            )
        if counted:
            self.counters.add(self.counters.moved(before, counted))
        if written < len(changes):
            return False
        contents = [{**row, **columns} for row, columns in changes if "content" in columns]
        if contents:
            for chosen in self.chosen(contents):
                self.run(chosen.wrapped(f"DELETE FROM {self.tables.content} WHERE "))
            self._insert_contents(contents, [row["number"] for row in contents])
        return True

    def _update_alike(
        self, collection: Collection, rows: list[Row], columns: Mapping[str, Sequence[Any]]
    ) -> int:
        """Set the same columns in rows, a value for each row; return how many rows exist."""
        if columns:
            stored = self.changed_columns(rows, columns)
            if UNIQUE.isdisjoint(columns):
                return self.update_alike(collection, rows, stored)
            with self.kept():
                return self.update_alike(collection, rows, stored)
        found = 0
        for chosen in self.chosen(rows):
            self.run(chosen.wrapped(f"SELECT count(*) FROM {self.tables.of(collection)} WHERE "))
            found += self.cursor.fetchone()[0]
        return found

    def update_alike(
        self, collection: Collection, rows: Sequence[Row], columns: Mapping[str, Sequence[Any]]
    ) -> int:
        """Set columns of the table in rows, at least one of both; return how many rows exist."""
        sets, exist = self.assignments(columns), 0
        for row, values in zip(rows, zip(*columns.values(), strict=True), strict=True):
            key = self.key_of(row)
            text = f"UPDATE {self.tables.of(collection)} SET {sets} WHERE {key.text}"
            exist += self.run(Fragment(text, (*values, *key.values)))
        return exist

    def changed_columns(
        self, rows: Sequence[Row], columns: Mapping[str, Sequence[Any]]
    ) -> dict[str, Sequence[Any]]:
        """Return the columns of the table that changes of rows set, with those that are made of them."""
        stored = dict(columns)
        if "tenant" in columns:
            stored["tenant"] = [tenant or "" for tenant in columns["tenant"]]
        if "filename" in columns:
            folds = [name_columns(name, marks=self.tables.search_marks) for name in columns["filename"]]
            stored["filename_fold"], stored["filename_search"] = zip(*folds, strict=True)
        return stored

    def assignments(self, names: Iterable[str]) -> str:
        """Return the SET clause for columns of the table."""
        return ", ".join([f"{name} = {self.mark}" for name in names])

    def delete(self, collection: Collection, rows: Sequence[Row]) -> int:
        """Remove rows, content and extractions by foreign keys; return how many rows there were."""
        if collection is DOCUMENTS:
            self.counters.add(Counter(self.counters.of_stored(rows).values()), -1)
        start = f"DELETE FROM {self.tables.of(collection)} WHERE "
        return sum(self.run(chosen.wrapped(start)) for chosen in self.chosen(rows))

    def key_of(self, row: Row) -> Fragment:
        """Return the condition for one row, and for a document's content."""
        return Fragment(f"number = {self.mark}", (row["number"],))

    def chosen(self, rows: Sequence[Row]) -> list[Fragment]:
        """Return the conditions for rows, to be asked one after another."""
        return [self.listed("number", [row["number"] for row in rows])]

    def insert_blob(self, blob: BlobRow) -> None:
        """Add a blob row."""
        marks = ", ".join([self.mark] * len(_BLOB_COLUMNS))
        values = [getattr(blob, name) for name in _BLOB_COLUMNS]
        values[1] = blob.tenant or ""
        self.run(
            Fragment(
                f"INSERT INTO {self.tables.blob} ({', '.join(_BLOB_COLUMNS)}) VALUES ({marks})", tuple(values)
            )
        )

    def update_blob(self, blob: BlobRow, states: Container[BlobState], **changes: Any) -> bool:
        """Set fields of a blob row if its state is among ``states``; return whether it was."""
        unknown = changes.keys() - set(_BLOB_COLUMNS)
        if unknown:
            raise ValueError(f"no blob column {min(unknown)!r}; the columns are {', '.join(_BLOB_COLUMNS)}")
        if "tenant" in changes:
            changes["tenant"] = changes["tenant"] or ""
        sets = ", ".join(f"{name} = {self.mark}" for name in changes)
        where = self._blob_in(blob, states)
        self.run(
            Fragment(
                f"UPDATE {self.tables.blob} SET {sets} WHERE {where.text}", (*changes.values(), *where.values)
            )
        )
        return bool(self.cursor.rowcount == 1)

    def delete_blob(self, blob: BlobRow, states: Container[BlobState]) -> bool:
        """Remove a blob row if its state is among ``states``; return whether it was."""
        self.run(self._blob_in(blob, states).wrapped(f"DELETE FROM {self.tables.blob} WHERE "))
        return bool(self.cursor.rowcount == 1)

    def _blob_in(self, blob: BlobRow, states: Container[BlobState]) -> Fragment:
        marks = ", ".join([self.mark] * len(states))
        text = f"tenant = {self.mark} AND key = {self.mark} AND state IN ({marks})"
        return Fragment(text, (blob.tenant or "", blob.key, *states))

    # -- rows --------------------------------------------------------------------------------------

    def _rows(
        self, collection: Collection, names: Sequence[str], fetched: Sequence[Sequence[Any]]
    ) -> list[Row]:
        rows = [dict(zip(names, values, strict=True)) for values in fetched]
        for row in rows if "tenant" in names else ():
            if row["tenant"] == "":
                row["tenant"] = None
        return rows

    def run(self, statement: Fragment) -> int:
        """Execute ``statement``; return the driver's count of rows (-1 where it has none)."""
        self.cursor.execute(statement.text, statement.values)
        return int(self.cursor.rowcount)

    # -- what a dialect adds -----------------------------------------------------------------------

    @abstractmethod
    def interrupt(self) -> None:
        """Interrupt the statement that is running, from another thread; within five seconds or not at all."""

    @abstractmethod
    def is_under_way(self) -> bool:
        """Return whether the block's transaction is still open."""

    @abstractmethod
    def kept(self) -> AbstractContextManager[None]:
        """Raise Duplicate where a unique key turns out to be taken, and keep the transaction alive."""

    @abstractmethod
    def insert_rows(self, collection: Collection, rows: Sequence[Row]) -> list[int]:
        """Insert rows into the collection's table; return their numbers. Keep none if one is a Duplicate."""

    @abstractmethod
    def insert_contents(self, lines: Iterable[tuple[int, str, str, str, str]], count: int) -> None:
        """Insert rows of content: number, tenant, content, words, symbols.

        Args:
            lines: the rows, made as they are asked for.
            count: how many they are, at least one.
        """

    @abstractmethod
    def listed(self, column: str, values: Sequence[Any]) -> Fragment:
        """Return ``column`` being among ``values`` (all numbers or all text), bound as one parameter."""

    @abstractmethod
    def plan_of(self, statement: Fragment) -> str:
        """Return the engine's own plan for ``statement``, as text."""

    def try_lock(self, name: str) -> bool:
        """Take the lock of this name until the block ends if nobody has it; return whether it was taken."""
        return True

    @abstractmethod
    def now(self) -> int:
        """Return the clock, microseconds since the epoch."""

    @abstractmethod
    def restore(self, statements: Sequence[str], missing: set[str]) -> None:
        """Make missing derived objects, and fill them.

        Args:
            statements: the statements that make all of them, where they are missing.
            missing: the names of those that are missing.
        """

    @abstractmethod
    def lock(self, *names: str) -> None:
        """Keep other blocks that name the same from going on until this one ends."""


def _same(value: Any) -> Any:
    return value


_STORED = {
    collection.name: tuple(field.name for field in columns_of(collection) if field.name != "number")
    for collection in (DOCUMENTS, EXTRACTIONS)
}
_INSERTED = {name: (*columns, "filename_fold", "filename_search") for name, columns in _STORED.items()}
_VALUES_OF = {name: itemgetter(*columns) for name, columns in _STORED.items()}
_TENANT_AT = {name: columns.index("tenant") for name, columns in _STORED.items()}

"""Session on SQLite: numbers from the rowid, lists as one JSON array, a clock that never goes backwards.

Many rows are inserted by one statement. Binding a value takes a tenth of the time that its whole row takes,
and most columns of most documents are empty. So a value that all rows have stands in the statement as a
literal, and columns with equal values are bound once.

Documents are listed all the time. Their rows are written out as one display of names and values; filling
and correcting a dictionary name by name takes twice as long.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from docstore_sql.compiler import ColumnFilter, Compiler, Fragment, both, joined
from docstore_sql.migrations import made_by
from docstore_sql.session import UNIQUE, Session, name_columns
from docstore_sql.tables import Tables, columns_of

from docstore.backend import Capabilities, Changes, Duplicate, Query, Row, SortKey, Statement, column
from docstore.concurrency import Clock
from docstore.query.expr import And, Compare, In, Not, Path
from docstore.query.facets import Bucket, in_buckets
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, STATUSES, Collection, Kind
from docstore_sqlite import declared_indexes
from docstore_sqlite.compiler import SQLiteCompiler
from docstore_sqlite.delta_log import BULK_ROWS, compact_new, log_statement
from docstore_sqlite.index_check import index_differences, rebuild_index
from docstore_sqlite.planner import IndexSearch, SQLitePrepared, column_page, prepared_query
from docstore_sqlite.posting_store import FIELDS, SharedIndex, drop_torn, merge_texts

# -- rows in and out -------------------------------------------------------------------------------

# Few literals, so that there are few statements.
_LITERALS: Final = {None: "NULL", 0: "0", 1: "1"}


def insertion(
    table: str, names: Sequence[str], numbers: Sequence[int], rows: Sequence[Row], *, marks: bool
) -> tuple[str, Iterator[tuple[Any, ...]]]:
    """Return an INSERT statement and its values, row by row.

    Args:
        table: the table as SQL text.
        names: the columns besides the number; the last two are the folds of the filename.
        numbers: the numbers of the rows.
        rows: the rows, at least one.
        marks: whether the fold for search keeps marks.
    """
    *stored, fold_name, search_name = names
    columns = {name: column(rows, name) for name in stored}
    folds = [name_columns(filename, marks=marks) for filename in columns["filename"]]
    folded, columns[search_name] = map(list, zip(*folds, strict=True))
    columns[fold_name] = columns["filename"] if folded == columns["filename"] else folded
    literals = {name: _literal(columns[name]) for name in names}
    bound = [columns[name] for name in names if literals[name] is None]
    # A value that two columns share is bound twice: Python 3.12.0 to 3.12.3 warn of `?1`.
    marked = {name: "?" if literal is None else literal for name, literal in literals.items()}
    if marked["tenant"] == "NULL":
        marked["tenant"] = "''"
    elif None in columns["tenant"]:
        marked["tenant"] = "coalesce(?, '')"
    values = ", ".join(marked[name] for name in names)
    text = f"INSERT INTO {table} (number, {', '.join(names)}) VALUES (?, {values})"
    return text, zip(numbers, *bound, strict=True)


def _literal(values: Sequence[Any]) -> str | None:
    """Return the literal that all rows have in a column, None if the column has to be bound."""
    first = values[0]
    if first is not None and type(first) is not int and type(first) is not bool:
        return None
    text = _LITERALS.get(first)
    return text if text is not None and values.count(first) == len(values) else None


# SQLite has no booleans. What somebody else wrote there stays as it is: the core calls it unreadable.
_TRUTH = {0: False, 1: True}
_LIGHT = DOCUMENTS.light()
# The columns that SQLite stores as 0 and 1.
_BOOLEANS = {
    collection.name: tuple(field.name for field in columns_of(collection) if field.kind is Kind.BOOLEAN)
    for collection in (DOCUMENTS, EXTRACTIONS)
}


_STORED_AS = {"is_latest": "is_latest == 1 if is_latest in _TRUTH else is_latest", "tenant": "tenant or None"}
_ITEMS = ", ".join(f"{name!r}: {_STORED_AS.get(name, name)}" for name in _LIGHT)
# One display of a dictionary, made from the fields: a third less CPU than dict(zip(…)) for a page of rows.
# Return a document's row; its columns are those of `_LIGHT`.
_document: Callable[..., Row] = eval(f"lambda {', '.join(_LIGHT)}: {{{_ITEMS}}}")


# -- the session -----------------------------------------------------------------------------------

# Pages of the text index that one transaction of upkeep merges: 0.14 s.
_MERGED_PAGES = 512
# Statements that a session keeps.
_STATEMENTS = 128
# Columns whose change is more than one row's: of unique keys, of texts, with folds beside them.
_OF_MORE = UNIQUE | {"filename", "content"}
# SQLite names the index of a constraint over an expression, else the columns: "… .id, … .tenant".
_CONSTRAINT = re.compile(r"document_(version|latest)|\.id\b")


def is_integrity_error(error: BaseException) -> bool:
    """Return whether ``error`` says that a constraint failed, whichever sqlite3 module raised it."""
    return isinstance(error, sqlite3.IntegrityError) or type(error).__name__ == "IntegrityError"


def _raise_duplicate(error: Exception) -> None:
    """Raise Duplicate if an error says that a unique key is taken."""
    if is_integrity_error(error) and "UNIQUE" in str(error):
        found = _CONSTRAINT.search(str(error))
        constraint = "" if found is None else "version" if found.group(1) else "id"
        raise Duplicate(str(error), constraint=constraint) from error


class SQLiteSession(Session):
    """A block on one SQLite connection."""

    mark: ClassVar[str] = "?"
    no_limit: ClassVar[str] = " LIMIT -1"
    capabilities: ClassVar[Capabilities] = Capabilities(
        takes_columns=True, updates_many=True, reads_words=True, counts_buckets=True
    )

    def __init__(
        self,
        connection: Any,
        tables: Tables,
        compilers: Mapping[str, Compiler],
        shared: Mapping[str, SharedIndex] | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(connection, tables, compilers)
        self.clock = Clock() if clock is None else clock
        if shared is None:
            shared = {name: SharedIndex() for name in FIELDS}
        self.indexed = IndexSearch(self, tables, shared)
        self._inserts: dict[str, str] = {}  # the statement of one row, by collection
        # The statements of one row, by collection and columns.
        self._updates: dict[tuple[str, ...], tuple[str | None, str, bool]] = {}

    # -- reading by the index ----------------------------------------------------------------------

    def interrupt(self) -> None:
        """Interrupt the statement that is running, from another thread."""
        driver = self.connection.driver_connection
        getattr(driver, "_conn", driver).interrupt()

    def is_under_way(self) -> bool:
        """Return whether the transaction is open: SQLite rolls back by itself after a bad failure."""
        return bool(self.connection.driver_connection.in_transaction)

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """Let several statements see one state of the database, within a transaction or not."""
        if self.connection.driver_connection.in_transaction:
            yield
            return
        self.cursor.execute("BEGIN")
        try:
            yield
        finally:
            self.cursor.execute("ROLLBACK")

    def select(self, query: Query) -> list[Row]:
        """Return the rows of ``query`` in its order, found by the index where it helps."""
        if (id := _id_of(query)) is not None:
            return self._point(query, id)
        rows = self._select(query)
        if query.after is not None and query.limit is not None and len(rows) < query.limit:
            first = query.order[0]
            if first.descending and first.path == _CREATED:
                rows += self._undated(query, query.limit - len(rows))
        return rows

    def _undated(self, query: Query, limit: int) -> list[Row]:
        """Return rows whose ``created_at`` is NULL, the last of a walk from the newest on.

        Somebody changed them by hand; the core reports them as unreadable. The comparison of positions
        leaves them out, as SQLite must be able to look it up in the index.
        """
        compiler = self.compilers[query.collection.name]
        where = both(
            (compiler.scope(query.scope), compiler.where(query.where), Fragment("d.created_at IS NULL"))
        )
        start = f"SELECT {self.selected(query)} FROM {self.tables.of(query.collection)} AS d WHERE "
        return self.rows_of(query, where.wrapped(start, f" LIMIT {int(limit)}"))

    def _select(self, query: Query) -> list[Row]:
        if query.lock == "skip" and (queued := self._queued(query)) is not None:
            return self.rows_of(query, queued)
        held = prepared_query(query)
        if (columns := _columns_of(query, held)) is not None:
            return self.rows_of(query, self._column_page(query, columns))
        asked, begun = self.indexed.asked(query, held), time.perf_counter()
        if asked.uses_index(query):
            with self.one_state():
                _, statement = self.indexed.select(query, asked)
                self.cursor.execute(statement.text, statement.values)
                rows = self._rows(query.collection, asked.order.names, self.cursor.fetchall())
        else:
            rows = super().select(query)
        if not asked.order.is_sorted:  # what a declared index would save
            seconds = time.perf_counter() - begun
            self.indexed.shared[query.collection.name].sorted_by_hand(query.order, seconds)
        return rows

    def _queued(self, query: Query) -> Fragment | None:
        """Return the statement of a claim by a partial index, None if the filter asks for more.

        SQLite uses a partial index only if the status stands in the statement as a literal.
        """
        terms = query.where.terms if isinstance(query.where, And) else (query.where,)
        statuses = [
            term.value for term in terms
            if isinstance(term, Compare) and term.path == ("status",) and term.value in STATUSES
        ]  # fmt: skip
        private = query.collection.private
        plain = [term.term if isinstance(term, Not) else term for term in terms]
        others = [term for term in plain if not isinstance(term, Compare) or term.path[0] not in private]
        if len(others) != 1 or not statuses or query.after is not None:
            return None
        leased = any(isinstance(term, Compare) and term.path[0] in private for term in terms)
        kind = "lease" if leased else "queue"
        index = f'INDEXED BY "{self.tables.prefix}document_{kind}"'  # else it walks all by number, sorted so
        start = f"SELECT {self.selected(query)} FROM {self.tables.of(query.collection)} AS d {index}"
        condition = self.condition(query).wrapped(start, f" AND d.status = '{statuses[0]}' ORDER BY d.number")
        return joined("", (condition, self._window(query)))

    def _point(self, query: Query, id: str) -> list[Row]:
        """Return the rows with an id: the statement is the same for all ids."""
        scope, compiler = query.scope, self.compilers[query.collection.name]
        assert isinstance(compiler, SQLiteCompiler)
        place = (scope.tenant is None, scope.owner is None, query.limit is None, query.include, query.only)
        known = compiler.points.get(place)
        if known is None:
            names, statement = self.statement(query)
            known = compiler.points[place] = (names, statement.text)
        names, text = known
        values = [value for value in (scope.tenant, scope.owner, id, query.limit) if value is not None]
        self.cursor.execute(text, values)
        fetched = self.cursor.fetchall()
        if names == _LIGHT:
            return [_document(*values) for values in fetched]
        return self._rows(query.collection, names, fetched)

    def _column_page(self, query: Query, columns: ColumnFilter) -> Fragment:
        compiler = self.compilers[query.collection.name]
        assert isinstance(compiler, SQLiteCompiler)
        return column_page(columns, query, self.selected(query), compiler)

    def rows_of(self, query: Query, statement: Fragment) -> list[Row]:
        """Return the rows that a statement for a query reads."""
        self.run(statement)
        return self._rows(query.collection, self.names_read(query), self.cursor.fetchall())

    def count(self, query: Query, at_most: int | None = None) -> int:
        """Count the rows of ``query``: by the tally, else by the index."""
        known = self.counters.count(query)
        if known is not None:
            return known if at_most is None else min(known, at_most)
        asked = self.indexed.asked(query)
        if not asked.uses_index(query):
            return super().count(query, at_most)
        with self.one_state():
            return self.indexed.count(query, asked, at_most)

    def count_by(self, query: Query, path: Path, bucket: Bucket | None = None) -> Mapping[Any, int] | None:
        """Count by the values at a path, or by buckets: by the counters, the index, or the rows."""
        field = query.collection.column(path[0])
        counted: Mapping[Any, int] | None = None
        if not field.heavy and query.lock is None and self.counters.count_by(query, field.name) is None:
            with self.one_state():
                counted = self.indexed.count_by(query, path, bucket)
        if counted is None:
            counted = super().count_by(query, path)
            return counted if counted is None or bucket is None else in_buckets(counted, bucket)
        return counted

    def explain(self, query: Query) -> Statement:
        """Return the statement of ``query``, SQLite's plan for it, and how the index comes in."""
        held = prepared_query(query)
        if (columns := _columns_of(query, held)) is not None:
            statement = self._column_page(query, columns)
            return Statement(statement.text, statement.values, self.plan_of(statement))
        asked = self.indexed.asked(query, held)
        if not asked.uses_index(query):
            return super().explain(query)
        with self.one_state():
            way, statement = self.indexed.select(query, asked)
            return Statement(statement.text, statement.values, self.plan_of(statement), (str(way),))

    # -- declared indexes and upkeep ---------------------------------------------------------------

    def create_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Make a declared index; return whether it is new."""
        return declared_indexes.create(self.cursor, self.tables, collection, keys)

    def drop_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Remove a declared index; return whether it was there."""
        return declared_indexes.drop(self.cursor, self.tables, collection, keys)

    def indexes(self, collection: Collection) -> list[tuple[SortKey, ...]]:
        """Return the keys of each declared index."""
        return declared_indexes.read(self.cursor, self.tables, collection)

    def index_differences(self, unreadable: Mapping[str, Container[int]] = {}) -> list[str]:
        """Return how the index differs from the rows in words, ``unreadable`` rows aside."""
        return index_differences(self, unreadable)

    def restore(self, statements: Sequence[str], missing: set[str]) -> None:
        """Make missing objects; rebuild the index unless only indexes and views were missing."""
        kinds = made_by(statements)
        drop_torn(self.cursor, self.tables, missing)
        for statement in statements:
            self.cursor.execute(statement)
        if any(kinds.get(name) not in ("INDEX", "VIEW") for name in missing):
            self.rebuild_index()

    def rebuild_index(self) -> None:
        """Make the index anew from the rows."""
        rebuild_index(self)

    def is_noted(self) -> bool:
        """Return whether the delta log holds any change."""
        return self.indexed.is_noted()

    def compact_all(self) -> None:
        """Compact the delta log."""
        self.indexed.compact_all()

    def merge_texts(self, *, begin: bool) -> bool:
        """Merge a part of the text index; return whether more is left."""
        return merge_texts(self.cursor, self.indexed.names, _MERGED_PAGES, begin=begin)

    def is_alone(self) -> bool:
        """Return whether all tables of the database are this store's."""
        named = self.tables.prefix.replace("_", "\\_")
        self.cursor.execute(
            "SELECT NOT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name NOT LIKE ? "
            "ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\')",
            (f"{named}%",),
        )
        return bool(self.cursor.fetchone()[0])

    def vacuum(self) -> None:
        """Write the whole file anew. Call outside of a transaction."""
        self.cursor.execute("VACUUM")

    def checkpoint(self) -> None:
        """Take the WAL over into the file and empty it, as far as no reader needs it."""
        ((waits,),) = self.cursor.execute("PRAGMA busy_timeout").fetchall()
        self.cursor.execute("PRAGMA busy_timeout = 100").fetchall()
        try:
            self.cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self.cursor.execute(f"PRAGMA busy_timeout = {waits}").fetchall()

    # -- writing -----------------------------------------------------------------------------------

    def insert(self, collection: Collection, rows: Sequence[Row]) -> list[int]:
        """Add rows; log them for the index, or compact very many at once. Return their numbers."""
        if len(rows) == 1:
            return [self._insert_single(collection, rows[0])]
        numbers = super().insert(collection, rows)
        if len(numbers) >= BULK_ROWS:
            compact_new(self.cursor, self.indexed.names, collection, numbers, rows)
        else:
            self.indexed.inserted(collection, numbers)
        return numbers

    def _insert_single(self, collection: Collection, row: Row) -> int:
        number = self._insert_one(collection, row)
        if collection is DOCUMENTS:
            if row.get("content") is not None:
                self._insert_contents([row], [number])
            self.counters.add_row(row)
        self.indexed.inserted(collection, (number,))
        return number

    def update(self, collection: Collection, row: Row, changes: Mapping[str, Any]) -> bool:
        """Set columns of one row, logged for the index as it was; return whether it exists."""
        if changes and _OF_MORE.isdisjoint(changes) and self._update_single(collection, row, changes):
            return True
        return self.update_many(collection, [(row, changes)])

    def update_many(self, collection: Collection, changes: Changes) -> bool:
        """Set columns of rows, logged for the index as they were; return whether all exist."""
        noted = self.indexed.changing(collection, changes)
        exist = super().update_many(collection, changes)
        if noted:
            self.indexed.changed(collection)
        return exist

    def _update_single(self, collection: Collection, row: Row, columns: Mapping[str, Any]) -> bool:
        """Set columns that concern the row alone; return whether it is there, and counted as it was read."""
        statements = self._updates.get((collection.name, *columns))
        if statements is None:
            statements = self._update_statements(collection, columns)
        log, text, is_counted = statements
        number = row["number"]
        if log is not None:
            self.indexed.log(log, (number,))
        if is_counted:
            tenant, owner, latest, status = row["tenant"] or "", row["owner"], row["is_latest"], row["status"]
            self.cursor.execute(text, (*columns.values(), number, tenant, owner, latest, status))
        else:
            self.cursor.execute(text, (*columns.values(), number))
        if self.cursor.rowcount != 1:
            return False
        if is_counted:
            self.counters.move(
                (tenant, owner or "", latest, status), (tenant, owner or "", latest, columns["status"])
            )
        if log is not None:
            self.indexed.changed(collection)
        return True

    def _update_statements(
        self, collection: Collection, columns: Mapping[str, Any]
    ) -> tuple[str | None, str, bool]:
        """Return what logs one row, what updates it, and whether it is counted by one of these columns."""
        is_indexed = not FIELDS[collection.name].keys().isdisjoint(columns)
        is_counted = collection is DOCUMENTS and "status" in columns
        text = f"UPDATE {self.tables.of(collection)} SET {self.assignments(columns)} WHERE number = ?"
        if is_counted:  # as the row was read, which says what it is counted by
            text += " AND tenant = ? AND owner IS ? AND is_latest = ? AND status = ?"
        log = log_statement(self.indexed.names, collection, "number = ?") if is_indexed else None
        if len(self._updates) >= _STATEMENTS:
            self._updates.clear()
        found = self._updates[(collection.name, *columns)] = (log, text, is_counted)
        return found

    def update_alike(
        self, collection: Collection, rows: Sequence[Row], columns: Mapping[str, Sequence[Any]]
    ) -> int:
        """Set columns in rows by one statement, run for each; return how many rows exist."""
        text = f"UPDATE {self.tables.of(collection)} SET {self.assignments(columns)} WHERE number = ?"
        values = zip(*columns.values(), (row["number"] for row in rows), strict=True)
        if len(rows) == 1:
            self.cursor.execute(text, next(values))
        else:
            self.cursor.executemany(text, values)
        return int(self.cursor.rowcount)

    def delete(self, collection: Collection, rows: Sequence[Row]) -> int:
        """Remove rows, logged for the index as they were; return how many there were."""
        [chosen] = self.chosen(rows)
        self.indexed.deleting(collection, chosen)
        if collection is DOCUMENTS:
            table = self.tables.of(DOCUMENTS)
            owned = chosen.wrapped(f"(tenant, document_id) IN (SELECT tenant, id FROM {table} WHERE ", ")")
            self.indexed.deleting(EXTRACTIONS, owned)
            # an application's connection, which a block may join, need not enforce foreign keys
            self.run(owned.wrapped(f"DELETE FROM {self.tables.of(EXTRACTIONS)} WHERE "))
            self.run(chosen.wrapped(f"DELETE FROM {self.tables.content} WHERE "))
        removed = super().delete(collection, rows)
        self.indexed.changed(collection)
        if collection is DOCUMENTS:
            self.indexed.changed(EXTRACTIONS)
        return removed

    def _rows(
        self, collection: Collection, names: Sequence[str], fetched: Sequence[Sequence[Any]]
    ) -> list[Row]:
        if names == _LIGHT:
            return [_document(*values) for values in fetched]
        booleans = [name for name in _BOOLEANS[collection.name] if name in names]
        rows = super()._rows(collection, names, fetched)
        for row in rows if booleans else ():
            row.update({name: _TRUTH.get(row[name], row[name]) for name in booleans})
        return rows

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Raise Duplicate where a unique key turns out to be taken: SQLite undoes that statement alone."""
        try:
            yield
        except Exception as error:
            _raise_duplicate(error)
            raise

    def insert_rows(self, collection: Collection, rows: Sequence[Row]) -> list[int]:
        """Insert rows: one by one statement, many with numbers taken ahead.

        Nothing of them is kept where one is a Duplicate. They are taken back rather than undone by a
        savepoint, for which SQLite would copy every page of every index before it is changed.
        """
        if len(rows) == 1:
            return [self._insert_one(collection, rows[0])]
        if not rows:
            return []
        names, table = self.insert_names(collection), self.tables.of(collection)
        # Numbers are taken ahead, as executemany() does not say which it gave: the writer is alone.
        first = self._next_number(table)
        numbers = list(range(first, first + len(rows)))
        try:
            with self.kept():
                self.cursor.executemany(
                    *insertion(table, names, numbers, rows, marks=self.tables.search_marks)
                )
        except Duplicate:
            self.cursor.execute(f"DELETE FROM {table} WHERE number >= ?", (first,))
            raise
        return numbers

    def _insert_one(self, collection: Collection, row: Row) -> int:
        text = self._inserts.get(collection.name)
        if text is None:
            names = self.insert_names(collection)
            text = f"INSERT INTO {self.tables.of(collection)} ({', '.join(names)}) "
            text = self._inserts[collection.name] = f"{text}VALUES ({', '.join('?' * len(names))})"
        try:
            self.cursor.execute(text, self.insert_values(collection, row))
        except Exception as error:
            _raise_duplicate(error)
            raise
        return int(self.cursor.lastrowid)

    def _next_number(self, table: str) -> int:
        self.cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.strip('"'),))
        found = self.cursor.fetchone()
        return 1 if found is None else int(found[0]) + 1

    def insert_contents(self, lines: Iterable[tuple[int, str, str, str, str]], count: int) -> None:
        """Insert rows of content; they are keyed by the number alone."""
        self.cursor.executemany(
            f"INSERT INTO {self.tables.content} (number, content, words, symbols) VALUES (?, ?, ?, ?)",
            ((number, *texts) for number, _, *texts in lines),
        )

    def listed(self, column: str, values: Sequence[Any]) -> Fragment:
        """Return ``column`` being among ``values``, one JSON array bound."""
        return Fragment(
            f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(list(values), ensure_ascii=False),)
        )

    def plan_of(self, statement: Fragment) -> str:
        """Return EXPLAIN QUERY PLAN as an indented tree."""
        self.cursor.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.values)
        depth = {0: -1}
        lines = []
        for number, parent, _, text in self.cursor.fetchall():
            depth[number] = depth.get(parent, -1) + 1
            lines.append("  " * depth[number] + text)
        return "\n".join(lines)

    def now(self) -> int:
        """Return the clock: this process's, which never goes backwards."""
        return self.clock.now()

    def kept_now(self) -> int:
        """Return the clock, and keep it with the machine's time in the store.

        Another process goes on from there, whatever its clock says.
        """
        setting = self.tables.setting
        self.cursor.execute(f"SELECT value FROM {setting} WHERE name = 'clock'")
        kept = self.cursor.fetchone()
        told, told_when = (0, 0) if kept is None else map(int, kept[0].split())
        wall = time.time_ns() // 1000
        now = self.clock.go_on(told, told_when, wall)
        self.cursor.execute(
            f"INSERT INTO {setting} (name, value) VALUES ('clock', ?) ON CONFLICT (name) DO UPDATE SET "
            f"value = excluded.value",
            (f"{now} {wall}",),
        )
        return now

    def lock(self, *names: str) -> None:
        """Do nothing: there is a single writer."""


# Rows of one status that a page skips at most: 0.1 µs of CPU each, as its index holds all that is tested.
# Several statuses are a sorted list each, merged: the usual bound holds.
_MOST_SKIPPED_OF_ONE_STATUS = 20_000


def _columns_of(query: Query, held: SQLitePrepared) -> ColumnFilter | None:
    """Return the column filter that answers a query, None if it has none or skips too many rows."""
    columns = held.columns
    if columns is None:
        return None
    if len(columns.statuses) == 1:
        return columns if columns.answers(query, _MOST_SKIPPED_OF_ONE_STATUS) else None
    return columns if columns.answers(query) else None


_BY_NUMBER = Query(DOCUMENTS).order
_CREATED = ("created_at",)
_ID = ("id",)


def _id_of(query: Query) -> str | None:
    """Return the id if the query is for the first rows with one id, else None."""
    where, id = query.where, None
    if type(where) is Compare and where.path == _ID and where.op == "eq":
        id = where.value
    elif type(where) is In and where.path == _ID and len(where.values) == 1:
        (id,) = where.values
    if type(id) is not str or query.offset or query.after is not None or query.order != _BY_NUMBER:
        return None
    return id

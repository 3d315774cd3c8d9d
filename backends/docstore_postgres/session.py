"""Session on Postgres: the access path of each query, single-statement writes, its clock and its locks.

A block takes a round trip for each of BEGIN, the clock, the row, the counters and COMMIT. A record that is
added, or changed since it was read only if nobody else has changed it, needs none of them. Its row and its
counters go in one statement of several parts, which is its own transaction.
"""

from __future__ import annotations

import time
from collections.abc import Collection as Container
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache, partial
from operator import itemgetter
from random import random
from typing import Any, ClassVar

import psycopg
from docstore_sql.compiler import ColumnFilter, Compiler, Fragment, both, column_filter, joined
from docstore_sql.counters import COUNTED, WRITES_PER_SUM
from docstore_sql.tables import Tables

from docstore.backend import ANYWHERE, BlobRow, BlobState, Capabilities, Query, Row, Scope, SortKey, Statement
from docstore.concurrency import Clock
from docstore.query.expr import TRUE, And, Compare, Path
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind
from docstore_postgres.compiler import PostgresCompiler
from docstore_postgres.connections import PostgresCursor
from docstore_postgres.declared_indexes import IndexCondition, matching
from docstore_postgres.insert import InsertSession, marks_of
from docstore_postgres.partitions import count_by_flat, count_flat, select_flat, statement_flat
from docstore_postgres.planner import (
    CompiledFilter,
    PlannerState,
    PostgresPrepared,
    first_scan,
    is_point,
    is_scannable,
    scan_limit,
)
from docstore_postgres.statements import (
    BY_VALUES,
    AccessPath,
    PageStatements,
    counted,
    grouped,
)
from docstore_postgres.term_index import repair, term_faults

# The server's clock in microseconds since the epoch, as SQL text.
CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

# A cancel request is a connection of its own, and the server may be gone.
_INTERRUPT_SECONDS = 5.0
# Where another index finds the matches, too, a range index is used only if it finds at most so many rows.
_INDEXED_ROWS = 5_000
# A probe of an index reads at most so many matches. Where there are more, the order is scanned after all: a
# value may be frequent although the last one asked of its path was rare.
_PROBED_ROWS = 1_000
# A condition of so many characters is scanned to the limit at once: planning it takes longer than the rows
# do.
_COSTLY_CHARACTERS = 20_000
_INDEXES = {"index": "a declared index", "terms": "the index of words"}
# A scope of up to so many rows is counted row by row, not looked for by an index over all scopes.
_SMALL_SCOPE_ROWS = 512
# A claim looks at the leases that ended longest ago, at most so many; no claim takes more documents.
_EXPIRED_LEASES = 1_000
_BY_NUMBER = (SortKey(("number",)),)


class PostgresSession(InsertSession):
    """A block on one psycopg connection."""

    mark: ClassVar[str] = "%s"
    aborts: ClassVar[bool] = True
    appends: ClassVar[bool] = True
    capabilities: ClassVar[Capabilities] = Capabilities(
        single_writer=False, takes_columns=True, updates_many=True, locks_rows=True, reads_words=True
    )

    def __init__(
        self, connection: Any, tables: Tables, compilers: Mapping[str, Compiler], planner: PlannerState
    ) -> None:
        super().__init__(connection, tables, compilers, planner.learnt)
        self.planner = planner
        # Host, port and database, once they were asked for: several hosts may stand in one URL.
        self._server: tuple[str, int, str] | None = None

    @staticmethod
    def cursor_on(connection: Any) -> Any:
        """Return the cursor that the session's statements run on."""
        driver = connection.dbapi_connection
        return PostgresCursor(driver) if isinstance(driver, psycopg.Connection) else connection.cursor()

    def interrupt(self) -> None:
        """Interrupt the statement that is running, from another thread."""
        driver = self.connection.dbapi_connection
        if isinstance(driver, psycopg.AsyncConnection):
            driver.cancel()
        else:
            driver.cancel_safe(timeout=_INTERRUPT_SECONDS)

    def is_under_way(self) -> bool:
        """Return whether the transaction is still open."""
        return self.in_transaction

    # -- reading ---------------------------------------------------------------------------------------------

    def select(self, query: Query) -> list[Row]:
        """Return the rows of ``query`` in its order, found the way that its condition asks for."""
        if self._is_flat(query):
            return select_flat(self, query)
        if is_point(query):
            return self._point(query)
        if query.lock == "skip":
            names, queued = self.names_read(query), self._queued(query)
            return self._rows(query.collection, names, self.fetch(queued, prepare=False))
        columns = self._asked_columns(query)
        if columns is not None:
            names = self.names_read(query)
            read = self.fetch(self._column_page(query, columns), prepare=True)
            return self._rows(query.collection, names, read)
        statement = self._ordered(query)
        if statement is not None:
            names, fetched = self.names_read(query), self.fetch(statement, prepare=False)
            if not fetched or not fetched[0][-1]:
                return self._rows(query.collection, names, [row[:-1] for row in fetched])
        if is_scannable(query):
            names, wanted = self._page(query)
            begun = time.perf_counter()
            found = self._read_page(wanted)
            self.planner.note_slow(query, time.perf_counter() - begun)
            return self._rows(query.collection, names, found)
        begun = time.perf_counter()
        names, statement = self.statement(query)
        rows = self._rows(query.collection, names, self.fetch(statement, prepare=False))
        if query.limit is not None and query.lock is None:
            self.planner.note(query.order, time.perf_counter() - begun)
        return rows

    def _is_flat(self, query: Query) -> bool:
        """Return whether a query is asked of all nodes of a cluster."""
        return self.tables.distributed and query.scope.tenant is None

    def window(self, query: Query) -> Fragment:
        """Return the LIMIT and OFFSET of ``query``."""
        return self._window(query)

    def rows_of(self, query: Query, fetched: Sequence[Sequence[Any]]) -> list[Row]:
        """Return the fetched values of ``query`` as rows."""
        return self._rows(query.collection, self.names_read(query), fetched)

    def _asked_columns(self, query: Query) -> ColumnFilter | None:
        """Return the column filter of a query if one index answers it, else None."""
        held = query.prepared
        prepared = isinstance(held, PostgresPrepared) and held.holds(query)
        columns = held.columns if prepared else column_filter(query)
        return columns if columns is not None and columns.answers(query) else None

    def _column_page(self, query: Query, columns: ColumnFilter) -> Fragment:
        compiler = self.compilers[query.collection.name]
        assert isinstance(compiler, PostgresCompiler)
        return self.planner.column_page(query, columns, self.selected(query), compiler)

    def _queued(self, query: Query) -> Fragment:
        """Return the statement of a claim, in the order of the queue's partial index.

        Left to itself the planner may walk all documents by number in search of a pending one: its
        statistics of statuses may be old.
        """
        terms = query.where.terms if isinstance(query.where, And) else (query.where,)
        compared = [term for term in terms if isinstance(term, Compare)]
        status = next((term for term in compared if term.path == ("status",)), None)
        leased = any(term.path == ("lease_expires_at",) for term in compared)
        if status is None or query.order != _BY_NUMBER:
            return self.statement(query)[1]
        start = f"SELECT {self.selected(query)} FROM {self.tables.of(query.collection)} AS d"
        last = joined("", (self._window(query), Fragment(self.row_lock("skip"))))
        if leased:
            inner = self.condition(query).wrapped(
                f"SELECT d.number FROM {self.tables.of(query.collection)} AS d",
                f" ORDER BY d.lease_expires_at LIMIT {_EXPIRED_LEASES}",
            )
            chosen = inner.wrapped("d.number = ANY(ARRAY(", "))")
            whole = self.condition(query).wrapped(start, " AND ")
            return joined("", (whole, chosen, Fragment(" ORDER BY d.number"), last))
        rest = tuple(term for term in terms if term is not status)
        # Not `status = …`: then status would leave the order, and the walk by number alone would be a way
        # again.
        within = Fragment(" AND d.status >= %s AND d.status <= %s", (status.value, status.value))
        others = self.condition(replace(query, where=And(rest) if rest else TRUE))
        if not others.text:
            others = Fragment(" WHERE true")
        return joined("", (others.wrapped(start), within, Fragment(" ORDER BY d.status, d.number"), last))

    def _point(self, query: Query) -> list[Row]:
        """Return the few rows of one key. An order would tempt the planner to walk it, in search of one row;
        they are put in order here.
        """
        if query.order != _BY_NUMBER or query.after is not None:
            names, statement = self.statement(query)
            return self._rows(query.collection, names, self.fetch(statement, prepare=True))
        names, fetched = self._fetch_point(query)
        return _in_order(query, self._rows(query.collection, names, fetched))

    def select_now(self, query: Query) -> tuple[list[Row], int]:
        """Return the rows of one key, and the clock."""
        names, fetched = self._fetch_point(query, f", {CLOCK}")
        rows = self._rows(query.collection, names, [values[:-1] for values in fetched])
        return _in_order(query, rows), self.clock.now(fetched[0][-1]) if fetched else self.clock.at_least()

    def _fetch_point(self, query: Query, also: str = "") -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Return the column names and values of the rows of one key, the columns of ``also`` among them.

        The text of the statement depends on no value.
        """
        where, scope = query.where, query.scope
        assert isinstance(where, Compare)
        names, selected = self._columns_read(query)
        confined = scope.tenant is None, scope.owner is None
        shape = (query.collection.name, *confined, where.path, selected, also, query.lock)
        text = self.planner.points.get(shape) if isinstance(where.value, str) else None
        if text is None:
            start = f"SELECT {selected}{also} FROM {self.tables.of(query.collection)} AS d"
            lock = "" if query.lock is None else self.row_lock(query.lock)
            statement = self.condition(query).wrapped(start, lock)
            if isinstance(where.value, str):
                self.planner.points[shape] = statement.text
            return names, self.fetch(statement, prepare=True)
        values = tuple([value for value in (scope.tenant, scope.owner, where.value) if value is not None])
        return names, self.fetch(Fragment(text, values), prepare=True)

    def explain(self, query: Query) -> Statement:
        """Return the statement that a page begins with, Postgres' plan for it, and how it may go on."""
        if self._is_flat(query):
            flat = statement_flat(self, query)
            return Statement(flat.text, flat.values, self.plan_of(flat))
        columns = self._asked_columns(query)
        if columns is not None:
            page = self._column_page(query, columns)
            return Statement(page.text, page.values, self.plan_of(page))
        statement = self._ordered(query)
        if statement is None and is_scannable(query):
            _, wanted = self._page(query)
            rows = self.planner.selectivities.rows(self.rows_key(query), lambda: self.last_number(query))
            bound = scan_limit(wanted.wanted, rows)
            access = self._access_path(query, wanted.condition, rows)
            statement = wanted.finding(access) if access in _INDEXES else wanted.walk(bound)
            after = "finds all matches by an index" if wanted.condition.found else "reads all rows"
            after = f"runs this statement, by {_INDEXES[access]}" if access in _INDEXES else after
            note = f"looks at up to {bound} rows in order; where these do not fill the page, {after}"
            return Statement(statement.text, statement.values, self.plan_of(statement), (note,))
        if statement is None:
            return super().explain(query)
        return Statement(statement.text, statement.values, self.plan_of(statement), ("a declared index",))

    def _ordered(self, query: Query) -> Fragment | None:
        """Return the statement in the order of a declared index; its last column says if that fails."""
        declared = self.planner.declared.get(query.collection.name)
        found = matching(declared, query) if declared and query.lock is None else None
        if found is None:
            return None
        compiler = self.compilers[query.collection.name]
        parts = [compiler.scope(query.scope), compiler.where(query.where)]
        if query.after is not None:
            after = found.after(query.order, query.after)
            if after is None:
                return None
            parts.append(after)
        columns = "".join(f"{self._read_column(name)}, " for name in self.names_read(query))
        start = found.has_long(query.scope.tenant).wrapped(f"SELECT {columns}")
        source = f" FROM {self.tables.of(query.collection)} AS d WHERE "
        statement = both(parts).wrapped(source, f" ORDER BY {found.order_by(query.order)}")
        return joined("", (start, statement, self._window(query)))

    def _page(self, query: Query) -> tuple[tuple[str, ...], PageStatements]:
        compiler = self.compilers[query.collection.name]
        assert isinstance(compiler, PostgresCompiler)
        names = self.names_read(query)
        condition = self.planner.condition(query, compiler)
        return names, PageStatements(query, compiler, self.selected(query), condition)

    def _read_page(self, page: PageStatements) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a page."""
        query, wanted, condition = page.query, page.wanted, page.condition
        selectivities = self.planner.selectivities
        rows = selectivities.rows(self.rows_key(query), lambda: self.last_number(query))
        furthest = scan_limit(wanted, rows)
        access: AccessPath | None = None
        if condition.index_condition or condition.term_match:
            access = self._access_path(query, condition, rows)
        found = condition.found or access in BY_VALUES
        is_small = partial(selectivities.is_small, query, furthest, partial(self.size_of, query))
        key = condition.key, query.scope  # what is rare with one tenant may be common with others
        alike = condition.alike, query.scope.tenant is None, query.scope.owner is None
        start = first_scan(wanted, furthest, is_dear=condition.is_dear)
        bound = selectivities.first(
            key, alike, wanted, furthest, start, found=found, risks=not condition.prefilters
        )
        if not bound and not selectivities.is_known(key):
            probes = access is None and not condition.is_dear and selectivities.probes(alike)
            probed = _probed(query, condition) if probes else None
            if probed is not None:
                read = self.fetch(page.probing(probed, _PROBED_ROWS), prepare=page.has_one_way(probed))
                matched = read[0][-1]
                if matched < _PROBED_ROWS:
                    selectivities.remember_probe(key, alike, matched / max(rows, 1))
                    return [row[:-2] for row in read if row[-2] is not None]
                selectivities.note_overflow(alike)
            bound = start
        if sum(len(part.text) for part in condition.parts) > _COSTLY_CHARACTERS:
            bound = bound and furthest
        if condition.prefilters and selectivities.is_small(query, bound, partial(self.size_of, query)):
            bound = 0  # a walk that finds too little would have read every text of the scope, and again then
        # A scan that fills the page is right, whatever it left unread: it went in order. One that does not
        # says how rare the matches are, and at most one more goes further.
        while bound:
            read = self.fetch(page.walk(bound), prepare=page.walks_one_way)
            if len(read) == query.limit:
                selectivities.remember(key, alike, wanted / bound, filled=True)
                return read
            matched = len(read) + (query.offset if read else 0)
            selectivities.remember(key, alike, matched / bound, filled=False)
            if is_small():
                break
            if access is None and self._is_ranged(query, condition, rows):
                access, found = "terms", True
            bound = selectivities.further(wanted, furthest, walked=bound, matched=matched, found=found)
        if is_small():
            return self.fetch(page.finding("scope"), prepare=False)
        access = access or self._access_path(query, condition, rows)
        return self.fetch(page.finding(access), prepare=page.has_one_way(access))

    def _access_path(self, query: Query, condition: CompiledFilter, rows: int) -> AccessPath:
        """Return how to find the matches of ``query`` among all ``rows``."""
        index_condition, split = condition.index_condition, condition.split
        if index_condition is not None:
            if index_condition.rows is None:
                index_condition.rows = self.estimate(query, index_condition)
            if index_condition.rows <= _most(condition, rows):
                return "index"
        if self._is_ranged(query, condition, rows):
            return "terms"
        if split is None or query.scope.owner is not None or query.scope.tenant is not None:
            return "any index"
        if split.rows is None:
            split.rows = rows if split.is_unbounded else self.expected(query, split.ranges)
        return "split" if split.rows > rows // 20 else "any index"

    def _is_ranged(self, query: Query, condition: CompiledFilter, rows: int) -> bool:
        """Return whether the index of words is the way to all matches."""
        term_match = condition.match_terms(self.common_values, lambda found: self.expected(query, found))
        return term_match is not None and term_match.rows <= _most(condition, rows)

    def fetch(self, statement: Fragment, *, prepare: bool) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows.

        Args:
            statement: the statement.
            prepare: whether to keep it prepared, as one plan is right for all values; a statement that is not
                is planned for its values.
        """
        self.cursor.execute(statement.text, statement.values, prepare=prepare)
        rows: list[tuple[Any, ...]] = self.cursor.fetchall()
        return rows

    def run(self, statement: Fragment) -> int:
        """Execute ``statement``; one that reads is planned for its values."""
        self.cursor.execute(
            statement.text, statement.values, prepare=False if statement.text.startswith("SELECT") else None
        )
        return int(self.cursor.rowcount)

    def count(self, query: Query, at_most: int | None = None) -> int:
        """Count the rows of ``query``, up to ``at_most``, found by the one index that is best."""
        if self._is_flat(query):
            known = self.counters.count(query)
            if known is None:
                return count_flat(self, query, at_most)
            return known if at_most is None else min(known, at_most)
        _, wanted = self._page(query)
        condition = wanted.condition
        if condition.found and self.planner.selectivities.is_small(
            query, _SMALL_SCOPE_ROWS, partial(self.size_of, query)
        ):
            ((found,),) = self.fetch(wanted.counting("scope", at_most), prepare=False)
            return int(found)
        term_match = condition.match_terms(self.common_values, lambda found: self.expected(query, found))
        if condition.index_condition is not None or condition.split is not None or term_match is not None:
            rows = self.planner.selectivities.rows(self.rows_key(query), lambda: self.last_number(query))
            access = self._access_path(query, condition, rows)
            if access in _INDEXES or (access == "split" and at_most is None):
                ((found,),) = self.fetch(wanted.counting(access, at_most), prepare=False)
                return int(found)
        return super().count(query, at_most)

    def count_by(self, query: Query, path: Path) -> Mapping[Any, int] | None:
        """Count by a column, or by the values at a path inside a JSON field."""
        if self._is_flat(query) and self.counters.count_by(query, path[0]) is None:
            return count_by_flat(self, query, path[0])
        if query.collection.column(path[0]).kind is not Kind.JSON or len(path) < 2:
            return super().count_by(query, path)
        source = self.condition(query).wrapped(f" FROM {self.tables.of(query.collection)} AS d")
        return counted(path, self.fetch(grouped(path, source), prepare=False))

    def size_of(self, query: Query, most: int) -> int:
        """Return how many rows the scope of ``query`` has, counted up to ``most``."""
        scope = self.compilers[query.collection.name].scope(query.scope)
        start = f"SELECT count(*) FROM (SELECT 1 FROM {self.tables.of(query.collection)} AS d WHERE "
        ((found,),) = self.fetch(scope.wrapped(start, f" LIMIT {most}) AS s"), prepare=False)
        return int(found)

    def estimate(self, query: Query, index_condition: IndexCondition) -> int:
        """Return how many rows Postgres expects a declared index to find."""
        schema = f'"{self.tables.schema}".' if self.tables.schema else ""
        many = f'{schema}"{index_condition.many}"'
        ((rows,),) = self.fetch(
            Fragment("SELECT coalesce(max(reltuples), 0) FROM pg_class WHERE oid = to_regclass(%s)", (many,)),
            prepare=True,
        )
        return int(rows) + self.expected(query, index_condition.ordered)

    def expected(self, query: Query, condition: Fragment) -> int:
        """Return how many rows of the collection Postgres expects a condition to hold."""
        table = self.compilers[query.collection.name].table
        start = f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {table} AS d WHERE "
        ((shown,),) = self.fetch(condition.wrapped(start), prepare=False)
        return int(shown[0]["Plan"]["Plan Rows"])

    def last_number(self, query: Query) -> int:
        """Return the largest number in the collection's table, 0 if it is empty."""
        scope = self.compilers[query.collection.name].scope(self._look_in(query))
        start = f"SELECT coalesce(max(d.number), 0) FROM {self.tables.of(query.collection)} AS d WHERE "
        ((found,),) = self.fetch(scope.wrapped(start), prepare=True)
        return int(found)

    def rows_key(self, query: Query) -> Hashable:
        """Return the key under which the number of rows that a query may scan is remembered."""
        return query.collection.name, self._look_in(query).tenant

    def _look_in(self, query: Query) -> Scope:
        """Return the scope of a look at the whole table: the tenant's, where its rows are apart."""
        return Scope(query.scope.tenant if self.tables.is_parted else None)

    def row_lock(self, lock: str) -> str:
        """Return the words that lock the rows read."""
        return " FOR UPDATE OF d SKIP LOCKED" if lock == "skip" else " FOR UPDATE OF d"

    # -- one record in one statement -------------------------------------------------------------------------

    def insert_single(
        self, collection: Collection, row: Row, clocked: Sequence[str]
    ) -> tuple[int, int] | None:
        """Add a row; return its number and the clock, or ``None`` where a unique key is taken."""
        names = self.insert_names(collection)
        values = self.insert_values(collection, row)
        last = self.clock.at_least()
        given = [value for name, value in zip(names, values, strict=True) if name not in clocked]
        text = _insert_text(self.tables, collection.name, names, tuple(clocked))
        found = self.fetch(Fragment(text, (last, *given)), prepare=True)
        if not found:
            return None
        number, now = found[0]
        return int(number), self.clock.now(int(now))

    def update_single(self, collection: Collection, before: Row, changes: Mapping[str, object]) -> bool:
        """Set columns of a row if it is still as it was read; return whether it was."""
        columns = self.changed_columns([before], {name: [value] for name, value in changes.items()})
        guards = (
            "tenant",
            "number",
            "revision",
            *(name for name in ("status", "is_latest") if name in before),
        )
        text = (
            f"UPDATE {self.tables.of(collection)} SET {self.assignments(columns)} "
            f"WHERE {' AND '.join(f'{name} = %s' for name in guards)} RETURNING number"
        )
        values = [
            *(value for (value,) in columns.values()),
            before["tenant"] or "",
            *(before[name] for name in guards[1:]),
        ]
        if collection is DOCUMENTS and changes.get("status", before["status"]) != before["status"]:
            text = (
                f"WITH changed AS ({text}), counted AS (INSERT INTO {self.tables.tally} "
                f"({', '.join(COUNTED)}, n) SELECT %s, %s, %s, moved.status, moved.n FROM changed, "
                "(VALUES (%s, -1), (%s, 1)) AS moved (status, n)) SELECT number FROM changed"
            )
            values += [before["tenant"] or "", before["owner"] or "", before["is_latest"]]
            values += [before["status"], changes["status"]]
        return bool(self.fetch(Fragment(text, tuple(values)), prepare=True))

    # -- statements ------------------------------------------------------------------------------------------

    def key_of(self, row: Row) -> Fragment:
        """Return the condition for one row, which says where to look for it, too."""
        return Fragment("tenant = %s AND number = %s", (row["tenant"] or "", row["number"]))

    def chosen(self, rows: Sequence[Row]) -> list[Fragment]:
        """Return the condition for rows, of one tenant as a value that says where to look for them."""
        tenants = sorted({row["tenant"] or "" for row in rows})
        numbers = self.listed("number", [row["number"] for row in rows])
        if len(tenants) == 1:
            return [both((Fragment("tenant = %s", (tenants[0],)), numbers))]
        if self.tables.distributed:  # rows are locked on one node at a time
            each = {tenant: [row for row in rows if (row["tenant"] or "") == tenant] for tenant in tenants}
            return [condition for theirs in each.values() for condition in self.chosen(theirs)]
        return [both((self.listed("tenant", tenants), numbers))]

    def listed(self, column: str, values: Sequence[Any]) -> Fragment:
        """Return ``column`` being among ``values``, one array bound."""
        kind = "bigint" if values and isinstance(values[0], int) else "text"
        return Fragment(
            f"{column} = ANY(%s::{kind if values or column != 'number' else 'bigint'}[])", (list(values),)
        )

    def update_blob(self, blob: BlobRow, states: Container[BlobState], **changes: Any) -> bool:
        """Set fields of a blob row if its state is among ``states``; return whether it was."""
        moves = self.tables.distributed and changes.get("tenant", blob.tenant) != blob.tenant
        if not moves:
            return super().update_blob(blob, states, **changes)
        # Citus changes no row's tenant
        found = [row for row in self.blobs(keys=[blob.key], states=states) if row.tenant == blob.tenant]
        if not found or not self.delete_blob(blob, states):
            return False
        self.insert_blob(replace(found[0], **changes))
        return True

    def plan_of(self, statement: Fragment) -> str:
        """Return EXPLAIN's lines."""
        self.cursor.execute(f"EXPLAIN {statement.text}", statement.values)
        return "\n".join(line for (line,) in self.cursor.fetchall())

    @property
    def clock(self) -> Clock:
        """The clock of the server that the connection leads to, as this process tells it."""
        if self._server is None:
            server = self.connection.dbapi_connection.info
            self._server = (server.host, server.port, server.dbname)
        return _clocks.setdefault(self._server, _clocks.get(self._server) or Clock())

    def now(self) -> int:
        """Return the server's clock; where it was set back, time goes on from the last reading."""
        self.cursor.execute(f"SELECT {CLOCK}")
        return self.clock.now(int(self.cursor.fetchone()[0]))

    def kept_now(self) -> int:
        """Return the server's clock, and keep it and the server's time in two sequences.

        Sequences wait for nobody, and other processes go on from there.
        """
        # `setval` is outside of transactions: it stays although the block is rolled back, which is right
        # here.
        clock, wall = self.tables.named("clock"), self.tables.named("clock_wall")
        self.cursor.execute(
            "SELECT setval(%s::regclass, greatest(k.last_value + greatest(0, r.now - w.at), r.now, %s)),"
            " setval(%s::regclass, r.now), r.now"
            f" FROM {clock} AS k, (SELECT {CLOCK} AS now OFFSET 0) AS r,"
            f" LATERAL (SELECT CASE WHEN is_called THEN last_value ELSE r.now END AS at FROM {wall}) AS w",
            (clock, self.clock.at_least(), wall),
        )
        now, _, read = self.cursor.fetchone()
        return self.clock.go_on(int(now), int(read), int(read))

    def hidden(self) -> str:
        """Return why rows may be hidden here: a replica's lag or row-level security; '' if not."""
        names = (DOCUMENTS, EXTRACTIONS)
        tables = [*map(self.tables.of, names), self.tables.content, self.tables.blob]
        self.cursor.execute(
            "SELECT pg_is_in_recovery(), bool_or(row_security_active(name::regclass)), current_user"
            " FROM unnest(%s::text[]) AS t (name)",
            (tables,),
        )
        lags, is_confined, role = self.cursor.fetchone()
        if lags:
            return "the server is a standby, which may lag behind"
        if is_confined:
            return f"row-level security is in force for the role {role!r}"
        return ""

    def try_lock(self, name: str) -> bool:
        """Take an advisory lock until the transaction ends, if it is free."""
        self.cursor.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s::text, 0))", (f"{self.tables.blob}/{name}",)
        )
        return bool(self.cursor.fetchone()[0])

    def restore(self, statements: Sequence[str], missing: set[str]) -> None:
        """Make missing derived objects; count anew, and write terms anew that knew of common values."""
        self.cursor.execute("SET LOCAL statement_timeout = 0")  # an index takes as long as it takes
        for statement in statements:
            self.cursor.execute(statement)
        if f"{self.tables.prefix}tally" in missing:
            self.counters.repair()
        if f"{self.tables.prefix}usual" in missing:
            for collection in (DOCUMENTS, EXTRACTIONS):
                for one in term_faults(self._itself, self.tables, collection):
                    repair(self, self.tables, collection, one)

    def _itself(self, *, snapshot: bool = False) -> AbstractContextManager[PostgresSession]:
        return nullcontext(self)

    def lock(self, *names: str) -> None:
        """Hold advisory locks until the transaction ends, taken in one order, by one statement."""
        # In one order, so that two blocks never wait for each other. Names that share a hash wait, too: no
        # harm.
        whole = [f"{self.tables.blob}/{name}" for name in sorted(set(names))]
        self.cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(n, 0)) FROM unnest(%s::text[]) AS n", (whole,)
        )


def _probed(query: Query, condition: CompiledFilter) -> AccessPath | None:
    """Return by which index a probe looks for the matches; None if only Postgres could tell."""
    if condition.split is None or query.scope != ANYWHERE:
        return "any index"
    return "split" if condition.split.is_unbounded else None


def _most(condition: CompiledFilter, rows: int) -> int:
    """Return how many of all rows an index of ranges may find to be worth it."""
    return _INDEXED_ROWS if condition.found else rows // 4


def _in_order(query: Query, rows: list[Row]) -> list[Row]:
    """Return the rows of one key by their numbers, those that ``query`` asks for."""
    if len(rows) > 1:
        rows.sort(key=itemgetter("number"))
    return rows[query.offset : None if query.limit is None else query.offset + query.limit]


# By host, port and database. A later reading is never less, whichever store of the process asks.
_clocks: dict[tuple[str, int, str], Clock] = {}


@cache
def _insert_text(tables: Tables, name: str, names: Sequence[str], clocked: Sequence[str]) -> str:
    marks = marks_of(name)
    values = ", ".join(
        "(SELECT now FROM clock)" if column in clocked else mark
        for column, mark in zip(names, marks, strict=True)
    )
    table = tables.named({"documents": "document", "extractions": "extraction"}[name])
    # MATERIALIZED: the clock is read once for all columns. Without a conflict target any unique key counts.
    text = (
        f"WITH clock AS MATERIALIZED (SELECT greatest({CLOCK}, %s) AS now), made AS ("
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values}) ON CONFLICT DO NOTHING RETURNING *)"
    )
    if name == DOCUMENTS.name:
        text += (
            f", counted AS (INSERT INTO {tables.tally} ({', '.join(COUNTED)}, n) "
            "SELECT tenant, coalesce(owner, ''), is_latest, status, 1 FROM made)"
        )
    return f"{text} SELECT made.number, clock.now FROM made, clock"


def folds() -> bool:
    """Return whether it is time to add the counts up, now and then."""
    return random() * WRITES_PER_SUM < 1

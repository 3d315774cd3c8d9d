"""Counters of documents by tenant, owner, status and ``is_latest``, kept in the transaction of every write.

Status bars, totals of unfiltered listings and quotas add up a few rows instead of reading a million. With one
writer (SQLite) a counter is one row. With many (Postgres) all would wait for that row: each write appends a
difference there, and now and then a writer adds them up without waiting for anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from random import random, sample
from typing import Any, ClassVar, Protocol, TypeAlias

from docstore.backend import Changes, Query, Row, Rows
from docstore.query.expr import TRUE, And, Compare, Expr, In
from docstore.query.fields import DOCUMENTS
from docstore_sql.compiler import Fragment, both
from docstore_sql.tables import Tables

# The columns that a counter is kept by. No tenant and no owner are ''.
COUNTED = ("tenant", "owner", "is_latest", "status")
_VALUES = itemgetter(*COUNTED)
_OPTIONAL = ("tenant", "owner")
_COLUMNS = ", ".join(COUNTED)
_OF_ROW = "tenant, coalesce(owner, ''), is_latest, status"
_OF_ROW_NAMED = "tenant, coalesce(owner, '') AS owner, is_latest, status"
# All but the tenant, which each statement names: with partitions it touches one.
_BESIDES = ", ".join(COUNTED[1:])
# One write in so many adds up appended counts, by chance: no writer has to count what others wrote. It does
# so for a few of its own tenants, so that a write to thousands of them does not wait for all.
WRITES_PER_SUM = 64
_TENANTS_PER_SUM = 8
# Up to so many counters are written by one statement.
_COUNTERS_PER_STATEMENT = 4

Key: TypeAlias = tuple[str, str, bool, str]


@lru_cache(maxsize=64)
def _inserting(table: str, mark: str, count: int) -> str:
    """Return the statement that inserts so many counts."""
    marks = ", ".join([f"({', '.join([mark] * (len(COUNTED) + 1))})"] * count)
    return f"INSERT INTO {table} ({_COLUMNS}, n) VALUES {marks}"


@lru_cache(maxsize=64)
def _raising(table: str, mark: str, count: int) -> str:
    """Return the statement that adds to so many counts."""
    return f"{_inserting(table, mark, count)} ON CONFLICT ({_COLUMNS}) DO UPDATE SET n = n + excluded.n"


@lru_cache(maxsize=64)
def _dropping(table: str, mark: str) -> str:
    """Return the statement that removes a count of none: names of a tenant and an owner go with their last
    document.
    """
    key = " AND ".join([f"{name} = {mark}" for name in COUNTED])
    return f"DELETE FROM {table} WHERE {key} AND n = 0"


@dataclass(slots=True)
class _Asked:
    """A condition on the counted columns, column by column: the values that each may have."""

    values: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def narrow(self, name: str, values: Iterable[Any]) -> None:
        """Let a column have these values only, of those it may have.

        ``None`` is kept as ``''`` where there may be none, and is no value elsewhere; no record has an empty
        text.
        """
        nothing = [""] if name in _OPTIONAL else []
        given = [value for value in values if value != ""]
        wanted = tuple(v for value in given for v in (nothing if value is None else [value]))
        self.values[name] = tuple(v for v in self.values.get(name, wanted) if v in wanted)


def _asked(query: Query) -> _Asked | None:
    """Return the condition of ``query`` on the counted columns, None if it asks anything else."""
    if query.collection is not DOCUMENTS:
        return None
    asked = _Asked()
    for name, value in (("tenant", query.scope.tenant), ("owner", query.scope.owner)):
        if value is not None:
            asked.narrow(name, [value])
    terms: list[Expr] = [query.where]
    while terms:
        match terms.pop():
            case And(inner):
                terms.extend(inner)
            case Compare((name,), "eq", value) if name in COUNTED:
                asked.narrow(name, [value])
            case In((name,), values) if name in COUNTED:
                asked.narrow(name, values)
            case term if term != TRUE:
                return None
    return asked


class CounterSession(Protocol):
    """A block of an SQL backend as its counters need it."""

    mark: ClassVar[str]
    appends: ClassVar[bool]
    tables: Tables
    cursor: Any

    def run(self, statement: Fragment) -> int:
        """Run a statement; return how many rows it touched."""

    def row_lock(self, lock: str) -> str:
        """Return the clause that locks rows."""

    def key_of(self, row: Row) -> Fragment:
        """Return the condition that chooses a row by its key."""

    def chosen(self, rows: Sequence[Row]) -> list[Fragment]:
        """Return the conditions that choose rows by their keys."""

    def lock(self, *names: str) -> None:
        """Wait for locks."""

    def try_lock(self, name: str) -> bool:
        """Return whether a lock was free, and is held now."""


class Counters:
    """The counts, seen through one session.

    Args:
        session: the block.
    """

    def __init__(self, session: CounterSession) -> None:
        self._session = session
        self._table = session.tables.tally

    # -- reading -----------------------------------------------------------------------------------

    def count(self, query: Query) -> int | None:
        """Return how many rows ``query`` has, ``None`` if the tally cannot tell."""
        asked = _asked(query)
        if asked is None:
            return None
        self._session.run(self._where(asked).wrapped(f"SELECT coalesce(sum(n), 0) FROM {self._table}"))
        return int(self._session.cursor.fetchone()[0])

    def count_by(self, query: Query, name: str) -> Mapping[Any, int] | None:
        """Return how many rows have each value of a column, None if the tally cannot tell."""
        asked = _asked(query) if name in COUNTED else None
        if asked is None:
            return None
        start = f"SELECT {name}, sum(n) FROM {self._table}"
        self._session.run(self._where(asked).wrapped(start, f" GROUP BY {name} HAVING sum(n) <> 0"))
        found = self._session.cursor.fetchall()
        if name == "is_latest":
            return {bool(value): int(n) for value, n in found}
        return {value or None: int(n) for value, n in found}

    def differences(self, tenant: str | None = None) -> Counter[Key]:
        """Count the rows anew and return what the kept counts lack (or, below 0, have too many).

        One statement, so one state of both, whoever writes meanwhile; over a cluster one for each tenant.

        Args:
            tenant: whose; ``None``: all.
        """
        documents = self._session.tables.of(DOCUMENTS)
        if self._session.tables.distributed and tenant is None:
            each = f"SELECT DISTINCT tenant FROM {documents}", f"SELECT DISTINCT tenant FROM {self._table}"
            tenants: set[str] = set()
            for text in each:
                self._session.run(Fragment(text))
                tenants.update(one for (one,) in self._session.cursor.fetchall())
            every: Counter[Key] = Counter()
            for one in sorted(tenants):
                every.update(self.differences(one))
            return every
        within = "" if tenant is None else f" WHERE tenant = {self._session.mark}"
        counted = f"SELECT {_OF_ROW_NAMED}, count(*) AS n FROM {documents}{within} GROUP BY 1, 2, 3, 4"
        both_sides = f"{counted} UNION ALL SELECT {_COLUMNS}, -n FROM {self._table}{within}"
        text = f"SELECT {_COLUMNS}, sum(n) FROM ({both_sides}) AS s GROUP BY {_COLUMNS} HAVING sum(n) <> 0"
        self._session.run(Fragment(text, () if tenant is None else (tenant, tenant)))
        found = self._session.cursor.fetchall()
        return Counter(
            {(tenant, owner, bool(latest), word): int(n) for tenant, owner, latest, word, n in found}
        )

    def faults(self, unreadable: int = 0) -> list[str]:
        """Return the faults of the counters in words; none if they are right.

        Args:
            unreadable: the number of rows changed by hand, which may be counted as they were before.
        """
        differences = self.differences()
        if sum(map(abs, differences.values())) <= 2 * unreadable:
            return []
        return [
            f"the count of {word} documents of tenant {tenant!r} and owner {owner!r}"
            f"{'' if latest else ', older versions,'} is {abs(n):,} too {'low' if n > 0 else 'high'}"
            for (tenant, owner, latest, word), n in sorted(differences.items(), key=repr)
        ]

    def _where(self, asked: _Asked) -> Fragment:
        mark = self._session.mark
        parts = [
            Fragment(f"{name} IN ({', '.join([mark] * len(values))})" if values else "1 = 0", values)
            for name, values in asked.values.items()
        ]
        return both(parts).wrapped(" WHERE ") if parts else Fragment("")

    # -- writing -----------------------------------------------------------------------------------

    def of_rows(self, rows: Sequence[Row]) -> dict[Key, int]:
        """Count rows that are about to be stored."""
        counted: Iterable[tuple[Any, int]] = ((_VALUES(row), 1) for row in rows)
        if type(rows) is Rows:
            counted = Counter(zip(*[rows.columns[name] for name in COUNTED], strict=True)).items()
        found: dict[Key, int] = {}
        for (tenant, owner, latest, status), n in counted:
            key = tenant or "", owner or "", latest, status
            found[key] = found.get(key, 0) + n
        return found

    def of_stored(self, rows: Sequence[Row]) -> dict[int, Key]:
        """Return the counter of each row as it is stored, by number, and keep others from changing them."""
        source = f"SELECT number, {_OF_ROW} FROM {self._session.tables.of(DOCUMENTS)} AS d WHERE "
        counted: dict[int, Key] = {}
        chosen = [self._session.key_of(rows[0])] if len(rows) == 1 else self._session.chosen(rows)
        for some in chosen:
            self._session.run(some.wrapped(source, self._session.row_lock("wait")))
            for number, tenant, owner, latest, word in self._session.cursor.fetchall():
                counted[number] = tenant, owner, bool(latest), word
        return counted

    def moved(self, before: Mapping[int, Key], changes: Changes) -> dict[Key, int]:
        """Return the differences of the counters where rows with these counters are changed."""
        moved: dict[Key, int] = {}
        for row, columns in changes:
            key = before.get(row["number"])
            if key is not None:
                tenant, owner, latest, status = map(columns.get, COUNTED, key)
                after = tenant or "", owner or "", latest, status
                moved[after] = moved.get(after, 0) + 1
                moved[key] = moved.get(key, 0) - 1
        return moved

    def add(self, change: Mapping[Key, int], sign: int = 1) -> None:
        """Raise or lower the counts."""
        rows = [(*key, sign * n) for key, n in sorted(change.items()) if n]
        if rows:
            self._write(change, rows)

    def add_row(self, row: Row) -> None:
        """Count a row that was stored."""
        tenant, owner, latest, status = _VALUES(row)
        key = tenant or "", owner or "", latest, status
        self._write((key,), [(*key, 1)])

    def move(self, before: Key, after: Key) -> None:
        """Count a row by another counter, where there is a single writer."""
        if before != after:
            cursor, mark = self._session.cursor, self._session.mark
            cursor.execute(_raising(self._table, mark, 2), (*after, 1, *before, -1))
            cursor.execute(_dropping(self._table, mark), before)

    def _write(self, change: Iterable[Key], rows: Sequence[tuple[Any, ...]]) -> None:
        """Write differences of the counts with these keys."""
        if self._session.appends:
            self._append(rows)
            if random() * WRITES_PER_SUM < 1:
                tenants = sorted({key[0] for key in change})
                self.sum_up(sample(tenants, min(len(tenants), _TENANTS_PER_SUM)))
            return
        cursor, mark = self._session.cursor, self._session.mark
        if len(rows) <= _COUNTERS_PER_STATEMENT:
            cursor.execute(_raising(self._table, mark, len(rows)), tuple(chain.from_iterable(rows)))
        else:
            cursor.executemany(_raising(self._table, mark, 1), rows)
        lowered = [row[:-1] for row in rows if row[-1] < 0]
        if len(lowered) == 1:
            cursor.execute(_dropping(self._table, mark), lowered[0])
        elif lowered:
            cursor.executemany(_dropping(self._table, mark), lowered)

    def _append(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows of counts; a batch of documents may have as many owners."""
        if len(rows) <= _COUNTERS_PER_STATEMENT:
            text = _inserting(self._table, self._session.mark, len(rows))
            self._session.cursor.execute(text, tuple(chain.from_iterable(rows)))
            return
        arrays = "%b::text[], %b::text[], %b::boolean[], %b::text[], %b::bigint[]"
        into = f"INSERT INTO {self._table} ({_COLUMNS}, n)"
        columns = [list(values) for values in zip(*rows, strict=True)]
        self._session.cursor.execute(f"{into} SELECT * FROM unnest({arrays})", columns)

    def repair(self) -> None:
        """Set the counters right; one writer after another, so that no difference is added twice."""
        self._session.lock("tally")
        self.add(self.differences())

    def sum_up(self, tenants: Sequence[str] | None = None, *, wait: bool = False) -> None:
        """Replace counts of several rows by sums, unless another writer is just doing so.

        Args:
            tenants: whose; ``None``: all that have some.
            wait: wait for who is just doing so.
        """
        if wait:
            self._session.lock("tally")
        elif not self._session.try_lock("tally"):
            return
        if tenants is None:
            several = f"SELECT DISTINCT tenant FROM {self._table} GROUP BY {_COLUMNS} HAVING count(*) > 1"
            self._session.run(Fragment(several))
            tenants = [tenant for (tenant,) in self._session.cursor.fetchall()]
        for tenant in tenants:
            self._sum_one(tenant)

    def _sum_one(self, tenant: str) -> None:
        """Sum up what is counted of one tenant: two statements, as no cluster takes both in one."""
        within = f"FROM {self._table} WHERE tenant = {self._session.mark}"
        several = f"SELECT {_BESIDES} {within} GROUP BY {_BESIDES} HAVING count(*) > 1"
        gone = f"DELETE {within} AND ({_BESIDES}) IN ({several}) RETURNING {_BESIDES}, n"
        self._session.run(Fragment(gone, (tenant, tenant)))
        sums: Counter[Key] = Counter()
        for owner, is_latest, status, n in self._session.cursor.fetchall():
            sums[tenant, owner, is_latest, status] += n
        if rows := [(*key, n) for key, n in sorted(sums.items()) if n]:
            self._append(rows)

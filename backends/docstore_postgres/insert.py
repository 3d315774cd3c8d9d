"""Inserts: one row a statement, many rows by COPY with numbers taken ahead; and the columns derived from
JSON.

Row-level security refuses COPY. Where it binds the role, many rows are inserted by a statement each, sent
together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from typing import Any

import psycopg
from docstore_sql.compiler import Compiler, Fragment
from docstore_sql.session import Session, name_columns
from docstore_sql.tables import Tables, columns_of
from psycopg.pq import TransactionStatus
from pydantic_core import from_json

from docstore.backend import Duplicate, Row, column
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind
from docstore_postgres.jsonpath import index_folds, index_json, is_plain
from docstore_postgres.term_index import (
    NO_COMMON_VALUES,
    CommonValues,
    LearntValues,
    learn,
    read_common_values,
    record_terms,
    sample,
)

# The field that terms are made of; it is never None.
TERMS_FIELD = "metadata"
# Texts that are decoded by one call: one array of texts is one look for ASCII and one decoding.
_DECODED_TOGETHER = 32
Made = tuple[str | None, ...]


def derived_names(name: str) -> tuple[tuple[str, str], ...]:
    """Return the columns made from a JSON field's text, by the ends of their names, and their types."""
    plain = ("json", "jsonb"), ("fold", "jsonb")
    return (*plain, ("words", "tsvector")) if name == TERMS_FIELD else plain


def derived_values(name: str, text: str | None, common_values: CommonValues) -> Made:
    """Return the values of :func:`derived_names` for a JSON field's text."""
    if text is None:
        return (None,) * len(derived_names(name))
    if name != TERMS_FIELD:
        return index_json(text), index_folds(text)
    words, has_large = record_terms(from_json(text), common_values)
    return index_json(text) if has_large else text, index_folds(text), words


def derived_columns(
    name: str, texts: Sequence[str | None], common_values: CommonValues
) -> list[Sequence[str | None]]:
    """Return :func:`derived_values` of many texts, a list for each column."""
    if name != TERMS_FIELD:
        return [
            list(made)
            for made in zip(*(derived_values(name, text, common_values) for text in texts), strict=True)
        ]
    jsons: list[str | None] = []
    folds: list[str | None] = []
    words: list[str | None] = []
    for at in range(0, len(texts), _DECODED_TOGETHER):
        some = [text for text in texts[at : at + _DECODED_TOGETHER] if text is not None]
        together = f"[{','.join(some)}]"
        found = [record_terms(record, common_values) for record in from_json(together)]
        words += [made for made, _ in found]
        large = (has_large for _, has_large in found)
        jsons += [index_json(text) if is_large else text for text, is_large in zip(some, large, strict=True)]
        folds += [None] * len(some) if is_plain(together) else map(index_folds, some)
    return [jsons, folds, words]


# From so many rows on COPY is used; fewer are inserted by a statement each.
_COPIED_FROM_ROWS = 8
# After so many rows at once it is worth asking whether the server has statistics of the table.
_ANALYZED_FROM_ROWS = 1_000
# One name is enough: statements of a session do not nest.
_SAVEPOINT = "docstore_statement"
# From so many rows at once it is worth asking whether common values are due to be learnt.
_SAMPLED_FROM_ROWS = 200
# Seconds that what was read of the common values is believed: other processes learn some, too.
_MINUTE = 60.0


def duplicate_of(error: psycopg.errors.UniqueViolation) -> Duplicate:
    """Return the Duplicate for a unique key that is taken."""
    name = error.diag.constraint_name or ""
    constraint = "version" if name.endswith(("_version", "_latest")) else "id" if name.endswith("_id") else ""
    return Duplicate(str(error), constraint=constraint)


class InsertSession(Session):
    """The part of a session that adds rows.

    Attributes:
        copied: the tables that very many rows at once went to, by their names in SQL.
    """

    def __init__(
        self, connection: Any, tables: Tables, compilers: Mapping[str, Compiler], learnt: LearntValues
    ) -> None:
        super().__init__(connection, tables, compilers)
        self.copied: set[str] = set()
        self._learnt = learnt
        self._own: CommonValues | None = None

    def insert_names(self, collection: Collection) -> tuple[str, ...]:
        """Return the columns that an insert names."""
        return _INSERTED[collection.name] if collection.name in _INSERTED else self._inserted(collection)

    def _inserted(self, collection: Collection) -> tuple[str, ...]:
        names = (*super().insert_names(collection), *_JSON_COLUMNS[collection.name])
        return _INSERTED.setdefault(collection.name, names)

    def insert_values(self, collection: Collection, row: Row) -> list[Any]:
        """Return the values for :meth:`insert_names`."""
        values = super().insert_values(collection, row)
        for name in _JSON_NAMES[collection.name]:
            values += derived_values(name, row[name], self._common_values_for(row))
        return values

    def changed_columns(
        self, rows: Sequence[Row], columns: Mapping[str, Sequence[Any]]
    ) -> dict[str, Sequence[Any]]:
        """Return the columns that changes of rows set, with those that are made of names and JSON."""
        stored = super().changed_columns(rows, columns)
        for name in _ALL_JSON & columns.keys():
            texts, are_owned = columns[name], {bool(row["tenant"]) for row in rows}
            if len(are_owned) == 1:
                made: Iterable[Any] = derived_columns(name, texts, self._common_values_for(rows[0]))
            else:
                made = zip(
                    *(
                        derived_values(name, text, self._common_values_for(row))
                        for text, row in zip(texts, rows, strict=True)
                    ),
                    strict=True,
                )
            stored |= zip((f"{name}_{kind}" for kind, _ in derived_names(name)), made, strict=True)
        return stored

    def assignments(self, names: Iterable[str]) -> str:
        """Return the SET clause for columns of the table."""
        casts = [f"::{_CASTS[name]}" if name in _CASTS else "" for name in names]
        return ", ".join([f"{name} = %s{cast}" for name, cast in zip(names, casts, strict=True)])

    def update_alike(
        self, collection: Collection, rows: Sequence[Row], columns: Mapping[str, Sequence[Any]]
    ) -> int:
        """Set columns in rows, many by one statement; return how many rows exist.

        What all rows get is bound once, else as an array; columns that get the same share it.
        """
        if len(rows) == 1 or self.tables.distributed:
            return super().update_alike(collection, rows, columns)
        types = _TYPES[collection.name]
        arrays: list[tuple[str, list[Any]]] = [("bigint", [row["number"] for row in rows])]
        alike: list[Any] = []

        def place(values: Sequence[Any], kind: str) -> str:
            if values.count(values[0]) == len(values):
                alike.append(values[0])
                return f"%s::{kind}"
            array = (kind if kind in ("bigint", "boolean") else "text", list(values))
            if array not in arrays:
                arrays.append(array)
            return f"v.c{arrays.index(array)}::{kind}"

        sets = [f"{name} = {place(values, types[name])}" for name, values in columns.items()]
        # The tenant comes last: its value, if it is bound by itself, follows the arrays.
        bound = alike.copy()
        tenant = place([row["tenant"] or "" for row in rows], "text")
        # Binary: the text of an array has its elements quoted one by one, in Python.
        given = ", ".join(f"%b::{kind}[]" for kind, _ in arrays)
        text = (
            f"UPDATE {self.tables.of(collection)} AS d SET {', '.join(sets)} "
            f"FROM unnest({given}) AS v ({', '.join(f'c{at}' for at in range(len(arrays)))}) "
            f"WHERE d.tenant = {tenant} AND d.number = v.c0"
        )
        values = (*bound, *(values for _, values in arrays), *alike[len(bound) :])
        return self.run(Fragment(text, values))

    def _common_values_for(self, row: Row) -> CommonValues:
        """Return the common values for a record; a tenant's has none, as they are learnt of all together."""
        return NO_COMMON_VALUES if row["tenant"] else self.common_values()

    def insert_rows(self, collection: Collection, rows: Sequence[Row]) -> list[int]:
        """Insert rows, many by COPY with numbers taken ahead; return their numbers."""
        if not rows:
            return []
        names = self.insert_names(collection)
        if (
            len(rows) >= _SAMPLED_FROM_ROWS
            and collection is DOCUMENTS
            and self.in_transaction
            and _are_no_ones(rows)
        ):
            self.learn(column(rows, "metadata"))
        with self.kept():
            if len(rows) >= _COPIED_FROM_ROWS:
                return self._copy_rows(collection, names, rows)
            return [self._insert_row(collection, names, row) for row in rows]

    def _insert_row(self, collection: Collection, names: Sequence[str], row: Row) -> int:
        into = f"INSERT INTO {self.tables.of(collection)} ({', '.join(names)})"
        marks = ", ".join(marks_of(collection.name))
        self.cursor.execute(f"{into} VALUES ({marks}) RETURNING number", self.insert_values(collection, row))
        return int(self.cursor.fetchone()[0])

    def _copy_rows(self, collection: Collection, names: Sequence[str], rows: Sequence[Row]) -> list[int]:
        table = self.tables.of(collection)
        # COPY has no RETURNING: the numbers are taken before.
        self.cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'number')::regclass),"
            " row_security_active(%s::regclass) FROM generate_series(1, %s)",
            (table, table, len(rows)),
        )
        found = self.cursor.fetchall()
        numbers = sorted(int(number) for number, _ in found)
        self._note_copied(table, len(rows))
        columns = self._columns(collection, rows)
        lines = zip(numbers, *columns, strict=True)
        when = 1 + list(names).index("created_at")
        # neighbours in time come to stand on the same pages: who walks in that order reads a few of them
        in_order = sorted(lines, key=itemgetter(when))
        into, marks = f"{table} (number, {', '.join(names)})", ("%s", *marks_of(collection.name))
        self._insert_many(into, marks, in_order, copies=not found[0][1])
        return numbers

    def _columns(self, collection: Collection, rows: Sequence[Row]) -> list[Sequence[Any]]:
        """Return the values for :meth:`insert_names` of many rows, by column."""
        *stored, _, _ = super().insert_names(collection)
        columns = {name: column(rows, name) for name in stored}
        if not all(columns["tenant"]):
            columns["tenant"] = [tenant or "" for tenant in columns["tenant"]]
        common_values = self.common_values() if _are_no_ones(rows) else NO_COMMON_VALUES
        made = [derived_columns(name, columns[name], common_values) for name in _JSON_NAMES[collection.name]]
        marks = self.tables.search_marks
        folds = zip(*[name_columns(filename, marks=marks) for filename in columns["filename"]], strict=True)
        return [*columns.values(), *folds, *chain.from_iterable(made)]

    # -- usual values ----------------------------------------------------------------------------------------

    def common_values(self) -> CommonValues:
        """Return the common values of the metadata, known for at most a minute."""
        if self._own is not None:
            return self._own
        learnt, now = self._learnt, time.monotonic()
        if now - learnt.read_at >= _MINUTE:
            learnt.values = read_common_values(self)
            learnt.read_at = now
        return learnt.values

    def learn(self, texts: Sequence[str] = ()) -> None:
        """Learn common values if the documents have doubled since this backend learnt last.

        Args:
            texts: the metadata of documents that are about to be added.
        """
        learnt = self._learnt
        self.run(Fragment(f"SELECT coalesce(max(number), 0) FROM {self.tables.of(DOCUMENTS)}"))
        last = self.cursor.fetchone()[0]
        if last + len(texts) < learnt.next_look:
            return
        learnt.next_look = 2 * (last + len(texts))
        self._own = learn(self, sample(self, last, texts))
        learnt.read_at = -math.inf  # what is learnt counts for others when it is committed

    # -- keeping the transaction -----------------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open: of a block, or of the application's connection."""
        connection = self.connection.dbapi_connection
        return not connection.autocommit or connection.info.transaction_status != TransactionStatus.IDLE

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the transaction alive, and nothing of the block, where a unique key turns out to be taken."""
        # An error ends a transaction of Postgres; one that is rolled back to a savepoint goes on.
        in_transaction = self.in_transaction
        if in_transaction:
            self.cursor.execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            yield
        except psycopg.errors.UniqueViolation as error:
            if in_transaction:
                self.cursor.execute(f"ROLLBACK TO {_SAVEPOINT}")
            raise duplicate_of(error) from error
        if in_transaction:
            self.cursor.execute(f"RELEASE {_SAVEPOINT}")

    def _note_copied(self, table: str, number: int) -> None:
        if number >= _ANALYZED_FROM_ROWS:
            self.copied.add(table)

    def analyze_new(self) -> None:
        """Have the server look at the tables that very many rows of this block went to, if it never has.

        It would by itself, within a minute; until then it plans as if it knew nothing of them. Outside any
        transaction; a table that somebody else is looking at is passed over, as is one that is not ours.
        """
        for table in sorted(self.copied):
            self.cursor.execute("SELECT reltuples <= 0 FROM pg_class WHERE oid = %s::regclass", (table,))
            if self.cursor.fetchone()[0]:
                self.cursor.execute(f"ANALYZE (SKIP_LOCKED) {table}")

    def _insert_many(
        self, into: str, marks: Sequence[str], rows: Iterable[Sequence[Any]], *, copies: bool
    ) -> None:
        """Add rows to a table.

        Args:
            into: the table and its columns, as SQL text.
            marks: the place of each value.
            rows: their values.
            copies: whether COPY may be used.
        """
        if copies:
            self._copy(f"COPY {into} FROM STDIN", rows)
        else:
            self.cursor.executemany(f"INSERT INTO {into} VALUES ({', '.join(marks)})", rows)

    def _copy(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with self.cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def insert_contents(self, lines: Iterable[tuple[int, str, str, str, str]], count: int) -> None:
        """Insert rows of content, many by COPY."""
        copies = count >= _COPIED_FROM_ROWS
        if copies:
            self._note_copied(self.tables.content, count)
            self.cursor.execute("SELECT row_security_active(%s::regclass)", (self.tables.content,))
            copies = not self.cursor.fetchone()[0]
        into = f"{self.tables.content} (number, tenant, content, words, symbols)"
        self._insert_many(into, ("%s",) * 5, lines, copies=copies)


def _are_no_ones(rows: Sequence[Row]) -> bool:
    """Return whether none of some records is a tenant's."""
    return not any(column(rows, "tenant"))


def _json_names(collection: Collection) -> tuple[str, ...]:
    return tuple(field.name for field in columns_of(collection) if field.kind is Kind.JSON)


_JSON_NAMES = {collection.name: _json_names(collection) for collection in (DOCUMENTS, EXTRACTIONS)}
_JSON_COLUMNS = {
    name: tuple(f"{field}_{kind}" for field in fields for kind, _ in derived_names(field))
    for name, fields in _JSON_NAMES.items()
}
_ALL_JSON = frozenset(name for names in _JSON_NAMES.values() for name in names)
_INSERTED: dict[str, tuple[str, ...]] = {}
_SQL_TYPES = {
    Kind.TEXT: "text", Kind.CHOICE: "text", Kind.JSON: "text",
    Kind.INTEGER: "bigint", Kind.INSTANT: "bigint", Kind.BOOLEAN: "boolean",
}  # fmt: skip
_CASTS = {f"{field}_{kind}": cast for field in _ALL_JSON for kind, cast in derived_names(field)}
_TYPES = {
    collection.name: {
        **{field.name: _SQL_TYPES[field.kind] for field in columns_of(collection)},
        **dict.fromkeys(("filename_fold", "filename_search"), "text"),
        **_CASTS,
    }
    for collection in (DOCUMENTS, EXTRACTIONS)
}
_MARKS = {
    collection.name: (
        *["%s"] * (len(columns_of(collection)) + 1),  # without the number, with two folds of the filename
        *(f"%s::{cast}" for field in _JSON_NAMES[collection.name] for _, cast in derived_names(field)),
    )
    for collection in (DOCUMENTS, EXTRACTIONS)
}


def marks_of(name: str) -> tuple[str, ...]:
    """Return the place of each value of an insert into the collection of this name, as SQL text."""
    return _MARKS[name]

"""Declared indexes: records in an order of fields and metadata paths, and the key ranges they narrow by.

A b-tree refuses values over 2.7 kB, so an index holds the beginnings of texts and of the sort bytes of
JSON paths. Where no document has a longer value, the order of the beginnings is the order. A second index
holds the documents that have one, as a rule none. A statement that uses the order says with each row
whether there is any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, TypeAlias

from docstore_sql.compiler import TRUE, Fragment, both, either, joined
from docstore_sql.tables import Tables

from docstore.backend import Query, SortKey, SortValue
from docstore.query.expr import Always, And, Compare, Expr, In, Not, Or, Path
from docstore.query.fields import Collection, Kind
from docstore.query.sorting import order_bytes
from docstore.query.values import Json
from docstore_postgres.jsonpath import indexed
from docstore_postgres.schema import sort_function

# A place in the order: just before (0) or just behind (1) these sort bytes.
KeyBound: TypeAlias = tuple[bytes, int]
# Before all keys, and behind all: no key begins with FF.
START: KeyBound = (b"", 0)
END: KeyBound = (b"\xff", 0)
# Ranges of one condition that the index looks up; more are a scan of it.
_RANGES = 64


@dataclass(frozen=True, slots=True)
class KeyRanges:
    """Parts of the order.

    Attributes:
        parts: from cut to cut, in order, apart from one another.
        exact: whether every record in them matches, so that all others do not.
    """

    parts: tuple[tuple[KeyBound, KeyBound], ...]
    exact: bool = False

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return self.parts == ((START, END),)

    def complement(self) -> KeyRanges:
        """Return all other parts."""
        cuts = [START, *(cut for part in self.parts for cut in part), END]
        return KeyRanges(_parts(zip(cuts[::2], cuts[1::2], strict=True)), self.exact)

    def meet(self, other: KeyRanges) -> KeyRanges:
        """Return what is in both."""
        both = ((max(a, c), min(b, d)) for a, b in self.parts for c, d in other.parts)
        return KeyRanges(_parts(sorted(both)), self.exact and other.exact)

    def join(self, other: KeyRanges) -> KeyRanges:
        """Return what is in one or the other."""
        joined: list[tuple[KeyBound, KeyBound]] = []
        for start, end in sorted((*self.parts, *other.parts)):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return KeyRanges(tuple(joined), self.exact and other.exact)


_ALL = KeyRanges(((START, END),))
_NONE = KeyRanges((), exact=True)


def _parts(found: Iterable[tuple[KeyBound, KeyBound]]) -> tuple[tuple[KeyBound, KeyBound], ...]:
    return tuple((start, end) for start, end in found if start < end)


def key_ranges(expr: Expr, path: Path) -> KeyRanges:
    """Return where in the order of ``path`` the records are that may match ``expr``."""
    match expr:
        case Always(value):
            return KeyRanges(_ALL.parts, exact=True) if value else _NONE
        case And(terms):
            found = KeyRanges(_ALL.parts, exact=True)
            for term in terms:
                found = found.meet(key_ranges(term, path))
        case Or(terms):
            found = _NONE
            for term in terms:
                found = found.join(key_ranges(term, path))
        case Not(term):
            inner = key_ranges(term, path)
            found = inner.complement() if inner.exact else _ALL
        case Compare(asked, op, value) if asked == path:
            found = _compared(op, value)
        case In(asked, values) if asked == path and len(values) <= _RANGES:
            found = _NONE
            for value in values:
                found = found.join(_compared("eq", value))
        case _:
            return _ALL
    return found if len(found.parts) <= _RANGES else _ALL


def _compared(op: str, value: Json) -> KeyRanges:
    """Return where values are that compare so; only those of the operand's own type do."""
    if isinstance(value, list | dict):
        return _ALL
    at = order_bytes(value)
    if value is None:  # a path that leads nowhere sorts as null, and does not always count as missing
        return KeyRanges((((at, 0), (at, 1)),)) if op in ("eq", "gte", "lte") else _NONE
    before, behind = (at, 0), (at, 1)
    first, last = (at[:1], 0), (bytes((at[0] + 1,)), 0)
    part = {
        "eq": (before, behind), "gt": (behind, last), "gte": (before, last), "lt": (first, before),
        "lte": (first, behind),
    }[op]  # fmt: skip
    return KeyRanges((part,), exact=True)


# A b-tree refuses entries of more than 2.7 kB: so much of a JSON path's sort bytes is a key, and so many
# characters of a text (four bytes each).
_BYTES, _CHARACTERS = 1_200, 300
Keys = tuple[SortKey, ...]


@dataclass(slots=True)
class IndexCondition:
    """The part of a filter that a declared index finds.

    Attributes:
        condition: all of it.
        ordered: the part that the order of the index finds.
        many: the name of the index that finds the other part.
        rows: how many rows Postgres expects; None until it is asked.
    """

    condition: Fragment
    ordered: Fragment
    many: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class DeclaredIndex:
    """One declared index: the one source of its own expressions and of those in queries."""

    collection: Collection
    tables: Tables
    keys: Keys

    @property
    def name(self) -> str:
        """The name of the index."""
        said = json.dumps([[list(key.path), key.descending, key.largest] for key in self.keys])
        return f"{self.tables.prefix}declared_{blake2b(said.encode(), digest_size=6).hexdigest()}"

    def kind(self, key: SortKey) -> Kind:
        """Return the kind of a key's field."""
        return self.collection.column(key.path[0]).kind

    def whole(self, key: SortKey) -> str:
        """Return the expression of all that a key sorts by."""
        field, *steps = key.path
        if self.kind(key) is not Kind.JSON:
            return f"d.{field}"
        listed = ", ".join(_literal(step) for step in steps)
        largest = str(key.largest).lower()
        return f"{sort_function(self.tables)}(d.{field}_json, ARRAY[{listed}]::text[], {largest})"

    def beginning(self, key: SortKey) -> str:
        """Return the expression that the index holds of a key."""
        match self.kind(key):
            case Kind.JSON:
                return f"substring({self.whole(key)} FROM 1 FOR {_BYTES})"
            case Kind.TEXT:
                return f"left({self.whole(key)}, {_CHARACTERS})"
            case _:
                return self.whole(key)

    def long(self) -> str:
        """Return the condition that a document has more of some key than the index holds."""
        lengths = {Kind.JSON: ("octet_length", _BYTES), Kind.TEXT: ("char_length", _CHARACTERS)}
        bounded = [(key, *lengths[self.kind(key)]) for key in self.keys if self.kind(key) in lengths]
        return " OR ".join(f"{name}({self.whole(key)}) > {most}" for key, name, most in bounded) or "false"

    def ordered(self, key: SortKey, descending: bool) -> str:
        """Return a key's expression and direction: ``None`` first ascending, last descending."""
        nulls = (
            ""
            if self.kind(key) is Kind.JSON or not self.collection.column(key.path[0]).nullable
            else " NULLS "
        )
        way = " DESC" if descending else " ASC"
        return f"({self.beginning(key)}){way}{nulls and nulls + ('LAST' if descending else 'FIRST')}"

    def statements(self) -> list[str]:
        """Return the statements that make the index."""
        table = self.tables.of(self.collection)
        last = " DESC" if self.keys[-1].descending else ""
        parts = [*(self.ordered(key, key.descending) for key in self.keys), f"number{last}"]
        made = [f'"{self.name}" ON {table} ({", ".join(parts)})']
        if self.long() != "false":
            made.append(f'"{self.name}_long" ON {table} (number) WHERE {self.long()}')
        if self._narrows:
            made.append(f'"{self.name}_many" ON {table} (number) WHERE {self._many()}')
        return ["CREATE INDEX IF NOT EXISTS " + text.replace("d.", "") for text in made]

    @property
    def _narrows(self) -> bool:
        """Whether conditions on the first key narrow by the index: a JSON path without an index as step."""
        first = self.keys[0]
        return self.kind(first) is Kind.JSON and not indexed(first.path[1:])

    def _many(self) -> str:
        """Return the condition that the first key's path reaches values that sort differently.

        Postgres takes an equality, of which it knows nothing, to be rare.
        """
        first = self.keys[0]
        ends = (self.whole(replace(first, largest=largest)) for largest in (False, True))
        return f"({' <> '.join(ends)})::int = 1"

    def index_condition(self, where: Expr) -> IndexCondition | None:
        """Return the condition on the first key that a filter implies, None if it implies none.

        A second index finds the documents whose path reaches several values.
        """
        found = key_ranges(where, self.keys[0].path) if self._narrows else None
        if found is None or found.is_all:
            return None
        cuts = [cut for part in found.parts for cut in part]
        if any(len(said) >= _BYTES for said, _ in cuts):
            return None
        ordered = either(self._between(*part) for part in found.parts)
        return IndexCondition(either((ordered, Fragment(self._many()))), ordered, f"{self.name}_many")

    def _between(self, start: KeyBound, end: KeyBound) -> Fragment:
        key = self.beginning(self.keys[0])
        above = Fragment(f"{key} {'>' if start[1] else '>='} %s::bytea", (start[0],))
        below = Fragment(f"{key} {'<=' if end[1] else '<'} %s::bytea", (end[0],))
        return both([TRUE if start == START else above, TRUE if end == END else below])

    def order_by(self, order: Sequence[SortKey]) -> str:
        """Return the ORDER BY list for an order that the index has."""
        named = [self.ordered(key, key.descending) for key in order if key.path != ("number",)]
        return ", ".join([*named, f"d.number{' DESC' if order[-1].descending else ''}"])

    def has_long(self, tenant: str | None) -> Fragment:
        """Return the test of whether any document of the tenant has more of a key than the index holds."""
        condition = Fragment(self.long().replace("d.", "l."))
        if condition.text == "false":
            return condition
        if tenant is not None and self.tables.is_parted:
            condition = Fragment(f"l.tenant = %s AND ({condition.text})", (tenant,))
        return condition.wrapped(f"EXISTS (SELECT 1 FROM {self.tables.of(self.collection)} AS l WHERE ", ")")

    def after(self, order: Sequence[SortKey], position: Sequence[SortValue]) -> Fragment | None:
        """Return the condition for rows behind a position, where one comparison of rows says it."""
        plain = all(key.descending == order[0].descending for key in order)
        if not plain or any(self._is_nullable(key) for key in order):
            return None
        bounds = [self._bound(key, value) for key, value in zip(order, position, strict=True)]
        if any(bound is None for bound in bounds):
            return None
        left = ", ".join("d.number" if key.path == ("number",) else self.beginning(key) for key in order)
        right = joined(", ", [bound for bound in bounds if bound is not None])
        return right.wrapped(f"({left}) {'<' if order[0].descending else '>'} (", ")")

    def _is_nullable(self, key: SortKey) -> bool:
        return self.kind(key) is not Kind.JSON and self.collection.column(key.path[0]).nullable

    def _bound(self, key: SortKey, value: Any) -> Fragment | None:
        match self.kind(key):
            case Kind.JSON:
                said = order_bytes(value)
                return Fragment("%s::bytea", (said,)) if len(said) <= _BYTES else None
            case Kind.TEXT | Kind.CHOICE:
                return Fragment("%s::text", (value,)) if len(value) <= _CHARACTERS else None
            case Kind.BOOLEAN:
                return Fragment("%s::boolean", (value,))
            case _:
                return Fragment("%s::bigint", (value,))


def _literal(text: str) -> str:
    """Return a text as an SQL literal of hexadecimal digits alone."""
    return "U&'" + "".join(f"\\+{ord(character):06x}" for character in text) + "'"


def matching(declared: Sequence[DeclaredIndex], query: Query) -> DeclaredIndex | None:
    """Return the index that begins with equalities of ``query`` and goes on in its order, if there is one."""
    terms = query.where.terms if isinstance(query.where, And) else (query.where,)
    equal = {
        term.path
        for term in terms
        if isinstance(term, Compare) and term.op == "eq" and term.value is not None
    }
    scalar = {path for path in equal if len(path) == 1}
    wanted = [(key.path, key.descending, key.largest) for key in query.order if key.path != ("number",)]
    down = query.order[-1].descending
    for one in declared:
        keys = list(one.keys)
        while keys and keys[0].path in scalar:
            keys.pop(0)
        turned = down != one.keys[-1].descending
        has = [(key.path, key.descending != turned, key.largest) for key in keys]
        if wanted and has == wanted:
            return one
    return None


def read(cursor: Any, tables: Tables, collection: Collection) -> list[DeclaredIndex]:
    """Return the declared indexes."""
    cursor.execute(f"SELECT value FROM {tables.setting} WHERE name = %s", (f"indexes of {collection.name}",))
    found = cursor.fetchone()
    return [] if found is None else listed(found[0], tables, collection)


def listed(text: str, tables: Tables, collection: Collection) -> list[DeclaredIndex]:
    """Return the declared indexes of a collection from the text of the store's setting."""
    return [
        DeclaredIndex(
            collection, tables, tuple(SortKey(tuple(path), down, largest) for path, down, largest in keys)
        )
        for keys in json.loads(text)
    ]


def create(cursor: Any, one: DeclaredIndex) -> bool:
    """Make an index, in the writer's transaction; return whether it is new. Others wait to write."""
    known = read(cursor, one.tables, one.collection)
    if one in known:
        return False
    for statement in (settling(one.tables), *one.statements()):
        cursor.execute(statement)
    cursor.execute(f"ANALYZE {one.tables.of(one.collection)}")  # what a condition holds is estimated by it
    _keep(cursor, one, [*known, one])
    return True


def settling(tables: Tables) -> str:
    """Return the statement that lets indexes call the sort function: they are built and analysed under a
    search_path of their own, which the store's functions are not in.
    """
    name = sort_function(tables).replace("'", "''").replace("%", "%%")
    # as a constant: Citus refuses FROM CURRENT for functions that it hands to other nodes
    return (
        f"DO $do$ BEGIN EXECUTE format('ALTER FUNCTION {name}(jsonb, text[], boolean, int) SET "
        "search_path TO %s', (SELECT string_agg(quote_ident(one), ', ') "
        "FROM unnest(current_schemas(false)) AS one)); END $do$"
    )


def drop(cursor: Any, one: DeclaredIndex) -> bool:
    """Remove an index, in the writer's transaction; return whether it was there."""
    known = read(cursor, one.tables, one.collection)
    if one not in known:
        return False
    schema = f'"{one.tables.schema}".' if one.tables.schema else ""
    names = ", ".join(f'{schema}"{one.name}{end}"' for end in ("", "_long", "_many"))
    cursor.execute(f"DROP INDEX IF EXISTS {names}")
    _keep(cursor, one, [other for other in known if other != one])
    return True


def _keep(cursor: Any, one: DeclaredIndex, known: Sequence[DeclaredIndex]) -> None:
    said = json.dumps(
        [[[list(key.path), key.descending, key.largest] for key in each.keys] for each in known]
    )
    cursor.execute(
        f"INSERT INTO {one.tables.setting} (name, value) VALUES (%s, %s)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (f"indexes of {one.collection.name}", said),
    )

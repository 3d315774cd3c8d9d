"""Expr → SQLite: SQLite compares columns; the registered evaluator tests JSON paths and folded strings.

Everything is exact. Terms of a conjunction on one JSON field share one call, after the column's own
conditions.

A predicate is compiled to a closure once a query and bound as a number; SQLite calls the closure for each
row. So the evaluator itself decides the matches of a JSON path, whatever SQLite makes of JSON: its number
parser is not exact, and its JSON functions go wrong on rare keys (SQLite 3.40; see ARCHITECTURE.md).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

from docstore_sql.compiler import Compiler, Fragment, both, either
from docstore_sql.tables import Tables

from docstore.backend import SortKey
from docstore.query.evaluator import compile as compile_expr
from docstore.query.explain import show_expr
from docstore.query.expr import And, Expr, Match, Not, Occurs, Or, Regex, asked_fields, leaves
from docstore.query.fields import Collection, Field, Kind, read_json
from docstore.query.paths import path_text
from docstore.query.sorting import order_bytes, sort_value
from docstore.query.text import fold
from docstore_sqlite.declared_indexes import key_expression

# -- functions that SQLite calls back --------------------------------------------------------------

# sqlite3 binds no Python objects: a closure is bound as a number, which is never used again.
_numbers = itertools.count(1)
_closures: dict[int, Callable[..., Any]] = {}


class _Bound:
    """A closure that SQLite can be handed: bound as its number, forgotten when the statement's values are."""

    __slots__ = ("number",)

    def __init__(self, closure: Callable[..., Any]) -> None:
        self.number = next(_numbers)
        _closures[self.number] = closure

    def __conform__(self, protocol: Any) -> int:
        return self.number

    def __del__(self) -> None:
        _closures.pop(self.number, None)


class Predicate(_Bound):
    """``expr`` over some fields, as a test of their stored values.

    Args:
        expr: its leaves all begin with one of ``fields``.
        fields: the fields, in the order of the values.
    """

    __slots__ = ("expr",)

    def __init__(self, expr: Expr, *fields: Field) -> None:
        super().__init__(_of_one(expr, *fields) if len(fields) == 1 else _of_many(expr, fields))
        self.expr = expr

    def __repr__(self) -> str:
        return f"<{show_expr(self.expr)}>"


def _of_one(expr: Expr, field: Field) -> Callable[[Any], bool]:
    test, name, reads = compile_expr(expr), field.name, _reader(field)
    return (lambda value: test({name: value})) if reads is None else lambda value: test({name: reads(value)})


def _of_many(expr: Expr, fields: Sequence[Field]) -> Callable[..., bool]:
    test, names = compile_expr(expr), [field.name for field in fields]
    readers = [(field.name, reads) for field in fields if (reads := _reader(field)) is not None]

    def of(*values: Any) -> bool:
        record = dict(zip(names, values, strict=True))
        for name, reads in readers:
            record[name] = reads(record[name])
        return test(record)

    return of


def _reader(field: Field) -> Callable[[Any], Any] | None:
    """Return the decoder of a field's stored values, None if the evaluator takes them as they are."""
    match field.kind:
        case Kind.JSON:
            return lambda text: None if text is None else read_json(text)
        case Kind.BOOLEAN:
            return lambda stored: None if stored is None else bool(stored)
    return None


class SortExpression(_Bound):
    """A JSON sort key, as a function from the field's text to bytes that order by rule 20."""

    __slots__ = ("key",)

    def __init__(self, key: SortKey) -> None:
        name = key.path[0]

        def of(text: str | None) -> bytes:
            return order_bytes(sort_value({name: None if text is None else read_json(text)}, key))

        super().__init__(of)
        self.key = key

    def __repr__(self) -> str:
        return f"<sort key of {path_text(self.key.path)}>"


class SetMember(_Bound):
    """A set of numbers, as a test of membership.

    Args:
        raw: a bit a number, little-endian bytes.
    """

    __slots__ = ("size",)

    def __init__(self, raw: bytes) -> None:
        end = len(raw) << 3

        def holds(number: int) -> bool:
            return number < end and bool(raw[number >> 3] >> (number & 7) & 1)

        super().__init__(holds)
        self.size = end

    def __repr__(self) -> str:
        return f"<a set of numbers below {self.size}>"


def _apply(number: int, *values: Any) -> Any:
    try:
        return _closures[number](*values)
    except (TypeError, ValueError, AttributeError):  # the row was changed by hand: who reads it finds out
        return None


def register(connection: Any) -> None:
    """Register the functions on a raw connection."""
    connection.create_function("docstore_test", -1, _apply, deterministic=True)
    connection.create_function("docstore_sort_key", 2, _apply, deterministic=True)


# -- conditions ------------------------------------------------------------------------------------

# From so many tests of one text column on, one call of the evaluator makes them all; fewer are left to
# SQLite.
_TESTED_TOGETHER = 4


class SQLiteCompiler(Compiler):
    """Compiles for SQLite."""

    mark = "?"
    declared: Sequence[tuple[SortKey, ...]] = ()
    """The keys of each declared index."""

    def __init__(self, collection: Collection, tables: Tables) -> None:
        super().__init__(collection, tables)
        self.column_pages: dict[Hashable, str] = {}
        self.orders: dict[Hashable, Any] = {}
        self.points: dict[tuple[Any, ...], tuple[tuple[str, ...], str]] = {}

    def declare(self, declared: Sequence[tuple[SortKey, ...]]) -> None:
        """Take note of the declared indexes; orders are compiled anew."""
        self.declared = declared
        self._sorted = {}
        self.orders = {}

    def where(self, expr: Expr) -> Fragment:
        """Return the condition for ``expr``; whatever is about one JSON field alone, or does nothing but test
        the text of one column in many ways, becomes one call of the evaluator.
        """
        field = self._only_json_field(expr) or self._only_text_column(expr)
        if field is not None:
            return self._tested(expr)
        if isinstance(expr, And):
            return self._conjunction(expr)
        return super().where(expr)

    def _conjunction(self, expr: And) -> Fragment:
        plain: list[Expr] = []
        by_field: dict[str, list[Expr]] = {}
        for term in expr.terms:
            field = self._only_json_field(term)
            if field is None:
                plain.append(term)
            else:
                by_field.setdefault(field.name, []).append(term)
        calls = [
            self._tested(terms[0] if len(terms) == 1 else And(tuple(terms))) for terms in by_field.values()
        ]
        return both([*map(self.where, plain), *calls])

    def _only_json_field(self, expr: Expr) -> Field | None:
        """Return the JSON field that every leaf of ``expr`` is about, or ``None``."""
        names = asked_fields(expr)
        if len(names) != 1:
            return None
        field = self.collection.column(names.pop())
        return field if field.kind is Kind.JSON else None

    def _only_text_column(self, expr: Expr) -> Field | None:
        """Return the text column that ``expr`` tests in many ways: read once, tested once."""
        if not isinstance(expr, And | Or | Not):
            return None
        tests = [*leaves(expr)]
        names = {leaf.path[0] if isinstance(leaf, Regex | Match) else None for leaf in tests}
        name = names.pop()
        return (
            None if names or name is None or len(tests) < _TESTED_TOGETHER else self.collection.column(name)
        )

    def _tested(self, expr: Expr) -> Fragment:
        """Return one call of the evaluator."""
        fields = [self.collection.column(name) for name in sorted(asked_fields(expr))]
        columns = ", ".join(map(self.column, fields))
        return Fragment(f"docstore_test(?, {columns})", (Predicate(expr, *fields),))

    def json(self, leaf: Any, field: Field) -> Fragment:
        """Return the evaluator's call for one leaf."""
        return self._tested(leaf)

    def text(self, leaf: Regex | Match, field: Field) -> Fragment:
        """Return a string operator on a text column: plain ones by SQLite, the rest by the evaluator."""
        column = self.column(field)
        match leaf:
            case Match(_, "substring", text):
                return (
                    Fragment(f"instr({column}, ?) > 0", (text,))
                    if text
                    else Fragment(f"{column} IS NOT NULL")
                )
            case Match(_, "isubstring", text) if field.name == "filename" and text:
                return Fragment("instr(d.filename_fold, ?) > 0", (fold(text),))
            case Match(_, "starts_with", text):
                return Fragment(f"substr({column}, 1, ?) = ?", (len(text), text))
            case _:
                return self._tested(leaf)

    def occurs(self, leaf: Occurs) -> Fragment:
        """Return a search term: a substring of the filename, or side by side in the content, both folded."""
        parts = [Fragment("instr(coalesce(d.filename_search, d.filename_fold), ?) > 0", (leaf.text,))]
        if leaf.content:
            words = " " + " ".join(leaf.words) + ("" if leaf.prefix else " ")
            column, text = ("words", words) if leaf.words else ("symbols", leaf.text)
            parts.append(
                Fragment(f"coalesce(instr({self.tables.content_of('d', column)}, ?), 0) > 0", (text,))
            )
        return either(parts)

    def listed(self, column: str, field: Field, values: Sequence[Any]) -> Fragment:
        """Return ``column`` being among ``values``, one JSON array bound."""
        return Fragment(
            f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(values, ensure_ascii=False),)
        )

    def json_sort_key(self, key: SortKey) -> Fragment:
        """Return the call that makes a JSON path's sort bytes, worded as its declared index is."""
        plain = replace(key, descending=False)
        if any(replace(known, descending=False) == plain for keys in self.declared for known in keys):
            return Fragment(key_expression(plain, self.collection, "d."))
        return Fragment(f"docstore_sort_key(?, d.{key.path[0]})", (SortExpression(key),))

    def json_sort_bound(self, value: Any) -> Fragment:
        """Return a sort value as the same bytes."""
        return Fragment("?", (order_bytes(value),))

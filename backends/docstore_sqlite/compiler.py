"""Expr → SQLite: SQLite compares columns; the registered evaluator tests JSON paths and folded strings.

Everything is exact. Terms of a conjunction on one JSON field share one call, after the column's own
conditions.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from docstore_sql.compiler import Compiler
from docstore_sql.fragment import Fragment, both, either
from docstore_sql.tables import Tables

from docstore.backend import SortKey
from docstore.query.expr import And, Expr, Match, Not, Occurs, Or, Regex, asked_fields, leaves
from docstore.query.fields import Collection, Field, Kind
from docstore.query.sorting import order_bytes
from docstore.query.text import fold
from docstore_sqlite.declared_indexes import key_expression
from docstore_sqlite.functions import Predicate, SortExpression

__all__ = ["SQLiteCompiler"]

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
        self.points: dict[tuple[Any, ...], tuple[tuple[str, ...], str]] = {}

    def declare(self, declared: Sequence[tuple[SortKey, ...]]) -> None:
        """Take note of the declared indexes; orders are compiled anew."""
        self.declared = declared
        self._sorted = {}

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
        """Return the call that makes a JSON path's sort bytes; where an index was declared over it, in its
        words.
        """
        plain = replace(key, descending=False)
        if any(replace(known, descending=False) == plain for keys in self.declared for known in keys):
            return Fragment(key_expression(plain, self.collection, "d."))
        return Fragment(f"docstore_sort_key(?, d.{key.path[0]})", (SortExpression(key),))

    def json_sort_bound(self, value: Any) -> Fragment:
        """Return a sort value as the same bytes."""
        return Fragment("?", (order_bytes(value),))

"""Expr → SQLite. Columns are compared by SQLite; conditions on JSON paths, and strings beyond it, by the
registered evaluator.

Everything is exact. Terms of a conjunction on one JSON field share one call, after the column's own
conditions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from docstore_sql.compile import Compiler
from docstore_sql.fragment import Fragment, both, either
from docstore_sql.tables import Tables

from docstore.backend import SortKey
from docstore.query.expr import Always, And, Expr, Match, Not, Occurs, Or, Regex, asked_fields, leaves
from docstore.query.fields import Collection, Field, Kind
from docstore.query.many.alternatives import negatives
from docstore.query.many.guard import TEXTS, guarded
from docstore.query.order import order_bytes
from docstore.query.plan import COSTLY
from docstore.query.text import fold
from docstore_sqlite.declared import key_expression
from docstore_sqlite.functions import Predicate, SortExpression

if TYPE_CHECKING:
    from docstore_sqlite.asked import Asked, AskedShape

__all__ = ["SQLiteCompiler"]


_TOGETHER = 4
"""So many tests of one text column are one call of the evaluator; fewer are left to SQLite."""


class SQLiteCompiler(Compiler):
    """Compiles for SQLite."""

    mark = "?"
    declared: Sequence[tuple[SortKey, ...]] = ()
    """The keys of each declared index."""

    def __init__(self, collection: Collection, tables: Tables) -> None:
        super().__init__(collection, tables)
        self.asked: dict[tuple[Any, ...], Asked] = {}
        self.shapes: dict[tuple[Any, ...], AskedShape] = {}
        self.points: dict[tuple[Any, ...], tuple[tuple[str, ...], str]] = {}

    def declare(self, declared: Sequence[tuple[SortKey, ...]]) -> None:
        """Take note of the declared indexes; what was worked out without is worked out anew."""
        self.declared = declared
        self.asked = {}
        self.shapes = {}
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
        if isinstance(expr, Or):
            return self._disjunction(expr)
        return super().where(expr)

    def _disjunction(self, expr: Or) -> Fragment:
        heavy, light = self._divided(expr.terms)
        if heavy:
            called = self._tested(Or(tuple(heavy)))
            return either([*([self.where(Or(tuple(light)))] if light else []), called])
        others, guards = guarded(expr.terms, (TEXTS,))
        if not guards:
            return super().where(expr)
        found = [self.where(term) for term in others]
        for group in guards:
            guard = self._tested(Or(tuple(group.leaves)))
            found.append(both([guard, either([self.where(term) for term in group.terms])]))
        return either(found)

    def _conjunction(self, expr: And) -> Fragment:
        plain: list[Expr] = []
        by_field: dict[str, list[Expr]] = {}
        terms = negatives(expr.terms)
        texts = Counter(term.path for term in terms if isinstance(term, Regex | Match))
        for term in terms:
            field = self._only_json_field(term)
            if field is None and isinstance(term, Regex | Match) and texts[term.path] >= _TOGETHER:
                field = self.collection.column(term.path[0])
            if field is None:
                plain.append(term)
            else:
                by_field.setdefault(field.name, []).append(term)
        heavy, light = self._divided(plain)
        together = [*by_field.values(), *([heavy] if heavy else [])]
        calls = [self._tested(terms[0] if len(terms) == 1 else And(tuple(terms))) for terms in together]
        return both([*map(self.where, light), *calls])

    def _divided(self, terms: Sequence[Expr]) -> tuple[list[Expr], Sequence[Expr]]:
        """Return the terms that become one call of the evaluator, where so many would be a call each, and
        the others.
        """
        if len(terms) <= COSTLY:
            return [], terms
        heavy = [term for term in terms if self._calls(term)]
        if len(heavy) <= COSTLY:
            return [], terms
        taken = {id(term) for term in heavy}
        return heavy, [term for term in terms if id(term) not in taken]

    def _calls(self, expr: Expr) -> bool:
        """Return whether ``expr`` needs the evaluator, and a row's own columns hold all that it asks."""
        asked = [*leaves(expr)]
        if any(isinstance(leaf, Always | Occurs) for leaf in asked):
            return False
        is_json = any(self.collection.column(name).kind is Kind.JSON for name in asked_fields(expr))
        return is_json or any(isinstance(leaf, Regex | Match) for leaf in asked)

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
        return None if names or name is None or len(tests) < _TOGETHER else self.collection.column(name)

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
        """Return a search term: a substring of the folded filename, or side by side among the content's
        words.
        """
        parts = [Fragment("instr(d.filename_fold, ?) > 0", (leaf.text,))]
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

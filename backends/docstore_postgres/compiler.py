"""Expr → Postgres SQL: columns with cast parameters, JSON paths by the JSON compiler, search by strpos."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from docstore_sql.compiler import Compiler
from docstore_sql.fragment import FALSE, Fragment, both, either
from docstore_sql.tables import Tables

from docstore.backend import Scope, SortKey
from docstore.query.expr import And, Expr, Leaf, Match, Mod, Occurs, Or, Regex
from docstore.query.fields import Collection, Field, Kind
from docstore.query.sorting import order_bytes
from docstore_postgres.json_compiler import JsonCompiler
from docstore_postgres.jsonpath import JsonRoot, merged
from docstore_postgres.like import string_condition
from docstore_postgres.schema import sort_function

__all__ = ["FlatCompiler", "PostgresCompiler"]

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_CASTS = {Kind.INTEGER: "bigint", Kind.INSTANT: "bigint", Kind.BOOLEAN: "boolean"}


class PostgresCompiler(Compiler):
    """Compiles for Postgres."""

    mark = "%s"

    def __init__(self, collection: Collection, tables: Tables) -> None:
        super().__init__(collection, tables)
        self.leaves = JsonCompiler(tables)

    # -- logic -----------------------------------------------------------------------------------------

    def where(self, expr: Expr) -> Fragment:
        """Return the condition for ``expr``; predicates on one JSON column are made one."""
        match expr:
            case And(terms):
                return self.conjunction(map(self.where, terms))
            case Or(terms):
                return either(merged(map(self.where, terms), "||"))
            case _:
                return super().where(expr)

    def conjunction(self, parts: Iterable[Fragment]) -> Fragment:
        """Return the condition that all parts hold; predicates on one JSON column are made one."""
        return both(merged(parts, "&&"))

    def scope(self, scope: Scope) -> Fragment:
        """Return the condition that confines to ``scope``; the index of tenants holds those that are one."""
        plain = super().scope(scope)
        return plain if scope.tenant is None else plain.wrapped("", " AND d.tenant <> ''")

    # -- columns ---------------------------------------------------------------------------------------------

    @property
    def integer(self) -> str:
        """Return the placeholder for an int64."""
        return "%s::bigint"

    def bound(self, field: Field) -> str:
        """Return the placeholder for a value of a column's kind."""
        return f"%s::{_CASTS.get(field.kind, 'text')}"

    def scalar(self, leaf: Leaf, field: Field) -> Fragment:
        """Return the condition for a leaf on a column."""
        if isinstance(leaf, Mod):
            return Fragment(
                f"mod({self.column(field)}, %s::bigint) = %s::bigint", (leaf.divisor, leaf.remainder)
            )
        return super().scalar(leaf, field)

    def compare(self, field: Field, op: str, value: Any) -> Fragment:
        """Return a comparison of a column; of numbers, those beyond its own kind are settled here."""
        if field.kind not in (Kind.INTEGER, Kind.INSTANT) or value is None:
            return super().compare(field, op, value)
        if isinstance(value, float) and not value.is_integer():
            if op == "eq":
                return FALSE
            value, op = math.floor(value), "gt" if op in ("gt", "gte") else "lte"
        value = int(value)
        if _INT64_MIN <= value <= _INT64_MAX:
            return super().compare(field, op, value)
        always = op in (("gt", "gte") if value < 0 else ("lt", "lte"))
        return Fragment(f"{self.column(field)} IS NOT NULL") if always else FALSE

    def among(self, field: Field, values: Sequence[Any]) -> Fragment:
        """Return ``$in`` on a column; whole doubles count as the integers that they are."""
        if field.kind is Kind.INTEGER:
            kept = [
                None if value is None else int(value)
                for value in values
                if value is None or value == int(value)
            ]
            values = [value for value in kept if value is None or _INT64_MIN <= value <= _INT64_MAX]
        return super().among(field, values) if values else FALSE

    def listed(self, column: str, field: Field, values: Sequence[Any]) -> Fragment:
        """Return ``column`` being among ``values``, one array bound."""
        return Fragment(f"{column} = ANY({self.bound(field)}[])", (list(values),))

    def direction(self, descending: bool, nullable: bool) -> str:
        """Return the words behind a sort key: None first ascending, last descending."""
        words = " DESC" if descending else " ASC"
        if not nullable:
            return words
        return words + (" NULLS LAST" if descending else " NULLS FIRST")

    def sort_bound(self, key: SortKey, value: Any) -> Fragment:
        """Return a position's value under ``key``, bound."""
        field = self.collection.column(key.path[0])
        return (
            self.json_sort_bound(value) if field.kind is Kind.JSON else Fragment(self.bound(field), (value,))
        )

    # -- JSON ------------------------------------------------------------------------------------------------

    def json(self, leaf: Any, field: Field) -> Fragment:
        """Return the condition for a leaf on a JSON path."""
        return self.leaves.leaf(leaf, leaf.path[1:], self.root(field))

    def root(self, field: Field) -> JsonRoot:
        """Return the root of the paths into a JSON field."""
        return JsonRoot(f"d.{field.name}_json", nullable=field.nullable, folds=f"d.{field.name}_fold")

    def json_sort_key(self, key: SortKey) -> Fragment:
        """Return the bytes that a JSON path sorts by (rule 20)."""
        name, *steps = key.path
        return Fragment(
            f"{sort_function(self.tables)}(d.{name}_json, %s::text[], %s::boolean)", (steps, key.largest)
        )

    def json_sort_bound(self, value: Any) -> Fragment:
        """Return a sort value as the same bytes, made here."""
        return Fragment("%s::bytea", (order_bytes(value),))

    # -- text ------------------------------------------------------------------------------------------------

    def text(self, leaf: Regex | Match, field: Field) -> Fragment:
        """Return a string operator on a text column.

        Beyond the filename, Postgres folds case as docstore does in ASCII texts alone.
        """
        column = self.column(field)
        if field.name == "filename":
            return string_condition(column, leaf, folded="d.filename_fold")
        folds = isinstance(leaf, Match) and leaf.folds
        condition = string_condition(column, leaf, folded=f'lower({column} COLLATE "C")')
        if not folds:
            return both((Fragment(f"{column} IS NOT NULL"), condition)) if field.nullable else condition
        return either((_beyond_ascii(column), condition))

    def occurs(self, leaf: Occurs) -> Fragment:
        """Return a search term: a substring of the filename, or side by side in the content, both folded."""
        parts = [Fragment("strpos(coalesce(d.filename_search, d.filename_fold), %s) > 0", (leaf.text,))]
        if leaf.content:
            words = " " + " ".join(leaf.words) + ("" if leaf.prefix else " ")
            column, text = ("words", words) if leaf.words else ("symbols", leaf.text)
            parts.append(self.found_in_content(column, text))
        return either(parts)

    def found_in_content(self, column: str, text: str) -> Fragment:
        """Return that a text stands in a column of the document's content."""
        there = "c.tenant = d.tenant AND c.number = d.number"
        # of one row: EXISTS could be turned into a look at all of them first
        found = f"(SELECT strpos(c.{column}, %s) > 0 FROM {self.tables.content} AS c WHERE {there})"
        return Fragment(found, (text,))


class FlatCompiler(PostgresCompiler):
    """Compiles for statements that have the contents joined to the documents, as ``c``."""

    def column(self, field: Field) -> str:
        """Return the expression that reads ``field``."""
        return "c.content" if field.name == "content" else super().column(field)

    def found_in_content(self, column: str, text: str) -> Fragment:
        """Return that a text stands in a column of the document's content."""
        return Fragment(f"strpos(c.{column}, %s) > 0", (text,))


def _beyond_ascii(text: str) -> Fragment:
    """Return the condition that a text holds characters which Postgres folds otherwise than docstore."""
    return Fragment(f"octet_length({text}) > char_length({text})")

"""Expr → Postgres SQL, and how far Postgres runs each leaf.

Columns take cast parameters; search uses ``strpos``. A condition on a JSON path that the path language can
say is one bound ``jsonpath`` against the column, which the GIN index serves. All others walk the values that
the path reaches and test them in SQL. Nothing here raises in the database, whatever a document holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from docstore_sql.compiler import FALSE, TRUE, Compiler, Fragment, both, either, joined
from docstore_sql.tables import Tables

from docstore.backend import EXACT, Scope, SortKey, Support, TermSupport
from docstore.query.expr import (
    All,
    Always,
    And,
    Compare,
    Contains,
    During,
    ElemMatch,
    Exists,
    Expr,
    In,
    Leaf,
    Match,
    Mod,
    Not,
    Occurs,
    Or,
    Path,
    Regex,
    Size,
    TypeIs,
    leaves,
)  # fmt: skip
from docstore.query.fields import Collection, Field, Kind
from docstore.query.instants import text_spans
from docstore.query.sorting import order_bytes
from docstore_postgres import jsonpath, patterns, prefilters
from docstore_postgres.jsonpath import (
    JsonRoot,
    array_text,
    ends,
    indexed,
    is_missing,
    json_of,
    merged,
    tested,
)
from docstore_postgres.patterns import string_condition
from docstore_postgres.schema import order_function, sort_function

_NO_FOLD = TermSupport(Support.INEXACT, "Postgres folds only the ASCII texts of this field")
_NO_REGEX = TermSupport(Support.UNSUPPORTED, "RE2 syntax that Postgres has no equal for")
_LOOSE_REGEX = TermSupport(Support.INEXACT, "a part of the pattern is read differently by RE2 and Postgres")
_LOOSE_GLOB = TermSupport(Support.INEXACT, "the glob's classes hold too many ranges")
_AS_TEXT = TermSupport(Support.INEXACT, "instants are looked for by the days that texts begin with")
_UNKNOWN = TermSupport(Support.UNSUPPORTED, "Postgres has no condition for it")
# The leaves that are exact whatever they hold, or looked at before.
_COMPILED = (All, Always, Compare, Contains, ElemMatch, Exists, In, Mod, Occurs, Size, TypeIs)
_IN_ELEMENT = "inside $elemMatch: {}"


def leaf_support(collection: Collection, leaf: Leaf) -> TermSupport:
    """Say how far Postgres runs ``leaf``."""
    match leaf:
        case ElemMatch(_, condition):
            reason = _loose_within(condition)
            return TermSupport(Support.INEXACT, _IN_ELEMENT.format(reason)) if reason else EXACT
        case Match(path) if leaf.folds:
            field = collection.column(path[0])
            folds = field.kind is Kind.JSON or field.name == "filename"
            return string_support(leaf) if folds else _NO_FOLD
        case Match() | Regex():
            return string_support(leaf)
        case During() | Contains(instants=(_, *_)):
            return _AS_TEXT
        case _:
            return EXACT if type(leaf) in _COMPILED else _UNKNOWN


def string_support(leaf: Match | Regex) -> TermSupport:
    """Say how far the pattern of ``leaf`` is exact, whatever it is asked of."""
    if isinstance(leaf, Match):
        loose = leaf.kind in ("glob", "iglob") and not patterns.glob_is_exact(
            leaf.text, folded=leaf.kind == "iglob"
        )
        return _LOOSE_GLOB if loose else EXACT
    translated = patterns.translate(leaf.pattern, leaf.flags)
    if translated is None:
        return _NO_REGEX
    return EXACT if translated.exact else _LOOSE_REGEX


def is_exact(condition: Expr) -> bool:
    """Return whether every leaf of a condition within ElemMatch is exact."""
    return _loose_within(condition) is None


def _loose_within(condition: Expr) -> str | None:
    for leaf in leaves(condition):
        match leaf:
            case ElemMatch(_, inner):
                reason = _loose_within(inner)
            case Match() | Regex():
                reason = string_support(leaf).reason
            case During() | Contains(instants=(_, *_)):
                reason = _AS_TEXT.reason
            case _:
                reason = None if type(leaf) in _COMPILED else _UNKNOWN.reason
        if reason:
            return reason
    return None


# Up to so many scalars are written out in one jsonpath; more are one array, looked up by hash.
_LITERAL_SCALARS = 64
# So many values of `$all` are looked for in the GIN index; each one more costs another posting list.
_GIN_VALUES = 16
_SYMBOLS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_ARRAY = '$.type() == "array"'


class JsonCompiler:
    """Compiles leaves, and whole conditions within an ElemMatch, over a root."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def where(self, expr: Expr, root: JsonRoot) -> Fragment:
        """Return the condition for ``expr``, the paths of which start at ``root``."""
        match expr:
            case And(terms):
                return both(merged((self.where(term, root) for term in terms), "&&"))
            case Or(terms):
                return either(merged((self.where(term, root) for term in terms), "||"))
            case Not(term):
                return self.where(term, root).wrapped("((", ") IS NOT TRUE)") if is_exact(term) else TRUE
            case Occurs():
                return FALSE
            case Always(value):
                return TRUE if value else FALSE
            case _:
                return self.leaf(expr, expr.path, root)

    def leaf(self, leaf: Leaf, path: Path, root: JsonRoot) -> Fragment:
        """Return the condition for ``leaf`` at ``path`` from ``root``."""
        match leaf:
            case Compare(_, op, value):
                return self._compare(root, path, op, value)
            case In(_, values):
                return self._among(root, path, values)
            case All(_, values):
                return self._every(root, path, values)
            case Exists():
                return self._exists(root, path)
            case TypeIs(_, types):
                return self._typed(root, path, types)
            case During(_, spans):
                return self._during(root, path, spans)
            case Mod(_, divisor, remainder):
                return self._tested(root, path, jsonpath.modulo(abs(divisor), remainder))
            case Regex() | Match():
                return self._string(root, path, leaf)
            case Size(_, length):
                return self._array(root, path, lambda array: f" && {array}.size() == {length}")
            case Contains():
                return self._contains(root, path, leaf)
            case ElemMatch():
                return self._element(root, path, leaf)
            case Occurs() | Always():
                return FALSE
            case _:  # within $elemMatch, which is looked at again
                return TRUE

    # -- what is seen ----------------------------------------------------------------------------------------

    def _tested(self, root: JsonRoot, path: Path, test: str | None) -> Fragment:
        """Return that an element seen, no array, fulfils a test of the path language."""
        if test is None:
            return FALSE
        if root.whole and not path:
            return tested(root.text, f'$.type() != "array" && exists($ ? ({test}))')
        if not indexed(path):
            return tested(root.text, jsonpath.exists(path, test))
        end = f"e{root.depth}"
        opened = f"exists($ ? ({test}))"
        condition = Fragment(
            f"{end}.v @@ CASE WHEN {end}.i THEN %s::jsonpath ELSE %s::jsonpath END",
            (f'$.type() != "array" && {opened}', opened),
        )
        return self._some_end(root, path, condition)

    def _seen(
        self, root: JsonRoot, path: Path, holds: Callable[[str], Fragment], only: str | None = None
    ) -> Fragment:
        """Return that a value seen, arrays themselves among them, fulfils a condition in SQL.

        Args:
            root: where the path starts.
            path: the steps.
            holds: the condition of an SQL expression.
            only: a test of the path language that such values fulfil; no array does.
        """
        end, element = f"e{root.depth}", f"s{root.depth}"
        if root.whole and not path:
            return holds(root.text)
        if only is not None and not indexed(path):
            steps = f"{jsonpath.reached(path)} ? ({only})"
            start = Fragment(
                f"EXISTS (SELECT 1 FROM jsonb_path_query({root.text}, %s::jsonpath) AS {element}(v) WHERE ",
                (steps,),
            )
            return joined("", (start, holds(f"{element}.v"), Fragment(")")))
        inside = Fragment(
            "EXISTS (SELECT 1 FROM jsonb_array_elements("
            f"CASE WHEN NOT {end}.i AND jsonb_typeof({end}.v) = 'array' "
            f"THEN {end}.v END) AS {element}(v) WHERE "
        )
        opened = joined("", (inside, holds(f"{element}.v"), Fragment(")")))
        return self._some_end(root, path, either((holds(f"{end}.v"), opened)))

    def _at_end(self, root: JsonRoot, path: Path, holds: Callable[[str], Fragment]) -> Fragment:
        """Return that a value at the end of the path, an array as a whole, fulfils a condition in SQL."""
        if not path:
            return holds(root.text)
        return self._some_end(root, path, holds(f"e{root.depth}.v"))

    def _array(self, root: JsonRoot, path: Path, also: Callable[[str], str]) -> Fragment:
        """Return the condition that an array at the path fulfils a conjunction as a whole.

        Args:
            root: where the path starts.
            path: the steps.
            also: returns the text behind the array test, given the path to the array.
        """
        if not path or indexed(path):
            return self._at_end(root, path, lambda v: tested(v, _ARRAY + also("$")))
        *before, last = path
        array = f"@.{jsonpath.quoted(last)}"
        return tested(
            root.text,
            jsonpath.exists(before, f'@.type() == "object" && {array}.type() == "array"{also(array)}'),
        )

    def _some_end(self, root: JsonRoot, path: Path, condition: Fragment) -> Fragment:
        return joined(" WHERE ", (ends(root, path), condition)).wrapped("EXISTS (SELECT 1 FROM ", ")")

    def _exists(self, root: JsonRoot, path: Path) -> Fragment:
        if not path:
            return Fragment(f"{root.text} IS NOT NULL") if root.nullable else TRUE
        if not indexed(path):
            return tested(root.text, jsonpath.exists(path))
        return ends(root, path).wrapped("EXISTS (SELECT 1 FROM ", ")")

    # -- values ----------------------------------------------------------------------------------------------

    def _compare(self, root: JsonRoot, path: Path, op: str, value: Any) -> Fragment:
        if isinstance(value, list | dict):
            return self._compare_composite(root, path, op, value)
        direct = jsonpath.scalar_comparison(root, path, op, value)
        if direct is not None:
            return tested(root.text, direct)
        found = self._tested(root, path, jsonpath.compared(op, value))
        if value is None and op in ("eq", "gte", "lte"):
            return either((found, is_missing(root, path)))
        return found

    def _compare_composite(self, root: JsonRoot, path: Path, op: str, value: Any) -> Fragment:
        text = json_of(value)
        if op == "eq":
            found = self._seen(root, path, lambda v: Fragment(f"{v} = %s::jsonb", (text,)))
            return both((prefilters.required(root, path, prefilters.inside(path, value)), found))
        kind = "array" if isinstance(value, list) else "object"

        def beyond(v: str) -> Fragment:
            ordered = f"{order_function(self.tables)}({v}) {_SYMBOLS[op]} %s::bytea"
            return Fragment(
                f"CASE WHEN jsonb_typeof({v}) = '{kind}' THEN {ordered} END", (order_bytes(value),)
            )

        return self._seen(root, path, beyond)

    def _among(self, root: JsonRoot, path: Path, values: Sequence[Any]) -> Fragment:
        plain = [value for value in values if value is not None]
        parts = [self._compare(root, path, "eq", None)] if len(plain) < len(values) else []
        composite = any(isinstance(value, list | dict) for value in plain)
        if composite or len(plain) > _LITERAL_SCALARS:
            texts = array_text([json_of(value) for value in plain])
            only = None if composite else '@.type() != "array"'
            parts.append(
                self._seen(root, path, lambda v: Fragment(f"{v} = ANY(%s::jsonb[])", (texts,)), only)
            )
        elif plain:
            direct = jsonpath.scalar_membership(root, path, plain)
            test = None if direct is None else tested(root.text, direct)
            parts.append(test or self._tested(root, path, prefilters.one_of(plain)))
        return either(parts)

    def _during(self, root: JsonRoot, path: Path, spans: Sequence[tuple[int, int]]) -> Fragment:
        """Return that a text stands where those stand that are instants within the spans: a superset."""
        tests = []
        for first, last in text_spans(spans):
            after = jsonpath.compared("gte", first) or "true"
            before = None if last is None else jsonpath.compared("lt", last)
            tests.append(after if before is None else f"({after} && {before})")
        return self._tested(root, path, " || ".join(tests))

    def _every(self, root: JsonRoot, path: Path, values: Sequence[Any]) -> Fragment:
        """Return that each of these scalars is seen: some by the path language, the others as a set."""
        if indexed(path) or not path:
            return both(self._compare(root, path, "eq", value) for value in values)
        first = both(merged((self._compare(root, path, "eq", value) for value in values[:_GIN_VALUES]), "&&"))
        if len(values) <= _GIN_VALUES:
            return first
        # `jsonb_path_query` is slow in opening an array: 150,000 elements took 2.1 s, by
        # `jsonb_array_elements` 0.05 s (Postgres 18).
        whole = f"SELECT jsonb_path_query({root.text}, %s::jsonpath)"
        opened = "CASE jsonb_typeof(e.v) WHEN 'array' THEN e.v ELSE jsonb_build_array(e.v) END"
        seen = f"SELECT s.v FROM ({whole}) AS e(v) CROSS JOIN LATERAL jsonb_array_elements({opened}) AS s(v)"
        lacking = f"NOT EXISTS (SELECT w.v FROM unnest(%s::jsonb[]) AS w(v) EXCEPT {seen})"
        others = array_text([json_of(value) for value in values[_GIN_VALUES:]])
        return both((first, Fragment(lacking, (others, jsonpath.reached(path)))))

    def _typed(self, root: JsonRoot, path: Path, types: frozenset[str]) -> Fragment:
        parts = [self._tested(root, path, jsonpath.typed(types))]
        if "array" in types:
            if path and not indexed(path):
                parts.append(tested(root.text, f'{jsonpath.reached(path)}.type() == "array"'))
            else:
                parts.append(self._at_end(root, path, lambda v: tested(v, _ARRAY)))
        return either(parts)

    # -- strings ---------------------------------------------------------------------------------------------

    def _string(self, root: JsonRoot, path: Path, leaf: Regex | Match) -> Fragment:
        if isinstance(leaf, Match) and leaf.kind == "starts_with":
            return self._tested(root, path, jsonpath.starts_with(leaf.text))

        def holds(v: str) -> Fragment:
            met = string_condition(f"({v} #>> '{{}}')", leaf, folded=_folded(v, root))
            return met.wrapped(f"CASE WHEN jsonb_typeof({v}) = 'string' THEN ", " END")

        return self._seen(root, path, holds, only='@.type() == "string"')

    # -- arrays ----------------------------------------------------------------------------------------------

    def _contains(self, root: JsonRoot, path: Path, leaf: Contains) -> Fragment:
        tests = prefilters.members(leaf)
        if tests is not None:
            return self._array(
                root, path, lambda array: "".join(f" && exists({array} ? ({test}))" for test in tests)
            )
        texts = array_text([json_of(value) for value in leaf.values])

        def holds(v: str) -> Fragment:
            elements = f"jsonb_array_elements(CASE WHEN jsonb_typeof({v}) = 'array' THEN {v} END) AS m(v)"
            if not leaf.every:
                return Fragment(f"EXISTS (SELECT 1 FROM {elements} WHERE m.v = ANY(%s::jsonb[]))", (texts,))
            wanted = (
                f"SELECT 1 FROM unnest(%s::jsonb[]) AS w(v) WHERE w.v NOT IN (SELECT m.v FROM {elements})"
            )
            lacking = f"NOT EXISTS ({wanted})"
            return both((tested(v, _ARRAY), Fragment(lacking, (texts,))))

        return self._at_end(root, path, holds)

    def _element(self, root: JsonRoot, path: Path, leaf: ElemMatch) -> Fragment:
        """Return ElemMatch: a walk over the elements; an array element counts as an object of its indexes."""
        depth = root.depth + 1
        element = f"x{depth}"
        array = f"e{root.depth}.v" if path else root.text
        opened = f"CASE WHEN jsonb_typeof({array}) = 'array' THEN {array} END"
        items = f"jsonb_array_elements({opened}) AS {element}(v)"
        inner = JsonRoot(f"{element}.v", depth, whole=leaf.of == "values", folds=root.folds)
        if leaf.of == "records":
            record = f"o{depth}"
            items += f" CROSS JOIN LATERAL (SELECT {_as_object(f'{element}.v')} OFFSET 0) AS {record}(v)"
            inner = JsonRoot(f"{record}.v", depth, folds=root.folds)
        condition = self.where(leaf.condition, inner)
        if leaf.of == "records":
            condition = both((Fragment(f"{inner.text} IS NOT NULL"), condition))
        start = ends(root, path).wrapped("", " CROSS JOIN LATERAL ") if path else Fragment("")
        found = joined("", (start, Fragment(f"{items} WHERE "), condition)).wrapped(
            "EXISTS (SELECT 1 FROM ", ")"
        )
        return both((prefilters.required(root, path, prefilters.element(path, leaf)), found))


def _as_object(value: str) -> str:
    """Return an element as an object: an array's by its indexes, NULL of a scalar."""
    items = f"jsonb_array_elements({value}) WITH ORDINALITY AS p(v, n)"
    indexes = f"SELECT coalesce(jsonb_object_agg(p.n - 1, p.v), '{{}}'::jsonb) FROM {items}"
    return f"CASE jsonb_typeof({value}) WHEN 'object' THEN {value} WHEN 'array' THEN ({indexes}) END"


def _folded(value: str, root: JsonRoot) -> str:
    """Return the folded text of a string: the fold stored with the record, else A–Z lowered."""
    text = f"({value} #>> '{{}}')"
    return f'coalesce({root.folds} ->> {text}, lower({text} COLLATE "C"))'


# What a bigint holds: psycopg sends a larger integer as numeric, and the cast would fail.
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

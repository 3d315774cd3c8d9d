"""Prefilters: the part of a condition that an index can find, placed before the condition.

A prefilter is a superset of its condition. Filenames are found by trigrams of the folded name, with the
extension pg_trgm where the server has it, else with a function of our own. Contents are found by their
words, as a tsvector made without a parser. A JSON condition that walks arrays in SQL cannot use the GIN
index; the equalities that it implies can.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from docstore_sql.compiler import TRUE, Fragment, either, joined
from docstore_sql.tables import Tables

from docstore.backend import ANYWHERE, Query, Scope
from docstore.query.expr import (
    All,
    And,
    Compare,
    Contains,
    ElemMatch,
    Expr,
    In,
    Match,
    Occurs,
    Or,
    Path,
    Regex,
    leaves,
)
from docstore.query.fields import Collection
from docstore.query.patterns import filename_texts, plain_runs
from docstore_postgres import jsonpath
from docstore_postgres.jsonpath import JsonRoot, array_text, indexed, tested
from docstore_postgres.patterns import like_text
from docstore_postgres.schema import LONGEST_WORD

# Implied predicates that are written at most.
_MOST_IMPLIED = 8
# Values of a list up to which it is a condition of the index over the metadata; longer ones are looked up.
_FEW_VALUES = 64
# Values that one look-up joins.
_TOGETHER = 8


def required(root: JsonRoot, path: Path, predicates: Iterator[str]) -> Fragment:
    """Return up to eight implied predicates at ``path``; TRUE within an element or behind an index."""
    if root.depth or indexed(path):
        return TRUE
    kept = [predicate for predicate, _ in zip(predicates, range(_MOST_IMPLIED), strict=False)]
    return tested(root.text, " && ".join(kept)) if kept else TRUE


def one_of(values: Sequence[Any]) -> str | None:
    """Return the test that an element equals one of these scalars, none of them null; None without any."""
    tests = [test for value in values if (test := jsonpath.compared("eq", value)) is not None]
    return f"({jsonpath.any_of(tests)})" if tests else None


def inside(path: Path, value: Any) -> Iterator[str]:
    """Yield the predicates that equality with an array or object implies: its scalars at their keys."""
    members = value.items() if isinstance(value, dict) else ((None, element) for element in value)
    for key, member in members:
        test = None if member is None or isinstance(member, list | dict) else jsonpath.compared("eq", member)
        if test is not None:
            steps = f".{jsonpath.quoted(key)}" if key is not None else "[*]"
            yield f"exists({jsonpath.reached(path)}{steps} ? ({test}))"


def members(leaf: Contains) -> list[str] | None:
    """Return tests of the path language for a Contains, each to hold of some element.

    None if the values hold arrays or objects, which the path language does not compare, or too many
    scalars.
    """
    if len(leaf.values) > _FEW_VALUES or any(isinstance(value, list | dict) for value in leaf.values):
        return None
    tests = [test for value in leaf.values if (test := jsonpath.compared("eq", value)) is not None]
    return tests if leaf.every else [jsonpath.any_of(tests)] if tests else None


def element(path: Path, leaf: ElemMatch) -> Iterator[str]:
    """Yield what ``$elemMatch`` implies: each equality with a scalar that its element must fulfil."""
    for term in _conjuncts(leaf.condition):
        test = _equality(term)
        if test is not None:
            inner = term.path if isinstance(term, Compare | In) else ()
            if leaf.of == "values" or not any(map(jsonpath.is_index, inner)):
                yield jsonpath.exists((*path, *inner), test)


def _conjuncts(expr: Expr) -> Iterator[Expr]:
    stack = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, And):
            stack.extend(reversed(node.terms))
        else:
            yield node


def _equality(term: Expr) -> str | None:
    match term:
        case Compare(_, "eq", value) if value is not None and not isinstance(value, list | dict):
            return jsonpath.compared("eq", value)
        case In(_, values) if len(values) <= _FEW_VALUES and all(
            value is not None and not isinstance(value, list | dict) for value in values
        ):
            return one_of(values)
        case _:
            return None


_KEYS = (("id",), ("external_id",), ("document_id",), ("sha256",))
# The lexeme of a text whose words are too many for a tsvector.
_TOO_LONG = "'*'"
# Zeros before two others: their trigrams are in most numbered names, and cost more than they tell.
_ZEROS = re.compile(r"0+(?=00)")


@dataclass(frozen=True, slots=True)
class PrefilterFinder:
    """Finds prefilters for the indexes of one store.

    Attributes:
        tables: the names of the tables.
        trigrams: whether filenames are indexed by pg_trgm; else by a function of our own.
    """

    tables: Tables
    trigrams: bool

    def finds(self, collection: Collection, expr: Expr) -> bool:
        """Return whether an index finds a superset of ``expr`` that is likely to be small."""
        match expr:
            case And(terms):
                return any(self.finds(collection, term) for term in terms)
            case Or(terms):
                return all(self.finds(collection, term) for term in terms)
            case Compare(path, "eq") | In(path) if path in _KEYS:
                return True
            case _:
                return collection.name == "documents" and self._finds_inside(expr)

    def _finds_inside(self, leaf: Expr) -> bool:
        """Return whether an index over the documents' metadata, names or contents finds ``leaf``."""
        match leaf:
            case Match() | Regex() | Occurs() | Compare(("filename",), "eq") | In(("filename",)):
                return self.prefilter(leaf) is not None
            case Compare(path, "eq", value):
                return _in_metadata(path) and value is not None and not isinstance(value, list)
            case In(path, values):
                return _in_metadata(path) and len(values) <= _FEW_VALUES and _are_plain(values)
            case All(path):
                return _in_metadata(path)
            case Contains(path, values):
                return _in_metadata(path) and 0 < len(values) <= _FEW_VALUES
            case ElemMatch(path, condition):
                equals = (isinstance(leaf, Compare) and leaf.op == "eq" for leaf in leaves(condition))
                return _in_metadata(path) and any(equals)
            case _:
                return False

    def lists(self, collection: Collection, term: Expr) -> bool:
        """Return whether ``term`` is a long list whose values the metadata index finds one by one."""
        return (
            collection.name == "documents"
            and isinstance(term, In)
            and len(term.values) > _FEW_VALUES
            and _in_metadata(term.path)
            and _are_plain(term.values)
        )

    def _listed(self, term: In, scope: Scope) -> Fragment:
        """Return that a document has one of the values: a look in the index for a few of them together.

        One jsonpath of a thousand alternatives is quadratic in GIN, a thousand of one each take long to bind.
        Of a thousand absent values, eight together took 2.9 ms of the server's CPU, one each 5.2 (60,000
        documents, Postgres 18).
        """
        table, path = self.tables.named("document"), term.path[1:]
        within = self._within("m", scope)
        literals = [jsonpath.literal_of("eq", value) or "false" for value in term.values]
        parts = (literals[at : at + _TOGETHER] for at in range(0, len(literals), _TOGETHER))
        tests = array_text([jsonpath.membership(path, part) for part in parts])
        one = f"SELECT m.number FROM {table} AS m WHERE {within.text}m.metadata_json @@ p.v OFFSET 0"
        found = f"SELECT f.number FROM unnest(%s::jsonpath[]) AS p(v) CROSS JOIN LATERAL ({one}) AS f"
        return Fragment(f"d.number = ANY(ARRAY({found}))", (tests, *within.values))

    def prefilters(self, query: Query) -> list[Fragment]:
        """Return the prefilters of the conjuncts of a query's condition."""
        if query.collection.name != "documents":
            return []
        terms = query.where.terms if isinstance(query.where, And) else (query.where,)
        found = [self.prefilter(term, query.scope) for term in terms]
        listed = [
            self._listed(term, query.scope)
            for term in terms
            if isinstance(term, In) and self.lists(query.collection, term)
        ]
        return [*(each for each in found if each is not None), *listed]

    def _within(self, alias: str, scope: Scope) -> Fragment:
        """Return the beginning of a condition that confines to a tenant, where its rows are apart: at each
        level of a statement, else all parts are looked in.
        """
        if scope.tenant is None or not self.tables.is_parted:
            return Fragment("")
        return Fragment(f"{alias}.tenant = %s AND ", (scope.tenant,))

    def prefilter(self, expr: Expr, scope: Scope = ANYWHERE) -> Fragment | None:
        """Return the prefilter of a search term, of a condition on the filename, or of several of which one
        must hold, if it has one.
        """
        match expr:
            case Occurs():
                return self._occurs(expr, scope)
            case Or(terms):
                return _either(self.prefilter(term, scope) for term in terms)
            case _:
                required = filename_texts(expr)
                if required is None or len(required[0]) > _FEW_VALUES:
                    return None
                parts = [texts if required[1] else plain_runs(texts) for texts in required[0]]
                return _either(self._named(max(part, key=len, default="")) for part in parts)

    def _named(self, part: str) -> Fragment | None:
        """Return that a document's folded filename has all trigrams of ``part``."""
        return self._has_grams("filename_fold", part)

    def _has_grams(self, column: str, part: str) -> Fragment | None:
        """Return that a fold of a filename has all trigrams of ``part``."""
        if not part:
            return None
        if self.trigrams:
            parts = _ZEROS.split(part) if len(max(_ZEROS.split(part), key=len)) > 2 else [part]
            pattern = "%".join(["", *map(like_text, parts), ""])
            return Fragment(f"d.{column} LIKE %s", (pattern,)) if len(part) > 2 else None
        grams = {part[at : at + 3] for at in range(max(1, len(part) - 2))}
        lexemes = sorted(f"{_lexeme(gram)}{':*' if len(gram) < 3 else ''}" for gram in grams)
        query = " & ".join(lexemes)
        return Fragment(f"{self.tables.named('grams')}(d.{column}) @@ %s::tsquery", (query,))

    def _occurs(self, leaf: Occurs, scope: Scope) -> Fragment | None:
        named = self._named(leaf.text)
        searched = self._has_grams("filename_search", leaf.text)  # where it is another fold; else NULL
        named = None if named is None or searched is None else either((named, searched))
        if named is None or (leaf.content and not leaf.words):
            return None
        if not leaf.content:
            return named
        *whole, last = (_lexeme(word[:LONGEST_WORD]) for word in leaf.words)
        query = (
            _TOO_LONG
            + " | "
            + " & ".join([*whole, last + (":*" if leaf.prefix or len(leaf.words[-1]) > LONGEST_WORD else "")])
        )
        words = f"{self.tables.named('terms')}(c.words) @@ %s::tsquery"
        start = self._within("c", scope).wrapped(f"SELECT c.number FROM {self.tables.content} AS c WHERE ")
        contents = joined("", (start, Fragment(words, (query,))))
        start = self._within("d", scope).wrapped(
            f"SELECT d.number FROM {self.tables.named('document')} AS d WHERE "
        )
        names = joined("", (start, named))
        return Fragment(
            f"d.number IN ({contents.text} UNION ALL {names.text})", contents.values + names.values
        )


def _are_plain(values: Sequence[Any]) -> bool:
    """Return whether values are scalars, none of them null."""
    return {list, dict, type(None)}.isdisjoint(map(type, values))


def _in_metadata(path: tuple[str, ...]) -> bool:
    return path[0] == "metadata" and len(path) > 1 and not indexed(path[1:])


def _either(parts: Iterable[Fragment | None]) -> Fragment | None:
    """Return the disjunction of prefilters, if there is each of them."""
    every = list(parts)
    found = [part for part in every if part is not None]
    return either(found) if found and len(found) == len(every) else None


def _lexeme(word: str) -> str:
    quoted = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{quoted}'"

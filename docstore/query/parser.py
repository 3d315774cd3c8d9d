"""From a filter as users write it to an Expr: the only stage that knows ``$``-words.

The bounds on a filter are checked before anything else looks at it, with a stack of its own: a filter of any
depth or size, and one that contains itself, costs milliseconds. So the recursion behind it is shallow. Every
error says where in the filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import tzinfo
from re import Pattern
from typing import Any, NoReturn, TypeAlias

from docstore.concurrency import looked_over
from docstore.limits import DEFAULT_LIMITS, Limits
from docstore.query.expr import FALSE, TRUE, All, And, ElemMatch, Expr, Not, Or
from docstore.query.fields import Collection, Kind
from docstore.query.filter_errors import (
    Where,
    bad_syntax,
    bad_value,
    shown,
    too_complex,
    unknown_field,
    unknown_operator,
)
from docstore.query.operators import (
    LOGIC,
    OPERATORS,
    Moment,
    Rules,
    Target,
    array_only,
    compare_field,
    field_operand,
    is_operators,
    list_operand,
    of_records,
    plain_value,
    read_regex,
    words_with,
)
from docstore.query.paths import parse_path, path_text
from docstore.query.values import Json, NotJson, by_value, check_text

# Characters of an unknown name up to which the error suggests the same name below metadata.
_LONGEST_HINT = 64
# The `$`-words that stand where a field's name would.
TOP_WORDS = (*LOGIC, "$comment")
# The `$`-words that stand below a field.
FIELD_WORDS = tuple(OPERATORS)


def parse(
    filter: Mapping[str, Any] | None,
    collection: Collection | None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    default_timezone: tzinfo | None = None,
) -> Expr:
    """Read a filter.

    Args:
        filter: the filter; ``None`` and ``{}`` match everything. Compiled patterns of :mod:`re` stand for
            ``$regex``: their text is read as RE2 reads it, with their flags.
        collection: whose fields the top-level names are; ``None``: any name, holding any JSON.
        limits: the bounds.
        default_timezone: what naive times are in; None makes them an error.

    Returns:
        The Expr, not yet normalized.

    Raises:
        FilterSyntaxError: the wrong form.
        UnknownOperator, UnknownField: a word or name that there is not; ``suggestion`` is the nearest one.
        FilterValueError: an operand of the wrong type or value.
        FilterTooComplex: a bound is passed; checked before all else.
    """
    if filter is None:
        return TRUE
    check_bounds(filter, limits)
    return _filter(Rules(collection, limits, default_timezone), filter, ())


def _filter(rules: Rules, filter: Any, where: Where) -> Expr:
    terms = []
    for key, operand in members(filter, where, "a filter: an object of fields and operators"):
        here = (*where, key)
        if not key.startswith("$"):
            terms.append(_field(rules, key, operand, here))
        elif key in LOGIC:
            terms.append(_logic(rules, key, operand, here))
        elif key != "$comment":
            place = "a field's name, or one of " + ", ".join(TOP_WORDS)
            raise unknown_operator(here, key, _top_words_near(key), place)
    return _all(terms)


def _top_words_near(key: str) -> tuple[str, ...]:
    return () if key in FIELD_WORDS else TOP_WORDS


def members(mapping: Any, where: Where, expected: str) -> Iterator[tuple[str, Any]]:
    """Yield the members of an object, each key by its value; a wrong key is a FilterError."""
    if type(mapping) is not dict and not isinstance(mapping, Mapping):
        raise bad_syntax(where, shown(mapping), expected)
    for given, operand in mapping.items():
        key = by_value(given)
        if not isinstance(key, str):
            raise bad_syntax(where, f"a key that is {shown(key)}", "keys that are text")
        try:
            check_text(key)
        except NotJson as wrong:
            raise bad_value(where, f"a key that is {wrong.reason}", wrong.expected) from None
        yield key, operand


def _all(terms: list[Expr]) -> Expr:
    if not terms:
        return TRUE
    return terms[0] if len(terms) == 1 else And(tuple(terms))


def _logic(rules: Rules, key: str, operand: Any, where: Where) -> Expr:
    if not isinstance(operand, (list, tuple)) or not operand:
        found = "an empty array" if isinstance(operand, (list, tuple)) else shown(operand)
        raise bad_syntax(where, found, "a non-empty array of filters")
    terms = tuple(_filter(rules, branch, (*where, str(at))) for at, branch in enumerate(operand))
    if key == "$and":
        return And(terms)
    return Or(terms) if key == "$or" else Not(Or(terms))


def _field(rules: Rules, key: str, operand: Any, where: Where) -> Expr:
    return _condition(rules, _target(rules, key, where), operand, where)


def _target(rules: Rules, key: str, where: Where) -> Target:
    path = parse_path(key)
    if rules.collection is None:
        return Target(path)
    fields = rules.collection.fields
    field = fields.get(path[0])
    if field is None:
        what = f"unknown field {shown(path[0])}"
        hint = "what a record carries beyond its fields is below 'metadata'"
        below = path_text(("metadata", *path)) if len(key) <= _LONGEST_HINT and path[0] else None
        raise unknown_field(where, path[0], fields, what, hint, below)
    if len(path) > 1 and field.kind is not Kind.JSON:
        what = f"{shown(key)} names something below {field.name!r}, which holds a single value"
        raise unknown_field(where, key, (), what, f"expected {field.name!r} itself")
    return Target(path, field.kind, field.choices)


def _condition(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    if isinstance(operand, re.Pattern):
        return read_regex(rules, target, operand, where)
    if is_operators(operand):
        return _operators(rules, target, operand, where)
    return plain_value(rules, target, operand, where)


def _operators(rules: Rules, target: Target, operators: Mapping[Any, Any], where: Where) -> Expr:
    terms = []
    given = dict(members(operators, where, "operators"))
    for word, operand in given.items():
        here = (*where, word)
        if not word.startswith("$"):
            what = f"the plain key {shown(word)} among operators"
            raise bad_syntax(here, what, "operators only, or a plain key first")
        # $regex reads its options itself.
        if word == "$options" and "$regex" in given:
            continue
        terms.append(_operator(rules, target, word, operand, here, given))
    return _all(terms)


def _operator(
    rules: Rules, target: Target, word: str, operand: Any, where: Where, siblings: Mapping[Any, Any]
) -> Expr:
    match word:
        case "$regex":
            return read_regex(rules, target, operand, where, siblings)
        case "$not":
            return Not(_negated(rules, target, operand, where))
        case "$elemMatch":
            array_only(target, where)
            return _element(rules, target, operand, where)
        case "$all":
            array_only(target, where)
            return _every(rules, target, operand, where)
    operator = OPERATORS.get(word)
    if operator is not None and operator.read is not None:
        return operator.read(rules, target, operand, where)
    near = () if word in TOP_WORDS or word == "$date" else FIELD_WORDS
    place = "an operator on a field, such as " + ", ".join(FIELD_WORDS[:6])
    if word == "$date":
        place = "it alone in an object, as in {'$gt': {'$date': '2026-01-31'}}"
    raise unknown_operator(where, word, near, place)


def _negated(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    if isinstance(operand, re.Pattern):
        return read_regex(rules, target, operand, where)
    if not is_operators(operand):
        found = "an empty object" if operand == {} else shown(operand)
        raise bad_syntax(where, found, "operators; for a plain value use $ne")
    return _operators(rules, target, operand, where)


def _element(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    """Read ``$elemMatch``: operators on the element itself, or a filter over its fields (rule 17)."""
    if not isinstance(operand, Mapping):
        raise bad_syntax(where, shown(operand), "operators, or a filter over the element's fields")
    free = replace(rules, collection=None)
    if of_records(operand):
        return ElemMatch(target.path, _filter(free, operand, where), "records")
    return ElemMatch(target.path, _operators(free, Target(()), operand, where), "values")


def _every(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    """Read ``$all``: every value by ``$eq``, or every ``$elemMatch`` (rule 16); of nothing: nothing."""
    values = list_operand(operand, where)
    if not values:
        return FALSE
    words = [by_value(next(iter(value))) if is_operators(value) else None for value in values]
    consistent = words[0] if words[0] == "$elemMatch" else None
    scalars: list[Json] = []
    terms: list[Expr] = []
    for at, (value, word) in enumerate(zip(values, words, strict=True)):
        here = (*where, str(at))
        if word != consistent:
            raise bad_value(here, shown(value), "either plain values only or $elemMatch only")
        if consistent is None:
            member = field_operand(rules, target, value, here)
            # The leaf All holds scalars that are not null: it looks each up in one set. Others are terms of
            # their own.
            if member is None or isinstance(member, list | dict | Moment):
                terms.append(compare_field(target, "eq", member))
            else:
                scalars.append(member)
        elif len(value) > 1:
            raise bad_value(here, "another key beside $elemMatch", "$elemMatch alone")
        else:
            terms.append(_element(rules, target, next(iter(value.values())), (*here, "$elemMatch")))
    return _all([*([All(target.path, tuple(scalars))] if scalars else []), *terms])


# The words before lists of values; each value is an operand of its own.
LISTS = words_with("values")
# The words before patterns.
PATTERNS = words_with("pattern")

# How many operands of the largest size may come together in one filter.
_TOTAL = 64

# Whether it is a whole filter (else: the operators of one field), the mapping, its nesting, where it is.
_Task: TypeAlias = tuple[bool, Any, int, Where]


def check_bounds(filter: Any, limits: Limits) -> None:
    """Check a filter against ``limits``.

    Besides the limits' own: all operands together may have 64 times ``operand_bytes`` (4 MiB by default).

    Raises:
        FilterTooComplex: a bound is passed; the error names it.
    """
    # A stack of our own: Python's would overflow on a filter of thousands of levels.
    walk = _Walk(limits)
    if isinstance(filter, Mapping):
        walk.tasks.append((True, filter, 0, ()))
    while walk.tasks:
        whole, mapping, nesting, where = walk.tasks.pop()
        if whole:
            walk.filter(mapping, nesting, where)
        else:
            walk.operators(mapping, nesting, where)


class _Walk:
    """The counts of one walk and what is still to be walked."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.tasks: list[_Task] = []
        self.predicates = 0
        self.patterns = 0
        self.clauses = 0
        self.size = 0

    def filter(self, mapping: Mapping[Any, Any], nesting: int, where: Where) -> None:
        if not mapping:
            self.count_clause(where)
        for given, operand in mapping.items():
            self.count_clause(where)
            key = by_value(given)
            if not isinstance(key, str):
                continue
            here = (*where, key[:100])
            if key in LOGIC:
                self.branches(operand, self.deeper(nesting, here), here)
            elif key.startswith("$"):
                self.operand(operand, here)
            else:
                self.field(key, operand, nesting, here)

    def branches(self, operand: Any, nesting: int, where: Where) -> None:
        if not isinstance(operand, (list, tuple)):
            return
        if len(operand) > self.most_clauses:
            self.fail(where, "too many filters in a list", "predicates", self.limits.predicates)
        for at, branch in enumerate(operand):
            if isinstance(branch, Mapping):
                self.tasks.append((True, branch, nesting, (*where, str(at))))
            else:
                self.count_clause(where)

    def field(self, key: str, operand: Any, nesting: int, where: Where) -> None:
        self.text(key, where)
        if len(parse_path(key)) > self.limits.path_steps:
            self.fail(where, "a path of too many steps", "path_steps", self.limits.path_steps)
        if is_operators(operand):
            self.tasks.append((False, operand, nesting, where))
        else:
            self.count_predicate(where)
            self.operand(operand, where, pattern=isinstance(operand, Pattern))

    def operators(self, mapping: Mapping[Any, Any], nesting: int, where: Where) -> None:
        for given, operand in mapping.items():
            self.count_clause(where)
            key = by_value(given)
            here = (*where, str(key)[:100])
            if key == "$not":
                self.negation(operand, self.deeper(nesting, here), here)
                continue
            if key != "$options":
                self.count_predicate(here)
            if key == "$elemMatch":
                self.element(operand, self.deeper(nesting, here), here)
            elif key in LISTS and isinstance(operand, (list, tuple)):
                self.values(operand, nesting, here)
            else:
                self.operand(operand, here, pattern=key in PATTERNS)

    def negation(self, operand: Any, nesting: int, where: Where) -> None:
        if isinstance(operand, Mapping):
            self.tasks.append((False, operand, nesting, where))
        else:
            self.operand(operand, where, pattern=isinstance(operand, Pattern))

    def element(self, operand: Any, nesting: int, where: Where) -> None:
        if isinstance(operand, Mapping):
            self.tasks.append((of_records(operand), operand, nesting, where))

    def values(self, operand: Any, nesting: int, where: Where) -> None:
        if len(operand) > self.limits.list_length:
            self.fail(where, f"a list of {len(operand):,} values", "list_length", self.limits.list_length)
        for at, value in enumerate(looked_over(operand)):
            if is_operators(value) and by_value(next(iter(value))) == "$elemMatch":
                self.tasks.append((False, value, nesting, (*where, str(at))))
            else:
                self.operand(value, where)

    def operand(self, operand: Any, where: Where, *, pattern: bool = False) -> None:
        """Measure an operand from below; what passes is measured exactly when it has been read."""
        if pattern:
            self.count_pattern(where)
        kind = type(operand)
        if kind is str:
            self.text(operand, where, pattern=pattern)
        # Numbers and constants have no size worth counting; texts and containers have.
        elif kind is int or kind is bool or kind is float or operand is None:
            return
        else:
            self.values_within(operand, where, pattern=pattern)
        if self.size > _TOTAL * self.limits.operand_bytes:
            self.fail(where, "operands too large together", "operand_bytes", self.limits.operand_bytes)

    def values_within(self, operand: Any, where: Where, *, pattern: bool) -> None:
        before = self.size
        # A container may hold itself. Its depth ends that: each level is one step deeper.
        levels: list[tuple[Any, int]] = [(operand, 1)]
        while levels:
            value, depth = levels.pop()
            if isinstance(value, str):
                self.text(value, where, pattern=pattern)
            elif isinstance(value, Pattern):
                self.text(value.pattern, where, pattern=True)
            elif isinstance(value, (Mapping, list, tuple)):
                self.composite(value, depth, levels, where)
            if self.size - before > self.limits.operand_bytes + 2:
                self.too_large(where)

    def composite(self, value: Any, depth: int, levels: list[tuple[Any, int]], where: Where) -> None:
        if depth > self.limits.operand_depth:
            self.fail(where, "an operand nested too deeply", "operand_depth", self.limits.operand_depth)
        if 2 * len(value) > self.limits.operand_bytes:
            self.too_large(where)
        self.size += 2 * len(value)
        for member in value:
            if isinstance(value, Mapping):
                self.text(member if isinstance(member, str) else "", where)
                levels.append((value[member], depth + 1))
            else:
                levels.append((member, depth + 1))

    def text(self, text: str | bytes, where: Where, *, pattern: bool = False) -> None:
        if pattern and len(text) > self.limits.pattern_characters:
            what = f"a pattern of {len(text):,} characters"
            self.fail(where, what, "pattern_characters", self.limits.pattern_characters)
        size = len(text)
        if isinstance(text, str) and size <= self.limits.operand_bytes and not text.isascii():
            size = len(text.encode("utf-8", "surrogatepass"))
        if size > self.limits.operand_bytes:
            self.too_large(where)
        self.size += size

    @property
    def most_clauses(self) -> int:
        """Keys and empty filters that one filter may have: more than its predicates can need."""
        # Each predicate has a key at each level around it, and up to four of its own.
        return self.limits.predicates * (self.limits.nesting + 4)

    def count_clause(self, where: Where) -> None:
        self.clauses += 1
        if self.clauses > self.most_clauses:
            self.fail(where, "too many clauses", "predicates", self.limits.predicates)

    def count_predicate(self, where: Where) -> None:
        self.predicates += 1
        if self.predicates > self.limits.predicates:
            self.fail(where, "too many predicates", "predicates", self.limits.predicates)

    def count_pattern(self, where: Where) -> None:
        self.patterns += 1
        if self.patterns > self.limits.patterns:
            self.fail(where, "too many patterns", "patterns", self.limits.patterns)

    def deeper(self, nesting: int, where: Where) -> int:
        if nesting >= self.limits.nesting:
            self.fail(where, "a filter nested too deeply", "nesting", self.limits.nesting)
        return nesting + 1

    def too_large(self, where: Where) -> NoReturn:
        self.fail(where, "an operand too large", "operand_bytes", self.limits.operand_bytes)

    @staticmethod
    def fail(where: Where, what: str, bound: str, limit: int) -> NoReturn:
        raise too_complex(where, what, bound, limit)

"""The bounds on a filter, checked before anything else looks at it: a stack of its own, no recursion, no I/O.

The walk stops at the first bound that is passed, so a filter of any depth or size, and one that contains
itself, costs milliseconds. What is merely wrong in form is left for ``parse`` to name.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import Pattern
from typing import Any, NoReturn, TypeAlias

from docstore.concurrency import looked_over
from docstore.limits import Limits
from docstore.query.complaints import Where, too_complex
from docstore.query.paths import parse_path
from docstore.query.values import by_value

__all__ = ["LISTS", "LOGIC", "PATTERNS", "check_bounds", "is_instant", "is_operators", "of_records"]

LOGIC = ("$and", "$or", "$nor")
"""The words before lists of filters."""
LISTS = ("$in", "$nin", "$all", "$contains", "$containsAny")
"""The words before lists of values; each value is an operand of its own."""
PATTERNS = ("$regex", "$glob", "$iglob")
"""The words before patterns."""

_TOTAL = 64
"""How many operands of the largest size may come together in one filter."""

_Task: TypeAlias = tuple[bool, Any, int, Where]
"""Whether it is a whole filter (else: the operators of one field), the mapping, its nesting, where it is."""


def is_operators(value: Any) -> bool:
    """Tell whether ``value`` is a set of operators: an object whose first key begins with ``$`` (rule 10),
    but for ``{"$date": …}``, which is an instant (rule 4).
    """
    if type(value) is not dict and not isinstance(value, Mapping):
        return False
    for first in value:
        word = by_value(first)
        return isinstance(word, str) and word[:1] == "$" and not (word == "$date" and len(value) == 1)
    return False


def is_instant(value: Any) -> bool:
    """Tell whether ``value`` is ``{"$date": …}``: an instant, and no set of operators (rule 4)."""
    return isinstance(value, Mapping) and len(value) == 1 and by_value(next(iter(value))) == "$date"


def of_records(condition: Mapping[Any, Any]) -> bool:
    """Tell whether the operand of ``$elemMatch`` is a filter over an element's fields (else: operators)."""
    return not is_operators(condition) or by_value(next(iter(condition))) in (*LOGIC, "$comment")


def check_bounds(filter: Any, limits: Limits) -> None:
    """Check a filter against ``limits``.

    Besides the limits' own: all operands together may have 64 times ``operand_bytes`` (4 MiB by default).

    Raises:
        FilterTooComplex: a bound is passed; the error names it.
    """
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
        elif kind is int or kind is bool or kind is float or operand is None:
            return
        else:
            self.values_within(operand, where, pattern=pattern)
        if self.size > _TOTAL * self.limits.operand_bytes:
            self.fail(where, "operands too large together", "operand_bytes", self.limits.operand_bytes)

    def values_within(self, operand: Any, where: Where, *, pattern: bool) -> None:
        before = self.size
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

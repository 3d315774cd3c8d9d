"""SQL/JSON path text, and the traversal of paths in ``jsonb`` (rules 6 to 9).

Every path is lax: a member step opens an array, one level, and tries its elements that are objects. That
is rule 6 as long as the step is no decimal index. A filter ``? (…)`` opens an array, too, so that ``@``
stands for the elements. Every test asks for the type, because a comparison would open an inner array once
more.

``$."a"."b" == "x"`` opens an array once at the end, which is rule 8 for a scalar operand. Deeper arrays
and other types compare as unknown, and unknown is not true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any

from docstore_sql.fragment import Fragment, either, joined

from docstore.query.expr import Path
from docstore_postgres.jsonb import number_of

__all__ = [
    "JsonRoot",
    "any_of",
    "compared",
    "ends",
    "exists",
    "indexed",
    "is_index",
    "is_missing",
    "literal_of",
    "membership",
    "merged",
    "missing",
    "modulo",
    "quoted",
    "reached",
    "scalar_comparison",
    "scalar_membership",
    "starts_with",
    "tested",
    "truncates",
    "typed",
]

_INDEX = re.compile(r"(?:0|[1-9][0-9]*)\Z")
_SYMBOLS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_INT64 = (-(2**63), 2**63 - 1)
_WHOLE = "@.floor() == @"
_NARROW = "@ >= -2147483648 && @ <= 2147483647"
_WIDE = f"@ >= {_INT64[0]} && @ <= {_INT64[1]}"
_NUMBER = '@.type() == "number"'
_TYPES = {
    "null": '@.type() == "null"',
    "bool": '@.type() == "boolean"',
    "number": _NUMBER,
    "string": '@.type() == "string"',
    "object": '@.type() == "object"',
    "int": f"({_NUMBER} && {_NARROW} && {_WHOLE})",
    "long": f"({_NUMBER} && {_WIDE} && !({_NARROW}) && {_WHOLE})",
    "double": f"({_NUMBER} && !({_WIDE} && {_WHOLE}))",
}


def quoted(text: str) -> str:
    """Return ``text`` as a string of the path language, whose escapes are JSON's."""
    return encode_basestring_ascii(text)


def is_index(step: str) -> bool:
    """Return whether ``step`` is a decimal index without leading zeros."""
    return _INDEX.match(step) is not None


def reached(path: Sequence[str]) -> str:
    """Return the path text of ``path``, which has no index among its steps; it leads to arrays as a whole."""
    return "$" + "".join(f".{quoted(step)}" for step in path)


def exists(path: Sequence[str], test: str | None = None) -> str:
    """Return the predicate that something satisfying ``test`` is reached; the test opens a last array."""
    return f"exists({reached(path)} ? ({test}))" if test else f"exists({reached(path)})"


def missing(path: Sequence[str], start: int = 0) -> str:
    """Return the predicate that ``path`` leads nowhere from some object or scalar that stands on it (rule 9).

    Args:
        path: has no index among its steps but, perhaps, the last.
        start: the first step to look at; those before it are known to be there.
    """
    parts = []
    for at in range(start, len(path)):
        before = reached(path[:at])
        parts.append(f'exists({before} ? (@.type() == "object" && !exists(@.{quoted(path[at])})))')
        if at:
            parts.append(f'exists({before}.type() ? (@ != "object" && @ != "array"))')
    return any_of(parts)


def any_of(parts: Iterable[str]) -> str:
    """Return the disjunction of predicates, of which there is at least one."""
    return " || ".join(parts)


def compared(op: str, value: Any) -> str | None:
    """Return the test of one element against a scalar (rules 11, 12); ``None`` if nothing satisfies it."""
    match value:
        case None:
            return _TYPES["null"] if op in ("eq", "gte", "lte") else None
        case bool():
            return _compared_bool(op, value)
        case int() | float():
            return f"({_NUMBER} && @ {_SYMBOLS[op]} {number_of(value)})"
        case _:
            return f"({_TYPES['string']} && @ {_SYMBOLS[op]} {quoted(value)})"


def _compared_bool(op: str, value: bool) -> str | None:
    held = {
        "eq": (value,),
        "gte": {value, True},
        "lte": {value, False},
        "gt": {True} - {value},
        "lt": {False} - {value},
    }[op]
    tests = [f"@ == {'true' if each else 'false'}" for each in (False, True) if each in held]
    return f"({_TYPES['bool']} && ({any_of(tests)}))" if tests else None


def typed(types: Iterable[str]) -> str | None:
    """Return the test for one of these types, arrays aside (rule 15); ``None`` if nothing is of them."""
    tests = [_TYPES[name] for name in sorted(types) if name in _TYPES]
    return f"({any_of(tests)})" if tests else None


def modulo(divisor: int, remainder: int) -> str:
    """Return the test of ``$mod`` (rule 16): the number truncated, the sign of the dividend."""
    up = f"@ < 0 && @.ceiling() % {divisor} == {remainder}"
    down = f"@ >= 0 && @.floor() % {divisor} == {remainder}"
    return f"({truncates('@')} && ({up} || {down}))"


def truncates(value: str) -> str:
    """Return the test that ``value``, ``@`` or ``$``, is a number that is within int64 when truncated."""
    return f'{value}.type() == "number" && {value} > {_INT64[0] - 1} && {value} < {_INT64[1] + 1}'


def starts_with(text: str) -> str:
    """Return the test that an element is a string that begins with ``text``."""
    return f"({_TYPES['string']} && @ starts with {quoted(text)})"


_LARGEST_INDEX = 2**31 - 1
_SCALAR = '$.type() != "object" && $.type() != "array"'
_LACKS = '(exists($ ? (@.type() == "object" && !exists(@.{0}))))'


@dataclass(frozen=True, slots=True)
class JsonRoot:
    """The start of paths: an object, or any value for the path ``()``.

    Attributes:
        text: the SQL expression of a ``jsonb``.
        depth: how many ElemMatch it stands within; aliases are numbered by it.
        nullable: whether the expression can be NULL: then every path is missing.
        whole: whether the path ``()`` is the value itself, an array not opened: an element under an
            ElemMatch of values.
        folds: the SQL expression of the record's folds (see ``index_folds``).
    """

    text: str
    depth: int = 0
    nullable: bool = False
    whole: bool = False
    folds: str = "NULL::jsonb"


def indexed(path: Sequence[str]) -> bool:
    """Return whether a step of ``path`` can be an index; the first, on an object, is a key anyway."""
    return any(map(is_index, path[1:]))


def tested(value: str, predicate: str) -> Fragment:
    """Return ``value`` fulfilling a predicate of the path language."""
    return Fragment(f"{value} @@ %s::jsonpath", (predicate,))


def ends(root: JsonRoot, path: Path) -> Fragment:
    """Return a FROM item ``e<depth>(v, i)``: each value that ``path`` leads to, and if it stays whole."""
    alias = f"e{root.depth}(v, i)"
    if not path and root.whole:
        return Fragment(f"(SELECT {root.text}, true) AS {alias}")
    if not indexed(path):
        return Fragment(
            f"(SELECT jsonb_path_query({root.text}, %s::jsonpath), false) AS {alias}",
            (reached(path),),
        )
    chain, last, at_end = _chain(root, path)
    unopened = f"{last}.i" if at_end else "false"
    return Fragment(f"(SELECT {last}.v, {unopened} FROM {chain.text}) AS {alias}", chain.values)


def _chain(root: JsonRoot, path: Path) -> tuple[Fragment, str, bool]:
    """Return FROM items along ``path``, the alias of the last, and whether an index was its step."""
    parts: list[Fragment] = []
    value = root.text
    at = 0
    by_index = False
    while at < len(path):
        alias = f"r{root.depth}_{len(parts)}"
        lateral = "LATERAL " if parts else ""
        by_index = at > 0 and is_index(path[at])
        if by_index:
            parts.append(_index_step(value, path[at]).wrapped("LATERAL (", f") AS {alias}(v, i)"))
            at += 1
        else:
            stop = next((n for n in range(max(at, 1), len(path)) if is_index(path[n])), len(path))
            steps = reached(path[at:stop])
            parts.append(
                Fragment(f"{lateral}jsonb_path_query({value}, %s::jsonpath) AS {alias}(v)", (steps,))
            )
            at = stop
        value = f"{alias}.v"
    return joined(" CROSS JOIN ", parts), value.removesuffix(".v"), by_index


def _index_step(value: str, step: str) -> Fragment:
    """Return the two ends of an index step: the member of that name, and the element at that place of an
    array.
    """
    member = Fragment(f"SELECT jsonb_path_query({value}, %s::jsonpath), false", (reached((step,)),))
    if int(step) > _LARGEST_INDEX:
        return member
    there = f"jsonb_typeof({value}) = 'array' AND {value} -> %s::int IS NOT NULL"
    element = Fragment(f"SELECT {value} -> %s::int, true WHERE {there}", (int(step), int(step)))
    return joined(" UNION ALL ", (member, element))


def is_missing(root: JsonRoot, path: Path) -> Fragment:
    """Return the condition that ``path`` leads nowhere at some place (rule 9)."""
    parts = [Fragment(f"{root.text} IS NULL")] if root.nullable else []
    if not path:
        return either(parts)
    plain = next((at for at in range(1, len(path)) if is_index(path[at])), len(path))
    parts.append(tested(root.text, missing(path[: plain + 1])))
    parts += [_missing_behind(root, path, at) for at in range(plain + 1, len(path))]
    return either(parts)


def _missing_behind(root: JsonRoot, path: Path, at: int) -> Fragment:
    """Return that the step at ``at`` leads nowhere; a scalar reached by an index is not stepped from."""
    chain, last, by_index = _chain(root, path[:at])
    lacks = _LACKS.format(quoted(path[at]))
    stepped = tested(f"{last}.v", f"{lacks} || ({_SCALAR})")
    if by_index:
        unstepped = tested(f"{last}.v", lacks)
        stepped = joined(" ELSE ", (unstepped.wrapped(f"CASE WHEN {last}.i THEN "), stepped)).wrapped(
            "", " END"
        )
    return joined(" WHERE ", (chain, stepped)).wrapped("EXISTS (SELECT 1 FROM ", ")")


_OPERATORS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TEST = " @@ %s::jsonpath"


def scalar_comparison(root: JsonRoot, path: Path, op: str, value: Any) -> str | None:
    """Return the predicate that a value seen compares with a scalar; None if one predicate cannot say it."""
    if not path or root.whole or indexed(path):
        return None
    literal = literal_of(op, value)
    return None if literal is None else f"({reached(path)} {_OPERATORS[op]} {literal})"


def scalar_membership(root: JsonRoot, path: Path, values: Sequence[Any]) -> str | None:
    """Return the predicate that a value seen is one of these scalars; None if one predicate cannot say it."""
    if not path or root.whole or indexed(path) or not values:
        return None
    literals = [literal_of("eq", value) for value in values]
    return None if None in literals else membership(path, [each for each in literals if each is not None])


def membership(path: Path, literals: Iterable[str]) -> str:
    """Return the predicate that a value seen at a path without indexes is one of some literals."""
    start = f"({reached(path)} == "
    return "(" + " || ".join(f"{start}{literal})" for literal in literals) + ")"


def literal_of(op: str, value: Any) -> str | None:
    """Return the literal that ``op`` compares with in the path language, None if it compares otherwise."""
    match value:
        case bool():
            return ("true" if value else "false") if op == "eq" else None
        case int() | float():
            return number_of(value)
        case str():
            return quoted(value)
        case _:
            return None


def merged(parts: Iterable[Fragment], symbol: str) -> list[Fragment]:
    """Return conditions with those that test one column by one predicate each made one.

    Args:
        parts: the conditions, to be joined by AND or OR.
        symbol: ``&&`` or ``||``, the same in the path language.
    """
    kept: list[Fragment] = []
    tests: dict[str, list[str]] = {}
    for part in parts:
        if part.text.endswith(_TEST) and len(part.values) == 1 and " " not in part.text.removesuffix(_TEST):
            if part.text not in tests:
                kept.append(part)
            tests.setdefault(part.text, []).append(part.values[0])
        else:
            kept.append(part)
    return [_joined(part, tests.get(part.text, ()), symbol) for part in kept]


def _joined(part: Fragment, predicates: Sequence[str], symbol: str) -> Fragment:
    if len(predicates) < 2:
        return part
    return Fragment(part.text, (f" {symbol} ".join(f"({predicate})" for predicate in predicates),))

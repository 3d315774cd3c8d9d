"""Common to the dialects: metadata paths, operands, errors, and a docstore filter read as a small tree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from docstore.errors import (
    FilterError,
    FilterSyntaxError,
    FilterTooComplex,
    FilterValueError,
    UnknownOperator,
)
from docstore.limits import DEFAULT_LIMITS
from docstore.query.filter_errors import nearest, shown
from docstore.query.instants import format_instant, parse_instant
from docstore.query.parser import parse
from docstore.query.paths import parse_path, path_text
from docstore.query.values import by_value

__all__ = [
    "ARRAY",
    "NOTHING",
    "Junction",
    "Negation",
    "Node",
    "Test",
    "both",
    "cannot_say",
    "checked",
    "date_operand",
    "deeper",
    "either",
    "held",
    "holding",
    "literal",
    "metadata_path",
    "neither",
    "operand_date",
    "read_filter",
    "syntax",
    "unknown",
    "wrong_value",
]

Filter: TypeAlias = dict[str, Any]

ARRAY: Filter = {"$type": "array"}

_OFFSET = re.compile(r"(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)\Z")
_TIMED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}")


# Writing docstore filters


def metadata_path(steps: Sequence[str]) -> str:
    """Return the path of ``steps`` below the metadata, dots within a key quoted."""
    return path_text(("metadata", *steps))


def literal(value: Any) -> Any:
    """Return ``value`` as an operand: below ``$eq`` an object stands for itself, whatever its keys."""
    return {"$eq": value} if isinstance(value, Mapping) else value


# A filter that matches nothing.
NOTHING: Filter = {"metadata": {"$in": []}}


def both(parts: Sequence[Filter]) -> Filter:
    """Return the conjunction of filters; none: everything."""
    if len(parts) == 1:
        return parts[0]
    return {"$and": list(parts)} if parts else {}


def either(parts: Sequence[Filter]) -> Filter:
    """Return the disjunction of filters; none: nothing."""
    if len(parts) == 1:
        return parts[0]
    return {"$or": list(parts)} if parts else dict(NOTHING)


def neither(parts: Sequence[Filter]) -> Filter:
    """Return the filter that is true where none of ``parts`` is; none: everything."""
    return {"$nor": list(parts)} if parts else {}


def date_operand(value: Any) -> Any:
    """Return text that names an instant with its offset as ``{"$date": …}``; anything else as it is."""
    if not isinstance(value, str) or _TIMED.match(value) is None or _OFFSET.search(value) is None:
        return value
    try:
        parse_instant(value)
    except ValueError:
        return value
    return {"$date": value}


def operand_date(value: Any) -> str | None:
    """Return the RFC 3339 text of a ``{"$date": …}`` operand or a ``datetime``; ``None`` if it is neither."""
    inner = value["$date"] if isinstance(value, Mapping) and tuple(value) == ("$date",) else value
    if inner is value and (isinstance(value, str) or not hasattr(value, "utcoffset")):
        return None
    try:
        return inner if isinstance(inner, str) else format_instant(parse_instant(inner))
    except ValueError:
        return None


def holding(path: str, value: Any) -> Filter:
    """Return the filter of Python's ``value in metadata_value``: an array's element, or a part of a text."""
    element: Filter = {path: {"$contains": value}}
    if not isinstance(value, str):
        return element
    return {"$or": [element, {path: {"$substring": value, "$not": dict(ARRAY)}}]}


def checked(found: Filter) -> Filter:
    """Return a translated filter once docstore's own parser has taken it: bounds and operands are right.

    Raises:
        FilterError: it has not.
    """
    parse(found, None, limits=DEFAULT_LIMITS)
    return found


# Errors


def syntax(dialect: str, what: str, where: str, expected: str) -> FilterSyntaxError:
    """Return the error of a filter of the wrong form."""
    return FilterSyntaxError(f"{dialect}: {what}{_at(where)}; expected {expected}", path=where)


def wrong_value(dialect: str, what: str, where: str, expected: str) -> FilterValueError:
    """Return the error of an operand of the wrong type or value."""
    return FilterValueError(
        f"{dialect}: {what}{_at(where)}; expected {expected}", path=where, expected=expected
    )


def unknown(dialect: str, operator: Any, where: str, known: Iterable[str]) -> UnknownOperator:
    """Return the error of an operator that the dialect does not have."""
    names = list(known)
    guess = nearest(operator, names) if isinstance(operator, str) else None
    meant = f"did you mean {guess!r}?" if guess else f"the operators are {', '.join(names)}"
    return UnknownOperator(
        f"{dialect}: unknown operator {shown(operator)}{_at(where)}; {meant}",
        path=where,
        operator=operator if isinstance(operator, str) else "",
        suggestion=guess,
    )


def cannot_say(dialect: str, what: str, where: str, instead: str = "") -> FilterError:
    """Return the error of what one side can say and the other cannot."""
    hint = f"; {instead}" if instead else ""
    return FilterError(f"{dialect}: {what}{_at(where)} cannot be translated{hint}", path=where)


def deeper(dialect: str, depth: int, where: str) -> int:
    """Return ``depth + 1``.

    Raises:
        FilterTooComplex: that is deeper than a filter may be.
    """
    limit = DEFAULT_LIMITS.nesting
    if depth >= limit:
        raise FilterTooComplex(
            f"{dialect}: the filter is nested too deeply{_at(where)}; the limit nesting is {limit}",
            path=where,
            bound="nesting",
            limit=limit,
        )
    return depth + 1


def _at(where: str) -> str:
    return f" at {where}" if where else ""


# Reading docstore filters


@dataclass(frozen=True, slots=True)
class Test:
    """One operator on one path below the metadata. ``operator`` is docstore's, without the ``$``."""

    __test__ = False  # pytest takes a class of this name for a test

    steps: tuple[str, ...]
    operator: str
    operand: Any
    where: str


@dataclass(frozen=True, slots=True)
class Junction:
    """All (``and``) or any (``or``) of the parts; ``and`` of none is everything."""

    kind: Literal["and", "or"]
    parts: tuple[Node, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Negation:
    """Not the part."""

    part: Node
    where: str


Node: TypeAlias = Test | Junction | Negation


def read_filter(dialect: str, given: Mapping[str, Any] | None) -> Node:
    """Return a docstore filter over the metadata as a tree of tests.

    Raises:
        FilterError: it is no filter of docstore's, or names a field outside the metadata.
    """
    parse(given, None, limits=DEFAULT_LIMITS)
    return _filter(dialect, given or {}, "")


def held(node: Node) -> Test | None:
    """Return the ``contains`` test that :func:`holding` wrote for a text; ``None`` if the node is another."""
    match node:
        case Junction("or", (Test(_, "contains", str() as value) as test, Junction("and", parts))):
            part = Test(test.steps, "substring", value, "")
            array = Negation(Test(test.steps, "type", "array", ""), "")
            return test if _same(parts, (part, array)) else None
    return None


def _same(parts: Sequence[Node], wanted: Sequence[Node]) -> bool:
    """Return whether nodes are equal but for their places in the filter."""
    return len(parts) == len(wanted) and all(map(_alike, parts, wanted))


def _alike(one: Node, other: Node) -> bool:
    match one, other:
        case Test(), Test():
            return (one.steps, one.operator, one.operand) == (other.steps, other.operator, other.operand)
        case Negation(), Negation():
            return _alike(one.part, other.part)
        case Junction(), Junction():
            return one.kind == other.kind and _same(one.parts, other.parts)
    return False


def _filter(dialect: str, given: Mapping[Any, Any], where: str) -> Node:
    parts: list[Node] = []
    for raw, operand in given.items():
        key = str(by_value(raw))
        here = f"{where}/{key}" if where else key
        if key == "$comment":
            continue
        if key in ("$and", "$or", "$nor"):
            branches = tuple(_filter(dialect, one, f"{here}/{at}") for at, one in enumerate(operand))
            joined = (
                branches[0]
                if len(branches) == 1
                else Junction("and" if key == "$and" else "or", branches, here)
            )
            parts.append(Negation(joined, here) if key == "$nor" else joined)
        else:
            steps = parse_path(key)
            if steps[0] != "metadata" or len(steps) < 2:
                raise cannot_say(
                    dialect, f"the field {shown(key)}", here, "only fields below 'metadata.' can"
                )
            parts += _tests(steps[1:], operand, here)
    return parts[0] if len(parts) == 1 else Junction("and", tuple(parts), where)


def _tests(steps: tuple[str, ...], operand: Any, where: str) -> list[Node]:
    """Return the tests of what stands behind one field."""
    if not _is_operators(operand):
        return [Test(steps, "eq", operand, where)]
    found: list[Node] = []
    for raw, value in operand.items():
        name = str(by_value(raw))
        here = f"{where}/{name}"
        if name == "$not":
            parts = _tests(steps, value, here)
            inner = parts[0] if len(parts) == 1 else Junction("and", tuple(parts), here)
            found.append(Negation(inner, here))
        elif name != "$comment":
            found.append(Test(steps, name[1:], value, here))
    return found


def _is_operators(operand: Any) -> bool:
    if not isinstance(operand, Mapping) or not operand:
        return False
    first = str(by_value(next(iter(operand))))
    return first.startswith("$") and first != "$date"

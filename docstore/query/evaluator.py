"""The evaluator: what an Expr means. Every backend's reference, the residual filter, memory's engine.

``compile`` turns an Expr into closures once; ``matches`` is that and one call. A record maps field names to
values: instants are ``int`` microseconds, JSON fields are decoded, and a field that is ``None`` is missing.
Rule numbers are those of the project's SEMANTICS.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from operator import ge, gt, le, lt
from typing import Any, TypeAlias, assert_never

from docstore.errors import InvalidDocument, shown_path
from docstore.limits import DEFAULT_LIMITS, Limits
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
    Regex,
    Size,
    TypeIs,
)
from docstore.query.instants import metadata_instant
from docstore.query.parser import parse
from docstore.query.paths import MISSING, Predicate, Root, Test, sees, sees_array, sees_together
from docstore.query.patterns import matcher, searcher
from docstore.query.planner import normalize
from docstore.query.text import fold, occurs, occurs_in, search_fold
from docstore.query.values import (
    INT64_MAX,
    INT64_MIN,
    Json,
    NotJson,
    compare,
    equal,
    identity,
    plain,
    type_name,
)


def matches(expr: Expr, record: Mapping[str, Any], *, free: bool = False) -> bool:
    """Tell whether ``record`` matches ``expr``.

    Args:
        expr: as ``parse`` or ``normalize`` made it.
        record: field name → value; see the module's text.
        free: ``record`` is a plain mapping with any keys, in which a ``None`` is null, not missing.
    """
    return compile(expr, free=free)(record)


def compile(expr: Expr, *, free: bool = False) -> Predicate:
    """Return a function that tells of one record after another whether it matches ``expr``.

    Args:
        expr: as ``parse`` or ``normalize`` made it.
        free: as for :func:`matches`.
    """
    return _compile(expr, "free" if free else "record")


def matches_filter(
    filter: Mapping[str, Any] | None,
    mapping: Mapping[str, Any],
    *,
    limits: Limits = DEFAULT_LIMITS,
    default_timezone: tzinfo | None = None,
) -> bool:
    """Tell whether a plain mapping, with any top-level keys, matches a filter.

    Args:
        filter: the filter; ``None`` and ``{}`` match everything.
        mapping: the document: JSON values, and ``datetime``, which count as RFC 3339 text in UTC (rule 4).
        limits: the bounds on both.
        default_timezone: what naive ``datetime`` are in; None makes them an error.

    Returns:
        Whether it matches.

    Raises:
        FilterError: the filter is not one.
        InvalidDocument: the mapping is none, or holds what docstore does not store, such as NaN.

    Example:
        >>> docstore.matches({"tags": "urgent", "n": {"$gt": 1}}, {"tags": ["urgent"], "n": 2})
        True
    """
    expr = normalize(parse(filter, None, limits=limits, default_timezone=default_timezone))
    if not isinstance(mapping, Mapping):
        raise InvalidDocument(f"a document must be a mapping, this is {type_name(mapping)}")
    try:
        document = plain(mapping, default_timezone=default_timezone, depth=limits.metadata_depth)
    except NotJson as wrong:
        field = "/".join(wrong.where)
        text = f"{wrong.reason} at {shown_path(wrong.where) or 'the top'}; expected {wrong.expected}"
        raise InvalidDocument(text, field=field) from None
    return compile(expr, free=True)(document)


def _compile(expr: Expr, root: Root) -> Predicate:
    match expr:
        case Always(value):
            return lambda record: value
        case And(terms):
            return _all_of([_compile(term, root) for term in terms])
        case Or(terms):
            return _any_of([_compile(term, root) for term in terms])
        case Not(term):
            positive = _compile(term, root)
            return lambda record: not positive(record)
        case _:
            return _leaf(expr, root)


def _all_of(tests: Sequence[Predicate]) -> Predicate:
    # Two terms are the common case, and a lambda is cheaper than the loop.
    if len(tests) == 2:
        first, second = tests
        return lambda record: first(record) and second(record)

    def run(record: Any) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs more than the loop
            if not test(record):
                return False
        return True

    return run


def _any_of(tests: Sequence[Predicate]) -> Predicate:
    if len(tests) == 2:
        first, second = tests
        return lambda record: first(record) or second(record)

    def run(record: Any) -> bool:
        for test in tests:  # noqa: SIM110
            if test(record):
                return True
        return False

    return run


def _leaf(leaf: Leaf, root: Root) -> Predicate:
    match leaf:
        case Occurs():
            return _occurs(leaf)
        case Always(value):
            return lambda record: value
        case All(path):
            return sees_together(path, has_every(leaf), root)
        case _:
            test, opens = _test(leaf)
            return sees(leaf.path, test, root) if opens else sees_array(leaf.path, test, root)


def _occurs(term: Occurs) -> Predicate:
    """Return the test of a search's term.

    A record may have its words ready: a function ``words`` of ``term.marks`` that returns their stored form.
    """

    def test(record: Any) -> bool:
        stored = record.get("words") if term.words else None
        if stored is None:
            return occurs(term, record["filename"], record.get("content"))
        return occurs_in(term, search_fold(record["filename"], marks=term.marks), stored(term.marks), "")

    return test


# Leaves that ask something of the values at a path.
_Tested: TypeAlias = (
    Compare | In | Exists | TypeIs | Mod | Regex | Match | Size | Contains | During | ElemMatch
)


def _test(leaf: _Tested) -> tuple[Test, bool]:
    """Return the test of a leaf, and whether it is put to the elements of an array, too."""
    match leaf:
        case Compare():
            return comparison(leaf), True
        case In():
            return is_among(leaf), True
        case Exists():
            return exists, True
        case TypeIs():
            return has_type(leaf), True
        case During(_, spans):
            return is_during(spans), True
        case Mod():
            return divides(leaf), True
        case Regex(_, pattern, flags):
            return matches_regex(pattern, flags), True
        case Match():
            return matches_text(leaf), True
        case Size(_, length):
            return has_size(length), False
        case Contains():
            return has_members(leaf), False
        case ElemMatch():
            return _has_element(leaf), False
        case _:
            assert_never(leaf)


def _has_element(leaf: ElemMatch) -> Test:
    """Return the test of ``$elemMatch`` on an array (rule 17)."""
    if leaf.of == "values":
        holds = _compile(leaf.condition, "value")
        return lambda array: type(array) is list and any(map(holds, array))
    fits = _compile(leaf.condition, "element")

    def test(array: Any) -> bool:
        return type(array) is list and any(
            fits(element) for element in array if type(element) is dict or type(element) is list
        )

    return test


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}


def comparison(leaf: Compare) -> Test:
    """Return the test of ``$eq $gt $gte $lt $lte`` (rules 11, 12)."""
    operand = leaf.value
    if operand is None:
        return _never if leaf.op in ("gt", "lt") else _is_null
    if leaf.op == "eq":
        return _equality(operand)
    return _ordering(_ORDERS[leaf.op], operand)


def _never(value: Any) -> bool:
    return False


def _is_null(value: Any) -> bool:
    return value is None or value is MISSING


# To Python True is 1; rule 3 keeps them apart, and so each test looks at the type.
def _equality(operand: Json) -> Test:
    kind = type(operand)
    if kind is str:
        return lambda value: value == operand
    if kind is bool:
        return lambda value: value is operand
    if kind is int or kind is float:
        return lambda value: value == operand and type(value) is not bool
    return lambda value: type(value) is kind and equal(value, operand)


def _ordering(holds: Callable[[Any, Any], bool], operand: Json) -> Test:
    kind = type(operand)
    if kind is int or kind is float:
        return lambda value: (type(value) is int or type(value) is float) and holds(value, operand)
    if kind is str or kind is bool:
        return lambda value: type(value) is kind and holds(value, operand)
    return lambda value: type(value) is kind and holds(compare(value, operand), 0)


def is_among(leaf: In) -> Test:
    """Return the test of ``$in`` (rule 13)."""
    # A set for each kind: in a common one 1 and True would be one member.
    null = None in leaf.values
    bools = frozenset(value for value in leaf.values if type(value) is bool)
    scalars = frozenset(value for value in leaf.values if type(value) in (int, float, str))
    composites = frozenset(identity(value) for value in leaf.values if type(value) in (list, dict))

    def test(value: Any) -> bool:
        kind = type(value)
        if kind is str or kind is int or kind is float:
            return value in scalars
        if kind is bool:
            return value in bools
        if kind is list or kind is dict:
            return bool(composites) and identity(value) in composites
        return null

    return test


def has_every(leaf: All) -> Callable[[Iterable[Any]], bool]:
    """Return the test of ``$all`` of scalars (rule 16) on all the values that are seen."""
    wanted = frozenset(map(identity, leaf.values))
    return lambda values: wanted.issubset(
        [identity(value) for value in values if type(value) is not list and type(value) is not dict]
    )


def is_during(spans: Sequence[tuple[int, int]]) -> Test:
    """Return the test of a comparison with an instant (rule 4): a text that is one, within a span."""
    if len(spans) == 1:
        ((first, last),) = spans
        return lambda value: (at := metadata_instant(value)) is not None and first <= at <= last
    starts = [first for first, _ in spans]

    def test(value: Any) -> bool:
        at = metadata_instant(value)
        if at is None:
            return False
        place = bisect_right(starts, at)
        return place > 0 and at <= spans[place - 1][1]

    return test


def exists(value: Any) -> bool:
    """Tell whether a value is there at all (rule 14)."""
    return value is not MISSING


def has_type(leaf: TypeIs) -> Test:
    """Return the test of ``$type`` (rule 15). ``date`` matches nothing here: no JSON value is one."""
    types = leaf.types
    plain = {type(None): "null", bool: "bool", str: "string", list: "array", dict: "object"}
    kinds = frozenset(kind for kind, name in plain.items() if name in types)
    numbers = types & {"number", "int", "long", "double"}
    if not numbers:
        return lambda value: type(value) in kinds
    if "number" in numbers:
        kinds |= {int, float}
        return lambda value: type(value) in kinds
    return lambda value: (
        type(value) in kinds or (type(value) in (int, float) and _number_type(value) in numbers)
    )


_TYPES = {type(None): "null", bool: "bool", str: "string", list: "array", dict: "object"}


def json_type(value: Json) -> str:
    """Return the alias of a value's type (rule 15), numbers by their value."""
    kind = type(value)
    return _number_type(value) if kind is int or kind is float else _TYPES[kind]


def _number_type(value: float) -> str:
    if value % 1 or not INT64_MIN <= value <= INT64_MAX:
        return "double"
    return "int" if -(2**31) <= value < 2**31 else "long"


def has_size(length: int) -> Test:
    """Return the test of ``$size`` on an array (rule 16)."""
    return lambda value: type(value) is list and len(value) == length


def divides(leaf: Mod) -> Test:
    """Return the test of ``$mod`` (rule 16): the value truncated to int64; one beyond it never matches."""
    # As MongoDB: cut off towards 0, and the remainder has the dividend's sign. Python's % has the divisor's.
    divisor, remainder = abs(leaf.divisor), leaf.remainder

    def test(value: Any) -> bool:
        if type(value) is not int and type(value) is not float:
            return False
        whole = int(value)
        if not INT64_MIN <= whole <= INT64_MAX:
            return False
        return (whole % divisor if whole >= 0 else -(-whole % divisor)) == remainder

    return test


def matches_regex(pattern: str, flags: str) -> Test:
    """Return the test of ``$regex`` (rule 18)."""
    search = searcher(pattern, flags)
    return lambda value: type(value) is str and search(value)


def matches_text(leaf: Match) -> Test:
    """Return the test of the string operators beyond MongoDB's."""
    text = leaf.text
    match leaf.kind:
        case "substring":
            return lambda value: type(value) is str and text in value
        case "isubstring":
            folded = fold(text)
            return lambda value: type(value) is str and folded in fold(value)
        case "starts_with":
            return lambda value: type(value) is str and value.startswith(text)
        case "glob" | "iglob":
            whole = matcher(text, folded=leaf.kind == "iglob")
            return lambda value: type(value) is str and whole(value)


def has_members(leaf: Contains) -> Test:
    """Return the test of ``$contains`` and ``$containsAny`` on an array."""
    wanted = frozenset(map(identity, leaf.values))
    if leaf.instants:
        moments = frozenset(leaf.instants)
        return lambda value: (
            type(value) is list
            and wanted.issubset(map(identity, value))
            and moments.issubset(map(metadata_instant, value))
        )
    if leaf.every:
        return lambda value: type(value) is list and wanted.issubset(map(identity, value))
    return lambda value: type(value) is list and not wanted.isdisjoint(map(identity, value))

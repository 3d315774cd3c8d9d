"""What an Expr means: the reference for every backend, the residual filter, the memory backend's engine.

``compile`` turns an Expr into closures once; ``matches`` is that and one call. A record maps field names to
values: instants are ``int`` microseconds, JSON fields are decoded, and a field that is ``None`` is missing.
Rule numbers are those of the project's SEMANTICS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, TypeAlias, assert_never

from docstore.errors import InvalidDocument, shown_path
from docstore.limits import DEFAULT_LIMITS, Limits
from docstore.query import predicates
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
from docstore.query.normalize import normalize
from docstore.query.parse import parse
from docstore.query.paths import Seen, seen
from docstore.query.predicates import Test
from docstore.query.seeing import Predicate, Root, sees, sees_array, sees_together
from docstore.query.text import occurs
from docstore.query.values import NotJson, plain, type_name

__all__ = ["Predicate", "Seen", "compile", "matches", "matches_filter", "seen"]


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
        default_timezone: what naive ``datetime`` are in; ``None``: they are an error.

    Returns:
        Whether it matches.

    Raises:
        FilterError: the filter is not one.
        InvalidDocument: the mapping is none, or holds what docstore does not store, such as NaN.
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
            return lambda record: occurs(leaf, record["filename"], record.get("content"))
        case Always(value):
            return lambda record: value
        case All(path):
            return sees_together(path, predicates.has_every(leaf), root)
        case _:
            test, opens = _test(leaf)
            return sees(leaf.path, test, root) if opens else sees_array(leaf.path, test, root)


_Tested: TypeAlias = (
    Compare | In | Exists | TypeIs | Mod | Regex | Match | Size | Contains | During | ElemMatch
)
"""Leaves that ask something of the values at a path."""


def _test(leaf: _Tested) -> tuple[Test, bool]:
    """Return the test of a leaf, and whether it is put to the elements of an array, too."""
    match leaf:
        case Compare():
            return predicates.comparison(leaf), True
        case In():
            return predicates.is_among(leaf), True
        case Exists():
            return predicates.exists, True
        case TypeIs():
            return predicates.has_type(leaf), True
        case During(_, spans):
            return predicates.is_during(spans), True
        case Mod():
            return predicates.divides(leaf), True
        case Regex(_, pattern, flags):
            return predicates.matches_regex(pattern, flags), True
        case Match():
            return predicates.matches_text(leaf), True
        case Size(_, length):
            return predicates.has_size(length), False
        case Contains():
            return predicates.has_members(leaf), False
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

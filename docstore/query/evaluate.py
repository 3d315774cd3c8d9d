"""What an Expr means: the reference for every backend, the residual filter, the memory backend's engine.

``compile`` turns an Expr into closures once; ``matches`` is that and one call. A record maps field names to
values: instants are ``int`` microseconds, JSON fields are decoded, and a field that is ``None`` is missing.
Rule numbers are those of the project's SEMANTICS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any, Literal, TypeAlias, assert_never

from docstore.errors import InvalidDocument
from docstore.limits import DEFAULT_LIMITS, Limits
from docstore.query import predicates
from docstore.query.expr import (
    Always,
    And,
    Compare,
    Contains,
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
)
from docstore.query.guard import guarded
from docstore.query.normalize import normalize
from docstore.query.parse import parse
from docstore.query.paths import MISSING, Seen, reach, seen
from docstore.query.predicates import Test
from docstore.query.ranks import ranked, together
from docstore.query.stepped import Asked, any_by_index, before_index
from docstore.query.text import occurs
from docstore.query.values import NotJson, plain, type_name

__all__ = ["Predicate", "Seen", "compile", "matches", "matches_filter", "seen"]

_MANY = 8
"""From so many terms on it pays to put them together."""
_STEPPED = (Compare, In, Exists, TypeIs, Mod, Size, Contains, ElemMatch)
_RECORDS = ("record", "free")
Predicate: TypeAlias = Callable[[Any], bool]
_Stepped: TypeAlias = Compare | In | Exists | TypeIs | Mod | Size | Contains | ElemMatch
_Root: TypeAlias = Literal["record", "free", "element", "value"]
"""What a leaf's path starts from: a record (``None`` is missing), a plain mapping, an array's element by its
fields, or the element itself."""


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
        text = f"{wrong.reason} at {field or 'the top'}; expected {wrong.expected}"
        raise InvalidDocument(text, field=field) from None
    return compile(expr, free=True)(document)


def _compile(expr: Expr, root: _Root) -> Predicate:
    match expr:
        case Always(value):
            return lambda record: value
        case And(terms):
            return _all_of(_conjuncts(terms, root))
        case Or(terms):
            return _any_of(_alternatives(terms, root))
        case Not(term):
            positive = _compile(term, root)
            return lambda record: not positive(record)
        case _:
            return _leaf(expr, root)


def _conjuncts(terms: Sequence[Expr], root: _Root) -> list[Predicate]:
    """Compile the terms of an And; many that compare one path become one look at its values, others that are
    negative the negative of one Or.
    """
    found, rest = _by_rank(And, terms, root)
    denied = [term.term for term in rest if isinstance(term, Not)]
    if len(denied) < _MANY:
        return [*found, *(_compile(term, root) for term in rest)]
    found += [_compile(term, root) for term in rest if not isinstance(term, Not)]
    return [*found, _compile(Not(Or(tuple(denied))), root)]


def _by_rank(
    kind: type[And] | type[Or], terms: Sequence[Expr], root: _Root
) -> tuple[list[Predicate], Sequence[Expr]]:
    """Compile those terms that compare one path of a record, many times; return them, and the rest."""
    if root not in _RECORDS:
        return [], terms
    rest, groups = together(terms)
    stepped = [path for path in groups if before_index(path)] if kind is Or else []
    if len(stepped) >= _MANY:  # one look at the array is better than one for each index
        rest = [*rest, *(term for path in stepped for term in groups.pop(path))]
    return [ranked(path, kind(tuple(group))) for path, group in groups.items()], rest


def _alternatives(terms: Sequence[Expr], root: _Root) -> list[Predicate]:
    """Compile the terms of an Or; those on the texts at one path become one test of each text, many
    remainders one look at each number, many behind one array one look at it, many that compare one path one
    look at its values, and many that need a text to match are asked only if any can.
    """
    compiled, rest = _by_rank(Or, terms, root)
    rest, guards = guarded(rest)
    for path, group in guards.items():
        any_matches = _sees(path, predicates.matches_any(group.leaves), root)
        compiled.append(_all_of([any_matches, _any_of([_compile(term, root) for term in group.terms])]))
    texts: dict[Path, list[Regex | Match]] = {}
    stepped: dict[Path, list[_Stepped]] = {}
    joint: dict[Path, list[tuple[_Stepped, And]]] = {}
    mods: dict[Path, list[Mod]] = {}
    for term in rest:
        if isinstance(term, Regex | Match):
            texts.setdefault(term.path, []).append(term)
        elif isinstance(term, _STEPPED) and root in _RECORDS and (to := before_index(term.path)):
            stepped.setdefault(to, []).append(term)
        elif isinstance(term, Mod):
            mods.setdefault(term.path, []).append(term)
        elif isinstance(term, And) and root in _RECORDS and (needed := _behind_index(term)):
            joint.setdefault(needed[0], []).append((needed[1], term))
        else:
            compiled.append(_compile(term, root))
    compiled += [_sees(path, predicates.divides(*leaves), root) for path, leaves in mods.items()]
    behind: dict[Path, list[tuple[Asked, Predicate]]] = {
        to: [(_asked(term), _leaf(term, root)) for term in asked] for to, asked in stepped.items()
    }
    for path, leaves in texts.items():
        test = predicates.matches_any(leaves) if len(leaves) > 1 else _test_of_text(leaves[0])
        to = before_index(path) if root in _RECORDS else None
        if to is None:
            compiled.append(_sees(path, test, root))
        else:
            behind.setdefault(to, []).append(((path, test, True), _sees(path, test, root)))
    for to, every in behind.items():
        compiled += _at_array(to, every)
    for to, pairs in joint.items():
        whole = [_compile(term, root) for _, term in pairs]
        needed_first = _at_array(to, [(_asked(leaf), _leaf(leaf, root)) for leaf, _ in pairs])
        compiled += [_all_of([needed_first[0], _any_of(whole)])] if len(needed_first) == 1 else whole
    return compiled


def _at_array(to: Path, every: Sequence[tuple[Asked, Predicate]]) -> list[Predicate]:
    """Return one look at the array at ``to`` for many questions behind it, or a few questions as they are."""
    alone = [holds for _, holds in every]
    return alone if len(every) < _MANY else [any_by_index(to, [asked for asked, _ in every], alone)]


def _behind_index(term: And) -> tuple[Path, _Stepped] | None:
    """Return a leaf of an And that asks behind an array's index, and the path to the array."""
    for leaf in term.terms:
        if isinstance(leaf, _STEPPED) and (to := before_index(leaf.path)):
            return to, leaf
    return None


def _all_of(terms: list[Predicate]) -> Predicate:
    if len(terms) == 2:
        first, second = terms
        return lambda record: first(record) and second(record)

    def run(record: Any) -> bool:
        for term in terms:  # noqa: SIM110 - a generator costs more than the loop
            if not term(record):
                return False
        return True

    return run


def _any_of(terms: list[Predicate]) -> Predicate:
    if len(terms) == 2:
        first, second = terms
        return lambda record: first(record) or second(record)

    def run(record: Any) -> bool:
        for term in terms:  # noqa: SIM110 - a generator costs more than the loop
            if term(record):
                return True
        return False

    return run


def _leaf(leaf: Leaf, root: _Root) -> Predicate:
    match leaf:
        case Compare(path) | In(path) | Exists(path) | TypeIs(path) | Mod(path):
            return _sees(path, _test_of(leaf), root)
        case Regex(path) | Match(path):
            return _sees(path, _test_of_text(leaf), root)
        case Size(path) | Contains(path) | ElemMatch(path):
            return _sees_array(path, _of_array(leaf), root)
        case Occurs():
            return lambda record: occurs(leaf, record["filename"], record.get("content"))
        case Always(value):
            return lambda record: value
        case _:
            assert_never(leaf)


def _test_of(leaf: Compare | In | Exists | TypeIs | Mod) -> Test:
    match leaf:
        case Compare():
            return predicates.comparison(leaf)
        case In():
            return predicates.is_among(leaf)
        case Exists():
            return predicates.exists
        case TypeIs():
            return predicates.has_type(leaf)
        case Mod():
            return predicates.divides(leaf)
        case _:
            assert_never(leaf)


def _test_of_text(leaf: Regex | Match) -> Test:
    if isinstance(leaf, Regex):
        return predicates.matches_regex(leaf.pattern, leaf.flags)
    return predicates.matches_text(leaf)


def _of_array(leaf: Size | Contains | ElemMatch) -> Test:
    match leaf:
        case Size(_, length):
            return predicates.has_size(length)
        case Contains():
            return predicates.has_members(leaf)
        case ElemMatch():
            return _has_element(leaf)
        case _:
            assert_never(leaf)


def _asked(leaf: _Stepped) -> Asked:
    """Return what a leaf asks, and whether of the elements of an array, too."""
    if isinstance(leaf, Size | Contains | ElemMatch):
        return leaf.path, _of_array(leaf), False
    return leaf.path, _test_of(leaf), True


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


def _sees(path: Path, test: Test, root: _Root) -> Predicate:
    """Ask ``test`` of every value seen at ``path`` (rules 8, 9): arrays by element and whole."""
    if not path:
        return test
    if root == "element":
        return lambda element: _reached(element, path, test)
    if len(path) == 1:
        return _sees_field(path[0], test, root)
    return _sees_member(path, test)


def _sees_field(name: str, test: Test, root: _Root) -> Predicate:
    nothing = None if root == "record" else MISSING

    def run(record: Any) -> bool:
        value = record.get(name, nothing)
        if type(value) is list:
            return test(value) or any(map(test, value))
        return test(MISSING if value is nothing else value)

    return run


def _sees_member(path: Path, test: Test) -> Predicate:
    field, *inner, key = path
    steps = path[1:]

    def run(record: Any) -> bool:
        start = value = record.get(field)
        for step in inner:
            if type(value) is not dict:
                break
            value = value.get(step)
        if type(value) is dict:
            value = value.get(key, MISSING)
            if type(value) is list:
                return test(value) or any(map(test, value))
            return test(value)
        if type(value) is not list:
            return test(MISSING)
        return _reached({"": start}, ("", *steps), test)

    return run


def _reached(value: Any, steps: Path, test: Test) -> bool:
    for end, opened in reach(value, steps):
        if test(end) or (opened and type(end) is list and any(map(test, end))):
            return True
    return False


def _sees_array(path: Path, test: Test, root: _Root) -> Predicate:
    """Ask ``test`` of what is at ``path`` itself, arrays unopened."""
    if not path:
        return test
    if root == "element":
        return lambda element: any(test(end) for end, _ in reach(element, path))

    def run(record: Any) -> bool:
        value = record.get(path[0])
        if len(path) == 1:
            return test(value)
        return any(test(end) for end, _ in reach({"": value}, ("", *path[1:])))

    return run

"""Expr: a parsed filter, the one form that every later stage reads, and its canonical JSON text.

``parse`` makes it, ``normalize`` tidies it, the planner splits it, backends compile it, the evaluator states
what it means. Values in it are plain JSON values (``None bool int float str list dict``); on instants they
are ``int`` microseconds since the epoch. There are no negative leaves: ``$ne $nin $nor $not`` are
:class:`Not` of the positive. Search is a leaf like the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Literal, TypeAlias

from docstore.concurrency import looked_over
from docstore.query.fields import Collection
from docstore.query.values import Json, canonical_json

# Steps from the record inwards: the field's name first. `()` inside an ElemMatch of values is the element
# itself.
Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Always:
    """True (or false) of every record."""

    value: bool


TRUE = Always(True)
FALSE = Always(False)


@dataclass(frozen=True, slots=True)
class And:
    """All of ``terms`` hold; none given: true."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of ``terms`` holds; none given: false."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The exact complement of ``term`` over whole records (rule 11)."""

    term: Expr


@dataclass(frozen=True, slots=True)
class Compare:
    """``$eq $gt $gte $lt $lte`` (rules 10–12). ``eq`` with ``None`` matches null and missing."""

    path: Path
    op: Literal["eq", "gt", "gte", "lt", "lte"]
    value: Json


@dataclass(frozen=True, slots=True)
class In:
    """``$in`` (rule 13): equal to one of ``values``; ``None`` among them also matches missing."""

    path: Path
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class All:
    """``$all`` of scalars (rule 16): each of ``values``, none null, is among those seen at a JSON path."""

    path: Path
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """``$exists: true`` (rule 14): the path leads somewhere. On a record's own field: it is not ``None``."""

    path: Path


@dataclass(frozen=True, slots=True)
class TypeIs:
    """``$type`` (rule 15).

    Attributes:
        types: of ``null bool number string array object int long double date``; none (only aliases that match
            nothing were given) is false.
    """

    path: Path
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Size:
    """``$size`` (rule 16): an array of exactly ``length`` elements."""

    path: Path
    length: int


@dataclass(frozen=True, slots=True)
class Mod:
    """``$mod`` (rule 16): the number truncated to an integer leaves ``remainder`` (sign of the dividend)."""

    path: Path
    divisor: int
    remainder: int


@dataclass(frozen=True, slots=True)
class Regex:
    """``$regex`` (rule 18): ``pattern`` in RE2 syntax is found in the string.

    Attributes:
        flags: a sorted subset of ``ims``; ``x`` was translated away by ``parse``.
    """

    path: Path
    pattern: str
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """The string extensions (after rule 19). ``text`` is as written; the ``i`` kinds fold it."""

    path: Path
    kind: Literal["substring", "isubstring", "starts_with", "glob", "iglob"]
    text: str

    @property
    def folds(self) -> bool:
        """Whether folded text is compared."""
        return self.kind in ("isubstring", "iglob")


@dataclass(frozen=True, slots=True)
class During:
    """A text that is an instant (rule 4) within one of ``spans``: what a comparison with an instant means.

    Spans are pairs of the first and the last microsecond since 1970-01-01T00:00:00Z, both included, in order,
    with gaps between them.
    """

    path: Path
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """``$contains`` (``every``) and ``$containsAny``: the value at the path is an array that has all / any of
    ``values``, and, where ``every``, texts that are ``instants``.
    """

    path: Path
    values: tuple[Json, ...]
    every: bool
    instants: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ElemMatch:
    """``$elemMatch`` (rule 17): an array with one element that satisfies ``condition``.

    ``of="values"``: the leaves of ``condition`` have the path ``()`` and are applied to the element, not
    opened. ``of="records"``: their paths start at the element's own fields (an array element counts as an
    object of its indexes).
    """

    path: Path
    condition: Expr
    of: Literal["values", "records"]


@dataclass(frozen=True, slots=True)
class Occurs:
    """One term of a search (rule 22): it occurs in the filename or, if ``content``, in the content.

    Attributes:
        text: the term folded for search, to be found as a substring of the filename folded likewise.
        words: its words; to be found side by side among the content's words. Empty: ``text`` must be a
            substring of the content.
        prefix: whether the last word may be the beginning of a word.
        content: whether the collection has content to look in.
        marks: whether the fold keeps marks, as in a store made with ``search_marks=True``.
    """

    text: str
    words: tuple[str, ...]
    prefix: bool
    content: bool = True
    marks: bool = False


Leaf: TypeAlias = (
    Compare
    | In
    | All
    | Exists
    | TypeIs
    | Size
    | Mod
    | Regex
    | Match
    | Contains
    | During
    | ElemMatch
    | Occurs
    | Always
)
Expr: TypeAlias = And | Or | Not | Leaf


def leaves(expr: Expr) -> Iterator[Leaf]:
    """Yield the leaves of ``expr`` from left to right; those inside an ElemMatch are its own affair."""
    stack: list[Expr] = [expr]
    while stack:
        node = stack.pop()
        match node:
            case And(terms) | Or(terms):
                stack.extend(reversed(terms))
            case Not(term):
                stack.append(term)
            case _:
                yield node


def asked_fields(expr: Expr) -> set[str]:
    """Return the record's fields that an evaluation of ``expr`` reads."""
    names: set[str] = set()
    for leaf in leaves(expr):
        if isinstance(leaf, Occurs):
            names |= {"filename", "content"} if leaf.content else {"filename"}
        elif not isinstance(leaf, Always):
            names.add(leaf.path[0])
    return names


# Field name → stored value. A select's rows hold the collection's light fields and those named in `include`.
Row: TypeAlias = dict[str, Any]


class Support(Enum):
    """How far a backend can run a leaf.

    ``EXACT``: it returns just what the evaluator would. ``INEXACT``: it returns that and perhaps more.
    ``UNSUPPORTED``: it cannot narrow by it at all.
    """

    EXACT = "exact"
    INEXACT = "inexact"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class TermSupport:
    """A backend's word on one leaf or sort key.

    Attributes:
        support: whether it can be run, and what comes back.
        reason: why it is not exact: a short phrase, shown by ``explain``.
    """

    support: Support
    reason: str = ""


EXACT = TermSupport(Support.EXACT)


class _EmptyArray(Enum):
    """The sort value of an empty array: before everything, ``None`` included (rule 20)."""

    EMPTY_ARRAY = "empty array"


EMPTY_ARRAY = _EmptyArray.EMPTY_ARRAY
# What a record sorts by under one key: for a scalar field its stored value or `None`; for a JSON path the
# JSON value of its smallest or largest element, `None` for null and missing alike, or `EMPTY_ARRAY`.
SortValue: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Scope:
    """The tenant and owner that a query is confined to; ``None`` does not confine."""

    tenant: str | None = None
    owner: str | None = None


# The scope that confines to nothing.
ANYWHERE = Scope()


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of an order.

    Attributes:
        path: what to sort by, the field's name first.
        descending: largest first.
        largest: an array stands for its largest element, not its smallest. Equal to ``descending`` as users
            write it; when the core walks an order backwards it turns ``descending`` and leaves this.
    """

    path: Path
    descending: bool = False
    largest: bool = False


Lock: TypeAlias = Literal["wait", "skip"]


@dataclass(frozen=True, slots=True)
class Query:
    """What to read.

    Attributes:
        collection: the kind of record.
        scope: ANDed outermost.
        where: the pushed part of the filter, search and ``latest_only``.
        order: sort keys, the last is ``number``.
        after: sort values of a row (which need not exist any more); only rows strictly behind it in ``order``
            count.
        offset: rows to skip.
        limit: rows to return, at least 1; ``None`` is all.
        include: heavy and private fields to bring besides the light ones.
        lock: in a write block, keep other writers from the rows until it ends: ``"wait"`` for those who hold
            them, or ``"skip"`` rows that are held. ``None`` takes no locks. A backend with a single writer
            may ignore it.
        prepared: what the backend's ``prepare`` returned for a query of the same collection, scope, condition
            and order; ``None``: nothing was prepared. It is no part of what is asked.
        only: the columns that are needed, instead of the light ones and ``include``; ``None``: those.
            A reader may bring whole rows all the same.
    """

    collection: Collection
    scope: Scope = ANYWHERE
    where: Expr = TRUE
    order: tuple[SortKey, ...] = (SortKey(("number",)),)
    after: tuple[SortValue, ...] | None = None
    offset: int = 0
    limit: int | None = None
    include: frozenset[str] = frozenset()
    lock: Lock | None = None
    prepared: Any = field(default=None, compare=False, repr=False)
    only: frozenset[str] | None = None


def expr_to_json(expr: Expr) -> str:
    """Return ``expr`` as a compact JSON text: the same text for the same Expr, always.

    Unlike ``==`` on expressions (Python holds ``1`` and ``True`` equal) two texts are equal only if the
    expressions mean the same, so the text is also the right key for caches.
    """
    return _encode(expr)


def _encode(expr: Expr) -> str:
    # The frequent leaves are written out: this text keys every cache, several times a query.
    match expr:
        case Compare(path, op, value):
            return f'["compare",{_path_json(path)},"{op}",{_value_json(value)}]'
        case And(terms):
            return _group_json("and", terms)
        case Or(terms):
            return _group_json("or", terms)
        case Not(term):
            return f'["not",{_encode(term)}]'
        case In(path, values):
            return f'["in",{_path_json(path)},[{",".join(map(_value_json, looked_over(values)))}]]'
        case All(path, values):
            return f'["all",{_path_json(path)},[{",".join(map(_value_json, values))}]]'
        case ElemMatch(path, condition, of):
            return f'["element",{_path_json(path)},{_encode(condition)},"{of}"]'
        case Exists(path):
            return f'["exists",{_path_json(path)}]'
        case _:
            return canonical_json(_parts(expr))


def _group_json(word: str, terms: tuple[Expr, ...]) -> str:
    return ",".join([f'["{word}"', *map(_encode, terms)]) + "]"


@lru_cache(maxsize=1024)
def _path_json(path: Path) -> str:
    return canonical_json(path)


def _value_json(value: Json) -> str:
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    return repr(value) if kind is int else canonical_json(value)


def _parts(leaf: Leaf) -> list[Any]:
    """Return a leaf as its word and the values of its fields."""
    values = [getattr(leaf, name) for name in _FIELDS[type(leaf)]]
    return [_WORDS[type(leaf)], *(sorted(one) if isinstance(one, frozenset) else one for one in values)]


# The word of each leaf, first in its JSON.
_WORDS: dict[type[Any], str] = {
    All: "all", Always: "always", Compare: "compare", Contains: "contains", During: "during",
    ElemMatch: "element", Exists: "exists", In: "in", Match: "match", Mod: "mod", Occurs: "occurs",
    Regex: "regex", Size: "size", TypeIs: "type",
}  # fmt: skip
_FIELDS = {kind: tuple(one.name for one in fields(kind)) for kind in _WORDS}

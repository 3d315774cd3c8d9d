"""Filter → sets: which records surely match (*low*) and which can match at all (*high*).

The algebra is Kleene's: AND and OR work on each side, NOT turns the sides around, so that negatives stay
exact complements (rule 11). Most predicates are exact, both sets are one. These are not: operands that are
arrays or objects, ``$elemMatch``, numeric steps and nulls behind arrays, tests of texts where there are too
many different ones, and oversized records. The evaluator decides what lies between the two sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Final, Protocol, TypeAlias

from docstore.concurrency import check, looked_over
from docstore.index.bitmap import EMPTY, Bitmap, difference, intersection, union, union_all
from docstore.index.columns import BitSlices, date_ordinal, double_ordinal
from docstore.index.terms import (
    ARRAY,
    DATES,
    EVERY,
    FALSE,
    KINDS,
    NULL,
    NUMBER,
    NUMBERS,
    OBJECT,
    OVERSIZED,
    STRING,
    TRUE,
    UTC_DATES,
    is_dated,
    number_key,
    size_key,
    text_key,
    text_of,
)
from docstore.query import evaluator
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
    expr_to_json,
    leaves,
)
from docstore.query.instants import MIN_INSTANT, MINUTE, minute_text, text_spans
from docstore.query.paths import index_step


class TermSource(Protocol):
    """The terms of one collection at one moment."""

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records that have the term."""

    def postings(self, path: Path, keys: Sequence[bytes]) -> Iterable[Bitmap]:
        """Return the records that have each of the terms; they are all that :meth:`keys` gave."""

    def any_posting(self, path: Path, keys: Sequence[bytes]) -> Bitmap:
        """Return the records that have any of the terms."""

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the value keys of a range at ``path``; None if there are more than MOST_KEYS."""

    def compare(self, path: Path, column: bytes, ordinal: int) -> tuple[Bitmap, Bitmap, Bitmap]:
        """Return the records in a column with a lesser, the same and a greater value than ``ordinal``."""

    def column(self, path: Path, column: bytes) -> BitSlices:
        """Return the slices of a column."""

    def has_field(self, name: str) -> bool:
        """Return whether the terms of this field are kept at all."""


@dataclass(slots=True)
class MatchSets:
    """The lower set surely matches, the upper set can match; both are one object where they are equal.

    Attributes:
        is_exact: whether the evaluator has to look at no record.
    """

    lower: Bitmap
    upper: Bitmap
    is_exact: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compare the sets by identity."""
        self.is_exact = self.lower is self.upper

    @property
    def recheck(self) -> Bitmap:
        """The records that the evaluator has to look at."""
        return EMPTY if self.is_exact else difference(self.upper, self.lower)


def exact_sets(bits: Bitmap) -> MatchSets:
    """Return match sets that need no recheck."""
    return MatchSets(bits, bits)


NO_MATCHES: Final = exact_sets(EMPTY)


def sets_between(low: Bitmap, more: Bitmap) -> MatchSets:
    """Return match sets: ``low`` surely matches, ``more`` can match."""
    rest = difference(more, low)
    return MatchSets(low, union(low, rest)) if rest else exact_sets(low)


def intersect_all(parts: list[MatchSets], source: TermSource) -> MatchSets:
    """Return the match sets of a conjunction; an empty one matches every record."""
    if not parts:
        return exact_sets(source.posting((), EVERY))
    # Short lists first: what they leave is short, too, and the large sets are only probed.
    parts.sort(key=lambda part: not part.upper.is_listed)
    high = parts[0].upper
    for part in parts[1:]:
        high = intersection(high, part.upper)
    if all(part.is_exact for part in parts):
        return exact_sets(high)
    low = high
    for part in parts:
        if not part.is_exact:
            low = intersection(low, part.lower)
    return MatchSets(low, high) if low != high else exact_sets(high)


def unite_all(parts: Sequence[MatchSets]) -> MatchSets:
    """Return the match sets of a disjunction."""
    low = union_all([part.lower for part in parts])
    if all(part.is_exact for part in parts):
        return exact_sets(low)
    return MatchSets(low, union_all([part.upper for part in parts]))


# Says of one leaf what the terms of a source say.
LeafSearch: TypeAlias = Callable[[Leaf, TermSource], MatchSets]

# So many spans of time are compared one by one; of more, only the minutes are looked up.
_MOST_SPANS: Final = 8

# Characters of a key that is kept as it is.
_LONGEST_KEY: Final = 4096


def answer_key(terms: Iterable[Expr]) -> str:
    """Return the key under which the answer for a conjunction is cached: a digest if it is long."""
    key = "".join(map(expr_to_json, terms))
    if len(key) <= _LONGEST_KEY:
        return key
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


# Says of one leaf what the terms say.
BoundLeafSearch: TypeAlias = Callable[[Leaf], MatchSets]


def match_sets(expr: Expr, source: TermSource, leaf: BoundLeafSearch | None = None) -> MatchSets:
    """Return what ``source`` says of ``expr``.

    Args:
        expr: normalized.
        source: the terms.
        leaf: answers for one leaf, where a caller keeps the answers; ``None`` works each out.
    """
    return _bounds(expr, source, leaf or (lambda given: leaf_sets(given, source)))


def _bounds(expr: Expr, source: TermSource, one: BoundLeafSearch) -> MatchSets:
    match expr:
        case And(terms):
            return _conjunction(terms, source, one)
        case Or(terms):
            return unite_all([_bounds(term, source, one) for term in terms])
        case Not(term):
            inner, every = _bounds(term, source, one), source.posting((), EVERY)
            low = difference(every, inner.upper)
            return exact_sets(low) if inner.is_exact else MatchSets(low, difference(every, inner.lower))
        case _:
            check()
            return one(expr)


def _conjunction(terms: Sequence[Expr], source: TermSource, one: BoundLeafSearch) -> MatchSets:
    """Return what ``source`` says of an And; texts are gone through last, and not where nothing is left."""
    parts, rest = _text_ranges(terms, source)
    for term in sorted(rest, key=_reads_texts):
        parts.append(_bounds(term, source, one))
        if not parts[-1].upper:
            return exact_sets(EMPTY)
    return intersect_all(parts, source)


def _text_ranges(terms: Sequence[Expr], source: TermSource) -> tuple[list[MatchSets], Sequence[Expr]]:
    """Answer several bounds on one text at once, where no record has two; return the rest, too."""
    by_path: dict[Path, list[Compare]] = {}
    for term in terms:
        if isinstance(term, Compare) and term.op != "eq" and type(term.value) is str:
            by_path.setdefault(term.path, []).append(term)
    found: list[MatchSets] = []
    taken: set[int] = set()
    for path, asked in by_path.items():
        if (
            len(asked) > 1
            and path[0] != "filename"
            and source.has_field(path[0])
            and not _arrays(path, source)
        ):
            found.append(with_recheck(texts_within(asked, source), path, source))
            taken.update(map(id, asked))
    return found, [term for term in terms if id(term) not in taken] if taken else terms


def _arrays(path: Path, source: TermSource) -> Bitmap:
    """Return the records that may have several values at a path."""
    return union_all(source.posting(path[:at], ARRAY) for at in range(1, len(path) + 1))


def _reads_texts(expr: Expr) -> bool:
    return any(isinstance(leaf, Regex | Match) for leaf in leaves(expr))


def leaf_sets(leaf: Leaf, source: TermSource) -> MatchSets:
    """Return what ``source`` says of one leaf."""
    if isinstance(leaf, Always):
        return exact_sets(source.posting((), EVERY) if leaf.value else EMPTY)
    if isinstance(leaf, Occurs) or leaf.path[0] == "filename" or not source.has_field(leaf.path[0]):
        return MatchSets(EMPTY, source.posting((), EVERY))
    return with_recheck(_leaf(leaf, source), leaf.path, source)


def with_recheck(found: MatchSets, path: Path, source: TermSource) -> MatchSets:
    """Move the records that terms cannot decide from the lower set to those that need a recheck."""
    doubtful = union(_indexed(path, source), source.posting((), OVERSIZED))
    if not doubtful:
        return found
    low = difference(found.lower, doubtful)
    return MatchSets(low, union(found.upper, doubtful))


def _indexed(path: Path, source: TermSource) -> Bitmap:
    """Return records with an array where a step may be an index: terms do not cover those."""
    return union_all(
        source.posting(path[:at], ARRAY) for at in range(1, len(path)) if index_step(path[at]) is not None
    )


def _leaf(leaf: Any, source: TermSource) -> MatchSets:
    match leaf:
        case Compare(path, "eq", value):
            return _equal(path, (value,), source)
        case Compare():
            return ordered(leaf, source)
        case In(path, values):
            return _equal(path, values, source)
        case All(path, values):
            return _every(path, values, source)
        case Exists(path):
            return exact_sets(_exists(path, source))
        case TypeIs(path, types):
            return _typed(path, types, source)
        case During():
            return _during(leaf, source)
        case Size(path, length):
            return exact_sets(source.posting(path, size_key(length)))
        case Mod(path):
            return MatchSets(EMPTY, source.posting(path, NUMBER))
        case Regex(path, pattern, flags):
            return texts_passing(path, evaluator.matches_regex(pattern, flags), b"", source)
        case Match(path, kind, text):
            start = text.encode() if kind == "starts_with" else b""
            return texts_passing(path, evaluator.matches_text(leaf), start, source)
        case Contains(path, values, every):
            return _contains(path, values, every, source)
        case ElemMatch(path, condition, of):
            return MatchSets(
                EMPTY, intersection(source.posting(path, ARRAY), _element(path, condition, of, source))
            )
        case _:  # nothing is known of other leaves
            return MatchSets(EMPTY, source.posting((), EVERY))


def _exists(path: Path, source: TermSource) -> Bitmap:
    return union_all(source.posting(path, kind) for kind in KINDS)


def _null(path: Path, source: TermSource) -> MatchSets:
    """Null or missing (rules 9, 11): arrays need a look if something in them lacks the path."""
    every = source.posting((), EVERY)
    arrays = union_all(source.posting(path[:at], ARRAY) for at in range(1, len(path)))
    null = source.posting(path, NULL)
    missing = difference(every, _exists(path, source))
    if not arrays:
        return exact_sets(union(null, missing))
    return sets_between(union(null, difference(missing, arrays)), arrays)


def _equal(path: Path, values: Sequence[Any], source: TermSource) -> MatchSets:
    keys: list[bytes] = []
    numbers: list[int] = []
    dates: list[str] = []
    parts: list[MatchSets] = []
    for value in looked_over(values):
        kind = type(value)
        if kind is str:
            keys.append(text_key(value))
            if is_dated(value):
                dates.append(value)
        elif kind is bool:
            keys.append(TRUE if value else FALSE)
        elif kind is int or kind is float:
            keys.append(number_key(value))
            if float(value) == value:
                numbers.append(double_ordinal(value))
        elif value is None:
            parts.append(_null(path, source))
        else:
            parts.append(MatchSets(EMPTY, source.posting(path, ARRAY if kind is list else OBJECT)))
    if keys:
        parts.append(
            exact_sets(source.posting(path, keys[0]) if len(keys) == 1 else source.any_posting(path, keys))
        )
    if numbers:
        parts.append(exact_sets(_in_column(path, NUMBERS, numbers, source)))
    for whole in (True, False):
        texts = [text for text in dates if (len(text.encode()) < 16) is whole]
        if texts:
            found = _in_column(path, DATES, [date_ordinal(text) for text in texts], source)
            parts.append(exact_sets(found) if whole else MatchSets(EMPTY, found))
    return (
        parts[0]
        if len(parts) == 1
        else unite_all([part for part in parts if part.upper] or [exact_sets(EMPTY)])
    )


def _during(leaf: During, source: TermSource) -> MatchSets:
    """Return the records with texts that are instants within the spans.

    Texts in UTC are known to the minute; of others it is only known on which days they may be.
    """
    path, spans = leaf.path, leaf.spans
    utc = source.posting(path, UTC_DATES)
    others = difference(source.posting(path, DATES), utc)
    ranges = text_spans(spans)
    parts = [_keyed_instants(leaf, ranges, source)]
    if utc:
        parts += _utc_instants(path, spans, utc, source)
    if others:
        around = [_date_range(Compare(path, "gte", first), source).upper for first, _ in ranges]
        for at, (_, last) in enumerate(ranges):
            if last is not None:
                around[at] = intersection(around[at], _date_range(Compare(path, "lt", last), source).upper)
        parts.append(MatchSets(EMPTY, intersection(others, union_all(around))))
    return unite_all(parts)


def _keyed_instants(leaf: During, ranges: Sequence[tuple[str, str | None]], source: TermSource) -> MatchSets:
    """Return the records that have such an instant among several texts: each different text is tested."""
    test, keys = evaluator.is_during(leaf.spans), list[bytes]()
    for first, last in ranges:
        found = source.keys(leaf.path, b"s" + first.encode(), b"t" if last is None else b"s" + last.encode())
        if found is None:
            return MatchSets(EMPTY, _beside(leaf.path, STRING, DATES, source))
        keys += found
    fitting = [key for key in looked_over(keys) if test(text_of(key))]
    return exact_sets(source.any_posting(leaf.path, fitting) if fitting else EMPTY)


def _utc_instants(
    path: Path, spans: Sequence[tuple[int, int]], utc: Bitmap, source: TermSource
) -> list[MatchSets]:
    """Return those of some records in the column of dates whose instants are within one of the spans."""
    if len(spans) > _MOST_SPANS and all(last - first < MINUTE for first, last in spans):
        minutes = {minute_text(at) or "" for span in spans for at in span}
        texts = [*minutes, *(text[:10] for text in minutes if text.endswith("T00:00"))]
        among = _in_column(path, DATES, [date_ordinal(text) for text in texts], source)
        return [MatchSets(EMPTY, intersection(utc, among))]

    def before(instant: int, *, surely: bool) -> Bitmap:
        """Return the texts before an instant's minute, or those that can be before the instant."""
        late = instant if surely else instant + MINUTE - 1
        text = minute_text(late)
        if text is None or instant <= MIN_INSTANT:
            return EMPTY if text is not None else source.posting(path, DATES)
        # A bare date stands before all minutes of its day, and is its first.
        text = text[:10] if text.endswith("T00:00") else text
        return source.compare(path, DATES, date_ordinal(text))[0]

    found = []
    for first, last in spans:
        low = difference(before(last + 1, surely=True), before(first, surely=False))
        high = difference(before(last + 1, surely=False), before(first, surely=True))
        found.append(sets_between(intersection(utc, low), intersection(utc, high)))
    return found


def _every(path: Path, values: Sequence[Any], source: TermSource) -> MatchSets:
    """Return the records that have each of the values."""
    parts: list[MatchSets] = []
    for value in values:
        parts.append(_equal(path, (value,), source))
        if not parts[-1].upper:
            return exact_sets(EMPTY)
    return intersect_all(parts, source)


def _in_column(path: Path, column: bytes, ordinals: Sequence[int], source: TermSource) -> Bitmap:
    return source.column(path, column).equal_to_any(ordinals) if source.posting(path, column) else EMPTY


def texts_passing(path: Path, test: Callable[[Any], bool], start: bytes, source: TermSource) -> MatchSets:
    """Return the records whose texts pass a test; each different text is tested once."""
    dated = source.posting(path, DATES)
    long = source.keys(path, b"t", b"u")
    short = source.keys(path, b"s" + start, b"s" + start + b"\xff" if start else b"t")
    if short is None or long is None:
        return MatchSets(EMPTY, source.posting(path, STRING))
    fitting = [key for key in looked_over(short) if test(text_of(key))]
    low = source.any_posting(path, fitting) if fitting else EMPTY
    likely = [key for key in long if key[1:25].startswith(start[:24])]
    rest = union(dated, source.any_posting(path, likely)) if likely else dated
    return sets_between(low, rest)


def _typed(path: Path, types: frozenset[str], source: TermSource) -> MatchSets:
    kinds = {
        "null": (NULL,),
        "bool": (FALSE, TRUE),
        "string": (STRING,),
        "array": (ARRAY,),
        "object": (OBJECT,),
    }
    keys = [key for name, found in kinds.items() if name in types for key in found]
    numeric = types & {"number", "int", "long", "double", "date"}
    found = union_all(source.posting(path, key) for key in keys)
    if not numeric:
        return exact_sets(found)
    if "number" in types and len(path) > 1:
        return exact_sets(union(found, source.posting(path, NUMBER)))
    return sets_between(found, source.posting(path, NUMBER))


def _contains(path: Path, values: Sequence[Any], every: bool, source: TermSource) -> MatchSets:
    arrays = source.posting(path, ARRAY)
    parts = [_equal(path, (value,), source).upper for value in values]
    if every:
        found = arrays
        for part in parts:
            found = intersection(found, part)
        return MatchSets(EMPTY, found)
    return MatchSets(EMPTY, intersection(arrays, union_all(parts)))


def _element(path: Path, condition: Expr, of: str, source: TermSource) -> Bitmap:
    """Return the records in which an element may satisfy ``condition``.

    Terms of elements stand at the array's own path, so each positive leaf is looked up there.
    """
    match condition:
        case And(terms):
            found = source.posting((), EVERY)
            for term in terms:
                found = intersection(found, _element(path, term, of, source))
            return found
        case Or(terms):
            return union_all(_element(path, term, of, source) for term in terms)
        case Not() | Always() | Occurs():
            return source.posting((), EVERY)
        case _:
            if of == "records" and index_step(condition.path[0]) is not None:
                return source.posting((), EVERY)
            if of == "values" and isinstance(condition, (Contains, Size, ElemMatch)):
                return source.posting((), EVERY)  # of arrays within arrays there are no terms
            return leaf_sets(_moved(condition, path), source).upper


def _moved(leaf: Any, path: Path) -> Any:
    return replace(leaf, path=(*path, *leaf.path))


# Value keys from the first on, before the second.
_Keys: TypeAlias = tuple[bytes, bytes]


def ordered(leaf: Compare, source: TermSource) -> MatchSets:
    """Return what the terms say of ``$gt $gte $lt $lte`` (rule 12)."""
    value, path, kind = leaf.value, leaf.path, type(leaf.value)
    if kind is bool:
        held = [key for key, one in ((FALSE, False), (TRUE, True)) if evaluator.comparison(leaf)(one)]
        return exact_sets(union_all(source.posting(path, key) for key in held))
    if kind is int or kind is float:
        return unite_all([_number_range(leaf, source), _key_range(leaf, number_key(value), b"n", source)])
    if kind is str:
        return unite_all([_date_range(leaf, source), _text_range(leaf, source)])
    return MatchSets(EMPTY, source.posting(path, ARRAY if kind is list else OBJECT))


def _number_range(leaf: Compare, source: TermSource) -> MatchSets:
    present = source.posting(leaf.path, NUMBERS)
    if not present:
        return exact_sets(EMPTY)
    # The column holds doubles; an int64 between two of them is compared with the nearest, then decided.
    nearest = float(leaf.value)
    lesser, level, greater = source.compare(leaf.path, NUMBERS, double_ordinal(nearest))
    found = greater if leaf.op in ("gt", "gte") else lesser
    beside = (nearest > leaf.value) - (nearest < leaf.value)
    holds = leaf.op in ("gte", "lte") if not beside else (beside > 0) is (leaf.op in ("gt", "gte"))
    return exact_sets(union(found, level) if holds else found)


def _date_range(leaf: Compare, source: TermSource) -> MatchSets:
    present = source.posting(leaf.path, DATES)
    if not present:
        return exact_sets(EMPTY)
    start = leaf.value[:16].encode()[:16]
    ordinal = int.from_bytes(start.ljust(16, b"\0"), "big")
    lesser, level, greater = source.compare(leaf.path, DATES, ordinal)
    found = greater if leaf.op in ("gt", "gte") else lesser
    if len(leaf.value.encode()) < 16:
        return exact_sets(union(found, level) if leaf.op in ("gte", "lte") else found)
    return sets_between(found, level)


def _key_range(leaf: Compare, key: bytes, kind: bytes, source: TermSource) -> MatchSets:
    """Return the records with a value key in the range."""
    return _keys_within(leaf.path, kind, _wanted(leaf, key, kind), source)


def _wanted(leaf: Compare, key: bytes, kind: bytes) -> _Keys:
    """Return the keys of a kind that a bound leaves, given that of its operand."""
    after = key + b"\0" if leaf.op in ("gt", "lte") else key
    return (after, bytes((kind[0] + 1,))) if leaf.op in ("gt", "gte") else (kind, after)


def _keys_within(path: Path, kind: bytes, wanted: _Keys, source: TermSource) -> MatchSets:
    """Return records with a value key in a range; with too many keys, all of the kind are unsure."""
    found = _run(path, wanted, source)
    if found is None:
        kinds = (NUMBER, NUMBERS) if kind == b"n" else (STRING, DATES)
        return MatchSets(EMPTY, _beside(path, *kinds, source))
    return exact_sets(found)


def texts_within(leaves: Sequence[Compare], source: TermSource) -> MatchSets:
    """Return what the terms say of several bounds on the one text that a record has at their path.

    Args:
        leaves: all with a text and one path, at which no record has two values.
        source: the terms.
    """
    ranges = [_wanted(leaf, b"s" + leaf.value.encode(), b"s") for leaf in leaves]
    wanted = max(first for first, _ in ranges), min(end for _, end in ranges)
    return unite_all(
        [
            _keys_within(leaves[0].path, b"s", wanted, source),
            intersect_all([_date_range(leaf, source) for leaf in leaves], source),
            intersect_all([_long_range(leaf, source) for leaf in leaves], source),
        ]
    )


def _text_range(leaf: Compare, source: TermSource) -> MatchSets:
    short = _key_range(leaf, b"s" + leaf.value.encode(), b"s", source)
    return unite_all([short, _long_range(leaf, source)])


def _long_range(leaf: Compare, source: TermSource) -> MatchSets:
    """Return the records with a text in the range that is too long to be a key whole."""
    encoded = leaf.value.encode()
    start = b"t" + encoded[:24]
    behind = start + b"\xff" * 17 if len(encoded) >= 24 else start
    level = _run(leaf.path, (start, behind), source)
    rest = (behind, b"u") if leaf.op in ("gt", "gte") else (b"t", start)
    sure = _run(leaf.path, rest, source)
    if level is None or sure is None:
        return MatchSets(EMPTY, _beside(leaf.path, STRING, DATES, source))
    return sets_between(sure, level)


def _run(path: Path, wanted: _Keys, source: TermSource) -> Bitmap | None:
    """Return the records with a value key in a range, or None if the range has too many keys."""
    if wanted[0] >= wanted[1]:
        return EMPTY
    keys = source.keys(path, *wanted)
    return None if keys is None else source.any_posting(path, keys)


def _beside(path: Path, kind: bytes, column: bytes, source: TermSource) -> Bitmap:
    """Return the records of a kind that are not in its column."""
    return difference(source.posting(path, kind), source.posting(path, column))

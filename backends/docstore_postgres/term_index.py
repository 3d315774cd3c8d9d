"""Term index over the metadata: number terms, terms of missing common values, term queries, check and repair.

A GIN index over ``jsonb`` has no order. Its sibling, a GIN index over a tsvector, finds words by their
beginnings: ``value_terms`` makes a word of each number. A term query finds a superset, which is rechecked.

No index knows complements. Where nine records in ten hold one value at a path, a *common value*, the term
index has a word for each record that lacks it. ``$ne``, and every condition that the value does not fulfil,
is then found by those words. Common values are learnt from samples.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from docstore_sql.compiler import Fragment
from docstore_sql.session import Session
from docstore_sql.tables import Tables
from pydantic_core import from_json

from docstore.query import evaluator
from docstore.query.expr import Always, And, Compare, During, ElemMatch, Expr, Occurs, Or, Path, leaves
from docstore.query.fields import DOCUMENTS, Collection, read_json
from docstore_postgres import jsonpath
from docstore_postgres.jsonpath import (
    INSTANT,
    INSTANT_DIGITS,
    LAST_TERM,
    NUMBER_DIGITS,
    TOO_MANY_PATHS,
    TermSpan,
    cover,
    indexed,
    instant_term,
    span,
    start_of,
    value_terms,
)  # fmt: skip

# Hexadecimal digits of the number in a term.
_HEX_DIGITS = 4
# Common values of one store: each costs a look at every record written.
_MOST_VALUES = 8
_LAST = 16**_HEX_DIGITS - 1
# The share of a sample that has a common value.
_LEAST_SHARE = 0.9
# One sample teaches at most so many: a store that is filled kind by kind shows others later.
_LEARNT_AT_ONCE = 4
# Records in a sample, and how many of them must still be there.
_SAMPLE, _LEAST = 256, 128
# Characters of a path or a value; longer ones are not learnt.
_LONGEST_CHARACTERS = 256
_MISSING = object()

Scalar: TypeAlias = str | int | float | bool | None
# A path below `metadata`, and the scalar there.
Value: TypeAlias = tuple[tuple[str, ...], Scalar]


@dataclass(frozen=True, slots=True)
class CommonValue:
    """A value that nearly all records have at a path.

    Attributes:
        number: its place among all that the store has learnt.
        path: the keys that lead to it, from object to object; none where it was forgotten: then every record
            says that it lacks it.
        value: it.
    """

    number: int
    path: tuple[str, ...]
    value: Scalar

    @property
    def word(self) -> str:
        """Return the word of records that do not have it."""
        return f"x{self.number:0{_HEX_DIGITS}x}"

    def term_query(self) -> Iterator[str]:
        """Yield the words of all records that may lack it, those that only begin so with ``:*``."""
        yield self.word
        for known_before in cover(0, self.number - 1, _HEX_DIGITS):
            yield f"w{known_before}"

    def is_of(self, record: Mapping[str, Any]) -> bool:
        """Return whether a JSON object has it, of the same type, and by no array."""
        value: Any = record
        for key in self.path:
            value = value.get(key, _MISSING) if type(value) is dict else _MISSING
        return type(value) is type(self.value) and bool(value == self.value)

    def record(self) -> dict[str, Any]:
        """Return a record that has it, and nothing else."""
        value: Any = self.value
        for key in reversed(self.path):
            value = {key: value}
        return {"metadata": value}


@dataclass(frozen=True, slots=True)
class CommonValues:
    """The common values of a store, as known at some moment.

    Attributes:
        known: all of them, in the order of their numbers.
    """

    known: tuple[CommonValue, ...] = ()
    _by_path: dict[tuple[str, ...], list[CommonValue]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for one in self.known:
            if one.path:
                self._by_path.setdefault(("metadata", *one.path), []).append(one)

    def words(self, record: Mapping[str, Any]) -> list[str]:
        """Return the terms of a JSON object: the last value its writer knew of, and the values it lacks."""
        last = self.known[-1].number if self.known else 0
        return [f"w{last:0{_HEX_DIGITS}x}", *(one.word for one in self.known if not one.is_of(record))]

    @property
    def forgotten(self) -> set[str]:
        """Return the words that nobody looks for any more: who has not heard of it leaves them out."""
        return {one.word for one in self.known if not one.path}

    def up_to(self, number: int) -> CommonValues:
        """Return the values that a writer knew which knew of value ``number``."""
        return CommonValues(tuple(one for one in self.known if one.number <= number))

    def implied(self, expr: Expr) -> CommonValue | None:
        """Return a common value that no match of ``expr`` has, None if there is none."""
        if not self.known:
            return None
        paths = {None if isinstance(leaf, Always | Occurs) else leaf.path for leaf in leaves(expr)}
        path = paths.pop() if len(paths) == 1 else None
        found = self._by_path.get(path, ()) if path is not None else ()
        return next((one for one in found if not evaluator.matches(expr, one.record())), None)


NO_COMMON_VALUES = CommonValues()


def known_by(word: str) -> int:
    """Return the number of the last common value that the writer of a term knew of, 0 for other terms."""
    return int(word[1:], 16) if word.startswith("w") else 0


@dataclass(slots=True)
class LearntValues:
    """The common values as the sessions of one backend know them.

    Attributes:
        values: the values that were read last.
        read_at: the time of that on ``time.monotonic``, in seconds.
        next_look: the number of documents from which on the next sample is taken.
    """

    values: CommonValues = NO_COMMON_VALUES
    read_at: float = -math.inf
    next_look: int = 1_000


def most_common_values(records: Sequence[Mapping[str, Any]]) -> list[Value]:
    """Return the values that nearly all of some records have, most frequent first; of few records, none."""
    if len(records) < _LEAST:
        return []
    counted = Counter(value for record in records for value in _values(record))
    least = _LEAST_SHARE * len(records)
    return [(path, value) for (path, _, value), count in counted.most_common() if count >= least]


def _values(record: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str, Scalar]]:
    """Yield the scalars of an object, each with its path and its type, as ``1`` and ``true`` are equal."""
    left: list[tuple[tuple[str, ...], Mapping[str, Any]]] = [((), record)]
    for path, members in left:
        for key, value in members.items():
            if type(value) is dict:
                left.append(((*path, key), value))
            elif value is None or isinstance(value, str | int | float):
                yield (*path, key), type(value).__name__, value


# -- in the database ---------------------------------------------------------------------------------------


def read_common_values(session: Session) -> CommonValues:
    """Return the common values that the session's snapshot shows."""
    start = f"SELECT number, path, value FROM {session.tables.usual}"
    session.run(Fragment(f"{start} WHERE tenant = '' AND number <= {_LAST} ORDER BY number"))
    found = session.cursor.fetchall()
    return CommonValues(
        tuple(CommonValue(number, tuple(from_json(path)), from_json(value)) for number, path, value in found)
    )


def sample(session: Session, last: int, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the metadata of some documents, evenly spread over all.

    Args:
        session: where they are.
        last: the largest number of those that are there.
        texts: the metadata of those that are about to be added.
    """
    places = [(last + len(texts)) * at // _SAMPLE for at in range(_SAMPLE)]
    numbers = [place + 1 for place in places if place < last]
    start = f"SELECT metadata FROM {session.tables.of(DOCUMENTS)} WHERE number = ANY(%s) AND tenant = ''"
    session.run(Fragment(start, (numbers,)))
    there = [text for (text,) in session.cursor.fetchall()]
    chosen = (*there, *(texts[place - last] for place in places if place >= last))
    return [record for text in chosen if (record := read_json(text)) is not None]


def learn(session: Session, records: Sequence[Mapping[str, Any]]) -> CommonValues | None:
    """Store the common values of a sample; return all that are known then.

    Nobody else learns until the transaction ends. Return None at once if another transaction is learning,
    or if this one may not see commits made since it began.
    """
    session.run(Fragment("SELECT current_setting('transaction_isolation')"))
    # A number must stand for the same value with every writer. So one learns at a time, and sees what others
    # have committed.
    if session.cursor.fetchone()[0] != "read committed" or not session.try_lock("usual"):
        return None
    known = read_common_values(session)
    had = [_row(one.path, one.value) for one in known.known]
    sampled = [_row(path, value) for path, value in most_common_values(records)]
    new = [row for row in sampled if row not in had and max(map(len, row)) <= _LONGEST_CHARACTERS]
    for row in new[: min(max(_MOST_VALUES - len(had), 0), _LEARNT_AT_ONCE)]:
        into = f"INSERT INTO {session.tables.usual} (path, value) VALUES (%s, %s)"
        session.run(Fragment(into, row))
    return read_common_values(session)


def forget(session: Session) -> None:
    """Remove common values that no document has any more.

    Their numbers stay in use, so that the terms of other records stay right.
    """
    table = session.tables.of(DOCUMENTS)
    for one in read_common_values(session).known:
        test = jsonpath.compared("eq", one.value)
        has = Fragment("d.metadata_json @@ %s::jsonpath", (jsonpath.exists(one.path, test),))
        session.run(has.wrapped(f"SELECT EXISTS (SELECT 1 FROM {table} AS d WHERE ", ")"))
        if one.path and not session.cursor.fetchone()[0]:
            set_blank = f"UPDATE {session.tables.usual} SET path = '[]', value = 'null'"
            blank = f"{set_blank} WHERE tenant = '' AND number = %s"
            session.run(Fragment(blank, (one.number,)))


def _row(path: tuple[str, ...], value: Scalar) -> tuple[str, str]:
    return json.dumps(path), json.dumps(value)


# Term spans and common values in one query; more are not looked for, as each costs a scan of the GIN index.
_MOST_QUERIED = 16
# Of 2 ** 32 terms of instants those of some 40 years are as wide as all numbers: 2 ** 24.
_YEARS_SHIFT = 1
# The width that the lack of a common value counts for beside a range of numbers.
_LACKING_WIDTH = LAST_TERM // 8


@dataclass(frozen=True, slots=True)
class _Terms:
    """The terms that a part of a filter implies: a value in one of some spans, or the lack of a common value.

    Attributes:
        width: the size of the spans; of several parts the narrowest is looked for.
        spans: the prefix of the terms, the mark of records with several values, the span of terms, and
            how many digits a term has behind the prefix.
        common_values: the common values that matches lack.
    """

    width: int
    spans: tuple[tuple[str, str, TermSpan, int], ...] = ()
    common_values: tuple[CommonValue, ...] = ()

    def words(self) -> Iterator[str]:
        """Yield the words to look for, those that only begin so with ``:*``."""
        for start, mark, (first, last), digits in self.spans:
            yield start + mark
            for end in cover(first, last, digits):
                yield start + end
        if self.spans:
            yield TOO_MANY_PATHS
        for usual in self.common_values:
            yield from usual.term_query()


def term_query(where: Expr, common_values: CommonValues = NO_COMMON_VALUES) -> Fragment | None:
    """Return the condition on the metadata's terms that a filter implies, None if it implies none."""
    part = _implied(where, (), common_values)
    if part is None or len(part.spans) + len(part.common_values) > _MOST_QUERIED:
        return None
    words = dict.fromkeys(part.words())
    found = Fragment("d.metadata_words @@ %s::tsquery", (" | ".join(words),))
    return found.wrapped("(", " OR d.tenant <> '')") if part.common_values else found


def _implied(expr: Expr, base: Path, common_values: CommonValues) -> _Terms | None:
    """Return the terms that a condition on the values at ``base`` implies."""
    unusual = None if base else common_values.implied(expr)
    if unusual is not None:
        return _Terms(_LACKING_WIDTH, common_values=(unusual,))
    match expr:
        case Or(terms):
            each = [_implied(term, base, common_values) for term in terms]
            found = [part for part in each if part is not None]
            return _any_of(found) if found and len(found) == len(each) else None
        case And(terms):
            parts = [*_ranges(terms, base), *(_implied(term, base, common_values) for term in terms)]
            found = [part for part in parts if part is not None]
            return min(found, key=lambda part: part.width, default=None)
        case ElemMatch(path, condition):
            return _implied(condition, (*base, *path), common_values)
        case Compare() | During():
            return next(_ranges((expr,), base), None)
        case _:
            return None


def _any_of(parts: Sequence[_Terms]) -> _Terms:
    """Return the terms of a disjunction of parts."""
    return _Terms(
        sum(part.width for part in parts),
        tuple(one for part in parts for one in part.spans),
        tuple(one for part in parts for one in part.common_values),
    )


def _ranges(terms: Iterable[Expr], base: Path) -> Iterator[_Terms]:
    """Yield the terms of the bounds on numbers and instants in a conjunction, those of one path together."""
    bounds: dict[tuple[str, int, int], list[TermSpan]] = {}
    for term in terms:
        if not isinstance(term, Compare | During) or not _is_indexed(path := (*base, *term.path)):
            continue
        if isinstance(term, During):
            key = (start_of(path[1:]) + INSTANT, INSTANT_DIGITS, _YEARS_SHIFT)
            bounds.setdefault(key, []).append(_instants(term))
        elif (found := span(term)) is not None:
            # The digits stand beside the prefix, which does not tell them: a path's may end in "d", too.
            bounds.setdefault((start_of(path[1:]), NUMBER_DIGITS, 0), []).append(found)
    for (start, digits, scale), spans in bounds.items():
        first, last = max(one[0] for one in spans), min(one[1] for one in spans)
        width = min(max(last - first + 1, 0) << scale, LAST_TERM)
        yield _Terms(width, ((start, "s" if len(spans) > 1 else "t", (first, last), digits),))


def _instants(term: During) -> TermSpan:
    """Return the terms from the first instant to the last that a term is about."""
    return instant_term(term.spans[0][0]), instant_term(term.spans[-1][1])


def _is_indexed(path: Path) -> bool:
    return path[0] == "metadata" and len(path) > 1 and not indexed(path[1:])


def record_terms(record: dict[str, Any], common_values: CommonValues) -> tuple[str, bool]:
    """Return an object's words as a tsvector's text, and whether a number in it is at least ``LARGE``."""
    words, has_large = value_terms(record)
    return " ".join(words + common_values.words(record)), has_large


# Rows that one statement reads when the terms are made anew.
_BATCH = 2_000


class _Opens(Protocol):
    def __call__(self, *, snapshot: bool = False) -> AbstractContextManager[Session]:
        """Open a block for reading."""


@dataclass(frozen=True, slots=True)
class TermFault:
    """A record whose words are wrong.

    Attributes:
        number: of its row.
        tenant: whose it is; ``""``: nobody's.
        id: its own.
    """

    number: int
    tenant: str
    id: str


def term_faults(read: _Opens, tables: Tables, collection: Collection) -> Iterator[TermFault]:
    """Yield the records whose words are wrong, a block for each of many batches."""
    after = 0
    while True:
        with read() as session:
            batch = _batch(session, tables, collection, after)
            common_values = read_common_values(session)
        for number, tenant, id, metadata, kept in batch:
            words = set((kept or "").replace("'", "").split())
            known = common_values.up_to(max(map(known_by, words), default=0))
            record = read_json(metadata)
            if record is None:
                continue
            meant = set(record_terms(record, known)[0].split())
            if (words ^ meant) - common_values.forgotten:
                yield TermFault(number, tenant, id)
        if len(batch) < _BATCH:
            return
        after = batch[-1][0]


def _batch(
    session: Session, tables: Tables, collection: Collection, after: int
) -> list[tuple[int, str, str, str, str | None]]:
    start = f"SELECT number, tenant, id, metadata, metadata_words::text FROM {tables.of(collection)}"
    session.run(Fragment(f"{start} WHERE number > %s ORDER BY number LIMIT {_BATCH}", (after,)))
    found: list[tuple[int, str, str, str, str | None]] = session.cursor.fetchall()
    return found


def repair(session: Session, tables: Tables, collection: Collection, one: TermFault) -> None:
    """Set the words of a row right, by its metadata as it is now."""
    table, key = tables.of(collection), "WHERE tenant = %s AND number = %s"
    session.run(Fragment(f"SELECT metadata FROM {table} {key} FOR UPDATE", (one.tenant, one.number)))
    found = session.cursor.fetchone()
    if found is not None:
        common_values = NO_COMMON_VALUES if one.tenant else read_common_values(session)
        words, _ = record_terms(read_json(found[0]) or {}, common_values)
        statement = f"UPDATE {table} SET metadata_words = %s::tsvector {key}"
        session.run(Fragment(statement, (words, one.tenant, one.number)))

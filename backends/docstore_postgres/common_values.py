"""Most common values: values that nearly all records have at a path, learnt from a sample.

No index knows complements. Where nine records in ten hold one value at a path, the term index has a word
for each record that lacks it. ``$ne``, and every condition that the value does not fulfil, is then found
by those words.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from docstore_sql.fragment import Fragment
from docstore_sql.session import Session
from pydantic_core import from_json

from docstore.query import evaluator
from docstore.query.expr import Always, Expr, Occurs, leaves
from docstore.query.fields import DOCUMENTS, read_json
from docstore_postgres import jsonpath
from docstore_postgres.jsonb import cover

__all__ = [
    "NO_COMMON_VALUES",
    "CommonValue",
    "CommonValues",
    "LearntValues",
    "forget",
    "known_by",
    "learn",
    "most_common_values",
    "read_common_values",
    "sample",
]

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
    """Return the values that nearly all of some records have, the most frequent first; of too few records,
    none.
    """
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

"""Term index over the metadata: number terms, terms of missing common values, term queries, check and
repair.

A GIN index over ``jsonb`` has no order. Its sibling, a GIN index over a tsvector, finds words by their
beginnings: ``jsonb`` makes a word of each number, ``common_values`` a word for each common value that a
record lacks. A term query finds a superset, which is rechecked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from docstore_sql.fragment import Fragment
from docstore_sql.session import Session
from docstore_sql.tables import Tables

from docstore.query.expr import And, Compare, During, ElemMatch, Expr, Or, Path
from docstore.query.fields import Collection, read_json
from docstore_postgres.common_values import (
    NO_COMMON_VALUES,
    CommonValue,
    CommonValues,
    known_by,
    read_common_values,
)
from docstore_postgres.jsonb import (
    INSTANT,
    INSTANT_DIGITS,
    LAST_TERM,
    NUMBER_DIGITS,
    TOO_MANY_PATHS,
    TermSpan,
    cover,
    instant_term,
    span,
    start_of,
    value_terms,
)  # fmt: skip
from docstore_postgres.jsonpath import indexed

__all__ = ["TermFault", "record_terms", "repair", "term_faults", "term_query"]

# Term spans and common values in one query.
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
    """Return the words of a JSON object, as the text of a tsvector, and whether it holds a number that is
    ``LARGE`` or beyond.
    """
    words, has_large = value_terms(record)
    return " ".join(words + common_values.words(record)), has_large


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

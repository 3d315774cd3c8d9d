"""Backends with one fault each, on the one in memory: what the conformance suite must reject.

``FAULTS`` says by which of its tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import re2
from docstore_memory import MemoryBackend

from docstore.backend import BlobRow, BlobState, Query, Row, Scope, SortKey
from docstore.query.evaluator import matches
from docstore.query.expr import (
    FALSE,
    TRUE,
    And,
    Compare,
    Exists,
    Expr,
    In,
    Leaf,
    Match,
    Not,
    Occurs,
    Or,
    Regex,
)
from docstore.query.fields import Collection, decode
from docstore.query.sorting import sort_value

__all__ = ["FAULTS", "Wrong"]


class Wrong(MemoryBackend):
    """A backend in memory whose readers run another query, or give other rows."""

    def asked(self, query: Query) -> Query:
        """Return the query that is run instead."""
        return replace(query, where=_rewritten(query.where, self.leaf, self.negation))

    def leaf(self, leaf: Leaf) -> Expr:
        """Return what a leaf is taken for."""
        return leaf

    def negation(self, term: Expr) -> Expr:
        """Return what the complement of a term is taken for."""
        return Not(term)

    def answered(self, query: Query, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the rows that are given instead."""
        return rows

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Any]:
        with super().read(snapshot=snapshot) as reader:
            yield WrongBlock(self, reader)

    @contextmanager
    def write(self) -> Iterator[Any]:
        with super().write() as writer:
            yield WrongBlock(self, writer)


class WrongBlock:
    def __init__(self, backend: Wrong, inner: Any) -> None:
        self.backend = backend
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def select(self, query: Query) -> Sequence[Row]:
        return self.backend.answered(query, self.inner.select(self.backend.asked(query)))

    def count(self, query: Query, at_most: int | None = None) -> int:
        return int(self.inner.count(self.backend.asked(query), at_most))


def _rewritten(expr: Expr, leaf: Callable[[Leaf], Expr], negation: Callable[[Expr], Expr]) -> Expr:
    match expr:
        case And(terms):
            return And(tuple(_rewritten(term, leaf, negation) for term in terms))
        case Or(terms):
            return Or(tuple(_rewritten(term, leaf, negation) for term in terms))
        case Not(term):
            return negation(_rewritten(term, leaf, negation))
        case _:
            return leaf(expr)


class LimitBeforeFilter(Wrong):
    """Cuts the window first and filters what is left."""

    def asked(self, query: Query) -> Query:
        heavy = {"content"} & set(query.collection.fields)
        return replace(query, where=TRUE, include=query.include | heavy)

    def answered(self, query: Query, rows: Sequence[Row]) -> Sequence[Row]:
        return [row for row in rows if matches(query.where, decode(query.collection, row))]


class UnescapedLike(Wrong):
    """Lets ``%`` and ``_`` in a substring match anything."""

    def leaf(self, leaf: Leaf) -> Expr:
        if isinstance(leaf, Match) and leaf.kind == "substring":
            quoted = re.sub(r"([*?\[\\])", r"\\\1", leaf.text).translate({ord("%"): "*", ord("_"): "?"})
            return Match(leaf.path, "glob", f"*{quoted}*")
        return leaf


class NullUnderNot(Wrong):
    """Loses the rows whose value is missing under a negation, as SQL does."""

    def negation(self, term: Expr) -> Expr:
        path = getattr(term, "path", ())
        return And((Not(term), Exists(path))) if path else Not(term)


class UnstableTies(Wrong):
    """Breaks ties the other way when a page is not the first."""

    def asked(self, query: Query) -> Query:
        if query.offset and len(query.order) > 1:
            last = query.order[-1]
            return replace(query, order=(*query.order[:-1], replace(last, descending=not last.descending)))
        return query


class TrueIsOne(Wrong):
    """Takes true for 1."""

    def leaf(self, leaf: Leaf) -> Expr:
        if isinstance(leaf, Compare) and leaf.op == "eq" and leaf.value in (0, 1) and len(leaf.path) > 1:
            return Or((replace(leaf, value=bool(leaf.value)), replace(leaf, value=int(leaf.value))))
        return leaf


class LostNulls(Wrong):
    """Drops rows that have nothing to sort by."""

    def answered(self, query: Query, rows: Sequence[Row]) -> Sequence[Row]:
        return [row for row in rows if _has_all(decode(query.collection, row), query.order)]


def _has_all(record: Mapping[str, Any], order: Sequence[SortKey]) -> bool:
    return all(sort_value(record, key) is not None for key in order)


class CursorWithoutScope(Wrong):
    """Forgets the scope behind a cursor."""

    def asked(self, query: Query) -> Query:
        return replace(query, scope=Scope()) if query.after is not None else query


class ShortTermsFindNothing(Wrong):
    """Finds nothing for a term of less than three characters, as an index of trigrams does."""

    def leaf(self, leaf: Leaf) -> Expr:
        return FALSE if isinstance(leaf, Occurs) and len(leaf.text) < 3 else leaf


class DoublePrecision(Wrong):
    """Compares whole numbers as doubles."""

    def leaf(self, leaf: Leaf) -> Expr:
        if isinstance(leaf, Compare) and type(leaf.value) is int:
            return replace(leaf, value=float(leaf.value))
        return leaf


class LowerIsFolded(Wrong):
    """Ignores case letter by letter: ß is not ss, a ligature is not its letters."""

    def leaf(self, leaf: Leaf) -> Expr:
        if isinstance(leaf, Match) and leaf.kind == "isubstring":
            return Regex(leaf.path, re2.escape(leaf.text.lower()), "is")
        return leaf


class FoldedScope(Wrong):
    """Takes two tenants for one that differ in case."""

    def asked(self, query: Query) -> Query:
        tenant = query.scope.tenant
        if tenant is None:
            return query
        either = In(("tenant",), (tenant.lower(), tenant.upper()))
        return replace(query, scope=Scope(owner=query.scope.owner), where=And((either, query.where)))


class AfterIncludes(Wrong):
    """Begins a page with the row that the one before ended with."""

    def asked(self, query: Query) -> Query:
        if query.after is None or query.order[-1].descending:
            return query
        return replace(query, after=(*query.after[:-1], query.after[-1] - 1))


class CountStopsShort(Wrong):
    """Counts below the bound that it may stop at."""

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Any]:
        with super().read(snapshot=snapshot) as reader:
            reader.count = lambda query, at_most=None: min(reader.inner.count(query), 1)
            yield reader


class NoRollback(Wrong):
    """Keeps what a block wrote before it failed."""

    @contextmanager
    def write(self) -> Iterator[Any]:
        raised: BaseException | None = None
        with super().write() as writer:
            try:
                yield writer
            except BaseException as error:
                raised = error
        if raised is not None:
            raise raised


class NoSnapshot(Wrong):
    """Reads what is newest within a block."""

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Any]:
        with super().read(snapshot=False) as reader:
            yield reader


class ReusedNumbers(Wrong):
    """Numbers from the largest that is there, as SQLite does without being told."""

    @contextmanager
    def write(self) -> Iterator[Any]:
        with super().write() as writer:
            for name in self._counters.numbers:
                self._counters.numbers[name] = max(self._state.tables[name].records, default=0)
            yield writer


class KeptExtractions(Wrong):
    """Leaves the extractions of removed documents."""

    @contextmanager
    def write(self) -> Iterator[Any]:
        with super().write() as writer:
            writer.inner._delete_extractions = lambda document: None
            yield writer


class NullTenantsDiffer(Wrong):
    """Takes two rows without a tenant for rows of different tenants, as unique keys over NULL do."""

    @contextmanager
    def write(self) -> Iterator[Any]:
        with super().write() as writer:
            check = writer.inner._check_unique

            def check_tenants(collection: Collection, record: Any) -> None:
                if record.facts["tenant"] is not None:
                    check(collection, record)

            writer.inner._check_unique = check_tenants
            yield writer


class BlobsChangeFromAnyState(Wrong):
    """Changes a blob row whatever its state."""

    @contextmanager
    def write(self) -> Iterator[Any]:
        with super().write() as writer:
            writer.update_blob = _any_state(writer.inner)
            yield writer


def _any_state(inner: Any) -> Callable[..., bool]:
    def update_blob(blob: BlobRow, states: Container[BlobState], **changes: Any) -> bool:
        found: Sequence[BlobRow] = inner.blobs(keys=[blob.key])
        return bool(found) and bool(inner.update_blob(blob, [found[0].state], **changes))

    return update_blob


class RewrittenNumbers(Wrong):
    """Reads JSON in and out: 1.0 comes back as 1, and 1e16 as a whole number."""

    def answered(self, query: Query, rows: Sequence[Row]) -> Sequence[Row]:
        return [_rewritten_numbers(row) for row in rows]


def _rewritten_numbers(row: Mapping[str, Any]) -> Row:
    return {**row, "metadata": row["metadata"].replace(".0", "").replace("1e+16", f"{10**16}")}


FAULTS: dict[type[Wrong], str] = {
    LimitBeforeFilter: "test_pages_are_cut_from_the_order",
    UnescapedLike: "test_look_alikes_are_told_apart_of_patterns",
    NullUnderNot: "test_filters_match_what_the_evaluator_matches",
    UnstableTies: "test_pages_are_cut_from_the_order",
    TrueIsOne: "test_look_alikes_are_told_apart_of_likeness",
    LostNulls: "test_cursors_meet_every_row_once",
    CursorWithoutScope: "test_scopes_confine_every_question",
    ShortTermsFindNothing: "test_searches_find_their_terms",
    DoublePrecision: "test_look_alikes_are_told_apart_of_precision",
    LowerIsFolded: "test_look_alikes_are_told_apart_of_case",
    FoldedScope: "test_scopes_confine_every_question",
    AfterIncludes: "test_cursors_meet_every_row_once",
    CountStopsShort: "test_count_ignores_the_window",
    NoRollback: "test_an_exception_undoes_the_block",
    NoSnapshot: "test_one_snapshot",
    ReusedNumbers: "test_a_number_is_never_used_again",
    KeptExtractions: "test_removing_documents_removes_their_extractions",
    NullTenantsDiffer: "test_an_id_is_unique_within_its_tenant",
    BlobsChangeFromAnyState: "test_one_of_two_wins_a_blob_row",
    RewrittenNumbers: "test_values_come_back_as_they_were_added",
}
"""Each faulty backend and the test of the suite that must reject it."""

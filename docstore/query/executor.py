"""Executor: fetch rows, recheck them by the residual, refill, cut the page.

It is written once, for every backend and both shells. If the plan leaves nothing to the evaluator, a page is
one fetch. Otherwise it fetches batches, each from the last row's position on, until enough rows pass.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from typing import Protocol

from docstore.concurrency import check, looked_over
from docstore.query.evaluator import compile as compile_expr
from docstore.query.expr import TRUE, In, Query, Row, asked_fields
from docstore.query.fields import JSON_FIELDS, decode, fault_of
from docstore.query.planner import Plan
from docstore.query.sorting import position_key, position_of, sort_key_function

_log = logging.getLogger("docstore")

# Rows of the first batch and of the largest. The first is about a page; each doubles the one before, so that
# a residual that hardly any row passes does not read in small steps.
_FIRST_BATCH, _LAST_BATCH = 128, 2048
# Where no more than one row among so many passes, the others' columns are not read.
_RARE = 32


class RowSource(Protocol):
    """What the executor reads from: a backend's reader."""

    def select(self, query: Query) -> Sequence[Row]:
        """Return the rows of ``query`` in its order."""

    def count(self, query: Query, at_most: int | None = None) -> int:
        """Count the rows of ``query``, whatever its window; ``at_most`` may stop the count there."""


def rows(reader: RowSource, plan: Plan, query: Query) -> list[Row]:
    """Return the rows of ``query`` that pass the plan's residual: ``limit`` of them behind ``offset``."""
    if plan.window_pushed and not plan.is_careful:
        return list(reader.select(query))
    # Offset and limit count rows that pass, so neither is pushed below a residual.
    stop = None if query.limit is None else query.offset + query.limit
    unbounded = replace(query, offset=0, limit=None)
    if plan.sort_pushed:
        return list(islice(walk(reader, plan, unbounded), query.offset, stop))
    return _sorted_here(reader, plan, unbounded, stop)[query.offset :]


def walk(reader: RowSource, plan: Plan, query: Query) -> Iterator[Row]:
    """Yield all rows that pass the residual, in order, in batches; the window is left aside."""
    if not plan.sort_pushed:
        yield from _sorted_here(reader, plan, query, None)
        return
    passes, needed = _test_of(plan, query), _needed(plan, query)
    size, after, only = _FIRST_BATCH, query.after, None
    while True:
        check()
        batch = reader.select(replace(query, after=after, limit=size, offset=0, only=only))
        if only is not None and batch and not batch[0].keys() <= only:
            needed = only = None  # this reader brings whole rows whatever it is asked for
        is_full = len(batch) >= size
        if is_full:
            batch = _up_to_readable(query, batch)
            if not batch:  # none of them is a place to go on from
                size *= 2
                continue
        found = filter(passes, looked_over(batch))
        passed = 0
        for row in found if only is None else _whole(reader, query, found, passes):
            passed += 1
            yield row
        if not is_full:
            return
        # Hardly any row passes: the next batch brings only the columns that the test reads.
        only = needed if passed * _RARE <= len(batch) else None
        after = position_of(decode(query.collection, batch[-1]), query.order)
        size = min(size * 2, _LAST_BATCH)


def _needed(plan: Plan, query: Query) -> frozenset[str] | None:
    """Return the columns that the residual and the order need, or None if rows are read whole."""
    if plan.residual == TRUE or query.lock is not None or plan.is_careful:
        return None
    return frozenset({"number", *asked_fields(plan.residual), *(key.path[0] for key in query.order)})


def _whole(
    reader: RowSource, query: Query, rows: Iterable[Row], passes: Callable[[Row], bool]
) -> Iterable[Row]:
    """Read whole the rows of which some columns were read, in the same order.

    If blocks are no snapshots, a row may have changed since; one that no longer passes is left out.
    """
    numbers = tuple(row["number"] for row in rows)
    if not numbers:
        return ()
    these = In(("number",), numbers)
    whole = Query(query.collection, query.scope, these, query.order, include=query.include)
    return filter(passes, looked_over(reader.select(whole)))


def _up_to_readable(query: Query, batch: Sequence[Row]) -> Sequence[Row]:
    """Return a batch without the rows at its end that cannot be read: they have no position."""
    end = len(batch)
    while end and fault_of(query.collection, batch[end - 1]) is not None:
        end -= 1
    return batch if end == len(batch) else batch[:end]


def careful(plan: Plan) -> Plan:
    """Return the plan that leaves out, with a warning, rows that cannot be read."""
    return replace(plan, is_careful=True)


def leave_out(row: Row, reason: str) -> None:
    """Tell that a row is left out of an answer."""
    _log.warning(
        "%r (number %s) cannot be read and is left out: %s",
        row.get("id"),
        row.get("number"),
        reason[:200],
        extra={
            "docstore_event": "unreadable_record",
            "docstore_id": row.get("id"),
            "docstore_number": row.get("number"),
            "docstore_reason": reason[:200],
        },
    )


def _test_of(plan: Plan, query: Query) -> Callable[[Row], bool]:
    """Return whether a row passes the residual; one that cannot be read does not."""
    collection, test = query.collection, _residual_of(plan, query)

    def passes(row: Row) -> bool:
        if plan.is_careful and (fault := fault_of(collection, row)) is not None:
            leave_out(row, fault)
            return False
        try:
            return test(row)
        except (ValueError, TypeError, AttributeError):
            fault = fault_of(collection, row)
            if fault is None:
                raise
            leave_out(row, fault)
            return False

    return passes


def _residual_of(plan: Plan, query: Query) -> Callable[[Row], bool]:
    if plan.residual == TRUE:
        return lambda row: True
    test, asked = compile_expr(plan.residual), asked_fields(plan.residual)
    names = [name for name in JSON_FIELDS[query.collection.name] if name in asked]
    return (lambda row: test(decode(query.collection, row, names))) if names else test


def _sorted_here(reader: RowSource, plan: Plan, query: Query, stop: int | None) -> list[Row]:
    """Return the first ``stop`` rows in an order that is not the backend's: all are read, no more held."""
    key = sort_key_function(query.order)
    bound = None if query.after is None else position_key(query.after, query.order)
    found: Iterator[tuple[bytes, Row]] = (
        (key(decode(query.collection, row)), row) for row in _by_number(reader, plan, query)
    )
    if bound is not None:
        found = ((place, row) for place, row in found if place > bound)
    # The heap holds no more than the page, whatever matches.
    chosen = sorted(found, key=_place) if stop is None else heapq.nsmallest(stop, found, key=_place)
    return [row for _, row in chosen]


_place = itemgetter(0)


def _by_number(reader: RowSource, plan: Plan, query: Query) -> Iterator[Row]:
    """Yield all rows that pass, wherever they stand in the query's own order."""
    # The position belongs to an order that the backend does not know; it is compared here, by its bytes.
    by_number = replace(query, order=Query(query.collection).order, after=None)
    return walk(reader, replace(plan, sort_pushed=True), by_number)


def count(reader: RowSource, plan: Plan, query: Query, at_most: int | None = None) -> int:
    """Count the rows of ``query`` that pass the residual, up to ``at_most``."""
    if plan.residual == TRUE:
        found = reader.count(query, at_most)
        return found if at_most is None else min(found, at_most)
    return sum(1 for _ in islice(_by_number(reader, plan, query), at_most))

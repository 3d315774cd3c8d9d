"""Conditions on the records' own typed fields: operands of the right type, in every way of writing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from docstore.query.fields import STATUSES, Field, Kind
from docstore.testing.strategies.operands import mods, string_conditions, type_operands
from docstore.testing.strategies.values import texts
from docstore.testing.strategies.worlds import INSTANTS

__all__ = ["field_conditions", "instants"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSETS = (0, 0, 60, -60, 330, -570, 840)


@st.composite
def field_conditions(draw: st.DrawFn, field: Field, stored: list[Any]) -> Any:
    """Return what may stand beside a scalar field's name.

    Args:
        draw: given by Hypothesis.
        field: no JSON field.
        stored: values that records have there.
    """
    operands = _operands(field, stored)
    if draw(st.integers(0, 4)) == 0:
        return draw(operands)
    condition = draw(_operators(field, operands, stored))
    return {"$not": condition} if draw(st.integers(0, 5)) == 0 else condition


def _operands(field: Field, stored: list[Any]) -> st.SearchStrategy[Any]:
    """Return single operands, ``None`` now and then: it means missing."""
    match field.kind:
        case Kind.STATUS:
            operands: st.SearchStrategy[Any] = st.sampled_from(STATUSES)
        case Kind.INTEGER:
            edges = (0, 1, 2, 1.0, 2**53 + 1, 2.0**53, 2**63 - 1, -(2**63))
            operands = st.sampled_from((*stored, *stored, *edges))
        case Kind.BOOLEAN:
            operands = st.booleans()
        case Kind.INSTANT:
            operands = instants(stored)
        case _:
            operands = st.one_of(st.sampled_from(stored), texts()) if stored else texts()
    return st.one_of(operands, operands, operands, operands, st.none())


def _operators(
    field: Field, operands: st.SearchStrategy[Any], stored: list[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    strategies = [
        _word(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"), operands),
        _word(("$in", "$nin"), st.lists(operands, max_size=4)),
        _word(("$exists",), st.booleans()),
        _word(("$type",), type_operands()),
    ]
    if field.kind is Kind.TEXT:
        strategies.append((st.sampled_from(stored) if stored else texts()).flatmap(string_conditions))
    if field.kind is Kind.INTEGER:
        strategies.append(_word(("$mod",), mods()))
    return st.one_of(strategies)


def _word(words: tuple[str, ...], operands: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda word, operand: {word: operand}, st.sampled_from(words), operands)


@st.composite
def instants(draw: st.DrawFn, stored: list[int]) -> datetime | str:
    """Return an instant, a stored one often, as an aware ``datetime`` or as RFC 3339 text at some offset."""
    micros = draw(st.sampled_from((*stored, *stored, *INSTANTS)))
    zone = timezone(timedelta(minutes=draw(st.sampled_from(_OFFSETS))))
    try:
        moment = (_EPOCH + timedelta(microseconds=micros)).astimezone(zone)
    except OverflowError:
        moment = _EPOCH + timedelta(microseconds=micros)
    if draw(st.booleans()):
        return moment
    text = moment.isoformat(timespec="microseconds")
    if draw(st.booleans()):
        text = text.replace("+00:00", "Z")
    return text[:26] + "999" + text[26:] if draw(st.integers(0, 3)) == 0 else text

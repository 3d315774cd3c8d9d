"""Conditions on the records' own typed fields: operands of the right type, in every way of writing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from docstore.query.fields import Field, Kind
from docstore.testing.strategies.choosing import Chooser
from docstore.testing.strategies.operands import mod, string_condition, types
from docstore.testing.strategies.values import text
from docstore.testing.strategies.worlds import INSTANTS

__all__ = ["field_condition", "instant"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSETS = (0, 60, -60, 330, -570, 840)
_INTEGERS = (0, 1, 2, 1.0, 2**53 + 1, 2.0**53, 2**63 - 1, -(2**63))


def field_condition(choose: Chooser, field: Field, stored: list[Any]) -> Any:
    """Return what may stand beside a scalar field's name; ``stored`` are values that records have there."""
    if choose.one_in(5):
        return _operand(choose, field, stored)
    condition = _operator(choose, field, stored)
    return {"$not": condition} if choose.one_in(6) else condition


def _operand(choose: Chooser, field: Field, stored: list[Any]) -> Any:
    """Return one operand, ``None`` now and then: it means missing."""
    if choose.one_in(6):
        return None
    if field.kind is Kind.INSTANT:
        return instant(choose, stored)
    if stored and choose.below(3):
        return choose.pick(stored)
    match field.kind:
        case Kind.CHOICE:
            return choose.pick(field.choices)
        case Kind.INTEGER:
            return choose.pick(_INTEGERS)
        case Kind.BOOLEAN:
            return choose.below(2) == 1
        case _:
            return text(choose)


def _operator(choose: Chooser, field: Field, stored: list[Any]) -> dict[str, Any]:
    match choose.below(8):
        case 4:
            word = choose.pick(("$in", "$nin"))
            return {word: choose.several(lambda: _operand(choose, field, stored), 3)}
        case 5:
            return {"$exists": choose.below(2) == 1}
        case 6:
            return {"$type": types(choose)}
        case 7 if field.kind is Kind.TEXT:
            return string_condition(choose, choose.pick(stored) if stored else "")
        case 7 if field.kind is Kind.INTEGER:
            return {"$mod": mod(choose, choose.pick(stored) if stored else 0)}
        case _:
            word = choose.pick(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"))
            return {word: _operand(choose, field, stored)}


def instant(choose: Chooser, stored: list[int]) -> datetime | str:
    """Return an instant, a stored one often, as an aware ``datetime`` or as RFC 3339 text at some offset."""
    micros = choose.pick(stored if stored and choose.below(3) else INSTANTS)
    moment = _EPOCH + timedelta(microseconds=micros)
    if 1 < moment.year < 9999:
        moment = moment.astimezone(timezone(timedelta(minutes=choose.pick(_OFFSETS))))
    if choose.below(2):
        return moment
    written = moment.isoformat(timespec="microseconds")
    if choose.below(2):
        written = written.replace("+00:00", "Z")
    return written[:26] + "999" + written[26:] if choose.one_in(4) else written

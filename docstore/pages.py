"""What callers ask of a page, checked: limit, offset, page number, cursor, direction, total, include. No
I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from docstore.backend import SortKey, SortValue
from docstore.errors import InvalidPage
from docstore.query.complaints import shown
from docstore.query.cursor import Way
from docstore.query.fields import Collection

__all__ = [
    "SNIPPET",
    "Window",
    "check_at_most",
    "check_batch",
    "check_include",
    "check_timeout",
    "check_total",
    "check_window",
    "fields_read",
    "stepped",
]

SNIPPET = "snippet"
"""What can be included that is no stored field: the part of the content where a search's terms stand."""

_NONE: frozenset[str] = frozenset()
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a listing is asked for.

    Attributes:
        limit: records on the page; 0 is none.
        offset: records to skip; ``None`` with a cursor.
        page: the page number asked for, or ``None``.
        cursor: the cursor's text, or ``None``.
        direction: which way to go from it, where that overrides the cursor's own.
    """

    limit: int
    offset: int | None
    page: int | None
    cursor: str | None
    direction: Way | None


def check_window(*, limit: Any, offset: Any, page: Any, cursor: Any, direction: Any, most: int) -> Window:
    """Return the window asked for.

    Raises:
        InvalidPage: a value of the wrong type or out of range, or two ways of saying where at once.
    """
    plain = page is None and cursor is None and direction is None
    if plain and type(limit) is type(offset) is int and 0 <= limit <= most and 0 <= offset <= _INT64_MAX:
        return Window(limit, offset, None, None, None)
    _whole("limit", limit, 0, most)
    _whole("offset", offset, 0, 2**63 - 1)
    if page is not None:
        _whole("page", page, 1, 2**63 - 1)
        if max(limit, 1) * (page - 1) >= 2**63:
            raise InvalidPage(f"page={page}: out of range", argument="page")
    if cursor is not None and not isinstance(cursor, str):
        raise InvalidPage(f"cursor: expected text, not {type(cursor).__name__}", argument="cursor")
    if direction not in (None, "next", "prev"):
        raise InvalidPage(f"direction={shown(direction)}: expected 'next' or 'prev'", argument="direction")
    if direction is not None and cursor is None:
        raise InvalidPage("direction goes with a cursor", argument="direction")
    if sum((bool(offset), page is not None, cursor is not None)) > 1:
        raise InvalidPage(
            "give at most one of offset, page and cursor", argument="offset" if offset else "page"
        )
    if cursor is not None:
        return Window(limit, None, None, cursor, direction)
    return Window(limit, offset if page is None else limit * (page - 1), page, None, None)


def _whole(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidPage(
            f"{name}={shown(value)}: expected a whole number from {least} to {most}", argument=name
        )


def check_batch(size: Any, most: int) -> int:
    """Return how many records are read at a time, 1 to ``most``.

    Raises:
        InvalidPage: another number, or none.
    """
    _whole("batch_size", size, 1, most)
    return size  # type: ignore[no-any-return]


def check_timeout(timeout: Any, name: str = "timeout") -> float | None:
    """Return the seconds that a read may take, ``None`` for no limit.

    Raises:
        InvalidPage: it is no number more than 0.
    """
    if timeout is None:
        return None
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not is_number or not timeout > 0:  # NaN is not, either
        raise InvalidPage(
            f"{name}={shown(timeout)}: expected seconds, more than 0, or None for no limit", argument=name
        )
    return float(timeout)


def check_total(total: Any) -> int | bool:
    """Return ``total`` checked: a bool, or a cap of at least 0."""
    if not isinstance(total, bool):
        _whole("total", total, 0, 2**62)
    return total  # type: ignore[no-any-return]


def check_at_most(at_most: Any, name: str = "at_most") -> int | None:
    """Return the cap of a count, or ``None``."""
    if at_most is not None:
        _whole(name, at_most, 0, 2**62)
    return at_most  # type: ignore[no-any-return]


def check_include(collection: Collection, include: Iterable[str]) -> frozenset[str]:
    """Return the heavy fields to read.

    Raises:
        InvalidPage: it names a field that the record does not have.
    """
    if type(include) is tuple and not include:
        return _NONE
    if isinstance(include, str) or not isinstance(include, Iterable):
        raise InvalidPage(f"include={shown(include)}: expected a set of field names", argument="include")
    names: list[Any] = list(include)
    extra = (SNIPPET,) if "content" in collection.fields else ()
    for name in names:
        if not isinstance(name, str) or (name not in collection.fields and name not in extra):
            heavy = [name for name, field in collection.fields.items() if field.heavy]
            known = ", ".join([*heavy, *extra]) or "none"
            raise InvalidPage(
                f"include names {shown(name)}; the heavy fields are: {known}", argument="include"
            )
    return frozenset(name for name in names if name in extra or collection.fields[name].heavy)


def fields_read(include: frozenset[str]) -> frozenset[str]:
    """Return the heavy fields to read from the backend for what a caller includes."""
    return (include - {SNIPPET}) | {"content"} if SNIPPET in include else include


def stepped(
    position: tuple[SortValue, ...], order: tuple[SortKey, ...], *, forwards: bool
) -> tuple[SortValue, ...]:
    """Return the position one step of ``number`` further (or back) in ``order``.

    Numbers are whole, so that a position moved by one is on the other side of its own row and of no other:
    this turns "behind the row" into "from the row on". At the ends of int64, where only a forged cursor
    stands, there is no further step.
    """
    step = 1 if forwards != order[-1].descending else -1
    return (*position[:-1], min(max(position[-1] + step, _INT64_MIN), _INT64_MAX))

"""Statements made once and filled for each call: places stand where a call's own values will."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Any

from docstore_sql.fragment import Fragment

from docstore.backend import Query, Scope

__all__ = ["Slot", "filled", "slots_of"]


class Slot(Enum):
    """A value that a call gives."""

    TENANT = "tenant"
    OWNER = "owner"
    FIRST = "the first sort value of the position"
    SECOND = "the second"
    OFFSET = "offset"
    LIMIT = "limit"
    BOUND = "rows looked at"


_POSITION: tuple[Any, ...] = (Slot.FIRST, Slot.SECOND)


def slots_of(query: Query) -> Query:
    """Return the query with places for its scope, position and window; what is ``None`` or 0 stays.

    Its order is one of whole numbers, at most two, so that its text is the same whatever the values are.
    """
    opened: Any = {
        "scope": Scope(
            None if query.scope.tenant is None else Slot.TENANT,  # type: ignore[arg-type]
            None if query.scope.owner is None else Slot.OWNER,  # type: ignore[arg-type]
        ),
        "after": None if query.after is None else _POSITION[: len(query.after)],
        "offset": Slot.OFFSET if query.offset else 0,
        "limit": Slot.LIMIT,
    }
    return replace(query, **opened)


_VALUES: dict[Slot, Callable[[Query, int], Any]] = {
    Slot.TENANT: lambda query, bound: query.scope.tenant,
    Slot.OWNER: lambda query, bound: query.scope.owner,
    Slot.FIRST: lambda query, bound: query.after and query.after[0],
    Slot.SECOND: lambda query, bound: query.after and query.after[1],
    Slot.OFFSET: lambda query, bound: query.offset,
    Slot.LIMIT: lambda query, bound: query.limit,
    Slot.BOUND: lambda query, bound: bound,
}


def filled(statement: Fragment, query: Query, bound: int) -> Fragment:
    """Return a statement with the values of ``query`` in their places."""
    values = [
        _VALUES[value](query, bound) if isinstance(value, Slot) else value for value in statement.values
    ]
    return Fragment(statement.text, tuple(values))

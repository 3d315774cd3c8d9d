"""Statements made once for a filter, and filled with the values of each call where a :class:`Slot` stands."""

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


_VALUES: dict[Slot, Callable[[Query], Any]] = {
    Slot.TENANT: lambda query: query.scope.tenant,
    Slot.OWNER: lambda query: query.scope.owner,
    Slot.FIRST: lambda query: query.after and query.after[0],
    Slot.SECOND: lambda query: query.after and query.after[1],
    Slot.OFFSET: lambda query: query.offset,
    Slot.LIMIT: lambda query: query.limit,
}


def filled(statement: Fragment, query: Query) -> Fragment:
    """Return a statement with the values of ``query`` in their places."""
    return Fragment(
        statement.text,
        tuple([_VALUES[value](query) if type(value) is Slot else value for value in statement.values]),
    )

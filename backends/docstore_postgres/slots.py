"""Statements made once and filled for each call: places stand where a call's own values will.

What a call gives besides its filter has a :class:`Slot`. The values of a filter have places where its shape
is known: the condition was compiled with the shape's samples, and where these came out, as a bound value,
within a list or within a text of the path language, the values of others belong (:class:`Places`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from docstore_sql.fragment import Fragment

from docstore.backend import Query, Scope
from docstore.query.bind import Pieces, Sampled, pieces
from docstore_postgres.jsonpath import quoted
from docstore_postgres.values import number_of

__all__ = ["Places", "Slot", "Values", "filled", "slots_of"]


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


def filled(statement: Fragment, query: Query, given: Values | None = None) -> Fragment:
    """Return a statement with the values of ``query`` in their places, and those of its filter."""
    values = [_VALUES[value](query) if isinstance(value, Slot) else value for value in statement.values]
    made = Fragment(statement.text, tuple(values))
    return made if given is None else given.put_in(made)


@dataclass(frozen=True, slots=True)
class Given:
    """The place of one of a filter's values."""

    at: int


@dataclass(frozen=True, slots=True)
class Spelled:
    """The place of a text of the path language with some of a filter's values in it."""

    pieces: Pieces


@dataclass(frozen=True, slots=True)
class Listed:
    """The place of a list that holds some of a filter's values."""

    values: tuple[Any, ...]


class Values:
    """The values of one filter, and how the path language writes them."""

    __slots__ = ("_texts", "_values")

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values
        self._texts = [_spelled(value) for value in values]

    def put_in(self, fragment: Fragment) -> Fragment:
        """Return a fragment with the values in their places."""
        if not fragment.values:
            return fragment
        return Fragment(fragment.text, tuple([self._put(value) for value in fragment.values]))

    def _put(self, value: Any) -> Any:
        kind = type(value)
        if kind is Given:
            return self._values[value.at]
        if kind is Spelled:
            return value.pieces.filled(self._texts)
        return [self._put(each) for each in value.values] if kind is Listed else value


class Places:
    """Where the samples of a shape come out in what was compiled with them.

    Args:
        samples: the values that were compiled.
    """

    def __init__(self, samples: Sequence[Any]) -> None:
        self._sampled = Sampled(samples)
        self._texts = [_spelled(value) for value in samples]
        self._plain = [str(value) for value in samples]
        self._found: set[int] = set()

    @property
    def are_complete(self) -> bool:
        """Whether every sample has come out somewhere."""
        return len(self._found) == len(self._texts)

    def opened(self, fragment: Fragment) -> Fragment:
        """Return a fragment with places for the values.

        Raises:
            ValueError: a sample comes out in a form that tells not how another value would.
        """
        if not fragment.values:
            return fragment
        return Fragment(fragment.text, tuple(map(self._place, fragment.values)))

    def _place(self, value: Any) -> Any:
        at = self._sampled.place(value)
        if at is not None:
            self._found.add(at)
            return Given(at)
        if isinstance(value, str):
            return self._within(value)
        if not isinstance(value, list):
            return value
        parts = tuple(map(self._place, value))
        if any(isinstance(part, Spelled | Listed) for part in parts):
            raise ValueError(value)
        return Listed(parts) if any(isinstance(part, Given) for part in parts) else value

    def _within(self, text: str) -> str | Spelled:
        found = pieces(text, self._texts)
        left = (found.start, *(after for _, after in found.rest))
        if any(plain in part for plain in self._plain for part in left):
            raise ValueError(text)
        self._found.update(at for at, _ in found.rest)
        return Spelled(found) if found.rest else text


def _spelled(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else number_of(value)

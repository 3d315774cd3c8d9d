"""Functions that SQLite calls back: the evaluator and the sort order, registered on each connection.

A predicate is compiled to a closure once a query and bound as a number; SQLite calls the closure for each
row. So the evaluator itself decides the matches of a JSON path, whatever SQLite makes of JSON: its number
parser is not exact, and its JSON functions go wrong on rare keys (SQLite 3.40; see ARCHITECTURE.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from docstore.backend import SortKey
from docstore.query.evaluator import compile as compile_expr
from docstore.query.explain import show_expr
from docstore.query.expr import Expr
from docstore.query.fields import Field, Kind, read_json
from docstore.query.paths import path_text
from docstore.query.sorting import order_bytes, sort_value

__all__ = ["Predicate", "SetMember", "SortExpression", "register"]

_numbers = itertools.count(1)
_closures: dict[int, Callable[..., Any]] = {}


class _Bound:
    """A closure that SQLite can be handed: bound as its number, forgotten when the statement's values are."""

    __slots__ = ("number",)

    def __init__(self, closure: Callable[..., Any]) -> None:
        self.number = next(_numbers)
        _closures[self.number] = closure

    def __conform__(self, protocol: Any) -> int:
        return self.number

    def __del__(self) -> None:
        _closures.pop(self.number, None)


class Predicate(_Bound):
    """``expr`` over some fields, as a test of their stored values.

    Args:
        expr: its leaves all begin with one of ``fields``.
        fields: the fields, in the order of the values.
    """

    __slots__ = ("expr",)

    def __init__(self, expr: Expr, *fields: Field) -> None:
        super().__init__(_of_one(expr, *fields) if len(fields) == 1 else _of_many(expr, fields))
        self.expr = expr

    def __repr__(self) -> str:
        return f"<{show_expr(self.expr)}>"


def _of_one(expr: Expr, field: Field) -> Callable[[Any], bool]:
    test, name, reads = compile_expr(expr), field.name, _reader(field)
    return (lambda value: test({name: value})) if reads is None else lambda value: test({name: reads(value)})


def _of_many(expr: Expr, fields: Sequence[Field]) -> Callable[..., bool]:
    test, names = compile_expr(expr), [field.name for field in fields]
    readers = [(field.name, reads) for field in fields if (reads := _reader(field)) is not None]

    def of(*values: Any) -> bool:
        record = dict(zip(names, values, strict=True))
        for name, reads in readers:
            record[name] = reads(record[name])
        return test(record)

    return of


def _reader(field: Field) -> Callable[[Any], Any] | None:
    """Return the decoder of a field's stored values, None if the evaluator takes them as they are."""
    match field.kind:
        case Kind.JSON:
            return lambda text: None if text is None else read_json(text)
        case Kind.BOOLEAN:
            return lambda stored: None if stored is None else bool(stored)
    return None


class SortExpression(_Bound):
    """A JSON sort key, as a function from the field's text to bytes that order by rule 20."""

    __slots__ = ("key",)

    def __init__(self, key: SortKey) -> None:
        name = key.path[0]

        def of(text: str | None) -> bytes:
            return order_bytes(sort_value({name: None if text is None else read_json(text)}, key))

        super().__init__(of)
        self.key = key

    def __repr__(self) -> str:
        return f"<sort key of {path_text(self.key.path)}>"


class SetMember(_Bound):
    """A set of numbers, as a test of membership.

    Args:
        raw: a bit a number, little-endian bytes.
    """

    __slots__ = ("size",)

    def __init__(self, raw: bytes) -> None:
        end = len(raw) << 3

        def holds(number: int) -> bool:
            return number < end and bool(raw[number >> 3] >> (number & 7) & 1)

        super().__init__(holds)
        self.size = end

    def __repr__(self) -> str:
        return f"<a set of numbers below {self.size}>"


def _apply(number: int, *values: Any) -> Any:
    try:
        return _closures[number](*values)
    except (TypeError, ValueError, AttributeError):  # the row was changed by hand: who reads it finds out
        return None


def register(connection: Any) -> None:
    """Register the functions on a raw connection."""
    connection.create_function("docstore_test", -1, _apply, deterministic=True)
    connection.create_function("docstore_sort_key", 2, _apply, deterministic=True)

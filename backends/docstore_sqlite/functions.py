"""The functions that SQLite calls back: the evaluator and the sort order, registered on each connection.

A predicate is compiled to a closure once a query and bound by a number; SQLite calls the closure a row. What
a JSON path matches is therefore the evaluator's own answer, and never a matter of how SQLite reads JSON (its
number parser is not exact, and its JSON functions go wrong on rare keys; see ARCHITECTURE.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from pydantic_core import from_json

from docstore.backend import SortKey
from docstore.query.evaluate import compile as compile_expr
from docstore.query.expr import Expr
from docstore.query.order import order_bytes, sort_value
from docstore.query.paths import path_text
from docstore.query.show import show_expr

__all__ = ["Member", "Predicate", "SortExpression", "register"]

_numbers = itertools.count(1)
_closures: dict[int, Callable[[Any], Any]] = {}


class _Bound:
    """A closure that SQLite can be handed: bound as its number, forgotten when the statement's values are."""

    __slots__ = ("number",)

    def __init__(self, closure: Callable[[Any], Any]) -> None:
        self.number = next(_numbers)
        _closures[self.number] = closure

    def __conform__(self, protocol: Any) -> int:
        return self.number

    def __del__(self) -> None:
        _closures.pop(self.number, None)


class Predicate(_Bound):
    """``expr`` over one field, as a test of that field's stored value.

    Args:
        expr: its leaves all begin with ``name``.
        name: the field.
        json: whether the stored value is JSON text.
    """

    __slots__ = ("expr",)

    def __init__(self, expr: Expr, name: str, *, json: bool) -> None:
        test = compile_expr(expr)

        def of_json(text: str | None) -> bool:
            return test({name: None if text is None else from_json(text)})

        def of_text(value: Any) -> bool:
            return test({name: value})

        super().__init__(of_json if json else of_text)
        self.expr = expr

    def __repr__(self) -> str:
        return f"<{show_expr(self.expr)}>"


class SortExpression(_Bound):
    """A JSON sort key, as a function from the field's text to bytes that order by rule 20."""

    __slots__ = ("key",)

    def __init__(self, key: SortKey) -> None:
        name = key.path[0]

        def of(text: str | None) -> bytes:
            return order_bytes(sort_value({name: None if text is None else from_json(text)}, key))

        super().__init__(of)
        self.key = key

    def __repr__(self) -> str:
        return f"<sort key of {path_text(self.key.path)}>"


class Member(_Bound):
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


def _apply(number: int, value: Any) -> Any:
    return _closures[number](value)


def register(connection: Any) -> None:
    """Register the functions on a raw connection."""
    connection.create_function("docstore_test", 2, _apply, deterministic=True)
    connection.create_function("docstore_sort_key", 2, _apply, deterministic=True)

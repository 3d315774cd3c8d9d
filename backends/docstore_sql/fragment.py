"""Fragments: pieces of SQL text with the values bound in them, in order.

Text is ours alone; whatever a user wrote is a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fragment:
    """SQL text with one placeholder a value, in the driver's own style (``?`` or ``%s``)."""

    text: str
    values: tuple[Any, ...] = ()

    def wrapped(self, before: str, after: str = "") -> Fragment:
        """Return the fragment with fixed text around it."""
        return Fragment(before + self.text + after, self.values)


TRUE = Fragment("1=1")
FALSE = Fragment("1=0")


def joined(separator: str, parts: Iterable[Fragment]) -> Fragment:
    """Return the fragments with ``separator`` between them."""
    texts: list[str] = []
    values: list[Any] = []
    for part in parts:
        texts.append(part.text)
        values.extend(part.values)
    return Fragment(separator.join(texts), tuple(values))


def both(parts: Iterable[Fragment]) -> Fragment:
    """Return the conjunction of ``parts``; none is true."""
    kept = [part for part in parts if part is not TRUE]
    if len(kept) == 1:
        return kept[0]
    return joined(" AND ", kept).wrapped("(", ")") if kept else TRUE


def either(parts: Iterable[Fragment]) -> Fragment:
    """Return the disjunction of ``parts``; none is false."""
    kept = [part for part in parts if part is not FALSE]
    if len(kept) == 1:
        return kept[0]
    return joined(" OR ", kept).wrapped("(", ")") if kept else FALSE

"""Source: where the planner of filters gets its sets from. Implemented by a tree of facts in memory and by
tables of a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from docstore.index.bits import Bits
from docstore.query.expr import Path

__all__ = ["MOST_KEYS", "Source"]

MOST_KEYS = 20_000
"""So many keys of one path are gone through to answer a predicate; where there are more, it is left to the
evaluator.
"""


class Source(Protocol):
    """The facts of one collection at one moment."""

    def post(self, path: Path, key: bytes) -> Bits:
        """Return the records that have the fact."""

    def posts(self, path: Path, keys: Sequence[bytes]) -> Bits:
        """Return the records that have any of the facts."""

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the value keys at ``path`` from ``first`` on and before ``end``; ``None``: there are more
        than MOST_KEYS.
        """

    def compared(self, path: Path, column: bytes, ordinal: int) -> tuple[Bits, Bits, Bits]:
        """Return the records in a column with a lesser, the same and a greater value than ``ordinal``."""

    def varying(self, path: Path, column: bytes) -> Sequence[int]:
        """Return the slices of a column that tell its records apart, the most significant first."""

    def kept(self, name: str) -> bool:
        """Return whether the facts of this field are kept at all."""

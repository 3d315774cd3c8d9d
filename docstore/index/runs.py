"""Runs: the records of all value keys from one key to another, for many ranges over the same keys.

A range of texts is a run of its path's sorted keys, and often all of them up to, or from, some key on: 500
bounds on one path would go through 500 times as many keys as there are. So the records of each stretch of
keys are found once, and a run is put together of whole stretches and what is left at its ends.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from docstore.index.bits import EMPTY, Bits, union_all

__all__ = ["Runs"]

_STRETCH = 128
"""Keys whose records are found together: about the root of the most keys there can be."""


class Runs:
    """The keys of one kind at a path, and the records of any run of them.

    Args:
        keys: the keys, sorted.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.keys = keys
        self._stretches: dict[int, Bits] = {}

    def place(self, key: bytes) -> int:
        """Return where among the keys ``key`` is, or would be."""
        return bisect_left(self.keys, key)

    def between(self, start: int, stop: int, posts: Callable[[Sequence[bytes]], Bits]) -> Bits:
        """Return the records of the keys at ``start`` and behind, before ``stop``.

        Args:
            start: where the run begins.
            stop: where it ends.
            posts: the records that have any of some keys.
        """
        first, last = -(-start // _STRETCH), stop // _STRETCH
        if first >= last:
            return posts(self.keys[start:stop]) if start < stop else EMPTY
        ends = [*self.keys[start : first * _STRETCH], *self.keys[last * _STRETCH : stop]]
        return union_all([posts(ends), *(self._stretch(number, posts) for number in range(first, last))])

    def _stretch(self, number: int, posts: Callable[[Sequence[bytes]], Bits]) -> Bits:
        found = self._stretches.get(number)
        if found is None:
            start = number * _STRETCH
            found = self._stretches[number] = posts(self.keys[start : start + _STRETCH])
        return found

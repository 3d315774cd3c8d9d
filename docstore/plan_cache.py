"""The plan cache: the planned queries of the last 256 different filters.

It stands between a call and the parser, so that the next page of a filter needs no planning. A filter is
known by its whole value, types included: ``1``, ``1.0`` and ``True`` are three.
"""

from __future__ import annotations

import marshal
import threading
from collections import OrderedDict
from typing import Any, Generic, TypeVar

from docstore.concurrency import forgets_at_fork

__all__ = ["Recent", "spelled"]

T = TypeVar("T")
_LONGEST = 4_096
_KEPT = 256


def spelled(value: Any) -> bytes | None:
    """Return bytes that only an equal value of the very same types has.

    Returns:
        ``None`` for what is long, or holds more than plain Python values (a datetime, a subclass of str).
    """
    try:
        text = marshal.dumps(value, 2)
    except ValueError:
        return None
    return text if len(text) <= _LONGEST else None


class Recent(Generic[T]):
    """The last 256 things that were made, by what they were made of. Threads may share it."""

    def __init__(self) -> None:
        self._made: OrderedDict[bytes, T] = OrderedDict()
        self.forget()
        forgets_at_fork(self)

    def forget(self) -> None:
        """Take a lock that nobody holds."""
        self._mutex = threading.Lock()

    def get(self, key: bytes | None) -> T | None:
        """Return what was made of ``key``, ``None`` if that was not, or is forgotten."""
        if key is None:
            return None
        with self._mutex:
            found = self._made.get(key)
            if found is not None:
                self._made.move_to_end(key)
        return found

    def put(self, key: bytes | None, made: T) -> T:
        """Keep ``made`` for ``key``, in the place of the oldest; return it."""
        if key is not None:
            with self._mutex:
                self._made[key] = made
                if len(self._made) > _KEPT:
                    self._made.popitem(last=False)
        return made

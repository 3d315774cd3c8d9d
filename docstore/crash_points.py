"""Crash points: the numbered steps of the write protocols, where a test can delay, fail or kill a process.

Every protocol calls :func:`reached` at its steps. That costs one comparison while no hook is set. A test sets
a hook that raises (a failing disk), sleeps (a slow one) or calls ``os._exit`` (a crash) at the step it names.
:data:`STEPS` lists them in order.

==========  ==================================================================================================
Step        Reached when
==========  ==================================================================================================
``P0``      a write is validated; there was no I/O yet
``P2``      the intent row (``pending``) is committed
``P3.1``    the temporary file (local), the multipart upload (large, S3) or the object (others) is open
``P3.2``    the source is read to its end; its bytes are not yet synced (local) or not all sent (S3)
``P3.3``    local: the temporary file is synced, not yet renamed
``P3.4``    the object stands under its key; its folder is not yet synced (local), it was not looked at (S3)
``P3.5``    the bytes are durable
``P4.1``    the final transaction's statements ran; it is not committed
``P4.2``    the final transaction, or that of ``store.transaction()``, is committed
``P5``      just before the caller gets the answer
``D1``      a deletion's statements ran; it is not committed
``D2``      a deletion is committed, its bytes are dead and still there
``C1``      collection: a stale intent was marked dead and committed
``C2``      collection: a dead object's temporary and multipart remains are gone, the object may be there
``C3``      collection: a dead object is gone, its row still says dead
``C4``      collection: a dead row was marked swept and committed
``C5``      collection: a swept object was deleted again, its row is still there
``C6``      collection: a swept row is dropped and committed
``C7``      collection: a part of the storage is listed, the rows are not yet read
``C8``      collection: an object without a row was removed
==========  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["STEPS", "hooked", "reached"]

STEPS: tuple[str, ...] = (
    "P0", "P2", "P3.1", "P3.2", "P3.3", "P3.4", "P3.5", "P4.1", "P4.2", "P5",
    "D1", "D2", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8",
)  # fmt: skip

_hook: Callable[[str], None] | None = None


def reached(step: str) -> None:
    """Tell the hook, if one is set, that ``step`` was reached; what it raises is the step's failure."""
    if _hook is not None:
        _hook(step)


@contextmanager
def hooked(hook: Callable[[str], None]) -> Iterator[None]:
    """Call ``hook`` with the name of every step that any thread of this process reaches within the block.

    Args:
        hook: called with one of :data:`STEPS`. It may raise, sleep or end the process.
    """
    global _hook
    before, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = before

"""The status machine: which verb leads from where to where. Pure.

::

    pending ──start──▶ processing ──complete──▶ completed
       │                   │
       │                   └─────────fail─────▶ failed
       └── complete, fail: also straight from pending, for callers that keep no worker

    failed, completed ──retry──▶ pending            (retry of a completed document: it is processed again)
"""

from __future__ import annotations

from docstore.errors import InvalidTransition, shown

__all__ = ["after"]

_MOVES: dict[str, tuple[tuple[str, ...], str]] = {
    "start": (("pending",), "processing"),
    "complete": (("pending", "processing"), "completed"),
    "fail": (("pending", "processing"), "failed"),
    "retry": (("failed", "completed"), "pending"),
}


def after(action: str, status: str, id: str) -> str:
    """Return the status that ``action`` leads to.

    Raises:
        InvalidTransition: it cannot be done from ``status``.
    """
    allowed, result = _MOVES[action]
    if status not in allowed:
        raise InvalidTransition(
            f"cannot {action} {shown(id)}: it is {status}; {action} works from {' or '.join(allowed)}",
            id=id, status=status, action=action,
        )  # fmt: skip
    return result

"""Claims: which documents may be claimed, and whether a claim still holds. Pure.

A claim is a random token in the document's row, and the instant at which its lease ends. It holds while the
row has the token, the document is processing, and the instant has not come. So a document is never held
twice, and a worker that slept past its lease finds its token gone or its time over: either way it writes
nothing.
"""

from __future__ import annotations

from docstore.backend import Row
from docstore.errors import LeaseLost, shown
from docstore.query.expr import And, Compare, Expr, Not

__all__ = [
    "LEASE",
    "NO_LEASE",
    "after_failure",
    "check_held",
    "claimable",
    "claimed",
    "given_up",
    "is_spent",
    "released",
]

LEASE = frozenset({"lease_token", "lease_worker", "lease_expires_at"})
"""The private columns of a claim."""
NO_LEASE: Row = {"lease_token": None, "lease_worker": None, "lease_expires_at": None}
"""What ends a claim."""


def claimable(now: int) -> tuple[Expr, Expr]:
    """Return the two kinds that may be claimed: what is pending and does not wait for its next attempt, and
    what is processing under a lease that ran out.

    What was started without a lease has no instant at which it ends; it is never claimed.
    """
    expired = And((Compare(("status",), "eq", "processing"), Compare(("lease_expires_at",), "lte", now)))
    due = Not(Compare(("lease_expires_at",), "gt", now))
    return And((Compare(("status",), "eq", "pending"), due)), expired


def claimed(row: Row, token: str, worker: str | None, expires_at: int) -> Row:
    """Return the columns of a row that is being claimed."""
    lease = {"lease_token": token, "lease_worker": worker, "lease_expires_at": expires_at}
    return {"status": "processing", "error": None, "attempts": row["attempts"] + 1, **lease}


def check_held(row: Row | None, id: str, token: str, now: int) -> Row:
    """Return the row if the claim with this token holds it.

    Raises:
        LeaseLost: it does not, any more.
    """
    if row is None:
        raise LeaseLost(f"the claim on {shown(id)} is lost: the document is gone", id=id)
    if row["lease_token"] != token or row["status"] != "processing":
        raise LeaseLost(
            f"the claim on {shown(id)} is lost: it ended, or another worker has taken the document over",
            id=id,
        )
    if row["lease_expires_at"] <= now:
        raise LeaseLost(f"the claim on {shown(id)} is lost: its lease ran out; nothing was written", id=id)
    return row


def released(error: str | None) -> Row:
    """Return the columns that give a claimed document back to the queue."""
    return {"status": "pending", "error": error, **NO_LEASE}


def is_spent(row: Row, max_attempts: int) -> bool:
    """Return whether a claimable row is one whose worker was lost for the last time it may be."""
    return bool(row["status"] == "processing" and row["attempts"] >= max_attempts)


def given_up(attempts: int) -> Row:
    """Return the columns of a document whose lease ran out for the last time."""
    reason = f"given up after {attempts} attempts: the lease ran out before the work was done"
    return {"status": "failed", "error": reason, **NO_LEASE}


def after_failure(attempts: int, max_attempts: int, error: str, due: int) -> Row:
    """Return the columns after a handler failed: back to the queue, or failed if it had its attempts.

    Args:
        attempts: that it had.
        max_attempts: that it may have.
        error: the reason.
        due: the instant from which it may be claimed again. A pending document keeps it where a lease keeps
            its end.
    """
    if attempts >= max_attempts:
        return {**released(error), "status": "failed"}
    return {**released(error), "lease_expires_at": due}

"""Lifecycle rules: the status of a record, leases, review and version chains.

Decisions on status, leases and review are pure. The functions on version chains run within a write block.
::

    pending ──start──▶ processing ──complete──▶ completed
       │                   │
       │                   └─────────fail─────▶ failed
       └── complete, fail: also straight from pending, for callers that keep no worker

    failed, completed ──retry──▶ pending            (retry of a completed document: it is processed again)

A claim is a random token in the document's row, and the instant at which its lease ends. It holds while the
row has the token, the document is processing, and that instant has not come. So no document is held twice,
and a worker that slept past its lease writes nothing.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from operator import itemgetter

from docstore.backend import Lock, Query, Row, Scope, SortKey, Writer, capabilities_of, update_rows
from docstore.errors import InvalidTransition, LeaseLost, shown
from docstore.query.expr import And, Compare, Expr, In, Not
from docstore.query.fields import DOCUMENTS

__all__ = [
    "LEASE",
    "NO_LEASE",
    "Chain",
    "after_failure",
    "chain_of",
    "check_held",
    "claimable",
    "claimed",
    "flagged",
    "given_up",
    "is_spent",
    "lock_chains",
    "moved_columns",
    "needs_review",
    "one_of",
    "place_in_chains",
    "promote_newest",
    "released",
    "retried",
    "reviewed",
    "status_after",
    "stepped",
]

_MOVES: dict[str, tuple[tuple[str, ...], str]] = {
    "start": (("pending",), "processing"),
    "complete": (("pending", "processing"), "completed"),
    "fail": (("pending", "processing"), "failed"),
    "retry": (("failed", "completed"), "pending"),
}


def status_after(action: str, status: str, id: str) -> str:
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


# Tenant, owner, external_id.
Chain = tuple[str | None, str | None, str]
# Locks are taken in the order of their names by every writer, so that two batches cannot wait for each
# other. Chains that share a bucket wait needlessly, which is rare and harmless.
_BUCKETS = 1024


def stepped(action: str, row: Row) -> Row:
    """Return what a step of a document's status writes: the new status, no error, no lease.

    Raises:
        InvalidTransition: ``action`` cannot be done from the row's status.
    """
    return {**NO_LEASE, "status": status_after(action, row["status"], row["id"]), "error": None}


def retried(row: Row) -> Row:
    """Return the columns of a document that goes back to the queue."""
    return {**stepped("retry", row), "processed_at": None}


def chain_of(row: Row) -> Chain | None:
    """Return the chain that a row belongs to, ``None`` without an external_id."""
    return None if row["external_id"] is None else (row["tenant"], row["owner"], row["external_id"])


def lock_chains(writer: Writer, chains: Iterable[Chain]) -> None:
    """Keep other writers from the chains until the block ends.

    A chain is locked by the bucket that its name falls in: however many a batch touches, the engine holds a
    bounded number of locks.
    """
    buckets = {zlib.crc32(json.dumps(chain).encode()) % _BUCKETS for chain in chains}
    if buckets:
        writer.lock(*(f"chain/{bucket}" for bucket in sorted(buckets)))


_CHAIN = frozenset({"tenant", "owner", "external_id"})


def _within(chains: AbstractSet[Chain]) -> Expr:
    """Return the condition that a row's tenant, owner and external_id are each among those of some chains."""
    names = ("tenant", "owner", "external_id")
    return And(tuple(one_of(name, {chain[at] for chain in chains}) for at, name in enumerate(names)))


def _heads(writer: Writer, chains: AbstractSet[Chain], lock: Lock | None = None) -> dict[Chain, Row]:
    """Return the latest rows of the chains that have one, locked by number if they are to be."""
    heads: dict[Chain, Row] = {}
    external_ids = tuple(sorted({chain[2] for chain in chains}))
    within = [
        one_of(name, {chain[at] for chain in chains}) for at, name in enumerate(("tenant", "owner"))
    ]  # others may use the same names: their rows are none of ours to wait for
    for at in range(0, len(external_ids), 1000):
        named = In(("external_id",), external_ids[at : at + 1000])
        where = And((named, Compare(("is_latest",), "eq", True), *within))
        for row in writer.select(Query(DOCUMENTS, where=where, lock=lock)):
            chain = chain_of(row)
            if chain is not None and chain in chains:
                heads[chain] = row
    return heads


def one_of(name: str, values: set[str | None]) -> Expr:
    """Return the condition that a field has one of some values."""
    if len(values) == 1:
        return Compare((name,), "eq", values.pop())
    return In((name,), tuple(sorted(values, key=lambda value: value or "")))


def _held_heads(writer: Writer, chains: set[Chain]) -> dict[Chain, Row]:
    """Return the latest rows of the chains that have one, each locked or otherwise out of others' reach.

    A writer that locks rows waits for nobody on account of chains that do not exist yet: of two that begin
    one, the unique keys let one win, and the other looks again. A row that was waited for may be the latest
    no longer, and what followed it is not among the rows that the statement saw; so it is asked again until
    there is nothing new.
    """
    if not capabilities_of(writer).locks_rows:
        lock_chains(writer, chains)
        return _heads(writer, chains)
    held = _heads(writer, chains, "wait")
    while len(held) < len(chains) and (newer := set(_heads(writer, chains - held.keys()))):
        held |= _heads(writer, newer, "wait")
    return held


def place_in_chains(writer: Writer, rows: Sequence[Row]) -> None:
    """Give new rows version, ``first_created_at`` and ``is_latest``; unset that of their predecessors.

    The rows' ``created_at`` are set. Chains that exist are locked here.
    """
    heads = _held_heads(writer, {chain for chain in map(chain_of, rows) if chain is not None})
    turned = sorted(heads.values(), key=itemgetter("number"))
    newest: dict[Chain, Row] = dict(heads)
    for row in rows:
        chain = chain_of(row)
        if chain is None:
            continue
        before = newest.get(chain)
        if before is not None:
            row["version"] = before["version"] + 1
            row["first_created_at"] = before["first_created_at"]
            before["is_latest"] = False
        newest[chain] = row
    update_rows(writer, DOCUMENTS, [(head, {"is_latest": False}) for head in turned])


def moved_columns(writer: Writer, row: Row, owner: str | None, external_id: str | None) -> Row:
    """Return the columns of a row that leaves its chain for another: the first version of a new one, or the
    next of one that exists, whose latest it becomes. :func:`promote_newest` then mends the chain it left.
    """
    columns: Row = {"owner": owner, "external_id": external_id}
    chain = chain_of({**row, **columns})
    if chain == chain_of(row):
        return columns
    columns |= {"version": 1, "is_latest": True, "first_created_at": row["created_at"]}
    head = None if chain is None else _held_heads(writer, {chain}).get(chain)
    if head is not None:
        writer.update(DOCUMENTS, head, {"is_latest": False})
        columns |= {"version": head["version"] + 1, "first_created_at": head["first_created_at"]}
    return columns


def promote_newest(writer: Writer, removed: Sequence[Row]) -> None:
    """Make the newest version that is left the latest, in each chain that lost its latest."""
    chains = {chain for row in removed if row["is_latest"] and (chain := chain_of(row)) is not None}
    if len(chains) > 1:  # usually nothing is left of any
        tenants = {chain[0] for chain in chains}
        scope = Scope(*tenants) if len(tenants) == 1 else Scope()
        wanted = Query(DOCUMENTS, scope, _within(chains), limit=len(chains), only=_CHAIN)
        found = writer.select(wanted)
        if len(found) < len(chains):
            chains &= set(map(chain_of, found))
    order = (SortKey(("version",), True, True), SortKey(("number",), True, True))
    for chain in sorted(chains, key=str):
        left = writer.select(Query(DOCUMENTS, Scope(chain[0]), _within({chain}), order, limit=1))
        if left:
            writer.update(DOCUMENTS, left[0], {"is_latest": True})


# The private columns of a claim.
LEASE = frozenset({"lease_token", "lease_worker", "lease_expires_at"})
# What ends a claim.
NO_LEASE: Row = {"lease_token": None, "lease_worker": None, "lease_expires_at": None}


def claimable(now: int) -> tuple[Expr, Expr]:
    """Return the two kinds that may be claimed: what is pending and does not wait for its next attempt, and
    what is processing under a lease that ran out.

    A document that was started without a lease is never claimed: its lease has no end.
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


def flagged(
    scores: Mapping[str, float] | None, given: Mapping[str, bool] | None, below: float | None
) -> dict[str, bool] | None:
    """Return the review flags: those given, and with a threshold one for each score, true where it is below.

    A field is flagged if either says so. ``None``: there are neither flags nor a threshold with scores.
    """
    if below is None or scores is None:
        return None if given is None else dict(given)
    flags = {name: score < below for name, score in scores.items()}
    for name, flag in (given or {}).items():
        flags[name] = flag or flags.get(name, False)
    return flags


def needs_review(given: bool | None, flags: Mapping[str, bool] | None) -> bool:
    """Return whether a person should look: as told, else if any field is flagged."""
    return any((flags or {}).values()) if given is None else given


def reviewed(results: str, by: str, at: int) -> Row:
    """Return the four columns of a review; what was extracted stays as it is."""
    return {"is_reviewed": True, "reviewed_at": at, "reviewed_by": by, "reviewed_results": results}

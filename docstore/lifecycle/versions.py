"""Version chains: one (tenant, owner, external_id), numbered from 1, exactly one latest. Run within a write
block.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from docstore.backend import Lock, Query, Row, Scope, SortKey, Writer, capabilities_of
from docstore.query.expr import And, Compare, Expr, In
from docstore.query.fields import DOCUMENTS

__all__ = ["Chain", "chain_of", "lock_chains", "moved", "place", "promote"]

Chain = tuple[str | None, str | None, str]
"""Tenant, owner, external_id."""
_BUCKETS = 1024


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


def _heads(writer: Writer, chains: AbstractSet[Chain], lock: Lock | None = None) -> dict[Chain, Row]:
    """Return the latest rows of the chains that have one, locked by number if they are to be."""
    heads: dict[Chain, Row] = {}
    external_ids = tuple(sorted({chain[2] for chain in chains}))
    within = [
        _one_of(name, {chain[at] for chain in chains}) for at, name in enumerate(("tenant", "owner"))
    ]  # others may use the same names: their rows are none of ours to wait for
    for at in range(0, len(external_ids), 1000):
        named = In(("external_id",), external_ids[at : at + 1000])
        where = And((named, Compare(("is_latest",), "eq", True), *within))
        for row in writer.select(Query(DOCUMENTS, where=where, lock=lock)):
            chain = chain_of(row)
            if chain is not None and chain in chains:
                heads[chain] = row
    return heads


def _one_of(name: str, values: set[str | None]) -> Expr:
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


def place(writer: Writer, rows: Sequence[Row]) -> None:
    """Give each new row its version, its ``first_created_at`` and its ``is_latest``; turn the flag of those
    they follow.

    The rows' ``created_at`` are set. Chains that exist are locked here.
    """
    chains = [chain for chain in map(chain_of, rows) if chain is not None]
    if not chains:
        return
    heads = _held_heads(writer, set(chains))
    turned = [head["number"] for head in heads.values()]
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
    for number in sorted(turned):
        writer.update(DOCUMENTS, number, {"is_latest": False})


def moved(writer: Writer, row: Row, owner: str | None, external_id: str | None) -> Row:
    """Return the columns of a row that leaves its chain for another: the first version of a new one, or the
    next of one that exists, whose latest it becomes. :func:`promote` then mends the chain that it left.
    """
    columns: Row = {"owner": owner, "external_id": external_id}
    chain = chain_of({**row, **columns})
    if chain == chain_of(row):
        return columns
    columns |= {"version": 1, "is_latest": True, "first_created_at": row["created_at"]}
    head = None if chain is None else _held_heads(writer, {chain}).get(chain)
    if head is not None:
        writer.update(DOCUMENTS, head["number"], {"is_latest": False})
        columns |= {"version": head["version"] + 1, "first_created_at": head["first_created_at"]}
    return columns


def promote(writer: Writer, removed: Sequence[Row]) -> None:
    """Make the newest version that is left the latest, in each chain that lost its latest."""
    for row in removed:
        chain = chain_of(row)
        if chain is None or not row["is_latest"]:
            continue
        where: list[Expr] = [Compare(("external_id",), "eq", chain[2])]
        where.append(Compare(("tenant",), "eq", chain[0]))
        where.append(Compare(("owner",), "eq", chain[1]))
        order = (SortKey(("version",), True, True), SortKey(("number",), True, True))
        left = writer.select(Query(DOCUMENTS, Scope(), And(tuple(where)), order, limit=1))
        if left:
            writer.update(DOCUMENTS, left[0]["number"], {"is_latest": True})

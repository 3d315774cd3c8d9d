"""Version chains: one (tenant, owner, external_id), numbered from 1, exactly one latest. Run within a write
block.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence

from docstore.backend import Query, Row, Scope, SortKey, Writer
from docstore.query.expr import And, Compare, Expr, In
from docstore.query.fields import DOCUMENTS

__all__ = ["Chain", "chain_of", "lock_chains", "place", "promote"]

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


def _heads(writer: Writer, chains: Sequence[Chain]) -> dict[Chain, Row]:
    """Return the latest rows of the chains that have one."""
    heads: dict[Chain, Row] = {}
    external_ids = tuple(sorted({chain[2] for chain in chains}))
    for at in range(0, len(external_ids), 1000):
        where = And((In(("external_id",), external_ids[at : at + 1000]), Compare(("is_latest",), "eq", True)))
        for row in writer.select(Query(DOCUMENTS, where=where)):
            chain = chain_of(row)
            if chain is not None:
                heads[chain] = row
    return heads


def place(writer: Writer, rows: Sequence[Row]) -> None:
    """Give each new row its version, its ``first_created_at`` and its ``is_latest``; turn the flag of those
    they follow.

    The rows' ``created_at`` are set. The chains are locked here.
    """
    chains = [chain for chain in map(chain_of, rows) if chain is not None]
    if not chains:
        return
    lock_chains(writer, chains)
    heads = _heads(writer, chains)
    turned = {chain: head["number"] for chain, head in heads.items() if chain in set(chains)}
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
    for number in sorted(turned.values()):
        writer.update(DOCUMENTS, number, {"is_latest": False})


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

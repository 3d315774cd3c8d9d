"""Storing documents: the put protocol, from a validated draft to a committed row (STORAGE: P2 to P5).

``P2`` an intent row is committed, ``P3`` the bytes are written under a fresh key (``putting``), ``P4`` one
transaction turns the intent live and inserts the version (``insertion``).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from docstore.batches import Batch
from docstore.blobs import open_source
from docstore.checks import Checks
from docstore.context import Root
from docstore.crash_points import reached
from docstore.drafts import Draft
from docstore.insertion import Fresh, Insertion, Item, Stored
from docstore.putting import BlobWrite, put_bytes

__all__ = ["opened_item", "store_drafts", "store_new"]


def store_drafts(root: Root, checks: Checks, drafts: Sequence[Draft]) -> list[Stored]:
    """Store validated drafts, all or none, in one final transaction.

    Raises:
        AlreadyExists: an id is taken by a document with other bytes or fields.
        BlobError: the bytes are not what was said, or cannot be stored.
        StoreBusy: a fenced write whose source cannot be read again, or others won the race every time.
    """
    reached("P0")
    with ExitStack() as stack:
        items = [
            Item(draft)
            if draft.source is None
            else opened_item(root, checks, draft, stack, pause=len(drafts) > 1)
            for draft in drafts
        ]
        puts = [item.put for item in items if item.put is not None]

        def commit() -> list[Stored]:
            for item in items if puts else ():
                item.settle()
            inserting = Insertion(items)
            stored = None if puts or root.alone is None else inserting.alone(root, root.alone)
            if stored is None:
                stored = root.written(inserting.run, recognises=True)
            root.committed("P4.2")
            return stored

        stored = put_bytes(root, puts, commit) if puts else commit()
    reached("P5")
    return stored


def store_new(root: Root, batch: Batch) -> tuple[Sequence[str], int]:
    """Store validated documents without bytes that are no versions of others, all or none, in one
    transaction; return their ids, and how many are new.

    Raises:
        AlreadyExists: an id is taken by a document with other fields.
        StoreBusy: others won the race every time.
        BackendError: the database failed.
    """
    reached("P0")
    inserting = Fresh(batch)
    stored = root.written(inserting.run, recognises=True)
    root.committed("P4.2")
    reached("P5")
    if stored is not None:
        return [one.row["id"] for one in stored], sum(one.is_new for one in stored)
    ids: Sequence[str] = batch.rows.columns["id"]
    return ids, len(ids)


def opened_item(root: Root, checks: Checks, draft: Draft, stack: ExitStack, *, pause: bool = False) -> Item:
    """Open the bytes of a draft; ``stack`` closes them, ``pause`` does so until they are read."""
    root.check_source(draft.source)
    root.bytes()
    source = stack.enter_context(open_source(draft.source))
    draft.named_after(source, checks)
    if pause:
        source.pause()
    row = draft.row
    return Item(draft, BlobWrite(source, row["tenant"], row["owner"], row["size"], row["sha256"]))

"""Upserts: ``put`` and ``put_many``, by id or external_id, whatever was there before.

What to do with a document that is there is decided in the block that writes it, with its version chain and
its row locked. So of several putters of one key each finds what the one before it left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from docstore import lifecycle
from docstore.backend import BlobState, Duplicate, Lock, Query, Reader, Row, Scope, SortKey, Writer
from docstore.crash_points import reached
from docstore.errors import AlreadyExists, InvalidDocument, shown
from docstore.mediatypes import file_type_of
from docstore.models import NewDocument
from docstore.query.expr import And, Compare, Expr, In
from docstore.query.fields import DOCUMENTS
from docstore.query.values import canonical_json
from docstore.writes.drafts import draft_document, given_values
from docstore.writes.edits import DocumentsView
from docstore.writes.insertion import (
    Insertion,
    Item,
    finished,
    forget_blobs,
    give_up,
    insert_rows,
    make_live,
    opened_item,
    put_bytes,
    store_drafts,
)
from docstore.writes.results import (
    Failures,
    OnError,
    Put,
    PutOutcome,
    PutResult,
    check_batch_size,
    check_on_error,
    store_apart,
    validated,
)
from docstore.writes.updates import merge_patch, metadata_patch

__all__ = [
    "OnConflict",
    "Upserts",
]

OnConflict: TypeAlias = Literal["replace", "merge", "skip", "version", "error"]
_MODES = get_args(OnConflict)
_READ = frozenset({"content", "blob_key", "fingerprint", *lifecycle.NO_LEASE})
_BY_NUMBER = (SortKey(("number",)),)
# Keys of one statement, well within every engine's number of parameters.
_AT_ONCE = 1000
_PENDING: tuple[BlobState, ...] = ("pending",)
_GIVEN = tuple(field.name for field in DOCUMENTS.given)
_REPLACED = (
    *(name for name in _GIVEN if name not in ("external_id", "owner", "created_at", "updated_at")),
    "file_type", "size", "sha256", "status",
)  # fmt: skip
"""What ``replace`` sets from the draft and compares with what is there."""
_MERGED = (*(name for name in _GIVEN if name not in ("external_id", "owner", "metadata")), "status")
"""The fields that ``merge`` sets where they were given."""
_ASKED = ("filename", "content_type", "size", "sha256", "metadata")
"""What a repeated put compares, beside the fields that were given: a worker may have set all else since."""

Key: TypeAlias = tuple[str | None, ...]


@dataclass(slots=True)
class Wish:
    """One document to put.

    Attributes:
        item: its draft, and its bytes.
        given: the fields that the caller gave.
    """

    item: Item
    given: frozenset[str]

    @property
    def key(self) -> Key:
        """The key of the document: tenant and id, or the version chain."""
        row = self.item.draft.row
        if self.item.draft.named:
            return ("id", row["tenant"], row["id"])
        return ("chain", row["tenant"], row["owner"], row["external_id"])


class Done(NamedTuple):
    """The row of a wish, and what was done."""

    row: Row
    outcome: PutOutcome


class Upserts:
    """The putting of documents, as one scope may do it."""

    def __init__(self, view: DocumentsView) -> None:
        self._view = view
        self._context = view.context

    def put(self, given: Mapping[str, Any], on_conflict: OnConflict) -> Put:
        """Put one document: see Documents.put; ``given`` are its keywords that are not None."""
        _check_mode(on_conflict)
        wish = self._wish(given, on_conflict)
        if wish is None:
            draft = draft_document(given, self._view.scope, self._view.checks)
            (stored,) = store_drafts(self._context, self._view.checks, [draft])
            done = Done(stored.row, "added" if stored.is_new else "skipped")
        else:
            (done,) = self._put([wish], on_conflict)
        return Put(document=self._view.record_of({**done.row, "content": None}), outcome=done.outcome)

    def put_many(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        *,
        on_conflict: OnConflict = "replace",
        on_error: OnError = "raise",
        batch_size: int = 1000,
        on_progress: Callable[[int], object] | None = None,
    ) -> PutResult:
        """Put many documents: see Documents.put_many."""
        _check_mode(on_conflict)
        check_batch_size(batch_size)
        failures = check_on_error(on_error)
        ids: list[str] = []
        counts: dict[PutOutcome, int] = dict.fromkeys(get_args(PutOutcome), 0)
        store = partial(self._put, mode=on_conflict)
        for places, batch in self._wishes(documents, on_conflict, batch_size, failures):
            stored: dict[int, str] = {}
            for at, done in store_apart(batch, store, failures, lambda wish: wish.item.draft.source):
                stored[at] = done.row["id"]
                counts[done.outcome] += 1
            ids += [stored[last] for last in places if last in stored]
            if on_progress is not None:
                on_progress(len(ids))
        failed = tuple(sorted(failures or (), key=itemgetter(0)))
        return PutResult(ids=ids, failed=failed, **counts)

    def _wish(self, given: NewDocument | Mapping[str, Any], mode: OnConflict) -> Wish | None:
        """Validate one document to put; ``None`` where its bytes alone are its key."""
        values = given_values(given)
        names = frozenset(name for name, value in values.items() if value is not None)
        if len({"id", "external_id"} & names) != 1:
            if not {"id", "external_id"} & names and "dedupe" in names and "source" in names:
                return None
            which = "both id and external_id" if "id" in names else "neither id nor external_id"
            raise InvalidDocument(f"put: {which}; expected one of them as the key", field="id")
        if mode == "version" and "id" in names:
            raise InvalidDocument("put: on_conflict='version' goes with external_id, not with id", field="id")
        if mode == "merge" and "metadata" in names:
            metadata_patch(self._view.checks, values["metadata"])
        draft = draft_document(values, self._view.scope, self._view.checks)
        return Wish(Item(draft), names - {"source"})

    def _wishes(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        mode: OnConflict,
        size: int,
        failures: Failures | None,
    ) -> Iterator[tuple[list[int], list[tuple[int, Wish]]]]:
        """Yield the documents of each commit, validated, with their places; of one key the last. Before them,
        for each document, the place of the last one with its key.
        """

        def keyed(given: NewDocument | Mapping[str, Any]) -> Wish:
            wish = self._wish(given, mode)
            if wish is None:
                raise InvalidDocument(
                    "put_many: neither id nor external_id; expected one of them", field="id"
                )
            return wish

        for batch in validated(documents, keyed, size, failures):
            last = {wish.key: (at, wish) for at, wish in batch}
            yield [last[wish.key][0] for _, wish in batch], list(last.values())

    def _put(self, wishes: Sequence[Wish], mode: OnConflict) -> list[Done]:
        """Put documents, all or none, in one final transaction."""
        reached("P0")
        there: dict[Key, Row] = {}
        if mode == "skip" and any(wish.item.draft.source is not None for wish in wishes):
            with self._context.read(snapshot=True) as reader:  # whose bytes then need not be read
                there = _found(reader, wishes)
        with ExitStack() as stack:
            for wish in wishes:
                if wish.item.draft.source is not None and wish.key not in there:
                    draft = wish.item.draft
                    wish.item = opened_item(
                        self._context, self._view.checks, draft, stack, pause=len(wishes) > 1
                    )
            puts = [wish.item.put for wish in wishes if wish.item.put is not None]

            def commit() -> list[Done]:
                for wish in wishes:
                    wish.item.settle()
                done = self._context.written(_Upsert(self._view, wishes, mode).run, recognises=True)
                self._context.committed("P4.2")
                return done

            done = put_bytes(self._context, puts, commit) if puts else commit()
        reached("P5")
        return done


def _check_mode(mode: Any) -> None:
    if mode not in _MODES:
        raise InvalidDocument(
            f"on_conflict={shown(mode)}: expected one of {', '.join(_MODES)}", field="on_conflict"
        )


def _found(reader: Reader, wishes: Iterable[Wish], lock: Lock | None = None) -> dict[Key, Row]:
    """Return the documents that are there, by key; read whole and, in a write block, locked."""
    asked: dict[tuple[str | None, str | None], list[Key]] = {}
    for key in (wish.key for wish in wishes):
        asked.setdefault((key[0], key[1]), []).append(key)
    found: dict[Key, Row] = {}
    for (kind, tenant), keys in asked.items():
        for at in range(0, len(keys), _AT_ONCE):
            some = keys[at : at + _AT_ONCE]
            field = "id" if kind == "id" else "external_id"
            terms: list[Expr] = [In((field,), tuple(dict.fromkeys(key[-1] for key in some)))]
            terms.append(Compare(("tenant",), "eq", tenant))
            if kind == "chain":
                terms.append(lifecycle.one_of("owner", {key[2] for key in some}))
                terms.append(Compare(("is_latest",), "eq", True))
            query = Query(DOCUMENTS, Scope(), And(tuple(terms)), _BY_NUMBER, include=_READ, lock=lock)
            for row in reader.select(query):
                found[(kind, tenant, *((row["owner"],) if kind == "chain" else ()), row[field])] = row
    return found


class _Upsert:
    """P4 of documents to put: find what is there, insert the others, change what differs.

    It may run several times; after a commit of unknown outcome it knows what it wrote by the rows.
    """

    def __init__(self, view: DocumentsView, wishes: Sequence[Wish], mode: OnConflict) -> None:
        self._view = view
        self._wishes = wishes
        self._mode = mode
        self._tried: dict[Key, Done] = {}
        self._new: list[Row] = []
        self._changes: dict[Key, tuple[Row, Row]] = {}

    def run(self, writer: Writer) -> list[Done]:
        """Put all of them; return the row of each and what was done."""
        now = writer.now()
        lifecycle.lock_chains(writer, self._chains(writer))
        there = _found(writer, self._wishes, "wait")
        self._new, self._changes = [], {}
        done: dict[Key, Done] = {}
        for wish in self._wishes:
            if wish.item.draft.dedupe:  # it looks at the bytes that those before it have
                self._write_changes(writer, done, now)
            done[wish.key] = self._one(writer, wish, there.get(wish.key), now)
        self._write_changes(writer, done, now)
        insert_rows(writer, self._new)
        for one in done.values():
            if one.outcome == "added" and one.row["version"] > 1:  # somebody began the chain meanwhile
                raise Duplicate(f"the external_id {shown(one.row['external_id'])} was added meanwhile")
        self._tried = done
        return list(done.values())

    def _write_changes(self, writer: Writer, done: dict[Key, Done], now: int) -> None:
        rows = self._view.write_many(writer, list(self._changes.values()), now, touch=True)
        for key, row in zip(self._changes, rows, strict=True):
            done[key] = done[key]._replace(row=row)
        self._changes.clear()

    def _chains(self, writer: Writer) -> list[lifecycle.Chain]:
        """Return the chains that are written to: those that are keys, and those that a document may leave or
        join as its owner changes.
        """
        found = [lifecycle.chain_of(wish.item.draft.row) for wish in self._wishes]
        moving = {wish.key: wish for wish in self._wishes if wish.item.draft.named and "owner" in wish.given}
        for key, row in _found(writer, moving.values()).items():
            owner = moving[key].item.draft.row["owner"]
            found += [lifecycle.chain_of(row), lifecycle.chain_of({**row, "owner": owner})]
        return [chain for chain in found if chain is not None]

    def _one(self, writer: Writer, wish: Wish, row: Row | None, now: int) -> Done:
        draft, put = wish.item.draft, wish.item.put
        if row is None:
            return self._added(writer, wish, now)
        tried = self._tried.get(wish.key)
        known = ("id", "revision", *_ASKED)
        if tried is not None and all(tried.row.get(name) == row[name] for name in known):
            return tried._replace(row=row)  # by the commit whose outcome was unknown
        owner = self._view.scope.owner
        if owner is not None and row["owner"] != owner:
            raise AlreadyExists(f"the id {row['id']!r} is taken by another owner's document", id=row["id"])
        columns = None if self._mode == "skip" else self._columns(wish, row)
        if columns is None:
            if put is not None:
                give_up(writer, put, now)
            return Done(row, "skipped" if self._mode == "skip" else "unchanged")
        if self._mode == "error":
            field = "id" if draft.named else "external_id"
            text = f"the {field} {shown(wish.key[-1])} is taken by a document with other bytes or fields"
            raise AlreadyExists(text, id=row["id"])
        if self._mode == "version":
            return self._added(writer, wish, now)._replace(outcome="versioned")
        self._take_bytes(writer, wish, row, columns, now)
        self._changes[wish.key] = row, columns
        return Done(row, "replaced" if self._mode == "replace" else "merged")

    def _added(self, writer: Writer, wish: Wish, now: int) -> Done:
        if wish.item.draft.dedupe:
            (stored,) = Insertion([wish.item]).run(writer)
            return Done(stored.row, "added" if stored.is_new else "skipped")
        if wish.item.put is not None:
            make_live(writer, wish.item.put, now)
        row = finished(wish.item.draft, now)
        self._new.append(row)
        return Done(row, "added")

    def _take_bytes(self, writer: Writer, wish: Wish, row: Row, columns: dict[str, Any], now: int) -> None:
        """Turn new bytes live, keep equal ones, give up those that go."""
        put, held = wish.item.put, row["blob_key"]
        if put is None:
            if self._mode == "replace" and held is not None:
                forget_blobs(writer, [row])
                columns["blob_key"] = None
            return
        if held is not None and (row["sha256"], row["size"]) == (put.written.sha256, put.written.size):
            give_up(writer, put, now)
            return
        owner = columns.get("owner", row["owner"])
        if owner != put.owner:  # nobody said whose it is; it stays its owner's
            writer.update_blob(put.row, _PENDING, owner=owner)
        make_live(writer, put, now)
        forget_blobs(writer, [row])
        columns["blob_key"] = put.key

    def _columns(self, wish: Wish, row: Row) -> dict[str, Any] | None:
        """Return the columns to set; ``None`` where the document is as it is put."""
        made = self._merged(wish, row) if self._mode == "merge" else self._replaced(wish, row)
        owner = wish.item.draft.row["owner"]
        if "owner" in wish.given and owner != row["owner"]:
            return {**(made or {}), "owner": owner}
        return made

    def _replaced(self, wish: Wish, row: Row) -> dict[str, Any] | None:
        draft = wish.item.draft
        asked = draft.row
        fingerprint = draft.fingerprint()
        has_bytes = (wish.item.put is not None) == (row["blob_key"] is not None)
        again = fingerprint == row["fingerprint"]
        columns = _different({name: asked[name] for name in _REPLACED}, row)
        new_time = "updated_at" in wish.given and asked["updated_at"] != row["updated_at"]
        if has_bytes and not new_time and not columns.keys() & ({*_ASKED, *wish.given} if again else columns):
            return None
        if "updated_at" in wish.given:
            columns["updated_at"] = asked["updated_at"]
        fresh: Row = {"attempts": 0, "fingerprint": fingerprint, **lifecycle.NO_LEASE}
        return {**columns, **{name: value for name, value in fresh.items() if value != row[name]}}

    def _merged(self, wish: Wish, row: Row) -> dict[str, Any] | None:
        asked, given = wish.item.draft.row, wish.given
        columns = {name: asked[name] for name in _MERGED if name in given}
        if "metadata" in given:
            checks = self._view.checks
            merged = merge_patch(json.loads(row["metadata"]), json.loads(asked["metadata"]))
            columns["metadata"] = checks.json_text("metadata", checks.object("metadata", merged))
        if "content" in given:
            columns |= {name: asked[name] for name in ("preview", "content_state", "content_note")}
        if "content_type" in given:
            filename = asked["filename"] if "filename" in given else row["filename"]
            columns["file_type"] = file_type_of(asked["content_type"], filename)
        if wish.item.put is not None or row["blob_key"] is None:
            columns |= {name: asked[name] for name in ("size", "sha256") if asked[name] is not None}
        had_bytes = wish.item.put is None or row["blob_key"] is not None
        changed = _different(columns, row)
        return None if had_bytes and not changed else changed


def _different(columns: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """Return those of the columns that a row has otherwise; the order of metadata's keys does not count."""
    found = {name: value for name, value in columns.items() if value != row[name]}
    if "metadata" in found:
        one, other = json.loads(found["metadata"]), json.loads(row["metadata"])
        if one == other and canonical_json(one) == canonical_json(other):  # 1 == True in Python
            del found["metadata"]
    return found

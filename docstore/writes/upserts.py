"""Upserts: ``put`` and ``put_many``, by id or external_id, whatever was there before.

What to do with a document that is there is decided in the block that writes it, with its version chain and
its row locked. So of several putters of one key each finds what the one before it left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from operator import itemgetter
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from docstore import lifecycle
from docstore.backend import (
    BlobState,
    Duplicate,
    Lock,
    Query,
    Reader,
    Row,
    Scope,
    SortKey,
    Writer,
)  # fmt: skip
from docstore.crash_points import reached
from docstore.errors import AlreadyExists, InvalidDocument, shown
from docstore.mediatypes import file_type_of
from docstore.models import NewDocument
from docstore.query.expr import And, Compare, Expr, In
from docstore.query.fields import DOCUMENTS
from docstore.query.values import canonical_json
from docstore.writes.drafts import Batch, Draft, Intake, Key, draft_document
from docstore.writes.edits import DocumentsView
from docstore.writes.insertion import (
    Insertion,
    Item,
    finished,
    forget_blobs,
    give_up,
    insert_rows,
    make_live,
    new_rows,
    opened_item,
    put_bytes,
    store,
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
from docstore.writes.updates import merge_patch, refuse_operators

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
_KEYS = frozenset({"id", "external_id"})
_GIVEN = tuple(field.name for field in DOCUMENTS.given)
# What `replace` sets from the draft and compares with what is there.
_REPLACED = (
    *(name for name in _GIVEN if name not in ("external_id", "owner", "created_at", "updated_at")),
    "file_type", "size", "sha256", "status",
)  # fmt: skip
_values_replaced = itemgetter(*_REPLACED)
# What a replaced document begins with again.
_FRESH = (("attempts", 0), *lifecycle.NO_LEASE.items())
# The fields that `merge` sets where they were given.
_MERGED = (*(name for name in _GIVEN if name not in ("external_id", "owner", "metadata")), "status")
# What a repeated put compares, beside the fields that were given: a worker may have set all else since.
_ASKED = ("filename", "content_type", "size", "sha256", "metadata")
_KNOWN = ("id", "revision", *_ASKED)


class Done(NamedTuple):
    """The row of a document that was put, and what was done."""

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
        draft = draft_document(given, self._view.scope, self._view.checks)
        if _KEYS.isdisjoint(draft.given) and draft.given.issuperset(("dedupe", "source")):
            (stored,) = store(self._context, self._view.checks, [draft])
            done = Done(stored.row, "added" if stored.is_new else "skipped")
        else:
            _check(draft, on_conflict)
            (done,) = self._put([Item(draft)], on_conflict)
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
        put = partial(self._put, mode=on_conflict)
        for places, batch in self._batches(documents, on_conflict, batch_size, failures):
            if isinstance(batch, Batch):
                changed = put(batch)
                for done in changed:
                    counts[done.outcome] += 1
                counts["added"] += 0 if changed else len(batch.rows)
                ids += batch.rows.columns["id"]
            else:
                stored: dict[int, str] = {}
                for at, done in store_apart(batch, put, failures, lambda item: item.draft.source):
                    stored[at] = done.row["id"]
                    counts[done.outcome] += 1
                ids += [stored[last] for last in places if last in stored]
            if on_progress is not None:
                on_progress(len(ids))
        failed = tuple(sorted(failures or (), key=itemgetter(0)))
        return PutResult(ids=ids, failed=failed, **counts)

    def _batches(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        mode: OnConflict,
        size: int,
        failures: Failures | None,
    ) -> Iterator[tuple[Sequence[int], Batch | list[tuple[int, Item]]]]:
        """Yield the documents of each commit, validated, with their places; of one key the last. Before them,
        for each document, the place of the last one with its key. Plain documents with ids of their own are
        yielded as a batch.
        """

        def draft(given: NewDocument | Mapping[str, Any]) -> Draft:
            made = draft_document(given, self._view.scope, self._view.checks)
            _check(made, mode)
            return made

        batches: Iterable[Batch | Sequence[tuple[int, Draft]]]
        if failures is None:
            checks, is_plain = self._view.checks, partial(_is_plain, mode=mode)
            intake = Intake(self._view.scope, checks, documents, lambda one: _check(one, mode), is_plain)
            batches = iter(lambda: intake.numbered(size), [])
        else:
            batches = validated(documents, draft, size, failures)
        for batch in batches:
            if isinstance(batch, Batch):
                yield (), batch
                continue
            last = {draft.key: at for at, draft in batch}
            places = [last[draft.key] for _, draft in batch]
            yield (
                places,
                [(at, Item(draft)) for (at, draft), place in zip(batch, places, strict=True) if at == place],
            )

    def _put(self, given: Batch | Sequence[Item], mode: OnConflict) -> list[Done]:
        """Put documents, all or none, in one final transaction; return what was done, nothing of a batch that
        is all new.
        """
        reached("P0")
        items = () if isinstance(given, Batch) else given
        there: dict[Key, Row] = {}
        if mode == "skip" and any(item.draft.source is not None for item in items):
            with self._context.read(snapshot=True) as reader:  # whose bytes then need not be read
                there = _found(reader, map(_key_of, items))
        with ExitStack() as stack:
            items = [
                opened_item(self._context, self._view.checks, item.draft, stack, pause=len(items) > 1)
                if item.draft.source is not None and item.draft.key not in there
                else item
                for item in items
            ]
            puts = [item.put for item in items if item.put is not None]

            def commit() -> list[Done]:
                for item in items:
                    item.settle()
                asked = given if isinstance(given, Batch) else items
                done = self._context.written(_Upsert(self._view, asked, mode).run, recognises=True)
                self._context.committed("P4.2")
                return done

            done = put_bytes(self._context, puts, commit) if puts else commit()
        reached("P5")
        return done


def _check(draft: Draft, mode: OnConflict) -> None:
    """Refuse a draft that names no document to put, or a merge patch with operators in it."""
    keys = _KEYS & draft.given
    if len(keys) != 1:
        which = "both id and external_id" if keys else "neither id nor external_id"
        raise InvalidDocument(f"put: {which}; expected one of them as the key", field="id")
    if mode == "version" and draft.named:
        raise InvalidDocument("put: on_conflict='version' goes with external_id, not with id", field="id")
    if mode == "merge" and '"$' in (text := draft.row["metadata"]):
        refuse_operators(json.loads(text))


def _is_plain(batch: Batch, mode: OnConflict) -> bool:
    """Return whether documents may be put together: each has an id of its own and passes :func:`_check`."""
    ids = batch.rows.columns["id"]
    return (
        batch.named is not None
        and all(batch.named)
        and len(set(ids)) == len(ids)
        and mode != "version"
        and not (mode == "merge" and any('"$' in text for text in batch.rows.columns["metadata"]))
    )


def _check_mode(mode: Any) -> None:
    if mode not in _MODES:
        raise InvalidDocument(
            f"on_conflict={shown(mode)}: expected one of {', '.join(_MODES)}", field="on_conflict"
        )


def _key_of(item: Item) -> Key:
    return item.draft.key


def _found(
    reader: Reader, wanted: Iterable[Key], lock: Lock | None = None, limit: int | None = None
) -> dict[Key, Row]:
    """Return the documents that are there, by key, at most `limit`; whole and, in a write block, locked."""
    asked: dict[tuple[str | None, str | None], list[Key]] = {}
    for key in wanted:
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
            query = Query(
                DOCUMENTS, Scope(), And(tuple(terms)), _BY_NUMBER, limit=limit, include=_READ, lock=lock
            )
            for row in reader.select(query):
                found[(kind, tenant, *((row["owner"],) if kind == "chain" else ()), row[field])] = row
    return found


class _Upsert:
    """P4 of documents to put: find what is there, insert the others, change what differs.

    It may run several times; after a commit of unknown outcome it knows what it wrote by the rows.
    """

    def __init__(self, view: DocumentsView, given: Batch | Sequence[Item], mode: OnConflict) -> None:
        self._view = view
        self._given = given
        self._items: Sequence[Item] = () if isinstance(given, Batch) else given
        self._mode = mode
        self._tried_rows: Sequence[Row] = ()
        self._tried: dict[Key, Done] = {}
        self._new: list[Row] = []
        self._changes: dict[Key, tuple[Row, Row]] = {}

    def run(self, writer: Writer) -> list[Done]:
        """Put all of them; return the row of each and what was done, nothing of a batch that is all new."""
        now = writer.now()
        there: dict[Key, Row] | None = None
        if isinstance(self._given, Batch) and not self._items:
            if not self._tried_rows:
                # A single writer has nobody to lock out, and need not look again.
                limit = None if self._view.context.single_writer else 1
                there = self._there(writer, self._given, limit)
                if not there:
                    self._insert(writer, self._given, now)
                    return []
                there = None if limit == 1 else there
            self._items = [Item(draft) for draft in self._given.drafts()]
            keys = map(_key_of, self._items)
            self._tried = {key: Done(row, "added") for key, row in zip(keys, self._tried_rows, strict=False)}
        # The order of locks is every writer's: chains first, by bucket, then the rows, by number.
        lifecycle.lock_chains(writer, self._chains(writer))
        if there is None:
            there = _found(writer, map(_key_of, self._items), "wait")
        self._new, self._changes = [], {}
        done: dict[Key, Done] = {}
        for item in self._items:
            if item.draft.dedupe:  # it looks at the bytes that those before it have
                self._write_changes(writer, done, now)
            key = item.draft.key
            done[key] = self._one(writer, item, key, there.get(key), now)
        # Changes go first: one of them may free the chain's latest place that a new row takes.
        self._write_changes(writer, done, now)
        insert_rows(writer, self._new)
        for one in done.values():
            if one.outcome == "added" and one.row["version"] > 1:  # somebody began the chain meanwhile
                raise Duplicate(f"the external_id {shown(one.row['external_id'])} was added meanwhile")
        self._tried = done
        return list(done.values())

    @staticmethod
    def _there(writer: Writer, batch: Batch, limit: int | None) -> dict[Key, Row]:
        """Return the documents of a batch that are there, at most `limit`, without locks: those of a chain
        come before those of rows, for every writer.
        """
        columns = batch.rows.columns
        each = zip(columns["tenant"], columns["id"], strict=True)
        return _found(writer, (("id", tenant, id) for tenant, id in each), limit=limit)

    def _insert(self, writer: Writer, batch: Batch, now: int) -> None:
        """Insert a batch of which nothing is there."""
        rows = new_rows(batch, now)
        insert_rows(writer, rows)
        self._tried_rows = rows

    def _write_changes(self, writer: Writer, done: dict[Key, Done], now: int) -> None:
        rows = self._view.write_many(writer, list(self._changes.values()), now, touch=True)
        for key, row in zip(self._changes, rows, strict=True):
            done[key] = Done(row, done[key].outcome)
        self._changes.clear()

    def _chains(self, writer: Writer) -> list[lifecycle.Chain]:
        """Return the chains that are written to, those that documents leave or join included."""
        found = [lifecycle.chain_of(item.draft.row) for item in self._items]
        moving = [item for item in self._items if item.draft.named and "owner" in item.draft.given]
        owners = {item.draft.key: item.draft.row["owner"] for item in moving}
        # A single writer has nobody to lock out.
        there = {} if self._view.context.single_writer else _found(writer, map(_key_of, moving))
        for key, row in there.items():
            owner = owners[key]
            found += [lifecycle.chain_of(row), lifecycle.chain_of({**row, "owner": owner})]
        return [chain for chain in found if chain is not None]

    def _one(self, writer: Writer, item: Item, key: Key, row: Row | None, now: int) -> Done:
        draft, put = item.draft, item.put
        if row is None:
            return self._added(writer, item, now)
        tried = self._tried.get(key) if self._tried else None
        if tried is not None and all(tried.row.get(name) == row[name] for name in _KNOWN):
            return tried._replace(row=row)  # by the commit whose outcome was unknown
        owner = self._view.scope.owner
        if owner is not None and row["owner"] != owner:
            raise AlreadyExists(f"the id {row['id']!r} is taken by another owner's document", id=row["id"])
        columns = None if self._mode == "skip" else self._columns(item, row)
        if columns is None:
            if put is not None:
                give_up(writer, put, now)
            return Done(row, "skipped" if self._mode == "skip" else "unchanged")
        if self._mode == "error":
            field = "id" if draft.named else "external_id"
            text = f"the {field} {shown(key[-1])} is taken by a document with other bytes or fields"
            raise AlreadyExists(text, id=row["id"])
        if self._mode == "version":
            return self._added(writer, item, now)._replace(outcome="versioned")
        self._take_bytes(writer, item, row, columns, now)
        self._changes[key] = row, columns
        return Done(row, "replaced" if self._mode == "replace" else "merged")

    def _added(self, writer: Writer, item: Item, now: int) -> Done:
        if item.draft.dedupe:
            (stored,) = Insertion([item]).run(writer)
            return Done(stored.row, "added" if stored.is_new else "skipped")
        if item.put is not None:
            make_live(writer, item.put, now)
        row = finished(item.draft, now)
        self._new.append(row)
        return Done(row, "added")

    def _take_bytes(self, writer: Writer, item: Item, row: Row, columns: dict[str, Any], now: int) -> None:
        """Turn new bytes live, keep equal ones, give up those that go."""
        put, held = item.put, row["blob_key"]
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

    def _columns(self, item: Item, row: Row) -> dict[str, Any] | None:
        """Return the columns to set; ``None`` where the document is as it is put."""
        made = self._merged(item, row) if self._mode == "merge" else self._replaced(item, row)
        owner = item.draft.row["owner"]
        if "owner" in item.draft.given and owner != row["owner"]:
            return {**(made or {}), "owner": owner}
        return made

    def _replaced(self, item: Item, row: Row) -> dict[str, Any] | None:
        draft = item.draft
        asked = draft.row
        fingerprint = draft.fingerprint()
        has_bytes = (item.put is not None) == (row["blob_key"] is not None)
        again = fingerprint == row["fingerprint"]
        columns = _different(_REPLACED, _values_replaced(asked), _values_replaced(row))
        new_time = "updated_at" in item.draft.given and asked["updated_at"] != row["updated_at"]
        if (
            has_bytes
            and not new_time
            and not columns.keys() & ({*_ASKED, *item.draft.given} if again else columns)
        ):
            return None
        if "updated_at" in item.draft.given:
            columns["updated_at"] = asked["updated_at"]
        if fingerprint != row["fingerprint"]:
            columns["fingerprint"] = fingerprint
        for name, value in _FRESH:
            if row[name] != value:
                columns[name] = value
        return columns

    def _merged(self, item: Item, row: Row) -> dict[str, Any] | None:
        asked, given = item.draft.row, item.draft.given
        columns = {name: asked[name] for name in _MERGED if name in given}
        if "metadata" in given:
            merged = merge_patch(json.loads(row["metadata"]), json.loads(asked["metadata"]))
            columns["metadata"] = self._view.checks.metadata(merged)
        if "content" in given:
            columns |= {name: asked[name] for name in ("preview", "content_state", "content_note")}
        if "content_type" in given:
            filename = asked["filename"] if "filename" in given else row["filename"]
            columns["file_type"] = file_type_of(asked["content_type"], filename)
        if item.put is not None or row["blob_key"] is None:
            columns |= {name: asked[name] for name in ("size", "sha256") if asked[name] is not None}
        had_bytes = item.put is None or row["blob_key"] is not None
        changed = _different(columns, columns.values(), [row[name] for name in columns])
        return None if had_bytes and not changed else changed


def _different(names: Iterable[str], values: Iterable[Any], stored: Iterable[Any]) -> dict[str, Any]:
    """Return those of some columns that a row has otherwise; the order of metadata's keys does not count."""
    return {
        name: value
        for name, value, before in zip(names, values, stored, strict=True)
        if value != before and not (name == "metadata" and _is_reordered(value, before))
    }


def _is_reordered(text: str, other: str) -> bool:
    """Return whether two JSON texts differ in the order of keys alone."""
    if len(text) != len(other):
        return False
    one, two = json.loads(text), json.loads(other)
    return one == two and canonical_json(one) == canonical_json(two)  # 1 == True in Python

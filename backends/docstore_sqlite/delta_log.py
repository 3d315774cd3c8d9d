"""Delta log of the index, its compaction into the bulk, and the snapshot of both that a session reads.

A change is logged in the transaction of its row: the number of the row and, where the row is not new, its
indexed columns as they were. The first entry of a row since the last compaction says what the bulk holds
of it, so that nothing else of the bulk has to be read. Compaction sorts the terms of all changed rows by
path, chunk and key and merges them in this order: neighbours in the table are written together, and the
memory it takes is that of the changes alone.

The process shares a snapshot that shows committed changes alone. A block that has written sees its own
changes and shares nothing but the bulk. A bulk serves readers of its own generation alone.
``connection.total_changes`` tells a block's states apart: it grows with every row written, undone ones
too.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from docstore_sql.compiler import Fragment
from docstore_sql.tables import Tables

from docstore.backend import Changes, Row, column
from docstore.concurrency import looked_over
from docstore.index.bitmap import (
    Bitmap,
    BitRun,
    Members,
    difference,
    merged,
    packed,
    packed_integer,
    packed_one,
    removed,
    split,
)
from docstore.index.extract import MOST_VALUES, Node, Record, TermTree, extract_columns
from docstore.index.snapshot import Bulk, Snapshot
from docstore.index.tail import RecordView, Tail
from docstore.query.expr import Path
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, read_json
from docstore_sqlite.posting_store import (  # fmt: skip
    COLUMNS,
    FIELDS,
    TEXTS_COMPACTED_TOGETHER,
    IndexState,
    IndexTables,
    PostingCache,
    PostingReader,
    SharedIndex,
    add_names,
    add_texts,
    begin_texts,
    compact_texts,
    generation_name,
    steps_text,
)

# A chunk of a posting holds 65,536 numbers.
_CHUNK_MASK = (1 << 65_536) - 1


class Compaction:
    """One compaction: the terms of changed rows before and now, and the tables they are merged into."""

    def __init__(self, cursor: Any, names: IndexTables, collection: Collection) -> None:
        self.cursor = cursor
        self.names = names
        self.collection = collection

    def run(self, now: TermTree, before: TermTree | None) -> None:
        """Remove terms that are gone, add new ones."""
        parts: list[tuple[int, list[tuple[int, bytes, bytes]]]] = []
        shrunk = self._remove(before, now) if before is not None else set[int]()
        for path, node in looked_over(now.root.walk()):
            if node.postings:
                id = self._path(path)
                old = before.root.at(path) if before is not None else None
                pieces = sorted([(chunk, key, bits) for key, chunk, bits in _pieces(node, old)])
                parts.append((id, pieces))
        added = [(id, *piece) for id, pieces in sorted(parts) for piece in pieces]
        self.cursor.executemany(
            f"INSERT INTO {self.names.posting} (path, chunk, key, bits) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (path, chunk, key) DO UPDATE SET bits = docstore_merged(bits, excluded.bits)",
            added,
        )
        self.cursor.executemany(
            f"DELETE FROM {self.names.path} WHERE id = ? AND NOT EXISTS "
            f"(SELECT 1 FROM {self.names.posting} AS p WHERE p.path = {self.names.path}.id)",
            [(id,) for id in sorted(shrunk)],
        )

    def _remove(self, before: TermTree, now: TermTree) -> set[int]:
        """Remove terms that are gone; return the ids of the paths that lost some."""
        gone: list[tuple[bytes, int, int, bytes]] = []
        for path, node in looked_over(before.root.walk()):
            if node.postings:
                id = self._path(path)
                new = now.root.at(path)
                gone.extend((bits, id, chunk, key) for key, chunk, bits in _pieces(node, new))
        gone.sort(key=lambda piece: piece[1:])
        posting = self.names.posting
        where = "WHERE path = ? AND chunk = ? AND key = ?"
        self.cursor.executemany(f"UPDATE {posting} SET bits = docstore_removed(bits, ?) {where}", gone)
        self.cursor.executemany(
            f"DELETE FROM {posting} {where} AND length(bits) = 0", [piece[1:] for piece in gone]
        )
        return {id for _, id, _, _ in gone}

    def _path(self, path: Path) -> int:
        given = (self.collection.name, steps_text(path))
        self.cursor.execute(
            f"INSERT OR IGNORE INTO {self.names.path} (collection, steps) VALUES (?, ?)", given
        )
        self.cursor.execute(f"SELECT id FROM {self.names.path} WHERE collection = ? AND steps = ?", given)
        return int(self.cursor.fetchone()[0])


def _pieces(node: Node, other: Node | None) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield the terms of a node that the other node lacks, as ``(key, chunk, form)``."""
    there = None if other is None else TermTree.of(other)
    for key, members in node.sets():
        left = members if there is None else _less(members, there.posting((), key))
        if isinstance(left, BitRun):
            yield from _integer_pieces(key, left.integer, left.first)
        elif len(left) == 1:
            yield key, left[0] >> 16, packed_one(left[0] & 0xFFFF)
        else:
            for chunk, places in split(left).items():
                yield key, chunk, packed(places)


def _less(members: Members, gone: Bitmap) -> Members:
    """Return the members that are not gone."""
    left = difference(Bitmap.of_members(members), gone)
    if left.is_listed:
        return left.members
    first = (left.integer & -left.integer).bit_length() - 1
    return BitRun(left.integer >> first, first)


def _integer_pieces(key: bytes, integer: int, shift: int) -> Iterator[tuple[bytes, int, bytes]]:
    chunk, rest = shift >> 16, integer << (shift & 0xFFFF)
    while rest:
        piece = rest & _CHUNK_MASK
        if piece:
            yield key, chunk, packed_integer(piece)
        rest >>= 65_536
        chunk += 1


# Changes in the log, whoever wrote them, from which on it is compacted. At 4,096 the first query of a fresh
# process took 790 ms instead of 69.
LOGGED_CHANGES = 1024

# Bytes of JSON in the rows that the log names, from which on it is compacted, however few they are: a reader
# that begins decodes all of them. They are added up every so many changes, and after each batch.
LOGGED_BYTES = 16 << 20
CHANGES_PER_LOOK = 64

# Changed texts are counted once in so many changes of any kind, and after each batch.
CHANGES_PER_COUNT = 8

# From so many new rows at once on they are compacted without being logged.
BULK_ROWS = 1024

# Bytes of JSON, before and now, that one step of a compaction holds, or those of one row. Terms take
# several times as much.
COMPACTED_BYTES = 8_000_000


def register_compaction(connection: Any) -> None:
    """Register on a raw connection the functions that compaction calls for each posting."""
    connection.create_function("docstore_merged", 2, merged, deterministic=True)
    connection.create_function("docstore_removed", 2, removed, deterministic=True)


# The lower bits of a generation, by chance; the bits above count compactions.
_CHANCE_BITS = 31


def log_new(cursor: Any, names: IndexTables, collection: Collection, numbers: Sequence[int]) -> int | None:
    """Log new rows; return a lower bound of the number of logged changes, None if it is not known."""
    into = f"INSERT INTO {names.changes[collection.name]} (number, is_new, has_text)"
    has_text = int(collection is DOCUMENTS)
    if len(numbers) == 1:
        cursor.execute(f"{into} VALUES (?, 1, {has_text})", (numbers[0],))
        return int(cursor.lastrowid)
    rows = names.rows[collection.name]
    between = (numbers[0], numbers[-1])  # all there are: numbers are never used again
    cursor.execute(f"{into} SELECT number, 1, {has_text} FROM {rows} WHERE number BETWEEN ? AND ?", between)
    return None


def _json_bytes(collection: Collection) -> str:
    """Return the bytes of JSON in a row, as SQL text; length() of text would count characters."""
    json = [name for name, is_json in FIELDS[collection.name].items() if is_json]
    return " + ".join(f"coalesce(length(CAST({name} AS BLOB)), 0)" for name in json)


def logged_bytes(cursor: Any, names: IndexTables, collection: Collection) -> int:
    """Return the bytes of JSON in the rows that the log names, as they are now."""
    cursor.execute(
        f"SELECT coalesce(sum({_json_bytes(collection)}), 0) FROM {names.rows[collection.name]} "
        f"WHERE number IN (SELECT number FROM {names.changes[collection.name]})"
    )
    return int(cursor.fetchone()[0])


def log_statement(names: IndexTables, collection: Collection, where: str, *, has_text: bool = False) -> str:
    """Return the statement that logs rows as they are before a change.

    Args:
        names: the tables.
        collection: the collection of the rows.
        where: the condition, SQL text.
        has_text: whether the filename or the content changes, or the document goes.
    """
    into, rows = names.changes[collection.name], names.rows[collection.name]
    listed = given = COLUMNS[collection.name]
    if has_text:  # once between two compactions of the texts: as they were then
        pending = f"SELECT 1 FROM {into} AS p WHERE p.number = r.number AND p.has_text = 1"
        words = f"SELECT words FROM {names.content} AS c WHERE c.number = r.number"
        listed = f"{listed}, filename, words"
        given = ", ".join(
            [
                given,
                *(f"CASE WHEN NOT EXISTS ({pending}) THEN {text} END" for text in ("filename", f"({words})")),
            ]
        )
    return (
        f"INSERT INTO {into} (number, is_new, has_text, {listed}) "
        f"SELECT number, 0, {int(has_text)}, {given} FROM {rows} AS r WHERE {where}"
    )


def decoded(collection: Collection, values: Sequence[Any]) -> dict[str, Any]:
    """Return the indexed columns of a row as the evaluator reads them."""
    record: dict[str, Any] = {}
    for (name, json), value in zip(FIELDS[collection.name].items(), values, strict=True):
        if json:
            record[name] = None if value is None else read_json(value)
        else:
            record[name] = value
    record["tenant"] = record["tenant"] or None
    for name in _BOOLEANS & record.keys():
        if record[name] is not None:
            record[name] = bool(record[name])
    return record


def _changed(
    collection: Collection, old: dict[int, Sequence[Any]], rows: Iterable[Sequence[Any]]
) -> tuple[list[Sequence[Any]], list[Sequence[Any]]]:
    """Return changed rows before and now, ascending, JSON decoded. What is the same in both is left out:
    none of its terms has to be moved.

    Args:
        collection: the collection of the rows.
        old: the rows before, by number; emptied.
        rows: the number and the columns of the rows now.
    """
    json = [at for at, is_json in enumerate(FIELDS[collection.name].values()) if is_json]
    befores: list[Sequence[Any]] = []
    nows: list[Sequence[Any]] = []
    for number, *now in looked_over(rows):
        found = old.pop(number, None)
        if found is None:
            nows.append((number, *_read(now, json)))
            continue
        before = list(found)
        # Whether a record holds too much is said of all its JSON together.
        is_alike = all(before[at] == now[at] for at in json)
        is_small = all(len(row[at] or "") <= MOST_VALUES for row in (before, now) for at in json)
        for at, value in enumerate(now):
            if value == before[at] and (is_alike or at not in json):
                before[at] = now[at] = None
        befores.append((number, *_read(before, json)))
        nows.append((number, *_read(now, json)))
        if is_small and not is_alike:
            for at in json:
                _drop_alike(befores[-1][1 + at], nows[-1][1 + at])
    befores += [(number, *_read(list(row), json)) for number, row in looked_over(old.items())]
    old.clear()
    return sorted(befores, key=itemgetter(0)), nows


def _read(row: list[Any], json: Sequence[int]) -> list[Any]:
    """Return a row with its JSON decoded."""
    for at in json:
        row[at] = None if row[at] is None else read_json(row[at])
    return row


def _drop_alike(one: dict[str, Any] | None, other: dict[str, Any] | None) -> None:
    """Remove the members that two objects have alike; ``1 == 1.0 == True``, their terms differ."""
    if one is None or other is None:
        return
    for name in one.keys() & other.keys():
        if one[name] == other[name] and repr(one[name]) == repr(other[name]):
            del one[name], other[name]


_BOOLEANS = frozenset({"is_latest", "needs_review", "is_reviewed"})
_AS_BOOLEAN = {None: None, 0: False, 1: True}


def pending_texts(cursor: Any, names: IndexTables) -> int:
    """Return how many changes of texts the log holds."""
    cursor.execute(f"SELECT count(*) FROM {names.changes[DOCUMENTS.name]} WHERE has_text = 1")
    return int(cursor.fetchone()[0])


def compact(cursor: Any, names: IndexTables, collection: Collection) -> None:
    """Compact the log into the bulk, and begin a generation."""
    changes = names.changes[collection.name]
    cursor.execute(f"SELECT count(*), min(number), max(number), min(is_new) FROM {changes}")
    count, first, last, all_new = cursor.fetchone()
    chosen = f"number IN (SELECT number FROM {changes})"
    if all_new and last - first + 1 == count:  # a new row is noted once: these are all there are between
        chosen = f"number BETWEEN {int(first)} AND {int(last)}"
    if collection is DOCUMENTS and pending_texts(cursor, names):
        compact_texts(cursor, names)
    if all_new:
        _compact_inserted(cursor, names, collection, chosen)
    else:
        for first, last in list(_slices(cursor, names, collection)):
            _compact_slice(cursor, names, collection, first, last)
    begin_generation(cursor, names, collection)
    cursor.execute(f"DELETE FROM {changes}")


def begin_generation(cursor: Any, names: IndexTables, collection: Collection) -> None:
    """Tell everybody that the bulk is another: a number that grows, and that no other file has."""
    chance = secrets.randbits(_CHANCE_BITS)  # a file that was put in this one's place may be as old
    cursor.execute(
        f"INSERT INTO {names.setting} (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE "
        f"SET value = (((value >> {_CHANCE_BITS}) + 1) << {_CHANCE_BITS}) | excluded.value",
        (generation_name(collection), str(chance)),
    )


def compact_new(
    cursor: Any, names: IndexTables, collection: Collection, numbers: Sequence[int], rows: Sequence[Row]
) -> None:
    """Take rows just inserted into the bulk without noting them, and begin a generation.

    Args:
        cursor: in the writer's transaction.
        names: the tables.
        collection: whose rows.
        numbers: of the rows, ascending.
        rows: as at the seam.
    """
    given = zip(numbers, *(column(rows, name) for name in FIELDS[collection.name]), strict=True)
    for some in _held(given, collection):
        Compaction(cursor, names, collection).run(fresh(collection, some), None)
    if collection is DOCUMENTS:
        if all(content is None for content in column(rows, "content")):
            add_names(cursor, names, numbers, column(rows, "filename"))
        else:
            add_texts(cursor, names, f"d.number BETWEEN {int(numbers[0])} AND {int(numbers[-1])}")
        begin_texts(cursor, names)
    begin_generation(cursor, names, collection)


def _compact_inserted(cursor: Any, names: IndexTables, collection: Collection, chosen: str) -> None:
    """Take rows that were all inserted since the last compaction into the bulk."""
    rows = names.rows[collection.name]
    reading = cursor.connection.cursor()
    reading.execute(f"SELECT number, {COLUMNS[collection.name]} FROM {rows} WHERE {chosen} ORDER BY number")
    for some in _held(reading, collection):
        Compaction(cursor, names, collection).run(fresh(collection, some), None)
    reading.close()


def _held(rows: Iterable[Sequence[Any]], collection: Collection) -> Iterator[list[Sequence[Any]]]:
    """Yield rows, each number before its columns, in groups that are compacted at once."""
    first, *others = [at for at, is_json in enumerate(FIELDS[collection.name].values(), 1) if is_json]
    some: list[Sequence[Any]] = []
    held = 0
    for row in rows:
        size = len(row[first] or "")
        for at in others:
            size += len(row[at] or "")
        if some and held + size > COMPACTED_BYTES:
            yield some
            some, held = [], 0
        some.append(row)
        held += size
    if some:
        yield some


def _slices(cursor: Any, names: IndexTables, collection: Collection) -> Iterator[tuple[int, int]]:
    """Yield the first and last number of changed rows whose JSON, before and now, is compacted at once."""
    changes, rows = names.changes[collection.name], names.rows[collection.name]
    size = _json_bytes(collection)
    cursor.execute(
        f"SELECT number, sum(size) FROM (SELECT number, {size} AS size FROM {changes} UNION ALL "
        f"SELECT number, {size} FROM {rows} WHERE number IN (SELECT number FROM {changes})) "
        "GROUP BY number ORDER BY number"
    )
    first, last, held = None, 0, 0
    for number, bytes_of_one in cursor:
        if first is not None and held + bytes_of_one > COMPACTED_BYTES:
            yield first, last
            first, held = None, 0
        first = number if first is None else first
        last, held = number, held + bytes_of_one
    if first is not None:
        yield first, last


def _compact_slice(cursor: Any, names: IndexTables, collection: Collection, first: int, last: int) -> None:
    """Take the changes of rows from one number to another into the bulk."""
    changes = names.changes[collection.name]
    listed = COLUMNS[collection.name]
    cursor.execute(
        f"SELECT number, {listed} FROM {changes} WHERE seq IN (SELECT min(seq) FROM {changes} "
        "WHERE number BETWEEN ? AND ? GROUP BY number) AND NOT is_new",
        (first, last),
    )
    old = {row[0]: row[1:] for row in cursor}
    cursor.execute(
        f"SELECT number, {listed} FROM {names.rows[collection.name]} WHERE number IN (SELECT number "
        f"FROM {changes} WHERE number BETWEEN ? AND ?) ORDER BY number",
        (first, last),
    )
    befores, nows = _changed(collection, old, cursor)
    before, now = (fresh(collection, some, is_text=False) for some in (befores, nows))
    Compaction(cursor, names, collection).run(now, before)


def fresh(collection: Collection, rows: Sequence[Sequence[Any]], *, is_text: bool = True) -> TermTree:
    """Return the terms of rows: the number and the indexed columns of each, and perhaps others, ascending;
    ``is_text``: JSON is given as its text.
    """
    root = Node()
    if rows:
        numbers, *given = zip(*rows, strict=True)
        values = dict(zip(FIELDS[collection.name], given, strict=False))
        values["tenant"] = tuple(tenant or None for tenant in values["tenant"])
        for name in _BOOLEANS & values.keys():
            values[name] = tuple(map(_AS_BOOLEAN.__getitem__, values[name]))
        extract_columns(root, FIELDS[collection.name], numbers, values, is_text=is_text)
    return TermTree.of(root)


# -- snapshots -------------------------------------------------------------------------------------

_READING = {
    name: RecordView({**fields, "number": False}, lambda record: record, is_whole=False)
    for name, fields in FIELDS.items()
}
_NO_CHANGES = {name: Tail(reading) for name, reading in _READING.items()}

_TEXTS = frozenset({"filename", "content"})


class SnapshotSession:
    """The index as one session sees and changes it.

    Args:
        session: the block, with its compilers, cursor and connection.
        tables: the names of the tables.
        shared: the state that the process shares, by collection.

    Attributes:
        is_private: whether the block may read uncommitted changes; the session of one that fails is not
            used again.
    """

    def __init__(self, session: Any, tables: Tables, shared: Mapping[str, SharedIndex]) -> None:
        self.session = session
        self.cursor = session.cursor
        self.tables = tables
        self.names = IndexTables.of(tables)
        self.shared = shared
        self.is_private = False
        # The generation, the last change and the count of schemas when the index was last looked at.
        self.state: tuple[Any, Any, Any] = (None, None, None)
        # The snapshot with this block's own changes, by collection, and the token that it was read at.
        self._own: dict[str, tuple[tuple[tuple[int, int], int, int], Snapshot]] = {}
        # The number of the change just logged.
        self._last: int | None = None

    # -- snapshots -------------------------------------------------------------------------------------

    def index(self, collection: Collection) -> Snapshot:
        """Return the index of this session's snapshot. Call within a transaction."""
        name = collection.name
        stamp, last, numbers = self._token(collection)
        if self.is_private:
            return self._private(collection, (stamp, last, self._written()), numbers)
        shared = self.shared[name]
        state = shared.state
        token, index, kept = state.token, state.index, state.kept
        if index is None or token[0] != stamp:
            kept = PostingCache()
        stored = PostingReader(self.cursor, self.names, name, kept, True, _chunks(numbers))
        if index is None or token[0] != stamp:
            found = Snapshot(Bulk(FIELDS[name], stored), self._tail(collection, _NO_CHANGES[name], 0))
        else:
            bulk = index.bulk.on(stored)
            if token[1] == last:
                return Snapshot(bulk, index.tail)
            is_later = token[1] < last
            tail, behind = (index.tail, token[1]) if is_later else (_NO_CHANGES[name], 0)
            found = Snapshot(bulk, self._tail(collection, tail, behind))
        if token < (stamp, last):  # what an older snapshot sees serves nobody else
            shared.state = IndexState((stamp, last), found, kept)
        return found

    def _private(
        self, collection: Collection, token: tuple[tuple[int, int], int, int], numbers: int
    ) -> Snapshot:
        """Return the index with the changes of this block, which no other block may see."""
        name = collection.name
        found = self._own.get(name)
        if found is None or found[0] != token:
            state = self.shared[name].state
            same = state.index is not None and state.token[0] == token[0]
            stored = PostingReader(
                self.cursor, self.names, name, state.kept if same else PostingCache(), False, _chunks(numbers)
            )
            tail, behind = _NO_CHANGES[name], 0
            if same and state.index is not None and state.token[1] <= token[1]:
                tail, behind = state.index.tail, state.token[1]
            tail = self._tail(collection, tail, behind)
            found = self._own[name] = (token, Snapshot(Bulk(FIELDS[name], stored), tail))
        return found[1]

    def _tail(self, collection: Collection, tail: Tail, behind: int) -> Tail:
        """Return a tail with the changes logged behind a change."""
        changed = self._changed(collection, behind)
        return tail.changed(changed) if changed else tail

    def _token(self, collection: Collection) -> tuple[tuple[int, int], int, int]:
        """Return the bulk's stamp (count of schemas, generation), the last change and the last number."""
        self.cursor.execute(self.names.tokens[collection.name], (generation_name(collection),))
        generation, last, schemas, numbers = self.cursor.fetchone()
        self.state = generation, last, schemas
        return (schemas, int(generation or 0)), last or 0, numbers or 0

    def _written(self) -> int:
        raw = self.session.connection
        changes: int = getattr(raw, "driver_connection", raw).total_changes
        return changes

    def _changed(self, collection: Collection, behind: int) -> dict[int, Record | None]:
        """Return the rows logged behind a change, as they are now; None for rows that are gone."""
        changes, rows = self.names.changes[collection.name], self.names.rows[collection.name]
        self.cursor.execute(f"SELECT DISTINCT number FROM {changes} WHERE seq > ?", (behind,))
        found: dict[int, Record | None] = dict.fromkeys((row[0] for row in self.cursor.fetchall()), None)
        if found:
            self.cursor.execute(
                f"SELECT number, {COLUMNS[collection.name]} FROM {rows} WHERE number IN "
                f"(SELECT number FROM {changes} WHERE seq > ?)",
                (behind,),
            )
            for row in self.cursor.fetchall():
                found[row[0]] = {"number": row[0], **decoded(collection, row[1:])}
        return found

    def committed(self) -> None:
        """Share what is read from here on."""
        self.is_private = False
        self._own.clear()

    # -- changes ---------------------------------------------------------------------------------------

    def inserted(self, collection: Collection, numbers: Sequence[int]) -> None:
        """Log new rows."""
        if numbers:
            last = log_new(self.cursor, self.names, collection, numbers)
            self._noted(collection, last)

    def changing(self, collection: Collection, changes: Changes) -> bool:
        """Log rows about to be updated, those that get a column of the index; return whether any does."""
        indexed = FIELDS[collection.name].keys()
        texts = _TEXTS if collection is DOCUMENTS else frozenset()
        with_text, others = list[int](), list[int]()
        for row, columns in changes:
            if not texts.isdisjoint(columns):
                with_text.append(row["number"])
            elif not indexed.isdisjoint(columns):
                others.append(row["number"])
        for numbers in (with_text, others):
            if numbers:
                where, values = "number = ?", numbers
                if len(numbers) > 1:
                    chosen = self.session.listed("number", numbers)
                    where, values = chosen.text, chosen.values
                has_text = numbers is with_text
                self.log(log_statement(self.names, collection, where, has_text=has_text), tuple(values))
        if with_text and others:
            self._last = None
        return bool(with_text or others)

    def log(self, statement: str, values: Sequence[Any]) -> None:
        """Log rows about to be changed, by a :func:`log_statement`; call :meth:`changed` after the change."""
        self.cursor.execute(statement, values)
        # A lower bound of the number of logged changes.
        self._last = int(self.cursor.lastrowid) if self.cursor.rowcount == 1 else None

    def deleting(self, collection: Collection, where: Fragment) -> None:
        """Log rows about to be deleted."""
        text = log_statement(self.names, collection, where.text, has_text=collection is DOCUMENTS)
        self.cursor.execute(text, tuple(where.values))

    def changed(self, collection: Collection) -> None:
        """Compact the log, after an update or a delete, if it is long."""
        last, self._last = self._last, None
        self._noted(collection, last)

    def is_noted(self, *collections: Collection) -> bool:
        """Return whether the log holds a change of these collections, or of any."""
        noted = (self.names.changes[one.name] for one in collections or (DOCUMENTS, EXTRACTIONS))
        self.cursor.execute("SELECT " + " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in noted))
        return bool(self.cursor.fetchone()[0])

    def compact_all(self) -> None:
        """Compact the log."""
        for collection in (DOCUMENTS, EXTRACTIONS):
            if self.is_noted(collection):
                compact(self.cursor, self.names, collection)

    def _noted(self, collection: Collection, last: int | None) -> None:
        """Compact the log if it is long.

        Args:
            collection: the collection of the logged records.
            last: the number of the last change, None if it is not known.
        """
        is_looked_at = last is None or last % CHANGES_PER_LOOK == 0
        is_counted = collection is DOCUMENTS and (last is None or last % CHANGES_PER_COUNT == 0)
        if last is None:
            self.cursor.execute(f"SELECT max(seq) FROM {self.names.changes[collection.name]}")
            last = self.cursor.fetchone()[0] or 0
        if last >= LOGGED_CHANGES or (
            is_looked_at and logged_bytes(self.cursor, self.names, collection) > LOGGED_BYTES
        ):
            compact(self.cursor, self.names, collection)
            return
        # Until the next count so many may come that as many pend as there may be.
        most = TEXTS_COMPACTED_TOGETHER - CHANGES_PER_COUNT
        if is_counted and pending_texts(self.cursor, self.names) > most:
            compact_texts(self.cursor, self.names)


def _chunks(numbers: int) -> int:
    return (numbers >> 16) + 1

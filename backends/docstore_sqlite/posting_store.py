"""Posting store: the tables of the index, reading its bulk, and the full-text index.

Postings are bitmaps as blobs, one a path, chunk of 65,536 numbers, and key. The key comes behind the chunk:
a compaction of new rows then writes to one small region of the table, and a look-up seeks once a chunk.
Postings that were read are kept in the process until the next compaction; the generation, a number in the
setting table, tells.

The full-text index has tokens of filenames and contents, by document number. FTS5 keeps no texts here
(``content=''``), so a removal must name the tokens that the document had. A change therefore logs the texts
as they were. Logged texts are compacted in small groups; until then a search looks at those documents one by
one. FTS5 only marks removed tokens until its segments are merged. That is done page by page, once a quarter
of the documents were removed.
"""

from __future__ import annotations

import json
import secrets
import threading
from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from docstore_sql.migrations import made_by
from docstore_sql.tables import Tables, make_metadata

from docstore.backend import SortKey
from docstore.index.bitmap import EMPTY, Bitmap, assemble, assembled_union, union_all
from docstore.index.columns import BitSlices
from docstore.index.extract import indexed_fields
from docstore.index.ngrams import document_tokens, names_tokens
from docstore.index.snapshot import Snapshot
from docstore.index.terms import MOST_KEYS, WIDTHS
from docstore.query.expr import Path
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind
from docstore.query.text import fold

# -- tables ----------------------------------------------------------------------------------------

# The setting that counts the changes of the text index.
TEXT_GENERATION = "index generation of texts"

# The indexed fields of each collection, and whether each is JSON.
FIELDS: Mapping[str, Mapping[str, bool]] = {
    collection.name: {name: collection.column(name).kind is Kind.JSON for name in indexed_fields(collection)}
    for collection in (DOCUMENTS, EXTRACTIONS)
}
# The same, as SQL text.
COLUMNS = {name: ", ".join(fields) for name, fields in FIELDS.items()}

# SQLite raises this count when a backup is written over the database, and never lets it fall. Two states of
# one file may differ in nothing else.
_SCHEMAS = "(SELECT schema_version FROM pragma_schema_version)"


@dataclass(frozen=True, slots=True)
class IndexTables:
    """The names of the index's tables, as SQL text; ``states`` say how the index stands, its generation, the
    last change and SQLite's own count of schemas; ``tokens`` are the statements that read those and the last
    number.
    """

    posting: str
    path: str
    text: str
    content: str
    changes: Mapping[str, str]
    setting: str
    tally: str
    rows: Mapping[str, str]
    states: Mapping[str, tuple[str, str, str]]
    tokens: Mapping[str, str]

    @staticmethod
    @lru_cache(maxsize=16)
    def of(tables: Tables) -> IndexTables:
        """Return the names for a store."""
        collections = (DOCUMENTS, EXTRACTIONS)
        rows = {collection.name: tables.of(collection) for collection in collections}
        changes = {"documents": "document_change", "extractions": "extraction_change"}
        changes = {name: tables.named(table) for name, table in changes.items()}
        states = {
            name: (
                f"(SELECT value FROM {tables.setting} WHERE name = ?)",
                f"(SELECT max(seq) FROM {table})",
                _SCHEMAS,
            )
            for name, table in changes.items()
        }
        tokens = {
            name: f"SELECT {', '.join(states[name])}, (SELECT max(number) FROM {rows[name]})" for name in rows
        }
        return IndexTables(
            tables.named("posting"),
            tables.named("path"),
            tables.named("text"),
            tables.content,
            changes,
            tables.setting,
            tables.tally,
            rows,
            states,
            tokens,
        )


def generation_name(collection: Collection) -> str:
    """Return the setting that counts the compactions of a collection."""
    return f"index generation of {collection.name}"


def schema_of(tables: Tables) -> list[str]:
    """Return the statements that make the index's tables, those that are missing."""
    names = IndexTables.of(tables)
    changes = []
    for collection in (DOCUMENTS, EXTRACTIONS):
        table, texts = names.changes[collection.name], ", filename, words" if collection is DOCUMENTS else ""
        changes.append(
            f"CREATE TABLE IF NOT EXISTS {table} (seq INTEGER PRIMARY KEY, number INTEGER NOT NULL, is_new "
            f"INTEGER NOT NULL, has_text INTEGER NOT NULL, {COLUMNS[collection.name]}{texts})"
        )
    changes.append(
        f"CREATE INDEX IF NOT EXISTS {tables.named('document_change_text')} "
        f"ON {names.changes[DOCUMENTS.name]} (number) WHERE has_text = 1"
    )
    return [
        f"CREATE TABLE IF NOT EXISTS {names.posting} (path INTEGER NOT NULL, chunk INTEGER NOT NULL, key "
        "BLOB NOT NULL, bits BLOB NOT NULL, "
        "PRIMARY KEY (path, chunk, key)) WITHOUT ROWID",
        f"CREATE TABLE IF NOT EXISTS {names.path} (id INTEGER PRIMARY KEY, collection TEXT NOT NULL, "
        "steps TEXT NOT NULL, UNIQUE (collection, steps))",
        f"CREATE VIRTUAL TABLE IF NOT EXISTS {names.text} USING fts5(tokens, content='', columnsize=0, "
        "detail=none, tokenize='ascii')",
        *changes,
    ]


def generations_of(tables: Tables) -> list[str]:
    """Return the statements that begin the generations of a new store's index."""
    return [
        f"INSERT INTO {tables.setting} (name, value) VALUES ('{generation_name(collection)}', "
        f"'{secrets.randbits(31)}')"
        for collection in (DOCUMENTS, EXTRACTIONS)
    ]


def steps_text(path: Path) -> str:
    """Return a path as it stands in the table of paths."""
    return json.dumps(path, ensure_ascii=False)


_FTS_TABLES = ("text", "text_data", "text_idx", "text_config", "text_docsize", "text_content")


def store_metadata(prefix: str, schema: str | None) -> tuple[sa.MetaData, str]:
    """Return the index's tables, and the pattern of names of what SQLite makes below them."""
    if schema is not None:
        raise ValueError(f"schema={schema!r}: a store on SQLite has none")
    tables = Tables(prefix)
    metadata = make_metadata(tables, "sqlite")
    engine = sa.create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            for statement in schema_of(tables):
                connection.exec_driver_sql(statement)
            for name, kind in made_by(schema_of(tables)).items():
                if kind != "TABLE":
                    continue
                made = sa.Table(name, metadata, autoload_with=connection)
                for column in made.columns:  # those without a type, which SQLAlchemy cannot create
                    if isinstance(column.type, sa.types.NullType):
                        column.type = sa.LargeBinary()
    finally:
        engine.dispose()
    return metadata, "|".join((*_FTS_TABLES, "(documents|extractions)_declared_[0-9a-f]+"))


# -- postings --------------------------------------------------------------------------------------

# Bytes of postings that a process keeps for one collection, about.
_CACHE_BYTES = 96 << 20

# The text index is no help for texts in more documents: an ordered scan meets one of them soon.
MOST_TEXT_MATCHES = 20_000
# Fewer terms than that are read one by one, and kept.
_FEW_READ = 128

# Up to so many keys of a kind at one path are kept together, for all ranges among them.
_FEW_KEYS = 1024

# So many matches tell how frequent texts are: 0.3 ms.
_SAMPLED_TEXTS = 512


class PostingCache:
    """Sets read from the bulk of one generation, the oldest forgotten beyond a bound; for many threads."""

    def __init__(self, most: int = _CACHE_BYTES) -> None:
        self._most = most
        self._sets: dict[Any, tuple[Any, int]] = {}
        self._weight = 0
        self._mutex = threading.Lock()

    def get(self, place: Any) -> Any:
        """Return the cached value, None without one."""
        found = self._sets.get(place)
        return None if found is None else found[0]

    def put(self, place: Any, value: Any, weight: int) -> None:
        """Keep a value that takes about ``weight`` bytes."""
        with self._mutex:
            self._weight += weight - self._sets.get(place, (None, 0))[1]
            self._sets[place] = (value, weight)
            while self._weight > self._most and len(self._sets) > 1:
                oldest = next(iter(self._sets))
                self._weight -= self._sets.pop(oldest)[1]


@dataclass(frozen=True, slots=True)
class IndexState:
    """The committed state of one collection's index, as a process knows it.

    Attributes:
        token: the stamp (count of schemas, generation) and the last change in ``index``.
        index: the bulk of that generation and the changes since; None before anything was read.
        kept: postings of that generation's bulk.
    """

    token: tuple[tuple[int, int], int] = ((-1, 0), 0)
    index: Snapshot | None = None
    kept: PostingCache = field(default_factory=PostingCache)


@dataclass(slots=True)
class SharedIndex:
    """The state of one collection's index that all sessions of a process share.

    Attributes:
        state: the latest state; replaced as a whole.
        orders: for each order without an index, the number of queries and their seconds.
    """

    state: IndexState = field(default_factory=IndexState)
    orders: dict[tuple[SortKey, ...], tuple[int, float]] = field(default_factory=dict)

    def sorted_by_hand(self, order: tuple[SortKey, ...], seconds: float) -> None:
        """Remember that rows had to be sorted, for advice; at most of a hundred orders."""
        if len(self.orders) < 100 or order in self.orders:
            queries, before = self.orders.get(order, (0, 0.0))
            self.orders[order] = (queries + 1, before + seconds)


@lru_cache(maxsize=64)
def _chunks_text(chunks: int) -> str:
    return json.dumps(list(range(chunks)))


class PostingReader:
    """A :class:`~docstore.index.snapshot.Stored` read through one cursor.

    Args:
        cursor: on a connection within a transaction.
        names: the tables.
        collection: the collection.
        kept: postings and ids of paths read before, of this generation.
        is_committed: whether other sessions see the same.
        chunks: the number of chunks of 65,536 numbers.
    """

    def __init__(
        self,
        cursor: Any,
        names: IndexTables,
        collection: str,
        kept: PostingCache,
        is_committed: bool,
        chunks: int,
    ) -> None:
        self._cursor = cursor
        self._names = names
        self._collection = collection
        self._kept = kept
        self._is_committed = is_committed
        self._chunks = _chunks_text(chunks)

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records with a term."""
        if key[:1] in WIDTHS:  # of a column all slices are read together: a comparison asks for most of them
            return self.column(path, key).present
        found: Bitmap | None = self._kept.get((path, key))
        if found is None:
            found = self._load(path, key)
            self._kept.put((path, key), found, 2 * found.weight)
        return found

    def postings(self, path: Path, keys: Sequence[bytes]) -> Iterable[Bitmap]:
        """Return the records with each of the terms, which are all of a range; many are read at once."""
        if len(keys) < _FEW_READ:
            return [self.posting(path, key) for key in keys]
        pieces: dict[bytes, list[tuple[int, bytes]]] = {key: [] for key in keys}
        rows = self._cursor.execute(
            f"SELECT key, chunk, bits FROM {self._names.posting} WHERE path = ? AND key BETWEEN ? AND ? "
            "AND chunk IN (SELECT value FROM json_each(?))",
            (self._path(path), keys[0], keys[-1], self._chunks),
        )
        for key, chunk, bits in rows:
            pieces[key].append((chunk, bits))
        return [assemble(sorted(pieces[key])) for key in keys]

    def any_posting(self, path: Path, keys: Sequence[bytes]) -> Bitmap:
        """Return the records with any of the terms."""
        if len(keys) < 8:
            return union_all(self.posting(path, key) for key in keys)
        pieces: list[tuple[int, bytes]] = []
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]  # SQLite before 3.32 binds 999 values
            marks = ", ".join("?" * len(some))
            pieces += self._cursor.execute(
                f"SELECT chunk, bits FROM {self._names.posting} WHERE path = ? AND key IN ({marks}) "
                "AND chunk IN (SELECT value FROM json_each(?))",
                (self._path(path), *some, self._chunks),
            )
        return assembled_union(pieces)

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range within one kind, None if there are too many rows of them."""
        kind = first[:1]
        every = self._keys(path, kind, bytes((kind[0] + 1,)), _FEW_KEYS)
        if every is None:  # each range is read by itself
            return self._keys(path, first, end, MOST_KEYS)
        return every[bisect_left(every, first) : bisect_left(every, end)]

    def _keys(self, path: Path, first: bytes, end: bytes, most: int) -> Sequence[bytes] | None:
        place = (path, first, end, most)
        found = self._kept.get(place)
        if found is None:
            rows = self._cursor.execute(
                f"SELECT key FROM {self._names.posting} WHERE path = ? AND chunk IN (SELECT value FROM "
                "json_each(?)) AND key >= ? AND key < ? LIMIT ?",
                (self._path(path), self._chunks, first, end, most + 1),
            ).fetchall()
            found = sorted({row[0] for row in rows}) if len(rows) <= most else ()
            self._kept.put(place, found, 80 * len(found) + 100)
        return found if isinstance(found, list) else None

    def is_wanted_again(self, path: Path, column: bytes) -> bool:
        """Return whether a column is at hand, or was wanted before; note that it is wanted."""
        if self._kept.get(("column", path, column)) is not None or self._kept.get(("wanted", path, column)):
            return True
        self._kept.put(("wanted", path, column), True, 100)
        return False

    def column(self, path: Path, column: bytes) -> BitSlices:
        """Return the slices of a column, read by one statement."""
        place = ("column", path, column)
        found: BitSlices | None = self._kept.get(place)
        if found is None:
            rows = self._cursor.execute(
                f"SELECT key, chunk, bits FROM {self._names.posting} WHERE path = ? AND key BETWEEN ? AND ? "
                "AND chunk IN (SELECT value FROM json_each(?))",
                (self._path(path), column, column + b"\xff", self._chunks),
            )
            pieces: dict[bytes, list[tuple[int, bytes]]] = {}
            for key, chunk, bits in rows:
                pieces.setdefault(key, []).append((chunk, bits))
            sets = {key: assemble(sorted(some)) for key, some in pieces.items()}
            present = sets.pop(column, EMPTY)
            found = BitSlices(column, present, {key[1] - 0x80: bits for key, bits in sets.items()})
            self._kept.put(place, found, 2 * sum(bits.weight for bits in (present, *sets.values())))
        return found

    def texts(self, asked: str) -> Bitmap | None:
        """Return a superset of the documents with these texts, None for very many."""
        found = self._texts(asked, MOST_TEXT_MATCHES)
        return found if isinstance(found, Bitmap) else None

    def share_of_texts(self, asked: str) -> float:
        """Return about what share of documents has these texts, by the first that do; 0 if that is all."""
        found = self._texts(asked, _SAMPLED_TEXTS)
        return 0.0 if isinstance(found, Bitmap) else found

    def _texts(self, asked: str, most: int) -> Bitmap | float:
        """Return a superset of the documents with these texts, or their share of all if they are more."""
        self._cursor.execute(f"SELECT value FROM {self._names.setting} WHERE name = ?", (TEXT_GENERATION,))
        place = ("", asked, self._cursor.fetchone())
        found: Bitmap | tuple[int, float] | None = self._kept.get(place) if self._is_committed else None
        if found is None or (isinstance(found, tuple) and found[0] < most):
            rows = self._cursor.execute(
                f"SELECT rowid FROM {self._names.text} WHERE {self._names.text} MATCH ? LIMIT ?",
                (asked, most + 1),
            ).fetchall()
            numbers = sorted([number for (number,) in rows])  # FTS5 gives them in this order
            found = Bitmap.of(numbers) if len(numbers) <= most else (most, most / numbers[most])
            if self._is_committed:
                self._kept.put(place, found, 40 * len(numbers) + 100 if isinstance(found, Bitmap) else 100)
        return found if isinstance(found, Bitmap) else found[1]

    def logged_texts(self) -> Bitmap:
        """Return the documents whose texts have changed since the text index was written."""
        self._cursor.execute(f"SELECT number FROM {self._names.changes['documents']} WHERE has_text = 1")
        return Bitmap.of(sorted({row[0] for row in self._cursor.fetchall()}))

    def _load(self, path: Path, key: bytes) -> Bitmap:
        id = self._path(path)
        if id is None:
            return EMPTY
        rows = self._cursor.execute(
            f"SELECT chunk, bits FROM {self._names.posting} WHERE path = ? AND key = ? AND chunk IN "
            "(SELECT value FROM json_each(?))",
            (id, key, self._chunks),
        ).fetchall()
        rows.sort()
        return assemble(rows)

    def _path(self, path: Path) -> int | None:
        known: int | None = self._kept.get(path)
        if known is not None:
            return known
        found = self._cursor.execute(
            f"SELECT id FROM {self._names.path} WHERE collection = ? AND steps = ?",
            (self._collection, steps_text(path)),
        ).fetchone()
        if found is None:
            return None
        self._kept.put(path, int(found[0]), 100)
        return int(found[0])


# -- full-text index -------------------------------------------------------------------------------

# Documents whose changed texts are compacted at once; a search looks at fewer than that one by one, 20 µs
# each. Measured among 6,000 documents of 120 words, in turns: a rare word takes 3.4 ms of CPU at most, of
# 64 at once 4.5; an addition 1.69 ms on average, of 64 at once 1.67.
TEXTS_COMPACTED_TOGETHER = 32
# The setting that counts documents taken out since the segments were last merged; -1 while they are merged.
_REMOVED = "index texts removed"
_LEAST_REMOVED = 256
# The segments are merged when one in so many documents was taken out.
_STALE_SHARE = 4
# Pages of 4 kB that a group of changed texts merges in passing: 17 ms.
_MERGED_PAGES = 64


def compact_texts(cursor: Any, names: IndexTables) -> None:
    """Compact all logged changes of texts into the text index; the log entries stay, without the texts."""
    changes = names.changes[DOCUMENTS.name]
    cursor.execute(
        f"SELECT number, filename, words FROM {changes} WHERE seq IN (SELECT min(seq) FROM {changes} "
        "WHERE has_text = 1 GROUP BY number) AND NOT is_new"
    )
    before = {number: (filename, words) for number, filename, words in cursor.fetchall()}
    chosen = f"d.number IN (SELECT number FROM {changes} WHERE has_text = 1)"
    if before:
        _replace(cursor, names, before, chosen)
    else:
        add_texts(cursor, names, chosen)
    cursor.execute(f"UPDATE {changes} SET has_text = 0, filename = NULL, words = NULL WHERE has_text = 1")
    begin_texts(cursor, names)
    if before:
        _count_removed(cursor, names, len(before))


def begin_texts(cursor: Any, names: IndexTables) -> None:
    """Tell everybody that the text index is another."""
    _raise(cursor, names, TEXT_GENERATION, 1)


def parts_of(tables: Tables) -> set[str]:
    """Return the names of the tables that FTS5 keeps an index in that holds no texts."""
    return {f"{tables.prefix}text_{part}" for part in ("data", "idx", "config")}


def drop_torn(cursor: Any, tables: Tables, missing: Container[str]) -> None:
    """Remove a text index that lacks some of FTS5's tables.

    FTS5 opens an index before it removes it, so the missing tables are first made as in an empty index.
    """
    text = f"{tables.prefix}text"
    if text in missing or not any(name in missing for name in parts_of(tables)):
        return
    cursor.execute(f'CREATE TABLE IF NOT EXISTS "{text}_data" (id INTEGER PRIMARY KEY, block BLOB)')
    cursor.execute(f"INSERT OR IGNORE INTO \"{text}_data\" VALUES (1, x''), (10, x'00000000000000')")
    cursor.execute(f'CREATE TABLE IF NOT EXISTS "{text}_config" (k PRIMARY KEY, v) WITHOUT ROWID')
    cursor.execute(f"INSERT OR IGNORE INTO \"{text}_config\" VALUES ('version', 4)")
    cursor.execute(f'DROP TABLE "{text}"')


def add_texts(cursor: Any, names: IndexTables, where: str) -> None:
    """Add the tokens of documents that are not in the text index.

    Args:
        cursor: in the writer's transaction.
        names: the tables.
        where: which documents, SQL text over ``d``.
    """
    reading = _rows(cursor, names, where)
    while some := reading.fetchmany(500):
        numbers, filenames, folded, words = zip(*some, strict=True)
        if any(words):
            tokens = map(document_tokens, filenames, folded, [word or "" for word in words])
            cursor.executemany(_insert(names), zip(numbers, tokens, strict=True))
        else:
            add_names(cursor, names, numbers, filenames)
    reading.close()


def add_names(cursor: Any, names: IndexTables, numbers: Iterable[int], filenames: Sequence[str]) -> None:
    """Add the tokens of documents that have no content and are not in the text index."""
    cursor.executemany(_insert(names), zip(numbers, names_tokens(filenames), strict=True))


def merge_texts(cursor: Any, names: IndexTables, pages: int, *, begin: bool) -> bool:
    """Merge segments of the text index, so that removed tokens are gone; return whether more is left.

    Args:
        cursor: in the writer's transaction.
        names: the tables.
        pages: the number of pages to write at most.
        begin: take in all segments that there are now; else go on with those.
    """
    before: int = cursor.connection.total_changes
    # A negative number begins with all segments; less than two changed rows say that nothing was left.
    cursor.execute(
        f"INSERT INTO {names.text} ({names.text}, rank) VALUES ('merge', ?)", (-pages if begin else pages,)
    )
    left: bool = cursor.connection.total_changes - before >= 2
    if begin or not left:
        _set(cursor, names, _REMOVED, -1 if left else 0)
    return left


def _replace(cursor: Any, names: IndexTables, before: dict[int, tuple[str, str | None]], chosen: str) -> None:
    """Take the tokens out that documents have no more, and add those that they have now."""
    reading = _rows(cursor, names, chosen)
    now = {number: document_tokens(name, folded, words or "") for number, name, folded, words in reading}
    reading.close()
    removing = f"INSERT INTO {names.text} ({names.text}, rowid, tokens) VALUES ('delete', ?, ?)"
    inserting = _insert(names)
    for number in sorted(before.keys() | now.keys()):  # FTS5 writes what it holds where numbers descend
        there: set[str] = set()
        if number in before:
            filename, words = before[number]
            there = set(document_tokens(filename, fold(filename), words or "").split(" "))
        here = set(now[number].split(" ")) if number in now else set[str]()
        if gone := there - here:
            cursor.execute(removing, (number, " ".join(gone)))
        if here:
            cursor.execute(inserting, (number, " ".join(here - there)))


def _rows(cursor: Any, names: IndexTables, where: str) -> Any:
    reading = cursor.connection.cursor()
    return reading.execute(
        f"SELECT d.number, d.filename, d.filename_fold, c.words FROM {names.rows[DOCUMENTS.name]} AS d "
        f"LEFT JOIN {names.content} AS c ON c.number = d.number WHERE {where} ORDER BY d.number"
    )


def _insert(names: IndexTables) -> str:
    return f"INSERT INTO {names.text} (rowid, tokens) VALUES (?, ?)"


def _count_removed(cursor: Any, names: IndexTables, removed: int) -> None:
    """Count documents taken out; merge a few pages if segments are being merged, or it is time to."""
    cursor.execute(f"SELECT CAST(value AS INTEGER) FROM {names.setting} WHERE name = ?", (_REMOVED,))
    found = cursor.fetchone()
    known = 0 if found is None else found[0]
    if known < 0:
        merge_texts(cursor, names, _MERGED_PAGES, begin=False)
        return
    cursor.execute(f"SELECT coalesce(sum(n), 0) FROM {names.tally}")
    if known + removed >= max(_LEAST_REMOVED, cursor.fetchone()[0] // _STALE_SHARE):
        merge_texts(cursor, names, _MERGED_PAGES, begin=True)
    else:
        _raise(cursor, names, _REMOVED, removed)


def _raise(cursor: Any, names: IndexTables, setting: str, by: int) -> None:
    cursor.execute(
        f"INSERT INTO {names.setting} (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE "
        "SET value = value + excluded.value",
        (setting, str(by)),
    )


def _set(cursor: Any, names: IndexTables, setting: str, value: int) -> None:
    cursor.execute(
        f"INSERT INTO {names.setting} (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE "
        "SET value = excluded.value",
        (setting, str(value)),
    )

"""Full-text index: tokens of filenames and contents, by document number.

FTS5 keeps no texts here (``content=''``), so a removal must name the tokens that the document had. A change
therefore logs the texts as they were. Logged texts are folded in small groups; until then a search looks at
those documents one by one. FTS5 only marks removed tokens until its segments are merged. That is done page
by page, once a quarter of the documents were removed.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from docstore_sql.tables import Tables

from docstore.index.ngrams import document_tokens, names_tokens
from docstore.query.fields import DOCUMENTS
from docstore.query.text import fold
from docstore_sqlite.schema import TEXT_GENERATION, IndexTables

__all__ = [
    "TEXTS_FOLDED_TOGETHER", "add_names", "add_texts", "begin_texts", "drop_torn", "fold_texts",
    "merge_texts", "parts_of", "pending_texts",
]  # fmt: skip

# Documents whose changed texts are folded at once; a search looks at fewer than that one by one, 20 µs
# each. Measured among 6,000 documents of 120 words, in turns: a rare word takes 3.4 ms of CPU at most, of
# 64 at once 4.5; an addition 1.69 ms on average, of 64 at once 1.67.
TEXTS_FOLDED_TOGETHER = 32
# The setting that counts documents taken out since the segments were last merged; -1 while they are merged.
_REMOVED = "index texts removed"
_LEAST_REMOVED = 256
# The segments are merged when one in so many documents was taken out.
_STALE_SHARE = 4
# Pages of 4 kB that a group of changed texts merges in passing: 17 ms.
_MERGED_PAGES = 64


def pending_texts(cursor: Any, names: IndexTables) -> int:
    """Return how many changes of texts the log holds."""
    cursor.execute(f"SELECT count(*) FROM {names.changes[DOCUMENTS.name]} WHERE has_text = 1")
    return int(cursor.fetchone()[0])


def fold_texts(cursor: Any, names: IndexTables) -> None:
    """Fold all logged changes of texts into the text index; the log entries stay, without the texts."""
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

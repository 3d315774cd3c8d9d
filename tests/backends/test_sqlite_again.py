"""Pages asked again on SQLite: one statement, and never anything but what is there now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from docstore_sqlite.again import LONGEST, Page
from docstore_sqlite.reading import rows_of

import docstore
from docstore.query.fields import DOCUMENTS

QUERY = {"metadata.kind": "a", "status": "pending"}


@pytest.fixture
def store(sqlite_url: str) -> Iterator[docstore.Store]:
    """A store with 40 documents, every other one of them a match."""
    with docstore.open(sqlite_url) as opened:
        opened.documents.add_many(
            {
                "filename": f"{number:02}",
                "metadata": {"kind": "ab"[number % 2]},
                "created_at": f"2026-01-{number % 28 + 1:02}T00:00:00Z",
            }
            for number in range(40)
        )
        yield opened


@contextmanager
def traced(store: docstore.Store) -> Iterator[list[str]]:
    """Collect the statements that the store's reading runs."""
    found: list[str] = []
    with store._root.backend.read() as session:
        raw: Any = session.connection.driver_connection
    # What a statement looks up by a pragma is told as a comment behind it.
    raw.set_trace_callback(lambda text: None if text.startswith("--") else found.append(text))
    yield found
    raw.set_trace_callback(None)


def names(store: docstore.Store, **window: Any) -> list[str]:
    """Return the filenames of a page, newest first."""
    return [each.filename for each in store.documents.find(QUERY, limit=5, **window)]


def test_a_page_asked_again_is_one_statement(store: docstore.Store) -> None:
    """Nothing is begun, ended or looked for when a page is asked for once more; it is the same page."""
    first, deep = names(store), names(store, offset=10)
    with traced(store) as statements:
        assert (first, deep) == (names(store), names(store, offset=10))
    assert ["WITH", "WITH"] == [text.split()[0] for text in statements]


@pytest.mark.parametrize("folded", [False, True])
def test_what_another_store_writes_is_seen(store: docstore.Store, sqlite_url: str, folded: bool) -> None:
    """A page asked again follows documents that others add, change and delete, noted or folded."""
    before = names(store)
    with docstore.open(sqlite_url) as other:
        if folded:
            other._root.backend.rebuild_indexes()
        assert before == names(store)
        gone, changed = other.documents.find(QUERY, limit=2).items
        other.documents.delete(gone.id)
        assert before[1:] == names(store)[:4]
        other.documents.update(changed.id, metadata={"kind": "b"})
        assert before[2:] == names(store)[:3]
        other.documents.add(filename="new", metadata={"kind": "a"}, created_at="2026-02-01T00:00:00Z")
        assert ["new", *before[2:]] == names(store)[:4]


def test_rows_are_read_each_time(store: docstore.Store) -> None:
    """What no filter can ask the index for is as fresh as all else."""
    page = store.documents.find(QUERY, limit=5)
    assert [None] * 5 == [each.preview for each in store.documents.find(QUERY, limit=5)]
    store.documents.update(page.items[0].id, preview="seen")
    assert ["seen", *[None] * 4] == [each.preview for each in store.documents.find(QUERY, limit=5)]


class Undone(Exception):
    """Ends a transaction."""


def delete_newest(store: docstore.Store, before: list[str]) -> None:
    """Delete the newest match within a transaction, look, and undo it."""
    with store.transaction():
        assert before == names(store)
        store.documents.delete(store.documents.find(QUERY, limit=1).items[0].id)
        assert before[1:] == names(store)[:4]
        raise Undone


def test_a_page_within_a_transaction_shows_what_it_wrote(store: docstore.Store) -> None:
    """What is not committed is seen by the transaction alone, and is forgotten when it is undone."""
    before = names(store)
    with pytest.raises(Undone):
        delete_newest(store, before)
    assert before == names(store)


def test_heavy_fields_are_read_where_asked_for(store: docstore.Store) -> None:
    """A page with the content and the page without are two pages."""
    [id] = [each.id for each in store.documents.find(QUERY, limit=1)]
    store.documents.update(id, content="words")
    for _ in range(3):
        plain, whole = (store.documents.find(QUERY, limit=1, include=names) for names in ((), ("content",)))
        assert [None, "words"] == [page.items[0].content for page in (plain, whole)]


def test_a_long_page_is_looked_for_each_time(store: docstore.Store) -> None:
    """Only short pages are kept: the numbers of a long one take room, and the statement time to compile."""
    store.documents.add_many(
        {"filename": f"{number}", "metadata": {"kind": "a"}} for number in range(LONGEST + 1)
    )
    for _ in range(3):
        assert LONGEST + 1 == len(store.documents.find(QUERY, limit=LONGEST + 1))
    with traced(store) as statements:
        store.documents.find(QUERY, limit=LONGEST + 1)
    assert "BEGIN" == statements[0]


def test_rows_are_put_in_the_page_s_order() -> None:
    """However SQLite hands them over."""
    page = Page([30, 10, 20], ("id", "number"), "", ())
    rows = [("c", 30), ("a", 10), ("b", 20)]
    assert rows == page.in_order(rows) == page.in_order(sorted(rows))


def test_a_document_s_row_has_every_column_in_its_place() -> None:
    """The display of names and values is that of the columns that are read."""
    columns = DOCUMENTS.light()
    values = [name == "is_latest" or name for name in columns]
    [row] = rows_of(DOCUMENTS, columns, [tuple(values)])
    assert dict(zip(columns, values, strict=True)) == row
    assert columns == tuple(row)

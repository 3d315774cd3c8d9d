"""SQLite's index does not grow with what was replaced or removed, and what is noted is folded soon."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import docstore


@contextmanager
def asking(path: Path) -> Iterator[Any]:
    """Return what asks one question of the database, by another connection."""
    with closing(sqlite3.connect(path)) as connection:
        yield lambda text: connection.execute(text).fetchone()[0]


def pending(path: Path) -> tuple[int, int]:
    """Return how many changes are noted, and how many texts a search looks at one by one."""
    with asking(path) as ask:
        return (
            ask("SELECT count(*) FROM docstore_document_change"),
            ask("SELECT count(*) FROM docstore_document_change WHERE has_text = 1"),
        )


def text(rng: random.Random, words: int = 20) -> str:
    """Return words of which each is in few documents."""
    return " ".join(f"word{rng.randrange(3_000)}" for _ in range(words))


def test_replaced_contents_do_not_make_the_file_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each content was replaced four times the file is less than a third larger than a fresh one."""
    # the log is as small as the store
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_CHANGES", 64)
    monkeypatch.setattr("docstore_sqlite.posting_store._LEAST_REMOVED", 16)
    path, rng = tmp_path / "store.db", random.Random(1)
    with docstore.open(f"sqlite:///{path}") as store:
        contents = [text(rng) for _ in range(200)]
        store.documents.add_many([{"filename": "a", "content": content} for content in contents])
        fresh = _size(path)
        for _ in range(4):
            with store.transaction():
                for document in list(store.documents.iterate()):
                    store.documents.update(document.id, content=text(rng))
        assert _size(path) < fresh * 4 / 3
        store.documents.update(document.id, content="a rareword")
        assert [found.id for found in store.documents.find(search="rareword")] == [document.id]
        assert list(store.documents.find(search=contents[0].split()[0] + "x")) == []


def _size(path: Path) -> int:
    with asking(path) as ask:
        ask("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def test_replaced_words_are_taken_out(tmp_path: Path) -> None:
    """The text index finds a document by the words that it has, and no more by those that it had."""
    with docstore.open(f"sqlite:///{tmp_path}/store.db") as store:
        id = store.documents.add(filename="a", content="old word").id
        for content, filename in (("new word", "a"), ("new thing", "b"), (None, "b")):
            store.documents.update(id, content=content, filename=filename)
            store.collect()
        with asking(tmp_path / "store.db") as ask:
            ask("SELECT count(*) FROM docstore_text('nbz00000z00000')")
            for token in ("wold", "wword", "wnew", "wthing", "naz00000z00000"):
                assert ask(f"SELECT count(*) FROM docstore_text('{token}')") == 0
            assert ask("SELECT count(*) FROM docstore_text('nbz00000z00000')") == 1
        store.documents.delete(id)
        store.collect()
        with asking(tmp_path / "store.db") as ask:
            assert ask("SELECT count(*) FROM docstore_text('nbz00000z00000')") == 0


def test_paths_that_nothing_has_any_more_are_forgotten(tmp_path: Path) -> None:
    """The table of paths holds what records have: replaced keys do not gather in it."""
    with docstore.open(f"sqlite:///{tmp_path}/store.db") as store:
        id = store.documents.add(filename="a", metadata={"key": 0}).id
        for number in range(10):
            store.documents.update(id, metadata={f"key{number}": None, f"key{number + 1}": number})
            store.collect()
        assert store.documents.count({"metadata.key10": 9}) == 1
        assert store.documents.count({"metadata.key9": {"$exists": True}}) == 0
        with asking(tmp_path / "store.db") as ask:
            assert ask("SELECT count(*) FROM docstore_path WHERE steps LIKE '%key%'") == 2


@pytest.mark.parametrize("batch", [1, 10, 100, 1_000])
def test_few_changes_are_pending_whoever_wrote(tmp_path: Path, batch: int) -> None:
    """At most 1,024 changes are noted, and fewer than 32 texts: in blocks of any size."""
    path = tmp_path / "store.db"
    with docstore.open(f"sqlite:///{path}") as store:
        for _ in range(0, 2_000 if batch > 10 else 200, batch):
            store.documents.add_many([{"filename": "a", "content": "x"}] * batch)
            changes, texts = pending(path)
            assert changes < 1_024
            assert texts < 32
        assert store.documents.count(search="x") == store.documents.count()
    assert pending(path) == (0, 0)  # closing folds


def test_what_a_block_indexed_and_undid_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search within a block that is undone leaves nothing behind for the searches after it."""
    monkeypatch.setattr("docstore_sqlite.delta_log.TEXTS_COMPACTED_TOGETHER", 1)
    monkeypatch.setattr("docstore_sqlite.delta_log.CHANGES_PER_COUNT", 1)
    with docstore.open(f"sqlite:///{tmp_path}/store.db") as store:
        with suppress(KeyError), store.transaction():
            store.documents.add(filename="a", content="undone")
            assert store.documents.count(search="undone") == 1
            raise KeyError
        id = store.documents.add(filename="a", content="undone").id
        assert [found.id for found in store.documents.find(search="undone")] == [id]
        with suppress(KeyError), store.transaction():
            store.documents.update(id, content="other")
            assert store.documents.count(search="undone") == 0
            raise KeyError
        assert store.documents.count(search="undone") == 1


def test_the_log_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few changes of large records are folded into the index, in batches and one by one."""
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_BYTES", 50_000)
    with docstore.open("sqlite://") as store:
        backend: Any = store._context.backend

        def is_logged() -> bool:
            with backend.read() as session:
                return bool(session.is_noted())

        large = {"text": "x" * 9_000}
        store.documents.add(metadata=large)
        assert is_logged()
        store.documents.add_many({"metadata": large} for _ in range(20))
        assert not is_logged()
        some = store.documents.find({}, limit=20).items
        for change in range(64):
            store.documents.update(some[change % 20].id, metadata={"n": change})
        assert not is_logged()

"""The database's file is replaced, removed or written back under an open store."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from docstore_sqlite.database_file import lock_of

import docstore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "docstore.db"


@pytest.fixture
def store(path: Path) -> Iterator[docstore.Store]:
    """An open store on it."""
    with docstore.open(f"sqlite:///{path}") as opened:
        yield opened


def _fill(store: docstore.Store, word: str, count: int = 20) -> None:
    store.documents.add_many(
        {"filename": f"{word}{at}.txt", "metadata": {"word": word, word: at}} for at in range(count)
    )


def _listed(store: docstore.Store, word: str) -> tuple[int, list[str], int]:
    found = store.documents.find({"metadata.word": word}, sort="-created_at", limit=5)
    walked = store.documents.iterate({f"metadata.{word}": {"$gte": 0}})
    return store.documents.count({"metadata.word": word}), [d.filename for d in found], len(list(walked))


def _restore(source: Path, target: Path) -> None:
    """Write a backup over a database by SQLite's own means, as the shell's ``.restore`` does."""
    with closing(sqlite3.connect(source)) as backup, closing(sqlite3.connect(target)) as database:
        backup.backup(database)


def _save(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as backup:
        database.backup(backup)


def test_a_restored_backup_is_what_the_next_call_sees(
    store: docstore.Store, path: Path, tmp_path: Path
) -> None:
    """Also where the index then counts as many changes as before: nothing of the old state is answered."""
    _fill(store, "early", 3)
    _save(path, tmp_path / "saved.db")
    _fill(store, "old")
    assert _listed(store, "old")[0] == 20
    _restore(tmp_path / "saved.db", path)
    assert _listed(store, "old") == (0, [], 0)
    assert _listed(store, "early")[0] == 3
    _fill(store, "new")
    assert _listed(store, "old") == (0, [], 0)
    assert _listed(store, "new")[::2] == (20, 20)
    assert store.check().ok


def test_a_restored_backup_that_another_process_went_on_with(
    store: docstore.Store, path: Path, tmp_path: Path
) -> None:
    """The same number of changes, other ones: the pages of before are not served."""
    _fill(store, "early", 3)
    _save(path, tmp_path / "saved.db")
    _fill(store, "old")
    before = _listed(store, "old"), _listed(store, "early"), _listed(store, "new")
    assert before[0] == _listed(store, "old")
    _restore(tmp_path / "saved.db", path)
    with docstore.open(f"sqlite:///{path}") as other:
        _fill(other, "new")
        assert _listed(store, "old") == _listed(other, "old") == (0, [], 0)
        assert _listed(store, "new") == _listed(other, "new")


def _another(path: Path, word: str) -> Path:
    """Make another store, closed, as a backup would be."""
    with docstore.open(f"sqlite:///{path}") as made:
        _fill(made, word, 7)
    return path


def test_a_file_put_in_its_place_is_what_the_next_call_works_on(
    store: docstore.Store, path: Path, tmp_path: Path
) -> None:
    """Reads and writes go there, whatever stood in the log of the old file; that goes with it."""
    _fill(store, "old")
    assert _listed(store, "old")[0] == 20
    path.rename(tmp_path / "moved.db")
    os.replace(_another(tmp_path / "other.db", "new"), path)
    assert _listed(store, "old") == (0, [], 0)
    assert _listed(store, "new")[::2] == (7, 7)
    _fill(store, "late", 2)
    assert store.check().ok
    store.close()
    with docstore.open(f"sqlite:///{path}") as fresh:
        assert (fresh.documents.count(), _listed(fresh, "late")[0]) == (9, 2)
    with docstore.open(f"sqlite:///{tmp_path / 'moved.db'}") as moved:
        assert (moved.documents.count(), moved.check().ok) == (20, True)


def test_a_write_goes_to_the_file_that_is_there(store: docstore.Store, path: Path, tmp_path: Path) -> None:
    """The first call after the exchange may be a write, and what was read before is not served."""
    _fill(store, "old", 7)
    assert _listed(store, "old")[::2] == (7, 7)
    os.replace(_another(tmp_path / "other.db", "new"), path)
    added = store.documents.add(filename="a", metadata={"word": "new"})
    with docstore.open(f"sqlite:///{path}") as fresh:
        assert fresh.documents.get(added.id) == added
        assert _listed(store, "old") == _listed(fresh, "old") == (0, [], 0)
        assert _listed(store, "new")[0] == _listed(fresh, "new")[0] == 8


def test_a_store_closed_after_the_exchange_leaves_nothing_of_the_old_file(
    store: docstore.Store, path: Path, tmp_path: Path
) -> None:
    """Even where nothing was called in between: the log goes with the file it belongs to."""
    _fill(store, "old")
    path.rename(tmp_path / "moved.db")
    os.replace(_another(tmp_path / "other.db", "new"), path)
    store.close()
    with docstore.open(f"sqlite:///{path}") as fresh:
        assert (fresh.documents.count(), fresh.check().ok) == (7, True)
    with docstore.open(f"sqlite:///{tmp_path / 'moved.db'}") as moved:
        assert moved.documents.count() == 20


_CALLS: list[Callable[[docstore.Store], object]] = [
    lambda store: store.documents.count(),
    lambda store: store.documents.find({"metadata.word": "old"}),
    lambda store: store.documents.add(filename="a", content="b"),
    lambda store: store.documents.update_many({}, metadata={"a": 1}),
    lambda store: store.check(),
]


def test_a_file_that_is_gone_is_an_error_until_it_is_back(store: docstore.Store, path: Path) -> None:
    """Nothing goes into a removed file, none is made, and the store works again on one put back."""
    _fill(store, "old")
    kept = path.with_name("kept.db")
    path.rename(kept)
    for call in _CALLS:
        with pytest.raises(docstore.BackendError, match="is not there any more") as gone:
            call(store)
        assert gone.value.retryable
    assert not path.exists()
    kept.rename(path)
    assert _listed(store, "old")[0] == 20


def test_nothing_is_acknowledged_into_a_file_that_is_removed_meanwhile(
    store: docstore.Store, path: Path
) -> None:
    """A block under way as the file goes fails at its end."""

    def add_and_remove() -> None:
        with store.transaction():
            store.documents.add(filename="a", content="b")
            path.unlink()

    with pytest.raises(docstore.BackendError, match="while this was written"):
        add_and_remove()


@pytest.mark.parametrize("content", [b"", b"no database" * 100])
def test_something_else_in_its_place_is_refused(store: docstore.Store, path: Path, content: bytes) -> None:
    """Each call raises BackendError, and leaves it as it is."""
    _fill(store, "old")
    other = path.with_name("other")
    other.write_bytes(content)
    os.replace(other, path)
    for call in _CALLS:
        with pytest.raises(docstore.BackendError):
            call(store)
    assert path.read_bytes() == content


def test_the_turn_to_write_follows_its_file(store: docstore.Store, path: Path) -> None:
    """The side file that writers queue at may be removed, too: no two of them write at once."""
    _fill(store, "old", 1)
    lock = path.with_name(f"{path.name}-lock")
    before = lock.stat().st_ino
    shutil.copy(lock, kept := path.with_name("kept"))
    os.replace(kept, lock)
    _fill(store, "new", 1)
    held = lock_of(str(path))._file
    assert held is not None
    assert os.fstat(held).st_ino == lock.stat().st_ino != before


@pytest.mark.parametrize(
    "form",
    ["file:{}?mode=ro&uri=true", "file://localhost{}?mode=ro&uri=true", "{}?mode=ro", "{}?immutable=1"],
)
def test_a_url_of_sqlites_own_is_understood(path: Path, form: str) -> None:
    """Such a store is read, and written to by nobody."""
    _another(path, "old")
    with docstore.open(f"sqlite:///{form.format(path)}") as reader:
        assert _listed(reader, "old")[0] == 7
        with pytest.raises(docstore.ReadOnlyStore, match="its URL says"):
            reader.documents.add(filename="a", content="b")


@pytest.mark.parametrize(
    "rest", ["mode=maybe", "cache=shared&uri=true", "vfs=unix-none&uri=true", "immutable=2"]
)
def test_what_a_url_may_not_say_is_refused(path: Path, rest: str) -> None:
    """By name, and nothing is made."""
    with pytest.raises(docstore.BackendError, match=rest.partition("=")[0]):
        docstore.open(f"sqlite:///file:{path}?{rest}")
    assert not path.exists()


def test_a_url_of_sqlites_own_writes_to_the_file_it_names(path: Path) -> None:
    """Percent escapes are read, and no file of the address' own name is made."""
    named = path.with_name("a b%.db")
    with docstore.open(f"sqlite:///file:{path.parent}/a%20b%25.db?mode=rwc&uri=true") as store:
        _fill(store, "old", 1)
    assert {one.name for one in path.parent.iterdir()} == {named.name, f"{named.name}-lock"}

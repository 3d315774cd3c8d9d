"""SQLite where nothing may be written: a folder, a file, a log that cannot be read. Done as another user."""

from __future__ import annotations

import os
import pickle
import select
import shutil
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import docstore

_NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user may look into, but not write to."""
    made = Path(tempfile.mkdtemp(prefix="docstore-read-"))
    try:
        yield made
    finally:
        made.chmod(0o755)
        shutil.rmtree(made)


def _as_reader(work: Callable[[], Any]) -> Any:
    """Run ``work`` in a child that may only read what is closed to its user, and return what it returned."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(_NOBODY)
                os.setuid(_NOBODY)
            answer: Any = work()
        except BaseException as error:
            answer = error if isinstance(error, docstore.DocstoreError) else traceback.format_exc()
        with os.fdopen(sending, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        answer = pickle.load(pipe)
    os.waitpid(child, 0)
    if isinstance(answer, docstore.DocstoreError):
        raise answer
    assert not (isinstance(answer, str) and answer.startswith("Traceback")), answer
    return answer


def _fill(store: docstore.Store, count: int = 5) -> None:
    store.documents.add_many(
        {"filename": f"{at}.txt", "content": "some words", "metadata": {"a": at}} for at in range(count)
    )


def _close(folder: Path) -> None:
    for one in folder.iterdir():
        one.chmod(0o444)
    folder.chmod(0o555)


def _read(store: docstore.Store) -> list[int]:
    """Ask in several ways, and return how many documents each found; then try to write."""
    found = [
        store.documents.count(),
        len(store.documents.find({"metadata.a": {"$gte": 0}}, search="words", sort="metadata.a").items),
        len(list(store.documents.iterate(include={"content"}))),
        sum(store.documents.count_by("metadata.a").values()),
    ]
    assert store.check().ok
    with pytest.raises(docstore.ReadOnlyStore):
        store.documents.add(filename="a", content="b")
    with pytest.raises(docstore.ReadOnlyStore):
        store.collect()
    return found


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'docstore.db'}"


@pytest.mark.parametrize("said", [True, False])
def test_a_folder_that_may_not_be_written_to(folder: Path, said: bool) -> None:
    """Every read works, whether it was said or is found out; nothing is made beside the file."""
    with docstore.open(_url(folder)) as store:
        _fill(store)
    (folder / "docstore.db-lock").unlink()
    _close(folder)

    def work() -> list[int]:
        with docstore.open(_url(folder), read_only=said) as store:
            return _read(store)

    assert _as_reader(work) == [5, 5, 5, 5]
    assert [one.name for one in folder.iterdir()] == ["docstore.db"]


def test_a_file_that_may_not_be_written_to(folder: Path) -> None:
    """In a folder that may: the store is read-only, and the error says which file."""
    with docstore.open(_url(folder)) as store:
        _fill(store)
    (folder / "docstore.db").chmod(0o444)
    folder.chmod(0o777)

    def work() -> list[int]:
        with docstore.open(_url(folder)) as store:
            with pytest.raises(docstore.ReadOnlyStore, match=r"docstore\.db may not be written to"):
                store.documents.delete_many({})
            return _read(store)

    assert _as_reader(work) == [5, 5, 5, 5]


def test_commits_in_the_log_of_an_open_writer_are_read(folder: Path) -> None:
    """Those made before the reader opens the store, and those made after."""
    asked, told = os.pipe(), os.pipe()
    with docstore.open(_url(folder)) as writer:
        _fill(writer)
        assert (folder / "docstore.db-wal").stat().st_size
        for one in folder.iterdir():
            one.chmod(0o644)
        folder.chmod(0o755)

        def work() -> list[Any]:
            with docstore.open(_url(folder)) as store:
                first = _read(store)
                os.write(asked[1], b".")
                os.read(told[0], 1)
                return [first, _read(store)]

        writing = _when_asked(asked[0], told[1], lambda: _fill(writer, 2))
        assert _as_reader(work) == [[5, 5, 5, 5], [7, 7, 7, 7]]
        writing()


def _when_asked(asked: int, told: int, work: Callable[[], Any]) -> Callable[[], None]:
    """Do something in this process, in a thread, as soon as the child asks for it."""

    def run() -> None:
        if select.select([asked], [], [], 10)[0]:  # else the child has failed before
            work()
            os.write(told, b".")

    thread = threading.Thread(target=run)
    thread.start()
    return thread.join


@pytest.mark.parametrize("closes", [True, False])
def test_a_writer_that_comes_later_is_seen(folder: Path, closes: bool) -> None:
    """A file read alone, as nothing could be made beside it, is read with its log once there is one."""
    with docstore.open(_url(folder)) as store:
        _fill(store)
    folder.chmod(0o755)
    asked, told = os.pipe(), os.pipe()
    opened: list[docstore.Store] = []

    def write() -> None:
        writer = docstore.open(_url(folder))
        opened.append(writer)
        _fill(writer, 2)
        if closes:
            writer.close()

    def work() -> list[Any]:
        with docstore.open(_url(folder)) as store:
            first = _read(store)
            os.write(asked[1], b".")
            os.read(told[0], 1)
            return [first, _read(store)]

    writing = _when_asked(asked[0], told[1], write)
    try:
        assert _as_reader(work) == [[5, 5, 5, 5], [7, 7, 7, 7]]
    finally:
        writing()
        for writer in opened:
            writer.close()


def _killed(folder: Path) -> None:
    """Leave a store as a writer leaves it that is killed: its commits in the log alone."""
    child = os.fork()
    if not child:
        store = docstore.open(_url(folder))
        _fill(store)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (folder / "docstore.db-wal").stat().st_size
    assert (folder / "docstore.db-shm").exists()


def _opened(folder: Path, **options: Any) -> list[int]:
    with docstore.open(_url(folder), **options) as store:
        return _read(store)


def test_the_log_of_a_killed_writer_is_read_whole(folder: Path) -> None:
    """As long as all three files are there."""
    _killed(folder)
    _close(folder)
    assert _as_reader(lambda: _opened(folder)) == [5, 5, 5, 5]


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("lacks", ["index", "permission"])
def test_a_log_that_cannot_be_read_is_an_error(folder: Path, lacks: str, said: bool) -> None:
    """Never fewer rows: the error names the log, and says what to do."""
    _killed(folder)
    _close(folder)
    if lacks == "index":
        folder.chmod(0o755)
        (folder / "docstore.db-shm").unlink()
        folder.chmod(0o555)
    else:
        (folder / "docstore.db-wal").chmod(0o000)
    with pytest.raises(docstore.BackendError, match="-wal") as refused:
        _as_reader(lambda: _opened(folder, read_only=said))
    assert not isinstance(refused.value, docstore.ReadOnlyStore)


def test_immutable_does_not_leave_out_a_log(folder: Path) -> None:
    """Not even where the URL says so."""
    _killed(folder)
    with pytest.raises(docstore.BackendError, match="-wal"):
        docstore.open(f"sqlite:///file:{folder}/docstore.db?immutable=1&uri=true")


def test_reading_alone_beside_a_writer(folder: Path) -> None:
    """With read_only=True where writing would be allowed, every commit of the writer is seen at once."""
    with docstore.open(_url(folder)) as writer:
        _fill(writer)
        with docstore.open(_url(folder), read_only=True) as reader:
            assert _read(reader) == [5, 5, 5, 5]
            _fill(writer, 2)
            assert _read(reader) == [7, 7, 7, 7]
        _fill(writer, 1)
        assert writer.documents.count() == 8


def test_an_older_or_missing_store_is_not_made(folder: Path) -> None:
    """A database that is none of ours, in a folder that is closed, is refused by name."""
    (folder / "docstore.db").touch()
    _close(folder)
    with pytest.raises(docstore.UpgradeNeeded):
        _as_reader(lambda: _opened(folder))
    assert [one.name for one in folder.iterdir()] == ["docstore.db"]

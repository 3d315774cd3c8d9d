"""Full disks, failing syncs and bad sources: a named error, nothing visible, and the store works on."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

import docstore
from docstore.errors import BackendError, BlobError, SizeMismatch
from docstore.testing.faulty_filesystem import Faults, faulty_blobs
from docstore.testing.servers import PostgresServer
from tests.kit.crashes import Child

MIB = 1_048_576
NEW = b"new"


class Stream:
    """A source without a name that yields so many bytes and then raises, ends, or never ends."""

    def __init__(self, size: int | None, failure: Exception | None = None) -> None:
        self.left = size
        self.given = 0
        self.failure = failure

    def read(self, amount: int) -> bytes:
        if self.left is not None:
            amount = min(amount, self.left)
            self.left -= amount
        if not amount and self.failure is not None:
            raise self.failure
        self.given += amount
        return b"x" * amount


def is_whole(store: docstore.Store, count: int = 1) -> None:
    """Nothing is visible but what was there, no bytes are left, and the store takes the next document."""
    assert count == store.documents.count()
    store.collect(0)
    store.collect(0)
    assert count == len(list(store._context.bytes().list()))
    assert b"next" == store.documents.read_bytes(store.documents.add(b"next", id="next").id)
    assert () == store.check("hash", grace=0).findings
    store.documents.delete("next")


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB])
def test_a_source_that_raises(store: docstore.Store, size: int) -> None:
    """At byte k, in add, replace and within a transaction: its own exception arrives, unchanged."""
    old = store.documents.add(b"old")
    failure = ZeroDivisionError("mine")
    for call in (
        lambda: store.documents.add(Stream(size, failure)),
        lambda: store.documents.update(old.id, source=Stream(size, failure)),
    ):
        with pytest.raises(ZeroDivisionError) as caught:
            call()
        assert failure is caught.value
    with store.transaction(), pytest.raises(ZeroDivisionError):
        store.documents.add(Stream(size, failure))
    assert b"old" == store.documents.read_bytes(old.id)
    is_whole(store)


@pytest.mark.parametrize("size", [0, 5, None])
def test_a_source_that_lies(store: docstore.Store, size: int | None) -> None:
    """One that is shorter, longer or never ends is SizeMismatch; it is not read beyond what was said, and
    one byte.
    """
    store.documents.add(b"old")
    for said in (3, MIB):
        source = Stream(size)
        with pytest.raises(SizeMismatch):
            store.documents.add(source, size=said)
        assert source.given <= said + 1
    is_whole(store)


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def in_child(work: Callable[[], None]) -> None:
    """Run ``work`` in a process of its own, whose limits are its own."""
    child = Child(lambda tell: work())
    assert 0 == child.wait()
    child.close()


def test_a_full_disk_for_the_bytes(sqlite_url: str, tmp_path: Path) -> None:
    """Bytes that do not fit are a BlobError; nothing of them is left; smaller ones go in at once."""

    def work() -> None:
        with docstore.open(sqlite_url, blobs=tmp_path / "files") as store:
            old = store.documents.add(b"old")
            with files_at_most(4 * MIB):
                for call in (
                    lambda: store.documents.add(Stream(8 * MIB)),
                    lambda: store.documents.update(old.id, source=Stream(8 * MIB)),
                ):
                    with pytest.raises(BlobError, match=r"too large|No space"):
                        call()
                is_whole(store)
            assert b"old" == store.documents.read_bytes(old.id)

    in_child(work)


def test_a_full_disk_for_the_database(sqlite_url: str, tmp_path: Path) -> None:
    """Rows that do not fit are a BackendError; nothing of them is left; with room again all works."""

    def work() -> None:
        with docstore.open(sqlite_url, blobs=tmp_path / "files") as store:
            store.documents.add(b"old")
            log = os.path.getsize(f"{tmp_path / 'docstore.db'}-wal")
            with files_at_most(log + 300_000):
                with pytest.raises(BackendError, match=r"full|disk I/O"):
                    store.documents.add_many({"content": "word " * 100_000} for _ in range(10))
                assert 1 == store.documents.count()
            is_whole(store)

    in_child(work)


def test_a_full_database_of_sqlite(sqlite_url: str, tmp_path: Path) -> None:
    """SQLITE_FULL in an add, a replace, a batch or a transaction: a BackendError that says so, nothing of the
    call is left, what is there is read, and with room again all works.
    """
    with docstore.open(sqlite_url, blobs=tmp_path / "files") as store:
        old = store.documents.add(b"old")
        text = "word " * 20_000
        for call in (
            lambda: store.documents.add(NEW, content=text),
            lambda: store.documents.update(old.id, source=NEW, content=text),
            lambda: store.documents.add_many({"source": NEW, "content": text} for _ in range(10)),
            lambda: within(store, lambda: store.documents.add(NEW, content=text)),
        ):
            with pages_at_most(store, 0):
                with pytest.raises(BackendError, match="full"):
                    call()
                assert b"old" == store.documents.read_bytes(old.id)
            is_whole(store)


def within(store: docstore.Store, call: Callable[[], object]) -> None:
    """Make a call part of a transaction that adds something else before."""
    with store.transaction():
        store.documents.add(NEW)
        call()


@contextmanager
def pages_at_most(store: docstore.Store, more: int) -> Iterator[None]:
    """Let the database have so many pages more than now, on whichever connection."""
    backend = store._context.backend
    with backend.write() as session:
        session.cursor.execute("PRAGMA page_count")  # type: ignore[attr-defined]
        pages = session.cursor.fetchone()[0]  # type: ignore[attr-defined]

    def limit(most: int) -> None:
        with backend.write() as session:
            session.cursor.execute(f"PRAGMA max_page_count = {most}")  # type: ignore[attr-defined]

    limit(pages + more)
    try:
        yield
    finally:
        limit(1_073_741_823)


FULL = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
END $$
"""


@pytest.mark.parametrize("table", ["document", "content", "blob", "tally"])
def test_a_full_database_of_postgres(postgres_url: str, tmp_path: Path, table: str) -> None:
    """disk_full (53100) at whichever table: a BackendError that may be tried again, nothing of the call is
    left, and with room again all works.
    """
    with docstore.open(postgres_url, blobs=tmp_path / "files") as store:
        old = store.documents.add(b"old")
        with psycopg.connect(postgres_url, autocommit=True) as owner:
            owner.execute(FULL)
            on = f"ON docstore_{table} FOR EACH STATEMENT EXECUTE FUNCTION no_room()"
            owner.execute(f"CREATE TRIGGER full_disk AFTER INSERT OR UPDATE {on}".encode())
        for call in (
            lambda: store.documents.add(NEW, content="text"),
            lambda: store.documents.add_many({"source": NEW, "content": "text"} for _ in range(10)),
            lambda: within(store, lambda: store.documents.add(NEW, content="text")),
        ):
            with pytest.raises(BackendError, match="No space left") as caught:
                call()
            assert (True, False) == (caught.value.retryable, caught.value.outcome_unknown)
            assert b"old" == store.documents.read_bytes(old.id)
            assert 1 == store.documents.count()
        with psycopg.connect(postgres_url, autocommit=True) as owner:
            owner.execute(f"DROP TRIGGER full_disk ON docstore_{table}".encode())
        is_whole(store)


def test_a_small_disk_of_postgres(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """A tablespace of 24 MiB fills up: a BackendError, what was acknowledged is there, and with room again
    all works.
    """
    disk = Path(tempfile.mkdtemp(prefix="small-disk-", dir=postgres_server.folder))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        return  # an ordinary user, or a container: what stands above has to do
    owner = postgres_server.folder.joinpath("data").stat()
    os.chown(disk, owner.st_uid, owner.st_gid)
    postgres_server.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
    url = postgres_server.create_database()
    try:
        options = {"options": "-c default_tablespace=small"}
        with docstore.open(url, blobs=tmp_path / "files", connect_args=options) as store:
            added: list[str] = []
            with pytest.raises(BackendError, match="No space left") as caught:  # noqa: PT012
                while True:
                    metadata = {"text": random.Random(len(added)).randbytes(100_000).hex()}
                    added.append(store.documents.add(NEW, metadata=metadata).id)
            assert caught.value.retryable
            assert len(added) > 5
            assert added == [one.id for one in store.documents.iterate()]
            subprocess.run(["mount", "-o", "remount,size=128m", disk], check=True)
            is_whole(store, len(added))
    finally:
        postgres_server.drop_database(url)
        postgres_server.execute("DROP TABLESPACE small")
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize("place", ["s3", "filesystem"])
def test_a_full_storage(
    sqlite_url: str, tmp_path: Path, place: str, s3_blobs: Callable[..., docstore.Blobs]
) -> None:
    """Where any request that writes says ENOSPC, for small bytes and large: a BlobError whose cause says so,
    nothing is left, and with room again all works.
    """
    base = s3_blobs() if place == "s3" else docstore.Blobs(tmp_path / "files")
    calls = {"put_object", "create_multipart_upload", "upload_part", "complete_multipart_upload"}
    calls |= {"open", "write", "close"}
    for size, number in ((3, 1), (2 * MIB, 1), (2 * MIB, 2), (2 * MIB, 3)):
        faults = Faults(number, only=calls, times=100, error=lambda: OSError(errno.ENOSPC, "No space left"))
        full = faulty_blobs(base._url, faults, **base._options)
        with docstore.open(sqlite_url, blobs=base) as plain, docstore.open(sqlite_url, blobs=full) as store:
            with pytest.raises(BlobError, match="No space left") as caught:
                store.documents.add(Stream(size))
            assert isinstance(caught.value.__cause__, OSError)
            assert errno.ENOSPC == caught.value.__cause__.errno
            assert faults.fired
            is_whole(plain, 0)
            assert [] == [*plain._context.bytes().unfinished()]


def test_a_small_disk(tmp_path: Path) -> None:
    """A tmpfs of 4 MiB fills up under bytes and database: a named error; with room again, what was
    acknowledged is there.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        return  # an ordinary user, or a container: what stands above has to do
    try:
        with docstore.open(f"sqlite:///{disk / 'docstore.db'}", blobs=disk / "files") as store:
            added: list[str] = []
            with pytest.raises((BlobError, BackendError)):  # noqa: PT012 - it is the one that does not fit
                while True:
                    added.append(store.documents.add(Stream(300_000)).id)
            assert len(added) > 5
            assert added == [one.id for one in store.documents.iterate()]
            grown = ["mount", "-o", "remount,size=16m", disk]
            subprocess.run(grown, check=True)  # a delete, too, needs room for its log
            is_whole(store, len(added))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_sync_that_fails(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO from each fsync of an add and a replace in turn: BlobError, the old bytes stay, nothing is left."""
    real, state = os.fsync, {"left": 0}

    def fsync(file: int) -> None:
        state["left"] -= 1
        if state["left"] == 0:
            raise OSError(errno.EIO, "injected")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with docstore.open(sqlite_url, blobs=tmp_path / "files") as store:
        old = store.documents.add(b"old")
        at = 0
        while True:
            at += 1
            state["left"] = at
            try:
                store.documents.update(old.id, source=b"new")
            except BlobError:
                state["left"] = 0
                assert b"old" == store.documents.read_bytes(old.id)
                is_whole(store)
            else:
                break
        assert at > 2

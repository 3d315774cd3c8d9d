"""Backup: a consistent copy in a folder that docstore.open opens, resumable, verified."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore.blobs import Blobs


def fill(store: docstore.Store) -> list[str]:
    """Add what a store may hold; return the ids of the documents."""
    ids = [store.documents.add(b"%d" % n, filename=f"{n}", metadata={"n": n}).id for n in range(5)]
    store.documents.add(b"first", filename="v", external_id="e", owner="o", tenant="t")
    store.documents.add(b"second", filename="v", external_id="e", owner="o", tenant="t")
    store.documents.complete(ids[0], content="words of the text")
    store.extractions.add(ids[1], {"a": 1})
    store.documents.delete(ids.pop())
    return ids


def test_a_backup_is_opened_by_its_folder(store: docstore.Store, tmp_path: Path) -> None:
    """Documents, versions, contents, extractions and bytes are there, and no remains of what was deleted; it
    is a store as any other.
    """
    ids = fill(store)
    report = store.backup(tmp_path / "backup")
    assert (report.documents, report.extractions, report.objects, report.copied) == (6, 1, 6, 6)
    with docstore.open(tmp_path / "backup") as copy:
        for one in store.documents.iterate(latest_only=False, include={"content"}):
            scope = copy if one.tenant is None else copy.scoped(tenant=one.tenant)
            same = scope.documents.get(one.id, include={"content"})
            assert same.model_dump(exclude={"number"}) == one.model_dump(exclude={"number"})
            assert scope.documents.read_bytes(one.id) == store.documents.read_bytes(one.id)
        assert copy.documents.count({}, search="words") == 1
        assert [one.results for one in copy.extractions.iterate()] == [{"a": 1}]
        assert copy.check("hash").ok
        assert copy.stats().store_id == store.stats().store_id
        copy.documents.add(b"goes on", filename="x")
        assert copy.collect(0).refused == ""
    with docstore.open(str(tmp_path / "backup"), read_only=True) as copy:
        assert copy.documents.count() == 6
        assert copy.documents.read_bytes(ids[0]) == b"0"


def test_a_second_backup_brings_what_is_new(store: docstore.Store, tmp_path: Path) -> None:
    """Objects that are there are not brought again, those that nobody needs go, and damage shows."""
    ids = fill(store)
    folder = tmp_path / "backup"
    store.backup(folder)
    store.documents.delete(ids[0])
    store.documents.add(b"new", filename="x")
    report = store.backup(folder)
    assert (report.documents, report.objects, report.copied, report.bytes) == (6, 6, 1, 3)
    assert len(list(Blobs(folder / "files").list())) == 6
    damaged = next(path for path in (folder / "files").rglob("[!.]*") if path.is_file())
    damaged.write_bytes(b"!" * damaged.stat().st_size)
    with pytest.raises(docstore.BlobError, match="not sound"):
        store.backup(folder)


@pytest.mark.parametrize("after", [0, 3])
def test_a_backup_that_was_broken_off_goes_on(
    store: docstore.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The earlier one is as it was until the new one is whole; the same call goes on."""
    fill(store)
    folder = tmp_path / "backup"
    store.backup(folder)
    store.documents.add_many({"source": b"more %d" % n, "filename": "x"} for n in range(8))
    write, left = Blobs.write, [after]

    class Died(BaseException):
        pass

    def dying(self: Blobs, *given: Any, **told: Any) -> Any:
        if self.location == str(folder / "files"):
            if not left[0]:
                raise Died
            left[0] -= 1
        return write(self, *given, **told)

    monkeypatch.setattr(Blobs, "write", dying)
    with pytest.raises(Died):
        store.backup(folder)
    monkeypatch.undo()
    with docstore.open(folder, read_only=True) as copy:
        assert copy.documents.count(latest_only=False) == 6
        assert {one.kind for one in copy.check("hash").findings} <= {"extra"}
    report = store.backup(folder)
    assert (report.documents, report.objects) == (14, 14)
    assert report.copied <= 8
    with docstore.open(folder) as copy:
        assert copy.check("hash").ok


def test_a_backup_is_of_one_instant(store: docstore.Store, tmp_path: Path) -> None:
    """Beside writers, deleters and a collector at grace 0: each backup is sound, and has of each transaction
    both documents or neither. The collector rests now and then: a backup tries five times.
    """
    stop = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            number = 0
            while not stop.is_set():
                number += 1
                with store.transaction():
                    pair = [
                        store.documents.add(b"%d" % number, filename="x", metadata={"pair": number}).id
                        for _ in range(2)
                    ]
                if number % 2:
                    with store.transaction():
                        for id in pair:
                            store.documents.delete(id)
                if number % 8 == 0:
                    store.collect(0)
                    stop.wait(0.02)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for n in range(3):
            store.backup(tmp_path / f"backup-{n}")
    finally:
        stop.set()
        thread.join()
    assert failures == []
    for n in range(3):
        with docstore.open(tmp_path / f"backup-{n}") as copy:
            assert copy.check("hash").ok
            assert set(copy.documents.count_by("metadata.pair").values()) <= {2}


def test_a_folder_with_something_else_is_refused(store: docstore.Store, tmp_path: Path) -> None:
    """A folder of other files, of another store's backup, the store's own, or a file: named, and left."""
    fill(store)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README").write_bytes(b"x")
    with docstore.open("memory://") as another:
        another.backup(tmp_path / "anothers")
    for path in (tmp_path / "other", tmp_path / "anothers", tmp_path / "other" / "README", tmp_path):
        with pytest.raises(docstore.BackendError, match="folder"):
            store.backup(path)
    assert [one.name for one in (tmp_path / "other").iterdir()] == ["README"]
    with pytest.raises(docstore.ScopeError):
        store.scoped(tenant="t").backup(tmp_path / "new")


def test_bytes_that_are_missing_are_an_error(store: docstore.Store, tmp_path: Path) -> None:
    """A backup of a damaged store says what is damaged, and leaves the earlier one."""
    ids = fill(store)
    store.backup(tmp_path / "backup")
    lost = Path(store.documents.locations(ids[:1])[ids[0]])
    body = lost.read_bytes()
    lost.unlink()
    store.backup(tmp_path / "backup")  # it has these bytes already
    with pytest.raises(docstore.BlobMissing):
        store.backup(tmp_path / "new")
    lost.write_bytes(body)
    assert store.backup(tmp_path / "new").objects == 6


def test_the_asynchronous_store_is_backed_up_alike(tmp_path: Path, sqlite_url: str) -> None:
    """The same call, awaited."""

    async def main() -> None:
        async with docstore.open_async(sqlite_url, blobs=tmp_path / "files") as store:
            await store.documents.add(b"x", filename="x")
            report = await store.backup(tmp_path / "backup")
            assert (report.documents, report.copied) == (1, 1)
        async with docstore.open_async(tmp_path / "backup") as copy:
            assert await copy.documents.count() == 1

    asyncio.run(main())

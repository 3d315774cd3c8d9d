"""Looking after an asynchronous store: the same findings and repairs, and the loop goes on meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import docstore
from docstore.blobs import new_key
from docstore.maintenance import CollectReport

Run = Callable[[Callable[[docstore.AsyncStore], Awaitable[Any]]], Any]


def files(folder: Path) -> list[Path]:
    """Return the stored files, without the root's mark."""
    return sorted(path for path in folder.rglob("[!.]*") if path.is_file())


def test_lost_bytes_are_copied_from_a_twin(run: Run, tmp_path: Path) -> None:
    """A document whose object is gone gets the bytes of another that had the same."""

    async def test(store: docstore.AsyncStore) -> None:
        made = [await store.documents.add(b"twin", filename=name) for name in "ab"]
        files(tmp_path / "files")[0].unlink()
        report = await store.check("hash")
        assert ["missing"] == [finding.kind for finding in report.findings]
        repaired = await store.repair(report, dry_run=False)
        assert [("copy", True)] == [(action.verb, action.done) for action in repaired.actions]
        assert [b"twin"] * 2 == [await store.documents.read_bytes(one.id) for one in made]
        assert (await store.check("hash", grace=3600)).ok

    run(test)


def test_what_no_row_knows_is_put_aside_or_collected(run: Run, tmp_path: Path) -> None:
    """Quarantine by repair, removal by collection."""

    async def test(store: docstore.AsyncStore) -> None:
        for _ in range(11):
            await store.documents.add(b"known", filename="x")
        folder = tmp_path / "files"
        key = new_key()
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(b"unknown")
        report = await store.check(grace=0)
        assert ["extra"] == [finding.kind for finding in report.findings]
        await store.repair(report, dry_run=False)
        assert b"unknown" == (folder / "quarantine" / key).read_bytes()
        (folder / key).write_bytes(b"unknown")
        assert CollectReport(young=1) == await store.collect()
        assert CollectReport(orphans=1, emptied=1) == await store.collect(0)

    run(test)


@pytest.mark.parametrize("url", ["sqlite-file"], indirect=True)
def test_a_check_of_every_byte_does_not_stop_the_loop(
    run: Run, turning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are read in threads, however slow the storage is."""
    went_on: list[bool] = []
    opening = docstore.Blobs.open

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add(b"x" * 3_000_000, filename="x")
        root = await store._shell.root()
        assert root.blobs is not None
        async with turning() as goes_on:
            watched = _watched(opening, lambda: went_on.append(goes_on()))
            monkeypatch.setattr(type(root.blobs), "open", watched)
            report = await store.check("hash")
        assert (True, 3_000_000) == (report.ok, report.bytes)
        assert len(went_on) >= 3
        assert all(went_on)

    run(test)


def _watched(opening: Callable[..., BinaryIO], before: Callable[[], object]) -> Callable[..., Any]:
    """Let something happen before each read of an opened file."""

    class Watched:
        def __init__(self, file: BinaryIO) -> None:
            self._file = file

        def read(self, amount: int) -> bytes:
            before()
            return self._file.read(amount)

    @contextmanager
    def opened(*arguments: Any, **keywords: Any) -> Iterator[Watched]:
        with opening(*arguments, **keywords) as file:
            yield Watched(file)

    return opened

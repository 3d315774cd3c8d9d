"""Indexing a folder into a store, on every backend: what is added, what is left, what is reported."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

import docstore
from docstore.cli import indexing, reading
from docstore.cli.indexing import Event, Indexer, IndexOptions, index_folder
from docstore.cli.walk import WalkOptions

FILES = {
    "a.txt": b"first words",
    "b/c.md": b"# second words",
    "b/empty.txt": b"",
    "b/scan.pdf": b"%PDF-",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of four files, one of them without text."""
    for name, content in FILES.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "folder"


def run(store: docstore.Store, folder: Path, **options: object) -> dict[str, str]:
    """Index and return the outcome of each file by name."""
    events: list[Event] = []
    index_folder(store, folder, IndexOptions(**options), on_event=events.append)  # type: ignore[arg-type]
    return {event.name: event.outcome for event in events}


def test_every_file_becomes_a_document(store: docstore.Store, folder: Path) -> None:
    """Bytes, text, name, path and status are stored; what should have text and has none is failed."""
    assert run(store, folder) == {
        "a.txt": "added", "b/c.md": "added", "b/empty.txt": "added", "b/scan.pdf": "failed",
    }  # fmt: skip
    found = store.documents.find(sort="external_id", include={"content"}).items
    assert [
        (d.external_id, d.filename, d.file_type, d.status, d.content, d.content_state, d.version, d.size)
        for d in found
    ] == [
        ("a.txt", "a.txt", "text", "completed", "first words", "complete", 1, 11),
        ("b/c.md", "c.md", "text", "completed", "# second words", "complete", 1, 14),
        ("b/empty.txt", "empty.txt", "text", "completed", None, "none", 1, 0),
        ("b/scan.pdf", "scan.pdf", "pdf", "failed", None, None, 1, 5),
    ]
    assert [None, None, "the file is empty (0 bytes)", None] == [d.content_note for d in found]
    assert "cannot read as application/pdf; damaged or truncated?" in (found[3].error or "")
    assert [store.documents.read_bytes(d.id) for d in found] == list(FILES.values())
    assert [d.processed_at is not None for d in found] == [True, True, True, False]


def test_metadata_says_where_a_document_came_from(store: docstore.Store, folder: Path) -> None:
    """`metadata.source` holds path, folder, size, time of change (twice) and sha256."""
    os.utime(folder / "b/c.md", ns=(0, 1_767_268_800_123_456_789))
    run(store, folder)
    document = store.documents.get_by_external_id("b/c.md")
    assert document.metadata == {
        "source": {
            "path": "b/c.md",
            "folder": "b",
            "size": 14,
            "mtime_ns": 1_767_268_800_123_456_789,
            "modified": "2026-01-01T12:00:00.123456Z",
            "sha256": hashlib.sha256(b"# second words").hexdigest(),
        }
    }


def test_a_second_run_reads_nothing(
    store: docstore.Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the same size and time are unchanged, and not even opened."""
    run(store, folder)
    monkeypatch.setattr(indexing, "read_file", lambda *_: pytest.fail("a file was read again"))
    assert set(run(store, folder).values()) == {"unchanged"}
    assert store.documents.count(latest_only=False) == 4


def test_a_changed_file_becomes_a_new_version(store: docstore.Store, folder: Path) -> None:
    """The new bytes are version 2 and the latest; version 1 keeps its own; the others are left alone."""
    run(store, folder)
    (folder / "a.txt").write_bytes(b"other words")
    os.utime(folder / "a.txt", ns=(0, 5))
    assert run(store, folder) == {
        "a.txt": "changed", "b/c.md": "unchanged", "b/empty.txt": "unchanged", "b/scan.pdf": "unchanged",
    }  # fmt: skip
    versions = store.documents.versions("a.txt")
    assert {d.version: store.documents.read_bytes(d.id) for d in versions} == {
        1: b"first words", 2: b"other words",
    }  # fmt: skip
    assert [d.is_latest for d in sorted(versions, key=lambda d: d.version)] == [False, True]


def test_a_touched_file_is_no_new_version(store: docstore.Store, folder: Path) -> None:
    """Same bytes at another time: unchanged, the new time is noted, `updated_at` stays."""
    run(store, folder)
    before = store.documents.get_by_external_id("a.txt")
    os.utime(folder / "a.txt", ns=(0, 5))
    assert run(store, folder)["a.txt"] == "unchanged"
    after = store.documents.get_by_external_id("a.txt")
    assert (after.id, after.version, after.updated_at) == (before.id, 1, before.updated_at)
    assert after.metadata["source"]["mtime_ns"] == 5


def test_a_new_file_is_all_that_is_added(store: docstore.Store, folder: Path) -> None:
    """A file that came since is added; one that went stays in the store."""
    run(store, folder)
    (folder / "new.txt").write_text("new")
    (folder / "a.txt").unlink()
    assert run(store, folder) == {
        "b/c.md": "unchanged", "b/empty.txt": "unchanged", "b/scan.pdf": "unchanged", "new.txt": "added",
    }  # fmt: skip
    assert store.documents.count() == 5


def test_a_run_that_was_stopped_goes_on(
    store: docstore.Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written before the stop is unchanged, the rest is added: each file once."""
    monkeypatch.setattr(indexing, "_BATCH", 1)
    events = Indexer(store, IndexOptions()).run(folder)
    assert [next(events).name, next(events).name] == ["a.txt", "b/c.md"]
    del events
    assert run(store, folder) == {
        "a.txt": "unchanged", "b/c.md": "unchanged", "b/empty.txt": "added", "b/scan.pdf": "failed",
    }  # fmt: skip
    assert store.documents.count(latest_only=False) == 4


def test_a_document_left_pending_is_finished(store: docstore.Store, folder: Path) -> None:
    """A document that was added and never processed is completed by the next run, as the same version."""
    left = store.documents.add(folder / "a.txt", external_id="a.txt")
    assert run(store, folder)["a.txt"] == "changed"
    document = store.documents.get(left.id, include={"content"})
    assert (document.status, document.content, document.version) == ("completed", "first words", 1)


def test_failed_texts_are_read_again_when_asked(store: docstore.Store, folder: Path) -> None:
    """With `retry_failed` and an extractor that can, the same version is completed."""
    from docstore.extract import builtin

    run(store, folder)
    assert run(store, folder, retry_failed=True)["b/scan.pdf"] == "failed"
    registry = builtin()
    registry.register("application/pdf", lambda source: f"a picture, {source.filename}")
    assert run(store, folder, retry_failed=True, registry=registry)["b/scan.pdf"] == "changed"
    document = store.documents.get_by_external_id("b/scan.pdf")
    assert (document.status, document.error, document.version) == ("completed", None, 1)
    assert document.preview == "a picture, scan.pdf"


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of files that may not be opened. (Root may open any file, so the refusal is put in.)"""
    refused: set[str] = set()
    really: Callable[..., BinaryIO] = open

    def opening(path: str, mode: str) -> BinaryIO:
        if os.path.basename(path) in refused:
            raise PermissionError(13, "Permission denied", path)
        return really(path, mode)

    monkeypatch.setattr(reading, "open", opening, raising=False)
    return refused


def test_an_unreadable_file_is_failed_and_the_run_goes_on(
    store: docstore.Store, folder: Path, unreadable: set[str]
) -> None:
    """It is an error of the run and a failed document without bytes; once readable, a new version."""
    unreadable.add("a.txt")
    assert run(store, folder)["a.txt"] == "error"
    document = store.documents.get_by_external_id("a.txt")
    assert (document.status, document.error, document.size, document.sha256) == (
        "failed", "cannot be read: Permission denied", None, None,
    )  # fmt: skip
    assert run(store, folder)["a.txt"] == "error"
    assert store.documents.count(latest_only=False) == 4
    unreadable.clear()
    assert run(store, folder)["a.txt"] == "changed"
    assert store.documents.get_by_external_id("a.txt").status == "completed"


def test_a_file_that_became_unreadable_keeps_its_text(
    store: docstore.Store, folder: Path, unreadable: set[str]
) -> None:
    """A good version is not hidden behind a failed one."""
    run(store, folder)
    os.utime(folder / "a.txt", ns=(0, 5))
    unreadable.add("a.txt")
    assert run(store, folder)["a.txt"] == "error"
    assert store.documents.get_by_external_id("a.txt").status == "completed"


def test_a_name_that_is_no_text_is_reported(store: docstore.Store, folder: Path) -> None:
    """A file name with a byte that is no UTF-8 is an error by name; the run goes on and stores the rest."""
    os.close(os.open(os.fsencode(folder) + b"/bad\xff.txt", os.O_CREAT | os.O_WRONLY))
    events: list[Event] = []
    counts = index_folder(store, folder, on_event=events.append)
    assert counts == {"added": 3, "failed": 1, "error": 1}
    (error,) = (event for event in events if event.outcome == "error")
    assert error.name == "bad\udcff.txt"
    assert error.reason == "InvalidDocument: the name is not UTF-8 at character 3; rename the file"
    assert store.documents.count() == 4


def test_one_file_that_cannot_be_stored_spoils_no_other(
    store: docstore.Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that changed between its reading and its writing is an error; the others are stored."""
    monkeypatch.setattr(reading, "_IN_MEMORY", 10)
    extract = reading.extract

    def changing(source: bytes | Path, **options: object) -> str:
        text = extract(source, **options)  # type: ignore[arg-type]
        if isinstance(source, Path) and source.name == "c.md":
            source.write_bytes(b"longer than it was before")
        return text

    monkeypatch.setattr(reading, "extract", changing)
    assert run(store, folder) == {
        "a.txt": "added", "b/c.md": "error", "b/empty.txt": "added", "b/scan.pdf": "failed",
    }  # fmt: skip
    assert store.documents.count() == 3
    assert run(store, folder)["b/c.md"] == "added"


def test_long_files_are_stored_from_their_path(
    store: docstore.Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file beyond what is held in memory is stored whole and the same."""
    monkeypatch.setattr(reading, "_IN_MEMORY", 3)
    run(store, folder)
    document = store.documents.get_by_external_id("a.txt")
    assert store.documents.read_bytes(document.id) == b"first words"
    assert document.sha256 == hashlib.sha256(b"first words").hexdigest()


def test_a_prefix_keeps_folders_apart(store: docstore.Store, folder: Path) -> None:
    """Two folders with the same paths are different documents under different prefixes."""
    assert run(store, folder, prefix="one/")["a.txt"] == "added"
    assert run(store, folder, prefix="two/")["a.txt"] == "added"
    assert store.documents.count({"external_id": {"$in": ["one/a.txt", "two/a.txt"]}}) == 2


def test_owners_have_documents_of_their_own(store: docstore.Store, folder: Path) -> None:
    """What one tenant or owner has indexed is new to another, and to nobody in particular."""
    for options in ({}, {"tenant": "north"}, {"tenant": "north", "owner": "ada"}, {"owner": "ada"}):
        assert run(store, folder, **options)["a.txt"] == "added"
        assert run(store, folder, **options)["a.txt"] == "unchanged"
    assert store.documents.count({"external_id": "a.txt", "version": 1}) == 4


def test_links_are_counted_and_left(store: docstore.Store, folder: Path) -> None:
    """A link is passed; followed, it is a file like any other."""
    os.symlink("a.txt", folder / "link.txt")
    assert run(store, folder)["link.txt"] == "passed"
    assert run(store, folder, walk=WalkOptions(follow=True))["link.txt"] == "added"


def test_more_files_than_a_batch(
    store: docstore.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look-ups and writes in batches lose no file at the seams."""
    monkeypatch.setattr(indexing, "_LOOKED_UP", 7)
    monkeypatch.setattr(indexing, "_BATCH", 5)
    many = tmp_path / "many"
    many.mkdir()
    for n in range(43):
        (many / f"{n:02}.txt").write_text(f"number {n}")
    assert index_folder(store, many) == {"added": 43}
    assert index_folder(store, many) == {"unchanged": 43}
    assert [d.filename for d in store.documents.iterate()] == [f"{n:02}.txt" for n in range(43)]

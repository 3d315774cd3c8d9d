"""Indexing a folder into a store, on every backend: what is added, what is left, what is reported."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

import docstore
from docstore.ingest import Event, WalkOptions, files, index_files, index_folder, indexer
from docstore.ingest.folders import MOST_KEY_BYTES

FILES = {
    "a.txt": b"first words",
    "b/c.md": b"# second words",
    "b/empty.txt": b"",
    "b/photo.png": b"\x89PNG\r\n",
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
    index_folder(store, folder, on_event=events.append, **options)  # type: ignore[arg-type]
    return {event.name: event.outcome for event in events}


def test_every_file_becomes_a_document(store: docstore.Store, folder: Path) -> None:
    """Bytes, text, name, path and status are stored; to have no text is a state, and no failure."""
    assert run(store, folder) == {
        "a.txt": "added", "b/c.md": "added", "b/empty.txt": "added", "b/photo.png": "added",
    }  # fmt: skip
    found = store.documents.find(sort="external_id", include={"content"}).items
    assert [
        (d.external_id, d.filename, d.file_type, d.status, d.content or None, d.version, d.size)
        for d in found
    ] == [
        ("folder/a.txt", "a.txt", "text", "completed", "first words", 1, 11),
        ("folder/b/c.md", "c.md", "text", "completed", "# second words", 1, 14),
        ("folder/b/empty.txt", "empty.txt", "text", "completed", None, 1, 0),
        ("folder/b/photo.png", "photo.png", "image", "completed", None, 1, 6),
    ]
    assert [store.documents.read_bytes(d.id) for d in found] == list(FILES.values())
    assert all(d.processed_at is not None for d in found)
    assert found[-1].content_state == "none"


def test_metadata_says_where_a_document_came_from(store: docstore.Store, folder: Path) -> None:
    """`metadata.source` holds path, folder, size, time of change (twice) and sha256."""
    os.utime(folder / "b/c.md", ns=(0, 1_767_268_800_123_456_789))
    run(store, folder)
    document = store.documents.get_by_external_id("folder/b/c.md")
    assert document.metadata == {
        "source": {
            "root": "folder",
            "root_path": str(folder),
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
    monkeypatch.setattr(indexer, "read_file", lambda *_: pytest.fail("a file was read again"))
    assert set(run(store, folder).values()) == {"unchanged"}
    assert store.documents.count(latest_only=False) == 4


def test_a_changed_file_becomes_a_new_version(store: docstore.Store, folder: Path) -> None:
    """The new bytes are version 2 and the latest; version 1 keeps its own; the others are left alone."""
    run(store, folder)
    (folder / "a.txt").write_bytes(b"other words")
    os.utime(folder / "a.txt", ns=(0, 5))
    assert run(store, folder) == {
        "a.txt": "changed", "b/c.md": "unchanged", "b/empty.txt": "unchanged", "b/photo.png": "unchanged",
    }  # fmt: skip
    versions = store.documents.versions("folder/a.txt")
    assert {d.version: store.documents.read_bytes(d.id) for d in versions} == {
        1: b"first words", 2: b"other words",
    }  # fmt: skip
    assert [d.is_latest for d in sorted(versions, key=lambda d: d.version)] == [False, True]


def test_a_touched_file_is_no_new_version(store: docstore.Store, folder: Path) -> None:
    """Same bytes at another time: unchanged, the new time is noted, `updated_at` stays."""
    run(store, folder)
    before = store.documents.get_by_external_id("folder/a.txt")
    os.utime(folder / "a.txt", ns=(0, 5))
    assert run(store, folder)["a.txt"] == "unchanged"
    after = store.documents.get_by_external_id("folder/a.txt")
    assert (after.id, after.version, after.updated_at) == (before.id, 1, before.updated_at)
    assert after.metadata["source"]["mtime_ns"] == 5


def test_a_new_file_is_all_that_is_added(store: docstore.Store, folder: Path) -> None:
    """A file that came since is added; one that went stays in the store."""
    run(store, folder)
    (folder / "new.txt").write_text("new")
    (folder / "a.txt").unlink()
    assert run(store, folder) == {
        "b/c.md": "unchanged", "b/empty.txt": "unchanged", "b/photo.png": "unchanged", "new.txt": "added",
    }  # fmt: skip
    assert store.documents.count() == 5


def test_a_run_that_was_stopped_goes_on(
    store: docstore.Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written before the stop is unchanged, the rest is added: each file once."""
    monkeypatch.setattr(indexer, "_BATCH", 1)
    met: list[str] = []

    def stop(event: Event) -> None:
        met.append(event.name)
        if len(met) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_folder(store, folder, on_event=stop)
    assert met == ["a.txt", "b/c.md"]
    assert run(store, folder) == {
        "a.txt": "unchanged", "b/c.md": "unchanged", "b/empty.txt": "added", "b/photo.png": "added",
    }  # fmt: skip
    assert store.documents.count(latest_only=False) == 4


def test_a_document_left_pending_is_finished(store: docstore.Store, folder: Path) -> None:
    """A document that was added and never processed is completed by the next run, as the same version."""
    left = store.documents.add(folder / "a.txt", external_id="folder/a.txt")
    assert run(store, folder)["a.txt"] == "changed"
    document = store.documents.get(left.id, include={"content"})
    assert (document.status, document.content, document.version) == ("completed", "first words", 1)


def test_failed_texts_are_read_again_when_asked(store: docstore.Store, folder: Path) -> None:
    """With `retry_failed` and an extractor that can, the same version is completed."""
    from docstore.extract import builtin

    run(store, folder)
    assert run(store, folder, retry_failed=True)["b/photo.png"] == "unchanged"
    registry = builtin()
    registry.register("image/*", lambda source: f"a picture, {source.filename}")
    assert run(store, folder, retry_failed=True, registry=registry)["b/photo.png"] == "changed"
    document = store.documents.get_by_external_id("folder/b/photo.png")
    assert (document.status, document.error, document.version) == ("completed", None, 1)
    assert document.preview == "a picture, photo.png"


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of files that may not be opened. (Root may open any file, so the refusal is put in.)"""
    refused: set[str] = set()
    really: Callable[..., IO[Any]] = open

    def opening(path: str, mode: str = "r", **options: Any) -> IO[Any]:
        if os.path.basename(path) in refused:
            raise PermissionError(13, "Permission denied", path)
        return really(path, mode, **options)

    monkeypatch.setattr(files, "open", opening, raising=False)
    return refused


def test_an_unreadable_file_is_failed_and_the_run_goes_on(
    store: docstore.Store, folder: Path, unreadable: set[str]
) -> None:
    """It is an error of the run and a failed document without bytes; once readable, a new version."""
    unreadable.add("a.txt")
    assert run(store, folder)["a.txt"] == "error"
    document = store.documents.get_by_external_id("folder/a.txt")
    assert (document.status, document.error, document.size, document.sha256) == (
        "failed", "cannot be read: Permission denied", None, None,
    )  # fmt: skip
    assert run(store, folder)["a.txt"] == "error"
    assert store.documents.count(latest_only=False) == 4
    unreadable.clear()
    assert run(store, folder)["a.txt"] == "changed"
    assert store.documents.get_by_external_id("folder/a.txt").status == "completed"


def test_a_file_that_became_unreadable_keeps_its_text(
    store: docstore.Store, folder: Path, unreadable: set[str]
) -> None:
    """A good version is not hidden behind a failed one."""
    run(store, folder)
    os.utime(folder / "a.txt", ns=(0, 5))
    unreadable.add("a.txt")
    assert run(store, folder)["a.txt"] == "error"
    assert store.documents.get_by_external_id("folder/a.txt").status == "completed"


def test_a_name_that_is_no_text_is_stored(store: docstore.Store, folder: Path) -> None:
    """Of two names that look alike as text each has a document; the raw name is kept, and found again."""
    for raw in (b"/bad\xff.txt", b"/bad\\xff.txt", b"/bad\xfe.txt"):
        os.close(os.open(os.fsencode(folder) + raw, os.O_CREAT | os.O_WRONLY))
    found = run(store, folder)
    assert found["bad\\xff.txt"] == found["bad\\xfe.txt"] == "added"
    assert store.documents.count() == 7
    document = store.documents.find({"metadata.source.raw_path": "bad%FF.txt"}).items[0]
    assert document.filename == "bad\N{REPLACEMENT CHARACTER}.txt"
    assert set(run(store, folder).values()) == {"unchanged"}
    os.unlink(os.fsencode(folder) + b"/bad\xff.txt")
    assert index_folder(store, folder, delete=True).counts["deleted"] == 1
    assert store.documents.count({"metadata.source.raw_path": "bad%FF.txt"}) == 0


def test_a_path_longer_than_a_key_is_stored(store: docstore.Store, folder: Path) -> None:
    """The key is cut and ends with a digest, so that long paths stay apart; the metadata have all of it."""
    deep = "/".join(["d" * 200] * 5)
    (folder / deep).mkdir(parents=True)
    for name in ("1.txt", "2.txt"):
        (folder / deep / name).write_text(name)
    assert run(store, folder)[f"{deep}/1.txt"] == "added"
    assert set(run(store, folder).values()) == {"unchanged"}
    document = store.documents.find({"metadata.source.path": f"{deep}/1.txt"}).items[0]
    assert document.external_id is not None
    assert len(document.external_id.encode()) <= MOST_KEY_BYTES


def test_an_odd_time_is_stored(store: docstore.Store, folder: Path) -> None:
    """A file from before 1970 and one from beyond the calendar."""
    os.utime(folder / "a.txt", ns=(0, -(10**18)))
    os.utime(folder / "b/c.md", (0, 2**33))
    assert run(store, folder)["a.txt"] == "added"
    assert set(run(store, folder).values()) == {"unchanged"}


def test_one_file_that_cannot_be_stored_spoils_no_other(
    store: docstore.Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that changed between its reading and its writing is an error; the others are stored."""
    monkeypatch.setattr(files, "_IN_MEMORY", 10)
    extract: Callable[..., Any] = files.__dict__["extract"]

    def changing(source: bytes | Path, **options: object) -> Any:
        text = extract(source, **options)
        if isinstance(source, Path) and source.name == "c.md":
            source.write_bytes(b"longer than it was before")
        return text

    monkeypatch.setattr(files, "extract", changing)
    assert run(store, folder) == {
        "a.txt": "added", "b/c.md": "error", "b/empty.txt": "added", "b/photo.png": "added",
    }  # fmt: skip
    assert store.documents.count() == 3
    assert run(store, folder)["b/c.md"] == "added"


def test_long_files_are_stored_from_their_path(
    store: docstore.Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file beyond what is held in memory is stored whole and the same."""
    monkeypatch.setattr(files, "_IN_MEMORY", 3)
    run(store, folder)
    document = store.documents.get_by_external_id("folder/a.txt")
    assert store.documents.read_bytes(document.id) == b"first words"
    assert document.sha256 == hashlib.sha256(b"first words").hexdigest()


def test_folders_are_kept_apart(store: docstore.Store, tmp_path: Path) -> None:
    """Two folders that both have a README are two documents, both found, run after run."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(f"this is {name}")
    for outcome in ("added", "unchanged", "unchanged"):
        for name in ("a", "b"):
            assert run(store, tmp_path / name) == {"README.md": outcome}
    assert {d.external_id for d in store.documents.iterate()} == {"a/README.md", "b/README.md"}
    assert store.documents.count(latest_only=False) == 2
    assert store.documents.count(search="this") == 2


def test_a_second_folder_of_the_same_name_is_refused(store: docstore.Store, tmp_path: Path) -> None:
    """By a hint that says what to write; under another name it goes in, and is known by that from then on."""
    for place in ("x", "y"):
        (tmp_path / place / "docs").mkdir(parents=True)
        (tmp_path / place / "docs" / "a.txt").write_text(place)
    run(store, tmp_path / "x" / "docs")
    with pytest.raises(docstore.AlreadyExists, match="--as NAME"):
        index_folder(store, tmp_path / "y" / "docs")
    assert run(store, tmp_path / "y" / "docs", name="other") == {"a.txt": "added"}
    assert run(store, tmp_path / "y" / "docs") == {"a.txt": "unchanged"}
    with pytest.raises(docstore.AlreadyExists, match="indexed as 'other'"):
        index_folder(store, tmp_path / "y" / "docs", name="docs")
    assert {d.external_id for d in store.documents.iterate()} == {"docs/a.txt", "other/a.txt"}


def test_a_folder_that_moved_is_bound_by_its_name(store: docstore.Store, folder: Path) -> None:
    """Once the old place is gone; its documents are those of before."""
    run(store, folder)
    moved = folder.rename(folder.with_name("moved"))
    assert set(run(store, moved, name="folder").values()) == {"unchanged"}
    places = store.documents.count_by("metadata.source.root_path")
    assert dict(places) == {str(moved): 4}
    assert set(run(store, moved).values()) == {"unchanged"}


def test_documents_of_an_older_store_are_taken_over(store: docstore.Store, folder: Path) -> None:
    """Whose key is the path alone: all their versions get the new key, where the bytes are the same."""
    content = [b"older words", b"first words"]
    for version in content:
        store.documents.add(
            version,
            filename="a.txt",
            external_id="a.txt",
            content="x",
            status="completed",
            metadata={"source": {"path": "a.txt"}},
        )
    other = store.documents.add(
        b"other", filename="c.md", external_id="b/c.md", metadata={"source": {"path": "b/c.md"}}
    )
    mine = store.documents.add(b"mine", filename="new.txt", external_id="b/empty.txt")
    assert run(store, folder) == {
        "a.txt": "adopted", "b/c.md": "added", "b/empty.txt": "added", "b/photo.png": "added",
    }  # fmt: skip
    assert [store.documents.read_bytes(d) for d in _ids(store, "folder/a.txt")] == content
    assert store.documents.get(other.id).external_id == "b/c.md"
    assert store.documents.get(mine.id) == mine
    assert set(run(store, folder).values()) == {"unchanged"}


def _ids(store: docstore.Store, external_id: str) -> list[str]:
    return [document.id for document in store.documents.versions(external_id)]


def test_what_is_gone_from_the_folder_is_deleted_when_asked(store: docstore.Store, folder: Path) -> None:
    """With all its versions; what a rule leaves out is still there, and stays."""
    run(store, folder)
    (folder / "a.txt").write_text("changed words")
    os.utime(folder / "a.txt", ns=(0, 5))
    run(store, folder)
    (folder / "a.txt").unlink()
    assert index_folder(store, folder, delete=True, dry_run=True).counts["deleted"] == 1
    assert store.documents.count(latest_only=False) == 5
    report = index_folder(store, folder, delete=True, options=WalkOptions(exclude=["*.md"]))
    assert (report.counts["deleted"], report.ok) == (1, True)
    assert sorted(d.filename for d in store.documents.iterate(latest_only=False)) == [
        "c.md", "empty.txt", "photo.png",
    ]  # fmt: skip


def test_nothing_is_deleted_by_a_folder_that_cannot_be_read_whole(
    store: docstore.Store, folder: Path, unreadable: set[str]
) -> None:
    """One that is missing, empty, or has an unreadable file; the report says why."""
    run(store, folder)
    (folder / "a.txt").unlink()
    os.utime(folder / "b" / "c.md", ns=(0, 5))
    unreadable.add("c.md")
    reasons = [index_folder(store, folder, delete=True).kept]
    for path in (folder / "b").iterdir():
        path.unlink()
    reasons.append(index_folder(store, folder, delete=True).kept)
    (folder / "b").rmdir()
    folder.rmdir()
    reasons.append(index_folder(store, folder, delete=True).kept)
    assert [reason.rpartition(f"{folder.name} ")[2] for reason in reasons[:2]] == [
        "could not be read in part", "is empty",
    ]  # fmt: skip
    assert "is not there" in reasons[2]
    assert store.documents.count() == 4


def test_a_shard_without_files_deletes_its_own(store: docstore.Store, tmp_path: Path) -> None:
    """It is the folder that must not be empty, not the shard's part of it."""
    folder = tmp_path / "few"
    folder.mkdir()
    for name in ("a", "b", "c", "d", "e", "f", "g", "h"):
        (folder / name).write_text(name)
    shards = [(i, 3) for i in (1, 2, 3)]
    counts = [index_folder(store, folder, shard=shard).counts["added"] for shard in shards]
    assert min(counts) > 0
    for name in ("a", "b", "c", "d", "e", "f", "g"):
        (folder / name).unlink()
    reports = [index_folder(store, folder, shard=shard, delete=True) for shard in shards]
    assert [report.kept for report in reports] == ["", "", ""]
    assert sum(report.counts["deleted"] for report in reports) == 7
    assert store.documents.count() == 1


def test_no_shard_deletes_below_a_folder_that_cannot_be_listed(
    store: docstore.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whosever shard the folder is in: what cannot be seen is not gone."""
    folder = tmp_path / "few"
    (folder / "locked").mkdir(parents=True)
    for name in ("a", "b", "c", "locked/d", "locked/e", "locked/f"):
        (folder / name).write_text(name)
    assert index_folder(store, folder).counts["added"] == 6
    listing, looking = os.scandir, os.path.lexists

    def listed(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return listing(path)

    monkeypatch.setattr("os.scandir", listed)
    monkeypatch.setattr("os.path.lexists", lambda path: "locked/" not in str(path) and looking(path))
    for shard in ((1, 2), (2, 2)):
        report = index_folder(store, folder, shard=shard, delete=True)
        assert report.kept.endswith("could not be read in part")
        assert not report.ok
    assert store.documents.count() == 6


def test_a_file_that_vanishes_is_named_and_leaves_no_document(
    store: docstore.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was listed, and is gone when it is to be read."""
    folder = tmp_path / "few"
    folder.mkdir()
    (folder / "a").write_text("a")
    (folder / "gone").write_text("gone")
    reading = files._bytes_of

    def vanishing(path: str) -> object:
        if path.endswith("gone"):
            os.unlink(path)
        return reading(path)

    monkeypatch.setattr(files, "_bytes_of", vanishing)
    told: list[Event] = []
    report = index_folder(store, folder, jobs=1, on_event=told.append)
    assert (report.counts["added"], report.counts["error"]) == (1, 1)
    assert [event.reason for event in told if event.name == "gone"] == [
        "cannot be read: No such file or directory"
    ]
    assert store.documents.count() == 1


def test_shards_do_the_folder_once_together(store: docstore.Store, folder: Path) -> None:
    """Each file in one of them, and a shard deletes no file of another's."""
    for n in range(12):
        (folder / f"{n}.txt").write_text(str(n))
    counts = [index_folder(store, folder, shard=(i, 3)).counts["added"] for i in (1, 2, 3)]
    assert sum(counts) == store.documents.count(latest_only=False) == 16
    assert all(0 < count < 16 for count in counts)
    for n in range(12):
        (folder / f"{n}.txt").unlink()
    gone = [index_folder(store, folder, shard=(i, 3), delete=True).counts["deleted"] for i in (1, 2, 3)]
    assert sum(gone) == 12
    assert all(0 < count < 12 for count in gone)


def test_a_dry_run_changes_nothing(store: docstore.Store, folder: Path) -> None:
    """And tells the same as the run."""
    store.documents.add(
        b"first words", filename="a.txt", external_id="a.txt", metadata={"source": {"path": "a.txt"}}
    )
    before = list(store.documents.iterate())
    told = run(store, folder, dry_run=True)
    assert list(store.documents.iterate()) == before
    assert told == run(store, folder)


def test_threads_do_what_one_does(store: docstore.Store, folder: Path) -> None:
    """Whatever their number, in the same order."""
    for n in range(40):
        (folder / f"{n:02}.txt").write_text(str(n))
    one = run(store.scoped(owner="one"), folder, jobs=1, owner="one")
    many = run(store.scoped(owner="many"), folder, jobs=4, owner="many")
    assert list(one.items()) == list(many.items())
    assert store.documents.count() == 88


def test_a_file_by_itself_is_one_of_its_folder(store: docstore.Store, folder: Path) -> None:
    """Of the nearest that is indexed, else of the one that it lies in; a missing one is an error."""
    events: list[Event] = []
    index_files(store, [folder / "a.txt", folder / "none.txt"], on_event=events.append)
    assert [(event.name, event.outcome) for event in events] == [("none.txt", "error"), ("a.txt", "added")]
    assert run(store, folder)["a.txt"] == "unchanged"
    (folder / "b" / "new.txt").write_text("new")
    assert index_files(store, [folder / "b" / "new.txt"]).counts == {"added": 1}
    assert store.documents.get_by_external_id("folder/b/new.txt").version == 1
    assert set(run(store, folder).values()) == {"unchanged"}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"jobs": 0}, "jobs"),
        ({"shard": (0, 3)}, "shard"),
        ({"shard": (4, 3)}, "shard"),
        ({"shard": "1/3"}, "shard"),
        ({"shard": (1, 2, 3)}, "shard"),
        ({"jobs": "4"}, "jobs"),
        ({"name": "a/b"}, "name"),
        ({"metadata": {"source": 1}}, "metadata"),
    ],
)
def test_wrong_arguments_are_refused(
    store: docstore.Store, folder: Path, options: dict[str, object], field: str
) -> None:
    """By name, before anything is read."""
    with pytest.raises(docstore.InvalidDocument) as wrong:
        index_folder(store, folder, **options)  # type: ignore[arg-type]
    assert wrong.value.field == field


def test_owners_have_documents_of_their_own(store: docstore.Store, folder: Path) -> None:
    """What one tenant or owner has indexed is new to another, and to nobody in particular."""
    for options in ({}, {"tenant": "north"}, {"tenant": "north", "owner": "ada"}, {"owner": "ada"}):
        assert run(store, folder, **options)["a.txt"] == "added"
        assert run(store, folder, **options)["a.txt"] == "unchanged"
    assert store.documents.count({"external_id": "folder/a.txt", "version": 1}) == 4


def test_links_are_counted_and_left(store: docstore.Store, folder: Path) -> None:
    """A link is passed; followed, it is a file like any other."""
    os.symlink("a.txt", folder / "link.txt")
    assert run(store, folder)["link.txt"] == "passed"
    assert run(store, folder, options=WalkOptions(follow=True))["link.txt"] == "added"


def test_more_files_than_a_batch(
    store: docstore.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look-ups and writes in batches lose no file at the seams."""
    monkeypatch.setattr(indexer, "_LOOKED_UP", 7)
    monkeypatch.setattr(indexer, "_BATCH", 5)
    many = tmp_path / "many"
    many.mkdir()
    for n in range(43):
        (many / f"{n:02}.txt").write_text(f"number {n}")
    assert index_folder(store, many).counts == {"added": 43}
    assert index_folder(store, many).counts == {"unchanged": 43}
    assert [d.filename for d in store.documents.iterate()] == [f"{n:02}.txt" for n in range(43)]


def zipped(path: Path, **members: str) -> None:
    """Write a zip of these texts, `.txt` each."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, words in members.items():
            archive.writestr(f"in/{name}.txt", words)


def test_files_within_archives_are_documents_of_their_own(store: docstore.Store, tmp_path: Path) -> None:
    """When asked for, also of archives that are in already; changed and removed ones follow the archive."""
    folder = tmp_path / "packed"
    folder.mkdir()
    zipped(folder / "a.zip", one="first words", two="second words")
    assert run(store, folder) == {"a.zip": "added"}
    inside = {"a.zip!/in/one.txt": "added", "a.zip!/in/two.txt": "added"}
    assert run(store, folder, archives=True) == {**inside, "a.zip": "unchanged"}
    assert run(store, folder, archives=True) == {"a.zip": "unchanged"}
    (found,) = store.documents.find(search="first").items
    assert (found.external_id, found.filename, found.content_type, found.status) == (
        "packed/a.zip!/in/one.txt", "one.txt", "text/plain", "completed",
    )  # fmt: skip
    source = found.metadata["source"]
    assert (source["archive"], source["member"]) == ("a.zip", "in/one.txt")
    zipped(folder / "a.zip", one="other words", three="third words")
    assert run(store, folder, archives=True, delete=True) == {
        "a.zip": "changed", "a.zip!/in/one.txt": "changed", "a.zip!/in/three.txt": "added",
        "a.zip!/in/two.txt": "deleted",
    }  # fmt: skip
    (folder / "a.zip").unlink()
    (folder / "b.txt").write_text("plain")
    assert set(run(store, folder, archives=True, delete=True).values()) == {"added", "deleted"}
    assert [one.external_id for one in store.documents.find()] == ["packed/b.txt"]

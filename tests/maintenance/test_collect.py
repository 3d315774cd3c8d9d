"""Collection removes what no document needs, all of it and nothing else, whatever runs beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore.backend import BlobRow
from docstore.blobs import Blobs, new_key
from docstore.blobs.objects import temporary_name
from docstore.crash_points import hooked
from docstore.errors import BlobError
from docstore.maintenance import Progress, collect, retry
from docstore.testing.faulty_backend import FaultyBackend
from docstore.testing.faulty_filesystem import Faults, faulty_blobs

LONG_AGO = 1


def test_the_bytes_of_deleted_documents_go(place: Any) -> None:
    """A deleted document's object stays until collection and then goes; the others' stay."""
    kept = place.store.documents.add(b"kept", filename="a.txt")
    gone = place.store.documents.add(b"gone!", filename="b.txt")
    place.store.documents.delete(gone.id)
    assert len(place.names()) == 2
    report = collect(place.backend, place.blobs, 3600)
    assert (report.expired, report.swept, report.dropped, report.orphans, report.failed) == (0, 1, 0, 0, ())
    assert sorted(place.states().values()) == ["live", "swept"]
    assert place.store.documents.read_bytes(kept.id) == b"kept"
    report = collect(place.backend, place.blobs, 0)
    assert (report.swept, report.dropped) == (0, 1)
    assert place.names() == [place.key(4)]


def test_collection_may_be_repeated(place: Any) -> None:
    """Nothing is left to do after a collection at grace 0, and it says so."""
    place.store.documents.delete(place.store.documents.add(b"x", filename="a").id)
    collect(place.backend, place.blobs, 0)
    report = collect(place.backend, place.blobs, 0)
    assert (report.expired, report.swept, report.dropped, report.orphans) == (0, 0, 0, 0)
    assert (place.states(), place.names()) == ({}, [])


def test_an_intent_lives_for_its_grace_period(place: Any) -> None:
    """A young intent and its bytes stay, an old one's go."""
    young, old = new_key(), new_key()
    with place.backend.write() as writer:
        writer.insert_blob(BlobRow(young, at=writer.now()))
        writer.insert_blob(BlobRow(old, at=writer.now() - 61_000_000))
    for key in (young, old):
        place.blobs.write(key, [b"x"])
    report = collect(place.backend, place.blobs, 60)
    assert (report.expired, report.swept) == (1, 1)
    assert place.states() == {young: "pending", old: "swept"}
    assert place.names() == [young]


def test_a_late_writer_s_bytes_go_with_the_second_grace(place: Any) -> None:
    """What appears under a swept key is removed once more before the row is dropped."""
    key = new_key()
    place.insert(BlobRow(key, state="swept", at=LONG_AGO))
    place.blobs.write(key, [b"late"])
    report = collect(place.backend, place.blobs, 60)
    assert (report.dropped, report.orphans) == (1, 0)
    assert (place.states(), place.names()) == ({}, [])


def test_objects_without_a_row_go_and_foreign_files_stay(place: Any, tmp_path: Path) -> None:
    """The last pass puts key-shaped objects and our own temporary files aside, and nothing else; the next one
    removes them.
    """
    place.store.documents.add(b"kept", filename="a.txt")
    orphan, half, pending = new_key(), new_key(), new_key()
    with place.backend.write() as writer:
        writer.insert_blob(BlobRow(pending, at=writer.now() + 10**9))
    place.blobs.write(orphan, [b"orphan"])
    files = tmp_path / "files"
    foreign = ["README", f"{orphan}.bak", "quarantine/README", "aa/bb/cc/dd"]
    for name in (temporary_name(half), temporary_name(pending), *foreign):
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(b"x")
    kept = [place.key(4), temporary_name(pending), *foreign]
    report = collect(place.backend, place.blobs)
    assert (report.orphans, report.young) == (0, 2)
    report = collect(place.backend, place.blobs, 0)
    assert (report.orphans, report.young, report.emptied) == (2, 0, 0)
    assert place.names() == sorted([*kept, f"quarantine/{orphan}", f"quarantine/{temporary_name(half)}"])
    assert collect(place.backend, place.blobs, 0).emptied == 2
    assert place.names() == sorted(kept)


def test_the_last_pass_goes_on_where_it_stopped(place: Any) -> None:
    """A prefix and a name confine it; the progress says the name."""
    place.store.documents.add(b"marks the root", filename="a")
    keys = sorted(new_key() for _ in range(9))
    for key in keys:
        place.blobs.write(key, [b"x"])
    seen: list[Progress] = []
    told = {"force": True, "on_progress": seen.append}
    assert collect(place.backend, place.blobs, 0, prefix=keys[0][:2], **told).orphans >= 1
    assert collect(place.backend, place.blobs, 0, after=keys[5], **told).orphans == 3
    assert [one.position > keys[5] for one in seen if one.stage == "listed"][-1:] == [True]
    names = set(place.names())
    assert {f"quarantine/{key}" for key in keys[6:]} <= names
    assert keys[0] not in names
    assert keys[5] in names or keys[5][:2] == keys[0][:2]


def test_a_removal_that_fails_is_tried_again_until_it_works(anywhere: Any) -> None:
    """A failed removal leaves the row dead, is counted and named, and does not stop the other requests."""
    for body in (b"one", b"two!!"):
        anywhere.store.documents.delete(anywhere.store.documents.add(body, filename="a").id)
    faults = Faults(1, "before", only={"rm_file", "delete_object", "delete_objects"})
    blobs = faulty_blobs(anywhere.blobs._url, faults, **anywhere.blobs._options)
    report = collect(anywhere.backend, blobs, 3600)
    assert report.swept + len(report.failed) == 2
    assert len(report.failed) >= 1
    assert {anywhere.states()[key] for key in report.failed} == {"dead"}
    assert {anywhere.rows()[key].attempts for key in report.failed} == {1}
    assert collect(anywhere.backend, blobs, 3600).swept == len(report.failed)
    assert anywhere.names() == []


@pytest.mark.parametrize("step", ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"])
def test_a_collection_that_dies_at_any_step_is_finished_by_the_next(place: Any, step: str) -> None:
    """Whatever was done before, another run ends in the same state."""

    class Died(BaseException):
        pass

    def die(reached: str) -> None:
        if reached == step:
            raise Died

    kept = place.store.documents.add(b"kept", filename="a.txt")
    place.store.documents.delete(place.store.documents.add(b"gone!", filename="b.txt").id)
    keys = [new_key() for _ in range(3)]
    place.insert(BlobRow(keys[0], at=LONG_AGO), BlobRow(keys[1], state="swept", at=LONG_AGO))
    for key in keys:
        place.blobs.write(key, [b"x"])
    with hooked(die), pytest.raises(Died):
        collect(place.backend, place.blobs, 0)
    for _ in range(2):  # what has no row is put aside first
        collect(place.backend, place.blobs, 0)
    assert list(place.states().values()) == ["live"]
    assert place.names() == [place.key(4)]
    assert place.store.documents.read_bytes(kept.id) == b"kept"


def test_an_intent_taken_at_any_step_of_a_write_is_written_again(place: Any) -> None:
    """A collector at grace 0 between any two steps of a write loses nothing and leaves nothing dangling."""
    for step in ("P2", "P3.1", "P3.2", "P3.3", "P3.4", "P3.5"):
        fired: list[str] = []

        def collector(reached: str, step: str = step, fired: list[str] = fired) -> None:
            if reached == step and not fired:
                fired.append(step)
                collect(place.backend, place.blobs, 0)

        with hooked(collector):
            added = place.store.documents.add(step.encode(), filename=step)
        assert fired == [step]
        assert place.store.documents.read_bytes(added.id) == step.encode()
    collect(place.backend, place.blobs, 0)
    assert len(place.names()) == 6
    assert set(place.states().values()) == {"live"}


def test_collectors_run_beside_writers_and_each_other(place: Any) -> None:
    """Two collectors at grace 0 beside writers: every acknowledged document keeps its bytes, others go."""
    added: list[str] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def guarded(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        return run

    def write() -> None:
        for number in range(15):
            body = f"{threading.get_ident()} {number}".encode()
            try:
                document = place.store.documents.add(body, filename="a.txt", metadata={"body": body.decode()})
            except docstore.errors.StoreBusy:
                continue
            if number % 3:
                added.append(document.id)
            else:
                place.store.documents.delete(document.id)

    def gather() -> None:
        while not stop.wait(0.005):
            collect(place.backend, place.blobs, 0)

    writers = [threading.Thread(target=guarded(write)) for _ in range(2)]
    collectors = [threading.Thread(target=guarded(gather)) for _ in range(2)]
    for thread in (*writers, *collectors):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in collectors:
        thread.join()
    assert failures == []
    assert added != []
    for id in added:
        document = place.store.documents.get(id)
        assert place.store.documents.read_bytes(id).decode() == document.metadata["body"]
    collect(place.backend, place.blobs, 0)
    assert sorted(place.names()) == sorted(place.states())
    assert set(place.states().values()) == {"live"}


def test_a_storage_that_cannot_be_listed_is_an_error(place: Any, tmp_path: Path) -> None:
    """Collection does not take a folder that is no folder for an empty one."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BlobError):
        collect(place.backend, Blobs(tmp_path / "file"))


@pytest.mark.parametrize("grace", [-1, float("nan"), float("inf"), "60", True])
def test_a_grace_period_is_seconds(place: Any, grace: float) -> None:
    """Anything else is refused before anything is touched."""
    with pytest.raises(ValueError, match="grace"):
        collect(place.backend, place.blobs, grace)


def test_a_multipart_upload_left_by_a_killed_writer_goes(anywhere: Any) -> None:
    """The open uploads of a stale intent's key are aborted, its temporary file is removed."""
    key = new_key()
    anywhere.insert(BlobRow(key, at=LONG_AGO))
    objects = anywhere.blobs._objects
    if hasattr(objects, "_uploads"):
        upload = objects._call("create_multipart_upload", key)["UploadId"]
        assert objects._uploads(key) == [upload]
    elif hasattr(objects, "_durable"):
        os.makedirs(os.path.dirname(objects._root / key))
        (objects._root / temporary_name(key)).write_bytes(b"half")
    assert collect(anywhere.backend, anywhere.blobs, 60).swept == 1
    assert anywhere.names() == []
    assert not hasattr(objects, "_uploads") or objects._uploads(key) == []


def test_uploads_without_a_row_are_aborted(s3_place: Any) -> None:
    """A multipart upload whose intent is gone ends; that of a writer still at it, and what is not ours, goes
    on.
    """
    ownerless, pending, foreign = new_key(), new_key(), "someone's"
    with s3_place.backend.write() as writer:
        writer.insert_blob(BlobRow(pending, at=writer.now()))
    for name in (ownerless, pending, foreign):
        s3_place.blobs._objects._call("create_multipart_upload", name)

    def unfinished() -> set[str]:
        return {name for name, _ in s3_place.blobs._objects.uploads("")}

    with s3_place.backend.write() as writer:
        assert writer.update_blob(BlobRow(pending), ("pending",), at=writer.now() + 10**9)
    seen: list[Progress] = []
    report = collect(s3_place.backend, s3_place.blobs, 0, on_progress=seen.append)
    assert (1, 0, ()) == (report.uploads, report.orphans, report.failed)
    assert {pending, foreign} == unfinished()
    assert ("uploads", 1) in [(progress.stage, progress.done) for progress in seen]
    with s3_place.backend.write() as writer:
        assert writer.update_blob(BlobRow(pending), ("pending",), at=LONG_AGO)
    report = collect(s3_place.backend, s3_place.blobs, 0)
    assert (0, 1, 1) == (report.uploads, report.expired, report.swept)
    assert {foreign} == unfinished()


def test_an_upload_that_cannot_be_aborted_is_named(s3_place: Any) -> None:
    """And the next collection tries again."""
    key = new_key()
    s3_place.blobs._objects._call("create_multipart_upload", key)
    faults = Faults(1, only={"abort_multipart_upload"})
    blobs = faulty_blobs(s3_place.blobs._url, faults, **s3_place.blobs._options)
    report = collect(s3_place.backend, blobs, 0)
    assert (0, (key,)) == (report.uploads, report.failed)
    assert 1 == collect(s3_place.backend, blobs, 0).uploads


def test_a_deadlocks_victim_tries_again_after_a_pause(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries of a block the collector pauses."""

    class Victim(FaultyBackend):
        def failure(self, name: str) -> docstore.BackendError:
            return docstore.BackendError("deadlock", transient=True)

    place.store.documents.delete(place.store.documents.add(b"gone", filename="x").id)
    backend = Victim(place.backend, Faults(2, only={"commit"}, times=3))
    slept: list[float] = []
    monkeypatch.setattr(retry, "sleep", slept.append)
    assert (1, 3) == (collect(backend, place.blobs, 3600).swept, len(slept))

"""Storages that fail: at every step and call, before and after its effect, with lost tails and answers."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from docstore.blobs import Blobs, new_key, open_source
from docstore.blobs.s3 import SMALL
from docstore.crash_points import STEPS, hooked
from docstore.errors import BlobError
from docstore.testing.faulty_filesystem import Fault, Faults, faulty_blobs

KILLED = 9


def steps_of(blobs: Blobs, body: bytes) -> list[str]:
    seen: list[str] = []
    with hooked(seen.append):
        blobs.write(new_key(), [body])
    return seen


def test_the_steps_of_a_write_come_in_their_order(blobs: Blobs) -> None:
    """Every storage goes through steps of the list, in its order, up to P3.5."""
    for body in (b"small", b"x" * (SMALL + 1)):
        seen = steps_of(blobs, body)
        assert seen == sorted(seen)
        assert set(seen) <= set(STEPS)
        assert seen[-1] == "P3.5"


def test_a_local_write_has_all_steps(tmp_path: Path) -> None:
    """None of them is missing, so that a kill test meets all."""
    assert steps_of(Blobs(tmp_path), b"x") == ["P3.1", "P3.2", "P3.3", "P3.4", "P3.5"]


def test_a_failure_at_any_step_leaves_nothing(blobs: Blobs) -> None:
    """EIO at each step in turn is a BlobError with its cause; nothing stands there, the next write works."""
    for body in (b"small", b"x" * (SMALL + 1)):
        for step in steps_of(blobs, body):
            error, key = OSError(errno.EIO, f"injected at {step}"), new_key()

            def fail(reached: str, step: str = step, error: OSError = error) -> None:
                if reached == step:
                    raise error

            with hooked(fail), pytest.raises(BlobError, match=step) as caught:
                blobs.write(key, [body])
            assert caught.value.__cause__ is error
            assert blobs.size_of(key) is None
    assert {found.kind for found in blobs.list()} == {"object"}


def test_a_killed_local_write_leaves_a_temporary_file_or_a_whole_object(tmp_path: Path) -> None:
    """At whatever step the process dies, no part of an object stands under a key; delete() takes the rest."""
    for step in ("P3.1", "P3.2", "P3.3", "P3.4", "P3.5"):
        blobs, key = Blobs(tmp_path / step), new_key()
        child = os.fork()
        if child == 0:
            with hooked(lambda reached, step=step: os._exit(KILLED) if reached == step else None):  # type: ignore[misc]
                blobs.write(key, [b"whole"])
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
        kinds = {found.kind: found.size for found in blobs.list()}
        assert kinds == ({"object": 5} if step >= "P3.4" else {"temporary": 0 if step == "P3.1" else 5})
        blobs.delete(key)
        assert list(blobs.list()) == []


def test_a_sync_that_fails_is_a_blob_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO from the first, second, … sync of a write leaves nothing under the key, and no temporary file."""
    real, count, at = os.fsync, 0, 1

    def fsync(file: int) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise OSError(errno.EIO, "injected")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    while True:
        blobs, count = Blobs(tmp_path / str(at)), 0
        try:
            blobs.write(new_key(), [b"x"])
        except BlobError:
            assert list(blobs.list()) == []
        else:
            break
        at += 1
    assert at > 5


def test_bytes_and_names_are_synced_before_a_local_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced before its rename, its folder after it, and each folder that leads to it once."""
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def watched_fsync(file: int) -> None:
        done.append(os.path.relpath(os.readlink(f"/proc/self/fd/{file}"), tmp_path))
        fsync(file)

    def watched_rename(source: str, target: str) -> None:
        done.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "rename", watched_rename)
    blobs, key = Blobs(tmp_path / "new" / "root"), new_key()
    first, second, digits = key.split("/")
    folders = [f"new/root/{first}", "new/root", "new", "."]
    write = [f"new/root/{first}/{second}/.{digits}.tmp", "rename", f"new/root/{first}/{second}"]
    blobs.write(key, [b"x"])
    assert done == folders + write
    done.clear()
    blobs.delete(key)
    blobs.write(key, [b"x"])
    assert done == write


@pytest.mark.parametrize("fault", ["before", "after", "cut"])
@pytest.mark.parametrize("place", ["file", "memory", "s3"])
@pytest.mark.parametrize("size", [5, SMALL + 5])
def test_no_failing_call_makes_a_write_lie(
    place: str, fault: Fault, size: int, tmp_path: Path, s3_blobs: Callable[[str], Blobs]
) -> None:
    """Each call fails in turn: a write that returns has stored the bytes, any other says BlobError."""
    if place == "s3":
        plain = s3_blobs("p")
    else:
        plain = Blobs(f"memory://{tmp_path.name}" if place == "memory" else tmp_path / "files")
    body, number, fired = os.urandom(size), 0, 1
    while fired:
        number += 1
        faults, key = Faults(number, fault), new_key()
        blobs = faulty_blobs(plain._url, faults, **plain._options)
        try:
            with open_source(body) as source:
                blobs.write(key, source)
        except BlobError:
            plain.delete(key)
            assert plain.size_of(key) is None
        else:
            assert plain.read_bytes(key) == body
        fired = faults.fired
    assert number > 2


@pytest.mark.parametrize("fault", ["before", "after", "cut"])
def test_no_failing_call_makes_a_reader_lie(fault: Fault, s3_blobs: Callable[[str], Blobs]) -> None:
    """Each call fails in turn: a reader gets the bytes, or BlobError."""
    plain, key, body = s3_blobs("p"), new_key(), os.urandom(9_000_000)
    plain.write(key, [body])
    number, failed, fired = 0, 0, 1
    while fired:
        number += 1
        faults = Faults(number, fault)
        blobs = faulty_blobs(plain._url, faults, **plain._options)
        try:
            assert blobs.read_bytes(key, size=len(body), sha256=hashlib.sha256(body).hexdigest()) == body
        except BlobError:
            failed += 1
        fired = faults.fired
    assert number == 5
    assert failed == (0 if fault == "cut" else 4)


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_read_object_that_cannot_be_closed_is_a_blob_error(tmp_path: Path, fault: Fault) -> None:
    """The last call of a reading fails by name, too, and the file counts as closed."""
    plain, key = Blobs(tmp_path), new_key()
    plain.write(key, [b"hello"])
    blobs = faulty_blobs(plain._url, Faults(1, fault, only={"close"}))
    file = blobs.open(key, size=5)
    assert b"hello" == file.read()
    with pytest.raises(BlobError, match="cannot close"):
        file.close()
    assert file.closed
    file.close()


def test_a_put_whose_answer_was_lost_is_recognised(s3_blobs: Callable[[str], Blobs]) -> None:
    """A repeated conditional put finds the key taken: ours if the bytes are the same, a failure if not."""
    plain, body = s3_blobs("p"), b"hello"
    for there, works in ((body, True), (b"other", False), (b"longer than it", False)):
        key = new_key()
        plain.write(key, [there])
        if works:
            assert plain.write(key, [body]).size == 5
        else:
            with pytest.raises(BlobError, match="pre-conditions"):
                plain.write(key, [body])
        assert plain.read_bytes(key) == there


def test_a_completion_whose_answer_was_lost_is_recognised(s3_blobs: Callable[[str], Blobs]) -> None:
    """A multipart upload that is gone when it is completed was completed if its object is whole."""
    blobs, key, body = s3_blobs("p"), new_key(), os.urandom(SMALL + 1)
    objects = blobs._objects
    request = objects._filesystem.call_s3  # type: ignore[attr-defined]

    def twice(method: str, **arguments: object) -> object:
        if method == "complete_multipart_upload":
            request(method, **arguments)
        return request(method, **arguments)

    objects._filesystem.call_s3 = twice  # type: ignore[attr-defined]
    assert blobs.write(key, [body]).size == len(body)
    assert blobs.read_bytes(key) == body


MEASURE = """
    import os, resource, sys
    from docstore.blobs import Blobs, new_key, s3
    s3.SMALL = 1_048_576

    def used():
        return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])

    url, mebibytes, options = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
    blobs, piece = Blobs(url, **options), os.urandom(1_048_576)
    key = new_key()
    blobs.write(key, [b"warm"]), blobs.read_bytes(key), blobs.delete(key)
    before = used()
    written = blobs.write(key, (piece for _ in range(mebibytes)))
    with blobs.open(key, size=written.size, sha256=written.sha256) as file:
        while file.read(1_048_576):
            pass
    blobs.download(key, sys.argv[4], size=written.size, sha256=written.sha256)
    print(written.size, used() - before)
"""


@pytest.mark.parametrize(("place", "mebibytes"), [("local", 64), ("s3", 32)])
def test_memory_does_not_grow_with_the_size(
    place: str,
    mebibytes: int,
    tmp_path: Path,
    s3_blobs: Callable[[str], Blobs],
    without_session: Callable[[Blobs], Blobs],
) -> None:
    """Bytes go in and out with less than half as much more memory, in parts of 1 MiB."""
    blobs = Blobs(tmp_path / "files") if place == "local" else s3_blobs("p")
    program = [sys.executable, "-c", textwrap.dedent(MEASURE), blobs._url, str(mebibytes)]
    arguments = [repr(without_session(blobs)._options), str(tmp_path / "copy")]
    done = subprocess.run([*program, *arguments], capture_output=True, text=True, check=True)
    size, kibibytes = map(int, done.stdout.split())
    assert size == mebibytes * 1_048_576
    assert kibibytes < 16_000

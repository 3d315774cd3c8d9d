"""S3's cousins: services that know less than S3, stood in for by a proxy that answers 501 or 400; and how few
requests are made of those that know all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import docstore
from docstore.blobs import Blobs, new_key
from docstore.blobs.s3 import SMALL
from docstore.errors import BlobError
from docstore.testing.servers import S3Proxy, S3Server

LARGE = b"x" * (SMALL + 1)


@pytest.fixture
def behind(s3_server: S3Server, s3_options: dict[str, Any]) -> Callable[..., Any]:
    """Make blobs in a fresh bucket behind a proxy that lacks something."""
    bucket = s3_server.create_bucket(f"test-{uuid4().hex}")

    @contextmanager
    def made(*lacks: Any, status: int = 501, **options: Any) -> Iterator[tuple[Blobs, S3Proxy]]:
        with S3Proxy(s3_server.port, lacks=lacks, status=status) as proxy:
            told = {"session": s3_options["session"], **proxy.storage_options}
            yield Blobs(f"{bucket}/p", **options, **told), proxy

    return made


@pytest.mark.parametrize("status", [501, 400])
@pytest.mark.parametrize(
    ("lacks", "options", "named"),
    [("conditions", {}, "conditional=False"), ("checksums", {"conditional": False}, "checksum='md5'")],
)
def test_the_error_names_the_option(
    behind: Callable[..., Any], lacks: str, options: dict[str, Any], named: str, status: int
) -> None:
    """A service that does not know what a put asks of it: BlobError with the option that leaves it out, small
    or large; nothing is stored.
    """
    with behind(lacks, status=status, **options) as (blobs, _):
        for body in (b"small", LARGE):
            with pytest.raises(BlobError, match=named):
                blobs.write(new_key(), [body])
        assert list(blobs.list()) == []


@pytest.mark.parametrize("status", [501, 400])
@pytest.mark.parametrize("checksum", ["md5", None])
def test_a_service_that_knows_little_serves(
    behind: Callable[..., Any], sqlite_url: str, checksum: Any, status: int
) -> None:
    """HEAD-then-PUT, no checksum headers of S3, no listing of uploads, no batches: added, replaced, read,
    checked, removed, put aside and brought back.
    """
    lacks = ("conditions", "checksums", "uploads", "batches")
    less = behind(*lacks, status=status, conditional=False, checksum=checksum)
    with less as (blobs, _), docstore.open(sqlite_url, blobs=blobs) as store:
        small = store.documents.add(b"small", filename="s")
        large = store.documents.add(LARGE, filename="l")
        store.documents.update(small.id, source=b"other")
        report = store.collect(0)
        assert (report.swept, report.dropped, report.failed) == (1, 1, ())
        key = next(found.name for found in blobs.list() if found.size == 5)
        blobs.quarantine(key)
        store.repair(store.check(), dry_run=False)
        assert store.check("hash").ok
        assert store.documents.read_bytes(small.id) == b"other"
        assert store.documents.read_bytes(large.id) == LARGE
        with pytest.raises(BlobError, match="stands under this key"):
            blobs.write(key, [b"again"])
        with pytest.raises(BlobError, match="stands under this key"):
            blobs.write(key, [LARGE])
        with docstore.open("memory://", blobs=blobs) as other, pytest.raises(docstore.WrongBlobs):
            other.documents.add(b"x", filename="x")


def test_bytes_that_md5_does_not_fit_are_refused(
    behind: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header is sent and is that of the bytes: with another's the service refuses, and nothing stands."""
    import hashlib

    with behind(checksum="md5") as (blobs, _):
        blobs.write(new_key(), [b"right"])
        md5 = hashlib.md5
        monkeypatch.setattr(hashlib, "md5", lambda body, **told: md5(body + b"!", **told))
        key = new_key()
        try:
            blobs.write(key, [b"wrong"])
        except BlobError:
            assert blobs.size_of(key) is None
        else:  # moto compares nothing: then the header at least was another
            assert md5(b"wrong").digest() != hashlib.md5(b"wrong").digest()


def test_removals_are_batched_and_uploads_listed_once(behind: Callable[..., Any], sqlite_url: str) -> None:
    """Forty dead objects go by one DeleteObjects a pass, and one listing of uploads serves them all."""
    with behind() as (blobs, proxy), docstore.open(sqlite_url, blobs=blobs) as store:
        store.documents.add_many({"source": b"%d" % n, "filename": "x"} for n in range(40))
        store.documents.delete_many({})
        proxy.requests.clear()
        assert store.collect(3600).swept == 40
        methods = [(method, path.partition("?")[2].partition("&")[0]) for method, path in proxy.requests]
        assert methods.count(("POST", "delete")) == 1
        assert [one for one in methods if one[0] == "DELETE"] == []
        assert [path for method, path in methods if method == "GET" and path.startswith("uploads")] == [
            "uploads"
        ]
        assert store._context.bytes().list() is not None
        assert [found for found in blobs.list() if found.kind == "object"] == []


@pytest.mark.parametrize("given", [{"conditional": 1}, {"checksum": "crc32"}, {"upload_workers": 0}])
def test_options_are_checked_before_anything_is_opened(tmp_path: Path, given: dict[str, Any]) -> None:
    """Another value is a BlobError that names the option and what is expected."""
    with pytest.raises(BlobError, match=next(iter(given))):
        Blobs(tmp_path, **given)


def test_a_batch_writes_several_objects_at_once() -> None:
    """As many as upload_workers says, no more; each document gets its own bytes, whatever ended first."""
    import threading
    import time

    begun, under_way, most, mutex = [0], [0], [0], threading.Lock()
    together = threading.Barrier(4, timeout=60)

    class Slow(Blobs):
        def write(self, key: str, chunks: Any, **told: Any) -> Any:
            with mutex:
                begun[0] += 1
                first = begun[0] <= 4
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            if first:
                together.wait()
            time.sleep(0.002)
            try:
                return super().write(key, chunks, **told)
            finally:
                with mutex:
                    under_way[0] -= 1

    with docstore.open("memory://", blobs=Slow("memory://", upload_workers=4)) as store:
        rows = [{"source": b"%d" % n, "filename": f"{n}"} for n in range(20)]
        ids = store.documents.add_many(rows).ids
        assert 4 == most[0]
        assert [store.documents.read_bytes(id) for id in ids] == [b"%d" % n for n in range(20)]


def test_one_failure_of_a_batch_leaves_nothing(tmp_path: Path) -> None:
    """The error of the one arrives; what the others wrote is withdrawn, and nothing waits for what was not
    begun.
    """
    with docstore.open("memory://", blobs=Blobs(tmp_path, upload_workers=3)) as store:
        rows: list[dict[str, Any]] = [{"source": b"%d" % n, "filename": "x"} for n in range(12)]
        rows[5]["sha256"] = "0" * 64
        with pytest.raises(docstore.ChecksumMismatch):
            store.documents.add_many(rows)
        assert store.documents.count() == 0
        store.collect(0)
        assert [found.name for found in Blobs(tmp_path).list()] == []
        assert store.check("hash", grace=0).ok


def test_file_objects_of_the_caller_are_read_in_the_caller_s_thread(tmp_path: Path) -> None:
    """Bytes and paths are read by workers; a file object, which may be anything, is not."""
    import threading

    read_in: set[int] = set()

    class Told:
        def __init__(self, body: bytes) -> None:
            self.left = [body[:2], body[2:]]

        def read(self, amount: int, /) -> bytes:
            read_in.add(threading.get_ident())
            return self.left.pop(0) if self.left else b""

    with docstore.open("memory://", blobs=tmp_path) as store:
        rows = [{"source": Told(b"abcd") if n % 2 else b"bytes", "filename": "x"} for n in range(10)]
        ids = store.documents.add_many(rows).ids
        assert read_in == {threading.get_ident()}
        assert [store.documents.read_bytes(id) for id in ids] == [b"bytes", b"abcd"] * 5


def test_a_batch_of_files_has_few_of_them_open(tmp_path: Path) -> None:
    """Three hundred paths in one batch, where a process may open a hundred files."""
    import resource

    source = tmp_path / "source"
    source.mkdir()
    for n in range(300):
        (source / str(n)).write_bytes(b"%d" % n)
    with docstore.open("memory://", blobs=Blobs(tmp_path / "files", upload_workers=4)) as store:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        open_now = len(list(Path("/proc/self/fd").iterdir()))
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 40, hard))
        try:
            made = store.documents.add_many({"source": source / str(n)} for n in range(300))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert made.added == 300
        assert store.documents.read_bytes(made.ids[299]) == b"299"

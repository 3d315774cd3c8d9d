"""docstore.copy: everything arrives as it was, once, whatever happens on the way."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import docstore
from docstore.blobs import Blobs
from docstore.crash_points import hooked
from docstore.maintenance import Progress
from docstore.testing.servers import S3Server
from docstore.transfer import export_lines, fingerprint, import_lines
from tests.transfer.conftest import Opens

EVERYTHING: dict[str, Any] = {"latest_only": False, "include": {"content"}}


def contents(store: docstore.Store) -> tuple[list[Any], list[Any]]:
    """Return all documents and extractions but for their numbers, by tenant and id."""
    documents = [one.model_dump(exclude={"number"}) for one in store.documents.iterate(**EVERYTHING)]
    extractions = [one.model_dump(exclude={"number"}) for one in store.extractions.iterate()]
    return tuple(
        sorted(found, key=lambda one: (one["tenant"] or "", one["id"])) for found in (documents, extractions)
    )  # type: ignore[return-value]


def test_a_copy_holds_what_the_source_holds(source: docstore.Store, opens: Opens, url: str) -> None:
    """Every field but the number, every byte, in the same order, on every backend."""
    target = opens(url)
    report = docstore.copy(source, target)
    assert report.ok
    assert report.source == report.target == fingerprint(source) == fingerprint(target)
    assert contents(source) == contents(target)
    order = [(one.tenant, one.id) for one in source.documents.iterate(latest_only=False)]
    assert order == [(one.tenant, one.id) for one in target.documents.iterate(latest_only=False)]
    for one in source.documents.iterate(
        {"filename": {"$nin": ["none.pdf", "twin"]}, "size": {"$gte": 0}}, latest_only=False
    ):
        assert source.documents.read_bytes(one.id) == target.documents.read_bytes(one.id)
    assert target.check("hash").ok
    assert docstore.diff(source, target, level="hash").same


def test_every_backend_has_the_same_fingerprint(
    source: docstore.Store, opens: Opens, sqlite_url: str, postgres_store_url: str
) -> None:
    """A round trip through all of them changes nothing."""
    stores = [source, opens(sqlite_url), opens(postgres_store_url), opens("sqlite://"), opens()]
    for one, next_one in pairwise(stores):
        assert docstore.copy(one, next_one).ok
    assert {fingerprint(source)} == {fingerprint(store) for store in stores}


@pytest.mark.parametrize("place", ["memory", "s3"])
def test_bytes_go_from_any_storage_to_any(
    opens: Opens, source: docstore.Store, place: str, request: Any
) -> None:
    """From a folder to memory or S3 and back."""
    if place == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        options = request.getfixturevalue("s3_options")
        blobs = Blobs(f"{server.create_bucket(f'test-{uuid4().hex}')}/p", **options)
    else:
        blobs = Blobs("memory://")
    middle, back = opens(blobs=blobs), opens()
    assert docstore.copy(source, middle).ok
    assert docstore.copy(middle, back).ok
    assert back.documents.read_bytes("given") == b"x" * 900_000
    assert docstore.diff(source, back, level="hash").same


def test_a_second_copy_finds_everything_there(source: docstore.Store, opens: Opens, url: str) -> None:
    """Nothing is doubled, nothing is written."""
    target = opens(url)
    first = docstore.copy(source, target).transferred
    again = docstore.copy(source, target)
    assert again.ok
    assert (0, first.added, 0, 0, 0) == (
        again.transferred.added, again.transferred.existing, again.transferred.replaced,
        again.transferred.extractions, again.transferred.bytes,
    )  # fmt: skip
    assert contents(source) == contents(target)


def test_a_target_goes_on_by_itself(source: docstore.Store, opens: Opens, url: str) -> None:
    """Revisions, versions, safe retries and claims work in the target as they would have in the source."""
    target = opens(url)
    docstore.copy(source, target)
    given = target.documents.get("given")
    again = target.documents.add(
        b"x" * 900_000, filename="../../etc/passwd", id="given", metadata=given.metadata
    )
    assert given == again
    assert 4 == target.documents.add(b"v4", filename="chain.txt", external_id="c", tenant="t").version
    with pytest.raises(docstore.RevisionConflict):
        target.documents.update("given", metadata={"x": 1}, if_revision=given.revision + 1)
    assert (
        given.revision + 1
        == target.documents.update("given", metadata={"x": 1}, if_revision=given.revision).revision
    )


def test_what_is_there_otherwise_is_an_error_or_replaced(
    source: docstore.Store, opens: Opens, url: str
) -> None:
    """Another document under the same id stops the copy; with ``replace`` the source wins."""
    target = opens(url)
    docstore.copy(source, target)
    source.documents.update("given", source=b"other bytes", metadata={"changed": 1}, filename="new name")
    source.extractions.update("e", metadata={"k": 2})
    with pytest.raises(docstore.AlreadyExists) as error:
        docstore.copy(source, target)
    assert "given" == error.value.id
    report = docstore.copy(source, target, replace=True)
    assert report.ok
    assert (1, 2) == (report.transferred.replaced, report.transferred.extractions)
    assert b"other bytes" == target.documents.read_bytes("given")
    assert contents(source) == contents(target)
    assert {"live", "dead"} == target.stats().blobs.keys()


def test_a_version_of_another_document_is_an_error(opens: Opens, url: str) -> None:
    """The target's own chain of the same external_id is neither changed nor mixed with the source's."""
    source, target = opens(), opens(url)
    source.documents.add(b"one", filename="a", external_id="x")
    own = target.documents.add(b"two", filename="b", external_id="x")
    with pytest.raises(docstore.AlreadyExists):
        docstore.copy(source, target)
    assert [own] == target.documents.versions("x")


def test_what_the_source_gained_meanwhile_comes_with_the_next_copy(
    source: docstore.Store, opens: Opens, url: str
) -> None:
    """A new version moves the flag of the latest in the target, too."""
    target = opens(url)
    docstore.copy(source, target)
    source.documents.add(b"version 3", filename="chain.txt", external_id="c", tenant="t")
    assert docstore.copy(source, target).ok
    assert [4] == [one.version for one in target.documents.iterate({"external_id": "c", "owner": None})]


def test_the_highest_version_that_arrived_is_the_latest(opens: Opens, url: str) -> None:
    """A copy that stopped half-way through a chain leaves exactly one latest version."""
    source, target = opens(), opens(url)
    for n in range(50):
        source.documents.add(filename=f"{n}", external_id="c")

    class Stopped(Exception):
        pass

    def stop(progress: Progress) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        docstore.copy(source, target, on_progress=stop)
    assert [20] == [one.version for one in target.documents.iterate()]
    assert docstore.copy(source, target).ok
    assert [50] == [one.version for one in target.documents.iterate()]


def test_a_copy_without_bytes_is_completed_by_one_with(
    source: docstore.Store, opens: Opens, url: str
) -> None:
    """Rows alone need no storage; a later copy with bytes adds them without ``replace``."""
    target = opens(url)
    assert docstore.copy(source, target, bytes=False).ok
    assert {} == target.stats().blobs
    with pytest.raises(docstore.BlobMissing):
        target.documents.read_bytes("given")
    assert ("bytes",) == docstore.diff(source, target).differences[0].fields
    assert docstore.diff(source, target, bytes=False).same
    assert fingerprint(source) != fingerprint(target)
    assert fingerprint(source, stored=False) == fingerprint(target, stored=False)
    report = docstore.copy(source, target)
    assert report.ok
    assert report.transferred.replaced == target.stats().blobs["live"].count
    assert docstore.diff(source, target, level="hash").same


def test_lost_bytes_do_not_keep_the_rest(source: docstore.Store, opens: Opens, url: str) -> None:
    """A document whose bytes are gone or damaged is named and left out, its extractions with it."""
    target = opens(url)
    with source._context.read() as reader:
        key = next(row.key for row in reader.blobs() if row.size == 900_000)
    source._context.bytes().delete(key)
    report = docstore.copy(source, target)
    assert not report.ok
    assert ["given"] == [failure.id for failure in report.transferred.failures]
    assert 1 == report.transferred.skipped
    assert source.documents.count(latest_only=False) - 1 == target.documents.count(latest_only=False)
    assert target.check("hash").ok


def test_a_scoped_copy_takes_what_the_view_sees(source: docstore.Store, opens: Opens, url: str) -> None:
    """Only the tenant's documents are read; a view as target refuses those of others."""
    target = opens(url)
    assert docstore.copy(source.scoped(tenant="t"), target).ok
    assert {"t"} == {one.tenant for one in target.documents.iterate(latest_only=False)}
    assert docstore.diff(source.scoped(tenant="t"), target).same
    assert not docstore.diff(source, target).same
    with pytest.raises(docstore.ScopeError):
        docstore.copy(source, opens().scoped(tenant="t"))


def test_a_copy_needs_the_stores_as_they_are(source: docstore.Store, opens: Opens) -> None:
    """Without blobs= bytes cannot go; within a transaction, or closed, there is no copy."""
    with pytest.raises(docstore.BlobsNotConfigured):
        docstore.copy(source, opens(blobs=None))
    target = opens()
    with target.transaction(), pytest.raises(docstore.BackendError, match="transaction"):
        docstore.copy(source, target)
    target.close()
    with pytest.raises(docstore.StoreClosed):
        docstore.copy(source, target)


def test_a_copy_says_how_far_it_is(source: docstore.Store, opens: Opens) -> None:
    """After each batch: stage and count."""
    told: list[Progress] = []
    docstore.copy(source, opens(), on_progress=told.append)
    assert source.documents.count(latest_only=False) == max(
        one.done for one in told if one.stage == "documents"
    )
    assert ["documents", "extractions", "verified"] == list(dict.fromkeys(one.stage for one in told))


def test_a_diff_names_what_differs(source: docstore.Store, opens: Opens, url: str) -> None:
    """Added, removed, changed, and with level="hash" damaged: each is named, on both sides."""
    target = opens(url)
    docstore.copy(source, target)
    with target._context.read() as reader:
        key = next(row.key for row in reader.blobs() if row.size == 900_000)
    path = Path(target._context.bytes().location) / key
    path.write_bytes(b"y" + path.read_bytes()[1:])
    more = target.documents.add(filename="more")
    gone = source.documents.add(filename="gone")
    source.documents.update("given", metadata={"changed": 1})
    source.extractions.delete("e")
    found = docstore.diff(source, target)
    assert {
        ("only_in_a", gone.id, ()), ("only_in_b", more.id, ()), ("only_in_b", "e", ()),
        ("different", "given", ("metadata", "updated_at", "revision")),
    } == {(one.kind, one.id, one.fields) for one in found.differences}  # fmt: skip
    assert (4, False) == (found.count, found.same)
    read = docstore.diff(source, target, level="hash")
    assert ["given"] == [one.id for one in read.differences if one.kind == "unreadable"]
    assert "in b" in next(one.detail for one in read.differences if one.kind == "unreadable")


def test_a_fingerprint_does_not_hang_on_the_order(opens: Opens) -> None:
    """The same documents in another order have the same fingerprint, others another one."""
    one, other = opens(), opens()
    times = {"created_at": "2026-01-01T00:00:00Z"}
    for store, ids in ((one, "abc"), (other, "cab")):
        for id in ids:
            store.documents.add(id.encode(), filename=id, id=id, **times)
    assert fingerprint(one) == fingerprint(other)
    other.documents.update("a", metadata={"x": 1}, touch=False)
    assert fingerprint(one) != fingerprint(other)
    assert (3, 0, 3) == (fingerprint(one).documents, fingerprint(one).extractions, fingerprint(one).bytes)


def test_an_asynchronous_store_is_refused(source: docstore.Store) -> None:
    """Copies are made of blocking stores; another is a TypeError that says so."""
    with pytest.raises(TypeError, match="AsyncStore"):
        docstore.copy(source, docstore.open_async("memory://"))  # type: ignore[arg-type]


def test_two_stores_have_two_places(source: docstore.Store, opens: Opens) -> None:
    """Bytes cannot go where the source's are: a collection of one store would take those of the other."""
    with pytest.raises(docstore.BlobError, match="place of its own"):
        docstore.copy(source, opens(blobs=source._context.blobs))


def test_memory_does_not_grow_with_the_bytes(opens: Opens, tmp_path: Path) -> None:
    """Copied, exported and imported, a document of 48 MB needs less than 16 MB."""
    source, target, third = opens(), opens(), opens()
    (tmp_path / "large").write_bytes(bytes(48_000_000))
    large = source.documents.add(tmp_path / "large")
    tracemalloc.start()
    try:
        assert docstore.copy(source, target).ok
        with (tmp_path / "lines").open("w+b") as file:
            export_lines(target, file)
            file.seek(0)
            import_lines(third, file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16_000_000
    assert (large.size, large.sha256) == (
        third.documents.get(large.id).size,
        third.documents.get(large.id).sha256,
    )
    assert third.check("hash").ok


def test_a_fenced_copy_reads_its_bytes_again(opens: Opens, url: str) -> None:
    """A collector that takes the intents away beside the copy only makes it start its batch anew."""
    source, target = opens(), opens(url)
    for n in range(3):
        source.documents.add(b"bytes %d" % n, filename=f"{n}")
    fired: list[str] = []

    def collector(reached: str) -> None:
        if reached == "P3.5" and not fired:
            fired.append(reached)
            target.collect(0)

    with hooked(collector):
        assert docstore.copy(source, target).ok
    assert ["P3.5"] == fired
    assert docstore.diff(source, target, level="hash").same

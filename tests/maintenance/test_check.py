"""Check finds every kind of damage, says nothing of a sound store, and repair puts right what can be."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore.backend import BlobRow, Query
from docstore.blobs import Blobs, new_key
from docstore.blobs.objects import temporary_name
from docstore.crash_points import hooked
from docstore.errors import BlobError, BlobsNotConfigured
from docstore.maintenance import CheckReport, check, collect, repair
from docstore.query.fields import DOCUMENTS

LONG_AGO = 1
BODY = b"the bytes of a document"


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def found(report: CheckReport) -> list[tuple[str, str, str | None]]:
    return sorted((one.kind, one.key, one.document_id) for one in report.findings)


def add(place: Any, body: bytes = BODY) -> tuple[str, str]:
    """Add a document; return its id and its key."""
    before = set(place.rows())
    document = place.store.documents.add(body, filename="a.txt")
    (key,) = set(place.rows()) - before
    return document.id, key


def overwrite(place: Any, key: str, body: bytes) -> None:
    place.blobs.delete(key)
    place.blobs.write(key, [body])


def change_row(place: Any, key: str, **changes: Any) -> None:
    with place.backend.write() as writer:
        assert writer.update_blob(BlobRow(key), ("pending", "live", "dead", "swept"), **changes)


def drop_document(place: Any, id: str) -> None:
    """Remove a document's row behind the store's back."""
    with place.backend.write() as writer:
        (row,) = [row for row in writer.select(Query(DOCUMENTS)) if row["id"] == id]
        writer.delete(DOCUMENTS, [row])


@pytest.mark.parametrize("level", ["size", "hash"])
def test_a_sound_store_has_no_findings(place: Any, level: Any) -> None:
    """Documents with and without bytes, replaced and deleted ones: nothing is reported, all is counted."""
    for number in range(5):
        place.store.documents.add(b"x" * number, filename="a", external_id="e")
    place.store.documents.add(filename="no bytes")
    place.store.documents.delete(place.store.documents.add(BODY, filename="gone").id)
    report = check(place.backend, place.blobs, level)
    assert report.findings == ()
    assert report.ok is True
    assert (report.documents, report.blobs, report.objects) == (6, 5, 6)
    assert report.bytes == (10 if level == "hash" else 0)


def test_an_empty_store_is_sound(place: Any) -> None:
    """No documents, no bytes, no folder."""
    assert check(place.backend, place.blobs, "hash").ok is True


def missing(place: Any) -> Any:
    id, key = add(place)
    place.blobs.delete(key)
    return ("missing", key, id)


def truncated(place: Any) -> Any:
    id, key = add(place)
    overwrite(place, key, BODY[:-1])
    return ("truncated", key, id)


def longer(place: Any) -> Any:
    id, key = add(place)
    overwrite(place, key, BODY + b"!")
    return ("corrupt", key, id)


def flipped(place: Any) -> Any:
    id, key = add(place)
    overwrite(place, key, BODY[:-1] + b"!")
    return ("corrupt", key, id)


def orphan(place: Any) -> Any:
    key = new_key()
    place.blobs.write(key, [BODY])
    return ("extra", key, None)


def half(place: Any) -> Any:
    name = temporary_name(new_key())
    place.blobs.write(name, [BODY])
    return ("extra", name, None)


def unowned(place: Any) -> Any:
    id, key = add(place)
    drop_document(place, id)
    return ("extra", key, None)


def no_row(place: Any) -> Any:
    id, key = add(place)
    with place.backend.write() as writer:
        assert writer.delete_blob(BlobRow(key), ("live",))
    return ("missing", key, id)


def buried(place: Any) -> Any:
    id, key = add(place)
    with place.backend.write() as writer:
        assert writer.update_blob(BlobRow(key), ("live",), state="dead", at=writer.now())
    return ("missing", key, id)


def disagreeing(place: Any) -> Any:
    id, key = add(place)
    change_row(place, key, sha256="0" * 64)
    return ("corrupt", key, id)


def stale_intent(place: Any) -> Any:
    key = new_key()
    place.insert(BlobRow(key, at=LONG_AGO))
    return ("stale_pending", key, None)


def stale_dead(place: Any) -> Any:
    key = new_key()
    place.insert(BlobRow(key, size=1, state="dead", at=LONG_AGO))
    place.blobs.write(key, [b"x"])
    return ("stale_dead", key, None)


def came_back(place: Any) -> Any:
    key = new_key()
    place.insert(BlobRow(key, size=1, state="swept", at=LONG_AGO))
    place.blobs.write(key, [b"x"])
    return ("stale_dead", key, None)


def foreign(place: Any) -> Any:
    place.blobs.write("README", [b"not ours"])
    return ("foreign", "README", None)


DAMAGES = (
    missing, truncated, longer, flipped, orphan, half, unowned, no_row, buried, disagreeing, stale_intent,
    stale_dead, came_back, foreign,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_kind_of_damage_is_found_alone(anywhere: Any, damage: Callable[[Any], Any]) -> None:
    """Nothing else than the damage is reported, beside sound documents, on every storage."""
    add(anywhere, b"sound")
    expected = damage(anywhere)
    report = check(anywhere.backend, anywhere.blobs, "hash")
    assert (expected in found(report)) is True
    assert {(kind, key) for kind, key, _ in found(report)} == {expected[:2]}
    assert report.ok is False


def test_all_damage_is_found_together(place: Any) -> None:
    """On every backend, whatever else is damaged."""
    for _ in range(3):
        add(place, b"sound")
    expected = {damage(place) for damage in DAMAGES}
    assert set(found(check(place.backend, place.blobs, "hash"))) == expected


def test_a_flipped_bit_takes_level_hash(place: Any) -> None:
    """Level size reads no bytes; another word is refused."""
    flipped(place)
    assert check(place.backend, place.blobs, "size").ok is True
    with pytest.raises(ValueError, match="size"):
        check(place.backend, place.blobs, "deep")  # type: ignore[arg-type]


def test_a_store_without_blobs_is_checked_without(place: Any) -> None:
    """Without bytes none are needed; with some it is BlobsNotConfigured."""
    place.store.documents.add(filename="no bytes")
    assert check(place.backend, None).documents == 1
    add(place)
    with pytest.raises(BlobsNotConfigured):
        check(place.backend, None)


@pytest.mark.parametrize(("grace", "kinds"), [(60, set()), (0, {"extra"})])
def test_nothing_is_found_while_writers_and_collectors_run(place: Any, grace: float, kinds: set[str]) -> None:
    """A check beside writers, deleters and a collector reports nothing.

    At grace 0 the collector takes intents under their writers' hands, whose bytes then stand there without a
    row until they, too, are collected: that may be seen.
    """
    failures: list[BaseException] = []
    stop = threading.Event()

    def run(work: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                work()
                stop.wait(0.002)
        except BaseException as error:
            failures.append(error)

    def write() -> None:
        try:
            document = place.store.documents.add(BODY, filename="a", external_id="e")
        except docstore.StoreBusy:
            return
        if document.number % 2:
            place.store.documents.delete(document.id)

    works: list[Callable[[], object]] = [write, write, lambda: collect(place.backend, place.blobs, grace)]
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    reports = [check(place.backend, place.blobs, "hash") for _ in range(8)]
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {finding.kind for report in reports for finding in report.findings} <= kinds


@pytest.mark.parametrize("step", ["P2", "P3.1", "P3.3", "P3.4", "P5"])
def test_a_write_under_way_is_no_finding(place: Any, step: str) -> None:
    """At whatever step of a write the check looks."""
    reports: list[CheckReport] = []

    def look(reached: str) -> None:
        if reached == step and not reports:
            reports.append(check(place.backend, place.blobs, "hash"))

    with hooked(look):
        place.store.documents.add(BODY, filename="a")
    assert [report.findings for report in reports] == [()]


def test_what_goes_meanwhile_is_no_finding(place: Any, meanwhile: Any) -> None:
    """An object whose row was read as missing, and that is gone by then, was a collector's."""
    _, key, _ = orphan(place)
    passing = meanwhile(place.backend, write=lambda: place.blobs.delete(key))
    assert check(passing, place.blobs).findings == ()


def test_what_is_deleted_meanwhile_is_not_missing(place: Any, meanwhile: Any) -> None:
    """A document that is deleted after its row was read misses nothing."""
    document, key = add(place)

    def delete() -> None:
        if place.store.documents.count():
            place.store.documents.delete(document)
            collect(place.backend, place.blobs, 0)

    assert check(place.backend, meanwhile(place.blobs, list=delete), "hash").findings == ()
    assert place.blobs.size_of(key) is None


def repaired(place: Any, *damages: Callable[[Any], Any], dry_run: bool = False) -> Any:
    for damage in damages:
        damage(place)
    report = check(place.backend, place.blobs, "hash", grace=0)
    return repair(place.backend, place.blobs, report, dry_run=dry_run, force=True)


def test_a_dry_run_changes_nothing(place: Any) -> None:
    """It is the default, names what would be done, and the next check finds the same."""
    for damage in DAMAGES:
        damage(place)
    before = check(place.backend, place.blobs, "hash")
    names, states = place.names(), place.states()
    report = repair(place.backend, place.blobs, before)
    assert report.dry_run is True
    assert len(report.actions) == len(before.findings)
    assert not any(action.done for action in report.actions)
    assert (place.names(), place.states()) == (names, states)
    assert found(check(place.backend, place.blobs, "hash")) == found(before)


def test_repair_leaves_only_what_nobody_can_put_right(place: Any) -> None:
    """After repair and collection only foreign files are found: lost bytes came from their twins."""
    sound, _ = add(place, b"sound")
    for damage in (missing, truncated, longer, flipped):
        damage(place)
    for damage in (no_row, buried, disagreeing, orphan, half, unowned, stale_intent, came_back):
        damage(place)
    place.blobs.write("README", [b"not ours"])
    report = check(place.backend, place.blobs, "hash", grace=0)
    done = repair(place.backend, place.blobs, report, dry_run=False, force=True)
    verbs = {action.verb for action in done.actions}
    assert verbs == {"restore", "quarantine", "bury", "sweep", "keep", "copy"}
    collect(place.backend, place.blobs, 0)
    left = check(place.backend, place.blobs, "hash")
    assert [(one.kind, one.key) for one in left.findings] == [("foreign", "README")]
    for document in place.store.documents.iterate():
        expected = b"sound" if document.id == sound else BODY
        assert place.store.documents.read_bytes(document.id) == expected


@pytest.mark.parametrize("damage", [missing, truncated, longer, flipped])
def test_lost_bytes_without_a_twin_are_kept_as_they_are(place: Any, damage: Callable[[Any], Any]) -> None:
    """Repair says what is needed and touches neither row nor object."""
    report = repaired(place, damage)
    names, states = place.names(), place.states()
    (action,) = report.actions
    assert (action.verb, action.done) == ("keep", False)
    assert digest(BODY) in action.detail
    assert (place.names(), place.states()) == (names, states)


@pytest.mark.parametrize("damage", [missing, truncated, longer, flipped])
def test_lost_bytes_are_copied_from_a_twin(place: Any, damage: Callable[[Any], Any]) -> None:
    """Another document with the same sha256 gives its bytes; the wrong ones go by collection."""
    twin, _ = add(place)
    expected = damage(place)
    report = repair(place.backend, place.blobs, check(place.backend, place.blobs, "hash"), dry_run=False)
    assert [(action.verb, action.done) for action in report.actions] == [("copy", True)]
    assert place.store.documents.read_bytes(expected[2]) == BODY
    assert place.store.documents.read_bytes(twin) == BODY
    assert check(place.backend, place.blobs, "hash").ok is True
    collect(place.backend, place.blobs, 0)
    assert len(place.names()) == 2


@pytest.mark.parametrize("damage", [no_row, buried, disagreeing])
def test_a_row_is_restored_from_the_bytes(place: Any, damage: Callable[[Any], Any]) -> None:
    """Document and bytes agree: two witnesses against the row."""
    _, key, id = damage(place)
    report = repair(place.backend, place.blobs, check(place.backend, place.blobs, "hash"), dry_run=False)
    assert {(action.verb, action.done) for action in report.actions} == {("restore", True)}
    assert check(place.backend, place.blobs, "hash").ok is True
    row = place.rows()[key]
    assert (row.state, row.size, row.sha256) == ("live", len(BODY), digest(BODY))
    assert place.store.documents.read_bytes(id) == BODY


def test_what_no_row_knows_is_put_aside_whole(place: Any) -> None:
    """Quarantined bytes stay readable below quarantine/ and check does not mind them; collection removes them
    after a grace period.
    """
    add(place, b"sound")
    report = repaired(place, orphan, half)
    assert [action.verb for action in report.actions] == ["quarantine", "quarantine"]
    aside = [name for name in place.names() if name != place.key(5)]
    assert all(name.startswith("quarantine/") for name in aside)
    assert [place.blobs.read_bytes(name) for name in aside] == [BODY, BODY]
    assert check(place.backend, place.blobs).ok is True
    collect(place.backend, place.blobs)
    assert len(place.names()) == 3
    assert collect(place.backend, place.blobs, 0).emptied == 2
    assert place.names() == [place.key(5)]


def test_repair_refuses_to_take_away_more_than_a_tenth(place: Any) -> None:
    """A storage that does not belong to the database is not emptied: nothing is changed without force."""
    for _ in range(17):
        add(place)
    orphan(place)
    orphan(place)
    report = check(place.backend, place.blobs, grace=0)
    names = place.names()
    with pytest.raises(BlobError, match="2 of 19"):
        repair(place.backend, place.blobs, report, dry_run=False)
    assert place.names() == names
    add(place)
    report = check(place.backend, place.blobs, grace=0)
    assert repair(place.backend, place.blobs, report, dry_run=False).removals == 2


def test_findings_that_went_away_have_no_action(place: Any) -> None:
    """Each is looked at again before anything is done."""
    _, key = add(place)
    place.blobs.delete(key)
    stranger = new_key()
    place.blobs.write(stranger, [b"x"])
    report = check(place.backend, place.blobs)
    place.blobs.write(key, [BODY])
    place.blobs.delete(stranger)
    assert len(report.findings) == 2
    assert repair(place.backend, place.blobs, report, dry_run=False, force=True).actions == ()


def test_a_damaged_folder_is_an_error(place: Any, tmp_path: Path) -> None:
    """A storage that cannot be listed is no storage without objects."""
    add(place)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BlobError):
        check(place.backend, Blobs(tmp_path / "file"))


@pytest.mark.parametrize("url", ["sqlite", "sqlite-file", "postgres"], indirect=True)
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM {}",
        "UPDATE {} SET n = n + 2",
        "UPDATE {} SET status = 'failed' WHERE status = 'processing'",
    ],
)
def test_counts_that_are_wrong_are_found_and_mended(place: Any, damage: str) -> None:
    """What count_by says without reading a row is compared with the rows, and made what they say."""
    store = place.store
    for number in range(5):
        store.documents.add(tenant=f"t{number % 2}", owner="o", external_id="x")
    store.scoped(tenant="t1", owner="o").documents.claim()
    right = store.documents.count_by("status", latest_only=False)
    with place.backend.write() as session:
        session.cursor.execute(damage.format(place.backend.tables.tally))
    assert right != store.documents.count_by("status", latest_only=False)
    report = check(place.backend, place.blobs)
    assert {("index", "", None)} == set(found(report))
    assert all("the count of" in finding.detail for finding in report.findings)
    done = repair(place.backend, place.blobs, report, dry_run=False)
    assert {("rebuild", True)} == {(action.verb, action.done) for action in done.actions}
    assert right == store.documents.count_by("status", latest_only=False)
    assert check(place.backend, place.blobs).ok


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_counts_are_right_while_writers_write(place: Any) -> None:
    """A count anew sees one state of rows and counts, and a repair beside writers adds nothing twice."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            document = place.store.documents.add(filename="x")
            place.store.documents.fail(document.id, "no")
            place.store.documents.delete(document.id)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(30):
            assert [] == list(place.backend.check_indexes())
            place.backend.rebuild_indexes()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert {} == place.store.documents.count_by("status")
    assert [] == list(place.backend.check_indexes())

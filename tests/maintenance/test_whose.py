"""Nobody deletes what they merely do not know: the root's mark, the grace, the tenth, quarantine, places."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore.blobs import Blobs, Mark, new_key

DAY = 86_400.0
DAYS_AGO = time.time() - 3 * DAY


def put(store: docstore.Store, count: int, body: bytes = b"bytes") -> list[str]:
    """Add documents with bytes; return their ids."""
    return [store.documents.add(body + b"%d" % n, filename="x").id for n in range(count)]


def objects(folder: Path) -> dict[str, bytes]:
    """Return what stands below a root, but for the mark."""
    files = (path for path in folder.rglob("[!.]*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def stray(folder: Path, count: int = 1, *, written: float = DAYS_AGO) -> list[str]:
    """Write objects that no row knows; return their keys."""
    keys = [new_key() for _ in range(count)]
    for key in keys:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stray")
        os.utime(path, (written, written))
    return keys


def age(folder: Path) -> None:
    """Let everything below a folder look three days old."""
    for path in folder.rglob("*"):
        os.utime(path, (DAYS_AGO, DAYS_AGO))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the bytes of `store`."""
    return tmp_path / "files"


# -- whose the root is -----------------------------------------------------------------------------


@pytest.mark.parametrize("grace", [0, DAY])
def test_a_typo_in_the_database_s_url_deletes_nothing(
    store: docstore.Store, folder: Path, url: str, grace: float
) -> None:
    """Another store at this root is refused by name before it adds, collects or repairs; the error has both
    ids, and reading by key works.
    """
    made = put(store, 20)
    age(folder)
    before = objects(folder)
    with docstore.open("memory://", blobs=folder) as typo:
        for call in (
            lambda: typo.collect(grace),
            lambda: typo.collect(grace, force=True),
            lambda: typo.documents.add(b"new", filename="x"),
            lambda: typo.documents.add_many([{"source": b"new"}] * 9),
            lambda: typo.repair(typo.check(grace=0), dry_run=False),
        ):
            with pytest.raises(docstore.WrongBlobs) as caught:
                call()
            assert isinstance(caught.value, docstore.BlobError)
            ids = (typo.stats().store_id, store.stats().store_id)
            assert ids == (caught.value.expected, caught.value.found)
            assert all(one in str(caught.value) for one in ids if one)
        assert typo.documents.count() == 0
        assert typo.documents.add(filename="without bytes").size is None
        report = typo.check(grace=0)
        assert [("unowned", "")] == [(one.kind, one.key) for one in report.findings]
    assert objects(folder) == before
    assert store.documents.read_bytes(made[7]) == b"bytes7"


def test_two_stores_on_one_root(store: docstore.Store, folder: Path) -> None:
    """The first to write has it; adopted by the second, it refuses the first and gives nothing up at once."""
    put(store, 20)
    age(folder)
    before = objects(folder)
    with docstore.open("memory://", blobs=folder) as other:
        told = other.adopt_blobs()
        assert (told.before, told.store_id) == (store.stats().store_id, other.stats().store_id)
        other.documents.add(b"another's", filename="x")
        report = other.collect()
        assert (report.orphans, "tenth" in report.refused) == (0, True)
        assert before.items() <= objects(folder).items()
        with pytest.raises(docstore.WrongBlobs):
            store.documents.add(b"x", filename="x")
        with pytest.raises(docstore.WrongBlobs):
            store.collect(0)
        assert "unowned" in {one.kind for one in store.check().findings}
        assert store.adopt_blobs().before == other.stats().store_id
        assert store.check(level="hash").findings[0].kind == "extra"  # the other's
        assert store.documents.read_bytes(store.documents.add(b"x", filename="x").id) == b"x"


def test_a_root_without_a_mark_is_taken_where_the_rows_know_all(store: docstore.Store, folder: Path) -> None:
    """The mark that was lost is set with the next bytes, and the place is as it was."""
    put(store, 3)
    mark = Blobs(folder).mark()
    (folder / ".docstore-store").unlink()
    store.documents.delete_many({})
    assert store.collect(0).swept == 3
    assert Blobs(folder).mark() is None
    store.documents.add(b"x", filename="x")
    found = Blobs(folder).mark()
    assert found is not None
    assert mark is not None
    assert found.store == mark.store


def test_a_root_without_a_mark_and_with_strangers_is_refused(url: str, folder: Path) -> None:
    """Objects that the rows do not know, and no mark: nobody knows whose; adopted, it is ours."""
    keys = stray(folder, 3)
    with docstore.open(url, blobs=folder) as store:
        for call in (lambda: store.documents.add(b"x", filename="x"), lambda: store.collect(0)):
            with pytest.raises(docstore.WrongBlobs) as caught:
                call()
            assert caught.value.found is None
        assert [one.kind for one in store.check(grace=0).findings] == ["unowned"]
        assert store.adopt_blobs().before is None
        store.documents.add(b"x", filename="x")
        assert set(keys) < set(objects(folder))
        assert {one.key for one in store.check(grace=0).findings} == set(keys)


def test_foreign_files_mark_nothing(url: str, folder: Path) -> None:
    """A root with files that are no objects is taken as an empty one is."""
    folder.mkdir()
    (folder / "README").write_bytes(b"x")
    with docstore.open(url, blobs=folder) as store:
        put(store, 1)
        assert store.collect(0).orphans == 0
    assert (folder / "README").read_bytes() == b"x"


@pytest.mark.parametrize("mark", [b"\0\xff{", b"[" * 4096, b"3"])
@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_a_damaged_mark_is_nobody_s(store: docstore.Store, folder: Path, mark: bytes) -> None:
    """An unreadable mark refuses, one nested too deeply as well; adoption mends it."""
    put(store, 2)
    (folder / ".docstore-store").write_bytes(mark)
    with pytest.raises(docstore.WrongBlobs) as caught:
        store.collect()
    assert caught.value.found == ""
    assert store.adopt_blobs().before == ""
    assert store.collect().refused == ""


def test_one_of_several_that_begin_at_once_marks_a_root(tmp_path: Path) -> None:
    """Eight stores write their first bytes to one root at the same time: one has it, and only its bytes stand
    there.
    """
    stores = [docstore.open("memory://", blobs=tmp_path / "files") for _ in range(8)]
    outcomes: list[object] = []
    begin = threading.Barrier(8)

    def add(store: docstore.Store) -> None:
        begin.wait()
        try:
            store.documents.add(b"mine", filename="x")
            outcomes.append(store)
        except docstore.WrongBlobs:
            outcomes.append(None)

    threads = [threading.Thread(target=add, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 8
    assert sum(one is not None for one in outcomes) == 1
    assert len(objects(tmp_path / "files")) == 1
    for store in stores:
        store.close()


def test_a_pinned_id_refuses_a_database_of_another_store(
    store: docstore.Store, folder: Path, url: str
) -> None:
    """store_id= must be the database's and the root's; else nothing is added, collected or repaired."""
    put(store, 2)
    own = store.stats().store_id
    with docstore.open("memory://", blobs=folder, store_id=own) as typo:
        for call in (lambda: typo.documents.add(b"x", filename="x"), typo.collect, typo.adopt_blobs):
            with pytest.raises(docstore.WrongBlobs) as caught:
                call()
            assert caught.value.expected == own
    with pytest.raises(ValueError, match="store_id"):
        docstore.open("memory://", store_id="")
    if url.startswith(("sqlite:///", "postgresql")):
        with docstore.open(url, blobs=folder, store_id=own) as pinned:
            put(pinned, 1)
            assert pinned.collect(0).refused == ""
        with (
            docstore.open(url, blobs=folder, store_id="another") as wrong,
            pytest.raises(docstore.WrongBlobs),
        ):
            wrong.collect()


# -- what has no row -------------------------------------------------------------------------------


def test_nothing_younger_than_the_grace_is_touched(store: docstore.Store, folder: Path) -> None:
    """An object without a row stays until it is older; with a grace of 0 at once it is put aside."""
    put(store, 3)
    (key,) = stray(folder, written=time.time() - 3600)
    assert (store.collect().orphans, store.collect().young) == (0, 1)
    report = store.check(grace=DAY)
    assert [one.key for one in report.findings] == [key]
    repaired = store.repair(report, dry_run=False)
    assert [(one.verb, one.done) for one in repaired.actions] == [("keep", False)]
    assert key in objects(folder)
    assert store.collect(600).orphans == 1
    assert f"quarantine/{key}" in objects(folder)


@pytest.mark.parametrize("strays", [1, 2, 3])
def test_more_than_a_tenth_is_refused_without_force(store: docstore.Store, folder: Path, strays: int) -> None:
    """Of 20 and some objects two may go; one always; force lifts the tenth and nothing else. The other passes
    run all the same.
    """
    made = put(store, 18)
    store.documents.delete(made.pop())
    keys = stray(folder, strays)
    young = stray(folder, written=time.time())
    report = store.collect()
    assert report.swept == 1
    assert report.young == 1
    if strays < 3:
        assert (report.orphans, report.refused) == (strays, "")
        return
    assert report.orphans == 0
    assert "more than a tenth" in report.refused
    assert set(keys) < set(objects(folder))
    report = store.collect(force=True)
    assert (report.orphans, report.young, report.refused) == (3, 1, "")
    assert young[0] in objects(folder)
    assert {f"quarantine/{key}" for key in keys} < set(objects(folder))


def test_one_object_is_always_allowed(store: docstore.Store, folder: Path) -> None:
    """In a storage of three, too; by collect and by repair."""
    put(store, 2)
    stray(folder)
    assert store.collect().orphans == 1
    stray(folder)
    assert store.repair(store.check(), dry_run=False).removals == 1
    stray(folder, 2)
    with pytest.raises(docstore.BlobError, match="tenth"):
        store.repair(store.check(), dry_run=False)


def test_quarantine_is_emptied_after_another_grace(store: docstore.Store, folder: Path) -> None:
    """What was put aside stays readable for a grace period from then, whatever its own age."""
    put(store, 3)
    (key,) = stray(folder)
    store.collect()
    assert (folder / "quarantine" / key).read_bytes() == b"stray"
    assert store.collect().emptied == 0
    age(folder / "quarantine")
    report = store.collect()
    assert (report.emptied, report.orphans) == (1, 0)
    assert len(objects(folder)) == 3


def test_quarantine_keeps_what_a_row_knows_and_what_people_put_there(
    store: docstore.Store, folder: Path
) -> None:
    """Emptying looks at the rows, too, and at names: only keys that no row knows go."""
    put(store, 1)
    (key,) = objects(folder)
    (folder / "quarantine" / key).parent.mkdir(parents=True)
    (folder / key).rename(folder / "quarantine" / key)
    (folder / "quarantine" / "notes").write_bytes(b"people's")
    age(folder)
    assert store.collect(0).emptied == 0
    assert set(objects(folder)) == {f"quarantine/{key}", "quarantine/notes"}


def test_repair_moves_back_what_a_live_row_needs(store: docstore.Store, folder: Path) -> None:
    """If size and sha256 fit; else it is left, and a damaged one is no help."""
    made = put(store, 12)
    sound, broken = sorted(objects(folder))[:2]
    for key in (sound, broken):
        (folder / "quarantine" / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).rename(folder / "quarantine" / key)
    (folder / "quarantine" / broken).write_bytes(b"brokeN")
    report = store.check()
    assert {(one.kind, "quarantine" in one.detail) for one in report.findings} == {("missing", True)}
    done = {one.finding.key: (one.verb, one.done) for one in store.repair(report, dry_run=False).actions}
    assert done == {sound: ("restore", True), broken: ("keep", False)}
    assert sound in objects(folder)
    assert broken not in objects(folder)
    assert f"quarantine/{broken}" in objects(folder)
    assert len([one for one in made if _reads(store, one)]) == 11


def _reads(store: docstore.Store, id: str) -> bool:
    try:
        store.documents.read_bytes(id)
    except docstore.BlobMissing:
        return False
    return True


def test_deleting_and_erasing_reach_quarantine(store: docstore.Store, folder: Path) -> None:
    """A copy that was put aside goes with its row."""
    store.documents.add(b"gone", filename="x", tenant="t")
    (key,) = objects(folder)
    (folder / "quarantine" / key).parent.mkdir(parents=True)
    shutil.copy(folder / key, folder / "quarantine" / key)
    store.erase(tenant="t")
    assert objects(folder) == {}


# -- an older backup -------------------------------------------------------------------------------


@pytest.mark.parametrize("grace", [0, DAY])
@pytest.mark.parametrize("lost", [2, 9])
def test_last_night_s_backup_restored(tmp_path: Path, lost: int, grace: float) -> None:
    """The id fits and rows are missing: check asks whether that is so, nothing of the day is touched by the
    default grace, and by a grace of 0 a tenth at most is put aside, from where the right database brings it
    back.
    """
    database, backup, folder = tmp_path / "a.db", tmp_path / "backup.db", tmp_path / "files"
    url = f"sqlite:///{database}"
    with docstore.open(url, blobs=folder) as store:
        put(store, 20)
    shutil.copy(database, backup)
    with docstore.open(url, blobs=folder) as store:
        lost_ids = put(store, lost, b"of the day")
    right = database.rename(tmp_path / "right.db")
    before = objects(folder)
    shutil.copy(backup, database)
    with docstore.open(url, blobs=folder) as store:
        asked = f"{lost} objects are newer than the newest row: was an older backup restored?"
        report = store.check()
        assert asked in report.notes
        assert all(asked in one.detail for one in report.findings if one.kind == "extra")
        collected = store.collect(grace)
    if grace:
        assert (collected.young, objects(folder)) == (lost, before)
    elif lost == 9:
        assert "tenth" in collected.refused
        assert objects(folder) == before
    else:
        assert collected.orphans == 2
    right.rename(database)
    with docstore.open(url, blobs=folder) as store:
        store.repair(store.check(grace=0), dry_run=False)
        assert store.check(level="hash").ok
        assert [store.documents.read_bytes(id) for id in lost_ids] == [
            b"of the day%d" % n for n in range(lost)
        ]


def test_a_database_replaced_while_its_collection_runs_takes_nothing(tmp_path: Path) -> None:
    """The id is looked at with the rows of each batch, not only at the beginning."""
    url, folder = f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "files"
    with docstore.open(url, blobs=folder) as store:
        put(store, 12)
        stray(folder)
        swap: list[str] = []

        def another(progress: Any) -> None:
            if progress.stage == "listed" and not swap:
                swap.append("done")
                with sqlite3.connect(tmp_path / "a.db") as database:
                    database.execute("UPDATE docstore_setting SET value = 'other' WHERE name = 'store_id'")

        report = store.collect(0, on_progress=another)
        assert (report.orphans, "replaced" in report.refused) == (0, True)
    assert len(objects(folder)) == 13


# -- places ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["sqlite-file", "postgres"], indirect=True)
def test_two_roots_on_one_database(url: str, tmp_path: Path) -> None:
    """Rows name their root: what was written to another is neither collected nor taken for removed, and an
    erasure says what it did not reach.
    """
    one, two = tmp_path / "one", tmp_path / "two"
    with docstore.open(url, blobs=one) as store:
        kept = store.documents.add(b"first", filename="x", tenant="t")
        store.documents.delete(store.documents.add(b"dead", filename="x", tenant="t").id)
    with docstore.open(url, blobs=two) as store:
        store.documents.add(b"second", filename="x", tenant="t")
        report = store.collect(0)
        assert (report.swept, report.elsewhere) == (0, {str(one): 1})
        assert len(objects(one)) == 2
        (missing,) = store.check().findings
        assert (missing.kind, missing.document_id, str(one) in missing.detail) == ("missing", kept.id, True)
        erased = store.erase(tenant="t")
        assert (erased.documents, erased.blobs, erased.unreached) == (2, 1, (str(one),))
    assert sorted(objects(one).values()) == [b"dead", b"first"]
    moved = one.rename(tmp_path / "moved")
    with docstore.open(url, blobs=moved) as store:
        erased = store.erase(tenant="t")
        assert (erased.documents, erased.blobs, erased.unreached) == (0, 2, ())
        assert list(store.collect(0).elsewhere) == [str(two)]  # its swept row, until it is dropped there
    assert objects(moved) == {}


def test_a_root_that_is_not_mounted_loses_no_row(tmp_path: Path) -> None:
    """An empty folder in a root's place is another place: dead rows are not taken for removed."""
    url, folder = f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "files"
    with docstore.open(url, blobs=folder) as store:
        store.documents.delete(put(store, 1)[0])
        away = folder.rename(tmp_path / "away")
        folder.mkdir()
        assert store.collect(0).elsewhere == {str(folder): 1}
        shutil.rmtree(folder)
        away.rename(folder)
        assert store.collect(0).swept == 1


def test_an_adopted_copy_of_a_root_is_its_place(tmp_path: Path) -> None:
    """Bytes that were copied without the mark are the same place once they are adopted."""
    url, folder = f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "files"
    with docstore.open(url, blobs=folder) as store:
        store.documents.delete(put(store, 2)[0])
    mark = Blobs(folder).mark()
    copied = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copied / ".docstore-store").unlink()
    stray(copied)
    with docstore.open(url, blobs=copied) as store:
        store.adopt_blobs()
        assert Blobs(copied).mark() == mark
        assert store.collect().swept == 1


# -- where it is refused ---------------------------------------------------------------------------


def test_a_scoped_view_neither_adopts_nor_judges_strangers(store: docstore.Store, folder: Path) -> None:
    """Its collection does its own rows; what has no row is the whole store's."""
    store.documents.add(b"x", filename="x", tenant="t")
    (key,) = stray(folder)
    view = store.scoped(tenant="t")
    assert view.collect(0).orphans == 0
    assert key in objects(folder)
    with pytest.raises(docstore.ScopeError):
        view.adopt_blobs()


@pytest.mark.parametrize("url", ["sqlite-file", "postgres"], indirect=True)
def test_a_read_only_store_changes_nothing(url: str, folder: Path) -> None:
    """collect, repair and adopt are ReadOnlyStore; check says what it did not look for."""
    with docstore.open(url, blobs=folder) as store:
        put(store, 2)
    stray(folder)
    with docstore.open(url, blobs=folder, read_only=True) as store:
        report = store.check()
        assert (report.ok, "read_only" in report.notes[0]) == (True, True)
        for call in (store.collect, store.adopt_blobs, lambda: store.repair(report, dry_run=False)):
            with pytest.raises(docstore.ReadOnlyStore):
                call()
    assert len(objects(folder)) == 3


# -- everywhere ------------------------------------------------------------------------------------


def test_the_mark_and_quarantine_work_on_every_storage(anywhere: Any, request: Any) -> None:
    """Folder, memory and S3 alike: marked once, refused to others, put aside, brought back, emptied."""
    blobs: Blobs = anywhere.blobs
    store: docstore.Store = anywhere.store
    put(store, 2)
    mark = blobs.mark()
    assert mark is not None
    assert mark.store == store.stats().store_id
    assert blobs.set_mark(Mark("another", 1)) == mark
    with docstore.open("memory://", blobs=blobs) as other, pytest.raises(docstore.WrongBlobs):
        other.documents.add(b"x", filename="x")
    stranger = new_key()
    blobs.write(stranger, [b"stranger"])
    assert store.collect(0).orphans == 1
    assert blobs.read_bytes(f"quarantine/{stranger}") == b"stranger"
    lost = next(key for key, row in anywhere.rows().items() if row.state == "live")
    blobs.quarantine(lost)
    assert blobs.stat(lost) is None
    store.repair(store.check(), dry_run=False)
    assert store.check(level="hash").ok
    assert store.collect(0).emptied == 1
    assert anywhere.names() == sorted(anywhere.rows())


def test_the_asynchronous_store_refuses_and_adopts_alike(tmp_path: Path) -> None:
    """The same calls, awaited."""
    import asyncio

    with docstore.open("memory://", blobs=tmp_path / "files") as first:
        put(first, 2)

    async def main() -> None:
        async with docstore.open_async("memory://", blobs=tmp_path / "files") as store:
            for call in (store.collect, lambda: store.documents.add(b"x", filename="x")):
                with pytest.raises(docstore.WrongBlobs):
                    await call()
            await store.adopt_blobs()
            await store.documents.add(b"x", filename="x")
            report = await store.collect(0, workers=2)
            assert "tenth" in report.refused
            assert (await store.collect(0, force=True, prefix="", after="")).orphans == 2

    asyncio.run(main())


@pytest.mark.parametrize("workers", [0, 257, True, "4"])
def test_workers_are_a_few(store: docstore.Store, workers: Any) -> None:
    """Anything else is refused before anything is looked at."""
    calls: list[Callable[..., object]] = [store.check, store.collect]
    for call in calls:
        with pytest.raises(ValueError, match="workers"):
            call(workers=workers)


def test_an_inventory_stands_for_the_listing(store: docstore.Store, folder: Path) -> None:
    """Pairs of name and size, older than the rows: check and collect list nothing themselves, and find what
    the listing would have shown; what is gone or came since is no finding.
    """
    made = put(store, 12)
    (key,) = stray(folder)
    gone = new_key()
    inventory = [(name, len(body)) for name, body in objects(folder).items()] + [(gone, 7)]
    store.documents.delete(made[0])
    store.documents.add(b"since", filename="x")
    report = store.check(listing=iter(inventory), workers=3)
    assert [(one.kind, one.key) for one in report.findings] == [("extra", key)]
    assert report.objects == 14
    collected = store.collect(listing=iter(inventory), workers=3)
    assert (collected.orphans, collected.swept) == (1, 1)
    assert f"quarantine/{key}" in objects(folder)


@pytest.mark.parametrize("inventory", ["ab", [("ab/cd", 1, "x")], [("ab/cd", "1")], [None]])
def test_an_inventory_is_pairs_of_name_and_size(store: docstore.Store, inventory: Any) -> None:
    """What is none is said, and so is a report that is none."""
    for call in (store.check, store.collect):
        with pytest.raises(ValueError, match="name and its size"):
            call(listing=inventory)
    with pytest.raises(TypeError, match="what check"):
        store.repair(inventory)


def test_a_check_may_go_part_by_part(store: docstore.Store, folder: Path) -> None:
    """By prefix, or from a key on: the parts together find what a whole one does."""
    put(store, 12)
    lost, *_ = sorted(objects(folder))
    (folder / lost).unlink()
    stray(folder, 3)
    whole = {(one.kind, one.key) for one in store.check().findings}
    digits = "0123456789abcdef"
    parts = [store.check(prefix=digit, workers=2) for digit in digits]
    assert {(one.kind, one.key) for part in parts for one in part.findings} == whole
    middle = sorted(key for _, key in whole)[1]
    found = {one.key for one in store.check(after=middle).findings}
    assert found == {key for _, key in whole if key > middle}


def test_an_erasure_at_another_s_root_reaches_nothing(tmp_path: Path) -> None:
    """Rows go, bytes at the own root stay and are named; through the right root the same call goes on."""
    url, folder, other = f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "files", tmp_path / "other"
    with docstore.open("memory://", blobs=other) as stranger:
        put(stranger, 1)
    with docstore.open(url, blobs=folder) as store:
        store.documents.add(b"x", filename="x", tenant="t")
    with docstore.open(url, blobs=other) as store:
        erased = store.erase(tenant="t")
        assert (erased.documents, erased.blobs, erased.unreached) == (1, 0, (str(folder),))
    assert len(objects(folder)) == len(objects(other)) == 1
    with docstore.open(url, blobs=folder) as store:
        assert store.erase(tenant="t").unreached == ()
    assert objects(folder) == {}


def test_a_database_that_was_replaced_is_seen_by_the_next_write(tmp_path: Path) -> None:
    """A store that is open, and believes what it saw, writes no bytes of another store's database here."""
    url, folder = f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "files"
    with docstore.open(url, blobs=folder) as store:
        put(store, 2)
        with sqlite3.connect(tmp_path / "a.db") as database:
            database.execute("UPDATE docstore_setting SET value = 'other' WHERE name = 'store_id'")
        with pytest.raises(docstore.WrongBlobs):
            put(store, 1)
        assert len(objects(folder)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        "key = '../../outside'",
        "at = 'yesterday'",
        "size = -5",
        "state = 'lost'",
        "place = 'there'",
        "sha256 = ''",
    ],
)
def test_a_row_of_bytes_that_somebody_broke_is_one_finding(tmp_path: Path, changes: str) -> None:
    """And takes nothing with it: no file outside of the root, nor the check and collection of others."""
    url, folder = f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "in" / "files"
    outside = tmp_path / "outside"
    outside.write_bytes(b"a person's")
    with docstore.open(url, blobs=folder) as store:
        made = put(store, 3)
        store.documents.delete(made[0])
        store.documents.delete(made[1])
        with sqlite3.connect(tmp_path / "a.db") as database:
            one = "(SELECT min(key) FROM docstore_blob WHERE state = 'dead')"
            database.execute(f"UPDATE docstore_blob SET {changes} WHERE key = {one}")
        assert [one.kind for one in store.check(grace=DAY).findings].count("unreadable") == 1
        assert store.collect(0).swept == 1
        store.repair(store.check(grace=0), dry_run=False, force=True)
        assert store.documents.read_bytes(made[2]) == b"bytes2"
    assert outside.read_bytes() == b"a person's"


def test_a_document_whose_key_leads_out_reads_nothing(tmp_path: Path) -> None:
    """A key in a document's row that somebody wrote by hand opens no file of the machine."""
    url, folder = f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "in" / "files"
    (tmp_path / "outside").write_bytes(b"bytes0")
    with docstore.open(url, blobs=folder) as store:
        (id,) = put(store, 1)
        with sqlite3.connect(tmp_path / "a.db") as database:
            database.execute("UPDATE docstore_document SET blob_key = '../../outside'")
        for read in (store.documents.read_bytes, store.documents.open):
            with pytest.raises(docstore.BlobError, match="storage key"):
                read(id)


def test_two_collections_at_once_fail_at_nothing(store: docstore.Store, folder: Path) -> None:
    """What one of them moved is no failure of the other."""
    put(store, 2)
    stray(folder, 30)
    reports: list[Any] = []

    def collect() -> None:
        reports.append(store.collect(force=True, workers=2))

    threads = [threading.Thread(target=collect) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.failed for report in reports] == [(), (), ()]
    assert sum(report.orphans for report in reports) == 30
    assert sum(name.startswith("quarantine/") for name in objects(folder)) == 30

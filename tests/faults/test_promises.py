"""The promises of docs/storage-promises.md: each has a check that holds, and fails on a mutant that
breaks it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from docstore_sql import migrations
from docstore_sql.compiler import Compiler, Fragment
from docstore_sqlite.backend import SQLiteBackend
from docstore_sqlite.session import SQLiteSession

import docstore
from docstore.blobs import local, streams
from docstore.context.collection_view import CollectionView
from docstore.context.ownership import Ownership
from docstore.context.store_context import StoreContext
from docstore.crash_points import STEPS, hooked
from docstore.errors import BackendError, BlobError, DocstoreError, NotFound
from docstore.maintenance.orphans import Absent
from docstore.testing.faulty_backend import FaultyBackend
from docstore.testing.faulty_filesystem import Faults
from docstore.writes import insertion
from docstore.writes.edits import DocumentsView
from tests.kit.crashes import crashed_at

Patch = pytest.MonkeyPatch
orphans_module = import_module("docstore.maintenance.orphans")
collecting_module = import_module("docstore.maintenance.collect")
erasing_module = import_module("docstore.maintenance.collect")


@dataclass
class Place:
    """Where a check works: a folder of its own."""

    folder: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'docstore.db'}"

    def open(self, url: Any = None) -> docstore.Store:
        return docstore.open(self.url if url is None else url, blobs=self.folder / "files")


# -- the checks ------------------------------------------------------------------------------------


def acknowledged_is_durable(place: Place) -> None:
    """1. What was acknowledged is there after the process died, and the database syncs fully."""
    with place.open() as store, store._context.backend.write() as writer:
        cursor = writer.connection.cursor()  # type: ignore[attr-defined]
        assert [2] == [level for (level,) in cursor.execute("PRAGMA synchronous")]
    assert crashed_at("P5", lambda: place.open().documents.add(b"x", id="a"))
    with place.open() as store:
        assert b"x" == store.documents.read_bytes("a")


def rows_never_dangle(place: Place) -> None:
    """2. Whatever step a write dies at, no row points at missing or wrong bytes."""
    with place.open() as store:
        store.documents.add(b"old", id="a")
    for step in STEPS[:10]:
        crashed_at(step, lambda: place.open().documents.update("a", source=b"new bytes"))
        with place.open() as store:
            assert store.documents.read_bytes("a") in (b"old", b"new bytes")
            assert not [one for one in store.check("hash").findings if one.kind != "extra"]


def bytes_are_written_once(place: Place) -> None:
    """3. A replacement has a key of its own, the old bytes stay as they are, and no key tells of a name."""
    with place.open() as store:
        made = store.documents.add(b"old", filename="../../etc/passwd", external_id="secret")
        blobs = store._context.bytes()
        (old,) = [found.name for found in blobs.list()]
        store.documents.update(made.id, source=b"new")
        names = [found.name for found in blobs.list()]
        assert (2, b"old") == (len(names), blobs.read_bytes(old))
        assert not any(word in name for name in names for word in ("passwd", "secret", ".."))
        with suppress(BlobError):
            blobs.write(old, [b"again"])
        assert b"old" == blobs.read_bytes(old)


def readers_see_whole_files(place: Place) -> None:
    """4. At no step of a replacement is there a part of a file under a key; an open reader keeps its
    version.
    """
    body = os.urandom(100_000)
    with place.open() as store:
        made = store.documents.add(body)
        seen: list[int] = []

        def look(step: str) -> None:
            sizes = {found.size for found in store._context.bytes().list() if found.kind == "object"}
            seen.extend(sizes - {len(body)})
            assert store.documents.read_bytes(made.id) in (body, body[::-1])

        with store.documents.open(made.id) as reader:
            begun = reader.read(10)
            with hooked(lambda step: look(step) if step < "P4" else None):
                store.documents.update(made.id, source=body[::-1])
            assert body == begun + reader.read()
        assert [] == seen


def failures_leave_nothing(place: Place) -> None:
    """5. A source that raises or lies leaves no row, no bytes, no temporary file, and the store works."""

    class Raising:
        def read(self, amount: int) -> bytes:
            raise ZeroDivisionError

    with place.open() as store:
        for call in (lambda: store.documents.add(Raising()), lambda: store.documents.add(b"four", size=5)):
            with suppress(ZeroDivisionError, DocstoreError):
                call()
        assert 0 == store.documents.count()
        assert [] == list(store._context.bytes().list())
        assert b"x" == store.documents.read_bytes(store.documents.add(b"x").id)


def bytes_go_after_the_commit(place: Place) -> None:
    """6. A deletion that was not committed has taken no bytes; a failed removal is tried until it works."""
    with place.open() as store:
        store.documents.add(b"x", id="a")
    assert crashed_at("D1", lambda: place.open().documents.delete("a"))
    with place.open() as store:
        assert b"x" == store.documents.read_bytes("a")
        store.documents.delete("a")
        blobs = store._context.bytes()
        remove, tries = blobs.delete, [1]

        def failing(key: str) -> None:
            if tries:
                tries.pop()
                raise BlobError("not now", key=key)
            remove(key)

        blobs.delete = failing  # type: ignore[method-assign]
        for _ in range(3):
            store.collect(3600)
        assert [] == list(blobs.list())


def collection_is_fenced(place: Place) -> None:
    """7. A collector at grace 0 between any two steps of a write takes nothing that is acknowledged."""
    with place.open() as store:
        for step in ("P2", "P3.1", "P3.3", "P3.5"):
            left = [step]

            def collector(reached: str, left: list[str] = left) -> None:
                if reached in left:
                    left.remove(reached)
                    store.collect(0)

            with hooked(collector):
                made = store.documents.add(step.encode())
            assert step.encode() == store.documents.read_bytes(made.id)
        assert store.check("hash").ok


def retries_are_safe(place: Place) -> None:
    """8. However a commit is cut, the caller's repetition ends in one document."""
    with place.open() as plain:
        for fault in ("before", "after"):
            broken = FaultyBackend(plain._context.backend, Faults(2, fault, only={"commit"}))  # type: ignore[arg-type]
            store = place.open(broken)
            try:
                store.documents.add(fault.encode(), filename=fault)
            except BackendError:
                store.documents.add(fault.encode(), filename=fault)
            assert 1 == plain.documents.count({"filename": fault})
        plain.collect(0)
        assert plain.check("hash", grace=0).ok


def no_update_is_lost(place: Place) -> None:
    """9. Eight writers that change what they read lose nothing and meet no locked database; a claim is
    exclusive.
    """
    with place.open() as store:
        store.documents.add(id="a", metadata={"n": 0})
        failures: list[BaseException] = []

        def count() -> None:
            try:
                done = 0
                while done < 3:
                    now = store.documents.get("a")
                    with suppress(docstore.RevisionConflict):
                        store.documents.update(
                            "a", metadata={"n": now.metadata["n"] + 1}, if_revision=now.revision
                        )
                        done += 1
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == failures
        now = store.documents.get("a")
        assert 24 == now.metadata["n"]
        with suppress(docstore.RevisionConflict):  # what another wrote since is not overwritten
            store.documents.update("a", metadata={"n": 0}, if_revision=now.revision - 1)
        assert 24 == store.documents.get("a").metadata["n"]
        (claim,) = store.documents.claim()
        assert [] == store.documents.claim()
        claim.complete()


def backends_agree(place: Place) -> None:
    """10. Memory and SQLite give the same pages for filters, sorts and cursors; `nox -s parity` does it
    200,000 times.
    """
    filters: list[Any] = [
        {},
        {"metadata.n": {"$gt": 2}},
        {"metadata.t": {"$ne": "a"}},
        {"metadata.n": {"$in": [1, "a", None]}},
    ]
    answers = []
    for url in ("memory://", place.url):
        with place.open(url) as store:
            for number in range(12):
                value = {"n": number % 5, "t": "ab"[number % 2]} if number % 3 else {"n": [number, "x"]}
                store.documents.add(id=f"d{number}", metadata=value)
            pages = [
                store.documents.find(one, sort=["-metadata.n", "id"], limit=5, cursor=cursor)
                for one in filters
                for cursor in (
                    None,
                    store.documents.find(one, sort=["-metadata.n", "id"], limit=5).next_cursor,
                )
            ]
            answers.append([[one.id for one in page.items] for page in pages])
    assert answers[0] == answers[1]


def rejected_before_anything(place: Place) -> None:
    """11. What cannot be stored or asked is a named error before any call to the database, and changes
    nothing.
    """
    with place.open() as plain:
        faults = Faults()
        documents = place.open(FaultyBackend(plain._context.backend, faults)).documents
        calls: list[Callable[[], object]] = [
            lambda: documents.add(b"x", metadata={"a": float("nan")}),
            lambda: documents.add(b"x", sha256="short"),
            lambda: documents.add(b"x", filename="a\0b"),
            lambda: documents.find({"$nope": 1}),
            lambda: documents.find(limit=-1),
            lambda: documents.find(cursor="garbage"),
            lambda: documents.update("a", nothing=1),
        ]
        for call in calls:
            with suppress(DocstoreError):
                call()
                raise AssertionError("it was taken")
        assert [] == faults.calls
        assert not (place.folder / "files").exists()


def bad_documents_break_nothing(place: Place) -> None:
    """12. Odd values and lost bytes of one document leave the listing of all others as it is."""
    odd: list[Any] = [
        2**63 - 1,
        -0.5,
        [[]],
        {"": {"": None}},
        "\u200f",
        "x" * 10_000,
        [1, "1", None, {"n": 1}],
        True,
    ]
    with place.open() as store:
        for number, value in enumerate(odd):
            store.documents.add(
                b"x", id=f"d{number}", metadata={"n": value}, filename="bad" if number == 3 else "good"
            )
        blobs = store._context.bytes()
        for found in list(blobs.list())[:1]:
            blobs.delete(found.name)
        for asked in ({}, {"metadata.n": {"$gt": 1}}, {"metadata.n": {"$regex": "1"}}, {"metadata.n.n": 1}):
            listed = [one.id for one in store.documents.iterate(asked, sort=["metadata.n"])]
            assert len(listed) == store.documents.count(asked)
        assert len(odd) == len(list(store.documents.iterate()))


def scopes_hold(place: Place) -> None:
    """13. What a user writes stays a value, a scope stays exact: another's document is as a missing one."""
    name = "x' OR '1'='1"
    with place.open() as store:
        store.scoped(tenant="other").documents.add(id="theirs", metadata={"a": name})
        mine = store.scoped(tenant=name).documents
        mine.add(id="mine", metadata={"a": name, name: 1})
        for asked in ({}, {"metadata.a": name}, {"$or": [{}, {"tenant": "other"}]}, {"id": {"$ne": "mine"}}):
            assert {one.id for one in mine.iterate(asked)} <= {"mine"}
        assert ["mine"] == [one.id for one in mine.iterate({"metadata.a": name}, sort=[f"metadata.{name}"])]
        errors = []
        for id in ("theirs", "missing"):
            try:
                mine.get(id)
            except NotFound as error:
                errors.append(str(error).replace(id, "…"))
        assert 2 == len(errors)
        assert errors[0] == errors[1]


def work_is_bounded(place: Place) -> None:
    """14. Depth, nodes, lists, texts and pages have bounds, met before anything is run."""
    deep: Any = {"id": "a"}
    for _ in range(17):
        deep = {"$and": [deep]}
    with place.open() as store:
        for asked, limit in (
            (deep, 10),
            ({"id": {"$in": ["a"] * 10_001}}, 10),
            ({"$or": [{"metadata.a": 1}] * 501}, 10),
            ({"filename": "x" * 65_537}, 10),
            ({"filename": {"$regex": "x" * 1_001}}, 10),
            ({}, 1_001),
        ):
            refused = False
            try:
                store.documents.find(asked, limit=limit)
            except DocstoreError:
                refused = True
            assert refused


def erasure_reaches_everything(place: Place) -> None:
    """15. Nothing of an owner stays: rows, live, dead and pending bytes, names in rows."""
    with place.open() as store:
        view = store.scoped(owner="gone")
        view.documents.add(b"live", id="a")
        view.documents.delete(view.documents.add(b"dead").id)
    assert crashed_at("P3.5", lambda: place.open().scoped(owner="gone").documents.add(b"pending"))
    with place.open() as store:
        store.documents.add(b"kept")
        store.erase(owner="gone")
        assert 1 == store.documents.count()
        assert [4] == [found.size for found in store._context.bytes().list()]
        with store._context.backend.read() as reader:
            assert [None] * 4 == [row.owner for row in reader.blobs()]


def upgrades_are_whole(place: Place) -> None:
    """16. An upgrade that is killed has done nothing, the next one does it, and an older docstore refuses
    politely.
    """
    dying = [True]

    def run(connection: Any, tables: Any) -> None:
        connection.exec_driver_sql("CREATE TABLE half (a INTEGER)")
        if dying:
            os._exit(86)
        connection.exec_driver_sql("CREATE TABLE other_half (a INTEGER)")

    place.open().close()
    kept = migrations.STEPS
    newest = migrations.newest()
    try:
        migrations.STEPS = (*kept, migrations.Step(newest + 1, "two tables", run))
        crashed_at("P0", lambda: place.open())
        dying.clear()
        place.open().close()
        migrations.STEPS = kept
        refused = None
        try:
            place.open()
        except docstore.SchemaTooNew as error:
            refused = (error.found, error.supported)
        assert (newest + 1, newest) == refused
    finally:
        migrations.STEPS = kept


# -- the mutants -----------------------------------------------------------------------------------


def acknowledge_without_commit(patch: Patch) -> None:
    class Undone(Exception):
        pass

    def written(self: StoreContext, work: Any, *, recognises: bool = False) -> Any:
        with suppress(Undone), self.write() as writer:
            done = work(writer)
            raise Undone
        return done

    patch.setattr(StoreContext, "written", written)


def sync_nothing(patch: Patch) -> None:
    prepare = SQLiteBackend._prepare

    def lazy(self: SQLiteBackend, connection: Any) -> None:
        prepare(self, connection)
        connection.execute("PRAGMA synchronous = OFF")

    patch.setattr(SQLiteBackend, "_prepare", lazy)


def rows_before_bytes(patch: Patch) -> None:
    put_bytes = insertion.put_bytes
    late: list[Callable[[], object]] = []

    def postponed(root: Any, put: Any) -> Any:
        body = b"".join(put.source.chunks())
        late.append(lambda: root.bytes().write(put.key, [body]))
        return streams.Written(len(body), sha256(body).hexdigest())

    def put_then_write(root: Any, puts: Any, commit: Any) -> Any:
        done = put_bytes(root, puts, commit)
        while late:
            late.pop()()
        return done

    patch.setattr(insertion, "_write", postponed)
    patch.setattr(insertion, "put_bytes", put_then_write)
    patch.setattr("docstore.writes.edits.put_bytes", put_then_write)


def lose_the_tail(patch: Patch) -> None:
    patch.setattr(local, "write_all", lambda file, chunk: os.write(file, chunk[:-1]))


def one_key_for_all(patch: Patch) -> None:
    patch.setattr(insertion, "new_keys", lambda count: ["aa/bb/aabb" + "0" * 28] * count)


def overwrite_objects(patch: Patch) -> None:
    patch.setattr(local.os.path, "lexists", lambda path: False)


def write_in_place(patch: Patch) -> None:
    patch.setattr(local, "temporary_name", lambda key: key)
    patch.setattr(local.os.path, "lexists", lambda path: False)


def leave_temporary_files(patch: Patch) -> None:
    patch.setattr(local, "_unlink", lambda path: None)


def believe_any_size(patch: Patch) -> None:
    patch.setattr(streams.Meter, "_compare", lambda self: None)


def delete_bytes_first(patch: Patch) -> None:
    remove = DocumentsView.remove

    def eager(self: Any, writer: Any, rows: Any) -> None:
        for row in rows:
            self.context.bytes().delete(row["blob_key"])
        remove(self, writer, rows)

    patch.setattr(DocumentsView, "remove", eager)


def forget_failed_removals(patch: Patch) -> None:
    def once(self: Any, rows: Any) -> Any:
        self._blobs.delete_many([row.key for row in rows])
        return list(rows), []

    patch.setattr(collecting_module.Removal, "delete", once)
    patch.setattr(collecting_module, "_drop", lambda *args: 0)
    patch.setattr(collecting_module, "remove_unknown", lambda *args, **told: Absent())


def no_fence(patch: Patch) -> None:
    def unfenced(writer: Any, put: Any, now: int) -> None:
        made = put.written
        states = ("pending", "live", "dead", "swept")
        writer.update_blob(put.row, states, state="live", at=now, sha256=made.sha256, size=made.size)

    patch.setattr(insertion, "make_live", unfenced)


def recognise_nothing(patch: Patch) -> None:
    written = StoreContext.written
    patch.setattr(StoreContext, "written", lambda self, work, *, recognises=False: written(self, work))


def ignore_revisions(patch: Patch) -> None:
    patch.setattr(CollectionView, "check_revision", lambda self, row, expected: None)


def drop_a_row(patch: Patch) -> None:
    rows = SQLiteSession._rows
    patch.setattr(SQLiteSession, "_rows", lambda self, *args: rows(self, *args)[:4])


def check_no_metadata(patch: Patch) -> None:
    patch.setattr("docstore.validation.Checks.object", lambda self, field, value: {})


def choke_on_one(patch: Patch) -> None:
    whole = docstore.models.record_from

    def choking(collection: Any, row: Any) -> Any:
        if row.get("filename") == "bad":
            raise ValueError("a document that cannot be read")
        return whole(collection, row)

    for module in ("models", "context.collection_view", "collection.pages"):
        patch.setattr(f"docstore.{module}.record_from", choking)


def forget_the_scope(patch: Patch) -> None:
    patch.setattr("docstore.store.narrowed", lambda scope, tenant, owner: scope)


def splice_into_sql(patch: Patch) -> None:
    patch.setattr(Compiler, "scope", lambda self, scope: Fragment(f"tenant = '{scope.tenant}'"))


def no_bounds(patch: Patch) -> None:
    loose = docstore.limits.Limits(**dict.fromkeys(docstore.limits.Limits.__dataclass_fields__, 10**9))
    patch.setattr("docstore.limits.Limits.of", classmethod(lambda cls, given: loose))


def erase_only_documents(patch: Patch) -> None:
    patch.setattr(erasing_module, "_bury_intents", lambda backend, scope: None)


def upgrade_without_transaction(patch: Patch) -> None:
    patch.setattr(SQLiteBackend, "schema_transaction", lambda self, connection: nullcontext())


def unknown_is_kept(place: Place) -> None:
    """17. What no row knows is refused at another's root, spared while young or many, and put aside, not
    removed; what hides rows is asked.
    """
    with place.open() as store:
        for n in range(12):
            store.documents.add(b"%d" % n)
        kept = {found.name for found in store._context.bytes().list()}
        folder = place.folder / "files"
        for path in folder.rglob("[!.]*"):
            os.utime(path, (1, 1))
        with docstore.open("memory://", blobs=folder) as other, suppress(BlobError):
            other.collect(0, force=True)
        assert kept == {found.name for found in store._context.bytes().list()}
        strays = ["aa/bb/aabb" + f"{n:028x}" for n in range(3)]
        for key in strays:
            store._context.bytes().write(key, [b"stray"])
        store.collect(force=True)
        assert kept | set(strays) == {found.name for found in store._context.bytes().list()}
        store.collect(0)
        assert kept | set(strays) == {found.name for found in store._context.bytes().list()}
        with suppress_rows(SQLiteSession):
            store.collect(0, force=True)
        assert kept | set(strays) == {found.name for found in store._context.bytes().list()}
        store.collect(0, force=True)
        assert b"stray" == store._context.bytes().read_bytes(f"quarantine/{strays[0]}")


@contextmanager
def suppress_rows(session: Any) -> Iterator[None]:
    """Let a session say that rows are hidden from it."""
    session.hidden = lambda self: "a policy is in force"
    try:
        yield
    finally:
        del session.hidden


def believe_any_root(patch: Patch) -> None:
    patch.setattr(Ownership, "check", lambda self: None)


def spare_nothing_young(patch: Patch) -> None:
    patch.setattr(orphans_module.GraceClock, "spares", lambda self, modified: False)


def take_any_part(patch: Patch) -> None:
    patch.setattr(orphans_module, "allowed", lambda listed: listed)


def remove_at_once(patch: Patch) -> None:
    patch.setattr(docstore.Blobs, "quarantine", docstore.Blobs.delete)


def ask_nobody_what_is_hidden(patch: Patch) -> None:
    patch.setattr(orphans_module, "hidden_from", lambda reader: "")


PROMISES: dict[int, tuple[Callable[[Place], None], tuple[Callable[[Patch], None], ...]]] = {
    1: (acknowledged_is_durable, (acknowledge_without_commit, sync_nothing)),
    2: (rows_never_dangle, (rows_before_bytes, lose_the_tail)),
    3: (bytes_are_written_once, (one_key_for_all, overwrite_objects)),
    4: (readers_see_whole_files, (write_in_place,)),
    5: (failures_leave_nothing, (leave_temporary_files, believe_any_size)),
    6: (bytes_go_after_the_commit, (delete_bytes_first, forget_failed_removals)),
    7: (collection_is_fenced, (no_fence,)),
    8: (retries_are_safe, (recognise_nothing,)),
    9: (no_update_is_lost, (ignore_revisions,)),
    10: (backends_agree, (drop_a_row,)),
    11: (rejected_before_anything, (check_no_metadata,)),
    12: (bad_documents_break_nothing, (choke_on_one,)),
    13: (scopes_hold, (forget_the_scope, splice_into_sql)),
    14: (work_is_bounded, (no_bounds,)),
    15: (erasure_reaches_everything, (erase_only_documents,)),
    16: (upgrades_are_whole, (upgrade_without_transaction,)),
    17: (
        unknown_is_kept,
        (believe_any_root, spare_nothing_young, take_any_part, remove_at_once, ask_nobody_what_is_hidden),
    ),
}


@pytest.mark.parametrize("number", PROMISES)
def test_a_promise_holds(number: int, tmp_path: Path) -> None:
    """Its check passes on the library as it is."""
    PROMISES[number][0](Place(tmp_path))


@pytest.mark.parametrize(
    ("number", "mutant"),
    [(number, mutant) for number, (_, mutants) in PROMISES.items() for mutant in mutants],
)
def test_a_mutant_breaks_its_promise(
    number: int, mutant: Callable[[Patch], None], tmp_path: Path, monkeypatch: Patch
) -> None:
    """Its check fails on a library that does not keep it: by what it asserts, or by an error in place of an
    answer.
    """
    mutant(monkeypatch)
    with pytest.raises((AssertionError, DocstoreError, ValueError)):
        PROMISES[number][0](Place(tmp_path))

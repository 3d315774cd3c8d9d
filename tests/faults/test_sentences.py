"""Promises 17 to 20 of docs/storage-promises.md sentence by sentence: each has a check that holds, and fails
on a mutant without it. The cases, on every backend and storage, are in tests/maintenance and tests/api.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import pytest
from docstore_postgres.backend import PostgresBackend
from docstore_postgres.session import PostgresSession
from docstore_sql.counters import Counters
from docstore_sqlite.backend import SQLiteBackend
from docstore_sqlite.session import SQLiteSession

import docstore
from docstore import Blobs, models
from docstore.backend import Scope
from docstore.blobs import Mark, new_key
from docstore.concurrency import Clock
from docstore.context.ownership import Ownership, Places
from docstore.context.store_context import StoreContext
from docstore.documents import Documents
from docstore.errors import DocstoreError, WrongBlobs
from docstore.query import executor
from docstore.testing.servers import PostgresServer

Patch = pytest.MonkeyPatch
DAY = 86_400.0
check, collecting, orphans, mending = (
    import_module(f"docstore.maintenance.{name}") for name in ("check", "collect", "orphans", "repair")
)


@dataclass
class Place:
    """A database, and a folder for the bytes of its store."""

    url: str
    folder: Path
    standby: str = ""

    @property
    def files(self) -> Path:
        return self.folder / "files"

    def open(self, **options: Any) -> docstore.Store:
        return docstore.open(self.url, **{"blobs": self.files, **options})

    def stray(self, count: int = 1, *, age: float = 3 * DAY) -> list[str]:
        """Write objects that no row knows; return their keys."""
        keys = [new_key() for _ in range(count)]
        for key in keys:
            (self.files / key).parent.mkdir(parents=True, exist_ok=True)
            (self.files / key).write_bytes(b"stray")
            os.utime(self.files / key, (time.time() - age,) * 2)
        return keys

    def stands(self, *keys: str) -> bool:
        return all((self.files / key).exists() for key in keys)


def refused(call: Callable[[], object], *, by: type[DocstoreError] = WrongBlobs) -> str:
    """Return what a call was refused with; it must be."""
    try:
        call()
    except by as error:
        return str(error)
    raise AssertionError("it was not refused")


def fill(store: docstore.Store, count: int = 12) -> list[str]:
    return [store.documents.add(b"bytes %d" % n).id for n in range(count)]


# -- 17: whose the bytes are -----------------------------------------------------------------------


def the_first_bytes_mark_the_root(place: Place) -> None:
    """The store's id stands at the root with the first bytes, not before."""
    with place.open() as store:
        assert Blobs(place.files).mark() is None
        fill(store, 1)
        mark = Blobs(place.files).mark()
        assert mark is not None
        assert store.stats().store_id == mark.store


def mark_nothing(patch: Patch) -> None:
    patch.setattr(Places, "_set_mark", lambda self, own, place: Mark(own, place or 1))


def strangers_are_not_taken_over(place: Place) -> None:
    """Where an object stands that no row knows, nothing is marked and written."""
    place.stray()
    with place.open() as store:
        refused(lambda: fill(store, 1))
        assert Blobs(place.files).mark() is None


def take_strangers_over(patch: Patch) -> None:
    patch.setattr(Places, "_unmarked", lambda self, own, where: Ownership(own, None))


def another_root_is_read_by_key(place: Place) -> None:
    """On a root that bears another id reading by key works."""
    with place.open() as store:
        made = store.documents.get(fill(store, 1)[0])
        Blobs(place.files).set_mark(Mark("another", 1), replace=True)
        assert b"bytes 0" == store.documents.read_bytes(made.id)


def look_whose_it_is_to_read(patch: Patch) -> None:
    read = Documents.read_bytes

    def strict(self: Any, id: Any) -> bytes:
        Places(self._context.bytes(), self._context.read, self._context.write).look().check()
        return read(self, id)

    patch.setattr(Documents, "read_bytes", strict)


def another_root_is_left_alone(place: Place) -> None:
    """`add`, `add_many`, `collect` and `repair` raise WrongBlobs, which names both ids; `check` reports one
    finding.
    """
    with place.open() as store:
        fill(store)
        mark = Mark("theirs", 1)
        Blobs(place.files).set_mark(mark, replace=True)
    place.stray(age=9 * DAY)
    with place.open() as store:
        stood = sorted(found.name for found in Blobs(place.files).list())
        for call in (
            lambda: fill(store, 1),
            lambda: store.documents.add_many([{"source": b"x"}] * 9),
            lambda: store.collect(0, force=True),
            lambda: store.repair(store.check(), dry_run=False, force=True),
        ):
            said = refused(call)
            assert "theirs" in said
            assert str(store.stats().store_id) in said
        assert ["unowned"] == [one.kind for one in store.check(grace=0).findings]
        assert stood == sorted(found.name for found in Blobs(place.files).list())


def believe_any_root(patch: Patch) -> None:
    patch.setattr(Ownership, "check", lambda self: None)


def write_anywhere(patch: Patch) -> None:
    patch.setattr(Places, "place_to_write", lambda self: 1)


class Trusting(Places):
    """Places that take every root for the store's own."""

    def look(self) -> Ownership:
        return replace(super().look(), refusal="")


def collect_anywhere(patch: Patch) -> None:
    patch.setattr(collecting, "Places", Trusting)


def repair_anywhere(patch: Patch) -> None:
    patch.setattr(mending, "Places", Trusting)


def name_one_id(patch: Patch) -> None:
    patch.setattr(Ownership, "check", lambda self: (_ for _ in ()).throw(WrongBlobs("not yours")))


def report_no_owner(patch: Patch) -> None:
    add = check._Check._add

    def silent(self: Any, kind: str, *rest: Any) -> None:
        if kind != "unowned":
            add(self, kind, *rest)

    patch.setattr(check._Check, "_add", silent)


def adoption_makes_it_ours(place: Place) -> None:
    """Until `adopt_blobs` says that it is: then bytes are written and collected."""
    (key,) = place.stray()
    with place.open() as store:
        refused(lambda: fill(store, 1))
        store.adopt_blobs()
        fill(store, 1)
        assert 1 == store.collect().orphans
        assert not place.stands(key)


def adopt_without_a_mark(patch: Patch) -> None:
    patch.setattr(Places, "adopt", lambda self: self.look())


# -- 17: what no row knows -------------------------------------------------------------------------


def the_young_stay(place: Place) -> None:
    """What is younger than `grace` is left, by `collect` and by `repair`; `force` changes nothing of that."""
    with place.open() as store:
        fill(store)
        (key,) = place.stray(age=DAY / 2)
        assert (0, 1) == ((told := store.collect()).orphans, told.young)
        assert 0 == store.collect(force=True).orphans
        store.repair(store.check(grace=DAY), dry_run=False, force=True)
        assert place.stands(key)


def spare_nothing_young(patch: Patch) -> None:
    patch.setattr(orphans.GraceClock, "spares", lambda self, modified: False)


def force_more_than_the_tenth(patch: Patch) -> None:
    remove = collecting.remove_unknown

    def forceful(*args: Any, force: bool, **rest: Any) -> Any:
        clock = orphans.GraceClock(0, time.time()) if force else args[5]
        return remove(*args[:5], clock, force=force, **rest)

    patch.setattr(collecting, "remove_unknown", forceful)


def repair_the_young(patch: Patch) -> None:
    patch.setattr(
        mending, "GraceClock", type("Loose", (), {"of": lambda backend, grace: orphans.GraceClock(0, 0.0)})
    )


def a_tenth_at_most(place: Place) -> None:
    """Of the objects listed more than a tenth is refused, by `collect` and `repair`; the other passes run."""
    with place.open() as store:
        store.documents.delete(fill(store)[0])
        keys = place.stray(3)
        told = store.collect()
        assert (1, 0, True) == (told.swept, told.orphans, "tenth" in told.refused)
        refused(lambda: store.repair(store.check(), dry_run=False), by=docstore.BlobError)
        assert place.stands(*keys)
        assert 3 == store.collect(force=True).orphans


def take_any_part(patch: Patch) -> None:
    patch.setattr(orphans, "allowed", lambda listed: listed)


def repair_any_part(patch: Patch) -> None:
    patch.setattr(mending, "_check_removals", lambda removals, total: None)


def refuse_everything(patch: Patch) -> None:
    patch.setattr(collecting.Removal, "sweep", lambda self, batches, **told: 0)


def ignore_force(patch: Patch) -> None:
    remove = collecting.remove_unknown
    patch.setattr(
        collecting, "remove_unknown", lambda *args, force, **rest: remove(*args, force=False, **rest)
    )


def one_may_always_go(place: Place) -> None:
    """One object is put aside in a storage of two, too."""
    with place.open() as store:
        fill(store, 1)
        place.stray()
        assert 1 == store.collect().orphans


def a_tenth_is_none(patch: Patch) -> None:
    patch.setattr(orphans, "allowed", lambda listed: listed // 10)


def quarantine_waits_another_grace(place: Place) -> None:
    """What is put aside stays for a grace period from then, and a later pass empties it."""
    with place.open() as store:
        fill(store)
        (key,) = place.stray()
        aside = f"quarantine/{key}"
        assert 1 == store.collect().orphans
        assert 0 == store.collect().emptied
        assert place.stands(aside)
        os.utime(place.files / aside, (1, 1))
        assert 1 == store.collect().emptied
        assert not place.stands(aside)


def remove_at_once(patch: Patch) -> None:
    patch.setattr(Blobs, "quarantine", Blobs.delete)


def keep_the_age(patch: Patch) -> None:
    quarantine = Blobs.quarantine

    def aged(self: Blobs, name: str) -> Any:
        done = quarantine(self, name)
        for path in Path(self.location).glob("quarantine/*/*/*"):
            os.utime(path, (1, 1))
        return done

    patch.setattr(Blobs, "quarantine", aged)


def never_empty_it(patch: Patch) -> None:
    key_of = orphans.key_of
    patch.setattr(orphans, "key_of", lambda found: None if found.kind == "quarantined" else key_of(found))


def repair_brings_back_what_fits(place: Place) -> None:
    """From quarantine, if a live row needs it and its size and hash fit."""
    with place.open() as store:
        fill(store, 2)
        blobs = Blobs(place.files)
        sound, broken = sorted(found.name for found in blobs.list())
        for key in (sound, broken):
            blobs.quarantine(key)
        (place.files / "quarantine" / broken).write_bytes(b"bytes X")
        store.repair(store.check(), dry_run=False)
        assert (True, False) == (place.stands(sound), place.stands(broken))


def look_nowhere(patch: Patch) -> None:
    patch.setattr(mending, "QUARANTINE", "elsewhere/")


def believe_any_bytes(patch: Patch) -> None:
    patch.setattr(mending, "_is_sound", lambda blobs, key, size, sha256: blobs.stat(key) is not None)


def an_older_backup_is_asked_about(place: Place) -> None:
    """Objects that are newer than the newest row make `check` ask whether a backup was restored."""
    with place.open() as store:
        fill(store)
        place.stray(2, age=-60)
        asked = "2 objects are newer than the newest row: was an older backup restored?"
        assert any(asked in note for note in store.check(grace=0).notes)


def ask_nothing(patch: Patch) -> None:
    report = check.CheckReport
    patch.setattr(check, "CheckReport", lambda *args, **named: replace(report(*args, **named), notes=()))


# -- 17: what may not see everything ---------------------------------------------------------------


def a_view_judges_no_strangers(place: Place) -> None:
    """A scoped view's collection leaves what has no row."""
    with place.open() as store:
        fill(store)
        (key,) = place.stray()
        assert 0 == store.scoped(tenant="t").collect(0, force=True).orphans
        assert place.stands(key)


def take_a_view_for_all(patch: Patch) -> None:
    patch.setattr(collecting, "ANYWHERE", Scope(tenant="t"))


def a_read_only_store_takes_nothing(place: Place) -> None:
    """`collect` and `repair` are refused by name."""
    with place.open() as store:
        fill(store)
    (key,) = place.stray()
    with place.open(read_only=True) as store:
        refused(lambda: store.collect(0, force=True), by=docstore.ReadOnlyStore)
        report = store.check(grace=0)
        refused(lambda: store.repair(report, dry_run=False), by=docstore.ReadOnlyStore)
    assert place.stands(key)


def refuse_no_write(patch: Patch) -> None:
    patch.setattr(StoreContext, "check_writable", lambda self, what="": None)


ROLE = """
CREATE ROLE confined LOGIN; GRANT USAGE ON SCHEMA public TO confined;
GRANT ALL ON ALL TABLES IN SCHEMA public TO confined; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO confined;
ALTER TABLE docstore_blob ENABLE ROW LEVEL SECURITY;
CREATE POLICY theirs ON docstore_blob USING (tenant = 'a')
"""


def a_confined_role_takes_nothing(place: Place) -> None:
    """Row-level security on any of the tables: what looks as if it had no row stays."""
    with place.open() as store:
        fill(store)
        with psycopg.connect(place.url, autocommit=True) as owner:
            owner.execute(ROLE.encode())
        try:
            with docstore.open(place.url.replace("postgres@", "confined@"), blobs=place.files) as theirs:
                told = theirs.collect(0, force=True)
                assert (0, True) == (told.orphans, "row-level security" in told.refused)
            assert store.check("hash", grace=0).ok
        finally:
            with psycopg.connect(place.url, autocommit=True) as owner:
                owner.execute("DROP OWNED BY confined; DROP ROLE confined")


def hide_nothing(patch: Patch) -> None:
    patch.setattr(PostgresSession, "hidden", lambda self: "")


def a_standby_takes_nothing(place: Place) -> None:
    """Write blocks say READ WRITE, so that a standby refuses them, whoever found out before."""
    with place.open() as store:
        fill(store, 1)
        _caught_up(place)
        with docstore.open(place.standby, blobs=place.files) as standing:
            standing._context.read_only = ""
            standing._context.backend.read_only = ""  # type: ignore[attr-defined]
            refused(lambda: standing.collect(0, force=True), by=docstore.ReadOnlyStore)
            assert any("standby" in note for note in standing.check(grace=0).notes)


def _caught_up(place: Place) -> None:
    with psycopg.connect(place.url, autocommit=True) as connection:
        at = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(psycopg.OperationalError), psycopg.connect(place.standby, autocommit=True) as replica:
            seen = replica.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", at).fetchone()
            if seen and seen[0]:
                return
        time.sleep(0.05)


def begin_as_it_comes(patch: Patch) -> None:
    made = PostgresBackend.__init__

    def lazy(self: Any, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        self._begin = self._begin.replace(" READ WRITE", "")

    patch.setattr(PostgresBackend, "__init__", lazy)


# -- 17: places ------------------------------------------------------------------------------------


def rows_name_their_place(place: Place) -> None:
    """A store with another root leaves their bytes alone and says so; an erasure reports `unreached`."""
    with place.open() as store:
        store.documents.delete(store.documents.add(b"dead", tenant="t").id)
        store.documents.add(b"kept", tenant="t")
    with place.open(blobs=place.folder / "other") as store:
        store.documents.add(b"here", tenant="t")
        told = store.collect(0)
        assert (0, {str(place.files): 1}) == (told.swept, dict(told.elsewhere))
        erased = store.erase(tenant="t")
        assert (1, (str(place.files),)) == (erased.blobs, erased.unreached)
    with place.open() as store:
        assert 2 == store.erase(tenant="t").blobs


def take_every_row_for_here(patch: Patch) -> None:
    patch.setattr(collecting.Removal, "here", lambda self, rows: list(rows))


def say_nothing_of_elsewhere(patch: Patch) -> None:
    patch.setattr(collecting.Removal, "elsewhere", lambda self: {})


def write_no_place(patch: Patch) -> None:
    written = Places.place_to_write
    patch.setattr(Places, "place_to_write", lambda self: 0 * written(self))


# -- 18: erasure -----------------------------------------------------------------------------------

CANARIES = ("canarytenant", "canaryword", "canaryold", "canarykey", "canaryvalue", "canaryfile")


def erased(place: Place, *, kept: int = 3) -> None:
    """Add, change and erase a tenant's documents among others'."""
    with place.open() as store:
        for number in range(30):
            found = store.documents.add(
                b"x", filename=f"canaryfile {number}", content="a kkcanaryold word", tenant="canarytenant",
                metadata={"canarykey": "canaryvalue"},
            )  # fmt: skip
            store.documents.update(found.id, content="a qqcanaryword", metadata={"canaryold": "canaryold"})
            if number < kept:
                store.documents.add(filename="kept", content="a word", metadata={"n": number})
        if place.url.startswith("postgres"):
            with psycopg.connect(place.url, autocommit=True) as connection:
                connection.execute("ANALYZE")
        store.collect()  # folds
        store.erase(tenant="canarytenant")
        store.collect(0)
        assert kept == store.documents.count()


def no_byte_is_left_in_the_file(place: Place) -> None:
    """Tables, change log, text index, path table, counters and free pages of SQLite's file forget it."""
    erased(place)
    path = Path(place.url.removeprefix("sqlite:///"))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    left = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert [] == [canary for canary in CANARIES if canary.encode() in left]


def fold_nothing(patch: Patch) -> None:
    patch.setattr(SQLiteBackend, "_compact_all", lambda self: None)


def merge_nothing(patch: Patch) -> None:
    patch.setattr(SQLiteBackend, "_merge_texts", lambda self, *, begin: None)


def keep_the_counters(patch: Patch) -> None:
    add = Counters.add

    def kept(self: Any, change: Any, sign: int = 1) -> None:
        add(self, change, sign)
        names = [key[0] for key in change if key[0]]
        for name in names:
            self._session.cursor.execute(
                f"INSERT OR IGNORE INTO {self._table} (tenant, owner, is_latest, status, n)"
                " VALUES (?, '', 1, 'stored', 0)",
                (name,),
            )

    patch.setattr(Counters, "add", kept)


def write_nothing_anew(patch: Patch) -> None:
    patch.setattr(SQLiteSession, "vacuum", lambda self: None)
    overwrite_nothing(patch)


def free_pages_are_overwritten(place: Place) -> None:
    """`secure_delete` is on in every connection that writes, an application's own included."""
    with place.open() as store, store._context.backend.write() as writer:
        cursor = writer.connection.cursor()  # type: ignore[attr-defined]
        assert [(1,)] == list(cursor.execute("PRAGMA secure_delete"))


def overwrite_nothing(patch: Patch) -> None:
    prepare = SQLiteBackend._prepare

    def lazy(self: SQLiteBackend, connection: Any) -> None:
        prepare(self, connection)
        connection.execute("PRAGMA secure_delete = OFF")

    patch.setattr(SQLiteBackend, "_prepare", lazy)


def no_byte_is_left_in_the_tables(place: Place) -> None:
    """Tables, indexes and statistics of Postgres forget it: none is kept, dead or in free room."""
    erased(place)
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        files = connection.execute(
            "SELECT relname, pg_read_binary_file(pg_relation_filepath(oid)) FROM pg_class"
            " WHERE pg_relation_filepath(oid) IS NOT NULL"
            " AND (relname LIKE 'docstore%' OR relname = 'pg_statistic')"
        ).fetchall()
    assert [] == [(name, one) for name, held in files for one in CANARIES if one.encode() in bytes(held)]


def analyze_nothing(patch: Patch) -> None:
    patch.setattr("docstore_postgres.schema._analyze", lambda cursor, tables: None)


def leave_dead_rows(patch: Patch) -> None:
    patch.setattr("docstore_postgres.schema._try", lambda cursor, statement: True)


def keep_usual_values(patch: Patch) -> None:
    patch.setattr(Counters, "sum_up", lambda self, tenants=None, *, wait=False: None)


# -- 19: time --------------------------------------------------------------------------------------


@contextmanager
def clock_at(ahead: float) -> Iterator[None]:
    """Set the clock that stores go by so many seconds ahead of the right one."""
    from docstore_postgres import session

    with pytest.MonkeyPatch.context() as patch:
        wall = time.time_ns
        patch.setattr(time, "time_ns", lambda: wall() + int(ahead * 1e9))
        read = f"((extract(epoch FROM clock_timestamp()) + {ahead}) * 1000000)::bigint"
        patch.setattr(session, "CLOCK", read)
        session._insert_text.cache_clear()
        yield
    session._insert_text.cache_clear()


def another_process() -> None:
    """Forget what this process knows of Postgres' clock; SQLite's goes with its backend."""
    from docstore_postgres import session

    session._clocks.clear()


def leases_end(place: Place) -> None:
    """A clock that jumps ahead and back stops no lease from ending, in this process and in the next."""
    another_process()
    with place.open() as store:
        store.documents.add_many([{}] * 3)
        with clock_at(10 * DAY):
            assert 1 == len(store.documents.claim(lease=0.01))
        store.documents.claim(lease=0.01)
        time.sleep(0.02)
        assert 3 == len(store.documents.claim(3, lease=0.01))
    another_process()
    with place.open() as store:
        time.sleep(0.02)
        assert 3 == len(store.documents.claim(3, lease=0.01))
    another_process()


def stand_still(patch: Patch) -> None:
    patch.setattr(Clock, "_passed", lambda self: self._last)
    patch.setattr(Clock, "go_on", lambda self, told, when, wall=None: max(told, self.now(wall)))


def stand_still_on_the_server(patch: Patch) -> None:
    def kept_now(self: PostgresSession) -> int:
        clock, read = self.tables.named("clock"), import_module("docstore_postgres.session").CLOCK
        text = f"SELECT setval(%s::regclass, greatest(last_value, {read})) FROM {clock}"
        self.cursor.execute(text, (clock,))
        return int(self.cursor.fetchone()[0])

    patch.setattr(PostgresSession, "kept_now", kept_now)


def nothing_is_updated_before_it_is_made(place: Place) -> None:
    """`updated_at ≥ created_at`, whatever clock made the record, and whoever gives the instants."""
    another_process()
    with place.open() as store, clock_at(10 * DAY):
        made = store.documents.add(metadata={})
    another_process()
    with place.open() as store:
        store.documents.update(made.id, metadata={"a": 1})
        now = store.documents.get(made.id)
        assert now.created_at <= now.updated_at
        given: dict[str, Any] = {
            "metadata": {},
            "created_at": "2024-01-02T00:00:00Z",
            "updated_at": "2024-01-01T00:00:00Z",
        }
        refused(lambda: store.documents.add(**given), by=docstore.InvalidDocument)
        refused(lambda: store.documents.add_many([given] * 9), by=docstore.InvalidDocument)
    another_process()


def write_the_clock_as_it_is(patch: Patch) -> None:
    def plain(row: Any, changes: Any, now: int, *, touch: bool) -> Any:
        return {"updated_at": now, **changes, "revision": row["revision"] + 1}

    patch.setattr("docstore.context.collection_view._written", plain)


def check_no_order(patch: Patch) -> None:
    patch.setattr("docstore.writes.drafts.check_order", lambda created, updated: None)


# -- 20: rows broken by hand -----------------------------------------------------------------------


class Log(logging.Handler):
    """The warnings of a while."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def a_broken_row_is_one_row(place: Place) -> None:
    """One finding of kind `unreadable`; `get` raises BackendError with its id; `find` and `iterate` leave it
    out with one warning each, and list the others.
    """
    log = Log()
    logger = logging.getLogger("docstore")
    with place.open() as store:
        for id in ("a", "broken", "z"):
            store.documents.add(id=id)
        text = "UPDATE docstore_document SET metadata = '{' WHERE id = 'broken'"
        if place.url.startswith("postgres"):
            with psycopg.connect(place.url, autocommit=True) as owner:
                owner.execute(text)
        else:
            with sqlite3.connect(place.url.removeprefix("sqlite:///")) as database:
                database.execute(text)
        found = store.check().findings
        assert [("unreadable", "broken")] == [(one.kind, one.document_id) for one in found]
        assert "'broken'" in refused(lambda: store.documents.get("broken"), by=docstore.BackendError)
        logger.addHandler(log)
        try:
            for sort in ("number", "-created_at", "metadata.x"):
                for walk in (store.documents.find, store.documents.iterate):
                    log.lines.clear()
                    assert {"a", "z"} == {one.id for one in walk(sort=sort)}
                    assert ["broken"] == [line.split("'")[1] for line in log.lines]
        finally:
            logger.removeHandler(log)


def find_nothing_broken(patch: Patch) -> None:
    patch.setattr(check, "fault_of", lambda collection, row: None)


def name_no_id(patch: Patch) -> None:
    patch.setattr(models, "unreadable", lambda collection, row, reason: docstore.UnreadableRecord(reason))


def raise_what_comes(patch: Patch) -> None:
    patch.setattr(models, "unreadable", lambda collection, row, reason: ValueError(reason))


def look_for_none(patch: Patch) -> None:
    patch.setattr("docstore.collection.pages.careful", lambda listing: listing)


def stop_a_walk(patch: Patch) -> None:
    patch.setattr("docstore.collection.pages.UnreadableRecord", ZeroDivisionError)


def warn_of_nothing(patch: Patch) -> None:
    for module in (executor, import_module("docstore.collection.pages")):
        patch.setattr(module, "leave_out", lambda row, reason: None)


def warn_twice(patch: Patch) -> None:
    once = executor.leave_out
    for module in (executor, import_module("docstore.collection.pages")):
        patch.setattr(module, "leave_out", lambda row, reason: (once(row, reason), once(row, reason)))


# -- all of them -----------------------------------------------------------------------------------

Check = Callable[[Place], None]
BOTH = ("sqlite", "postgres")
SENTENCES: list[tuple[tuple[str, ...], Check, tuple[Callable[[Patch], None], ...]]] = [
    (("sqlite",), the_first_bytes_mark_the_root, (mark_nothing,)),
    (("sqlite",), strangers_are_not_taken_over, (take_strangers_over,)),
    (("sqlite",), another_root_is_read_by_key, (look_whose_it_is_to_read,)),
    (
        ("sqlite",),
        another_root_is_left_alone,
        (believe_any_root, write_anywhere, collect_anywhere, repair_anywhere, name_one_id, report_no_owner),
    ),
    (("sqlite",), adoption_makes_it_ours, (adopt_without_a_mark,)),
    (("sqlite",), the_young_stay, (spare_nothing_young, force_more_than_the_tenth, repair_the_young)),
    (("sqlite",), a_tenth_at_most, (take_any_part, repair_any_part, refuse_everything, ignore_force)),
    (("sqlite",), one_may_always_go, (a_tenth_is_none,)),
    (("sqlite",), quarantine_waits_another_grace, (remove_at_once, keep_the_age, never_empty_it)),
    (("sqlite",), repair_brings_back_what_fits, (look_nowhere, believe_any_bytes)),
    (("sqlite",), an_older_backup_is_asked_about, (ask_nothing,)),
    (("sqlite",), a_view_judges_no_strangers, (take_a_view_for_all,)),
    (("sqlite",), a_read_only_store_takes_nothing, (refuse_no_write,)),
    (("postgres",), a_confined_role_takes_nothing, (hide_nothing,)),
    (("standby",), a_standby_takes_nothing, (begin_as_it_comes, hide_nothing)),
    (("sqlite",), rows_name_their_place, (take_every_row_for_here, say_nothing_of_elsewhere, write_no_place)),
    (
        ("sqlite",),
        no_byte_is_left_in_the_file,
        (fold_nothing, merge_nothing, keep_the_counters, write_nothing_anew),
    ),
    (("sqlite",), free_pages_are_overwritten, (overwrite_nothing,)),
    (("postgres",), no_byte_is_left_in_the_tables, (analyze_nothing, leave_dead_rows, keep_usual_values)),
    (("sqlite",), leases_end, (stand_still,)),
    (("postgres",), leases_end, (stand_still_on_the_server,)),
    (BOTH, nothing_is_updated_before_it_is_made, (write_the_clock_as_it_is, check_no_order)),
    (
        BOTH,
        a_broken_row_is_one_row,
        (
            find_nothing_broken, name_no_id, raise_what_comes, look_for_none, stop_a_walk, warn_of_nothing,
            warn_twice,
        ),
    ),
]  # fmt: skip


@pytest.fixture
def place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database of a kind."""
    if kind == "sqlite":
        return Place(f"sqlite:///{tmp_path / 'a.db'}", tmp_path)
    url = request.getfixturevalue("postgres_store_url")
    if kind == "postgres":
        return Place(url, tmp_path)
    primary: PostgresServer = request.getfixturevalue("postgres_server")
    standby: PostgresServer = request.getfixturevalue("postgres_standby")
    return Place(url, tmp_path, url.replace(str(primary.folder), str(standby.folder)))


@pytest.mark.parametrize(("kind", "holds"), [(kind, one) for kinds, one, _ in SENTENCES for kind in kinds])
def test_a_sentence_holds(holds: Check, place: Place) -> None:
    """Its check passes on the library as it is."""
    holds(place)


@pytest.mark.parametrize(
    ("kind", "holds", "mutant"),
    [(kind, one, mutant) for kinds, one, mutants in SENTENCES for mutant in mutants for kind in kinds],
)
def test_a_mutant_breaks_it(
    holds: Check, mutant: Callable[[Patch], None], place: Place, monkeypatch: Patch
) -> None:
    """Its check fails on a library without it: by what it asserts, or by an error in place of an answer."""
    mutant(monkeypatch)
    with pytest.raises((AssertionError, DocstoreError, ValueError)):
        holds(place)

"""Upgrades: numbered steps, a transaction each, one upgrader at a time, whatever kills them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from docstore_sql import migrations
from docstore_sql.migrations import Step
from docstore_sql.tables import Tables

import docstore
from docstore.registry import upgrade

Stop = Callable[[str], None]
KILLED = 77
POINTS = ("4 begun", "4 half", "4 done", "5 begun", "5 half", "5 done")


def go_on(point: str) -> None:
    """Stop nowhere."""


def steps(stop: Stop) -> list[Step]:
    """Return two steps that no release has: a column that is filled, then a table made of it."""

    def second(connection: sa.Connection, tables: Tables) -> None:
        stop("4 begun")
        connection.exec_driver_sql(f"ALTER TABLE {tables.named('document')} ADD COLUMN letters bigint")
        stop("4 half")
        connection.exec_driver_sql(f"UPDATE {tables.named('document')} SET letters = length(filename)")
        stop("4 done")

    def third(connection: sa.Connection, tables: Tables) -> None:
        stop("5 begun")
        connection.exec_driver_sql(f"CREATE TABLE {tables.named('letters')} (n bigint)")
        stop("5 half")
        connection.exec_driver_sql(
            f"INSERT INTO {tables.named('letters')} SELECT letters FROM {tables.named('document')}"
        )
        stop("5 done")

    return [Step(4, "count the letters of filenames", second), Step(5, "list them", third)]


@pytest.fixture(params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest) -> str:
    """The URL of a store of format 3 with three documents."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    with docstore.open(url) as store:
        store.documents.add_many([{"filename": "x" * n} for n in (1, 2, 3)])
    return url


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A docstore of format 5."""
    monkeypatch.setattr(migrations, "STEPS", steps(go_on))


def rows(url: str, statement: str) -> list[Any]:
    """Return what a statement reads."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        found = [row[0] for row in connection.exec_driver_sql(statement)]
    engine.dispose()
    return found


def format_of(url: str) -> int:
    """Return the format that a store says it has."""
    return int(rows(url, "SELECT value FROM docstore_setting WHERE name = 'format'")[0])


def in_child(url: str, work: Callable[[], object]) -> int:
    """Run ``work`` in a process of its own and return its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(point: str, url: str) -> int:
    """Open the store with the steps, in a process that dies at ``point``."""

    def kill(reached: str) -> None:
        if reached == point:
            os._exit(KILLED)

    def work() -> None:
        migrations.STEPS = steps(kill)
        docstore.open(url).close()

    return in_child(url, work)


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_upgrade_leaves_a_known_format_and_goes_on(old: str, point: str, newer: None) -> None:
    """Killed within a step, the store has the format before that step; opened again, it has the newest."""
    assert KILLED == killed_at(point, old)
    assert int(point[0]) - 1 == format_of(old)
    with docstore.open(old) as store:
        assert 3 == store.documents.count()
    assert 5 == format_of(old)
    assert [1, 2, 3] == sorted(rows(old, "SELECT n FROM docstore_letters"))


def test_a_step_that_fails_changes_nothing(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exception arrives, its statements are undone, the steps before it stay."""

    def fail(point: str) -> None:
        if point == "5 half":
            raise ValueError("no")

    monkeypatch.setattr(migrations, "STEPS", steps(fail))
    with pytest.raises(ValueError, match="no"):
        docstore.open(old)
    assert 4 == format_of(old)
    monkeypatch.setattr(migrations, "STEPS", steps(go_on))
    docstore.open(old).close()
    assert 5 == format_of(old)


def test_two_upgraders_run_each_step_once(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first and finds its work done."""
    begun: list[str] = []
    within = threading.Event()
    together = threading.Barrier(2, timeout=60)

    def watch(point: str) -> None:
        if point.endswith("begun"):
            begun.append(point)
            assert not within.is_set()
            within.set()
        elif point.endswith("done"):
            within.clear()

    def open_it() -> None:
        together.wait()
        try:
            docstore.open(old).close()
        except BaseException as error:
            failed.append(error)

    failed: list[BaseException] = []
    monkeypatch.setattr(migrations, "STEPS", steps(watch))
    threads = [threading.Thread(target=open_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == failed
    assert ["4 begun", "5 begun"] == begun
    assert 5 == format_of(old)


def test_without_upgrade_the_store_is_left(old: str, newer: None) -> None:
    """``upgrade=False`` names what is pending and changes nothing."""
    with pytest.raises(docstore.UpgradeNeeded) as error:
        docstore.open(old, upgrade=False)
    assert (3, 5) == (error.value.found, error.value.supported)
    assert ("format 4: count the letters of filenames", "format 5: list them") == error.value.steps
    assert all(step in error.value.message for step in error.value.steps)
    assert 3 == format_of(old)
    docstore.open(old).close()
    docstore.open(old, upgrade=False).close()


def test_a_dry_run_says_what_would_be_done(old: str, newer: None) -> None:
    """``docstore.upgrade(dry_run=True)`` lists the steps; without it they are done."""
    wanted = ("format 4: count the letters of filenames", "format 5: list them")
    dry = upgrade(old, dry_run=True)
    assert (3, 5, wanted, True) == (dry.found, dry.format, dry.steps, dry.dry_run)
    assert 3 == format_of(old)
    assert wanted == upgrade(old).steps
    assert 5 == format_of(old)
    assert () == upgrade(old).steps


def test_without_upgrade_no_store_is_made(tmp_path: Path, postgres_url: str) -> None:
    """Where nothing is, ``upgrade=False`` says so, and nothing is there afterwards."""
    file = tmp_path / "none.db"
    for url in (f"sqlite:///{file}", postgres_url):
        with pytest.raises(docstore.UpgradeNeeded, match="no store") as error:
            docstore.open(url, upgrade=False)
        assert 0 == error.value.found
    assert not file.exists()
    assert [] == rows(postgres_url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


def test_memory_has_nothing_to_upgrade() -> None:
    """A store in memory is always of today."""
    docstore.open("memory://", upgrade=False).close()
    assert () == upgrade("memory://").steps


def test_a_newer_store_is_refused(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, with both formats and what to do, by open, by ``upgrade=False`` and by upgrade; unchanged."""
    monkeypatch.setattr(migrations, "STEPS", steps(go_on))
    docstore.open(old).close()
    monkeypatch.setattr(migrations, "STEPS", steps(go_on)[:1])
    for call in (docstore.open, lambda url: docstore.open(url, upgrade=False), upgrade):
        with pytest.raises(docstore.SchemaTooNew, match="embedded-docstore") as error:
            call(old)
        assert (5, 4) == (error.value.found, error.value.supported)
    assert 5 == format_of(old)


def test_a_store_of_a_format_from_before_the_first_release_is_refused(old: str) -> None:
    """The error says both formats and the way out, and the store stays as it is."""
    engine = sa.create_engine(old.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE docstore_setting SET value = '1' WHERE name = 'format'")
    engine.dispose()
    for call in (docstore.open, lambda url: docstore.open(url, upgrade=False), upgrade):
        with pytest.raises(docstore.BackendError, match=r"format 1.*docstore export"):
            call(old)
    assert 1 == format_of(old)

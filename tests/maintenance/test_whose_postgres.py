"""Databases that may not show every row: a role under row-level security, a standby that lags."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import docstore
from docstore.testing.servers import PostgresServer

DAY = 86_400.0
DAYS_AGO = time.time() - 3 * DAY
PAGE = Path(__file__).parents[2] / "docs" / "postgres.md"


def objects(folder: Path) -> dict[str, bytes]:
    """Return what stands below a root, but for the mark; let it look three days old."""
    files = [path for path in folder.rglob("[!.]*") if path.is_file()]
    for path in files:
        os.utime(path, (DAYS_AGO, DAYS_AGO))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def role_url(postgres_url: str) -> Iterator[str]:
    """The URL of the role of docs/postgres.md, under its policies, in a store with bytes of two tenants; they
    are set up when the store is there.
    """
    docstore.open(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS app")
        for text in re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
            owner.execute(text.encode())
        yield postgres_url.replace("postgres@", "app@")
        owner.execute("DROP OWNED BY app")
        owner.execute("DROP ROLE app")


@pytest.mark.parametrize("grace", [0, DAY])
@pytest.mark.parametrize("force", [False, True])
def test_a_tenant_s_role_takes_nothing_for_having_no_row(
    postgres_url: str, role_url: str, tmp_path: Path, grace: float, force: bool
) -> None:
    """Other tenants' objects look as if they had no row: the pass is refused, check leaves them out, repair
    keeps them; the tenant's own bytes are collected.
    """
    folder = tmp_path / "files"
    with docstore.open(postgres_url, blobs=folder) as store:
        for tenant in ("a", "b"):
            for n in range(5):
                store.documents.add(b"%d" % n, filename="x", tenant=tenant)
        everything = store.check()
    before = objects(folder)
    options = {"options": "-c app.tenant=a"}
    with docstore.open(role_url, blobs=folder, connect_args=options) as theirs:
        theirs.documents.add(b"new", filename="x", tenant="a")
        gone = theirs.documents.find(limit=1).items[0]
        theirs.documents.delete(gone.id)
        report = theirs.collect(grace, force=force)
        assert (report.swept, report.orphans) == (1, 0)
        assert "row-level security" in report.refused
        checked = theirs.check(grace=0)
        assert checked.findings == ()
        assert "row-level security" in checked.notes[0]
        strangers = [docstore.maintenance.Finding("extra", key) for key in before]
        made = docstore.maintenance.CheckReport("size", tuple(strangers), objects=1000)
        repaired = theirs.repair(made, dry_run=False)
        assert {one.verb for one in repaired.actions} == {"keep"}
    assert everything.ok
    assert before == {name: body for name, body in objects(folder).items() if name in before}


def test_a_tenant_s_role_writes_the_first_bytes(postgres_url: str, role_url: str, tmp_path: Path) -> None:
    """It marks an empty root, though it may not write to the settings; the owner then has the same root."""
    folder = tmp_path / "files"
    options = {"options": "-c app.tenant=a"}
    with docstore.open(role_url, blobs=folder, connect_args=options) as theirs:
        made = theirs.documents.add(b"first", filename="x", tenant="a")
    with docstore.open(postgres_url, blobs=folder) as store:
        assert store.documents.read_bytes(made.id) == b"first"
        store.documents.add(b"second", filename="x", tenant="b")
        assert store.check("hash").ok
        assert store.collect(0).elsewhere == {}


@pytest.fixture(scope="module")
def standby(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A standby of the tests' server."""
    with PostgresServer(standby_of=postgres_server) as server:
        yield server


def test_a_standby_that_lags_takes_nothing(
    postgres_server: PostgresServer,
    standby: PostgresServer,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    """Its replay is paused, and objects of the primary's last minute have no row there: collection is
    refused, whoever finds out first: the store at opening, the write block, or the pass itself.
    """
    folder = tmp_path / "files"
    with docstore.open(postgres_url, blobs=folder) as store:
        for n in range(4):
            store.documents.add(b"%d" % n, filename="x")
        lagging = postgres_url.replace(str(postgres_server.folder), str(standby.folder))
        _caught_up(postgres_server, lagging)
        with psycopg.connect(lagging, autocommit=True) as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            try:
                for n in range(4):
                    store.documents.add(b"unseen %d" % n, filename="x")
                before = objects(folder)
                with docstore.open(lagging, blobs=folder) as standing:
                    assert standing.documents.count() == 4
                    for grace in (0, DAY):
                        with pytest.raises(docstore.BackendError):
                            standing.collect(grace, force=True)
                    report = standing.check(grace=0)
                    assert report.findings == ()
                    standing._context.read_only = ""  # as if nobody had found out at opening
                    monkeypatch.setattr(standing._context.backend, "read_only", "", raising=False)
                    for grace in (0, DAY):
                        with pytest.raises(docstore.ReadOnlyStore):
                            standing.collect(grace, force=True)
                    assert "standby" in standing.check(grace=0).notes[0]
                assert objects(folder) == before
            finally:
                connection.execute("SELECT pg_wal_replay_resume()")
        assert store.check("hash").ok


def _caught_up(primary: PostgresServer, lagging: str) -> None:
    """Wait until a standby has replayed what its primary wrote so far."""
    with psycopg.connect(primary.url(), autocommit=True) as connection:
        row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    for _ in range(1200):
        try:
            with psycopg.connect(lagging, autocommit=True) as connection:
                seen = connection.execute(
                    "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn AND to_regclass('docstore_blob') NOTNULL",
                    row,
                ).fetchone()
                if seen and seen[0]:
                    return
        except psycopg.OperationalError:  # the database is not there yet
            pass
        time.sleep(0.05)
    raise AssertionError("the standby did not catch up within a minute")

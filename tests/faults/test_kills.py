"""Writers killed by SIGKILL at random instants, a collector at grace 0 and a checker beside: nothing is
lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import docstore
from docstore import Blobs
from docstore.testing.servers import PostgresServer, S3Proxy, S3Server
from tests.kit.crashes import Child
from tests.kit.kills import kill_loop
from tests.kit.ledger import Tally

SOUND = (0, 0, 0, 0, 0, [])


def report(what: str, seed: int, tally: Tally) -> None:
    """Say what was reached; `pytest -s` shows it."""
    print(
        f"\n{what}: seed {seed}, {tally.kills} kills, {tally.acknowledged} acknowledged, {tally.unknown} unknown,"  # noqa: E501
        f" {tally.refused} refused, {tally.collections} collections and {tally.checks} checks beside,"
        f" {tally.documents} documents left; lost, mixed, dangling, corrupt, untracked: {tally.faults[:5]}"
    )


def test_on_sqlite_and_a_folder(tmp_path: Path, long: bool, seed: int) -> None:
    """1,000 kills (long), 16 (short): 0 lost, 0 by half, 0 dangling, 0 corrupt, 0 untracked."""

    def opened() -> docstore.Store:
        return docstore.open(f"sqlite:///{tmp_path / 'docstore.db'}", blobs=tmp_path / "files")

    tally = kill_loop(opened, 1000 if long else 16, seed=seed, most=5 if long else 1)
    report("SQLite and a folder", seed, tally)
    assert SOUND == tally.faults
    assert tally.acknowledged > 0


def test_on_postgres_that_crashes_too(tmp_path: Path, long: bool, seed: int) -> None:
    """The same, and the server crashes (`pg_ctl -m immediate`) and recovers under its writers' hands."""
    every = 40 if long else 4
    with PostgresServer() as server:
        url = server.create_database()

        def opened() -> docstore.Store:
            return docstore.open(url, blobs=tmp_path / "files")

        def crash(number: int) -> None:
            if number % every == 0:
                server.stop("immediate")
                server.start()

        tally = kill_loop(opened, 1000 if long else 8, seed=seed, most=5 if long else 3, disturb=crash)
    report(f"Postgres and a folder, a crash every {every} kills", seed, tally)
    assert SOUND == tally.faults
    assert tally.acknowledged > 0


def test_on_s3_through_a_bad_wire(
    sqlite_url: str, s3_server: S3Server, s3_blobs: Callable[..., Blobs], long: bool, seed: int
) -> None:
    """200 kills (long), 5 (short) while requests fail, replies are dropped after the effect and bodies are
    cut.
    """
    with S3Proxy(s3_server.port, rate=0.05 if long else 0.03, seed=seed) as proxy:
        blobs = s3_blobs(**proxy.storage_options)

        def opened() -> docstore.Store:
            return docstore.open(sqlite_url, blobs=blobs)

        def calm(number: int) -> None:
            proxy.rate = 0.0 if number >= kills else proxy.rate

        kills = 200 if long else 5
        tally = kill_loop(opened, kills, seed=seed, most=4 if long else 2, disturb=calm, settle=2.0)
    report(f"SQLite and S3, {proxy.fired}", seed, tally)
    assert SOUND == tally.faults
    assert tally.acknowledged > 0
    assert sum(proxy.fired.values()) > 0


def test_a_loop_that_fails_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers, collector and checker end with it."""
    made: list[Child] = []

    class Kept(Child):
        def __init__(self, work: Callable[[Callable[[str], None]], None]) -> None:
            super().__init__(work)
            made.append(self)

    def fail(number: int) -> None:
        raise RuntimeError("disturbed")

    monkeypatch.setattr("tests.kit.kills.Child", Kept)
    with pytest.raises(RuntimeError, match="disturbed"):
        kill_loop(
            lambda: docstore.open(f"sqlite:///{tmp_path / 'docstore.db'}", blobs=tmp_path / "files"),
            1, most=0, disturb=fail,
        )  # fmt: skip
    assert 4 <= len(made)
    for child in made:
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)

"""Fixtures of every test: the backends' URLs, a Postgres and an S3 of our own; rules for skips and chance."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, settings

from docstore.testing.servers import PostgresServer, S3Server

if TYPE_CHECKING:
    import docstore

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as where a shell started this in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

BACKENDS = ("memory", "sqlite", "sqlite-file", "postgres")

settings.register_profile(
    "dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.register_profile("long", settings.get_profile("dev"), max_examples=1_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test or module is a failure")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _forbid_skip(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _forbid_skip(collector.config, report)
    return report


def _forbid_skip(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure when the run must leave out nothing."""
    if report.outcome == "skipped" and config.getoption("--no-skips"):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, which --no-skips forbids: {report.longrepr}"


@pytest.fixture(scope="module", autouse=True)
def _forgotten() -> Iterator[None]:
    """Leave nothing in fsspec's memory, which is one for the whole process."""
    yield
    MemoryFileSystem.store.clear()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One Postgres server for this process' whole run."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One S3 server for this process' whole run."""
    with S3Server() as server:
        yield server


@pytest.fixture(scope="session")
def s3_session() -> Any:
    """A botocore session whose parsed descriptions of services the forks inherit: a client takes a tenth of
    the time.
    """
    from aiobotocore.session import AioSession

    return AioSession()


@pytest.fixture(scope="session")
def _postgres_spares() -> list[str]:
    """URLs of empty databases no test is using."""
    return []


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, _postgres_spares: list[str]) -> Iterator[str]:
    """The URL of an empty Postgres database that is this test's alone."""
    url = _postgres_spares.pop() if _postgres_spares else postgres_server.create_database()
    yield url
    postgres_server.clear_database(url)
    _postgres_spares.append(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'docstore.db'}"


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store, once for every backend."""
    match request.param:
        case "memory":
            return "memory://"
        case "sqlite":
            return "sqlite://"
        case "sqlite-file":
            return str(request.getfixturevalue("sqlite_url"))
        case _:
            return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[docstore.Store]:
    """An open store on every backend, its bytes in a local folder."""
    import docstore

    with docstore.open(url, blobs=str(tmp_path / "files")) as opened:
        yield opened

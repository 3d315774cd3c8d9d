"""Fixtures of every test: the backends' URLs, a Postgres and an S3 of our own; rules for skips and chance."""

from __future__ import annotations

import gc
import os
import re
import signal
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, settings

from docstore.blobs import s3
from docstore.blobs.streams import CHUNK
from docstore.testing.servers import PostgresServer, S3Server
from tests.kit.databases import CITUS, Databases
from tests.kit.seconds import SECONDS

if TYPE_CHECKING:
    import docstore

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as where a shell started this in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
BACKENDS = ("memory", "sqlite", "sqlite-file", "postgres")

S3_PART, s3.SMALL = s3.SMALL, CHUNK
"""Uploads in parts begin at 1 MiB here, the chunk of a source, so that none needs 8 MiB."""

# 15: the examples differ in each run on a developer's machine, and `long` has what a single run must find.
settings.register_profile(
    "dev", deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.register_profile("long", settings.get_profile("dev"), max_examples=1_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test or module is a failure")
    parser.addoption(
        "--few-backends",
        action="store_true",
        help="a test of `url` in memory, on one kind of SQLite and on Postgres; of several cases each on one",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what --few-backends does; let several workers begin with what takes longest.

    At the end, one worker would go on alone with it.
    """
    if config.getoption("--few-backends"):
        left_out = set(_left_out(items))
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]
    if hasattr(config, "workerinput"):
        seconds = {TESTS / name: taken for name, taken in SECONDS.items()}
        items.sort(key=lambda item: -seconds.get(item.path, 0.0))


def _left_out(items: list[pytest.Item]) -> Iterator[str]:
    """Yield the ids of tests that would ask a rule once more than `--few-backends` says.

    Of SQLite in a file and in memory a function keeps to one. Where it has several cases, each is asked in
    memory and, in turn, on SQLite or on Postgres, so that the function is asked on all. Without the option,
    as in `nox -s wheel` and `pythons`, everything is.
    """
    functions: dict[str, dict[str, dict[str, str]]] = {}
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if "url" in getattr(item, "fixturenames", ()) and params.get("url") in BACKENDS:
            backend = params["url"]
            function, _, case = item.nodeid.partition("[")
            case = re.sub(rf"(^|-){backend}(?=-|]$)", r"\1", case, count=1)
            functions.setdefault(function, {}).setdefault(case, {})[backend] = item.nodeid
    for function, cases in functions.items():
        turn = zlib.crc32(function.encode())
        sqlite = ("sqlite", "sqlite-file")[turn % 2]
        for case in cases.values():
            if len({"sqlite", "sqlite-file"} & set(case)) == 2:
                yield case.pop("sqlite-file" if sqlite == "sqlite" else "sqlite")
        for place, name in enumerate(sorted(cases, key=lambda case: zlib.crc32(case.encode()))):
            case = cases[name]
            databases = [one for one in BACKENDS[1:] if one in case]
            if len(cases) > 1 and len(databases) > 1:
                yield case[databases[(turn // 2 + place) % len(databases)]]


def pytest_collection_finish() -> None:
    """Leave the modules and tests alone when garbage is collected: they stay, and are many."""
    gc.collect()
    gc.freeze()


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
    """One Postgres server for this process' whole run; somebody's Citus where ``DOCSTORE_CITUS`` names it."""
    if CITUS:
        from tests.kit.citus import CitusServer

        with CitusServer(CITUS) as server:
            yield server
        return
    # With a hundred databases a worker of autovacuum looks into one of them each second.
    with PostgresServer({"autovacuum": "off"}) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_standby(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that follows ``postgres_server``: the same databases, a moment later, to be read alone."""
    with PostgresServer(standby_of=postgres_server) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One S3 server for this process' whole run, which takes the small parts that these tests send."""
    with S3Server(least_part=s3.SMALL) as server:
        yield server


@pytest.fixture
def s3_part() -> int:
    """The bytes of a part of an upload to S3, where no test is run."""
    return S3_PART


@pytest.fixture(scope="session")
def s3_session() -> Any:
    """A botocore session whose parsed descriptions of services the forks inherit: a client takes a tenth of
    the time.
    """
    from aiobotocore.session import AioSession

    return AioSession()


@pytest.fixture(scope="session")
def s3_options(s3_server: S3Server, s3_session: Any) -> dict[str, Any]:
    """What s3fs must be told to reach that server from this process and its forks."""
    return {**s3_server.storage_options, "session": s3_session}


@pytest.fixture(scope="session")
def databases(postgres_server: PostgresServer) -> Iterator[Databases]:
    """Databases and stores on Postgres that no test is using."""
    pool = Databases(postgres_server)
    yield pool
    pool.close()


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """The URL of an empty Postgres database that is this test's alone."""
    url = databases.take()
    yield url
    databases.give_back(url)


@pytest.fixture
def postgres_store_url(databases: Databases) -> Iterator[str]:
    """The URL of a Postgres database with an empty store that is this test's alone: a tenth of the time of
    making one. A test that changes more than rows leaves its database to be cleared.
    """
    store = databases.take_store()
    yield store.url
    databases.give_store_back(store)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'docstore.db'}"


@pytest.fixture(scope="session")
def postgres_pooler(postgres_server: PostgresServer) -> Iterator[Any]:
    """A PgBouncer that stores on Postgres are opened through, where ``DOCSTORE_PGBOUNCER`` says its mode."""
    mode = os.environ.get("DOCSTORE_PGBOUNCER")
    if mode not in ("transaction", "session"):
        yield None
        return
    from docstore_postgres import open_backend

    from docstore.testing.servers.postgres import PgBouncer

    assert open_backend.__kwdefaults__ is not None
    with PgBouncer(postgres_server, mode, size=20) as pooler:
        open_backend.__kwdefaults__["pooled"] = mode == "transaction"
        yield pooler
        open_backend.__kwdefaults__["pooled"] = False


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
            found = str(request.getfixturevalue("postgres_store_url"))
            pooler = request.getfixturevalue("postgres_pooler")
            return found if pooler is None else str(pooler.url(found))


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[docstore.Store]:
    """An open store on every backend, its bytes in a local folder."""
    import docstore

    with docstore.open(url, blobs=str(tmp_path / "files")) as opened:
        yield opened

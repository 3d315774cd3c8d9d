"""Postgres in odd surroundings: settings, servers, pools, names and rights that are not the usual ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import sqlalchemy as sa
from docstore_postgres import open_backend
from docstore_postgres.connections import _parsed
from sqlalchemy.pool import NullPool

import docstore
from docstore.testing.servers import PostgresServer

TEXT = "Żółć 漢字 \\ ' \" é"


def database(url: str) -> str:
    """Return the name of a URL's database."""
    name = sa.make_url(url).database
    assert name is not None
    return name


def works(store: docstore.Store) -> None:
    """Add, find by every kind of index, page, change and delete text that is not ASCII."""
    rows = [{"filename": f"{TEXT}{n}", "content": TEXT, "metadata": {"a": [TEXT], "n": n}} for n in range(9)]
    assert 9 == store.documents.add_many(rows).added
    one = store.documents.add(filename=TEXT, metadata={TEXT: TEXT, "a": {"b": [1, "x"]}})
    assert 9 == store.documents.count({"metadata.a": TEXT})
    assert 10 == store.documents.count(search="漢字 żółć")
    assert 10 == store.documents.count({"filename": {"$startsWith": TEXT}})
    assert 1 == store.documents.count({f"metadata.{TEXT}": {"$regex": r"^Ż\w*.*é$"}})
    assert 1 == store.documents.count({"metadata.a": {"$eq": {"b": [1, "x"]}}})
    assert store.create_index(f"metadata.{TEXT}")
    assert [TEXT] == [item.metadata[TEXT] for item in store.documents.find(sort=f"-metadata.{TEXT}", limit=1)]
    assert TEXT == store.documents.update(one.id, filename="x", metadata={"b": TEXT}).metadata["b"]
    assert 10 == store.documents.delete_many({})


SETTINGS = [
    "client_encoding = LATIN1",
    "client_encoding = SQL_ASCII",
    "standard_conforming_strings = off",
    "gin_fuzzy_search_limit = 1",
    "default_transaction_isolation = serializable",
    "DateStyle = 'SQL, DMY'",
    "search_path = nowhere, public",
]


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("setting", SETTINGS)
def test_what_the_database_is_set_to_changes_no_answer(postgres_url: str, setting: str) -> None:
    """By a URL and on an application's engine, where what was set stays set."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{database(postgres_url)}" SET {setting}'.encode())
    try:
        with docstore.open(postgres_url) as store:
            works(store)
        if "SQL_ASCII" in setting:  # SQLAlchemy itself cannot use such an engine
            return
        engine = sa.create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"), pool_size=1)
        name = setting.partition(" ")[0]
        with engine.connect() as connection:
            before = connection.exec_driver_sql(f"SHOW {name}").scalar()
        with docstore.open(engine, table_prefix="other_") as store:
            works(store)
            with engine.connect() as connection, store.join(connection):
                store.documents.add(filename=TEXT, metadata={"a": TEXT})
                assert 1 == store.documents.count({"metadata.a": TEXT})
                connection.rollback()
        with engine.connect() as connection:
            assert before == connection.exec_driver_sql(f"SHOW {name}").scalar()
        engine.dispose()
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{database(postgres_url)}" RESET ALL'.encode())


def test_an_encoding_of_the_environment_or_the_url_does_not_count(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connections speak UTF-8."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with docstore.open(f"{postgres_url}&client_encoding=latin1") as store:
        works(store)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding_is_refused_by_name(
    postgres_server: PostgresServer, encoding: str
) -> None:
    """Before anything is made in it."""
    name = f"test_{encoding.lower()}"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'")
    try:
        with pytest.raises(docstore.BackendError, match=f"encoding is {encoding}"):
            docstore.open(postgres_server.url(name))
    finally:
        postgres_server.drop_database(postgres_server.url(name))


@pytest.mark.parametrize(
    ("version", "match"),
    [
        ("CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu)", "no PostgreSQL.*CockroachDB"),
        ("PostgreSQL 13.14 on x86_64-pc-linux-gnu", "Postgres 13; docstore needs 14"),
    ],
)
def test_a_server_that_is_not_known_is_refused_by_name(
    postgres_url: str, postgres_server: PostgresServer, version: str, match: str
) -> None:
    """By what ``version()`` says, before anything is made."""
    name = database(postgres_url)
    postgres_server.execute(
        f"CREATE FUNCTION public.version() RETURNS text LANGUAGE sql AS $$SELECT '{version}'$$",
        f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog',
        database=name,
    )
    try:
        with pytest.raises(docstore.BackendError, match=match):
            docstore.open(postgres_url)
        with psycopg.connect(postgres_url) as connection:
            found = connection.execute("SELECT count(*) FROM pg_class WHERE relname ~ '^docstore'")
            assert (0,) == found.fetchone()
    finally:
        postgres_server.execute(f'ALTER DATABASE "{name}" RESET ALL')


def test_cockroach_is_refused_where_sqlalchemy_cannot_read_its_version(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy fails on its version before any statement of ours."""

    def fails(*arguments: Any) -> None:
        raise AssertionError("Could not determine version from string 'CockroachDB CCL v24.1.0'")

    monkeypatch.setattr("sqlalchemy.dialects.postgresql.base.PGDialect._get_server_version_info", fails)
    with pytest.raises(docstore.BackendError, match=r"no PostgreSQL.*CockroachDB"):
        docstore.open(postgres_url)


# -- names -------------------------------------------------------------------------------------------------


def test_the_longest_prefix_works_whole(postgres_url: str) -> None:
    """36 characters, capitals among them, leave room for every name; two such stores do not meet."""
    for prefix in ("X" * 36, "X" * 35 + "y"):
        with docstore.open(postgres_url, table_prefix=prefix) as store:
            works(store)
            assert store.create_index("metadata.a", "-created_at", "filename")
            assert store.create_index("filename")
            assert 3 == len(store.indexes())
            assert store.drop_index("filename")
            assert store.check().ok
            with store._context.backend.read() as session:
                session.cursor.execute(
                    "SELECT max(length(relname)) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                )
                assert session.cursor.fetchone()[0] <= 63
                assert session.planner.finder.trigrams


@pytest.mark.parametrize("prefix", ["X" * 37, "a-b", "1a", "", "é", None, 3])
def test_a_prefix_that_is_no_name_is_refused(prefix: Any, tmp_path: Any) -> None:
    """Before anything is connected to, on both databases."""
    for url in ("postgresql://nobody@nowhere.invalid/x", f"sqlite:///{tmp_path / 'x.db'}"):
        with pytest.raises(ValueError, match=r"table prefix.*36 characters"):
            docstore.open(url, table_prefix=prefix)


# -- the extension -----------------------------------------------------------------------------------------


def test_the_extension_is_used_in_whichever_schema_it_is(postgres_url: str) -> None:
    """One that is not in the search path, too."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute('CREATE SCHEMA "Its own"')
        connection.execute('CREATE EXTENSION pg_trgm SCHEMA "Its own"')
    with docstore.open(postgres_url) as store:
        works(store)
        with store._context.backend.read() as session:
            assert session.planner.finder.trigrams


def test_stores_made_at_once_in_one_database_all_find_names_by_trigrams(postgres_url: str) -> None:
    """Of several that want the extension none fails, and none goes without."""
    found: list[bool] = []
    start = threading.Barrier(4)

    def make(n: int) -> None:
        start.wait()
        backend = open_backend(postgres_url, table_prefix=f"s{n}_", pool_size=1)
        with backend.read() as session:
            found.append(session.planner.finder.trigrams)  # type: ignore[attr-defined]
        backend.close()

    threads = [threading.Thread(target=make, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] * 4 == found


def test_a_role_that_may_not_make_the_extension_does_without(postgres_url: str) -> None:
    """Names are then found by a function of our own."""
    name = database(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS plain")
        owner.execute("CREATE ROLE plain LOGIN")
        owner.execute("GRANT ALL ON SCHEMA public TO plain")
        owner.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC'.encode())
        owner.execute(f'GRANT CONNECT ON DATABASE "{name}" TO plain'.encode())
        try:
            with docstore.open(postgres_url.replace("postgres@", "plain@")) as store:
                works(store)
                with store._context.backend.read() as session:
                    assert not session.planner.finder.trigrams
        finally:
            owner.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO PUBLIC'.encode())
            owner.execute("DROP OWNED BY plain")
            owner.execute("DROP ROLE plain")


# -- rights ------------------------------------------------------------------------------------------------


@pytest.fixture
def weak_url(postgres_url: str) -> Iterator[str]:
    """A store, and the URL of a role that may do next to nothing with it."""
    docstore.open(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS weak")
        owner.execute("CREATE ROLE weak LOGIN")
        owner.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        owner.execute("GRANT USAGE ON SCHEMA public TO weak")
        owner.execute("GRANT SELECT ON docstore_setting TO weak")
        yield postgres_url.replace("postgres@", "weak@")
        owner.execute("DROP OWNED BY weak")
        owner.execute("DROP ROLE weak")


def test_a_right_that_is_missing_is_named_with_what_to_grant(weak_url: str) -> None:
    """On tables, and on a schema to make them in; a role that may only read is told so."""
    with docstore.open(weak_url) as store:
        with pytest.raises(docstore.BackendError, match=r"GRANT SELECT, INSERT.* ON docstore_document TO"):
            store.documents.find()
        with pytest.raises(docstore.ReadOnlyStore, match="role weak"):
            store.create_index("metadata.a")
    with pytest.raises(docstore.BackendError, match="GRANT USAGE, CREATE ON SCHEMA public TO"):
        docstore.open(weak_url, table_prefix="new_")
    with psycopg.connect(weak_url.replace("weak@", "postgres@"), autocommit=True) as owner:
        owner.execute("REVOKE USAGE ON SCHEMA public FROM weak")
    with pytest.raises(docstore.BackendError, match="GRANT USAGE, CREATE ON SCHEMA"):
        docstore.open(weak_url, table_prefix="new_")


# -- connections -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_server() -> Iterator[PostgresServer]:
    """A server of few connections."""
    settings = {"max_connections": "8", "superuser_reserved_connections": "0"}
    with PostgresServer(settings) as server:
        yield server


@pytest.fixture
def small_url(small_server: PostgresServer) -> Iterator[str]:
    """An empty database of it."""
    url = small_server.create_database()
    yield url
    small_server.drop_database(url)


@pytest.mark.parametrize("options", [{"max_overflow": 20}, {"poolclass": NullPool}])
def test_a_server_without_a_free_connection_is_waited_for(small_url: str, options: dict[str, Any]) -> None:
    """More threads than the server has connections all get their turn."""
    failed: list[BaseException] = []
    with docstore.open(small_url, **options) as store:

        def add() -> None:
            try:
                for _ in range(4):
                    store.documents.add(metadata={}, external_id="x")
            except docstore.BackendError as error:
                failed.append(error)

        threads = [threading.Thread(target=add) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ([], 64) == (failed, store.documents.count(latest_only=False))


def test_a_server_that_stays_full_is_busy_after_the_pools_timeout(small_url: str) -> None:
    """StoreBusy, when opening and later; once there is room the same store works."""
    with docstore.open(small_url, pool_timeout=0.3) as store:
        store._context.backend.engine.dispose()
        store._context.backend._idle._waiting.clear()
        held = [psycopg.connect(small_url) for _ in range(8)]
        try:
            begun = time.monotonic()
            with pytest.raises(docstore.StoreBusy, match=r"too many clients|connection slots"):
                store.documents.count()
            assert 0.2 < time.monotonic() - begun < 20
            with pytest.raises(docstore.StoreBusy):
                docstore.open(small_url, pool_timeout=0.05)
        finally:
            for one in held:
                one.close()
        assert 0 == store.documents.count()


def test_a_pool_of_no_connections_is_taken(postgres_store_url: str) -> None:
    """``poolclass=NullPool`` leaves no connection behind a call."""
    with docstore.open(postgres_store_url, poolclass=NullPool) as store:
        works(store)
        with psycopg.connect(postgres_store_url) as other:
            found = other.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND datname = current_database() AND query ~ 'docstore_document'"
                " AND query !~ 'pg_class|pg_relation_size|autovacuum'"  # the fixture's
            ).fetchone()
        assert (0,) == found


def test_the_pools_bounds_are_those_of_the_page(postgres_store_url: str) -> None:
    """8 connections, 8 more, 10 seconds; a caller's count instead."""
    with docstore.open(postgres_store_url) as store:
        backend = store._context.backend
        assert (8, 8) == (backend.engine.pool.size(), backend.engine.pool._max_overflow)
        assert 10.0 == backend.pool_timeout
    with docstore.open(postgres_store_url, pool_size=2, max_overflow=1, pool_timeout=1.5) as store:
        backend = store._context.backend
        assert (2, 1) == (backend.engine.pool.size(), backend.engine.pool._max_overflow)
        assert 1.5 == backend.pool_timeout


def test_several_hosts_are_taken_as_libpq_takes_them(postgres_store_url: str) -> None:
    """The first that answers is used."""
    folder = sa.make_url(postgres_store_url).query["host"]
    name = database(postgres_store_url)
    several = f"postgresql://postgres@127.0.0.1:1,{quote(str(folder), safe='')}:5432/{name}?connect_timeout=5"
    with docstore.open(several) as store:
        store.documents.add(metadata={})
        assert 1 == store.documents.count()


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("h1:1,h2:2", "h1,h2", "1,2"),
        ("h1,h2", "h1,h2", None),
        ("h1:1,h2", "h1,h2", "1,"),
        ("[::1]:1,[fe80::2]", "::1,fe80::2", "1,"),
    ],
)
def test_several_hosts_and_ports_are_read(hosts: str, host: str, port: str | None) -> None:
    """Together with what else stands in the URL."""
    url = _parsed(f"postgresql://me:p%40,w@{hosts}/db?target_session_attrs=read-write")
    assert (host, port) == (url.query["host"], url.query.get("port"))
    assert ("me", "p@,w", "db", None) == (url.username, url.password, url.database, url.host)
    assert "read-write" == url.query["target_session_attrs"]


@pytest.mark.parametrize("setting", ["statement_timeout", "lock_timeout"])
def test_the_schema_is_made_under_our_own_timeouts(postgres_url: str, setting: str) -> None:
    """Not under those of the role, which may be for short statements."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS hasty")
        connection.execute("CREATE ROLE hasty LOGIN SUPERUSER")
        connection.execute(f"ALTER ROLE hasty SET {setting} = 300".encode())
        connection.execute(
            "CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql"
            " AS $$BEGIN PERFORM pg_sleep(0.4); END$$"
        )
        connection.execute(
            "CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE SEQUENCE')"
            " EXECUTE FUNCTION slow()"
        )
        connection.execute("SELECT pg_advisory_lock(hashtextextended('docstore/pg_trgm', 1))")
        timer = threading.Timer(0.6, connection.execute, ["SELECT pg_advisory_unlock_all()"])
        timer.start()
        try:
            engine = sa.create_engine(
                postgres_url.replace("postgresql://postgres", "postgresql+psycopg://hasty")
            )
            docstore.open(postgres_url.replace("postgres@", "hasty@")).close()
            docstore.open(engine, table_prefix="other_").close()
            engine.dispose()
        finally:
            timer.join()
            connection.execute("DROP EVENT TRIGGER slow")
            connection.execute("DROP OWNED BY hasty")
            connection.execute("DROP ROLE hasty")

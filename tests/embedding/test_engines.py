"""Stores on the application's own engine, in its transactions, beside its tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

import docstore


class Base(DeclarativeBase):
    """The application's tables."""


class Order(Base):
    """A row of the application's own."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[str | None]


METADATA = Base.metadata
ORDERS = METADATA.tables["orders"]


@pytest.fixture(params=["sqlite", "sqlite-file", "postgres"])
def engine_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, as SQLAlchemy has it."""
    if request.param == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
        return url.replace("postgresql:", "postgresql+psycopg:")
    return "sqlite://" if request.param == "sqlite" else f"sqlite:///{tmp_path}/app.db"


@pytest.fixture
def engine(engine_url: str) -> Iterator[sa.Engine]:
    """The application's engine, its own table made."""
    made = sa.create_engine(engine_url)
    METADATA.create_all(made)
    yield made
    made.dispose()


def orders(engine: sa.Engine) -> int:
    """Count the application's rows."""
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(ORDERS)).scalar_one())


def test_an_engine_stays_the_applications(engine: sa.Engine) -> None:
    """A store on an engine works beside the application's tables, and closing it leaves the engine in use."""
    with docstore.open(engine) as store:
        store.documents.add(filename="x", metadata={"n": 1})
        assert 1 == store.documents.count({"metadata.n": 1})
    with engine.begin() as connection:
        connection.execute(ORDERS.insert().values(document_id="x"))
    assert 1 == orders(engine)
    with docstore.open(engine) as again:
        assert 1 == again.documents.count()


def test_a_joined_block_is_the_applications_commit(engine: sa.Engine) -> None:
    """What a joined block does is committed with the application's own rows, by the application."""
    with docstore.open(engine) as store:
        with engine.begin() as connection, store.join(connection):
            document = store.documents.add(filename="x")
            store.documents.add_many({"filename": f"{number}"} for number in range(10))
            connection.execute(ORDERS.insert().values(document_id=document.id))
            assert 11 == store.documents.count()
        assert (11, 1) == (store.documents.count(), orders(engine))


def test_a_joined_block_is_undone_with_the_application(engine: sa.Engine) -> None:
    """When the application rolls back, nothing of the joined block is left, its own rows neither."""
    with docstore.open(engine) as store:
        with pytest.raises(KeyError), engine.begin() as connection, store.join(connection):  # noqa: PT012
            store.documents.add_many({"filename": f"{number}"} for number in range(10))
            connection.execute(ORDERS.insert().values(document_id="x"))
            raise KeyError
        assert (0, 0) == (store.documents.count(), orders(engine))
        store.documents.add(filename="after")
        assert 1 == store.documents.count()


def test_memory_has_no_connections_to_join() -> None:
    """A store in memory cannot join, and says what to use."""
    told = r"store\.transaction"
    with docstore.open("memory://") as store, pytest.raises(docstore.BackendError, match=told):
        store.join(object()).__enter__()


def async_url(url: str) -> str:
    """Return the asynchronous form of an engine's URL."""
    return url.replace("sqlite:", "sqlite+aiosqlite:")


def test_an_async_engine_and_its_transactions(engine_url: str) -> None:
    """`open_async` takes an AsyncEngine and joins AsyncConnections, committed and rolled back alike."""

    async def main() -> None:
        engine = create_async_engine(async_url(engine_url))
        async with engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
        async with docstore.open_async(engine) as store:
            async with engine.begin() as connection, store.join(connection):
                document = await store.documents.add(filename="x")
                await connection.execute(ORDERS.insert().values(document_id=document.id))
            with pytest.raises(KeyError):  # noqa: PT012
                async with engine.begin() as connection, store.join(connection):
                    await store.documents.add_many({"filename": f"{number}"} for number in range(10))
                    await connection.execute(ORDERS.insert().values(document_id="y"))
                    raise KeyError
            assert 1 == await store.documents.count()
            async with engine.connect() as connection:
                counted = await connection.execute(sa.select(sa.func.count()).select_from(ORDERS))
                assert 1 == counted.scalar_one()
        await engine.dispose()

    asyncio.run(main())


def test_the_wrong_kind_of_engine_is_refused(tmp_path: Path) -> None:
    """An AsyncEngine is not for `open`; the error names `open_async`."""
    url = f"sqlite:///{tmp_path}/app.db"
    with pytest.raises(ValueError, match=r"docstore\.open_async"):
        docstore.open(create_async_engine(async_url(url)))


def test_open_async_takes_an_engine(engine: sa.Engine) -> None:
    """A blocking Engine serves an asynchronous store, by its own pool; one that has a database in memory for
    each thread is refused by name.
    """

    async def main() -> None:
        async with docstore.open_async(engine) as store:
            await asyncio.gather(*(store.documents.add(filename=f"{number}") for number in range(10)))
            assert 10 == await store.documents.count()

    if isinstance(engine.pool, sa.SingletonThreadPool):
        with pytest.raises(ValueError, match="StaticPool"):
            asyncio.run(main())
        return
    asyncio.run(main())
    assert 0 == orders(engine)


def test_an_async_session_and_its_savepoints(engine_url: str) -> None:
    """A joined AsyncSession commits, rolls back, and undoes a `begin_nested()` with what was done in it."""

    async def main() -> None:
        engine = create_async_engine(async_url(engine_url))
        sessions = async_sessionmaker(engine)
        async with docstore.open_async(engine) as store:
            async with sessions() as session, session.begin(), store.join(session):
                await store.documents.add(filename="kept")
                nested = await session.begin_nested()
                await store.documents.add_many({"filename": f"{number}"} for number in range(10))
                assert 11 == await store.documents.count()
                await nested.rollback()
                assert 1 == await store.documents.count()
                await store.documents.add(filename="too", metadata={"n": 1})
                assert 1 == await store.documents.count({"metadata.n": 1})
            with pytest.raises(KeyError):  # noqa: PT012
                async with sessions() as session, session.begin(), store.join(session):
                    await store.documents.add(filename="gone")
                    raise KeyError
            assert {"kept", "too"} == {one.filename for one in await store.documents.find()}
        await engine.dispose()

    asyncio.run(main())


def test_a_session_joins(engine: sa.Engine) -> None:
    """A blocking Session joins like its connection, savepoints included."""
    with docstore.open(engine) as store:
        with Session(engine) as session, session.begin(), store.join(session):
            store.documents.add(filename="kept")
            nested = session.begin_nested()
            store.documents.add(filename="gone")
            nested.rollback()
            assert 1 == store.documents.count()
        assert ["kept"] == [one.filename for one in store.documents.find()]


def test_savepoints_within_savepoints(engine: sa.Engine, tmp_path: Path) -> None:
    """A rolled-back savepoint takes back what was done in those within it, the application's rows and bytes
    too; values, facets and searches that were asked for in between are as before; errors of calls undo
    nothing else.
    """
    with docstore.open(engine, blobs=f"{tmp_path}/files") as store, Session(engine) as session:
        with store.join(session):
            kept = store.documents.add(filename="kept", content="one", metadata={"n": 1}, id="kept")
            with session.begin_nested() as outer:
                store.documents.add(b"bytes", filename="gone", content="one", metadata={"n": 1})
                with session.begin_nested():
                    store.documents.update_many({}, {"$inc": {"metadata.n": 1}})
                    session.add(Order(document_id="x"))
                assert {2: 2} == store.documents.count_by("metadata.n")
                assert 2 == store.documents.count(search="one")
                outer.rollback()
            assert kept == store.documents.get(kept.id) == store.documents.find_one(search="on")
            assert {1: 1} == store.documents.count_by("metadata.n")
            with pytest.raises(docstore.AlreadyExists):
                store.documents.add(filename="other", id="kept")
            with pytest.raises(docstore.InvalidDocument):
                store.documents.update_many({}, {"$push": {"metadata.n": 1}})
            session.add(Order(document_id=kept.id))
            session.commit()
        assert [kept] == list(store.documents.find())
        assert 1 == orders(engine)
        assert not [one for one in store.check().findings if one.kind == "index"]


def test_a_join_within_a_transaction_of_the_store(engine: sa.Engine) -> None:
    """It is refused at once: on SQLite the two would wait for each other."""
    with docstore.open(engine) as store, Session(engine) as session:
        refused = pytest.raises(docstore.BackendError, match=r"within store\.transaction")
        with store.transaction(), refused, store.join(session):
            pass
        with store.join(session), store.transaction():
            store.documents.add(filename="gone")
        session.rollback()
        assert 0 == store.documents.count()


def test_a_connection_in_autocommit(engine: sa.Engine) -> None:
    """Nothing would be kept together, or on SQLite nothing at all: it is refused."""
    with docstore.open(engine) as store, engine.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(docstore.BackendError, match="autocommit"), store.join(alone):
            pass


def test_a_joined_transaction_that_has_ended(engine: sa.Engine) -> None:
    """Once the application has committed or rolled back within the block, a call says so and does nothing."""
    with docstore.open(engine) as store:
        with Session(engine) as session, store.join(session):
            store.documents.add(filename="kept")
            session.commit()
            with pytest.raises(docstore.BackendError, match="committed or rolled back"):
                store.documents.add(filename="late")
        with engine.connect() as connection, store.join(connection):
            store.documents.add(filename="gone")
            connection.rollback()
            with pytest.raises(docstore.BackendError, match="committed or rolled back"):
                store.documents.count()
        assert ["kept"] == [one.filename for one in store.documents.find()]


def test_what_cannot_be_joined_is_named(postgres_url: str) -> None:
    """Another object, and a connection of another database, are TypeErrors that say what is taken."""
    other = sa.create_engine("sqlite://")
    with docstore.open(postgres_url) as store:
        makers = (other, sessionmaker(other), scoped_session(sessionmaker(other)), None, "sqlite://")
        for one in makers:
            named = pytest.raises(TypeError, match=f"cannot join {type(one).__name__}: .*AsyncSession")
            with named, store.join(one):
                pass
        wrong = pytest.raises(TypeError, match=r"sqlite\+pysqlite.*postgresql\+psycopg")
        with other.connect() as connection, wrong, store.join(connection):
            pass
    other.dispose()


def test_prefixes_keep_stores_apart(engine: sa.Engine) -> None:
    """Two prefixes in one database are two stores; every table of theirs bears the prefix."""
    before = set(sa.inspect(engine).get_table_names())
    with docstore.open(engine, table_prefix="a_") as one, docstore.open(engine, table_prefix="b_") as two:
        one.documents.add(filename="x")
        assert (1, 0) == (one.documents.count(), two.documents.count())
    tables = set(sa.inspect(engine).get_table_names()) - before
    assert tables
    assert all(name.startswith(("a_", "b_")) for name in tables)


@pytest.mark.parametrize("prefix", ["", "1x", 'a"b', "a; DROP", "x" * 41])
def test_a_prefix_is_a_plain_word(prefix: str) -> None:
    """A prefix that could be anything but part of a name is refused."""
    with pytest.raises(ValueError, match="table prefix"):
        docstore.open("sqlite://", table_prefix=prefix)


def test_a_schema_of_postgres(postgres_url: str) -> None:
    """`schema=` puts the tables there, and a store there is another than one elsewhere."""
    engine = sa.create_engine(
        postgres_url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool
    )
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema("library"))
    with docstore.open(postgres_url, schema="library") as there, docstore.open(postgres_url) as here:
        there.documents.add(filename="x", metadata={"n": [1, 2]}, content="some words")
        assert 1 == there.documents.count({"metadata.n": 2, "content": {"$substring": "word"}})
        assert 0 == here.documents.count()
    assert "docstore_document" in sa.inspect(engine).get_table_names(schema="library")


def test_several_stores_in_one_process(tmp_path: Path, postgres_url: str) -> None:
    """Stores of all kinds live side by side, blocking and asynchronous, and know nothing of each other."""

    async def main() -> None:
        urls = ("memory://", "sqlite://", f"sqlite:///{tmp_path}/a.db", postgres_url)
        for number, url in enumerate(urls):
            with docstore.open(url, blobs=f"{tmp_path}/{number}") as one:
                one.documents.add(b"1", filename="one")
                async with docstore.open_async("memory://") as other, other.transaction():
                    await other.documents.add(filename="other")
                    assert ["one"] == [document.filename for document in one.documents.find()]
                    assert ["other"] == [document.filename for document in await other.documents.find()]

    asyncio.run(main())


def test_both_shells_on_one_file(tmp_path: Path) -> None:
    """A blocking and an asynchronous store on the same file share its write lock: none finds it busy."""
    url = f"sqlite:///{tmp_path}/a.db"

    async def main() -> None:
        with docstore.open(url) as blocking:
            async with docstore.open_async(url) as store:
                adding = [store.documents.add(filename=f"{number}") for number in range(20)]
                threads = [
                    asyncio.to_thread(blocking.documents.add, filename=f"t{number}") for number in range(20)
                ]
                await asyncio.gather(*adding, *threads)
                assert 40 == await store.documents.count() == blocking.documents.count()

    asyncio.run(main())

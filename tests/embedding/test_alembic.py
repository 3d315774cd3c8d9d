"""alembic_metadata: autogenerate leaves a store alone, and a store opens on what a migration made."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

import docstore


def differences(url: str, metadata: sa.MetaData) -> list[Any]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.connect() as connection:
            options = {"include_object": docstore.alembic_include_object}
            return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))
    finally:
        engine.dispose()


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.parametrize(("fixture", "backend"), [("sqlite_url", "sqlite"), ("postgres_url", "postgresql")])
def test_a_fresh_store_has_no_differences(fixture: str, backend: Any, request: pytest.FixtureRequest) -> None:
    """Neither what a store makes is proposed to be dropped or changed, nor is anything missing."""
    pytest.importorskip("alembic")
    url = request.getfixturevalue(fixture)
    with docstore.open(url, table_prefix="my_") as store:
        store.documents.add(filename="a", content="words", metadata={"a": 1})
    assert [] == differences(url, docstore.alembic_metadata(backend, table_prefix="my_"))


def names_of(connection: sa.Connection) -> set[str]:
    if connection.dialect.name == "sqlite":
        asked = "SELECT name FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL"
    else:
        asked = (
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'i')"
            " AND relnamespace = 'public'::regnamespace AND oid NOT IN (SELECT conindid FROM pg_constraint)"
        )
    return set(connection.exec_driver_sql(asked).scalars())


@pytest.mark.parametrize(("fixture", "backend"), [("sqlite_url", "sqlite"), ("postgres_url", "postgresql")])
def test_every_table_and_index_is_described(
    fixture: str, backend: Any, request: pytest.FixtureRequest
) -> None:
    """But for SQLite's full-text index, that is no table, and what it makes by itself."""
    url = request.getfixturevalue(fixture)
    docstore.open(url).close()
    metadata = docstore.alembic_metadata(backend)
    described = set(metadata.tables) | {
        str(index.name) for table in metadata.tables.values() for index in table.indexes
    }
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        there = names_of(connection)
    engine.dispose()
    assert described == {name for name in there if not name.startswith(("docstore_text", "sqlite_"))}


def migrate(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Do what autogenerate proposes."""
    from alembic.autogenerate import produce_migrations
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    options = {"include_object": docstore.alembic_include_object, "target_metadata": metadata}
    context = MigrationContext.configure(connection, opts=options)
    left: list[Any] = [produce_migrations(context, metadata).upgrade_ops]
    for one in left:
        if hasattr(one, "ops"):
            left.extend(one.ops)
        else:
            Operations(context).invoke(one)


@pytest.mark.parametrize(("fixture", "backend"), [("sqlite_url", "sqlite"), ("postgres_url", "postgresql")])
@pytest.mark.parametrize("by", ["create_all", "autogenerate"])
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_a_store_opens_on_what_a_migration_made(
    fixture: str, backend: Any, by: str, request: pytest.FixtureRequest
) -> None:
    """It then finds and searches, and is as one that it made itself."""
    url = request.getfixturevalue(fixture)
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    metadata = docstore.alembic_metadata(backend)
    if by == "create_all":
        metadata.create_all(engine)
    else:
        with engine.begin() as connection:
            migrate(connection, metadata)
    engine.dispose()
    for _ in range(2):
        with docstore.open(url) as store:
            store.documents.add(filename="a", content="some words", metadata={"a": 1})
            assert store.documents.count({"metadata.a": 1}) == store.documents.count(search="words")
            assert store.check().ok
    assert [] == differences(url, metadata)
    with docstore.open(url) as store:
        assert 2 == store.documents.count()


def test_what_is_refused() -> None:
    """Another backend, a prefix that no store has."""
    for call in (
        lambda: docstore.alembic_metadata("memory"),  # type: ignore[arg-type]
        lambda: docstore.alembic_metadata("sqlite", table_prefix="a b"),
        lambda: docstore.alembic_metadata("sqlite", schema="x"),
    ):
        with pytest.raises(ValueError, match=r"expected|has none"):
            call()

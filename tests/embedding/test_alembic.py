"""alembic_metadata: autogenerate leaves a store alone, and a store opens on what a migration made."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

import docstore

IGNORED = (
    "ignore:autogenerate skipping metadata-specified expression-based index",
    "ignore:Skipped unsupported reflection of expression-based index",
)


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def differences(url: str, metadata: sa.MetaData, **options: Any) -> list[Any]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            opts = {"include_object": docstore.alembic_include_object, **options}
            return list(compare_metadata(MigrationContext.configure(connection, opts=opts), metadata))
    finally:
        engine.dispose()


DECLARED = (("metadata.a",), ("metadata.tags", "-created_at"), ("status", "-created_at"), ("filename",))


@pytest.mark.filterwarnings(*IGNORED)
@pytest.mark.parametrize(
    ("fixture", "backend", "options"),
    [
        ("sqlite_url", "sqlite", {"table_prefix": "My_app_"}),
        ("postgres_url", "postgresql", {"table_prefix": "My_app_"}),
        ("postgres_url", "postgresql", {"schema": "docs"}),
        ("postgres_url", "postgresql", {"partitions": 2}),
    ],
)
def test_a_store_has_no_differences(
    fixture: str, backend: Any, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Neither what a store makes is proposed to be dropped or changed, nor is anything missing: with indexes
    of create_index, in partitions, in a schema; column types and defaults compared, too.
    """
    url = request.getfixturevalue(fixture)
    named = {key: value for key, value in options.items() if key != "partitions"}
    if "schema" in named:
        engine = engine_of(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA docs")
        engine.dispose()
    with docstore.open(url, **options) as store:
        store.documents.add(filename="a", content="words", metadata={"a": 1, "tags": ["x"]})
        compared = {
            "compare_type": True, "compare_server_default": True, "include_schemas": "schema" in named,
        }  # fmt: skip
        metadata = docstore.alembic_metadata(backend, **named)
        assert [] == differences(url, metadata, **compared)
        for keys in DECLARED:
            store.create_index(*keys)
        assert [] == differences(url, metadata, **compared)


@pytest.mark.parametrize("fixture", ["sqlite_url", "postgres_url"])
def test_declared_indexes_that_a_migration_dropped_are_made_anew(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    """By the next opening that may write, which then finds by them and drops them."""
    url = request.getfixturevalue(fixture)
    with docstore.open(url) as store:
        store.documents.add(filename="a", metadata={"a": 1, "tags": ["x"]})
        for keys in DECLARED:
            store.create_index(*keys)
    engine = engine_of(url)
    with engine.begin() as connection:
        before = names_of(connection)
        for name in (name for name in before if "declared_" in name):
            connection.exec_driver_sql(f'DROP INDEX "{name}"')
    with docstore.open(url, read_only=True) as store:
        assert 1 == store.documents.count({"metadata.a": 1})
    with docstore.open(url) as store, engine.connect() as connection:
        assert before == names_of(connection)
        assert list(DECLARED) == store.indexes()
        assert 1 == len(store.documents.find(sort="metadata.a"))
        for keys in DECLARED:
            store.drop_index(*keys)
    with engine.connect() as connection:
        assert not [name for name in names_of(connection) if "declared_" in name]
    engine.dispose()


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
    engine = engine_of(url)
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
@pytest.mark.filterwarnings(*IGNORED)
def test_a_store_opens_on_what_a_migration_made(
    fixture: str, backend: Any, by: str, request: pytest.FixtureRequest
) -> None:
    """It then finds and searches, and is as one that it made itself."""
    url = request.getfixturevalue(fixture)
    engine = engine_of(url)
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

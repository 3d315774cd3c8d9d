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


@pytest.mark.parametrize(("fixture", "backend"), [("sqlite_url", "sqlite"), ("postgres_url", "postgresql")])
def test_a_store_opens_on_what_a_migration_made(
    fixture: str, backend: Any, request: pytest.FixtureRequest
) -> None:
    """It then finds and searches, and is as one that it made itself."""
    url = request.getfixturevalue(fixture)
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    docstore.alembic_metadata(backend).create_all(engine)
    engine.dispose()
    for _ in range(2):
        with docstore.open(url) as store:
            store.documents.add(filename="a", content="some words", metadata={"a": 1})
            assert store.documents.count({"metadata.a": 1}) == store.documents.count(search="words")
            assert store.check().ok
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

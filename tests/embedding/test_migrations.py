"""Alembic beside docstore, as docs/embedding-in-your-database.md has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from docstore_sql.tables import Tables, make_metadata

import docstore

# SQLAlchemy and Alembic cannot compare our indexes over expressions, and say so.
pytestmark = pytest.mark.filterwarnings("ignore:.*expression.based index")

PAGE = Path(__file__).parents[2] / "docs" / "embedding-in-your-database.md"


def blocks() -> list[str]:
    """Return the page's Python blocks, in order."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Run the page's blocks in a folder of their own; yield what they defined."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks():
        exec(compile(block, str(PAGE), "exec"), names)
    yield names
    names["store"].close()
    names["engine"].dispose()


def test_the_page_runs(page: dict[str, Any]) -> None:
    """Every block of the page runs, in order, and does what the text says."""
    with page["engine"].connect() as connection:
        rows = connection.execute(sa.select(page["orders"].c.document_id)).scalars().all()
    assert [page["store"].documents.find().items[0].id] == list(rows)


def test_alembic_leaves_our_tables_alone(page: dict[str, Any]) -> None:
    """With the page's `include_name`, autogenerate proposes nothing; without, it would drop our tables."""
    with page["engine"].connect() as connection:
        left = MigrationContext.configure(connection, opts={"include_name": page["include_name"]})
        assert [] == compare_metadata(left, page["orders"].metadata)
        bare = compare_metadata(MigrationContext.configure(connection), page["orders"].metadata)
        assert any(change[0] == "remove_table" for change in bare)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_our_metadata_is_what_is_there(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """`make_metadata` names the tables and columns that opening a store makes: Alembic would add and drop
    none.
    """
    if dialect == "sqlite":
        engine = sa.create_engine(f"sqlite:///{tmp_path}/app.db")
    else:
        url = str(request.getfixturevalue("postgres_url")).replace("postgresql:", "postgresql+psycopg:")
        engine = sa.create_engine(url)
    metadata = make_metadata(Tables("library_"), dialect)
    with docstore.open(engine, table_prefix="library_"), engine.connect() as connection:
        only = {"include_name": lambda name, kind, parents: kind != "table" or name in metadata.tables}
        context = MigrationContext.configure(connection, opts={**only, "compare_type": False})
        changes = [change[0] for change in compare_metadata(context, metadata) if isinstance(change, tuple)]
    engine.dispose()
    assert not {"add_table", "remove_table", "add_column", "remove_column"} & set(changes)

"""What tables a store on SQLite makes, as SQLAlchemy describes them."""

from __future__ import annotations

import sqlalchemy as sa
from docstore_sql.migrations import made_by
from docstore_sql.tables import Tables, make_metadata

from docstore_sqlite.postings import schema_of

__all__ = ["store_metadata"]

_SEARCH = ("text", "text_data", "text_idx", "text_config", "text_docsize", "text_content")


def store_metadata(prefix: str, schema: str | None) -> tuple[sa.MetaData, set[str]]:
    """Return the tables, and the names of those that the full-text index makes by itself."""
    if schema is not None:
        raise ValueError(f"schema={schema!r}: a store on SQLite has none")
    tables = Tables(prefix)
    metadata = make_metadata(tables, "sqlite")
    engine = sa.create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            for statement in schema_of(tables):
                connection.exec_driver_sql(statement)
            for name, kind in made_by(schema_of(tables)).items():
                if kind != "TABLE":
                    continue
                made = sa.Table(name, metadata, autoload_with=connection)
                for column in made.columns:  # those without a type, which SQLAlchemy cannot create
                    if isinstance(column.type, sa.types.NullType):
                        column.type = sa.LargeBinary()
    finally:
        engine.dispose()
    return metadata, {f"{prefix}{name}" for name in _SEARCH}

"""What tables a store on Postgres makes, as SQLAlchemy describes them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from docstore_sql.tables import Tables, make_metadata

from docstore_postgres.finding import PENDING

__all__ = ["store_metadata"]

_SEARCH = ("document_names", "document_searched", "content_terms")
"""Indexes over functions, the store's own or an extension's."""


def store_metadata(prefix: str, schema: str | None) -> tuple[sa.MetaData, set[str]]:
    """Return the tables, and the names of indexes that are not compared."""
    tables = Tables(prefix, schema)
    metadata = make_metadata(tables, "postgresql")
    _own_indexes(metadata, tables)
    return metadata, {f"{prefix}{name}" for name in _SEARCH}


def _own_indexes(metadata: sa.MetaData, tables: Tables) -> None:
    """Describe the indexes over functions, the store's own or an extension's. Only a store makes those: a
    migration has not got the functions.
    """
    start = f"{tables.schema}.{tables.prefix}" if tables.schema else tables.prefix
    document, content = metadata.tables[f"{start}document"].c, metadata.tables[f"{start}content"].c
    functions = getattr(sa.func, tables.schema) if tables.schema else sa.func
    terms = getattr(functions, f"{tables.prefix}terms")(content.words)
    some = document.filename_search.is_not(None)
    names: tuple[tuple[str, sa.ColumnElement[Any], dict[str, str], Any], ...] = (
        ("content_terms", terms, {}, None),
        ("document_names", document.filename_fold, {"filename_fold": "gin_trgm_ops"}, None),
        ("document_searched", document.filename_search, {"filename_search": "gin_trgm_ops"}, some),
    )
    for name, expression, ops, where in names:
        sa.Index(
            f"{tables.prefix}{name}",
            expression,
            postgresql_using="gin",
            postgresql_ops=ops,
            postgresql_where=where,
            postgresql_with={"gin_pending_list_limit": PENDING},
        ).ddl_if(callable_=_never)


def _never(*_: Any, **__: Any) -> bool:
    return False

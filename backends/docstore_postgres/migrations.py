"""What tables a store on Postgres makes, as SQLAlchemy describes them."""

from __future__ import annotations

import sqlalchemy as sa
from docstore_sql.tables import Tables, make_metadata

__all__ = ["store_metadata"]

_SEARCH = ("document_names", "document_searched", "content_terms")
"""Indexes over expressions of the store's own functions."""


def store_metadata(prefix: str, schema: str | None) -> tuple[sa.MetaData, set[str]]:
    """Return the tables, and the names of indexes that metadata does not describe."""
    metadata = make_metadata(Tables(prefix, schema), "postgresql")
    return metadata, {f"{prefix}{name}" for name in _SEARCH}

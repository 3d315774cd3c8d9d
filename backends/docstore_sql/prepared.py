"""Prepared queries: what the core holds of a planned query, and the SQL backends put beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from docstore.backend import Query
from docstore_sql.column_filter import ColumnFilter, column_filter

__all__ = ["PreparedQuery"]


@dataclass(slots=True, eq=False)
class PreparedQuery:
    """A query, and what was worked out for it. Threads may share it.

    Attributes:
        query: what was prepared.
        columns: what it asks of ordinary columns; ``None``: it asks anything else.
    """

    query: Query
    columns: ColumnFilter | None

    @classmethod
    def of(cls, query: Query) -> Self:
        """Return the place for a query; nothing but its columns is worked out yet."""
        return cls(query, column_filter(query))

    def holds(self, query: Query) -> bool:
        """Return whether it was prepared for a query, as far as order and window are not concerned."""
        known = self.query
        same = known.where is query.where and known.collection is query.collection
        return same and known.scope == query.scope

"""The views for other tools: ``<prefix>documents`` and ``<prefix>extractions``.

They hold the fields of records as their database's own types: instants are ``timestamptz`` on Postgres and
ISO 8601 text in UTC on SQLite, with all six digits, so that they sort as text; JSON is ``jsonb``, or
JSON text; no tenant is NULL. The content, which ``SELECT *`` would read in full, is left out, and so is all
that the library keeps for itself.
"""

from __future__ import annotations

from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Field, Kind
from docstore_sql.tables import Tables

__all__ = ["VIEWS", "view_statements"]

# The names of the views, behind the prefix.
VIEWS = (DOCUMENTS.name, EXTRACTIONS.name)

_SECOND = 1_000_000


def view_statements(tables: Tables, dialect: str) -> list[str]:
    """Return the statements that make missing views, in ``dialect`` (``sqlite`` or ``postgresql``)."""
    start, column, end = _START[dialect], _COLUMN[dialect], _END[dialect]
    return [
        f"{start} {tables.named(collection.name)} AS SELECT "
        + ", ".join(f'{column(collection.fields[name])} AS "{name}"' for name in collection.light())
        + f" FROM {tables.of(collection)} AS r{end}"
        for collection in (DOCUMENTS, EXTRACTIONS)
    ]


def _on_sqlite(field: Field) -> str:
    name = f"r.{field.name}"
    if field.kind is Kind.INSTANT:
        # strftime takes whole seconds, and % keeps the sign: of an instant before 1970 the rest is turned
        rest = f"(({name} % {_SECOND} + {_SECOND}) % {_SECOND})"
        seconds = f"({name} - {rest}) / {_SECOND}"
        return f"strftime('%Y-%m-%dT%H:%M:%S', {seconds}, 'unixepoch') || printf('.%06dZ', {rest})"
    return f"nullif({name}, '')" if field.name == "tenant" else name


def _on_postgres(field: Field) -> str:
    name = f"r.{field.name}"
    if field.kind is Kind.INSTANT:  # a double holds the seconds exactly, but not the microseconds of any year
        return f"to_timestamp({name} / {_SECOND}) + mod({name}, {_SECOND}) * interval '1 microsecond'"
    if field.kind is Kind.JSON:
        return f"{name}_json"
    return f"nullif({name}, '')" if field.name == "tenant" else name


_START = {"sqlite": "CREATE VIEW IF NOT EXISTS", "postgresql": "CREATE OR REPLACE VIEW"}
_COLUMN = {"sqlite": _on_sqlite, "postgresql": _on_postgres}
# Postgres lets a view of one table alone be written to, SQLite none; the planner takes the join out again
_END = {"sqlite": "", "postgresql": " CROSS JOIN (SELECT 1) AS one"}

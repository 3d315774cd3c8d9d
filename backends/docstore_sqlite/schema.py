"""Schema of the index's tables, by hand and as SQLAlchemy describes them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import sqlalchemy as sa
from docstore_sql.migrations import made_by
from docstore_sql.tables import Tables, make_metadata

from docstore.index.extract import indexed_fields
from docstore.query.expr import Path
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind

__all__ = [
    "FIELDS",
    "TEXT_GENERATION",
    "IndexTables",
    "columns",
    "generation_name",
    "generations_of",
    "schema_of",
    "steps_text",
    "store_metadata",
]

# The setting that counts the changes of the text index.
TEXT_GENERATION = "index generation of texts"

# The indexed fields of each collection, and whether each is JSON.
FIELDS: Mapping[str, Mapping[str, bool]] = {
    collection.name: {name: collection.column(name).kind is Kind.JSON for name in indexed_fields(collection)}
    for collection in (DOCUMENTS, EXTRACTIONS)
}


# SQLite raises this count when a backup is written over the database, and never lets it fall. Two states of
# one file may differ in nothing else.
_SCHEMAS = "(SELECT schema_version FROM pragma_schema_version)"


@dataclass(frozen=True, slots=True)
class IndexTables:
    """The names of the index's tables, as SQL text; ``states`` say how the index stands, its generation, the
    last change and SQLite's own count of schemas; ``tokens`` are the statements that read those and the last
    number.
    """

    posting: str
    path: str
    text: str
    content: str
    changes: Mapping[str, str]
    setting: str
    tally: str
    rows: Mapping[str, str]
    states: Mapping[str, tuple[str, str, str]]
    tokens: Mapping[str, str]

    @staticmethod
    @lru_cache(maxsize=16)
    def of(tables: Tables) -> IndexTables:
        """Return the names for a store."""
        collections = (DOCUMENTS, EXTRACTIONS)
        rows = {collection.name: tables.of(collection) for collection in collections}
        changes = {"documents": "document_change", "extractions": "extraction_change"}
        changes = {name: tables.named(table) for name, table in changes.items()}
        states = {
            name: (
                f"(SELECT value FROM {tables.setting} WHERE name = ?)",
                f"(SELECT max(seq) FROM {table})",
                _SCHEMAS,
            )
            for name, table in changes.items()
        }
        tokens = {
            name: f"SELECT {', '.join(states[name])}, (SELECT max(number) FROM {rows[name]})" for name in rows
        }
        return IndexTables(
            tables.named("posting"),
            tables.named("path"),
            tables.named("text"),
            tables.content,
            changes,
            tables.setting,
            tables.tally,
            rows,
            states,
            tokens,
        )


def generation_name(collection: Collection) -> str:
    """Return the setting that counts the compactions of a collection."""
    return f"index generation of {collection.name}"


def columns(collection: Collection) -> str:
    """Return the indexed columns, as SQL text."""
    return ", ".join(FIELDS[collection.name])


def schema_of(tables: Tables) -> list[str]:
    """Return the statements that make the index's tables, those that are missing."""
    names = IndexTables.of(tables)
    changes = []
    for collection in (DOCUMENTS, EXTRACTIONS):
        table, texts = names.changes[collection.name], ", filename, words" if collection is DOCUMENTS else ""
        changes.append(
            f"CREATE TABLE IF NOT EXISTS {table} (seq INTEGER PRIMARY KEY, number INTEGER NOT NULL, is_new "
            f"INTEGER NOT NULL, has_text INTEGER NOT NULL, {columns(collection)}{texts})"
        )
    changes.append(
        f"CREATE INDEX IF NOT EXISTS {tables.named('document_change_text')} "
        f"ON {names.changes[DOCUMENTS.name]} (number) WHERE has_text = 1"
    )
    return [
        f"CREATE TABLE IF NOT EXISTS {names.posting} (path INTEGER NOT NULL, chunk INTEGER NOT NULL, key "
        "BLOB NOT NULL, bits BLOB NOT NULL, "
        "PRIMARY KEY (path, chunk, key)) WITHOUT ROWID",
        f"CREATE TABLE IF NOT EXISTS {names.path} (id INTEGER PRIMARY KEY, collection TEXT NOT NULL, "
        "steps TEXT NOT NULL, UNIQUE (collection, steps))",
        f"CREATE VIRTUAL TABLE IF NOT EXISTS {names.text} USING fts5(tokens, content='', columnsize=0, "
        "detail=none, tokenize='ascii')",
        *changes,
    ]


def generations_of(tables: Tables) -> list[str]:
    """Return the statements that begin the generations of a new store's index."""
    return [
        f"INSERT INTO {tables.setting} (name, value) VALUES ('{generation_name(collection)}', "
        f"'{secrets.randbits(31)}')"
        for collection in (DOCUMENTS, EXTRACTIONS)
    ]


def steps_text(path: Path) -> str:
    """Return a path as it stands in the table of paths."""
    return json.dumps(path, ensure_ascii=False)


_FTS_TABLES = ("text", "text_data", "text_idx", "text_config", "text_docsize", "text_content")


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
    return metadata, {f"{prefix}{name}" for name in _FTS_TABLES}

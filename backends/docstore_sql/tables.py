"""Tables: their names, their columns as SQLAlchemy metadata (for creation, and for Alembic), and the views.

There is one table a collection, one of contents so that listings never touch them, one of blobs and one of
settings. ``tenant`` is never NULL (``''`` is none), and every unique key holds it, so that the tables can
be partitioned by it. Keys looked up across tenants stand before it there. Instants are int64 microseconds
since 1970-01-01T00:00:00Z.

The views ``<prefix>documents`` and ``<prefix>extractions`` are for other tools. They hold the fields of
records as their database's own types: instants are ``timestamptz`` on Postgres and ISO 8601 text in UTC on
SQLite, with all six digits, so that they sort as text; JSON is ``jsonb``, or JSON text; no tenant is NULL.
The content, which ``SELECT *`` would read in full, is left out, and so is all that the library keeps for
itself.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Field, Kind

# With the longest name that follows it (`declared_`, 12 digits, `_many`) a prefix has to fit in 63 bytes:
# Postgres cuts longer names.
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,35}\Z")
_SCHEMA = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")


# The tables whose rows have a tenant.
PARTITIONED = ("document", "extraction", "content", "blob", "tally", "usual")


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables' names, fit to stand in SQL text.

    Attributes:
        prefix: what every name begins with; letters, digits and underscores, at most 36.
        schema: the Postgres schema; ``None`` is the connection's own.
        search_marks: whether what a search looks in keeps its marks (rule 22); fixed when the store is made.
        partitions: parts that each table is in by its rows' tenants, on Postgres; 0 is one table.
        distributed: whether the tables are distributed by tenant over the nodes of Citus.
    """

    prefix: str = "docstore_"
    schema: str | None = None
    search_marks: bool = False
    partitions: int = 0
    distributed: bool = False

    is_parted: bool = dataclasses.field(init=False)
    """Whether each table is several, one of which holds all rows of a tenant."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_parted", self.partitions > 0 or self.distributed)
        for what, name, allowed, most in (
            ("table prefix", self.prefix, _PREFIX, 36),
            ("schema", self.schema, _SCHEMA, 63),
        ):
            if name is None and what == "schema":
                continue
            if not isinstance(name, str) or not allowed.match(name):
                raise ValueError(
                    f"{what} {name!r}: expected a letter or underscore, then letters, digits or underscores, "
                    f"{most} characters at most"
                )

    def named(self, name: str) -> str:
        """Return the table's name as SQL text."""
        plain = f'"{self.prefix}{name}"'
        return f'"{self.schema}".{plain}' if self.schema else plain

    def of(self, collection: Collection) -> str:
        """Return the collection's table."""
        return self.named({"documents": "document", "extractions": "extraction"}[collection.name])

    @property
    def content(self) -> str:
        """Return the table of extracted text."""
        return self.named("content")

    @property
    def blob(self) -> str:
        """Return the table of stored objects."""
        return self.named("blob")

    @property
    def tally(self) -> str:
        """Return the table of counts by tenant, owner, status and ``is_latest``."""
        return self.named("tally")

    @property
    def usual(self) -> str:
        """Return the table of values that nearly all records have in their metadata, on Postgres."""
        return self.named("usual")

    @property
    def setting(self) -> str:
        """Return the table of the store's own settings: its format version, its id, its places, its clock."""
        return self.named("setting")

    def content_of(self, alias: str, column: str = "content") -> str:
        """Return the expression that reads a document's content by the document's number."""
        same = f"c.number = {alias}.number"
        if self.is_parted:  # else each part is looked in
            same = f"c.tenant = {alias}.tenant AND {same}"
        return f"(SELECT c.{column} FROM {self.content} AS c WHERE {same})"


def columns_of(collection: Collection) -> tuple[Field, ...]:
    """Return the fields that are columns of the collection's own table: all but the content."""
    return tuple(
        field
        for field in (*collection.fields.values(), *collection.private.values())
        if field.name != "content"
    )


def _type_of(field: Field) -> Any:
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return {
        Kind.TEXT: text,
        Kind.CHOICE: text,
        Kind.JSON: text,
        Kind.INTEGER: sa.BigInteger(),
        Kind.INSTANT: sa.BigInteger(),
        Kind.BOOLEAN: sa.Boolean(),
    }[field.kind]


def _columns(collection: Collection, dialect: str) -> list[Any]:
    columns: list[Any] = []
    for field in columns_of(collection):
        if field.name == "number":
            continue
        if field.name == "tenant":
            columns.append(sa.Column("tenant", _type_of(field), nullable=False, server_default=sa.text("''")))
        else:
            columns.append(sa.Column(field.name, _type_of(field), nullable=field.nullable))
    name = _type_of(collection.column("filename"))
    columns.append(sa.Column("filename_fold", name, nullable=False))
    columns.append(sa.Column("filename_search", name))  # folded for search, NULL where that is the other fold
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

        for field in columns_of(collection):
            if field.kind is Kind.JSON:
                columns.append(sa.Column(f"{field.name}_json", JSONB, nullable=field.nullable))
                columns.append(sa.Column(f"{field.name}_fold", JSONB))
        columns.append(sa.Column("metadata_words", TSVECTOR))
    return columns


def _unique_id(name: str) -> sa.UniqueConstraint:
    """An id is unique in its tenant; the key begins with the id, and so serves a look-up across tenants."""
    return sa.UniqueConstraint("id", "tenant", name=name)


def _record_table(
    name: str, collection: Collection, metadata: sa.MetaData, dialect: str, *constraints: Any
) -> sa.Table:
    """Make a record's table: on SQLite the number is the rowid, elsewhere an identity, with the tenant."""
    if dialect == "sqlite":
        number = sa.Column("number", sa.Integer, primary_key=True, autoincrement=True)
        return sa.Table(
            name, metadata, number, *_columns(collection, dialect), *constraints, sqlite_autoincrement=True
        )
    number = sa.Column("number", sa.BigInteger, sa.Identity(always=False), nullable=False)
    key = sa.PrimaryKeyConstraint("number", "tenant", name=f"{name}_pkey")
    columns = sorted(_columns(collection, dialect), key=_place)
    return sa.Table(name, metadata, number, *columns, key, *constraints)


def _place(column: sa.Column[Any]) -> int:
    """Return a column's place in Postgres' rows: fixed widths first, then the JSON that scans test.

    To read a column, Postgres passes over those before it. Behind 32 of them the JSON took a fifth of a
    count, and of a scan (Postgres 18, 20,000 documents).
    """
    if not column.nullable and isinstance(column.type, sa.BigInteger | sa.Boolean):
        return 0
    return 1 if column.name.endswith("_json") else 2


def make_metadata(tables: Tables, dialect: str) -> sa.MetaData:
    """Return the SQLAlchemy metadata of the newest format for ``dialect`` (``sqlite`` or ``postgresql``)."""
    metadata = sa.MetaData(schema=tables.schema)
    name = tables.prefix
    document = _record_table(
        f"{name}document", DOCUMENTS, metadata, dialect, _unique_id(f"{name}document_id")
    )
    _document_indexes(name, document, dialect)
    extraction = _extraction_table(name, metadata, dialect, document)
    _content_table(f"{name}content", metadata, dialect, document)
    _blob_table(f"{name}blob", metadata, dialect)
    _tally_table(f"{name}tally", metadata, dialect)
    sa.Table(
        f"{name}setting",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    if dialect == "postgresql":
        _postgres_indexes(name, document, extraction)
        _usual_table(f"{name}usual", metadata)
        if tables.partitions:
            for kind in PARTITIONED:
                table = metadata.tables[f"{tables.schema}.{name}{kind}" if tables.schema else f"{name}{kind}"]
                table.dialect_options["postgresql"]["partition_by"] = "HASH (tenant)"
    return metadata


def _document_indexes(name: str, document: sa.Table, dialect: str) -> None:
    """Index the keys of versions, the orders of listings, the queue, and look-ups by bytes."""
    columns = document.c
    owner = sa.func.coalesce(columns.owner, sa.text("''"))
    named = columns.external_id.is_not(None)
    one = columns.tenant, columns.external_id, owner
    _index_some(f"{name}document_version", *one, columns.version, dialect=dialect, where=named, unique=True)
    _index_some(
        f"{name}document_latest", *one, dialect=dialect, where=sa.and_(named, columns.is_latest), unique=True
    )
    sa.Index(f"{name}document_created", columns.created_at, columns.number)
    _index_some(
        f"{name}document_expires", columns.expires_at, dialect=dialect, where=columns.expires_at.is_not(None)
    )
    _index_some(f"{name}document_sha256", columns.sha256, dialect=dialect, where=columns.sha256.is_not(None))
    _scope_indexes(name, document, dialect)
    if dialect == "postgresql":
        _postgres_queue(name, document)
        return
    pending = columns.status == sa.literal_column("'pending'")
    _index_some(f"{name}document_queue", columns.status, columns.number, dialect=dialect, where=pending)
    leased = columns.lease_expires_at.is_not(None)
    _index_some(f"{name}document_lease", columns.lease_expires_at, dialect=dialect, where=leased)


def _postgres_queue(name: str, document: sa.Table) -> None:
    """Index pending and processing documents in the order of their numbers, and leases by their end.

    These are the two statuses from ``p`` on. Claims use exactly these conditions and orders.
    """
    columns = document.c
    waiting = columns.status >= sa.literal_column("'p'")
    one = columns.tenant != sa.literal_column("''")
    _index_some(f"{name}document_queue", columns.status, columns.number, dialect="postgresql", where=waiting)
    queued = columns.tenant, columns.status, columns.number
    _index_some(f"{name}document_tenant_queue", *queued, dialect="postgresql", where=sa.and_(waiting, one))
    leased = columns.lease_expires_at.is_not(None)
    _index_some(f"{name}document_lease", columns.lease_expires_at, dialect="postgresql", where=leased)


def _index_some(name: str, *columns: Any, dialect: str, where: Any, unique: bool = False) -> None:
    """Index the rows that a condition holds for."""
    # an option of another dialect would import that dialect: Postgres' takes a third of opening a SQLite file
    sa.Index(name, *columns, unique=unique, **{f"{dialect}_where": where})


def _extraction_table(name: str, metadata: sa.MetaData, dialect: str, document: sa.Table) -> sa.Table:
    """Make the table of extractions, which go with their document."""
    extraction = _record_table(
        f"{name}extraction",
        EXTRACTIONS,
        metadata,
        dialect,
        _unique_id(f"{name}extraction_id"),
        sa.ForeignKeyConstraint(
            ["tenant", "document_id"],
            [document.c.tenant, document.c.id],
            ondelete="CASCADE",
            name=f"{name}extraction_document",
        ),
    )
    sa.Index(f"{name}extraction_of", extraction.c.tenant, extraction.c.document_id)
    sa.Index(f"{name}extraction_created", extraction.c.created_at, extraction.c.number)
    return extraction


def _postgres_indexes(name: str, document: sa.Table, extraction: sa.Table) -> None:
    """Index the metadata, its words, and a tenant's records in the order of their numbers."""
    for table, kind in ((document, "document"), (extraction, "extraction")):
        one = table.c.tenant != sa.literal_column("''")
        sa.Index(f"{name}{kind}_of_tenant", table.c.tenant, table.c.number, postgresql_where=one)
        sa.Index(
            f"{name}{kind}_words",
            table.c.metadata_words,
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 512},
        )
    sa.Index(
        f"{name}document_metadata",
        document.c.metadata_json,
        postgresql_using="gin",
        postgresql_ops={"metadata_json": "jsonb_path_ops"},
        # the least there is: each probe reads the whole list of what is not sorted in yet
        postgresql_with={"gin_pending_list_limit": 64},
    )


def _scope_indexes(name: str, document: sa.Table, dialect: str) -> None:
    """Index the documents of a tenant and of an owner by time, with the columns that listings test.

    So pages far behind are reached without the rows before. On SQLite the status comes before the time: a
    page of any status is merged of four.
    """
    columns = document.c
    some_owner, some_tenant = columns.owner.is_not(None), columns.tenant != sa.literal_column("''")
    order = columns.created_at, columns.number
    if dialect == "sqlite":
        behind = (columns.status, *order, columns.is_latest)
        _index_some(f"{name}document_owner", columns.owner, *behind, dialect=dialect, where=some_owner)
        _index_some(f"{name}document_tenant", columns.tenant, *behind, dialect=dialect, where=some_tenant)
        both = sa.and_(some_tenant, some_owner)
        _index_some(
            f"{name}document_scope", columns.tenant, columns.owner, *behind, dialect=dialect, where=both
        )
        return
    for column, where, other in (
        (columns.owner, some_owner, columns.tenant),
        (columns.tenant, some_tenant, columns.owner),
    ):
        besides = [other.name, "status", "is_latest"]
        index = f"{name}document_{column.name}"
        sa.Index(index, column, *order, postgresql_where=where, postgresql_include=besides)


def _content_table(name: str, metadata: sa.MetaData, dialect: str, document: sa.Table) -> None:
    text = _type_of(DOCUMENTS.column("content"))
    columns: list[Any] = [
        sa.Column("content", text, nullable=False),
        sa.Column("words", text, nullable=False),
        sa.Column("symbols", text, nullable=False),
    ]
    if dialect == "sqlite":
        target = sa.ForeignKey(document.c.number, ondelete="CASCADE")
        sa.Table(
            name,
            metadata,
            sa.Column("number", sa.Integer, target, primary_key=True, autoincrement=False),
            *columns,
        )
        return
    sa.Table(
        name,
        metadata,
        sa.Column("tenant", text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("number", "tenant", name=f"{name}_pkey"),
        sa.ForeignKeyConstraint(
            ["tenant", "number"],
            [document.c.tenant, document.c.number],
            ondelete="CASCADE",
            name=f"{name}_document",
        ),
    )


def _blob_table(name: str, metadata: sa.MetaData, dialect: str) -> sa.Table:
    text = _type_of(DOCUMENTS.column("id"))
    table = sa.Table(
        name,
        metadata,
        sa.Column("tenant", text, nullable=False, server_default=sa.text("''")),
        sa.Column("key", text, nullable=False),
        sa.Column("owner", text),
        sa.Column("sha256", text),
        sa.Column("size", sa.BigInteger),
        sa.Column("state", text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("place", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("tenant", "key", name=f"{name}_pkey"),
    )
    sa.Index(f"{name}_key", table.c.key)
    unsettled = table.c.state != sa.literal_column("'live'")
    _index_some(f"{name}_state", table.c.state, table.c.key, dialect=dialect, where=unsettled)
    return table


def _usual_table(name: str, metadata: sa.MetaData) -> None:
    """Make the table of common values: the path, an array of keys, and the value, both as JSON."""
    text = _type_of(DOCUMENTS.column("id"))
    sa.Table(
        name,
        metadata,
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("tenant", text, nullable=False, server_default=sa.text("''")),
        sa.Column("path", text, nullable=False),
        sa.Column("value", text, nullable=False),
        sa.PrimaryKeyConstraint("number", "tenant", name=f"{name}_pkey"),
    )


def _tally_table(name: str, metadata: sa.MetaData, dialect: str) -> sa.Table:
    """Make the table of counts: a row a count on SQLite, elsewhere rows that add up to it."""
    text = _type_of(DOCUMENTS.column("id"))
    key = [
        sa.Column("tenant", text, nullable=False),
        sa.Column("owner", text, nullable=False),
        sa.Column("is_latest", sa.Boolean, nullable=False),
        sa.Column("status", text, nullable=False),
    ]
    n = sa.Column("n", sa.BigInteger, nullable=False)
    if dialect == "sqlite":
        unique = sa.PrimaryKeyConstraint(*(column.name for column in key), name=f"{name}_pkey")
        return sa.Table(name, metadata, *key, n, unique, sqlite_with_rowid=False)
    table = sa.Table(name, metadata, *key, n)
    sa.Index(f"{name}_key", *key)
    return table


# -- views -----------------------------------------------------------------------------------------

# The names of the views, behind the prefix.
VIEWS = (DOCUMENTS.name, EXTRACTIONS.name)

# Microseconds.
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

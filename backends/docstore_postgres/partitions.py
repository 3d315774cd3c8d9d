"""Tables in parts: partitioning by the hash of the tenant, and statements over all tenants of shards.

Partitioned tables are made in a schema of their own, filled batch by batch, indexed, and compared with the
old ones; one last transaction puts them in the old ones' place. From the first step to the last the store can
be read and not written to: triggers refuse that. Each step is a transaction, and what is done already is told
by what is there, so that a run that was killed is gone on with by running it again.

Citus moves the rows of plain tables itself; that is one transaction. It runs what concerns one tenant on one
node as it is. Statements that concern all of them it takes apart, and then neither lateral sub-selects nor
row locks are to be had: they have one level, and rows are locked tenant by tenant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Protocol

import psycopg
import sqlalchemy as sa
from docstore_sql.compiler import Fragment, both, joined
from docstore_sql.migrations import made_by, table_statements
from docstore_sql.tables import PARTITIONED, VIEWS, Tables, view_statements

from docstore.backend import Query, Row
from docstore.errors import BackendError
from docstore.query.expr import And, Compare, Expr, In, Occurs, leaves
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Kind
from docstore_postgres import declared_indexes, schema
from docstore_postgres.compiler import FlatCompiler

# Each is several files, and a statement over all tenants has a part of its plan for each.
MOST_PARTITIONS = 1024
# Rows that one statement copies, and commits: a run that was stopped goes on behind them.
_BATCH = 10_000
# The tables that are copied, those that others refer to first, and the order that each is copied in. Counts
# are added up at the end.
_KEYS = {"document": "number", "extraction": "number", "content": "number", "blob": "key", "usual": "number"}
_FUNCTIONS = ("terms", "grams", "sort", "order", "order_number", "compare")
_COLUMNS = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""
_HINDERS = """
SELECT format('row-level security is enabled on %%s', oid::regclass) FROM pg_class
    WHERE oid = ANY(%(tables)s::regclass[]) AND relrowsecurity
UNION ALL SELECT format('the trigger %%I on %%s is not docstore''s', tgname, tgrelid::regclass)
    FROM pg_trigger WHERE tgrelid = ANY(%(tables)s::regclass[]) AND NOT tgisinternal AND tgname <> %(fence)s
UNION ALL SELECT format('%%s is in a publication', prrelid::regclass) FROM pg_publication_rel
    WHERE prrelid = ANY(%(tables)s::regclass[])
UNION ALL SELECT format('the index %%s is not docstore''s', indexrelid::regclass) FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = ANY(%(tables)s::regclass[]) AND NOT starts_with(relname, %(prefix)s)
UNION ALL SELECT format('%%s belongs to the role %%I, and this one is %%I', pg_class.oid::regclass, rolname,
        current_user) FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
    WHERE pg_class.oid = ANY(%(tables)s::regclass[]) AND rolname <> current_user
UNION ALL SELECT format('the role %%I may not create a schema: GRANT CREATE ON DATABASE %%I TO it',
        current_user, current_database())
    WHERE NOT has_database_privilege(current_database(), 'CREATE')
"""
_GRANTS = """
SELECT format('GRANT %%s ON %%s %%I.%%I TO %%s%%s', privilege_type,
    CASE WHEN relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, relname,
    CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace, aclexplode(relacl)
WHERE nspname = %s AND starts_with(relname, %s) AND relkind IN ('r', 'p', 'v', 'S') AND grantee <> relowner
    AND NOT relispartition
"""


_FOREIGN_KEYS = """
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' AND conrelid = ANY(%s::regclass[]) ORDER BY conname
"""


class SchemaOwner(Protocol):
    """A Postgres backend as what changes the shape of its tables needs it."""

    @property
    def tables(self) -> Tables:
        """Return the names of the tables, and how they are divided."""

    def translated(self) -> AbstractContextManager[None]:
        """Raise the driver's errors as the library's."""

    def connected(self) -> AbstractContextManager[sa.Connection]:
        """Take a connection for work on the schema."""

    def schema_transaction(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Hold the lock of the tables' names within a transaction."""

    def look_at_parts(self) -> None:
        """Look how the tables are divided."""


def partition_statements(tables: Tables) -> list[str]:
    """Return the statements that make the partitions of partitioned tables."""
    count = tables.partitions
    return [
        f"CREATE TABLE IF NOT EXISTS {tables.named(f'{name}_p{part}')} PARTITION OF {tables.named(name)} "
        f"FOR VALUES WITH (MODULUS {count}, REMAINDER {part})"
        for name in PARTITIONED
        for part in range(count)
    ]


def partition(backend: SchemaOwner, count: int) -> Iterator[tuple[str, int]]:
    """Make the tables ``count`` hash partitions by tenant; yield each stage and how much is done.

    Raises:
        BackendError: something of the store would be lost, or a right is missing; or the new tables do not
            hold what the old ones do. Then nothing was put in their place.
    """
    if type(count) is not int or not 1 <= count <= MOST_PARTITIONS:
        raise ValueError(f"count={count!r:.80}: expected a whole number from 1 to {MOST_PARTITIONS}")
    if backend.tables.distributed:
        raise BackendError("the tables are distributed over the nodes of Citus, and so partitioned by tenant")
    run = _Run(backend, count)
    if run.is_begun or backend.tables.partitions != count:
        yield from run.steps()


def cancel(backend: SchemaOwner) -> bool:
    """Forget a run that was not ended, and let the store be written to; return whether there was one."""
    run = _Run(backend, 1)
    found = run.is_begun
    if found:
        with run.transaction() as connection:
            connection.exec_driver_sql(f'DROP SCHEMA "{run.staging}" CASCADE')
    return found


def distribute(backend: SchemaOwner) -> Iterator[tuple[str, int]]:
    """Distribute the store's tables by tenant over Citus' nodes, the settings to all of them; yield each
    table when it is done. All of it is one transaction.

    Raises:
        BackendError: the database has no Citus, the tables are partitioned already, or something of the
            store would be lost.
    """
    run = _Run(backend, 1)
    with run.transaction() as connection:
        has_citus = connection.exec_driver_sql("SELECT to_regproc('create_distributed_table')").scalar()
    if has_citus is None:
        raise BackendError(
            "the database has no Citus: add it to shared_preload_libraries and CREATE EXTENSION citus"
        )
    if backend.tables.distributed:
        return
    if backend.tables.partitions or run.is_begun:
        raise BackendError("the tables are partitioned: copy the store into a new one and distribute that")
    run.refuse()
    names = [backend.tables.named(name) for name in PARTITIONED]
    with run.transaction() as connection:
        # foreign keys between a distributed table and a local one are refused, and all cannot turn at once
        keys = connection.exec_driver_sql(_FOREIGN_KEYS, (names,)).all()
        for table, key, _ in keys:
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {key}")
        connection.exec_driver_sql("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")
        connection.exec_driver_sql("SELECT create_reference_table(%s::regclass)", (backend.tables.setting,))
        for at, name in enumerate(names):
            beside = names[0] if at else "default"
            connection.exec_driver_sql(
                "SELECT create_distributed_table(%s::regclass, 'tenant', colocate_with => %s::text)",
                (name, beside),
            )
            yield PARTITIONED[at], at + 1
        for table, key, text in keys:
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {key} {text}")
    backend.look_at_parts()


class _Run:
    """One run, or the rest of one.

    Args:
        backend: of the store.
        count: partitions to make.
    """

    def __init__(self, backend: SchemaOwner, count: int) -> None:
        self.backend, self.old = backend, replace(backend.tables, partitions=0)
        self.staging = f"{self.old.prefix}partitioning"
        self.fence = f"{self.old.prefix}fence"
        self.new = replace(self.old, schema=self.staging, partitions=count)
        with self.transaction() as connection:
            home = connection.exec_driver_sql("SELECT current_schema").scalar()
            self.home = self.old.schema or str(home)
            found = connection.exec_driver_sql("SELECT to_regnamespace(%s)", (f'"{self.staging}"',)).scalar()
        self.is_begun = found is not None

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Open a transaction that no other run is in; its statements take as long as they take."""
        with (
            self.backend.translated(),
            self.backend.connected() as connection,
            self.backend.schema_transaction(connection),
        ):
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            yield connection

    def steps(self) -> Iterator[tuple[str, int]]:
        """Do what is left to do."""
        self.refuse()
        self._fence()
        self._make_tables()
        for name, key in _KEYS.items():
            for done in self._copy(name, key):
                yield name, done
        for done, statement in enumerate(self._index_statements(), 1):
            with self.transaction() as connection:
                connection.exec_driver_sql(statement)
            yield "index", done
        for done, name in enumerate(_KEYS, 1):
            self._verify(name)
            yield "verified", done
        self._put_in_place()
        self.backend.look_at_parts()
        yield "partitions", self.new.partitions

    def _names(self, tables: Tables) -> list[str]:
        return [tables.named(name) for name in PARTITIONED]

    def refuse(self) -> None:
        """Raise BackendError if anything of the store would be lost, or may not be done."""
        names, views = self._names(self.old), ", ".join(map(self.old.named, VIEWS))
        asked = {"tables": names, "fence": self.fence, "prefix": self.old.prefix}
        with self.transaction() as connection:
            hindered = connection.exec_driver_sql(_HINDERS, asked).scalars().all()
        if hindered:
            raise BackendError(
                f"the tables are not partitioned: {'; '.join(map(str, hindered))}: remove that first, and "
                "make it again afterwards"
            )
        try:
            with self.transaction() as connection:  # what the last step does, undone: it says what depends
                connection.exec_driver_sql(f"DROP VIEW IF EXISTS {views}")
                connection.exec_driver_sql(f"DROP TABLE {', '.join(names)}")
                raise _Undone
        except _Undone:
            pass
        except BackendError as failed:
            cause = failed.__cause__
            cause = getattr(cause, "orig", cause)
            if not isinstance(cause, psycopg.errors.DependentObjectsStillExist):
                raise
            raise BackendError(
                f"the tables are not partitioned: others depend on them: {cause.diag.message_detail}: "
                "remove these first, and make them again afterwards"
            ) from failed

    def _fence(self) -> None:
        """Make the schema of the new tables, and keep everybody from writing to the old ones."""
        text = "the tables of this store are being partitioned: read, and write when that is done"
        with self.transaction() as connection:
            connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{self.staging}"')
            connection.exec_driver_sql(
                f'CREATE OR REPLACE FUNCTION "{self.staging}".fence() RETURNS trigger LANGUAGE plpgsql AS $$'
                f" BEGIN RAISE EXCEPTION USING ERRCODE = '55P03', MESSAGE = '{text}'; END $$"
            )
            for name in self._names(self.old):
                connection.exec_driver_sql(
                    f'CREATE OR REPLACE TRIGGER "{self.fence}" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE'
                    f' ON {name} FOR EACH STATEMENT EXECUTE FUNCTION "{self.staging}".fence()'
                )

    def _make_tables(self) -> None:
        with self.transaction() as connection:
            parts = connection.exec_driver_sql(
                "SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass(%s)",
                (self.new.named("document"),),
            ).scalar()
            if parts and parts != self.new.partitions:
                raise BackendError(
                    f"an earlier run that did not end makes {parts} partitions: go on with that number, or "
                    "cancel it first (docstore partition --cancel)"
                )
            if not parts:
                made = table_statements(self.new, connection.dialect)
                tables = [text for text in made if "TABLE" in made_by([text]).values()]
                for statement in (*tables, *partition_statements(self.new)):
                    connection.exec_driver_sql(statement)

    def _columns(self, connection: sa.Connection, name: str) -> str:
        return str(connection.exec_driver_sql(_COLUMNS, (self.old.named(name),)).scalar())

    def _copy(self, name: str, key: str) -> Iterator[int]:
        """Copy what the new table lacks, a batch a transaction; yield how many rows were copied by now."""
        old, new, done = self.old.named(name), self.new.named(name), 0
        while True:
            with self.transaction() as connection:
                columns = self._columns(connection, name)
                last = connection.exec_driver_sql(f"SELECT max({key}) FROM {new}").scalar()
                behind = "" if last is None else f" WHERE {key} > %s"
                copied = connection.exec_driver_sql(
                    f"INSERT INTO {new} ({columns}) OVERRIDING SYSTEM VALUE"
                    f" SELECT {columns} FROM {old}{behind} ORDER BY {key} LIMIT {_BATCH}",
                    () if last is None else (last,),
                ).rowcount
            done += copied
            yield done
            if copied < _BATCH:
                return

    def _index_statements(self) -> list[str]:
        """Return the statements for all indexes, over the store's functions where they are."""
        with self.transaction() as connection:
            dialect = connection.dialect
            cursor = connection.connection.cursor()
            declared = [
                statement
                for collection in (DOCUMENTS, EXTRACTIONS)
                for one in declared_indexes.read(cursor, self.old, collection)
                for statement in replace(one, tables=self.new).statements()
            ]
        plain = [text for text in table_statements(self.new, dialect) if "INDEX" in made_by([text]).values()]
        search = [text for text in schema.search_statements(self.new) if " FUNCTION " not in text[:40]]
        made = [
            re.sub(r"^\s*CREATE (INDEX|UNIQUE INDEX) (?!IF)", r"CREATE \1 IF NOT EXISTS ", text)
            for text in (*plain, *search, *declared)
        ]
        for name in _FUNCTIONS:
            made = [text.replace(self.new.named(name) + "(", self.old.named(name) + "(") for text in made]
        return [*made, *(f"ANALYZE {name}" for name in self._names(self.new))]

    def _verify(self, name: str) -> None:
        """Raise BackendError if a new table does not hold what the old one does."""
        with self.transaction() as connection:
            columns = self._columns(connection, name)
            found = [
                connection.exec_driver_sql(
                    f"SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM"
                    f" (SELECT {columns} FROM {tables.named(name)}) AS t"
                ).one()
                for tables in (self.old, self.new)
            ]
        if found[0] != found[1]:
            raise BackendError(
                f"the partitions of {name} hold {found[1][0]:,} rows that are not the {found[0][0]:,} of the "
                "table: nothing was put in its place; run  docstore partition --cancel  and begin anew"
            )

    def _put_in_place(self) -> None:
        """Drop the old tables and move the new ones to where they were, with their counts and rights."""
        old, new, home = self.old, self.new, f'"{self.home}"'
        counted = "tenant, owner, is_latest, status"
        with self.transaction() as connection:

            def execute(text: str, values: tuple[object, ...] = ()) -> sa.CursorResult[object]:
                return connection.exec_driver_sql(text, values)

            execute(f"LOCK TABLE {', '.join(self._names(old))} IN ACCESS EXCLUSIVE MODE")
            grants = execute(_GRANTS, (self.home, old.prefix)).scalars().all()
            execute(f"DELETE FROM {new.tally}")
            execute(
                f"INSERT INTO {new.tally} ({counted}, n) SELECT {counted}, sum(n) FROM {old.tally}"
                f" GROUP BY {counted} HAVING sum(n) <> 0"
            )
            for name in ("document", "extraction", "usual"):
                sequences = "pg_get_serial_sequence(%s, 'number')"
                [(last,)] = execute(f"SELECT nextval({sequences}::regclass)", (old.named(name),))
                execute(f"SELECT setval({sequences}::regclass, %s)", (new.named(name), last))
            execute(f"DROP VIEW IF EXISTS {', '.join(map(old.named, VIEWS))}")
            execute(f"DROP TABLE {', '.join(self._names(old))}")
            for name in PARTITIONED:
                for table in (name, *(f"{name}_p{part}" for part in range(new.partitions))):
                    execute(f"ALTER TABLE {new.named(table)} SET SCHEMA {home}")
            execute(f'DROP SCHEMA "{self.staging}" CASCADE')
            execute(
                f"INSERT INTO {old.setting} (name, value) VALUES ('partitions', %s)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (str(new.partitions),),
            )
            for statement in (*view_statements(old, "postgresql"), *map(str, grants)):
                execute(statement)


class _Undone(Exception):
    """What was tried is rolled back."""


class FlatSession(Protocol):
    """A block on Postgres as flat statements need it."""

    tables: Tables

    def names_read(self, query: Query) -> tuple[str, ...]:
        """Return the columns that a query reads."""

    def row_lock(self, lock: str) -> str:
        """Return the clause that locks rows."""

    def window(self, query: Query) -> Fragment:
        """Return the clauses that cut a page."""

    def fetch(self, statement: Fragment, *, prepare: bool) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows."""

    def rows_of(self, query: Query, fetched: Sequence[Sequence[Any]]) -> list[Row]:
        """Return fetched rows by column."""


# Columns of the table of contents.
_OF_CONTENT = frozenset({"content", "words"})


def select_flat(session: FlatSession, query: Query) -> list[Row]:
    """Return the rows of ``query`` in its order."""
    if query.lock is not None and not _pins_tenant(query):
        return _locked(session, query)
    statement = statement_flat(session, query)
    return session.rows_of(query, session.fetch(statement, prepare=False))


def statement_flat(session: FlatSession, query: Query) -> Fragment:
    """Return the statement that reads ``query``."""
    compiler, names = _compiler(session, query), session.names_read(query)
    columns = ", ".join(f"{'c' if name in _OF_CONTENT else 'd'}.{name}" for name in names)
    order = compiler.order_by(query.order).wrapped(" ORDER BY ")
    lock = Fragment("" if query.lock is None else session.row_lock(query.lock))
    source = _source(session, query, with_content=not _OF_CONTENT.isdisjoint(names))
    return joined("", (source.wrapped(f"SELECT {columns}"), order, session.window(query), lock))


def count_flat(session: FlatSession, query: Query, at_most: int | None) -> int:
    """Count the rows of ``query``, up to ``at_most``."""
    counted = _source(session, replace(query, after=None), with_content=False).wrapped("SELECT count(*)")
    ((found,),) = session.fetch(counted, prepare=False)
    return int(found) if at_most is None else min(int(found), at_most)


def count_by_flat(session: FlatSession, query: Query, name: str) -> Mapping[Any, int] | None:
    """Count by a column; ``None``: what is inside JSON is the core's to count."""
    field = query.collection.column(name)
    if field.kind is Kind.JSON or field.heavy:
        return None
    column = _compiler(session, query).column(field)
    source = _source(session, replace(query, after=None), with_content=False)
    grouped = source.wrapped(f"SELECT {column}, count(*)", " GROUP BY 1")
    return {value: int(n) for value, n in session.fetch(grouped, prepare=False)}


def _compiler(session: FlatSession, query: Query) -> FlatCompiler:
    return FlatCompiler(query.collection, session.tables)


def _source(session: FlatSession, query: Query, *, with_content: bool) -> Fragment:
    """Return FROM and WHERE of ``query``; contents are joined where they are asked for."""
    compiler = _compiler(session, query)
    parts = [compiler.scope(query.scope), compiler.where(query.where)]
    if query.after is not None:
        parts.append(compiler.after(query.order, query.after))
    table = f"{session.tables.of(query.collection)} AS d"
    if query.collection is DOCUMENTS and (with_content or any(map(_is_of_content, leaves(query.where)))):
        table += f" LEFT JOIN {session.tables.content} AS c ON c.tenant = d.tenant AND c.number = d.number"
    return both(parts).wrapped(f" FROM {table} WHERE ")


def _is_of_content(leaf: Expr) -> bool:
    if isinstance(leaf, Occurs):
        return leaf.content
    return getattr(leaf, "path", ())[:1] == ("content",)


def _pins_tenant(query: Query) -> bool:
    """Return whether all rows of ``query`` are of one tenant, or of none."""
    terms = query.where.terms if isinstance(query.where, And) else (query.where,)
    pinned = (isinstance(term, Compare) and term.path == ("tenant",) and term.op == "eq" for term in terms)
    return query.scope.tenant is not None or any(pinned)


def _locked(session: FlatSession, query: Query) -> list[Row]:
    """Find rows without a lock, then lock them tenant by tenant, if they are still what is asked for.

    Where others hold some, and these are passed over, it is looked further.
    """
    rows: list[Row] = []
    places: dict[int, int] = {}
    after, by_number = query.after, [key.path for key in query.order] == [("number",)]
    while True:
        found = select_flat(session, replace(query, lock=None, after=after))
        places |= {row["number"]: len(places) + at for at, row in enumerate(found)}
        for tenant in sorted({row["tenant"] for row in found}, key=lambda one: one or ""):
            numbers = tuple(row["number"] for row in found if row["tenant"] == tenant)
            theirs = Compare(("tenant",), "eq", tenant), In(("number",), numbers), query.where
            within = replace(query, where=And(theirs), after=None, offset=0, limit=None, prepared=None)
            rows += select_flat(session, within)
        is_last = query.limit is None or len(found) < query.limit or len(rows) >= query.limit
        if is_last or not by_number:
            rows.sort(key=lambda row: places[row["number"]])
            return rows[: query.limit]
        after = (found[-1]["number"],)
        query = replace(query, offset=0)

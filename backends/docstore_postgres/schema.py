"""Schema of Postgres alone: SQL functions, indexes over functions, and the erasure of traces.

``<prefix>order`` writes the bytes of :mod:`docstore.query.sorting`, so that positions made in Python compare
with keys made in the database. ``<prefix>sort`` is rule 20 for one record and path. Both are immutable: an
index may hold what they return.

A removed row stays in its table until VACUUM, its values in ``pg_statistic`` until the next ANALYZE. VACUUM
marks the room as free and leaves the bytes. Only a table that is written anew (``VACUUM FULL``, which keeps
everybody out meanwhile) forgets these, too. So small tables are written anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from docstore_sql.tables import PARTITIONED, Tables, make_metadata

# Beyond it a double is a whole number, and its difference to itself is none.
_TWO_63 = 2**63


def order_function(tables: Tables) -> str:
    """Return the name of the function from ``jsonb`` to the bytes that order it."""
    return tables.named("order")


def sort_function(tables: Tables) -> str:
    """Return the name of the function from ``jsonb``, steps and whether the largest counts to sort bytes."""
    return tables.named("sort")


def function_statements(tables: Tables) -> list[str]:
    """Return the function_statements that create the functions."""
    return [_number(tables), _order(tables), _sort(tables)]


def _function(name: str, signature: str, returns: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}({signature}) RETURNS {returns} LANGUAGE plpgsql "
        f"IMMUTABLE PARALLEL SAFE AS $function${body}$function$"
    )


def _number(tables: Tables) -> str:
    """Order bytes of a number: its nearest double as sortable bytes, then what it differs by."""
    body = f"""
DECLARE
    near float8 := n::float8;
    bits bytea;
    rest int := 0;
BEGIN
    IF near > 0 AND near < 9007199254740992 THEN
        RETURN '\\x03'::bytea || float8send(-near) || '\\x8000'::bytea;
    ELSIF near = 0 THEN
        RETURN '\\x0380000000000000008000'::bytea;
    END IF;
    IF abs(n) > 9007199254740992 AND abs(n) < {_TWO_63} THEN
        rest := n - CASE WHEN abs(near) >= {_TWO_63}::float8 THEN sign(n) * {_TWO_63} ELSE
        near::bigint::numeric END;
    END IF;
    IF near < 0 THEN
        bits := int8send(~(('x' || encode(float8send(near), 'hex'))::bit(64)::bigint));
    ELSE
        bits := float8send(-near);
    END IF;
    RETURN '\\x03'::bytea || bits || substring(int4send(rest + 32768) FROM 3);
END"""
    return _function(tables.named("order_number"), "n numeric", "bytea", body)


def _order(tables: Tables) -> str:
    order, number = order_function(tables), tables.named("order_number")
    body = f"""
DECLARE
    inner_bytes bytea;
BEGIN
    CASE jsonb_typeof(v)
    WHEN 'string' THEN
        RETURN '\\x04'::bytea || convert_to(v #>> '{{}}', 'UTF8') || '\\x0001'::bytea;
    WHEN 'number' THEN
        RETURN {number}((v #>> '{{}}')::numeric);
    WHEN 'boolean' THEN
        RETURN CASE WHEN v = 'true'::jsonb THEN '\\x0702'::bytea ELSE '\\x0701'::bytea END;
    WHEN 'array' THEN
        SELECT string_agg({order}(element), ''::bytea ORDER BY place) INTO inner_bytes
            FROM jsonb_array_elements(v) WITH ORDINALITY AS e(element, place);
        RETURN '\\x06'::bytea || coalesce(inner_bytes, '') || '\\x00'::bytea;
    WHEN 'object' THEN
        SELECT string_agg(substring(bytes FOR 1) || name || '\\x0001'::bytea || substring(bytes FROM 2),
        ''::bytea ORDER BY name)
            INTO inner_bytes
            FROM (SELECT convert_to(key, 'UTF8'), {order}(value) FROM jsonb_each(v)) AS p(name, bytes);
        RETURN '\\x05'::bytea || coalesce(inner_bytes, '') || '\\x00'::bytea;
    ELSE
        RETURN '\\x02'::bytea;
    END CASE;
END"""
    return _function(order, "v jsonb", "bytea", body)


def _sort(tables: Tables) -> str:
    """Sort key of rule 20: down through objects; from an array on, the smallest or largest value reached.

    An index step counts only where the array has that element; the value at the last step is not opened.
    """
    order, sort = order_function(tables), sort_function(tables)
    body = f"""
DECLARE
    last int := cardinality(steps);
    place int := -1;
    element jsonb;
    found bytea;
    best bytea;
BEGIN
    WHILE at <= last AND jsonb_typeof(v) = 'object' LOOP
        v := v -> steps[at];
        at := at + 1;
    END LOOP;
    IF v IS NULL THEN
        RETURN '\\x02'::bytea;
    ELSIF jsonb_typeof(v) <> 'array' THEN
        RETURN CASE WHEN at <= last THEN '\\x02'::bytea ELSE {order}(v) END;
    ELSIF jsonb_array_length(v) = 0 THEN
        RETURN CASE WHEN at > last THEN '\\x01'::bytea ELSE '\\x02'::bytea END;
    ELSIF at <= last AND steps[at] ~ '^(0|[1-9][0-9]{{0,8}})$' THEN
        place := CASE WHEN steps[at]::int < jsonb_array_length(v) THEN steps[at]::int ELSE -1 END;
    END IF;
    IF place >= 0 THEN
        best := CASE WHEN at = last THEN {order}(v -> place) ELSE {sort}(v -> place, steps, largest, at + 1)
        END;
    END IF;
    FOR n IN 0 .. jsonb_array_length(v) - 1 LOOP
        element := v -> n;
        IF at > last THEN
            found := {order}(element);
        ELSIF jsonb_typeof(element) = 'object' AND element ? steps[at] THEN
            found := {sort}(element -> steps[at], steps, largest, at + 1);
        ELSE
            found := CASE WHEN place < 0 THEN '\\x02'::bytea END;
        END IF;
        IF best IS NULL OR (CASE WHEN largest THEN found > best ELSE found < best END) THEN
            best := coalesce(found, best);
        END IF;
    END LOOP;
    RETURN best;
END"""
    return _function(sort, "v jsonb, steps text[], largest boolean, at int DEFAULT 1", "bytea", body)


# Characters of a word that the index holds; a longer word is found by its beginning.
LONGEST_WORD = 400
# The pending list of a GIN index: every search reads it from end to end.
PENDING_KILOBYTES = 512
# Words of up to so many bytes surely fit into a tsvector.
_TSVECTOR_BYTES = 900_000


def search_statements(tables: Tables) -> list[str]:
    """Return the statements that create the functions and indexes of words and names.

    A role that may not create the extension gets a function of our own; both give the same answers.
    """
    document, names = tables.named("document"), tables.named("grams")
    index = f'CREATE INDEX IF NOT EXISTS "{tables.prefix}document_names" ON {document} USING gin '
    searched = f'CREATE INDEX IF NOT EXISTS "{tables.prefix}document_searched" ON {document} USING gin '
    others = "WHERE filename_search IS NOT NULL"
    limit = f"WITH (gin_pending_list_limit = {PENDING_KILOBYTES})"
    terms = tables.named("terms")
    return [
        _tsvector_function(
            names, "name", "array(SELECT substr(name, i, 3) FROM generate_series(1, char_length(name)) AS i)"
        ),
        _terms_function(terms),
        f'CREATE INDEX IF NOT EXISTS "{tables.prefix}content_terms" ON {tables.content} '
        f"USING gin ({terms}(words)) {limit}",
        # CREATE EXTENSION IF NOT EXISTS fails where two make it at once: stores take turns
        "SELECT pg_advisory_xact_lock(hashtextextended('docstore/pg_trgm', 1))",
        f"""DO $block$
        DECLARE
            home text;
        BEGIN
            BEGIN
                CREATE EXTENSION IF NOT EXISTS pg_trgm;
            EXCEPTION WHEN OTHERS THEN
                NULL; -- no right to, none to be had, or somebody else just makes it
            END;
            SELECT quote_ident(n.nspname) INTO home
                FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
                WHERE e.extname = 'pg_trgm' AND has_schema_privilege(n.oid, 'USAGE');
            IF home IS NOT NULL THEN
                EXECUTE '{index} (filename_fold ' || home || '.gin_trgm_ops) {limit}';
                EXECUTE '{searched} (filename_search ' || home || '.gin_trgm_ops) {limit} {others}';
            ELSE
                EXECUTE '{index} ({names}(filename_fold)) {limit}';
                EXECUTE '{searched} ({names}(filename_search)) {limit} {others}';
            END IF;
        END $block$""",
    ]


def _tsvector_function(name: str, argument: str, elements: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}({argument} text) RETURNS tsvector LANGUAGE sql "
        f"IMMUTABLE PARALLEL SAFE AS $function$SELECT array_to_tsvector({elements})$function$"
    )


def _terms_function(name: str) -> str:
    """Return the function from words to lexemes; most texts hold no word too long."""
    words = "string_to_array(btrim(words, ' '), ' ')"
    cut = f"array(SELECT DISTINCT left(word, {LONGEST_WORD}) FROM unnest({words}) AS word WHERE word <> '')"
    return _tsvector_function(
        name,
        "words",
        f"CASE WHEN octet_length(words) <= {LONGEST_WORD} THEN {words} "
        f"WHEN octet_length(words) <= {_TSVECTOR_BYTES} THEN {cut} ELSE ARRAY['*'] END",
    )


# Indexes over functions, of the store or of an extension: Alembic does not compare them.
_UNCOMPARED = ("document_names", "document_searched", "content_terms")


def store_metadata(prefix: str, schema: str | None) -> tuple[sa.MetaData, str]:
    """Return the tables, and the pattern of later names: function and declared indexes, partitions."""
    tables = Tables(prefix, schema)
    metadata = make_metadata(tables, "postgresql")
    _own_indexes(metadata, tables)
    parts = f"({'|'.join(PARTITIONED)})_p[0-9]+"
    return metadata, "|".join((*_UNCOMPARED, "declared_[0-9a-f]+(_long|_many)?", parts))


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
            postgresql_with={"gin_pending_list_limit": PENDING_KILOBYTES},
        ).ddl_if(callable_=_never)


def _never(*_: Any, **__: Any) -> bool:
    return False


# Tables up to this size, indexes included, are written anew: about 0.5 s.
_REWRITTEN_BYTES = 64 << 20
# The tables that hold values of records, and the condition of a blank row in each.
_BLANK_ROWS = {
    "document": "id = ''", "content": "number = 0", "extraction": "id = ''", "blob": "key = ''",
    "tally": "status = ''", "usual": "number = 0",
}  # fmt: skip
_BLANK = {
    "text": "''", "bigint": "0", "integer": "0", "boolean": "true", "jsonb": "'{}'", "tsvector": "''"
}  # fmt: skip
_TABLES = ("content", "extraction", "document", "blob", "tally", "usual", "setting")


def erase_traces(cursor: Any, tables: Tables, *, settings: bool = True) -> None:
    """Remove dead rows and old statistics of a store's tables, as far as this role may.

    Args:
        cursor: on a connection in autocommit, outside of any transaction.
        tables: the tables' names.
        settings: whether they may be set for more than a transaction. Else no table is written anew, as that
            might wait for long.
    """
    if not settings:
        _analyze(cursor, tables)
        for name in map(tables.named, _TABLES):
            _try(cursor, f"VACUUM (SKIP_LOCKED) {name}")
        return
    with _patient(cursor):
        _analyze(cursor, tables)
        for name in map(tables.named, _TABLES):
            cursor.execute("SELECT pg_total_relation_size(%s::regclass)", (name,))
            if cursor.fetchone()[0] > _REWRITTEN_BYTES or not _try(cursor, f"VACUUM (FULL) {name}"):
                _try(cursor, f"VACUUM {name}")
        _try(cursor, "VACUUM (FULL) pg_catalog.pg_statistic")


def _analyze(cursor: Any, tables: Tables) -> None:
    """Replace the statistics of a store's tables and of the expressions in their indexes.

    ANALYZE leaves those of an empty table, and of an index that holds no row of its sample, as they were. So
    it looks at one row more in each, of which nobody else ever hears.
    """
    names = [tables.named(name) for name in _BLANK_ROWS]
    cursor.execute("BEGIN; SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = 0")
    try:
        for name in names:
            cursor.execute(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass "
                "AND attnum > 0 AND NOT attisdropped",
                (name,),
            )
            row = {f'"{column}"': _BLANK[kind] for column, kind in cursor.fetchall()}
            into = f"INSERT INTO {name} ({', '.join(row)}) OVERRIDING SYSTEM VALUE"
            cursor.execute(f"{into} VALUES ({', '.join(row.values())})")
        for name in names:
            cursor.execute(f"ANALYZE {name}")
        for name, where in _BLANK_ROWS.items():  # the content goes with its document
            cursor.execute(f"DELETE FROM {tables.named(name)} WHERE {where}")
    except psycopg.Error:  # we may not, or somebody holds a table
        cursor.execute("ROLLBACK")
        for name in names:
            _try(cursor, f"ANALYZE {name}")
    else:
        cursor.execute("COMMIT")


@contextmanager
def _patient(cursor: Any) -> Iterator[None]:
    """Let statements take their time, but wait for no lock longer than a second."""
    # VACUUM runs in no transaction, so SET LOCAL is of no use; the settings are put back by hand.
    names = ("statement_timeout", "lock_timeout", "client_min_messages")
    cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
    before = cursor.fetchone()
    for name, value in zip(names, ("0", "1s", "error"), strict=True):  # what we may not do is no warning
        cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
    try:
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))


def _try(cursor: Any, statement: str) -> bool:
    """Execute a statement; return whether it was done: others may hold the table, or it may not be ours."""
    try:
        cursor.execute(statement)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege):
        return False
    return True

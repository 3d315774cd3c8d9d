"""SQL functions that are created with the tables: the order of values as bytes, and what a record sorts by.

``<prefix>order`` writes the bytes of :mod:`docstore.query.collation`, so that positions made in Python compare with keys made in
the database. ``<prefix>sort`` is rule 20 for one record and path. Both are immutable: an index may hold what they return.
"""

from __future__ import annotations

from docstore_sql.tables import Tables

__all__ = ["order_function", "sort_function", "statements"]

_TWO_63 = 2**63


def order_function(tables: Tables) -> str:
    """Return the name of the function from ``jsonb`` to the bytes that order it."""
    return tables.named("order")


def sort_function(tables: Tables) -> str:
    """Return the name of the function from ``jsonb``, steps and whether the largest counts, to the bytes that it sorts by."""
    return tables.named("sort")


def statements(tables: Tables) -> list[str]:
    """Return the statements that create the functions."""
    return [_number(tables), _order(tables), _reached(tables), _sort(tables)]


def _function(name: str, signature: str, returns: str, body: str, language: str = "plpgsql") -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}({signature}) RETURNS {returns} LANGUAGE {language} "
        f"IMMUTABLE PARALLEL SAFE AS $function${body}$function$"
    )


def _number(tables: Tables) -> str:
    """Bytes of a number: the nearest double, turned so that bytes order it, then the whole number that it lacks."""
    body = f"""
DECLARE
    near float8 := n::float8;
    bits bytea;
    rest int := 0;
BEGIN
    IF near = 0 THEN
        RETURN '\\x0380000000000000008000';
    END IF;
    IF abs(n) > 9007199254740992 AND abs(n) < {_TWO_63} THEN
        rest := n - CASE WHEN abs(near) >= {_TWO_63}::float8 THEN sign(n) * {_TWO_63} ELSE near::bigint::numeric END;
    END IF;
    IF near < 0 THEN
        bits := int8send(~(('x' || encode(float8send(near), 'hex'))::bit(64)::bigint));
    ELSE
        bits := float8send(near);
        bits := set_byte(bits, 0, get_byte(bits, 0) | 128);
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
        SELECT string_agg(substring(bytes FOR 1) || name || '\\x0001'::bytea || substring(bytes FROM 2), ''::bytea ORDER BY name)
            INTO inner_bytes
            FROM (SELECT convert_to(key, 'UTF8'), {order}(value) FROM jsonb_each(v)) AS p(name, bytes);
        RETURN '\\x05'::bytea || coalesce(inner_bytes, '') || '\\x00'::bytea;
    ELSE
        RETURN '\\x02'::bytea;
    END CASE;
END"""
    return _function(order, "v jsonb", "bytea", body)


def _reached(tables: Tables) -> str:
    """Bytes of all that a path reaches from an array on, one row each; an index counts only where the array has it."""
    reached, order = tables.named("reached"), order_function(tables)
    body = f"""
DECLARE
    element jsonb;
    indexed boolean;
BEGIN
    IF v IS NULL THEN
        RETURN NEXT '\\x02'::bytea;
    ELSIF jsonb_typeof(v) <> 'array' THEN
        IF at > cardinality(steps) THEN
            RETURN NEXT {order}(v);
        ELSIF jsonb_typeof(v) <> 'object' THEN
            RETURN NEXT '\\x02'::bytea;
        ELSE
            RETURN QUERY SELECT {reached}(v -> steps[at], steps, at + 1);
        END IF;
    ELSIF at > cardinality(steps) THEN
        IF jsonb_array_length(v) = 0 THEN
            RETURN NEXT '\\x01'::bytea;
        END IF;
        RETURN QUERY SELECT {order}(e) FROM jsonb_array_elements(v) AS a(e);
    ELSE
        indexed := CASE WHEN steps[at] ~ '^(0|[1-9][0-9]{{0,8}})$' THEN steps[at]::int < jsonb_array_length(v) ELSE false END;
        IF indexed AND at = cardinality(steps) THEN
            RETURN NEXT {order}(v -> steps[at]::int);
        ELSIF indexed THEN
            RETURN QUERY SELECT {reached}(v -> steps[at]::int, steps, at + 1);
        END IF;
        FOR element IN SELECT e FROM jsonb_array_elements(v) AS a(e) LOOP
            IF jsonb_typeof(element) = 'object' AND element ? steps[at] THEN
                RETURN QUERY SELECT {reached}(element -> steps[at], steps, at + 1);
            ELSIF NOT indexed THEN
                RETURN NEXT '\\x02'::bytea;
            END IF;
        END LOOP;
    END IF;
END"""
    return _function(reached, "v jsonb, steps text[], at int", "SETOF bytea", body)


def _sort(tables: Tables) -> str:
    """Rule 20: straight down while there are objects; the smallest or largest of all reached once there is an array."""
    body = f"""
DECLARE
    at int := 1;
    last int := cardinality(steps);
    found bytea;
BEGIN
    WHILE at <= last AND jsonb_typeof(v) = 'object' LOOP
        v := v -> steps[at];
        at := at + 1;
    END LOOP;
    IF v IS NULL OR jsonb_typeof(v) <> 'array' THEN
        RETURN CASE WHEN v IS NULL OR at <= last THEN '\\x02'::bytea ELSE {order_function(tables)}(v) END;
    END IF;
    FOR found IN SELECT r FROM {tables.named("reached")}(v, steps, at) AS s(r) ORDER BY (CASE WHEN largest THEN r END) DESC, r LIMIT 1 LOOP
        RETURN found;
    END LOOP;
    RETURN '\\x02'::bytea;
END"""
    return _function(sort_function(tables), "v jsonb, steps text[], largest boolean", "bytea", body)

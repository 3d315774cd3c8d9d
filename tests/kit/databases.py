"""Databases of the tests' Postgres, and stores in them, handed from test to test: to make one takes 0.2 s."""

from __future__ import annotations

import os

import psycopg

import docstore
from docstore.testing.servers import PostgresServer

__all__ = ["CITUS", "PARTITIONS", "Databases", "PooledStore"]

PARTITIONS = int(os.environ.get("DOCSTORE_PARTITIONS", "0")) or None
"""Hash partitions of the stores on Postgres that tests share: the nox session ``partitions`` has eight."""
CITUS = os.environ.get("DOCSTORE_CITUS", "")
"""The URL of a Citus coordinator that stores on Postgres are made and distributed on, see docs/scale.md."""

_SCHEMA = """
SELECT string_agg(part, chr(10) ORDER BY part) FROM (
    SELECT concat_ws(' ', relname, relkind, relnatts, relrowsecurity, relacl) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'constraint', conname) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'trigger', tgname) FROM pg_trigger
    UNION ALL SELECT concat_ws(' ', 'function', proname, md5(prosrc)) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'schema', nspname) FROM pg_namespace
    UNION ALL SELECT concat_ws(' ', 'set', setconfig) FROM pg_db_role_setting
    UNION ALL SELECT concat_ws(' ', 'docstore', s) FROM docstore_setting AS s
) AS parts (part)
"""
"""All that a test may leave behind in a store, but for rows and statistics."""
_TABLES = """
SELECT string_agg(format('%I', relname), ', ') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        AND relname LIKE 'docstore\\_%' AND relname <> 'docstore_setting'
"""
_FORGET_STATISTICS = """
SET allow_system_table_mods = on;
DELETE FROM pg_statistic WHERE starelid >= 16384;
SET allow_system_table_mods = off
"""
_IS_LARGE_OR_ANALYZED = """
SELECT bool_or(relpages > 0 OR reltuples >= 0 OR pg_relation_size(oid) > 1 << 18) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname LIKE 'docstore\\_%'
        AND relname <> 'docstore_setting'
"""
_RESTART_SEQUENCES = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE schemaname = 'public'
"""
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity" + (
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
if os.environ.get("DOCSTORE_PGBOUNCER"):  # it would hand out those that ended while they were idle
    _END_SESSIONS += " AND state <> 'idle'"


class PooledStore:
    """A store that is made once and emptied after each test, and a connection to look at it."""

    def __init__(self, url: str) -> None:
        self.url = url
        docstore.open(url, partitions=PARTITIONS).close()
        if CITUS:
            docstore.distribute(url)
        self._connection = psycopg.connect(url, autocommit=True)
        self._new = self._one(_SCHEMA)
        names = str(self._one(_TABLES))
        self._delete = "; ".join(f"DELETE FROM {name}" for name in names.split(", "))
        # TRUNCATE makes a new file of each table and index: 28 ms of the server's CPU, DELETE takes 0.2.
        self._truncate = f"{_FORGET_STATISTICS}; TRUNCATE {names}"

    def empty(self) -> bool:
        """Remove all rows and statistics if the schema is as when it was new; return whether it is."""
        try:
            self._connection.execute(_END_SESSIONS.encode())
            self._connection.execute("DELETE FROM docstore_setting WHERE name LIKE 'place/%'")
            if self._new != self._one(_SCHEMA):
                return False
            remove = self._truncate if self._one(_IS_LARGE_OR_ANALYZED) else self._delete
            self._connection.execute(remove.encode())
            self._connection.execute(_RESTART_SEQUENCES)
        except psycopg.Error:  # the connection is gone, or a table
            return False
        return True

    def close(self) -> None:
        """Close the connection; the store stays."""
        self._connection.close()

    def _one(self, query: str) -> object:
        row = self._connection.execute(query.encode()).fetchone()
        return None if row is None else row[0]


class Databases:
    """What of a server is no test's at present: empty databases, and empty stores."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._urls: list[str] = []
        self._stores: list[PooledStore] = []

    def take(self) -> str:
        """Return the URL of an empty database."""
        return self._urls.pop() if self._urls else self.server.create_database()

    def give_back(self, url: str) -> None:
        """Empty a database for another test."""
        self.server.clear_database(url)
        self._urls.append(url)

    def take_store(self) -> PooledStore:
        """Return an empty store."""
        return self._stores.pop() if self._stores else PooledStore(self.take())

    def give_store_back(self, store: PooledStore) -> None:
        """Empty a store for another test; where more than rows was changed, its database."""
        if store.empty():
            self._stores.append(store)
        else:
            store.close()
            self.give_back(store.url)

    def close(self) -> None:
        """Close the connections; the server removes the databases with itself."""
        for store in self._stores:
            store.close()

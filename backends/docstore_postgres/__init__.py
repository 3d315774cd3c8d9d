"""Postgres backend: psycopg 3, ``jsonb`` beside the canonical text, filters pushed down."""

from docstore_postgres.backend import PostgresBackend, open_backend

__all__ = ["PostgresBackend", "open_backend"]

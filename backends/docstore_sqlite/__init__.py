"""SQLite backend: only the differences from the shared SQL backend."""

from docstore_sqlite.backend import SQLiteBackend, open_backend

__all__ = ["SQLiteBackend", "open_backend"]

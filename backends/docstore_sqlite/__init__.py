"""docstore on SQLite: only what differs from the shared SQL backend."""

from docstore_sqlite.backend import SQLiteBackend, open_backend

__all__ = ["SQLiteBackend", "open_backend"]

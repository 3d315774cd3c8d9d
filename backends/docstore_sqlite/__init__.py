"""The SQLite backend: what differs from the shared SQL parts."""

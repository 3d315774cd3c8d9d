"""The Postgres backend: what differs from the shared SQL parts."""

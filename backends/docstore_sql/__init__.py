"""Shared by the SQL backends: tables, migrations, compiler, sessions, counters, connections."""

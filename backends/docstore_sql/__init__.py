"""What the SQL backends share: tables, compiler, statements, migrations."""

"""The format version of a store in a database: creation, upgrades by numbered steps, refusal of what is
newer.

The version stands in the setting table. A fresh store is created in the newest format at once; an older one
is brought up by the steps after its own, each in a transaction of its own, so that a kill between two leaves
a store of a known format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from docstore.errors import BackendError, SchemaTooNew
from docstore_sql.tables import Tables, make_metadata

__all__ = ["FORMAT", "STEPS", "Step", "create", "found_format", "pending_steps", "run_step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One upgrade: from format ``to - 1`` to ``to``, within one transaction."""

    to: int
    what: str
    run: Callable[[sa.Connection, Tables], None]


STEPS: Sequence[Step] = ()
FORMAT = 1 + len(STEPS)


def found_format(connection: sa.Connection, tables: Tables) -> int | None:
    """Return the format version of the store in this database, or ``None`` where there is no store.

    Raises:
        SchemaTooNew: a newer docstore wrote it.
        BackendError: the setting table holds no version.
    """
    if not sa.inspect(connection).has_table(f"{tables.prefix}setting", schema=tables.schema):
        return None
    text = connection.exec_driver_sql(f"SELECT value FROM {tables.setting} WHERE name = 'format'").scalar()
    if text is None or not str(text).isdigit():
        raise BackendError(
            f"table {tables.setting} holds no format version: this is not a docstore, or it was damaged"
        )
    found = int(text)
    if found > FORMAT:
        raise SchemaTooNew(
            f"this store has format {found}; this docstore reads up to format {FORMAT}: "
            "upgrade the package embedded-docstore",
            found=found,
            supported=FORMAT,
        )
    return found


def create(connection: sa.Connection, tables: Tables, extra: Sequence[str] = ()) -> None:
    """Create the tables in the newest format, and run the dialect's ``extra`` statements, within the caller's
    transaction.
    """
    make_metadata(tables, connection.dialect.name).create_all(connection, checkfirst=False)
    for statement in extra:
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"INSERT INTO {tables.setting} (name, value) VALUES ('format', '{FORMAT}')")


def pending_steps(found: int) -> list[Step]:
    """Return the steps that a store of format ``found`` lacks."""
    return [step for step in STEPS if step.to > found]


def run_step(connection: sa.Connection, tables: Tables, step: Step) -> None:
    """Run one step and record it, within the caller's transaction."""
    step.run(connection, tables)
    connection.exec_driver_sql(f"UPDATE {tables.setting} SET value = '{step.to}' WHERE name = 'format'")

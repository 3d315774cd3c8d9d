"""Format version of a store in a database: creation, upgrades by numbered steps, refusal of newer formats.

The version stands in the setting table. A fresh store is created in the newest format at once. An older
one is brought up by the steps after its own, each in its own transaction: a kill between two leaves a
known format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from docstore.errors import BackendError, SchemaTooNew, UpgradeNeeded
from docstore_sql.tables import Tables, make_metadata


@dataclass(frozen=True, slots=True)
class Step:
    """One upgrade: from format ``to - 1`` to ``to``, within one transaction.

    Attributes:
        to: the format that the store then has.
        what: a few words for people.
        run: does it; it must not commit.
    """

    to: int
    what: str
    run: Callable[[sa.Connection, Tables], None]


# The oldest format that can be opened. Formats 1 and 2 were never released, and have been replaced.
OLDEST = 3

# Every upgrade from OLDEST, in order. Once released, a step is never changed.
STEPS: Sequence[Step] = ()


# Schemas whose statements are kept; a test suite makes many, an application one.
_KEPT = 64
# The statements that make the tables of a prefix in a dialect: tests open stores by the thousand.
_MADE: dict[tuple[Tables, str, str], tuple[str, ...]] = {}


def newest() -> int:
    """Return the format that this docstore writes, and the newest that it reads."""
    return OLDEST + len(STEPS)


def found_format(connection: sa.Connection, tables: Tables) -> int | None:
    """Return the format version of the store in this database, or ``None`` where there is no store.

    Raises:
        SchemaTooNew: a newer docstore wrote it.
        BackendError: the setting table holds no version, or one that is older than ``OLDEST``; or the store
            was made with another ``search_marks``.
    """
    if not sa.inspect(connection).has_table(f"{tables.prefix}setting", schema=tables.schema):
        return None
    rows = connection.exec_driver_sql(
        f"SELECT name, value FROM {tables.setting} WHERE name IN ('format', 'search_marks')"
    )
    settings = {str(name): value for name, value in rows}
    if not settings and _is_unused(connection, tables):
        return None  # tables of a migration
    text = settings.get("format")
    if text is None or not str(text).isdigit():
        raise BackendError(
            f"table {tables.setting} holds no format version: this is not a docstore, or it was damaged"
        )
    found = int(text)
    if found > newest():
        raise SchemaTooNew(
            f"this store has format {found}; this docstore reads up to format {newest()}: "
            "upgrade the package embedded-docstore",
            found=found,
            supported=newest(),
        )
    if found < OLDEST:
        raise BackendError(
            f"this store has format {found}; this docstore reads formats {OLDEST} to {newest()}: "
            "export it with the docstore that wrote it (docstore export), "
            "and import the file into a new store (docstore import)"
        )
    has_marks = settings.get("search_marks") == "1"
    if has_marks != tables.search_marks:
        raise BackendError(
            f"this store was made with search_marks={has_marks}, and is opened with "
            f"search_marks={tables.search_marks}: a store keeps the value that it was made with"
        )
    return found


def create(connection: sa.Connection, tables: Tables, extra: Sequence[str] = ()) -> None:
    """Create the tables in the newest format, and run ``extra``, in the caller's transaction."""
    _drop_unused(connection, tables, extra)
    for statement in (*table_statements(tables, connection.dialect), *extra):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(
        f"INSERT INTO {tables.setting} (name, value)"
        f" VALUES ('format', '{newest()}'), ('store_id', '{uuid4().hex}')"
        f", ('search_marks', '{int(tables.search_marks)}')"
    )


# The tables whose rows cannot be derived from others.
DATA = ("document", "extraction", "content", "blob", "setting")
_MAKES = re.compile(
    r"CREATE (?:OR REPLACE )?(?:UNIQUE )?(?P<kind>(?:VIRTUAL )?TABLE|INDEX|VIEW|FUNCTION|SEQUENCE) "
    r"(?:IF NOT EXISTS )?(?:(?:\"[^\"]+\"|\w+)\.)?\"?(?P<name>\w+)"
)


def made_by(statements: Iterable[str]) -> dict[str, str]:
    """Return the names of what statements make, without their schema, and its kind: ``TABLE``, ``VIRTUAL
    TABLE``, ``INDEX``, ``VIEW``, ``FUNCTION`` or ``SEQUENCE``.
    """
    return {found["name"]: found["kind"] for text in statements for found in _MAKES.finditer(text)}


def derived_statements(tables: Tables, dialect: sa.Dialect) -> list[str]:
    """Return the statements that make derived tables and all indexes where they are missing."""
    data = {f"{tables.prefix}{name}" for name in DATA}
    return [
        re.sub(r"^\s*CREATE (TABLE|(?:UNIQUE )?INDEX) ", r"CREATE \1 IF NOT EXISTS ", statement)
        for statement in table_statements(tables, dialect)
        if not any(name in data and kind == "TABLE" for name, kind in made_by([statement]).items())
    ]


def _is_unused(connection: sa.Connection, tables: Tables) -> bool:
    """Return whether there are tables as a migration makes them, and nothing in them."""
    if not sa.inspect(connection).has_table(f"{tables.prefix}document", schema=tables.schema):
        return False
    found = connection.exec_driver_sql(f"SELECT EXISTS (SELECT 1 FROM {tables.named('document')})").scalar()
    return not found


def _drop_unused(connection: sa.Connection, tables: Tables, extra: Sequence[str]) -> None:
    """Remove the empty tables that a migration made, to make them as a store needs them."""
    if not sa.inspect(connection).has_table(f"{tables.prefix}setting", schema=tables.schema):
        return
    for name, kind in made_by(extra).items():
        if kind in ("VIEW", "TABLE"):
            connection.exec_driver_sql(
                f"DROP {kind} IF EXISTS {tables.named(name.removeprefix(tables.prefix))}"
            )
    make_metadata(tables, connection.dialect.name).drop_all(connection)


def table_statements(tables: Tables, dialect: sa.Dialect) -> tuple[str, ...]:
    """Return the statements that make the tables and their indexes; they are kept."""
    place = (tables, dialect.name, dialect.driver)
    found = _MADE.get(place)
    if found is None:
        made: list[str] = []
        for table in make_metadata(tables, dialect.name).sorted_tables:
            made.append(str(CreateTable(table).compile(dialect=dialect)))
            indexes = sorted(table.indexes, key=lambda index: str(index.name))
            made += [str(CreateIndex(index).compile(dialect=dialect)) for index in indexes]
        if len(_MADE) >= _KEPT:
            _MADE.clear()
        found = _MADE[place] = tuple(made)
    return found


def pending_steps(found: int) -> list[Step]:
    """Return the steps that a store of format ``found`` lacks."""
    return [step for step in STEPS if step.to > found]


def upgrade_needed(found: int | None, where: str) -> UpgradeNeeded:
    """Return the error that names the upgrades a store lacks.

    Args:
        found: its format, None if there is no store.
        where: the name of the store in the text.
    """
    steps = tuple(f"format {step.to}: {step.what}" for step in pending_steps(found or OLDEST))
    if found is None:
        steps = (f"create the tables of format {newest()}",)
    there = "there is no store" if found is None else f"the store has format {found}"
    text = f"{there} in {where}, this docstore needs format {newest()}: {'; '.join(steps)}"
    return UpgradeNeeded(
        f"{text}. Run  docstore upgrade, or open it without upgrade=False and read_only=True",
        found=found or 0,
        supported=newest(),
        steps=steps,
    )


def run_step(connection: sa.Connection, tables: Tables, step: Step) -> None:
    """Run one step and record it, within the caller's transaction."""
    step.run(connection, tables)
    connection.exec_driver_sql(f"UPDATE {tables.setting} SET value = '{step.to}' WHERE name = 'format'")

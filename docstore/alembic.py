"""Alembic support for applications whose migrations share a database with a store.

``alembic_metadata`` lists the tables that a store creates; ``alembic_include_object`` filters autogenerate.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

from docstore.errors import shown

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["alembic_include_object", "alembic_metadata"]

_MODULES: Final = {"sqlite": "docstore_sqlite.posting_store", "postgresql": "docstore_postgres.schema"}
# Names of what a store makes beside its metadata, of every metadata that was asked for.
_left_out: set[re.Pattern[str]] = set()


def alembic_metadata(
    backend: Literal["sqlite", "postgresql"], *, table_prefix: str = "docstore_", schema: str | None = None
) -> sa.MetaData:
    """Return every table and index that a store makes, for the ``target_metadata`` of Alembic's ``env.py``.

    Then autogenerate proposes neither to drop nor to change them. A store opens on tables that a migration
    made of it: what nobody has used yet is made anew.

    Args:
        backend: whose tables.
        table_prefix: as of the store.
        schema: the Postgres schema that the store is in; ``None``: the connection's own.

    Raises:
        ValueError: another backend, or a prefix or schema that no store has.

    Example:
        >>> target_metadata = [Base.metadata, docstore.alembic_metadata("postgresql")]
    """
    module = _MODULES.get(backend)
    if module is None:
        raise ValueError(f"backend={shown(backend)}: expected 'sqlite' or 'postgresql'")
    migrations: Any = import_module(module)
    metadata, made_later = migrations.store_metadata(table_prefix, schema)
    _left_out.add(re.compile(f"{re.escape(table_prefix)}({made_later})"))
    made: sa.MetaData = metadata
    return made


def alembic_include_object(
    object: Any, name: str | None, type_: str, reflected: bool, compare_to: Any
) -> bool:
    """Return whether autogenerate looks at an object of the database: Alembic's ``include_object``.

    It leaves out what a store that :func:`alembic_metadata` was asked for makes beside it: the tables of its
    search index, indexes over functions, the indexes of ``create_index``, and the partitions of tables.

    Example:
        >>> context.configure(include_object=docstore.alembic_include_object, **options)
    """
    names = {name, getattr(getattr(object, "table", None), "name", None)}
    if type_ == "foreign_key_constraint":  # Postgres has one for each partition that is referred to
        names |= {part.target_fullname.rsplit(".", 2)[-2] for part in object.elements}
    return not any(pattern.fullmatch(one) for pattern in _left_out for one in names if one is not None)

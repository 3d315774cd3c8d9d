"""Fresh stores for tests: empty, alone, and gone afterwards, on whichever backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import docstore

__all__ = ["fresh_store"]


@contextmanager
def fresh_store(url: str, blobs: Any = "memory://") -> Iterator[docstore.Store]:
    """Open an empty store for a block, and remove it afterwards.

    Args:
        url: ``memory://`` and ``sqlite://`` are fresh by themselves; ``sqlite:///path.db`` is a file
            beside that path, ``postgresql://…`` a schema of its own in that database; any other scheme is
            opened as it is and has to be fresh by itself.
        blobs: as for :func:`docstore.open`.
    """
    if url.startswith("postgres"):
        yield from _in_schema(url, blobs)
    elif url.startswith("sqlite:///"):
        yield from _in_file(url, blobs)
    else:
        with docstore.open(url, blobs=blobs) as store:
            yield store


def _in_schema(url: str, blobs: Any) -> Iterator[docstore.Store]:
    import sqlalchemy as sa

    name = f"test_{uuid4().hex}"
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(name))
    try:
        with docstore.open(url, blobs=blobs, schema=name) as store:
            yield store
    finally:
        with engine.begin() as connection:
            connection.execute(sa.schema.DropSchema(name, cascade=True))


def _in_file(url: str, blobs: Any) -> Iterator[docstore.Store]:
    path = Path(f"{url.removeprefix('sqlite:///')}-{uuid4().hex}")
    try:
        with docstore.open(f"sqlite:///{path}", blobs=blobs) as store:
            yield store
    finally:
        for suffix in ("", "-wal", "-shm", "-lock", "-journal"):
            with suppress(FileNotFoundError):
                Path(f"{path}{suffix}").unlink()

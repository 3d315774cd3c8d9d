"""What a backend can do beyond what it must is said in one frozen value, and never changes an answer."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from docstore_memory import MemoryBackend

import docstore
from docstore.backend import Capabilities, capabilities_of


def test_a_backend_that_names_none_has_the_least() -> None:
    """Writers take turns, and no other form is taken."""
    assert Capabilities() == capabilities_of(object())
    assert (True, "", False) == (
        capabilities_of(object()).single_writer,
        capabilities_of(object()).read_only,
        capabilities_of(object()).takes_columns,
    )


def test_they_are_frozen(store: docstore.Store) -> None:
    """Nobody changes what a backend said when the store was opened."""
    found: Any = store._context.capabilities
    with pytest.raises(FrozenInstanceError):
        found.single_writer = False


def test_a_backend_that_cannot_be_written_to_says_why() -> None:
    """The store refuses every write by name, with the backend's own words."""

    closed = MemoryBackend()
    closed.capabilities = replace(closed.capabilities, read_only="it is a museum")
    with docstore.open(closed) as store, pytest.raises(docstore.ReadOnlyStore, match="it is a museum"):
        store.documents.add(filename="x")


def test_a_writer_that_takes_no_columns_is_handed_rows(store: docstore.Store) -> None:
    """Many documents arrive all the same."""
    with store._context.backend.write() as writer:
        assert capabilities_of(writer).takes_columns
        kind: Any = type(writer)
    known = kind.capabilities
    kind.capabilities = replace(known, takes_columns=False)
    try:
        store.documents.add_many([{"filename": f"{n}"} for n in range(50)])
    finally:
        kind.capabilities = known
    assert 50 == store.documents.count()

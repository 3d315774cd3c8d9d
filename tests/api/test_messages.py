"""Errors show values of at most 80 characters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import docstore
from docstore.errors import shown

LONG = "x" * 100_000
CALLS: dict[str, Callable[[docstore.Store], Any]] = {
    "get": lambda store: store.documents.get(LONG),
    "update": lambda store: store.documents.update(LONG, {"$set": {"preview": "x"}}),
    "delete": lambda store: store.documents.delete(LONG),
    "history": lambda store: store.documents.get_by_external_id(LONG),
    "extraction": lambda store: store.extractions.get(LONG),
    "a field's name": lambda store: store.documents.find({LONG[:60_000]: 1}),
    "a sort's name": lambda store: store.documents.find(sort=LONG[:60_000]),
    "an operator": lambda store: store.documents.find({"size": {"$" + LONG: 1}}),
    "an operand": lambda store: store.documents.find({"size": LONG[:60_000]}),
    "a status": lambda store: store.documents.find({"status": LONG[:60_000]}),
    "a draft's field": lambda store: store.documents.add_many([{LONG: 1}]),
    "a size": lambda store: store.documents.add(filename="a", size=LONG),
    "a key": lambda store: store.documents.add(filename="a", metadata={LONG: float("nan")}),
    "a key within": lambda store: store.documents.add(filename="a", metadata={"k": {LONG: {LONG: 10**30}}}),
    "a pattern": lambda store: store.documents.find({"filename": {"$regex": "(" * 900}}),
    "a URL": lambda store: docstore.open(LONG),
    "a large number": lambda store: store.documents.find(limit=10**5_000),
    "a mode": lambda store: store.documents.put(external_id="a", on_conflict=LONG),
    "a scope": lambda store: store.scoped(owner="a").scoped(owner=LONG),
}


@pytest.mark.parametrize("name", CALLS)
def test_long_values_are_cut(name: str) -> None:
    """STYLE: whatever a caller gave, its message stays short enough to be read."""
    with docstore.open("memory://") as store, pytest.raises(docstore.DocstoreError) as wrong:
        CALLS[name](store)
    assert len(str(wrong.value)) < 800
    assert "x" * 200 not in str(wrong.value)


def test_where_values_are_cut() -> None:
    """STYLE: 80 characters are shown whole, of more the first 80."""
    assert repr("x" * 80) == shown("x" * 80)
    assert f"'{'x' * 80}…'" == shown("x" * 81)
    assert len(shown(["x" * 1_000])) <= 81
    assert "a very large number" == shown(10**10_000)

"""Counts by value from the facts: those of reading every record, whatever was folded and changed since."""

from __future__ import annotations

import random
from typing import Any

import pytest

import docstore

VALUES: list[Any] = [
    "a", "b", "", "x" * 60, "2026-01-02", None, True, False, 1, 1.0, [], ["a", "b"], ["a", None, "a"], [[1]],
    {"b": "c"},
    {"b": ["c", "d"]}, [{"b": "c"}, {"b": None}],
]  # fmt: skip


@pytest.mark.parametrize("choice", [3, 8, len(VALUES)])
def test_counts_are_those_of_reading(url: str, choice: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts, booleans, null and missing by popcount, and all others by whoever reads."""
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_CHANGES", 30)
    monkeypatch.setattr("docstore_memory.index._FOLD", 30)
    monkeypatch.setattr("docstore.index.tail.LOOSE", 5)
    chance = random.Random(choice)
    with docstore.open(url) as store:
        for turn in range(12):
            store.documents.add_many(
                {"metadata": {"kind": chance.choice("pq"), **_value(chance, choice)}} for _ in range(7)
            )
            for document in list(store.documents.find(limit=2, offset=turn)):
                store.documents.update(document.id, replace_metadata=_value(chance, choice))
            for filter in (None, {"metadata.kind": "p"}, {"metadata.kind": {"$ne": "p"}}):
                for path in (("a",), ("a", "b"), ("nowhere",)):
                    expected: dict[Any, int] = {}
                    for document in store.documents.iterate(filter):
                        for key in {_key(value) for value in _seen(document.metadata, path)}:
                            expected[key] = expected.get(key, 0) + 1
                    found = store.documents.count_by("metadata." + ".".join(path), filter)
                    assert {_key(value): count for value, count in found.items()} == expected


def _value(chance: random.Random, choice: int) -> dict[str, Any]:
    return {"a": chance.choice(VALUES[:choice])} if chance.random() < 0.8 else {}


def _key(value: Any) -> tuple[str, Any]:
    return ("number" if type(value) in (int, float) else type(value).__name__, value)


def _seen(held: Any, path: tuple[str, ...]) -> list[Any]:
    """Return the scalars at a path (rules 6, 8, 9), ``None`` where it is missing."""
    if not path:
        inner = held if isinstance(held, list) else [held]
        return [value for value in inner if not isinstance(value, list | dict)]
    if isinstance(held, list):
        return [value for one in held if isinstance(one, dict) for value in _seen(one, path)]
    if not isinstance(held, dict) or path[0] not in held:
        return [None]
    return _seen(held[path[0]], path[1:])

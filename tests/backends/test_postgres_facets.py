"""Counts by a path, grouped by Postgres, are those that the core counts row by row."""

from __future__ import annotations

from typing import Any

import pytest
from docstore_postgres import statements

import docstore
from docstore.query.facets import Facet, group
from docstore.query.paths import parse_path

RECORDS: list[dict[str, Any]] = [
    {"a": {"b": 1}}, {"a": {"b": 1.0}}, {"a": {"b": True}}, {"a": {"b": "1"}}, {"a": {"b": None}}, {"a": {}},
    {"a": {"b": [1, 2, 2, None, [3], {"c": 1}]}}, {"a": {"b": [1, 2, 2, None, [3], {"c": 1}]}},
    {"a": {"b": []}},
    {"a": [{"b": 1}, {"b": [4, 1]}, {"c": 2}, 5]}, {"a": []}, {"a": {"b": {"c": 7}}}, {"a": 5}, {},
    {"a": {"b": 1e-7}}, {"a": {"b": 2.5}}, {"a": {"0": "key"}}, {"a": ["zero", {"0": "in"}]}, {"a": [["x"]]},
    {"a": {"b": "long " * 900}}, {"": {"": "empty"}}, {"a.b": "dot"},
]  # fmt: skip
PATHS = [
    "metadata.a.b", "metadata.a", "metadata.a.0", "metadata.a.b.c", "metadata.", r"metadata.a\.b",
    "metadata.x",
]  # fmt: skip


@pytest.fixture
def filled(store: docstore.Store) -> docstore.Store:
    """Records with whatever a path may meet."""
    store.documents.add_many([{"filename": f"{n % 2}", "metadata": one} for n, one in enumerate(RECORDS)])
    return store


@pytest.mark.parametrize("path", PATHS)
def test_counts_by_a_path(filled: docstore.Store, path: str) -> None:
    """A record counts once for each different scalar, elements one by one, null and missing as ``None``."""
    steps = parse_path(path)
    for filter, chosen in (({}, RECORDS), ({"filename": "1"}, RECORDS[1::2])):
        expected = group([{"metadata": record} for record in chosen], steps)
        assert expected == filled.documents.count_by(path, filter)


def test_large_whole_numbers_keep_their_type(filled: docstore.Store) -> None:
    """``jsonb`` writes 1e16 as it writes 10^16: such counts are left to the core, which has the text."""
    assert statements.counted(("metadata", "a"), [(10**16, 1)]) is None
    assert Facet([(10**15, 1)]) == statements.counted(("metadata", "a"), [(10**15, 1)])
    filled.documents.add(filename="x", metadata={"n": 1e16})
    filled.documents.add(filename="x", metadata={"n": 2**63 - 1})
    found = filled.documents.count_by("metadata.n", {"filename": "x"})
    assert [(float, 1e16), (int, 2**63 - 1)] == [(type(value), value) for value in found]

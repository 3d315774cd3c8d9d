"""Facts: the same of many records poured together as of each poured alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from docstore.index.bitmap import Bitmap
from docstore.index.extract import MOST_VALUES, Node, extract_terms
from docstore.index.terms import OVERSIZED
from docstore.query.expr import Path

FIELDS = {"metadata": True, "size": False, "is_latest": False, "owner": False, "filename": False}
SCALARS = st.sampled_from(
    [None, True, False, 0, 1, -1, 2.5, -0.0, 2**53 + 1, -(2**60), 1e300, "", "a", "é", "x" * 50, "y" * 41,
     "2026-01-02", "2026-01-02T03:04:05Z", "2026-02"]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("pqr"), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "metadata": st.dictionaries(st.sampled_from("pqr"), VALUES, max_size=3),
            "size": st.sampled_from([None, 0, 7, 2**62]),
            "is_latest": st.booleans(),
            "owner": st.sampled_from([None, "o1", "o2"]),
            "filename": st.sampled_from(["", "a.pdf", "aaaaaa", "Été.TXT", "report-0001.docx"]),
            "content": st.sampled_from([None, "some words, some twice"]),
        }
    ),
    min_size=1,
    max_size=12,
)


class Text:
    """A record that keeps JSON as text."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = {**record, "metadata": json.dumps(record["metadata"])}

    def columns(self, records: Iterable[Text], names: Sequence[str]) -> Iterable[Sequence[Any]]:
        """Return columns."""
        every = list(records)
        return [[one.record[name] for one in every] for name in names]


def facts(records: dict[int, Any]) -> dict[tuple[Path, bytes], set[int]]:
    """Return who has each fact."""
    root = Node()
    extract_terms(root, FIELDS, records)
    found = {}
    for path, node in root.walk():
        for key, members in node.sets():
            numbers = Bitmap.of_members(members).members
            assert sorted(set(numbers)) == list(numbers), (path, key)
            found[path, key] = set(numbers)
    return found


@given(RECORDS, st.integers(0, 3), st.sampled_from((1, 1, 3)))
def test_records_together_have_the_facts_that_each_has(
    given_records: list[dict[str, Any]], first: int, step: int
) -> None:
    """Rule: a record's facts are its own, whoever is poured with it, and the same from JSON text."""
    records = {first + step * at: record for at, record in enumerate(given_records)}
    expected: dict[tuple[Path, bytes], set[int]] = {}
    for number, record in records.items():
        for fact, numbers in facts({number: record}).items():
            expected.setdefault(fact, set()).update(numbers)
    assert expected == facts(records)
    assert expected == facts({number: Text(record) for number, record in records.items()})


def test_many_records_have_the_facts_that_each_has() -> None:
    """Rule: the same where sets are so large that they are kept as runs, with gaps and without."""
    for missing in (0, 7):
        records = {
            n: {
                "metadata": {"p": n % 3, "q": ["a", "b"][: n % 3], "s": n / 7}
                | ({"r": f"t{n % 5}"} if not missing or n % missing else {}),
                "size": n, "is_latest": n % 2 == 0, "owner": f"o{n % 4}", "filename": f"f{n % 90}",
                "content": None,
            }
            for n in range(5, 4500)
        }  # fmt: skip
        expected: dict[tuple[Path, bytes], set[int]] = {}
        for start in range(0, 4500, 100):
            some = {n: record for n, record in records.items() if start <= n < start + 100}
            for fact, numbers in facts(some).items():
                expected.setdefault(fact, set()).update(numbers)
        assert expected == facts(records)


def test_a_record_of_too_many_values_is_wild() -> None:
    """Rule: a record with more JSON values than are indexed is marked, and others with it are not."""
    wide = {"metadata": {"p": [1] * MOST_VALUES}, "filename": "a"}
    long = {"metadata": {"p": "x" * 9999}, "filename": "b"}
    found = facts({1: long, 2: wide, 3: long})
    assert {2} == found[(), OVERSIZED]
    assert {1, 3} == found[("metadata", "p"), b"\x05"]

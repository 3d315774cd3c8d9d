"""Generated searches in ten scripts, held to a plain reading of the rules; 50,000 in the long form."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import docstore
from tests.kit import searches
from tests.kit.searches import Text, fold, found_by, hunt, terms_of, words


def test_every_search_finds_and_ranks_by_the_rules(url: str, many: Callable[[int, int], int]) -> None:
    """What is found, the count and the order of relevance are those of rules 22 and 22a, however often the
    documents change between the searches.
    """
    with docstore.open(url) as store:
        found = hunt({"store": store}, many(60, 45_000), seed=20)
    assert found.differences == []
    assert found.hits > found.pairs // 3


def test_a_store_that_keeps_marks_finds_by_its_own_fold(many: Callable[[int, int], int]) -> None:
    """The same, where marks count."""
    with docstore.open("memory://", search_marks=True) as store:
        found = hunt({"store": store}, many(60, 5_000), seed=21, marks=True)
    assert found.differences == []


def test_the_hunt_sees_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that keeps one mark more than the rule differs from the store."""
    monkeypatch.setattr(searches, "_LEFT_OUT", searches._LEFT_OUT[1:])
    with docstore.open("memory://") as store:
        assert hunt({"store": store}, 100, seed=20).differences


@pytest.mark.parametrize(
    ("search", "content", "is_found"),
    [
        ("jose", "José", True),
        ("елка", "ёлка", True),
        ("и", "й", False),
        ("か", "が", False),
        ("โลก", "สวัสดีชาวโลก", True),
        ('"au lait" -thé', "café au lait", True),
        ("apples OR pears", "pears", True),
        ('plain "', "plain", True),
        ("q3-2024", "q3 2024", True),
        ('"budg"', "budget", False),
    ],
)
def test_the_reading_knows_the_rules_examples(search: str, content: str, is_found: bool) -> None:
    """The rules' own examples, read by what judges the stores."""
    folded = fold(content, False)
    assert found_by(terms_of(search, False), Text("", folded, words(folded))) is is_found

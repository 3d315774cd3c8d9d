"""Many alternatives on one text are few regular expressions, and mean what each of them means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import docstore

NUMBERS = range(0, 60, 3)
FILTERS: dict[str, list[dict[str, Any]]] = {
    "regex": [{"filename": {"$regex": f"B{n}\\.P"}} for n in NUMBERS],
    "regex of any case": [{"filename": {"$regex": f"äb{n}\\.p", "$options": "i"}} for n in NUMBERS],
    "quoted regex": [{"filename": {"$regex": rf"\QB{n}."}} for n in NUMBERS],
    "glob": [{"filename": {"$glob": f"*B{n}.*"}} for n in NUMBERS],
    "folded glob": [{"filename": {"$iglob": f"*äb{n}.p?f"}} for n in NUMBERS],
    "glob without a piece": [{"filename": {"$glob": "?" * n}} for n in NUMBERS],
    "substring": [{"filename": {"$substring": f"B{n}."}} for n in NUMBERS],
    "folded substring": [{"filename": {"$isubstring": f"äb{n}."}} for n in NUMBERS],
    "beginning": [{"filename": {"$startsWith": f"{n}.("}} for n in NUMBERS],
    "content": [{"content": {"$regex": f"^q{n}[x]+ "}} for n in NUMBERS],
    "content substring": [{"content": {"$substring": f"q{n}x"}} for n in NUMBERS],
    "content glob": [{"content": {"$iglob": f"Q{n}x*É[td]"}} for n in NUMBERS],
    "media type": [{"content_type": {"$glob": f"*/pd{chr(97 + n % 26)}"}} for n in NUMBERS],
    "metadata substring": [{"metadata.a": {"$substring": f"q{n}x"}} for n in NUMBERS],
    "metadata glob": [{"metadata.a": {"$iglob": f"Q{n}[xy]?"}} for n in NUMBERS],
    "metadata beginning": [{"metadata.a": {"$startsWith": f"q{n}x"}} for n in NUMBERS],
    "metadata": [{"metadata.a": {"$regex": f"^q{n}[x]+w$"}} for n in NUMBERS],
    "mixed": [
        term
        for n in NUMBERS
        for term in (
            {"filename": {"$regex": f"B{n}\\.P"}},
            {"filename": {"$isubstring": f"äb{n + 1}."}},
            {"metadata.a": {"$regex": f"q{n}"}},
            {"metadata.a": n},
        )
    ],
}


@pytest.fixture(scope="module")
def store(postgres_server: Any) -> Iterator[docstore.Store]:
    """Thirty documents with numbers in their texts."""
    url = postgres_server.create_database()
    with docstore.open(url) as opened:
        opened.documents.add_many(
            {
                "filename": f"{n}.(ÄB{n}.PDF",
                "content": f"q{n}x {'red' if n % 2 else 'rÉd'}",
                "metadata": {"a": [f"q{n}xw", n]},
            }
            for n in range(30)
        )
        yield opened
    postgres_server.drop_database(url)


@pytest.mark.parametrize("word", ["$or", "$nor"])
@pytest.mark.parametrize("name", FILTERS)
def test_many_alternatives_are_any_of_them(store: docstore.Store, name: str, word: str) -> None:
    """The same documents as the evaluator finds, and all of it by the database."""
    filter = {word: FILTERS[name]}
    every = store.documents.iterate(include={"content"})
    expected = {one.id for one in every if docstore.matches(filter, one.model_dump())}
    assert 0 < len(expected) < 30 or name in ("glob without a piece", "media type")
    assert expected == {one.id for one in store.documents.iterate(filter)}


@pytest.mark.parametrize("name", ["regex", "content", "metadata", "folded glob", "metadata glob"])
def test_many_alternatives_are_few_regular_expressions(store: docstore.Store, name: str) -> None:
    """Not more than Postgres keeps compiled, whatever the number of terms."""
    statement = store.documents.explain({"$or": FILTERS[name]}).statement
    assert 1 <= (statement or "").count('COLLATE "C" ~') <= 4

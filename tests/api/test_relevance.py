"""Searching: what people mean is found, the most relevant first, with a snippet, alike on every backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import docstore

TEXTS = {
    "often": "budget budget budget of the year",
    "once": "the budget",
    "begun": "budgets and budgeting",
    "named": None,
    "other": "nothing of that kind",
}


@pytest.fixture
def filled(store: docstore.Store) -> docstore.Store:
    """Documents that answer a search for "budget" more or less well."""
    rows = [{"id": id, "filename": f"{id}.txt", "content": text} for id, text in TEXTS.items()]
    rows[3]["filename"] = "Budget.pdf"
    store.documents.add_many(rows)
    return store


def ids(found: Any) -> list[str]:
    """Return the ids of documents."""
    return [one.id for one in found]


def test_the_most_relevant_comes_first(filled: docstore.Store) -> None:
    """A filename counts most, then how often the words occur; a beginning of a word counts a quarter."""
    page = filled.documents.find(search="budget", sort="-score", total=True)
    assert ["named", "often", "once", "begun"] == ids(page)
    assert (4, 4) == (page.total, page.ranked)
    assert filled.documents.find(search="budget").ranked is None


def test_pages_offsets_and_walks_agree(filled: docstore.Store) -> None:
    """By offset, by number, by cursor both ways, by iterate and find_one: one order, nothing twice."""
    documents = filled.documents
    whole = ids(documents.find(search="budget", sort="-score"))
    assert whole[1:3] == ids(documents.find(search="budget", sort="-score", offset=1, limit=2))
    assert whole[2:] == ids(documents.find(search="budget", sort="-score", page=2, limit=2))
    assert whole == ids(documents.iterate(search="budget", sort="-score", batch_size=1))
    best = documents.find_one(search="budget", sort=[("score", -1)])
    assert best is not None
    assert whole[0] == best.id
    first = documents.find(search="budget", sort="-score", limit=3)
    assert (True, None) == (first.has_more, first.prev_cursor)
    last = documents.find(search="budget", sort=["-score"], limit=3, cursor=first.next_cursor)
    assert whole == ids(first) + ids(last)
    assert last.next_cursor is None
    assert ids(first) == ids(documents.find(search="budget", sort="-score", limit=3, cursor=last.prev_cursor))
    with pytest.raises(docstore.InvalidCursor):
        documents.find(search="budget", cursor=first.next_cursor)


def test_equal_scores_are_ordered_by_age(store: docstore.Store) -> None:
    """The newest of equals comes first, then the last added."""
    for id, day in (("a", 1), ("b", 3), ("c", 3), ("d", 2)):
        store.documents.add(id=id, filename=id, content="same", created_at=f"2026-01-0{day}T00:00:00Z")
    assert ["c", "b", "d", "a"] == ids(store.documents.find(search="same", sort="-score"))


def test_of_very_many_matches_the_newest_are_ranked(url: str) -> None:
    """limits.ranked bounds the ranking; the total still counts all."""
    with docstore.open(url, limits={"ranked": 3}) as store:
        store.documents.add(id="old", filename="word.txt", content="word", created_at="2020-01-01T00:00:00Z")
        store.documents.add_many([{"filename": "x", "content": "a word"} for _ in range(4)])
        page = store.documents.find(search="word", sort="-score", total=True)
        assert (3, 3, 5) == (len(page), page.ranked, page.total)
        assert "old" not in ids(page)


@pytest.mark.parametrize("sort", ["score", ["-score", "number"], [("score", 1)]])
def test_relevance_is_sorted_by_alone_and_descending(store: docstore.Store, sort: Any) -> None:
    """Anything else is InvalidSort that says what to write."""
    with pytest.raises(docstore.InvalidSort, match="-score"):
        store.documents.find(search="x", sort=sort)


@pytest.mark.parametrize("search", [None, "", "  "])
def test_relevance_needs_a_search(store: docstore.Store, search: str | None) -> None:
    """Without one there is nothing to be relevant to."""
    with pytest.raises(docstore.InvalidSort, match="search="):
        store.documents.find(search=search, sort="-score")


def test_a_snippet_shows_the_place(store: docstore.Store) -> None:
    """include={"snippet"} shows the content around the terms, and reads no content otherwise."""
    text = "filler word " * 50 + "the needle in it " + "more filler " * 50
    made = store.documents.add(filename="x", content=text)
    for found in (
        store.documents.find(search="needle", include={"snippet"})[0],
        next(store.documents.iterate(search="needle", include={"snippet"})),
        store.documents.find(search="needle", sort="-score", include={"snippet"})[0],
    ):
        assert found.snippet is not None
        assert "the needle in it" in found.snippet
        assert found.content is None
    both = store.documents.find(search="needle", include={"snippet", "content"})[0]
    assert text == both.content
    beginning = store.documents.get(made.id, include={"snippet"}).snippet
    assert beginning is not None
    assert beginning.startswith("filler word filler")
    assert [beginning] == [one.snippet for one in store.documents.get_many([made.id], include={"snippet"})]
    assert store.documents.get(made.id).snippet is None


def test_a_document_without_content_has_no_snippet(store: docstore.Store) -> None:
    """There is nothing to show."""
    store.documents.add(filename="needle.txt")
    assert store.documents.find(search="needle", include={"snippet"})[0].snippet is None


def test_marks_matter_only_where_the_store_was_made_so(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """By default José and Jose find each other; with search_marks=True they do not, on every backend."""
    for url in ("memory://", f"sqlite:///{tmp_path / 'm.db'}", request.getfixturevalue("postgres_url")):
        with docstore.open(url, search_marks=True) as store:
            store.documents.add(id="a", filename="José.txt", content="İstanbul й")
            assert [[], ["a"], [], ["a"], []] == [
                ids(store.documents.find(search=one)) for one in ("jose", "josé", "istanbul", "Й", "и")
            ]
        if url != "memory://":
            with pytest.raises(docstore.BackendError, match="search_marks=True"):
                docstore.open(url)
    with docstore.open("memory://") as store:
        store.documents.add(id="a", filename="José.txt", content="İstanbul")
        assert ["a"] == ids(store.documents.find(search="jose istanbul"))


def test_the_same_words_in_names_and_contents(store: docstore.Store) -> None:
    """Either spelling finds the other, in filenames and contents, added alone or many at once."""
    store.documents.add_many([{"id": f"x{n}", "filename": f"{n}.txt"} for n in range(12)])
    store.documents.add(id="name", filename="Übersicht_Łódź.pdf")
    store.documents.add(id="text", filename="t", content="ubersicht lodz")
    store.documents.add_many([{"id": f"m{n}", "filename": "Übersicht", "content": "Łódź"} for n in range(9)])
    assert 11 == store.documents.count(search="ubersicht łodz")
    assert 11 == store.documents.count(search="ÜBERSICHT LODZ")
    store.documents.update("name", filename="Plan.pdf")
    assert 10 == store.documents.count(search="ubersicht")

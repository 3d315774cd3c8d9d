"""The tokens of many documents, worked out together, are those of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import re2
from docstore_sqlite import posting_store
from hypothesis import given, settings
from hypothesis import strategies as st

import docstore
from docstore.index.bitmap import Bitmap
from docstore.index.ngrams import document_tokens, names_tokens, text_query, tokens_of
from docstore.query.evaluator import matches
from docstore.query.expr import In, Match, Regex
from docstore.query.text import fold, index_words

NAMES = st.sampled_from(["ab.", "aAB-1 \1", "aé\u212aİß\ufb01", "日本aあ\uffff", "a\U0001f600b"]).flatmap(
    lambda letters: st.lists(st.text(st.sampled_from(letters), max_size=9), min_size=1, max_size=20)
)
CONTENTS = st.lists(
    st.one_of(st.none(), st.text(st.sampled_from("ab 日"), max_size=8)), min_size=20, max_size=20
)


@given(NAMES)
def test_the_tokens_of_many_names_are_those_of_each(names: list[str]) -> None:
    """Each name has its own text of tokens, in which one may stand more than once."""
    expected = [set(document_tokens(name, fold(name), "").split()) for name in names]
    assert expected == [set(tokens.split()) for tokens in names_tokens(names)]


@given(NAMES, CONTENTS, st.lists(st.integers(0, 99), min_size=20, max_size=20, unique=True))
def test_each_token_has_the_documents_that_have_it(
    names: list[str], contents: list[str | None], numbers: list[int]
) -> None:
    """By token the numbers of the documents, each once and ascending."""
    numbers = sorted(numbers[: len(names)])
    contents = contents[: len(names)]
    expected: dict[str, list[int]] = {}
    for name, content, number in zip(names, contents, numbers, strict=True):
        for token in set(document_tokens(name, fold(name), index_words(content)).split()):
            expected.setdefault(token, []).append(number)
    found = tokens_of(names, contents, numbers)
    assert expected == {token.decode(): list(Bitmap.of_members(members).members) for token, members in found}


def test_tokens_of_thousands_of_names_are_sets() -> None:
    """A piece that a name has several times counts once, in every form of a set."""
    names = [f"aaaa{'b' * (number % 2)}.txt" for number in range(5000)]
    found = dict(tokens_of(names, [None] * 5000, range(1, 5001)))
    assert 5000 == Bitmap.of_members(found[b"naaa"]).count
    assert list(range(2, 5001, 2)) == list(Bitmap.of_members(found[b"naab"]).members)


LETTERS = st.sampled_from("aAbk\u212aﬁßsſ.-1*?\u0301")
PIECES = st.text(LETTERS, min_size=1, max_size=6)
NAMED = ("filename",)
QUESTIONS = st.one_of(
    st.builds(In, st.just(NAMED), st.lists(PIECES, min_size=1, max_size=3).map(tuple)),
    st.builds(Regex, st.just(NAMED), PIECES.map(re2.escape), st.sampled_from(["", "i", "ms"])),
    st.builds(Regex, st.just(NAMED), st.sampled_from(["^ab+.?-1$", "a[kK]b|s", "bks"]), st.just("i")),
    st.builds(Match, st.just(NAMED), st.sampled_from(["substring", "isubstring", "glob", "iglob"]), PIECES),
)


@settings(max_examples=20 * settings().max_examples)
@given(QUESTIONS, PIECES, PIECES, PIECES)
def test_a_name_that_matches_has_the_tokens_asked_for(
    leaf: In | Regex | Match, before: str, inner: str, behind: str
) -> None:
    """All tokens of one alternative at least, or begins one, whatever case and marks fold to."""
    asked = leaf.values[0] if isinstance(leaf, In) else inner
    name = f"{'' if isinstance(leaf, In) else before}{asked}{'' if isinstance(leaf, In) else behind}"
    alternatives = text_query(leaf)
    if alternatives is None or not matches(leaf, {"filename": name}):
        return
    tokens = document_tokens(name, fold(name), "").split()
    assert any(
        all(
            any(token.startswith(one[:-1]) if one[-1] == "*" else token == one for token in tokens)
            for one in some
        )
        for some in alternatives
    )


@pytest.mark.parametrize("filter", [{"$in": ["b-17.txt", "c.txt"]}, {"$regex": "^B-17[.]", "$options": "ix"}])
def test_a_pattern_and_a_list_of_names_look_at_few(filter: dict[str, Any], tmp_path: Path) -> None:
    """The index finds the candidates (rules 13, 18)."""
    with docstore.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        store.documents.add_many({"filename": f"b-{number}.txt"} for number in range(200))
        assert ["b-17.txt"] == [document.filename for document in store.documents.find({"filename": filter})]
        assert "1 to be looked at" in str(store.documents.explain({"filename": filter}))


@pytest.mark.parametrize(("every", "is_walked"), [(40, True), (100, False)])
def test_a_name_of_one_in_sixty_four_is_found_by_a_short_scan(
    every: int, is_walked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of rarer ones the text index lists all; the page is the same (rule 19)."""
    monkeypatch.setattr(posting_store, "_SAMPLED_TEXTS", 2)
    names = [f"{number}.{'md' if number % every == 0 else 'txt'}" for number in range(1, 401)]
    with docstore.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        store.documents.add_many({"filename": name} for name in names)
        asked = {"filename": {"$glob": "*.md"}}
        expected = ["400.md", f"{400 - every}.md"]
        found = store.documents.find(asked, limit=2)
        assert expected == [document.filename for document in found.items]
        assert is_walked == ("walk the first rows" in str(store.documents.explain(asked, limit=2)))

"""Many tests of one text, together, say what each says alone; without google-re2 as well."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.query.evaluate import compile
from docstore.query.expr import And, Match, Path, Regex
from docstore.query.glob import folded_matcher, glob_source, matcher
from docstore.query.many import searches
from docstore.query.many.junctions import all_of, any_of
from docstore.query.many.matching import Matching
from docstore.query.many.one_text import matches_all, matches_any
from docstore.query.regex import searcher
from docstore.query.text import fold

PIECES = [
    "a",
    "B",
    "é",
    "É",
    "ß",
    "ﬁ",
    "\n",
    ".",
    "-",
    "x",
    "*",
    "?",
    "[a-c]",
    "[!a]",
    "[!]",
    "[é-ﬁ]",
    "[b-a]",
    "\\*",
    " ",
    "日",
]
GLOBS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
TEXTS = st.lists(
    st.sampled_from(["a", "b", "B", "é", "É", "ß", "ﬁ", "\n", ".", "-", "x", "*", " ", "日", "ss"]),
    max_size=7,
).map("".join)
MATCHES = st.builds(
    Match,
    st.just(("f",)),
    st.sampled_from(["substring", "isubstring", "starts_with", "glob", "iglob"]),
    GLOBS,
)
LEAVES = st.one_of(
    st.builds(
        Regex,
        st.just(("f",)),
        st.sampled_from(["a", "^B", "é$", "a.", "", "[^x]", "x|-"]),
        st.sampled_from(["", "i", "m", "s"]),
    ),
    MATCHES,
)
MANY = st.lists(LEAVES, min_size=8, max_size=20)


def alone(leaf: Regex | Match, text: str) -> bool:
    return compile(leaf)({"f": text})


@given(GLOBS, TEXTS)
def test_a_glob_as_a_pattern(glob: str, text: str) -> None:
    """RE2 finds a glob's pattern in just the texts that the glob matches."""
    for folded, test in ((False, matcher(glob)), (True, folded_matcher(glob))):
        pattern = glob_source(glob, folded=folded)
        assert pattern is None or test(text) == searcher(pattern, "s")(text)
    assert (glob_source("[b-a]"), glob_source("*[!b-a]")) == (None, r"\A.*.\z")


@given(MANY, TEXTS)
def test_any_and_all_of_many(leaves: list[Regex | Match], text: str) -> None:
    """A text passes any, and all, of many tests as it passes each; when asked again, too."""
    expected = [alone(leaf, text) for leaf in leaves]
    every, some = matches_all(leaves), matches_any(leaves)
    holding = [leaf for leaf, holds in zip(leaves, expected, strict=True) if holds]
    assert [(all(expected), any(expected))] * 3 == [(every(text), some(text)) for _ in range(3)]
    assert matches_all(holding)(text)
    assert sum(1 << at for at, holds in enumerate(expected) if holds) == Matching(leaves).exactly(text)
    assert not some(7)


@given(MANY, st.lists(TEXTS, min_size=2, max_size=12))
def test_what_failed_before_changes_nothing(leaves: list[Regex | Match], texts: list[str]) -> None:
    """Tests that failed of one text come first for the next, and the answers stay."""
    every = matches_all(leaves)
    expected = [all(alone(leaf, text) for leaf in leaves) for text in texts]
    assert expected == [every(text) for text in texts]


@given(
    MANY,
    st.lists(
        st.fixed_dictionaries({"f": st.one_of(TEXTS, st.lists(TEXTS, max_size=3), st.none(), st.just(7))}),
        max_size=6,
    ),
)
def test_each_may_hold_of_another_element(leaves: list[Regex | Match], records: list[Any]) -> None:
    """Rule 9: of an array, each test of a conjunction may take an element of its own."""
    fits = compile(And(tuple(leaves)))
    expected = [all(compile(leaf)(record) for leaf in leaves) for record in records]
    assert expected == [fits(record) for record in records]


@given(st.data())
def test_without_re2(data: st.DataObject) -> None:
    """Texts and globs need no google-re2, however many they are."""
    leaves = data.draw(st.lists(MATCHES, min_size=8, max_size=20))
    text = data.draw(TEXTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "re2", None)
        assert not searches.is_installed()
        found = matches_all(leaves)(text), matches_any(leaves)(text)
    expected = [alone(leaf, text) for leaf in leaves]
    assert (all(expected), any(expected)) == found


def test_patterns_that_re2_gives_up() -> None:
    """Where one walk for all takes too much memory, each is looked for by itself."""
    leaves = [Regex(("f",), "[a-q][^u-z]{13}x" * 3 + f"|{n}$", "") for n in range(200)]
    every, bits = matches_all(leaves), Matching(leaves).exactly
    texts = ["".join(Random(seed).choices("abcdefghijklmnopqrstuvwxyz", k=2_000)) for seed in range(5)]
    expected = [all(searcher(leaf.pattern, "")(text) for leaf in leaves) for text in texts]
    assert expected == [every(text) for text in texts]
    assert [0] * len(texts) == [bits(text) for text in texts]


@pytest.mark.parametrize("pattern", ["^(.|\n){{0,{}}}$", "^.{{0,{}}}$", "^a{{0,{}}}"])
def test_patterns_that_re2_does_not_put_together(pattern: str) -> None:
    """Patterns too large for one set are divided among several; what is too large for any stands alone."""
    leaves = [Regex(("f",), pattern.format(length), "s") for length in range(60, 120)]
    every = matches_all(leaves)
    for text in ("", "a" * 59, "a" * 60, "é" * 61, "a" * 200):
        assert all(searcher(leaf.pattern, "s")(text) for leaf in leaves) == every(text)


def test_many_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of patterns in several sets, each one that is missing is found."""
    monkeypatch.setattr(searches, "_LARGEST", 10_000)
    patterns = [(f"^.{{0,{length}}}$|{length}", "") for length in range(500, 700)]
    walk = searches.Walk([None, *patterns])
    assert ([0], None) == (walk.left, walk.missing("x" * 400))
    assert walk.found("x" * 400) == sum(1 << place for place in range(1, 201))
    for place, (pattern, _) in enumerate(patterns, 1):
        text = (
            "x" * (498 + place)
            + " "
            + " ".join(str(499 + other) for other in range(1, 201) if other != place)
        )
        holds = searcher(pattern, "")(text)
        assert (walk.missing(text) != place, bool((walk.found(text) or 0) >> place & 1)) == (holds, holds)


def test_what_decided_comes_first() -> None:
    """A test that decided is asked first the next time; few stay in their order."""
    asked: list[int] = []

    def test(at: int, answer: bool) -> Any:
        return lambda value: asked.append(at) or answer

    for junction, answer in ((all_of, True), (any_of, False)):
        many = junction([test(at, answer if at != 8 else not answer) for at in range(10)])
        few = junction([test(at, answer if at != 2 else not answer) for at in range(4)])
        assert [many(None), many(None)] == [not answer] * 2
        assert [*range(9), 8] == asked
        asked.clear()
        assert [few(None), few(None)] == [not answer] * 2
        assert [0, 1, 2, 0, 1, 2] == asked
        asked.clear()


def test_one_that_failed_is_tried_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that lacks what the last one lacked is not walked for the others."""
    walks: list[str] = []
    whole = searches.Walk.missing

    def counted(walk: searches.Walk, text: str) -> int | None:
        walks.append(text)
        return whole(walk, text)

    monkeypatch.setattr(searches.Walk, "missing", counted)
    every = matches_all([Match(("f",), "substring", piece) for piece in "abcdefghij"])
    assert [False, False, False, True] == [every(text) for text in ("abcdefghi", "abc", "j", "abcdefghij")]
    assert ["abcdefghi", "j", "abcdefghij"] == walks


def test_folding_is_done_for_what_folds() -> None:
    """Tests that fold and tests that do not stand beside one another."""
    path: Path = ("f",)
    plain = [Match(path, "substring", piece) for piece in "ABCDEFGHIJ"]
    folding = [Match(path, "isubstring", piece) for piece in "ABCDEFGHIJ"]
    both = matches_all([*plain, *folding])
    assert [True, False] == [both("ABCDEFGHIJ"), both("ABCDEFGHIj")]
    assert matches_all(folding)(fold("ABCDEFGHIj"))

"""Relevance: scores, snippets and highlights (rules 22a and 22b), and their places in the original text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.query.search import highlight, score, search_terms, snippet
from docstore.query.text import index_words, occurrences, occurs_in, search_fold, times_stored, words

LETTERS = 'aAbB éÉßŁ漢かがｶﾞกินЙйё한ᄒ\u1161\u0301\u0306\u200b\u00ad .-*"\n'
texts = st.text(st.sampled_from(LETTERS), max_size=24)


def marked(text: str, search: str) -> list[str]:
    """Return the pieces of a text that are marked."""
    return [text[start:end] for start, end in highlight(text, search)]


@pytest.mark.parametrize(
    ("text", "search", "wanted"),
    [
        ("Le café de José", "jose cafe", ["café", "José"]),
        ("The annual—report", '"annual report"', ["annual—report"]),
        ("reporting reports", "report", ["report", "report"]),
        ("reporting", '"report"', []),
        ("สวัสดีชาวโลก", "โลก", ["โลก"]),
        ("ｶﾞｶ", "ガ", ["ｶﾞ"]),
        ("straße", "strass", ["straß"]),
        ("a a a", '"a a"', ["a a"]),
        ("one two", "two OR three -one", ["two"]),
        ("100 % and %", "%", ["%", "%"]),
        ("กิน", "ก", ["ก"]),
        ("กิน", "ิน", ["ิน"]),
        ("cafe\u0301 x", "cafe", ["cafe\u0301"]),
        ("anything", "", []),
    ],
)
def test_highlight_marks_the_original(text: str, search: str, wanted: list[str]) -> None:
    """A span covers the characters of the original, their marks too; a beginning marks only its own."""
    assert wanted == marked(text, search)


@given(texts, texts)
def test_spans_are_ordered_and_hold_a_term(text: str, search: str) -> None:
    """Spans ascend without overlap, within the text; each begins with a term's folded text or words."""
    spans = highlight(text, search)
    assert spans == sorted(spans)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    starts = [search_fold(term.words[0] if term.words else term.text) for term in search_terms(search)]
    for start, end in spans:
        assert any(word[:1] in search_fold(text[start:end]) for word in starts)


@given(texts, texts)
def test_an_occurrence_is_a_match(text: str, search: str) -> None:
    """A term has an occurrence in a text if and only if the stored words say that it occurs."""
    for term in search_terms(search):
        found = list(occurrences(term, search_fold(text)))
        if term.words:
            assert bool(found) == occurs_in(term, "\0", index_words(text), "")
        else:
            assert bool(found) == (term.text in search_fold(text))


def test_the_places_of_a_long_text_are_right() -> None:
    """Places are traced back through blocks: marks before them shift nothing."""
    text = "é\u0301 naïve straße\n" * 900 + "Ziel"
    ((start, end),) = highlight(text, "ziel")
    assert "Ziel" == text[start:end]


def test_highlight_takes_text() -> None:
    """The content of a document that has none is refused, not read as an empty one."""
    for text, search in ((None, "a"), ("a", None)):
        with pytest.raises(TypeError, match="expected text"):
            highlight(text, search)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("search", "filename", "content", "wanted"),
    [
        ("report", "x", "report", 1 / (1.5 + 1 / 500)),
        ("report", "report.pdf", None, 3.0),
        ("report", "x", "reports", 0.25 / (0.75 + 1 / 500)),
        ("a b", "x", "a b a", 2 / (2.5 + 3 / 500) + 1 / (1.5 + 3 / 500)),
        ('"a a"', "x", "a a a", 1 / (1.5 + 3 / 500)),
        ("a a A", "x", "a", 1 / (1.5 + 1 / 500)),
        ("a -b", "b", "a", 1 / (1.5 + 1 / 500)),
        ("%", "x", "% %", 2 / 2.5),
        ("zzz", "x", "a", 0.0),
    ],
)
def test_scores_are_the_formula(search: str, filename: str, content: str | None, wanted: float) -> None:
    """Rule 22a: f / (f + 0.5 + L/500) for each different term, 3 more where it is in the filename."""
    assert round(wanted, 9) == score(search_terms(search), filename, content)


@given(texts, texts, st.booleans())
def test_the_stored_words_score_as_the_text_does(content: str, search: str, marks: bool) -> None:
    """What a term's occurrences in the text are is told by the stored words, too."""
    terms = search_terms(search, marks=marks)
    stored, folded = index_words(content, marks=marks), search_fold(content, marks=marks)
    for term in (term for term in terms if term.words):
        wholes = [whole for _, _, whole in occurrences(term, folded)]
        assert times_stored(term, stored) == (wholes.count(True), wholes.count(False))
    assert score(terms, "x", content, stored=stored) == score(terms, "x", content)


def test_a_snippet_stands_where_most_terms_stand_together() -> None:
    """Of a long text the part with most different terms is shown, cut at words, white space collapsed."""
    text = "needle " * 3 + "lorem ipsum " * 60 + "a  needle\n\nand its thread " + "dolor sit " * 60
    shown = snippet(text, search_terms("needle thread"))
    assert shown is not None
    assert "a needle and its thread" in shown
    assert len(shown) <= 202
    assert ("…", "…") == (shown[0], shown[-1])
    assert set(shown.strip("…").split()) <= set(text.split())


@pytest.mark.parametrize(
    "piece", ["กี่", "e\u0301\u0323", "👩\u200d👧", "각", "\u1112\u1161\u11ab", "ｶﾞ", "क्षि"]
)
@pytest.mark.parametrize("blank", ["", " " * 3])
def test_a_snippet_parts_nothing_that_is_shown_as_one(piece: str, blank: str) -> None:
    """In text without blanks, and at its odd places, a cut never stands between a character and its marks."""
    for shift in range(4):
        text = "x" * shift + (piece * 37 + blank) * 6 + "-needle-" + (piece * 31 + blank) * 6
        shown = snippet(text, search_terms("needle"))
        assert shown is not None
        assert "needle" in shown
        rest = shown.strip("…").replace("-needle-", "").replace(" ", "")
        assert rest.replace(piece, "") == ""
        assert len(shown) <= 202


@pytest.mark.parametrize(
    ("content", "search", "wanted"),
    [
        ("word " * 50 + "x" * 90 + "-needle " + "y" * 300, "needle", "…word " + "x" * 90 + "-needle…"),
        ("a" * 300 + "'s needle.", "needle", "…'s needle."),
        ("z" * 300 + " b", '"' + "z" * 300 + ' b"', "z" * 200 + "…"),
    ],
)
def test_a_snippet_is_cut_between_words_where_no_blank_is_near(
    content: str, search: str, wanted: str
) -> None:
    """A punctuation mark parts words, too; only what is longer than a snippet is cut within."""
    assert wanted == snippet(content, search_terms(search))


@pytest.mark.parametrize(
    ("content", "search", "wanted"),
    [
        (None, "x", None),
        ("", "x", ""),
        ("short\n text", "", "short text"),
        ("short text", "other", "short text"),
        ("one  two\n\nthree", '" "', "one two three"),
        ("x" * 300, "", "x" * 200 + "…"),
        ("word " * 60, "", "word " * 39 + "word…"),
    ],
)
def test_without_a_match_a_snippet_is_the_beginning(
    content: str | None, search: str, wanted: str | None
) -> None:
    """A content without the terms, and a listing without a search, show how the content begins."""
    assert wanted == snippet(content, search_terms(search))


@given(st.text(st.sampled_from(LETTERS), max_size=500), texts)
def test_a_snippet_is_bounded(content: str, search: str) -> None:
    """At most 200 characters beside the ellipses, of words of the content in their order."""
    shown = snippet(content, search_terms(search))
    assert shown is not None
    assert len(shown.removeprefix("…").removesuffix("…")) <= 200
    assert shown.removeprefix("…").removesuffix("…") in " ".join(content.split())


def test_words_agree() -> None:
    """The length of a content is counted in the words of rule 22."""
    assert 3 == len(words(search_fold("Annual — Report 2024")))

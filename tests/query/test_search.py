"""Searches: how they are split, and that nothing within the bounds raises."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.errors import FilterTooComplex, FilterValueError
from docstore.limits import Limits
from docstore.query.expr import FALSE, TRUE, And, Expr, Not, Occurs, Or
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.query.search import parse_search
from docstore.query.text import occurs, search_fold


def term(text: str, *words: str) -> Occurs:
    return Occurs(text, words, prefix=bool(words))


def phrase(text: str, *words: str) -> Occurs:
    return Occurs(text, words, prefix=False)


def parsed(search: str | None) -> Expr:
    return parse_search(search, DOCUMENTS, Limits())


def holds(expr: Expr, filename: str, content: str | None) -> bool:
    match expr:
        case And(terms):
            return all(holds(each, filename, content) for each in terms)
        case Or(terms):
            return any(holds(each, filename, content) for each in terms)
        case Not(inner):
            return not holds(inner, filename, content)
        case Occurs():
            return occurs(expr, filename, content)
    return expr == TRUE


@pytest.mark.parametrize(
    "empty",
    [
        None,
        "",
        " ",
        "\t\n\u00a0\u2028",
        "\0",
        " \0 ",
        '""',
        '-""',
        '"" -""',
        "-",
        "*",
        "OR",
        "--",
        '"',
        "á"[1:],
        "\u200b",
        "OR OR",
    ],
)
def test_an_empty_search_matches_everything(empty: str | None) -> None:
    """None, nothing, white space, NUL and empty phrases ask for nothing."""
    assert TRUE == parsed(empty)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("Report", term("report", "report")),
        ("STRASSE", term("strasse", "strasse")),
        ("straße", term("strasse", "strasse")),
        ("a b", And((term("a", "a"), term("b", "b")))),
        ("a\0b", And((term("a", "a"), term("b", "b")))),
        ("a\u3000b", And((term("a", "a"), term("b", "b")))),
        ("a a A", term("a", "a")),
        ("q3-2024", term("q3-2024", "q3", "2024")),
        ("漢字", term("漢字", "漢", "字")),
        ("%", term("%")),
        ("-a", Not(term("a", "a"))),
        ("a -b", And((term("a", "a"), Not(term("b", "b"))))),
        ("－a", Not(term("a", "a"))),
        ("--a", Not(term("-a", "a"))),
        ("a-b", term("a-b", "a", "b")),
        ("a - b", And((term("a", "a"), term("b", "b")))),
        ("a OR b", Or((term("a", "a"), term("b", "b")))),
        ("a b OR c", And((term("a", "a"), Or((term("b", "b"), term("c", "c")))))),
        ("a OR OR b OR c", Or((term("a", "a"), term("b", "b"), term("c", "c")))),
        ("OR a OR", term("a", "a")),
        ("a or b", And((term("a", "a"), term("or", "or"), term("b", "b")))),
        ('a "OR" b', And((term("a", "a"), phrase("or", "or"), term("b", "b")))),
        ("a OR -b", Or((term("a", "a"), Not(term("b", "b"))))),
        ("a* b**", And((term("a", "a"), term("b", "b")))),
        ('"a"*', phrase("a", "a")),
        ("c++", Occurs("c++", ("c",), prefix=False)),
        ("José", term("jose", "jose")),
        ("ши­на", term("шина", "шина")),
        ("โลก", term("โลก", "โ", "ล", "ก")),
        ('"Annual Report"', phrase("annual report", "annual", "report")),
        ("＂Annual Report＂", phrase("annual report", "annual", "report")),
        ('-"a b"', Not(phrase("a b", "a", "b"))),
        ('"a" b', And((phrase("a", "a"), term("b", "b")))),
        ('"a"b', And((phrase("a", "a"), term("b", "b")))),
        ('"a\0b"', phrase("a b", "a", "b")),
        ('" "', phrase(" ")),
        ('"a b', And((term("a", "a"), term("b", "b")))),
        ('-"a', Not(term("a", "a"))),
        ('plain "', term("plain", "plain")),
        ('5" c', And((Occurs('5"', ("5",), prefix=False), term("c", "c")))),
        ('a"b c"d', And((term('a"b', "a", "b"), term('c"d', "c", "d")))),
        ("a¨b", And((term("a", "a"), term("b", "b")))),
    ],
)
def test_a_search_is_folded_and_split(search: str, expected: Expr) -> None:
    """Rule 22: folded, split on white space; "…" is a phrase, a leading - excludes."""
    assert expected == parsed(search)


@pytest.mark.parametrize(
    ("search", "expected"),
    [("\ud800", FALSE), ("a\udfff b", FALSE), ("-\ud800", TRUE), ("a -\ud800", term("a", "a"))],
)
def test_a_lone_surrogate_occurs_nowhere(search: str, expected: Expr) -> None:
    """No stored text has a lone surrogate, so that a term with one matches nothing; and none raises."""
    assert expected == parsed(search)


@pytest.mark.parametrize(
    ("search", "filename", "content", "expected"),
    [
        ("port", "Report.pdf", None, True),
        ("port", "x", "the report", False),
        ("rep", "x", "the report", True),
        ('"rep"', "x", "the report", False),
        ("annual rep", "x", "rep 1: annual", True),
        ('"annual report"', "x", "The ANNUAL — report", True),
        ("report -draft", "x", "report", True),
        ("report -draft", "draft.txt", "report", False),
        ("report -draft", "x", "report, drafted", False),
        ("%", "x", "100 %", True),
        ("%", "100%.txt", None, True),
        ("_", "a-b", "a-b", False),
        ("é", "cafe\u0301", None, True),
    ],
)
def test_a_document_has_every_term_and_no_excluded_one(
    search: str, filename: str, content: str | None, expected: bool
) -> None:
    """A document matches if every term occurs in its filename or content, and no excluded one does."""
    assert expected == holds(parsed(search), filename, content)


@pytest.mark.parametrize(
    ("search", "content", "expected"),
    [
        ("etudiant", "un étudiant", True),
        ("étudiant", "un etudiant", True),
        ("istanbul", "İstanbul", True),
        ("İstanbul", "istanbul", True),
        ("елка", "ёлка", True),
        ("ёлка", "елка", True),
        ("мои", "мой", False),
        ("محمد", "مُحَمَّد", True),
        ("مُحَمَّد", "محمد", True),
        ("שלום", "שָׁלוֹם", True),
        ("โลก", "สวัสดีชาวโลก ภาษาไทย", True),
        ("ชาวโลก", "สวัสดีชาวโลก ภาษาไทย", True),
        ("-โลก", "สวัสดีชาวโลก ภาษาไทย", False),
        ("กิน", "กัน", False),
        ("か", "が", False),
        ("कुल", "कल", False),
        ("apples OR pears", "pears", True),
        ("apples OR pears", "plums", False),
        ("c++", "c plus", True),
        ("lodz", "Łódź", True),
        ("aether", "Æther", True),
        ("سلام", "\ufeb3\ufefc\ufee1", True),
        ("أحمد", "احمد", True),
        ("على", "علي", False),
        ("שלום", "שלומ", False),
        ("אל", "\ufb4f", True),
        ("σοφοσ", "ΣΟΦΌΣ", True),
        ("ΣΟΦΟΣ", "σοφός", True),
        ("strasse", "STRAẞE", True),
        ("ISIK", "ışık", True),
        ("viet nam", "Việt Nam", True),
        ("dang", "Đặng", True),
        ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af", True),
        ("하", "한", False),
        ("ａｂｃ１", "abc1", True),
        ("ខ្មែរ", "ភាសាខ្មែរ", True),
        ("ລາວ", "ພາສາລາວ", True),
        ("ဘာသာ", "မြန်မာဘာသာ", True),
        ("👨👩", "👨\u200d👩\u200d👧", True),
        ("❤", "❤\ufe0f", True),
        ("donaudampf", "Donau\u00addampf", True),
        ("野", "𠮷野家", True),
        ("吉野", "𠮷野家", False),
        ("で書く", "Pythonで書く", True),
        ("thonで", "Pythonで書く", False),
        ("don't", "don’t", True),
        ("dont", "don't", False),
        ("eau", "l’eau", True),
        ("wellknown", "well-known", False),
        ("well-known", "well\u2010known", True),
        ("case", "snake_case", True),
        ("1234", "1,234", False),
        ("1.234", "1,234", True),
        ("example.com", "to foo@example.com", True),
        ("bar@example.com", "foo@example.com", False),
        ("1/2", "½", True),
        ("½", "1/2", True),
    ],
)
def test_a_search_finds_what_people_mean(search: str, content: str, expected: bool) -> None:
    """Marks that readers leave out do not matter, in either direction; those that make another letter do."""
    assert expected == holds(parsed(search), "x", content)


def test_with_search_marks_marks_matter() -> None:
    """A store made with ``search_marks=True`` keeps José and Jose apart; case and compatibility still go."""
    found = parse_search("JOSÉ", DOCUMENTS, Limits(), marks=True)
    assert holds(found, "x", "josé")
    assert not holds(found, "x", "jose")


def test_extractions_are_searched_by_filename_alone() -> None:
    """On extractions only the filename is searched."""
    assert Occurs("a", ("a",), True, content=False) == parse_search("a", EXTRACTIONS, Limits())


@given(st.text(max_size=60) | st.text('ab "-\0\ud800漢¨', max_size=20), st.text(max_size=20))
def test_no_text_within_the_bounds_raises(search: str, content: str) -> None:
    """Any text within the bounds is a search."""
    assert holds(parsed(search), "report.pdf", content) in (True, False)


@given(st.text("abcé漢.-_%", min_size=1, max_size=6), st.text("abcé漢.-_% ", max_size=8))
def test_what_a_filename_has_is_found(piece: str, rest: str) -> None:
    """In the filename a term occurs as a substring, however short it is."""
    searched = f'"{piece}"'
    assert holds(parsed(searched), rest + piece + rest, None) == (
        search_fold(piece) in search_fold(rest + piece + rest)
    )


def test_a_search_that_is_too_long_is_named() -> None:
    """Longer than the bound is FilterTooComplex, counted in characters as given."""
    assert TRUE != parsed("é" * 1000)
    with pytest.raises(FilterTooComplex, match="1001 characters; at most 1000") as caught:
        parsed("é" * 1001)
    assert ("search_characters", 1000) == (caught.value.bound, caught.value.limit)


@pytest.mark.parametrize("wrong", [5, b"a", ["a"], True, {"a": 1}])
def test_a_search_that_is_no_text_is_refused(wrong: Any) -> None:
    """Anything but text and None is FilterValueError."""
    with pytest.raises(FilterValueError, match="expected text or None"):
        parsed(wrong)

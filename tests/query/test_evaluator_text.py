"""Predicates on strings: rule 18, and the string operators after rule 19."""

import re
import sys
from typing import Any

import pytest

from docstore.errors import FilterError, FilterSyntaxError, FilterValueError
from docstore.query import patterns
from docstore.query.evaluator import matches, matches_filter
from docstore.query.expr import leaves
from docstore.query.parser import parse
from docstore.query.patterns import (
    CharacterClass,
    Wild,
    glob_tokens,
    matcher,
    prepare,
    required_literals,
    searcher,
)
from docstore.query.planner import normalize


@pytest.mark.parametrize(
    ("pattern", "options", "value", "expected"),
    [
        ("b", "", "abc", True),
        ("^b", "", "abc", False),
        ("B", "i", "abc", True),
        ("É", "i", "é", True),
        ("ς", "i", "Σ", True),
        ("c$", "", "abc\n", False),
        ("c$", "m", "abc\nd", True),
        ("^d", "m", "abc\nd", True),
        ("^d", "", "abc\nd", False),
        ("c.d", "", "c\nd", False),
        ("c.d", "s", "c\nd", True),
        ("a b # end", "x", "ab", True),
        (r"a\ b[ #]", "x", "a b#", True),
        ("a|b c", "ix", "BC", True),
        ("abc", "u", "abc", True),
        (r"\d", "", "٣", False),
        (r"\w", "", "é", False),
        ("", "", "", True),
        ("a|b", "im", "B", True),
        ("(?i)B", "", "b", True),
        (r"^\x{1F600}$", "", "😀", True),
        ("x", "", 1, False),
        ("x", "", ["y", "x"], True),
        ("x", "", [["x"]], False),
        ("x", "", {"x": "x"}, False),
    ],
)
def test_regex(pattern: str, options: str, value: Any, expected: bool) -> None:
    """Rule 18: RE2 is searched in strings, with the options ``i m s x u``."""
    assert expected == matches_filter({"a": {"$regex": pattern, "$options": options}}, {"a": value})
    assert expected == matches_filter({"a": {"$options": options, "$regex": pattern}}, {"a": value})
    negated = {"a": {"$not": {"$regex": pattern, "$options": options}}}
    assert expected is not matches_filter(negated, {"a": value})


@pytest.mark.parametrize(
    "condition",
    [
        {"$regex": "a(?=b)"},
        {"$regex": "(?<!a)b"},
        {"$regex": r"(a)\1"},
        {"$regex": "a++"},
        {"$regex": "("},
        {"$regex": "*"},
        {"$regex": "a{2000}"},
        {"$regex": "\0"},
        {"$regex": "\ud800"},
        {"$regex": 1},
        {"$regex": None},
        {"$regex": ["a"]},
        {"$regex": "a", "$options": "g"},
        {"$regex": "a", "$options": 1},
        {"$regex": "a", "$options": None},
        {"$regex": re.compile(b"a")},
        {"$regex": re.compile("a", re.IGNORECASE), "$options": "m"},
        {"$eq": re.compile("a")},
        {"$ne": re.compile("a")},
        {"$in": [re.compile("a")]},
        {"$gt": re.compile("a")},
    ],
)
def test_bad_regexes(condition: Any) -> None:
    """Rule 18: what RE2 does not have, unknown options and other types are errors with a place."""
    with pytest.raises(FilterValueError) as wrong:
        matches_filter({"a": condition}, {})
    assert wrong.value.path.startswith("a/")


@pytest.mark.parametrize("condition", [{"$options": "i"}, {"$options": "i", "$eq": "a"}])
def test_options_alone(condition: Any) -> None:
    """Rule 18: ``$options`` alone is an error."""
    with pytest.raises(FilterSyntaxError):
        matches_filter({"a": condition}, {})


def test_what_re2_lacks_is_said() -> None:
    """Rule 18: the error says that there is no look-around, no back-reference."""
    with pytest.raises(FilterError, match="look-around"):
        matches_filter({"a": {"$regex": "a(?=b)"}}, {})
    with pytest.raises(FilterError, match="back-reference"):
        matches_filter({"a": {"$regex": r"(a)\1"}}, {})


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        (re.compile("^a"), "abc", True),
        (re.compile("A", re.IGNORECASE), "abc", True),
        (re.compile("a b", re.VERBOSE), "ab", True),
        (re.compile("(?i)A"), "abc", True),
        (re.compile("a.b", re.DOTALL), "a\nb", True),
        (re.compile("^b", re.MULTILINE), "a\nb", True),
        ({"$regex": re.compile("^a")}, "abc", True),
        ({"$regex": re.compile("A"), "$options": "i"}, "abc", True),
        ({"$not": re.compile("^a")}, "abc", False),
    ],
)
def test_compiled_patterns(condition: Any, value: str, expected: bool) -> None:
    """Rule 18: a compiled pattern stands for ``$regex`` with its flags."""
    assert expected == matches_filter({"a": condition}, {"a": value})


def test_regexes_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 18: without google-re2 the error names what to install."""
    patterns._compiled.cache_clear()
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(FilterError, match=r'pip install "embedded-docstore\[regex\]"'):
        matches_filter({"a": {"$regex": "never seen before"}}, {})


@pytest.mark.parametrize(
    ("pattern", "translated"),
    [
        ("a b", "ab"),
        ("a # b ) [\nc", "ac"),
        (r"a\ b", r"a\ b"),
        ("[a b]", "[a b]"),
        ("[] #]", "[] #]"),
        ("[[:alpha:] ] ", "[[:alpha:] ]"),
        (r"\Qa b\E c", r"\Qa b\Ec"),
        (r"\01 2", r"\01(?:)2"),
        ("a +", "a+"),
        (r"\# x", r"\#x"),
        ("a#", "a"),
    ],
)
def test_extended_patterns(pattern: str, translated: str) -> None:
    """Rule 18: ``x`` is translated before RE2 sees the pattern."""
    assert (translated, "") == prepare(pattern, "x")


def test_flags_are_sorted() -> None:
    """The Expr keeps a sorted subset of ``ims``."""
    assert ("a", "ims") == prepare("a", "xusmmi")


@pytest.mark.parametrize(
    ("word", "operand", "value", "expected"),
    [
        ("$substring", "bc", "abcd", True),
        ("$substring", "BC", "abcd", False),
        ("$substring", "", "", True),
        ("$substring", "%", "a%b", True),
        ("$substring", "_", "ab", False),
        ("$substring", "a", ["b", "cab"], True),
        ("$substring", "1", 1, False),
        ("$isubstring", "BC", "abcd", True),
        ("$isubstring", "STRASSE", "Straße", True),
        ("$isubstring", "ß", "STRASSE", True),
        ("$isubstring", "é", "E\u0301", True),
        ("$isubstring", "ﬁ", "FILE", True),
        ("$startsWith", "ab", "abc", True),
        ("$startsWith", "b", "abc", False),
        ("$startsWith", "A", "abc", False),
        ("$startsWith", "", "abc", True),
        ("$startsWith", "a", [["abc"]], False),
        ("$glob", "*.pdf", "a/b.pdf", True),
        ("$glob", "*.pdf", "a.pdf.txt", False),
        ("$glob", "*.pdf", "A.PDF", False),
        ("$iglob", "*.pdf", "A.PDF", True),
        ("$iglob", "[A-C]*", "beta", True),
        ("$iglob", "[!A-C]*", "beta", False),
        ("$iglob", "straße", "STRASSE", True),
        ("$iglob", "＊", "ab", False),
        ("$iglob", "＊", "*", True),
    ],
)
def test_string_operators(word: str, operand: str, value: Any, expected: bool) -> None:
    """After rule 19: on strings and on each string of an array; ``i…`` compare folded text."""
    assert expected == matches_filter({"a": {word: operand}}, {"a": value})


@pytest.mark.parametrize("operand", [1, None, True, ["a"], {"a": 1}, "a\0", "\ud800", re.compile("a")])
@pytest.mark.parametrize("word", ["$substring", "$isubstring", "$startsWith", "$glob", "$iglob"])
def test_string_operators_take_text(word: str, operand: Any) -> None:
    """After rule 19: the operand is text."""
    with pytest.raises(FilterValueError):
        matches_filter({"a": {word: operand}}, {})


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("", [""], ["a"]),
        ("*", ["", "a", "a\nb", "a/b"], []),
        ("?", ["a", "\n", "😀"], ["", "ab"]),
        ("a*b*c", ["abc", "aXbYc", "abbcc"], ["ab", "acb", "abcd"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("*ab", ["ab", "abab", "aab"], ["aba"]),
        ("**a**", ["a", "bab"], ["b"]),
        ("[abc]", ["a", "c"], ["d", "ab", ""]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[!a-c]", ["d", "\n", "]"], ["a", ""]),
        ("[^a]", ["^", "a"], ["b"]),
        ("[]a]", ["]", "a"], ["b", "[]a]"]),
        ("[!]a]", ["b"], ["]", "a"]),
        ("[]", ["[]"], ["]"]),
        ("[!]", ["[!]"], ["a"]),
        ("[a", ["[a"], ["a"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[-a]", ["-", "a"], ["b"]),
        ("[z-a]", [], ["z", "a", "m", "-"]),
        ("[!z-a]", ["z", "a", "m"], ["", "ab"]),
        ("[z-ab]", ["b"], ["z", "a", "-"]),
        ("[\\]", ["\\"], ["]"]),
        ("[a\\]]", ["a]", "\\]"], ["]"]),
        ("[*?]", ["*", "?"], ["a"]),
        ("\\*", ["*"], ["a", "\\a"]),
        ("\\[a]", ["[a]"], ["a"]),
        ("a\\", ["a\\"], ["a"]),
        ("\\\\", ["\\"], ["\\\\"]),
        ("\\a", ["a"], ["\\a"]),
        ("[a-c-e]", ["b", "-", "e"], ["d"]),
        ("%_", ["%_"], ["ab"]),
        ("[[]", ["["], ["]"]),
        ("[&&x]", ["&", "x"], ["y"]),
        ("[a||b]", ["|"], ["c"]),
    ],
)
def test_globs(pattern: str, matching: list[str], others: list[str]) -> None:
    """After rule 19: the whole value; classes, complements, quoting, and what is ordinary."""
    assert [(text, True) for text in matching] == [(text, matcher(pattern)(text)) for text in matching]
    assert [(text, False) for text in others] == [(text, matcher(pattern)(text)) for text in others]


def test_glob_tokens() -> None:
    """Literals are joined, runs of ``*`` are one, required literals are those of the tokens."""
    assert ("a*b", Wild.ANY, Wild.ONE, CharacterClass((("x", "z"),), True)) == glob_tokens(r"a\*b**?[!x-z]")
    assert ["ss", "b"] == required_literals("ß*?B", folded=True)


def test_globs_do_not_backtrack() -> None:
    """STORAGE, promise 14: no operator can backtrack."""
    assert not matcher("*a" * 100 + "b")("a" * 20_000)


def test_searchers_take_long_text() -> None:
    """Rule 18: linear time."""
    assert not searcher("(a*)*b")("a" * 100_000)


MANY = ["a+b", r"^x\d", r"(?i)ÉT", "z|y$", r"\Q(|", "[)]", "q(?:r|s)t", "^$", r"(?s)m.n"]
TEXTS = [
    "aab",
    "AAB",
    "x7",
    "0x7",
    "été",
    "Été",
    "zoo",
    "day",
    "days",
    "(|",
    "ew",
    "w",
    ")",
    "qst",
    "",
    "m\nn",
    "é",
]


@pytest.mark.parametrize("flags", ["", "i", "m", "s", "ims"])
def test_alternative_patterns_are_one(flags: str) -> None:
    """Rule 18: several patterns match a text just if one of them does, whatever it quotes."""
    terms: list[Any] = [{"a": {"$regex": pattern, "$options": flags}} for pattern in MANY]
    expr = normalize(parse({"$or": terms}, None))
    assert 2 == len(list(leaves(expr)))
    for text in TEXTS:
        expected = any(searcher(pattern, flags)(text) for pattern in MANY)
        assert expected == matches(expr, {"a": text}, free=True), text
        assert expected != matches_filter({"$nor": terms}, {"a": text}), text


def test_patterns_that_are_too_large_together_stand_alone() -> None:
    """Rule 18: what RE2 refuses to put together is looked for one after the other."""
    terms = [{"a": {"$regex": f"^.{{0,{length}}}$", "$options": "s"}} for length in range(601, 700)]
    expr = normalize(parse({"$or": terms}, None))
    assert 99 == len(list(leaves(expr)))
    assert [True, False] == [matches(expr, {"a": "x" * length}, free=True) for length in (699, 700)]


def test_many_alternatives_are_one_test_of_each_text() -> None:
    """An ``$or`` of text operators on one path matches what its terms match, elements of arrays included."""
    words = ("$substring", "$isubstring", "$startsWith", "$glob", "$iglob")
    terms: list[Any] = [{"a": {word: text}} for text in ("Foo*", "b?r", "éÉ") for word in words]
    terms += [{"a": {"$regex": "^z+$", "$options": options}} for options in ("", "i")]
    values: list[Any] = [
        "Foo*", "xfoo*x", "b?r", "BAR", "ÉÉ", "éé", "ZZ", "Xy", 1, None, "", [], ["no", "bar"],
        [["bar"]], {"a": "z"},
    ]  # fmt: skip
    for value in values:
        expected = any(matches_filter(term, {"a": value}) for term in terms)
        assert expected == matches_filter({"$or": terms}, {"a": value}), value
        assert expected != matches_filter({"$nor": terms}, {"a": value}), value
        nested = {"$or": [{"c": 1}, {"b": {"$elemMatch": {"$or": terms}}}]}
        assert expected == matches_filter(nested, {"b": [{"a": value}]}), value

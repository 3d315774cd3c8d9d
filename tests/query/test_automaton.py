"""Many patterns walked through a text at once say what RE2 says of each."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from docstore.query.expr import Match
from docstore.query.many.at_once import AtOnce, Question
from docstore.query.many.automaton import Automaton
from docstore.query.many.leaf_sequences import sequences_of
from docstore.query.many.reading import sequences
from docstore.query.predicates import matches_text
from docstore.query.regex import BadPattern, prepare, searcher
from docstore.query.text import fold

ATOMS = [
    "a",
    "b",
    "é",
    "É",
    "K",
    "k",
    "s",
    ".",
    "[a-c]",
    "[^a-c]",
    "[é-ü]",
    "[^é]",
    "[一丁]",
    "[α-ώ]",
    "[Ͱ-⚘]",
    "[Ā-ſ]",
    "[^ﬅé]",
    "\\d",
    "\\w",
    "\\W",
    "\\S",
    "\\pL",
    "\\PN",
    "[^\\pLa]",
    "[[:alpha:]x]",
    "[[:^lower:]]",
    "[\\w-]",
    "[^\\W]",
    "\\n",
    "\\x41",
    "\\x{e9}",
    "\\101",
    "\\.",
    "-",
    "ß",
    "ΐ",
    "ı",
    "I",
    "(?i:k)",
    "(?i:[ΐa])",
    "\\Qa.\\E",
    "\\b",
    "\\B",
    "^",
    "$",
    "\\A",
    "\\z",
]
TIMES = ["", "", "", "*", "+", "?", "{2}", "{0,3}", "{1,2}", "{3,}", "{2,4}", "*?", "{9}", "{0,40}"]
CHARACTERS = "abcKkKsſSéÉüßẞΐΰﬅﬆıIİ日一丁A.-09 \n_Ωωσς\ua7cbɤ"
TEXTS = st.text(CHARACTERS, max_size=20)


def joined(parts: list[tuple[str, str]]) -> str:
    return "".join(atom + times for atom, times in parts)


BRANCHES = st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(TIMES)), min_size=1, max_size=4).map(
    joined
)
GROUPS = st.builds(
    lambda kind, branches, times: f"({kind}{'|'.join(branches)}){times}",
    st.sampled_from(["", "?:", "?i:", "?s:", "?m:", "?P<n>"]),
    st.lists(BRANCHES, min_size=1, max_size=3),
    st.sampled_from(TIMES),
)
PATTERNS = st.lists(st.one_of(BRANCHES, BRANCHES, GROUPS), min_size=1, max_size=3).map("".join)
FLAGS = st.sampled_from(["", "", "i", "m", "s", "im", "is", "ims"])


def accepted(pattern: str, flags: str) -> bool:
    try:
        prepare(pattern, flags)
    except BadPattern:
        return False
    return True


def asked(patterns: list[tuple[str, str]]) -> list[Question]:
    return [(partial(sequences, *pattern), searcher(*pattern)) for pattern in patterns]


@given(st.lists(st.tuples(PATTERNS, FLAGS), min_size=1, max_size=8), st.lists(TEXTS, min_size=1, max_size=5))
@example([("\\b\\bé", ""), ("a\\b[b-c]*\\b-", "")], ["a-", "aé", "é"])
@example([("(?:\\pN|[Ͱ-⚘])$", "is"), ("ΐ", "i"), ("ﬅ", "i"), ("I", "i")], ["ß", "ΐ", "ﬆ", "ı"])
@example([("^a$", "m"), ("a$", ""), ("\\Aa\\z", "m")], ["b\na\nb", "a\n", "a", ""])
@example(
    [("a{0,40}b", ""), ("^a{3,7}$", ""), ("(a{2}){1,3}b", ""), ("(?:ab?){2,}$", "")], ["aaab", "aaa", "abab"]
)
def test_at_once_is_each_alone(patterns: list[tuple[str, str]], texts: list[str]) -> None:
    """Whatever the patterns are, they are found as RE2 finds each; for longer texts, too."""
    patterns = [pattern for pattern in patterns if accepted(*pattern)]
    every = (1 << len(patterns)) - 1
    for longest in (20, 63):
        at_once = AtOnce.of(asked(patterns), longest)
        assert at_once is not None
        for text in texts:
            expected = sum(searcher(*pattern)(text) << at for at, pattern in enumerate(patterns))
            assert (expected, expected != 0, expected == every) == (
                found(at_once, patterns, text),
                at_once.any(text),
                at_once.all(text),
            )


PIECES = [
    "a",
    "B",
    "é",
    "ß",
    "ﬁ",
    "\n",
    "-",
    "*",
    "?",
    "[a-c]",
    "[!a]",
    "[!]",
    "[é-ﬁ]",
    "[b-a]",
    "[!b-a]",
    "\\*",
    "日",
]
LEAVES = st.builds(
    Match,
    st.just(("f",)),
    st.sampled_from(["substring", "isubstring", "starts_with", "glob", "iglob"]),
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
)


@given(st.lists(LEAVES, min_size=1, max_size=8), st.text("abBéßﬁs\n-*? 日", max_size=12))
def test_texts_and_globs(leaves: list[Match], text: str) -> None:
    """Globs and texts are read exactly: nothing has to be asked again."""
    for folds in (False, True):
        some = [leaf for leaf in leaves if leaf.folds is folds]
        given = fold(text) if folds else text
        if len(given) > 31:
            continue
        at_once = AtOnce.of([(partial(sequences_of, leaf), never) for leaf in some], 31)
        assert at_once is not None
        expected = sum(matches_text(leaf)(text) << at for at, leaf in enumerate(some))
        assert expected == at_once.told(given)[0]


def found(at_once: AtOnce, patterns: list[tuple[str, str]], text: str) -> int:
    surely, perhaps = at_once.told(text)
    assert not surely & perhaps
    alone = [searcher(*pattern)(text) << at for at, pattern in enumerate(patterns)]
    return surely | perhaps & sum(alone)


def never(text: str) -> bool:
    raise AssertionError(f"asked again of {text!r}")


@pytest.mark.parametrize(
    ("pattern", "flags"),
    [
        ("^invoice-[0-9]{4}.*\\.pdf$", ""),
        ("[^a-c].{12}[x-z].{7}[A-C]$", ""),
        ("\\b[a-z]{2,5}\\b", "im"),
        ("q12[xyz]+w", ""),
        ("(?i)[à-ö]+é|straße", ""),
        ("(?:jpg|png|gif|webp|tiff)$", "i"),
        ("^(?:a|bc)?d{2}(?:e|f)$", ""),
        ("\\pL+\\d?", "s"),
    ],
)
def test_what_people_write_is_read_exactly(pattern: str, flags: str) -> None:
    """Of ordinary patterns the walk is sure, so that RE2 is not asked again."""
    read = sequences(pattern, flags)
    assert read is not None
    assert all(sequence.exact for sequence in read)


@pytest.mark.parametrize("pattern", ["a\\C", "(?i)*a", "\\Qab\\E*", "[[:bogus:]]", "(?x)a"])
def test_what_is_not_read(pattern: str) -> None:
    """What is not understood is unknown, never wrong."""
    assert sequences(pattern) is None


def test_counts_beyond_the_length_take_no_places() -> None:
    """What a text is too short for costs nothing."""
    one = sequences("^.{0,690}$")
    long = sequences("(?:[a-m].{100}){7}x")
    assert one is not None
    assert long is not None
    assert Automaton([one], 15, 1_000).size < 5
    assert Automaton([long], 15, 1_000).size == 0


def test_none_for_texts_too_long_and_patterns_too_large() -> None:
    """Where it would be too large, there is no automaton."""
    questions = asked([("[a-c]x", "")])
    assert AtOnce.of(questions, 70_000) is None
    wide = "^" + "[a-c]?[b-d]?" * 70 + "$"
    assert AtOnce.of(asked([(wide, "")] * 800), 200) is None


def test_characters_of_unknown_case_are_asked_of_re2() -> None:
    """Python's Unicode is not RE2's: about characters that are newer than 3.2, with ``i``, RE2 decides."""
    answers: list[str] = []

    def alone(text: str) -> bool:
        answers.append(text)
        return searcher("ɤ", "i")(text)

    at_once = AtOnce.of([(partial(sequences, "ɤ", "i"), alone)], 7)
    assert at_once is not None
    assert [searcher("ɤ", "i")(text) for text in ("\ua7cb", "x\ua7cb")] == [
        at_once.any("\ua7cb"),
        at_once.any("x\ua7cb"),
    ]
    assert ["\ua7cb", "x\ua7cb"] == answers


NEW = [
    "\u1c80", "\u1c85", "\u1c88", "\u1e9e", "\ua64a", "\ua7cb", "\uab70", "\u1c90", "\u2c2f", "\u04cf",
    "\U00010428",
]  # fmt: skip


@pytest.mark.parametrize("letter", NEW)
def test_nothing_that_differs_by_case_is_missed(letter: str) -> None:
    """A letter newer than Unicode 3.2 in a pattern with ``i`` finds what it finds in RE2, old letters too."""
    others = [
        chr(code)
        for start in (0x80, 0x400, 0x10A0, 0x13A0, 0x1C80, 0xA640, 0xAB70)
        for code in range(start, start + 0x80)
    ]
    read = sequences(letter, "i")
    assert read is not None
    automaton = Automaton([read], 1, 1_000)
    search = searcher(letter, "i")
    assert [] == [other for other in (*others, letter) if search(other) and not automaton.found(other)]
    assert search(letter)

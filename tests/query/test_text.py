"""Folding, words and symbols: rule 22 of SEMANTICS, and the stored forms against the definition."""

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.query import text
from docstore.query.expr import Occurs

LETTERS = (
    "aAbBzÄßéıİſΣσςЖжकि٣５०漢字かガﾞ゙゚ー〇々한글ᄀ𠀀𝔄𐐀🄰é̈ﬁ½²Ⅷ❶"
    "_-–—*%\"'`~.,;:!?¨´¸ \t\n\u00a0\u2028\u200d\u00ad\ufffd🙂"
)
texts = st.one_of(st.text(st.sampled_from(LETTERS), max_size=30), st.text(max_size=30))


@given(texts)
def test_fold_is_the_formula(raw: str) -> None:
    """fold(s) = NFKC(casefold(NFKC(s)))."""
    expected = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", raw).casefold())
    assert expected == text.fold(raw)


@given(
    texts | st.text(st.sampled_from("еЕёЁиИйї\u0306\u0308\u0301\u200b\u00adŁøıßſ\u0345a"), max_size=8),
    st.booleans(),
)
def test_the_fold_for_search_is_idempotent(raw: str, marks: bool) -> None:
    """Folding what is folded changes nothing, so that a stored fold can be compared with a fold."""
    folded = text.search_fold(raw, marks=marks)
    assert folded == text.search_fold(folded, marks=marks)


@given(st.lists(texts | st.sampled_from(["\u0308", "\u1161", "й\u0306", "x" * 60 + "é"])), st.booleans())
def test_a_long_text_is_folded_as_if_at_once(parts: list[str], marks: bool) -> None:
    """A long text is folded word by word: what is folded together there, is folded together alone."""
    short = " ".join(parts)[:80]
    long = f"{short} {'é ' * 200}"
    assert text.search_fold(long, marks=marks).startswith(text.search_fold(f"{short} ", marks=marks))


@given(st.lists(texts | st.sampled_from(["a " * 150, "z" * 300, "-" * 300]), max_size=6))
def test_a_long_text_has_the_words_and_symbols_of_its_folded_words(parts: list[str]) -> None:
    """The pieces in which a long text is folded and parted change nothing of what is stored of it."""
    folded = " ".join(text.search_fold(word) for word in " ".join(parts).split(" "))
    assert text.search_fold(" ".join(parts)) == folded
    classes = "".join(str(text._SYMBOLS[ord(letter)] == text.SYMBOL_SEPARATOR)[0] for letter in folded)
    runs = ["".join(folded[at:end]) for at, end in _runs(classes, "F")]
    assert text.symbols(folded) == list(dict.fromkeys(runs))
    assert "".join(text.words(folded)) == "".join(folded[at:end] for at, end in _runs(classes, "T"))


def _runs(classes: str, kind: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(f"{kind}+", classes)]


@pytest.mark.parametrize(
    ("raw", "folded"),
    [
        ("José", "jose"),
        ("Łódź Ørsted Đà ðe Ħal Ŧ ıİ Æther œuvre Þór", "lodz orsted da de hal t ii aether oeuvre thor"),
        ("ЁЛКА Ёж Й Ї Ў ѐ", "елка еж й ї ў е"),
        ("мо\u0301й", "мой"),
        ("مُحَمَّدـ", "محمد"),
        ("שָׁלוֹם", "שלום"),
        ("ﬁ ２ ｶﾞ", "fi 2 ガ"),
        ("a\u00adb\ufe0f\u200d", "ab"),
        ("が कुल กิน", "が कुल กิน"),
    ],
)
def test_the_fold_for_search_drops_what_readers_leave_out(raw: str, folded: str) -> None:
    """Rule 22: ignorables, listed marks, case, listed letters; a mark that makes another letter stays."""
    assert folded == text.search_fold(raw)


@pytest.mark.parametrize(
    ("folded", "expected"),
    [
        ("ไทยa", ["ไ", "ท", "ย", "a"]),
        ("report-2024_final.pdf", ["report", "2024", "final", "pdf"]),
        ("straße42", ["straße42"]),
        ("漢字かな한글abc", ["漢", "字", "か", "な", "한", "글", "abc"]),
        ("二〇二四年", ["二", "〇", "二", "四", "年"]),
        ("x漢y", ["x", "漢", "y"]),
        ("हिन्दी शब्द", ["हिन्दी", "शब्द"]),
        ("か゚a", ["か", "゚", "a"]),
        ("e\u0301\u0323x", ["e\u0301\u0323x"]),
        ("𠀀𐐨𐐩 🙂", ["𠀀", "𐐨𐐩"]),
        ("❶a", ["a"]),
        ("", []),
        (" .,", []),
    ],
)
def test_words_are_runs_of_letters_marks_and_digits(folded: str, expected: list[str]) -> None:
    """Words are maximal runs of letters, marks and digits; each CJK, kana, Hangul character is its own."""
    assert expected == text.words(folded)


def _is_single(char: str) -> bool:
    scripts = ("THAI", "LAO", "MYANMAR", "KHMER")
    blocks = ("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "IDEOGRAPHIC", "BOPOMOFO", "HANGUL", "HANGZHOU")
    kana = (
        "HIRAGANA",
        "KATAKANA",
        "HENTAIGANA",
        "COMBINING KATAKANA",
        "VERTICAL KANA",
        "VERTICAL IDEO",
        "MASU",
    )
    named = unicodedata.name(char, "").removeprefix("HALFWIDTH ").startswith(blocks + kana + scripts)
    tally = 0x1D372 <= ord(char) <= 0x1D376
    return (named and not tally and unicodedata.category(char)[0] in "LMN") or 0x20000 <= ord(char) <= 0x3FFFD


def _words_by_hand(folded: str) -> list[str]:
    found: list[str] = []
    open_run = False
    for char in folded:
        single = _is_single(char)
        wordly = single or unicodedata.category(char)[0] in "LM" or unicodedata.category(char) == "Nd"
        if wordly and open_run and not single:
            found[-1] += char
        elif wordly:
            found.append(char)
        open_run = wordly and not single
    return found


def test_every_character_is_classed_by_category_and_name() -> None:
    """The tables agree with a scan that asks each character for its category and name."""
    every = [chr(code) for code in (*range(0x32400), *range(0xE0000, 0xE0200))]
    known = [char for char in every if unicodedata.category(char) not in ("Cs", "Cn")]
    wrong = [char for char in known if _words_by_hand(f"x{char}y") != text.words(f"x{char}y")]
    assert [] == wrong


@given(texts.map(text.fold))
def test_words_agree_with_a_scan_of_characters(folded: str) -> None:
    """Runs begin and end where a scan of the characters has them begin and end."""
    assert _words_by_hand(folded) == text.words(folded)


@given(st.text(st.characters(max_codepoint=0x7F), max_size=40))
def test_ascii_has_no_rule_of_its_own(folded: str) -> None:
    """A character beyond ASCII elsewhere in the text changes nothing of the rest."""
    assert text.words(folded) == text.words(folded + "\u00a0")
    assert text.symbols(folded + "aé") == text.symbols(folded + "a")


@given(texts)
def test_words_and_symbols_take_the_text_apart(raw: str) -> None:
    """Every character is in a word or in a run of symbols, and no symbol run has the separator."""
    folded = text.fold(raw)
    assert set(folded) == set("".join(text.words(folded)) + "".join(text.symbols(folded)))
    assert [] == [run for run in text.symbols(folded) if text.SYMBOL_SEPARATOR in run or text.words(run)]


def test_stored_words_begin_and_end_with_a_space() -> None:
    """The stored form: each word after one space, and a space at the end."""
    assert " annual report 2024 " == text.index_words("Annual — Report\n(2024)")


@pytest.mark.parametrize("content", [None, "", "—!"])
def test_no_words_are_stored_as_nothing(content: str | None) -> None:
    """A content without words has the empty stored form, in which no term's words are found."""
    assert "" == text.index_words(content)


def test_symbols_are_stored_once() -> None:
    """The stored symbols are the distinct maximal runs of what is between the words."""
    assert [" ", " — ", "!?"] == text.stored_symbols("x y — z — y!?").split("a")


def _symbols(content: str | None) -> str:
    return text.stored_symbols(text.search_fold(content or ""))


def _term(raw: str, prefix: bool, content: bool) -> Occurs:
    folded = text.search_fold(raw)
    return Occurs(folded, tuple(text.words(folded)), prefix, content)


@given(texts.filter(bool), texts, st.none() | texts, st.booleans(), st.booleans())
def test_stored_forms_agree_with_the_definition(
    raw: str, filename: str, content: str | None, prefix: bool, looks: bool
) -> None:
    """A term occurs by the stored forms exactly where it occurs by the definition."""
    term = _term(raw, prefix, looks)
    found = text.occurs_in(
        term, text.search_fold(filename), text.index_words(content), _symbols(content)
    )
    assert text.occurs(term, filename, content) == found


@given(texts.filter(bool), texts, st.data())
def test_stored_forms_agree_on_slices_of_the_content(cut: str, content: str, data: st.DataObject) -> None:
    """The same where it is likely to occur: the term is a slice of the content."""
    start = data.draw(st.integers(0, len(content)))
    raw = content[start : data.draw(st.integers(start, len(content)))] or cut
    term = _term(raw, data.draw(st.booleans()), True)
    found = text.occurs_in(term, "", text.index_words(content), _symbols(content))
    assert text.occurs(term, "", content) == found


@pytest.mark.parametrize(
    ("raw", "prefix", "expected"),
    [
        ("annual rep", True, True),
        ("annual rep", False, False),
        ("nual", True, False),
        ("report annual", True, False),
        ("ANNUAL-REPORT", False, True),
        ("—", True, True),
        (" — ", False, True),
        ("——", False, False),
    ],
)
def test_a_terms_words_stand_side_by_side(raw: str, prefix: bool, expected: bool) -> None:
    """In the content a term occurs as neighbouring words, the last perhaps begun; symbols as a substring."""
    term = _term(raw, prefix, True)
    content = "The Annual Report — 2024"
    assert expected == text.occurs(term, "x.pdf", content)


@pytest.mark.parametrize("sample", ["Der schnelle Fuchs, ", "Съешь же ещё этих", "漢字とかな、", "𐐀𐐁 🙂 é "])
def test_a_megabyte_takes_well_under_a_second(sample: str) -> None:
    """Indexing 1 MB of text costs well under a second of CPU, three on a machine that is slow."""
    content = sample * (1_000_000 // len(sample))
    text.index_words(sample)
    before = time.thread_time()
    text.index_words(content)
    _symbols(content)
    assert time.thread_time() - before < 3.0

"""Text as a search sees it (rule 22): folding, words and symbols, and the form of them that backends store.

All of it runs in Python, at write time and in ``parse_search``; no backend folds or splits text itself. What
a character is (letter, mark, digit) is asked of the running Python's :mod:`unicodedata`.

There are two folds. :func:`fold` is that of ``$isubstring`` and ``$iglob``: case goes, marks stay.
:func:`search_fold` is that of a search: it drops what readers leave out, so that ``Jose`` finds ``José``.

A *word character* is one of

- the Unicode categories L* (letters), M* (marks) and Nd (decimal digits);
- the characters of scripts that are written without blanks, in the ranges in ``_SINGLE``: ideographs, kana,
  bopomofo, Hangul, Thai, Lao, Khmer and Myanmar, numerals such as U+3007 among them. Each of these is a word
  of its own; so is a mark from those ranges (U+3099, U+0E31 …). Any other mark belongs to its run.

All other characters separate words: white space, punctuation, symbols, numbers such as U+2776 that are no
decimal digits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from docstore.query.expr import Occurs

# Stands between the runs in `stored_symbols`: a letter, so no run has it, nor a term sought there.
SYMBOL_SEPARATOR = "a"

_SINGLE = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul Jamo
    (0x1780, 0x17FF),  # Khmer
    (0x19E0, 0x19FF),  # Khmer symbols
    (0x2E80, 0x2FDF),  # CJK and Kangxi radicals
    (0x3005, 0x3007),  # ideographic iteration and closing marks, zero
    (0x3021, 0x302F),  # Hangzhou numerals, tone marks
    (0x3031, 0x3035),  # kana repeat marks
    (0x3038, 0x303C),  # Hangzhou numerals, vertical iteration mark, masu mark
    (0x3041, 0x31BF),  # Hiragana, Katakana, Bopomofo, Hangul compatibility Jamo, Kanbun
    (0x31F0, 0x31FF),  # Katakana phonetic extensions
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK unified ideographs
    (0xA960, 0xA97F),  # Hangul Jamo extended A
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAA7F),  # Myanmar extended A
    (0xAC00, 0xD7FF),  # Hangul syllables, Jamo extended B
    (0xF900, 0xFAFF),  # CJK compatibility ideographs
    (0xFF66, 0xFFDC),  # halfwidth Katakana and Hangul
    (0x116D0, 0x116E3),  # Myanmar extended C, known to Python 3.14
    (0x1AFF0, 0x1B16F),  # kana extensions
    (0x20000, 0x3FFFD),  # the ideographic planes
)
_ASCII_WORDS = "".join(c if c.isalnum() else " " for c in map(chr, range(128)))
_ASCII_SYMBOLS = "".join(SYMBOL_SEPARATOR if c.isalnum() else c for c in map(chr, range(128)))


def fold(text: str) -> str:
    """Return ``text`` as case-insensitive comparisons and searches see it: NFKC(casefold(NFKC(text)))."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


# Unicode's default-ignorable code points (DerivedCoreProperties.txt, version 15).
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

# Vowels and finals of Hangul, which compose with what stands before them.
_JAMO = re.compile("[\u1160-\u11ff\ud7b0-\ud7ff\uffa0-\uffdc]")

# Where the marks stand that readers leave out when they type a word (rule 22); of these the category Mn.
_LEFT_OUT = (
    (0x0300, 0x036F),
    (0x0483, 0x0487),
    (0x0591, 0x05C7),
    (0x0610, 0x061A),
    (0x0640, 0x0640),  # tatweel, the one that is no mark
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06ED),
    (0x0711, 0x0711),
    (0x0730, 0x074A),
    (0x08CA, 0x08FF),
    (0x093C, 0x093C),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFB1E, 0xFB1E),
    (0xFE20, 0xFE2F),
)


def _left_out() -> str:
    """Return the characters of ``_LEFT_OUT``."""
    every = (chr(code) for first, last in _LEFT_OUT for code in range(first, last + 1))
    return "".join(char for char in every if char == "\u0640" or unicodedata.category(char) == "Mn")


_MARKS = re.compile(f"[{_left_out()}]+")
# Breve and diaeresis. Both are left out but in Cyrillic, where they make another letter.
_BREVES = ("\u0306", "\u0308")
_MARKS_BUT_BREVES = re.compile(f"[{_left_out().translate(dict.fromkeys(map(ord, _BREVES)))}]+")
# A Cyrillic letter other than е, with its marks: breve and diaeresis make another letter there (й, ї).
_CYRILLIC = re.compile(
    f"([\u0400-\u0414\u0416-\u0434\u0436-\u0482\u048a-\u052f\u1c80-\u1c8a\ua640-\ua66e\ua680-\ua69d]"
    f"[{_left_out()}]+)"
)

# Letters that Unicode does not take apart, as readers without such a keyboard type them.
_PLAIN_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)


def without_ignorables(text: str) -> str:
    """Return ``text`` without the characters that Unicode calls default-ignorable, such as soft hyphens."""
    return _IGNORABLE.sub("", text)


def search_fold(text: str, *, marks: bool = False) -> str:
    """Return ``text`` as a search sees it (rule 22). Folding what is folded changes nothing.

    Args:
        text: any text.
        marks: keep marks and letters such as ł apart from l, as a store made with ``search_marks=True`` does.
    """
    if text.isascii():
        return text.lower()
    if len(text) < _LEAST_PARTED:
        return _parts_folded(text, marks) if len(text) <= _LONGEST_PART else _folded(text, marks)
    return "".join([_parts_folded(piece, marks) for piece in _pieces(text)])


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces of some hundred characters, each but the first beginning with a blank.

    Most pieces of an English text are ASCII but for a name or a quote here and there; those are quick.
    """
    at = 0
    while at < len(text):
        end = text.find(" ", at + _LEAST_PARTED)
        end = len(text) if end < 0 else end
        yield text[at:end]
        at = end


def _parts_folded(text: str, marks: bool) -> str:
    if text.isascii():
        return text.lower()
    # Nothing folds together across a blank, and most words of a text come again: 15,000 letters of French
    # take 0.3 ms so and 0.6 whole, of Russian 0.5 and 3.6, of Korean 0.6 and 5.6.
    return " ".join(
        [
            part.lower() if part.isascii()
            else _part_folded(part, marks) if len(part) <= _LONGEST_PART
            else _folded(part, marks)
            for part in text.split(" ")
        ]
    )  # fmt: skip


# Characters of a text from which it is folded word by word, of the longest word that is remembered, and how
# many words are.
_LEAST_PARTED = 256
_LONGEST_PART = 48
_KEPT_PARTS = 8_192


def _folded(text: str, marks: bool) -> str:
    text = unicodedata.normalize("NFKD", without_ignorables(text))
    if marks:
        return unicodedata.normalize("NFKC", text.casefold())
    if any(breve in text for breve in _BREVES):
        parts = _CYRILLIC.split(text)
        parts[0::2] = [_MARKS.sub("", part) for part in parts[0::2]]
        parts[1::2] = [_MARKS_BUT_BREVES.sub("", part) for part in parts[1::2]]
        text = "".join(parts)
    else:
        text = _MARKS.sub("", text)
    return unicodedata.normalize("NFKC", text.casefold().translate(_PLAIN_LETTERS))


_part_folded = lru_cache(_KEPT_PARTS)(_folded)


def words(text: str) -> list[str]:
    """Return the words of ``text``, which is folded already, in their order, repetitions included."""
    return _translated(text, _ASCII_WORDS, _WORDS).split()


def _translated(text: str, ascii_table: str, table: _Words | _Symbols) -> str:
    """Translate, what is ASCII by a table that needs no look-up a character."""
    if text.isascii():
        return text.translate(ascii_table)
    pieces = (text[at : at + _LEAST_PARTED] for at in range(0, len(text), _LEAST_PARTED))
    return "".join([piece.translate(ascii_table if piece.isascii() else table) for piece in pieces])


def symbols(text: str) -> list[str]:
    """Return the distinct maximal runs of other than word characters in ``text``, which is folded already.

    White space is among them. They come in the order in which they are met.
    """
    runs = _translated(text, _ASCII_SYMBOLS, _SYMBOLS).split(SYMBOL_SEPARATOR)
    return [run for run in dict.fromkeys(runs) if run]


def stored_symbols(text: str) -> str:
    """Return :func:`symbols` of ``text`` in their stored form, :data:`SYMBOL_SEPARATOR` between them.

    A term without a word character occurs in a folded content if and only if it is a substring of this.
    """
    return SYMBOL_SEPARATOR.join(symbols(text))


def stored_words(found: Iterable[str]) -> str:
    """Return words in their stored form: each after one space, a space at the end; ``""`` if none."""
    joined = " ".join(found)
    return f" {joined} " if joined else ""


def index_words(content: str | None, *, marks: bool = False) -> str:
    """Return the words of ``content`` in the form that backends store and look in.

    A term with words occurs in the content if and only if ``" " + " ".join(term.words)``, followed by one
    more space unless its last word may be the beginning of a word, is a substring of it.

    Args:
        content: raw text, folded here for search; ``None`` counts as empty.
        marks: as for :func:`search_fold`.

    Returns:
        Each word after one space, and a space at the end; ``""`` if there are no words.
    """
    return stored_words(words(search_fold(content or "", marks=marks)))


def occurs_in(term: Occurs, filename: str, stored: str, stored_symbols: str) -> bool:
    """Tell whether a search's term occurs in a record, by the stored forms.

    Args:
        term: the term.
        filename: the filename folded for search.
        stored: :func:`index_words` of the content; not looked at unless ``term.content``.
        stored_symbols: :func:`stored_symbols` of the content; likewise.
    """
    if term.text in filename:
        return True
    if not term.content:
        return False
    if not term.words:
        return term.text in stored_symbols
    return " " + " ".join(term.words) + ("" if term.prefix else " ") in stored


def times_stored(term: Occurs, stored: str) -> tuple[int, int]:
    """Return how often a term with words occurs in a content, counted from the left without overlap.

    Args:
        term: the term.
        stored: :func:`index_words` of the content.

    Returns:
        How often as it stands, and how often its last word is only the beginning of one.
    """
    sought = " " + " ".join(term.words)
    whole = begun = 0
    at = stored.find(sought)
    while at >= 0:
        end = at + len(sought)
        if stored[end] == " ":
            whole += 1
        elif term.prefix:
            begun += 1
        else:
            end = at + 1
        at = stored.find(sought, end)
    return whole, begun


def occurs(term: Occurs, filename: str, content: str | None) -> bool:
    """Tell whether a search's term occurs in a record, by the rule itself; :func:`occurs_in` must agree.

    Args:
        term: the term.
        filename: as stored, not folded.
        content: the same, or None if there is none.
    """
    if term.text in search_fold(filename, marks=term.marks):
        return True
    if not term.content:
        return False
    folded = search_fold(content or "", marks=term.marks)
    return next(occurrences(term, folded), None) is not None


def occurrences(term: Occurs, text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield where a term stands in a folded text, from the left, without overlap.

    Yields:
        Its first place, the place behind its last character, and whether its last word is a whole word.
    """
    sought = term.words[0] if term.words else term.text
    at = text.find(sought)
    while at >= 0:
        end = _end_of(term.words, text, at) if term.words else at + len(sought)
        whole = not term.words or (end is not None and is_word_boundary(text, end))
        if end is None or not (whole or term.prefix):
            at = text.find(sought, at + 1)
            continue
        yield at, end, whole
        at = text.find(sought, end)


def _end_of(sought: tuple[str, ...], text: str, at: int) -> int | None:
    """Return the place behind words that begin at ``at``, the last of them perhaps only begun.

    None if they do not stand there.
    """
    for left, word in zip(range(len(sought) - 1, -1, -1), sought, strict=True):
        if not (is_word_boundary(text, at) and text.startswith(word, at)):
            return None
        end = at + len(word)
        if not left:
            return end
        if not is_word_boundary(text, end):
            return None
        at = end
        while at < len(text) and not is_word_character(text[at]):
            at += 1
    return None


def is_word_character(character: str) -> bool:
    """Return whether a folded character belongs to a word."""
    return _WORDS[ord(character)] != " "


def is_word_boundary(text: str, at: int) -> bool:
    """Return whether a word of a folded text may begin or end at ``at``; both ends of the text count."""
    if not 0 < at < len(text):
        return True
    return not (type(_WORDS[ord(text[at - 1])]) is int and type(_WORDS[ord(text[at])]) is int)


def begins_cluster(text: str, at: int) -> bool:
    """Return whether the character at ``at`` (above 0) folds independently of the one before it.

    Marks, what is ignored, and the parts of a Hangul syllable belong to the character before.
    """
    character = text[at]
    if character.isascii():
        return True
    if unicodedata.category(character)[0] == "M" or character in "\uff9e\uff9f":
        return False
    return not (_IGNORABLE.match(character) or (_JAMO.match(character) and not text[at - 1].isspace()))


class _Words(dict[int, int | str]):
    """A table for :meth:`str.translate` that leaves words and spaces; filled as characters are met."""

    def __missing__(self, code: int) -> int | str:
        if any(first <= code <= last for first, last in _SINGLE) and _category(code)[0] in "LMN":
            known: int | str = f" {chr(code)} "
        elif _category(code)[0] in "LM" or _category(code) == "Nd":
            known = code
        else:
            known = " "
        self[code] = known
        return known


class _Symbols(dict[int, int | str]):
    """The same, that leaves other than word characters and the separator between them."""

    def __missing__(self, code: int) -> int | str:
        known: int | str = code if _WORDS[code] == " " else SYMBOL_SEPARATOR
        self[code] = known
        return known


def _category(code: int) -> str:
    """Return a character's category; ideographs newer than Python's Unicode count as letters."""
    known = unicodedata.category(chr(code))
    return "Lo" if known == "Cn" and code & 0xFFFF < 0xFFFE and 0x20000 <= code < 0x40000 else known


_WORDS = _Words()
_SYMBOLS = _Symbols()

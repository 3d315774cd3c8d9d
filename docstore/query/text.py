"""Text as a search sees it (rule 22): folding, words and symbols, and the form of them that backends store.

All of it runs in Python, at write time and in ``parse_search``; no backend folds or splits text itself. What
a character is (letter, mark, digit) is asked of the running Python's :mod:`unicodedata`.

A *word character* is one of

- the Unicode categories L* (letters), M* (marks) and Nd (decimal digits);
- the ideographs, kana, bopomofo and Hangul of the ranges in ``_SINGLE``, numerals such as U+3007 among them.
  Each of these is a word of its own; so is a mark from those ranges (U+3099, U+302A …). Any other mark
  belongs to the run it stands in.

All other characters separate words: white space, punctuation, symbols, numbers such as U+2776 that are no
decimal digits.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from docstore.query.expr import Occurs

__all__ = [
    "SYMBOL_SEPARATOR",
    "fold",
    "index_symbols",
    "index_words",
    "occurs",
    "occurs_in",
    "stored_words",
    "symbols",
    "words",
]

SYMBOL_SEPARATOR = "a"
"""Stands between the runs in :func:`index_symbols`: a letter, so no run has it, nor a term sought there."""

_SINGLE = (
    (0x1100, 0x11FF),  # Hangul Jamo
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
    (0xAC00, 0xD7FF),  # Hangul syllables, Jamo extended B
    (0xF900, 0xFAFF),  # CJK compatibility ideographs
    (0xFF66, 0xFFDC),  # halfwidth Katakana and Hangul
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


def words(text: str) -> list[str]:
    """Return the words of ``text``, which is folded already, in their order, repetitions included."""
    return text.translate(_ASCII_WORDS if text.isascii() else _WORDS).split()


def symbols(text: str) -> list[str]:
    """Return the distinct maximal runs of other than word characters in ``text``, which is folded already.

    White space is among them. They come in the order in which they are met.
    """
    runs = text.translate(_ASCII_SYMBOLS if text.isascii() else _SYMBOLS).split(SYMBOL_SEPARATOR)
    return [run for run in dict.fromkeys(runs) if run]


def stored_words(found: Iterable[str]) -> str:
    """Return words in their stored form: each after one space, a space at the end; ``""`` if none."""
    joined = " ".join(found)
    return f" {joined} " if joined else ""


def index_words(content: str | None) -> str:
    """Return the words of ``content`` in the form that backends store and look in.

    A term with words occurs in the content if and only if ``" " + " ".join(term.words)``, followed by one
    more space unless its last word may be the beginning of a word, is a substring of it.

    Args:
        content: raw text, folded here; ``None`` counts as empty.

    Returns:
        Each word after one space, and a space at the end; ``""`` if there are no words.
    """
    return stored_words(words(fold(content or "")))


def index_symbols(content: str | None) -> str:
    """Return what is between the words of ``content`` in the form that backends store and look in.

    A term without a word character occurs in the folded content if and only if it is a substring of the
    returned text.

    Args:
        content: raw text, folded here; ``None`` counts as empty.

    Returns:
        The distinct maximal runs of other than word characters (white space too), joined by
        :data:`SYMBOL_SEPARATOR`.
    """
    return SYMBOL_SEPARATOR.join(symbols(fold(content or "")))


def occurs_in(term: Occurs, filename: str, stored: str, stored_symbols: str) -> bool:
    """Tell whether a search's term occurs in a record, by the stored forms.

    Args:
        term: the term.
        filename: the folded filename.
        stored: :func:`index_words` of the content; not looked at unless ``term.content``.
        stored_symbols: :func:`index_symbols` of the content; likewise.
    """
    if term.text in filename:
        return True
    if not term.content:
        return False
    if not term.words:
        return term.text in stored_symbols
    return " " + " ".join(term.words) + ("" if term.prefix else " ") in stored


def occurs(term: Occurs, filename: str, content: str | None) -> bool:
    """Tell whether a search's term occurs in a record, by the definition: the measure of :func:`occurs_in`.

    Args:
        term: the term.
        filename: as stored, not folded.
        content: the same; ``None`` if there is none.
    """
    folded = fold(content or "")
    if term.text in fold(filename):
        return True
    if not term.content:
        return False
    if not term.words:
        return term.text in folded
    return _side_by_side(term, words(folded))


def _side_by_side(term: Occurs, found: list[str]) -> bool:
    *first, last = term.words
    for start in range(len(found) - len(first)):
        end = start + len(first)
        meets_last = found[end].startswith(last) if term.prefix else found[end] == last
        if meets_last and found[start:end] == first:
            return True
    return False


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

"""N-grams: tokens of filenames and contents for a full-text index, and the queries for it.

The index is a prefilter: what it finds is a superset, the exact folded test decides (rule 22). A token is
ASCII letters and digits, so that no engine's tokenizer changes it: ``n`` and three characters of the
filename, for each place in it (folded for operators, folded for search, and raw), or ``w`` and a word of the
content, folded for search. Every character but ``a-y0-9`` is written as ``z`` and five hexadecimal digits:
the beginning of a word stays the beginning of its token, and a piece of one or two characters is the
beginning of tokens, too (the name's end is padded).
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice, repeat
from typing import Final, TypeAlias

from docstore.index.bitmap import NUMBERS_TYPE, Members, packed_members
from docstore.query.expr import Expr, Occurs
from docstore.query.patterns import filename_texts
from docstore.query.text import fold, index_words, search_fold, words

_PAD = "\0\0"
_CYRILLIC = re.compile("[\u0400-\u052f\u1c80-\u1c8f\ua640-\ua69f]")
# Tokens of one text that are asked for: each narrows, the first ones most.
_MOST_TOKENS = 24
# Pieces of three characters that are remembered with their tokens.
_KEPT_PIECES = 65_536
# Names of a list that are asked for together; of more, a scan takes less.
_MOST_NAMES = 64
_KEPT_TERMS = 256  # of a search; each source of an index asks for its tokens anew
_AT_ONCE: Final = 512
_CODES: Final = {1: NUMBERS_TYPE, 2: "Q"}


class _Written(dict[int, str]):
    """A table for :meth:`str.translate`, filled as characters are met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        plain = character.isascii() and (character.isdigit() or "a" <= character <= "y")
        known = self[code] = character if plain else f"z{code:05x}"
        return known


_WRITTEN = _Written()


def document_tokens(filename: str, folded: str, content_words: str) -> str:
    """Return the tokens of a document, with a space between them.

    Args:
        filename: as stored.
        folded: the same, folded.
        content_words: :func:`docstore.query.text.index_words` of its content, or ``""``.
    """
    names = name_tokens(folded)
    if not filename.isascii():
        names |= name_tokens(filename) | name_tokens(search_fold(filename))
    found = set(content_words.split(" "))
    if not content_words.isascii():
        found = {word if word.isascii() else search_fold(word) for word in found}
    return " ".join((*names, *word_tokens(found)) if content_words else names)


def name_tokens(name: str) -> set[str]:
    """Return the tokens of a filename: one a place, of the three characters from there on."""
    padded = name + _PAD
    return {_PIECES[padded[at : at + 3]] for at in range(len(name))}


def names_tokens(names: Sequence[str]) -> Iterator[str]:
    """Yield the tokens of documents without content, with a space between them; some more than once."""
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        folded = list(map(fold, some))
        if "".join(some).isascii() and "" not in folded:
            codes = _codes(_PAD.join((*folded, "")), 1)
            yield from " ".join(map(_CODED.__getitem__, codes)).split("\n")
        else:
            yield from map(document_tokens, some, folded, repeat(""))


def tokens_of(
    names: Sequence[str], contents: Sequence[str | None], numbers: Sequence[int]
) -> Iterator[tuple[bytes, Members]]:
    """Yield the tokens of many documents, and the numbers of those that have each.

    Args:
        names: filenames as stored.
        contents: the contents; None if there is none.
        numbers: of the documents, ascending.
    """
    for token, having in _by_token(names, numbers):
        yield token.encode(), packed_members(having, repeats=True)
    found: defaultdict[str, list[int]] = defaultdict(list)
    for content, number in zip(contents, numbers, strict=True):
        if content is not None:
            for word in word_tokens(index_words(content).split(" ")):
                found[word].append(number)
    for word, having in found.items():
        yield word.encode(), packed_members(having)


def _by_token(names: Sequence[str], numbers: Sequence[int]) -> Iterable[tuple[str, list[int]]]:
    """Yield the tokens of names, each with the numbers of the records that have it.

    A number is repeated as often as the name has the token.
    """
    texts, owners = list(map(fold, names)), numbers
    if not "".join(names).isascii():
        forms = [
            {text} if name.isascii() else {text, name, search_fold(name)}
            for name, text in zip(names, texts, strict=True)
        ]
        owners = list(chain.from_iterable(map(repeat, numbers, map(len, forms))))
        texts = list(chain.from_iterable(forms))
    together = _PAD.join((*texts, ""))
    if max(together, default="") > "\uffff":
        pieces: defaultdict[str, list[int]] = defaultdict(list)
        for text, number in zip(texts, owners, strict=True):
            padded = text + _PAD
            for at in range(len(text)):
                pieces[padded[at : at + 3]].append(number)
        return ((_PIECES[piece], some) for piece, some in pieces.items())
    unit = 1 if together.isascii() else 2
    coded: defaultdict[int, list[int]] = defaultdict(list)
    having = chain.from_iterable(map(repeat, owners, [len(text) + 2 for text in texts]))
    deque(map(list.append, map(coded.__getitem__, _codes(together, unit)), having), maxlen=0)
    known = _CODED if unit == 1 else None
    return (
        (_PIECES[_piece_of(code, unit)] if known is None else known[code], some)
        for code, some in coded.items()
        if code >> 16 * unit
    )


def _codes(together: str, unit: int) -> array[int]:
    """Return every three characters of a text as one number, the first the most significant.

    A character takes ``unit`` bytes.
    """
    raw = together.encode("ascii" if unit == 1 else "utf-16-le")
    size = max(0, len(raw) - 2 * unit)
    coded = bytearray(4 * size)
    for place in range(3 * unit):
        last, byte = divmod(place, unit)
        start = (2 - last) * unit + byte
        at = place if sys.byteorder == "little" else 4 * unit - 1 - place
        coded[at :: 4 * unit] = raw[start : start + size : unit]
    codes = array(_CODES[unit])
    codes.frombytes(coded)
    return codes


def _piece_of(code: int, unit: int) -> str:
    wide = 8 * unit
    return "".join([chr(code >> shift & ((1 << wide) - 1)) for shift in (2 * wide, wide, 0)])


class _Coded(dict[int, str]):
    """The tokens of ASCII pieces by their codes; an end of line stands between two texts."""

    def __missing__(self, code: int) -> str:
        if len(self) >= _KEPT_PIECES:
            self.clear()
        between = "" if code > 0xFF else "\n"
        token = self[code] = _PIECES[_piece_of(code, 1)] if code > 0xFFFF else between
        return token


_CODED = _Coded()


class _Pieces(dict[str, str]):
    """The tokens of three characters, those met lately."""

    def __missing__(self, piece: str) -> str:
        if len(self) >= _KEPT_PIECES:
            self.clear()
        token = self[piece] = "n" + "".join([_WRITTEN[ord(character)] for character in piece])
        return token


_PIECES = _Pieces()


def word_tokens(found: Iterable[str]) -> list[str]:
    """Return the tokens of words, each once; the words are folded."""
    distinct = set(found) - {""}
    is_plain = "".join(distinct).isascii()
    plain = distinct if is_plain else [word for word in distinct if word.isascii()]
    # Of ASCII a word has letters and digits: only z is written otherwise.
    tokens = f"w{' w'.join(plain)}".replace("z", _WRITTEN[ord("z")]).split(" ") if plain else []
    if len(plain) < len(distinct):
        tokens += ["w" + word.translate(_WRITTEN) for word in distinct if not word.isascii()]
    return tokens


# Tokens, all of one of the alternatives at least; `*` behind a token: the beginning of one.
Alternatives: TypeAlias = tuple[tuple[str, ...], ...]


def fts5_query(alternatives: Alternatives) -> str:
    """Return what to ask for in the language of SQLite's FTS5.

    A beginning of a name's token is left out beside whole ones: FTS5 merges the lists of all that begin so,
    25 ms for a full stop in 100,000 names.
    """
    return " OR ".join(f"({' AND '.join(_whole_first(tokens))})" for tokens in alternatives)


def _whole_first(tokens: Sequence[str]) -> Sequence[str]:
    """Return the tokens without beginnings of names' tokens, unless there is nothing else."""
    return [token for token in tokens if token[0] != "n" or token[-1] != "*"] or tokens


def text_query(leaf: Expr) -> Alternatives | None:
    """Return the text query that finds every record that can match ``leaf``.

    Returns:
        None if the text index cannot narrow the leaf.
    """
    if isinstance(leaf, Occurs):
        return _asked_term(leaf)
    required = filename_texts(leaf)
    if required is None or not 0 < len(required[0]) <= _MOST_NAMES:
        return None
    alternatives, is_folded = required
    folded = [texts if is_folded else list(map(fold, texts)) for texts in alternatives]
    forms = folded if is_folded else [*folded, *alternatives]
    return _either(*([token for text in texts for token in _piece(text)] for texts in forms))


@lru_cache(_KEPT_TERMS)
def _asked_term(term: Occurs) -> Alternatives | None:
    """Return what to ask for a search's term. The tokens hold the fold without marks in every store."""
    text, found = term.text, term.words
    if term.marks:
        if _CYRILLIC.search(text):
            return None  # a mark between two others may change what a breve upon them makes
        text = search_fold(text)
        found = tuple(words(text))
    if not term.content:
        return _either(_piece(text))
    return _either(_piece(text), _words(found, term.prefix)) if found else None


def _either(*options: Sequence[str]) -> Alternatives | None:
    """Ask for any of the options: texts folded stand for ASCII names, raw ones for all others."""
    if not all(options):
        return None
    return tuple(dict.fromkeys(tuple(dict.fromkeys(tokens)) for tokens in options))


def _piece(text: str) -> list[str]:
    """Return tokens of names that hold ``text``; under three characters, a beginning of one.

    Those of every third place and of the last one: they cover the text, and FTS5 merges a third of the lists.
    """
    written = [_WRITTEN[ord(character)] for character in text]
    if not written:
        return []
    if len(written) < 3:
        return ["n" + "".join(written) + "*"]
    places = dict.fromkeys((*range(0, len(written) - 2, 3), len(written) - 3))
    return ["n" + "".join(written[at : at + 3]) for at in islice(places, _MOST_TOKENS)]


def _words(found: Sequence[str], prefix: bool) -> list[str]:
    tokens = ["w" + word.translate(_WRITTEN) for word in found[:_MOST_TOKENS]]
    if prefix and len(found) <= _MOST_TOKENS:
        tokens[-1] += "*"
    return tokens

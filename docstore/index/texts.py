"""Tokens of filenames and contents for a full-text index of any engine, and what to ask of it.

The index is a prefilter: what it finds is a superset, the exact folded test decides (rule 22). A token is
ASCII letters and digits, so
that no engine's tokenizer changes it: ``n`` and three characters of the folded filename, for each place in
it, or ``w`` and a word of
the content. Every character but ``a-y0-9`` is written as ``z`` and five hexadecimal digits: the beginning
of a word stays the
beginning of its token, and a piece of one or two characters is the beginning of tokens, too (the name's
end is padded).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from docstore.query.expr import Compare, Expr, Match, Occurs
from docstore.query.glob import required_literals
from docstore.query.text import fold, index_words

__all__ = ["Alternatives", "asked", "document_tokens", "fts5", "name_tokens", "tokens_of", "word_tokens"]

_PAD = "\0\0"
_MOST_TOKENS = 24
_KEPT_PIECES = 65_536


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
        names |= name_tokens(filename)
    return " ".join((*names, *word_tokens(content_words.split(" "))) if content_words else names)


def name_tokens(name: str) -> set[str]:
    """Return the tokens of a filename: one a place, of the three characters from there on."""
    padded = name + _PAD
    return {_PIECES[padded[at : at + 3]] for at in range(len(name))}


def tokens_of(
    names: Sequence[str], contents: Sequence[str | None], numbers: Sequence[int]
) -> Iterator[tuple[bytes, list[int]]]:
    """Yield the tokens of many documents, and the numbers of those that have each, ascending.

    Args:
        names: filenames as stored.
        contents: the contents; ``None``: there is none.
        numbers: of the documents, ascending.
    """
    pieces: defaultdict[str, list[int]] = defaultdict(list)
    for name, number in zip(names, numbers, strict=True):
        folded = fold(name)
        for text in (folded,) if name.isascii() else (folded, name):
            padded = text + _PAD
            for at in range(len(text)):
                pieces[padded[at : at + 3]].append(number)
    for piece, having in pieces.items():
        yield _PIECES[piece].encode(), list(dict.fromkeys(having))
    found: defaultdict[str, list[int]] = defaultdict(list)
    for content, number in zip(contents, numbers, strict=True):
        if content is not None:
            for word in word_tokens(index_words(content).split(" ")):
                found[word].append(number)
    for word, having in found.items():
        yield word.encode(), having


class _Pieces(dict[str, str]):
    """The tokens of three characters, those met lately."""

    def __missing__(self, piece: str) -> str:
        if len(self) >= _KEPT_PIECES:
            self.clear()
        token = self[piece] = "n" + "".join([_WRITTEN[ord(character)] for character in piece])
        return token


_PIECES = _Pieces()


def word_tokens(found: Iterable[str]) -> set[str]:
    """Return the tokens of words."""
    return {"w" + word.translate(_WRITTEN) for word in found if word}


Alternatives: TypeAlias = tuple[tuple[str, ...], ...]
"""Tokens, all of one of the alternatives at least; ``*`` behind a token: the beginning of one."""


def fts5(alternatives: Alternatives) -> str:
    """Return what to ask for in the language of SQLite's FTS5."""
    return " OR ".join(f"({' AND '.join(tokens)})" for tokens in alternatives)


def asked(leaf: Expr) -> Alternatives | None:
    """Return what to ask for: all that can match ``leaf`` is found by it; ``None``: there is nothing to
    ask.
    """
    match leaf:
        case Occurs(text, found, prefix, content):
            if not content:
                return _either(_piece(text))
            return _either(_piece(text), _words(found, prefix)) if found else None
        case Match(("filename",), "substring" | "starts_with", text):
            return _either(_piece(fold(text)), _piece(text))
        case Match(("filename",), "isubstring", text):
            return _either(_piece(fold(text)))
        case Match(("filename",), "glob", text):
            pieces = required_literals(text)
            return _either(
                [t for p in pieces for t in _piece(fold(p))], [t for p in pieces for t in _piece(p)]
            )
        case Match(("filename",), "iglob", text):
            return _either(
                [token for piece in required_literals(text, folded=True) for token in _piece(piece)]
            )
        case Compare(("filename",), "eq", str(text)):
            return _either(_piece(fold(text)), _piece(text))
        case _:
            return None


def _either(*options: Sequence[str]) -> Alternatives | None:
    """Ask for any of the options; of texts, the folded form stands for names in ASCII, the raw one for all
    others.
    """
    if not all(options):
        return None
    return tuple(dict.fromkeys(tuple(dict.fromkeys(tokens)) for tokens in options))


def _piece(text: str) -> list[str]:
    """Return the tokens that a name with ``text`` in it has; of fewer than three characters, a beginning
    of one.
    """
    written = [_WRITTEN[ord(character)] for character in text]
    if not written:
        return []
    if len(written) < 3:
        return ["n" + "".join(written) + "*"]
    return ["n" + "".join(written[at : at + 3]) for at in range(min(len(written) - 2, _MOST_TOKENS))]


def _words(found: Sequence[str], prefix: bool) -> list[str]:
    tokens = ["w" + word.translate(_WRITTEN) for word in found[:_MOST_TOKENS]]
    if prefix and len(found) <= _MOST_TOKENS:
        tokens[-1] += "*"
    return tokens

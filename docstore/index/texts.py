"""Tokens of filenames and contents for a full-text index of any engine, and what to ask of it.

The index is a prefilter: what it finds is a superset, the exact folded test decides (rule 22). A token is ASCII letters and digits, so
that no engine's tokenizer changes it: ``n`` and three characters of the folded filename, for each place in it, or ``w`` and a word of
the content. Every character but ``a-y0-9`` is written as ``z`` and five hexadecimal digits: the beginning of a word stays the
beginning of its token, and a piece of one or two characters is the beginning of tokens, too (the name's end is padded).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from docstore.query.expr import Compare, Expr, Match, Occurs
from docstore.query.glob import required_literals
from docstore.query.text import fold

__all__ = ["asked", "document_tokens", "name_tokens", "word_tokens"]

_PAD = "\0\0"
_MOST_TOKENS = 24


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
    return " ".join((*sorted(names), *word_tokens(content_words.split(" "))))


def name_tokens(name: str) -> set[str]:
    """Return the tokens of a filename: one a place, of the three characters from there on."""
    padded = name + _PAD
    written = [_WRITTEN[ord(character)] for character in padded]
    return {"n" + written[at] + written[at + 1] + written[at + 2] for at in range(len(name))}


def word_tokens(found: Iterable[str]) -> set[str]:
    """Return the tokens of words."""
    return {"w" + word.translate(_WRITTEN) for word in found if word}


def asked(leaf: Expr) -> str | None:
    """Return what to ask for, in FTS5's language: all that can match ``leaf`` is found by it; ``None``: there is nothing to ask."""
    match leaf:
        case Occurs(text, found, prefix, content):
            name = _all(_piece(text))
            if not content:
                return name
            return f"({name}) OR ({_all(_words(found, prefix))})" if found else None
        case Match(("filename",), "substring" | "starts_with", text):
            return _either(_piece(fold(text)), _piece(text)) if text else None
        case Match(("filename",), "isubstring", text):
            return _all(_piece(fold(text))) if fold(text) else None
        case Match(("filename",), "glob", text):
            pieces = required_literals(text)
            folded, raw = [t for p in pieces for t in _piece(fold(p))], [t for p in pieces for t in _piece(p)]
            return _either(folded, raw)
        case Match(("filename",), "iglob", text):
            tokens = [token for piece in required_literals(text, folded=True) for token in _piece(piece)]
            return _all(tokens) if tokens else None
        case Compare(("filename",), "eq", str(text)) if text:
            return _either(_piece(fold(text)), _piece(text))
        case _:
            return None


def _either(folded: Sequence[str], raw: Sequence[str]) -> str | None:
    """Ask for the folded form, which stands for names in ASCII, or the raw one, for all others."""
    if not folded or not raw:
        return None
    one, other = _all(folded), _all(raw)
    return one if one == other else f"({one}) OR ({other})"


def _all(tokens: Sequence[str]) -> str:
    return " AND ".join(dict.fromkeys(tokens))


def _piece(text: str) -> list[str]:
    """Return the tokens that a name with ``text`` in it has; of fewer than three characters, a beginning of one."""
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

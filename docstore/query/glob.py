"""Globs (after rule 19): the whole value, ``*`` any run, ``?`` one character, ``[...]`` a class.

Matching never backtracks: a glob is cut at its ``*`` into pieces of fixed length, each of which is found
once, leftmost first.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from itertools import chain
from typing import TypeAlias

from docstore.query.text import fold

__all__ = [
    "CharacterClass", "Token", "Wild", "glob_tokens", "matcher", "required_literals",
]  # fmt: skip


class Wild(Enum):
    """The wildcards without a body."""

    ANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class CharacterClass:
    """One character within (``negated``: outside) ``ranges``, which are inclusive; none: the empty class."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False


Token: TypeAlias = str | Wild | CharacterClass
"""A run of ordinary characters, a wildcard, or a class."""


def glob_tokens(pattern: str, *, folded: bool = False) -> tuple[Token, ...]:
    """Read a glob; every text is one.

    Args:
        pattern: as the user wrote it.
        folded: fold literals and classes, to be matched against folded text. Wildcards are read before
            folding, so a fullwidth ``＊`` stays ordinary. A class's member that folds to several characters
            counts as each of them.

    Returns:
        Its tokens: runs of ordinary characters joined, none empty.
    """
    tokens: list[Token] = []
    at = 0
    while at < len(pattern):
        token, at = _token(pattern, at)
        if isinstance(token, str) and tokens and isinstance(tokens[-1], str):
            tokens[-1] += token
        elif token is not Wild.ANY or not tokens or tokens[-1] is not Wild.ANY:
            tokens.append(token)
    return tuple(map(_folded, tokens)) if folded else tuple(tokens)


@lru_cache(maxsize=256)
def matcher(pattern: str, *, folded: bool = False) -> Callable[[str], bool]:
    """Return a function that tells whether a text as a whole matches ``pattern``.

    Args:
        pattern: a glob.
        folded: compare folded text (``$iglob``); the function folds what it is given.
    """
    test = _matcher(glob_tokens(pattern, folded=folded))
    return (lambda text: test(fold(text))) if folded else test


def _matcher(tokens: tuple[Token, ...]) -> Callable[[str], bool]:
    pieces = [_Piece.of(piece) for piece in _pieces(tokens)]
    if len(pieces) == 1:
        return pieces[0].is_whole
    literal = max((token for token in tokens if isinstance(token, str)), key=len, default="")
    return lambda text: literal in text and _in_order(pieces, text)


def required_literals(pattern: str, *, folded: bool = False) -> list[str]:
    """Return the runs of ordinary characters that a matching text (or its fold) contains, in order."""
    return [token for token in glob_tokens(pattern, folded=folded) if isinstance(token, str)]


def _token(pattern: str, at: int) -> tuple[Token, int]:
    character = pattern[at]
    if character == "*":
        return Wild.ANY, at + 1
    if character == "?":
        return Wild.ONE, at + 1
    if character == "\\" and at + 1 < len(pattern):
        return pattern[at + 1], at + 2
    if character == "[":
        first = at + 2 if pattern.startswith("!", at + 1) else at + 1
        close = pattern.find("]", first + 1)
        if close >= 0:
            return CharacterClass(_ranges(pattern[first:close]), first == at + 2), close + 1
    return character, at + 1


def _ranges(body: str) -> tuple[tuple[str, str], ...]:
    ranges = []
    at = 0
    while at < len(body):
        if at + 2 < len(body) and body[at + 1] == "-":
            if body[at] <= body[at + 2]:
                ranges.append((body[at], body[at + 2]))
            at += 3
        else:
            ranges.append((body[at], body[at]))
            at += 1
    return tuple(ranges)


def _folded(token: Token) -> Token:
    if isinstance(token, str):
        return fold(token)
    if isinstance(token, CharacterClass):
        ranges = chain.from_iterable(_folded_range(*bounds) for bounds in token.ranges)
        return CharacterClass(tuple(ranges), token.negated)
    return token


def _folded_range(first: str, last: str) -> tuple[tuple[str, str], ...]:
    """Return the range itself, for what folds to itself, and what its other members fold to."""
    if ord(last) - ord(first) < _FEW:
        pairs = ((character, fold(character)) for character in map(chr, range(ord(first), ord(last) + 1)))
        members = "".join(folded for character, folded in pairs if character != folded)
    else:
        characters, folds = _foldable()
        members = "".join(folds[bisect_left(characters, first) : bisect_right(characters, last)])
    return ((first, last), *((member, member) for member in sorted(set(members))))


@cache
def _foldable() -> tuple[list[str], list[str]]:
    """Return the characters that folding changes, in their order, and what it makes of them."""
    characters = [chr(code) for code in range(sys.maxunicode + 1) if code != 0x0A]
    pairs = zip(characters, fold("\n".join(characters)).split("\n"), strict=True)
    changed = [(character, folded) for character, folded in pairs if character != folded]
    return [character for character, _ in changed], [folded for _, folded in changed]


def _pieces(tokens: tuple[Token, ...]) -> list[list[Token]]:
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token is Wild.ANY:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stands between two ``*``, ``length`` characters: text, or a pattern without repetition."""

    text: str
    pattern: re.Pattern[str] | None
    length: int

    @classmethod
    def of(cls, tokens: list[Token]) -> _Piece:
        length = sum(len(token) if isinstance(token, str) else 1 for token in tokens)
        if all(isinstance(token, str) for token in tokens):
            return cls("".join(map(str, tokens)), None, length)
        return cls("", re.compile("".join(map(_source, tokens)), re.DOTALL), length)

    def is_whole(self, text: str) -> bool:
        return len(text) == self.length and self.is_at(text, 0)

    def is_at(self, text: str, at: int) -> bool:
        if self.pattern is None:
            return text.startswith(self.text, at)
        return self.pattern.match(text, at) is not None

    def find(self, text: str, start: int, end: int) -> int:
        if self.pattern is None:
            return text.find(self.text, start, end)
        found = self.pattern.search(text, start, end)
        return -1 if found is None else found.start()


_FEW = 1_000
"""So many characters of a range are folded one by one; for more, all of Unicode is, once, in a second."""
_NOTHING = "(?!)"
"""Matches no text."""


def _source(token: Token) -> str:
    if isinstance(token, str):
        return re.escape(token)
    if isinstance(token, Wild):
        return "."
    if not token.ranges:
        return "." if token.negated else _NOTHING
    body = "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in token.ranges)
    return f"[{'^' if token.negated else ''}{body}]"


def _in_order(pieces: list[_Piece], text: str) -> bool:
    first, *middle, last = pieces
    start, end = first.length, len(text) - last.length
    if start > end or not first.is_at(text, 0) or not last.is_at(text, end):
        return False
    for piece in middle:
        found = piece.find(text, start, end)
        if found < 0:
            return False
        start = found + piece.length
    return True

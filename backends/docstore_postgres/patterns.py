"""String operators in SQL: RE2 patterns as Postgres' regular expressions, globs as LIKE.

Both find the same strings as the evaluator. Classes, ``.``, anchors and case are written out by code point,
for the collation "C", because the two engines could read them differently. A construct that cannot be written
so stands for anything, which makes the whole a superset: inexact. Both engines are automata, so a translated
pattern has no catastrophic case either. Large repetitions, which Postgres refuses, are inexact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from docstore_sql.compiler import TRUE, Fragment

from docstore.query.expr import Match, Regex
from docstore.query.patterns import GROUP, HEX, OCTAL, REPEAT, CharacterClass, Token, Wild, glob_tokens
from docstore.query.text import fold

# The last code point of Unicode.
LAST_CODE = 0x10FFFF
NEWLINE = 10
# Any character, a newline as well: the default of Postgres' regular expressions.
ANY = "."

Range: TypeAlias = tuple[int, int]


class CodeRanges(tuple[Range, ...]):
    """Inclusive ranges of code points from 1 on, in order, without overlaps. Made from any ranges."""

    __slots__ = ()

    def __new__(cls, ranges: Iterable[Range]) -> CodeRanges:
        """Sort and merge ``ranges``."""
        merged: list[Range] = []
        for first, last in sorted((max(first, 1), last) for first, last in ranges if last >= max(first, 1)):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        return super().__new__(cls, merged)


def complement(ranges: CodeRanges) -> CodeRanges:
    """Return all other characters."""
    gaps: list[Range] = []
    start = 1
    for first, last in ranges:
        gaps.append((start, first - 1))
        start = last + 1
    return CodeRanges([*gaps, (start, LAST_CODE)])


# RE2 folds these two beyond ASCII: the Kelvin sign is a K, the long s an S. Postgres folds neither.
_FOLDS = (("K", 0x212A), ("S", 0x17F))


def folded(ranges: CodeRanges) -> CodeRanges | None:
    """Return the characters and those that differ in case alone; ``None`` where they are not all ASCII."""
    if ranges and ranges[-1][1] > 127:
        return None
    more: list[Range] = list(ranges)
    for low, high, distance in ((65, 90, 32), (97, 122, -32)):
        more += [
            (max(first, low) + distance, min(last, high) + distance)
            for first, last in ranges
            if first <= high and last >= low
        ]
    both = CodeRanges(more)
    beyond = [code for letter, code in _FOLDS if any(first <= ord(letter) <= last for first, last in both)]
    return CodeRanges([*both, *((code, code) for code in beyond)])


def literal(character: str) -> str:
    """Return one character as it stands in a regular expression."""
    return character if character.isascii() and character.isalnum() else _escape(ord(character))


def bracket(ranges: CodeRanges, negated: bool) -> str:
    """Return the expression for one character within (``negated``: outside) ``ranges``, or for none."""
    if not ranges:
        return ANY if negated else "(?!)"
    body = "".join(
        _escape(first) if first == last else f"{_escape(first)}-{_escape(last)}" for first, last in ranges
    )
    return f"[{'^' if negated else ''}{body}]"


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# The most that Postgres' regular expressions count to.
_MOST_REPEATS = 255
# Sizes of a translated pattern beyond which Postgres compiles too long; the evaluator takes over.
_MOST_SIZE = 1500
_MOST_LINE_ANCHORS = 20
_WORD = CodeRanges(((48, 57), (65, 90), (95, 95), (97, 122)))
_PERL = {"d": CodeRanges(((48, 57),)), "s": CodeRanges(((9, 10), (12, 13), (32, 32))), "w": _WORD}
_POSIX = {
    "alnum": ((48, 57), (65, 90), (97, 122)), "alpha": ((65, 90), (97, 122)), "ascii": ((1, 127),),
    "blank": ((9, 9), (32, 32)), "cntrl": ((1, 31), (127, 127)), "digit": ((48, 57),), "graph": ((33, 126),),
    "lower": ((97, 122),), "print": ((32, 126),), "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)), "upper": ((65, 90),), "word": tuple(_WORD),
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}  # fmt: skip
# The code points of RE2's one-letter escapes.
_CONTROL = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_ASSERTIONS = {"A": r"\A", "z": r"\Z", "b": r"\y"}
_LINE_START, _LINE_END = r"(?<![^\u000a])", r"(?![^\u000a])"


class _Unread(Exception):
    """A construct that this module does not read; the rest of the pattern then stands for anything."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A pattern for Postgres.

    Attributes:
        source: the regular expression, to be used under the collation "C".
        exact: whether it finds the same as the RE2 pattern; else it finds a superset.
    """

    source: str
    exact: bool


@dataclass(frozen=True, slots=True)
class _RegexPiece:
    """A part: its source, its size with repetitions written out, and whether it only looks."""

    source: str
    size: int = 1
    looks: bool = False


@lru_cache(maxsize=256)
def translate(pattern: str, flags: str = "") -> Translated | None:
    """Return ``pattern`` for Postgres; ``None`` if nothing is left of it to narrow by.

    Args:
        pattern: one that RE2 accepts.
        flags: a subset of ``ims``.
    """
    reader = _RegexReader(pattern, _Flags("i" in flags, "m" in flags, "s" in flags))
    try:
        piece = reader.alternatives()
    except (_Unread, RecursionError):
        return None
    if reader.at < len(pattern) or piece.size > _MOST_SIZE or reader.line_anchors > _MOST_LINE_ANCHORS:
        return None
    return Translated(f"(?:{piece.source})", reader.exact)


@dataclass(frozen=True, slots=True)
class _Flags:
    folds: bool
    lines: bool
    dot_all: bool

    def changed(self, on: str, off: str) -> _Flags:
        names = {"i": "folds", "m": "lines", "s": "dot_all"}
        changes = {names[letter]: True for letter in on if letter in names}
        changes |= {names[letter]: False for letter in off if letter in names}
        return replace(self, **changes)


class _RegexReader:
    """One pass over a pattern."""

    def __init__(self, pattern: str, flags: _Flags) -> None:
        self.pattern = pattern
        self.at = 0
        self.flags = flags
        self.exact = True
        self.line_anchors = 0

    def _is_at(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def alternatives(self) -> _RegexPiece:
        """Read up to the end or a closing parenthesis; flags set inside end with it."""
        outer = self.flags
        branches = [self._branch()]
        while self._is_at("|"):
            self.at += 1
            branches.append(self._branch())
        self.flags = outer
        looks = all(branch.looks for branch in branches)
        return _RegexPiece(
            "|".join(branch.source for branch in branches), sum(branch.size for branch in branches), looks
        )

    def _branch(self) -> _RegexPiece:
        parts: list[_RegexPiece] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self._repeated(self._atom()))
        looks = all(part.looks for part in parts)
        return _RegexPiece(
            "".join(part.source for part in parts), 1 + sum(part.size for part in parts), looks
        )

    def _repeated(self, piece: _RegexPiece) -> _RegexPiece:
        """Read quantifiers behind an atom; whether they are lazy does not change what matches."""
        while (bounds := self._bounds()) is not None:
            least, most = bounds
            if piece.looks:
                piece = piece if least else _RegexPiece("", looks=True)
            else:
                piece = self._quantified(piece, least, most)
        return piece

    def _bounds(self) -> tuple[int, int | None] | None:
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        bounds: tuple[int, int | None]
        character = self.pattern[self.at : self.at + 1]
        if character and character in simple:
            bounds = simple[character]
            self.at += 1
        elif (found := REPEAT.match(self.pattern, self.at)) is not None:
            least = int(found[1])
            bounds = (least, int(found[3]) if found[3] else None if found[2] else least)
            self.at = found.end()
        else:
            return None
        self.at += self._is_at("?")
        return bounds

    def _quantified(self, piece: _RegexPiece, least: int, most: int | None) -> _RegexPiece:
        if max(least, most or 0) > _MOST_REPEATS:
            self.exact = False
            least, most = min(least, _MOST_REPEATS), None
        words = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((least, most))
        bound = words or f"{{{least},{'' if most is None else most}}}"
        times = max(least, most or 0, 1)
        return _RegexPiece(f"(?:{piece.source}){bound}", piece.size * times)

    def _atom(self) -> _RegexPiece:
        character = self.pattern[self.at]
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escaped()
        self.at += 1
        if character == "^":
            return self._line(_LINE_START) if self.flags.lines else _RegexPiece(r"\A", looks=True)
        if character == "$":
            return self._line(_LINE_END) if self.flags.lines else _RegexPiece(r"\Z", looks=True)
        if character == ".":
            return _RegexPiece(
                ANY if self.flags.dot_all else bracket(CodeRanges([(NEWLINE, NEWLINE)]), negated=True)
            )
        return self._character(character)

    def _line(self, source: str) -> _RegexPiece:
        self.line_anchors += 1
        return _RegexPiece(source, looks=True)

    def _character(self, character: str) -> _RegexPiece:
        if not self.flags.folds or (character.isascii() and not character.isalpha()):
            return _RegexPiece(literal(character))
        return self._set(CodeRanges([(ord(character), ord(character))]))

    def _set(self, ranges: CodeRanges, negated: bool = False) -> _RegexPiece:
        """Return a set of characters; under ``i`` one with characters beyond ASCII stands for any."""
        kept = folded(ranges) if self.flags.folds else ranges
        if kept is None:
            self.exact = False
            return _RegexPiece(ANY)
        return _RegexPiece(bracket(kept, negated))

    def _group(self) -> _RegexPiece:
        outer = self.flags
        found = GROUP.match(self.pattern, self.at)
        if found is not None and found[3] == ")":
            self.flags = outer.changed(found[1] or "", found[2] or "")
            self.at = found.end()
            if self.at < len(self.pattern) and self.pattern[self.at] in "*+?{":
                raise _Unread  # RE2 repeats what stands before the flags
            return _RegexPiece("", looks=True)
        if found is None and self._is_at("(?"):
            raise _Unread
        self.at = found.end() if found is not None else self.at + 1
        if found is not None and found[3] is not None:
            self.flags = outer.changed(found[1] or "", found[2] or "")
        inner = self.alternatives()
        if not self._is_at(")"):
            raise _Unread
        self.at += 1
        self.flags = outer
        return _RegexPiece(f"(?:{inner.source})", inner.size, inner.looks)

    def _escaped(self) -> _RegexPiece:
        letter = self.pattern[self.at + 1 : self.at + 2]
        if letter in _ASSERTIONS and letter:
            self.at += 2
            return _RegexPiece(_ASSERTIONS[letter], looks=True)
        if letter == "B":
            return self._inside_characters()
        if letter == "Q":
            return self._quoted()
        if (perl := _PERL.get(letter.lower())) is not None and letter:
            self.at += 2
            return self._set(perl, negated=letter.isupper())
        return self._character(chr(self._code()))

    def _inside_characters(self) -> _RegexPiece:
        """Leave out ``\\B``: RE2 finds it between the bytes of one character, too."""
        self.exact = False
        self.at += 2
        return _RegexPiece("", looks=True)

    def _quoted(self) -> _RegexPiece:
        close = self.pattern.find("\\E", self.at)
        text = self.pattern[self.at + 2 : close if close >= 0 else None]
        self.at = close + 2 if close >= 0 else len(self.pattern)
        if len(text) != 1:
            raise _Unread
        return self._character(text)

    def _code(self) -> int:
        """Read an escape that stands for one character."""
        for form in (HEX, OCTAL):
            found = form.match(self.pattern, self.at)
            if found is not None:
                self.at = found.end()
                digits = next(group for group in found.groups() if group)
                return self._checked(int(digits, 16 if form is HEX else 8))
        letter = self.pattern[self.at + 1 : self.at + 2]
        self.at += 2
        if letter in _CONTROL:
            return _CONTROL[letter]
        if not letter or not letter.isascii() or letter.isalnum():
            raise _Unread
        return ord(letter)

    @staticmethod
    def _checked(code: int) -> int:
        if not 1 <= code <= LAST_CODE:
            raise _Unread
        return code

    def _class(self) -> _RegexPiece:
        self.at += 1
        negated = self._is_at("^")
        self.at += negated
        ranges: list[tuple[int, int]] = []
        first = True
        while first or not self._is_at("]"):
            ranges += self._member()
            first = False
        self.at += 1
        return self._set(CodeRanges(ranges), negated)

    def _member(self) -> list[tuple[int, int]]:
        """Read a member of a class: a class by name, a character or a range."""
        if self._is_at("[:"):
            return self._posix()
        letter = self.pattern[self.at + 1 : self.at + 2]
        if self._is_at("\\") and letter and letter in "dswDSW":
            return self._perl(letter)
        low = high = self._class_character()
        if self._is_at("-") and not self._is_at("-]"):
            self.at += 1
            high = self._class_character()
        return [(low, high)]

    def _class_character(self) -> int:
        if self.at >= len(self.pattern):
            raise _Unread
        if self._is_at("\\"):
            return self._code()
        self.at += 1
        return ord(self.pattern[self.at - 1])

    def _perl(self, letter: str) -> list[tuple[int, int]]:
        self.at += 2
        ranges = _PERL[letter.lower()]
        if letter.islower():
            return list(ranges)
        return list(complement((folded(ranges) or ranges) if self.flags.folds else ranges))

    def _posix(self) -> list[tuple[int, int]]:
        close = self.pattern.find(":]", self.at)
        name = self.pattern[self.at + 2 : close]
        ranges = CodeRanges(_POSIX.get(name.removeprefix("^"), ()))
        if close < 0 or not ranges:
            raise _Unread
        self.at = close + 2
        return list(complement(ranges) if name.startswith("^") else ranges)


# Ranges of characters in a glob up to which Postgres' regular expression of it is taken.
_MOST_RANGES = 200
_SPECIAL = re.compile(r"([%_\\])")


def like_text(text: str) -> str:
    """Return ``text`` with the special characters of LIKE quoted."""
    return _SPECIAL.sub(r"\\\1", text)


def glob(column: str, pattern: str, *, folded: bool = False) -> Fragment:
    """Return the condition that the text ``column`` as a whole matches a glob.

    Args:
        column: an SQL expression; of folded text if ``folded``.
        pattern: as the user wrote it.
        folded: fold literals and classes.
    """
    tokens = glob_tokens(pattern, folded=folded)
    if _ranges_of(tokens) in range(1, _MOST_RANGES + 1):
        source = "".join(map(_regex_token, tokens))
        return Fragment(f'{column} COLLATE "C" ~ %s', (f"^(?:{source})$",))
    return Fragment(f'{column} COLLATE "C" LIKE %s', ("".join(map(_like_token, tokens)),))


def glob_is_exact(pattern: str, *, folded: bool = False) -> bool:
    """Return whether :func:`glob` is exact: not where its classes, too many, stand for any character."""
    return _ranges_of(glob_tokens(pattern, folded=folded)) <= _MOST_RANGES


def _ranges_of(tokens: tuple[Token, ...]) -> int:
    return sum(len(token.ranges) + 1 for token in tokens if isinstance(token, CharacterClass))


def _regex_token(token: Token) -> str:
    match token:
        case str():
            return "".join(map(literal, token))
        case Wild.ANY:
            return ".*"
        case Wild.ONE:
            return "."
        case CharacterClass(ranges, negated):
            return bracket(CodeRanges((ord(first), ord(last)) for first, last in ranges), negated)


def _like_token(token: Token) -> str:
    match token:
        case str():
            return like_text(token)
        case Wild.ANY:
            return "%"
        case _:
            return "_"


def string_condition(text: str, leaf: Regex | Match, *, folded: str) -> Fragment:
    """Return the condition of a string operator on an SQL text.

    Args:
        text: the expression of the text.
        leaf: the operator.
        folded: the expression of the folded text.
    """
    match leaf:
        case Match(_, "substring", part):
            return Fragment(f"strpos({text}, %s) > 0", (part,))
        case Match(_, "isubstring", part):
            return Fragment(f"strpos({folded}, %s) > 0", (fold(part),))
        case Match(_, "starts_with", part):
            return Fragment(f"starts_with({text}, %s)", (part,))
        case Match(_, "glob", pattern):
            return glob(text, pattern)
        case Match(_, "iglob", pattern):
            return glob(folded, pattern, folded=True)
        case Regex(_, pattern, flags):
            translated = translate(pattern, flags)
            return Fragment(f'{text} COLLATE "C" ~ %s', (translated.source,)) if translated else TRUE
        case _:
            raise AssertionError(leaf)

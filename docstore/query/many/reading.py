"""Patterns of RE2 read as ``sequences``: what they can match, for tests that are asked of many at once.

What is not read makes a pattern unread (``None``), never wrong; what is read only in part is not exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from docstore.query.many.cases import Ranges, merged
from docstore.query.many.characters import ANY, LAST, Characters, complement
from docstore.query.many.sequences import (
    COARSE,
    EDGE,
    EMPTY,
    Sequence,
    Sequences,
    joined,
    one_of,
    repeated,
    single,
)  # fmt: skip

__all__ = ["sequences"]

_NEWLINE = 10
_WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_PERL: dict[str, Ranges] = {"d": ((48, 57),), "s": ((9, 10), (12, 13), (32, 32)), "w": _WORD}
_POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)), "alpha": ((65, 90), (97, 122)), "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)), "cntrl": ((0, 31), (127, 127)), "digit": ((48, 57),), "graph": ((33, 126),),
    "lower": ((97, 122),), "print": ((32, 126),), "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)), "upper": ((65, 90),), "word": _WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}  # fmt: skip
_CONTROL = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_REPEAT = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}")
_GROUP = re.compile(r"\(\?(?:P?<[A-Za-z0-9_]*>|([imsU]*)(?:-([imsU]*))?([:)]))")
_HEX = re.compile(r"\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})")
_OCTAL = re.compile(r"\\(0[0-7]{0,2}|[1-7][0-7]{1,2})")
_PROPERTY = re.compile(r"\\[pP](?:[A-Za-z]|\{\^?[A-Za-z_]+\})")
_DEEPEST = 100


class _Unread(Exception):
    """Something that is not read."""


@lru_cache(maxsize=1_024)
def sequences(pattern: str, flags: str = "", detail: int = COARSE) -> Sequences | None:
    """Return what a pattern can match; ``None``: it is not read.

    Args:
        pattern: one that RE2 accepts.
        flags: a subset of ``ims``.
        detail: how many sequences may be kept apart.
    """
    reader = _Reader(pattern, _Flags("i" in flags, "m" in flags, "s" in flags), detail)
    try:
        found = reader.alternatives()
    except _Unread:
        return None
    return found if reader.at == len(pattern) else None


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


class _Reader:
    """One pass over a pattern."""

    def __init__(self, pattern: str, flags: _Flags, detail: int) -> None:
        self.pattern = pattern
        self.at = 0
        self.flags = flags
        self.depth = 0
        self.detail = detail

    def _is_at(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def alternatives(self) -> Sequences:
        """Read up to the end or a closing parenthesis; flags set inside end with it."""
        outer = self.flags
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _Unread
        branches = [self._branch()]
        while self._is_at("|"):
            self.at += 1
            branches.append(self._branch())
        self.flags = outer
        self.depth -= 1
        return one_of(branches, self.detail) if len(branches) > 1 else branches[0]

    def _branch(self) -> Sequences:
        parts: list[Sequences] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            part = self._atom()
            while (bounds := self._bounds()) is not None:
                part = repeated(part, *bounds, self.detail)
            parts.append(part)
        return joined(parts, self.detail)

    def _bounds(self) -> tuple[int, int | None] | None:
        """Read a quantifier; whether it is lazy does not change what matches."""
        words: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        bounds = words.get(self.pattern[self.at : self.at + 1])
        if bounds is not None:
            self.at += 1
        elif (found := _REPEAT.match(self.pattern, self.at)) is not None:
            least = int(found[1])
            bounds = (least, int(found[3]) if found[3] else None if found[2] else least)
            self.at = found.end()
        else:
            return None
        self.at += self._is_at("?")
        return bounds

    def _atom(self) -> Sequences:
        character = self.pattern[self.at]
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escaped()
        self.at += 1
        if character in "^$":
            where = "line" if self.flags.lines else "text"
            return (Sequence(start=where) if character == "^" else Sequence(end=where),)
        if character == ".":
            return single(ANY if self.flags.dot_all else Characters(((_NEWLINE, _NEWLINE),), negated=True))
        return self._set(((ord(character), ord(character)),))

    def _set(
        self, ranges: Ranges, properties: frozenset[str] = frozenset(), negated: bool = False
    ) -> Sequences:
        found = Characters(ranges, properties, negated)
        return single(found.folded() if self.flags.folds else found)

    def _group(self) -> Sequences:
        outer = self.flags
        found = _GROUP.match(self.pattern, self.at)
        if found is None and self._is_at("(?"):
            raise _Unread
        self.at = found.end() if found is not None else self.at + 1
        if found is not None and found[3] is not None:
            self.flags = outer.changed(found[1] or "", found[2] or "")
            if found[3] == ")":
                if self._bounds() is not None:
                    raise _Unread  # RE2 repeats what stands before the flags
                return EMPTY
        inner = self.alternatives()
        if not self._is_at(")"):
            raise _Unread
        self.at += 1
        self.flags = outer
        return inner

    def _escaped(self) -> Sequences:
        letter = self.pattern[self.at + 1 : self.at + 2]
        if letter in ("A", "z"):
            self.at += 2
            return (Sequence(start="text") if letter == "A" else Sequence(end="text"),)
        if letter in ("b", "B"):
            self.at += 2
            return EDGE if letter == "b" else (Sequence(exact=False),)
        if letter == "Q":
            return self._quoted()
        if letter in ("p", "P"):
            return self._set((), frozenset([self._property()]))
        if letter and letter in "dswDSW":
            self.at += 2
            return self._set(_PERL[letter.lower()], negated=letter.isupper())
        code = self._code()
        return self._set(((code, code),))

    def _quoted(self) -> Sequences:
        close = self.pattern.find("\\E", self.at)
        text = self.pattern[self.at + 2 : close if close >= 0 else None]
        self.at = close + 2 if close >= 0 else len(self.pattern)
        if not text or self._repeats():
            raise _Unread
        return joined([self._set(((ord(character), ord(character)),)) for character in text])

    def _repeats(self) -> bool:
        return self.pattern[self.at : self.at + 1] in ("*", "+", "?", "{")

    def _property(self) -> str:
        found = _PROPERTY.match(self.pattern, self.at)
        if found is None:
            raise _Unread
        self.at = found.end()
        return f"(?i){found[0]}" if self.flags.folds else found[0]

    def _code(self) -> int:
        """Read an escape that stands for one character."""
        for form in (_HEX, _OCTAL):
            found = form.match(self.pattern, self.at)
            if found is not None:
                self.at = found.end()
                digits = next(group for group in found.groups() if group)
                code = int(digits, 16 if form is _HEX else 8)
                if code > LAST:
                    raise _Unread
                return code
        letter = self.pattern[self.at + 1 : self.at + 2]
        self.at += 2
        if letter in _CONTROL:
            return _CONTROL[letter]
        if not letter or not letter.isascii() or letter.isalnum():
            raise _Unread
        return ord(letter)

    def _class(self) -> Sequences:
        self.at += 1
        negated = self._is_at("^")
        self.at += negated
        ranges: list[tuple[int, int]] = []
        properties: set[str] = set()
        first = True
        while first or not self._is_at("]"):
            if self._is_at("\\p") or self._is_at("\\P"):
                properties.add(self._property())
            else:
                ranges += self._member()
            first = False
        self.at += 1
        return self._set(merged(ranges), frozenset(properties), negated)

    def _member(self) -> Ranges:
        """Read a member of a class: a class by name, a character or a range."""
        if self._is_at("[:"):
            return self._posix()
        letter = self.pattern[self.at + 1 : self.at + 2]
        if self._is_at("\\") and letter and letter in "dswDSW":
            self.at += 2
            ranges = _PERL[letter.lower()]
            return ranges if letter.islower() else self._opposite(ranges)
        low = high = self._class_character()
        if self._is_at("-") and not self._is_at("-]"):
            self.at += 1
            high = self._class_character()
        return ((low, high),)

    def _opposite(self, ranges: Ranges) -> Ranges:
        """Return what is not in a class by name, which case is taken of first."""
        if self.flags.folds:
            ranges = Characters(ranges).folded().ranges
        return complement(ranges)

    def _class_character(self) -> int:
        if self.at >= len(self.pattern):
            raise _Unread
        if self._is_at("\\"):
            return self._code()
        self.at += 1
        return ord(self.pattern[self.at - 1])

    def _posix(self) -> Ranges:
        close = self.pattern.find(":]", self.at)
        name = self.pattern[self.at + 2 : close]
        ranges = _POSIX.get(name.removeprefix("^"), ())
        if close < 0 or not ranges:
            raise _Unread
        self.at = close + 2
        return self._opposite(ranges) if name.startswith("^") else ranges

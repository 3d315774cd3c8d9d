"""RE2's syntax, as far as docstore reads it itself: tokens, and the option ``x``, which RE2 has not.

``patterns`` takes white space out by it, and Postgres' translation reads repetitions, groups and escapes by
the same expressions.
"""

from __future__ import annotations

import re

__all__ = ["GROUP", "HEX", "OCTAL", "REPEAT", "without_spaces"]

_SPACES = " \t\n\r\f\v"
REPEAT = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}")
"""A counted repetition: the least times, a comma, the most times."""
GROUP = re.compile(r"\(\?(?:P?<[^>]*>|([imsU]*)(?:-([imsU]*))?([:)]))")
"""A group that has a name, or sets flags; ``)`` at its end if it sets them for all that follows."""
HEX = re.compile(r"\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]+)\})")
OCTAL = re.compile(r"\\(0[0-7]{0,2}|[1-7][0-7]{1,2})")


def _token_end(pattern: str, at: int) -> int:
    if pattern.startswith("\\Q", at):
        close = pattern.find("\\E", at + 2)
        return len(pattern) if close < 0 else close + 2
    if pattern[at] == "\\":
        return min(at + 2, len(pattern))
    if repeated := REPEAT.match(pattern, at):
        return repeated.end()
    return _class_end(pattern, at) if pattern[at] == "[" else at + 1


def _class_end(pattern: str, at: int) -> int:
    place = at + 1
    if pattern.startswith("^", place):
        place += 1
    if pattern.startswith("]", place):
        place += 1
    while place < len(pattern) and pattern[place] != "]":
        if pattern[place] == "\\":
            place += 2
        elif pattern.startswith("[:", place) and (close := pattern.find(":]", place + 2)) >= 0:
            place = close + 2
        else:
            place += 1
    return min(place + 1, len(pattern))


def without_spaces(pattern: str) -> str:
    """Take out white space and comments, as ``x`` does: not where escaped, quoted or in a class."""
    kept: list[str] = []
    comment = False
    gap = False
    for token in _tokens(pattern):
        if comment:
            comment = token != "\n"
        elif token in _SPACES or token == "#":
            comment = token == "#"
            gap = True
        else:
            if gap and _joins(kept, token):
                kept.append("(?:)")
            kept.append(token)
            gap = False
    return "".join(kept)


def _tokens(pattern: str) -> list[str]:
    """Split a pattern into escapes, classes, quotes, counted repetitions and single characters.

    Joined they are the pattern. A comment is split into its characters: it may hold brackets and backslashes.
    """
    tokens: list[str] = []
    at = 0
    while at < len(pattern):
        end = _token_end(pattern, at)
        if pattern[at] == "#":
            newline = pattern.find("\n", at)
            end = len(pattern) if newline < 0 else newline + 1
            tokens.extend(pattern[at:end])
        else:
            tokens.append(pattern[at:end])
        at = end
    return tokens


def _joins(kept: list[str], after: str) -> bool:
    """Tell whether the space between was what ended an escape, as in ``\\x4 1``."""
    before = next((token for token in reversed(kept) if not token.isalnum()), "")
    return after.isalnum() and len(before) == 2 and before[0] == "\\" and before[1].isalnum()

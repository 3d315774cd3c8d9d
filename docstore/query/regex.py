"""Regular expressions (rule 18): RE2's syntax and guarantees, by the optional package google-re2.

``prepare`` is what ``parse`` calls; ``searcher`` is what ``evaluate`` and SQLite's registered function call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from docstore.concurrency import check
from docstore.errors import shown

__all__ = [
    "INSTALL", "BadPattern", "from_compiled", "instructions", "joined_patterns", "prepare", "searcher",
]  # fmt: skip

INSTALL = 'pip install "embedded-docstore[regex]"'

_SPACES = " \t\n\r\f\v"
_ABSENT = (
    (r"\(\?<?[=!]", "RE2 has no look-around"),
    (r"\\[1-9]|\\k|\(\?P=", "RE2 has no back-references"),
    (r"\(\?>|[+*?}]\+", "RE2 has no atomic groups and no possessive quantifiers; it never backtracks"),
)


class BadPattern(ValueError):
    """A pattern or options that cannot be used; the text says why."""


def prepare(pattern: str, options: str = "") -> tuple[str, str]:
    """Check a pattern and return it in the form that the Expr keeps.

    Args:
        pattern: RE2 syntax.
        options: letters of ``i m s x u``; ``u`` changes nothing, ``x`` is translated away.

    Returns:
        The pattern without ``x``, and the other options that matter, a sorted subset of ``ims``.

    Raises:
        BadPattern: an unknown option, or a pattern that RE2 refuses; or google-re2 is not installed.
    """
    unknown = sorted(set(options) - set("imsxu"))
    if unknown:
        raise BadPattern(f"unknown option {shown(unknown[0])}; the options are i, m, s, x and u")
    if "x" in options:
        pattern = _without_spaces(pattern)
    flags = "".join(sorted(set(options) & set("ims")))
    _compiled(pattern, flags)
    return pattern, flags


def from_compiled(compiled: re.Pattern[Any]) -> tuple[str, str]:
    """Return the pattern and options that a compiled pattern of Python's stands for.

    Its text is read as ``$regex`` reads it: ``\\d \\w \\b`` are ASCII, ``$`` without ``m`` is the very end.

    Raises:
        BadPattern: a pattern over bytes, or ``{,n}``, which Python and RE2 read differently.
    """
    if not isinstance(compiled.pattern, str):
        raise BadPattern("a pattern over bytes; expected one over str")
    text = re.sub(r"\A\(\?[aiLmsux]+\)", "", compiled.pattern)
    if re.search(r"\{,[0-9]*\}", text):
        raise BadPattern("{,n} means one thing to Python and another to RE2; write {0,n}")
    letters = ((re.IGNORECASE, "i"), (re.MULTILINE, "m"), (re.DOTALL, "s"), (re.VERBOSE, "x"))
    return text, "".join(letter for flag, letter in letters if compiled.flags & flag)


@lru_cache(maxsize=256)
def searcher(pattern: str, flags: str = "") -> Callable[[str], bool]:
    """Return a function that tells whether a text has a match anywhere.

    Args:
        pattern: as :func:`prepare` returns it.
        flags: a subset of ``ims``.

    Raises:
        BadPattern: as for :func:`prepare`.
    """
    search = _compiled(pattern, flags).search
    return lambda text: search(text.encode("utf-8")) is not None


def instructions(pattern: str, flags: str = "") -> int:
    """Return how many instructions RE2 makes of a pattern."""
    return int(_compiled(pattern, flags).programsize)


def joined_patterns(patterns: Sequence[str], flags: str) -> str | None:
    r"""Return one pattern that matches where any of some does; ``None`` if RE2 finds that too large.

    Args:
        patterns: as :func:`prepare` returns them, none with ``\Q``.
        flags: of all of them.
    """
    joined = "|".join(f"(?:{pattern})" for pattern in patterns)
    try:
        _compiled(joined, flags)
    except BadPattern:
        return None
    return joined


@lru_cache(maxsize=512)  # a filter may have 100, of which each is needed more than once
def _compiled(pattern: str, flags: str) -> Any:
    try:
        import re2
    except ImportError:
        raise BadPattern(f"$regex needs the package google-re2: {INSTALL}") from None
    try:
        check()  # between one pattern of a filter and the next
        return re2.compile(_text_of(pattern, flags), _options(re2, flags))
    except re2.error as wrong:
        raise BadPattern(_reason(pattern, wrong)) from None


def _options(re2: Any, flags: str) -> Any:
    """Return RE2's options for flags, but for ``m``, which it has none for: see ``_text_of``."""
    found = re2.Options()
    found.log_errors = False
    found.case_sensitive = "i" not in flags
    found.dot_nl = "s" in flags
    found.never_capture = True
    return found


def _text_of(pattern: str, flags: str) -> str:
    """Return a pattern as RE2 is given it."""
    return f"(?m){pattern}" if "m" in flags else pattern


def _reason(pattern: str, wrong: Exception) -> str:
    said = wrong.args[0] if wrong.args else wrong
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    hint = next((hint for syntax, hint in _ABSENT if re.search(syntax, pattern)), "")
    short = text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "…"
    return f"{short} ({hint})" if hint else short


_LONGEST_REASON = 80
"""Characters of what RE2 says, which repeats the pattern."""
_TIMES = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")


def _tokens(pattern: str) -> list[str]:
    """Split a pattern into escapes, classes, quotes, counted repetitions and single characters; joined they
    are the pattern.
    """
    tokens = []
    at = 0
    while at < len(pattern):
        end = _token_end(pattern, at)
        tokens.append(pattern[at:end])
        at = end
    return tokens


def _token_end(pattern: str, at: int) -> int:
    if pattern.startswith("\\Q", at):
        close = pattern.find("\\E", at + 2)
        return len(pattern) if close < 0 else close + 2
    if pattern[at] == "\\":
        return min(at + 2, len(pattern))
    if repeated := _TIMES.match(pattern, at):
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


def _without_spaces(pattern: str) -> str:
    """Take out white space and comments, as ``x`` does: not where escaped, quoted or in a class."""
    kept: list[str] = []
    comment = False
    gap = False
    for token in _tokens_of_x(pattern):
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


def _tokens_of_x(pattern: str) -> list[str]:
    """Split as ``_tokens`` does, but comments into characters: they may hold brackets and backslashes."""
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

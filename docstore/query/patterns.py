"""Patterns: globs (after rule 19), and regular expressions (rule 18) by the optional package google-re2.

Matching a glob never backtracks: it is cut at its ``*`` into pieces of fixed length, each of which is found
once, leftmost first. RE2 has the same guarantee.

Of RE2's syntax docstore reads tokens, and the option ``x``, which RE2 has not. Postgres' translation reads
repetitions, groups and escapes by the same expressions.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from itertools import chain
from typing import Any, TypeAlias

from docstore.concurrency import check
from docstore.errors import shown
from docstore.query.expr import Compare, Expr, In, Match, Regex
from docstore.query.text import fold

_SPACES = " \t\n\r\f\v"
# A counted repetition: the least times, a comma, the most times.
REPEAT = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}")
# A group that has a name, or sets flags; `)` at its end if it sets them for all that follows.
GROUP = re.compile(r"\(\?(?:P?<[^>]*>|([imsU]*)(?:-([imsU]*))?([:)]))")
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


def required_text(pattern: str) -> str:
    """Return the longest text that every string holds in which a regular expression is found; "" if none is
    known, as with alternatives, groups and most escapes.
    """
    runs = [""]
    for token in _tokens(pattern):
        if token in "|(#" or (token[0] == "\\" and token[1:].isalnum() and token[1:] not in "dDsSwWbB"):
            return ""
        if token in "*?" or REPEAT.fullmatch(token):
            runs[-1] = runs[-1][:-1]
            runs.append("")
        elif token in "+.^$" or token[0] == "[" or token[1:].isalnum() or len(token) > 2:
            runs.append("")
        else:
            runs[-1] += token[-1]
    return max(runs, key=len)


_PLAIN_RUN = re.compile(r"[ -~]{2,}")


def plain_runs(texts: Iterable[str]) -> list[str]:
    """Return the runs of characters that folding changes by A–Z alone, whatever stands around them, folded.

    The last character of a run is left out, as a mark behind it could change it.
    """
    return [run[:-1].lower() for text in texts for run in _PLAIN_RUN.findall(text)]


def filename_texts(leaf: Expr) -> tuple[list[list[str]], bool] | None:
    """Return what a filename that matches ``leaf`` must hold.

    Returns:
        Alternatives, each of texts that are all held, and whether the fold of the filename holds them; else
        the filename itself. None if it may hold anything.
    """
    match leaf:
        case Compare(("filename",), "eq", str(text)):
            return [[fold(text)]], True
        case In(("filename",), values) if values:
            return [[fold(value)] for value in values if isinstance(value, str)], True
        case Match(("filename",), "isubstring", text):
            return [[fold(text)]], True
        case Match(("filename",), "iglob", text):
            return [required_literals(text, folded=True)], True
        case Match(("filename",), kind, text):
            return [required_literals(text) if kind == "glob" else [text]], False
        case Regex(("filename",), pattern, flags):
            texts = [required_text(pattern)]
            return ([plain_runs(texts)], True) if "i" in flags else ([texts], False)
        case _:
            return None


def _joins(kept: list[str], after: str) -> bool:
    """Tell whether the space between was what ended an escape, as in ``\\x4 1``."""
    before = next((token for token in reversed(kept) if not token.isalnum()), "")
    return after.isalnum() and len(before) == 2 and before[0] == "\\" and before[1].isalnum()


class Wild(Enum):
    """The wildcards without a body."""

    ANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class CharacterClass:
    """One character within (``negated``: outside) ``ranges``, which are inclusive; none: the empty class."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False


# A run of ordinary characters, a wildcard, or a class.
Token: TypeAlias = str | Wild | CharacterClass


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
    # The quickest refusal: `in` runs in C, and a text without the longest literal cannot match.
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
    # All of Unicode goes through one fold(), a line feed between two characters: it folds to itself.
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


# So many characters of a range are folded one by one; for more, all of Unicode is, once, in a second.
_FEW = 1_000
# Matches no text.
_NOTHING = "(?!)"


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


INSTALL = 'pip install "embedded-docstore[regex]"'
# What people miss in RE2, told where it refuses a pattern with it.
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
        pattern = without_spaces(pattern)
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
    r"""Return the alternation of some patterns, or None if RE2 finds that too large.

    Args:
        patterns: as :func:`prepare` returns them, none with ``\Q``.
        flags: of all of them.
    """
    # Each in a group of its own: an alternation within one of them ends there.
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


# Characters of what RE2 says, which repeats the pattern.
_LONGEST_REASON = 80

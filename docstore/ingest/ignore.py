"""Rules of ``.gitignore`` and ``.docstoreignore``, read as git reads them.

A pattern becomes a regular expression over bytes: git knows no characters. Git tries the stars of a pattern
in all ways. Here a star before another one stays where it fits first: what comes later would match as well.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from functools import cached_property

__all__ = ["FILES", "Ignored", "Pattern", "above", "patterns_of"]

# Read in each folder; what the first says goes before what the second says.
FILES = (".docstoreignore", ".gitignore")


class Pattern:
    """A line of a file of rules.

    Attributes:
        takes_back: it begins with `!`: what it matches is not left out.
    """

    def __init__(self, line: bytes) -> None:
        self.takes_back: bool = line[:1] == b"!"
        text = line[self.takes_back :]
        self._folders_alone = text[-1:] == b"/"
        text = text[:-1] if self._folders_alone else text
        self._by_name = b"/" not in text
        found = _expression(text.removeprefix(b"/"))
        self._fits = None if found is None else re.compile(found, re.DOTALL).fullmatch

    def matches(self, path: bytes, name: bytes, is_folder: bool) -> bool:
        """Return whether an entry matches: `path` is relative to the rules' folder, `name` its last part."""
        if self._fits is None or (self._folders_alone and not is_folder):
            return False
        return self._fits(name if self._by_name else path) is not None


def patterns_of(content: bytes) -> list[Pattern]:
    """Return the patterns of a file of rules, the last first: of those that match, it decides."""
    made = []
    for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if line and line[:1] != b"#":
            bare = line.removesuffix(b"\r").split(b"\0", 1)[0]
            made.append(Pattern(_without_blanks(bare)))
    return made[::-1]


def _without_blanks(line: bytes) -> bytes:
    """Return a line without the blanks at its end, but for one behind a backslash."""
    kept = re.fullmatch(rb"((?:\\.|[^\\ ]| +(?=[^ ]))*) *", line, re.DOTALL)
    return line if kept is None else kept[1]


def _expression(pattern: bytes) -> bytes | None:
    """Return the regular expression of a pattern without its slash at the end; None: it matches nothing."""
    # `pieces` are the parts between stars. Git compares what stands before the first special character by
    # itself: a `**` right behind it is at the beginning of the rest, and so spans folders.
    special = re.search(rb"[*?\[\\]", pattern)
    start = len(pattern) if special is None else special.start()
    pieces, stars, at = [b""], [b""], 0
    while at < len(pattern):
        character = pattern[at : at + 1]
        if character == b"*":
            star, at = _star(pattern, at, start)
            stars.append(star)
            pieces.append(b"")
            continue
        if character == b"[":
            of_class = _class(pattern, at + 1)
            if of_class is None:
                return None
            piece, at = of_class
        elif character == b"?":
            piece, at = b"[^/]", at + 1
        else:
            at += character == b"\\"
            if at == len(pattern):
                return None
            piece, at = re.escape(pattern[at : at + 1]), at + 1
        pieces[-1] += piece
    return _joined(pieces, stars)


def _star(pattern: bytes, at: int, start: int) -> tuple[bytes, int]:
    """Return the expression of the stars at a place, and the place behind what it stands for."""
    end = at
    while pattern[end : end + 1] == b"*":
        end += 1
    rest = pattern[end : end + 2]
    alone = (at == start or pattern[at - 1 : at] == b"/") and (rest[:1] in (b"", b"/") or rest == rb"\/")
    if end - at == 1 or not alone:
        return b"[^/]*?", end
    return (b"(?:.*?/)??", end + 1) if rest[:1] == b"/" else (b".*?", end)


def _joined(pieces: Sequence[bytes], stars: Sequence[bytes]) -> bytes:
    """Join stars and what follows each. A star that another of its kind follows keeps its first place."""
    made, whole = pieces[0], b""
    for number in range(1, len(stars)):
        if stars[number] != b"[^/]*?":  # spans folders: what was made since the last such is settled
            whole, made = (whole + b"(?>" + made + b")" if whole or made else b""), b""
        part = stars[number] + pieces[number]
        is_settled = number + 1 < len(stars) and stars[number] == b"[^/]*?"
        made += b"(?>" + part + b")" if is_settled else part
    return whole + made


_CLASSES: dict[bytes, Callable[[bytes], bool]] = {
    b"alnum": bytes.isalnum,
    b"alpha": bytes.isalpha,
    b"blank": b" \t".__contains__,
    b"cntrl": lambda one: one < b" " or one == b"\x7f",
    b"digit": bytes.isdigit,
    b"graph": lambda one: b"!" <= one <= b"~",
    b"lower": bytes.islower,
    b"print": lambda one: b" " <= one <= b"~",
    b"punct": lambda one: b"!" <= one <= b"~" and not one.isalnum(),
    b"space": bytes.isspace,
    b"upper": bytes.isupper,
    b"xdigit": b"0123456789abcdefABCDEF".__contains__,
}


def _class(pattern: bytes, at: int) -> tuple[bytes, int] | None:
    """Return the expression of the class whose `[` is before a place, and the place behind it; None: it is
    none, and so the pattern matches nothing.
    """
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    first, before = at, 0  # `before` is the character that a range may begin with, 0 none
    while at == first or pattern[at : at + 1] != b"]":
        named = re.compile(rb"\[:([^\]]*):\]").match(pattern, at)
        if named is not None:
            holds = _CLASSES.get(named[1])
            if holds is None:
                return None
            members.update(code for code in range(256) if holds(bytes([code])))
            before, at = 0, named.end()
            continue
        is_range = before and pattern[at : at + 1] == b"-" and pattern[at + 1 : at + 2] not in (b"", b"]")
        at += bool(is_range)
        at += pattern[at : at + 1] == b"\\"
        if at >= len(pattern):
            return None
        last = pattern[at]
        members.update(range(before, last + 1) if is_range else (last,))
        before, at = 0 if is_range else last, at + 1
    taken = (set(range(256)) - members if negated else members) - set(b"/")
    inside = b"".join(re.escape(bytes([code])) for code in sorted(taken))
    return (b"[" + inside + b"]" if taken else b"(?!)"), at + 1


class Ignored:
    """The rules that hold in one folder.

    Args:
        folder: absolute.
        outer: those of the folder around it; ``None`` for the first.
        extra: other files of patterns that hold from here on, the weakest first.
    """

    def __init__(self, folder: str, outer: Ignored | None = None, extra: Sequence[str] = ()) -> None:
        self._folder = folder
        self._outer = outer
        self._extra = extra

    def leaves_out(self, path: str, *, is_folder: bool) -> bool:
        """Return whether the entry with this absolute path is left out."""
        rules: Ignored | None = self
        while rules is not None:
            decided = rules._decide(path, is_folder)
            if decided is not None:
                return decided
            rules = rules._outer
        return False

    def _decide(self, path: str, is_folder: bool) -> bool | None:
        if not self._patterns:
            return None
        # What `relpath` would return, at less cost.
        below = os.fsencode(path[len(self._folder) :].replace(os.sep, "/")).lstrip(b"/")
        name = below.rpartition(b"/")[2]
        for pattern in self._patterns:
            if pattern.matches(below, name, is_folder):
                return not pattern.takes_back
        return None

    @cached_property
    def _patterns(self) -> list[Pattern]:
        files = [*(os.path.join(self._folder, name) for name in FILES), *reversed(self._extra)]
        return [pattern for file in files for pattern in patterns_of(_content(file))]


def above(folder: str) -> Ignored | None:
    """Return the rules from around a folder: of the git repository that it lies in.

    ``None`` if it is in none, or if they leave out the folder itself: who names it wants what is in it.
    """
    top = folder
    while not os.path.exists(os.path.join(top, ".git")):
        top, before = os.path.dirname(top), top
        if top == before:
            return None
    rules = Ignored(top, extra=[os.path.join(top, ".git", "info", "exclude")])
    if top == folder:
        return rules
    for step in os.path.relpath(folder, top).split(os.sep):
        top = os.path.join(top, step)
        if rules.leaves_out(top, is_folder=True):
            return None
        if top != folder:
            rules = Ignored(top, rules)
    return rules


def _content(file: str) -> bytes:
    """Return what a file of rules holds: nothing if it is a link, no file, or not to be read, as for git."""
    no_wait = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(file, os.O_RDONLY | no_wait), "rb") as opened:
            return opened.read() if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else b""
    except OSError:
        return b""

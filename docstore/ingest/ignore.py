"""What ``.gitignore`` and ``.docstoreignore`` leave out, as git reads them.

The patterns of a file hold below its folder; of those that match, the last in the deepest folder decides.
What a left out folder holds is never looked at, so that nothing within can be taken back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from docstore.errors import BackendNotInstalled

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["FILES", "Ignored", "above"]

FILES = (".docstoreignore", ".gitignore")
"""Read in each folder; what the first says goes before what the second says."""


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
        if not self._specs:
            return None
        name = os.path.relpath(path, self._folder).replace(os.sep, "/") + ("/" if is_folder else "")
        for spec in self._specs:
            decided: bool | None = spec.check_file(name).include
            if decided is not None:
                return decided
        return None

    @cached_property
    def _specs(self) -> list[GitIgnoreSpec]:
        files = [*(os.path.join(self._folder, name) for name in FILES), *reversed(self._extra)]
        return [_spec(lines) for file in files if (lines := list(_lines(file)))]


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


def _lines(file: str) -> Iterator[str]:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as opened:
            yield from (line.rstrip("\n") for line in opened)
    except OSError:
        return


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    try:
        from pathspec import GitIgnoreSpec
    except ImportError as error:
        raise BackendNotInstalled(
            '.gitignore is read by pathspec: run  pip install "embedded-docstore[cli]", or say ignore=False'
        ) from error
    return GitIgnoreSpec.from_lines(lines)

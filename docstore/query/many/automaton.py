"""Many patterns walked through a text at once, whatever states that takes: a bit for each place in each.

RE2 makes a state of every set of places that is met, which for hundreds of patterns with counted repetitions
are too many to keep. Here a set of places is one whole number, and a character takes a shift and a few more
steps on it, for all patterns together (Baeza-Yates and Gonnet's shift-and, with Navarro and Raffinot's way
past places that may be left out).
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Many
from functools import reduce
from operator import or_

from docstore.query.many.characters import Memberships
from docstore.query.many.layout import Layout
from docstore.query.many.needed import Needed
from docstore.query.many.sequences import Sequence, Sequences

__all__ = ["Automaton"]

_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_SET = re.compile(rb"[^\0]")
_KEPT = 10_000
"""Sets of last places, of which the patterns are remembered."""


class Automaton:
    """Patterns as the sequences that match them, for texts up to a length.

    Args:
        patterns: the sequences of each.
        longest: the length.
        largest: bits of a set of places, beyond which the automaton is of no use.

    Attributes:
        size: bits of a set of places.
        unsettled: characters that were met of which the case is not known: a text with one of them may lack
            patterns that are found, if they ask for case.
    """

    __slots__ = (
        "_begun", "_by_byte", "_ended", "_known", "_layout", "_masks", "_needed", "_owners", "size",
        "unsettled",
    )  # fmt: skip

    def __init__(self, patterns: Many[Sequences], longest: int, largest: int) -> None:
        layout = self._layout = Layout(longest)
        self._owners: dict[int, int] = {}
        kept: list[Sequence] = []
        for at, sequences in enumerate(patterns):
            if layout.size > largest:
                break
            for sequence in sequences:
                last = layout.add(sequence)
                if last is not None:
                    kept.append(sequence)
                    self._owners[last] = 1 << at | sequence.exact << len(patterns) + at
        self.size: int = layout.size
        self._needed = Needed(kept)
        memberships = Memberships(layout.classes)
        self.unsettled: set[str] = memberships.unsettled
        self._masks = _Masks(memberships)
        self._known: dict[int, int] = {}
        self._by_byte: dict[int, int] = {}
        self._begun = self._past(layout.starts[""] | layout.starts["text"] | layout.starts["line"])
        asks = layout.starts["line"] | layout.ends["line"] | layout.edges
        self._ended = self._by_the_way if asks else self._along

    def found(self, text: str) -> int:
        """Return the patterns of which the text has a sequence, a bit for each, and behind those, a bit for
        each again, of which it has one that is exact.

        Args:
            text: no longer than the automaton is for.
        """
        if not self._needed.may_hold(text):
            return 0
        ended = self._ended(text)
        if not ended:
            return 0
        bits = self._known.get(ended)
        if bits is None:
            if len(self._known) >= _KEPT:
                self._known = {}
            bits = self._known[ended] = self._of(ended)
        return bits

    def _of(self, ended: int) -> int:
        """Return the patterns of which last places are set."""
        found, written = 0, ended.to_bytes(self.size // 8 + 1, "little")
        for place in _SET.finditer(written):
            start = place.start()
            key = start << 8 | written[start]
            bits = self._by_byte.get(key)
            if bits is None:
                some = (self._owners[8 * start + at] for at in range(8) if key >> at & 1)
                bits = self._by_byte[key] = reduce(or_, some)
            found |= bits
        return found

    def _past(self, places: int) -> int:
        """Return places with those behind them that are reached without a character."""
        layout = self._layout
        past = places | layout.last
        return places | layout.optional ^ layout.optional & (past - layout.before ^ past)

    def _along(self, text: str) -> int:
        """Return the last places of the sequences that the text has; lines are all one to them."""
        layout = self._layout
        mask_of, loops, anywhere = self._masks.__getitem__, layout.loops, layout.starts[""]
        optional, before, last = layout.optional, layout.before, layout.last
        met = places = self._begun
        if optional:
            for character in text:
                places = (places << 1 | places & loops) & mask_of(character) | anywhere
                past = places | last
                places |= optional ^ optional & (past - before ^ past)
                met |= places
        elif loops:
            for character in text:
                places = (places << 1 | places & loops) & mask_of(character) | anywhere
                met |= places
        else:
            for character in text:
                places = places << 1 & mask_of(character) | anywhere
                met |= places
        return met & layout.ends[""] | places & layout.ends["text"]

    def _by_the_way(self, text: str) -> int:
        """Return the last places of the sequences that the text has, some of which ask for lines or words."""
        layout, masks = self._layout, self._masks
        loops, anywhere, line, edges = layout.loops, layout.starts[""], layout.starts["line"], layout.edges
        optional, before, last = layout.optional, layout.before, layout.last
        met = places = self._begun
        in_line = 0
        in_word = False
        for character in (*text, ""):
            if edges and in_word is not (character in _WORD):
                in_word = not in_word
                reached = places << 1 & edges
                while reached | places != places:  # again, where one follows another
                    places |= reached
                    if optional:
                        past = places | last
                        places |= optional ^ optional & (past - before ^ past)
                    reached = places << 1 & edges
                met |= places
            if not character:
                break
            if character == "\n":
                in_line |= places
                places = (places << 1 | places & loops) & masks[character] | anywhere | line
            else:
                places = (places << 1 | places & loops) & masks[character] | anywhere
            if optional:
                past = places | last
                places |= optional ^ optional & (past - before ^ past)
            met |= places
        ends = layout.ends
        return met & ends[""] | in_line & ends["line"] | places & (ends["text"] | ends["line"])


class _Masks(dict[str, int]):
    """The places that a character leads to, of those characters that were met."""

    def __init__(self, memberships: Memberships) -> None:
        super().__init__()
        self._memberships = memberships

    def __missing__(self, character: str) -> int:
        mask = self[character] = self._memberships.of(character)
        return mask

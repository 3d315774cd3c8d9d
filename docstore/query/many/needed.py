"""Which of many sequences a text can hold at all, by the characters that it has, whatever their order.

Each sequence needs characters of some classes; the smallest few of them are looked at. A text that has not
what any of them needs is not walked (``automaton``).
"""

from __future__ import annotations

from collections.abc import Sequence as Many

from docstore.query.many.characters import Characters, Memberships
from docstore.query.many.sequences import Sequence

__all__ = ["Needed"]

_LOOKED_AT = 3
"""Classes of each sequence."""
_MANY = 0x110000


class Needed:
    """What sequences need.

    Args:
        sequences: the sequences.
    """

    __slots__ = ("_every", "_given", "_masks", "_memberships", "_number")

    def __init__(self, sequences: Many[Sequence]) -> None:
        number = self._number = len(sequences)
        self._every = (1 << number) - 1
        classes: dict[Characters, int] = {}
        self._given = 0
        for at, sequence in enumerate(sequences):
            needed = sorted({run.characters for run in sequence.runs if run.least}, key=_size)[:_LOOKED_AT]
            for level in range(_LOOKED_AT):
                bit = 1 << level * number + at
                if level < len(needed):
                    classes[needed[level]] = classes.get(needed[level], 0) | bit
                else:
                    self._given |= bit
        self._memberships = Memberships(classes)
        self._masks: dict[str, int] = {}

    def may_hold(self, text: str) -> bool:
        """Tell whether a text has what any of the sequences needs."""
        met, masks = self._given, self._masks
        for character in set(text):
            mask = masks.get(character)
            if mask is None:
                mask = masks[character] = self._memberships.of(character)
            met |= mask
        found = self._every
        for level in range(_LOOKED_AT):
            found &= met >> level * self._number
        return found != 0


def _size(characters: Characters) -> tuple[int, int]:
    size = sum(high - low + 1 for low, high in characters.ranges)
    if characters.negated:
        size = _MANY - size
    return (_MANY if characters.properties else size), hash(characters)

"""What can match a test of a text, as ``sequences``: of patterns (``reading``), globs, and texts."""

from __future__ import annotations

from docstore.query.expr import Match, Regex
from docstore.query.glob import Token, Wild, glob_tokens
from docstore.query.many.cases import merged
from docstore.query.many.characters import ANY, Characters
from docstore.query.many.reading import sequences
from docstore.query.many.sequences import COARSE, Run, Sequences, bounded
from docstore.query.text import fold

__all__ = ["sequences_of"]


def sequences_of(leaf: Regex | Match, detail: int = COARSE) -> Sequences | None:
    """Return what can match a leaf, in texts that are folded before if the leaf folds; ``None``: unknown.

    Args:
        leaf: the leaf.
        detail: how many sequences of a pattern may be kept apart.
    """
    if isinstance(leaf, Regex):
        return sequences(leaf.pattern, leaf.flags, detail)
    match leaf.kind:
        case "substring":
            return (bounded(_plain(leaf.text)),)
        case "isubstring":
            return (bounded(_plain(fold(leaf.text))),)
        case "starts_with":
            return (bounded(_plain(leaf.text), "text"),)
        case "glob" | "iglob":
            tokens = glob_tokens(leaf.text, folded=leaf.kind == "iglob")
            runs = tuple(run for token in tokens for run in _runs(token))
            return (bounded(runs, "text", "text"),)


def _plain(text: str) -> tuple[Run, ...]:
    return tuple(Run(Characters(((ord(character), ord(character)),))) for character in text)


def _runs(token: Token) -> tuple[Run, ...]:
    if isinstance(token, str):
        return _plain(token)
    if isinstance(token, Wild):
        return (Run(ANY, 0, None) if token is Wild.ANY else Run(ANY),)
    ranges = merged((ord(first), ord(last)) for first, last in token.ranges)
    return (Run(Characters(ranges, negated=token.negated)),)

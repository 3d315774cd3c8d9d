"""Many tests of one text: whether it passes any of them, whether it passes all.

A text is folded, encoded and gone through once for all of them, where RE2 can look for them together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

from docstore.query.expr import Match, Regex
from docstore.query.glob import folded_matcher, matcher, required_literals
from docstore.query.many.at_once import AtOnce
from docstore.query.many.cheapest import cheapest
from docstore.query.many.junctions import all_of, any_of
from docstore.query.many.leaf_sequences import sequences_of
from docstore.query.many.searches import Walk, any_searcher, is_installed, is_large, source
from docstore.query.predicates import Test
from docstore.query.regex import required_literal, searcher
from docstore.query.text import fold

__all__ = ["is_folding", "lone_test", "matches_all", "matches_any", "may_be_dear"]

_MANY = 8
"""From so many tests on, one search for all of them comes first."""
_PIECE = 32
"""Characters of each that are searched for."""
_TRIED = 8
"""Tests that failed last, which are tried before all are."""
TextTest: TypeAlias = Callable[[str], bool]
Leaf: TypeAlias = Regex | Match
T = TypeVar("T")


def matches_any(leaves: Sequence[Leaf]) -> Test:
    """Return the test of whether a text matches one of many leaves."""
    tests = [_any_of(group, folds) for folds, group in _by_folding(leaves)]

    def test(value: Any) -> bool:
        return type(value) is str and any(each(value) for each in tests)

    return test


def matches_all(leaves: Sequence[Leaf]) -> TextTest:
    """Return the test of whether a text matches every one of many leaves."""
    tests = [_all_of(group, folds) for folds, group in _by_folding(leaves)]
    return tests[0] if len(tests) == 1 else all_of(tests)


def _by_folding(leaves: Sequence[Leaf]) -> list[tuple[bool, list[Leaf]]]:
    """Return the leaves that ask the text as it is, and those that ask its fold."""
    groups = [(folds, [leaf for leaf in leaves if is_folding(leaf) is folds]) for folds in (False, True)]
    return [(folds, group) for folds, group in groups if group]


def is_folding(leaf: Leaf) -> bool:
    """Tell whether a leaf asks the fold of a text."""
    return isinstance(leaf, Match) and leaf.folds


def _of_folded(test: Callable[[str], T]) -> Callable[[str], T]:
    return lambda text: test(fold(text))


def _any_of(leaves: Sequence[Leaf], folds: bool) -> TextTest:
    patterns = [(leaf.pattern, leaf.flags) for leaf in leaves if isinstance(leaf, Regex)]
    tests = _any_pattern(patterns)
    texts = [leaf for leaf in leaves if isinstance(leaf, Match)]
    if texts:
        tests.append(_any_text(texts))
    found = tests[0] if len(tests) == 1 else any_of(tests)
    if may_be_dear(leaves):
        found = cheapest(found, lambda longest: getattr(_at_once(leaves, longest), "any", None))
    return _of_folded(found) if folds else found


def _any_pattern(patterns: Sequence[tuple[str, str]]) -> list[TextTest]:
    """Return the searches for patterns; those with a text that every match contains come after that text."""
    texts = [required_literal(*pattern) for pattern in patterns]
    some = [pattern for pattern, text in zip(patterns, texts, strict=True) if text]
    if len(some) < _MANY:
        return [any_searcher(patterns)] if patterns else []
    others = [pattern for pattern, text in zip(patterns, texts, strict=True) if not text]
    return [_behind(texts, any_searcher(some)), *([any_searcher(others)] if others else [])]


def _behind(pieces: Sequence[str], test: TextTest) -> TextTest:
    """Return a test that needs one of some pieces of text to be there, which are looked for first."""
    return all_of([any_searcher((re.escape(piece[:_PIECE]), "") for piece in pieces if piece), test])


def _any_text(leaves: Sequence[Match]) -> TextTest:
    """Return the test of whether a text, folded already if they fold, matches one of the leaves.

    One search for a piece of each that every match contains says first whether any can match; those that have
    none are looked for by themselves.
    """
    pieces = [_piece(leaf) for leaf in leaves]
    some = [leaf for leaf, piece in zip(leaves, pieces, strict=True) if piece]
    if len(leaves) < _MANY or not is_installed():
        return any_of([*map(lone_test, leaves)])
    found = []
    if some:
        found.append(_behind(pieces, any_of([*map(lone_test, some)])))
    others = [leaf for leaf, piece in zip(leaves, pieces, strict=True) if not piece]
    sources = [source(leaf) for leaf in others]
    found += [lone_test(leaf) for leaf, known in zip(others, sources, strict=True) if known is None]
    found += [any_searcher(known for known in sources if known is not None)] if any(sources) else []
    return any_of(found)


def _piece(leaf: Match) -> str:
    """Return what every match of a leaf contains, folded if the leaf folds; ``""``: nothing is known of."""
    if leaf.kind in ("glob", "iglob"):
        return max(required_literals(leaf.text, folded=leaf.kind == "iglob"), key=len, default="")
    return fold(leaf.text) if leaf.kind == "isubstring" else leaf.text


def _all_of(leaves: Sequence[Leaf], folds: bool) -> TextTest:
    alone = [lone_test(leaf) for leaf in leaves]
    together = len(leaves) >= _MANY and is_installed()
    found = _all_together(leaves, alone) if together else all_of(alone)
    if may_be_dear(leaves):
        found = cheapest(found, lambda longest: getattr(_at_once(leaves, longest), "all", None))
    return _of_folded(found) if folds else found


def _all_together(leaves: Sequence[Leaf], alone: Sequence[TextTest]) -> TextTest:
    """Return the test of whether a text matches all of many leaves: those that failed last come first, then
    one walk that tells which fails.
    """
    walk = Walk([source(leaf) for leaf in leaves])
    others = all_of([alone[place] for place in walk.left])
    one_by_one = all_of([*alone])
    front: list[TextTest] = []

    def test(text: str) -> bool:
        nonlocal front
        tried = front
        for one in tried:
            if not one(text):
                return False
        place = walk.missing(text)
        if place is None:
            return others(text)
        if alone[place](text):
            return one_by_one(text)
        front = [alone[place], *tried[: _TRIED - 1]]
        return False

    return test


def lone_test(leaf: Leaf) -> TextTest:
    """Return the test of one leaf; of a text that is folded already if the leaf folds."""
    if isinstance(leaf, Regex):
        return searcher(leaf.pattern, leaf.flags)
    match leaf.kind:
        case "glob":
            return matcher(leaf.text)
        case "iglob":
            return folded_matcher(leaf.text)
        case "starts_with":
            return partial(_begins, leaf.text)
        case _:
            return partial(_contains, fold(leaf.text) if leaf.kind == "isubstring" else leaf.text)


def may_be_dear(leaves: Sequence[Leaf]) -> bool:
    """Return whether there may be a cheaper way to ask all of some leaves."""
    return is_installed() and (len(leaves) >= 2 * _MANY or is_large(leaves))


def _at_once(leaves: Sequence[Leaf], longest: int) -> AtOnce | None:
    """Return the tests of many leaves, asked another way, for texts up to a length."""
    return AtOnce.of([(partial(sequences_of, leaf), lone_test(leaf)) for leaf in leaves], longest)


def _never(text: str) -> bool:
    return False


def _contains(piece: str, text: str) -> bool:
    return piece in text


def _begins(start: str, text: str) -> bool:
    return text.startswith(start)

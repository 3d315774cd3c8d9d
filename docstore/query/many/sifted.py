"""Terms of which each asks several things: told apart by what is quickly known of all of them at once.

``{"$or": [{"filename": {"$regex": "a+"}, "content": {"$regex": "b+"}}, …]}`` would take two searches a term.
All that is asked of one path by comparisons, texts and patterns is answered at once instead (``decided``),
whatever else is asked is taken to be as the term wants it, and only the terms that can still hold are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from docstore.query.expr import And, Compare, Expr, In, Leaf, Match, Or, Path, Regex, leaves
from docstore.query.many.bitwise import stretches, terms_come_to, wanted
from docstore.query.many.decided import Answers
from docstore.query.seeing import Predicate

__all__ = ["sifted"]

_MANY = 8
"""From so many terms, and so many questions to one path, on it pays."""


class _Sieve:
    """Terms and what is known of them.

    Args:
        terms: the terms.
        answers: what is asked of each path.
        known: the leaves that are answered so.
        compile: compiles one term by itself.
    """

    __slots__ = ("_answers", "_come_to", "_every", "_hoped", "_last", "_sure", "_tests", "_wanted")

    def __init__(
        self,
        terms: Sequence[Expr],
        answers: Sequence[Answers],
        known: set[int],
        compile: Callable[[Expr], Predicate],
    ) -> None:
        self._answers = answers
        self._come_to = terms_come_to(terms)
        self._wanted = wanted(terms)
        every = [leaf for term in terms for leaf in leaves(term)]
        self._hoped = self._wanted & sum(1 << at for at, leaf in enumerate(every) if id(leaf) not in known)
        self._every = self._sure = self._last = 0
        self._tests: dict[int, Predicate] = {}
        for term, first in stretches(terms):
            self._every |= 1 << first
            if all(id(leaf) in known for leaf in leaves(term)):
                self._sure |= 1 << first
            else:
                self._tests[1 << first] = compile(term)

    def any(self, record: Any) -> bool:
        """Tell whether any of the terms holds."""
        surely, perhaps = self._told(record)
        hopeful = self._come_to(surely | perhaps & self._wanted)
        if perhaps and hopeful:
            if self._come_to(surely | perhaps & ~self._wanted) & self._sure:
                return True
            hopeful = self._come_to(surely | self._settled(record, perhaps))
        return hopeful & self._sure != 0 or self._first(record, hopeful, holding=True)

    def all(self, record: Any) -> bool:
        """Tell whether each of the terms holds."""
        surely, perhaps = self._told(record)
        hopeful = self._come_to(surely | perhaps & self._wanted)
        if perhaps and hopeful == self._every:
            hopeful = self._come_to(surely | self._settled(record, perhaps))
        return hopeful == self._every and not self._first(record, hopeful, holding=False)

    def _told(self, record: Any) -> tuple[int, int]:
        """Return the leaves that hold, or are taken to, and those that may hold."""
        surely, perhaps = self._hoped, 0
        for answers in self._answers:
            told = answers.told(record)
            surely |= told[0]
            perhaps |= told[1]
        return surely, perhaps

    def _settled(self, record: Any, perhaps: int) -> int:
        found = 0
        for answers in self._answers:
            found |= answers.settled(record, perhaps)
        return found

    def _first(self, record: Any, hopeful: int, *, holding: bool) -> bool:
        """Tell whether any of those that must be tried holds, or fails; the last that did is tried first."""
        left = hopeful & ~self._sure
        bit = self._last & left or left & -left
        while bit:
            if self._tests[bit](record) is holding:
                self._last = bit
                return True
            left ^= bit
            bit = left & -left
        return False


def sifted(
    terms: Sequence[Expr], kind: type[And] | type[Or], compile: Callable[[Expr], Predicate]
) -> Predicate | None:
    """Return the test of whether any, or each, of some terms holds of a record; ``None``: it would not pay.

    Args:
        terms: the terms.
        kind: And: each of them must hold.
        compile: compiles one term by itself.
    """
    every = [leaf for term in terms for leaf in leaves(term)]
    by_path: dict[Path, list[Leaf | None]] = {}
    for at, leaf in enumerate(every):
        if isinstance(leaf, Compare | In | Regex | Match):
            by_path.setdefault(leaf.path, [None] * len(every))[at] = leaf
    answered = {path: asked for path, asked in by_path.items() if len(asked) - asked.count(None) >= _MANY}
    if len(terms) < _MANY or not answered:
        return None
    answers = [Answers(path, asked) for path, asked in answered.items()]
    known = {id(leaf) for asked in answered.values() for leaf in asked if leaf is not None}
    sieve = _Sieve(terms, answers, known, compile)
    return sieve.all if kind is And else sieve.any

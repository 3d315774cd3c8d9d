"""Many alternatives inside one JSON value: what they have in common is read once for all of them.

``{"$or": [{"a": {"$size": 1}}, {"a": {"$size": 2}}, …]}`` reads the length once and looks it up; alternatives
on many paths are asked only of what has one of their keys. Each of them by itself would be a walk of its own
through every document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from docstore_sql.fragment import Fragment, both, either

from docstore.query.expr import (
    Always,
    And,
    Compare,
    Contains,
    ElemMatch,
    Expr,
    In,
    Json,
    Leaf,
    Match,
    Mod,
    Not,
    Occurs,
    Or,
    Path,
    Regex,
    Size,
)
from docstore.query.values import identity
from docstore_postgres.alternatives import MANY, any_text
from docstore_postgres.alternatives import joined as with_patterns_joined
from docstore_postgres.guards import Guarded, guarded
from docstore_postgres.predicates import merged
from docstore_postgres.reach import Root
from docstore_postgres.values import json_of

__all__ = ["Alternatives", "Looks"]

_MANY_VALUES = 64
"""From so many with values of their own on these are one list."""
_INT64 = 2**63 - 1
Start: TypeAlias = tuple[Root, Path]
"""Where a leaf starts, and its path from there."""


class Looks(Protocol):
    """What compiles questions at one path: see ``JsonLeaves``."""

    def leaf(self, leaf: Leaf, path: Path, root: Root) -> Fragment:
        """Return the condition for a leaf."""

    def strings(self, root: Root, path: Path, condition: Callable[[str, str], Fragment]) -> Fragment:
        """Return that a string seen meets a condition on its text, as it is and folded."""

    def sizes(self, root: Root, path: Path, lengths: Sequence[int]) -> Fragment:
        """Return that an array of one of these lengths is reached."""

    def remainders(self, root: Root, path: Path, wanted: Sequence[tuple[int, int]]) -> Fragment:
        """Return that a number seen leaves one of the remainders by its divisor."""

    def members(self, root: Root, path: Path, texts: Sequence[str]) -> Fragment:
        """Return that an array is reached that has one of these values, given as JSON, for an element."""


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Compiles the terms of an Or.

    Attributes:
        looks: compiles what is asked at one path.
        at: returns the root and the path that a leaf starts from; ``None``: it asks of no JSON.
        where: compiles any other term.
    """

    looks: Looks
    at: Callable[[Leaf], Start | None]
    where: Callable[[Expr], Fragment]

    def any_of(self, terms: Sequence[Expr]) -> list[Fragment]:
        """Return the conditions of which one has to hold."""
        if len(terms) < MANY or all(map(_is_found, terms)):
            return merged(map(self.where, terms), "||")
        terms = with_patterns_joined(terms)
        loose: list[Fragment] = []
        bound: dict[Root, list[Guarded]] = {}
        for root, asked in self._asked(terms):
            if root is None:
                loose.append(asked.condition)
            else:
                bound.setdefault(root, []).append(asked)
        for root, some in bound.items():
            loose += guarded(root, some)
        return merged(loose, "||")

    def _asked(self, terms: Sequence[Expr]) -> Iterator[tuple[Root | None, Guarded]]:
        """Yield each condition with what it needs; those that are alike on one path as one."""
        alike: dict[tuple[str, Root, Path], list[Leaf]] = {}
        for term in terms:
            kind, needs = _kind(term), self._needs(term)
            if kind and needs is not None and isinstance(term, Size | Mod | Match | Contains | Compare | In):
                alike.setdefault((kind, needs[0], needs[1]), []).append(term)
            elif needs is None:
                yield None, Guarded((), None, self.where(term))
            else:
                yield needs[0], Guarded(needs[1], needs[2], self.where(term))
        for (kind, root, path), leaves in alike.items():
            joined = self._joined(kind, root, path, leaves) if len(leaves) >= MANY else None
            if joined is not None:
                yield root, Guarded(path, None, joined)
                continue
            for leaf in leaves:
                yield root, Guarded(path, _type_needed(leaf), self.looks.leaf(leaf, path, root))

    def _needs(self, term: Expr) -> tuple[Root, Path, str | None] | None:
        """Return a path that must lead somewhere for ``term`` to hold, and to what type, if one is known."""
        match term:
            case And(terms):
                found = [needs for needs in map(self._needs, terms) if needs is not None]
                return next((needs for needs in found if needs[2]), found[0] if found else None)
            case Not() | Or() | Always() | Occurs() | Compare(_, _, None):
                return None
            case In(_, values) if any(value is None for value in values):
                return None
            case _:
                start = self.at(term)
                return None if start is None else (*start, _type_needed(term))

    def _joined(self, kind: str, root: Root, path: Path, leaves: Sequence[Leaf]) -> Fragment | None:
        """Return one condition for leaves of a kind at one path, ``None`` where there is none."""
        if kind == "size":
            return self.looks.sizes(root, path, [leaf.length for leaf in leaves if isinstance(leaf, Size)])
        if kind == "mod":
            wanted = [(abs(leaf.divisor), leaf.remainder) for leaf in leaves if isinstance(leaf, Mod)]
            return self.looks.remainders(root, path, wanted)
        if kind == "text":
            texts = [leaf for leaf in leaves if isinstance(leaf, Match)]
            return self.looks.strings(root, path, lambda text, folded: any_text(text, folded, texts))
        if len(leaves) < _MANY_VALUES:
            return None
        if kind == "equal":
            values = tuple(value for leaf in leaves for value in _equals(leaf))
            return self.looks.leaf(In(path, values), path, root)
        contains = [leaf for leaf in leaves if isinstance(leaf, Contains)]
        some = self.looks.members(root, path, [json_of(value) for value in _telling(contains)])
        rest = either(merged((self.looks.leaf(leaf, path, root) for leaf in contains if leaf.every), "||"))
        if all(leaf.every for leaf in contains):
            return Fragment(f"CASE WHEN {some.text} THEN {rest.text} END", some.values + rest.values)
        any_of = [value for leaf in contains if not leaf.every for value in leaf.values]
        one = self.looks.members(root, path, [json_of(value) for value in any_of])
        return either((one, both((some, rest)))) if any(leaf.every for leaf in contains) else one


def _kind(term: Expr) -> str | None:
    """Return what a term can be joined with: others of that kind on its path."""
    match term:
        case Size():
            return "size"
        case Mod(_, divisor) if abs(divisor) <= _INT64:
            return "mod"
        case Match():
            return "text"
        case Contains(_, values) if values:
            return "contains"
        case Compare(_, "eq") | In():
            return "equal"
        case _:
            return None


def _type_needed(leaf: Leaf) -> str | None:
    """Return the type that a value seen, or for ``array`` the one reached, has where ``leaf`` holds."""
    match leaf:
        case Size() | Contains() | ElemMatch():
            return "array"
        case Regex() | Match():
            return "string"
        case Mod():
            return "number"
        case Compare(_, _, str()):
            return "string"
        case Compare(_, _, bool()):
            return "boolean"
        case Compare(_, _, int() | float()):
            return "number"
        case _:
            return None


def _equals(leaf: Leaf) -> tuple[Json, ...]:
    return leaf.values if isinstance(leaf, In) else (leaf.value,) if isinstance(leaf, Compare) else ()


def _telling(leaves: Iterable[Contains]) -> list[Json]:
    """Return a value of each leaf that wants all of its values: the one that fewest others want."""
    wanted = [[(identity(value), value) for value in leaf.values] for leaf in leaves if leaf.every]
    counted = Counter(key for values in wanted for key, _ in values)
    return [min(values, key=lambda pair: counted[pair[0]])[1] for values in wanted]


def _is_found(term: Expr) -> bool:
    """Return whether the GIN index finds ``term`` as one of many alternatives."""
    match term:
        case And(terms):
            return any(map(_is_found, terms))
        case Or(terms):
            return all(map(_is_found, terms))
        case Compare(_, "eq", value):
            return value is not None and not isinstance(value, list | dict)
        case In(_, values):
            return len(values) <= _MANY_VALUES and not any(
                value is None or isinstance(value, list | dict) for value in values
            )
        case _:
            return False

"""How far Postgres runs a leaf, and why not all the way: patterns it reads otherwise, folding."""

from __future__ import annotations

from docstore.backend import EXACT, Judgement, Support
from docstore.query.expr import Contains, During, ElemMatch, Expr, Leaf, Match, Regex, leaves
from docstore.query.fields import Collection, Kind
from docstore_postgres import patterns, regex

__all__ = ["is_exact", "judge", "judge_string"]

_NO_FOLD = Judgement(Support.INEXACT, "Postgres folds only the ASCII texts of this field")
_NO_REGEX = Judgement(Support.UNSUPPORTED, "RE2 syntax that Postgres has no equal for")
_LOOSE_REGEX = Judgement(Support.INEXACT, "a part of the pattern is read differently by RE2 and Postgres")
_LOOSE_GLOB = Judgement(Support.INEXACT, "the glob's classes hold too many ranges")
_AS_TEXT = Judgement(Support.INEXACT, "instants are looked for by the days that texts begin with")
_IN_ELEMENT = "inside $elemMatch: {}"


def judge(collection: Collection, leaf: Leaf) -> Judgement:
    """Say how far Postgres runs ``leaf``."""
    match leaf:
        case ElemMatch(_, condition):
            reason = _loose_within(condition)
            return Judgement(Support.INEXACT, _IN_ELEMENT.format(reason)) if reason else EXACT
        case Match(path) if leaf.folds:
            field = collection.column(path[0])
            folds = field.kind is Kind.JSON or field.name == "filename"
            return judge_string(leaf) if folds else _NO_FOLD
        case Match() | Regex():
            return judge_string(leaf)
        case During() | Contains(instants=(_, *_)):
            return _AS_TEXT
        case _:
            return EXACT


def judge_string(leaf: Match | Regex) -> Judgement:
    """Say how far the pattern of ``leaf`` is exact, whatever it is asked of."""
    if isinstance(leaf, Match):
        loose = leaf.kind in ("glob", "iglob") and not patterns.glob_is_exact(
            leaf.text, folded=leaf.kind == "iglob"
        )
        return _LOOSE_GLOB if loose else EXACT
    translated = regex.translate(leaf.pattern, leaf.flags)
    if translated is None:
        return _NO_REGEX
    return EXACT if translated.exact else _LOOSE_REGEX


def is_exact(condition: Expr) -> bool:
    """Return whether every leaf of a condition within ElemMatch is exact."""
    return _loose_within(condition) is None


def _loose_within(condition: Expr) -> str | None:
    for leaf in leaves(condition):
        match leaf:
            case ElemMatch(_, inner):
                reason = _loose_within(inner)
            case Match() | Regex():
                reason = judge_string(leaf).reason
            case During() | Contains(instants=(_, *_)):
                reason = _AS_TEXT.reason
            case _:
                reason = None
        if reason:
            return reason
    return None

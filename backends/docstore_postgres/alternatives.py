"""Many alternatives on one text: few regular expressions instead of one a term.

Postgres keeps 32 compiled regular expressions; with more of them in one statement it compiles each anew for
every row.
"""

from __future__ import annotations

from collections.abc import Sequence

from docstore_sql.fragment import Fragment, both, either

from docstore.query.expr import Expr, Match, Path, Regex
from docstore.query.glob import required_literals
from docstore.query.text import fold
from docstore_postgres import patterns, regex
from docstore_postgres.ranges import literal
from docstore_postgres.strings import string_condition

__all__ = ["MANY", "any_text", "joined"]

MANY = 8
"""From so many terms on it pays."""
_TOGETHER = 64
_PIECE = 32


def joined(terms: Sequence[Expr]) -> list[Expr]:
    """Return the terms of an Or, the patterns that are asked of one path joined."""
    alike: dict[tuple[Path, str], list[Regex]] = {}
    found: list[Expr] = []
    for term in terms:
        if isinstance(term, Regex) and r"\Q" not in term.pattern and _translates(term):
            alike.setdefault((term.path, term.flags), []).append(term)
        else:
            found.append(term)
    for (path, flags), leaves in alike.items():
        for start in range(0, len(leaves), _TOGETHER):
            some = leaves[start : start + _TOGETHER]
            one = Regex(path, "|".join(f"(?:{leaf.pattern})" for leaf in some), flags)
            found += [one] if len(leaves) >= MANY and _translates(one) else some
    return found


def _translates(leaf: Regex) -> bool:
    return regex.translate(leaf.pattern, leaf.flags) is not None


def any_text(text: str, folded: str, leaves: Sequence[Match]) -> Fragment:
    """Return the condition that a text matches any of the leaves; one look says first whether any can.

    Args:
        text: the expression of the text.
        folded: the expression of the folded text.
        leaves: what is asked.
    """
    parts: list[Fragment] = []
    for folds, expression in ((False, text), (True, folded)):
        some = [leaf for leaf in leaves if leaf.folds is folds]
        if some:
            may, one = _possible(expression, some), _any_of(expression, some)
            parts.append(one if may is None else both((may, one)))
    return either(parts)


def _any_of(text: str, leaves: Sequence[Match]) -> Fragment:
    """Return the condition that a text matches any of the leaves, globs among them joined.

    Args:
        text: the expression of the text, folded if the leaves fold.
        leaves: all of them of kinds that fold, or none.
    """
    sources: list[str] = []
    parts: list[Fragment] = []
    for leaf in leaves:
        is_glob = leaf.kind in ("glob", "iglob")
        source = patterns.glob_source(leaf.text, folded=leaf.kind == "iglob") if is_glob else None
        if source is None:
            parts.append(string_condition(text, leaf, folded=text))
        else:
            sources.append(source)
    for start in range(0, len(sources), _TOGETHER):
        some = "|".join(sources[start : start + _TOGETHER])
        parts.append(Fragment(f'{text} COLLATE "C" ~ %s', (f"^(?:{some})$",)))
    return either(parts)


def _possible(text: str, leaves: Sequence[Match]) -> Fragment | None:
    """Return what must hold of a text where any of the leaves does: it has a piece of one of them.

    Args:
        text: the expression of the text, folded if the leaves fold.
        leaves: all of them of kinds that fold, or none.

    Returns:
        The condition; ``None`` where one of the leaves has no such piece.
    """
    pieces = {_piece(leaf) for leaf in leaves}
    if "" in pieces:
        return None
    source = "|".join("".join(map(literal, piece)) for piece in sorted(pieces))
    return Fragment(f'{text} COLLATE "C" ~ %s', (f"(?:{source})",))


def _piece(leaf: Match) -> str:
    if leaf.kind in ("glob", "iglob"):
        pieces = required_literals(leaf.text, folded=leaf.kind == "iglob")
        return max(pieces, key=len, default="")[:_PIECE]
    return (fold(leaf.text) if leaf.kind == "isubstring" else leaf.text)[:_PIECE]

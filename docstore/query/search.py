"""Parse a search (rule 22) into an Expr of :class:`~docstore.query.expr.Occurs` leaves.

The search is folded as a whole first and split then, so whatever folding makes of a character counts: U+FF02
is a quote, U+FF0D a minus, U+00A8 white space before a mark. A term begins after white space or a phrase and
is

- a phrase, ``"…"`` up to the next quote, white space and all; an empty one is no term;
- otherwise everything up to white space. A quote within it, or one that none closes, is an ordinary
  character.

A ``-`` at the beginning of either excludes it; a ``-`` by itself is an ordinary term.
"""

from __future__ import annotations

import re

from docstore.errors import FilterTooComplex, FilterValueError
from docstore.limits import Limits
from docstore.query.expr import FALSE, TRUE, And, Expr, Not, Occurs
from docstore.query.fields import Collection
from docstore.query.text import fold, words

__all__ = ["parse_search"]

_TERM = re.compile(r'(-?)(?:"([^"]*)"|(\S+))')
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_search(search: str | None, collection: Collection, limits: Limits) -> Expr:
    """Return what ``search`` asks of a record.

    Args:
        search: as the user wrote it, up to ``limits.search_characters`` characters; ``None``, an empty text
            and white space alone match everything. A term with a lone surrogate occurs nowhere.
        collection: what is searched; where it has no content, the filename alone.
        limits: the bounds.

    Raises:
        FilterValueError: ``search`` is not a text.
        FilterTooComplex: it is too long.
    """
    if search is None:
        return TRUE
    if not isinstance(search, str):
        wrong, expected = type(search).__name__, "text or None"
        raise FilterValueError(f"search is a {wrong}; expected {expected}", path="search", expected=expected)
    limit = limits.search_characters
    if len(search) > limit:
        wrong = f"search has {len(search)} characters; at most {limit} are allowed (search_characters)"
        raise FilterTooComplex(wrong, path="search", bound="search_characters", limit=limit)
    return _all(_terms(fold(search.replace("\0", " ")), "content" in collection.fields))


def _terms(folded: str, content: bool) -> list[Expr]:
    found: list[Expr] = []
    for minus, phrase, word in _TERM.findall(folded):
        if word:
            term = _occurs(word, True, content)
        elif phrase:
            term = _occurs(phrase, False, content)
        else:
            continue
        found.append(_complement(term) if minus else term)
    return found


def _occurs(text: str, prefix: bool, content: bool) -> Expr:
    if _SURROGATE.search(text):
        return FALSE
    return Occurs(text, tuple(words(text)), prefix, content)


def _complement(term: Expr) -> Expr:
    return TRUE if term == FALSE else Not(term)


def _all(terms: list[Expr]) -> Expr:
    distinct = [term for term in dict.fromkeys(terms) if term != TRUE]
    if FALSE in distinct:
        return FALSE
    if not distinct:
        return TRUE
    return distinct[0] if len(distinct) == 1 else And(tuple(distinct))

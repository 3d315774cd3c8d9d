"""Parse a search (rule 22) into an Expr of :class:`~docstore.query.expr.Occurs` leaves.

The text is first written in compatibility form, its default-ignorables dropped, so that U+FF02 is a quote and
U+FF0D a minus. Then it is split, and each term is folded for search. A term begins after white space or a
phrase and is

- a phrase, ``"…"`` up to the next quote, white space and all; a quote that none closes is dropped;
- otherwise everything up to white space. A quote within it is an ordinary character, and ``*`` at its end is
  dropped: the last word may be the beginning of one anyway.

A ``-`` at the beginning of either excludes it. ``OR`` between two terms means either; it binds tighter than
the white space that joins the others. A term that is only ``*`` or ``-``, or folds to nothing, is none.
"""

from __future__ import annotations

import re
from unicodedata import normalize

from docstore.errors import FilterTooComplex, FilterValueError
from docstore.limits import Limits
from docstore.query.expr import FALSE, TRUE, And, Expr, Not, Occurs, Or
from docstore.query.fields import Collection
from docstore.query.text import search_fold, without_ignorables, words

__all__ = ["parse_search", "search_terms"]

_TERM = re.compile(r'(-?)(?:"([^"]*)"|(\S+))')
_SURROGATE = re.compile("[\ud800-\udfff]")
_EITHER = "OR"


def parse_search(search: str | None, collection: Collection, limits: Limits, *, marks: bool = False) -> Expr:
    """Return what ``search`` asks of a record.

    Args:
        search: as the user wrote it, up to ``limits.search_characters`` characters; ``None``, an empty text
            and white space alone match everything. A term with a lone surrogate occurs nowhere.
        collection: what is searched; where it has no content, the filename alone.
        limits: the bounds.
        marks: whether the store keeps marks apart (``search_marks=True``).

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
    groups = _groups(search, "content" in collection.fields, marks)
    return _all([_any(group) for group in groups])


def search_terms(search: str | None, *, marks: bool = False) -> tuple[Occurs, ...]:
    """Return the different terms that a search asks for, in its order; excluded ones are not among them."""
    terms = [term for group in _groups(search or "", True, marks) for term in group]
    return tuple(dict.fromkeys(term for term in terms if isinstance(term, Occurs)))


def _groups(search: str, content: bool, marks: bool) -> list[list[Expr]]:
    """Return the terms of a search in groups: of each group any term must match."""
    plain = normalize("NFKC", without_ignorables(search.replace("\0", " ")))
    groups: list[list[Expr]] = []
    joins = False
    for minus, phrase, word in _TERM.findall(plain):
        if word == _EITHER and not minus:
            joins = bool(groups)
            continue
        text = phrase or word.removeprefix('"').rstrip("*")
        if text in ("", "-") and not phrase:
            continue
        term = _occurs(search_fold(text, marks=marks), bool(phrase), content, marks)
        if term is None:
            continue
        term = _complement(term) if minus else term
        if joins:
            groups[-1].append(term)
        else:
            groups.append([term])
        joins = False
    return groups


def _occurs(text: str, is_phrase: bool, content: bool, marks: bool) -> Expr | None:
    """Return the leaf of one folded term; None if nothing is left of it."""
    if not text:
        return None
    if _SURROGATE.search(text):
        return FALSE
    found = tuple(words(text))
    prefix = bool(found) and not is_phrase and text.endswith(found[-1])
    return Occurs(text, found, prefix, content, marks)


def _complement(term: Expr) -> Expr:
    return TRUE if term == FALSE else Not(term)


def _any(terms: list[Expr]) -> Expr:
    """Return the disjunction of a group's terms."""
    distinct = [term for term in dict.fromkeys(terms) if term != FALSE]
    if TRUE in distinct:
        return TRUE
    if not distinct:
        return FALSE
    return distinct[0] if len(distinct) == 1 else Or(tuple(distinct))


def _all(terms: list[Expr]) -> Expr:
    """Return the conjunction of the groups."""
    distinct = [term for term in dict.fromkeys(terms) if term != TRUE]
    if FALSE in distinct:
        return FALSE
    if not distinct:
        return TRUE
    return distinct[0] if len(distinct) == 1 else And(tuple(distinct))

"""What stands in columns of its own beside a JSON field's text, for Postgres to look into."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_core import from_json

from docstore_postgres.numbers import index_numbers
from docstore_postgres.values import index_folds, index_json, is_plain

__all__ = ["beside", "columns_beside", "made_of"]

_NUMBERED = "metadata"
"""The field whose numbers are indexed by their size; it is never ``None``."""
_TOGETHER = 32
"""So many texts are decoded at a time."""
Made = tuple[str | None, ...]


def made_of(name: str) -> tuple[tuple[str, str], ...]:
    """Return the columns made from a JSON field's text, by the ends of their names, and their types."""
    plain = ("json", "jsonb"), ("fold", "jsonb")
    return (*plain, ("numbers", "tsvector")) if name == _NUMBERED else plain


def beside(name: str, text: str | None) -> Made:
    """Return the values of :func:`made_of` for a JSON field's text."""
    if text is None:
        return (None,) * len(made_of(name))
    if name != _NUMBERED:
        return index_json(text), index_folds(text)
    words, has_large = index_numbers(from_json(text))
    return index_json(text) if has_large else text, index_folds(text), words


def columns_beside(name: str, texts: Sequence[str | None]) -> list[Sequence[str | None]]:
    """Return :func:`beside` of many texts, a list for each column."""
    if name != _NUMBERED:
        return [list(made) for made in zip(*(beside(name, text) for text in texts), strict=True)]
    jsons: list[str | None] = []
    folds: list[str | None] = []
    numbers: list[str | None] = []
    for at in range(0, len(texts), _TOGETHER):
        some = [text for text in texts[at : at + _TOGETHER] if text is not None]
        together = f"[{','.join(some)}]"
        found = list(map(index_numbers, from_json(together)))
        numbers += [words for words, _ in found]
        large = (has_large for _, has_large in found)
        jsons += [index_json(text) if is_large else text for text, is_large in zip(some, large, strict=True)]
        folds += [None] * len(some) if is_plain(together) else map(index_folds, some)
    return [jsons, folds, numbers]

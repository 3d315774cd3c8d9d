"""What stands in columns of its own beside a JSON field's text, for Postgres to look into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from docstore_postgres.numbers import index_numbers
from docstore_postgres.usual import Usuals
from docstore_postgres.values import index_folds, index_json, is_plain

__all__ = ["WORDED", "beside", "columns_beside", "index_words", "made_of"]

WORDED = "metadata"
"""The field that words are made of; it is never ``None``."""
_TOGETHER = 32
"""So many texts are decoded at a time."""
Made = tuple[str | None, ...]


def made_of(name: str) -> tuple[tuple[str, str], ...]:
    """Return the columns made from a JSON field's text, by the ends of their names, and their types."""
    plain = ("json", "jsonb"), ("fold", "jsonb")
    return (*plain, ("words", "tsvector")) if name == WORDED else plain


def index_words(record: dict[str, Any], usuals: Usuals) -> tuple[str, bool]:
    """Return the words of a JSON object, as the text of a tsvector, and whether it holds a number that is
    ``LARGE`` or beyond.
    """
    words, has_large = index_numbers(record)
    return " ".join(words + usuals.words(record)), has_large


def beside(name: str, text: str | None, usuals: Usuals) -> Made:
    """Return the values of :func:`made_of` for a JSON field's text."""
    if text is None:
        return (None,) * len(made_of(name))
    if name != WORDED:
        return index_json(text), index_folds(text)
    words, has_large = index_words(from_json(text), usuals)
    return index_json(text) if has_large else text, index_folds(text), words


def columns_beside(name: str, texts: Sequence[str | None], usuals: Usuals) -> list[Sequence[str | None]]:
    """Return :func:`beside` of many texts, a list for each column."""
    if name != WORDED:
        return [list(made) for made in zip(*(beside(name, text, usuals) for text in texts), strict=True)]
    jsons: list[str | None] = []
    folds: list[str | None] = []
    words: list[str | None] = []
    for at in range(0, len(texts), _TOGETHER):
        some = [text for text in texts[at : at + _TOGETHER] if text is not None]
        together = f"[{','.join(some)}]"
        found = [index_words(record, usuals) for record in from_json(together)]
        words += [made for made, _ in found]
        large = (has_large for _, has_large in found)
        jsons += [index_json(text) if is_large else text for text, is_large in zip(some, large, strict=True)]
        folds += [None] * len(some) if is_plain(together) else map(index_folds, some)
    return [jsons, folds, words]

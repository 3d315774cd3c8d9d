"""JSON values as Postgres keeps them beside the canonical text: numbers exact, folded strings at hand.

``jsonb`` reads a number as the decimal that is written. A large double is therefore written as the whole
number that it is, so that Postgres compares what the evaluator compares; a double with a fraction is the
shortest decimal that reads back as it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from docstore.query.text import fold

__all__ = ["LARGE", "ascii_lower", "index_folds", "index_json", "is_plain", "json_of", "number_of"]

LARGE = 1e16
"""From here on a double is written with an exponent, in texts of JSON as in Python's ``repr``."""
_MAY_BE_LARGE = re.compile(r"\d[eE]\+?\d")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?[eE]\+?\d+')
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def index_json(text: str) -> str:
    """Return a JSON text in which every double of 1e16 and beyond is written as the whole number that it is.

    Args:
        text: a JSON text whose doubles are written as Python's ``repr`` does.
    """
    return text if _MAY_BE_LARGE.search(text) is None else _TOKEN.sub(_exact_token, text)


def _exact_token(found: re.Match[str]) -> str:
    token = found.group()
    return token if token.startswith('"') else number_of(float(token))


def number_of(value: int | float) -> str:
    """Return the number as a decimal that is exact for whole numbers and the shortest ``repr`` for others."""
    return str(int(value)) if value == int(value) else repr(value)


def json_of(value: Any) -> str:
    """Return the JSON text of a value, as :func:`index_json` writes it."""
    return index_json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def ascii_lower(text: str) -> str:
    """Return ``text`` with A–Z lowered and nothing else changed, as ``lower`` does under collation "C"."""
    return text.translate(_ASCII_LOWER)


def is_plain(text: str) -> bool:
    """Return whether a JSON text holds nothing but ASCII, for sure."""
    return text.isascii() and "\\u" not in text


def index_folds(text: str) -> str | None:
    """Return what Postgres cannot fold itself: a JSON object from string to folded string.

    It holds the strings among the values of ``text`` (keys are not values) that fold to something else than
    their letters A–Z lowered.

    Args:
        text: a JSON text.

    Returns:
        The object's JSON text; ``None`` if there is no such string, as in any text of ASCII alone.
    """
    if is_plain(text):
        return None
    folds = {string: fold(string) for string in set(_strings(json.loads(text))) if not string.isascii()}
    kept = {string: folded for string, folded in folds.items() if folded != ascii_lower(string)}
    return json.dumps(kept, ensure_ascii=False) if kept else None


def _strings(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        match stack.pop():
            case str() as string:
                yield string
            case dict() as members:
                stack.extend(members.values())
            case list() as elements:
                stack.extend(elements)

"""Themes: worlds whose values are all of one kind that engines confuse, and filters that tell them apart."""

from __future__ import annotations

from typing import Any

from docstore.query.fields import DOCUMENTS
from docstore.testing.strategies.choosing import Chooser
from docstore.testing.strategies.worlds import World, document_rows, json_text

__all__ = ["THEMES", "themed"]

THEMES: dict[str, tuple[Any, ...]] = {
    "patterns": (
        "a_b", "axb", "a%b", "ab", "%", "_", "a", "a*b", "a?b", "[a]", "a\\b", "a.b", "", "\\", "*", "a\nb",
    ),
    "case": (
        "ss", "ß", "SS", "ſs", "ﬁ", "fi", "FI", "İ", "i", "I", "K", "k", "Σ", "σ", "ς", "é", "e\u0301", "É",
    ),
    "likeness": (1, True, 1.0, "1", 0, False, 0.0, "0", "true", None, "null", [1], [True], {"a": 1}, ""),
    "precision": (
        2**53, 2**53 + 1, 2.0**53, 2**53 - 1, 2**63 - 1, 2.0**63, 2**63 - 2, -(2**63), -(2.0**63), 1e16,
        10**16, 0.1, 5e-324, 0, -0.0, 1e300, 2**31, 2.0**31, 2**31 - 1, 0.5,
    ),
    "nothing": (
        None, [], [None], {}, "", [[]], [{}], {"b": None}, {"b": []}, [{"b": None}], [{"b": 1}, 1], 0,
    ),
    "arrays": (
        1, [1], [[1]], [1, 2], [2, 1], [1, [2]], [{"b": 1}], [{"b": [1, 2]}], {"b": [1, 2]}, {"0": 1},
        [[1, 2]], [],
    ),
    "order": (
        "a", "B", "b", "é", "\uffff", "\U00010000", "", "10", "9", 10, 9, [9, 10], {"a": 9}, True, None, [],
    ),
    "instants": ("2026-01-01T00:00:00.000000Z", "2025-12-31T23:59:59.999999Z", "2026-01-01", "2026", 2026),
}  # fmt: skip
"""Values by theme, those side by side that engines confuse. In the first two there is text to search."""

_PATHS = (*("metadata.a",) * 6, "metadata.a.b", "metadata.a.0", "metadata.a.0.b")
_LISTS = ("$in", "$nin", "$all", "$contains", "$containsAny")
_WORDS = ("$eq", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", *_LISTS)
_TEXT_WORDS = ("$substring", "$isubstring", "$startsWith", "$glob", "$iglob")
_FILTERS = 16
_NEIGHBOURS = 5


def themed(choose: Chooser, theme: str) -> tuple[World, list[dict[str, Any]]]:
    """Return documents whose ``metadata.a`` and, where it can, filename are of one theme; and filters."""
    start = choose.below(len(THEMES[theme]))
    values = (THEMES[theme] * 2)[start : start + _NEIGHBOURS]
    rows = document_rows(choose, 8, 4, plain=True)
    for row in rows:
        value = choose.pick(values)
        row["metadata"] = json_text({} if choose.one_in(8) else {"a": value})
        row["filename"] = value if isinstance(value, str) else "a"
    return World(DOCUMENTS, rows), [_filter(choose, theme, values) for _ in range(_FILTERS)]


def _filter(choose: Chooser, theme: str, values: tuple[Any, ...]) -> dict[str, Any]:
    value = choose.pick(values)
    if theme in ("patterns", "case") and not choose.one_in(4):
        path = choose.pick(("metadata.a", "filename"))
        return {path: {choose.pick(_TEXT_WORDS): choose.pick((value, value, value[:1], value.swapcase()))}}
    word = choose.pick(_WORDS)
    operand = [value, choose.pick(values)] if word in _LISTS else value
    return {choose.pick(_PATHS): {word: operand}}

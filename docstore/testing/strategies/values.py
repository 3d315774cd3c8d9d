"""JSON values from small pools of awkward ones, so that two draws often meet, or nearly do."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

__all__ = ["KEYS", "NUMBERS", "SCALARS", "STEPS", "WORDS", "json_objects", "json_values", "scalars", "texts"]

KEYS = (
    "a", "b", "c", "a", "b", "", "a.b", "$x", "$eq", "0", "1", "01", "-1", "%", "_", '"', "'", 'a"."b',
    "\\", "a\\.b", "é", "e\u0301", "日本", "A", "[0]", "*", "a b", "\n", "😀", "{}", "#>", "?", ":p",
    "null", "number",
)  # fmt: skip
"""Keys of objects, the plain ones more often."""

STEPS = (*KEYS, "0", "1", "2", "00", "10")
"""Steps of field paths: keys, and indexes with and without leading zeros."""

WORDS = (
    "report", "Report", "REPORT", "straße", "STRASSE", "ﬁle", "file", "naïve", "nai\u0308ve",
    "İstanbul", "ΣΊΣΥΦΟΣ", "日本語", "テスト", "테스트", "q3", "2024", "50%", "a_b", "x", "C++",
    "don't", "foo.bar", "<b>", "№5", "①", "K",
)  # fmt: skip
"""What filenames, contents and searches are made of."""

NUMBERS: tuple[int | float, ...] = (
    0, 1, -1, 2, 3, 10, 0.0, -0.0, 1.0, 2.0, 0.5, 1.5, -1.5, 0.1, 1e-7, 5e-324, 1e16, 10**16, 1e300,
    -1e300, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2.0**31, 2**53, 2**53 + 1, 2.0**53, -(2**53) - 1,
    2**63 - 1, -(2**63), 2**63 - 2, 2.0**63, -(2.0**63), 2.0**64, 1.7976931348623157e308,
)  # fmt: skip

STRINGS = (
    "", "a", "A", "b", "ab", "aB", "a b", "abc", "1", "01", "1.0", "true", "null", "[1, 2]", "{}", "é",
    "e\u0301", "ß", "ss", "ſ", "İ", "i", "K", "k", "ﬁ", "Σ", "ς", "%", "_", "a%", "a_b", "*", "?",
    "[a]", "[", "]", "\\", "a\\b", "'", '"', "\n", "a\nb", "\t", "\x01", "\x7f", "\u2028", "日本語",
    "😀", "\uffff", "\U00010000", "\ufffd", "important", "$x", "a.b", "-a",
    "2026-01-01T00:00:00.000000Z", "2025-12-31T23:59:59.999999Z", "2026-01-01", "x" * 70,
)  # fmt: skip

SCALARS: tuple[Any, ...] = (None, True, False, *NUMBERS, *STRINGS)
"""Scalars at the edges of each type."""

_CODEPOINTS = st.characters(codec="utf-8", exclude_characters="\x00")


def texts(max_size: int = 6) -> st.SearchStrategy[str]:
    """Return texts without NUL and surrogates, mostly from the pool."""
    pool = st.sampled_from(STRINGS)
    return st.one_of(pool, pool, st.text(_CODEPOINTS, max_size=max_size))


def scalars() -> st.SearchStrategy[Any]:
    """Return null, booleans, numbers and strings, mostly plain ones that two draws share."""
    return st.one_of(
        st.sampled_from((None, True, False, 0, 1, 2, 1.0, "a", "b", "")),
        st.sampled_from((None, True, False, 0, 1, 2, 1.0, "a", "b", "")),
        st.sampled_from(NUMBERS),
        st.sampled_from(STRINGS),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        texts(),
    )


def json_values(max_leaves: int = 6) -> st.SearchStrategy[Any]:
    """Return JSON values of every type and mixture, arrays in arrays and empty ones included."""
    return st.recursive(
        scalars(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
            st.lists(st.dictionaries(st.sampled_from(("a", "b", "0")), inner, max_size=2), max_size=3),
        ),
        max_leaves=max_leaves,
    )


def json_objects(max_size: int = 4) -> st.SearchStrategy[dict[str, Any]]:
    """Return JSON objects such as metadata: keys from the pool, ``a``, ``b`` and ``c`` often."""
    keys = st.one_of(st.sampled_from(("a", "b", "c")), st.sampled_from(KEYS))
    return st.dictionaries(keys, json_values(), max_size=max_size)

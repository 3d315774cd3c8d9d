"""Terms: the names of what a record holds at a path, as bytes.

A term is a path and a key; its posting is the set of the records that have it. One-byte keys are *kinds* (the
path leads to a value of this type), and two columns: a record that has exactly one number at a path is in the
path's column of numbers, one with exactly one text that begins like a date in its column of dates
(:mod:`docstore.index.columns`); both are cheap for many distinct values and answer ranges. All other
numbers and texts are terms with the value in the key, whose order as bytes is the order of the values::

    01 … 07        null, false, true, number, text, array, object
    08, 09         in the column of numbers, of dates
    0A             in the column of numbers, with a float that is whole: 1.0, not 1
    0B             in the column of dates, with an instant in UTC as ``2026-03-01``, or with ``T`` and ``Z``
    10 LLLLLLLL    an array of this length
    n + 10 bytes   a number, as in docstore.query.sorting
    f + 10 bytes   the same, where it is a float that is whole
    s + UTF-8      a text of at most 40 bytes
    t + 24 bytes + 16 bytes   the beginning of a longer text, and a digest of all of it
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from docstore.query.sorting import order_bytes

NULL: Final = b"\x01"
FALSE: Final = b"\x02"
TRUE: Final = b"\x03"
NUMBER: Final = b"\x04"
STRING: Final = b"\x05"
ARRAY: Final = b"\x06"
OBJECT: Final = b"\x07"
NUMBERS: Final = b"\x08"
DATES: Final = b"\x09"
WHOLE_FLOATS: Final = b"\x0a"
UTC_DATES: Final = b"\x0b"
KINDS: Final = (NULL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT)
SCALARS: Final = (NULL, FALSE, TRUE, NUMBER, STRING)

# Bytes a value takes in a column.
WIDTHS: Final = {NUMBERS: 8, DATES: 16}

# Bytes of a text that is a key as it is; of the beginning of a longer one, and of the digest behind that.
_LONG, _START, _DIGEST = 40, 24, 16


def size_key(length: int) -> bytes:
    """Return the key of arrays of this length; what is beyond four bytes shares one."""
    return b"\x10" + min(length, 0xFFFFFFFF).to_bytes(4, "big")


def number_key(value: float) -> bytes:
    """Return the key of a number: the same for 1 and 1.0."""
    return b"n" + order_bytes(value)[1:]


def float_key(key: bytes) -> bytes:
    """Return the key of the records that have a number, given by its key, as a float that is whole."""
    return b"f" + key[1:]


def text_key(text: str) -> bytes:
    """Return the key of a text. Two texts share one only if a 128-bit digest of both is the same."""
    encoded = text.encode()
    if len(encoded) <= _LONG:
        return b"s" + encoded
    return b"t" + encoded[:_START] + blake2b(encoded, digest_size=_DIGEST).digest()


def text_keys(texts: Iterable[str]) -> list[bytes]:
    """Return the key of each text."""
    return [key if len(key := b"s" + text.encode()) <= 1 + _LONG else text_key(text) for text in texts]


def text_of(key: bytes) -> str | None:
    """Return the text of a key, or ``None`` where the key holds only its beginning."""
    return key[1:].decode() if key[:1] == b"s" else None


def is_dated(text: str) -> bool:
    """Return whether a text begins like a date (``2026-03``); such texts go into the column of dates."""
    return (
        len(text) > 6 and text[4] == "-" and text[:4].isdigit() and text[5:7].isdigit() and text[:7].isascii()
    )


def is_whole(key: bytes) -> bool:
    """Return whether a value key holds its value, not only the beginning of it."""
    return key[:1] != b"t"


# The key, at the root, of all records there are.
EVERY: Final = b"\x00"

# The key, at the root, of records that hold too much to be indexed: every filter looks at them.
OVERSIZED: Final = b"\x0f"

# So many keys of one path are gone through to answer a predicate; where there are more, it is left to the
# evaluator.
MOST_KEYS = 20_000

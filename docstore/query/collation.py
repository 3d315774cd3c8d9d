"""The one order of values (rules 12 and 20), as bytes that compare as the values do.

``order_bytes`` gives, for two values, byte strings whose order is the values' ascending order; equal ones for
equal values (1 and 1.0), and none is the beginning of another. Who sorts in SQL writes the same bytes::

    value             bytes
    EMPTY_ARRAY       01
    null, missing     02
    number            03 D(8) R(2)
    string            04 S 00 01
    object            05 pairs 00
    array in array    06 elements 00    each element's bytes
    false, true       07 01, 07 02

    D       the nearest double (ties to even; 0.0 for -0.0), big-endian; if negative, with all bits turned,
            else with the sign bit turned
    R       the number less that double, a whole number, plus 0x8000; big-endian
    S       UTF-8, with 00 FF for each 00 (which no stored text has)
    pairs   in code-point order of the keys: the first of the value's bytes, the key as S 00 01, the rest of
            the value's bytes

UTF-8 orders as code points do. An end (00) comes before every first byte, so what is shorter comes first.
"""

from __future__ import annotations

import struct
from typing import Any

from docstore.backend import EMPTY_ARRAY, SortValue

__all__ = ["compare", "order_bytes", "position_value", "whole_numbers"]

_NUMBER_BYTES = struct.Struct(">BQH")
_DOUBLE = struct.Struct(">d")
_BITS = struct.Struct(">Q")
_SIGN = 1 << 63
_EXACT = 1 << 53
"""Whole numbers below are doubles."""
_ALL = (1 << 64) - 1
_INT64 = range(-(1 << 63), 1 << 63)


def order_bytes(value: SortValue) -> bytes:
    """Return the bytes that order ``value``, a JSON value or ``EMPTY_ARRAY``, among all others.

    Raises:
        TypeError: it is neither.
    """
    if type(value) is int:
        return _whole(value)
    if isinstance(value, str):
        return b"\x04" + _text(value)
    if isinstance(value, bool):
        return b"\x07\x02" if value else b"\x07\x01"
    if isinstance(value, int | float):
        return _number(value)
    if value is None:
        return b"\x02"
    if value is EMPTY_ARRAY:
        return b"\x01"
    if isinstance(value, list | tuple):
        return b"\x06" + b"".join(map(order_bytes, value)) + b"\x00"
    if isinstance(value, dict):
        return b"\x05" + b"".join(_pair(key, value[key]) for key in sorted(value)) + b"\x00"
    raise TypeError(f"a {type(value).__name__} has no place in the order of JSON values")


def compare(one: SortValue, other: SortValue) -> int:
    """Return -1, 0 or 1 as ``one`` comes before, with or behind ``other`` in rule 20's ascending order."""
    left, right = order_bytes(one), order_bytes(other)
    return (left > right) - (left < right)


def position_value(encoded: bytes, start: int = 0, depth: int = 64) -> tuple[SortValue, int]:
    """Read back what :func:`order_bytes` wrote: a value equal to the one it was given.

    Args:
        encoded: holds the value's bytes.
        start: where they begin.
        depth: how deep arrays and objects may be nested.

    Returns:
        The value, whole numbers within int64 as ``int``, and where its bytes end.

    Raises:
        ValueError: there are no such bytes there.
    """
    try:
        return _read(encoded[start], encoded, start + 1, depth)
    except (IndexError, struct.error):
        raise ValueError("the bytes end within a value") from None


def whole_numbers(encoded: bytes) -> tuple[SortValue, ...] | None:
    """Read back whole numbers below 2^53 that are all there is; ``None``: something else is there, or written
    otherwise than :func:`order_bytes` does.
    """
    if len(encoded) % _NUMBER_BYTES.size:
        return None
    found = []
    for kind, bits, biased in _NUMBER_BYTES.iter_unpack(encoded):
        (nearest,) = _DOUBLE.unpack(_BITS.pack(bits ^ (_SIGN if bits & _SIGN else _ALL)))
        if kind != 3 or biased != 0x8000 or not -_EXACT < nearest < _EXACT or bits == _SIGN - 1:
            return None
        whole = int(nearest)
        if whole != nearest:
            return None
        found.append(whole)
    return tuple(found)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").replace(b"\x00", b"\x00\xff") + b"\x00\x01"


def _pair(key: str, value: Any) -> bytes:
    encoded = order_bytes(value)
    return encoded[:1] + _text(key) + encoded[1:]


def _whole(value: int) -> bytes:
    if -_EXACT < value < _EXACT:
        (bits,) = _BITS.unpack(_DOUBLE.pack(value))
        return _NUMBER_BYTES.pack(3, bits ^ (_ALL if bits & _SIGN else _SIGN), 0x8000)
    return _number(value)


def _number(value: float) -> bytes:
    nearest = float(value) or 0.0
    rest = value - int(nearest) if isinstance(value, int) else 0
    (bits,) = _BITS.unpack(_DOUBLE.pack(nearest))
    return _NUMBER_BYTES.pack(3, bits ^ (_ALL if bits & _SIGN else _SIGN), rest + 0x8000)


def _read(kind: int, encoded: bytes, start: int, depth: int) -> tuple[SortValue, int]:
    match kind:
        case 1:
            return EMPTY_ARRAY, start
        case 2:
            return None, start
        case 3:
            return _read_number(encoded, start)
        case 4:
            return _read_text(encoded, start)
        case 5 if depth:
            return _read_object(encoded, start, depth - 1)
        case 6 if depth:
            return _read_array(encoded, start, depth - 1)
        case 7 if encoded[start] in (1, 2):
            return encoded[start] == 2, start + 1
    raise ValueError(f"no value begins with byte {kind} at {start - 1}")


def _read_number(encoded: bytes, start: int) -> tuple[float, int]:
    _, bits, biased = _NUMBER_BYTES.unpack_from(encoded, start - 1)
    (nearest,) = _DOUBLE.unpack(_BITS.pack(bits ^ (_SIGN if bits & _SIGN else _ALL)))
    rest = biased - 0x8000
    end = start + _NUMBER_BYTES.size - 1
    if nearest - nearest != 0:
        raise ValueError("a number is not finite")
    if nearest.is_integer() and int(nearest) + rest in _INT64:
        return int(nearest) + rest, end
    if rest:
        raise ValueError("a number is beyond int64")
    return float(nearest), end


def _read_text(encoded: bytes, start: int) -> tuple[str, int]:
    end = encoded.index(b"\x00\x01", start)
    return encoded[start:end].replace(b"\x00\xff", b"\x00").decode("utf-8"), end + 2


def _read_array(encoded: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    elements = []
    while encoded[at]:
        element, at = _read(encoded[at], encoded, at + 1, depth)
        elements.append(element)
    return elements, at + 1


def _read_object(encoded: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while kind := encoded[at]:
        key, at = _read_text(encoded, at + 1)
        found[key], at = _read(kind, encoded, at, depth)
    return found, at + 1

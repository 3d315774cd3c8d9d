"""Sorting (rules 20 and 21): sort keys, positions, and the bytes that order as values do.

``parse_sort`` makes an order, ``sort_value`` says what a record sorts by under one key, and
``sort_key_function`` puts it into bytes, so that plain comparison of bytes is the order. A record is a
mapping from field name to value with its JSON fields decoded and its instants in microseconds.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias

from docstore.errors import InvalidSort
from docstore.limits import Limits
from docstore.query.expr import EMPTY_ARRAY, Path, SortKey, SortValue
from docstore.query.fields import Collection, Kind
from docstore.query.filter_errors import SLIP, nearest, shown
from docstore.query.paths import index_step, parse_path, path_text
from docstore.query.values import NotJson, check_text

# A field path, or a list of field paths and of (path, 1 or -1).
Sort: TypeAlias = "str | Sequence[str | tuple[str, int]]"
# A text as it is, or a path and whether it descends.
Key: TypeAlias = str | tuple[str, bool]
# Turning each byte around turns the order around, as no value's bytes are the beginning of another's.
_TURNED = bytes(255 - byte for byte in range(256))


def parse_sort(sort: Sort, collection: Collection, limits: Limits) -> tuple[SortKey, ...]:
    """Return the order that ``sort`` asks for, ``number`` last.

    What can no longer change the order is left out: keys behind ``number``, a key given twice, and a scalar
    field in the other direction (``tags`` and ``-tags`` are two keys: the smallest and the largest element).
    ``number`` itself is added, where it is not named, in the direction of the last key named.

    Args:
        sort: a field path, ``-`` before it for descending, or a list or tuple of 1 to ``limits.sort_keys`` of
            them, or of (path, 1 or -1) as pymongo takes them. A dot that belongs to a key is written ``\\.``,
            a backslash ``\\\\``.
        collection: whose fields they are.
        limits: the bounds.

    Raises:
        InvalidSort: another type, no key or too many, an unknown field, one that cannot be sorted by
            (``content``), a step below a scalar field, or a path that is too long.
    """
    named = [_parse_key(key, collection, limits) for key in _keys(sort, limits)]
    order: list[SortKey] = []
    for key in (*named, SortKey(("number",), named[-1].descending, named[-1].descending)):
        if not any(key == earlier or _same_scalar(key, earlier, collection) for earlier in order):
            order.append(key)
        if key.path == ("number",):
            break
    return tuple(order)


def reverse_order(order: Sequence[SortKey]) -> tuple[SortKey, ...]:
    """Return the order in which ``order`` is walked backwards; what arrays stand for stays."""
    return _reversed(tuple(order))


@lru_cache(maxsize=256)
def _reversed(order: tuple[SortKey, ...]) -> tuple[SortKey, ...]:
    return tuple(replace(key, descending=not key.descending) for key in order)


def sort_value(record: Mapping[str, Any], key: SortKey) -> SortValue:
    """Return what ``record`` sorts by under ``key`` (rule 20).

    A path through arrays reaches a value by every element; an element that does not offer the next step
    counts as null, as does an empty array on the way. Where the step is an index that the array has, that
    element is reached as well, and those that do not offer the step as a key count for nothing. An element
    reached by an index at the end of the path stands for itself, array or not.

    Returns:
        A field's own value; of a JSON value the smallest element reached, or the largest where
        ``key.largest``; ``None`` for null and missing; ``EMPTY_ARRAY``.
    """
    name, *steps = key.path
    value = record.get(name)
    if not steps and not isinstance(value, list):
        return value
    reached = list(_reached(value, steps))
    if len(reached) < 2:
        return reached[0] if reached else None
    return max(reached, key=order_bytes) if key.largest else min(reached, key=order_bytes)


def position_of(record: Mapping[str, Any], order: Sequence[SortKey]) -> tuple[SortValue, ...]:
    """Return the record's place in ``order``: its sort value under each key."""
    return tuple(sort_value(record, key) for key in order)


def position_key(position: Sequence[SortValue], order: Sequence[SortKey]) -> bytes:
    """Return ``position`` as bytes: those of two positions compare as the positions do in ``order``."""
    encoded = [
        order_bytes(value).translate(_TURNED) if key.descending else order_bytes(value)
        for value, key in zip(position, order, strict=True)
    ]
    return b"".join(encoded)


def sort_key_function(order: Sequence[SortKey]) -> Callable[[Mapping[str, Any]], bytes]:
    """Return a ``key`` for :meth:`list.sort` that sorts records in ``order``, descending keys included."""
    order = tuple(order)
    return lambda record: position_key(position_of(record, order), order)


def after_function(
    position: Sequence[SortValue], order: Sequence[SortKey]
) -> Callable[[Mapping[str, Any]], bool]:
    """Return a test of whether a record comes strictly behind ``position`` in ``order``."""
    order, bound = tuple(order), position_key(position, order)
    return lambda record: position_key(position_of(record, order), order) > bound


def _reached(value: Any, steps: Sequence[str]) -> Iterator[SortValue]:
    """Yield all that the path reaches, ``None`` for each miss."""
    if isinstance(value, list):
        yield from _reached_in_array(value, steps)
    elif not steps:
        yield value
    elif isinstance(value, dict) and steps[0] in value:
        yield from _reached(value[steps[0]], steps[1:])
    else:
        yield None


def _reached_in_array(array: list[Any], steps: Sequence[str]) -> Iterator[SortValue]:
    if not steps:
        yield from array or (EMPTY_ARRAY,)
        return
    if not array:
        yield None
        return
    step, rest = steps[0], steps[1:]
    index = index_step(step)
    if index is not None and index >= len(array):
        index = None
    # Where the array has that index, elements without the key count for nothing (rule 20).
    if index is not None:
        element = array[index]
        yield from _reached(element, rest) if rest else (element,)
    for element in array:
        if isinstance(element, dict) and step in element:
            yield from _reached(element[step], rest)
        elif index is None:
            yield None


def _same_scalar(key: SortKey, earlier: SortKey, collection: Collection) -> bool:
    return key.path == earlier.path and collection.fields[key.path[0]].kind is not Kind.JSON


def _keys(sort: Any, limits: Limits) -> list[Key]:
    """Return the keys: a text as it is, a pair as its path and whether it descends."""
    given = [sort] if isinstance(sort, str) else sort
    expected = "expected a field path such as '-created_at', or a list of them or of (path, 1 or -1)"
    if not isinstance(given, list | tuple):
        raise InvalidSort(f"sort is a {type(sort).__name__}; {expected}")
    if not given:
        raise InvalidSort(f"sort is empty; {expected}")
    if len(given) > limits.sort_keys:
        raise InvalidSort(f"sort has {len(given)} keys; at most {limits.sort_keys} are allowed (sort_keys)")
    keys: list[Key] = []
    for key in given:
        if isinstance(key, str):
            keys.append(key)
        elif isinstance(key, list | tuple) and len(key) == 2 and isinstance(key[0], str):
            if isinstance(key[1], bool) or key[1] not in (1, -1):
                raise InvalidSort(f"sort key {shown(key[0])} has the direction {shown(key[1])}; {expected}")
            keys.append((key[0], key[1] == -1))
        else:
            raise InvalidSort(f"sort has a {type(key).__name__} among its keys; {expected}")
    return keys


def _parse_key(key: Key, collection: Collection, limits: Limits) -> SortKey:
    text, descending = (key[key.startswith("-") :], key.startswith("-")) if isinstance(key, str) else key
    return SortKey(_parse_path(text, collection, limits), descending, descending)


def _parse_path(text: str, collection: Collection, limits: Limits) -> Path:
    if len(text) > limits.operand_bytes:
        raise InvalidSort(
            f"sort path of {len(text)} characters; at most {limits.operand_bytes} (operand_bytes)"
        )
    try:
        check_text(text)
    except NotJson as wrong:
        raise InvalidSort(
            f"sort path {shown(text)} is {wrong.reason}, which no key has", field=text
        ) from None
    path = parse_path(text)
    if len(path) > limits.path_steps:
        raise InvalidSort(
            f"sort path {shown(text)} has {len(path)} steps; at most {limits.path_steps} (path_steps)"
        )
    field = collection.fields.get(path[0])
    if field is None:
        raise _unknown(path, collection)
    if field.heavy:
        raise InvalidSort(f"{shown(field.name)} cannot be sorted by", field=field.name)
    if len(path) > 1 and field.kind is not Kind.JSON:
        raise InvalidSort(
            f"{shown(field.name)} is a {field.kind.value} and has nothing below it: {shown(text)}", field=text
        )
    return path


def _unknown(path: Path, collection: Collection) -> InvalidSort:
    """Return the error that names the field that was meant: of a slip the nearest, else the metadata's."""
    sortable = [field.name for field in collection.fields.values() if not field.heavy]
    meant = nearest(path[0], sortable, SLIP) or path_text(("metadata", *path))
    return InvalidSort(
        f"unknown field {shown(path[0])}; did you mean {shown(meant)}?", field=path[0], suggestion=meant
    )


_NUMBER_BYTES = struct.Struct(">BQH")
_DOUBLE = struct.Struct(">d")
_BITS = struct.Struct(">Q")
# A double's bits order as numbers do once the sign is turned, and of negatives all bits.
_SIGN = 1 << 63
# Whole numbers below are doubles.
_EXACT = 1 << 53
_ALL = (1 << 64) - 1
_INT64 = range(-(1 << 63), 1 << 63)


def order_bytes(value: SortValue) -> bytes:
    """Return the bytes that order ``value``, a JSON value or ``EMPTY_ARRAY``, among all others.

    Raises:
        TypeError: it is neither.
    """
    # Whole numbers first: every order ends with `number`, and most begin with an instant.
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
    """Read back a position that holds only whole numbers below 2^53: the short way, for most cursors.

    None if the bytes hold anything else, or are not as :func:`order_bytes` writes them.
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
    # ``or`` turns -0.0 into 0.0, which sorts with it.
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

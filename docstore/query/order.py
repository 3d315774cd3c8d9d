"""Orders (rules 20 and 21): from what users ask for to sort keys, and from sort keys to comparable positions.

``parse_sort`` makes an order, ``sort_value`` says what a record sorts by under one key, and
``sort_key_function`` puts it into bytes (:mod:`docstore.query.collation`) so that plain comparison of bytes
is the order. A record is a mapping from field name to value with its JSON fields decoded and its instants in
microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias

from docstore.backend import EMPTY_ARRAY, SortKey, SortValue
from docstore.errors import InvalidSort
from docstore.limits import Limits
from docstore.query.collation import compare, order_bytes
from docstore.query.complaints import nearest, shown
from docstore.query.expr import Path
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind
from docstore.query.paths import index_step, parse_path
from docstore.query.values import NotJson, check_text

__all__ = [
    "Sort",
    "after_function",
    "compare",
    "is_after",
    "order_bytes",
    "parse_sort",
    "position_key",
    "position_of",
    "reverse_order",
    "sort_key_function",
    "sort_value",
]

_KNOWN = {collection.name: collection for collection in (DOCUMENTS, EXTRACTIONS)}
_REMEMBERED = 200
"""Characters of a sort up to which what it says is remembered."""
Sort: TypeAlias = "str | Sequence[str | tuple[str, int]]"
"""A field path, or a list of field paths and of (path, 1 or -1)."""
Key: TypeAlias = str | tuple[str, bool]
"""A text as it is, or a path and whether it descends."""
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
        (``content``), a step
            below a scalar field, or a path that is too long.
    """
    keys = tuple(_keys(sort, limits))
    if collection.name not in _KNOWN or sum(map(_length, keys)) > _REMEMBERED:
        return _order_of(keys, collection, limits)
    return _remembered(keys, collection.name, limits)


def _order_of(
    keys: tuple[Key, ...], collection: Collection, limits: Limits
) -> tuple[SortKey, ...]:
    named = [_parse_key(key, collection, limits) for key in keys]
    order: list[SortKey] = []
    for key in (*named, SortKey(("number",), named[-1].descending, named[-1].descending)):
        if not any(key == earlier or _same_scalar(key, earlier, collection) for earlier in order):
            order.append(key)
        if key.path == ("number",):
            break
    return tuple(order)


@lru_cache(maxsize=256)
def _remembered(keys: tuple[Key, ...], collection: str, limits: Limits) -> tuple[SortKey, ...]:
    return _order_of(keys, _KNOWN[collection], limits)


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
    """Return what tells of many records whether they come strictly behind ``position`` in ``order``."""
    order, bound = tuple(order), position_key(position, order)
    return lambda record: position_key(position_of(record, order), order) > bound


def is_after(position: Sequence[SortValue], record: Mapping[str, Any], order: Sequence[SortKey]) -> bool:
    """Tell whether ``record`` comes strictly behind ``position`` in ``order``."""
    return after_function(position, order)(record)


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


def _length(key: Key) -> int:
    return len(key if isinstance(key, str) else key[0])


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
        raise _unknown(path[0], collection)
    if field.heavy:
        raise InvalidSort(f"{shown(field.name)} cannot be sorted by", field=field.name)
    if len(path) > 1 and field.kind is not Kind.JSON:
        raise InvalidSort(
            f"{shown(field.name)} is a {field.kind.value} and has nothing below it: {shown(text)}", field=text
        )
    return path


def _unknown(name: str, collection: Collection) -> InvalidSort:
    sortable = [field.name for field in collection.fields.values() if not field.heavy]
    close = nearest(name, sortable)
    hint = f"did you mean {shown(close)}?" if close else f"the fields are {', '.join(sortable)}"
    return InvalidSort(f"unknown sort field {shown(name)}; {hint}", field=name, suggestion=close)

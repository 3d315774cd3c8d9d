"""Metadata of many documents, checked and written as JSON text together.

Of a column of values the types are seen at once, and so are the least and the greatest number. What is not
plain JSON at first sight is left to the checks of one document, which know every case.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from types import NoneType
from typing import Any, Final

from pydantic_core import to_json

from docstore.query.values import INT64_MAX, INT64_MIN

__all__ = ["plain_texts"]

_BY_TYPE: Final = frozenset({str, bool, NoneType})
"""Types of which every value is plain; of texts the encoder sees what is wrong."""
_LARGE: Final = 256
"""More values than that a document, and they are not looked at together: a value that holds itself has no
end.
"""


def plain_texts(objects: Sequence[dict[Any, Any]], depth: int, most: int) -> list[str] | None:
    """Return the JSON text of each object, as :meth:`Checks.json` does of one.

    Args:
        objects: anything in dictionaries.
        depth: levels of arrays and objects that are allowed.
        most: bytes that a text may have.

    Returns:
        The texts; ``None`` where one of the objects has to be changed or refused, or may have to be.
    """
    if not _are_plain(objects, depth, _LARGE * len(objects)):
        return None
    try:
        texts = list(map(to_json, objects))
    except ValueError:  # a lone surrogate
        return None
    if max(map(len, texts)) > most or b"\\u0000" in b"\n".join(texts):
        return None
    return list(map(bytes.decode, texts))


def _are_plain(column: Sequence[Any], depth: int, left: int) -> bool:
    """Return whether there are only Python's own types within bounds, texts left aside, and no number whose
    two writers differ; at most ``left`` values.
    """
    every = set(map(type, column))
    for kind in every - _BY_TYPE:
        members: Sequence[Any] = column
        if len(every) > 1:
            members = [value for value in column if type(value) is kind]
        if kind is int:
            fits = min(members) >= INT64_MIN and max(members) <= INT64_MAX
        elif kind is float:
            fits = _are_alike(members)
        elif kind is dict:
            fits = depth > 0 and _are_objects(members, depth, left)
        elif kind is list:
            fits = depth > 0 and _are_arrays(members, depth, left)
        else:
            fits = False
        if not fits:
            return False
    return True


def _are_alike(numbers: Sequence[float]) -> bool:
    """Return whether all writers of JSON write these numbers alike."""
    if min(numbers) >= 1e-4 and max(numbers) < 1e16 and sum(numbers) > 0:  # a NaN makes the sum one
        return True
    return all(1e-4 <= abs(number) < 1e16 or repr(number) == "0.0" for number in numbers)


def _are_arrays(arrays: Sequence[list[Any]], depth: int, left: int) -> bool:
    size = sum(map(len, arrays))
    if size > left:
        return False
    return not size or _are_plain(list(chain.from_iterable(arrays)), depth - 1, left - size)


def _are_objects(objects: Sequence[dict[Any, Any]], depth: int, left: int) -> bool:
    """Look at objects of one shape member by member, at others all at once."""
    shapes = set(map(tuple, objects))
    left -= len(objects) * len(objects[0]) if len(shapes) == 1 else sum(map(len, objects))
    if left < 0 or not set(map(type, chain.from_iterable(shapes))) <= {str}:
        return False
    if len(shapes) == 1:
        columns = zip(*map(dict.values, objects), strict=True)
        return all(_are_plain(column, depth - 1, left) for column in columns)
    return _are_plain(list(chain.from_iterable(map(dict.values, objects))), depth - 1, left)

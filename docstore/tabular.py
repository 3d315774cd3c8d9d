"""Records as flat rows and as Arrow tables: chosen paths, one column each. Pure, but for pyarrow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from docstore.backend import Row
from docstore.errors import InvalidPage, shown
from docstore.limits import Limits
from docstore.query.decode import decode
from docstore.query.expr import Path
from docstore.query.facets import facet_path
from docstore.query.fields import Collection, Kind
from docstore.query.instants import to_datetime
from docstore.query.paths import index_step

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Columns", "columns_of", "flat_row", "table_of"]

Columns: TypeAlias = tuple[tuple[str, Path], ...]
"""The name of each column, as the caller wrote it, and its path."""
_BATCH = 2048
_EXACT = 2**53
"""Whole numbers up to here are doubles."""


def columns_of(fields: Any, collection: Collection, limits: Limits, call: str) -> Columns:
    """Return the columns that ``fields`` names.

    Raises:
        InvalidPage: it is no list of field paths.
        UnknownField: one names no field of the collection.
    """
    if isinstance(fields, str) or not isinstance(fields, Iterable):
        raise InvalidPage(
            f"{call}: fields={shown(fields)}; expected a list of field paths", argument="fields"
        )
    return tuple((field, facet_path(field, collection, limits, call)) for field in dict.fromkeys(fields))


def flat_row(columns: Columns, collection: Collection, row: Row) -> dict[str, Any]:
    """Return the values of a row at some paths: as records show them, ``None`` where there is none.

    A path through an array of objects yields the list of what its elements have.
    """
    names = {path[0] for _, path in columns if collection.column(path[0]).kind is Kind.JSON}
    record = decode(collection, row, names)
    return {name: _value(record, path, collection) for name, path in columns}


def _value(record: Mapping[str, Any], path: Path, collection: Collection) -> Any:
    value = record.get(path[0])
    if value is not None and collection.column(path[0]).kind is Kind.INSTANT:
        return to_datetime(value)
    return _at(value, path[1:])


def _at(value: Any, steps: Path) -> Any:
    for place, step in enumerate(steps):
        if type(value) is dict:
            value = value.get(step)
        elif type(value) is list:
            index = index_step(step)
            if index is None:
                return [_at(one, steps[place:]) for one in value if type(one) is dict and step in one]
            value = value[index] if index < len(value) else None
        else:
            return None
    return value


def table_of(columns: Columns, collection: Collection, rows: Iterable[Mapping[str, Any]]) -> pyarrow.Table:
    """Return flat rows as an Arrow table.

    Raises:
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as missing:
        raise ImportError(
            "to_arrow needs pyarrow: python -m pip install 'embedded-docstore[arrow]'"
        ) from missing
    values: dict[str, list[Any]] = {name: [] for name, _ in columns}
    for row in rows:
        for name, value in row.items():
            values[name].append(value)
    types = {
        Kind.TEXT: pa.string(),
        Kind.CHOICE: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    }
    arrays = []
    for name, path in columns:
        kind = types.get(collection.column(path[0]).kind)
        if kind is None and len(path) > 1:
            kind = _number_kind(pa, values[name])
        if kind is None:
            arrays.append(pa.array(_texts(values[name]), pa.string()))
        else:
            arrays.append(pa.array(values[name], kind))
    return pa.table(arrays, names=[name for name, _ in columns])


def _number_kind(pa: Any, values: Sequence[Any]) -> Any:
    """Return the type of values that are all numbers or all booleans, ``None`` for others."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int}:
        return pa.int64()
    if kinds == {bool}:
        return pa.bool_()
    if kinds and kinds <= {int, float}:
        return pa.float64() if all(_is_double(value) for value in values) else None
    return None


def _is_double(value: Any) -> bool:
    return type(value) is not int or -_EXACT <= value <= _EXACT


def _texts(values: Iterable[Any]) -> list[str | None]:
    write: Callable[[Any], str] = lambda value: json.dumps(value, ensure_ascii=False)  # noqa: E731
    return [None if value is None else write(value) for value in values]

"""facets: counting records by the values that they have at a path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cmp_to_key
from typing import Any

from docstore.concurrency import looked_over
from docstore.errors import UnknownField
from docstore.limits import Limits
from docstore.query.complaints import shown
from docstore.query.expr import Path
from docstore.query.fields import Collection
from docstore.query.order import compare, parse_sort
from docstore.query.paths import seen

__all__ = ["counted", "facet_path"]

_LONGEST_NAME = 200


def facet_path(field: Any, collection: Collection, limits: Limits) -> Path:
    """Return the path that ``field`` names.

    Raises:
        UnknownField: it names no field of the collection.
    """
    if not isinstance(field, str) or field.startswith("-"):
        raise _unknown(field, "expected a field path such as 'status' or 'metadata.tags'")
    if field == "content" and "content" in collection.fields:
        return ("content",)
    try:
        return parse_sort(field, collection, limits)[0].path
    except ValueError as wrong:
        raise _unknown(field, str(wrong)) from None


def _unknown(field: Any, why: str) -> UnknownField:
    name = field[:_LONGEST_NAME] if isinstance(field, str) else shown(field)
    return UnknownField(f"count_by({shown(field)}): {why}", field=name, path=name)


def counted(
    grouped: Mapping[Any, int] | None, records: Iterable[Mapping[str, Any]], path: Path, limit: int
) -> dict[Any, int]:
    """Return the ``limit`` most frequent values and their counts, from the backend's groups or from the
    records.
    """
    counts: dict[tuple[bool, Any], int] = {}
    if grouped is not None:
        counts = {(isinstance(value, bool), value): n for value, n in grouped.items()}
    else:
        for record in looked_over(records):
            for key in _values_at(record, path):
                counts[key] = counts.get(key, 0) + 1
    ranked = sorted(counts.items(), key=lambda item: (-item[1], _rank(item[0][1])))
    numbers = {value for is_bool, value in counts if not is_bool and isinstance(value, int | float)}
    kept = [(value, n) for (is_bool, value), n in ranked if not (is_bool and value in numbers)]
    return dict(kept[:limit])


_rank = cmp_to_key(compare)


def _values_at(record: Mapping[str, Any], path: Path) -> set[tuple[bool, Any]]:
    """Return the different scalars seen at ``path``; null and missing are ``None``."""
    held = record.get(path[0])
    found = seen({} if held is None else {path[0]: held}, path)
    values: set[tuple[bool, Any]] = {(False, None)} if found.missing else set()
    for value in found.values:
        if not isinstance(value, list | dict):
            values.add((isinstance(value, bool), value))
    return values

"""``under``: move a whole filter below a field, so that a service can take a filter over metadata alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from docstore.errors import FilterSyntaxError, shown
from docstore.limits import DEFAULT_LIMITS, Limits
from docstore.query.bounds import LOGIC
from docstore.query.parse import parse
from docstore.query.paths import parse_path, path_text
from docstore.query.values import by_value

__all__ = ["under"]


def under(
    field: str, user_filter: Mapping[str, Any] | None, *, limits: Limits = DEFAULT_LIMITS
) -> dict[str, Any]:
    r"""Return ``user_filter`` with every field it names moved below ``field``; it can name no other.

    ``under("metadata", {"a": 1, "$or": [{"b": 2}]})`` is ``{"metadata.a": 1, "$or": [{"metadata.b": 2}]}``.

    Args:
        field: a field path, ``\.`` for a dot within a key.
        user_filter: any filter, checked as a whole; ``None`` and ``{}`` give ``{}``. Dots in its keys are
            steps.
        limits: the bounds that it is checked against.

    Returns:
        A new filter; operands are the caller's own objects.

    Raises:
        FilterError: the filter is none; ``path`` says where in ``user_filter``.
        FilterSyntaxError: ``field`` is no text, or begins with ``$``.
    """
    name = by_value(field)
    if not isinstance(name, str) or name.startswith("$"):
        raise FilterSyntaxError(
            f"{shown(field)} is no field to move a filter below; expected a field path such as 'metadata'"
        )
    parse(user_filter, None, limits=limits, default_timezone=UTC)
    return _moved(path_text(parse_path(name)), user_filter or {})


def _moved(prefix: str, filter: Mapping[str, Any]) -> dict[str, Any]:
    moved: dict[str, Any] = {}
    for given, operand in filter.items():
        key = str(by_value(given))
        if key in LOGIC:
            moved[key] = [_moved(prefix, branch) for branch in operand]
        elif key.startswith("$"):
            moved["$comment"] = operand
        else:
            moved[f"{prefix}.{key}"] = operand
    return moved

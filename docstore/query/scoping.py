"""Scoping: a whole filter moved below a field, its names and operands checked against a Pydantic model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date
from decimal import Decimal, InvalidOperation
from enum import Enum
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import AliasChoices, BaseModel

from docstore.errors import FilterSyntaxError, shown
from docstore.limits import DEFAULT_LIMITS, Limits
from docstore.query.filter_errors import Where, bad_value, unknown_field
from docstore.query.instants import metadata_instant
from docstore.query.operators import LOGIC, is_instant, is_operators, of_records, words_with
from docstore.query.parser import parse
from docstore.query.paths import parse_path, path_text
from docstore.query.values import by_value


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

    Example:
        >>> docstore.under("metadata", {"$or": [{"vendor": "acme"}, {"n": {"$gt": 1}}]})
        {'$or': [{'metadata.vendor': 'acme'}, {'metadata.n': {'$gt': 1}}]}
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


def below_metadata(filter: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return ``filter`` moved below ``metadata``, its names checked against ``model``.

    Args:
        filter: over the model's fields, by name or alias; ``metadata.`` may stand before them.
        model: of the metadata; one that allows extra fields takes any name.

    Raises:
        FilterError: it is no filter, or names what the model has not.
    """
    # Twice: as it was given, so that errors speak of what the caller wrote; then with the model's names.
    under("metadata", filter)  # its form, before any name
    return under("metadata", _checked(filter, model, ()))


def _checked(filter: Mapping[str, Any], model: type[BaseModel], where: Where) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for key, operand in filter.items():
        if key in LOGIC:
            parts = [_checked(part, model, (*where, key, str(index))) for index, part in enumerate(operand)]
            checked[key] = parts
        elif key.startswith("$"):
            checked[key] = operand
        else:
            steps = parse_path(key)
            below = "$elemMatch" in where  # an element has no "metadata." before its fields
            if steps[0] == "metadata" and len(steps) > 1 and not below and "metadata" not in _names(model):
                steps = steps[1:]
            annotation = _annotation_at(steps, model, (*where, key), key)
            checked[path_text(steps)] = typed_operand(operand, annotation, (*where, key))
    return checked


def _annotation_at(steps: tuple[str, ...], model: type[BaseModel], where: Where, key: str) -> Any:
    """Return the annotation at the end of a path through a model, ``Any`` if it is not known.

    Raises:
        UnknownField: a step is no field of the model there.
    """
    for place, step in enumerate(steps):
        if step.isdecimal() and model.model_config.get("extra") != "allow" and step not in _names(model):
            continue  # an index into a list of such models
        names = _names(model)
        if step not in names:
            if model.model_config.get("extra") == "allow":
                return Any
            known = ", ".join(sorted(names))
            what = (
                f"unknown field {shown(key)}"
                if key == step
                else f"unknown field {shown(step)} of {shown(key)}"
            )
            raise unknown_field(where, step, names, what, f"{model.__name__} has {known}")
        below = _model_in(names[step])
        if place == len(steps) - 1:
            return names[step]
        if below is None:
            return _below(names[step], steps[place + 1 :])
        model = below
    return Any


def _names(model: type[BaseModel]) -> dict[str, Any]:
    """Return the annotations of a model's fields by their names and aliases."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        read = field.validation_alias
        aliases = read.choices if isinstance(read, AliasChoices) else [read]
        for known in (name, field.alias, field.serialization_alias, *aliases):
            if isinstance(known, str):
                found[known] = field.annotation
    return found


def _inner(annotation: Any) -> Any:
    """Return what an annotation holds, through optionals and lists."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        below = [one for one in get_args(annotation) if one is not NoneType]
        return _inner(below[0]) if len(below) == 1 else annotation
    if origin in (list, tuple, set, frozenset, Annotated):
        return _inner(get_args(annotation)[0])
    return annotation


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation holds, through optionals and lists; None if it holds none."""
    inner = _inner(annotation)
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _below(annotation: Any, steps: tuple[str, ...]) -> Any:
    """Return what stands below a field of no model: an element of a list, a value of a ``dict``."""
    for step in steps:
        inner = _inner(annotation)
        if get_origin(inner) in (dict, Mapping):
            annotation = get_args(inner)[1]
        elif not step.isdecimal():
            return Any
    return annotation


_COMPARISONS: Final = frozenset(words_with("value"))
_ORDERED: Final = frozenset({"$gt", "$gte", "$lt", "$lte"})
_LISTS: Final = frozenset(words_with("values"))
_EXPECTED: Final = {
    "text": "text",
    "number": "a number",
    "bool": "true or false",
    "instant": "a datetime, or text such as '2026-01-31T09:30:00Z' or '2026-01-31'",
    "uuid": "a UUID",
    "decimal": "text of a decimal number",
}
_CONTAINERS: Final = (list, tuple, set, frozenset, Union, UnionType)


@dataclass(frozen=True, slots=True)
class _Holds:
    """What a field may hold, its containers aside.

    Attributes:
        kinds: of values; ``None``: any.
        choices: the only values, of an enumeration or a ``Literal``; ``None``: any.
        model: of the objects in it; ``None``: of no model.
    """

    kinds: frozenset[str] | None
    choices: tuple[Any, ...] | None
    model: type[BaseModel] | None


def typed_operand(operand: Any, annotation: Any, where: Where) -> Any:
    """Return what stands beside a field, checked and converted by its annotation.

    Raises:
        FilterValueError: an operand that the field cannot hold.
        UnknownField: the condition of an ``$elemMatch`` names what the element's model has not.
    """
    holds = _Holds(_kinds(annotation), _choices(annotation), _model_in(annotation))
    return _condition(operand, holds, where)


def _condition(operand: Any, holds: _Holds, where: Where) -> Any:
    if not is_operators(operand):
        return _value(operand, holds, where)
    made: dict[Any, Any] = {}
    for given, value in operand.items():
        word, here = by_value(given), (*where, str(given))
        if word in _ORDERED:  # a bound need not be one of the choices, nor a whole UUID
            bounds = holds.kinds and frozenset("text" if kind == "uuid" else kind for kind in holds.kinds)
            made[given] = _value(value, replace(holds, kinds=bounds, choices=None), here)
        elif word in _LISTS and isinstance(value, (list, tuple)):
            made[given] = [_condition(one, holds, (*here, str(at))) for at, one in enumerate(value)]
        elif word in _COMPARISONS or word in _LISTS:
            made[given] = _value(value, holds, here)
        elif word == "$elemMatch" and isinstance(value, Mapping) and of_records(value):
            made[given] = value if holds.model is None else _checked(value, holds.model, here)
        elif word in ("$not", "$elemMatch"):
            made[given] = _condition(value, holds, here) if is_operators(value) else value
        else:
            made[given] = value
    return made


def _value(given: Any, holds: _Holds, where: Where) -> Any:
    value = given if isinstance(given, date) else by_value(given)
    kinds = holds.kinds
    if kinds is None or value is None or (isinstance(value, Mapping) and not is_instant(value)):
        return given
    if isinstance(value, (list, tuple)):  # an instant within an array is no operand
        if "instant" in kinds:
            return given
        return [_value(one, holds, (*where, str(at))) for at, one in enumerate(value)]
    if isinstance(value, str) and "text" not in kinds:
        if "instant" in kinds and metadata_instant(value) is not None:
            return {"$date": value}
        if "uuid" in kinds and (found := _uuid(value)) is not None:
            return found
    if not (_kinds_of(value) & kinds):
        expected = " or ".join(_EXPECTED[kind] for kind in sorted(kinds))
        raise bad_value(where, shown(given), expected)
    if holds.choices is not None and value not in holds.choices:
        raise bad_value(where, shown(given), f"one of {', '.join(shown(one) for one in holds.choices)}")
    return given


def _kinds_of(value: Any) -> frozenset[str]:
    """Return the kinds of field that an operand can equal a value of."""
    if isinstance(value, date) or is_instant(value):
        return frozenset({"instant"})
    if isinstance(value, bool):
        return frozenset({"bool"})
    if isinstance(value, (int, float)):
        return frozenset({"number"})
    if isinstance(value, str):
        return frozenset({"text", "decimal"} if _is_decimal(value) else {"text"})
    if isinstance(value, Decimal):
        return frozenset({"text", "decimal"})
    if isinstance(value, UUID):
        return frozenset({"text", "uuid"})
    return frozenset(_EXPECTED)  # the parser says what it thinks of it


def _uuid(text: str) -> str | None:
    """Return a UUID as metadata has it, whatever its spelling; None if the text is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return None


def _is_decimal(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _choices(annotation: Any) -> tuple[Any, ...] | None:
    """Return the only values of a field that is closed, through optionals and containers; else ``None``."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _choices(get_args(annotation)[0])
    if origin is Literal:
        return tuple(by_value(value) for value in get_args(annotation))
    if origin in _CONTAINERS:
        parts = [_choices(one) for one in get_args(annotation) if one not in (Ellipsis, NoneType)]
        return None if None in parts else tuple(value for part in parts for value in part or ())
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(by_value(member) for member in annotation)
    return None


def _kinds(annotation: Any) -> frozenset[str] | None:
    """Return what values a field may hold, its containers aside; ``None``: anything."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin is Literal:
        return _all_kinds([type(by_value(value)) for value in get_args(annotation)])
    if origin in _CONTAINERS:
        return _all_kinds([one for one in get_args(annotation) if one is not Ellipsis])
    if not isinstance(annotation, type):
        return None
    if annotation is NoneType:
        return frozenset()
    if issubclass(annotation, Enum):
        return _all_kinds([type(by_value(member)) for member in annotation])
    for kind, types in (
        ("bool", (bool,)),
        ("number", (int, float)),
        ("text", (str, PurePath)),
        ("instant", (date,)),
        ("uuid", (UUID,)),
    ):
        if issubclass(annotation, types):
            return frozenset({kind})
    # Decimals are stored as text; what came as JSON may hold them as numbers.
    return frozenset({"decimal", "number"}) if issubclass(annotation, Decimal) else None


def _all_kinds(annotations: list[Any]) -> frozenset[str] | None:
    found: frozenset[str] = frozenset()
    for annotation in annotations:
        kinds = _kinds(annotation)
        if kinds is None:
            return None
        found |= kinds
    return found or None

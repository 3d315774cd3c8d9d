"""narrowed: a filter over metadata whose names are a Pydantic model's, moved below ``metadata``."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from docstore.errors import shown
from docstore.query.bounds import LOGIC
from docstore.query.complaints import Where, unknown_field
from docstore.query.paths import parse_path, path_text
from docstore.query.typed_operands import typed_operand
from docstore.query.under import under

__all__ = ["below_metadata"]


def below_metadata(filter: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return ``filter`` moved below ``metadata``, its names checked against ``model``.

    Args:
        filter: over the model's fields, by name or alias; ``metadata.`` may stand before them.
        model: of the metadata; one that allows extra fields takes any name.

    Raises:
        FilterError: it is no filter, or names what the model has not.
    """
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
            if steps[0] == "metadata" and len(steps) > 1 and "metadata" not in _names(model):
                steps = steps[1:]
            annotation = _annotation_at(steps, model, (*where, key), key)
            checked[path_text(steps)] = typed_operand(operand, annotation, (*where, key))
    return checked


def _annotation_at(steps: tuple[str, ...], model: type[BaseModel], where: Where, key: str) -> Any:
    """Follow a path through the model, as far as models go; return the annotation at its end, ``Any`` where
    that is not known.

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
            return names[step] if all(rest.isdecimal() for rest in steps[place + 1 :]) else Any
        model = below
    return Any


def _names(model: type[BaseModel]) -> dict[str, Any]:
    """Return the annotations of a model's fields by their names and aliases."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        for known in (name, field.alias, field.serialization_alias):
            if known is not None:
                found[known] = field.annotation
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation holds, through optionals and lists; ``None``: anything may
    follow.
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        below = [one for one in get_args(annotation) if one is not type(None)]
        return _model_in(below[0]) if len(below) == 1 else None
    if origin in (list, tuple, set, frozenset, Annotated):
        return _model_in(get_args(annotation)[0])
    return None

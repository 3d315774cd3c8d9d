"""The ``Filter`` type: a filter in a Pydantic model or a FastAPI parameter, validated by the parser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema, from_json

from docstore.errors import FilterError, FilterSyntaxError
from docstore.models import Document, Extraction
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Field, Kind
from docstore.query.operators import LOGIC, OPERATORS
from docstore.query.parser import parse
from docstore.query.scoping import below_metadata

__all__ = ["Filter"]

_RECORDS: dict[Any, Collection] = {Document: DOCUMENTS, Extraction: EXTRACTIONS}


class _Filter:
    """A filter that was checked: the runtime side of :data:`Filter`.

    It is no mapping, so that FastAPI takes a parameter of this type from the query string unless it is told
    ``Body()``. Its values are plain dictionaries, fit for ``find``.
    """

    model: ClassVar[type[BaseModel] | None] = None
    collection: ClassVar[Collection] = DOCUMENTS

    def __class_getitem__(cls, model: type[BaseModel]) -> type[_Filter]:
        """Return the type narrowed to a record (``Document``, ``Extraction``) or to a metadata model."""
        if not isinstance(model, type) or not issubclass(model, BaseModel):  # type: ignore[redundant-expr]
            raise TypeError(f"Filter[{model!r}]: expected a Pydantic model of the metadata")
        collection = _RECORDS.get(model)
        narrowed = {"model": model} if collection is None else {"collection": collection}
        return type(f"Filter[{model.__name__}]", (cls,), {**narrowed, "__module__": cls.__module__})

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema: the parser as a validator, from a mapping or its JSON text."""
        return core_schema.no_info_plain_validator_function(
            cls._validated, serialization=core_schema.plain_serializer_function_ser_schema(_same)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the JSON Schema: the fields, and below them the operators."""
        return filter_schema(cls.collection, cls.model)

    @classmethod
    def _validated(cls, given: Any) -> dict[str, Any]:
        try:
            filter = _read(given)
            if cls.model is not None:
                filter = below_metadata(filter, cls.model)
            parse(filter, cls.collection)
        except FilterError as wrong:
            raise _as_validation(wrong, given) from wrong
        return filter


def _read(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        try:
            given = from_json(given)
        except ValueError as error:
            raise FilterSyntaxError(f"the filter is no JSON: {error}", path="") from error
    if not isinstance(given, dict):
        kind = type(given).__name__
        raise FilterSyntaxError(f"the filter is of type {kind}; expected an object", path="")
    return given


def _as_validation(wrong: FilterError, given: Any) -> ValidationError:
    """Return Pydantic's error, located in the filter, with the path and suggestion as context."""
    steps = [int(step) if step.isdecimal() else step for step in wrong.path.split("/")] if wrong.path else []
    context = {"path": wrong.path, "suggestion": getattr(wrong, "suggestion", None)}
    text = wrong.message.replace("{", "(").replace("}", ")")
    error = PydanticCustomError(_kind(wrong), text, context)
    details = InitErrorDetails(type=error, loc=tuple(steps), input=given)
    return ValidationError.from_exception_data("Filter", [details])


def _kind(wrong: FilterError) -> str:
    """Return ``unknown_operator`` for UnknownOperator."""
    name = type(wrong).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _same(value: Any) -> Any:
    return value


if TYPE_CHECKING:
    from typing_extensions import TypeAliasType, TypeVar

    _Model = TypeVar("_Model", default=Any)
    Filter = TypeAliasType("Filter", dict[str, Any], type_params=(_Model,))
else:
    Filter = type("Filter", (_Filter,), {"__module__": __name__, "__doc__": _Filter.__doc__})
"""A filter, as a type for Pydantic and FastAPI; its values are dictionaries that ``find`` takes.

- ``Filter`` is a filter over documents, ``Filter[docstore.Extraction]`` one over extractions.
- ``Filter[InvoiceMetadata]``, with a Pydantic model, is a filter over metadata alone. It names the model's
  fields (``vendor``, ``lines.amount``; ``metadata.vendor`` is the same), and nothing in it can name another
  field. The value is moved below ``metadata``, ready for ``find``.

A wrong filter is a validation error whose location leads into the filter, with ``path`` and ``suggestion``
in its context. JSON text is read, too; a FastAPI parameter of this type is taken from the query string, with
``Body()`` from the body.

Example:
    >>> from pydantic import TypeAdapter
    >>> TypeAdapter(docstore.Filter).validate_python('{"metadata.vendor": "acme"}')
    {'metadata.vendor': 'acme'}

    >>> @app.get("/invoices")
    ... def invoices(filter: docstore.Filter[InvoiceMetadata] | None = None) -> docstore.Page:
    ...     return store.documents.find(filter)
"""


_KINDS: dict[Kind, dict[str, Any]] = {
    Kind.TEXT: {"type": ["string", "null"]},
    Kind.INTEGER: {"type": ["integer", "null"]},
    Kind.BOOLEAN: {"type": ["boolean", "null"]},
    Kind.INSTANT: {"type": ["string", "null"], "format": "date-time"},
}


def filter_schema(collection: Collection, model: type[BaseModel] | None) -> dict[str, Any]:
    """Return the JSON Schema of a filter. It is stated in full at one place: paths into JSON.

    Args:
        collection: whose fields it names.
        model: of the metadata, whose fields it names instead; ``None``: the collection's.
    """
    schema: dict[str, Any] = {
        "title": "Filter" if model is None else f"Filter[{model.__name__}]",
        "type": "object",
        "description": "A filter in MongoDB's language: field paths with values or operators, and logic.",
        "properties": {**{word: _logic(word) for word in LOGIC}, "$comment": {}},
    }
    properties = schema["properties"]
    if model is not None:
        properties.update((name, _named({})) for name in model.model_fields)
        return {**schema, "additionalProperties": _operand()}
    plain = {name: field for name, field in collection.fields.items() if field.kind is not Kind.JSON}
    properties.update((name, _named(_value_schema(field))) for name, field in plain.items())
    into = "|".join(name for name in collection.fields if name not in plain)
    paths = {f"^({into})(\\..*)?$": _operand()}
    return {**schema, "patternProperties": paths, "additionalProperties": False}


def _value_schema(field: Field) -> dict[str, Any]:
    return {"enum": [*field.choices, None]} if field.kind is Kind.CHOICE else _KINDS[field.kind]


def _logic(word: str) -> dict[str, Any]:
    meaning = {"$and": "all of these filters", "$or": "one of these filters", "$nor": "none of these filters"}
    return {"type": "array", "minItems": 1, "items": {"type": "object"}, "description": meaning[word]}


def _named(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what stands at a named field: a value, or operators by their names."""
    return {"anyOf": [value, {"type": "object", "minProperties": 1, "propertyNames": {"enum": [*OPERATORS]}}]}


def _operand() -> dict[str, Any]:
    """Return the schema of what stands at a path: a value, or operators with what each takes."""
    properties = {
        word: {**operator.schema, "description": operator.meaning} for word, operator in OPERATORS.items()
    }
    operators = {"type": "object", "minProperties": 1, "properties": properties}
    return {"anyOf": [{}, {**operators, "additionalProperties": False}]}

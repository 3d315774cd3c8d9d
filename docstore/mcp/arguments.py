"""What each tool takes: models that read an agent's arguments, and the JSON Schemas made of them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from docstore.filter_type import Filter
from docstore.models import FieldInfo

__all__ = [
    "AddArguments",
    "Arguments",
    "CountByArguments",
    "ExplainArguments",
    "FieldsArguments",
    "FindArguments",
    "GetArguments",
    "SearchArguments",
    "UpdateArguments",
    "argument_schema",
    "said_of",
]

MAX_PAGE = 50
MAX_VALUES = 200
MAX_PIECE = 20_000
_FIELDS_SHOWN = 30

SearchText = Annotated[
    str,
    Field(
        description='Words that must all occur in the filename or the text; "…" is a phrase, -word excludes, '
        "OR between two words means either."
    ),
]
FilterArgument = Annotated[
    Filter | None,
    Field(
        description="A filter in MongoDB's language, as the tool find describes it. "
        'Example: {"metadata.year": {"$gte": 2024}, "file_type": "pdf"}.'
    ),
]
Cursor = Annotated[str | None, Field(description="next_cursor of the answer before: goes on behind it.")]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="Documents in the answer, at most.")]
Id = Annotated[str, Field(description="The document's id, as other tools show it.")]
Metadata = Annotated[dict[str, Any] | None, Field(description="A JSON object.")]


class Arguments(BaseModel):
    """The arguments of a tool; unknown ones are refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class SearchArguments(Arguments):
    """The arguments of ``search``."""

    query: SearchText
    filter: FilterArgument = None
    limit: Limit = 10
    cursor: Cursor = None


class FindArguments(Arguments):
    """The arguments of ``find``."""

    filter: FilterArgument = None
    query: SearchText | None = None
    sort: Annotated[
        str | list[str],
        Field(description="A field, or several; - before one sorts descending. Example: -metadata.year."),
    ] = "-created_at"
    limit: Limit = 10
    cursor: Cursor = None


class CountByArguments(Arguments):
    """The arguments of ``count_by``."""

    field: Annotated[str, Field(description="A field, such as file_type or metadata.vendor.")]
    filter: FilterArgument = None
    query: SearchText | None = None
    by: Annotated[
        Literal["day", "month", "year"] | Annotated[float, Field(gt=0, allow_inf_nan=False)] | None,
        Field(description="Count dates by day, month or year, or numbers by buckets of this width."),
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_VALUES, description="Values in the answer, at most.")] = 20


class FieldsArguments(Arguments):
    """The arguments of ``fields``."""

    field: Annotated[str, Field(description="List the fields below this one.")] = "metadata"
    filter: FilterArgument = None
    limit: Annotated[int, Field(ge=1, le=MAX_VALUES, description="Fields in the answer, at most.")] = 100


class GetArguments(Arguments):
    """The arguments of ``get``."""

    id: Id
    field: Annotated[
        str, Field(description="What to read: content is the text; or a field, such as metadata.notes.")
    ] = "content"
    offset: Annotated[
        int, Field(ge=0, description="Characters to leave out before: next_offset goes on.")
    ] = 0
    length: Annotated[int, Field(ge=1, le=MAX_PIECE, description="Characters of text, at most.")] = 4_000


class ExplainArguments(Arguments):
    """The arguments of ``explain``."""

    filter: FilterArgument = None
    query: SearchText | None = None
    sort: Annotated[str | list[str], Field(description="As find takes it.")] = "-created_at"


class AddArguments(Arguments):
    """The arguments of ``add``."""

    filename: Annotated[
        str, Field(min_length=1, description="The name of the new document, such as notes.md.")
    ]
    content: Annotated[str | None, Field(description="Its text.")] = None
    metadata: Metadata = None
    external_id: Annotated[
        str | None, Field(description="A key of your own; the same one again makes a new version.")
    ] = None


class UpdateArguments(Arguments):
    """The arguments of ``update``."""

    id: Id
    metadata: Annotated[
        dict[str, Any],
        Field(description="Merged into the metadata (RFC 7396): null removes a key, an object is merged."),
    ]
    if_revision: Annotated[
        int | None, Field(description="Only if the document still has this revision, as get shows it.")
    ] = None


def argument_schema(model: type[Arguments], known: list[FieldInfo], *, whole_filter: bool) -> dict[str, Any]:
    """Return the JSON Schema of a tool's arguments, short enough for an agent to read.

    Args:
        model: the arguments.
        known: fields of the store's own, told where a filter or a field is asked for.
        whole_filter: state the filter's language; else its place says that `find` states it.
    """
    schema = model.model_json_schema()
    schema.pop("title"), schema.pop("description")
    for name, argument in schema["properties"].items():
        argument.pop("title", None)
        some = [one for one in argument.pop("anyOf", ()) if one != {"type": "null"}]
        if argument.get("default", ...) is None:
            del argument["default"]
        if len(some) > 1:
            argument["anyOf"] = some
        elif some:
            narrow = some[0] if name != "filter" or whole_filter else {"type": "object"}
            schema["properties"][name] = argument = {**narrow, **argument}
        if name in ("filter", "field") and known:
            argument["description"] += f" The documents here have: {_told(known)}."
    return schema


def _told(known: list[FieldInfo]) -> str:
    """Return some fields in words: where they are, what is there, an example."""
    told = []
    for one in known[:_FIELDS_SHOWN]:
        example = next((value for value in one.examples if isinstance(value, str | int | float)), None)
        shown = "" if example is None else f", such as {str(example)[:40]!r}"
        told.append(f"{one.path} ({'/'.join(one.types)}{shown})")
    more = len(known) - _FIELDS_SHOWN
    return "; ".join(told) + (f"; and {more} or more others, see the tool fields" if more > 0 else "")


def said_of(error: ValidationError, model: type[Arguments]) -> dict[str, Any]:
    """Return what is wrong with a tool's arguments: ``code``, ``message`` and, for a filter, ``path``."""
    wrong = error.errors(include_url=False)[0]
    place = ".".join(map(str, wrong["loc"]))
    context = wrong.get("ctx") or {}
    if "path" in context:
        return {
            "code": wrong["type"], "message": f"filter: {wrong['msg']}", "path": context["path"],
            "suggestion": context["suggestion"],
        }  # fmt: skip
    if wrong["type"] == "extra_forbidden":
        near = get_close_matches(place, model.model_fields, 1, 0.6)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        message = f"there is no argument {place!r}{hint} The arguments are {', '.join(model.model_fields)}."
        return {"code": "unknown_argument", "message": message, "suggestion": near[0] if near else None}
    return {"code": "invalid_argument", "message": f"{place}: {wrong['msg']}", "suggestion": None}

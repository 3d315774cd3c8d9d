"""The tools: what each is for, what it takes, the call that it makes, and how much of it an agent is shown.

Models read an agent's arguments; JSON Schemas are made of them.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_jsonable_python

from docstore.collection.summaries import value_at
from docstore.filter_type import Filter
from docstore.limits import Limits
from docstore.models import Document, FieldInfo, Page
from docstore.query.explain import show_expr
from docstore.query.expr import TRUE
from docstore.query.facets import facet_path
from docstore.query.fields import DOCUMENTS

__all__ = [
    "TOOLS",
    "AddArguments",
    "AgentTool",
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

# What one answer may hold, so that it leaves room in an agent's context: documents, values, and characters of
# a text.
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


# Calls a method of the store's, in a thread if it is a blocking one.
Ask: TypeAlias = Callable[..., Awaitable[Any]]

# Matches are counted up to here.
COUNTED = 10_000
_LISTED_METADATA, _LISTED_VALUE = 1_000, 200
# Characters of a document's metadata that a list and `get` show, and of one value among them.
_WHOLE_METADATA, _WHOLE_VALUE = 10_000, 4_000
# Names of left out keys that are told; of more, their number.
_NAMES_LEFT_OUT = 20
# Characters of a filename, a value or an error that are shown.
_LINE = 300


@dataclass(frozen=True, slots=True)
class AgentTool:
    """A tool as an agent sees it.

    Attributes:
        name: of the tool.
        about: what it does and when to take it.
        arguments: what it takes.
        call: makes the call and returns the answer, a JSON object.
        writes: whether it changes the store; such a tool is offered only by a server that may write.
        states_filter: whether its schema states the language of filters in full.
    """

    name: str
    about: str
    arguments: type[Arguments]
    call: Callable[[Any, Any, Ask], Awaitable[dict[str, Any]]]
    writes: bool = False
    states_filter: bool = False


async def _search(store: Any, given: SearchArguments, ask: Ask) -> dict[str, Any]:
    page = await ask(
        store.documents.find, given.filter, search=given.query, sort="-score", limit=given.limit,
        cursor=given.cursor, total=COUNTED, include={"snippet"},
    )  # fmt: skip
    return _listing(page)


async def _find(store: Any, given: FindArguments, ask: Ask) -> dict[str, Any]:
    page = await ask(
        store.documents.find, given.filter, search=given.query, sort=given.sort, limit=given.limit,
        cursor=given.cursor, total=COUNTED, include={"snippet"} if given.query else (),
    )  # fmt: skip
    return _listing(page)


async def _count_by(store: Any, given: CountByArguments, ask: Ask) -> dict[str, Any]:
    counted = await ask(
        store.documents.count_by,
        given.field,
        given.filter,
        search=given.query,
        by=given.by,
        limit=given.limit,
    )
    values = [{"value": _cut(value), "count": count} for value, count in counted.items()]
    return {"field": given.field, "values": values}


async def _fields(store: Any, given: FieldsArguments, ask: Ask) -> dict[str, Any]:
    found = await ask(store.documents.fields, given.filter, prefix=given.field, limit=given.limit)
    told = [{**one.model_dump(), "examples": [_cut(value) for value in one.examples[:3]]} for one in found]
    return {"fields": told}


async def _get(store: Any, given: GetArguments, ask: Ask) -> dict[str, Any]:
    path = facet_path(given.field, DOCUMENTS, Limits(), "get")
    document = await ask(store.documents.get, given.id, include={"content"} if path[0] == "content" else ())
    value = value_at(document.model_dump(mode="json"), path)
    text = value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)
    end = given.offset + given.length
    piece = {
        "field": given.field,
        "text": None if text is None else text[given.offset : end],
        "offset": given.offset,
        "next_offset": end if text is not None and end < len(text) else None,
        "characters": 0 if text is None else len(text),
    }
    return {**_document(document, _WHOLE_METADATA, _WHOLE_VALUE), **piece}


async def _explain(store: Any, given: ExplainArguments, ask: Ask) -> dict[str, Any]:
    plan = await ask(store.documents.explain, given.filter, search=given.query, sort=given.sort)
    terms = [
        {"term": _cut(show_expr(term.expr)), "run": term.support.value, "reason": term.reason or None}
        for term in plan.terms
    ]
    return {
        "backend": plan.backend,
        "terms": terms,
        "looked_at_one_by_one": None if plan.residual == TRUE else _cut(show_expr(plan.residual)),
        "without_an_index": [_cut(term) for term in plan.unindexed()],
        "notes": list(plan.notes),
    }


async def _add(store: Any, given: AddArguments, ask: Ask) -> dict[str, Any]:
    document = await ask(
        store.documents.add, filename=given.filename, content=given.content, metadata=given.metadata,
        external_id=given.external_id,
    )  # fmt: skip
    return _document(document, _LISTED_METADATA, _LISTED_VALUE)


async def _update(store: Any, given: UpdateArguments, ask: Ask) -> dict[str, Any]:
    document = await ask(
        store.documents.update, given.id, metadata=given.metadata, if_revision=given.if_revision
    )
    return _document(document, _LISTED_METADATA, _LISTED_VALUE)


TOOLS: Mapping[str, AgentTool] = {
    tool.name: tool
    for tool in (
        AgentTool(
            "search",
            "Search the documents' texts and filenames for words; the best matches first, each with the part "
            "of its text where the words stand. Read a whole text with get.",
            SearchArguments,
            _search,
        ),
        AgentTool(
            "find",
            "List the documents that a filter matches, in any order, a page at a time.",
            FindArguments,
            _find,
            states_filter=True,
        ),
        AgentTool(
            "count_by",
            "Count documents by the values of a field, the most frequent first.",
            CountByArguments,
            _count_by,
        ),
        AgentTool(
            "fields",
            "List the fields that the documents' metadata have, with types, counts and examples.",
            FieldsArguments,
            _fields,
        ),
        AgentTool(
            "get",
            "Read one document: its fields, its metadata and a piece of its text. next_offset, as offset, "
            "gives the next piece.",
            GetArguments,
            _get,
        ),
        AgentTool(
            "explain",
            "Say how a filter would be run, and which part of it no index serves, without running it.",
            ExplainArguments,
            _explain,
        ),
        AgentTool(
            "add", "Store a text as a new document.", AddArguments, _add, writes=True
        ),
        AgentTool(
            "update", "Change the metadata of a document.", UpdateArguments, _update, writes=True
        ),
    )
}  # fmt: skip


def _listing(page: Page[Document]) -> dict[str, Any]:
    documents = [_document(one, _LISTED_METADATA, _LISTED_VALUE) for one in page.items]
    answer = {
        "documents": documents, "total": page.total, "total_is_exact": page.total_is_exact,
        "next_cursor": page.next_cursor,
    }  # fmt: skip
    return answer if page.ranked is None else {**answer, "ranked": page.ranked}


def _document(document: Document, metadata: int, value: int) -> dict[str, Any]:
    """Return what an agent sees of a document; fields without a value are left out.

    Args:
        document: the record.
        metadata: characters of the metadata's JSON, at most.
        value: characters of one value of it, at most.
    """
    kept, left_out = _metadata(document.metadata, metadata, value)
    shown = {
        "id": document.id, "filename": _cut(document.filename), "file_type": document.file_type,
        "status": document.status, "size": document.size, "version": document.version,
        "revision": document.revision, "external_id": document.external_id, "tenant": document.tenant,
        "owner": document.owner, "created_at": document.created_at, "updated_at": document.updated_at,
        "error": None if document.error is None else _cut(document.error), "snippet": document.snippet,
        "metadata": kept, "metadata_left_out": left_out or None,
    }  # fmt: skip
    return {name: one for name, one in shown.items() if one is not None}


def _metadata(metadata: Mapping[str, Any], budget: int, longest: int) -> tuple[dict[str, Any], list[str]]:
    """Return the metadata that fit, long texts cut, and the names of some that do not; get reads those."""
    kept: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in metadata.items():
        is_long = isinstance(value, str) and len(value) > longest
        shown = value[:longest] + "…" if is_long else value
        size = len(json.dumps(shown, ensure_ascii=False))
        if len(name) + size > budget or (size > longest and not isinstance(value, str)):
            left_out.append(name[:_LINE])
            continue
        budget -= len(name) + size
        kept[name] = shown
    more = len(left_out) - _NAMES_LEFT_OUT
    return kept, left_out if more <= 0 else [*left_out[:_NAMES_LEFT_OUT], f"and {more} more"]


def _cut(value: Any) -> Any:
    """Return a value, a long one as the beginning of its text."""
    text = value if isinstance(value, str) else json.dumps(to_jsonable_python(value), ensure_ascii=False)
    return value if len(text) <= _LINE else text[:_LINE] + "…"

"""docstore.Filter in Pydantic models and FastAPI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Body, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

import docstore
from docstore.query.operators import OPERATORS
from docstore.query.parser import FIELD_WORDS, TOP_WORDS


class Line(BaseModel):
    amount: float
    note: str | None = None


class InvoiceMetadata(BaseModel):
    vendor: str
    lines: list[Line] = []
    due_date: str | None = Field(default=None, alias="dueDate")


class Ask(BaseModel):
    filter: docstore.Filter | None = None


def error_of(kind: Any, filter: Any) -> dict[str, Any]:
    """Return the one error of validating a filter."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(filter)
    (error,) = caught.value.errors()
    return dict(error)


def test_a_filter_is_a_dictionary() -> None:
    """A valid filter stays what it is, from a mapping or from JSON text; None stays None."""
    expected = {"status": "completed", "metadata.n": {"$gte": 1}}
    assert expected == Ask(filter=expected).filter
    assert expected == Ask.model_validate({"filter": json.dumps(expected)}).filter
    assert Ask().filter is None
    assert expected == json.loads(Ask(filter=expected).model_dump_json())["filter"]


@pytest.mark.parametrize(
    ("filter", "loc", "path", "kind", "suggestion"),
    [
        ({"$and": [{"metadata.n": {"$gte2": 1}}]}, ("$and", 0, "metadata.n", "$gte2"),
         "$and/0/metadata.n/$gte2", "unknown_operator", "$gte"),
        ({"statos": "completed"}, ("statos",), "statos", "unknown_field", "status"),
        ({"status": "done"}, ("status",), "status", "filter_value_error", None),
        ([], (), "", "filter_syntax_error", None),
        ("{", (), "", "filter_syntax_error", None),
    ],
)  # fmt: skip
def test_an_error_leads_into_the_filter(
    filter: Any, loc: tuple[Any, ...], path: str, kind: str, suggestion: str | None
) -> None:
    """A wrong filter's error has its place as location and path, its kind as type, and a suggestion."""
    error = error_of(docstore.Filter, filter)
    assert (loc, kind) == (error["loc"], error["type"])
    assert {"path": path, "suggestion": suggestion} == error["ctx"]


def test_a_model_narrows_to_metadata() -> None:
    """`Filter[Model]` names the model's fields, nested ones and aliases too, and is moved below
    `metadata`.
    """
    filter = {"vendor": "x", "$or": [{"lines.amount": {"$gt": 1}}, {"lines.0.note": None}, {"dueDate": "y"}]}
    expected = {
        "metadata.vendor": "x",
        "$or": [
            {"metadata.lines.amount": {"$gt": 1}},
            {"metadata.lines.0.note": None},
            {"metadata.dueDate": "y"},
        ],
    }
    narrowed: Any = docstore.Filter[InvoiceMetadata]
    assert expected == TypeAdapter(narrowed).validate_python(filter)
    assert {"metadata.vendor": "x"} == TypeAdapter(narrowed).validate_python({"metadata.vendor": "x"})


@pytest.mark.parametrize(
    ("filter", "path", "suggestion"),
    [
        ({"vendr": "x"}, "vendr", "vendor"),
        ({"metadata.vendr": "x"}, "metadata.vendr", "vendor"),
        ({"$nor": [{"lines.amont": 1}]}, "$nor/0/lines.amont", "amount"),
        ({"owner": "someone else"}, "owner", None),
        ({"tenant": "someone else"}, "tenant", None),
    ],
)
def test_a_model_refuses_other_names(filter: Any, path: str, suggestion: str | None) -> None:
    """A name that the model has not is an error with a suggestion; no record field can be reached."""
    error = error_of(docstore.Filter[InvoiceMetadata], filter)
    assert ("unknown_field", path) == (error["type"], error["ctx"]["path"])
    assert suggestion == error["ctx"]["suggestion"]


def test_extractions_have_a_filter_of_their_own() -> None:
    """`Filter[Extraction]` names the fields of extractions."""
    kind: Any = docstore.Filter[docstore.Extraction]
    assert {"needs_review": True} == TypeAdapter(kind).validate_python({"needs_review": True})
    assert "unknown_field" == error_of(kind, {"file_type": "pdf"})["type"]


def test_the_schema_lists_the_language() -> None:
    """The JSON Schema names every operator and every word of logic that the parser knows, and the fields."""
    schema = TypeAdapter(docstore.Filter).json_schema()
    text = json.dumps(schema)
    assert set(FIELD_WORDS) == set(OPERATORS)
    assert all(f'"{word}"' in text for word in (*FIELD_WORDS, *TOP_WORDS))
    assert {"status", "created_at", "$and"} <= schema["properties"].keys()
    narrowed: Any = docstore.Filter[InvoiceMetadata]
    assert {"vendor", "lines"} <= TypeAdapter(narrowed).json_schema()["properties"].keys()


@pytest.fixture
def client() -> Iterator[TestClient]:
    """An application with a filter in the query string, in the body, and in a model."""
    app = FastAPI()
    with docstore.open("memory://") as store:
        for vendor in ("acme", "acme", "initech"):
            store.documents.add(filename=f"{vendor}.pdf", metadata={"vendor": vendor})

        @app.get("/invoices")
        def invoices(
            filter: docstore.Filter[InvoiceMetadata] | None = None, cursor: str | None = None
        ) -> docstore.Page[docstore.Document]:
            return store.documents.find(filter, limit=1, total=True, cursor=cursor)

        @app.post("/search")
        def search(filter: Annotated[docstore.Filter, Body()]) -> docstore.Page[docstore.Document]:
            return store.documents.find(filter, total=True)

        @app.post("/ask")
        def ask(asked: Ask) -> docstore.Page[docstore.Document]:
            return store.documents.find(asked.filter, total=True)

        with TestClient(app) as testing:
            yield testing


def test_fastapi_reads_filters_and_returns_pages(client: TestClient) -> None:
    """A filter comes from the query string, the body, or a model; a Page is the response, cursors and all."""
    first = client.get("/invoices", params={"filter": '{"vendor": "acme"}'}).json()
    assert (2, True, 1) == (first["total"], first["has_more"], len(first["items"]))
    second = client.get(
        "/invoices", params={"filter": '{"vendor": "acme"}', "cursor": first["next_cursor"]}
    ).json()
    assert first["items"] != second["items"]
    assert 3 == client.get("/invoices").json()["total"]
    assert 2 == client.post("/search", json={"metadata.vendor": "acme"}).json()["total"]
    assert 1 == client.post("/ask", json={"filter": {"metadata.vendor": "initech"}}).json()["total"]


def test_fastapi_answers_422_with_the_place(client: TestClient) -> None:
    """A wrong filter is 422, its location reaching from the parameter into the filter."""
    wrong = client.get("/invoices", params={"filter": '{"vendr": 1}'})
    assert 422 == wrong.status_code
    assert ["query", "filter", "vendr"] == wrong.json()["detail"][0]["loc"]
    wrong = client.post("/ask", json={"filter": {"status": {"$gte2": 1}}})
    assert ["body", "filter", "status", "$gte2"] == wrong.json()["detail"][0]["loc"]


def test_openapi_shows_the_language(client: TestClient) -> None:
    """The OpenAPI document lists the operators, and the fields of a page."""
    document = json.dumps(client.get("/openapi.json").json())
    assert all(f'"{word}"' in document for word in FIELD_WORDS)
    assert '"next_cursor"' in document

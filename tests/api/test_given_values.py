"""What people have beside JSON, as metadata; what nothing, text or a path as a source comes to."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from inspect import signature
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

import docstore


class Color(Enum):
    RED = "red"


@dataclass
class Line:
    sku: str
    price: Decimal


class Invoice(BaseModel):
    number: UUID
    due: date
    at: datetime
    lines: list[Line]
    tags: set[str] = set()


INVOICE = Invoice(
    number=UUID(int=7),
    due=date(2026, 1, 31),
    at=datetime(2026, 1, 1, tzinfo=UTC),
    lines=[Line("a", Decimal("1.50"))],
    tags={"b", "a"},
)
STORED = {
    "number": "00000000-0000-0000-0000-000000000007",
    "due": "2026-01-31",
    "at": "2026-01-01T00:00:00.000000Z",
    "lines": [{"sku": "a", "price": "1.50"}],
    "tags": ["a", "b"],
}


def test_metadata_takes_what_people_have(store: docstore.Store) -> None:
    """A model, at the top and within, in add, add_many, put and update; metadata_as gives it back."""
    made = store.documents.add(metadata=INVOICE)
    assert STORED == made.metadata
    assert INVOICE == made.metadata_as(Invoice)
    assert Line("a", Decimal("1.50")) == made.metadata_as(Invoice).lines[0]
    many = store.documents.add_many([{"metadata": {"in": INVOICE}}, {"metadata": INVOICE}] * 5)
    assert [{"in": STORED}, STORED] == [one.metadata for one in store.documents.get_many(many.ids[:2])]
    assert "unchanged" == [store.documents.put(id="k", metadata=INVOICE).outcome for _ in range(2)][1]
    changed = store.documents.update(made.id, {"$set": {"metadata.line": Line("b", Decimal(2))}})
    assert {"sku": "b", "price": "2"} == changed.metadata["line"]
    assert 7 == store.documents.count({"metadata.due": date(2026, 1, 31)})
    with pytest.raises(ValidationError):
        changed.metadata_as(Line)


class Renamed(BaseModel):
    total: int = Field(0, alias="totalAmount")
    lines: list[Renamed] = []


@pytest.mark.skipif(
    "by_name" not in signature(TypeAdapter.validate_json).parameters, reason="Pydantic < 2.11"
)
def test_a_model_with_aliases_comes_back(store: docstore.Store) -> None:
    """It is stored by its fields' names, and read by these as well as by the aliases that JSON has."""
    given = Renamed(totalAmount=5, lines=[Renamed(totalAmount=7)])
    made = store.documents.add(metadata=given)
    assert {"total": 5, "lines": [{"total": 7, "lines": []}]} == made.metadata
    assert given == made.metadata_as(Renamed)
    sent = store.documents.add(metadata={"totalAmount": 5, "lines": [{"totalAmount": 7}]})
    assert given == sent.metadata_as(Renamed)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (frozenset((3, 1, 2.5)), [1, 2.5, 3]),
        ({Color.RED, "a"}, ["a", "red"]),
        (PurePosixPath("a/b"), "a/b"),
        ({"x": (Line("c", Decimal("-0")),)}, {"x": [{"sku": "c", "price": "-0"}]}),
    ],
)
def test_other_values(value: Any, stored: Any) -> None:
    """Sets are sorted arrays, paths text; within each other."""
    with docstore.open("memory://") as store:
        assert stored == store.documents.add(metadata={"v": value}).metadata["v"]


@pytest.mark.parametrize("value", [b"x", object(), Decimal("NaN"), Decimal("Infinity"), Line, 1j])
def test_what_is_no_value(value: Any) -> None:
    """Refused by name, with the place."""
    with docstore.open("memory://") as store, pytest.raises(docstore.InvalidDocument) as wrong:
        store.documents.add(metadata={"a": [value]})
    assert "metadata.a.0" == wrong.value.field


def test_a_hook_for_other_types() -> None:
    """As json's default=: what it returns is read in turn; what it refuses is refused."""

    def default(value: Any) -> Any:
        if isinstance(value, complex):
            return [value.real, Decimal(1)]
        raise TypeError

    with docstore.open("memory://", metadata_default=default) as store:
        assert {"a": [1.0, "1"]} == store.documents.add(metadata={"a": 1 + 2j}).metadata
        with pytest.raises(docstore.InvalidDocument):
            store.documents.add(metadata={"a": object()})
    endless = docstore.open("memory://", metadata_default=lambda value: value)
    with endless as store, pytest.raises(docstore.InvalidDocument):
        store.documents.add(metadata={"a": object()})
    with pytest.raises(ValueError, match="metadata_default"):
        docstore.open("memory://", metadata_default=5)  # type: ignore[arg-type]


def test_nothing_is_no_document(store: docstore.Store) -> None:
    """An add of nothing is refused; with content a document is completed, unless a status says otherwise."""
    for given in ({}, {"owner": "a"}, {"dedupe": "sha256"}):
        with pytest.raises(docstore.InvalidDocument, match="nothing to add"):
            store.documents.add(**given)
    assert "completed" == store.documents.add(content="text").status
    assert "pending" == store.documents.add(content="text", status="pending").status
    ids = store.documents.add_many([{"content": "t"}, {"content": None}, {"status": "failed"}] * 4).ids
    found = [one.status for one in store.documents.get_many(ids[:3])]
    assert ["completed", "pending", "failed"] == found
    same = store.documents.add_many([{"content": "t", "filename": "a"}] * 9).ids
    assert "completed" == store.documents.get(same[0]).status


def test_sources_of_strangers(tmp_path: Path) -> None:
    """sources="bytes" takes bytes and files, and reads no path and no URL."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    with docstore.open("memory://", blobs=str(tmp_path / "files"), sources="bytes") as store:
        made = store.documents.add(b"mine", filename="a")
        for source in (str(secret), secret, f"file://{secret}", "https://example.org/a"):
            for call in (
                lambda source=source: store.documents.add(source),
                lambda source=source: store.documents.add_many([{"source": source}]),
                lambda source=source: store.documents.put(source, id="k"),
                lambda source=source: store.documents.update(made.id, source=source),
            ):
                with pytest.raises(docstore.InvalidDocument, match="sources='bytes'"):
                    call()
        assert 5 == store.documents.add(io.BytesIO(b"bytes")).size
        assert 2 == store.documents.count()
    with pytest.raises(ValueError, match="sources"):
        docstore.open("memory://", sources="paths")  # type: ignore[arg-type]


def test_a_url_of_the_web_needs_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the error says which; nothing is stored."""
    from fsspec import core

    def missing(url: str) -> Any:
        raise ImportError("No module named 'aiohttp'")

    monkeypatch.setattr(core, "url_to_fs", missing)
    with docstore.open("memory://", blobs=str(tmp_path / "files")) as store:
        with pytest.raises(ImportError, match=r"embedded-docstore\[http\]"):
            store.documents.add("https://example.org/a.pdf")
        assert 0 == store.documents.count()

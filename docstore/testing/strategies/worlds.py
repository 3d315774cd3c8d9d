"""Worlds: a few records of one collection as rows at the backend's seam, to ask questions about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hypothesis import strategies as st

from docstore.backend import Row
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, STATUSES, Collection, Field, Kind
from docstore.query.values import plain
from docstore.testing.strategies.values import KEYS, NUMBERS, WORDS, json_objects, json_values, texts

__all__ = ["INSTANTS", "World", "json_text", "worlds"]

_SECOND = 1_000_000
INSTANTS = (
    0, 1, -1, 1_767_225_600 * _SECOND, 1_767_225_600 * _SECOND - 1, 1_767_225_600 * _SECOND + 1,
    951_782_400 * _SECOND, -86_400 * _SECOND, 253_402_300_799 * _SECOND + 999_999,
    1_700_000_000 * _SECOND + 123_456,
)  # fmt: skip
"""Microseconds since the epoch: the new year of 2026 and its neighbours, a leap day, 1969, the last one."""

_TENANTS = (None, "t", "T", "t%")
_OWNERS = (None, "o", "o'", "O")


@dataclass(frozen=True)
class World:
    """Records of one collection.

    Attributes:
        collection: their kind.
        rows: the columns of each but its number, in the order in which they are to be inserted.
        documents: of extractions, the documents that they belong to.
    """

    collection: Collection
    rows: tuple[Row, ...]
    documents: tuple[Row, ...] = ()

    @cached_property
    def json_fields(self) -> tuple[str, ...]:
        """The names of the fields that hold free JSON."""
        return tuple(name for name, field in self.collection.fields.items() if field.kind is Kind.JSON)

    @cached_property
    def seen(self) -> tuple[tuple[tuple[str, ...], Any], ...]:
        """Every (path, value) in the JSON fields, array elements with and without their index in the path."""
        found: list[tuple[tuple[str, ...], Any]] = []
        for row in self.rows:
            for name in self.json_fields:
                if row[name] is not None:
                    found.extend(_walk((name,), json.loads(row[name])))
        return tuple(found)

    def values(self, name: str) -> list[Any]:
        """Return the stored values of a field of its own, each once, ``None`` left out."""
        return list(dict.fromkeys(row[name] for row in self.rows if row.get(name) is not None))


def _walk(path: tuple[str, ...], value: Any) -> list[tuple[tuple[str, ...], Any]]:
    found = [(path, value)]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _walk((*path, key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += _walk((*path, str(index)), inner)
            if not isinstance(inner, list):
                found += _walk(path, inner)
    return found


def json_text(value: Any) -> str:
    """Return the JSON text of a value as rows hold it: keys in the order given."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def _filenames() -> st.SearchStrategy[str]:
    words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)
    joined = st.builds(lambda some, by: by.join(some), words, st.sampled_from((" ", "_", "-", ".", "", "/")))
    return st.one_of(joined, joined, st.builds(lambda stem: f"{stem}.pdf", joined), texts().filter(bool))


def _contents() -> st.SearchStrategy[str]:
    separators = st.sampled_from((" ", "\n", ", ", "", "\t", ". "))
    words = st.lists(st.sampled_from(WORDS), max_size=6)
    return st.one_of(st.builds(lambda some, by: by.join(some), words, separators), texts(20))


def _column(field: Field) -> st.SearchStrategy[Any]:
    """Return what a column of this field can hold, chains, ids and scopes aside."""
    match field.kind:
        case Kind.STATUS:
            column: st.SearchStrategy[Any] = st.sampled_from(STATUSES)
        case Kind.INTEGER:
            column = st.sampled_from((0, 1, 2, 3, 10, 2**31, 2**53 + 1, 2**63 - 1))
        case Kind.BOOLEAN:
            column = st.booleans()
        case Kind.INSTANT:
            column = st.sampled_from(INSTANTS)
        case Kind.JSON:
            column = _json_column(field.name).map(json_text)
        case Kind.TEXT:
            column = {"filename": _filenames(), "content": _contents()}.get(field.name, texts())
    return st.one_of(st.none(), column, column) if field.nullable else column


def _json_column(name: str) -> st.SearchStrategy[dict[str, Any]]:
    keys = st.sampled_from(KEYS)
    if name == "confidence_scores":
        return st.dictionaries(keys, st.sampled_from(NUMBERS).map(float), max_size=3)
    if name == "review_flags":
        return st.dictionaries(keys, st.booleans(), max_size=3)
    return json_objects() if name == "metadata" else st.dictionaries(st.sampled_from("ab"), json_values(3))


_NOT_DRAWN = {"id", "number", "external_id", "version", "is_latest", "tenant", "owner", "document_id"}


def _columns(collection: Collection) -> st.SearchStrategy[Row]:
    fields = {**collection.fields, **collection.private}
    drawn = {name: _column(field) for name, field in fields.items() if name not in _NOT_DRAWN}
    return st.fixed_dictionaries(drawn)


@st.composite
def _documents(draw: st.DrawFn, max_size: int) -> tuple[Row, ...]:
    rows: list[Row] = []
    last: dict[tuple[Any, ...], Row] = {}
    for columns in draw(st.lists(_columns(DOCUMENTS), max_size=max_size)):
        tenant, owner = draw(st.sampled_from(_TENANTS)), draw(st.sampled_from(_OWNERS))
        external_id = draw(st.sampled_from((None, None, "x", "X")))
        chain = (tenant, owner, external_id)
        before = last.get(chain) if external_id is not None else None
        if before is not None:
            before["is_latest"] = False
        row = {
            **columns,
            "id": _id(draw, len(rows)),
            "tenant": tenant,
            "owner": owner,
            "external_id": external_id,
            "version": 1 if before is None else before["version"] + 1,
            "is_latest": True,
        }
        last[chain] = row
        rows.append(row)
    return tuple(rows)


def _id(draw: st.DrawFn, place: int) -> str:
    return draw(st.sampled_from(("{}", "id-{}", "{}%", "é{}", "ID {}"))).format(place)


@st.composite
def worlds(draw: st.DrawFn, collection: Collection | None = None, *, max_size: int = 8) -> World:
    """Return records of a collection (``None``: of either), up to ``max_size`` of them."""
    chosen = collection or draw(st.sampled_from((DOCUMENTS, DOCUMENTS, EXTRACTIONS)))
    if chosen is DOCUMENTS:
        return World(DOCUMENTS, draw(_documents(max_size)))
    documents = draw(_documents(3).filter(bool))
    rows = []
    for place, columns in enumerate(draw(st.lists(_columns(EXTRACTIONS), max_size=max_size))):
        document = draw(st.sampled_from(documents))
        inherited = {name: document[name] for name in ("tenant", "owner", "filename")}
        rows.append({**columns, **inherited, "id": _id(draw, place), "document_id": document["id"]})
    return World(EXTRACTIONS, tuple(rows), documents)

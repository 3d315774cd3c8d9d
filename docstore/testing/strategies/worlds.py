"""Worlds: a few records of one collection as rows at the backend's seam, to ask questions about.

Field paths are written as users write them: those that are stored, those that nearly are, those that lead
nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from docstore.backend import Row
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Field, Kind
from docstore.query.paths import path_text
from docstore.query.values import plain
from docstore.testing.strategies.values import (
    NUMBERS,
    PLAIN_KEYS,
    STEPS,
    WORDS,
    Chooser,
    key,
    scalar,
    some_object,
    text,
)

__all__ = [
    "MICROSECONDS",
    "World",
    "document_rows",
    "json_path",
    "json_text",
    "world",
]

_SECOND = 1_000_000
# Microseconds since the epoch: the new year of 2026 and its neighbours, a leap day, 1969, the last one.
MICROSECONDS = (
    1, 0, -1, 1_767_225_600 * _SECOND, 1_767_225_600 * _SECOND - 1, 1_767_225_600 * _SECOND + 1,
    951_782_400 * _SECOND, -86_400 * _SECOND, 253_402_300_799 * _SECOND + 999_999,
    1_700_000_000 * _SECOND + 123_456,
)  # fmt: skip

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


def _filename(choose: Chooser) -> str:
    if choose.one_in(6):
        return text(choose) or "-"
    words = choose.several(lambda: choose.pick(WORDS), 3, 1)
    return choose.pick((" ", "_", "-", ".", "", "/")).join(words) + choose.pick((".pdf", "", ".PDF", ".txt"))


def _content(choose: Chooser) -> str:
    if choose.one_in(6):
        return text(choose, 12)
    words = choose.several(lambda: choose.pick(WORDS), 5)
    return choose.pick((" ", "\n", ", ", "", "\t", ". ")).join(words)


def _column(choose: Chooser, field: Field) -> Any:
    """Return what a column of this field can hold, chains, ids and scopes aside."""
    if field.nullable and choose.one_in(4):
        return None
    match field.kind:
        case Kind.CHOICE:
            return choose.pick(field.choices)
        case Kind.INTEGER:
            return choose.pick((1, 0, 2, 3, 10, 2**31, 2**53, 2**53 + 1, 2**63 - 1))
        case Kind.BOOLEAN:
            return choose.below(2) == 1
        case Kind.INSTANT:
            return choose.pick(MICROSECONDS)
        case Kind.JSON:
            return json_text(_json_column(choose, field.name))
        case Kind.TEXT:
            made = {"filename": _filename, "content": _content}.get(field.name, text)
            return made(choose)


def _json_column(choose: Chooser, name: str) -> dict[str, Any]:
    if name == "confidence_scores":
        return {word: float(choose.pick(NUMBERS)) for word in choose.several(lambda: key(choose), 2)}
    if name == "review_flags":
        return {word: choose.below(2) == 1 for word in choose.several(lambda: key(choose), 2)}
    return some_object(choose, size=4 if name == "metadata" else 2)


_NOT_DRAWN = {"id", "number", "external_id", "version", "is_latest", "tenant", "owner", "document_id"}
_ALWAYS = {"metadata", "filename", "content", "results"}


def _columns(choose: Chooser, collection: Collection, plain: bool = False) -> Row:
    """Return columns of a row: those that questions are about, and a few others that are not plain."""
    fields = {**collection.fields, **collection.private}
    return {
        name: _column(choose, field) if not plain and (name in _ALWAYS or choose.one_in(3)) else _plain(field)
        for name, field in fields.items()
        if name not in _NOT_DRAWN
    }


def _plain(field: Field) -> Any:
    plain_values = {Kind.TEXT: "a", Kind.JSON: "{}", Kind.BOOLEAN: False}
    if field.kind is Kind.CHOICE:
        return None if field.nullable else field.choices[0]
    return None if field.nullable else plain_values.get(field.kind, 1)


def document_rows(choose: Chooser, size: int, least: int, *, plain: bool = False) -> tuple[Row, ...]:
    """Return ``least`` to ``size`` documents, some versions of one another; ``plain``: alike in the rest."""
    rows: list[Row] = []
    last: dict[tuple[Any, ...], Row] = {}
    for _ in range(least + choose.below(size - least + 1)):
        tenant, owner = choose.pick(_TENANTS), choose.pick(_OWNERS)
        external_id = choose.pick((None, "x", None, "X"))
        chain = (tenant, owner, external_id)
        before = last.get(chain) if external_id is not None else None
        if before is not None:
            before["is_latest"] = False
        last[chain] = {
            **_columns(choose, DOCUMENTS, plain),
            "id": _id(choose, len(rows)),
            "tenant": tenant,
            "owner": owner,
            "external_id": external_id,
            "version": 1 if before is None else before["version"] + 1,
            "is_latest": True,
        }
        rows.append(last[chain])
    return tuple(rows)


def _id(choose: Chooser, place: int) -> str:
    return choose.pick(("{}", "id-{}", "{}%", "é{}", "ID {}")).format(place)


def _extractions(choose: Chooser, documents: tuple[Row, ...], size: int) -> Iterator[Row]:
    for place in range(choose.below(size + 1)):
        document = choose.pick(documents)
        inherited = {name: document[name] for name in ("tenant", "owner", "filename")}
        columns = _columns(choose, EXTRACTIONS)
        yield {**columns, **inherited, "id": _id(choose, place), "document_id": document["id"]}


def world(choose: Chooser, collection: Collection | None = None, *, size: int = 8) -> World:
    """Return records of a collection (``None``: of either), up to ``size`` of them."""
    chosen = collection or choose.pick((DOCUMENTS, DOCUMENTS, EXTRACTIONS))
    if chosen is DOCUMENTS:
        return World(DOCUMENTS, document_rows(choose, size, 0))
    documents = document_rows(choose, 3, 1)
    return World(EXTRACTIONS, tuple(_extractions(choose, documents, size)), documents)


_LONGEST = 8


def json_path(choose: Chooser, world: World) -> tuple[str, Any]:
    """Return a path into a JSON field of the world's records, and a value to expect there."""
    if world.seen and not choose.one_in(6):
        path, value = choose.pick(world.seen)
        if len(path) <= _LONGEST:
            return path_text(path), value
    steps = choose.several(lambda: choose.pick(STEPS if choose.one_in(3) else (*PLAIN_KEYS, "0")), 3)
    return path_text((choose.pick(world.json_fields), *steps)), scalar(choose)

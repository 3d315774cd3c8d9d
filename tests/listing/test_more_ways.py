"""More ways to read: as a container, one, in a given order, summed up, in columns, in a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

import docstore
from docstore import Facet


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def filled(store: docstore.Store) -> docstore.Store:
    """Six documents: numbers, texts, booleans, arrays, instants, nothing."""
    rows: list[dict[str, Any]] = [
        {"v": 1, "d": "2026-01-05", "o": {"x": [{"y": 1}, {"y": 2}, {}]}},
        {"v": 1.0, "d": "2026-01-31T23:30:00-01:00", "o": {"x": []}},
        {"v": True, "d": "not a date"},
        {"v": "Straße", "d": "2025-07-01T00:00:00Z"},
        {"v": [2, 1, "strasse", 2], "d": ["2026-01-05", "2026-01-06T10:00Z"]},
        {},
    ]
    store.documents.add_many(
        {
            "id": f"d{n}",
            "filename": f"{n}.txt",
            "metadata": metadata,
            "created_at": at(f"2026-0{n // 3 + 1}-0{n + 1}T00:00:00"),
            "size": n * 10,
        }
        for n, metadata in enumerate(rows)
    )
    return store


def test_a_collection_is_a_container(filled: docstore.Store) -> None:
    """len, in, [], iteration; always true; a scope sees its own."""
    documents = filled.documents
    assert 6 == len(documents)
    assert [f"d{n}" for n in range(6)] == [one.id for one in documents]
    assert documents.get("d1") == documents["d1"] == documents[documents["d1"]]
    assert ("d1" in documents, documents["d1"] in documents) == (True, True)
    assert ("x" in documents, None in documents, 5 in documents) == (False, False, False)
    with pytest.raises(LookupError):
        documents["x"]
    empty = filled.scoped(tenant="t").documents
    assert (0, [], True) == (len(empty), list(empty), bool(empty))
    assert "d1" not in empty


def test_one_or_a_default(filled: docstore.Store) -> None:
    """find_one gives a record or None; get a default, None too, instead of an error."""
    documents = filled.documents
    first = documents.find_one({"size": {"$gte": 20}}, sort="size")
    assert first is not None
    assert "d2" == first.id
    assert None is documents.find_one({"size": 7})
    assert (None, 5) == (documents.get("x", default=None), documents.get("x", default=5))
    assert None is documents.get("a\0b", default=None)
    assert documents["d0"] == documents.get("d0", default=None)
    with pytest.raises(docstore.NotFound):
        documents.get("x")


def test_records_stand_for_their_ids(filled: docstore.Store) -> None:
    """Wherever an id is taken; a record of the other kind is refused."""
    documents, document = filled.documents, filled.documents["d0"]
    extraction = filled.extractions.add(document, {"a": 1})
    assert document.id == extraction.document_id
    assert [document] == documents.get_many([document])
    assert 2 == documents.update(document, {"$set": {"metadata.n": 1}}).revision
    assert "processing" == documents.start(document).status
    assert "failed" == documents.fail(document, "no").status
    filled.extractions.delete(extraction)
    documents.delete(document)
    assert 5 == len(documents)
    with pytest.raises(docstore.FilterValueError, match="Document"):
        documents.get(extraction)  # type: ignore[call-overload]


def test_a_page_is_a_sequence(filled: docstore.Store) -> None:
    """Items, slices, in, reversed, index; an empty page is false."""
    page = filled.documents.find(sort="number", limit=4)
    assert isinstance(page, Sequence)
    assert (page.items[0], page.items[-1], page.items[1:3]) == (page[0], page[-1], page[1:3])
    assert page.items[::-1] == list(reversed(page))
    assert (page[2] in page, page.index(page[2]), page.count(page[2])) == (True, 2, 1)
    assert not filled.documents.find({"size": 7})
    met, offset = 0, 0
    while page := filled.documents.find(offset=offset, limit=4):
        met, offset = met + len(page), offset + 4
    assert 6 == met


def test_sorts_are_taken_as_pymongo_takes_them(filled: docstore.Store) -> None:
    """Pairs of a path and 1 or -1, among texts, too; other directions are refused."""
    find = filled.documents.find
    assert find(sort="-size").items == find(sort=[("size", -1)]).items
    assert find(sort=["filename", "-size"]).items == find(sort=[("filename", 1), "-size"]).items
    for wrong in ([("size", 2)], [("size", True)], [("size",)], [(1, 1)], [("nope", 1)]):
        with pytest.raises(docstore.InvalidSort):
            find(sort=wrong)  # type: ignore[arg-type]


def test_the_given_order(filled: docstore.Store) -> None:
    """Of the ids at the filter's top, each once, by pages, cursors both ways, and walks."""
    ids = ["d4", "nope", "d0", "d5", "d4", "d2", "d1"]
    asked = {"id": {"$in": ids}, "size": {"$lt": 50}}
    wanted = ["d4", "d0", "d2", "d1"]
    documents = filled.documents
    page = documents.find(asked, sort="given", limit=3, total=True)
    assert (wanted[:3], 4, True) == ([one.id for one in page], page.total, page.has_more)
    assert page.prev_cursor is None
    second = documents.find(asked, sort="given", limit=3, cursor=page.next_cursor)
    assert (wanted[3:], False) == ([one.id for one in second], second.has_more)
    back = documents.find(asked, sort="given", limit=3, cursor=second.prev_cursor)
    assert wanted[:3] == [one.id for one in back]
    assert back.next_cursor == page.next_cursor
    assert wanted[1:3] == [one.id for one in documents.find(asked, sort="given", limit=2, offset=1)]
    assert wanted == [one.id for one in documents.iterate(asked, sort="given", batch_size=1)]
    assert wanted == [row["id"] for row in documents.rows(["id"], asked, sort="given")]
    walk = documents.iterate(asked, sort="given")
    next(walk)
    assert wanted[1:] == [one.id for one in documents.iterate(asked, sort="given", cursor=walk.cursor)]
    with pytest.raises(docstore.InvalidCursor):
        documents.find({"id": {"$in": ids[::-1]}, "size": {"$lt": 50}}, sort="given", cursor=page.next_cursor)
    for wrong in (None, {}, {"id": "d1"}, {"$and": [asked]}):
        with pytest.raises(docstore.InvalidSort):
            documents.find(wrong, sort="given")
    assert [] == documents.find({"id": {"$in": []}}, sort="given").items
    assert documents.explain(asked, sort="given").is_pushed


def test_facets_tell_types_apart(filled: docstore.Store) -> None:
    """1 and 1.0 are one number, True another value; arrays count by element, once each."""
    facet = filled.documents.count_by("metadata.v")
    assert [(1, 3), (None, 1), (2, 1), ("Straße", 1), ("strasse", 1), (True, 1)] == list(facet.items())
    assert (3, 1) == (facet[1], facet[True])
    assert True in facet
    assert False not in facet
    assert {None: 1, 2: 1, 1: 3, "Straße": 1, "strasse": 1} != facet
    assert Facet(reversed(list(facet.items()))) == facet
    assert facet.get("no", 0) == 0
    with pytest.raises(KeyError):
        facet[0]
    moment = at("2026-01-01T00:00:00")
    assert 1 == filled.documents.count_by("created_at")[moment]
    assert {"pending": 6} == filled.documents.count_by("status")


@pytest.mark.parametrize(
    ("value", "by", "key"), [(1e300, 1e-9, 1e300), (-1e300, 5e-324, -1e300), (3, 1e300, 0)]
)
def test_buckets_at_the_ends_of_doubles(url: str, value: float, by: float, key: float) -> None:
    """A width that vanishes beside a number leaves the number as its own bucket."""
    with docstore.open(url) as store:
        store.documents.add(metadata={"v": value})
        assert {key: 1} == store.documents.count_by("metadata.v", by=by)
        for beyond in (10**400, math.inf, math.nan, -1, 0, True):
            with pytest.raises(docstore.InvalidPage):
                store.documents.count_by("metadata.v", by=beyond)


def test_buckets(filled: docstore.Store) -> None:
    """Instants by day, month, year in UTC; numbers by width; a record once for each bucket."""
    count_by = filled.documents.count_by
    assert {at("2026-01-01"): 3, at("2026-02-01"): 3} == count_by("created_at", by="month")
    assert {at("2026-01-01"): 6} == count_by("created_at", by="year")
    assert {at("2026-01-05"): 2, at("2025-07-01"): 1, at("2026-01-06"): 1, at("2026-02-01"): 1} == count_by(
        "metadata.d", by="day"
    )
    assert {at("2026-01-01"): 2, at("2026-02-01"): 1, at("2025-07-01"): 1} == count_by(
        "metadata.d", by="month"
    )
    assert {0: 2, 20: 2, 40: 2} == count_by("size", by=20)
    assert {0.0: 3, 2.0: 1} == count_by("metadata.v", by=2.0)
    for field, by in (("size", "day"), ("created_at", 5), ("filename", 5), ("size", 0), ("size", True)):
        with pytest.raises(docstore.InvalidPage):
            count_by(field, by=by)


def test_distinct_values(filled: docstore.Store) -> None:
    """By count, then in sort order; pages of them; contains folds as $isubstring does."""
    distinct = filled.documents.distinct
    page = distinct("metadata.v")
    assert [(1, 3), (None, 1), (2, 1), ("Straße", 1), ("strasse", 1), (True, 1)] == page.items
    assert 6 == page.total
    assert ([(2, 1), ("Straße", 1)], 6) == (distinct("metadata.v", offset=2, limit=2)[:], page.total)
    assert ["Straße", "strasse"] == [value for value, _ in distinct("metadata.v", contains="STRASSE")]
    assert not distinct("metadata.v", contains="%")
    assert at("2026-01-01") in [value for value, _ in distinct("created_at")]
    with pytest.raises(docstore.UnknownField):
        distinct("nope")


def test_bounds(filled: docstore.Store) -> None:
    """Of numbers, else of instants, else of text; never of booleans; None without any."""
    bounds = filled.documents.bounds
    assert (1, 2) == bounds("metadata.v")
    assert (at("2025-07-01"), datetime(2026, 2, 1, 0, 30, tzinfo=UTC)) == bounds("metadata.d")
    assert ("Straße", "Straße") == bounds("metadata.v", {"id": "d3"})
    assert None is bounds("metadata.v", {"id": "d2"})
    assert (0, 50) == bounds("size")
    assert (at("2026-01-01"), at("2026-02-06")) == bounds("created_at")
    assert ("0.txt", "5.txt") == bounds("filename", search="txt")
    assert (None, None) == (bounds("is_latest"), bounds("processed_at"))
    assert (1, 2) == bounds("metadata.o.x.y")


def test_fields(filled: docstore.Store) -> None:
    """The paths below metadata: types, how many documents, how many values, examples."""
    found = {field.path: field for field in filled.documents.fields()}
    assert {"metadata.v", "metadata.d", "metadata.o", "metadata.o.x", "metadata.o.x.y"} == set(found)
    v = found["metadata.v"]
    assert (("array", "bool", "int", "string"), 5, 5, (1, 2, "Straße")) == (
        v.types, v.documents, v.distinct, v.examples,
    )  # fmt: skip
    assert (2, ("object",)) == (found["metadata.o"].documents, found["metadata.o"].types)
    assert (1, ("int",)) == (found["metadata.o.x.y"].documents, found["metadata.o.x.y"].types)
    assert ["metadata.o.x.y"] == [field.path for field in filled.documents.fields(prefix="metadata.o.x")]
    assert 1 == len(filled.documents.fields(limit=1))
    assert [] == filled.documents.fields({"id": "d5"})
    assert {"metadata.v": 1, "metadata.d": 1} == {
        field.path: field.documents for field in filled.documents.fields({"metadata.v": "strasse"})
    }


def test_rows(filled: docstore.Store) -> None:
    """Flat dictionaries of what records show; a path through an array gives a list."""
    rows = filled.documents.rows(["id", "metadata.v", "created_at", "metadata.o.x.y"], sort="-size", limit=6)
    last = list(rows)[-1]
    assert {
        "id": "d0", "metadata.v": 1, "created_at": at("2026-01-01"), "metadata.o.x.y": [1, 2],
    } == last  # fmt: skip
    assert [{"metadata.o.x.0.y": 1}] == list(filled.documents.rows(["metadata.o.x.0.y"], {"id": "d0"}))
    assert [{"status": "pending"}] == list(filled.documents.rows(["status"], {"id": "d0"}))
    assert [] == list(filled.documents.rows(["id"], limit=0))
    filled.documents.update("d0", content="text")
    assert [{"content": "text"}] == list(filled.documents.rows(["content"], {"id": "d0"}))
    with pytest.raises(docstore.UnknownField):
        filled.documents.rows(["nope"])
    with pytest.raises(docstore.InvalidPage):
        filled.documents.rows("id")


def test_arrow(filled: docstore.Store) -> None:
    """A fixed schema; metadata as JSON text, or chosen paths typed by their values."""
    pa = pytest.importorskip("pyarrow")
    filled.documents.update("d1", metadata={"n": 1, "f": 1, "b": True, "s": "x"})
    filled.documents.update("d2", metadata={"n": 2, "f": 1.5, "b": False, "s": "y"})
    table = filled.documents.to_arrow()
    assert list(docstore.Document.model_fields)[:3] == table.column_names[:3]
    assert pa.timestamp("us", tz="UTC") == table.schema.field("created_at").type
    assert (pa.int64(), pa.string()) == (
        table.schema.field("size").type, table.schema.field("metadata").type,
    )  # fmt: skip
    assert "{}" == table["metadata"].to_pylist()[5]
    paths = ["metadata.n", "metadata.f", "metadata.b", "metadata.s", "metadata.v"]
    chosen = filled.documents.to_arrow(paths, {"id": {"$in": ["d1", "d2"]}})
    assert [pa.int64(), pa.float64(), pa.bool_(), pa.string(), pa.string()] == chosen.schema.types
    assert ['"x"', '"y"'] == chosen["metadata.s"].to_pylist()
    assert ["1.0", "true"] == chosen["metadata.v"].to_pylist()


def test_reprs_fit_a_line_and_hide_secrets(filled: docstore.Store) -> None:
    """Stores, collections, records, pages; markup is escaped in a notebook."""
    document = filled.documents.update("d0", filename="<b>&.txt" + "x" * 500)
    page = filled.documents.find(limit=2, total=True)
    for shown in (
        filled,
        filled.documents,
        filled.extractions,
        document,
        page,
        filled.documents.distinct("size"),
    ):
        assert len(repr(shown)) < 160
        assert "\n" not in repr(shown)
    assert "<Page: 2 documents of 6, more follow>" == repr(page) == str(page)
    for html in (document._repr_html_(), page._repr_html_()):
        assert "<table>" in html
        assert "<b>" not in html


@pytest.mark.parametrize(
    ("name", "hint"),
    [("insert_one", r"add\(\)"), ("search", "search="), ("all", "iterate"), ("aggregate", "count_by")],
)
def test_what_other_libraries_call_it(store: docstore.Store, name: str, hint: str) -> None:
    """AttributeError names what there is; unknown names stay plain."""
    with pytest.raises(AttributeError, match=hint):
        getattr(store.documents, name)
    with pytest.raises(AttributeError, match=r"store\.documents\.find"):
        store.find  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        store.documents.nonsense  # type: ignore[attr-defined]  # noqa: B018

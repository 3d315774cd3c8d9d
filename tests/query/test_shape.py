"""Shapes: a filter whose shape was met before is bound to its values, and is the very same query."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import docstore
from docstore.errors import DocstoreError
from docstore.listing import Listing
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.query.shape import (
    DOUBLE,
    INSTANT,
    INSTANT_TEXT,
    MOMENT,
    TEXT,
    WHOLE,
    apart,
    put_back,
)
from docstore.query.wire import expr_to_json
from docstore.recent import Recent
from docstore.shaped import ShapedListings
from docstore.testing import strategies

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
INSTANTS = ["2024-02-29T12:00:00Z", "2024-02-29T13:00:00+01:00", "1969-12-31T23:59:59.999999Z", "2024-02-30"]
MOMENTS = [
    NOON,
    NOON.astimezone(timezone(timedelta(hours=1))),
    NOON.replace(tzinfo=None),
    NOON.replace(year=9999, day=1),
]
VALUES: dict[complex, list[Any]] = {
    WHOLE: [0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 10**16],
    DOUBLE: [0.0, -0.0, 1.0, 0.5, 1e16, float(2**53), float(2**63), 5e-324, float("nan"), float("inf")],
    TEXT: ["", "a", "b", "é", "$a", '"', "\\", "\0", "\ud800", "x" * 1_000, "x" * 1_001, *INSTANTS, "true"],
    MOMENT: MOMENTS,
    INSTANT_TEXT: [*INSTANTS, "", "now"],
    INSTANT: MOMENTS,
}


@pytest.fixture(scope="module")
def store() -> Iterator[docstore.Store]:
    """Open a store whose backend runs all there is."""
    with docstore.open("memory://") as opened:
        yield opened


def outcome(make: Any) -> Any:
    """Return what a listing asks, or the error instead of it."""
    try:
        made: Listing = make()
    except DocstoreError as error:
        return type(error), str(error)
    query, plan = made.query, made.plan
    terms = [(expr_to_json(term.expr), term.support, term.reason) for term in plan.terms]
    rest = (
        query.collection.name,
        query.scope,
        query.order,
        query.include,
        plan.window_pushed,
        made.json_fields,
    )
    return (
        expr_to_json(query.where),
        expr_to_json(plan.pushed),
        plan.residual,
        terms,
        made.bound,
        (*rest, made.json_fields),
    )


def both_ways(records: Any, filter: Any) -> tuple[Any, Any]:
    """Return what is asked as the calls of a store ask it, and what the ordinary way makes of it."""
    listed = outcome(lambda: records._listing(filter, None, "-created_at", True, ()))
    ordinary = outcome(
        lambda: (
            records._asked(
                filter, search=None, sort="-created_at", latest_only=True, names=frozenset()
            ).listing
        )
    )
    return listed, ordinary


FEW: dict[complex, list[Any]] = {
    mark: [value for value in values if value == value][:3] for mark, values in VALUES.items()
} | {WHOLE: [1, 2**53, 2**53 + 1], DOUBLE: [1.0, -0.0, float(2**53)]}
"""Values that are likely to be alike."""
FIELDS = ["metadata.a", "metadata.b", "number", "owner", "created_at"]
OPERANDS = st.sampled_from([0, 7, 0.5, 7.0, "x", "2024-01-01T00:00:00Z", NOON, None, True, []])
CONDITIONS = st.one_of(
    OPERANDS,
    st.dictionaries(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), OPERANDS, min_size=1),
    st.builds(
        lambda word, values: {word: values},
        st.sampled_from(["$in", "$nin", "$all", "$contains", "$containsAny"]),
        st.lists(OPERANDS, max_size=4),
    ),
    st.builds(lambda inner: {"$not": {"$gt": inner}}, OPERANDS),
    st.builds(lambda inner: {"$elemMatch": {"$gte": inner, "$ne": 3}}, OPERANDS),
    st.builds(lambda inner, other: {"$elemMatch": {"a": inner, "b": {"$in": [other]}}}, OPERANDS, OPERANDS),
)
CROWDED: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(st.sampled_from(FIELDS[:2]), CONDITIONS, min_size=1, max_size=2)
    | st.builds(lambda name, condition: {name: condition}, st.sampled_from(FIELDS), CONDITIONS),
    lambda inner: st.builds(
        lambda word, terms: {word: terms},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=6,
)


@given(CROWDED, st.data())
def test_values_that_are_alike(store: docstore.Store, filter: Any, data: st.DataObject) -> None:
    """Many predicates on few paths, with values that are equal, in order or out of it, are what they are."""
    taken = apart(filter, DOCUMENTS)
    if taken is None:
        return
    for _ in range(5):
        given = put_back(taken.frame, lambda mark: data.draw(st.sampled_from(FEW[mark])))
        listed, ordinary = both_ways(store.documents, given)
        assert ordinary == listed


@given(st.data())
def test_a_bound_query_is_the_ordinary_one(store: docstore.Store, data: st.DataObject) -> None:
    """A query bound to the values of a filter is the one that parse, normalize and plan make of it."""
    collection = data.draw(st.sampled_from([DOCUMENTS, EXTRACTIONS]))
    records = store.documents if collection is DOCUMENTS else store.extractions
    world = data.draw(strategies.worlds(collection))
    taken = apart(data.draw(strategies.filters(world)), collection)
    if taken is None:
        return
    for _ in range(4):
        given = put_back(taken.frame, lambda mark: data.draw(st.sampled_from(VALUES[mark])))
        listed, ordinary = both_ways(records, given)
        assert ordinary == listed


STORED: list[Any] = [
    1, 2**53, 2**53 + 1, -0.0, 1.0, 0, True, None, "a", "", INSTANTS[0], "2024-02-29T12:00:00.000000Z",
    [1, "a"], [[1]], {"a": 1, "b": "x"}, [{"a": 1, "b": 7}, {"a": "x"}], [], -1, "x", 7, 0.5,
]  # fmt: skip


@pytest.fixture
def filled(url: str) -> Iterator[docstore.Store]:
    """Open a store with one document a value, and some that have two."""
    with docstore.open(url) as opened:
        opened.documents.add_many(
            {
                "filename": str(at),
                "owner": OWNERS[at % len(OWNERS)],
                "created_at": NOON + timedelta(days=at % 3, microseconds=at),
                "metadata": {"a": value, "b": STORED[-at]} if at % 2 else {"a": value},
            }
            for at, value in enumerate(STORED)
        )
        yield opened


OWNERS = [None, "x", "a", "b"]


def answer(store: docstore.Store, filter: Any) -> Any:
    """Return what a store answers, or the error instead of it; on Postgres with what it would run."""
    try:
        page = store.documents.find(filter, total=True, limit=5)
        shown = store.documents.explain(filter, limit=5) if store._root.backend.name == "postgres" else None
        return (
            [each.filename for each in page.items],
            page.total,
            shown and (shown.statement, shown.parameters),
        )
    except DocstoreError as error:
        return type(error), str(error)


class Never(Recent[Any]):
    """Shapes of which none is ever known."""

    def get(self, key: bytes | None) -> Any:
        return False


def compare_answers(store: docstore.Store, filter: Any, data: st.DataObject) -> None:
    """Hold what is bound against what is compiled for a filter alone, with some values one after another."""
    taken = apart(filter, DOCUMENTS)
    if taken is None:
        return
    root = store._root
    for _ in range(4):
        given = put_back(taken.frame, lambda mark: data.draw(st.sampled_from(VALUES[mark])))
        listed = answer(store, given)
        shapes, root.shapes, root.listings = root.shapes, Never(), Recent()
        ordinary = answer(store, given)
        root.shapes, root.listings = shapes, Recent()
        assert ordinary == listed


IN_TURN = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40
)


@IN_TURN
@given(CROWDED, st.data())
def test_every_backend_answers_the_same(filled: docstore.Store, filter: Any, data: st.DataObject) -> None:
    """What is bound to a shape in a backend's own cache answers as what is compiled for the filter alone."""
    compare_answers(filled, filter, data)


@IN_TURN
@given(CROWDED, st.data())
def test_the_same_with_declared_indexes(filled: docstore.Store, filter: Any, data: st.DataObject) -> None:
    """So it does where declared indexes narrow by the values of some filters and not of others."""
    if filled._root.backend.name != "memory":
        filled.create_index("metadata.a")
        filled.create_index("owner", "metadata.b")
    compare_answers(filled, filter, data)


SHAPES: list[tuple[str, Any, Any]] = [
    ("a value", {"metadata.a": "x"}, {"metadata.a": "y"}),
    ("a number", {"metadata.a": {"$gt": 1}}, {"metadata.a": {"$gt": 2**53 + 1}}),
    ("two bounds", {"metadata.a": {"$gte": 1, "$lt": 5}}, {"metadata.a": {"$gte": 9, "$lt": 5}}),
    ("a list", {"owner": {"$in": ["a", "b"]}}, {"owner": {"$in": ["c", "d"]}}),
    ("an element", {"metadata.a": {"$elemMatch": {"b": 1}}}, {"metadata.a": {"$elemMatch": {"b": 2}}}),
    ("an instant", {"created_at": {"$gte": INSTANTS[0]}}, {"created_at": {"$gte": INSTANTS[2]}}),
    ("a datetime", {"created_at": {"$lt": NOON}}, {"created_at": {"$lt": NOON + timedelta(1)}}),
    ("a datetime in metadata", {"metadata.at": NOON}, {"metadata.at": NOON + timedelta(1)}),
    (
        "alternatives",
        {"$or": [{"metadata.a": {"$ne": "x"}}, {"$nor": [{"number": 4}]}], "status": "failed"},
        {"$or": [{"metadata.a": {"$ne": ""}}, {"$nor": [{"number": 7}]}], "status": "failed"},
    ),
]


@pytest.mark.parametrize(("first", "other"), [case[1:] for case in SHAPES], ids=[case[0] for case in SHAPES])
def test_the_third_of_a_shape_is_bound(first: Any, other: Any) -> None:
    """The first filter leaves a trace, the second what serves the third."""
    with docstore.open("memory://") as store:
        shaped = []
        for filter in (first, other, {**first}):
            store._root.listings = Recent()
            made = store.documents._listing(filter, None, "-created_at", True, ())
            shaped.append(made.query.shaped is not None and made.query.shaped.where is made.query.where)
        assert shaped == [False, False, True]


REFUSED: list[tuple[str, Any]] = [
    ("the deciding bound", [{"metadata.a": {"$gt": 1}}, {"metadata.a": {"$gt": 2}}]),
    ("the same again", [{"metadata.a": 1}, {"metadata.a": 1}]),
    ("a double that is the whole number", [{"metadata.a": 1}, {"metadata.a": 1.0}]),
    ("beside a constant", [{"number": 1.0}, {"number": 1}]),
]


@pytest.mark.parametrize("terms", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_values_that_may_decide_go_the_ordinary_way(terms: Any) -> None:
    """Where the values may decide which terms are left, they are looked at."""
    with docstore.open("memory://") as store:
        for _ in range(3):
            store._root.listings = Recent()
            made = store.documents._listing({"$and": terms}, None, "number", False, ())
            assert made.query.shaped is None


@pytest.mark.parametrize("filter", [case[1] for case in SHAPES], ids=[case[0] for case in SHAPES])
def test_postgres_compiles_a_shape_once(postgres_url: str, filter: Any) -> None:
    """The condition of a shape has places for the values, whatever form they take in it."""
    with docstore.open(postgres_url) as store:
        for _ in range(4):
            store._root.listings = Recent()
            store.documents.find(filter)
        shapes = store._root.backend._reading.shapes  # type: ignore[attr-defined]
        assert [True] == [opened is not None for _, opened in shapes.values()]
        assert all(place[0] == id(shape) for place, (shape, _) in shapes.items())


def test_sqlite_works_out_a_shape_once(sqlite_url: str) -> None:
    """What the index is asked is kept for a shape and a scope, and is bounded."""
    with docstore.open(sqlite_url) as store:
        compiler = store._root.backend.compilers["documents"]  # type: ignore[attr-defined]
        for at in range(8):
            store.documents.find({"metadata.a": at, "created_at": {"$gte": NOON + timedelta(at)}})
        assert len(compiler.shapes) == 1
        for at in range(1_200):
            store.documents.find({f"metadata.k{at // 3}": at})
        assert len(compiler.shapes) <= 256
        assert all(place[0] == id(known.shape) for place, known in compiler.shapes.items())


def test_true_is_not_one() -> None:
    """A bool, a whole number and a double are three, in the values and in the shape."""
    with docstore.open("memory://") as store:
        store.documents.add_many(
            {"filename": name, "metadata": {"a": value}}
            for name, value in (("true", True), ("one", 1), ("text", "1"))
        )
        for wanted in (7, 8, 1, True, 1.0, "1", True, 1, 1.0, "1"):
            found = [each.filename for each in store.documents.find({"metadata.a": wanted}).items]
            names = {"bool": ["true"], "str": ["text"]}
            expected = names.get(type(wanted).__name__, ["one"] if wanted == 1 else [])
            assert expected == found


def test_a_complex_number_is_no_value() -> None:
    """What stands for values is an error where a caller gives it, before and after the shape is known."""
    with docstore.open("memory://") as store:
        for wanted in ("x", "y", TEXT, "z", TEXT):
            if wanted == TEXT:
                with pytest.raises(docstore.errors.FilterValueError):
                    store.documents.find({"metadata.a": wanted, "metadata.b": "x"})
            else:
                assert store.documents.find({"metadata.a": wanted, "metadata.b": "x"}).items == []


def test_a_shape_serves_every_scope() -> None:
    """Scope is no part of a shape, and never leaks from one call into another."""
    with docstore.open("memory://") as store:
        for tenant in ("a", "b", "c"):
            store.documents.add(filename=tenant, tenant=tenant, metadata={"n": 1})
        for tenant in ("a", "b", "c", "a"):
            view = store.scoped(tenant=tenant)
            names = [each.filename for each in view.documents.find({"metadata.n": {"$gte": 1}}).items]
            assert [tenant] == names
        made = [known for known in store._root.shapes._made.values() if isinstance(known, ShapedListings)]
        assert len(made) == 1


def test_what_is_kept_is_bounded() -> None:
    """So many shapes are kept and no more."""
    with docstore.open("memory://") as store:
        for at in range(600):
            store.documents.find({f"metadata.k{at % 300}": at})
        assert len(store._root.shapes._made) <= 256
        assert len(store._root.listings._made) <= 256

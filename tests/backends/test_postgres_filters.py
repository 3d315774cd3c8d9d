"""Postgres answers what the evaluator answers: every leaf by itself, whole filters, orders and positions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from docstore_postgres import PostgresBackend, open_backend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from docstore.backend import Query, SortKey, Support
from docstore.errors import FilterError
from docstore.limits import DEFAULT_LIMITS
from docstore.query.evaluator import compile as compiled
from docstore.query.expr import Compare, ElemMatch, Expr, In, Leaf, Match, Not, Regex, leaves
from docstore.query.fields import DOCUMENTS, Collection, Kind
from docstore.query.parser import parse
from docstore.query.planner import normalize
from docstore.query.sorting import parse_sort, position_of, sort_key_function
from docstore.testing.servers import PostgresServer
from docstore.testing.strategies import World, filters, sorts, worlds


class _Undo(Exception):
    """Ends a write block without keeping anything."""


@contextmanager
def scratch(backend: PostgresBackend) -> Iterator[Any]:
    """Open a write block of which nothing is kept."""
    with suppress(_Undo), backend.write() as writer:
        yield writer
        raise _Undo


@pytest.fixture(scope="module")
def backend(postgres_server: PostgresServer) -> Iterator[PostgresBackend]:
    """One store for the module; its tests keep nothing in it."""
    url = postgres_server.create_database()
    opened = open_backend(url)
    yield opened
    opened.close()
    postgres_server.drop_database(url)


def decoded(collection: Collection, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the evaluator reads it."""
    kinds = {name: collection.column(name).kind for name in row}
    return {
        name: json.loads(value) if kinds[name] is Kind.JSON and value is not None else value
        for name, value in row.items()
    }


class _Filled:
    """A write block that holds a world's records, and the records as the evaluator reads them."""

    def __init__(self, backend: PostgresBackend, writer: Any, world: World) -> None:
        self.backend, self.writer, self.collection = backend, writer, world.collection
        if world.documents:
            writer.insert(DOCUMENTS, [dict(row) for row in world.documents])
        numbers = writer.insert(world.collection, [dict(row) for row in world.rows])
        self.records = [
            {**decoded(world.collection, row), "number": number}
            for row, number in zip(world.rows, numbers, strict=True)
        ]

    def found(self, expr: Expr) -> list[int]:
        return [row["number"] for row in self.writer.select(Query(self.collection, where=expr))]

    def support(self, expr: Expr) -> Support:
        supports = {self.backend.support(self.collection, leaf).support for leaf in leaves(expr)}
        for support in (Support.UNSUPPORTED, Support.INEXACT):
            if support in supports:
                return support
        return Support.EXACT

    def check(self, expr: Expr) -> None:
        matching = compiled(expr)
        expected = [record["number"] for record in self.records if matching(record)]
        match self.support(expr):
            case Support.EXACT:
                assert expected == self.found(expr), expr
            case Support.INEXACT if isinstance(expr, Leaf):
                assert set(expected) <= set(self.found(expr)), expr


@settings(suppress_health_check=list(HealthCheck))
@given(st.data())
def test_filters_answer_what_the_evaluator_answers(backend: PostgresBackend, data: st.DataObject) -> None:
    """Exact leaves and filters of exact leaves return the same rows, inexact ones those and more."""
    world = data.draw(worlds())
    asked = []
    for drawn in data.draw(st.lists(filters(world), min_size=1, max_size=5)):
        try:
            asked.append(normalize(parse(drawn, world.collection, limits=DEFAULT_LIMITS)))
        except FilterError:
            continue
    with scratch(backend) as writer:
        filled = _Filled(backend, writer, world)
        for expr in asked:
            for leaf in leaves(expr):
                filled.check(leaf)
            filled.check(expr)


@settings(suppress_health_check=list(HealthCheck))
@given(st.data())
def test_orders_and_positions_are_the_cores(backend: PostgresBackend, data: st.DataObject) -> None:
    """Rows come in rule 20's order, and after a row's position come the rows behind it."""
    world = data.draw(worlds().filter(lambda world: world.rows))
    order = parse_sort(list(data.draw(sorts(world))), world.collection, DEFAULT_LIMITS)
    with scratch(backend) as writer:
        records = _Filled(backend, writer, world).records
        ordered = sorted(records, key=sort_key_function(order))
        expected = [record["number"] for record in ordered]
        assert expected == [row["number"] for row in writer.select(Query(world.collection, order=order))]
        at = data.draw(st.integers(0, len(records) - 1))
        behind = Query(world.collection, order=order, after=position_of(ordered[at], order))
        assert expected[at + 1 :] == [row["number"] for row in writer.select(behind)]


def row(place: int, metadata: dict[str, Any], **columns: Any) -> dict[str, Any]:
    """Return a document's row."""
    defaults = {field.name: None for field in (*DOCUMENTS.fields.values(), *DOCUMENTS.private.values())}
    plain = {
        "version": 1,
        "is_latest": True,
        "filename": "a.txt",
        "content_type": "text/plain",
        "file_type": "text",
    }
    stamps = dict.fromkeys(("created_at", "updated_at", "first_created_at"), place)
    made = {
        **defaults,
        **plain,
        **stamps,
        "id": f"id-{place}",
        "status": "pending",
        "attempts": 0,
        "revision": 1,
    }
    del made["number"]
    return {**made, "metadata": json.dumps(metadata, ensure_ascii=False), **columns}


VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 1.5, -1.5, 1e16, 10**16, 10**16 + 1, 2**53, 2**53 + 1, 2.0**53, 2**63 - 1,
    -(2**63),
    2.0**63, 2.0**64, 1.2345678901234567e18, 1234567890123456768, 1e300, 5e-324, 0.1, "", "a", "A", "ß",
    "SS", "ſ",
    "\uffff", "\U00010000", "a\nb", [], [[]], [1], [[1]], [1, [2]], [None], ["a", "ß"], {}, {"b": 1},
    {"b": None},
    {"b": [1]}, [{"b": 1}], [{"b": 1}, {"c": 1}], [[{"b": 1}]], [{"0": 7}], [[7]], [{"b": {"0": 7}}],
    {"0": 7},
    {"b": [{"0": 1}, 7]}, [1, {"b": 2}], {"é": 1, "zz": 2, "b": 3}, [{"b": 2**53 + 1}],
)  # fmt: skip
PATHS = ((), ("b",), ("0",), ("0", "b"), ("b", "0"), ("0", "0"), ("b", "0", "0"))


@pytest.mark.parametrize("steps", PATHS, ids=".".join)
def test_every_value_compares_with_every_other(backend: PostgresBackend, steps: tuple[str, ...]) -> None:
    """Types bracket, numbers are exact, arrays and objects order element by element, null is also missing."""
    world = World(
        DOCUMENTS, tuple(row(place, {"a": value}) for place, value in enumerate((*VALUES, VALUES[0])))
    )
    path = ("metadata", "a", *steps)
    with scratch(backend) as writer:
        filled = _Filled(backend, writer, world)
        for value in VALUES:
            for op in ("eq", "gt", "gte", "lt", "lte"):
                filled.check(Compare(path, op, value))
            filled.check(Not(In(path, (value, "a", 1))))
            filled.check(ElemMatch(path, Compare((), "gte", value), "values"))
            filled.check(ElemMatch(path, Not(Compare(("b",), "eq", value)), "records"))


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("steps", PATHS, ids=".".join)
def test_every_value_has_its_place(backend: PostgresBackend, steps: tuple[str, ...], largest: bool) -> None:
    """Rule 20 over every kind of value, in both directions, an array by its smallest or largest element."""
    world = World(DOCUMENTS, tuple(row(place, {"a": value}) for place, value in enumerate(VALUES)))
    order = (SortKey(("metadata", "a", *steps), largest, largest), SortKey(("number",)))
    with scratch(backend) as writer:
        records = sorted(_Filled(backend, writer, world).records, key=sort_key_function(order))
        found = [row["number"] for row in writer.select(Query(DOCUMENTS, order=order))]
        assert [record["number"] for record in records] == found


@pytest.mark.parametrize("field", ["metadata", "filename"])
def test_folding_is_the_cores(backend: PostgresBackend, field: str) -> None:
    """``$isubstring`` and ``$iglob`` compare NFKC(casefold(NFKC)), which Postgres itself does not know."""
    texts = (
        "STRASSE",
        "straße",
        "İstanbul",
        "ﬁle",
        "FILE",
        "K",
        "k",
        "ς",
        "Σ",
        "e\u0301",
        "É",
        "①",
        "plain",
        "ſ",
    )
    rows = tuple(row(place, {"a": [{"b": text}]}, filename=text) for place, text in enumerate(texts))
    path = ("metadata", "a", "b") if field == "metadata" else ("filename",)
    with scratch(backend) as writer:
        filled = _Filled(backend, writer, World(DOCUMENTS, rows))
        for text in texts:
            for leaf in (
                Match(path, "isubstring", text),
                Match(path, "iglob", f"*{text[-1]}"),
                Match(path, "iglob", f"[{text}]*"),
            ):
                assert filled.support(leaf) is Support.EXACT
                filled.check(leaf)


def test_what_is_not_exact_says_why(backend: PostgresBackend) -> None:
    """A leaf that Postgres cannot run exactly carries its reason; within an ElemMatch as well."""
    loose = Regex(("metadata", "a"), r"\pL", "")
    nested = ElemMatch(("metadata", "a"), Not(Regex((), "(?i)é", "")), "values")
    for leaf, support in ((loose, Support.UNSUPPORTED), (nested, Support.INEXACT)):
        support_there = backend.support(DOCUMENTS, leaf)
        assert support is support_there.support
        assert support_there.reason


def test_nothing_of_a_filter_is_in_the_statement(backend: PostgresBackend) -> None:
    """Keys and operands are bound, whichever way a leaf is compiled."""
    secret = "Zq7'\"%s)--"
    path = ("metadata", secret, "0", secret)
    conditions = (
        Compare(path, "eq", secret),
        Compare(path, "lt", [{secret: secret}]),
        Compare(path, "eq", None),
        In(path, (secret, [secret])),
        Match(path, "glob", f"[{secret}]*"),
        Regex(path, "Zq7", ""),
        ElemMatch(path, Compare((secret,), "eq", secret), "records"),
    )
    order = (SortKey(path), SortKey(("number",)))
    with backend.read() as reader:
        for where in conditions:
            query = Query(DOCUMENTS, where=where, order=order, after=(secret, 1))
            assert "Zq7" not in reader.explain(query).text
            assert [] == reader.select(query)

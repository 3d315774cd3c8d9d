"""Alternatives that are alike are asked together on Postgres, and mean what each of them means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import docstore
from docstore.backend import Query
from docstore.query import run
from docstore.query.evaluate import compile
from docstore.query.expr import And, Expr, Not, Or
from docstore.query.normalize import normalize
from docstore.query.plan import make_plan
from docstore.registry import open_backend
from docstore.testing.conformance.cases import wide_case
from docstore.testing.conformance.judged import read_also
from docstore.testing.conformance.oracle import fill
from docstore.testing.strategies import RandomChooser

MANY = range(80)
TOGETHER: dict[str, list[dict[str, Any]]] = {
    "sizes": [{"metadata.a": {"$size": n + 3}} for n in MANY],
    "remainders": [{"metadata.a": {"$mod": [n + 7, 5]}} for n in MANY],
    "members": [{"metadata.a": {"$contains": [n, "no"]}} for n in MANY],
    "any members": [{"metadata.a": {"$containsAny": [n, "no"]}} for n in MANY],
    "arrays": [{"metadata.a": [n]} for n in MANY],
}


@pytest.fixture(scope="module")
def url(postgres_server: Any) -> Iterator[str]:
    """An empty database."""
    made = postgres_server.create_database()
    yield made
    postgres_server.drop_database(made)


def _one_by_one(expr: Expr) -> Any:
    """Return the test of a record that puts every term to it by itself."""
    match expr:
        case And(terms) | Or(terms):
            tests, holds = list(map(_one_by_one, terms)), all if isinstance(expr, And) else any
            return lambda record: holds(test(record) for test in tests)
        case Not(term):
            test = _one_by_one(term)
            return lambda record: not test(record)
        case _:
            return compile(expr)


@pytest.mark.parametrize("seed", range(6))
def test_many_alternatives_match_what_each_matches(url: str, seed: int) -> None:
    """Generated ones, alike and mixed: Postgres and the evaluator say what the terms one by one do."""
    backend = open_backend(url)
    try:
        case = wide_case(RandomChooser(seed))
        oracle = fill(backend, case.world)
        for filter in case.filters:
            expr = oracle.parsed(filter)
            alone = _one_by_one(expr)
            expected = [record["id"] for record in oracle.records if alone(record)]
            plan = make_plan(backend, oracle.collection, normalize(expr), Query(oracle.collection).order)
            include = read_also(oracle.collection, plan.residual)
            query = Query(oracle.collection, where=plan.pushed, limit=1000, include=include)
            with backend.read() as reader:
                actual = [row["id"] for row in run.rows(reader, plan, query)]
            assert (expected, expected) == (oracle.ids(normalize(expr)), actual), filter
    finally:
        backend.close()


@pytest.mark.parametrize("kind", TOGETHER)
def test_alternatives_alike_read_their_path_once(url: str, kind: str) -> None:
    """Eighty of one kind on one path are one look at what is there, not eighty."""
    with docstore.open(url) as store:
        plan = store.documents.explain({"$or": TOGETHER[kind]})
        texts = [value for value in plan.parameters if isinstance(value, str)]
        assert 1 <= sum('"a"' in text for text in texts) <= 3
        assert plan.is_pushed


def test_alternatives_on_many_paths_are_asked_where_one_of_them_is(url: str) -> None:
    """Documents with none of the keys are passed over by one look at their keys."""
    with docstore.open(url) as store:
        filter = {"$or": [{f"metadata.p{n}": {"$elemMatch": {"$gt": n}}} for n in MANY]}
        plan = store.documents.explain(filter)
        assert "jsonb_object_keys" in (plan.statement or "")
        assert plan.is_pushed

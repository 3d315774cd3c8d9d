"""explain: what it says on each backend, and how it reads in a terminal."""

from __future__ import annotations

from typing import Any

import pytest

import docstore
from docstore.query.explain import show_expr
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.query.parser import parse
from docstore.query.planner import normalize

FILTER = {
    "$and": [{"metadata.category": "finance"}, {"$or": [{"metadata.n": {"$gt": 5}}, {"status": "failed"}]}],
    "metadata.name": {"$regex": r"^Re(port)?\b.*q[1-4]$", "$options": "i"},
    "filename": {"$iglob": "*.PDF"},
    "created_at": {"$gte": "2026-01-01T00:00:00Z"},
}
ASK: dict[str, Any] = {
    "filter": FILTER,
    "search": '"annual report" -draft',
    "sort": ["metadata.n", "-created_at"],
}


@pytest.fixture
def filled(store: docstore.Store) -> docstore.Store:
    """A few documents on every backend."""
    store.documents.add_many([
        {"filename": f"{n}.pdf", "metadata": {"category": "finance", "n": n, "name": f"Report q{n}"}}
        for n in range(20)
    ])  # fmt: skip
    return store


def test_every_predicate_has_its_line(filled: docstore.Store) -> None:
    """Per predicate exact, inexact or residual; where it is not exact, why."""
    plan = filled.documents.explain(**ASK)
    shown = [show_expr(term.expr) for term in plan.terms]
    expected = [
        'metadata.category = "finance"', "metadata.n > 5", 'status = "failed"',
        r"metadata.name matches /^Re(port)?\b.*q[1-4]$/i", 'filename is (case aside) like "*.PDF"',
        "created_at >= 2026-01-01T00:00:00.000000Z", '"annual report" occurs in filename or content',
        '"draft" occurs in filename or content', "is_latest = true",
    ]  # fmt: skip
    assert expected == shown
    for term in plan.terms:
        assert term.reason or term.support.value == "exact"
    assert plan.is_pushed is all(term.support.value == "exact" for term in plan.terms)


def test_the_statement_and_the_databases_plan(filled: docstore.Store) -> None:
    """Where there is a database it shows its statement, the values bound in it, and its own plan."""
    plan = filled.documents.explain(**ASK, limit=10, offset=3, total=True)
    assert plan.statement
    if plan.backend != "memory":
        assert plan.statement.startswith("SELECT ")
        assert plan.database_plan
        marks = plan.statement.count("%s" if plan.backend == "postgresql" else "?")
        assert marks == len(plan.parameters)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_plan_reads_well_in_a_terminal(
    filled: docstore.Store, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is wider than the terminal, no line has a control character, every block has its heading."""
    monkeypatch.setenv("COLUMNS", str(columns))
    plan = filled.documents.explain(**ASK)
    lines = str(plan).splitlines()
    assert f"documents on {plan.backend}: all of it by the backend" == lines[0]
    assert columns >= max(map(len, lines))
    assert columns - 20 < max(map(len, lines))
    for heading in (
        "filter    metadata.category",
        "order     metadata.n, created_at descending, number",
        "window    ",
    ):
        assert [line for line in lines if line.startswith(heading)], heading
    assert {"predicates", "statement"} <= set(lines)
    assert plan.backend == "memory" or {"parameters", "database's plan"} <= set(lines)
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines if line.startswith("  exact     created_at >= 2026-01-01T")]
    assert not [line for line in lines if line != line.rstrip()]


def test_a_long_plan_stays_readable(filled: docstore.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter of 500 predicates and values of 60 KiB is shown, each value cut, in lines that fit."""
    monkeypatch.setenv("COLUMNS", "80")
    filter = {"$or": [{"metadata.name": {"$in": ["x" * 60_000 + str(n), n]}} for n in range(60)]}
    text = str(filled.documents.explain(filter))
    assert "…" in text
    assert 80 >= max(map(len, text.splitlines()))
    assert len(text) < 100_000


def test_explain_takes_what_find_takes(filled: docstore.Store) -> None:
    """Every argument of find, a cursor included; errors are the same, and nothing is run."""
    cursor = filled.documents.find(limit=1).next_cursor
    for ask in (
        {"cursor": cursor},
        {"cursor": cursor, "direction": "prev"},
        {"page": 3, "limit": 2},
        {"limit": 0},
    ):
        assert filled.documents.explain(**ask, include={"content"}).is_pushed  # type: ignore[arg-type]
    assert filled.extractions.explain({"results.total": 5}, sort="-results.total").collection == "extractions"
    with pytest.raises(docstore.UnknownField):
        filled.documents.explain({"nothing": 1})
    with pytest.raises(docstore.InvalidCursor):
        filled.documents.explain(sort="size", cursor=cursor)


def test_what_is_changed_in_bulk_is_explained_without_latest_only(filled: docstore.Store) -> None:
    """``explain(filter, latest_only=False)`` shows how update_many and delete_many find what they change."""
    plan = filled.documents.explain({"metadata.n": 3}, latest_only=False, sort="number")
    assert ["metadata.n = 3"] == [show_expr(term.expr) for term in plan.terms]
    assert 1 == filled.documents.update_many({"metadata.n": 3}, preview="x")


SHOWN: dict[str, dict[str, Any]] = {
    "true": {},
    "false": {"metadata.a": {"$in": []}},
    "metadata.a = null": {"metadata.a": None},
    "not metadata.a = 1": {"metadata.a": {"$ne": 1}},
    'metadata.a in [1, "x", null]': {"metadata.a": {"$in": [1, "x", None]}},
    "metadata.a in [1, 2, 3, 4, 5, … 7 in all]": {"metadata.a": {"$in": [1, 2, 3, 4, 5, 6, 7]}},
    "metadata.a exists": {"metadata.a": {"$exists": True}},
    "metadata.a is bool or string": {"metadata.a": {"$type": ["string", "bool"]}},
    "metadata.a has size 2": {"metadata.a": {"$size": 2}},
    "metadata.a mod 4 = 1": {"metadata.a": {"$mod": [4, 1]}},
    "metadata.a contains all of [1]": {"metadata.a": {"$contains": 1}},
    "metadata.a contains any of [1, 2]": {"metadata.a": {"$containsAny": [1, 2]}},
    'metadata.a has the substring "x"': {"metadata.a": {"$substring": "x"}},
    'metadata.a has (case aside) the substring "x"': {"metadata.a": {"$isubstring": "x"}},
    'metadata.a starts with "x"': {"metadata.a": {"$startsWith": "x"}},
    'metadata.a is like "x*"': {"metadata.a": {"$glob": "x*"}},
    "metadata.a has an element with (it > 1 and it < 5)": {
        "metadata.a": {"$elemMatch": {"$gt": 1, "$lt": 5}}
    },
    'metadata.a has an element with (b = "\\n" or b = {})': {
        "metadata.a": {"$elemMatch": {"$or": [{"b": "\n"}, {"b": {}}]}}
    },
    r"metadata.a\.b = 1 and (status = " + '"failed" or size <= 5)': {
        r"metadata.a\.b": 1, "$or": [{"status": "failed"}, {"size": {"$lte": 5}}]
    },
    "created_at in [1970-01-01T00:00:00.000000Z, 1970-01-02T00:00:00.000000Z]": {
        "created_at": {"$in": ["1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"]}
    },
}  # fmt: skip


@pytest.mark.parametrize("text", SHOWN)
def test_a_predicate_is_shown_in_words(text: str) -> None:
    """Every kind of predicate has a short line of its own, as users write paths and values."""
    assert text == show_expr(normalize(parse(SHOWN[text], DOCUMENTS)))


def test_instants_of_extractions_are_shown_as_times() -> None:
    """An instant is microseconds inside, and a time in a plan."""
    expr = normalize(parse({"reviewed_at": "2026-05-01T00:00:00+02:00"}, EXTRACTIONS))
    assert "reviewed_at = 2026-04-30T22:00:00.000000Z" == show_expr(expr)

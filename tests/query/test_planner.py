"""plan: what is pushed, what is left, and what becomes of each predicate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from docstore_memory import open_backend

import docstore
from docstore.backend import EXACT, SortKey, Support, TermSupport
from docstore.errors import NotPushed
from docstore.query.expr import FALSE, TRUE, And, Compare, Expr, Leaf, Match, Not, Or, leaves
from docstore.query.fields import DOCUMENTS, Collection
from docstore.query.planner import Plan, make_plan, normalize
from docstore.query.sorting import parse_sort

ORDER = (SortKey(("number",)),)


def leaf(name: str) -> Compare:
    return Compare(("metadata", name), "eq", 1)


E1, E2, I1, I2, U1, U2 = map(leaf, ("e1", "e2", "i1", "i2", "u1", "u2"))
SUPPORTS = {
    "e": EXACT,
    "i": TermSupport(Support.INEXACT, "a guess"),
    "u": TermSupport(Support.UNSUPPORTED, "no way"),
}


class Half:
    """A backend that is exact, inexact or of no use by the first letter of a metadata key."""

    name = "half"

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        path = getattr(leaf, "path", ())
        if getattr(leaf, "kind", None) == "glob":
            return SUPPORTS["i"]
        return SUPPORTS[path[1][0]] if len(path) > 1 else EXACT

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        return SUPPORTS[key.path[1][0]] if len(key.path) > 1 else EXACT


def planned(expr: Expr, order: tuple[SortKey, ...] = ORDER) -> Plan:
    half: Any = Half()
    return make_plan(half, DOCUMENTS, normalize(expr), order)


EXACT_TEXT = Match(("metadata", "e"), "substring", "x")
LOOSE_TEXT = Match(("metadata", "e"), "glob", "y")
NEITHER = Not(Or((EXACT_TEXT, LOOSE_TEXT)))
MIXED, BOTH = Or((E1, And((I1, U1)))), Or((I1, I2))
SPLITS: dict[str, tuple[Expr, Expr, Expr]] = {
    "all exact": (And((E1, E2)), And((E1, E2)), TRUE),
    "nothing": (TRUE, TRUE, TRUE),
    "never": (FALSE, FALSE, TRUE),
    "inexact is pushed and rechecked": (And((E1, I1)), And((E1, I1)), I1),
    "unsupported is left": (And((E1, U1)), E1, U1),
    "an alternative that cannot be run spoils all": (Or((E1, U1)), TRUE, Or((E1, U1))),
    "alternatives that all narrow are pushed": (MIXED, Or((E1, I1)), MIXED),
    "an exact negative is pushed": (Not(E1), Not(E1), TRUE),
    "an inexact negative is not": (Not(I1), TRUE, Not(I1)),
    "of a mixture what is exact": (And((E2, Not(Or((E1, U1))))), And((E2, Not(E1))), Not(U1)),
    "of neither this nor that what is exact": (NEITHER, Not(EXACT_TEXT), Not(LOOSE_TEXT)),
    "each conjunct by itself": (And((E1, BOTH, Not(U2))), And((E1, BOTH)), And((BOTH, Not(U2)))),
}  # fmt: skip


@pytest.mark.parametrize(("expr", "pushed", "residual"), SPLITS.values(), ids=SPLITS)
def test_what_is_pushed_and_what_is_left(expr: Expr, pushed: Expr, residual: Expr) -> None:
    """Pushed is the strongest superset of exact and inexact leaves; residual the conjuncts not all exact."""
    plan = planned(expr)
    assert (pushed, residual) == (plan.pushed, plan.residual)
    assert (residual == TRUE) is plan.is_pushed is plan.window_pushed


BECOMES: dict[str, tuple[Expr, list[str]]] = {
    "each by itself": (And((E1, I1, U1)), ["exact", "inexact: a guess", "unsupported: no way"]),
    "exact beside an alternative of no use": (
        Or((E1, U1)),
        ["unsupported: of no use without what stands beside it", "unsupported: no way"],
    ),
    "exact within a rechecked alternative": (
        Or((E1, I1)),
        ["inexact: exact, but checked again with what stands beside it", "inexact: a guess"],
    ),
    "inexact under a negation": (Not(I1), ["unsupported: of no use without what stands beside it"]),
    "in one place exact, in another not": (
        And((E1, Or((And((E1, E2)), U1)))),
        ["exact", *["unsupported: of no use without what stands beside it"] * 2, "unsupported: no way"],
    ),
}


@pytest.mark.parametrize(("expr", "expected"), BECOMES.values(), ids=BECOMES)
def test_what_becomes_of_each_predicate(expr: Expr, expected: list[str]) -> None:
    """A predicate is exact only where nothing of it is looked at again, and the reason says why it is not."""
    plan = planned(expr)
    found = [term.support.value + (f": {term.reason}" if term.reason else "") for term in plan.terms]
    assert expected == found
    assert list(leaves(normalize(expr))) == [term.expr for term in plan.terms]


def test_a_sort_that_is_not_the_backends() -> None:
    """An order with a key that the backend cannot run is sorted here, and window and count are not pushed."""
    plan = planned(E1, parse_sort(["-metadata.u1", "filename"], DOCUMENTS, docstore.Limits()))
    assert (True, False, False) == (plan.is_pushed, plan.sort_pushed, plan.window_pushed)
    assert ("sort by metadata.u1: no way",) == plan.sort_reasons


class Limited:
    """The memory backend, that pretends to be able to do nothing with metadata."""

    def __init__(self, support: Support) -> None:
        self.inner = open_backend("memory://")
        self.level = support

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        of_metadata = getattr(leaf, "path", ("",))[0] == "metadata"
        return TermSupport(self.level, "for this test") if of_metadata else EXACT

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        return TermSupport(Support.UNSUPPORTED, "for this test") if key.path[0] == "metadata" else EXACT


ROWS: list[dict[str, Any]] = [
    {"filename": f"{n % 3}", "metadata": {"n": n % 7}, "created_at": "2026-01-01T00:00:00Z"}
    for n in range(700)
]


@pytest.fixture(params=[Support.INEXACT, Support.UNSUPPORTED], ids=lambda support: support.value)
def limited(request: pytest.FixtureRequest) -> docstore.Store:
    """A store on such a backend, with documents in it."""
    store = docstore.open(Limited(request.param))
    store.documents.add_many(ROWS)
    return store


def test_strict_refuses_a_residual(limited: docstore.Store) -> None:
    """``strict=True`` raises NotPushed and names each predicate in users' words and why; without, it runs."""
    filter = {"metadata.n": {"$gt": 3}, "filename": "1"}
    with pytest.raises(NotPushed) as refused:
        limited.documents.find(filter, strict=True)
    assert ("metadata.n > 3: for this test",) == refused.value.reasons
    assert "metadata.n > 3: for this test" in str(refused.value)
    assert "strict" in str(refused.value)
    assert 100 == limited.documents.find(filter, total=True).total
    assert 50 == len(limited.documents.find({"filename": "1"}, strict=True))


def test_strict_refuses_a_sort_of_all_rows(limited: docstore.Store) -> None:
    """A sort that is done here reads every row as a residual does."""
    with pytest.raises(NotPushed, match=r"sort by metadata\.n: for this test"):
        limited.documents.find(sort="metadata.n", strict=True)


def test_explain_never_raises_not_pushed(limited: docstore.Store) -> None:
    """explain says what find would refuse."""
    plan = limited.documents.explain({"metadata.n": 1}, strict=True, sort="metadata.n")
    assert not plan.is_pushed
    text = str(plan)
    assert "partly here, row by row" in text
    assert "residual  metadata.n = 1" in text
    assert "here: sort by metadata.n: for this test" in text
    assert "— for this test" in text


PAGES: dict[str, Callable[[docstore.Store], Any]] = {
    "window": lambda store: store.documents.find({"metadata.n": 3}, limit=7, offset=80, total=True),
    "capped": lambda store: store.documents.find({"metadata.n": 3}, limit=0, total=20),
    "sorted": lambda store: store.documents.find(
        {"metadata.n": {"$ne": 3}}, sort=["-metadata.n", "filename"], offset=5
    ),
    "all": lambda store: list(store.documents.iterate({"metadata.n": 3}, sort="-metadata.n", batch_size=9)),
    "back": lambda store: store.documents.find(
        {"metadata.n": 3}, limit=5, direction="prev",
        cursor=store.documents.find({"metadata.n": 3}, limit=5, offset=40).next_cursor,
    ),
    "count": lambda store: store.documents.count({"metadata.n": {"$in": [1, 2]}}, at_most=150),
    "count_by": lambda store: store.documents.count_by("filename", {"metadata.n": 3}),
    "exists": lambda store: [store.documents.exists({"metadata.n": n}) for n in (6, 7)] == [True, False],
    "update_many": lambda store: store.documents.update_many({"metadata.n": 5}, preview="x"),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_a_residual_answers_as_if_all_were_pushed(limited: docstore.Store, name: str) -> None:
    """Capabilities change the plan, never the answer: window, count and cursors come after the residual."""

    def simple(answer: Any) -> Any:
        if isinstance(answer, docstore.Page | list):
            total = getattr(answer, "total", None), getattr(answer, "has_more", None)
            return [one.number for one in answer], total
        return answer

    with docstore.open("memory://") as store:
        store.documents.add_many(ROWS)
        assert simple(PAGES[name](store)) == simple(PAGES[name](limited))

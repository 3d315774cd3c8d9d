"""``evaluate`` on records: search terms, missing fields, and what ``matches_filter`` takes."""

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.errors import FilterError, InvalidDocument
from docstore.limits import Limits
from docstore.query.evaluator import compile, matches, matches_filter
from docstore.query.expr import And, Compare, Exists, Expr, In, Match, Mod, Not, Occurs, Or
from docstore.query.paths import seen


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (Occurs("port", ("port",), True), True),
        (Occurs("REPORT", ("REPORT",), True), False),
        (Occurs("quick brown", ("quick", "brown"), True), True),
        (Occurs("quick bro", ("quick", "bro"), True), True),
        (Occurs("quick bro", ("quick", "bro"), False), False),
        (Occurs("quick fox", ("quick", "fox"), True), False),
        (Occurs("uick", ("uick",), True), False),
        (Occurs("!?", (), True), True),
        (Occurs("quick", ("quick",), True, content=False), False),
    ],
)
def test_search_terms(term: Occurs, expected: bool) -> None:
    """Rule 22: a substring of the folded filename, or side by side among the content's words."""
    record = {"filename": "Report.PDF", "content": "The Quick brown FOX!?"}
    assert expected == matches(term, record)
    assert expected is not matches(Not(term), record)


def test_search_without_content() -> None:
    """Rule 22: a record without content has its filename."""
    assert matches(Occurs("a", ("a",), True), {"filename": "a", "content": None})
    assert not matches(Occurs("b", ("b",), True), {"filename": "a"})


def test_none_is_missing_on_records_alone() -> None:
    """Record fields: ``None`` counts as missing; on a plain mapping it is null."""
    assert not matches(Exists(("results",)), {"results": None})
    assert matches(Exists(("results",)), {"results": None}, free=True)
    assert matches(Compare(("results", "a"), "eq", None), {"results": None})
    assert not matches_filter({"a": {"$exists": False}}, {"a": None})
    assert matches_filter({"a": {"$type": "null"}}, {"a": None})


def test_a_compiled_filter_is_reusable() -> None:
    """One compilation serves any number of records."""
    run = compile(And((Compare(("n",), "gt", 1), Compare(("n",), "lt", 4))))
    assert [2, 3] == [n for n in range(6) if run({"n": n})]


def test_dates_in_plain_mappings() -> None:
    """Rule 4: datetimes on both sides are RFC 3339 texts, so they order as strings."""
    document = {"at": datetime(2026, 1, 2, tzinfo=UTC)}
    assert matches_filter({"at": {"$gt": datetime(2026, 1, 1, tzinfo=UTC)}}, document)
    assert matches_filter({"at": "2026-01-02T00:00:00.000000Z"}, document)
    naive = datetime(2026, 1, 2)  # noqa: DTZ001 - naive on purpose
    with pytest.raises(InvalidDocument):
        matches_filter({}, {"at": naive})
    assert matches_filter({"at": naive}, {"at": naive}, default_timezone=UTC)


@pytest.mark.parametrize("document", [1, None, [], "x", {1: 2}, {"a": {"b": float("nan")}}, {"a": 2**63}])
def test_documents_that_are_none(document: Any) -> None:
    """Rule 2: what cannot be stored cannot be matched either."""
    with pytest.raises(InvalidDocument):
        matches_filter({"a": 1}, document)


def test_invalid_documents_name_the_place() -> None:
    """Errors: a document's error says where."""
    with pytest.raises(InvalidDocument, match="a/b/1") as wrong:
        matches_filter({}, {"a": {"b": [1, float("inf")]}})
    assert wrong.value.field == "a/b/1"


def test_limits_reach_matches() -> None:
    """Bounds: settable here too."""
    with pytest.raises(FilterError):
        matches_filter({"a": 1, "b": 1}, {}, limits=Limits(predicates=1))


def test_errors_are_picklable() -> None:
    """API: errors survive pickle with their attributes."""
    with pytest.raises(FilterError) as wrong:
        matches_filter({"a": {"$gte2": 1}}, {})
    back = pickle.loads(pickle.dumps(wrong.value))
    assert (wrong.value.path, str(wrong.value), "$gte") == (back.path, str(back), back.suggestion)


def test_seen_tells_arrays() -> None:
    """Rule 8: the arrays alone, for ``$size`` and its like."""
    found = seen({"a": [{"b": [1]}, {"b": 2}, {"c": 3}]}, ("a", "b"))
    assert [[1]] == found.arrays
    assert [1, [1], 2] == found.values
    assert found.missing


STEPS = st.sampled_from(["0", "1", "2", "01", "b", "c"])
LEAVES = st.recursive(
    st.sampled_from([None, 0, 1, 2, "x", True]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["0", "1", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=8,
)
ASKED = st.tuples(st.lists(STEPS, max_size=3), st.sampled_from(["eq", "gt", "null", "exists", "mod", "in"]))


def asked(steps: list[str], kind: str) -> Expr:
    path = ("m", *steps)
    leaves: dict[str, Expr] = {
        "eq": Compare(path, "eq", 1),
        "gt": Compare(path, "gt", 0),
        "null": Compare(path, "eq", None),
        "exists": Exists(path),
        "mod": Mod(path, 2, 0),
        "in": In(path, (2, "x")),
    }
    return leaves[kind]


@given(LEAVES, st.lists(ASKED, min_size=8, max_size=24), st.booleans(), st.booleans())
def test_many_alternatives_are_any_of_them(value: Any, asks: list[Any], plain: bool, positive: bool) -> None:
    """However many steps by index there are, an Or holds where a term does; so many denials hold where none
    does.
    """
    terms = [asked(*ask) for ask in asks]
    if positive:  # nothing that is missing matches: it is the array that tells
        terms = [term for term in terms if not matches(term, {"m": None}, free=plain)] or [terms[0]]
    record = {"m": value}
    expected = any(matches(term, record, free=plain) for term in terms)
    assert expected == matches(Or(tuple(terms)), record, free=plain)
    assert expected is not matches(And(tuple(map(Not, terms))), record, free=plain)


@given(
    st.text("aBbÄß*x ", max_size=6),
    st.lists(
        st.tuples(
            st.sampled_from(["substring", "isubstring", "starts_with", "glob", "iglob"]),
            st.text("aBbÄß*?[]x\\", min_size=1, max_size=4),
        ),
        min_size=8,
        max_size=30,
    ),
)
def test_many_texts_are_any_of_them(value: str, asks: list[Any]) -> None:
    """Many tests of one path's texts hold where one does."""
    terms = [Match(("m",), kind, text) for kind, text in asks]
    expected = any(matches(term, {"m": value}) for term in terms)
    assert expected == matches(Or(tuple(terms)), {"m": value})

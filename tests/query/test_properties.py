"""Laws of the language, on generated documents and filters."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from docstore.query.evaluator import compile, matches_filter
from docstore.query.parser import parse
from docstore.query.paths import parse_path, path_text, seen
from docstore.query.planner import normalize
from docstore.query.scoping import under
from docstore.query.values import compare, equal, identity

KEYS = st.sampled_from(["a", "b", "0", "1", "", "a.b", "x$"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, 2, -1, 1.0, 0.5, -0.0, 2**53, 2**53 + 1, float(2**53), 1e300, 2**63 - 1]),
    st.sampled_from(["", "a", "A", "ab", "é", "e\u0301", "ß", "\U00010000"]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["a", "b"]), VALUES, max_size=2)
PATHS = st.lists(KEYS, max_size=3).map(lambda steps: path_text(("a", *steps)))
LISTS = st.lists(VALUES, max_size=3)

LEAVES = st.one_of(
    st.builds(
        lambda word, value: {word: value},
        st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]),
        VALUES,
    ),
    st.builds(
        lambda word, values: {word: values},
        st.sampled_from(["$in", "$nin", "$all", "$contains", "$containsAny"]),
        LISTS,
    ),
    st.builds(lambda value: {"$exists": value}, st.booleans()),
    st.builds(
        lambda names: {"$type": names},
        st.lists(
            st.sampled_from(["null", "bool", "number", "string", "array", "object", "int", "long", "double"]),
            min_size=1,
        ),
    ),
    st.builds(lambda size: {"$size": size}, st.integers(0, 3)),
    st.builds(lambda d, r: {"$mod": [d, r]}, st.sampled_from([1, 2, -3, 2.5]), st.integers(-2, 2)),
    st.builds(lambda pattern: {"$regex": pattern}, st.sampled_from(["a", "^A", "", "b$", "."])),
    st.builds(
        lambda word, text: {word: text},
        st.sampled_from(["$substring", "$isubstring", "$startsWith", "$glob", "$iglob"]),
        st.sampled_from(["", "a", "A*", "?", "[a-b]", "ß"]),
    ),
)


def _conditions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda condition: {"$not": condition}, inner),
        st.builds(lambda condition: {"$elemMatch": condition}, inner),
        st.builds(lambda path, condition: {"$elemMatch": {path[2:]: condition}}, PATHS, inner),
        st.builds(lambda left, right: {**left, **right}, inner, inner),
    )


CONDITIONS = st.recursive(LEAVES, _conditions, max_leaves=4)
FIELDS = st.builds(lambda path, condition: {path: condition}, PATHS, CONDITIONS | VALUES)
FILTERS: st.SearchStrategy[Any] = st.recursive(
    FIELDS,
    lambda inner: st.builds(
        lambda word, terms: {word: terms},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=4,
)


@given(DOCUMENTS, PATHS, VALUES)
def test_ne_is_the_complement_of_eq(document: Any, path: str, value: Any) -> None:
    """Rule 11: ``$ne`` is not ``$eq``."""
    expected = not matches_filter({path: {"$eq": value}}, document)
    assert expected == matches_filter({path: {"$ne": value}}, document)


@given(DOCUMENTS, PATHS, VALUES)
def test_eq_is_equality_with_what_is_seen(document: Any, path: str, value: Any) -> None:
    """Rules 8, 9, 11: equal to a value seen, null to missing too; the short ways agree with the walk."""
    found = seen(document, parse_path(path))
    expected = any(equal(value, one) for one in found.values) or (value is None and found.missing)
    assert expected == matches_filter({path: {"$eq": value}}, document)
    assert expected == matches_filter({path: {"$in": [["no"], value, "never"]}}, document) or "$x" in str(
        value
    )


@given(DOCUMENTS, PATHS, LISTS)
def test_in_is_an_or_of_eq(document: Any, path: str, values: list[Any]) -> None:
    """Rule 13: ``$in`` is an ``$or`` of ``$eq``."""
    expected = any(matches_filter({path: {"$eq": value}}, document) for value in values)
    assert expected == matches_filter({path: {"$in": values}}, document)


@given(DOCUMENTS, PATHS, LISTS)
def test_all_is_an_and_of_eq(document: Any, path: str, values: list[Any]) -> None:
    """Rule 16: ``$all`` is an ``$and`` of ``$eq``, and nothing of nothing."""
    expected = bool(values) and all(matches_filter({path: {"$eq": value}}, document) for value in values)
    assert expected == matches_filter({path: {"$all": values}}, document)


@given(DOCUMENTS, PATHS, VALUES)
def test_gte_is_gt_or_eq(document: Any, path: str, value: Any) -> None:
    """Rules 11, 12: ``$gte`` is ``$gt`` or ``$eq``, ``$lte`` likewise."""
    for word in ("$gt", "$lt"):
        expected = any(matches_filter({path: {either: value}}, document) for either in (word, "$eq"))
        assert expected == matches_filter({path: {word + "e": value}}, document)


@given(DOCUMENTS, FILTERS, FILTERS)
def test_de_morgan(document: Any, left: Any, right: Any) -> None:
    """Rules 11, 19: logic is Boolean, whatever is missing."""
    both = matches_filter({"$and": [left, right]}, document)
    assert both == matches_filter({"$nor": [{"$nor": [left]}, {"$nor": [right]}]}, document)
    either = matches_filter({"$or": [left, right]}, document)
    assert either is not matches_filter({"$nor": [left, right]}, document)
    assert both == (matches_filter(left, document) and matches_filter(right, document))
    assert either == (matches_filter(left, document) or matches_filter(right, document))


@given(DOCUMENTS, PATHS, CONDITIONS)
def test_not_is_nor(document: Any, path: str, condition: Any) -> None:
    """Rule 11: ``$not`` is the complement over the whole document."""
    expected = not matches_filter({path: condition}, document)
    assert expected == matches_filter({path: {"$not": condition}}, document)
    assert expected == matches_filter({"$nor": [{path: condition}]}, document)


@given(DOCUMENTS, FILTERS)
def test_normalize_changes_nothing(document: Any, filter: Any) -> None:
    """ARCHITECTURE: ``normalize`` never changes what matches, and is done after once."""
    raw = parse(filter, None)
    tidy = normalize(raw)
    assert compile(raw, free=True)(document) == compile(tidy, free=True)(document)
    assert repr(tidy) == repr(normalize(tidy))


@given(st.lists(DOCUMENTS, max_size=4), DOCUMENTS, FILTERS)
def test_documents_match_each_for_itself(others: list[Any], document: Any, filter: Any) -> None:
    """Adding documents never changes whether another matches: a compiled filter keeps nothing."""
    run = compile(normalize(parse(filter, None)), free=True)
    alone = run(document)
    for other in others:
        run(other)
    assert alone == run(document)


@given(DOCUMENTS, FILTERS)
def test_under_moves_the_meaning(document: Any, filter: Any) -> None:
    """API: below a field a filter says of the field's object what it said of the document."""
    given_there = matches_filter(under("m", filter), {"m": document, "a": 1, "b": [{}]})
    assert given_there == matches_filter(filter, document)


@given(DOCUMENTS, FILTERS)
def test_records_and_plain_mappings_differ_in_null_alone(document: Any, filter: Any) -> None:
    """Record fields: ``None`` counts as missing; nothing else is different."""
    expr = parse(filter, None)
    bare = {name: value for name, value in document.items() if value is not None}
    assert compile(expr)(document) == compile(expr, free=True)(bare)


@given(VALUES, VALUES, VALUES)
def test_compare_is_an_order(a: Any, b: Any, c: Any) -> None:
    """Rules 12, 20: total, antisymmetric, transitive, and 0 exactly for equals."""
    assert (compare(a, b) > 0) == (compare(b, a) < 0)
    assert (compare(a, b) == 0) == equal(a, b) == (identity(a) == identity(b))
    if compare(a, b) <= 0 and compare(b, c) <= 0:
        assert compare(a, c) <= 0

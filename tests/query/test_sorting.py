"""Orders: rules 20 and 21, and that bytes order as values do."""

import functools
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.backend import EMPTY_ARRAY, SortKey
from docstore.errors import InvalidSort
from docstore.limits import Limits
from docstore.query import values
from docstore.query.fields import DOCUMENTS
from docstore.query.sorting import (
    after_function,
    order_bytes,
    parse_sort,
    position_of,
    position_value,
    reverse_order,
    sort_key_function,
    sort_value,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
EDGES = [
    0,
    1,
    -1,
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    2**63 - 1,
    -(2**63),
    2**62 + 1,
    2.0**63,
    -(2.0**63),
    1e300,
    5e-324,
]
numbers = (
    INT64
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(EDGES)
    | st.integers(-3, 3).map(lambda n: 2**62 + n)
    | st.integers(-3, 3).map(lambda n: float(2**62 + 1024 * n))
)
texts = st.text("ab\x00\x01\x7f\xff\uffff\U00010000é", max_size=3) | st.text(max_size=4)
scalars = st.none() | st.booleans() | numbers | texts
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
sort_values = json_values | st.just(EMPTY_ARRAY)


def rank(value: Any) -> int:
    kinds = [type(EMPTY_ARRAY), type(None), (int, float), str, dict, list, bool]
    if isinstance(value, bool):
        return 6
    return next(at for at, kind in enumerate(kinds) if isinstance(value, kind))


def by_hand(a: Any, b: Any) -> int:
    """Compare by the words of rules 12 and 20."""
    if rank(a) != rank(b):
        return rank(a) - rank(b)
    if rank(a) in (0, 1):
        return 0
    if rank(a) == 2:
        exact_a, exact_b = Fraction(a), Fraction(b)
        return (exact_a > exact_b) - (exact_a < exact_b)
    if rank(a) == 3:
        code_a, code_b = list(map(ord, a)), list(map(ord, b))
        return (code_a > code_b) - (code_a < code_b)
    if rank(a) == 6:
        return int(a) - int(b)
    if rank(a) == 5:
        steps = (by_hand(left, right) for left, right in zip(a, b, strict=False))
    else:
        pairs = zip(sorted(a.items(), key=first_code), sorted(b.items(), key=first_code), strict=False)
        steps = (by_hand_pairs(left, right) for left, right in pairs)
    return next((step for step in steps if step), len(a) - len(b))


def first_code(pair: tuple[str, Any]) -> list[int]:
    return list(map(ord, pair[0]))


def by_hand_pairs(a: tuple[str, Any], b: tuple[str, Any]) -> int:
    return rank(a[1]) - rank(b[1]) or by_hand(a[0], b[0]) or by_hand(a[1], b[1])


def compare(one: Any, other: Any) -> int:
    """Return -1, 0 or 1 as ``one`` comes before, with or behind ``other``."""
    left, right = order_bytes(one), order_bytes(other)
    return (left > right) - (left < right)


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


@given(sort_values, sort_values)
def test_bytes_order_as_values_do(a: Any, b: Any) -> None:
    """Rules 12 and 20: the bytes of two values compare as the values do."""
    assert sign(by_hand(a, b)) == compare(a, b)


@given(numbers, numbers)
def test_numbers_order_exactly(a: float, b: float) -> None:
    """Rule 2: integers and doubles order by mathematical value, exactly."""
    assert sign(by_hand(a, b)) == compare(a, b)


@given(json_values, json_values)
def test_the_language_compares_alike(a: Any, b: Any) -> None:
    """What $gt and $lt compare by (rule 12) and what sorts compare by (rule 20) is one order."""
    assert sign(values.compare(a, b)) == compare(a, b)


@given(sort_values, sort_values)
def test_no_bytes_begin_with_those_of_another_value(a: Any, b: Any) -> None:
    """No value's bytes are the beginning of another's, so that keys may follow one another, turned or not."""
    one, other = order_bytes(a), order_bytes(b)
    assert (one == other) == one.startswith(other) == (by_hand(a, b) == 0)


@given(sort_values, st.binary(max_size=3), st.binary(max_size=3))
def test_bytes_are_read_back(value: Any, before: bytes, behind: bytes) -> None:
    """An equal value is read back, and just its bytes are taken."""
    encoded = order_bytes(value)
    found, end = position_value(before + encoded + behind, len(before))
    assert (0, encoded) == (by_hand(value, found), order_bytes(found))
    assert len(before) + len(encoded) == end


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (EMPTY_ARRAY, "01"),
        (None, "02"),
        (1, "03bff00000000000008000"),
        (1.0, "03bff00000000000008000"),
        (-0.0, "0380000000000000008000"),
        (-1, "03400fffffffffffff8000"),
        (2**63 - 1, "03c3e00000000000007fff"),
        (2**53 + 1, "03c3400000000000008001"),
        ("é", "04c3a90001"),
        ({"b": 1, "a": None}, "050261000103620001bff0000000000000800000"),
        ([], "0600"),
        ([True, []], "060702060000"),
        (False, "0701"),
        (True, "0702"),
    ],
)
def test_the_bytes_are_those_documented(value: Any, expected: str) -> None:
    """The bytes are what the module says, since databases write them as well."""
    assert expected == order_bytes(value).hex()


@pytest.mark.parametrize(
    "text", ["", "00", "03", "0361", "0461", "04ff0001", "0502", "06", "07", "0700", "08", "7f"]
)
def test_other_bytes_are_refused(text: str) -> None:
    """Bytes that are no value's are a ValueError."""
    with pytest.raises(ValueError):
        position_value(bytes.fromhex(text))


def test_deep_bytes_are_refused() -> None:
    """Nesting deeper than asked for is a ValueError, never a recursion without end."""
    with pytest.raises(ValueError, match="no value begins"):
        position_value(b"\x06" * 100_000)


def test_rule_20_by_example() -> None:
    """Ascending: empty array, null, numbers, strings, objects, arrays inside arrays, false, true."""
    expected: list[Any] = [EMPTY_ARRAY, None, -1e300, 2, 2.5, "", "a", "\uffff", "\U00010000"]
    expected += [{}, {"a": 1}, [], [1], False, True]
    assert expected == sorted(expected[1::2] + expected[::2], key=functools.cmp_to_key(compare))


def key(path: str, largest: bool = False) -> SortKey:
    return SortKey(("metadata", *filter(None, path.split("."))), largest, largest)


@pytest.mark.parametrize(
    ("metadata", "path", "smallest", "largest"),
    [
        ({"a": 3}, "a", 3, 3),
        ({"a": None}, "a", None, None),
        ({}, "a", None, None),
        ({"a": {"b": 1}}, "a", {"b": 1}, {"b": 1}),
        ({"a": {"b": 1}}, "a.b", 1, 1),
        ({"a": 4}, "a.b", None, None),
        ({"a": [3, 1, 2]}, "a", 1, 3),
        ({"a": [3, "x", None]}, "a", None, "x"),
        ({"a": []}, "a", EMPTY_ARRAY, EMPTY_ARRAY),
        ({"a": [[]]}, "a", [], []),
        ({"a": [[1], 2]}, "a", 2, [1]),
        ({"a": [{"b": 2}, {"b": 5}]}, "a.b", 2, 5),
        ({"a": [{"b": 2}, {"c": 5}]}, "a.b", None, 2),
        ({"a": [{"b": 2}, 7]}, "a.b", None, 2),
        ({"a": [{"b": [4, 9]}, {"b": [1]}]}, "a.b", 1, 9),
        ({"a": [{"b": []}, {"b": [1]}]}, "a.b", EMPTY_ARRAY, 1),
        ({"a": []}, "a.b", None, None),
        ({"a": [{"b": []}, {"b": {"c": []}}]}, "a.b.c", EMPTY_ARRAY, None),
        ({"a": [{"b": []}, {"b": {"c": 1}}]}, "a.b.c", None, 1),
        ({"a": [[], 5]}, "a.0.b", None, None),
        ({"a": [[]]}, "a.0.0", None, None),
        ({"a": [[{"b": 1}]]}, "a.b", None, None),
        ({"a": [5, 7]}, "a.0", 5, 5),
        ({"a": [5, 7]}, "a.2", None, None),
        ({"a": [5, 7]}, "a.01", None, None),
        ({"a": [{"p": 3}, {"p": 1}]}, "a.0.p", 3, 3),
        ({"a": [{"p": 3}, {"0": {"p": 1}}]}, "a.0.p", 1, 3),
        ({"a": [[3, 1]]}, "a.0", [3, 1], [3, 1]),
        ({"a": [[3, 1]]}, "a.0.1", 1, 1),
        ({"a": {"0": 6}}, "a.0", 6, 6),
        ({"b": 1}, "", {"b": 1}, {"b": 1}),
    ],
)
def test_what_a_record_sorts_by(metadata: Any, path: str, smallest: Any, largest: Any) -> None:
    """Rule 20: the smallest or largest of all that the path reaches, a miss in an array
    and an empty array on the way counting as null."""
    record = {"metadata": metadata}
    assert smallest == sort_value(record, key(path))
    assert largest == sort_value(record, key(path, largest=True))


def test_fields_sort_by_their_own_value() -> None:
    """A record's own field sorts by what it holds, None first ascending."""
    assert 5 == sort_value({"created_at": 5}, SortKey(("created_at",)))
    assert [None, 1, 2] == sorted([2, None, 1], key=order_bytes)


records = st.lists(
    st.fixed_dictionaries(
        {
            "filename": st.sampled_from(["a", "b", "ä"]),
            "size": st.none() | st.integers(0, 2),
            "metadata": st.fixed_dictionaries(
                {}, optional={"a": sort_values.filter(lambda v: v is not EMPTY_ARRAY)}
            ),
        }
    ),
    max_size=8,
).map(lambda found: [{**record, "number": at} for at, record in enumerate(found)])
sorts = st.lists(
    st.sampled_from(
        ["filename", "-filename", "size", "-size", "metadata.a", "-metadata.a", "number", "-number"]
    ),
    min_size=1,
    max_size=4,
)


def in_order_by_hand(a: Any, b: Any, order: tuple[SortKey, ...]) -> int:
    for each in order:
        step = by_hand(sort_value(a, each), sort_value(b, each))
        if step:
            return -step if each.descending else step
    return 0


@given(records, sorts)
def test_records_sort_key_by_key(found: list[dict[str, Any]], sort: list[str]) -> None:
    """Keys count from left to right, each in its direction, number last: the order is total."""
    order = parse_sort(sort, DOCUMENTS, Limits())
    expected = sorted(found, key=functools.cmp_to_key(lambda a, b: in_order_by_hand(a, b, order)))
    assert expected == sorted(found, key=sort_key_function(order))


@given(records, sorts)
def test_the_reversed_order_is_the_order_backwards(found: list[dict[str, Any]], sort: list[str]) -> None:
    """Walking backwards meets the same rows the other way round, arrays standing for what they stood for."""
    order = parse_sort(sort, DOCUMENTS, Limits())
    forwards = sorted(found, key=sort_key_function(order))
    assert forwards[::-1] == sorted(found, key=sort_key_function(reverse_order(order)))
    assert order == reverse_order(reverse_order(order))


@given(records, sorts)
def test_what_is_after_a_row_is_what_comes_behind_it(found: list[dict[str, Any]], sort: list[str]) -> None:
    """Strictly behind a row's position are the rows that follow it in the order, and no others."""
    order = parse_sort(sort, DOCUMENTS, Limits())
    ordered = sorted(found, key=sort_key_function(order))
    for at, record in enumerate(ordered):
        behind = after_function(position_of(record, order), order)
        assert ordered[at + 1 :] == [other for other in ordered if behind(other)]


def keys(*texts: str) -> tuple[SortKey, ...]:
    return tuple(SortKey(tuple(t.lstrip("-").split(".")), t[0] == "-", t[0] == "-") for t in texts)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-created_at", keys("-created_at", "-number")),
        ("filename", keys("filename", "number")),
        (["status", "-size"], keys("status", "-size", "-number")),
        (("-status", "size"), keys("-status", "size", "number")),
        ("number", keys("number")),
        (["-number", "filename"], keys("-number")),
        (["size", "size"], keys("size", "number")),
        (["size", "-size"], keys("size", "-number")),
        (["metadata.tags", "-metadata.tags"], keys("metadata.tags", "-metadata.tags", "-number")),
        (["metadata.tags", "metadata.tags"], keys("metadata.tags", "number")),
        ("metadata", keys("metadata", "number")),
        (r"-metadata.a\.b\\.", (SortKey(("metadata", "a.b\\", ""), True, True), *keys("-number"))),
    ],
)
def test_a_sort_is_read(sort: Any, expected: tuple[SortKey, ...]) -> None:
    """Rule 21: number breaks ties in the last key's direction; keys that decide nothing are left out."""
    assert expected == parse_sort(sort, DOCUMENTS, Limits())


@pytest.mark.parametrize(
    "wrong",
    [
        None, 5, b"number", {"number": 1}, {"number"}, [], (), [5], [None], [["number"]], [("number", 2)],
        "", "-", "--number", "+number", " number", "numbr", "created_at.x", "content", "blob_key", "words",
        "$natural", "metadata.\0", "metadata.\ud800", "metadata" + ".a" * 16, ["number"] * 17, "number,size",
    ],
)  # fmt: skip
def test_other_sorts_are_refused(wrong: Any) -> None:
    """An unknown, wrongly typed, unsortable or oversized sort is InvalidSort."""
    with pytest.raises(InvalidSort):
        parse_sort(wrong, DOCUMENTS, Limits())


def test_an_unknown_field_is_met_with_a_suggestion() -> None:
    """The error names the field and the nearest one there is."""
    with pytest.raises(InvalidSort, match="'creatd_at'; did you mean 'created_at'") as caught:
        parse_sort("-creatd_at", DOCUMENTS, Limits())
    assert ("creatd_at", "created_at") == (caught.value.field, caught.value.suggestion)

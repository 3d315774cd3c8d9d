"""Cursors: what goes in comes out, only where it belongs, and nothing else raises anything else."""

import base64
import re
import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from docstore.backend import EMPTY_ARRAY, Scope, SortKey
from docstore.errors import InvalidCursor
from docstore.limits import Limits
from docstore.query.cursor import Way, binding, decode, encode, signing_keys
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.query.sorting import order_bytes, parse_sort

ORDER = parse_sort("-created_at", DOCUMENTS, Limits())
ANY_ORDER = parse_sort(["metadata.a", "external_id", "is_latest"], DOCUMENTS, Limits())
BOUND = binding(DOCUMENTS, '["always",true]', None, ORDER, True, Scope("acme", "1"))
SECRETS = signing_keys("a secret")
INSTANT = 1_769_851_800_123_456

ways = st.sampled_from(["next", "prev"])
clean_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | clean_text
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(clean_text, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
positions = st.tuples(
    json_values | st.just(EMPTY_ARRAY),
    st.none() | clean_text,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
)


def decoded(text: Any, secrets: tuple[bytes, ...] = (), order: tuple[SortKey, ...] = ORDER) -> Any:
    return decode(text, BOUND, order, DOCUMENTS, secrets)


def encoded_by_order(position: tuple[Any, ...]) -> list[bytes]:
    return list(map(order_bytes, position))


@given(positions, ways, st.sampled_from([(), SECRETS]))
@example((["x" * 5000], None, True, 1), "next", ())
@example(({"a": [[[]]]}, "", False, 2**63 - 1), "prev", SECRETS)
def test_a_cursor_comes_back(position: tuple[Any, ...], way: Way, secrets: tuple[bytes, ...]) -> None:
    """Position and way come back equal, of every type, and as URL-safe text."""
    text = encode(position, way, BOUND, secrets)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    found, found_way = decoded(text, secrets, ANY_ORDER)
    assert (encoded_by_order(position), way) == (encoded_by_order(found), found_way)


def test_instants_and_numbers_come_back_as_integers() -> None:
    """A position keeps every microsecond and the types that a backend binds."""
    found, _ = decoded(encode((INSTANT, 7), "next", BOUND))
    assert (INSTANT, 7) == found
    assert [int, int] == list(map(type, found))


def test_a_cursor_is_short() -> None:
    """A cursor of the default sort is a few dozen characters; long values are deflated."""
    assert len(encode((INSTANT, 1_000_000), "next", BOUND, SECRETS)) < 80
    assert len(encode(("abcdefgh" * 1000, None, True, 1), "next", BOUND)) < 150


def test_a_cursor_is_the_same_text_everywhere() -> None:
    """The text depends on position, way, query and secret alone; here it stands as it was first written."""
    expected = "EI8ClcuYxxtAA8MZJq7vZ-EAgAADwBwAAAAAAACAAA"
    assert expected == encode((INSTANT, 7), "next", BOUND)


@pytest.mark.parametrize("way", ["next", "prev"])
@pytest.mark.parametrize("order", [ORDER, ANY_ORDER])
def test_every_changed_byte_of_a_signed_cursor_is_noticed(way: Way, order: tuple[SortKey, ...]) -> None:
    """Every change of one character, every one left out, doubled or added makes a signed cursor invalid."""
    position = (INSTANT, 7) if order is ORDER else (["long" * 40], "é", True, 5)
    text = encode(position, way, BOUND, SECRETS)
    alphabet = string.ascii_letters + string.digits + "-_=+/ é\0"
    wrong = {text[:at] + other + text[at + 1 :] for at in range(len(text)) for other in alphabet}
    wrong |= {text[:at] + text[at + 1 :] for at in range(len(text))}
    wrong |= {text[:at] + other + text[at:] for at in range(len(text) + 1) for other in "A=\n"}
    for each in wrong - {text}:
        with pytest.raises(InvalidCursor):
            decoded(each, SECRETS, order)


@given(st.data(), positions)
def test_a_changed_unsigned_cursor_is_a_position_or_invalid(
    data: st.DataObject, position: tuple[Any, ...]
) -> None:
    """Unsigned, any change gives another valid position or InvalidCursor, and never anything else."""
    raw = bytearray(base64.urlsafe_b64decode(encode(position, "next", BOUND) + "==="))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    try:
        found, _ = decoded(text, (), ANY_ORDER)
    except InvalidCursor:
        return
    assert len(ANY_ORDER) == len(found)
    assert encoded_by_order(found) == encoded_by_order(
        decoded(encode(found, "next", BOUND), (), ANY_ORDER)[0]
    )


@given(st.binary(max_size=40), st.integers(0x10, 0x17), st.sampled_from([(), SECRETS]))
def test_forged_bytes_are_a_position_or_invalid(body: bytes, flags: int, secrets: tuple[bytes, ...]) -> None:
    """Any bytes behind the right head are a position of the right types or InvalidCursor."""
    text = base64.urlsafe_b64encode(bytes((flags,)) + BOUND + body).rstrip(b"=").decode()
    try:
        (instant, number), way = decoded(text, secrets)
    except InvalidCursor:
        return
    assert (int, int, True) == (type(instant), type(number), way in ("next", "prev"))


@given(st.text(max_size=60) | st.text(string.ascii_letters + "-_", max_size=60))
def test_any_text_is_a_cursor_or_invalid(text: str) -> None:
    """Arbitrary text is InvalidCursor and nothing else."""
    with pytest.raises(InvalidCursor):
        decoded(text)


@pytest.mark.parametrize("wrong", [None, 5, b"abc", True, [], {}, ("a",), "", "A", "é", "A" * 100_000])
def test_other_types_and_texts_are_invalid(wrong: Any) -> None:
    """Whatever is no cursor is InvalidCursor, whatever its type."""
    with pytest.raises(InvalidCursor):
        decoded(wrong)


@pytest.mark.parametrize(
    "position",
    [
        ("2026", 7), (None, 7), (1.5, 7), (True, 7), (EMPTY_ARRAY, 7), ([1], 7), (2**62, 7), (INSTANT, None),
        (INSTANT, "7"), (INSTANT, 7.5), (INSTANT, 2.0**63), (INSTANT, 1e300), (INSTANT,), (INSTANT, 7, 7), (),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_their_key_are_invalid(position: tuple[Any, ...]) -> None:
    """A value of another type than its sort key's, one too many or too few is InvalidCursor."""
    with pytest.raises(InvalidCursor):
        decoded(encode(position, "next", BOUND))


@pytest.mark.parametrize("value", ["\0", ["a\0"], {"\0": 1}, {"a": ["\0"]}])
def test_texts_that_no_store_holds_are_invalid(value: Any) -> None:
    """A NUL is in no stored text and must not reach a database."""
    with pytest.raises(InvalidCursor):
        decoded(encode((value, None, True, 1), "next", BOUND), (), ANY_ORDER)


@pytest.mark.parametrize(
    "body",
    [
        "03bff00000000000008001" "03bff00000000000008000",  # 1 + 1, where 2 is written otherwise
        "037fffffffffffffff8000" "03bff00000000000008000",  # -0.0
        "03fff00000000000008000" "03bff00000000000008000",  # infinity
        "03c3e00000000000008000" "03bff00000000000008000",  # 2^63
        "03bff00000000000008000" "03bff0000000000000800000",
    ],
)  # fmt: skip
def test_values_written_otherwise_are_invalid(body: str) -> None:
    """A number written otherwise than cursors write it, not finite or beyond int64, or a trailing byte."""
    raw = b"\x10" + BOUND + bytes.fromhex(body)
    with pytest.raises(InvalidCursor):
        decoded(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


def test_what_unfolds_to_too_much_is_invalid() -> None:
    """A small cursor cannot unfold to more than the bounds allow."""
    text = encode((["x" * 2_000_000], None, True, 1), "next", BOUND)
    with pytest.raises(InvalidCursor, match="unfolded"):
        decode(text, BOUND, ANY_ORDER, DOCUMENTS, (), Limits(metadata_bytes=100_000))


def test_nesting_beyond_the_bounds_is_invalid() -> None:
    """A position nested deeper than metadata may be is InvalidCursor."""
    value: Any = 1
    for _ in range(200):
        value = [value]
    with pytest.raises(InvalidCursor):
        decoded(encode((value, None, True, 1), "next", BOUND), (), ANY_ORDER)


def test_secrets_rotate() -> None:
    """The first secret signs, every one verifies, and none that was taken out."""
    old, new = encode((INSTANT, 7), "next", BOUND, signing_keys("old")), signing_keys(["new", b"old"])
    assert ((INSTANT, 7), "next") == decoded(old, new)
    assert encode((INSTANT, 7), "next", BOUND, new) == encode(
        (INSTANT, 7), "next", BOUND, signing_keys(b"new")
    )
    with pytest.raises(InvalidCursor, match="signature"):
        decoded(old, signing_keys("new"))


def test_signed_and_unsigned_do_not_mix() -> None:
    """A store with secrets takes no unsigned cursor, one without none that is signed."""
    with pytest.raises(InvalidCursor, match="not signed"):
        decoded(encode((INSTANT, 7), "next", BOUND), SECRETS)
    with pytest.raises(InvalidCursor, match="no cursor_secret"):
        decoded(encode((INSTANT, 7), "next", BOUND, SECRETS))


@pytest.mark.parametrize("wrong", ["", b"", [], [""], [b"a", ""], 5, [5], {"a"}])
def test_secrets_that_are_none_are_refused(wrong: Any) -> None:
    """An empty secret, an empty list and other types are a ValueError."""
    with pytest.raises(ValueError, match="cursor_secret"):
        signing_keys(wrong)


ELSEWHERE = {
    "collection": (EXTRACTIONS, "f", "s", ORDER, True, Scope("a", "b")),
    "filter": (DOCUMENTS, "g", "s", ORDER, True, Scope("a", "b")),
    "search": (DOCUMENTS, "f", "t", ORDER, True, Scope("a", "b")),
    "sort": (DOCUMENTS, "f", "s", ORDER[1:], True, Scope("a", "b")),
    "latest_only": (DOCUMENTS, "f", "s", ORDER, False, Scope("a", "b")),
    "tenant": (DOCUMENTS, "f", "s", ORDER, True, Scope("c", "b")),
    "owner": (DOCUMENTS, "f", "s", ORDER, True, Scope("a", None)),
    "part": (DOCUMENTS, "f", "s", ORDER, True, Scope("b", "a")),
    "none": (DOCUMENTS, "f", "s", ORDER, True, Scope()),
}


@pytest.mark.parametrize("query", ELSEWHERE.values(), ids=ELSEWHERE.keys())
@pytest.mark.parametrize("secrets", [(), SECRETS])
def test_a_cursor_is_bound_to_its_query(query: tuple[Any, ...], secrets: tuple[bytes, ...]) -> None:
    """Another collection, filter, search, sort, latest_only or scope is InvalidCursor, signed or not."""
    here = binding(DOCUMENTS, "f", "s", ORDER, True, Scope("a", "b"))
    text = encode((INSTANT, 7), "next", here, secrets)
    assert ((INSTANT, 7), "next") == decode(text, here, ORDER, DOCUMENTS, secrets)
    with pytest.raises(InvalidCursor, match="belongs to another"):
        decode(text, binding(*query), ORDER, DOCUMENTS, secrets)


def test_a_binding_takes_any_text() -> None:
    """No text of a filter, search or scope, lone surrogates among them, fails or runs into its neighbour."""
    plain = binding(DOCUMENTS, "a", "b", ORDER, True, Scope("\ud800"))
    assert plain != binding(DOCUMENTS, 'a","b', "", ORDER, True, Scope("\ud800"))
    assert binding(DOCUMENTS, "a", None, ORDER, True, Scope()) == binding(
        DOCUMENTS, "a", "", ORDER, True, Scope()
    )

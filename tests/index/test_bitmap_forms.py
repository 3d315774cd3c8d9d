"""Chunks: whatever form a set is kept in, it is the same set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.index.bitmap import (
    Bitmap,
    BitRun,
    assemble,
    assembled_union,
    merged,
    packed,
    packed_integer,
    packed_members,
    removed,
    split,
)


def _spread(first: int, step: int, count: int, gaps: frozenset[int]) -> list[int]:
    return [n for n in range(first, min(first + step * count, 65_536), step) if n not in gaps] or [first]


PLACES = st.builds(
    _spread,
    st.integers(0, 65_535),
    st.sampled_from((1, 1, 2, 7, 17, 300)),
    st.sampled_from((1, 2, 9, 64, 1000, 5000, 65_536)),
    st.frozensets(st.integers(0, 65_535), max_size=4),
)


def _set_of(form: bytes) -> list[int]:
    return list(assemble([(0, form)]).members)


@given(PLACES)
def test_a_form_holds_its_places(places: list[int]) -> None:
    """Rule: a set comes back as it was packed, from its places as from an integer, and in no more room than a
    bitmap needs.
    """
    form = packed(places)
    assert places == _set_of(form) == _set_of(packed_integer(Bitmap.of(places).integer))
    assert len(form) <= max(places[-1] // 8 + 2, 3)


@given(PLACES, PLACES)
def test_forms_are_joined_and_parted(one: list[int], other: list[int]) -> None:
    """Rule: forms of any two sets give the forms of their union and of their difference, nothing for none."""
    old, new = packed(one), packed(other)
    assert sorted({*one, *other}) == _set_of(merged(old, new))
    left = removed(old, new)
    assert sorted({*one} - {*other}) == (_set_of(left) if left else [])


@pytest.mark.parametrize(
    ("places", "form"),
    [
        ([5, 700], 0),
        (range(0, 400, 2), 1),
        (range(60_000), 2),
        (range(50_000, 51_000, 2), 3),
    ],
    ids=["few", "from the beginning", "nearly all", "from far on"],
)
def test_the_shortest_form_is_chosen(places: list[int], form: int) -> None:
    """Rule: few places are listed, many are a bitmap from where they begin, nearly all are told by what is
    missing.
    """
    assert form == packed(list(places))[0]
    assert list(places) == _set_of(packed(list(places)))


@given(st.lists(PLACES, min_size=1, max_size=3))
def test_a_set_is_put_together_of_its_chunks(chunks: list[list[int]]) -> None:
    """Rule: a set that is split in chunks and packed is assembled to what it was."""
    members = [(at << 16) + place for at, places in enumerate(chunks, 3) for place in places]
    pieces = [(chunk, packed(places)) for chunk, places in split(members).items()]
    assert members == list(assemble(pieces).members)


@given(st.lists(st.tuples(st.integers(0, 2), PLACES), max_size=4))
def test_many_sets_are_united_from_their_forms(sets: list[tuple[int, list[int]]]) -> None:
    """Rule: the union of packed sets is that of their members, in whatever chunk and form each is."""
    members = {(chunk << 16) + place for chunk, places in sets for place in places}
    assert sorted(members) == list(assembled_union([(chunk, packed(one)) for chunk, one in sets]).members)


@given(PLACES, st.integers(0, 200_000))
def test_members_are_the_same_as_a_run(places: list[int], first: int) -> None:
    """Rule: many numbers close together are kept as a run, and it holds the same numbers."""
    numbers = [first + place for place in places]
    members = packed_members(numbers)
    assert numbers == list(Bitmap.of_members(members).members)
    span = places[-1] - places[0] + 1
    assert isinstance(members, BitRun) == (len(numbers) > 2048 and 32 * len(numbers) >= span)

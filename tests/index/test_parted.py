"""Sets parted a page at a time: each page is the sorted list's, and what was parted is not parted again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.index import parted
from docstore.index.bits import Bits
from docstore.index.columns import double_ordinal
from docstore.index.parted import Parted

VALUES = st.one_of(st.integers(-3, 3), st.integers(-(1 << 53), 1 << 53), st.sampled_from([1 << 20, 1 << 21]))
PAIRS = st.lists(st.tuples(VALUES, st.integers(0, 4000)), unique_by=lambda pair: pair[1], max_size=60)
WINDOWS = st.lists(
    st.tuples(
        st.integers(0, 70),
        st.integers(1, 20),
        st.none() | st.tuples(VALUES, st.integers(0, 4001)),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


class Column:
    """The slices of a column of all pairs, counting how often they are read."""

    def __init__(self, pairs: Sequence[tuple[int, int]]) -> None:
        self.pairs = pairs
        self.read = 0
        self.slices = [
            Bits.of(sorted(number for value, number in pairs if double_ordinal(value) >> (63 - at) & 1))
            for at in range(64)
        ]
        self.varying = [at for at, bits in enumerate(self.slices) if 0 < bits.count < len(pairs)]

    def __call__(self, at: int) -> Bits:
        self.read += 1
        return self.slices[at]

    def parted(self, among: Sequence[tuple[int, int]]) -> Parted:
        return Parted(Bits.of(sorted(number for _, number in among)), self.varying)


def expected_page(
    pairs: Sequence[tuple[int, int]], offset: int, limit: int, after: tuple[int, int] | None, down: bool
) -> list[int]:
    """Return a page of the sorted list."""
    behind = [
        pair
        for pair in sorted(pairs, reverse=down)
        if after is None or (pair < after if down else pair > after)
    ]
    return [number for _, number in behind][offset : offset + limit]


@given(PAIRS, PAIRS, WINDOWS)
def test_a_page_is_the_sorted_list_s(
    pairs: list[tuple[int, int]],
    others: list[tuple[int, int]],
    windows: list[tuple[int, int, tuple[int, int] | None, bool]],
) -> None:
    """Offsets and positions, forwards and back, of a part of the column, one after another."""
    taken = {number for _, number in pairs}
    column = Column([*pairs, *(pair for pair in others if pair[1] not in taken)])
    found = column.parted(pairs)
    assert len(pairs) == len(found)
    for offset, limit, after, down in windows:
        expected = expected_page(pairs, offset, limit, after, down)
        assert expected == found.page(column, offset, limit, after, descending=down)


@pytest.mark.parametrize("most", [parted._MOST, 0])
def test_pages_of_a_large_set(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More members than a list holds are parted as sets first; where that takes too much room, anew."""
    monkeypatch.setattr(parted, "_MOST", most)
    pairs = [(number * 7919 % 3001 // 2, number) for number in range(1, 5000)]
    column = Column(pairs)
    found = column.parted(pairs)
    for offset in (4000, 0, 2500, 4995, 6000):
        for down in (False, True):
            expected = expected_page(pairs, offset, 11, None, down)
            assert expected == found.page(column, offset, 11, descending=down)
    position = (700, 2000)
    assert expected_page(pairs, 5, 11, position, True) == found.page(column, 5, 11, position, descending=True)


def test_what_was_parted_is_kept() -> None:
    """The page beside one that was asked for costs a few slices, and the same page none."""
    pairs = [(number * 7919 % 100_003, number) for number in range(1, 5000)]
    column = Column(pairs)
    found = column.parted(pairs)
    found.page(column, 2500, 10)
    first, column.read = column.read, 0
    found.page(column, 2510, 10)
    beside, column.read = column.read, 0
    found.page(column, 2510, 10)
    assert (True, 0) == (beside < first // 2, column.read)

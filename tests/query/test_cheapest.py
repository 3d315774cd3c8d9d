"""Of two ways to the same answer the cheaper is taken, and the answer is the same."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import pytest

from docstore.query.many import cheapest
from docstore.query.many.cheapest import cheaper


class Ways:
    """Two ways that take as long as they are told to, on a clock of their own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.made = 0
        self.asked: list[str] = []
        monkeypatch.setattr(cheapest, "perf_counter", lambda: self.now)

    def way(self, name: str, seconds: Callable[[int], float]) -> Callable[[int], int]:
        def ask(number: int) -> int:
            self.asked.append(name)
            self.now += seconds(number)
            return number * 2

        return ask

    def other(self, seconds: Callable[[int], float]) -> Callable[[], Callable[[int], int]]:
        def make() -> Callable[[int], int]:
            self.made += 1
            return self.way("other", seconds)

        return make


def test_a_cheap_way_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other way is not even made where the usual one is cheap."""
    ways = Ways(monkeypatch)
    ask = cheaper(ways.way("usual", lambda _: 5e-6), ways.other(lambda _: 1e-6))
    assert [number * 2 for number in range(20_000)] == [ask(number) for number in range(20_000)]
    assert (0, {"usual"}) == (ways.made, set(ways.asked))


def test_a_dear_way_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other is cheaper it is made once and taken, the usual one tried now and then."""
    ways = Ways(monkeypatch)
    ask = cheaper(ways.way("usual", lambda _: 300e-6), ways.other(lambda _: 10e-6))
    assert [number * 2 for number in range(20_000)] == [ask(number) for number in range(20_000)]
    assert ways.made == 1
    assert ways.asked.count("usual") < 200


def test_the_dearer_other_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other is dearer, the usual one is taken again."""
    ways = Ways(monkeypatch)
    ask = cheaper(ways.way("usual", lambda _: 20e-6), ways.other(lambda _: 400e-6))
    for number in range(20_000):
        ask(number)
    assert ways.asked.count("other") < 250


def test_what_becomes_cheap_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A way that was dear at first is taken once it is cheap."""
    ways = Ways(monkeypatch)
    ask = cheaper(
        ways.way("usual", lambda number: 100e-6 if number < 2_000 else 1e-6), ways.other(lambda _: 20e-6)
    )
    for number in range(40_000):
        ask(number)
    assert {"usual"} == set(ways.asked[-900:-850]) | set(ways.asked[-50:-40])


def test_there_may_be_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, it is asked for once."""
    ways = Ways(monkeypatch)
    made: list[int] = []

    def none() -> None:
        made.append(1)

    ask = cheaper(ways.way("usual", lambda _: 1e-3), none)
    assert [number * 2 for number in range(200)] == [ask(number) for number in range(200)]
    assert [1] == made


def test_texts_of_each_length_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other way is made for the longest text of about a length."""
    longest: list[int] = []
    ways = Ways(monkeypatch)
    usual = ways.way("usual", lambda _: 1e-3)

    def other(most: int) -> Callable[[str], int]:
        longest.append(most)
        return len

    ask = cheapest.cheapest(lambda text: usual(len(text)) // 2, other)
    for size in (0, 7, 8, 15, 16, 300):
        assert {size} == {ask("x" * size) for _ in range(100)}
    assert [7, 15, 31, 511] == longest


def test_the_clock_is_a_clock() -> None:
    """The time is that of this computer."""
    assert cheapest.perf_counter is perf_counter

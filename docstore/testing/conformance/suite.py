"""The suite itself: a test class made anew for each harness, as Hypothesis wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings

import docstore
from docstore.backend import Backend
from docstore.store import Store
from docstore.testing.conformance import properties
from docstore.testing.conformance.reads import ReadPromises
from docstore.testing.conformance.rows import Judged
from docstore.testing.conformance.threads import ThreadPromises
from docstore.testing.conformance.writes import BlobPromises, UniquePromises, WritePromises
from docstore.testing.harness import Harness
from docstore.testing.strategies import Chooser, choosers
from docstore.testing.strategies.filters import THEMES

__all__ = ["PROPERTIES", "conformance_suite"]

# The generated tests: the name, the rule, and what makes a case of it.
PROPERTIES: dict[str, tuple[Callable[..., None], Callable[[Chooser], Any]]] = {
    "test_leaves_are_what_they_were_judged": (properties.check_leaves, properties.filter_case),
    "test_texts_are_found_as_they_are_written": (properties.check_leaves, properties.string_case),
    **{
        f"test_look_alikes_are_told_apart_of_{theme}": (
            properties.check_leaves,
            partial(properties.themed_case, theme=theme),
        )
        for theme in THEMES
    },
    "test_searches_find_their_terms": (properties.check_pages, properties.search_case),
    "test_filters_match_what_the_evaluator_matches": (properties.check_filters, properties.filter_case),
    "test_pages_are_cut_from_the_order": (properties.check_pages, properties.ask_case),
    "test_cursors_meet_every_row_once": (properties.check_cursors, properties.walk_case),
    "test_scopes_confine_every_question": (properties.check_scopes, properties.scope_case),
    "test_counts_by_value_are_counts": (properties.check_counts_by, properties.count_case),
    "test_updates_reach_what_their_filters_match": (properties.check_updates, properties.filter_case),
    "test_values_come_back_as_they_were_added": (properties.check_values, properties.value_case),
}


class _Base(WritePromises, UniquePromises, ReadPromises, BlobPromises, ThreadPromises):
    """The tests of the seam that need no generation, and the stores that all tests run on."""

    make_harness: Callable[[], Harness]
    _harness: Harness
    _opened: Backend
    _store: Store

    @classmethod
    def setup_class(cls) -> None:
        """Open one store for all generated tests: each example empties it."""
        cls._harness = cls.make_harness()
        cls._opened = cls._harness.open()
        cls._store = docstore.open(cls._opened)

    @classmethod
    def teardown_class(cls) -> None:
        """Close that store, and what the harness' stores shared."""
        cls._harness.close(cls._opened)
        cls._harness.finish()

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """A new, empty store for one test, asked for no more than it judged that it can."""
        backend = self._harness.open()
        yield cast(Backend, Judged(backend))
        self._harness.close(backend)


def conformance_suite(harness: Callable[[], Harness], *, examples: int = 50) -> type:
    """Return a test class that holds a backend to every promise of the seam.

    Assign it to a name that pytest collects. Each call makes a new one, as Hypothesis wants it.

    Args:
        harness: a :class:`~docstore.testing.harness.Harness` subclass, or what makes one when called.
        examples: generated cases for each of the generated tests, at least 1.

    Raises:
        ValueError: ``examples`` is less than 1.

    Example:
        >>> TestConformance = conformance_suite(MyHarness)
    """
    if examples < 1:
        raise ValueError(f"examples={examples}: expected at least 1")
    generated = {name: _generated_test(name, *parts, examples) for name, parts in PROPERTIES.items()}
    return type("Conformance", (_Base,), {"make_harness": staticmethod(harness), **generated})


def _generated_test(
    name: str, check: Callable[..., None], make: Callable[[Chooser], Any], examples: int
) -> Callable[..., None]:
    """Return a method that checks one rule on generated cases."""

    def test(self: Any, case: Any) -> None:
        check(self._opened, self._store, case)

    test.__name__ = test.__qualname__ = name
    test.__doc__ = check.__doc__
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    bounded = settings(max_examples=examples, deadline=None, suppress_health_check=quiet)
    return bounded(given(case=choosers().map(make))(test))

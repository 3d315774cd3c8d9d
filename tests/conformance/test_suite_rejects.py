"""The conformance suite is itself tested: it rejects every backend with a fault, and takes one without."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import Phase, settings

from docstore.backend import Backend
from docstore.testing.conformance import Harness, conformance_suite
from docstore.testing.conformance.rows import Judged


def _beside(name: str) -> ModuleType:
    """Import a module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


wrong_backends = _beside("wrong_backends")
_FAULTS = list(wrong_backends.FAULTS.items())
_QUICK = settings(derandomize=True, database=None, phases=[Phase.generate], deadline=None)
settings.register_profile("without-shrinking", _QUICK)


@pytest.fixture(autouse=True)
def _without_shrinking() -> Iterator[None]:
    """Generate the same cases each time, and stop at the first that fails."""
    before = settings.get_current_profile_name()
    settings.load_profile("without-shrinking")
    yield
    settings.load_profile(before)


def _run(make: Callable[[], Backend], name: str, examples: int = 50) -> None:
    """Run one test of a suite, once for each of its parameters."""

    class OneHarness(Harness):
        def open(self) -> Backend:
            return make()

    suite: Any = conformance_suite(OneHarness, examples=examples)
    suite.setup_class()
    test = getattr(suite(), name)
    try:
        for arguments in _parameters(test):
            if "backend" in inspect.signature(test).parameters:
                arguments["backend"] = Judged(make())
            test(**arguments)
    finally:
        suite.teardown_class()


def _parameters(test: Any) -> Iterator[dict[str, Any]]:
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    for values in itertools.product(*(mark.args[1] for mark in marks)):
        yield {mark.args[0]: value for mark, value in zip(marks, values, strict=True)}


@pytest.mark.parametrize(("wrong", "name"), _FAULTS, ids=[wrong.__name__ for wrong, _ in _FAULTS])
def test_a_faulty_backend_is_rejected(wrong: type[Backend], name: str) -> None:
    """By the test that is about the fault, with the suite's own number of examples."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        _run(wrong, name)


@pytest.mark.parametrize("name", sorted(set(wrong_backends.FAULTS.values())))
def test_the_backend_without_a_fault_is_taken(name: str) -> None:
    """The faults' common base passes what they fail."""
    _run(wrong_backends.Wrong, name, examples=8)

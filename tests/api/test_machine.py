"""Any sequence of calls comes to what the plain model says, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

import docstore
from docstore.blobs import Blobs
from tests.kit.machine import machine_for


def emptied(store: docstore.Store) -> docstore.Store:
    """Return a store after everything in it was removed."""
    store.documents.delete_many({})
    return store


@pytest.mark.parametrize("url", ["memory", "sqlite-file", "postgres"], indirect=True)
def test_any_sequence_of_calls_is_the_models(url: str, many: Callable[[int, int], int]) -> None:
    """Documents, versions, claims, extractions, scopes and transactions: 4 runs short, 2,000 long."""
    store = docstore.open(url, blobs=Blobs("memory://"))
    machine = machine_for(lambda: emptied(store), lambda store: None)
    bounds = settings(
        max_examples=many(4, 2000),
        stateful_step_count=25,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounds)
    store.close()

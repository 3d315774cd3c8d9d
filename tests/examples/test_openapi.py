"""Each application against its own OpenAPI document: schemathesis asks, and looks at every answer."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import docstore
from tests.kit.forms import SOAK

MODULES = {
    "docsense": {"x-api-key": "k1"},
    "openwebui": {"Authorization": "Bearer k1"},
    "documind": {"X-API-Key": "k1"},
    "tensorlake": {"Authorization": "Bearer k1"},
    "fieldwise": {"X-API-Key": "k1"},
}
# What a JSON Schema cannot say: that a text is a cursor of ours, an object a filter.
REFUSES_MORE = ("GET /documents/v2/files", "POST /api/v1/documents/list")


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("url", ["memory", "postgres"], indirect=True)
@pytest.mark.filterwarnings("default")  # of schemathesis and of what it is made of
def test_answers_are_as_documented(store: docstore.Store, module: str) -> None:
    """No answer is a server's error, undocumented, of another form, or given without a key."""
    import schemathesis  # as late as here: it takes a second of each process that collects tests

    view = store.scoped(tenant="acme", owner="1")
    view.extractions.add(view.documents.add(b"x", filename="a.pdf", metadata={"a": "b"}).id, {"a": 1})
    app = import_module(f"examples.{module}").create_app(store, {"k1": {"tenant": "acme", "owner": "1"}})
    operations = [
        found.ok() for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()
    ]
    assert operations
    if "memory" not in repr(store) and not SOAK:
        operations = operations[::4]  # what the database adds is the same for all
    for operation in operations:
        _try(operation, MODULES[module], 2)


def _try(operation: Any, headers: dict[str, str], examples: int) -> None:
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    excluded = [positive_data_acceptance] if operation.label in REFUSES_MORE else []

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    check()

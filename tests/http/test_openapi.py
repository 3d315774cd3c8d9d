"""The router against its own OpenAPI document: schemathesis asks, and looks at every answer."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings

from tests.kit.forms import SOAK


def test_the_filter_has_a_schema(application: FastAPI) -> None:
    """The document says what a filter may hold, and what an upload does."""
    paths = application.openapi()["paths"]
    (filter,) = [one for one in paths["/documents"]["get"]["parameters"] if one["name"] == "filter"]
    assert "$elemMatch" in str(filter["schema"]) or "$elemMatch" in str(application.openapi()["components"])
    upload = paths["/documents"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(upload["properties"]) == {"file", "metadata", "external_id"}
    problem = paths["/documents"]["get"]["responses"]["4XX"]["content"]
    assert set(problem) == {"application/problem+json"}


@pytest.fixture(scope="session")
def operations(application: FastAPI) -> list[Any]:
    """What the document describes."""
    with warnings.catch_warnings(action="ignore"):  # of schemathesis and of what it is made of
        import schemathesis  # as late as here: it takes a second of each process that collects tests

        found = schemathesis.openapi.from_asgi("/openapi.json", application).get_all_operations()
        return [operation.ok() for operation in found]


OTHERS = ("sync-sqlite-file", "sync-postgres", "async-memory", "async-sqlite-file", "async-postgres")


@pytest.mark.filterwarnings("default")
def test_answers_are_as_documented(site: Any, operations: list[Any], request: pytest.FixtureRequest) -> None:
    """No answer is a server's error, undocumented, or of another form than documented.

    A blocking store in memory is asked everything, the five others a fifth each; in the long form all are.
    """
    id = site.upload(b"x", metadata={"a": "b"}).json()["id"]
    site.ask("POST", f"/documents/{id}/extractions", json={"results": {"a": 1}})
    assert len(operations) == 19
    name = request.node.callspec.id
    other = OTHERS.index(name) if name in OTHERS else None
    asked = operations if SOAK or other is None else operations[other :: len(OTHERS)]
    for operation in asked:
        _try(operation, site.headers, 3 if other is None else 2)


def _try(operation: Any, headers: dict[str, str], examples: int) -> None:
    from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

    # what a schema cannot say: that a text is a cursor or an instant of ours, an object a filter
    excluded = [positive_data_acceptance, negative_data_rejection]

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    check()

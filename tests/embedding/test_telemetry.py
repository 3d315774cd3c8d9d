"""What a store tells of itself: slow queries in the log, spans and metrics to OpenTelemetry."""

from __future__ import annotations

import ast
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import docstore
from docstore.telemetry import fingerprint


def slow(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of slow queries."""
    return [record.getMessage() for record in caplog.records if record.name == "docstore.query"]


def test_a_slow_query_is_one_line(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A query beyond the threshold is one warning with its plan's fingerprint, and none of its values."""
    with caplog.at_level(logging.WARNING), docstore.open(url, slow_query=0) as store:
        store.documents.find({"metadata.secret": "hunter2"})
        plan = store.documents.explain({"metadata.secret": "other"})
        (line,) = slow(caplog)
    pattern = rf"slow query: \d+\.\d{{3}} s for find of documents on \w+, plan {fingerprint(plan)}"
    assert re.fullmatch(pattern, line), line
    assert "hunter2" not in caplog.text


def test_log_lines_have_fields(caplog: pytest.LogCaptureFixture) -> None:
    """What a line says is in fields of the record, too, for formatters of JSON and for structlog."""
    with docstore.open("memory://", slow_query=0) as store:
        store.documents.find({"metadata.secret": "hunter2"})
        plan = store.documents.explain({"metadata.secret": "other"})
    (record,) = (record for record in caplog.records if record.name == "docstore.query")
    fields = {name: value for name, value in vars(record).items() if name.startswith("docstore_")}
    assert fields.pop("docstore_seconds") < 60
    assert fields == {
        "docstore_event": "slow_query", "docstore_operation": "find", "docstore_collection": "documents",
        "docstore_backend": "memory", "docstore_plan": fingerprint(plan), "docstore_residual": False,
    }  # fmt: skip


def test_every_log_line_has_an_event() -> None:
    """Each call of a logger in the packages gives ``docstore_event``."""
    root = Path(docstore.__file__).parents[1]
    places = [Path(docstore.__file__).parent, root / "backends"]
    calls = [
        call
        for place in places
        for file in place.rglob("*.py")
        if "testing" not in file.parts
        if "_log." in (text := file.read_text(encoding="utf-8"))
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("_log.")
    ]
    assert len(calls) >= 6
    assert [ast.unparse(call) for call in calls if "docstore_event" not in ast.unparse(call)] == []


@pytest.mark.parametrize("threshold", [None, 60.0])
def test_quick_queries_are_not_told(threshold: float | None, caplog: pytest.LogCaptureFixture) -> None:
    """Below the threshold, and with None, nothing is logged."""
    with caplog.at_level(logging.DEBUG), docstore.open("memory://", slow_query=threshold) as store:
        store.documents.find()
        store.documents.count()
    assert [] == slow(caplog)


@pytest.mark.parametrize("threshold", [-1, "1", True])
def test_a_threshold_is_seconds(threshold: object) -> None:
    """Anything but seconds is refused."""
    with pytest.raises(ValueError, match="slow_query"):
        docstore.open("memory://", slow_query=threshold)  # type: ignore[arg-type]


def test_fingerprints_tell_shapes_apart() -> None:
    """Queries of one shape have one fingerprint; another path, operator or sort has another."""
    with docstore.open("memory://") as store:
        explain = store.documents.explain
        same = {fingerprint(explain({"metadata.a": value, "size": {"$gt": 1}})) for value in (1, "x", None)}
        others = {
            fingerprint(explain({"metadata.b": 1, "size": {"$gt": 1}})),
            fingerprint(explain({"metadata.a": 1, "size": {"$lt": 1}})),
            fingerprint(explain({"metadata.a": 1, "size": {"$gt": 1}}, sort="size")),
            fingerprint(store.extractions.explain({})),
        }
    assert 1 == len(same)
    assert 4 == len(others - same)


@pytest.fixture(scope="module")
def exporters() -> tuple[InMemorySpanExporter, InMemoryMetricReader]:
    """OpenTelemetry's SDK, keeping spans and metrics in memory; set once a process, as it wants it."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    return spans, reader


@pytest.fixture
def spans(exporters: tuple[InMemorySpanExporter, InMemoryMetricReader]) -> Iterator[InMemorySpanExporter]:
    """The spans of this test."""
    exporters[0].clear()
    yield exporters[0]
    exporters[0].clear()


def test_spans_are_made(spans: InMemorySpanExporter) -> None:
    """Queries, commits and bytes are spans, within the caller's own; a failure is recorded."""
    with docstore.open("memory://", blobs="memory://", slow_query=None) as store:
        with trace.get_tracer("app").start_as_current_span("request") as request:
            store.documents.add(b"x", filename="x")
            store.documents.find({"metadata.n": 1})
        with pytest.raises(docstore.NotFound):
            store.documents.update("none", filename="x")
    made = {span.name: span for span in spans.get_finished_spans()}
    assert {"docstore.put", "docstore.write", "docstore.find", "request"} <= made.keys()
    find = made["docstore.find"]
    assert find.parent is not None
    assert request.get_span_context().span_id == find.parent.span_id
    assert ("memory", "documents", False) == tuple(
        told(find)[name] for name in ("docstore.backend", "docstore.collection", "docstore.residual")
    )
    assert re.fullmatch("[0-9a-f]{12}", str(told(find)["docstore.plan"]))
    assert "NotFound" in {str((event.attributes or {}).get("exception.type", ""))[-8:] for event in
                          made["docstore.write"].events}  # fmt: skip


def test_spans_bear_the_standard_attributes_of_databases(url: str, spans: InMemorySpanExporter) -> None:
    """System, namespace, collection and operation as the conventions name them; where memory is all there is,
    a span is no client's.
    """
    with docstore.open(url) as store:
        store.documents.add(filename="x")
        spans.clear()
        store.documents.find({"metadata.n": 1})
        store.extractions.count()
        find, count = spans.get_finished_spans()
    system = url.partition(":")[0].partition("+")[0]
    assert told(find).items() >= {
        "db.system.name": system, "db.operation.name": "find", "db.collection.name": "documents",
        "db.query.summary": "find documents",
    }.items()  # fmt: skip
    assert told(count)["db.collection.name"] == "extractions"
    if system == "memory":
        assert (find.kind, "db.namespace" in told(find)) == (trace.SpanKind.INTERNAL, False)
        return
    assert find.kind is trace.SpanKind.CLIENT
    assert told(find).get("db.namespace") == sa.make_url(url).database
    assert ("server.address" in told(find)) == (system == "postgresql")


def test_the_password_is_no_attribute(spans: InMemorySpanExporter, postgres_store_url: str) -> None:
    """Spans name the server and the database, and nothing else of the URL."""
    secret = sa.make_url(postgres_store_url).set(password="hunter2").render_as_string(hide_password=False)
    with docstore.open(secret) as store:
        store.documents.find()
    assert spans.get_finished_spans()
    assert "hunter2" not in str([span.to_json() for span in spans.get_finished_spans()])


def test_an_error_has_its_type(spans: InMemorySpanExporter) -> None:
    """``error.type`` is the name of the class, on the span as on the metrics."""
    with docstore.open("memory://") as store, pytest.raises(docstore.NotFound):
        store.documents.update("none", filename="x")
    (write,) = (span for span in spans.get_finished_spans() if span.name == "docstore.write")
    assert told(write)["error.type"] == "NotFound"
    assert told(write)["db.operation.name"] == "write"


def told(span: ReadableSpan) -> dict[str, object]:
    """Return a span's attributes."""
    return dict(span.attributes or {})


def test_spans_lie_within_the_callers_task(spans: InMemorySpanExporter) -> None:
    """In the asynchronous shell a span's parent is the span of the task that called."""
    import asyncio

    async def main() -> None:
        async with docstore.open_async("sqlite://") as store:

            async def request(number: int) -> int:
                with trace.get_tracer("app").start_as_current_span(f"request {number}") as span:
                    await store.documents.find({"metadata.n": number})
                    return span.get_span_context().span_id

            parents = await asyncio.gather(*(request(number) for number in range(5)))
            found = [span for span in spans.get_finished_spans() if span.name == "docstore.find"]
            assert sorted(parents) == sorted(span.parent.span_id for span in found if span.parent)

    asyncio.run(main())


def test_durations_are_measured(exporters: tuple[InMemorySpanExporter, InMemoryMetricReader]) -> None:
    """Our histogram and the standard one count operations by name."""
    with docstore.open("memory://") as store:
        for _ in range(3):
            store.documents.count_by("status")
    measured = exporters[1].get_metrics_data()
    assert measured is not None
    counts = {
        (metric.name, name): point.count  # type: ignore[union-attr]
        for resource in measured.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        for name, value in (point.attributes or {}).items()
        if value == "count_by"
    }
    assert counts == {
        ("docstore.operation.duration", "docstore.operation"): 3,
        ("db.client.operation.duration", "db.operation.name"): 3,
    }


def test_nothing_is_imported_without_it() -> None:
    """Where OpenTelemetry's API is missing the store works and watches nothing."""
    code = """
import sys
sys.modules["opentelemetry"] = None
import docstore, docstore.telemetry as telemetry
with docstore.open("memory://", slow_query=None) as store:
    store.documents.add(filename="x")
    assert store.documents.count() == 1
    assert store._context.watching("find") is store._context.watching("count")
"""
    subprocess.run([sys.executable, "-c", code], check=True)

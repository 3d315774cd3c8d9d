"""What a store tells of itself: slow queries in the log, spans and metrics to OpenTelemetry."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
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
    """The histogram counts operations by name and backend."""
    with docstore.open("memory://") as store:
        for _ in range(3):
            store.documents.count_by("status")
    measured = exporters[1].get_metrics_data()
    assert measured is not None
    points = [
        point
        for resource in measured.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "docstore.operation.duration"
        for point in metric.data.data_points
        if (point.attributes or {}).get("docstore.operation") == "count_by"
    ]
    assert [3] == [point.count for point in points]  # type: ignore[union-attr]


def test_nothing_is_imported_without_it() -> None:
    """Where OpenTelemetry's API is missing the store works and watches nothing."""
    code = """
import sys
sys.modules["opentelemetry"] = None
import docstore, docstore.telemetry as telemetry
with docstore.open("memory://", slow_query=None) as store:
    store.documents.add(filename="x")
    assert store.documents.count() == 1
    assert store._root.watching("find") is store._root.watching("count")
"""
    subprocess.run([sys.executable, "-c", code], check=True)

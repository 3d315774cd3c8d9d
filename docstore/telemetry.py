"""Telemetry: one log line for a slow query; OpenTelemetry spans and metrics where its API is installed.

The core says what it is about to do (``root.watching("find", plan)``) and this module times it. Nothing of a
filter's values is ever told, only its shape: a plan's *fingerprint* is the same for all queries of one shape.

Spans are ``docstore.find``, ``docstore.iterate`` (one a batch), ``docstore.count``, ``docstore.count_by``,
``docstore.fields``, ``docstore.write`` (one a commit) and ``docstore.put`` (the bytes of a document). The
histogram ``docstore.operation.duration`` counts them in seconds. All but ``docstore.put`` bear the standard
attributes that OpenTelemetry has for databases, too, and are counted in ``db.client.operation.duration``.
A query's time begins when it has its connection: waiting for a free one is not slow SQL.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from functools import cache
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from docstore.errors import shown
from docstore.query.expr import And, ElemMatch, Expr, Not, Or
from docstore.query.planner import Plan

__all__ = ["SLOW", "Watch", "fingerprint"]

# Seconds from which a query is slow, unless `docstore.open(slow_query=…)` says otherwise.
SLOW = 1.0

_log = logging.getLogger("docstore.query")

# Buckets of the histograms, those that OpenTelemetry's conventions ask of database clients.
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)


class Watch:
    """The log lines, spans and metrics of one open store.

    Args:
        backend: the name of its backend; ``""`` where only ``slow_query`` is to be checked.
        location: where its database is, a :class:`docstore.backend.Location`; ``None`` if it is in this
            process' memory.
        slow_query: seconds from which a query is logged (logger ``docstore.query``, level WARNING);
            ``None``: never.
    """

    def __init__(self, backend: str, location: Any, slow_query: float | None) -> None:
        if slow_query is not None and not (_is_number(slow_query) and slow_query >= 0):
            raise ValueError(f"slow_query={shown(slow_query)}: expected seconds, at least 0, or None")
        self._backend = backend
        self._place = {"db.system.name": backend} if location is None else _place_of(location)
        self._is_in_process = location is None
        self._slow = slow_query
        # Nobody can be told anything: a block costs one attribute then.
        self._idle = slow_query is None and find_spec("opentelemetry") is None

    def __call__(self, operation: str, plan: Plan | None = None) -> AbstractContextManager[object]:
        """Watch a block: ``operation`` is its name, ``plan`` the query's, ``None`` where it is none."""
        if self._idle:
            return _NOTHING
        # Asked for each block: a program may set its SDK up after it has opened the store.
        kit = _instruments() if _may_be_heard() else None
        if kit is not None and kit.is_heard():
            return self._spanned(kit, _Timed(self, operation, plan), operation, plan)
        return _NOTHING if plan is None else _Timed(self, operation, plan)  # only queries are told as slow

    def told(self, operation: str, plan: Plan | None, seconds: float) -> None:
        """Log a query that was slow."""
        if plan is not None and self._slow is not None and seconds >= self._slow:
            residual, shape = "" if plan.is_pushed else ", with a residual", fingerprint(plan)
            _log.warning(
                "slow query: %.3f s for %s of %s on %s, plan %s%s",
                seconds, operation, plan.collection, self._backend, shape, residual,
                extra={
                    "docstore_event": "slow_query", "docstore_operation": operation,
                    "docstore_collection": plan.collection, "docstore_backend": self._backend,
                    "docstore_plan": shape, "docstore_residual": not plan.is_pushed,
                    "docstore_seconds": round(seconds, 6),
                },
            )  # fmt: skip

    @contextmanager
    def _spanned(self, kit: _Instruments, timed: _Timed, operation: str, plan: Plan | None) -> Iterator[None]:
        told: dict[str, str | int] = {"docstore.operation": operation, "docstore.backend": self._backend}
        standard = {} if operation == "put" else {**self._place, "db.operation.name": operation}
        if plan is not None:
            told["docstore.collection"] = plan.collection
            standard |= {
                "db.collection.name": plan.collection, "db.query.summary": f"{operation} {plan.collection}"
            }  # fmt: skip
        kind = kit.in_process if operation == "put" or self._is_in_process else kit.client
        name = f"docstore.{operation}"
        with kit.tracer.start_as_current_span(name, kind=kind, attributes=told | standard) as span:
            if plan is not None and span.is_recording():
                span.set_attribute("docstore.plan", fingerprint(plan))
                span.set_attribute("docstore.residual", not plan.is_pushed)
            try:
                with timed:
                    yield
            except Exception as error:
                failed: dict[str, str | int] = {"error.type": type(error).__name__}
                span.set_attributes(failed)
                told |= failed
                standard = standard and standard | failed
                raise
            finally:
                kit.duration.record(timed.seconds, told)
                if standard:
                    kit.standard_duration.record(timed.seconds, standard)


class _Timed:
    """A block that is timed, and told of when it ends."""

    __slots__ = ("_begun", "_operation", "_plan", "_watch", "seconds")

    def __init__(self, watch: Watch, operation: str, plan: Plan | None) -> None:
        self._watch = watch
        self._operation = operation
        self._plan = plan
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._begun = perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.seconds = perf_counter() - self._begun
        self._watch.told(self._operation, self._plan, self.seconds)


class _Nothing:
    """A block that nobody watches."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        return None


_NOTHING = _Nothing()


def _place_of(place: Any) -> dict[str, str | int]:
    """Return OpenTelemetry's attributes of a database, by where it is."""
    told = {
        "db.system.name": place.system, "db.namespace": place.namespace, "server.address": place.address,
        "server.port": place.port,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value}


@dataclass(frozen=True, slots=True)
class _Instruments:
    """The tracer and instruments of OpenTelemetry's API.

    Attributes:
        tracer: makes spans.
        duration: our histogram.
        standard_duration: the histogram that all clients of databases have.
        client, in_process: the kinds of spans.
        is_heard: whether anybody listens now.
    """

    tracer: Any
    duration: Any
    standard_duration: Any
    client: Any
    in_process: Any
    is_heard: Callable[[], bool]


def _may_be_heard() -> bool:
    """Return whether anybody has imported OpenTelemetry's API, or had it set up by the environment.

    Nobody else has set up an SDK; so a program that never heard of it need not import it.
    """
    modules = sys.modules
    return "opentelemetry.trace" in modules or "opentelemetry.metrics" in modules or _is_set_up_outside()


@cache
def _is_set_up_outside() -> bool:
    return any(f"OTEL_PYTHON_{kind}_PROVIDER" in os.environ for kind in ("TRACER", "METER"))


@cache
def _instruments() -> _Instruments | None:
    """Return what makes spans and metrics, ``None`` where OpenTelemetry's API is not installed."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        return None
    from opentelemetry import metrics, trace

    meter = metrics.get_meter("docstore")

    def histogram(name: str, description: str) -> Any:
        return meter.create_histogram(
            name, unit="s", description=description, explicit_bucket_boundaries_advisory=_SECONDS
        )

    def is_heard() -> bool:
        return not (_is_of_api(trace.get_tracer_provider()) and _is_of_api(metrics.get_meter_provider()))

    return _Instruments(
        trace.get_tracer("docstore"),
        histogram("docstore.operation.duration", "Time that operations of the store took."),
        histogram("db.client.operation.duration", "Duration of database client operations."),
        trace.SpanKind.CLIENT,
        trace.SpanKind.INTERNAL,
        is_heard,
    )


def _is_of_api(provider: Any) -> bool:
    """Return whether a provider is one of the API's own, which tell nobody: no SDK was set up."""
    return type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


def fingerprint(plan: Plan) -> str:
    """Return twelve hex digits that name a plan's shape: its paths and operators, no values."""
    order = ",".join(f"{'-' if key.descending else ''}{'.'.join(key.path)}" for key in plan.order)
    parts = (plan.backend, plan.collection, _shape(plan.pushed), _shape(plan.residual), order)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _shape(expr: Expr) -> str:
    match expr:
        case And(terms) | Or(terms):
            return f"{type(expr).__name__}({','.join(sorted(map(_shape, terms)))})"
        case Not(term):
            return f"Not({_shape(term)})"
        case ElemMatch():
            return f"ElemMatch({'.'.join(expr.path)})"
        case _:
            names = [field.name for field in fields(expr) if field.name in ("path", "op", "kind")]
            said = ",".join(str(getattr(expr, name)) for name in names)
            return f"{type(expr).__name__}({said})"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

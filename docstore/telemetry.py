"""Telemetry: one log line for a slow query; OpenTelemetry spans and metrics where its API is installed.

The core says what it is about to do (``root.watching("find", plan)``) and this module times it. Nothing of a
filter's values is ever told, only its shape: a plan's *fingerprint* is the same for all queries of one shape.

Spans are ``docstore.find``, ``docstore.iterate`` (one a batch), ``docstore.count``, ``docstore.count_by``,
``docstore.write`` (one a commit) and ``docstore.put`` (the bytes of a document). The histogram
``docstore.operation.duration`` counts them in seconds.
A query's time begins when it has its connection: waiting for a free one is not slow SQL.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from functools import cache
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from docstore.errors import shown
from docstore.query.explain import Plan
from docstore.query.expr import And, ElemMatch, Expr, Not, Or

__all__ = ["SLOW", "Watch", "fingerprint"]

SLOW = 1.0
"""Seconds from which a query is slow, unless ``docstore.open(slow_query=…)`` says otherwise."""

_log = logging.getLogger("docstore.query")


class Watch:
    """What one open store tells of itself.

    Args:
        backend: its backend's name.
        slow_query: seconds from which a query is logged (logger ``docstore.query``, level WARNING);
            ``None``: never.
    """

    def __init__(self, backend: str, slow_query: float | None) -> None:
        if slow_query is not None and not (_is_number(slow_query) and slow_query >= 0):
            raise ValueError(f"slow_query={shown(slow_query)}: expected seconds, at least 0, or None")
        self._backend = backend
        self._slow = slow_query
        self._instruments = _instruments()
        self._idle = slow_query is None and self._instruments is None

    def __call__(self, operation: str, plan: Plan | None = None) -> AbstractContextManager[object]:
        """Watch a block: ``operation`` is its name, ``plan`` the query's, ``None`` where it is none."""
        if self._idle:
            return _NOTHING
        timed = _Timed(self, operation, plan)
        if self._instruments is None or not self._instruments[2]():
            return timed
        return self._spanned(timed, operation, plan)

    def told(self, operation: str, plan: Plan | None, seconds: float) -> None:
        """Log a query that was slow."""
        if plan is not None and self._slow is not None and seconds >= self._slow:
            residual = "" if plan.is_pushed else ", with a residual"
            _log.warning(
                "slow query: %.3f s for %s of %s on %s, plan %s%s",
                seconds, operation, plan.collection, self._backend, fingerprint(plan), residual,
            )  # fmt: skip

    @contextmanager
    def _spanned(self, timed: _Timed, operation: str, plan: Plan | None) -> Iterator[None]:
        assert self._instruments is not None
        tracer, duration, _ = self._instruments
        told = {"docstore.operation": operation, "docstore.backend": self._backend}
        if plan is not None:
            told["docstore.collection"] = plan.collection
        with tracer.start_as_current_span(f"docstore.{operation}", attributes=told) as span:
            if plan is not None and span.is_recording():
                span.set_attribute("docstore.plan", fingerprint(plan))
                span.set_attribute("docstore.residual", not plan.is_pushed)
            try:
                with timed:
                    yield
            except Exception as error:
                told["error.type"] = type(error).__name__
                raise
            finally:
                duration.record(timed.seconds, told)


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


@cache
def _instruments() -> tuple[Any, Any, Callable[[], bool]] | None:
    """Return OpenTelemetry's tracer, our histogram, and what tells whether anybody listens to either now;
    ``None`` where its API is not installed.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        return None
    from opentelemetry import metrics, trace

    meter = metrics.get_meter("docstore")
    duration = meter.create_histogram(
        "docstore.operation.duration", unit="s", description="Time that operations of the store took."
    )

    def is_heard() -> bool:
        return not (_is_of_api(trace.get_tracer_provider()) and _is_of_api(metrics.get_meter_provider()))

    return trace.get_tracer("docstore"), duration, is_heard


def _is_of_api(provider: Any) -> bool:
    """Return whether a provider is one of the API's own, which tell nobody: no SDK was set up."""
    return type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


def fingerprint(plan: Plan) -> str:
    """Return twelve hex digits that are the same for all plans of one shape: paths and operators, no
    values.
    """
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

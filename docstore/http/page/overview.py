"""The store's page: counts by status over time, types, sizes, failures, the queue, findings, slow queries.

Templates draw the numbers of its plots as SVG.
"""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakMethod

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from docstore import maintenance
from docstore.errors import DocstoreError, QueryTimeout
from docstore.http.page.guard import wants_json
from docstore.http.page.listing import patience
from docstore.http.page.question import term_for
from docstore.http.page.rendering import html_page
from docstore.query.fields import STATUSES
from docstore.store import Store

__all__ = [
    "Bar",
    "Columns",
    "SlowQueries",
    "bars",
    "columns",
    "store_page",
]

# The plot in pixels, and between two of its bars.
WIDTH, HEIGHT = 960, 120
_GAP = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its count, and the bar's length in percent of the longest."""

    name: str
    count: int
    term: str
    percent: float


@dataclass(frozen=True, slots=True)
class Columns:
    """Stacked columns.

    Attributes:
        width, height: of the drawing.
        names: of the parts that are stacked.
        rectangles: name of the part, x, y, width, height, and what it says.
        first, last: what the first and the last column are.
        most: the count of the highest.
        rows: label of each column and its counts, for those who do not see the drawing.
    """

    width: int
    height: int
    names: Sequence[str]
    rectangles: list[tuple[str, float, float, float, float, str]]
    first: str
    last: str
    most: int
    rows: list[tuple[str, Sequence[int]]]


def bars(values: Sequence[tuple[str, int, str]]) -> list[Bar]:
    """Return bars for names, counts and the terms that ask for them."""
    most = max((count for _, count, _ in values), default=1)
    return [Bar(name, count, term, round(100 * count / most, 1)) for name, count, term in values]


def columns(labels: Sequence[str], names: Sequence[str], counted: Sequence[Sequence[int]]) -> Columns:
    """Return the rectangles of stacked columns, one for each label."""
    most = max(map(sum, counted), default=0) or 1
    step = WIDTH / max(len(labels), 16)
    rectangles = []
    for place, (label, row) in enumerate(zip(labels, counted, strict=True)):
        top = float(HEIGHT)
        for name, count in zip(names, row, strict=True):
            if count:
                height = max(count / most * HEIGHT, 1.0)
                top -= height
                said = f"{label}: {count:,} {name}"
                rectangles.append((name, round(place * step, 1), round(top, 1), round(step - _GAP, 1),
                                   round(height, 1), said))  # fmt: skip
    return Columns(
        WIDTH, HEIGHT, names, rectangles, labels[0], labels[-1], most,
        [(label, row) for label, row in zip(labels, counted, strict=True) if any(row)],
    )  # fmt: skip


# The page is shown after so many seconds, whatever was counted by then.
_BUDGET_SECONDS = 0.6
# The last changes that the page lists.
_MOST_SHOWN = 50
_SIZES = (
    (0, "empty"), (1, "under 10 kB"), (10_000, "10–100 kB"), (100_000, "0.1–1 MB"), (1_000_000, "1–10 MB"),
    (10_000_000, "10–100 MB"), (100_000_000, "over 100 MB"),
)  # fmt: skip
# Columns of the plot over time.
_PARTS = 28


class SlowQueries:
    """The latest slow queries of this process, as the library logs them."""

    def __init__(self) -> None:
        self.seen: deque[tuple[datetime, str]] = deque(maxlen=_MOST_SHOWN)

    def listen(self) -> None:
        """Begin to listen, for as long as this object lives."""
        note = WeakMethod(self._note)

        class Listener(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if (call := note()) is not None:
                    call(record)
                else:
                    logger.removeHandler(self)

        logger = logging.getLogger("docstore.query")
        logger.addHandler(Listener(logging.WARNING))

    def _note(self, record: logging.LogRecord) -> None:
        text = re.sub(r"^slow query: ", "", record.getMessage())
        self.seen.appendleft((datetime.fromtimestamp(record.created, UTC), text))


class _Counting:
    """Counts of one page, within a time together; one that is not done by then is ``None``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ends = time.monotonic() + patience(store, _BUDGET_SECONDS)

    @property
    def _seconds(self) -> float:
        return max(self._ends - time.monotonic(), 0.02)

    def count(self, filter: dict[str, Any]) -> int | None:
        try:
            return self._store.documents.count(filter, timeout=self._seconds, latest_only=False)
        except QueryTimeout:
            return None

    def by(self, field: str, filter: dict[str, Any] | None = None, limit: int = 12) -> list[tuple[Any, int]]:
        try:
            found = self._store.documents.count_by(
                field, filter, limit=limit, timeout=self._seconds, latest_only=False
            )
        except QueryTimeout:
            return []
        return [(value, count) for value, count in found.items() if value is not None]


def store_page(request: Request) -> Response:
    """Show what is in the store, and how it is."""
    store: Store = request.state.docstore.store
    settings, visitor = request.app.state.page, request.scope["docstore.visitor"]
    if wants_json(request):
        return JSONResponse(_plain(store.stats()))
    report = problem = None
    tables: Mapping[str, int] = {}
    if request.query_params.get("check") == "size":
        settings.expensive.spend(visitor.name)
        try:
            report = store.check("size")
            tables = store.stats(sizes=True).sizes
        except DocstoreError as error:
            problem = error.message
    counting = _Counting(store)
    statuses = {status: counting.count({"status": status}) for status in STATUSES}
    types = [(value, count, {"file_type": value}) for value, count in counting.by("file_type")]
    over_time = _over_time(store, counting, statuses)
    with store._context.read() as reader:
        held = maintenance.held_documents(reader, store._scope)
    return html_page(
        request, "store.html", statuses=statuses, over_time=over_time, types=_linked(types),
        sizes=_sizes(counting), failures=counting.by("error", {"status": "failed"}),
        term=term_for, report=report, problem=problem, held=held, tables=tables,
        slow=list(settings.slow.seen) if visitor.sees_all else None, blobs=settings.blobs,
        indexes=store.indexes() if visitor.sees_all else [],
        advice=store.advise() if visitor.sees_all else [],
    )  # fmt: skip


def _linked(values: Sequence[tuple[str, int, dict[str, Any]]]) -> list[Bar]:
    return bars([(name, count, term_for(*next(iter(filter.items())))) for name, count, filter in values])


def _sizes(counting: _Counting) -> list[Bar]:
    """Return how many documents have how many bytes."""
    made = []
    for (least, name), beyond in zip(_SIZES, (*_SIZES[1:], None), strict=True):
        within = {"$gte": least} if beyond is None else {"$gte": least, "$lt": beyond[0]}
        term = f"size>={least}" if beyond is None else f"size>={least} size<{beyond[0]}"
        if count := counting.count({"size": within}):
            made.append((name, count, term))
    return bars(made)


def _over_time(store: Store, counting: _Counting, there: Mapping[str, int | None]) -> Columns | None:
    """Return documents by time added and status; None if that takes too long, or there are none.

    Args:
        store: the store.
        counting: counts of it.
        there: how many documents have each status: what none has is not counted.
    """
    try:
        bounds = store.documents.bounds("created_at", latest_only=False, timeout=counting._seconds)
    except QueryTimeout:
        return None
    if bounds is None:
        return None
    first, last = bounds
    width = _width((last - first) / _PARTS)
    start = datetime.fromtimestamp(first.timestamp() // width.total_seconds() * width.total_seconds(), UTC)
    starts = [start + width * place for place in range(int((last - start) / width) + 1)]
    counted = []
    for begin in starts:
        within = {"$gte": begin, "$lt": begin + width}
        row = [
            counting.count({"status": status, "created_at": within}) if there[status] != 0 else 0
            for status in STATUSES
        ]
        if None in row:
            return None
        counted.append([count or 0 for count in row])
    form = "%Y-%m-%d" if width >= timedelta(days=1) else "%m-%d %H:%M"
    return columns([begin.strftime(form) for begin in starts], STATUSES, counted)


def _width(least: timedelta) -> timedelta:
    """Return a round width of at least this."""
    hours = (1 / 60, 0.25, 1, 6, 24, 72, 168, 336, 730.5, 2191.5, 8766)
    return next((timedelta(hours=h) for h in hours if timedelta(hours=h) >= least), timedelta(hours=87_660))


def _plain(stats: Any) -> dict[str, Any]:
    blobs = {state: {"count": total.count, "bytes": total.bytes} for state, total in stats.blobs.items()}
    names = ("backend", "documents", "latest", "extractions", "statuses", "location", "store_id")
    return {**{name: getattr(stats, name) for name in names}, "blobs": blobs}

"""A backend asked as the core asks it: only for what it judged that it can run, the rest evaluated here.

So the tests of the seam hold for a backend of any capabilities, and still reach what it claims to run itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from docstore.backend import Backend, Query, Reader, Row, Writer
from docstore.query import executor
from docstore.query.expr import Expr, asked_fields
from docstore.query.fields import Collection
from docstore.query.optimizer import normalize
from docstore.query.planner import Plan, make_plan

__all__ = ["Judged", "read_also"]


class Judged:
    """A backend whose readers and writers answer every query, with its own judgements for the rest.

    Args:
        backend: what is asked.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        """Open a block for reading."""
        with self.backend.read(snapshot=snapshot) as reader:
            yield cast(Reader, _Planned(self.backend, reader))

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Open a block for writing."""
        with self.backend.write() as writer:
            yield cast(Writer, _Planned(self.backend, writer))


class _Planned:
    """A reader or writer that plans selects and counts, and is the backend's own in everything else."""

    def __init__(self, backend: Backend, inner: Reader) -> None:
        self._backend = backend
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def select(self, query: Query) -> Sequence[Row]:
        return executor.rows(self._inner, *self._planned(query))

    def count(self, query: Query, at_most: int | None = None) -> int:
        return executor.count(self._inner, *self._planned(query), at_most)

    def _planned(self, query: Query) -> tuple[Plan, Query]:
        """Return the plan and what to fetch for it: what it pushes, and heavy fields for its residual."""
        plan = make_plan(self._backend, query.collection, normalize(query.where), query.order)
        include = query.include | read_also(query.collection, plan.residual)
        return plan, replace(query, where=plan.pushed, include=include)


def read_also(collection: Collection, residual: Expr) -> frozenset[str]:
    """Return the heavy fields that have to be read to evaluate a residual."""
    return frozenset(name for name in asked_fields(residual) if collection.column(name).heavy)

"""Harnesses: how the conformance suite gets at a backend under test."""

from __future__ import annotations

from abc import ABC, abstractmethod

from docstore.backend import Backend

__all__ = ["Harness"]


class Harness(ABC):
    """Makes stores of one backend for the conformance suite.

    A subclass says how in :meth:`open`; it is made without arguments, once a test class. The suite empties a
    store through the backend itself where it needs many in a row, so that opening may be slow.

    Example:
        >>> class MyHarness(Harness):
        ...     def open(self) -> Backend:
        ...         return MyBackend()
        >>> TestConformance = conformance_suite(MyHarness)
    """

    @abstractmethod
    def open(self) -> Backend:
        """Return a backend on a new, empty store."""

    def close(self, backend: Backend) -> None:
        """Close a backend that :meth:`open` returned, and remove its store."""
        backend.close()

    def finish(self) -> None:  # noqa: B027 - most have nothing to release
        """Release what all the stores shared; called once, after the last was closed."""

"""The SQLite backend keeps every promise of the seam, in memory and in a file."""

from pathlib import Path
from tempfile import TemporaryDirectory

from docstore_sqlite import open_backend

from docstore.backend import Backend
from docstore.testing.conformance import Harness, conformance_suite


class InMemory(Harness):
    def open(self) -> Backend:
        return open_backend("sqlite://")


class InFile(Harness):
    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="docstore-conformance-")
        self._opened = 0

    def open(self) -> Backend:
        self._opened += 1
        return open_backend(f"sqlite:///{Path(self._folder.name) / f'{self._opened}.db'}")

    def finish(self) -> None:
        self._folder.cleanup()


TestInMemory = conformance_suite(InMemory, examples=8)
TestInFile = conformance_suite(InFile, examples=3)

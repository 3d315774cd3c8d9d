"""The backend in memory keeps every promise of the seam."""

from docstore_memory import MemoryBackend

from docstore.backend import Backend
from docstore.testing.conformance import Harness, conformance_suite


class MemoryHarness(Harness):
    def open(self) -> Backend:
        return MemoryBackend()


TestMemory = conformance_suite(MemoryHarness, examples=8)

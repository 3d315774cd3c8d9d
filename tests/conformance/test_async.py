"""The suite on the asynchronous shell: every call of the seam a coroutine, over aiosqlite and psycopg's
async side.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from docstore.backend import Backend
from docstore.testing.conformance import Harness, conformance_suite
from docstore.testing.loop_backend import LoopBackend
from docstore.testing.servers import PostgresServer


class Memory(Harness):
    def open(self) -> Backend:
        return LoopBackend("memory://")


class SQLiteInMemory(Harness):
    def open(self) -> Backend:
        return LoopBackend("sqlite://")


class SQLiteInFile(Harness):
    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="docstore-conformance-")
        self._opened = 0

    def open(self) -> Backend:
        self._opened += 1
        return LoopBackend(f"sqlite:///{Path(self._folder.name) / f'{self._opened}.db'}")

    def finish(self) -> None:
        self._folder.cleanup()


class Postgres(Harness):
    def __init__(self) -> None:
        self._server = PostgresServer()

    def open(self) -> Backend:
        return LoopBackend(self._server.create_database())

    def finish(self) -> None:
        self._server.close()


TestMemory = conformance_suite(Memory, examples=3)
TestSQLiteInMemory = conformance_suite(SQLiteInMemory, examples=5)
TestSQLiteInFile = conformance_suite(SQLiteInFile, examples=3)
TestPostgres = conformance_suite(Postgres, examples=3)

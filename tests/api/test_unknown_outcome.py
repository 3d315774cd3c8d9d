"""A connection cut during COMMIT: nobody knows whether it happened; the store looks before it tries again."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
import pytest
from docstore_memory import MemoryBackend
from docstore_postgres.backend import PostgresBackend

import docstore
from docstore.crash_points import hooked
from docstore.errors import BackendError

CUTS = ("before", "after")


class Cut(MemoryBackend):
    """A backend whose next commits are cut: undone (``before``) or done (``after``); who can tell?"""

    cuts: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.cuts = []

    @contextmanager
    def write(self) -> Iterator[Any]:
        cut = self.cuts.pop(0) if self.cuts else ""
        failure = BackendError("the connection was lost", retryable=True, outcome_unknown=True)
        with super().write() as writer:
            yield writer
            if cut == "before":
                raise failure
        if cut == "after":
            raise failure


@pytest.fixture
def backend() -> Cut:
    return Cut()


@pytest.fixture
def store(backend: Cut, tmp_path: Path) -> Iterator[docstore.Store]:
    with docstore.open(backend, blobs=str(tmp_path / "files")) as opened:
        yield opened


CALLS: dict[str, Callable[[docstore.Store, docstore.Document], Any]] = {
    "add": lambda store, old: store.documents.add(filename="new", external_id="a"),
    "add with id": lambda store, old: store.documents.add(filename="new", id="x"),
    "add_many": lambda store, old: store.documents.add_many([{"filename": "new"}, {"external_id": "a"}]),
    "add_many, all new": lambda store, old: store.documents.add_many([{"filename": "new"}] * 20),
    "put_many, all new": lambda store, old: store.documents.put_many([{"id": f"{n}"} for n in range(20)]),
    "update": lambda store, old: store.documents.update(old.id, metadata={"n": 1}, if_revision=1),
    "start": lambda store, old: store.documents.start(old.id),
    "complete": lambda store, old: store.documents.complete(old.id, content="text"),
    "fail": lambda store, old: store.documents.fail(old.id, "why"),
    "delete": lambda store, old: store.documents.delete(old.id),
    "claim": lambda store, old: [claim.document.attempts for claim in store.documents.claim(5)],
    "extract": lambda store, old: store.extractions.add(old.id, {"a": 1}),
}


@pytest.mark.parametrize("cuts", [["before"], ["after"], ["before", "after"], ["before"] * 3])
@pytest.mark.parametrize("name", CALLS)
def test_a_cut_commit_is_done_exactly_once(
    store: docstore.Store, backend: Cut, name: str, cuts: list[str]
) -> None:
    """Whatever became of it, the state is that of one call, and the call returns."""
    with docstore.open("memory://") as straight:
        expected = outcome(straight, name)
    old = store.documents.add(filename="old", external_id="a")
    backend.cuts = list(cuts)
    result = CALLS[name](store, old)
    assert [] == backend.cuts
    assert expected == (shape(result), state(store))


def outcome(store: docstore.Store, name: str) -> Any:
    old = store.documents.add(filename="old", external_id="a")
    return shape(CALLS[name](store, old)), state(store)


def shape(result: Any) -> Any:
    """Return a result without what is made by chance or by the clock."""
    if isinstance(result, docstore.Document):
        return (result.filename, result.version, result.revision, result.status, result.attempts)
    if isinstance(result, docstore.AddResult):
        return (len(result.ids), result.added)
    return type(result) if isinstance(result, docstore.Extraction) else result


def state(store: docstore.Store) -> Any:
    documents = [shape(one) for one in store.documents.iterate(latest_only=False)]
    return documents, [one.results for one in store.extractions.iterate()]


@pytest.mark.parametrize("cut", CUTS)
def test_bytes_of_a_cut_commit_are_live_exactly_once(store: docstore.Store, backend: Cut, cut: str) -> None:
    """The intent commits, then the final transaction is cut; the document and its bytes are there, once."""
    store.documents.add(b"first", id="first")  # its place is entered by a transaction of its own
    backend.cuts = ["", cut]
    made = store.documents.add(b"bytes", external_id="a")
    backend.cuts = ["", cut]
    changed = store.documents.update(made.id, source=b"other")
    assert (2, 2, b"other") == (
        store.documents.count(),
        changed.revision,
        store.documents.read_bytes(made.id),
    )
    with store._context.backend.read() as reader:
        assert ["dead", "live", "live"] == sorted(blob.state for blob in reader.blobs())


@pytest.mark.parametrize("cut", CUTS)
def test_what_cannot_be_recognised_is_told(store: docstore.Store, backend: Cut, cut: str) -> None:
    """Changes of many, and whole transactions, are not repeated: the error says that nobody knows."""
    store.documents.add(metadata={})
    for call in (lambda: store.documents.update_many({}, metadata={"a": 1}), lambda: one_transaction(store)):
        backend.cuts = [cut]
        with pytest.raises(docstore.BackendError) as caught:
            call()
        assert (True, True) == (caught.value.outcome_unknown, caught.value.retryable)


def one_transaction(store: docstore.Store) -> None:
    with store.transaction():
        store.documents.add(metadata={})


def test_a_change_that_was_overwritten_since_is_told(store: docstore.Store, backend: Cut) -> None:
    """If others changed the document after the cut commit, looking cannot tell: nothing is repeated."""
    made = store.documents.add(metadata={})
    raced = [2]

    class Racing(list[str]):
        def pop(self, index: Any = -1) -> str:
            raced[0] -= 1
            if raced[0] == 1:
                return "after"
            if raced[0] == 0:
                backend.cuts = []
                for name in ("theirs", "theirs again"):
                    store.documents.update(made.id, filename=name)
            return ""

    backend.cuts = Racing(["after", ""])
    with pytest.raises(docstore.BackendError) as caught:
        store.documents.update(made.id, filename="mine")
    assert caught.value.outcome_unknown
    assert "theirs again" == store.documents.get(made.id).filename


# -- Postgres --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["P4.1", "D1"])
def test_a_backend_terminated_before_the_commit_is_tried_again(postgres_store_url: str, step: str) -> None:
    """The server ends our connections just before COMMIT: exactly one document, exactly one removal."""
    fired: list[str] = []

    def at(reached: str) -> None:
        if reached == step and not fired:
            fired.append(reached)
            terminate_others(postgres_store_url)

    with docstore.open(postgres_store_url) as store, hooked(at):
        made = store.documents.add(external_id="a")
        store.documents.delete(made.id) if step == "D1" else None
        assert [step] == fired
        assert (0 if step == "D1" else 1) == store.documents.count()


@pytest.mark.parametrize("prepared", [False, True])
def test_connections_whose_end_has_not_arrived_are_tried_and_left(
    postgres_store_url: str, prepared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ended all that wait in the pool, and looking at them did not tell: a write finds one."""
    monkeypatch.setattr("docstore_postgres.connections.has_ended", lambda driver: driver.closed)
    with docstore.open(postgres_store_url) as store:
        backend = store._context.backend
        assert isinstance(backend, PostgresBackend)
        take = backend.read if prepared else backend.engine.connect
        with take(), take(), take():
            pass
        terminate_others(postgres_store_url)
        store.documents.add(filename="a", external_id="b")
        assert 1 == store.documents.count()


def terminate_others(url: str) -> None:
    """End all connections to a database but the one that does it."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


class Proxy:
    """A socket before Postgres' own that can cut a connection at its next COMMIT, or at other bytes."""

    at = b"COMMIT\0"

    def __init__(self, url: str) -> None:
        parsed = urlsplit(url)
        self._target = unquote(parsed.query.removeprefix("host=")) + "/.s.PGSQL.5432"
        self._folder = tempfile.TemporaryDirectory(prefix="docstore-proxy-")
        self.url = f"{parsed.scheme}://{parsed.netloc}{parsed.path}?host={quote(self._folder.name)}"
        self.cut = ""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._folder.name}/.s.PGSQL.5432")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                for args in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pump, args=args, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, from_client: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                cut = self.cut if from_client and self.at in piece else ""
                if cut:
                    self.cut = ""
                    if cut == "after":
                        source.shutdown(socket.SHUT_WR)  # the reply finds nobody
                        target.sendall(piece)
                        threading.Event().wait(0.2)
                    break
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()
        self._folder.cleanup()


@pytest.fixture
def proxy(postgres_store_url: str) -> Iterator[Proxy]:
    made = Proxy(postgres_store_url)
    yield made
    made.close()


@pytest.mark.parametrize("cut", CUTS)
def test_a_dropped_reply_of_postgres_ends_in_one_document(proxy: Proxy, cut: str, tmp_path: Path) -> None:
    """The COMMIT, or its reply, is lost on the way: add, update and delete are done exactly once."""
    with docstore.open(proxy.url, blobs=str(tmp_path / "files")) as store:
        old = store.documents.add(external_id="a")
        proxy.cut = cut
        made = store.documents.add(external_id="a", content="text")
        assert ("", 2, [1, 2]) == (
            proxy.cut,
            made.version,
            [one.version for one in store.documents.versions("a")],
        )
        proxy.cut = cut
        assert (2, {"n": 1}) == (lambda one: (one.revision, one.metadata))(
            store.documents.update(made.id, metadata={"n": 1}, if_revision=1)
        )
        proxy.cut = cut
        store.documents.delete(made.id)
        proxy.cut = cut
        assert [1] == [claim.document.attempts for claim in store.documents.claim(5)]
        assert "" == proxy.cut
        assert [old.id] == [one.id for one in store.documents.iterate(latest_only=False)]
        assert {"processing": 1} == store.documents.count_by("status")


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("named", [False, True])
def test_a_statement_alone_that_is_cut_is_done_once(proxy: Proxy, cut: str, named: bool) -> None:
    """One record goes in one statement without a COMMIT; lost, or its reply lost, it is looked up as well."""
    with docstore.open(proxy.url) as store:
        proxy.at, proxy.cut = b"INSERT INTO", cut
        made = store.documents.add(filename="a", metadata={"n": 1}, id="mine" if named else None)
        assert "" == proxy.cut
        proxy.at, proxy.cut = b"UPDATE ", cut
        assert (2, 1) == (lambda one: (one.revision, one.attempts))(store.documents.start(made.id))
        assert "" == proxy.cut
        assert [(made.id, 2)] == [(one.id, one.revision) for one in store.documents.iterate()]
        assert {"processing": 1} == store.documents.count_by("status")

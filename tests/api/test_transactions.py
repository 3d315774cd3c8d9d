"""store.transaction() and store.join(): several calls, one commit, bytes included."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import docstore
from docstore.maintenance import check, collect


class Undone(Exception):
    """Ends a transaction."""


def objects(tmp_path: Path) -> int:
    """Return how many files the blobs' folder has."""
    return sum(1 for path in (tmp_path / "files").rglob("[!.]*") if path.is_file())


def elsewhere(call: Any) -> Any:
    """Return what a call returns in another thread."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def test_a_transaction_is_kept_together(store: docstore.Store) -> None:
    """Calls inside see what came before them; all of it is there afterwards, bytes too."""
    old = store.documents.add(b"old", external_id="a")
    with store.transaction() as same:
        assert same is store
        new = store.documents.add(b"new", external_id="a")
        store.documents.update(old.id, source=b"older", metadata={"next": new.id})
        store.extractions.add(new.id, {"a": 1})
        [claim] = store.documents.claim(filter={"id": new.id})
        claim.complete(content="text")
        assert (b"new", b"older") == (store.documents.read_bytes(new.id), store.documents.read_bytes(old.id))
        assert 2 == store.documents.count(latest_only=False) == len(store.documents.versions("a"))
    assert (b"new", b"older") == (store.documents.read_bytes(new.id), store.documents.read_bytes(old.id))
    assert ("completed", True, False) == (
        store.documents.get(new.id).status,
        store.documents.get(new.id).is_latest,
        store.documents.get(old.id).is_latest,
    )  # fmt: skip
    assert 1 == store.extractions.count()


def test_a_failed_transaction_leaves_nothing(store: docstore.Store, tmp_path: Path) -> None:
    """Rows, versions, extractions and bytes are as before; the caller's exception arrives unchanged."""
    old = store.documents.add(b"old", external_id="a")
    failure = Undone()
    with pytest.raises(Undone) as caught, store.transaction():  # noqa: PT012
        store.documents.add(b"new", external_id="a")
        store.documents.update(old.id, source=b"older")
        store.documents.delete_many({"external_id": "a"})
        store.documents.add(b"more")
        raise failure
    assert caught.value is failure
    assert [old] == list(store.documents.iterate(latest_only=False))
    assert b"old" == store.documents.read_bytes(old.id)
    collect(store._context.backend, store._context.bytes(), grace=0)
    collect(store._context.backend, store._context.bytes(), grace=0)
    assert 1 == objects(tmp_path)
    assert check(store._context.backend, store._context.bytes(), level="hash").ok


def test_an_exception_of_another_database_is_not_translated(store: docstore.Store) -> None:
    """What the caller's own code raises in the block is the caller's."""
    mine = sa.exc.OperationalError("mine", None, Exception("mine"))
    with pytest.raises(sa.exc.OperationalError) as caught, store.transaction():
        raise mine
    assert caught.value is mine


@pytest.mark.parametrize("url", ["memory", "sqlite-file", "postgres"], indirect=True)
def test_nothing_is_seen_before_the_commit(store: docstore.Store) -> None:
    """Another thread sees the state before, whole; then the state after, whole."""
    old = store.documents.add(b"old")
    with store.transaction():
        store.documents.add(b"new")
        store.documents.update(old.id, filename="changed", source=b"changed")
        assert (1, "", b"old") == elsewhere(
            lambda: (
                store.documents.count(),
                store.documents.get(old.id).filename,
                store.documents.read_bytes(old.id),
            )
        )
    assert 2 == elsewhere(store.documents.count)


def test_a_call_that_fails_within_a_transaction_is_undone_alone(store: docstore.Store) -> None:
    """The block goes on as if the call had not been made."""
    store.documents.add(b"x", id="taken")
    with store.transaction():
        store.documents.add(id="before", external_id="a")
        with pytest.raises(docstore.AlreadyExists):
            store.documents.add_many(
                [{"id": "beside", "external_id": "a"}, {"id": "taken", "source": b"other"}]
            )
        with pytest.raises(docstore.NotFound):
            store.documents.delete("none")
        with pytest.raises(docstore.InvalidDocument):
            store.documents.update_many({}, metadata={"big": "x" * 2_000_000})
        store.documents.add(id="after", external_id="a")
    assert ["before", "after"] == [one.id for one in store.documents.versions("a")]
    assert 3 == store.documents.count({"revision": 1}, latest_only=False)


def test_a_transaction_within_a_transaction_takes_part_in_it(store: docstore.Store) -> None:
    """The inner is undone alone if it fails and the outer goes on; with the outer it is undone always."""
    with store.transaction():
        store.documents.add(id="a")
        with pytest.raises(Undone), store.transaction():  # noqa: PT012
            store.documents.add(id="b")
            raise Undone
        with store.transaction():
            store.documents.add(id="c")
    assert ["a", "c"] == [one.id for one in store.documents.iterate()]
    with pytest.raises(Undone), store.transaction():  # noqa: PT012
        with store.transaction():
            store.documents.add(id="d")
        raise Undone
    assert ["a", "c"] == [one.id for one in store.documents.iterate()]


def test_a_view_takes_part_in_its_stores_transaction(store: docstore.Store) -> None:
    """And the other way round."""
    view = store.scoped(tenant="t")
    with pytest.raises(Undone), view.transaction():  # noqa: PT012
        store.documents.add(id="a")
        view.documents.add(id="b")
        raise Undone
    assert 0 == store.documents.count()


def test_bytes_that_fail_within_a_transaction_leave_it_usable(store: docstore.Store, tmp_path: Path) -> None:
    """A source that lies about its size is refused; the rest is committed; nothing of it stays."""
    with store.transaction():
        with pytest.raises(docstore.SizeMismatch):
            store.documents.add(b"abc", size=5)
        made = store.documents.add(b"fine")
    assert [made.id] == [one.id for one in store.documents.iterate()]
    collect(store._context.backend, store._context.bytes(), grace=0)
    collect(store._context.backend, store._context.bytes(), grace=0)
    assert 1 == objects(tmp_path)
    assert check(store._context.backend, store._context.bytes(), level="hash").ok


# -- joining ---------------------------------------------------------------------------------------


@pytest.fixture
def engine(shared_url: str) -> Any:
    """The application's own engine on the same database, with a table of its own."""
    url = sa.make_url(shared_url)
    made = sa.create_engine(
        url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url
    )
    with made.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE invoice (id varchar(50) PRIMARY KEY)")
    yield made
    made.dispose()


def insert(connection: sa.Connection, id: str) -> None:
    connection.execute(sa.text("INSERT INTO invoice VALUES (:id)"), {"id": id})


def test_joined_calls_commit_with_the_applications_rows(
    shared: docstore.Store, engine: sa.Engine, tmp_path: Path
) -> None:
    """Rows of both, in one commit of the application's."""
    with engine.begin() as connection:
        insert(connection, "first")
        with shared.join(connection) as store:
            made = store.documents.add(b"bytes", external_id="a")
            assert b"bytes" == store.documents.read_bytes(made.id)
        insert(connection, made.id)
        assert 0 == elsewhere(shared.documents.count)
    assert b"bytes" == shared.documents.read_bytes(made.id)
    with engine.connect() as connection:
        assert 2 == connection.scalar(sa.text("SELECT count(*) FROM invoice"))
    assert check(shared._context.backend, shared._context.bytes(), level="hash").ok


def test_joined_calls_are_rolled_back_with_the_applications_rows(
    shared: docstore.Store, engine: sa.Engine, tmp_path: Path
) -> None:
    """Nothing of either stays, and the store can be used on."""
    old = shared.documents.add(b"old", external_id="a")
    with pytest.raises(Undone), engine.begin() as connection:  # noqa: PT012
        insert(connection, "first")
        with shared.join(connection):
            shared.documents.add(b"bytes", external_id="a")
            with pytest.raises(docstore.NotFound):
                shared.documents.get("none")
            shared.documents.delete(old.id)
        raise Undone
    assert [old] == list(shared.documents.iterate())
    with engine.connect() as connection:
        assert 0 == connection.scalar(sa.text("SELECT count(*) FROM invoice"))
    shared.documents.add(b"more")
    collect(shared._context.backend, shared._context.bytes(), grace=0)
    collect(shared._context.backend, shared._context.bytes(), grace=0)
    assert 2 == objects(tmp_path)
    assert check(shared._context.backend, shared._context.bytes(), level="hash").ok


def test_memory_has_no_connection_to_join() -> None:
    """BackendError says what to use instead."""
    with (
        docstore.open("memory://") as store,
        pytest.raises(docstore.BackendError, match="transaction"),
        store.join(object()),
    ):
        pass

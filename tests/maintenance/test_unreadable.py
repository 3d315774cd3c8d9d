"""Promise 20: a row that somebody broke by hand is one finding, a named error, and stops nothing else."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

import docstore
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.testing.conformance.rows import keyed

DOCUMENT_FAULTS: list[tuple[str, Any]] = [
    ("metadata", '{"a": '),
    ("metadata", "1],[2"),
    ("metadata", "[1, 2]"),
    ("metadata", ""),
    ("status", "lost"),
    ("status", ""),
    ("file_type", "spreadsheet"),
    ("created_at", 2**62),
    ("created_at", -(2**62)),
    ("updated_at", 253_402_300_800_000_000),
    ("lease_expires_at", 2**62),
]
TYPES: list[tuple[str, Any]] = [
    ("created_at", "yesterday"),
    ("size", "big"),
    ("filename", b"\xff"),
    ("is_latest", "maybe"),
    ("metadata", 5),
    ("revision", 1.5),
]
"""Values of other types, which only SQLite keeps."""
NULLS = ["filename", "metadata", "status", "created_at", "updated_at", "revision"]
EXTRACTION_FAULTS: list[tuple[str, Any]] = [
    ("results", "{"),
    ("results", "3"),
    ("confidence_scores", "nothing"),
    ("metadata", "{"),
    ("status", "?"),
    ("reviewed_at", 2**62),
]


def break_row(store: docstore.Store, url: str, table: str, id: str, column: str, value: Any) -> None:
    """Change a column of a row past the library, as whoever has the database in hand."""
    if url == "memory://":
        collection = DOCUMENTS if table == "document" else EXTRACTIONS
        records = store.documents if table == "document" else store.extractions
        with store._context.backend.write() as writer:
            writer.update(collection, keyed(records.get(id).number), {column: value})
    elif url.startswith("postgres"):
        with psycopg.connect(url, autocommit=True) as connection:
            if value is None:
                connection.execute(f"ALTER TABLE docstore_{table} ALTER {column} DROP NOT NULL".encode())
            update = f"UPDATE docstore_{table} SET {column} = %s WHERE id = %s"
            connection.execute(update.encode(), (value, id))
    else:
        with store._context.backend.checkout() as connection:
            raw: sqlite3.Connection = connection.driver_connection
            if value is None:
                _forget_not_null(raw, table, column)
            raw.execute(f"UPDATE docstore_{table} SET {column} = ? WHERE id = ?", (value, id))
            raw.commit()


def _forget_not_null(raw: sqlite3.Connection, table: str, column: str) -> None:
    """Let a column of a table be NULL."""
    where = ("table", f"docstore_{table}")
    (sql,) = raw.execute("SELECT sql FROM sqlite_master WHERE type = ? AND name = ?", where).fetchone()
    lines = [line.replace(" NOT NULL", "") if f"\t{column} " in line else line for line in sql.split("\n")]
    raw.execute("PRAGMA writable_schema = ON")
    change = "UPDATE sqlite_master SET sql = ? WHERE type = ? AND name = ?"
    raw.execute(change, ("\n".join(lines), *where))
    raw.execute("PRAGMA writable_schema = RESET")


@pytest.fixture
def others(store: docstore.Store) -> list[str]:
    """Three documents and their extractions; the ids of those that are not broken."""
    for n, id in enumerate(("a", "broken", "z")):
        store.documents.add(id=id, filename=f"{id}.txt", metadata={"n": n, "t": ["x"]}, external_id=f"e{n}")
        store.extractions.add(id, {"n": n}, id=f"x-{id}", confidence_scores={"f": 1.0})
    return ["a", "z"]


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Any:
    """Return, and forget, the warnings of the log."""

    def taken() -> list[str]:
        found = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        caplog.clear()
        return found

    return taken


def ids(found: Any) -> list[str]:
    return sorted(record.id for record in found)


def check_documents(store: docstore.Store, others: list[str], column: str, warnings: Any) -> None:
    """Look at a store whose document ``broken`` cannot be read."""
    with pytest.raises(docstore.BackendError, match="'broken'") as caught:
        store.documents.get("broken")
    assert isinstance(caught.value, docstore.UnreadableRecord)
    assert ("broken", True) == (caught.value.id, column in caught.value.reason)
    warnings()
    for sort in ("number", "-created_at", "metadata.n", ["-metadata.n", "filename"]):
        assert others == ids(store.documents.find(sort=sort, latest_only=False))
        [warning] = warnings()
        assert "broken" in warning
        assert others == ids(store.documents.iterate(sort=sort, latest_only=False, batch_size=1))
        assert 1 == len(warnings())
    assert others == ids(store.documents.find(search="txt", sort="-score"))
    assert others == ids(store.documents.iterate(search="txt", sort="-score", batch_size=1))
    warnings()
    walked, cursor = [], None
    while True:
        page = store.documents.find(sort="number", limit=1, cursor=cursor, latest_only=False)
        walked += ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert others == walked
    assert others == ids(store.documents.find({"metadata.t": "x", "metadata.n": {"$in": [0, 2]}}))
    assert others == ids(store.documents.find({"metadata.n": {"$gte": 0}}, search="txt"))
    assert others == ids(store.documents.get_many(["a", "broken", "z"]))
    assert [] == store.documents.versions("e1")
    with pytest.raises(docstore.UnreadableRecord):
        store.documents.update("broken", metadata={"x": 1})
    store.documents.update_many({"metadata.t": "x"}, metadata={"seen": True})
    assert others == ids(store.documents.find({"metadata.seen": True}))
    claimed = [claim.document.id for claim in store.documents.claim(3)]
    assert others == claimed
    warnings()
    report = store.check()
    assert [("unreadable", "broken")] == [(one.kind, one.document_id) for one in report.findings]
    assert column in report.findings[0].detail
    store.documents.add_many([{"metadata": {"n": 3}}] * 20)
    assert 22 == len(list(store.documents.iterate()))


@pytest.mark.parametrize(("column", "value"), DOCUMENT_FAULTS)
def test_a_broken_document_is_found_named_and_left_out(
    store: docstore.Store, url: str, others: list[str], warnings: Any, column: str, value: Any
) -> None:
    """Bad JSON, impossible instants, unknown words: on all backends."""
    break_row(store, url, "document", "broken", column, value)
    if column == "lease_expires_at":  # nobody is shown it; check looks all the same
        assert ["unreadable"] == [one.kind for one in store.check().findings]
        return
    check_documents(store, others, column, warnings)


@pytest.mark.parametrize(("column", "value"), TYPES)
def test_a_value_of_another_type_is_found_too(
    sqlite_url: str, warnings: Any, column: str, value: Any
) -> None:
    """SQLite keeps whatever it is given."""
    with docstore.open(sqlite_url) as store:
        for n, id in enumerate(("a", "broken", "z")):
            metadata = {"n": n, "t": ["x"]}
            store.documents.add(id=id, filename=f"{id}.txt", metadata=metadata, external_id=f"e{n}")
        break_row(store, sqlite_url, "document", "broken", column, value)
        check_documents(store, ["a", "z"], column, warnings)


@pytest.mark.parametrize(
    ("kind", "column"), [*(("sqlite", one) for one in NULLS), *(("postgres", one) for one in NULLS)]
)
def test_nothing_where_something_must_be(
    request: pytest.FixtureRequest, warnings: Any, kind: str, column: str
) -> None:
    """A NULL that the schema no longer forbids."""
    url = request.getfixturevalue(f"{kind}_url")
    with docstore.open(url) as store:
        for n, id in enumerate(("a", "broken", "z")):
            metadata = {"n": n, "t": ["x"]}
            store.documents.add(id=id, filename=f"{id}.txt", metadata=metadata, external_id=f"e{n}")
        break_row(store, url, "document", "broken", column, None)
        check_documents(store, ["a", "z"], column, warnings)


@pytest.mark.parametrize(("column", "value"), EXTRACTION_FAULTS)
def test_a_broken_extraction_is_found_named_and_left_out(
    store: docstore.Store, url: str, others: list[str], warnings: Any, column: str, value: Any
) -> None:
    """The same on extractions; the finding names the document."""
    break_row(store, url, "extraction", "x-broken", column, value)
    with pytest.raises(docstore.BackendError, match="'x-broken'"):
        store.extractions.get("x-broken")
    wanted = [f"x-{id}" for id in others]
    warnings()
    assert wanted == ids(store.extractions.find({"results.n": {"$gte": 0}}) if column != "results"
                         else store.extractions.find())  # fmt: skip
    assert 1 == len(warnings())
    assert wanted == ids(store.extractions.iterate(batch_size=1))
    assert [("unreadable", "broken")] == [(one.kind, one.document_id) for one in store.check().findings]
    assert ["a", "broken", "z"] == ids(store.documents.find())


def test_a_row_that_was_put_right_is_there_again(
    store: docstore.Store, url: str, others: list[str]
) -> None:
    """Nothing is remembered of it; deleting it needs no reading."""
    break_row(store, url, "document", "broken", "metadata", "{")
    assert others == ids(store.documents.find())
    if url != "memory://":
        break_row(store, url, "document", "broken", "metadata", json.dumps({"n": 1, "t": ["x"]}))
        assert ["a", "broken", "z"] == ids(store.documents.find())
        assert store.check().ok
        break_row(store, url, "document", "broken", "metadata", "{")
    store.documents.delete("broken")
    assert store.check().ok
    assert others == ids(store.documents.find())


def test_many_broken_rows_in_a_run_hold_up_no_walk(store: docstore.Store, url: str) -> None:
    """Pages are full, and each of the others is met once, however many stand together."""
    made = store.documents.add_many([{"id": f"d{n:03}", "metadata": {"n": n}} for n in range(300)]).ids
    if url == "memory://":
        with store._context.backend.write() as writer:
            for number in range(6, 290):
                writer.update(DOCUMENTS, keyed(number), {"metadata": "{"})
    else:
        text = "UPDATE docstore_document SET metadata = '{' WHERE number BETWEEN 6 AND 289"
        if url.startswith("postgres"):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(text)
        else:
            with store._context.backend.checkout() as connection:
                connection.driver_connection.execute(text)
                connection.driver_connection.commit()
    left = [*made[:5], *made[289:]]
    for sort in ("number", "created_at", "metadata.n"):
        assert left == [one.id for one in store.documents.iterate(sort=sort, batch_size=10)]
        page = store.documents.find(sort=sort, limit=7)
        assert left[:7] == [one.id for one in page.items]
        following = store.documents.find(sort=sort, limit=7, cursor=page.next_cursor)
        assert left[7:14] == [one.id for one in following.items]
        back = store.documents.find(sort=sort, limit=7, cursor=following.prev_cursor)
        assert left[:7] == [one.id for one in back.items]


def test_an_export_names_the_row(sqlite_url: str, tmp_path: Path) -> None:
    """It does not write what nobody could read again."""
    from docstore.transfer import export_lines

    with docstore.open(sqlite_url) as store, (tmp_path / "out").open("wb") as file:
        store.documents.add(id="broken", metadata={})
        break_row(store, sqlite_url, "document", "broken", "metadata", "{")
        with pytest.raises(docstore.UnreadableRecord, match="broken"):
            export_lines(store, file)

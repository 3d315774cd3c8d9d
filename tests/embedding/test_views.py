"""The views for other tools, and what is derived from the rows: made anew where it is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

import docstore

BEFORE = datetime(1901, 2, 3, 4, 5, 6, 7, tzinfo=UTC)
LATE = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def instant(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def read_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def test_a_view_shows_what_the_record_shows(url: str) -> None:
    """Every field but the content, instants to the microsecond, JSON, and NULL for no tenant."""
    with docstore.open(url) as store:
        added = [
            store.documents.add(
                filename="a",
                content="words",
                metadata={"n": 1, "é": ["x"]},
                created_at=BEFORE,
                expires_at=LATE,
            ),
            store.documents.add(filename="b", tenant="t", owner="o", external_id="e"),
        ]
        store.extractions.add(added[0].id, {"total": 2.5}, confidence_scores={"total": 90.0})
        records: dict[str, list[Any]] = {
            "documents": list(store.documents),
            "extractions": list(store.extractions),
        }
    with connected(url) as connection:
        for name, expected in records.items():
            asked = sa.text(f"SELECT * FROM docstore_{name} ORDER BY number")
            rows = connection.execute(asked).mappings().all()
            for row, record in zip(rows, expected, strict=True):
                assert set(row) == set(type(record).model_fields) - {"content", "score", "snippet"}
                for field, value in record.model_dump().items():
                    if field in row:
                        shown = row[field]
                        if isinstance(value, datetime):
                            shown = instant(shown)
                        elif isinstance(value, dict):
                            shown = read_json(shown)
                        assert shown == value, field


def test_a_view_cannot_be_written_to(url: str) -> None:
    """The tables are the store's alone."""
    with docstore.open(url) as store:
        store.documents.add(filename="a")
    with connected(url) as connection, pytest.raises(sa.exc.DBAPIError, match=r"view|modify"):
        connection.execute(sa.text("UPDATE docstore_documents SET filename = 'b'"))


def test_postgres_looks_into_a_view_by_the_tables_indexes(postgres_url: str) -> None:
    """A condition on a view is one on the table."""
    docstore.open(postgres_url).close()
    with connected(postgres_url) as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        for condition in ("id = 'x'", "metadata @> '{\"n\": 1}'"):
            plan = connection.execute(sa.text(f"EXPLAIN SELECT id FROM docstore_documents WHERE {condition}"))
            assert "Index" in "".join(line for (line,) in plan)


def fill(url: str, many: int) -> Callable[[], dict[str, Any]]:
    with docstore.open(url) as store:
        store.documents.add_many(
            {
                "filename": f"f{n}.txt",
                "content": f"word{n}x all",
                "metadata": {"n": n, "kind": "usual" if n else "rare"},
            }
            for n in range(many)
        )
        store.documents.delete_many({"metadata.n": {"$lt": 10}})
        store.documents.add(filename="odd", metadata={"kind": "odd"})

    def answers() -> dict[str, Any]:
        with docstore.open(url) as store:
            assert store.check().ok
            documents = store.documents
            return {
                "n": documents.count({"metadata.n": {"$gte": 70}}),
                "unusual": documents.count({"metadata.kind": {"$ne": "usual"}}),
                "search": documents.count(search="word77x"),
                "name": documents.count({"filename": {"$isubstring": "F77."}}),
                "status": documents.count_by("status"),
                "total": documents.find(total=True, limit=1).total,
            }

    return answers


SQLITE = [
    ["TABLE docstore_posting"],
    ["TABLE docstore_document_change", "TABLE docstore_extraction_change"],
    ["TABLE docstore_text"],
    ["TABLE docstore_text_data", "TABLE docstore_text_idx"],
    ["TABLE docstore_text_config"],
    ["TABLE docstore_tally"],
    ["INDEX docstore_document_created", "INDEX docstore_document_owner", "VIEW docstore_documents"],
]
POSTGRES = [
    ["TABLE docstore_tally"],
    ["TABLE docstore_usual"],
    ["INDEX docstore_document_names", "INDEX docstore_content_terms", "INDEX docstore_document_words"],
    ["SEQUENCE docstore_clock", "SEQUENCE docstore_clock_wall", "VIEW docstore_extractions"],
    ["FUNCTION docstore_order CASCADE", "FUNCTION docstore_sort CASCADE"],
]


@pytest.mark.parametrize("dropped", SQLITE, ids=lambda dropped: dropped[0].split("_", 1)[1])
def test_what_sqlite_lacks_is_made_anew(sqlite_url: str, dropped: list[str]) -> None:
    """A store whose derived tables were dropped answers as before once it is opened again."""
    assert_made_anew(sqlite_url, dropped)


@pytest.mark.parametrize("dropped", POSTGRES, ids=lambda dropped: dropped[0].split("_", 1)[1])
def test_what_postgres_lacks_is_made_anew(postgres_url: str, dropped: list[str]) -> None:
    """A store whose derived tables were dropped answers as before once it is opened again."""
    assert_made_anew(postgres_url, dropped)


def assert_made_anew(url: str, dropped: list[str]) -> None:
    many = 1_100 if "usual" in dropped[0] else 100
    answers = fill(url, many)
    expected = answers()
    names = ("n", "unusual", "search", "name", "total")
    assert (many - 70, 1, 1, 1, many - 9) == tuple(expected[name] for name in names)
    with connected(url) as connection:
        if many > 100:
            assert connection.execute(sa.text("SELECT count(*) FROM docstore_usual")).scalar()
        for one in dropped:
            connection.execute(sa.text(f"DROP {one}"))
    assert answers() == expected
    with connected(url) as connection:
        inspector = sa.inspect(connection)
        assert set(inspector.get_view_names()) == {"docstore_documents", "docstore_extractions"}


def test_a_reader_says_what_is_missing(sqlite_url: str) -> None:
    """Opened to read alone, a store without its index says so at once; one without a view reads."""
    docstore.open(sqlite_url).close()
    with connected(sqlite_url) as connection:
        connection.execute(sa.text("DROP VIEW docstore_documents"))
    with docstore.open(sqlite_url, read_only=True) as store:
        assert 0 == store.documents.count({"metadata.n": 1})
    with connected(sqlite_url) as connection:
        connection.execute(sa.text("DROP TABLE docstore_posting"))
    with pytest.raises(docstore.BackendError, match=r"lacks docstore_documents, docstore_posting"):
        docstore.open(sqlite_url, read_only=True)


def test_lost_data_is_not_made_anew(url: str) -> None:
    """A table whose rows nothing else holds is missed by name, not made empty."""
    docstore.open(url).close()
    with connected(url) as connection:
        if "postgres" in url:
            connection.execute(sa.text("DROP TABLE docstore_content CASCADE"))
        else:
            connection.execute(sa.text("DROP TABLE docstore_content"))
    with pytest.raises(docstore.BackendError, match=r"lacks the table docstore_content"):
        docstore.open(url)

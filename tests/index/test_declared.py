"""Declared indexes: made, listed, dropped, and used by the database as its own plan says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import docstore
from docstore.errors import InvalidSort


@pytest.fixture
def store(tmp_path: Path) -> Iterator[docstore.Store]:
    """Return a store in SQLite with a few documents."""
    with docstore.open(f"sqlite:///{tmp_path}/store.db") as opened:
        for n in range(40):
            opened.documents.add(
                filename=f"{n}.txt",
                owner=f"o{n % 3}",
                metadata={"rank": n * 7 % 11, "tags": [n % 5, "x"]},
                created_at=None,
            )
        yield opened


@pytest.mark.parametrize(
    ("fields", "filter", "sort"),
    [
        (("metadata.rank",), {}, "metadata.rank"),
        (("metadata.rank",), {}, "-metadata.rank"),
        (("-metadata.tags",), {}, "-metadata.tags"),
        (("metadata.tags",), {}, ["metadata.tags"]),
        (("metadata.rank", "-created_at"), {}, ["metadata.rank", "-created_at"]),
        (("owner", "-updated_at"), {"owner": "o1"}, "-updated_at"),
        (("owner", "status", "-updated_at"), {"owner": "o1", "status": "pending"}, "-updated_at"),
    ],
)
def test_the_database_uses_a_declared_index(
    store: docstore.Store, fields: tuple[str, ...], filter: dict[str, str], sort: str | list[str]
) -> None:
    """EXPLAIN QUERY PLAN names the index for a query it was declared for, and the page is what it was
    without.
    """
    before = [doc.id for doc in store.documents.find(filter, sort=sort)]
    turned = isinstance(sort, str) and sort == "-metadata.rank"
    assert store.create_index(*fields)
    plan = store.documents.explain(filter, sort=sort).database_plan or ""
    found = [doc.id for doc in store.documents.find(filter, sort=sort)]
    assert before == found
    if turned:  # another key: an array would stand for its largest element
        assert "declared" not in plan
    else:
        assert "declared" in plan
        assert "TEMP B-TREE" not in plan


def test_indexes_are_listed_and_dropped(store: docstore.Store) -> None:
    """An index is made once, listed in the words it was made with, and dropped once."""
    assert store.create_index("metadata.rank", "-created_at")
    assert not store.create_index("metadata.rank", "-created_at")
    assert store.create_index("-metadata.tags")
    assert [("metadata.rank", "-created_at"), ("-metadata.tags",)] == store.indexes()
    assert store.drop_index("metadata.rank", "-created_at")
    assert not store.drop_index("metadata.rank", "-created_at")
    assert [("-metadata.tags",)] == store.indexes()


def test_a_declared_index_outlives_the_store(tmp_path: Path) -> None:
    """A store opened again knows the indexes of the database."""
    url = f"sqlite:///{tmp_path}/store.db"
    with docstore.open(url) as store:
        store.create_index('metadata.it\'s "odd".x')
        store.documents.add(filename="a", metadata={'it\'s "odd"': {"x": 1}})
    with docstore.open(url) as store:
        assert [('metadata.it\'s "odd".x',)] == store.indexes()
        assert "declared" in (store.documents.explain(sort='metadata.it\'s "odd".x').database_plan or "")


def test_advice_names_the_order_that_was_sorted_by_hand(store: docstore.Store) -> None:
    """A sort by a metadata path is advised an index, until it has one."""
    assert [] == store.advise()
    for _ in range(3):
        store.documents.find(sort="metadata.rank")
    (advice,) = store.advise()
    assert (("metadata.rank",), 3) == (advice.fields, advice.queries)
    assert advice.seconds > 0
    store.create_index(*advice.fields)
    store.documents.find(sort="metadata.rank")
    assert [3] == [one.queries for one in store.advise()]


@pytest.mark.parametrize("fields", [(), ("nothing",), ("content",), (7,)])
def test_an_index_is_over_what_can_be_sorted_by(store: docstore.Store, fields: tuple[str, ...]) -> None:
    """Other fields are InvalidSort, as in a sort."""
    with pytest.raises(InvalidSort):
        store.create_index(*fields)


def test_memory_lists_declared_indexes(store: docstore.Store) -> None:
    """In memory everything is indexed; what is declared is listed all the same."""
    with docstore.open("memory://") as memory:
        assert memory.create_index("metadata.rank")
        assert [("metadata.rank",)] == memory.indexes()
        assert memory.drop_index("metadata.rank")
        assert [] == memory.indexes()

"""Probes: a value that was not asked of its path before is looked for as the last one was."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from docstore_postgres import planner, session

import docstore
from tests.kit.statements import Statements, record_statements


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """The statements of all sessions."""
    return record_statements(monkeypatch)


@pytest.fixture
def store(
    postgres_store_url: str, noted: Statements, monkeypatch: pytest.MonkeyPatch
) -> Iterator[docstore.Store]:
    """600 documents: the name ``common`` in all of the older half, each other name once."""
    monkeypatch.setattr(session, "_PROBED_ROWS", 10)
    with docstore.open(postgres_store_url, blobs="memory://") as opened:
        opened.documents.add_many(
            {"filename": f"{n}.txt", "metadata": {"name": "common" if n < 300 else f"n{n}", "n": n}}
            for n in range(600)
        )
        yield opened


def _names(store: docstore.Store, name: str, **more: object) -> list[str]:
    found = store.documents.find({"metadata.name": name, **more}, limit=3, sort=["-number"])
    return [item.filename for item in found.items]


def test_a_rare_value_is_found_by_one_statement(store: docstore.Store, noted: Statements) -> None:
    """Where the last value asked of a path was rare, the next goes to the index at once."""
    assert ["310.txt"] == _names(store, "n310")
    noted.clear()
    assert ["311.txt"] == _names(store, "n311")
    assert [] == _names(store, "nobody")
    assert 2 == len([text for text, _ in noted if "docstore_document" in text])


def test_a_frequent_value_among_rare_ones_is_found(store: docstore.Store) -> None:
    """Where the index finds more rows than a probe reads, the order is scanned: the page is the newest."""
    assert ["310.txt"] == _names(store, "n310")
    assert ["299.txt", "298.txt", "297.txt"] == _names(store, "common")


def test_what_else_is_asked_is_tested_behind_a_probe(store: docstore.Store) -> None:
    """Conditions that the index does not find leave out rows of a probe, and rows on no page are no rows."""
    assert ["310.txt"] == _names(store, "n310", is_latest=True)
    assert ["312.txt"] == _names(store, "n312", is_latest=True)
    assert [] == _names(store, "n313", is_latest=False)
    assert [] == _names(store, "n314", is_latest=False)


def test_no_more_probes_are_remembered_than_at_most() -> None:
    """Whichever way conditions are learnt, those learnt longest ago are forgotten."""
    known = planner.Selectivities()
    for n in range(2 * planner._REMEMBERED):
        known.remember_probe(n, ("alike", n), 0.0)
        known.note_overflow(("too many", n))
    assert planner._REMEMBERED == len(known._ways)
    assert known.is_known(2 * planner._REMEMBERED - 1)
    assert not known.is_known(0)


def test_no_probe_follows_one_that_found_too_much(store: docstore.Store, noted: Statements) -> None:
    """Where an index finds many rows of which few are asked for, the next value does not probe it again."""
    assert [] == _names(store, "common", **{"metadata.n": {"$gt": 400}})
    assert [] == _names(store, "common", **{"metadata.n": {"$gt": 401}})
    assert 1 == len([text for text, _ in noted if "MATERIALIZED" in text])
    noted.clear()
    assert [] == _names(store, "common", **{"metadata.n": {"$gt": 402}})
    assert [] == [text for text, _ in noted if "MATERIALIZED" in text]
    assert ["450.txt"] == _names(store, "n450", **{"metadata.n": {"$gt": 403}})


def test_a_rare_word_after_common_ones_reads_few_contents(postgres_url: str, noted: Statements) -> None:
    """To look into a content takes long: a word is tried on few rows, even if others were frequent."""
    with docstore.open(postgres_url, blobs="memory://") as opened:
        opened.documents.add_many(
            {"filename": f"{n}.txt", "content": f"common words of {n} and rare{n}"} for n in range(2_000)
        )
        for word in ("common", "words", "and"):
            assert 10 == len(opened.documents.find(search=word, limit=10).items)
        noted.clear()
        assert ["7.txt"] == [one.filename for one in opened.documents.find(search='"7 and rare7"', limit=10)]
        bounds = [
            int(found) for text, _ in noted for found in re.findall(r"number DESC LIMIT (\d+)\) AS d", text)
        ]
    assert len(bounds) == 1
    assert bounds[0] <= 64

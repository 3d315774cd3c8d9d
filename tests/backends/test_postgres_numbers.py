"""Ranges of numbers in the metadata on Postgres, nothing declared: right, used, kept with the rows."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from docstore_postgres import session, statements
from docstore_postgres.jsonpath import value_terms
from docstore_postgres.term_index import term_query
from pydantic_core import from_json

import docstore
from docstore.query import evaluator
from docstore.query.expr import Compare
from docstore.query.fields import DOCUMENTS
from docstore.query.parser import parse
from docstore.query.planner import normalize
from docstore.query.values import canonical_json

EDGES: list[float] = [
    0, -0.0, 1, -1, 0.5, 0.1, 5e-324, -5e-324, 1.7e308, -1.7e308, 2**53, 2**53 + 1, 2**62, -(2**62),
    2**62 + 1, 1e16, 1e-7, 9, 10, 11, 4095.999, 4096, 255, 256,
]  # fmt: skip
FOUR = {"a": 1, "b": [2.5, "x", [3]], "c": {"d": -7, "e": True}}


def words_of(value: Any) -> set[str]:
    """Return the words for the numbers in an object."""
    return set(value_terms(from_json(canonical_json(value)))[0])


def is_found(words: set[str], value: float, op: Any, key: str = "n") -> bool:
    """Tell whether a word begins as one does that is looked for."""
    found = term_query(Compare(("metadata", key), op, value))
    assert found is not None
    (query,) = found.values
    starts = [word.removesuffix(":*") for word in query.split(" | ") if word.endswith(":*")]
    return bool(words & set(query.split(" | "))) or any(word.startswith(tuple(starts)) for word in words)


@pytest.mark.parametrize("bound", EDGES)
def test_no_number_in_a_range_is_missed(bound: float) -> None:
    """Whatever compares so has a word that is looked for, at the edges of doubles and whole numbers too."""
    chance = random.Random(7)
    values = [*EDGES, *(chance.uniform(-1, 1) * 10.0 ** chance.randint(-20, 20) for _ in range(200))]
    for value in values:
        words = words_of({"n": value})
        for op, holds in (("gte", value >= bound), ("gt", value > bound), ("lt", value < bound)):
            assert is_found(words, bound, op) or not holds


def test_no_path_is_missed_whatever_its_hash() -> None:
    """A path's prefix may end in any hexadecimal digit, in the mark of instants, too."""
    for key in (f"key{n}" for n in range(200)):
        assert is_found(words_of({key: 7}), 5, "gte", key), key
        assert not is_found(words_of({key: 7}), 5, "lt", key), key


def test_a_narrow_range_leaves_most_out() -> None:
    """Of a thousand numbers a hundredth of their span finds little more than its own."""
    query = sought_by({"$and": [{"metadata.n": {"$gte": 500}}, {"metadata.n": {"$lt": 510}}]})
    starts = tuple(word.removesuffix(":*") for word in query.split(" | "))
    found = [n for n in range(1_000) if any(word.startswith(starts) for word in words_of({"n": n}))]
    assert set(range(500, 510)) <= set(found)
    assert 12 >= len(found)


def sought_by(filter: dict[str, Any]) -> str:
    """Return the words that are looked for in the index."""
    found = term_query(normalize(parse(filter, DOCUMENTS)))
    assert found is not None
    return str(found.values[0])


def test_words_of_one_of_several_and_of_too_many() -> None:
    """One number is a word; several are words and a mark; too many the marks alone, or one for them all."""
    assert 5 == len(words_of(FOUR))
    assert ["s"] == [word[5:] for word in words_of(FOUR) if re.fullmatch("[0-9a-f]{5}s", word)]
    assert {"s", "t"} == {word[5:] for word in words_of({"v": list(range(9))})}
    assert {"u"} == words_of({str(n): n for n in range(300)})
    assert set() == words_of({"a": "1", "b": [True, None]})


@pytest.fixture(scope="module")
def store(postgres_server: Any) -> Iterator[docstore.Store]:
    """Documents with numbers in all places, ``plain`` one value each."""
    url = postgres_server.create_database()
    chance = random.Random(11)
    with docstore.open(url) as opened:
        opened.documents.add_many(
            {"filename": f"{n}", "metadata": {"plain": n / 7, **_numbers(chance)}} for n in range(600)
        )
        with opened._context.backend.checkout() as connection:
            connection.cursor().execute("ANALYZE")
        yield opened
    postgres_server.drop_database(url)


def _numbers(chance: random.Random) -> dict[str, Any]:
    some = [chance.choice([chance.randint(-20, 20), chance.random(), "7", None, [3, 4]]) for _ in range(3)]
    return chance.choice(
        [
            {"v": some[0], "w": {"x": some[1]}},
            {"v": some, "w": [{"x": some[0]}, {"x": some[1]}, some[2]]},
            {"v": list(range(chance.randint(0, 12))), "w": {"x": some}},
            {"v": {str(n): n for n in range(270)}} if chance.random() < 0.02 else {},
        ]
    )


def _filter(chance: random.Random) -> dict[str, Any]:
    def bounds() -> dict[str, Any]:
        low = chance.choice([chance.randint(-20, 20), chance.random(), 3, 7])
        one = {chance.choice(["$gte", "$gt"]): low}
        other = {chance.choice(["$lte", "$lt"]): low + chance.random()}
        return chance.choice([one, other, {**one, **other}, {"$elemMatch": {**one, **other}}])

    path = chance.choice(["metadata.v", "metadata.w.x", "metadata.plain", "metadata.v.3"])
    terms = [{path: bounds()}, {chance.choice(["metadata.v", "metadata.w.x"]): bounds()}]
    return chance.choice(
        [terms[0], {"$and": terms}, {"$or": terms}, {"metadata.w": {"$elemMatch": {"x": bounds()}}}]
    )


def test_answers_are_the_evaluators(store: docstore.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays, several numbers and too many of them: what is found by the index is what matches."""
    ways: list[str] = []
    finding = statements.PageStatements.finding

    def noted(self: statements.PageStatements, way: statements.AccessPath) -> Any:
        ways.append(way)
        return finding(self, way)

    monkeypatch.setattr(statements.PageStatements, "finding", noted)
    monkeypatch.setattr(session, "scan_limit", lambda wanted, rows: 1)
    monkeypatch.setattr(session, "_most", lambda condition, rows: rows)
    everything = [(one.id, one.metadata) for one in store.documents.iterate()]
    chance = random.Random(13)
    for _ in range(100):
        asked = _filter(chance)
        is_match = evaluator.compile(normalize(parse(asked, DOCUMENTS)))
        expected = {id for id, metadata in everything if is_match({"metadata": metadata})}
        page = store.documents.find(asked, limit=1_000, total=True)
        assert (asked, min(len(expected), 1_000)) == (asked, len(page.items))
        assert (asked, len(expected)) == (asked, page.total)
        assert {one.id for one in page.items} <= expected
    assert 60 < ways.count("terms")


def _instant(chance: random.Random) -> str:
    """Return an instant of a few days in one of the forms of rule 4, or a text that is none."""
    hour = chance.randint(0, 23)
    day = f"2024-0{chance.randint(2, 3)}-0{chance.randint(1, 3)}"
    return chance.choice(
        [
            day,
            f"{day}T{hour:02d}:30:00Z",
            f"{day} {hour:02d}:00+05:30",
            f"{day}T{hour:02d}:15:59.5-0200",
            "soon",
        ]
    )


def test_answers_about_instants_are_the_evaluators(
    postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every form of rule 4, in arrays and in objects in them, bounds met by two of them."""
    monkeypatch.setattr(session, "scan_limit", lambda wanted, rows: 1)
    monkeypatch.setattr(session, "_most", lambda condition, rows: rows)
    chance, ways = random.Random(5), list[str]()
    finding = statements.PageStatements.finding

    def noted(self: statements.PageStatements, way: statements.AccessPath) -> Any:
        ways.append(way)
        return finding(self, way)

    monkeypatch.setattr(statements.PageStatements, "finding", noted)
    records = [
        {"v": chance.choice([_instant(chance), [_instant(chance) for _ in range(chance.randint(0, 12))]]),
         "w": [{"x": _instant(chance)} for _ in range(chance.randint(0, 2))]}
        for _ in range(150)
    ]  # fmt: skip
    with docstore.open(postgres_store_url) as opened:
        opened.documents.add_many({"metadata": record} for record in records)
        everything = [(one.id, one.metadata) for one in opened.documents.iterate()]
        for _ in range(60):
            low, high = sorted(datetime(2024, 2, chance.randint(1, 28), tzinfo=UTC) for _ in range(2))
            bounds = chance.choice([{"$gte": low}, {"$lt": high}, {"$gt": low, "$lte": high}, {"$eq": low}])
            asked = {chance.choice(["metadata.v", "metadata.w.x"]): bounds}
            is_match = evaluator.compile(normalize(parse(asked, DOCUMENTS)))
            expected = {id for id, metadata in everything if is_match({"metadata": metadata})}
            page = opened.documents.find(asked, limit=1_000, total=True)
            assert (asked, expected, len(expected)) == (asked, {one.id for one in page.items}, page.total)
        assert opened.check().ok
    assert 20 < ways.count("terms")


def test_a_narrow_range_is_found_by_the_index(postgres_store_url: str) -> None:
    """The database's own plan of a range says so; a wide one is walked to."""
    with docstore.open(postgres_store_url) as opened:
        opened.documents.add_many({"filename": f"{n}", "metadata": {"n": n / 7}} for n in range(6_000))
        with opened._context.backend.checkout() as connection:
            connection.cursor().execute("ANALYZE")
        narrow = {"metadata.n": {"$gte": 100, "$lt": 101}}
        found = [one.filename for one in opened.documents.find(narrow).items]
        assert [f"{n}" for n in range(706, 699, -1)] == found
        plan = opened.documents.explain(narrow).database_plan or ""
        assert "Bitmap Index Scan on docstore_document_words" in plan
        wide = opened.documents.explain({"metadata.n": {"$gte": 100}}).database_plan or ""
        assert "docstore_document_words" not in wide


def test_what_is_changed_is_found_anew(postgres_store_url: str) -> None:
    """A number changed by a patch, in a block or by itself, is found where it is, and nowhere else."""
    with docstore.open(postgres_store_url) as opened:
        opened.documents.add_many({"filename": f"{n}", "metadata": {"n": n}} for n in range(1_000))
        one = opened.documents.add(None, filename="one", metadata={"n": 10**6})
        opened.documents.update(one.id, metadata={"n": -(10**6)})
        with opened.transaction():
            (seven,) = opened.documents.find({"filename": "7"})
            opened.documents.update(seven.id, metadata={"n": 10**6})
        for bounds, name in (({"$gt": 10**5}, "7"), ({"$lt": -(10**5)}, "one")):
            assert [name] == [found.filename for found in opened.documents.find({"metadata.n": bounds})]
            assert 1 == opened.documents.count({"metadata.n": bounds})
        assert opened.check().ok


def test_check_finds_and_repair_mends_wrong_words(postgres_store_url: str) -> None:
    """Words that are not the metadata's are a finding with the document's id, once repaired there is none."""
    with docstore.open(postgres_store_url) as opened:
        ids = [opened.documents.add(None, filename="x", metadata={"n": n}).id for n in range(3)]
        with opened._context.backend.write() as session:
            table = opened._context.backend.tables.named("document")
            session.cursor.execute(f"UPDATE {table} SET metadata_words = NULL WHERE id = %s", (ids[1],))
        assert [("index", ids[1])] == [(one.kind, one.document_id) for one in opened.check().findings]
        opened.repair(opened.check(), dry_run=False)
        assert opened.check().ok
        assert [ids[1]] == [one.id for one in opened.documents.find({"metadata.n": {"$gte": 1, "$lt": 2}})]

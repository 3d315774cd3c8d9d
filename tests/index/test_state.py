"""The index through whatever happens to its rows: it stays what the rows say, and answers as the evaluator
does.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from docstore_memory import MemoryBackend
from docstore_memory.index import MemoryPostings
from docstore_sqlite import SQLiteBackend
from docstore_sqlite import open_backend as open_sqlite
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import docstore
from docstore.backend import Duplicate, Query
from docstore.index.bitmap import difference
from docstore.query.evaluator import compile
from docstore.query.fields import DOCUMENTS
from docstore.query.parser import parse
from docstore.query.planner import normalize

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-2, 2).map(lambda x: round(x, 1)),
    st.sampled_from(
        ["a", "b", "é", "x" * 50, "2026-01-02", "2026-01-02T03:04:05.000000Z", "2026-02-01T00:00:00.000000Z"]
    ),
)
METADATA = st.dictionaries(
    st.sampled_from("pqr"),
    st.recursive(
        VALUES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("pq"), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)
FILTERS: list[dict[str, Any]] = [
    {"p": 1},
    {"p": {"$ne": "a"}},
    {"p": None},
    {"p": {"$gte": 0, "$lt": 2}},
    {"p.q": {"$exists": True}},
    {"q": {"$in": ["a", 1, None]}},
    {"p": {"$gt": "2026-01-02"}},
    {"p": {"$size": 1}},
    {"p.0": 1},
    {"$or": [{"p": True}, {"q": {"$regex": "^x"}}]},
    {"p": {"$elemMatch": {"$gt": 0}}},
    {"q": {"$type": "string"}},
    {"r": {"$lte": "b"}},
    {"p": {"$contains": ["a"]}},
]
MATCHES = [compile(normalize(parse(filter, None)), free=True) for filter in FILTERS]


class Machine(RuleBasedStateMachine):
    """Documents that come, change and go, in transactions that end well or not, in stores that are opened
    again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, dict[str, Any]] = {}
        self.store = self.open()

    def open(self) -> docstore.Store:
        raise NotImplementedError  # pragma: no cover - the two machines below say how

    def again(self) -> None:
        """Open the store again, where that keeps what is in it."""

    def check_index(self) -> None:
        """Compare the index with one made anew, where there is a way to."""

    @rule(metadata=st.lists(METADATA, min_size=1, max_size=6), fails=st.booleans())
    def add(self, metadata: list[dict[str, Any]], fails: bool) -> None:
        """Add documents, all or none."""
        self._within(
            fails,
            lambda: {self.store.documents.add(filename="a.txt", metadata=one).id: one for one in metadata},
        )

    @rule(metadata=st.lists(METADATA, min_size=1, max_size=6), content=st.sampled_from((None, "some words")))
    def add_many(self, metadata: list[dict[str, Any]], content: str | None) -> None:
        """Add documents by one call, in no transaction."""
        rows = [{"filename": "b.txt", "metadata": one, "content": content} for one in metadata]
        self.known.update(zip(self.store.documents.add_many(rows).ids, metadata, strict=True))

    @rule(metadata=st.lists(METADATA, min_size=3, max_size=6), fails=st.booleans(), twice=st.booleans())
    def add_many_within(self, metadata: list[dict[str, Any]], fails: bool, twice: bool) -> None:
        """Add documents by one call or two in a transaction."""

        def add() -> dict[str, dict[str, Any]]:
            added = {}
            for _ in range(1 + twice):
                ids = self.store.documents.add_many([{"metadata": one} for one in metadata]).ids
                added.update(zip(ids, metadata, strict=True))
                self.store.documents.find({"metadata.p": {"$ne": "a"}})
            return added

        self._within(fails, add)

    @rule(data=st.data(), metadata=METADATA, fails=st.booleans())
    def replace(self, data: st.DataObject, metadata: dict[str, Any], fails: bool) -> None:
        """Replace the metadata of a document, twice."""
        if not self.known:
            return
        id = data.draw(st.sampled_from(sorted(self.known)))

        def change() -> dict[str, dict[str, Any]]:
            self.store.documents.update(id, replace_metadata={"p": "before"})
            self.store.documents.find({"metadata.p": "before"})
            self.store.documents.update(id, replace_metadata=metadata)
            return {id: metadata}

        self._within(fails, change)

    @rule(data=st.data(), fails=st.booleans())
    def delete(self, data: st.DataObject, fails: bool) -> None:
        """Delete a document."""
        if not self.known:
            return
        id = data.draw(st.sampled_from(sorted(self.known)))
        self._within(fails, lambda: self.store.documents.delete(id) or {})
        if not fails:
            del self.known[id]

    @rule()
    def reopen(self) -> None:
        """Close and open."""
        self.again()

    def _within(self, fails: bool, work: Any) -> None:
        try:
            with self.store.transaction():
                changed = work()
                if fails:
                    raise RuntimeError("undo this")
        except RuntimeError:
            return
        self.known.update(changed)

    @invariant()
    def answers(self) -> None:
        """Every filter finds what the evaluator matches; the index is as if made anew."""
        for filter, is_match in zip(FILTERS, MATCHES, strict=True):
            expected = {id for id, metadata in self.known.items() if is_match(metadata)}
            found = self.store.documents.find(docstore.under("metadata", filter), limit=1000, total=True)
            assert expected == {doc.id for doc in found}, filter
            assert len(expected) == found.total
        self.check_index()

    def teardown(self) -> None:
        """Close."""
        self.store.close()


class SQLiteMachine(Machine):
    """On a file, folding every few changes."""

    def open(self) -> docstore.Store:
        self.folder = getattr(self, "folder", None) or tempfile.TemporaryDirectory()
        self.backend: SQLiteBackend = open_sqlite(f"sqlite:///{Path(self.folder.name) / 'store.db'}")
        return docstore.open(self.backend)

    def again(self) -> None:
        self.store.close()
        self.store = self.open()

    def check_index(self) -> None:
        assert [] == list(self.backend.check_indexes())

    @rule()
    def rebuild(self) -> None:
        """Make the index anew."""
        self.backend.rebuild_indexes()

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


class MemoryMachine(Machine):
    """In memory, folding every few changes."""

    def open(self) -> docstore.Store:
        self.backend = MemoryBackend()
        return docstore.open(self.backend)

    def check_index(self) -> None:
        index = self.backend._state.indexes["documents"]
        records = {
            number: record.facts for number, record in self.backend._state.tables["documents"].records.items()
        }
        anew = MemoryPostings()
        anew.compact(index.fields, {}, records)
        tail = index.snapshot().tail
        for path, facts in anew._facts.items():
            for key, bits in facts.items():
                left = difference(index._stored.posting(path, key), tail.stale)
                assert difference(bits, tail.stale) == left, (path, key)
        assert {number: records[number] for number in tail.records()} == {
            number: record.facts for number, record in tail.records().items()
        }


@pytest.mark.parametrize("machine", [SQLiteMachine, MemoryMachine])
def test_the_index_stays_what_the_rows_say(machine: type[Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    """Additions, updates, deletions, rollbacks and reopening leave an index equal to one made anew, and
    right answers.
    """
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_CHANGES", 4)
    monkeypatch.setattr("docstore_sqlite.delta_log.TEXTS_COMPACTED_TOGETHER", 2)
    monkeypatch.setattr("docstore_sqlite.delta_log.CHANGES_PER_COUNT", 1)
    monkeypatch.setattr("docstore.index.tail.LOOSE", 2)
    monkeypatch.setattr("docstore_sqlite.session.BULK_ROWS", 3)
    monkeypatch.setattr("docstore_sqlite.delta_log.COMPACTED_BYTES", 40)  # a row or two
    monkeypatch.setattr("docstore_memory.index._COMPACTED_TOGETHER", 4)
    from hypothesis.stateful import run_state_machine_as_test

    examples = max(5, settings().max_examples // 3)
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=12, deadline=None)
    )


def test_check_finds_a_wrong_index_and_repair_puts_it_right(tmp_path: Path) -> None:
    """A fact that the rows do not say is found, and gone after the index was made anew."""
    backend = open_sqlite(f"sqlite:///{tmp_path}/store.db")
    with docstore.open(backend) as store:
        store.documents.add(filename="a", metadata={"p": 1})
        backend.rebuild_indexes()
        assert [] == list(backend.check_indexes())
        with backend.write() as session:
            session.cursor.execute("UPDATE docstore_posting SET bits = x'000200'")
        assert list(backend.check_indexes())
        backend.rebuild_indexes()
        assert [] == list(backend.check_indexes())
        assert 1 == store.documents.count({"metadata.p": 1})


def test_values_that_python_takes_for_equal_are_folded_as_different(tmp_path: Path) -> None:
    """Rule: what a change leaves alone stays in the index, and 1, 1.0, true differ, however deep."""
    url = f"sqlite:///{tmp_path}/store.db"
    before = {"a": 1, "b": [1, "x"], "c": {"d": {"e": True}}, "same": "s", "at": "2024-01-01", "gone": 1}
    now = {"a": 1.0, "b": [True, "x"], "c": {"d": {"e": 1}}, "same": "s", "at": "2024-01-01", "come": None}
    long = {"long": "x" * 5_000}
    with docstore.open(url) as store:
        store.documents.put_many(
            [{"id": "a", "metadata": before}, {"id": "b", "metadata": {**before, **long}}]
        )
    with docstore.open(url) as store:  # closing has folded
        store.documents.put_many([{"id": "a", "metadata": now}, {"id": "b", "metadata": {**now, **long}}])
    backend = open_sqlite(url)
    with docstore.open(backend) as store:
        assert [] == list(backend.check_indexes())
        filters: list[dict[str, Any]] = [
            {"metadata.b": True}, {"metadata.b": 1}, {"metadata.c.d.e": 1}, {"metadata.same": "s"},
            {"metadata.gone": {"$exists": True}}, {"metadata.come": {"$type": "null"}},
        ]  # fmt: skip
        assert [2, 0, 2, 2, 0, 2] == [store.documents.count(filter) for filter in filters]


def test_a_second_process_sees_changes_and_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another store on the same file adds, changes and folds is seen by the next query."""
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_CHANGES", 5)
    url = f"sqlite:///{tmp_path}/store.db"
    with docstore.open(url) as one, docstore.open(url) as other:
        for n in range(1, 40):
            id = one.documents.add(filename="a", metadata={"p": n % 3, "n": n}).id
            if n % 4 == 0:
                one.documents.update(id, metadata={"p": "changed"})
            assert n == other.documents.count({"metadata.n": {"$gte": 1}})
            assert n // 4 == other.documents.count({"metadata.p": "changed"})
            assert id == other.documents.find({"metadata.n": n}).items[0].id


def test_what_was_undone_is_forgotten(tmp_path: Path) -> None:
    """An answer from within a transaction that was rolled back is not taken for that of the next change."""
    with docstore.open(f"sqlite:///{tmp_path}/store.db") as store:
        id = store.documents.add(filename="a", metadata={"p": "old"}).id
        with suppress(RuntimeError), store.transaction():
            store.documents.update(id, metadata={"p": "undone"})
            assert 1 == store.documents.count({"metadata.p": "undone"})
            raise RuntimeError
        store.documents.update(id, metadata={"p": "new"})
        assert 0 == store.documents.count({"metadata.p": "undone"})
        assert 1 == store.documents.count({"metadata.p": "new"})


def test_rows_of_which_one_is_a_duplicate_leave_nothing(tmp_path: Path) -> None:
    """Rule: where one of many rows is taken, none is kept, the index and the counts stay right, and what was
    done before in the block stays.
    """
    backend = open_sqlite(f"sqlite:///{tmp_path}/store.db")
    with docstore.open(backend) as store:
        taken = store.documents.add(filename="a", metadata={"p": 1}).id
        with backend.write() as session:
            (row,) = session.select(Query(DOCUMENTS, limit=1, include=frozenset(DOCUMENTS.private)))
            row["content"] = None
            assert 1 == len(session.insert(DOCUMENTS, [{**row, "id": "other"}]))
            with pytest.raises(Duplicate):
                session.insert(DOCUMENTS, [{**row, "id": "third"}, {**row, "id": "fourth"}, row])
        assert {taken, "other"} == {doc.id for doc in store.documents.find()}
        assert 2 == store.documents.count() == store.documents.count({"metadata.p": 1})
        assert [] == list(backend.check_indexes())


@pytest.mark.parametrize("content", [None, "words"])
def test_very_many_new_rows_are_found_at_once(
    tmp_path: Path, content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule: rows that are taken up without being noted are found by facts, by pieces of their names and by
    their words, beside others that are noted, in this store and in another on the same file.
    """
    monkeypatch.setattr("docstore_sqlite.session.BULK_ROWS", 50)
    url = f"sqlite:///{tmp_path}/store.db"
    with docstore.open(url) as store, docstore.open(url) as other:
        for start in range(0, 200, 60):
            added = store.documents.add(filename=f"single-{start}.txt", metadata={"n": -1 - start})
            rows = [
                {"filename": f"many-{n:03}.txt", "metadata": {"n": n}, "content": content}
                for n in range(start, start + 60)
            ]
            store.documents.add_many(rows)
            for one in (store, other):
                assert start + 60 == one.documents.count({"metadata.n": {"$gte": 0}})
                assert [added.id] == [doc.id for doc in one.documents.find({"metadata.n": -1 - start})]
                assert 1 == one.documents.count({"filename": {"$glob": f"*y-{start + 7:03}*"}})
                found = one.documents.find(search="words", limit=1000)
                assert (start + 60 if content else 0) == len(found.items)

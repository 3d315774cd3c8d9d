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
from docstore_sqlite import SQLiteBackend
from docstore_sqlite import open_backend as open_sqlite
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import docstore
from docstore.index.memory import Folded
from docstore.query.evaluate import matches_filter

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
        for filter in FILTERS:
            expected = {id for id, metadata in self.known.items() if matches_filter(filter, metadata)}
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
        anew = Folded()
        empty = type(index)(docstore.query.fields.DOCUMENTS)
        anew.fold(index.fields, {}, empty.layers().changed(records).segments)
        layers = index.layers()
        for path, facts in anew._facts.items():
            for key, bits in facts.items():
                assert bits == layers.post(path, key), (path, key)


@pytest.mark.parametrize("machine", [SQLiteMachine, MemoryMachine])
def test_the_index_stays_what_the_rows_say(machine: type[Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    """Additions, updates, deletions, rollbacks and reopening leave an index equal to one made anew, and
    right answers.
    """
    monkeypatch.setattr("docstore_sqlite.indexed.FOLD", 4)
    monkeypatch.setattr("docstore_sqlite.indexed.FOLD_BULK", 4)
    monkeypatch.setattr("docstore_sqlite.folding.AT_ONCE", 40)  # a row or two
    monkeypatch.setattr("docstore_memory.index._FOLD", 4)
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        machine, settings=settings(max_examples=10, stateful_step_count=12, deadline=None)
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


def test_a_second_process_sees_changes_and_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another store on the same file adds, changes and folds is seen by the next query."""
    monkeypatch.setattr("docstore_sqlite.indexed.FOLD", 5)
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

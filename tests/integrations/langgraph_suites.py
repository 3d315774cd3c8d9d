"""LangGraph's store over docstore beside its own store in memory: `nox -s integrations`."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

import docstore
from docstore.errors import InvalidDocument
from docstore.integrations.langgraph import DocstoreStore


@pytest.fixture
def memory(store: docstore.Store) -> DocstoreStore:
    return DocstoreStore(store)


def shown(items: Any) -> list[Any]:
    """Return what does not depend on the clock."""
    return [(item.namespace, item.key, item.value) for item in items]


def test_items_are_put_read_and_deleted(memory: DocstoreStore) -> None:
    """A value comes back as it was; a second put changes it and its ``updated_at`` alone."""
    value = {"a.b": [1, 1.5, {"$c": None}], "text": "é", "": {}}
    memory.put(("users", "1"), "prefs", value)
    first = memory.get(("users", "1"), "prefs")
    assert (("users", "1"), "prefs", value) == (first.namespace, first.key, first.value)
    memory.put(("users", "1"), "prefs", {"new": True})
    second = memory.get(("users", "1"), "prefs")
    assert {"new": True} == second.value
    assert first.created_at == second.created_at < second.updated_at
    assert memory.get(("users",), "prefs") is None
    memory.delete(("users", "1"), "prefs")
    memory.delete(("users", "1"), "none")
    assert memory.get(("users", "1"), "prefs") is None


def test_a_batch_reads_before_it_puts(memory: DocstoreStore) -> None:
    """Results stand in the order of the operations; of several puts of a key the last counts."""
    memory.put(("a",), "k", {"n": 0})
    results = memory.batch(
        [
            PutOp(("a",), "k", {"n": 1}),
            GetOp(("a",), "k"),
            PutOp(("a",), "k", {"n": 2}),
            SearchOp(("a",)),
            ListNamespacesOp(),
            GetOp(("a",), "none"),
            PutOp(("b",), "gone", {"n": 3}),
            PutOp(("b",), "gone", None),
        ]
    )
    assert [None, {"n": 0}, None] == [results[0], results[1].value, results[2]]
    assert [{"n": 0}] == [item.value for item in results[3]]
    assert [[("a",)], None, None, None] == results[4:]
    assert {"n": 2} == memory.get(("a",), "k").value
    assert memory.get(("b",), "gone") is None


def test_a_batch_that_cannot_be_stored_puts_nothing(memory: DocstoreStore) -> None:
    """All puts of a batch are one commit."""
    with pytest.raises(InvalidDocument):
        memory.batch([PutOp(("a",), "one", {"n": 1}), PutOp(("a",), "two", {"n": float("nan")})])
    assert [] == memory.search(())


def test_namespaces_do_not_run_together(memory: DocstoreStore) -> None:
    """A prefix is whole labels; ``%``, ``_`` and blanks are ordinary; dots and empty labels are refused."""
    for namespace in [("a",), ("a", "b"), ("ab",), ("a%",), ("a_", "b"), ("a b",)]:
        memory.put(namespace, "k", {})
    assert [("a",), ("a", "b")] == [item.namespace for item in memory.search(("a",))]
    assert [("a_", "b")] == [item.namespace for item in memory.search(("a_",))]
    for wrong in [("a.b",), ("",), (), ("langgraph",)]:
        with pytest.raises(InvalidNamespaceError):
            memory.put(wrong, "k", {})
    with pytest.raises(InvalidNamespaceError):
        memory.batch([GetOp(("a.b",), "k")])


CONDITIONS: list[tuple[MatchCondition, ...]] = [
    (),
    (MatchCondition("prefix", ("a",)),),
    (MatchCondition("prefix", ("*", "b")),),
    (MatchCondition("suffix", ("c",)),),
    (MatchCondition("suffix", ("b", "*")),),
    (MatchCondition("prefix", ("a",)), MatchCondition("suffix", ("c",))),
    (MatchCondition("prefix", ("a", "b", "c", "d")),),
]


@pytest.mark.parametrize("depth", [None, 1, 2])
def test_namespaces_are_listed_as_in_memory(memory: DocstoreStore, depth: int | None) -> None:
    """Prefixes, suffixes, wildcards, depth and windows give what LangGraph's own store gives."""
    theirs = InMemoryStore()
    namespaces = [("a",), ("a", "b"), ("a", "b", "c"), ("a", "x", "c"), ("z", "b", "c"), ("z",)]
    puts = [PutOp(namespace, "k", {"n": n}) for n, namespace in enumerate(namespaces)]
    memory.batch(puts)
    theirs.batch(puts)
    for conditions in CONDITIONS:
        for offset, limit in [(0, 100), (1, 2)]:
            op = ListNamespacesOp(conditions, max_depth=depth, limit=limit, offset=offset)
            assert theirs.batch([op]) == memory.batch([op]), op
    assert [("a", "x", "c")] == memory.list_namespaces(prefix=("*", "x"))
    with pytest.raises(ValueError, match="infix"):
        memory.batch([ListNamespacesOp((MatchCondition("infix", ("a",)),))])  # type: ignore[arg-type]


VALUES: list[dict[str, Any]] = [
    {"n": 1, "s": "x", "tags": ["x", "y"], "o": {"a": 1, "b": 2}},
    {"n": 2, "s": "y", "tags": "x", "o": {"a": 1}},
    {"n": -1.5, "s": None, "tags": [], "o": [{"a": 1}]},
    {"n": 0, "tags": ["x"], "o": {}, "a.b": 1, "a": {"b": 2}},
]
FILTERS: list[dict[str, Any]] = [
    {"s": "x"},
    {"s": None},
    {"s": {"$ne": "x"}},
    {"n": {"$gt": 0}},
    {"n": {"$gte": 0, "$lt": 2}},
    {"n": {"$lte": float("inf")}},
    {"n": {"$gt": float("-inf")}},
    {"n": {"$eq": 1}, "s": "x"},
    {"tags": "x"},
    {"tags": ["x"]},
    {"tags": ["x", "y"]},
    {"tags": []},
    {"tags": {"$eq": ["x"]}},
    {"tags": {"$ne": ["x"]}},
    {"o": {"a": 1}},
    {"o": {"a": 1, "b": {"$eq": 2}}},
    {"o": {}},
    {"a.b": 1},
    {"a": {"b": 2}},
    {"none": {"$ne": 1}},
]


def test_filters_are_as_in_memory(memory: DocstoreStore) -> None:
    """Every operator, nested objects and whole arrays find what LangGraph's own store finds."""
    theirs = InMemoryStore()
    puts = [PutOp(("v",), str(n), value) for n, value in enumerate(VALUES)]
    memory.batch(puts)
    theirs.batch(puts)
    for wanted in FILTERS:
        assert shown(theirs.search((), filter=wanted)) == shown(memory.search((), filter=wanted)), wanted
    nested = memory.search((), filter={"o": {"b": {"$gte": 2}}})  # theirs raises where there is no "b"
    assert ["0"] == [item.key for item in nested]
    with pytest.raises(ValueError, match=r"\$regex"):
        memory.search((), filter={"n": {"$regex": "x"}})


def test_a_long_search_is_whole(memory: DocstoreStore) -> None:
    """Windows larger than a page of docstore's, and those beyond the end."""
    memory.batch([PutOp(("many",), str(n), {"n": n}) for n in range(1_100)])
    assert list(range(3, 1_100)) == [
        item.value["n"] for item in memory.search(("many",), limit=5_000, offset=3)
    ]
    assert [5, 6] == [item.value["n"] for item in memory.search(("many",), limit=2, offset=5)]
    assert [] == memory.search(("many",), offset=2_000)


def test_time_to_live_ends(memory: DocstoreStore, store: docstore.Store) -> None:
    """An item past its time is not found or listed; reading begins the time anew unless told not to."""
    memory.put(("t",), "short", {"n": 1}, ttl=1)
    memory.put(("t",), "forever", {"n": 2})

    def ends() -> datetime:
        (found,) = store.documents.find({"metadata.key": "short"})
        assert found.expires_at is not None
        return found.expires_at

    assert timedelta(seconds=50) < ends() - datetime.now(UTC) <= timedelta(minutes=1)
    for read in (
        lambda **how: memory.get(("t",), "short", **how),
        lambda **how: memory.search(("t",), **how),
    ):
        before, item = ends(), memory.get(("t",), "short", refresh_ttl=False)
        read(refresh_ttl=False)
        assert before == ends()
        read()
        assert before < ends()
        assert item == memory.get(("t",), "short", refresh_ttl=False)  # updated_at stays
    store.documents.update_many(
        {"metadata.key": "short"}, expires_at=datetime.now(UTC) - timedelta(seconds=1)
    )
    assert memory.get(("t",), "short") is None
    assert ["forever"] == [item.key for item in memory.search(("t",))]
    kept = DocstoreStore(store, ttl={"omit_expired": False, "refresh_on_read": False})
    assert {"n": 1} == kept.get(("t",), "short").value
    assert [1, 0] == [memory.sweep_ttl(), memory.sweep_ttl()]
    assert kept.get(("t",), "short") is None


def test_the_store_s_default_time(store: docstore.Store) -> None:
    """``default_ttl`` holds for puts that say nothing; ``ttl=None`` is for ever."""
    memory = DocstoreStore(store, ttl={"default_ttl": 5})
    memory.put(("t",), "default", {})
    memory.put(("t",), "forever", {}, ttl=None)
    ends = {one.metadata["key"]: one.expires_at for one in store.documents.find({})}
    assert ends["forever"] is None
    assert timedelta(minutes=4) < ends["default"] - datetime.now(UTC) <= timedelta(minutes=5)


def test_generated_batches_are_as_in_memory(memory: DocstoreStore) -> None:
    """Thirty random batches of puts, deletes and reads leave and give the same."""
    chance, theirs = random.Random(24), InMemoryStore()
    spaces = [("a",), ("a", "b"), ("b",)]
    for _ in range(30):
        ops: list[Any] = []
        for _ in range(chance.randint(1, 6)):
            space, key = chance.choice(spaces), chance.choice("xyz")
            value = {"n": chance.randint(0, 3)} if chance.random() < 0.8 else None
            ops.append(chance.choice([PutOp(space, key, value), GetOp(space, key)]))
        ops.append(SearchOp((chance.choice("ab"),), filter={"n": {"$gte": chance.randint(0, 3)}}, limit=100))
        for mine, other in zip(memory.batch(ops), theirs.batch(ops), strict=True):
            if isinstance(other, list):
                assert sorted(shown(other), key=repr) == sorted(shown(mine), key=repr)
            else:
                assert shown([other] if other else []) == shown([mine] if mine else [])


def test_the_awaited_methods(memory: DocstoreStore) -> None:
    """``aput``, ``aget``, ``asearch``, ``alist_namespaces`` and ``adelete`` do what the others do."""

    async def run() -> None:
        await asyncio.gather(*(memory.aput(("a", str(n)), "k", {"n": n}, ttl=5) for n in range(8)))
        assert {"n": 3} == (await memory.aget(("a", "3"), "k")).value
        assert 8 == len(await memory.asearch(("a",)))
        await memory.adelete(("a", "3"), "k")
        assert 7 == len(await memory.alist_namespaces(prefix=("a",)))

    asyncio.run(run())


def test_two_tenants_are_apart(store: docstore.Store) -> None:
    """Each view keeps its own item of one namespace and key."""
    one, two = (DocstoreStore(store.scoped(tenant=name)) for name in ("acme", "bolt"))
    one.put(("a",), "k", {"n": 1})
    two.put(("a",), "k", {"n": 2})
    one.delete(("a",), "k")
    assert [None, {"n": 2}] == [one.get(("a",), "k"), two.get(("a",), "k").value]


def test_a_graph_remembers(memory: DocstoreStore) -> None:
    """A compiled graph hands the store to its nodes."""

    def note(state: MessagesState, *, store: BaseStore) -> dict[str, Any]:
        store.put(("notes",), "last", {"text": state["messages"][-1].content})
        return {}

    graph = StateGraph(MessagesState)
    graph.add_node("note", note)
    graph.add_edge(START, "note")
    graph.add_edge("note", END)
    graph.compile(store=memory).invoke({"messages": [("user", "I like figs")]})
    assert {"text": "I like figs"} == memory.get(("notes",), "last").value

"""Scopes: a view sees, counts, changes and names nothing of another scope, whatever is asked of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pydantic import BaseModel

import docstore
from docstore.errors import DocstoreError

SCOPES: list[dict[str, str]] = [
    {},
    {"tenant": "t1"},
    {"owner": "o1"},
    {"tenant": "t1", "owner": "o1"},
    {"tenant": "t1", "owner": "o2"},
    {"tenant": "t2", "owner": "o1"},
]
IDS = [f"id-{n}" for n in range(4)]
IDS_OF = {0: "id-0", 1: "id-0", 2: "id-1", 3: "id-1", 5: "id-1"}
EXTERNAL_IDS = ["e-0", "e-1"]
Row = dict[str, Any]


class Undone(Exception):
    """Ends a transaction."""


def mark(scope: dict[str, str]) -> str:
    """Return the word that all records of exactly this scope, and no others, hold."""
    return f"secret{scope.get('tenant', '')}x{scope.get('owner', '')}z"


@pytest.fixture
def world(store: docstore.Store) -> docstore.Store:
    """Records of every scope; the same external ids everywhere, the same ids in several tenants."""
    for place, scope in enumerate(SCOPES):
        word = mark(scope)
        view = store.scoped(**scope) if scope else store
        for n, external_id in enumerate((*EXTERNAL_IDS, EXTERNAL_IDS[0])):
            made = store.documents.add(
                word.encode(),
                id=IDS_OF.get(place) if n == 0 else None,
                external_id=external_id,
                filename=f"{word}.txt",
                content=f"{word} common words",
                metadata={"word": word, "n": n},
                **scope,
            )
            view.extractions.add(made.id, {"word": word}, id=IDS_OF.get(place) if n == 0 else None)
    return store


# -- the rules, one by one -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"tenant": ""},
        {"tenant": None},
        {"owner": 1},
        {"owner": "a\0"},
        {"tenant": "x" * 801},
        {"owner": "\ud800"},
    ],
)
def test_a_scope_is_plain_non_empty_text(store: docstore.Store, arguments: dict[str, Any]) -> None:
    """ScopeError for nothing, None, empty, and what is no storable text."""
    with pytest.raises(docstore.ScopeError):
        store.scoped(**arguments)


def test_scopes_only_narrow(store: docstore.Store) -> None:
    """A part that is set stays; the other may be added; there is no way back."""
    view = store.scoped(tenant="t1")
    both = view.scoped(owner="o1")
    made = both.documents.add(metadata={})
    assert ("t1", "o1") == (made.tenant, made.owner)
    assert 1 == view.scoped(tenant="t1").documents.count()
    for call in (
        lambda: view.scoped(tenant="t2"),
        lambda: both.scoped(owner="o2"),
        view.unscoped,
        lambda: both.documents.add(metadata={}, owner="o2"),
        lambda: both.documents.add_many([{}, {"tenant": "t2"}]),
        lambda: store.documents.add(metadata={}, tenant=""),
    ):
        with pytest.raises(docstore.ScopeError):
            call()
    assert 1 == store.documents.count()


def test_scope_required_wants_it_said(url: str) -> None:
    """Every data method of the root raises ScopeRequired; a scope, or unscoped(), says which is meant."""
    with docstore.open(url, scope_required=True) as store:
        documents, extractions = store.documents, store.extractions
        calls: list[Callable[[], object]] = [
            documents.find,
            documents.count,
            documents.exists,
            documents.claim,
            documents.add,
            documents.iterate,
            lambda: documents.add_many([]),
            lambda: documents.get("x"),
            lambda: documents.get_many([]),
            lambda: documents.count_by("status"),
            documents.explain,
            lambda: documents.update("x"),
            lambda: documents.update_many({}),
            lambda: documents.delete("x"),
            lambda: documents.delete_many({}),
            lambda: documents.versions("x"),
            lambda: documents.get_by_external_id("x"),
            lambda: documents.start("x"),
            lambda: documents.complete("x"),
            lambda: documents.fail("x", "e"),
            lambda: documents.retry("x"),
            lambda: documents.process(lambda document: None),
            lambda: documents.open("x"),
            lambda: documents.read_bytes("x"),
            lambda: documents.download("x", "y"),
            lambda: documents.url("x"),
            extractions.find,
            extractions.count,
            lambda: extractions.add("x"),
            lambda: extractions.get("x"),
            lambda: extractions.start("x"),
            lambda: extractions.complete("x", {}),
            lambda: extractions.fail("x", "e"),
            lambda: extractions.update("x"),
            lambda: extractions.delete("x"),
            lambda: extractions.review("x", {}, reviewed_by="r"),
        ]
        for call in calls:
            with pytest.raises(docstore.ScopeRequired):
                call()
        assert 0 == store.unscoped().documents.count() == store.scoped(tenant="t").documents.count()


def test_another_scopes_id_is_not_found_as_a_missing_one_is(world: docstore.Store) -> None:
    """The same class, the same text but for the id that was given."""
    view = world.scoped(tenant="t1", owner="o2")
    theirs = world.scoped(tenant="t2").documents.find(limit=1).items[0].id
    for ask in (
        view.documents.get,
        view.documents.delete,
        view.documents.start,
        view.documents.read_bytes,
        view.documents.url,
        view.documents.update,
        view.extractions.add,
        view.extractions.get,
        view.extractions.delete,
    ):
        texts = []
        for id in (theirs, "missing"):
            with pytest.raises(docstore.NotFound) as caught:
                ask(id)  # type: ignore[operator]
            texts.append(str(caught.value).replace(id, "ID"))
        assert texts[0] == texts[1]
    assert [] == view.documents.get_many([theirs])


def test_ids_and_bytes_of_other_tenants_neither_show_nor_matter(store: docstore.Store) -> None:
    """The same id, external id and bytes may be in every tenant; a retry and dedupe stay in their own."""
    one, two = store.scoped(tenant="t1"), store.scoped(tenant="t2")
    first = one.documents.add(b"same", id="x", external_id="e", filename="one")
    second = two.documents.add(b"same", id="x", external_id="e", filename="two")
    assert (1, 1) == (first.version, second.version)
    assert (first, second) == (one.documents.get("x"), two.documents.get("x"))
    assert second == two.documents.add(b"same", id="x", external_id="e", filename="two")
    assert second == two.documents.add(b"same", dedupe="sha256")
    assert (
        "three"
        == store.scoped(tenant="t3").documents.add(b"same", dedupe="sha256", filename="three").filename
    )
    one.documents.delete("x")
    assert second == two.documents.get("x")
    assert b"same" == two.documents.read_bytes("x")


def test_an_id_of_several_tenants_must_be_said_whose(store: docstore.Store) -> None:
    """Without a tenant in the scope nothing that changes takes the first that it finds."""
    for tenant in ("t1", "t2"):
        made = store.documents.add(id="x", tenant=tenant)
        store.scoped(tenant=tenant).extractions.add("x", {"a": 1}, id="y")
    for call in (
        store.documents.delete,
        store.documents.start,
        store.documents.update,
        store.extractions.add,
    ):
        with pytest.raises(docstore.ScopeError):
            call("x")
    for call in (store.extractions.delete, store.extractions.start, store.extractions.update):
        with pytest.raises(docstore.ScopeError):
            call("y")
    store.scoped(tenant="t1").documents.delete("x")
    assert made == store.documents.get("x")
    store.documents.delete("x")


def test_a_cursor_belongs_to_its_scope(world: docstore.Store) -> None:
    """A page's cursor is InvalidCursor in any other view."""
    cursor = world.scoped(tenant="t1").documents.find(limit=1).next_cursor
    for scope in ({"tenant": "t2"}, {"owner": "o1"}, {"tenant": "t1", "owner": "o1"}):
        with pytest.raises(docstore.InvalidCursor):
            world.scoped(**scope).documents.find(limit=1, cursor=cursor)
    with pytest.raises(docstore.InvalidCursor):
        world.documents.find(limit=1, cursor=cursor)


# -- attacks ---------------------------------------------------------------------------------------


class Attacks:
    """Makes calls on a view with what is known of every other scope."""

    def __init__(self, chance: random.Random, world: docstore.Store) -> None:
        self.chance = chance
        self.ids = [*IDS, *(one.id for one in world.documents.iterate(latest_only=False))]
        self.extraction_ids = [*IDS, *(one.id for one in world.extractions.iterate())]
        self.numbers = [one.number for one in world.documents.iterate(latest_only=False)]
        self.cursors = [page.next_cursor for page in self._pages(world)]

    @staticmethod
    def _pages(world: docstore.Store) -> Iterator[Any]:
        for scope in SCOPES:
            view = world.scoped(**scope) if scope else world
            yield view.documents.find(limit=1)
            yield view.extractions.find(limit=1)

    def filter(self) -> dict[str, Any]:
        """Return a filter that reaches for other scopes."""
        pick = self.chance.choice
        word = mark(pick(SCOPES))
        leaves: list[dict[str, Any]] = [
            {},
            {"tenant": pick(["t1", "t2", None])},
            {"owner": {"$in": ["o1", "o2"]}},
            {"id": pick(self.ids)},
            {"$or": [{"tenant": "t1"}, {"tenant": "t2"}, {"tenant": None}]},
            {"tenant": {"$ne": "t1"}},
            {"number": {"$in": self.numbers}},
            {"metadata.word": word},
            {"filename": {"$regex": "secret"}},
            {"$nor": [{"metadata.word": word}]},
            {"owner": {"$exists": pick([True, False])}},
            {"content": {"$substring": word}},
            {"external_id": pick(EXTERNAL_IDS)},
            {"$or": [{}, {"id": "x"}]},
            {"tenant": "t1' OR '1'='1"},
        ]
        return pick(leaves) if pick([True, False]) else {"$or": [pick(leaves), pick(leaves)]}

    def call(self, view: docstore.Store) -> tuple[str, Callable[[], Any]]:
        """Return the name of an operation, and the call."""
        pick, documents, extractions = self.chance.choice, view.documents, view.extractions
        id, one, external_id, filter = (
            pick(self.ids),
            pick(self.extraction_ids),
            pick(EXTERNAL_IDS),
            self.filter(),
        )
        calls: dict[str, Callable[[], Any]] = {
            "find": lambda: documents.find(
                filter, total=True, latest_only=pick([True, False]), include={"content"}
            ),
            "cursor": lambda: documents.find(
                cursor=pick(self.cursors), limit=3, direction=pick([None, "prev"])
            ),
            "search": lambda: documents.find(
                search=pick(["common", mark(pick(SCOPES)), "secret", "-none"]), limit=100
            ),
            "iterate": lambda: list(
                documents.iterate(filter, sort=pick(["number", "-metadata.word", "tenant"]))
            ),
            "count": lambda: documents.count(filter, latest_only=pick([True, False])),
            "count_by": lambda: documents.count_by(
                pick(["metadata.word", "tenant", "owner", "status", "filename"]), filter
            ),
            "exists": lambda: documents.exists(filter),
            "get": lambda: documents.get(id, include={"content"}),
            "get_many": lambda: documents.get_many(self.ids),
            "versions": lambda: documents.versions(external_id),
            "external": lambda: documents.get_by_external_id(external_id, version=pick([None, 1, 2])),
            "read_bytes": lambda: documents.read_bytes(id),
            "url": lambda: documents.url(id),
            "add": lambda: documents.add(b"x", external_id=external_id, filename="mine"),
            "add id": lambda: documents.add(id=id, filename="mine"),
            "add like": lambda: documents.add(mark(pick(SCOPES)).encode(), dedupe="sha256", filename="mine"),
            "add as": lambda: documents.add(
                tenant=pick(["t1", "t2"]), owner=pick([None, "o1"]), filename="mine"
            ),
            "update": lambda: documents.update(id, metadata={"taken": True}, filename="mine"),
            "replace": lambda: documents.update(id, source=b"taken"),
            "update_many": lambda: documents.update_many(filter, metadata={"taken": True}),
            "delete": lambda: documents.delete(id),
            "delete_many": lambda: documents.delete_many(filter),
            "start": lambda: documents.start(id),
            "complete": lambda: documents.complete(id, content="taken"),
            "fail": lambda: documents.fail(id, "taken"),
            "retry": lambda: documents.retry(id),
            "claim": lambda: [claim.document for claim in documents.claim(50, filter=filter)],
            "extractions": lambda: extractions.find(
                {"results.word": {"$exists": True}}, total=True, limit=100
            ),
            "extraction": lambda: extractions.get(one),
            "extract": lambda: extractions.add(id, {"taken": 1}),
            "extract id": lambda: extractions.add(id, {"taken": 1}, id=one),
            "review": lambda: extractions.review(one, {"taken": 1}, reviewed_by="me"),
            "change extraction": lambda: extractions.update(one, results={"taken": 1}),
            "delete extraction": lambda: extractions.delete(one),
            "facet extractions": lambda: extractions.count_by(pick(["results.word", "filename", "tenant"])),
        }
        name = pick(list(calls))
        return name, calls[name]


def told(result: Any) -> str:
    """Return all that a result says, in one text."""
    if isinstance(result, bytes):
        return result.decode()
    if isinstance(result, BaseModel):
        return str(result.model_dump())
    if isinstance(result, list):
        return " ".join(map(told, result))
    return (
        f"{result} {vars(result)} {result.__cause__!r}" if isinstance(result, DocstoreError) else str(result)
    )


def others(world: docstore.Store, scope: dict[str, str]) -> list[Row]:
    """Return every record outside of a scope."""
    found = [*world.documents.iterate(latest_only=False), *world.extractions.iterate()]
    return [
        one.model_dump() for one in found if any(getattr(one, name) != value for name, value in scope.items())
    ]


@pytest.mark.parametrize("kind", ["reading", "everything"])
def test_generated_attacks_reach_nothing(
    world: docstore.Store, many: Callable[[int, int], int], kind: str
) -> None:
    """Every (scope, operation) shows, counts and changes nothing of another scope, nor names it in an error.

    Each attack is undone, so that all start from the same state; on every backend, 240 short, 25,000 long.
    """
    chance = random.Random(f"scopes {kind}")
    attacks = Attacks(chance, world)
    words = {mark(scope) for scope in SCOPES}
    before = {str(scope): others(world, scope) for scope in SCOPES if scope}
    inside = {
        str(scope): world.scoped(**scope).documents.count(latest_only=False) for scope in SCOPES if scope
    }
    for _ in range(many(120, 12_500)):
        scope = chance.choice(SCOPES[1:])
        foreign = words - {mark(each) for each in SCOPES if scope.items() <= each.items()}
        view = world.scoped(**scope)
        with suppress(Undone), world.transaction():
            name, call = attacks.call(view)
            result: Any
            try:
                result = call()
            except DocstoreError as error:
                result = error
            said = told(result)
            assert not [word for word in foreign if word in said], (scope, name, said)
            if isinstance(result, int):
                assert result <= inside[str(scope)] + 1, (scope, name, result)
            if kind == "everything":
                assert before[str(scope)] == others(world, scope), (scope, name)
            raise Undone

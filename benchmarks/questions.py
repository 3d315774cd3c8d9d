"""What a service asks: rows W2 to W12 of the targets, each with values of its own and the answer that is right.

The right answer is worked out by plain Python over the documents, apart from the filter on purpose: docstore and what is written
by hand are both held to it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

import docstore
from benchmarks.corpus import (
    CATEGORIES,
    DEPARTMENTS,
    ENDINGS,
    EPOCH,
    SPAN,
    STEMS,
    TAGS,
    WORDS,
    Doc,
    content_of,
    rfc3339,
)

__all__ = ["PAGE", "ROWS", "TEXT_ROWS", "W2", "Oracle", "Question", "arrays"]

PAGE = 10
Test = Callable[[Doc], bool]


@dataclass(frozen=True, slots=True)
class Question:
    """One question, asked once.

    Attributes:
        row: of the targets.
        title: what the row asks, in a few words.
        prepare: fetches what the question needs beforehand, such as a cursor; not timed.
        ask: asks a store, with what was prepared; the records, the page or the count.
        expected: the ids of the page, (ids, total), a count, or counts by value.
        by_hand: what the same takes by hand: the values of the row's statement.
    """

    row: str
    title: str
    ask: Callable[[docstore.Store, Any], Any]
    expected: Any
    by_hand: tuple[Any, ...] = ()
    prepare: Callable[[docstore.Store], Any] = lambda store: None

    def is_right(self, answer: Any) -> bool:
        """Say whether an answer is the expected one."""
        return bool(self.expected == _plain(answer, isinstance(self.expected, tuple)))


def _plain(answer: Any, has_total: bool) -> Any:
    if isinstance(answer, docstore.Page):
        ids = [item.id for item in answer.items]
        return (ids, answer.total) if has_total else ids
    if isinstance(answer, docstore.Document):
        return answer.id
    if isinstance(answer, docstore.Facet):
        return {key: count for key, count in answer.items() if key is not None}
    return answer


@dataclass
class Oracle:
    """The documents as they stand, in order, and chance.

    Attributes:
        order: the documents, oldest first.
        groups: the same by owner, author, category, era and words of the content, oldest first.
    """

    docs: list[Doc]
    chance: random.Random
    content: bool = False
    order: list[Doc] = field(init=False)
    groups: dict[tuple[str, str], list[Doc]] = field(init=False)
    asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.order, self.groups = sorted(self.docs, key=lambda doc: (doc.created, doc.at)), {}
        for doc in self.order:
            self._group(doc)

    def _group(self, doc: Doc) -> None:
        keys = [
            ("owner", doc.owner),
            ("author", doc.metadata["author"]["name"]),
            ("category", doc.metadata["category"]),
            ("era", doc.metadata["era"]),
        ]
        if self.content:
            keys += [("word", word) for word in set(content_of(doc).lower().rstrip(".").split())]
        for key in keys:
            self.groups.setdefault(key, []).append(doc)

    def add(self, doc: Doc) -> None:
        """Take in a document that is newer than all others."""
        self.docs.append(doc)
        self.order.append(doc)
        self._group(doc)

    def matches(self, test: Test, among: Iterable[tuple[str, str]] | None = None) -> Iterator[Doc]:
        """Yield what fulfils a test, newest first; ``among`` names groups that hold all of it."""
        lists = [self.order] if among is None else [self.groups.get(key, []) for key in among]
        found = reversed(lists[0]) if len(lists) == 1 else iter(_merged(lists))
        return (doc for doc in found if test(doc))

    def page(self, test: Test, among: Iterable[tuple[str, str]] | None = None, offset: int = 0) -> list[str]:
        """Return the ids of a page."""
        return [doc.id for doc in islice(self.matches(test, among), offset, offset + PAGE)]

    def new(self, draw: Callable[[], Any]) -> Any:
        """Return values that were not drawn before, if there are any."""
        for _ in range(50):
            drawn = draw()
            if (key := repr(drawn)) not in self.asked:
                break
        self.asked.add(key)
        return drawn


def _merged(lists: list[list[Doc]]) -> list[Doc]:
    return sorted((doc for each in lists for doc in each), key=lambda doc: (doc.created, doc.at), reverse=True)


def _instant(oracle: Oracle) -> int:
    return EPOCH + oracle.chance.randrange(SPAN // 2)


def _seed(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]], tuple[Any, ...]]:
    """Return the filter of W2 and W3 with new values, its test, where its matches are, and its values."""
    chance = oracle.chance
    category, tag = chance.choice(CATEGORIES), chance.choice(TAGS)
    priority, department, since = chance.randrange(3, 10), chance.choice(DEPARTMENTS), _instant(oracle)
    filter = {
        "$and": [
            {"metadata.category": category},
            {"metadata.tags": tag},
            {"$or": [{"metadata.priority": {"$gte": priority}}, {"metadata.author.department": department}]},
        ],
        "created_at": {"$gte": rfc3339(since)},
    }

    def test(doc: Doc) -> bool:
        held = doc.metadata
        either = held["priority"] >= priority or held["author"]["department"] == department
        return either and tag in held["tags"] and doc.created >= since

    return filter, test, [("category", category)], (category, tag, priority, department, since)


def _find(filter: dict[str, Any], **arguments: Any) -> Callable[[docstore.Store, Any], Any]:
    return lambda store, _: store.documents.find(filter, limit=PAGE, **arguments)


def W2(oracle: Oracle) -> Question:  # noqa: N802 - the name of the row
    """Category, tag, `$or`, a lower bound of time; newest ten."""
    filter, test, among, values = _seed(oracle)
    return Question("W2", "category, tag, $or, since; newest 10", _find(filter), oracle.page(test, among), values)


def _total(oracle: Oracle) -> Question:
    filter, test, among, values = _seed(oracle)
    count = sum(1 for _ in oracle.matches(test, among))
    expected = (oracle.page(test, among), count)
    return Question("W3", "the same with an exact total", _find(filter, total=True), expected, values)


def _dated(oracle: Oracle) -> Question:
    category, since = oracle.chance.choice(CATEGORIES), _instant(oracle)
    until = since + oracle.chance.randrange(SPAN // 20, SPAN // 4)
    filter = {"metadata.category": category, "created_at": {"$gte": rfc3339(since), "$lt": rfc3339(until)}}
    found = oracle.page(lambda doc: since <= doc.created < until, [("category", category)])
    return Question("W2d", "a page that begins in the middle of the dates", _find(filter), found)


def _owned(oracle: Oracle) -> Question:
    owner, status = oracle.new(lambda: (_anybody(oracle), oracle.chance.choice(("completed", "failed"))))
    found = oracle.page(lambda doc: doc.status == status, [("owner", owner)])
    return Question("W4a", "one owner's of one status: page 1", _find({"owner": owner, "status": status}), found, (owner, status))


def _anybody(oracle: Oracle) -> str:
    return oracle.chance.choice(oracle.docs).owner


def _deep(oracle: Oracle) -> tuple[str, int, list[str]]:
    """Return a big owner, a depth of 10,000 or half of its completed documents, and the ids there."""
    owner = f"owner-{oracle.chance.randrange(10):02d}"
    ids = [doc.id for doc in oracle.matches(lambda doc: doc.status == "completed", [("owner", owner)])]
    depth = min(10_000, len(ids) // 2) - oracle.chance.randrange(min(500, max(1, len(ids) // 4)))
    return owner, depth, ids[depth - 1 : depth + PAGE]


def _offset(oracle: Oracle) -> Question:
    owner, depth, ids = _deep(oracle)
    ask = _find({"owner": owner, "status": "completed"}, offset=depth)
    return Question("W4b", "… at depth 10,000 by offset", ask, ids[1:], (owner, depth))


def _cursor(oracle: Oracle) -> Question:
    owner, depth, ids = _deep(oracle)
    filter = {"owner": owner, "status": "completed"}
    before = next(doc for doc in oracle.groups["owner", owner] if doc.id == ids[0])
    return Question(
        "W4c", "… there by cursor",
        lambda store, cursor: store.documents.find(filter, limit=PAGE, cursor=cursor), ids[1:], (owner, before),
        lambda store: store.documents.find(filter, limit=1, offset=depth - 1).next_cursor,
    )  # fmt: skip


def _rare(oracle: Oracle) -> Question:
    name = oracle.new(lambda: f"author-{oracle.chance.randrange(10_000):05d}")
    found = oracle.page(lambda doc: True, [("author", name)])
    return Question("W5", "a rare nested path", _find({"metadata.author.name": name}), found, (name,))


def _half(oracle: Oracle) -> Question:
    least = oracle.new(lambda: oracle.chance.randrange(400, 600))
    count = sum(doc.metadata["pages"] >= least for doc in oracle.docs)
    filter = {"metadata.pages": {"$gte": least}}
    return Question("W6", "count of half of all documents", lambda store, _: store.documents.count(filter), count, (least,))


def _get(oracle: Oracle) -> Question:
    id = oracle.chance.choice(oracle.docs).id
    return Question("W7", "get by id", lambda store, _: store.documents.get(id), id, (id,))


def _named(row: str, title: str, condition: Callable[[Oracle], tuple[dict[str, Any], Callable[[str], bool]]]) -> Row:
    def make(oracle: Oracle) -> Question:
        filter, test = oracle.new(lambda: condition(oracle))
        return Question(row, title, _find({"filename": filter}), oracle.page(lambda doc: test(doc.filename)))

    return make


def _piece(oracle: Oracle) -> tuple[dict[str, Any], Callable[[str], bool]]:
    stem = oracle.chance.choice(STEMS)
    start = oracle.chance.randrange(len(stem) - 3)
    piece = stem[start : start + oracle.chance.randrange(3, 6)]
    return {"$substring": piece}, lambda name: piece in name


def _number(oracle: Oracle) -> tuple[dict[str, Any], Callable[[str], bool]]:
    piece = f"-{oracle.chance.randrange(len(oracle.docs)):07d}."
    return {"$substring": piece}, lambda name: piece in name


def _ending(oracle: Oracle) -> tuple[dict[str, Any], Callable[[str], bool]]:
    glob = f"*{oracle.chance.choice(STEMS)[1:]}-*.{oracle.chance.choice(ENDINGS)}"
    return {"$glob": glob}, lambda name: fnmatchcase(name, glob)


def _numbers(oracle: Oracle) -> tuple[dict[str, Any], Callable[[str], bool]]:
    glob = f"*-{oracle.chance.randrange(len(oracle.docs) // 10):06d}?.*"
    return {"$glob": glob}, lambda name: fnmatchcase(name, glob)


def _adversary(
    row: str, title: str, condition: Callable[[Oracle], tuple[dict[str, Any], Test, list[tuple[str, str]] | None]]
) -> Row:
    def make(oracle: Oracle) -> Question:
        filter, test, among = condition(oracle)
        return Question(row, title, _find(filter), oracle.page(test, among))

    return make


def _contradiction(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]] | None]:
    category, least = oracle.chance.choice(CATEGORIES[:4]), oracle.chance.randrange(1, 300)
    return (
        {"metadata.category": category, "metadata.kind": "b", "metadata.pages": {"$gte": least}},
        lambda doc: doc.metadata["kind"] == "b" and doc.metadata["pages"] >= least,
        [("category", category)],
    )


def _far(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]] | None]:
    least = oracle.chance.randrange(1, 500)
    filter = {"metadata.era": "early", "metadata.pages": {"$gte": least}}
    return filter, lambda doc: doc.metadata["pages"] >= least, [("era", "early")]


def _unequal(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]] | None]:
    pages = oracle.chance.randrange(1, 1_001)
    return {"metadata.pages": {"$ne": pages}}, lambda doc: doc.metadata["pages"] != pages, None


def _narrow(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]] | None]:
    least = round(oracle.chance.random() * 0.9, 6)
    most = least + 0.0002
    filter = {"metadata.score": {"$gte": least, "$lt": most}}
    return filter, lambda doc: least <= doc.metadata["score"] < most, None


def _wide(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]] | None]:
    least = round(0.3 + oracle.chance.random() * 0.3, 6)
    return {"metadata.score": {"$gte": least}}, lambda doc: doc.metadata["score"] >= least, None


def _authors(oracle: Oracle) -> list[str]:
    return [f"author-{number:05d}" for number in oracle.chance.sample(range(10_000), 1_000)]


def _strangers(oracle: Oracle) -> list[str]:
    first = oracle.chance.randrange(10_000_000)
    return [f"nobody-{first + n}" for n in range(1_000)]


def _not_in(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]] | None]:
    names = _authors(oracle)
    held = set(names)
    return {"metadata.author.name": {"$nin": names}}, lambda doc: doc.metadata["author"]["name"] not in held, None


def _in(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]] | None]:
    names = _authors(oracle)
    held = set(names)
    return {"metadata.author.name": {"$in": names}}, lambda doc: doc.metadata["author"]["name"] in held, None


def _in_absent(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]] | None]:
    return {"metadata.author.name": {"$in": _strangers(oracle)}}, lambda doc: False, []


def _all_absent(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]] | None]:
    return {"metadata.tags": {"$all": _strangers(oracle)}}, lambda doc: False, []


def _deep_or(oracle: Oracle) -> tuple[dict[str, Any], Test, list[tuple[str, str]] | None]:
    names = [f"author-{number:05d}" for number in oracle.chance.sample(range(10_000), 13)]
    made: dict[str, Any] = {"metadata.author.name": names[0]}
    for name in names[1:]:
        made = {"$or": [{"metadata.author.name": name}, made]}
    return made, lambda doc: True, [("author", name) for name in names]


def _facet(row: str, title: str, path: str, value: Callable[[Doc], Any]) -> Row:
    def make(oracle: Oracle) -> Question:
        counts = Counter(value(doc) for doc in oracle.docs)
        return Question(row, title, lambda store, _: store.documents.count_by(path), dict(counts), (path,))

    return make


Row = Callable[[Oracle], Question]
ROWS: tuple[Row, ...] = (
    W2, _total, _dated, _owned, _offset, _cursor, _rare, _half, _get,
    _named("W9a", "filename: a common substring", _piece),
    _named("W9b", "filename: a rare substring", _number),
    _named("W9c", "filename: a glob by ending", _ending),
    _named("W9d", "filename: a rare glob", _numbers),
    _adversary("W12a", "none of two frequent terms", _contradiction),
    _adversary("W12b", "matches at the far end of the order", _far),
    _adversary("W12c", "$ne", _unequal),
    _adversary("W12d", "a narrow range over many values", _narrow),
    _adversary("W12e", "a wide range over many values", _wide),
    _adversary("W12f", "$nin of 1,000", _not_in),
    _adversary("W12g", "$or, thirteen deep, rare", _deep_or),
    _adversary("W12h", "$in of 1,000 present", _in),
    _adversary("W12i", "$in of 1,000 absent", _in_absent),
    _adversary("W12j", "$all of 1,000 absent", _all_absent),
    _facet("count_by", "count_by of eight texts", "metadata.category", lambda doc: doc.metadata["category"]),
    _facet("count_by n", "count_by of ten numbers", "metadata.priority", lambda doc: doc.metadata["priority"]),
)  # fmt: skip
"""A question of each row, made when it is asked for."""


def _search(row: str, title: str, word: Callable[[Oracle], str]) -> Row:
    def make(oracle: Oracle) -> Question:
        said = oracle.new(lambda: word(oracle))
        ask = _find({}, search=said)
        first, *others = said.split()
        words = [set(map(id, oracle.groups.get(("word", other), []))) for other in others]
        found = oracle.page(lambda doc: all(id(doc) in each for each in words), [("word", first)])
        return Question(row, title, ask, found)

    return make


def _common(oracle: Oracle) -> str:
    return " ".join(oracle.chance.sample(WORDS[:7] + WORDS[8:22], oracle.chance.choice((1, 1, 2))))


TEXT_ROWS: tuple[Row, ...] = (
    _search("W8a", "search: common words", _common),
    _search("W8b", "search: a rare word", lambda oracle: f"ticket{oracle.chance.randrange(10_000):05d}"),
)


def arrays(chance: random.Random, size: int, id: str) -> Iterator[Question]:
    """Yield what is asked of one document whose ``metadata.items`` are the numbers below ``size``."""
    for _ in range(3):
        wanted = chance.sample(range(size), size // 15)
        yield Question("array all", "$all of 10,000 against an array of 150,000", _find({"metadata.items": {"$all": wanted}}), [id])
    yield Question(
        "array facet", "count_by over an array of 150,000",
        lambda store, _: len(store.documents.count_by("metadata.items", limit=10_000)), min(size + 1, 10_000),
    )  # fmt: skip

"""What is asked: the workloads that read, each as a call on a store and as a plain-Python test of a document.

The test is written apart from the filter on purpose: it is the oracle that every contender's answer is checked against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from benchmarks.corpus import EPOCH, SPAN, Doc, content_of, rfc3339

__all__ = ["HALF", "WORKLOADS", "Kind", "Workload", "named"]

Kind = Literal["page", "total", "count", "offset", "cursor", "get"]
HALF = EPOCH + SPAN // 2
"""Half of all documents were created from here on."""
NAMES = [f"author-{n:05d}" for n in range(0, 2_000, 2)]
"""A thousand authors."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing to ask.

    Attributes:
        name: W2 …; adversaries are W12a …
        title: what it is, in a few words.
        kind: a page of the newest 10, the same with an exact total, a count, a page at a depth, one document.
        filter: in docstore's language.
        test: the same, of one document, in plain Python.
        search: words to search for.
        text: whether the documents have content.
        target: what PERFORMANCE asks, by backend: (ratio or milliseconds, of which reference or "ms").
        indexes: paths that are declared first with ``create_index``.
    """

    name: str
    title: str
    kind: Kind
    filter: dict[str, Any]
    test: Callable[[Doc], bool]
    search: str | None = None
    text: bool = False
    target: dict[str, tuple[float, str]] = field(default_factory=dict)


def seed_filter() -> dict[str, Any]:
    """Return the metadata filter of the second workload, with its range of time."""
    return {
        "$and": [
            {"metadata.category": "finance"},
            {"metadata.tags": "important"},
            {"$or": [{"metadata.priority": {"$gte": 8}}, {"metadata.author.department": "audit"}]},
        ],
        "created_at": {"$gte": rfc3339(HALF)},
    }


def seed_test(doc: Doc) -> bool:
    """Say whether a document is one of the second workload's."""
    held = doc.metadata
    either = held["priority"] >= 8 or held["author"]["department"] == "audit"
    return held["category"] == "finance" and "important" in held["tags"] and either and doc.created >= HALF


def deep_or() -> dict[str, Any]:
    """Return an ``$or`` within an ``$or``, twelve deep, of which nearly nothing matches."""
    made: dict[str, Any] = {"metadata.author.name": "author-00000"}
    for depth in range(1, 13):
        made = {"$or": [{"metadata.author.name": f"author-{depth:05d}"}, made]}
    return made


OWNED = {"owner": "owner-03", "status": "completed"}
ADVERSARY = {"memory": (20, "ms"), "sqlite": (20, "ms"), "postgres": (20, "ms")}


def _owned(doc: Doc) -> bool:
    return doc.owner == "owner-03" and doc.status == "completed"


def _author(doc: Doc) -> Any:
    return doc.metadata["author"]["name"]


def _says(word: str) -> Callable[[Doc], bool]:
    return lambda doc: (
        word in doc.filename or any(w.startswith(word) for w in content_of(doc).lower().rstrip(".").split())
    )


def _adversary(name: str, title: str, filter: dict[str, Any], test: Callable[[Doc], bool]) -> Workload:
    return Workload(name, title, "page", filter, test, target=dict(ADVERSARY))


WORKLOADS: tuple[Workload, ...] = (
    Workload("W2", "category, tag, $or and a range; newest 10", "page", seed_filter(), seed_test,
             target={"memory": (1, "ms"), "sqlite": (4, "B2"), "postgres": (1.5, "bounded walk")}),
    Workload("W3", "the same with an exact total", "total", seed_filter(), seed_test,
             target={"memory": (10, "ms"), "sqlite": (5, "ms"), "postgres": (1.2, "GIN")}),
    Workload("W4a", "one owner's of one status: page 1", "page", OWNED, _owned,
             target={"sqlite": (3, "B"), "postgres": (3, "btree")}),
    Workload("W4b", "… page at depth 10,000 by offset", "offset", OWNED, _owned,
             target={"sqlite": (1.3, "B"), "postgres": (1.3, "btree")}),
    Workload("W4c", "… page at depth 10,000 by cursor", "cursor", OWNED, _owned,
             target={"sqlite": (1.2, "B"), "postgres": (1.2, "btree")}),
    Workload("W5", "a rare nested path", "page", {"metadata.author.name": "author-04242"}, lambda doc: _author(doc) == "author-04242",
             target={"sqlite": (2, "B"), "postgres": (1.5, "GIN")}),
    Workload("W6", "count of half of all documents", "count", {"metadata.priority": {"$gte": 6}},
             lambda doc: doc.metadata["priority"] >= 6, target={"memory": (0.3, "ms"), "sqlite": (0.3, "ms")}),
    Workload("W7", "get by id", "get", {}, lambda doc: True, target={"sqlite": (1.5, "A"), "postgres": (1.0, "by id")}),
    Workload("W8a", "search: a common term", "page", {}, _says("revenue"), search="revenue", text=True,
             target={"memory": (5, "ms"), "sqlite": (3, "ms"), "postgres": (5, "ms")}),
    Workload("W8b", "search: a rare term", "page", {}, _says("ticket04242"), search="ticket04242", text=True,
             target={"memory": (5, "ms"), "sqlite": (3, "ms"), "postgres": (5, "ms")}),
    Workload("W9a", "filename: a common substring", "page", {"filename": {"$substring": "report"}}, lambda doc: "report" in doc.filename,
             target={"memory": (5, "ms"), "sqlite": (3, "ms"), "postgres": (5, "ms")}),
    Workload("W9b", "filename: a rare substring", "page", {"filename": {"$substring": "-0004242."}}, lambda doc: doc.at == 4242,
             target={"memory": (5, "ms"), "sqlite": (3, "ms"), "postgres": (5, "ms")}),
    Workload("W9c", "filename: the glob *.pdf", "page", {"filename": {"$glob": "*.pdf"}}, lambda doc: fnmatchcase(doc.filename, "*.pdf"),
             target={"memory": (5, "ms"), "sqlite": (3, "ms"), "postgres": (5, "ms")}),
    Workload("W9d", "filename: a rare glob", "page", {"filename": {"$glob": "*-000424?.*"}},
             lambda doc: fnmatchcase(doc.filename, "*-000424?.*"),
             target={"memory": (5, "ms"), "sqlite": (3, "ms"), "postgres": (5, "ms")}),
    _adversary("W12a", "none of two frequent terms", {"metadata.category": "finance", "metadata.kind": "b"}, lambda doc: False),
    _adversary("W12b", "matches at the far end of the order", {"metadata.era": "early"}, lambda doc: doc.metadata["era"] == "early"),
    _adversary("W12c", "$ne", {"metadata.category": {"$ne": "finance"}}, lambda doc: doc.metadata["category"] != "finance"),
    _adversary("W12d", "a narrow range over many values", {"metadata.score": {"$gte": 0.5, "$lt": 0.5002}},
               lambda doc: 0.5 <= doc.metadata["score"] < 0.5002),
    _adversary("W12e", "a wide range over many values", {"metadata.score": {"$gte": 0.5}}, lambda doc: doc.metadata["score"] >= 0.5),
    _adversary("W12f", "$nin of 1,000", {"metadata.author.name": {"$nin": NAMES}}, lambda doc: _author(doc) not in _NAME_SET),
    _adversary("W12g", "$or, twelve deep, rare", deep_or(), lambda doc: _author(doc) <= "author-00012"),
    _adversary("W12h", "$ne of nearly all, at the far end", {"metadata.era": {"$ne": "late"}}, lambda doc: doc.metadata["era"] != "late"),
    _adversary("W12i", "an empty range over many values", {"metadata.score": {"$gte": 0.5, "$lt": 0.5}, "metadata.kind": "a"},
               lambda doc: False),
    _adversary("W12j", "frequent terms clustered at the far end", {"metadata.era": "early", "metadata.kind": "a"},
               lambda doc: doc.metadata["era"] == "early" and doc.metadata["kind"] == "a"),
)  # fmt: skip
_NAME_SET = frozenset(NAMES)


def named(pattern: str | None) -> list[Workload]:
    """Return the workloads whose name is one of a comma-separated list, a whole family by its number; ``None``: all."""
    wanted = None if pattern is None else set(pattern.split(","))
    return [
        work
        for work in WORKLOADS
        if wanted is None or work.name in wanted or work.name.rstrip("abcdefghij") in wanted
    ]

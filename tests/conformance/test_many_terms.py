"""Very many terms that ask texts, with all kinds of things beside them: one answer on every backend."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

import docstore
from docstore import NotPushed
from docstore.query.evaluate import compile
from docstore.query.fields import DOCUMENTS
from docstore.query.normalize import normalize
from docstore.query.parse import parse
from docstore.query.plan import COSTLY

NAMES = [
    "a.pdf",
    "B-7.txt",
    "straße.PDF",
    "x\ny",
    "日本語 12.md",
    "é",
    "*[a]?.txt",
    "q",
    "report 2024.pdf",
    "zz",
]
MANY = COSTLY + 8


def glob(n: int) -> dict[str, Any]:
    return {"filename": {("$glob", "$iglob")[n % 2]: f"*[!{chr(97 + n % 26)}]"}}


def pattern(n: int) -> dict[str, Any]:
    return {"filename": {"$regex": f"[^{chr(97 + n % 26)}]{{{n % 3},}}|{n}"}}


def own(n: int) -> dict[str, Any]:
    return {f"metadata.p{n % 5}": {"$regex": f"[^{n % 10}]"}}


MAKES: dict[str, Callable[[int], dict[str, Any]]] = {
    "globs": glob,
    "patterns": pattern,
    "of metadata": lambda n: {"metadata.t": {"$regex": f"[^{chr(97 + n)}]|{n}"}},
    "of content": lambda n: {"content": {"$regex": f"^[^{chr(97 + n % 26)}]+|{n}"}},
    "or another field": lambda n: {"$or": [pattern(n), {"size": n}, own(n)]},
    "or a flag": lambda n: {
        "$or": [glob(n), {"is_latest": n % 2 == 0}, {"content_type": {"$regex": f"{n}$"}}]
    },
    "and another field": lambda n: {
        **pattern(n),
        "metadata.t": {"$substring": "ab"[n % 2]},
        "size": {"$gte": n % 12},
    },
    "and the same field": lambda n: {"$and": [pattern(n), {"filename": {"$glob": f"*{n % 10}*"}}]},
    "negated": lambda n: {"filename": {"$not": {"$regex": f"^{chr(97 + n)}{n}?"}}},
    "negated pairs": lambda n: {
        "$nor": [{"filename": {"$regex": f"[{chr(97 + n % 26)}]q"}, "size": {"$lt": n}}]
    },
    "with a search's fields": lambda n: {
        "$or": [pattern(n), {"created_at": {"$gt": f"20{n:02}-01-01T00:00:00Z"}}]
    },
}


@pytest.fixture
def filled(store: docstore.Store) -> docstore.Store:
    """Documents with names and metadata of every sort."""
    for at, name in enumerate(NAMES):
        metadata = {"t": [name, at] if at % 3 == 0 else name, f"p{at % 5}": f"{at}{name}"}
        store.documents.add(
            name.encode(), filename=name, metadata=metadata, content=None if at % 4 == 0 else f"{name} {at}"
        )
    return store


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_very_many(filled: docstore.Store, make: Callable[[int], dict[str, Any]]) -> None:
    """What matches very many terms is what the evaluator says, of one document and one term after another."""
    everything = filled.documents.find(include={"content"}).items
    for word, beside in product(["$and", "$or", "$nor"], [{}, {"size": {"$gte": 2}}]):
        filter = {word: [make(n) for n in range(MANY)], **beside}
        expected = [document.id for document in everything if matches(filter, document)]
        assert expected == [document.id for document in filled.documents.find(filter).items]
        assert len(expected) == filled.documents.count(filter)


def matches(filter: dict[str, Any], document: docstore.Document) -> bool:
    """Tell whether a document matches, each term by itself."""
    record = {**document.model_dump(include={"filename", "size", "metadata", "content_type", "is_latest"})}
    record |= {"content": document.content, "created_at": round(document.created_at.timestamp() * 1_000_000)}

    def holds(term: dict[str, Any]) -> bool:
        return compile(normalize(parse(term, DOCUMENTS)))(record)

    for word, terms in filter.items():
        if word == "$and":
            fits = all(map(holds, terms))
        elif word in ("$or", "$nor"):
            fits = any(map(holds, terms)) is (word == "$or")
        else:
            fits = holds({word: terms})
        if not fits:
            return False
    return True


@pytest.mark.parametrize("name", ["patterns", "or another field"])
def test_what_is_left(filled: docstore.Store, name: str) -> None:
    """Postgres leaves so many to the evaluator, and says so; one fewer than too many it runs."""
    few = {"$and": [MAKES[name](n) for n in range(8)]}
    many = {"$and": [MAKES[name](n) for n in range(MANY)]}
    assert filled.documents.explain(few).is_pushed
    if filled.documents.explain(few).backend == "postgresql":
        with pytest.raises(NotPushed, match="quicker to look at here"):
            filled.documents.find(many, strict=True)
    else:
        assert filled.documents.explain(many).is_pushed

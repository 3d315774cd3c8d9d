"""A store that holds a bit of everything, and empty ones to copy it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore.blobs import Blobs

Opens = Callable[..., docstore.Store]


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send 20 rows at a time instead of 100."""
    for module in ("rows", "json_lines"):
        monkeypatch.setattr(f"docstore.transfer.{module}._BATCH", 20)


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Opens]:
    """Open a store by URL, each with bytes of its own; all are closed at the end."""
    with ExitStack() as stack:
        count = iter(range(100))

        def opening(url: str = "memory://", blobs: Any = "folder", **options: Any) -> docstore.Store:
            if blobs == "folder":
                blobs = Blobs(tmp_path / f"bytes-{next(count)}")
            return stack.enter_context(docstore.open(url, blobs=blobs, **options))

        yield opening


def fill(store: docstore.Store) -> None:
    """Add documents of several versions, scopes, states and sizes, with extractions and reviews."""
    add = store.documents.add
    for n in range(3):
        add(b"version %d" % n, filename="chain.txt", external_id="c", tenant="t", metadata={"n": n})
    add(b"", filename="empty.bin", external_id="c", tenant="t", owner="o")
    add(b"x" * 900_000, filename="../../etc/passwd", id="given", metadata=METADATA)
    add(filename="none.pdf", size=12, sha256="a" * 64, created_at="1999-12-31T23:59:59.999999Z")
    done = add(b"text", filename="ü\u202e.txt", owner="o")
    store.documents.complete(done.id, content="Grüße\nan alle", metadata={"done": True})
    store.documents.fail(add(filename="f").id, "no text")
    store.documents.claim(filter={"filename": "chain.txt"}, worker="w")
    for tenant in (None, "t"):
        add(b"same id", filename="twin", id="twin", tenant=tenant)
    first = store.extractions.add(
        "given", {"total": 1.0, "big": 2**62}, confidence_scores={"total": 55.5}, review_below=80
    )
    store.extractions.review(first.id, {"total": 2}, reviewed_by="ann")
    store.extractions.add(done.id, id="e", status="pending", metadata={"k": None})
    many = [{"filename": f"{n}.txt", "metadata": {"n": n}, "content": f"word {n}"} for n in range(47)]
    store.documents.add_many(many)


METADATA: dict[str, Any] = {
    "z": [1, 1.0, 1e16, -7, 2**53 + 1],
    "a.b": {"": "é\u2028", "$x": None},
    "ok": True,
}


@pytest.fixture
def source(opens: Opens) -> docstore.Store:
    """A store in memory that holds a bit of everything."""
    store = opens()
    fill(store)
    return store

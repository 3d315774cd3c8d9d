"""Documents that every benchmark reads: made from a seed, the same for every store and reference.

They are shaped as an import makes them, with about 150 bytes of metadata each. ``created`` is random relative to the order of
insertion, which is the hard case: no index finds neighbours in time side by side. Frequencies are chosen so that each row of
:mod:`benchmarks.questions` has the selectivity that its name says, at any size.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["EPOCH", "SPAN", "Doc", "content_of", "corpus", "instant", "new_document", "rfc3339"]

EPOCH = 1_600_000_000_000_000
"""Microseconds: every document was created after this …"""
SPAN = 100_000_000_000_000
"""… and within so many microseconds of it."""
CATEGORIES = ("finance", "legal", "sales", "hr", "research", "support", "press", "board")
DEPARTMENTS = ("north", "south", "east", "west", "audit", "tax")
TAGS = ("important", "draft", "q1", "q2", "q3", "q4", "public", "internal", "signed", "scan")
STATUSES = (
    "completed",
    "completed",
    "completed",
    "completed",
    "completed",
    "completed",
    "completed",
    "pending",
    "failed",
    "failed",
)
STEMS = ("report", "invoice", "minutes", "contract", "memo", "slides", "offer", "photo", "notes", "budget")
ENDINGS = ("pdf", "pdf", "pdf", "pdf", "docx", "docx", "xlsx", "txt", "png", "html")
CONTENT_TYPES = {
    "pdf": "application/pdf", "txt": "text/plain", "png": "image/png", "html": "text/html",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
WORDS = (
    "revenue", "growth", "quarter", "board", "agreement", "party", "delivery", "budget", "forecast", "margin", "cost", "team",
    "project", "market", "customer", "supply", "risk", "audit", "policy", "review", "meeting", "schedule", "contract", "payment",
)  # fmt: skip


@dataclass(slots=True)
class Doc:
    """One document: its place in the order of insertion, and what a store is given of it."""

    at: int
    filename: str
    owner: str
    status: str
    created: int
    metadata: dict[str, Any]

    @property
    def id(self) -> str:
        """The id that it is given."""
        return f"d{self.at:08d}"

    @property
    def sha256(self) -> str:
        """A digest, as an import brings it along; no bytes belong to it."""
        return f"{self.at:064x}"

    @property
    def size(self) -> int:
        """The size of its bytes."""
        return 1_000 + self.at % 100_000


def corpus(size: int, seed: int = 1) -> Iterator[Doc]:
    """Yield ``size`` documents; with the same seed the first thousand of a million are those of a thousand."""
    chance = random.Random(seed)
    draw, below = chance.random, chance.randrange
    for at in range(size):
        created = EPOCH + below(SPAN)
        category = CATEGORIES[below(8)]
        tags = [TAGS[0]] if draw() < 0.2 else []
        tags += [TAGS[1 + below(9)] for _ in range(1 + below(2))]
        metadata = {
            "category": category,
            "tags": tags,
            "priority": 1 + below(10),
            "score": round(draw(), 6),
            "pages": 1 + below(1_000),
            "kind": "a" if CATEGORIES.index(category) < 4 else "b",
            "era": "early" if created < EPOCH + SPAN // 100 else "late",
            "author": {"name": f"author-{below(10_000):05d}", "department": DEPARTMENTS[below(6)]},
        }
        filename = f"{STEMS[below(10)]}-{at:07d}.{ENDINGS[below(10)]}"
        owner = f"owner-{below(10):02d}" if draw() < 0.5 else f"owner-{10 + below(1_000):04d}"
        yield Doc(at, filename, owner, STATUSES[below(10)], created, metadata)


def content_of(doc: Doc) -> str:
    """Return some 200 bytes of text: one word of a few frequent ones, one of 10,000 rare ones, and plain filling."""
    chance = random.Random(doc.at)
    words = [WORDS[chance.randrange(24)] for _ in range(24)]
    words.append(f"ticket{chance.randrange(10_000):05d}")
    return " ".join(words).capitalize() + "."


def instant(created: int) -> datetime:
    """Return microseconds since 1970 as an instant."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=created)


def rfc3339(created: int) -> str:
    """Return microseconds since 1970 as the text that a filter takes."""
    return instant(created).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_document(doc: Doc, *, content: bool = False, metadata: bool = True) -> dict[str, Any]:
    """Return what ``add_many`` takes of ``doc``."""
    return {
        "id": doc.id,
        "filename": doc.filename,
        "content_type": CONTENT_TYPES[doc.filename.rpartition(".")[2]],
        "size": doc.size,
        "sha256": doc.sha256,
        "owner": doc.owner,
        "status": doc.status,
        "error": "unreadable" if doc.status == "failed" else None,
        "created_at": instant(doc.created),
        "metadata": doc.metadata if metadata else {},
        "content": content_of(doc) if content else None,
    }

"""Pages of texts on SQLite: a short ordered scan first, then candidates of the text index in their order."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import docstore

START = datetime(2024, 1, 1, tzinfo=UTC)
STEMS = ("report", "memo", "note")
GLOBS = ("*eport-*.pdf", "*-00?4*", "memo*", "*.zip", "*1*", "*-0013.*")


@pytest.mark.parametrize("scanned", [0, 16])
def test_pages_of_texts_are_those_of_plain_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scanned: int
) -> None:
    """Whatever is scanned first, and however few candidates are looked at together, no document is missed,
    nor one that has changed since the index was written.
    """
    monkeypatch.setattr("docstore_sqlite.planner._TEXT_WALK_PAGES", scanned)
    monkeypatch.setattr("docstore_sqlite.planner._LOOKED_AT_ONCE", 2)
    monkeypatch.setattr("docstore_sqlite.planner._SHORTEST_WALK", 4)
    chance = random.Random(scanned)
    with docstore.open(f"sqlite:///{tmp_path}/store.db") as store:
        store.documents.add_many(
            {
                "filename": f"{chance.choice(STEMS)}-{at:04d}.{chance.choice(('pdf', 'txt'))}",
                "created_at": START + timedelta(seconds=chance.randrange(60)),
                "metadata": {"kind": chance.choice("ab")},
            }
            for at in range(120)
        )
        every = list(store.documents.iterate({}))
        for at in range(0, 120, 9):
            store.documents.update(every[at].id, filename=f"memo-{at:04d}.pdf")
        every = sorted(
            store.documents.iterate({}), key=lambda one: (one.created_at, one.number), reverse=True
        )
        for glob in GLOBS:
            for kind in ({}, {"metadata.kind": "a"}, {"created_at": {"$lt": START + timedelta(seconds=30)}}):
                right = [
                    one.id for one in every
                    if fnmatchcase(one.filename, glob)
                    and ("metadata.kind" not in kind or one.metadata["kind"] == "a")
                    and ("created_at" not in kind or one.created_at < START + timedelta(seconds=30))
                ]  # fmt: skip
                filter = {"filename": {"$glob": glob}, **kind}
                page = store.documents.find(filter, limit=3)
                assert right[:3] == [one.id for one in page.items]
                assert right[5:8] == [one.id for one in store.documents.find(filter, limit=3, offset=5).items]
                if page.next_cursor is not None:
                    behind = store.documents.find(filter, limit=3, cursor=page.next_cursor)
                    assert right[3:6] == [one.id for one in behind.items]

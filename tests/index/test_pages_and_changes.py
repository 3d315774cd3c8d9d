"""Pages in the order of a column: no change is missed."""

from __future__ import annotations

import pytest

import docstore


def pages(store: docstore.Store, sort: str) -> list[list[str]]:
    """Return what matches by three ways: by offset, by cursor, and back again."""
    query = {"metadata.kind": "a", "status": "pending"}
    offsets = [
        document.filename
        for offset in range(0, 42, 7)
        for document in store.documents.find(query, sort=sort, limit=7, offset=offset).items
    ]
    forwards, cursor = [], None
    while True:
        page = store.documents.find(query, sort=sort, limit=11, cursor=cursor)
        forwards += [document.filename for document in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    backwards = [document.filename for document in reversed(page.items)]
    while page.prev_cursor is not None:
        page = store.documents.find(query, sort=sort, limit=11, cursor=page.prev_cursor)
        backwards += [document.filename for document in reversed(page.items)]
    return [offsets, forwards, backwards[::-1]]


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-updated_at", "revision"])
def test_pages_follow_every_change(url: str, sort: str) -> None:
    """Pages asked again and again are right after each change, and in an order that others cannot see."""
    with docstore.open(url) as store:
        add = store.documents.add
        added = [
            add(
                filename=f"{n:03}",
                metadata={"kind": "ab"[n % 3 == 0]},
                created_at=f"2026-01-{n % 27 + 1:02}T00:00:00Z",
            )
            for n in range(48)
        ]

        def check() -> None:
            key = sort.lstrip("-")
            matching = [
                d for d in store.documents.iterate() if d.metadata["kind"] == "a" and d.status == "pending"
            ]
            matching.sort(key=lambda d: (getattr(d, key), d.number), reverse=sort.startswith("-"))
            expected = [document.filename for document in matching]
            for _ in range(2):
                assert [expected, expected, expected] == pages(store, sort)

        check()
        store.documents.update(added[1].id, metadata={"kind": "b"})
        check()
        store.documents.delete(added[2].id)
        store.documents.update(added[3].id, metadata={"kind": "a"}, touch=True)
        check()

        def change_and_fail() -> None:
            with store.transaction():
                store.documents.update(added[4].id, metadata={"kind": "b"})
                store.documents.delete(added[5].id)
                check()
                raise RuntimeError

        with pytest.raises(RuntimeError):
            change_and_fail()
        check()

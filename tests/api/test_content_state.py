"""How much of a file's text a document holds: content_state, content_note, and the bound on content."""

import asyncio

import pytest

import docstore


def test_complete_sets_the_state_and_the_note(store: docstore.Store) -> None:
    """None until somebody looked; `complete` sets both, filters find them, counts group by them."""
    new = store.documents.add(filename="a.pdf")
    assert (None, None) == (new.content_state, new.content_note)
    done = store.documents.complete(
        new.id, content="some", content_state="partial", content_note="1 of 2 pages"
    )
    assert ("partial", "1 of 2 pages") == (done.content_state, done.content_note)
    store.documents.complete(store.documents.add(filename="b.png").id, content_state="none")
    assert done == store.documents.get(done.id)
    assert ["a.pdf"] == [one.filename for one in store.documents.find({"content_state": "partial"}).items]
    assert 1 == store.documents.count({"content_note": {"$regex": "of 2"}})
    assert {"partial": 1, "none": 1} == store.documents.count_by("content_state")


def test_a_claim_sets_the_state(store: docstore.Store) -> None:
    """A claim's `complete` and what a handler returns take the same keywords."""
    for name in "ab":
        store.documents.add(filename=name)
    store.documents.claim(1)[0].complete(content="x", content_state="complete")
    store.documents.process(lambda one: {"content_state": "none", "content_note": "no text"})
    assert {"complete": 1, "none": 1} == store.documents.count_by("content_state")


def test_new_content_takes_the_old_state_away(store: docstore.Store) -> None:
    """State and note are about the content that came with them."""
    old = store.documents.add(content="a", content_state="partial", content_note="cut")
    assert "cut" == old.content_note
    assert "partial" == store.documents.update(old.id, metadata={"n": 1}).content_state
    changed = store.documents.update(old.id, content="b")
    assert (None, None) == (changed.content_state, changed.content_note)
    assert "complete" == store.documents.update(old.id, content_state="complete").content_state


def test_only_the_three_words_are_states(store: docstore.Store) -> None:
    """Another word is refused where it is written and where it is asked for, and changes nothing."""
    new = store.documents.add(metadata={})
    with pytest.raises(docstore.InvalidDocument, match=r"none, partial, complete"):
        store.documents.complete(new.id, content_state="whole")
    assert new == store.documents.get(new.id)
    for operand in ("whole", 1, {"$in": ["none", "all"]}):
        with pytest.raises(docstore.FilterValueError, match="'none', 'partial', 'complete'"):
            store.documents.find({"content_state": operand})
    assert 1 == store.documents.count({"content_state": None})


def test_a_filter_knows_the_kinds_of_files(store: docstore.Store) -> None:
    """A file_type that no document can have is refused; a suffix is told apart from its kind."""
    store.documents.add(filename="a.csv")
    assert 1 == store.documents.count({"file_type": "excel"})
    with pytest.raises(docstore.FilterValueError, match="csv files are file_type 'excel'"):
        store.documents.count({"file_type": "csv"})
    with pytest.raises(docstore.FilterValueError, match="'powerpoint'"):
        store.documents.count({"file_type": {"$ne": "slides"}})


def test_content_beyond_the_limit_is_cut_and_says_so(url: str) -> None:
    """However the content comes: added alone or with many, completed, updated."""
    with docstore.open(url, limits={"content": 5}) as store:
        alone = store.documents.add(content="123456")
        many = store.documents.add_many([{"content": "12345"}, {"content": "1234567"}]).ids
        done = store.documents.complete(
            store.documents.add(metadata={}).id,
            content="abcdef",
            content_state="partial",
            content_note="1 page lost",
        )
        changed = store.documents.update(many[0], content="abcdefg")
        assert ("partial", "cut at 5 characters") == (alone.content_state, alone.content_note)
        assert ("partial", "1 page lost; cut at 5 characters") == (done.content_state, done.content_note)
        assert "partial" == store.documents.get(many[1]).content_state == changed.content_state
        texts = [one.content for one in store.documents.iterate(include={"content"})]
        assert ["12345", "abcde", "12345", "abcde"] == texts


def test_the_asynchronous_store_sets_the_state() -> None:
    """The same keywords on AsyncStore."""

    async def run() -> None:
        async with docstore.open_async("memory://") as store:
            new = await store.documents.add(content="a", content_state="partial")
            assert "partial" == new.content_state
            new = await store.documents.add(metadata={})
            done = await store.documents.complete(new.id, content="a", content_state="none", content_note="b")
            assert ("none", "b") == (done.content_state, done.content_note)
            await store.documents.add(metadata={})
            claim = (await store.documents.claim(1))[0]
            assert "complete" == (await claim.complete(content_state="complete")).content_state

    asyncio.run(run())

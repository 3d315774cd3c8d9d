"""The status machine: which steps are allowed from where, and what they write."""

from __future__ import annotations

import pytest

import docstore
from docstore import Status
from docstore.backend import Query
from docstore.query.fields import DOCUMENTS

ALLOWED = {
    ("pending", "start"): "processing",
    ("pending", "complete"): "completed",
    ("pending", "fail"): "failed",
    ("processing", "complete"): "completed",
    ("processing", "fail"): "failed",
    ("failed", "retry"): "pending",
    ("completed", "retry"): "pending",
}


@pytest.mark.parametrize("status", [status.value for status in Status])
@pytest.mark.parametrize("action", ["start", "complete", "fail", "retry"])
def test_steps_lead_where_the_table_says(store: docstore.Store, status: str, action: str) -> None:
    """Any other step is InvalidTransition, says where it stands, and changes nothing."""
    made = store.documents.add(status=status)
    call = getattr(store.documents, action)
    arguments = ("broken",) if action == "fail" else ()
    if (status, action) in ALLOWED:
        assert ALLOWED[status, action] == call(made.id, *arguments).status
        return
    with pytest.raises(docstore.InvalidTransition) as caught:
        call(made.id, *arguments)
    assert (made.id, status, action) == (caught.value.id, caught.value.status, caught.value.action)
    assert made == store.documents.get(made.id)


def test_a_document_can_be_processed_again_and_again(store: docstore.Store) -> None:
    """attempts counts starts; the error is the last failure's; processed_at the last completion's."""
    made = store.documents.add(metadata={})
    store.documents.start(made.id)
    failed = store.documents.fail(made.id, "broken")
    assert ("failed", "broken", 1, None) == (
        failed.status,
        failed.error,
        failed.attempts,
        failed.processed_at,
    )
    again = store.documents.retry(made.id)
    assert ("pending", None, 1) == (again.status, again.error, again.attempts)
    store.documents.start(made.id)
    done = store.documents.complete(made.id, content="text", metadata={"pages": 3})
    assert (2, None, "text", {"pages": 3}) == (done.attempts, done.error, done.preview, done.metadata)
    assert done.processed_at == done.updated_at
    assert None is store.documents.retry(made.id).processed_at


def test_complete_can_be_quiet(store: docstore.Store) -> None:
    """touch=False leaves updated_at; processed_at can be given."""
    made = store.documents.add(created_at="2020-01-01T00:00:00Z")
    done = store.documents.complete(made.id, touch=False, processed_at="2020-01-02T00:00:00Z")
    assert made.created_at == done.updated_at
    assert 2 == done.processed_at.day if done.processed_at else False


def counts(store: docstore.Store, **options: bool) -> dict[str | None, int]:
    """Return the counts by status, counted one by one."""
    found: dict[str | None, int] = {}
    for document in store.documents.iterate(**options):
        found[str(document.status)] = found.get(str(document.status), 0) + 1
    return found


def test_counts_by_status_follow_every_write(store: docstore.Store) -> None:
    """Adding, versions, steps, removals, transactions and their failures: the counts are the rows'."""
    view = store.scoped(tenant="t", owner="o")

    def check() -> None:
        for one in (store, view, store.scoped(tenant="t")):
            for latest in (True, False):
                assert counts(one, latest_only=latest) == one.documents.count_by("status", latest_only=latest)
                everything = sum(counts(one, latest_only=latest).values())
                assert everything == one.documents.count(latest_only=latest)
                pending = counts(one, latest_only=latest).get("pending", 0)
                assert pending == one.documents.count({"status": "pending"}, latest_only=latest)

    made = [view.documents.add(external_id=f"{n % 3}") for n in range(5)]
    store.documents.add_many(
        [{"status": word} for word in ("pending", "failed", "completed") for _ in range(4)]
    )
    check()
    view.documents.start(made[4].id)
    view.documents.claim(2)
    check()
    store.documents.delete(made[4].id)
    check()
    with pytest.raises(KeyError), store.transaction():  # noqa: PT012
        store.documents.add(metadata={})
        check()
        raise KeyError
    check()
    with store.transaction():
        with pytest.raises(docstore.AlreadyExists):
            store.documents.add_many([{"id": "x"}, {"id": "x", "filename": "other"}])
        store.documents.delete_many({"status": "failed"})
    check()
    store.documents.delete_many({})
    check()


def test_counts_survive_concurrent_writers(shared: docstore.Store, together) -> None:  # type: ignore[no-untyped-def]
    """Steps, new versions and folding at once leave the counts right."""

    def work(index: int) -> None:
        for n in range(25):
            made = shared.documents.add(external_id=f"{n % 4}", owner=f"{index % 2}")
            shared.documents.start(made.id)
            if n % 3 == 0:
                shared.documents.delete(made.id)

    together(4, work)
    for latest in (True, False):
        assert counts(shared, latest_only=latest) == shared.documents.count_by("status", latest_only=latest)


def test_a_row_is_counted_as_it_is_however_it_was_read(store: docstore.Store) -> None:
    """A backend counts by the row that is there, not by the one that it is handed."""
    document = store.documents.add(filename="a.txt", owner="one")
    with store._context.backend.write() as writer:
        (row,) = writer.select(Query(DOCUMENTS))
        for status in ("processing", "completed"):
            assert writer.update(DOCUMENTS, row, {"status": status})
    assert store.documents.get(document.id).status == "completed"
    assert store.documents.count_by("status") == {"completed": 1}

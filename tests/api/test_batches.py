"""Many documents at once are checked a column at a time: with the same outcome as one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import docstore
from docstore.backend import Scope
from docstore.errors import DocstoreError, InvalidDocument
from docstore.limits import Limits
from docstore.models import NewDocument
from docstore.validation import Checks
from docstore.writes.drafts import Batch, Draft, Intake, draft_document

CHECKS = Checks(Limits(metadata_depth=4, metadata_bytes=200, filename_characters=20), None)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = "2026-01-31T19:30:00.5Z"


class Word(str):
    """Text that is not quite a str."""


class Colour(Enum):
    """An enumeration over text."""

    RED = "red"


SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64), 2**64),
    st.integers(-9, 9),
    st.floats(),
    st.floats(0, 1),
    st.sampled_from([-0.0, 0.0, 1e-5, 1e16, 1e22, math.nan, math.inf, Word("w"), Colour.RED, NOON, b"raw"]),
    st.text(st.sampled_from("ab é\0\ud800"), max_size=8),
)
METADATA: st.SearchStrategy[Any] = st.one_of(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), SCALARS, max_size=3),
    st.fixed_dictionaries({"a": st.integers(0, 9), "b": st.lists(st.text("xy", max_size=3), max_size=3)}),
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=2).map(tuple),
            st.dictionaries(st.one_of(st.sampled_from("ab\0"), st.just(1)), inner, max_size=3),
        ),
        max_leaves=8,
    ),
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "filename": st.one_of(
        st.sampled_from(["", "a.pdf", "Makefile", "x/b.TXT", "pdf", "é.txt", ".csv", "a" * 21, Word("w")]),
        SCALARS,
    ),
    "content_type": st.sampled_from([None, "", "text/plain", "Text/HTML; charset=x", "a" * 801, 1]),
    "status": st.sampled_from(["pending", "failed", "completed", None, "none", Word("failed"), 1]),
    "error": st.sampled_from([None, "why", "", "\0", 1, Word("w")]),
    "owner": st.sampled_from([None, "me", "you", "", 1, Word("me")]),
    "tenant": st.sampled_from([None, "t", "u"]),
    "created_at": st.sampled_from(
        [None, NOON, NOON.astimezone(timezone(timedelta(hours=1))), LATER, "now", NOON.replace(tzinfo=None)]
    ),
    "updated_at": st.sampled_from([None, NOON]),
    "content": st.sampled_from([None, "some  text", "\0", 1]),
    "preview": st.sampled_from([None, "seen"]),
    "size": st.sampled_from([None, 0, 2**63, True]),
    "sha256": st.sampled_from([None, "A" * 64, "b"]),
    "id": st.sampled_from([None, "x", "", 1]),
    "external_id": st.sampled_from([None, "e", ""]),
    "dedupe": st.sampled_from([None, "sha256", "md5"]),
    "source": st.sampled_from([None, b"bytes"]),
    "unheard of": st.just(1),
}  # fmt: skip
COMMON = ("filename", "status", "created_at")
"""What most documents have, so that batches are not all mixed."""


@st.composite
def batches(draw: st.DrawFn) -> list[Any]:
    """Draw documents: most of them alike in their fields, in most batches plain in nearly every value."""
    names = draw(st.lists(st.sampled_from([*COMMON * 4, *FIELDS]), unique=True, max_size=4))
    plain = {"filename": "a.pdf", "status": "failed", "created_at": NOON, "owner": "me", "error": "why"}
    size = draw(st.integers(8, 12))
    odd = draw(st.sets(st.integers(0, size - 1), max_size=2))
    found: list[Any] = []
    for at in range(size):
        own = {name: draw(FIELDS[name]) if at in odd or name not in plain else plain[name] for name in names}
        own["metadata"] = draw(METADATA) if at in odd else {"a": at, "b": ["x"], "c": {"d": at / 7}}
        found.append(own)
    if "unheard of" not in names and draw(st.booleans()):
        found[0] = NewDocument.model_construct(**found[0])
    return found


def outcome(work: Any) -> Any:
    """Return what comes of it, without the ids that are drawn; which of a NewDocument's fields is told as
    wrong is open, they have no order.
    """
    try:
        made = work()
    except DocstoreError as wrong:
        is_open = getattr(wrong, "index", None) == 0 or str(wrong).startswith("document 0:")
        return is_open or (type(wrong), str(wrong), getattr(wrong, "index", None))
    drafts = made.drafts() if isinstance(made, Batch) else made
    return [
        (
            {**draft.row, "id": draft.row["id"] if draft.named else None},
            draft.source,
            draft.named,
            draft.dedupe,
        )
        for draft in drafts
    ]


def one_by_one(documents: list[Any], scope: Scope) -> list[Draft]:
    """Validate documents each by itself."""
    drafts = []
    for at, one in enumerate(documents):
        try:
            drafts.append(draft_document(one, scope, CHECKS))
        except InvalidDocument as wrong:
            raise InvalidDocument(f"document {at}: {wrong.message}", field=wrong.field, index=at) from wrong
        except docstore.ScopeError as wrong:
            raise docstore.ScopeError(f"document {at}: {wrong.message}") from wrong
    return drafts


@given(batches(), st.sampled_from([Scope(), Scope("t"), Scope("t", "me")]))
@settings(max_examples=6 * settings().max_examples, deadline=None)
def test_a_batch_is_what_its_documents_are_one_by_one(documents: list[Any], scope: Scope) -> None:
    """The rows are the same, and so is the first error, given as a list or one after another."""
    expected = outcome(lambda: one_by_one(documents, scope))
    size = len(documents)
    assert expected == outcome(lambda: Intake(scope, CHECKS, [*documents]).take(size))
    assert expected == outcome(lambda: Intake(scope, CHECKS, iter(documents)).take(size))


def test_plain_documents_are_checked_together() -> None:
    """The short way is the one that is taken."""
    documents = [{"filename": f"{n}.pdf", "metadata": {"n": n}, "created_at": NOON} for n in range(20)]
    for batch in (
        Intake(Scope(), CHECKS, [*documents]).take(20),
        Intake(Scope(), CHECKS, iter(documents)).take(20),
    ):
        assert isinstance(batch, Batch)
        assert len(batch.rows) == 20


def test_an_iterator_may_yield_the_same_object_again() -> None:
    """Each document is taken as it is when it comes, its metadata too."""

    def coming() -> Iterator[Mapping[str, Any]]:
        document: dict[str, Any] = {"metadata": {"tags": []}}
        for number in range(20):
            document["filename"] = f"{number}.txt"
            document["metadata"]["number"] = number
            document["metadata"]["tags"].append(number)
            yield document

    with docstore.open("memory://") as store:
        store.documents.add_many(coming())
        found = store.documents.find(sort="number", limit=20).items
    assert [f"{number}.txt" for number in range(20)] == [one.filename for one in found]
    assert [{"tags": [*range(n + 1)], "number": n} for n in range(20)] == [one.metadata for one in found]


def test_a_wrong_document_is_told_before_what_comes_after_it() -> None:
    """An iterable that fails has yielded a wrong document before: that is the error."""

    def coming() -> Iterator[Mapping[str, Any]]:
        yield from ({"filename": str(number)} for number in range(9))
        yield {"status": "lost"}
        yield {"metadata": {}}
        raise OSError("no more")

    with docstore.open("memory://") as store:
        with pytest.raises(InvalidDocument, match="document 9: status") as wrong:
            store.documents.add_many(coming())
        assert wrong.value.index == 9
        assert store.documents.count() == 0


def test_metadata_that_holds_itself_is_refused() -> None:
    """Objects that hold themselves are too deep, and looking for their end has one."""
    endless: list[Any] = []
    endless += [endless, endless]
    documents = [{"metadata": {"n": endless}} for _ in range(8)]
    with docstore.open("memory://") as store, pytest.raises(InvalidDocument, match="nested too deeply"):
        store.documents.add_many(documents)


def test_a_new_document_with_content_is_completed_in_a_batch(store: docstore.Store) -> None:
    """As add() has it, and as a mapping has it: nobody said a status."""
    store.documents.add_many([docstore.NewDocument(filename=f"{n}", content="text") for n in range(12)])
    store.documents.add_many([{"filename": f"{n}", "content": "text"} for n in range(12)])
    assert {"completed": 24} == dict(store.documents.count_by("status"))

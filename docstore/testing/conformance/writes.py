"""Rows come back as they went in; a write block is atomic; numbers are never used again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from docstore.backend import Backend, BlobRow, Query
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.testing.conformance.rows import columns, document, extraction, ids, keyed, one, stored

__all__ = ["WritePromises"]

_AWKWARD = "é e\u0301 日本 😀 \uffff \U00010000 \x01 \x7f \u2028 \"quoted\" 'single' %s :p ? $1 \\ \\n \n\t"


class WritePromises:
    """What ``insert``, ``update`` and ``delete`` promise."""

    def test_rows_come_back_as_they_were_inserted(self, backend: Backend) -> None:
        """Every column of every kind keeps its value and its type, at the edges, too."""
        rows = [
            document("plain"),
            document("text", filename=_AWKWARD, content=_AWKWARD * 1000, error="", preview=_AWKWARD),
            document("numbers", size=2**63 - 1, attempts=0, revision=2**53 + 1),
            document("instants", created_at=-1, updated_at=253_402_300_799_999_999, processed_at=0),
            document("json", metadata='{"b":1.0,"a":1,"c":1e16,"d":9007199254740993,"é":["😀",null,{}]}'),
            document("private", blob_key="ab/cd", fingerprint="f", lease_token="t", lease_worker="w"),
            document("lease", lease_expires_at=2**53 + 1),
            document("scoped", tenant="t", owner="o", external_id="x", version=7, is_latest=False),
        ]
        with backend.write() as writer:
            numbers = writer.insert(DOCUMENTS, rows)
        expected = [{**row, "number": number} for row, number in zip(rows, numbers, strict=True)]
        with backend.read() as reader:
            actual = stored(reader)
        assert expected == actual
        assert [_types(row) for row in expected] == [_types(row) for row in actual]

    def test_extractions_come_back_as_they_were_inserted(self, backend: Backend) -> None:
        """No JSON is told from an empty object."""
        rows = [
            extraction("none", "d", results=None),
            extraction("empty", "d", results="{}", review_flags="{}"),
            extraction("full", "d", results='{"a":[]}', needs_review=True, reviewed_at=1, fingerprint="f"),
        ]
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [document("d")])
            numbers = writer.insert(EXTRACTIONS, rows)
        with backend.read() as reader:
            actual = stored(reader, EXTRACTIONS)
        assert [{**row, "number": number} for row, number in zip(rows, numbers, strict=True)] == actual

    def test_inserting_nothing(self, backend: Backend) -> None:
        """No rows, no numbers, no error."""
        with backend.write() as writer:
            assert list(writer.insert(DOCUMENTS, [])) == []
            assert writer.delete(DOCUMENTS, []) == 0

    def test_numbers_increase_in_the_order_of_the_rows(self, backend: Backend) -> None:
        """Within a call and from call to call; each collection counts for itself."""
        with backend.write() as writer:
            first = list(writer.insert(DOCUMENTS, [document(f"a{n}") for n in range(50)]))
            second = list(writer.insert(DOCUMENTS, [document("b")]))
        assert sorted({*first, *second}) == [*first, *second]
        with backend.read() as reader:
            assert [*(f"a{n}" for n in range(50)), "b"] == ids(reader)

    def test_a_number_is_never_used_again(self, backend: Backend) -> None:
        """Not even when the row with the largest one is gone."""
        with backend.write() as writer:
            (number,) = writer.insert(DOCUMENTS, [document("a")])
        with backend.write() as writer:
            writer.delete(DOCUMENTS, [keyed(number)])
        with backend.write() as writer:
            assert number < writer.insert(DOCUMENTS, [document("a")])[0]

    def test_update_sets_the_named_columns_alone(self, backend: Backend) -> None:
        """Other columns and other rows stay as they are; JSON, heavy and private ones can be set."""
        with backend.write() as writer:
            rows = [document("a", content="old", size=1), document("b", content="old")]
            first, second = writer.insert(DOCUMENTS, rows)
        changes = {"metadata": '{"a":1}', "content": "new", "lease_token": "t", "size": None}
        with backend.write() as writer:
            assert writer.update(DOCUMENTS, keyed(first), changes) is True
        with backend.read() as reader:
            expected = [
                {**document("a"), "number": first, **changes},
                {**document("b", content="old"), "number": second},
            ]
            assert expected == stored(reader)

    def test_update_of_a_row_that_is_not_there(self, backend: Backend) -> None:
        """It says so and changes nothing."""
        with backend.write() as writer:
            (number,) = writer.insert(DOCUMENTS, [document("a")])
            assert writer.update(DOCUMENTS, keyed(number + 1), {"size": 5}) is False
            assert writer.update(EXTRACTIONS, keyed(number), {"status": "failed"}) is False
            assert [{**document("a"), "number": number}] == stored(writer)

    def test_delete_counts_the_rows_that_were_there(self, backend: Backend) -> None:
        """Numbers without a row do not count."""
        with backend.write() as writer:
            numbers = writer.insert(DOCUMENTS, [document("a"), document("b"), document("c")])
            assert writer.delete(DOCUMENTS, [keyed(n) for n in (numbers[0], numbers[2], numbers[2] + 1)]) == 2
            assert ids(writer) == ["b"]

    def test_removing_documents_removes_their_extractions(self, backend: Backend) -> None:
        """Those of the same id in the same tenant, and no others."""
        with backend.write() as writer:
            documents = [document("d", tenant="t"), document("d"), document("e", tenant="t")]
            numbers = writer.insert(DOCUMENTS, documents)
            rows = [extraction("1", "d", tenant="t"), extraction("2", "d"), extraction("3", "e", tenant="t")]
            writer.insert(EXTRACTIONS, rows)
            assert writer.delete(DOCUMENTS, [keyed(numbers[0], "t")]) == 1
            assert ids(writer, EXTRACTIONS) == ["2", "3"]

    def test_a_block_sees_its_own_writes(self, backend: Backend) -> None:
        """Inserted, updated and deleted rows, in selects and counts, by key and by scan."""
        with backend.write() as writer:
            numbers = writer.insert(DOCUMENTS, [document("a"), document("b"), document("c")])
            writer.update(DOCUMENTS, keyed(numbers[0]), {"id": "z", "filename": "z"})
            writer.delete(DOCUMENTS, [keyed(n) for n in numbers[1:2]])
            assert ids(writer) == ["z", "c"]
            assert tuple(ids(writer, where=one("id", id)) for id in "azb") == ([], ["z"], [])
            assert writer.count(Query(DOCUMENTS)) == 2

    def test_an_exception_undoes_the_block(self, backend: Backend) -> None:
        """Rows, updates, deletes, cascades and blob rows are as before, and the store goes on."""
        with backend.write() as writer:
            numbers = writer.insert(DOCUMENTS, [document("a"), document("b")])
            writer.insert(EXTRACTIONS, [extraction("x", "b")])
            writer.insert_blob(BlobRow("kept"))
        with backend.read() as reader:
            before = stored(reader), stored(reader, EXTRACTIONS), reader.blobs()
        with pytest.raises(ZeroDivisionError):
            _change_and_fail(backend, numbers)
        with backend.read() as reader:
            assert before == (stored(reader), stored(reader, EXTRACTIONS), reader.blobs())
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [document("c")])
        with backend.read() as reader:
            assert ids(reader) == ["a", "b", "c"]

    def test_rows_are_the_callers_own(self, backend: Backend) -> None:
        """Changing a row that was given or returned changes nothing stored."""
        given = document("a")
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [given])
            given["id"] = "changed"
            writer.select(Query(DOCUMENTS))[0]["id"] = "changed"
            assert ids(writer) == ["a"]

    def test_the_clock_does_not_go_backwards(self, backend: Backend) -> None:
        """``now`` is microseconds since the epoch, from block to block as well."""
        seen = []
        for _ in range(3):
            with backend.write() as writer:
                seen += [writer.now(), writer.now()]
        assert sorted(seen) == seen
        assert seen[0] > 1_735_689_600_000_000
        assert {int} == {type(instant) for instant in seen}


def _change_and_fail(backend: Backend, numbers: Sequence[int]) -> None:
    with backend.write() as writer:
        writer.insert(DOCUMENTS, [document("c")])
        writer.update(DOCUMENTS, keyed(numbers[0]), {"id": "z"})
        writer.delete(DOCUMENTS, [keyed(n) for n in numbers[1:]])
        writer.insert_blob(BlobRow("new"))
        writer.update_blob(BlobRow("kept"), ["pending"], state="live")
        raise ZeroDivisionError


def _types(row: dict[str, object]) -> dict[str, type]:
    return {name: type(row[name]) for name in columns(DOCUMENTS)}

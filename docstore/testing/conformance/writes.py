"""Rows come back as they went in; a write block is atomic; unique keys are unique; numbers are not reused.

Rows of documents and extractions, then unique keys (ids within a tenant, versions within a chain, one latest
of each), then rows of blobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from docstore.backend import Backend, BlobRow, Duplicate, Query, Scope, update_rows
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.testing.conformance.rows import columns, document, extraction, ids, keyed, one, stored

__all__ = [
    "BlobPromises",
    "UniquePromises",
    "WritePromises",
]

_AWKWARD = "é e\u0301 日本 😀 \uffff \U00010000 \x01 \x7f \u2028 \"quoted\" 'single' %s :p ? $1 \\ \\n \n\t"


class WritePromises:
    """The promises of ``insert``, ``update`` and ``delete``."""

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

    def test_updates_of_many_rows_at_once(self, backend: Backend) -> None:
        """Each row gets its own columns, whether others get the same ones, the same values, or none."""
        tenants = [None, "t", None, "u", None, None]
        rows = [document(f"{n}", tenant=tenant, content="old") for n, tenant in enumerate(tenants)]
        changes: list[dict[str, Any]] = [
            {"metadata": '{"a":[1,"x"]}', "revision": 2, "updated_at": 5, "status": "failed"},
            {"metadata": '{"é":"\\\\ \\" {} , \'"}', "revision": 3, "updated_at": 5, "status": "failed"},
            {"metadata": "{}", "revision": 4, "updated_at": 5, "status": "pending"},
            {"filename": _AWKWARD, "size": None, "error": "e", "is_latest": False},
            {"filename": "É.pdf", "size": 2**63 - 1, "error": None, "is_latest": True},
            {"content": None},
        ]
        changes[1]["content"] = _AWKWARD
        with backend.write() as writer:
            numbers = writer.insert(DOCUMENTS, rows)
            keys = [{**row, "number": number} for row, number in zip(rows, numbers, strict=True)]
            assert update_rows(writer, DOCUMENTS, list(zip(keys, changes, strict=True))) is True
            assert update_rows(writer, DOCUMENTS, []) is True
            expected = [{**key, **columns} for key, columns in zip(keys, changes, strict=True)]
            assert expected == stored(writer)
        with backend.read() as reader:
            assert expected == stored(reader)
            assert 2 == reader.count(Query(DOCUMENTS, where=one("status", "failed")))

    def test_updates_of_rows_that_are_not_all_there(self, backend: Backend) -> None:
        """It says so, whichever is missing; the core then undoes the block."""
        with backend.write() as writer:
            (number,) = writer.insert(DOCUMENTS, [document("a")])
            for first, second in ((number, number + 1), (number + 1, number)):
                changes = [(keyed(first), {"size": 1}), (keyed(second), {"size": 2})]
                assert update_rows(writer, DOCUMENTS, changes) is False

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


_CHAIN = {"external_id": "x", "tenant": "t", "owner": "o"}


def _version(id: str, version: int, latest: bool = False, **changes: Any) -> dict[str, Any]:
    return document(id, **{**_CHAIN, "version": version, "is_latest": latest, **changes})


class UniquePromises:
    """The promises of ``Duplicate``."""

    @pytest.mark.parametrize("tenant", [None, "t"])
    def test_an_id_is_unique_within_its_tenant(self, backend: Backend, tenant: str | None) -> None:
        """No tenant is a tenant, too; other tenants and other collections may use the same id."""
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [document("a", tenant=tenant), document("a", tenant="other")])
            writer.insert(EXTRACTIONS, [extraction("a", "a", tenant=tenant)])
        for collection, row in (
            (DOCUMENTS, document("a", tenant=tenant)),
            (EXTRACTIONS, extraction("a", "a", tenant=tenant)),
        ):
            with pytest.raises(Duplicate) as raised, backend.write() as writer:
                writer.insert(collection, [row])
            assert raised.value.constraint in ("id", "")

    @pytest.mark.parametrize("chain", [_CHAIN, {"external_id": "x"}, {"external_id": "x", "tenant": "t"}])
    def test_a_version_is_unique_within_its_chain(self, backend: Backend, chain: dict[str, Any]) -> None:
        """Chains without a tenant or an owner are chains, too."""
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [document("a", **chain, version=1, is_latest=False)])
        with pytest.raises(Duplicate) as raised, backend.write() as writer:
            writer.insert(DOCUMENTS, [document("b", **chain, version=1, is_latest=False)])
        assert raised.value.constraint in ("version", "")
        with pytest.raises(Duplicate), backend.write() as writer:
            writer.insert(DOCUMENTS, [document(str(n), **chain, version=n, is_latest=True) for n in (2, 3)])

    def test_a_chain_belongs_to_tenant_owner_and_external_id(self, backend: Backend) -> None:
        """Any other of the three is another chain; without an external id there is none."""
        others = [
            _version("b", 1, True, owner="p"),
            _version("c", 1, True, tenant="u"),
            _version("d", 1, True, external_id="y"),
            _version("e", 1, True, tenant=None),
            _version("f", 1, True, owner=None),
            _version("g", 1, True, external_id=None),
            _version("h", 1, True, external_id=None),
        ]
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [_version("a", 1, True), *others])
            assert list("abcdefgh") == ids(writer)

    def test_the_latest_can_move(self, backend: Backend) -> None:
        """Taking the mark from one version makes room for the next within the block."""
        with backend.write() as writer:
            (number,) = writer.insert(DOCUMENTS, [_version("a", 1, True)])
            writer.update(DOCUMENTS, keyed(number, "t"), {"is_latest": False})
            writer.insert(DOCUMENTS, [_version("b", 2, True)])
        with backend.write() as writer:
            (number,) = writer.insert(DOCUMENTS, [_version("c", 3)])
            with pytest.raises(Duplicate):
                writer.update(DOCUMENTS, keyed(number, "t"), {"is_latest": True})

    def test_update_keeps_ids_unique(self, backend: Backend) -> None:
        """A row may keep its own id, and may not take another's."""
        with backend.write() as writer:
            numbers = writer.insert(DOCUMENTS, [document("a"), document("b")])
        with backend.write() as writer:
            writer.update(DOCUMENTS, keyed(numbers[0]), {"id": "a", "size": 3})
        with pytest.raises(Duplicate), backend.write() as writer:
            writer.update(DOCUMENTS, keyed(numbers[0]), {"id": "b"})

    def test_nothing_of_a_refused_insert_is_kept(self, backend: Backend) -> None:
        """The rows before the duplicate are not there either; what the block did before it is."""
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [document("a")])
            with pytest.raises(Duplicate):
                writer.insert(DOCUMENTS, [document("b"), document("c"), document("a"), document("d")])
            assert ids(writer) == ["a"]
            writer.insert(DOCUMENTS, [document("e")])
        with backend.read() as reader:
            assert ids(reader) == ["a", "e"]

    def test_a_key_is_free_again_when_its_row_is_gone(self, backend: Backend) -> None:
        """Within the block and after it."""
        with backend.write() as writer:
            (number,) = writer.insert(DOCUMENTS, [_version("a", 1, True)])
            writer.delete(DOCUMENTS, [keyed(number, "t")])
            (number,) = writer.insert(DOCUMENTS, [_version("a", 1, True)])
        with backend.write() as writer:
            writer.delete(DOCUMENTS, [keyed(number, "t")])
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [_version("a", 1, True)])


_ROWS = (
    BlobRow("aa", state="pending", at=10),
    BlobRow("ab", tenant="t", owner="o", sha256="00", size=2**40, state="live", at=20, attempts=3),
    BlobRow("b", tenant="t", owner="p", sha256="01", size=0, state="dead", at=30),
    BlobRow("c", tenant="u", owner="o", sha256="02", size=1, state="swept", at=-5),
)


def _fill(backend: Backend) -> None:
    with backend.write() as writer:
        for row in reversed(_ROWS):
            writer.insert_blob(row)


class BlobPromises:
    """The promises of ``blobs``, ``insert_blob``, ``update_blob`` and ``delete_blob``."""

    def test_blob_rows_come_back_ordered_by_key(self, backend: Backend) -> None:
        """Rows come by key however they were added, each with all of its fields."""
        _fill(backend)
        with backend.read() as reader:
            assert list(_ROWS) == list(reader.blobs())
            assert list(_ROWS[:2]) == list(reader.blobs(limit=2))
            assert list(_ROWS[2:]) == list(reader.blobs(after_key="ab"))
            assert list(_ROWS[2:3]) == list(reader.blobs(after_key="ab", limit=1))

    def test_blob_rows_are_found_by_state_age_and_key(self, backend: Backend) -> None:
        """All that is given must hold; ``before`` is exclusive; no keys are none."""
        _fill(backend)
        with backend.read() as reader:
            assert [_ROWS[0], _ROWS[2]] == list(reader.blobs(states=["pending", "dead"]))
            assert [_ROWS[0], _ROWS[3]] == list(reader.blobs(before=20))
            assert [_ROWS[1], _ROWS[3]] == list(reader.blobs(keys=["c", "ab", "c", "nowhere"]))
            assert list(reader.blobs(keys=[])) == []
            assert list(reader.blobs(keys=["aa"], states=["live"])) == []

    def test_blob_rows_are_found_by_scope(self, backend: Backend) -> None:
        """A scope's part that is ``None`` does not confine."""
        _fill(backend)
        with backend.read() as reader:
            assert list(_ROWS[1:3]) == list(reader.blobs(scope=Scope(tenant="t")))
            assert [_ROWS[1], _ROWS[3]] == list(reader.blobs(scope=Scope(owner="o")))
            assert [_ROWS[1]] == list(reader.blobs(scope=Scope("t", "o")))
            assert list(reader.blobs(scope=Scope("T"))) == []

    def test_a_blob_row_changes_only_from_the_named_states(self, backend: Backend) -> None:
        """Otherwise, or where there is no row, the call says no and changes nothing."""
        _fill(backend)
        with backend.write() as writer:
            assert writer.update_blob(_ROWS[0], ["dead", "live"], state="swept") is False
            assert writer.update_blob(BlobRow("nowhere"), ["pending"], state="dead") is False
            assert writer.update_blob(_ROWS[0], ["pending"], state="live", sha256="ff", size=3, at=40) is True
            assert writer.update_blob(_ROWS[0], ["pending"], state="dead") is False
        with backend.read() as reader:
            expected = [BlobRow("aa", sha256="ff", size=3, state="live", at=40), *_ROWS[1:]]
            assert expected == list(reader.blobs())

    def test_a_blob_row_goes_only_from_the_named_states(self, backend: Backend) -> None:
        """As for a change; and it is gone once."""
        _fill(backend)
        with backend.write() as writer:
            assert writer.delete_blob(_ROWS[3], ["dead"]) is False
            assert writer.delete_blob(_ROWS[3], ["dead", "swept"]) is True
            assert writer.delete_blob(_ROWS[3], ["dead", "swept"]) is False
        with backend.read() as reader:
            assert list(_ROWS[:3]) == list(reader.blobs())

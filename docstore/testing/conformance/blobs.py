"""Blob rows: found by state, age, key and scope; changed only from the state that is named."""

from __future__ import annotations

from docstore.backend import Backend, BlobRow, Scope

__all__ = ["BlobPromises"]

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
    """What ``blobs``, ``insert_blob``, ``update_blob`` and ``delete_blob`` promise."""

    def test_blob_rows_come_back_ordered_by_key(self, backend: Backend) -> None:
        """Whatever the order in which they were added; each with all of its fields."""
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

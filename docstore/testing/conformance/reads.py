"""Selects and counts: scope, filter, order, window and columns; and one snapshot where it is asked for."""

from __future__ import annotations

import pytest

from docstore.backend import Backend, Explains, Query, Scope, SortKey, Statement, Support
from docstore.query.expr import And, Compare, In
from docstore.query.fields import DOCUMENTS
from docstore.testing.conformance.rows import columns, document, ids, keyed, one
from docstore.testing.conformance.threads import Thread

__all__ = ["ReadPromises"]

_NUMBER = SortKey(("number",))
_SIZES = (SortKey(("size",)), _NUMBER)
_SIZES_TURNED = (SortKey(("size",), True, True), SortKey(("number",), True, True))


def _fill(backend: Backend) -> list[int]:
    sizes = (("a", 2), ("b", None), ("c", 1), ("d", 2), ("e", None), ("f", 2**53 + 1), ("g", 2**53))
    with backend.write() as writer:
        return list(writer.insert(DOCUMENTS, [document(id, size=size) for id, size in sizes]))


class ReadPromises:
    """The promises of ``select``, ``count`` and ``read``."""

    def test_an_empty_store(self, backend: Backend) -> None:
        """No rows, and a count of zero."""
        with backend.read() as reader:
            assert (list(reader.select(Query(DOCUMENTS))), reader.count(Query(DOCUMENTS))) == ([], 0)

    def test_heavy_and_private_columns_come_only_when_named(self, backend: Backend) -> None:
        """A row has the light columns and those that ``include`` names, and no others."""
        _fill(backend)
        with backend.read() as reader:
            for include in ((), ("content",), ("blob_key", "lease_expires_at")):
                row = reader.select(Query(DOCUMENTS, include=frozenset(include), limit=1))[0]
                assert {*DOCUMENTS.light(), *include} == set(row)

    @pytest.mark.parametrize("order", [_SIZES, _SIZES_TURNED])
    def test_limit_and_offset_cut_the_order(self, backend: Backend, order: tuple[SortKey, ...]) -> None:
        """Nulls first ascending and last descending, ties by number, whatever the window."""
        _fill(backend)
        expected = list("becadgf") if order is _SIZES else list("fgdaceb")
        with backend.read() as reader:
            assert expected == ids(reader, order=order)
            for offset in range(9):
                assert expected[offset:] == ids(reader, order=order, offset=offset)
                for limit in range(1, 9):
                    window = expected[offset : offset + limit]
                    assert window == ids(reader, order=order, limit=limit, offset=offset)

    @pytest.mark.parametrize("order", [_SIZES, _SIZES_TURNED])
    def test_after_is_strictly_behind_a_position(self, backend: Backend, order: tuple[SortKey, ...]) -> None:
        """At every row, and at positions of rows that are gone; nulls are positions, too."""
        numbers = _fill(backend)
        sizes = {"a": 2, "b": None, "c": 1, "d": 2, "e": None, "f": 2**53 + 1, "g": 2**53}
        with backend.read() as reader:
            everything = ids(reader, order=order)
            for place, id in enumerate(everything):
                after = (sizes[id], numbers["abcdefg".index(id)])
                assert everything[place + 1 :] == ids(reader, order=order, after=after)
                assert everything[place + 1 :][:2] == ids(reader, order=order, after=after, limit=2)
        with backend.write() as writer:
            writer.delete(DOCUMENTS, [keyed(numbers[3])])
            expected = [id for id in everything[everything.index("d") :] if id != "d"]
            assert expected == ids(writer, order=order, after=(2, numbers[3]))

    def test_after_counts_within_filter_and_scope(self, backend: Backend) -> None:
        """A position narrows what the filter and the scope leave."""
        with backend.write() as writer:
            rows = [document(id, tenant=tenant, size=1) for id, tenant in zip("abcd", "ttut", strict=True)]
            numbers = writer.insert(DOCUMENTS, rows)
            found = ids(writer, scope=Scope("t"), where=one("size", 1), after=(numbers[0],))
            assert found == ["b", "d"]

    def test_count_ignores_the_window(self, backend: Backend) -> None:
        """Order, after, offset, limit and include change nothing; ``at_most`` may stop it, never below."""
        _fill(backend)
        heavy = frozenset({"content"})
        query = Query(DOCUMENTS, where=one("size", 2), order=_SIZES, offset=1, limit=1, include=heavy)
        with backend.read() as reader:
            assert reader.count(query) == 2
            assert reader.count(query, at_most=5) == 2
            assert 1 <= reader.count(query, at_most=1) <= 2
            assert reader.count(Query(DOCUMENTS)) == 7

    def test_scope_is_an_exact_match(self, backend: Backend) -> None:
        """No case folding, no patterns, no prefix; ``None`` does not confine."""
        tenants = (None, "t", "T", "t ", "t%", "_", "tt")
        with backend.write() as writer:
            for place, tenant in enumerate(tenants):
                owner = "o" if place % 2 else None
                writer.insert(DOCUMENTS, [document(f"{place}", tenant=tenant, owner=owner)])
        with backend.read() as reader:
            for place, tenant in enumerate(tenants[1:], start=1):
                assert [f"{place}"] == ids(reader, scope=Scope(tenant=tenant))
                assert reader.count(Query(DOCUMENTS, scope=Scope(tenant=tenant))) == 1
            assert reader.count(Query(DOCUMENTS, scope=Scope())) == 7
            assert ids(reader, scope=Scope(owner="o")) == ["1", "3", "5"]
            assert ids(reader, scope=Scope("t", "o")) == ["1"]
            assert ids(reader, scope=Scope("T", "o")) == []
            assert ids(reader, scope=Scope("T"), where=one("tenant", "t")) == []

    def test_rows_are_found_by_their_keys(self, backend: Backend) -> None:
        """By id, number and external id, one or many, some of them not there; with and without a scope."""
        with backend.write() as writer:
            rows = [document(f"id{n}", tenant="tu"[n % 2], external_id=f"x{n // 2}") for n in range(6)]
            numbers = writer.insert(DOCUMENTS, rows)
        with backend.read() as reader:
            for n, number in enumerate(numbers):
                assert [f"id{n}"] == ids(reader, where=one("id", f"id{n}"))
                assert [f"id{n}"] == ids(reader, where=one("number", number))
                assert [f"id{n}"][n % 2 :] == ids(reader, where=one("id", f"id{n}"), scope=Scope("t"))
            assert ids(reader, where=one("external_id", "x1")) == ["id2", "id3"]
            assert ids(reader, where=And((one("external_id", "x1"), one("tenant", "t")))) == ["id2"]
            assert ids(reader, where=In(("id",), ("id4", "nowhere", "id1", "id4", "ID1"))) == ["id1", "id4"]
            assert ids(reader, where=In(("id",), ())) == []
            assert ids(reader, where=Compare(("number",), "gt", numbers[4])) == ["id5"]
            many = tuple(f"none{n}" for n in range(9_999))
            assert ids(reader, where=In(("id",), (*many, "id3"))) == ["id3"]

    def test_one_snapshot(self, backend: Backend) -> None:
        """Within ``read(snapshot=True)`` nothing that others commit appears, moves or goes."""
        numbers = _fill(backend)

        def change() -> None:
            with backend.write() as writer:
                writer.insert(DOCUMENTS, [document("new")])
                writer.update(DOCUMENTS, keyed(numbers[0]), {"id": "z", "size": 100})
                writer.delete(DOCUMENTS, [keyed(n) for n in numbers[1:2]])

        with backend.read(snapshot=True) as reader:
            before = ids(reader), reader.count(Query(DOCUMENTS)), ids(reader, where=one("id", "a"))
            other = Thread(change)
            other.wait(0.3)
            after = ids(reader), reader.count(Query(DOCUMENTS)), ids(reader, where=one("id", "a"))
        other.join()
        assert (list("abcdefg"), 7, ["a"]) == before
        assert before == after
        with backend.read(snapshot=True) as reader:
            assert ids(reader) == ["z", "c", "d", "e", "f", "g", "new"]

    def test_uncommitted_rows_are_seen_by_nobody_else(self, backend: Backend) -> None:
        """A reader beside a write block sees what was before it, or waits for its end."""
        _fill(backend)
        seen: list[list[str]] = []
        others: list[Thread] = []

        def look() -> None:
            with backend.read() as reader:
                seen.append(ids(reader))

        def write_and_look() -> None:
            with backend.write() as writer:
                writer.insert(DOCUMENTS, [document("new")])
                others.append(Thread(look))
                others[0].wait(0.3)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            write_and_look()
        others[0].join()
        assert [list("abcdefg")] == seen

    def test_what_is_committed_is_seen_by_the_next(self, backend: Backend) -> None:
        """By another thread, in a block of either kind."""
        _fill(backend)
        seen: list[int] = []

        def look() -> None:
            for snapshot in (True, False):
                with backend.read(snapshot=snapshot) as reader:
                    seen.append(reader.count(Query(DOCUMENTS)))

        Thread(look).join()
        assert seen == [7, 7]

    def test_explain_runs_nothing(self, backend: Backend) -> None:
        """A reader that explains does so in a text, and changes nothing."""
        _fill(backend)
        with backend.read() as reader:
            if isinstance(reader, Explains):
                statement = reader.explain(Query(DOCUMENTS, where=one("id", "a"), limit=1))
                assert isinstance(statement, Statement)
                assert statement.text
            assert list("abcdefg") == ids(reader)

    def test_judgements_are_judgements(self, backend: Backend) -> None:
        """Asked twice, the same answer: a plan made now holds later; a sort is exact or not the backend's."""
        for name in columns(DOCUMENTS):
            leaf, key = one(name, None), SortKey((name,))
            assert backend.support(DOCUMENTS, leaf) == backend.support(DOCUMENTS, leaf)
            assert backend.sorts(DOCUMENTS, key).support in (Support.EXACT, Support.UNSUPPORTED)

"""Unique keys: ids within a tenant, versions within a chain, one latest of each."""

from __future__ import annotations

from typing import Any

import pytest

from docstore.backend import Backend, Duplicate
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.testing.conformance.rows import document, extraction, ids, keyed

__all__ = ["UniquePromises"]

_CHAIN = {"external_id": "x", "tenant": "t", "owner": "o"}


def _version(id: str, version: int, latest: bool = False, **changes: Any) -> dict[str, Any]:
    return document(id, **{**_CHAIN, "version": version, "is_latest": latest, **changes})


class UniquePromises:
    """What ``Duplicate`` promises."""

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

"""The asynchronous classes have the methods of the blocking ones."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

import docstore
from docstore import aio
from docstore.documents import Documents
from docstore.extractions import Extractions
from docstore.workers import Claim

PAIRS: list[tuple[type, type]] = [
    (docstore.Store, docstore.AsyncStore),
    (Documents, aio.AsyncDocuments),
    (Extractions, aio.AsyncExtractions),
    (Claim, aio.AsyncClaim),
]


def methods(of: type) -> dict[str, Any]:
    """Return the public methods of a class, by name."""
    found = inspect.getmembers(of, lambda member: inspect.isfunction(member))
    return {name: member for name, member in found if not name.startswith("_")}


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS)
def test_every_method_is_there(blocking: type, awaited: type) -> None:
    """A method of the blocking class is a method of the asynchronous one, and the other way round."""
    assert sorted(methods(blocking)) == sorted(methods(awaited))


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS)
def test_the_arguments_are_the_same(blocking: type, awaited: type) -> None:
    """Names, order, kinds and defaults of the arguments are the same in both shells."""
    expected = {name: shape(method) for name, method in methods(blocking).items()}
    actual = {name: shape(method) for name, method in methods(awaited).items()}
    assert expected == actual


def shape(method: Any) -> list[tuple[str, Any, Any]]:
    """Return a method's arguments: name, kind and default."""
    return [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]


def test_what_is_shown_fits_a_line() -> None:
    """A collection names its class, its scope, and its backend once the store is open."""

    async def main() -> None:
        async with docstore.open_async("memory://") as store:
            mine = store.scoped(tenant="a", owner="b")
            assert "<AsyncDocuments tenant='a' owner='b'>" == repr(mine.documents)
            assert 0 == await mine.documents.count() == await store.extractions.count()
            assert "<AsyncDocuments memory tenant='a' owner='b'>" == repr(mine.documents)
            assert "<AsyncExtractions memory>" == repr(store.extractions)

    asyncio.run(main())


@pytest.mark.parametrize("awaited", [awaited for _, awaited in PAIRS])
def test_every_method_is_written_out(awaited: type) -> None:
    """No method is made at runtime: each is a function with a docstring in the module of a class that has
    it.
    """
    for name, method in methods(awaited).items():
        assert method.__module__.startswith("docstore.aio"), name
        assert method.__doc__, name
        assert method.__name__ == name

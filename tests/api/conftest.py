"""How long the tests of the API go on: short by default, in full with DOCSTORE_SOAK=1 (`nox -s soak`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import docstore
from tests.kit.forms import either


@pytest.fixture
def many() -> Callable[[int, int], int]:
    """Choose between the short form's number and the long form's."""
    return either


@pytest.fixture(params=("sqlite-file", "postgres"))
def shared_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store that several processes can open."""
    name = "sqlite_url" if request.param == "sqlite-file" else "postgres_store_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def shared(shared_url: str, tmp_path: Path) -> Iterator[docstore.Store]:
    """An open store on it."""
    with docstore.open(shared_url, blobs=str(tmp_path / "files")) as opened:
        yield opened


@pytest.fixture
def together() -> Callable[..., None]:
    """Run a function in several threads at once, and raise what the first of them raised."""

    def run(threads: int, work: Callable[[int], object]) -> None:
        failures: list[BaseException] = []
        gate = threading.Barrier(threads)

        def one(index: int) -> None:
            try:
                gate.wait()
                work(index)
            except BaseException as failure:
                failures.append(failure)

        started = [threading.Thread(target=one, args=(index,)) for index in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        if failures:
            raise failures[0]

    return run

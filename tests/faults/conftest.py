"""Where fault tests run, and how long: `nox -s tests` runs the short forms, `nox -s faults` the long ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import docstore
from docstore import Blobs
from docstore.testing.servers import S3Server


@pytest.fixture(scope="session")
def long() -> bool:
    """Whether this is the long form."""
    return os.environ.get("DOCSTORE_FAULTS") == "long"


@pytest.fixture(scope="session")
def seed() -> int:
    """What chance begins with: `DOCSTORE_FAULTS_SEED`, else the same every time."""
    return int(os.environ.get("DOCSTORE_FAULTS_SEED", "20260"))


@pytest.fixture
def s3_blobs(s3_server: S3Server, s3_options: dict[str, Any]) -> Callable[..., Blobs]:
    """Make blobs in a bucket that is this test's alone; another endpoint's options may be given."""
    bucket = s3_server.create_bucket(f"test-{uuid4().hex}")
    return lambda **options: Blobs(f"{bucket}/p", **{**s3_options, **options})


@dataclass
class Ground:
    """A database and a storage, opened as often as wanted."""

    url: str
    blobs: Any

    def open(self) -> docstore.Store:
        return docstore.open(self.url, blobs=self.blobs)

    def healed(self) -> list[Any]:
        """Collect at grace 0 until all is done, and return what a check of every byte finds, and what stands
        there needlessly.
        """
        with self.open() as store:
            return self.heal(store)

    def heal(self, store: docstore.Store) -> list[Any]:
        """Do the same on an open store."""
        for _ in range(3):  # what has no row is put aside first, whatever its part
            store.collect(0, force=True)
        findings = list(store.check("hash", grace=0).findings)
        wanted = store.documents.count(latest_only=False)
        standing = [found.name for found in store._context.bytes().list()]
        return findings + (standing if len(standing) != wanted else [])


@pytest.fixture
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """Each database with each storage that outlives a process."""
    database, storage = request.param.split("-")
    url = request.getfixturevalue(f"{database}_url")
    blobs = tmp_path / "files" if storage == "local" else request.getfixturevalue("s3_blobs")()
    return Ground(url, blobs)

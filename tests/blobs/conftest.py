"""Blobs on every kind of storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from docstore.blobs import Blobs
from docstore.testing.servers import S3Server

KINDS = ("local", "memory", "s3", "chained")


@pytest.fixture
def s3_blobs(s3_server: S3Server, s3_options: dict[str, Any]) -> Callable[[str], Blobs]:
    """Make blobs below a prefix of a bucket that is this test's alone."""
    bucket = s3_server.create_bucket(f"test-{uuid4().hex}")
    return lambda prefix: Blobs(f"{bucket}/{prefix}", **s3_options)


@pytest.fixture
def without_session() -> Callable[[Blobs], Blobs]:
    """Return blobs as another process can make them: on S3 without the session that the tests share."""

    def plain(blobs: Blobs) -> Blobs:
        options = {name: value for name, value in blobs._options.items() if name != "session"}
        return Blobs(blobs._url, **options) if "session" in blobs._options else blobs

    return plain


@pytest.fixture(params=KINDS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    """Empty blobs, once for every kind of storage."""
    match request.param:
        case "local":
            yield Blobs(tmp_path / "not" / "there")
        case "memory":
            yield Blobs("memory://")
        case "s3":
            yield request.getfixturevalue("s3_blobs")("a prefix/of two")
        case _:
            cache = {"cache_storage": str(tmp_path / "cache")}
            yield Blobs(f"simplecache::memory://test-{uuid4().hex}", simplecache=cache)

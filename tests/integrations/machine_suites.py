"""Dask and Ray put parts into one store: run by the nox session ``machines``, which installs both."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import ray
from distributed import Client, LocalCluster

import docstore
from examples import many_machines

PARTS = [
    [{"filename": f"{part}-{n}.txt", "metadata": {"part": part}} for n in range(50)] for part in range(8)
]
RUN = str(uuid.UUID(int=7))


@pytest.fixture(scope="module")
def dask() -> Iterator[Client]:
    """Two processes of Dask's."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def rays() -> Iterator[None]:
    """Two processes of Ray's."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"working_dir": None})
    yield
    ray.shutdown()


@pytest.fixture(params=["dask", "ray"])
def put_in(request: pytest.FixtureRequest) -> Callable[[str, Sequence[Sequence[dict[str, Any]]]], int]:
    """What adds parts to the store of a URL."""
    if request.param == "dask":
        client = request.getfixturevalue("dask")
        return lambda url, parts: many_machines.with_dask(client, url, RUN, parts)
    request.getfixturevalue("rays")
    return lambda url, parts: many_machines.with_ray(url, RUN, parts)


def test_parts_are_added_once(postgres_store_url: str, put_in: Callable[..., int]) -> None:
    """However often they are tried; two of the first run came before."""
    assert 100 == put_in(postgres_store_url, PARTS[:2])
    assert 300 == put_in(postgres_store_url, PARTS)
    assert 0 == put_in(postgres_store_url, PARTS)
    with docstore.open(postgres_store_url) as store:
        assert dict.fromkeys(range(8), 50) == dict(store.documents.count_by("metadata.part"))
        assert store.check().ok

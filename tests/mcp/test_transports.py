"""`docstore mcp`: the SDK's client starts it, or calls it over HTTP, and uses every tool."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from starlette.testclient import TestClient

import docstore
import docstore.mcp
from docstore.cli import main

READING = ["search", "find", "count_by", "fields", "get", "explain"]
COMMAND = [sys.executable, "-m", "docstore", "mcp"]


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    """The options that name a store of two tenants."""
    url = f"sqlite:///{tmp_path}/docs.db"
    with docstore.open(url) as store:
        store.documents.add(filename="rent.txt", content="the rent is due", tenant="acme", metadata={"n": 1})
        store.documents.add(filename="plan.txt", content="a plan", tenant="bolt", metadata={"n": 2})
    return ["--store", url, "--blobs", ""]


async def use_all(client: Client) -> dict[str, Any]:
    """Call every tool that is listed; return the answers."""
    names = [tool.name for tool in (await client.list_tools()).tools]
    found = await client.call_tool("find", {})
    first = found.structured_content["documents"][0]["id"]
    arguments: dict[str, dict[str, Any]] = {
        "search": {"query": "rent"}, "count_by": {"field": "metadata.n"}, "get": {"id": first},
        "add": {"filename": "new.md"}, "update": {"id": first, "metadata": {"n": 3}},
    }  # fmt: skip
    answers = {name: await client.call_tool(name, arguments.get(name, {})) for name in names}
    assert not any(answer.is_error for answer in answers.values())
    return {name: answer.structured_content for name, answer in answers.items()}


def over_stdio(*options: str) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        started = StdioServerParameters(
            command=COMMAND[0], args=[*COMMAND[1:], *options], env=dict(os.environ)
        )
        async with Client(stdio_client(started)) as client:
            return await use_all(client)

    return anyio.run(ask)


@contextmanager
def listening(*options: str) -> Iterator[str]:
    """Run the command with HTTP at a free port; yield its URL."""
    with subprocess.Popen([*COMMAND, "--port", "0", *options], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            said = server.stderr.readline()
            url = re.search(r"http://\S+", said)
            assert url is not None, said + server.stderr.read()
            yield url[0]
        finally:
            server.terminate()


def over_http(url: str, key: str = "") -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return await use_all(client)

    return anyio.run(ask)


def test_a_client_uses_every_tool_over_stdio(place: list[str]) -> None:
    """It lists and calls all; ``--tenant`` confines them, with ``--write`` two of them write."""
    answers = over_stdio("--tenant", "bolt", "--write", *place)
    assert list(answers) == [*READING, "add", "update"]
    assert [one["filename"] for one in answers["find"]["documents"]] == ["plan.txt"]
    assert (answers["search"]["total"], answers["update"]["metadata"]) == (0, {"n": 3})
    with docstore.open(place[1]) as store:
        assert store.documents.count({"filename": "new.md", "tenant": "bolt"}) == 1


def test_clients_use_every_tool_over_http(place: list[str]) -> None:
    """Each key sees its tenant, and none changes the store; without a key, or with another, it is 401."""
    with listening("--key", "ada=secret1,tenant=acme", "--key", "bob=secret2", *place) as url:
        answers = over_http(url, "secret1")
        assert list(answers) == READING
        assert [one["filename"] for one in answers["find"]["documents"]] == ["rent.txt"]
        assert over_http(url, "secret2")["find"]["total"] == 2
        for headers in ({}, {"Authorization": "Bearer secret"}):
            assert httpx.post(url, json={}, headers=headers).status_code == 401


def test_this_machine_needs_no_key_but_its_own_name() -> None:
    """On 127.0.0.1 anyone on the machine may ask; a foreign Host or Origin, or a body over 1 MiB, may not."""
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    with docstore.open("memory://") as store:
        app = docstore.mcp.http_app(store)
        with TestClient(app, base_url="http://127.0.0.1:8001", headers=accept) as client:
            assert client.post("/mcp", json=asked).json()["result"]["tools"]
            for headers, status in (
                ({"Host": "evil.example"}, 421),
                ({"Origin": "http://evil.example"}, 403),
            ):
                assert client.post("/mcp", json=asked, headers=headers).status_code == status
            assert client.post("/mcp", content=b" " * (2 << 20)).status_code == 413


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "give a key, --key NAME=SECRET"),
        (["--key", "secret1"], "NAME=SECRET[,tenant=T][,owner=O]"),
        (["--key", "ada=secret1,tenant=bolt", "--tenant", "acme"], "tenant"),
    ],
)
def test_wrong_options_are_refused(
    place: list[str], capfd: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    """Another address without a key, a key that is none or against the scope: status 2, in a line."""
    assert main(["mcp", *options, *place]) == 2
    assert said in capfd.readouterr().err


def test_the_command_names_its_extra(
    place: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the SDK the command says how to install it; its help is there all the same."""
    monkeypatch.setattr("docstore.cli.serving.find_spec", lambda name: None)
    assert main(["mcp", *place]) == 2
    assert 'pip install "embedded-docstore[mcp]"' in capfd.readouterr().err
    assert main(["mcp", "--help"]) == 0
    assert "--tenant" in capfd.readouterr().out

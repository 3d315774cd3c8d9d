"""Each application is started by the command in its docstring and answers the curl call beside it."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import httpx
import pytest

import docstore
from tests.kit.forked import Forked

ROOT = Path(__file__).parents[2]
MODULES = ("docsense", "openwebui", "documind", "tensorlake", "fieldwise")
Running = list[list[str]]
"""The arguments of each curl call of a docstring, to the server that runs."""


def commands(module: str) -> list[str]:
    """Return the commands of a module's docstring: to start it, then the calls."""
    text = (import_module(f"examples.{module}").__doc__ or "").replace("\\\n", " ")
    return [line for line in text.splitlines() if re.match(r"DOCSTORE|curl", line)]


@contextmanager
def served(command: str, folder: Path) -> Iterator[str]:
    """Run a command of a docstring on a free port of 127.0.0.1 and on an empty folder; yield its URL."""
    *settings, program, factory, target = shlex.split(command)
    assert (program, factory) == ("uvicorn", "--factory")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = dict(one.split("=", 1) for one in settings)
    environment["DOCSTORE_URL"] = f"sqlite:///{folder}/docstore.db"
    if "DOCSTORE_BLOBS" in environment:
        environment["DOCSTORE_BLOBS"] = str(folder / environment["DOCSTORE_BLOBS"])
    run = ["--factory", target, "--host", "127.0.0.1", "--port", str(port)]
    program = import_module("uvicorn.main").main
    with Forked(lambda: program(run), folder=ROOT, environment=environment) as process:
        try:
            _await(f"http://127.0.0.1:{port}/openapi.json")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _await(url: str) -> None:
    for _ in range(600):
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"no answer at {url}")


@pytest.fixture(scope="module", params=MODULES)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An application that its docstring's command started."""
    start, *calls = commands(request.param)
    assert calls
    with served(start, tmp_path_factory.mktemp(request.param)) as url:
        yield [shlex.split(call.replace("http://127.0.0.1:8000", url))[1:] for call in calls]


def test_the_docstring_is_true(running: Running) -> None:
    """The command starts it, and each curl call is answered with 200 and JSON."""
    curl = shutil.which("curl")
    for arguments in running:
        json.loads(sent(arguments) if curl is None else curled(curl, arguments))


@pytest.mark.parametrize("running", ["tensorlake"], indirect=True)
def test_the_calls_need_no_curl(running: Running) -> None:
    """What stands in for curl on a machine without it gets the answers that curl gets."""
    for arguments in running:
        json.loads(sent(arguments))


def curled(curl: str, arguments: list[str]) -> bytes:
    """Let curl make a call."""
    asked = [curl, "-sS", "--fail-with-body", "--max-time", "30", *arguments]
    answered = subprocess.run(asked, cwd=ROOT, capture_output=True, check=False)
    assert answered.returncode == 0, answered
    return answered.stdout


def sent(arguments: list[str]) -> bytes:
    """Make curl's call where there is no curl: headers, data and forms are all that the docstrings use."""
    reading = argparse.ArgumentParser()
    for option in ("-H", "-F"):
        reading.add_argument(option, action="append", default=[])
    reading.add_argument("-d")
    reading.add_argument("url")
    read = reading.parse_args(arguments)
    fields = dict(field.split("=", 1) for field in read.F)
    files = {name: (ROOT / value[1:]).open("rb") for name, value in fields.items() if value.startswith("@")}
    answered = httpx.request(
        "POST" if fields or read.d is not None else "GET",
        read.url,
        headers=dict(header.split(": ", 1) for header in read.H),
        content=read.d,
        data={name: value for name, value in fields.items() if name not in files} or None,
        files=files or None,
    )
    for file in files.values():
        file.close()
    answered.raise_for_status()
    return answered.content


@pytest.mark.parametrize("keys", ["", "{}", "[]", '"k1"', "{", '{"k1": {}}'])
def test_no_keys_no_service(keys: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without keys, or with keys that say nothing, `main` refuses to start."""
    monkeypatch.setenv("DOCSTORE_KEYS", keys)
    monkeypatch.setenv("DOCSTORE_URL", f"sqlite:///{tmp_path}/docstore.db")
    with pytest.raises(ValueError):
        import_module("examples.docsense").main()


def test_the_store_is_closed_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the application's life ends its store is closed."""
    from fastapi.testclient import TestClient

    opened: list[docstore.Store] = []
    real = docstore.open

    def remember(*given: str, **options: str) -> docstore.Store:
        opened.append(real(*given, **options))
        return opened[-1]

    monkeypatch.setattr(docstore, "open", remember)
    monkeypatch.setenv("DOCSTORE_KEYS", '{"k1": {"tenant": "acme"}}')
    monkeypatch.setenv("DOCSTORE_URL", "memory://")
    with TestClient(import_module("examples.docsense").main()) as client:
        assert client.get("/openapi.json").status_code == 200
    with pytest.raises(docstore.StoreClosed):
        opened[0].documents.count()

"""``docstore serve``: what it says, refuses and serves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import docstore
from docstore.cli import main

HEADERS = {"accept": "application/json"}


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--host", "0.0.0.0"], "", "other machines reach 0.0.0.0"),
        (["--key", "ada"], "", "NAME=SECRET"),
        (["--max-upload", "much"], "", "100MB"),
        ([], "ada=", "NAME=SECRET"),
        (["--port", "70000"], "", "65535"),
    ],
)
def test_wrong_options_are_refused(
    arguments: list[str],
    environment: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With status 2 and a line of what to write, before the store is opened."""
    monkeypatch.setenv("DOCSTORE_KEYS", environment)
    assert main(["serve", *arguments, "--store", "/nothing/there.db"]) == 2
    assert said in capsys.readouterr().err


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    """On a port of this machine, to read; the address is told, and the store's file is not changed."""
    path = tmp_path / "library.db"
    with docstore.open(f"sqlite:///{path}", blobs=None) as store:
        store.documents.add(filename="a.txt")
    asked = [sys.executable, "-m", "docstore", "serve", "--store", str(path), "--port", "0", "--no-open"]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        assert server.stdout is not None
        address, _, said = server.stdout.readline().partition("  ")
        assert said == "to read; Ctrl-C ends\n"
        with httpx.Client(trust_env=False) as client:
            assert client.get(address, headers=HEADERS).json()["items"][0]["filename"] == "a.txt"
            assert client.post(address, headers=HEADERS).status_code == 403
        os.kill(server.pid, signal.SIGINT)
        assert server.wait(60) in (0, 130)


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With status 1."""
    import socket

    docstore.open(f"sqlite:///{tmp_path}/x.db", blobs=None).close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status = main(["serve", "--store", f"{tmp_path}/x.db", "--port", str(port), "--no-open"])
    assert status == 1
    assert f"cannot listen at 127.0.0.1:{port}" in capsys.readouterr().err

"""The command in this process, a folder to put in, and a store that it is in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from docstore.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in a folder of the test's own; return its exit status, standard output and error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOCSTORE_URL", raising=False)
    monkeypatch.delenv("DOCSTORE_BLOBS", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        out, err = capfd.readouterr()
        return status, out, err

    return run


@pytest.fixture
def papers(command: Run, tmp_path: Path) -> Path:
    """A folder ``papers`` that was indexed into ``./docstore.db``."""
    folder = tmp_path / "papers"
    (folder / "2026").mkdir(parents=True)
    (folder / "plan.txt").write_text("a plan for the spring")
    (folder / "2026" / "bill.csv").write_text("item,price\nrope,12\n")
    (folder / "2026" / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert command("index", "papers")[0] == 0
    return folder

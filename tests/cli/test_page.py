"""docs/cli.md is what ``--help`` says, and a session of every command prints what was kept of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that makes the page."""
    spec = importlib.util.spec_from_file_location("cli_page", ROOT / "docs" / "_extensions" / "cli_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def told(maker: ModuleType) -> Any:
    """What the session prints at each width."""
    return maker.sessions()


def test_the_page_and_the_transcripts_are_up_to_date(maker: ModuleType, told: Any) -> None:
    """At 80 and 120 columns and in a pipe; else run: python docs/_extensions/cli_page.py"""
    for path, text in maker.made(told):
        assert path.read_text(encoding="utf-8") == text, f"run {maker.__file__}"


def test_every_command_is_in_the_session(maker: ModuleType) -> None:
    """Those that need a server, or an extra, say what to write."""
    from docstore.cli.app import COMMANDS

    names = {name for group in COMMANDS.values() for name in group}
    typed = {name for name, _ in maker.SESSION}
    assert names == typed


def test_tables_fit(told: Any) -> None:
    """They are no wider than the terminal; in a pipe nothing of them is cut or broken."""
    for columns in (80, 120):
        for name, typed, said in told[str(columns)]:
            tabular = name in ("show", "fields", "facets", "versions", "stats") or typed.endswith("number")
            assert not tabular or all(len(line) <= columns for line in said.split("\n")), typed
    assert (
        "/home/ada/documents/work01/papers"
        in dict(line[1:] for line in told["pipe"])["docstore fields --prefix metadata.source"]
    )

"""The demo: it ends well, on a small library here and on the real one with `nox -s demo`."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The demo as a module, its library one package of Python's own."""
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LIBRARY", Path(json.__file__).parent)
    return module


def test_the_demo_ends_well_twice(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder of its own it prints every step; the second run in the same folder finds nothing to add."""
    monkeypatch.setattr(sys, "argv", ["demo.py", str(tmp_path / "kept")])
    assert demo.main() == 0
    first = capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "docstore.testing.servers", None)
    assert demo.main() == 0
    second = capsys.readouterr().out
    assert first.count("── ") == second.count("── ") == 7
    assert ("postgres " in first, "without Postgres" in second) == (True, True)
    assert len(first.partition("Try next:\n")[2].splitlines()) == 3
    assert "report.pdf: flagged for review" in first
    assert " added" in first
    assert " added" not in second


def test_the_demo_leaves_nothing_behind(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder the store is temporary, and gone at the end."""
    monkeypatch.setattr(sys, "argv", ["demo.py"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(sys.modules, "docstore.testing.servers", None)
    assert demo.main() == 0
    assert list(tmp_path.iterdir()) == []

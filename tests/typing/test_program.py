"""The program that type checkers read."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import docstore

PROGRAM = Path(__file__).with_name("program.py")


def used() -> set[str]:
    """Return the names of the package that the program uses."""
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "docstore"
    }


def test_it_uses_every_public_name() -> None:
    """Nothing public is left out, and nothing that is not public is used."""
    assert set(docstore.__all__) == used()


def test_every_public_name_is_there() -> None:
    """What `__all__` lists is defined, once, in order."""
    assert all(hasattr(docstore, name) for name in docstore.__all__)
    assert len(docstore.__all__) == len(set(docstore.__all__))


@pytest.mark.parametrize(
    "command",
    [("mypy", "--strict", "--no-incremental", "--config-file="), ("pyright", "--pythonpath", sys.executable)],
)
def test_type_checkers_find_nothing(command: tuple[str, ...], tmp_path: Path) -> None:
    """mypy --strict and pyright are clean on the program, copied away from this project's own settings."""
    copied = Path(shutil.copy(PROGRAM, tmp_path / "program.py"))
    run = [sys.executable, "-m", *command, str(copied)]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr

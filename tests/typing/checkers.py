"""What type checkers say of the program: `nox -s types` runs this file, for they take their time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("program.py")


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

"""Somebody else's backend: a package of its own, installed, found by its scheme, tested in three lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parent / "third_party"
_OPEN = """
import docstore
with docstore.open("shelf://") as store:
    store.documents.add(None, filename="a.txt", metadata={"tags": ["x", "y"]})
    print([document.filename for document in store.documents.find({"metadata.tags": "y"})])
    plan = store.documents.explain({"metadata.tags": "y"})
    print(plan.backend, plan.is_pushed)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process in which the package is installed."""
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
            "--no-deps", "--no-build-isolation", "--target", str(target), str(_SOURCE),
        ],
        check=True,
    )  # fmt: skip
    return {**os.environ, "PYTHONPATH": str(target)}


def test_three_lines_hold_it_to_the_suite(environment: dict[str, str], tmp_path: Path) -> None:
    """Its own test file is two imports and one assignment, and passes, with nothing skipped."""
    lines = (_SOURCE / "test_shelf.py").read_text().split("\n")
    assert 3 == len([line for line in lines if line])
    ran = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-c", os.devnull,
            "--rootdir", str(tmp_path), str(_SOURCE / "test_shelf.py"),
        ],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == ran.returncode, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout


def test_it_is_opened_by_its_scheme(environment: dict[str, str], tmp_path: Path) -> None:
    """The entry point makes ``docstore.open`` know the URL; what the backend cannot run, the core does."""
    command = [sys.executable, "-c", _OPEN]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout == "['a.txt']\nshelf False\n", ran.stderr

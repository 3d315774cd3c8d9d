"""The pytest plugin, as a project that uses docstore has it."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import docstore
from docstore.testing.stores import fresh_store

TESTS = """
seen = []

def test_one(docstore):
    assert 0 == docstore.documents.count()
    added = docstore.documents.add(b"bytes", filename="a.txt", metadata={"n": 1})
    assert b"bytes" == docstore.documents.read_bytes(added.id)
    seen.append(docstore)

def test_another(docstore):
    assert 0 == docstore.documents.count()
    assert docstore not in seen

def test_options(docstore_url):
    assert docstore_url == "%s"
"""

SERVERS = """
import pytest

@pytest.mark.parametrize("turn", [1, 2])
def test_postgres(docstore_postgres, turn):
    assert "postgresql" in repr(docstore_postgres)
    assert 0 == docstore_postgres.documents.count()
    docstore_postgres.documents.add(b"x", filename="x")

def test_s3(docstore_s3):
    added = docstore_s3.documents.add(b"in a bucket", filename="x")
    assert b"in a bucket" == docstore_s3.documents.read_bytes(added.id)
    assert docstore_s3.documents.url(added.id).startswith("http://127.0.0.1")
"""


def pytest_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder of a user's, the plugin loaded as it is installed."""
    installed = any(point.name == "docstore" for point in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "docstore.testing.plugin"]
    loaded = ("cacheprovider", "hypothesispytest", "schemathesis", "xdist", "anyio")
    others = [f"no:{name}" for name in loaded]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *(f"-p{name}" for name in others)]
    return subprocess.run(
        [*command, *plugin, *options], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("url", ["memory://", "sqlite:///library.db"])
def test_every_test_has_a_store_of_its_own(url: str, tmp_path: Path) -> None:
    """`docstore` is an empty store with bytes for each test, on the backend that `--docstore-url` names;
    `docstore_postgres` and `docstore_s3` bring their servers along.
    """
    (tmp_path / "test_users.py").write_text(TESTS % url)
    if servers := url == "memory://":
        (tmp_path / "test_servers.py").write_text(SERVERS)
    options = [] if url == "memory://" else ["--docstore-url", url]
    done = pytest_in(tmp_path, *options)
    assert f"{3 + 3 * servers} passed" in done.stdout, done.stdout + done.stderr
    assert servers + 1 == len(list(tmp_path.glob("[!_]*")))


def test_a_postgres_url_is_left_clean(postgres_url: str) -> None:
    """A fresh store in a given Postgres database is a schema of its own, which is gone afterwards."""
    import sqlalchemy as sa

    engine = sa.create_engine(
        postgres_url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool
    )
    before = sa.inspect(engine).get_schema_names()
    with fresh_store(postgres_url) as store:
        store.documents.add(filename="x")
        assert len(before) + 1 == len(sa.inspect(engine).get_schema_names())
    assert before == sa.inspect(engine).get_schema_names()


def test_a_store_in_memory_starts_in_a_millisecond() -> None:
    """Once the first was opened: less than a millisecond of CPU, five on a machine that is slow and busy."""
    docstore.open("memory://", blobs="memory://").close()
    took = []
    for _ in range(20):
        begun = time.thread_time()
        docstore.open("memory://", blobs="memory://")
        took.append(time.thread_time() - begun)
    assert min(took) < 0.005


def test_a_run_that_uses_no_fixture_pays_for_three_modules(tmp_path: Path) -> None:
    """The plugin costs such a run three small modules of ours, and no module of others than pytest's."""
    (tmp_path / "test_users.py").write_text(
        "import sys\n"
        "def test_one():\n"
        "    print('loaded', sorted(name for name in sys.modules if name.startswith('docstore')))\n"
        "    heavy = {'sqlalchemy', 'pydantic', 'fsspec', 'hypothesis', 'psycopg'}\n"
        "    print('heavy', sorted(heavy & set(sys.modules)))\n"
    )
    done = pytest_in(tmp_path, "-s")
    assert "loaded ['docstore', 'docstore.testing', 'docstore.testing.plugin']" in done.stdout, done.stdout
    assert "heavy []" in done.stdout, done.stdout


def test_the_plugin_imports_nothing_that_pytest_did_not() -> None:
    """Imported after pytest, the plugin adds its own three modules to the process and no other."""
    code = (
        "import sys, pytest; before = set(sys.modules); import docstore.testing.plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "docstore docstore.testing docstore.testing.plugin" == done.stdout.strip()

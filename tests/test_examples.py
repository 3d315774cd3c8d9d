"""The examples in docstrings run as they stand, in the order of the file, beside a small store."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

import docstore

_SERVERS = ("docstore.registry.upgrade", "docstore.maintenance.tables", "docstore.transfer.copies.copy")
"""Examples that name a Postgres of the reader's."""
_ELSEWHERE = (
    "docstore.dialects.langchain",
    "docstore.testing",
    "docstore.integrations",
    "docstore.http",
    "docstore.mcp",
    "docstore.cli",
)
"""Packages whose examples need a framework of their own; their tests run those."""


class Invoice(BaseModel):
    """What the examples read metadata as."""

    total: float = 0.0


def examples() -> Iterator[Any]:
    """Yield every docstring of the core that has an example, but those that must be awaited."""
    finder = doctest.DocTestFinder(recurse=False)
    seen: set[str] = set()
    for info in pkgutil.walk_packages(docstore.__path__, "docstore."):
        if info.name.startswith(_ELSEWHERE) or info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name, member in [("", module), *vars(module).items()]:
            owned = [(name, member)]
            if inspect.isclass(member) and member.__module__ == info.name:
                owned += [(f"{name}.{own}", one) for own, one in vars(member).items()]
            for full, one in owned:
                of = getattr(one, "__module__", None) or getattr(
                    getattr(one, "fget", None), "__module__", None
                )
                if of != info.name and one is not module:
                    continue
                for test in finder.find(one, f"{info.name}.{full}", globs=dict(vars(module))):
                    awaits = any("await " in ex.source or "async " in ex.source for ex in test.examples)
                    needs_server = test.name.rstrip(".").startswith(_SERVERS)
                    if test.examples and not awaits and not needs_server and test.name not in seen:
                        seen.add(test.name)
                        yield pytest.param(test, id=test.name)


@pytest.fixture
def names(test: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that examples use without saying where they come from; the store is empty unless they name a
    document.
    """
    monkeypatch.chdir(tmp_path)
    Path("report.pdf").write_bytes(b"%PDF-1.4\n")
    Path("papers").mkdir()
    source = "".join(example.source for example in test.examples)
    on_disk = "backup(" in source or "create_index(" in source
    with docstore.open("sqlite:///store.db" if on_disk else "memory://", blobs="./bytes") as store:
        given: dict[str, Any] = {
            "docstore": docstore, "store": store, "Invoice": Invoice, "saved": None,
            "handle": lambda one: None, "options": {}, "Base": SimpleNamespace(metadata=None),
            "context": SimpleNamespace(configure=lambda **options: None),
        }  # fmt: skip
        if re.search(r"\(id,|other_id|document\.metadata_as", source):
            given["document"] = store.documents.add(metadata={"total": 1.5}, id="first")
            store.documents.add(metadata={}, id="other")
            given |= {"id": "first", "other_id": "other"}
        yield given


@pytest.mark.parametrize("test", list(examples()))
def test_an_example_runs(test: doctest.DocTest, names: dict[str, Any]) -> None:
    """Each example does what it shows."""
    test.globs |= names
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)

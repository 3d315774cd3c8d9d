"""What is said where a framework is not installed; the suites of the frameworks are `nox -s integrations`."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from docstore.errors import BackendNotInstalled

FRAMEWORKS = {
    "haystack": ("haystack", "haystack"),
    "langchain": ("langchain_core", "langchain"),
    "langgraph": ("langgraph.store", "langgraph"),
    "llama_index": ("llama_index.core", "llama-index"),
}


@pytest.mark.parametrize("module", FRAMEWORKS)
def test_a_missing_framework_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing the module raises an ImportError that holds the command which installs the framework."""
    framework, extra = FRAMEWORKS[module]
    name = f"docstore.integrations.{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    for below in [one for one in sys.modules if one.startswith(f"{framework}.")]:
        monkeypatch.delitem(sys.modules, below)
    monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(BackendNotInstalled, match=rf"embedded-docstore\[{extra}\]"):
        import_module(name)

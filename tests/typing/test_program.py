"""The program that type checkers read uses all that is public; `checkers.py` lets them read it."""

from __future__ import annotations

import ast
from pathlib import Path

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

"""The arrows of ARCHITECTURE.md, kept by reading every import of the installed packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path

import pytest

BACKENDS = ("docstore_memory", "docstore_sql", "docstore_sqlite", "docstore_postgres")
PACKAGES = ("docstore", *BACKENDS)
SEAM = (
    "docstore.backend", "docstore.index", "docstore.query", "docstore.errors", "docstore.models",
    "docstore.limits", "docstore.backend", "docstore.concurrency", "docstore.concurrency",
)  # fmt: skip

# Which of our packages and modules may be imported, by who imports; everything else of ours may not.
ALLOWED = {
    "docstore": ("docstore",),
    "docstore_memory": ("docstore_memory", *SEAM),
    "docstore_sql": ("docstore_sql", *SEAM),
    "docstore_sqlite": ("docstore_sqlite", "docstore_sql", *SEAM),
    "docstore_postgres": ("docstore_postgres", "docstore_sql", *SEAM),
}
PURE = ("docstore.query", "docstore.index", "docstore.lifecycle")
NOT_IN_PURE = (
    "sqlalchemy", "sqlite3", "psycopg", "fsspec", "asyncio", "threading",
    "docstore.store", "docstore.aio", "docstore.registry", "docstore.blobs",
)  # fmt: skip


def folder(package: str) -> Path:
    """Return where a package is installed."""
    spec = find_spec(package)
    assert spec is not None, f"{package} is not installed: run  python -m pip install -e ."
    assert spec.origin is not None, f"{package} has no __init__.py"
    return Path(spec.origin).parent


def modules(package: str) -> Iterator[tuple[str, Path]]:
    """Yield the name and file of every module of a package."""
    root = folder(package)
    for path in sorted(root.rglob("*.py")):
        parts = (package, *path.relative_to(root).with_suffix("").parts)
        yield ".".join(part for part in parts if part != "__init__"), path


MODULES = {name: path for package in PACKAGES for name, path in modules(package)}


def imports(name: str, path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything a module imports, at its top or anywhere below."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                below = f"{source}.{alias.name}"
                yield node.lineno, below if below in MODULES else source


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    """Return whether a module is one of the prefixes or lies below one."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def test_packages_import_only_along_the_arrows() -> None:
    """sqlite and postgres → sql → the seam; memory → the seam; the core imports no backend."""
    wrong = [
        f"{path}:{line}: {name} imports {imported}; {name.partition('.')[0]} may import of ours only "
        f"{', '.join(ALLOWED[name.partition('.')[0]])}"
        for name, path in MODULES.items()
        for line, imported in imports(name, path)
        if within(imported, PACKAGES) and not within(imported, ALLOWED[name.partition(".")[0]])
    ]
    assert not wrong, "\n".join(wrong)


def test_stages_of_a_query_and_decisions_do_no_io() -> None:
    """Nothing in docstore.query and docstore.lifecycle imports a database, a filesystem or the store."""
    wrong = [
        f"{path}:{line}: {name} imports {imported}; {' and '.join(PURE)} only decide, I/O is at the edge"
        for name, path in MODULES.items()
        if within(name, PURE)
        for line, imported in imports(name, path)
        if within(imported, NOT_IN_PURE)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_the_folder_backends() -> None:
    """`backends` is a folder of packages; importing through it would make a second copy of every class."""
    wrong = [
        f"{path}:{line}: import {imported.removeprefix('backends.')} instead of {imported}"
        for name, path in MODULES.items()
        for line, imported in imports(name, path)
        if within(imported, ("backends",))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", BACKENDS)
def test_no_backend_lies_in_a_package(package: str) -> None:
    """The folder the backends lie in is not a package."""
    init = folder(package).parent / "__init__.py"
    assert not init.exists(), f"remove {init}: backends/ is a folder, each package in it stands alone"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_it_is_typed(package: str) -> None:
    """Each import package carries `py.typed`, or type checkers see nothing in it."""
    marker = folder(package) / "py.typed"
    assert marker.exists(), f"add {marker}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import docstore_sql.tables", ["docstore_sql.tables"]),
        ("from docstore import query", ["docstore.query"]),
        ("from docstore import Store", ["docstore"]),
        ("from . import fields", ["docstore.query.fields"]),
        ("from ..errors import NotFound", ["docstore.errors"]),
        ("def f():\n    import sqlalchemy as sa", ["sqlalchemy"]),
    ],
)
def test_the_reading_of_imports(text: str, expected: list[str], tmp_path: Path) -> None:
    """Absolute, relative, renamed and nested imports are all seen, by full name."""
    path = tmp_path / "plan.py"
    path.write_text(text)
    assert expected == [imported for _, imported in imports("docstore.query.plan", path)]

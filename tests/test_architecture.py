"""The arrows of ARCHITECTURE.md, kept by reading every import of the installed packages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.kit.structure import (
    BACKENDS,
    PACKAGES,
    Structure,
    circles,
    comment_lines,
    floors,
    folder,
    imports,
    installed,
    within,
)

FILES = 230
FLOORS = 12
CIRCLES = 0
NAMESAKES = 1
LONGEST_FILE = 770
COMMENTS = 1.1
RIDDLES = 0
FORBIDDEN = {
    "common", "data", "helper", "helpers", "info", "manager", "misc", "util", "utils",
    "alike", "alone", "apart", "asked", "asking", "beside", "clearing", "given", "implied", "judged", "kept",
    "known", "lost", "narrow", "putting", "seeing", "sought", "storing", "told", "unneeded", "usual",
    "walking",
}  # fmt: skip
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


MODULES = installed()
STRUCTURE = Structure(MODULES)


def test_packages_import_only_along_the_arrows() -> None:
    """sqlite and postgres → sql → the seam; memory → the seam; the core imports no backend."""
    wrong = [
        f"{path}:{line}: {name} imports {imported}; {name.partition('.')[0]} may import of ours only "
        f"{', '.join(ALLOWED[name.partition('.')[0]])}"
        for name, path in MODULES.items()
        for line, imported in STRUCTURE.imports[name]
        if within(imported, PACKAGES) and not within(imported, ALLOWED[name.partition(".")[0]])
    ]
    assert not wrong, "\n".join(wrong)


def test_stages_of_a_query_and_decisions_do_no_io() -> None:
    """Nothing in docstore.query and docstore.lifecycle imports a database, a filesystem or the store."""
    wrong = [
        f"{path}:{line}: {name} imports {imported}; {' and '.join(PURE)} only decide, I/O is at the edge"
        for name, path in MODULES.items()
        if within(name, PURE)
        for line, imported in STRUCTURE.imports[name]
        if within(imported, NOT_IN_PURE)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_the_folder_backends() -> None:
    """`backends` is a folder of packages; importing through it would make a second copy of every class."""
    wrong = [
        f"{path}:{line}: import {imported.removeprefix('backends.')} instead of {imported}"
        for name, path in MODULES.items()
        for line, imported in STRUCTURE.imports[name]
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
def test_the_reading_of_imports(text: str, expected: list[str]) -> None:
    """Absolute, relative, renamed and nested imports are all seen, by full name."""
    nodes = ast.walk(ast.parse(text))
    assert expected == [imported for _, imported in imports("docstore.query", nodes, MODULES)]


def test_no_modules_import_each_other_in_a_circle() -> None:
    """No module reaches itself by imports, those within functions and under TYPE_CHECKING included."""
    found = circles(STRUCTURE.arrows)
    assert len(found) <= CIRCLES, "\n".join(map(" ".join, found))


def test_the_rooms_stand_on_few_floors() -> None:
    """A room (a file or folder in docstore/, a backend) is one floor above the highest that it imports."""
    heights = floors(STRUCTURE.rooms)
    assert max(heights.values()) <= FLOORS, sorted(heights.items(), key=lambda one: -one[1])


def test_a_class_name_means_one_thing() -> None:
    """No two classes of the packages have the same name, whatever module or class they are in."""
    assert len(STRUCTURE.namesakes) <= NAMESAKES, STRUCTURE.namesakes


def test_the_tree_has_few_files() -> None:
    """What a newcomer looks for in one place is in one file."""
    assert len(MODULES) <= FILES


def test_no_file_is_too_long_to_read() -> None:
    """A file is one thought."""
    long = {name: lines for name, lines in STRUCTURE.lines.items() if lines > LONGEST_FILE}
    assert not long, f"split: {long}"


def test_the_code_is_commented() -> None:
    """Three to five lines of comment in a hundred of code say what surprises."""
    assert COMMENTS <= STRUCTURE.comments <= 6, f"{STRUCTURE.comments:.2f} in a hundred"


def test_modules_are_named_by_plain_nouns() -> None:
    """No module's name is one of those that say nothing, or riddle."""
    riddles = sorted(name for name in MODULES if name.rpartition(".")[2] in FORBIDDEN)
    assert len(riddles) <= RIDDLES, riddles


@pytest.mark.parametrize(
    ("arrows", "expected"),
    [
        ({"a": {"b"}, "b": set()}, []),
        ({"a": {"b"}, "b": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}, [["a", "b", "c"]]),
        ({"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c", "a"}}, [["a", "b"], ["c", "d"]]),
    ],
)
def test_the_finding_of_circles(arrows: dict[str, set[str]], expected: list[list[str]]) -> None:
    """Circles of any length are found, each once, and a chain is none."""
    assert expected == circles(arrows)


def test_the_counting_of_floors() -> None:
    """The longest way down counts, and what imports nothing is on the ground."""
    arrows = {"top": {"middle", "ground"}, "middle": {"ground"}, "ground": set(), "beside": {"ground"}}
    assert {"top": 3, "middle": 2, "ground": 1, "beside": 2} == floors(arrows)


def test_imports_for_types_close_a_circle(tmp_path: Path) -> None:
    """An import under TYPE_CHECKING or within a function is an arrow like any other."""
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("if TYPE_CHECKING:\n    from docstore.second import B\n")
    second.write_text("def f():\n    from docstore import first\n    return first\n")
    assert [["docstore.first", "docstore.second"]] == circles(
        Structure({"docstore.first": first, "docstore.second": second, "docstore": first}).arrows
    )


def test_the_counting_of_comments() -> None:
    """Comments count by line, pragmas and hashes in strings do not; docstrings are no code."""
    text = '"""A # docstring."""\n\n# one\nx = 1  # two\ny = "# none"  # noqa: E501\n"""Of y."""\n'
    assert (2, 2) == comment_lines(text, ast.walk(ast.parse(text)))

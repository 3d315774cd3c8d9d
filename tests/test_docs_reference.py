"""The reference pages of docs/ are whole: every name, operator, error, limit, setting, extra and command."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from pydantic import TypeAdapter

import docstore
from docstore.cli.app import app
from docstore.documents import Documents
from docstore.extractions import Extractions

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)


def page(name: str) -> str:
    """Return the text of a page."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def rows(name: str) -> list[list[str]]:
    """Return the cells of every row of the tables of a page."""
    return [[cell.strip() for cell in row.split(" | ")] for row in ROW.findall(page(name))]


def codes(cell: str) -> list[str]:
    """Return what stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def test_every_public_name_is_in_the_reference() -> None:
    """By itself, or as an error on the page of docstore.errors."""
    shown = set(re.findall(r"^::: docstore\.(\w+)$", page("reference"), re.MULTILINE))
    errors = set(docstore.errors.__all__) if "errors" in shown else set()
    assert set(docstore.__all__) - shown - errors == set()


def documented() -> list[tuple[str, str]]:
    """Return what a reader looks up, and its docstring: public names but errors, and methods."""
    names = [name for name in docstore.__all__ if name not in docstore.errors.__all__ and name != "Filter"]
    found = [(name, inspect.getdoc(getattr(docstore, name)) or "") for name in names]
    for of in (docstore.Store, Documents, Extractions, docstore.Claim):
        for name, method in inspect.getmembers(of, inspect.isfunction):
            if not name.startswith("_"):
                found.append((f"{of.__name__}.{name}", inspect.getdoc(method) or ""))
    return found


def test_every_public_name_has_an_example() -> None:
    """In its docstring; those run (test_examples.py). AsyncStore's methods point to the blocking ones."""
    assert [] == [name for name, text in documented() if ">>>" not in text]


def operator_lines() -> list[tuple[str, str, str, str]]:
    """Return the operator, the filter, what matches and what does not, of each line of the page."""
    lines = [cells for cells in rows("operators") if len(cells) >= 4 and cells[0].startswith("`$")]
    return [(cells[0].strip("`"), *(cell.strip("`") for cell in cells[-3:])) for cells in lines]


@pytest.mark.parametrize(("operator", "filter", "matching", "other"), operator_lines())
def test_examples_of_operators_run(operator: str, filter: str, matching: str, other: str) -> None:
    """Each line shows the operator, a record that it matches, and one that it does not."""
    asked = ast.literal_eval(filter)
    assert operator in filter
    assert docstore.matches(asked, ast.literal_eval(matching))
    assert not docstore.matches(asked, ast.literal_eval(other))


def test_every_operator_has_a_line() -> None:
    """The operators are those of the filter's JSON schema, and $date."""
    schema = json.dumps(TypeAdapter(docstore.Filter).json_schema())
    known = {*re.findall(r'"(\$\w+)"', schema), "$date"} - {"$ref", "$defs"}
    assert {line[0] for line in operator_lines()} == known


def kinds() -> list[type[Exception]]:
    """Return every public class of docstore.errors."""
    found = [getattr(docstore.errors, name) for name in docstore.errors.__all__]
    return [kind for kind in found if inspect.isclass(kind)]


def test_the_tree_of_errors_is_that_of_the_classes() -> None:
    """The same classes, each below its base, with the built-in bases behind it."""
    tree = re.search(r"```text\n(DocstoreError.*?)```", page("errors"), re.DOTALL)
    assert tree is not None
    shown: dict[str, tuple[str | None, tuple[str, ...]]] = {}
    above: list[str] = []
    for line in tree[1].strip().split("\n"):
        found = re.search(r"(\w+)(?: \((\w+)\))?$", line)
        assert found is not None
        depth = found.start() // 4
        del above[depth:]
        shown[found[1]] = (above[-1] if above else None, (found[2],) if found[2] else ())
        above.append(found[1])
    real = {}
    for kind in kinds():
        if issubclass(kind, docstore.DocstoreError):
            ours = [base for base in kind.__bases__ if issubclass(base, docstore.DocstoreError)]
            builtin = tuple(base.__name__ for base in kind.__bases__ if base.__module__ == "builtins")
            real[kind.__name__] = (ours[0].__name__, builtin) if ours else (None, ())
    assert shown == real


def test_every_error_has_a_cause_and_a_cure() -> None:
    """A row of three cells for each error that is no base of others."""
    told = {codes(cells[0])[0] for cells in rows("errors") if len(cells) == 3 and codes(cells[0])}
    leaves = {
        kind.__name__
        for kind in kinds()
        if kind is docstore.ScopeError or not any(kind in other.__bases__ for other in kinds())
    }
    assert told == leaves - {"Permanent"}
    assert "`Permanent`" in page("errors")


def test_every_limit_has_its_default() -> None:
    """As docstore.Limits has it."""
    told = {codes(cells[0])[0]: cells[1] for cells in rows("limits") if codes(cells[0])}
    assert told == {field.name: f"{field.default:,}" for field in dataclasses.fields(docstore.Limits)}


def test_every_setting_is_on_the_page() -> None:
    """The parameters of open and open_async, of SQLite's and Postgres' backends and of Blobs."""
    (sqlite,) = entry_points(group="docstore.backends", name="sqlite")
    (postgres,) = entry_points(group="docstore.backends", name="postgresql")
    told = set(re.findall(r"`(\w+)`", page("settings"))) | set(re.findall(r"(\w+)=", page("settings")))
    for function in (docstore.open, docstore.open_async, sqlite.load(), postgres.load(), docstore.Blobs):
        given = inspect.signature(function).parameters.values()
        names = {one.name for one in given if one.kind is not inspect.Parameter.VAR_KEYWORD}
        assert names - told == set(), function


def test_every_extra_is_on_the_page() -> None:
    """And no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = page("settings").partition("## Extras")[2]
    told = {name for found in ROW.findall(listed) for name in codes(found.split(" | ")[0])}
    assert told == set(project["optional-dependencies"])


def test_every_environment_variable_is_on_the_page() -> None:
    """Those that the packages name."""
    told = set(re.findall(r"DOCSTORE_[A-Z_]+", page("settings")))
    package = Path(docstore.__file__).parent
    named = {
        name
        for path in package.rglob("*.py")
        if "testing" not in path.parts
        for name in re.findall(r"\bDOCSTORE_[A-Z_]+", path.read_text(encoding="utf-8"))
    }
    assert named - told - {"DOCSTORE_COMPLETE"} == set()


def typed_commands() -> list[str]:
    """Return each line of a console block, in README.md and docs/, that runs docstore."""
    found = []
    for path in (ROOT / "README.md", *sorted(DOCS.glob("*.md"))):
        if path.name == "cli.md":
            continue
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            lines = block.replace("\\\n", " ").split("\n")
            found += [line.removeprefix("$ ") for line in lines if re.match(r"(\$ )?docstore ", line)]
    return found


@pytest.mark.parametrize("line", typed_commands())
def test_commands_in_the_pages_exist(line: str) -> None:
    """The command, and each of its options."""
    words = line.split()
    context = click.Context(app)
    command = app.get_command(context, words[1])
    assert command is not None
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert options - known - {"--help"} == set()

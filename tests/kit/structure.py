"""The structure of the installed packages: imports, circles, floors, classes, comments.

``python -m tests.kit.structure`` prints the table of ARCHITECTURE.md for the packages that Python finds, and
``PYTHONPATH=OTHER:OTHER/backends:. python -P -m tests.kit.structure`` that of another checkout.

Terms: a *room* is a file directly in ``docstore/``, a folder in it, or a backend's package. Its *floor* is
one above the highest room that it imports. A *circle* is a set of modules that import each other in a loop,
imports within functions and under ``TYPE_CHECKING`` included.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec, resolve_name
from pathlib import Path

__all__ = ["BACKENDS", "PACKAGES", "Structure", "circles", "floors", "imports", "installed"]

BACKENDS = ("docstore_memory", "docstore_sql", "docstore_sqlite", "docstore_postgres")
PACKAGES = ("docstore", *BACKENDS)
_COMMENT = re.compile(r"^\s*#|\s\s# ")
_PRAGMA = re.compile(r"# (noqa|type:|fmt:|pragma|pyright:|mypy:|ruff:)")
_CONCERNS = {
    "query": ("docstore.query",),
    "index": ("docstore.index",),
    "caches": ("docstore.plan_cache", "docstore.recent"),
    "backends": BACKENDS,
    "text extraction": ("docstore.extract",),
    "asynchronous shell": ("docstore.aio",),
    "bytes": ("docstore.blobs",),
    "maintenance, transfer": ("docstore.maintenance", "docstore.transfer"),
    "folders, command": ("docstore.ingest", "docstore.ingest_folder", "docstore.cli", "docstore.__main__"),
    "HTTP, MCP": ("docstore.http", "docstore.mcp"),
    "integrations, dialects": ("docstore.integrations", "docstore.dialects"),
    "testing": ("docstore.testing",),
    "core": ("docstore",),
}
"""Which modules are of which concern; the first that fits."""
ENGINE = ("query", "index", "caches", "backends")


def folder(package: str) -> Path:
    """Return where a package is installed."""
    spec = find_spec(package)
    assert spec is not None, f"{package} is not installed: run  python -m pip install -e ."
    assert spec.origin is not None, f"{package} has no __init__.py"
    return Path(spec.origin).parent


def installed(packages: Iterable[str] = PACKAGES) -> dict[str, Path]:
    """Return the file of every module of the packages, by the module's full name."""
    found = {}
    for package in packages:
        root = folder(package)
        for path in sorted(root.rglob("*.py")):
            parts = (package, *path.relative_to(root).with_suffix("").parts)
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    """Return whether a module is one of the prefixes or lies below one."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def imports(package: str, nodes: Iterable[ast.AST], known: Container[str]) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of everything that a module imports, at its top or anywhere below.

    Args:
        package: the package that the module is in, or is.
        nodes: of the module's syntax; those that are no import are passed over.
        known: all modules; ``from a import b`` is ``a.b`` if that is one of them, else ``a``.
    """
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                below = f"{source}.{alias.name}"
                yield node.lineno, below if below in known else source


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the sets of nodes that reach each other, each sorted, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for after in graph.get(node, ()):
            if after not in index:
                visit(after)
                low[node] = min(low[node], low[after])
            elif after in stack:
                low[node] = min(low[node], index[after])
        if low[node] == index[node]:
            at = stack.index(node)
            members = stack[at:]
            del stack[at:]
            if len(members) > 1:
                found.append(sorted(members))

    for node in graph:
        if node not in index:
            visit(node)
    return sorted(found)


def floors(graph: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Return the floor of each node: 1 if it imports none; an arrow that closes a circle does not lift it."""
    heights: dict[str, int] = {}
    under_way: set[str] = set()

    def height(node: str) -> int:
        if node not in heights:
            under_way.add(node)
            below = [height(after) for after in graph.get(node, ()) if after not in under_way]
            under_way.discard(node)
            heights[node] = 1 + max(below, default=0)
        return heights[node]

    for node in graph:
        height(node)
    return heights


@dataclass(frozen=True)
class Structure:
    """What the files of some packages say of their structure.

    Attributes:
        modules: the file of each module, by its full name.
    """

    modules: Mapping[str, Path]

    @cached_property
    def texts(self) -> dict[str, str]:
        """The text of each module."""
        return {name: path.read_text(encoding="utf-8") for name, path in self.modules.items()}

    @cached_property
    def lines(self) -> dict[str, int]:
        """The number of lines of each module."""
        return {name: text.count("\n") for name, text in self.texts.items()}

    @cached_property
    def nodes(self) -> dict[str, list[ast.AST]]:
        """The imports, the classes and the strings that stand alone, of each module, at any depth."""
        told = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.Expr)
        return {
            name: [node for node in ast.walk(ast.parse(text)) if isinstance(node, told)]
            for name, text in self.texts.items()
        }

    @cached_property
    def imports(self) -> dict[str, list[tuple[int, str]]]:
        """What each module imports, and on which line."""
        return {
            name: list(imports(_package(name, self.modules[name]), nodes, self.modules))
            for name, nodes in self.nodes.items()
        }

    @cached_property
    def public(self) -> dict[str, str]:
        """The public names of ``docstore``, and the module that its face takes each from."""
        return {
            alias.asname or alias.name: node.module
            for node in self.nodes["docstore"]
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("docstore.")
            for alias in node.names
        }

    @cached_property
    def arrows(self) -> dict[str, set[str]]:
        """Which of the modules each one imports.

        The face of ``docstore`` has no arrows, it hands names on: who imports a name from it imports the
        module that defines the name.
        """
        graph: dict[str, set[str]] = {}
        for name, found in self.imports.items():
            if name != "docstore":
                below = {imported for _, imported in found}
                if "docstore" in below:
                    below |= self._through_face(self.nodes[name])
                graph[name] = {one for one in below if one in self.modules} - {name, "docstore"}
        return graph

    def _through_face(self, nodes: Iterable[ast.AST]) -> set[str]:
        return {
            self.public[alias.name]
            for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module == "docstore"
            for alias in node.names
            if alias.name in self.public
        }

    @cached_property
    def rooms(self) -> dict[str, set[str]]:
        """Which rooms each room imports."""
        graph: dict[str, set[str]] = defaultdict(set)
        for name, below in self.arrows.items():
            graph[room(name)] |= {room(one) for one in below} - {room(name)}
        return dict(graph)

    @cached_property
    def classes(self) -> dict[str, list[str]]:
        """The modules that define a class of each name, nested ones included."""
        found: dict[str, list[str]] = defaultdict(list)
        for name, nodes in self.nodes.items():
            for node in nodes:
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(name)
        return dict(found)

    @property
    def namesakes(self) -> dict[str, list[str]]:
        """The class names that occur more than once, and where."""
        return {name: where for name, where in sorted(self.classes.items()) if len(where) > 1}

    @cached_property
    def comments(self) -> float:
        """Lines with a comment to a hundred lines of code.

        Pragmas are no comments, blank lines and docstrings no code.
        """
        commented = code = 0
        for name, text in self.texts.items():
            with_comment, with_code = comment_lines(text, self.nodes[name])
            commented += with_comment
            code += with_code
        return 100 * commented / max(code, 1)

    def by_concern(self) -> dict[str, tuple[int, int]]:
        """Return the files and the lines of each concern."""
        found = dict.fromkeys(_CONCERNS, (0, 0))
        for name, count in self.lines.items():
            concern = next(one for one, prefixes in _CONCERNS.items() if within(name, prefixes))
            files, lines = found[concern]
            found[concern] = (files + 1, lines + count)
        return found


def room(name: str) -> str:
    """Return the room that a module is in: itself or its folder in ``docstore``, or its backend."""
    package, _, rest = name.partition(".")
    return f"docstore.{rest.partition('.')[0]}" if package == "docstore" else package


def _package(name: str, path: Path) -> str:
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def comment_lines(text: str, nodes: Iterable[ast.AST]) -> tuple[int, int]:
    """Return how many lines of a module have a comment, and how many have code.

    Args:
        text: the module.
        nodes: of its syntax; the strings among them that stand alone are docstrings.
    """
    documented: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documented.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = [line for at, line in enumerate(text.splitlines(), 1) if at not in documented and line.strip()]
    comments = [line for line in lines if _COMMENT.search(line) and not _PRAGMA.search(line)]
    return len(comments), sum(not line.lstrip().startswith("#") for line in lines)


def rows(structure: Structure) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table: what is measured, and how much of it there is."""
    concerns = structure.by_concern()
    for concern, (files, lines) in concerns.items():
        yield f"lines: {concern}", f"{lines:,} in {files} files"
    yield "lines: engine (query, index, caches, backends)", f"{sum(concerns[one][1] for one in ENGINE):,}"
    yield "lines in all", f"{sum(structure.lines.values()):,}"
    yield "files in all", str(len(structure.modules))
    yield "floors", str(max(floors(structure.rooms).values()))
    yield "circles", str(len(circles(structure.arrows)))
    yield "names that several classes have", str(len(structure.namesakes))
    yield "lines of comment to a hundred of code", f"{structure.comments:.1f}"


def main() -> None:
    """Print the table."""
    from tests.kit.routes import routes

    structure = Structure(installed())
    for what, value in (*rows(structure), *routes()):
        print(f"| {what} | {value} |")
    for circle in circles(structure.arrows):
        print("circle:", " ".join(circle))
    for name, where in structure.namesakes.items():
        print("class of one name:", name, *where)


if __name__ == "__main__":
    main()

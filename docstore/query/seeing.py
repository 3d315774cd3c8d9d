"""What a leaf's test is put to: what its path leads to in a record or an array's element (rules 8, 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeAlias

from docstore.query.expr import Path
from docstore.query.paths import MISSING, End, reach
from docstore.query.predicates import Test

__all__ = ["Predicate", "Root", "sees", "sees_array", "sees_together"]

Predicate: TypeAlias = Callable[[Any], bool]
Root: TypeAlias = Literal["record", "free", "element", "value"]
"""What a leaf's path starts from: a record (``None`` is missing), a plain mapping, an array's element by its
fields, or the element itself."""


def sees(path: Path, test: Test, root: Root) -> Predicate:
    """Ask ``test`` of every value seen at ``path`` (rules 8, 9): arrays by element and whole."""
    if not path:
        return test
    if root == "element":
        return lambda element: _reached(element, path, test)
    if len(path) == 1:
        return _sees_field(path[0], test, root)
    return _sees_member(path, test)


def _sees_field(name: str, test: Test, root: Root) -> Predicate:
    nothing = None if root == "record" else MISSING

    def run(record: Any) -> bool:
        value = record.get(name, nothing)
        if type(value) is list:
            return test(value) or any(map(test, value))
        return test(MISSING if value is nothing else value)

    return run


def _sees_member(path: Path, test: Test) -> Predicate:
    field, *inner, key = path
    steps = path[1:]

    def run(record: Any) -> bool:
        start = value = record.get(field)
        for step in inner:
            if type(value) is not dict:
                break
            value = value.get(step)
        if type(value) is dict:
            value = value.get(key, MISSING)
            if type(value) is list:
                return test(value) or any(map(test, value))
            return test(value)
        if type(value) is not list:
            return test(MISSING)
        return _reached({"": start}, ("", *steps), test)

    return run


def _reached(value: Any, steps: Path, test: Test) -> bool:
    for end, opened in reach(value, steps):
        if test(end) or (opened and type(end) is list and any(map(test, end))):
            return True
    return False


def sees_array(path: Path, test: Test, root: Root) -> Predicate:
    """Ask ``test`` of what is at ``path`` itself, arrays unopened."""
    if not path:
        return test
    if root == "element":
        return lambda element: any(test(end) for end, _ in reach(element, path))

    def run(record: Any) -> bool:
        value = record.get(path[0])
        if len(path) == 1:
            return test(value)
        return any(test(end) for end, _ in reach({"": value}, ("", *path[1:])))

    return run


def sees_together(path: Path, test: Callable[[Iterable[Any]], bool], root: Root) -> Predicate:
    """Ask ``test`` once of all values seen at ``path``: an array's elements, and ``MISSING`` where it leads
    nowhere, but no opened array as a whole.
    """
    if not path:
        return lambda value: test((value,))
    if root == "element":
        return lambda element: test(_values(reach(element, path)))
    field, *steps = path

    def run(record: Any) -> bool:
        value = record.get(field, MISSING)
        for step in steps:
            if type(value) is not dict:
                break
            value = value.get(step, MISSING)
        else:
            return test(value if type(value) is list else (value,))
        return type(value) is list and test(_values(reach({"": record[field]}, ("", *steps))))

    return run


def _values(ends: Iterable[End]) -> Iterator[Any]:
    for end, opened in ends:
        if opened and type(end) is list:
            yield from end
        else:
            yield end

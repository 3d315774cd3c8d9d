"""Many alternatives that go through one array by index: one look at the array for all of them.

``{"$or": [{"a.0.b": …}, {"a.1.b": …}, …]}`` asks of each element what one alternative says. Asked one after
the other, each would walk the array anew to find that it is shorter than its index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from docstore.query.expr import Path
from docstore.query.paths import MISSING, descended, index_step
from docstore.query.predicates import Test

__all__ = ["Asked", "any_by_index", "before_index"]

Asked: TypeAlias = tuple[Path, Test, bool]
"""A path, a test, and whether it is put to the elements of an array there, too."""


def before_index(path: Path) -> Path | None:
    """Return the steps before the first that is an index; ``None`` if none behind the field is."""
    for at in range(1, len(path)):
        if index_step(path[at]) is not None:
            return path[:at]
    return None


def any_by_index(
    before: Path, asked: Sequence[Asked], slowly: Callable[[Any], bool]
) -> Callable[[Any], bool]:
    """Return the test of a record for any of many questions behind one array.

    Args:
        before: the steps to the array, that of :func:`before_index` for each path.
        asked: whole paths, what is asked there, and whether arrays there are opened for it (rule 8).
        slowly: asks them one after the other, where the array is not met in the plain way.
    """
    at = len(before)
    steps = frozenset(path[at] for path, _, _ in asked)
    of_missing = any(test(MISSING) for _, test, _ in asked)
    of_element: dict[int, list[Asked]] = {}
    for path, test, opens in asked:
        of_element.setdefault(int(path[at]), []).append((path[at + 1 :], test, opens))

    def elements(array: list[Any]) -> bool:
        for index, element in enumerate(array):
            if any(_holds(element, *one) for one in of_element.get(index, ())):
                return True
        return False

    def run(record: Any) -> bool:
        value = record.get(before[0])
        for step in before[1:]:
            if type(value) is list:
                return slowly(record)
            value = value.get(step) if type(value) is dict else None
        if type(value) is list:
            objects = [element for element in value if type(element) is dict]
            if not all(map(steps.isdisjoint, objects)):
                return slowly(record)
            return (of_missing and bool(objects)) or elements(value)
        return slowly(record) if type(value) is dict and not steps.isdisjoint(value) else of_missing

    return run


def _holds(element: Any, rest: Path, test: Test, opens: bool) -> bool:
    """Ask of an element reached by index; it is not opened again (rule 8)."""
    if not rest:
        return test(element)
    if type(element) is not dict and type(element) is not list:
        return False
    return any(
        test(end) or (opens and opened and type(end) is list and any(map(test, end)))
        for end, opened in descended(element, rest)
    )

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

Holds: TypeAlias = Callable[[Any], bool]
Asked: TypeAlias = tuple[Path, Test, bool]
"""A path, a test, and whether it is put to the elements of an array there, too."""


def before_index(path: Path) -> Path | None:
    """Return the steps before the first that is an index; ``None`` if none behind the field is."""
    for at in range(1, len(path)):
        if index_step(path[at]) is not None:
            return path[:at]
    return None


def any_by_index(before: Path, asked: Sequence[Asked], alone: Sequence[Holds]) -> Holds:
    """Return the test of a record for any of many questions behind one array.

    Args:
        before: the steps to the array, that of :func:`before_index` for each path.
        asked: whole paths, what is asked there, and whether arrays there are opened for it (rule 8).
        alone: each question by itself, for where the array is not met in the plain way, or an index is a key.
    """
    at = len(before)
    steps = frozenset(path[at] for path, _, _ in asked)
    of_missing = frozenset(path[at] for path, test, _ in asked if test(MISSING))
    of_key: dict[str, list[Holds]] = {}
    of_element: dict[int, list[Asked]] = {}
    for (path, test, opens), holds in zip(asked, alone, strict=True):
        of_key.setdefault(path[at], []).append(holds)
        of_element.setdefault(int(path[at]), []).append((path[at + 1 :], test, opens))

    def by_key(record: Any, objects: Sequence[dict[str, Any]]) -> bool:
        """Ask those whose index is a key of some object; the others see that it is missing in all of them."""
        keys = {step for each in objects for step in steps.intersection(each)}
        return not of_missing <= keys or any(holds(record) for key in keys for holds in of_key[key])

    def run(record: Any) -> bool:
        value = record.get(before[0])
        for step in before[1:]:
            if type(value) is list:
                return any(holds(record) for holds in alone)
            value = value.get(step) if type(value) is dict else None
        if type(value) is not list:
            return by_key(record, [value]) if type(value) is dict else bool(of_missing)
        for index, element in enumerate(value):
            if any(_holds(element, *one) for one in of_element.get(index, ())):
                return True
        objects = [element for element in value if type(element) is dict]
        return bool(objects) and by_key(record, objects)

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

"""Field paths: their text (rule 7), and the values seen at the end of one (rules 6, 8, 9).

``reach`` is the one walk; the evaluator tests what it yields, and orders sort by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from docstore.query.expr import Path
from docstore.query.values import Json


class Missing(Enum):
    """What a path that leads nowhere leads to: not null (rule 1)."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING

# One place that a path leads to: the value there or `MISSING`, and whether the value, if an array, is opened
# (false for an element reached by an index as the last step).
End: TypeAlias = tuple[Json | Missing, bool]


# Characters of a path's text up to which its steps are remembered.
_REMEMBERED = 200


def parse_path(text: str) -> Path:
    r"""Split a field path at its dots, save ``\.``; ``\\`` is a backslash; an empty step is the empty key."""
    return _split(text) if len(text) <= _REMEMBERED else _split_once(text)


def _split_once(text: str) -> Path:
    if "\\" not in text:
        return tuple(text.split("."))
    steps: list[str] = []
    step: list[str] = []
    characters = iter(range(len(text)))
    for at in characters:
        character = text[at]
        if character == "\\" and text[at + 1 : at + 2] in ("\\", "."):
            step.append(text[next(characters)])
        elif character == ".":
            steps.append("".join(step))
            step = []
        else:
            step.append(character)
    return (*steps, "".join(step))


_split = lru_cache(maxsize=1024)(_split_once)


def path_text(steps: Path) -> str:
    """Return the text that :func:`parse_path` splits into ``steps``; they are one or more."""
    return ".".join(step.replace("\\", "\\\\").replace(".", "\\.") for step in steps)


def index_step(step: str) -> int | None:
    """Return the array index that a step is: decimal, without leading zeros, or None if it is none."""
    # Nineteen digits may be beyond int64, and no array is that long.
    if not (step.isascii() and step.isdigit()) or (step[0] == "0" and step != "0") or len(step) > 18:
        return None
    return int(step)


def reach(value: Json, steps: Path) -> list[End]:
    """Return every end of ``steps`` in ``value``.

    A step into an object leads to its member, or to ``MISSING`` where there is none or the value is a scalar.
    A step that meets an array is tried in every element that is an object, and, if it is an index, goes to
    that element as well; scalars and arrays inside the array are passed over, so the list may be empty: then
    nothing is seen, not even missing (rule 9).

    Args:
        value: where the first step starts. An array here counts as an object of its indexes (rule 17).
        steps: the path; none: the value itself is the one end, and is not opened.
    """
    ends: list[End] = []
    if not steps:
        return [(value, False)]
    if type(value) is list:
        index = index_step(steps[0])
        if index is None or index >= len(value):
            return [(MISSING, False)]
        _descend(value[index], steps, 1, ends)
    else:
        _descend(value, steps, 0, ends)
    return ends


def _descend(value: Json, steps: Path, at: int, ends: list[End]) -> None:
    for position in range(at, len(steps)):
        if type(value) is list:
            _spread(value, steps, position, ends)
            return
        if type(value) is not dict or steps[position] not in value:
            ends.append((MISSING, False))
            return
        value = value[steps[position]]
    ends.append((value, True))


def _spread(array: list[Json], steps: Path, at: int, ends: list[End]) -> None:
    for element in array:
        if type(element) is dict:
            _descend(element, steps, at, ends)
    index = index_step(steps[at])
    if index is None or index >= len(array):
        return
    element = array[index]
    if at + 1 == len(steps):
        ends.append((element, False))
    elif type(element) is dict or type(element) is list:
        _descend(element, steps, at + 1, ends)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an operator sees at a path (rules 8, 9).

    Attributes:
        ends: the places that the path leads to, as :func:`reach` gives them.
    """

    ends: tuple[End, ...]

    @property
    def values(self) -> list[Json]:
        """Every value seen, missing not: of an opened array each element, then the array itself."""
        found: list[Json] = []
        for value, opened in self.ends:
            if opened and type(value) is list:
                found.extend(value)
            if value is not MISSING:
                found.append(value)
        return found

    @property
    def arrays(self) -> list[list[Json]]:
        """The arrays at the path, each as one value: what ``$size``, ``$elemMatch`` and ``$contains`` see."""
        return [value for value, _ in self.ends if type(value) is list]

    @property
    def missing(self) -> bool:
        """Whether the path leads nowhere at some place: then it equals null there."""
        return any(value is MISSING for value, _ in self.ends)

    @property
    def exists(self) -> bool:
        """Whether the path leads to a value, null included."""
        return any(value is not MISSING for value, _ in self.ends)


def seen(value: Json, steps: Path) -> Seen:
    """Return what is seen in ``value`` at ``steps``; see :func:`reach` for how steps are taken.

    For a record's path, ``value`` is the record itself (a ``dict`` by field name); leave ``None`` fields out
    of it, since on record fields ``None`` counts as missing. With the field's own value and the path's
    remaining steps, an array there would count as an object of its indexes, and ``()`` would not open it.
    """
    return Seen(tuple(reach(value, steps)))


Predicate: TypeAlias = Callable[[Any], bool]
# What a leaf's path starts from: a record (`None` is missing), a plain mapping, an array's element by its
# fields, or the element itself.
Root: TypeAlias = Literal["record", "free", "element", "value"]


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
        # Below a name an array is opened; at the start of a path it would count as an object of its indexes.
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


Test: TypeAlias = Callable[[Any], bool]

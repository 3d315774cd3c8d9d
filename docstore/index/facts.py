"""What a record holds at every path, as the evaluator sees it (rules 6, 8, 9): the one function that
yields facts.

Records are poured into a tree of :class:`Node`, one a path; a node collects, key by key, the numbers of
the records. Elements of
an array count at the array's own path, their members at the paths below; steps by index are not among the
paths, whoever plans
knows which records have arrays on the way (:mod:`docstore.index.bounds`).
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from docstore.index.keys import (
    ARRAY,
    DATES,
    FALSE,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    TRUE,
    WIDTHS,
    is_dated,
    number_key,
    size_key,
    text_key,
)  # fmt: skip
from docstore.index.texts import document_tokens
from docstore.query.expr import Path
from docstore.query.fields import Collection, Kind
from docstore.query.text import fold, index_words

__all__ = ["EVERY", "MOST_VALUES", "WILD", "Node", "Packed", "indexed_fields", "pour"]

EVERY: Final = b"\x00"
"""The key, at the root, of all records there are."""

WILD: Final = b"\x0f"
"""The key, at the root, of records that hold too much to be indexed: every filter looks at them."""

MOST_VALUES: Final = 4096
"""A record with more JSON values than this is wild."""

_TEXTS: Final = frozenset({"tenant", "owner", "content_type", "file_type", "status", "reviewed_by"})
_EXACT: Final = 1 << 53
NUMBERS_TYPE: Final = "I" if array("I").itemsize == 4 else "L"


def indexed_fields(collection: Collection) -> tuple[str, ...]:
    """Return the fields whose facts are kept: JSON, numbers, instants, booleans, and the texts with few
    different values.
    """
    return tuple(
        name
        for name, field in collection.fields.items()
        if not field.heavy
        and name != "number"
        and (field.kind not in (Kind.TEXT, Kind.STATUS) or name in _TEXTS)
    )


class Node:
    """One path, and what records hold there.

    Attributes:
        children: the paths one step longer.
        posts: the numbers of the records by key, ascending; a number may come twice in a row.
        numbers, floats: the column of numbers, record by record.
        dated, dates: the column of dates; 16 bytes a record.
        last: the text last put in the column of dates.
    """

    __slots__ = ("children", "dated", "dates", "floats", "last", "numbers", "posts")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.posts: dict[bytes, array[int]] = {}
        self.numbers: array[int] = array(NUMBERS_TYPE)
        self.floats: array[float] = array("d")
        self.dated: array[int] = array(NUMBERS_TYPE)
        self.dates: bytearray = bytearray()
        self.last: str = ""

    def child(self, step: str) -> Node:
        """Return the node one step further, made if there is none."""
        found = self.children.get(step)
        if found is None:
            found = self.children[step] = Node()
        return found

    def post(self, key: bytes, number: int) -> None:
        """Note that the record has the fact ``key`` here."""
        found = self.posts.get(key)
        if found is None:
            self.posts[key] = array(NUMBERS_TYPE, (number,))
        elif found[-1] != number:
            found.append(number)

    def at(self, path: Path) -> Node | None:
        """Return the node at a path below, or ``None``."""
        node: Node | None = self
        for step in path:
            node = node.children.get(step) if node is not None else None
        return node

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Node]]:
        """Yield this node and all below, with their paths."""
        stack = [(path, self)]
        while stack:
            at, node = stack.pop()
            yield at, node
            stack.extend(((*at, step), child) for step, child in node.children.items())

    def column(self, key: bytes) -> tuple[Sequence[int], bytes]:
        """Return a column: the records' numbers, and their values in as many bytes each as the column is
        wide, big-endian.
        """
        if key == DATES:
            return self.dated, bytes(self.dates)
        floats = array("d", self.floats)
        floats.byteswap()
        return self.numbers, floats.tobytes()


class Packed(Protocol):
    """A record that is kept in less room than the mapping that the evaluator reads."""

    def get(self, name: str) -> Any:
        """Return a column that is no JSON."""

    def seen(self, names: tuple[str, ...]) -> Sequence[Any]:
        """Return columns as the evaluator reads them, ``None`` for those that there are not."""


def pour(root: Node, fields: Mapping[str, bool], records: Mapping[int, Mapping[str, Any] | Packed]) -> None:
    """Add the facts of records.

    Args:
        root: where to; a fresh node.
        fields: the indexed fields by name, and whether each is JSON. ``filename`` among them stands for
            the tokens of texts.
        records: by number, as the evaluator reads them.
    """
    numbers = sorted(records)
    if not numbers:
        return
    rows = [records[number] for number in numbers]
    names = tuple(name for name in fields if name != "filename")
    if "filename" in fields:
        node = root.child("filename")
        for row, number in zip(rows, numbers, strict=True):
            _name(node, row, number)
    columns = zip(*(_seen(row, names) for row in rows), strict=True)
    root.posts[EVERY] = array(NUMBERS_TYPE, numbers)
    wild: set[int] = set()
    for name, column in zip(names, columns, strict=True):
        values: Sequence[Any] = column
        having: Sequence[int] = numbers
        if None in column:
            having = [number for number, value in zip(numbers, column, strict=True) if value is not None]
            values = [value for value in column if value is not None]
        if fields[name]:
            much = {at for at, value in enumerate(values) if _size(value, MOST_VALUES) < 0}
            if much:
                wild.update(having[at] for at in much)
                having = [number for at, number in enumerate(having) if at not in much]
                values = [value for at, value in enumerate(values) if at not in much]
        if values:
            _see_all(root.child(name), values, having)
    if wild:
        root.posts[WILD] = array(NUMBERS_TYPE, sorted(wild))


def _seen(record: Mapping[str, Any] | Packed, names: tuple[str, ...]) -> Sequence[Any]:
    return tuple(map(record.get, names)) if isinstance(record, Mapping) else record.seen(names)


def _see_all(node: Node, values: Sequence[Any], numbers: Sequence[int]) -> None:
    """Note what is seen at the end of a path in many records, one value each: a fresh node is filled."""
    kinds = set(map(type, values))
    if list in kinds:
        for value, number in zip(values, numbers, strict=True):
            _see(node, value, number)
    elif kinds <= _NUMERIC:
        _see_numbers(node, values, numbers)
    elif len(kinds) > 1:
        for several in (_NUMERIC, *(frozenset((kind,)) for kind in kinds - _NUMERIC)):
            found = [at for at, value in enumerate(values) if type(value) in several]
            if found:
                _see_all(node, [values[at] for at in found], [numbers[at] for at in found])
    elif str in kinds:
        _see_texts(node, values, numbers)
    elif dict in kinds:
        node.posts[OBJECT] = array(NUMBERS_TYPE, numbers)
        _enter_all(node, values, numbers)
    else:
        for value, number in zip(values, numbers, strict=True):
            node.post(NULL if value is None else TRUE if value else FALSE, number)


_NUMERIC: Final = frozenset((int, float))


def _enter_all(node: Node, objects: Sequence[Mapping[str, Any]], numbers: Sequence[int]) -> None:
    """Note the members of objects, one object a record, step by step."""
    columns: dict[str, tuple[list[Any], list[int]]] = {}
    get = columns.get
    for members, number in zip(objects, numbers, strict=True):
        for step, value in members.items():
            column = get(step)
            if column is None:
                columns[step] = ([value], [number])
            else:
                column[0].append(value)
                column[1].append(number)
    for step, (values, having) in columns.items():
        _see_all(node.child(step), values, having)


def _see_texts(node: Node, texts: Sequence[str], numbers: Sequence[int]) -> None:
    node.posts[STRING] = array(NUMBERS_TYPE, numbers)
    having: defaultdict[str, list[int]] = defaultdict(list)
    for text, number in zip(texts, numbers, strict=True):
        having[text].append(number)
    dated: list[tuple[int, str]] = []
    for text, members in having.items():
        if is_dated(text):
            dated += [(number, text) for number in members]
        else:
            node.posts[text_key(text)] = array(NUMBERS_TYPE, members)
    dated.sort()
    node.dated = array(NUMBERS_TYPE, [number for number, _ in dated])
    for _, text in dated:
        node.dates += text[:16].encode()[:16].ljust(16, b"\0")


def _see_numbers(node: Node, values: Sequence[float], numbers: Sequence[int]) -> None:
    if not -_EXACT <= min(values) <= max(values) <= _EXACT:
        for value, number in zip(values, numbers, strict=True):
            _see_number(node, value, number)
        return
    node.posts[NUMBER] = array(NUMBERS_TYPE, numbers)
    node.numbers = array(NUMBERS_TYPE, numbers)
    node.floats = array("d", [value or 0.0 for value in values])


def _name(node: Node, record: Mapping[str, Any] | Packed, number: int) -> None:
    """Note the pieces of the filename and the words of the content, where they are kept among the facts."""
    name = str(record.get("filename"))
    content = record.get("content")
    tokens = document_tokens(name, fold(name), "" if content is None else index_words(content))
    posts = node.posts
    for token in tokens.encode().split(b" "):
        found = posts.get(token)
        if found is None:
            posts[token] = array(NUMBERS_TYPE, (number,))
        else:
            found.append(number)


def _size(value: Any, left: int) -> int:
    """Return what is left of ``left`` after counting the values within; negative as soon as it is known to
    be.
    """
    left -= 1
    if type(value) is dict:
        value = value.values()
    elif type(value) is not list:
        return left
    left -= len(value)
    for inner in value:
        kind = type(inner)
        if kind is dict or kind is list:
            left = _size(inner, left)
            if left < 0:
                break
    return left


def _see(node: Node, value: Any, number: int) -> None:
    """Note what is seen at the end of a path: the value, and of an array each element, too."""
    kind = type(value)
    if kind is str:
        _see_text(node, value, number)
    elif kind is dict:
        node.post(OBJECT, number)
        _enter(node, value, number)
    elif kind is list:
        node.post(ARRAY, number)
        node.post(size_key(len(value)), number)
        for element in value:
            if type(element) is list:
                node.post(ARRAY, number)
            else:
                _see(node, element, number)
    elif kind is bool:
        node.post(TRUE if value else FALSE, number)
    elif value is None:
        node.post(NULL, number)
    else:
        _see_number(node, value, number)


def _enter(node: Node, members: Mapping[str, Any], number: int) -> None:
    children = node.children
    for step, value in members.items():
        child = children.get(step)
        if child is None:
            child = children[step] = Node()
        _see(child, value, number)


def _see_text(node: Node, text: str, number: int) -> None:
    seen = node.posts.get(STRING)
    if seen is None:
        node.posts[STRING] = array(NUMBERS_TYPE, (number,))
    elif seen[-1] != number:
        seen.append(number)
    else:
        if node.dated and node.dated[-1] == number:
            node.dated.pop()
            del node.dates[-WIDTHS[DATES] :]
            node.post(text_key(node.last), number)
        node.post(text_key(text), number)
        return
    if is_dated(text):
        node.dated.append(number)
        node.dates += text[:16].encode()[:16].ljust(16, b"\0")
        node.last = text
    else:
        node.post(text_key(text), number)


def _see_number(node: Node, value: float, number: int) -> None:
    seen = node.posts.get(NUMBER)
    if seen is None:
        node.posts[NUMBER] = array(NUMBERS_TYPE, (number,))
    elif seen[-1] != number:
        seen.append(number)
    else:
        if node.numbers and node.numbers[-1] == number:
            node.numbers.pop()
            node.post(number_key(node.floats.pop()), number)
        node.post(number_key(value), number)
        return
    if -_EXACT <= value <= _EXACT or float(value) == value:
        node.numbers.append(number)
        node.floats.append(value or 0.0)
    else:
        node.post(number_key(value), number)

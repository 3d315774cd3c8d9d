"""Extract: the terms of records at every path, as the evaluator sees them (rules 6, 8, 9).

Records are poured into a tree of :class:`Node`, one a path, all at once: a column of values at a time.
Elements of an array count at the array's own path, their members at the paths below; steps by index are not
among the paths: :mod:`docstore.index.search` knows which records have arrays on the way.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain, repeat
from operator import itemgetter
from types import NoneType
from typing import Any, Final, Protocol, TypeAlias

from pydantic_core import from_json

from docstore.index.bitmap import EMPTY, NUMBERS_TYPE, SMALL, Bitmap, BitRun, Members, packed_members
from docstore.index.columns import raw_slices, slice_key, transposed
from docstore.index.ngrams import tokens_of
from docstore.index.terms import (
    ARRAY,
    DATES,
    EVERY,
    FALSE,
    NULL,
    NUMBER,
    NUMBERS,
    OBJECT,
    OVERSIZED,
    STRING,
    TRUE,
    UTC_DATES,
    WHOLE_FLOATS,
    float_key,
    is_dated,
    number_key,
    size_key,
    text_key,
    text_keys,
)
from docstore.query.expr import Path
from docstore.query.fields import Collection, Kind, read_json
from docstore.query.instants import is_utc_instant

# Different values of a column up to which each is picked out by translating its bytes.
_FEW: Final = 32
# So many values tell whether there may be few.
_TRIED: Final = 64
# A bit for each of eight codes.
_FLAGS: Final = tuple(
    bytes(1 << (code & 7) if code >> 3 == some else 0 for code in range(256)) for some in range(_FEW >> 3)
)


class Owners:
    """Whose values a column holds: the number of a record for each value, ascending.

    Attributes:
        listed: the numbers, at least one; of a record with several values as many times.
        repeats: whether there is such a record.
    """

    __slots__ = ("_members", "listed", "repeats")

    def __init__(self, listed: Sequence[int], *, repeats: bool = False) -> None:
        self.listed: Sequence[int] = listed
        self.repeats: bool = repeats and len(set(listed)) < len(listed)
        self._members: Members | None = None

    @property
    def members(self) -> Members:
        """The records, each once."""
        if self._members is None:
            self._members = self.packed(self.listed)
        return self._members

    def packed(self, some: Sequence[int]) -> Members:
        """Return some of the numbers, each once, in the shorter of two forms."""
        return packed_members(some, repeats=self.repeats)

    def by_value(self, values: Sequence[Hashable]) -> dict[Any, Members]:
        """Return by value the records that have it."""
        listed = self.listed
        if len(set(values[:_TRIED])) <= _FEW:
            # The first values were few; only now it pays to look at all of them.
            distinct = dict.fromkeys(values)
            if len(distinct) == 1:
                return dict.fromkeys(distinct, self.members)
            dense = listed[-1] - listed[0] + 1 == len(listed) > SMALL
            if dense and len(distinct) <= _FEW and not self.repeats:
                return self._by_few(values, distinct)
        having: defaultdict[Hashable, list[int]] = defaultdict(list)
        # A deque of no length runs the appends without a loop in Python.
        deque(map(list.append, map(having.__getitem__, values), listed), maxlen=0)
        repeats = self.repeats
        return {
            value: packed_members(some, repeats=repeats) if len(some) > 1 else some
            for value, some in having.items()
        }

    def _by_few(self, values: Sequence[Hashable], distinct: Iterable[Hashable]) -> dict[Any, Members]:
        """Do so where values are few and numbers without gaps: a byte for each stands for its value."""
        codes = {value: code for code, value in enumerate(distinct)}
        coded = bytes(map(codes.__getitem__, values))
        turned = [transposed(coded.translate(_FLAGS[some])) for some in range((len(codes) + 7) >> 3)]
        return {
            value: BitRun(int.from_bytes(turned[code >> 3][code & 7 :: 8], "little"), self.listed[0])
            for value, code in codes.items()
        }

    def at(self, places: Sequence[int]) -> Owners:
        """Return the numbers at some places."""
        listed = self.listed
        return Owners([listed[place] for place in places], repeats=self.repeats)


class Node:
    """One path, and what records hold there.

    Attributes:
        children: the paths one step longer.
        posts: the numbers of the records by key.
        numbers, floats: the column of numbers, record by record.
        dated, dates: the column of dates; 16 bytes a record.
    """

    __slots__ = ("children", "dated", "dates", "floats", "numbers", "postings")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.postings: dict[bytes, Members] = {}
        self.numbers: Sequence[int] = ()
        self.floats: array[float] = array("d")
        self.dated: Sequence[int] = ()
        self.dates: bytes = b""

    def child(self, step: str) -> Node:
        """Return the node one step further, made if there is none."""
        found = self.children.get(step)
        if found is None:
            found = self.children[step] = Node()
        return found

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
        """Return a column: the records' numbers, and their values, big-endian, of the column's width."""
        if key == DATES:
            return self.dated, self.dates
        floats = array("d", self.floats)
        floats.byteswap()
        return self.numbers, floats.tobytes()

    def slices(self, column: bytes) -> Iterator[tuple[bytes, Members]]:
        """Yield the slices of a column that are not empty, by their keys."""
        for at, members in raw_slices(column, *self.column(column)):
            yield slice_key(column, at), members

    def sets(self) -> Iterator[tuple[bytes, Members]]:
        """Yield all terms of the path: each key, slices of columns among them, and who has it."""
        yield from self.postings.items()
        for column, members in ((NUMBERS, self.numbers), (DATES, self.dated)):
            if members:
                yield column, packed_members(members)
                yield from self.slices(column)


# A record with more JSON values than this is oversized.
MOST_VALUES: Final = 4096

_TEXTS: Final = frozenset(
    {"tenant", "owner", "content_type", "file_type", "status", "content_state", "reviewed_by"}
)
# Whole numbers up to here are doubles.
_EXACT: Final = 1 << 53
_AT_ONCE: Final = 512
_NUMERIC: Final = frozenset((int, float))
_NAMES: Final = ("filename", "content")


def indexed_fields(collection: Collection) -> tuple[str, ...]:
    """Return the indexed fields: JSON, numbers, instants, booleans, texts with few values."""
    return tuple(
        name
        for name, field in collection.fields.items()
        if not field.heavy
        and name != "number"
        and (field.kind not in (Kind.TEXT, Kind.CHOICE) or name in _TEXTS)
    )


class PackedRecord(Protocol):
    """A record that is kept in less room than the mapping that the evaluator reads."""

    def get(self, name: str) -> Any:
        """Return a column, JSON as text."""

    def columns(self, records: Iterable[Any], names: Sequence[str]) -> Iterable[Sequence[Any]]:
        """Return columns of records of the collection, one after the other: JSON as text."""


def extract_terms(
    root: Node, fields: Mapping[str, bool], records: Mapping[int, Mapping[str, Any] | PackedRecord]
) -> None:
    """Add the terms of records.

    Args:
        root: where to; a fresh node.
        fields: the indexed fields by name, and whether each is JSON. ``filename`` among them stands for
            the tokens of texts.
        records: by number; mappings as the evaluator reads them, or all packed.
    """
    numbers = sorted(records)
    if not numbers:
        return
    names = (*fields, "content") if "filename" in fields else tuple(fields)
    first = records[numbers[0]]
    ordered = map(records.__getitem__, numbers)
    is_packed = not isinstance(first, Mapping)
    columns = _columns(ordered, names) if isinstance(first, Mapping) else first.columns(ordered, names)
    extract_columns(root, fields, numbers, dict(zip(names, columns, strict=True)), is_text=is_packed)


def _columns(records: Iterable[Any], names: Sequence[str]) -> Iterable[Sequence[Any]]:
    return zip(*(map(record.get, names) for record in records), strict=True)


def extract_columns(
    root: Node,
    fields: Mapping[str, bool],
    numbers: Sequence[int],
    columns: Mapping[str, Sequence[Any]],
    *,
    is_text: bool = False,
) -> None:
    """Add the terms of records, given as columns.

    Args:
        root: where to; a fresh node.
        fields: as of :func:`extract_terms`.
        numbers: of the records, ascending, at least one.
        columns: by name, a value for each record; ``None``: it has none. With ``filename``, ``content``.
        is_text: whether JSON is given as its text.
    """
    everyone = Owners(numbers)
    root.postings[EVERY] = everyone.members
    wild: set[int] = set()
    poured: list[tuple[set[type], Sequence[Any], Node]] = []
    for name, is_json in fields.items():
        column = columns[name]
        if name == "filename":
            _extract_names(root.child(name), column, columns["content"], everyone)
            continue
        kinds = set(map(type, column))
        if is_json:
            values, of = _present(column, kinds, everyone)
            if of is not None:
                _extract_json(root.child(name), values, of, wild, is_text=is_text)
            continue
        alike = next((node for types, other, node in poured if types == kinds and other == column), None)
        if alike is not None:  # as the instants of most documents: what was seen then is seen here
            root.children[name] = alike
            continue
        values, of = _present(column, kinds, everyone)
        if of is not None:
            node = root.child(name)
            _extract_all(node, values, of, kinds - {NoneType})
            poured.append((kinds, column, node))
    if wild:
        root.postings[OVERSIZED] = array(NUMBERS_TYPE, sorted(wild))


def _extract_json(node: Node, values: Sequence[Any], of: Owners, wild: set[int], *, is_text: bool) -> None:
    """Note a column of JSON; of what holds too much only that it is oversized."""
    much = set[int]()
    if is_text:
        longest, texts = max(map(len, values)), values
        values = _decoded(texts)
        if longest > MOST_VALUES:
            much = {at for at, text in enumerate(texts) if len(text) > MOST_VALUES and _is_wild(values[at])}
    else:
        much = {at for at, value in enumerate(values) if _is_wild(value)}
    if much:
        wild.update(of.listed[at] for at in much)
        left = [at for at in range(len(values)) if at not in much]
        if not left:
            return
        values, of = [values[at] for at in left], of.at(left)
    _extract_all(node, values, of)


def _decoded(texts: Sequence[str]) -> list[Any]:
    """Return the values of JSON texts, some hundred read at once."""
    found: list[Any] = []
    for start in range(0, len(texts), _AT_ONCE):
        part = texts[start : start + _AT_ONCE]
        try:
            values = from_json(f"[{','.join(part)}]")
        except ValueError:
            values = []
        # one that somebody broke by hand must not shift the others
        found += values if len(values) == len(part) else map(read_json, part)
    return found


def _present(
    column: Sequence[Any], kinds: Set[type], everyone: Owners
) -> tuple[Sequence[Any], Owners | None]:
    """Return the values that there are, and whose, or None if there is none."""
    if NoneType not in kinds:
        return column, everyone
    if len(kinds) == 1:
        return (), None
    places = [at for at, value in enumerate(column) if value is not None]
    return [column[at] for at in places], everyone.at(places)


def _is_wild(value: Any) -> bool:
    """Return whether a value holds too many."""
    return _size(value, MOST_VALUES) < 0


def _size(value: Any, left: int) -> int:
    """Return ``left`` less the values within; negative as soon as they are more."""
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


# -- values ------------------------------------------------------------------------------------------


def _extract_all(node: Node, values: Sequence[Any], of: Owners, kinds: Set[type] | None = None) -> None:
    """Note what is seen at the end of a path in many records: a fresh node is filled."""
    kinds = set(map(type, values)) if kinds is None else kinds
    if list in kinds:
        _extract_arrays(node, values, of)
    elif len(kinds) == 1 or kinds <= _NUMERIC:
        _extract_alike(node, kinds, values, of)
    else:
        for alike in (_NUMERIC & kinds, *({kind} for kind in kinds - _NUMERIC)):
            places = [at for at, value in enumerate(values) if type(value) in alike]
            if places:
                _extract_alike(node, alike, [values[at] for at in places], of.at(places))


def _extract_alike(node: Node, kinds: Set[type], values: Sequence[Any], of: Owners) -> None:
    """Note values of one kind, none an array."""
    if kinds <= _NUMERIC:
        _extract_numbers(node, values, of, float in kinds)
    elif str in kinds:
        _extract_texts(node, values, of)
    elif dict in kinds:
        node.postings[OBJECT] = of.members
        for step, members, places in _by_step(values):
            _extract_all(node.child(step), members, of if places is None else of.at(places))
    elif bool in kinds:
        for value, having in of.by_value(values).items():
            node.postings[TRUE if value else FALSE] = having
    else:
        node.postings[NULL] = of.members


def _extract_arrays(node: Node, values: Sequence[Any], of: Owners) -> None:
    """Extract arrays: their lengths, and their elements together with the values that are no arrays.

    An array within an array yields no terms of its own.
    """
    places = [at for at, value in enumerate(values) if type(value) is list]
    arrays, among = values, of
    if len(places) < len(values):
        arrays, among = [values[at] for at in places], of.at(places)
        values = [value if type(value) is list else (value,) for value in values]
    lengths = list(map(len, arrays))
    node.postings[ARRAY] = among.members
    node.postings.update((size_key(length), members) for length, members in among.by_value(lengths).items())
    inner = list(chain.from_iterable(values))
    if not inner:
        return
    having = list(chain.from_iterable(map(repeat, of.listed, map(len, values))))
    if list in set(map(type, inner)):
        left = [at for at, value in enumerate(inner) if type(value) is not list]
        inner, having = [inner[at] for at in left], [having[at] for at in left]
    if inner:
        _extract_all(node, inner, Owners(having, repeats=True))


def _by_step(objects: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Sequence[Any], list[int] | None]]:
    """Yield the members of objects step by step: the step, the values, and the objects' places.

    The places are None if every object has the step.
    """
    steps_of = list(map(tuple, objects))
    if len(set(steps_of)) == 1:
        columns = zip(*map(dict.values, objects), strict=True)
        for step, values in zip(steps_of[0], columns, strict=True):
            yield step, values, None
        return
    shapes: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, shape in enumerate(steps_of):
        shapes[shape].append(at)
    parts: defaultdict[str, list[tuple[list[int], Sequence[Any]]]] = defaultdict(list)
    for steps, places in shapes.items():
        columns = zip(*(objects[at].values() for at in places), strict=True)
        for step, values in zip(steps, columns, strict=True):
            parts[step].append((places, values))
    for step, found in parts.items():
        if len(found) == 1:
            yield step, found[0][1], found[0][0]
        else:
            pairs = sorted(chain.from_iterable(zip(*part, strict=True) for part in found), key=_FIRST)
            yield step, [value for _, value in pairs], [at for at, _ in pairs]


_FIRST: Final = itemgetter(0)


def _extract_texts(node: Node, texts: Sequence[str], of: Owners) -> None:
    node.postings[STRING] = of.members
    having = of.by_value(texts)
    dated = {text for text in having if text[4:5] == "-" and is_dated(text)}
    for text in dated:
        del having[text]
    node.postings.update(zip(text_keys(having), having.values(), strict=True))
    if dated:
        _extract_dates(node, texts, of, dated)


def _extract_dates(node: Node, texts: Sequence[str], of: Owners, dated: Set[str]) -> None:
    """Note texts that begin like dates: in the column where they are the only text of a record."""
    times = Counter(of.listed) if of.repeats else None
    keyed: defaultdict[str, list[int]] = defaultdict(list)
    having: list[int] = []
    in_utc: list[int] = []
    column: list[bytes] = []
    utc = {text for text in dated if is_utc_instant(text)}
    for text, number in zip(texts, of.listed, strict=True):
        if text not in dated:
            continue
        if times is None or times[number] == 1:
            having.append(number)
            if text in utc:
                in_utc.append(number)
            column.append(text[:16].encode()[:16].ljust(16, b"\0"))
        else:
            keyed[text].append(number)
    node.dated, node.dates = having, b"".join(column)
    if in_utc:
        node.postings[UTC_DATES] = packed_members(in_utc)
    for text, numbers in keyed.items():
        node.postings[text_key(text)] = of.packed(numbers)


def _extract_numbers(node: Node, values: Sequence[float], of: Owners, has_floats: bool) -> None:
    node.postings[NUMBER] = of.members
    node.numbers, least, most = of.listed, min(values), max(values)
    if of.repeats or not -_EXACT <= least <= most <= _EXACT:
        values, node.numbers = _in_column(node, values, of)
    node.floats = array("d", [value or 0.0 for value in values] if least <= 0.0 <= most else values)
    if has_floats:
        whole = [
            number
            for number, value in zip(node.numbers, values, strict=True)
            if type(value) is float and value.is_integer()
        ]
        if whole:
            node.postings[WHOLE_FLOATS] = packed_members(whole)


def _in_column(node: Node, values: Sequence[float], of: Owners) -> tuple[Sequence[float], Sequence[int]]:
    """Return the numbers that go in the column, and whose; the others are noted by their values: several of
    one record, and those that no double is equal to.
    """
    times = Counter(of.listed)
    column: list[float] = []
    having: list[int] = []
    keyed: defaultdict[bytes, list[int]] = defaultdict(list)
    for value, number in zip(values, of.listed, strict=True):
        if times[number] == 1 and (-_EXACT <= value <= _EXACT or float(value) == value):
            column.append(value)
            having.append(number)
        else:
            key = number_key(value)
            keyed[key].append(number)
            if type(value) is float and value.is_integer():
                keyed[float_key(key)].append(number)
    for key, numbers in keyed.items():
        node.postings[key] = of.packed(numbers)
    return column, having


def _extract_names(node: Node, names: Sequence[str], contents: Sequence[str | None], of: Owners) -> None:
    """Note the pieces of filenames and the words of contents, where they are kept among the terms."""
    node.postings.update(tokens_of(names, contents, of.listed))


Record: TypeAlias = "Mapping[str, Any] | PackedRecord"


class TermTree:
    """The terms of a few records: a tree of nodes and the sets made of it so far."""

    def __init__(self, fields: Mapping[str, bool], records: Mapping[int, Record]) -> None:
        self.root: Node = Node()
        extract_terms(self.root, fields, records)
        self._columns: dict[tuple[Path, bytes], dict[bytes, Bitmap]] = {}
        self._keys: dict[Path, list[bytes]] = {}

    @classmethod
    def of(cls, root: Node) -> TermTree:
        """Return the terms of a node and all below as a tree of its own."""
        tree = cls({}, {})
        tree.root = root
        return tree

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records that have the term."""
        node = self.root.at(path)
        if node is None:
            return EMPTY
        if key == NUMBERS:
            return Bitmap.of(node.numbers)
        if key == DATES:
            return Bitmap.of(node.dated)
        if key[:1] in (NUMBERS, DATES):
            place = (path, key[:1])
            if place not in self._columns:
                slices = node.slices(key[:1])
                self._columns[place] = {at: Bitmap.of_members(members) for at, members in slices}
            return self._columns[place].get(key, EMPTY)
        return Bitmap.of_members(node.postings.get(key, ()))

    def keys(self, path: Path, first: bytes, end: bytes) -> list[bytes]:
        """Return the value keys of a range."""
        if path not in self._keys:
            node = self.root.at(path)
            self._keys[path] = [] if node is None else sorted(node.postings)
        keys = self._keys[path]
        return keys[bisect_left(keys, first) : bisect_left(keys, end)]

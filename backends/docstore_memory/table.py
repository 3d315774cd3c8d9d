"""Tables of immutable records: found by number and by a few keys.

A record is never changed, only replaced. A thread that holds one may read it without a lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import Any, Final

from pydantic_core import from_json

from docstore.backend import Row, Rows
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Field, Kind, value_fault
from docstore.query.text import index_words

# The keys that a table finds records by, besides `number`. The first three are fields of the record.
INDEXES: Final = ("id", "external_id", "document_id", "version", "latest")
# The columns that these are made of.
KEYS: Final = frozenset({"id", "external_id", "document_id", "tenant", "owner", "version", "is_latest"})

# Records whose JSON is kept decoded; the oldest are decoded anew when they are asked for again.
_MOST_OPENED: Final = 20_000


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the columns of a collection stand in a record; the number is the last."""

    names: tuple[str, ...]
    places: Mapping[str, int]
    json: tuple[str, ...]
    fields: Mapping[str, Field]
    id: int
    beside: int
    taken: Callable[[Mapping[str, Any]], tuple[Any, ...]]

    @staticmethod
    def of(collection: Collection) -> _Layout:
        fields = {**collection.fields, **collection.private}
        names = tuple(name for name in fields if name != "number")
        json = tuple(name for name in names if fields[name].kind is Kind.JSON)
        places = {name: at for at, name in enumerate((*names, "number"))}
        beside = places.get("document_id", places.get("external_id", -1))
        return _Layout((*names, "number"), places, json, fields, places["id"], beside, itemgetter(*names))


_LAYOUTS: Final = {collection.name: _Layout.of(collection) for collection in (DOCUMENTS, EXTRACTIONS)}


_VALUES: Final = attrgetter("_values")


class DecodedRecords:
    """The records whose JSON stands decoded, the last 20,000 of them: each costs some 2 kB while it does."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque()

    def add(self, record: Record) -> None:
        """Note a record; the one opened longest ago is packed again."""
        self._records.append(record)
        if len(self._records) > _MOST_OPENED:
            self._records.popleft().pack()


class Record:
    """One row of a collection: its columns, JSON as text, and while it is read much, decoded."""

    __slots__ = ("_facts", "_layout", "_opened", "_values", "_words")

    def __init__(self, layout: _Layout, values: tuple[Any, ...], opened: DecodedRecords) -> None:
        self._words: str | None = None
        self._layout = layout
        self._values = values
        self._opened = opened
        self._facts: dict[str, Any] | None = None

    @staticmethod
    def of_rows(
        collection: Collection, rows: Sequence[Row], numbers: Sequence[int], opened: DecodedRecords
    ) -> Iterator[Record]:
        """Yield the records of rows at the seam, which have no number yet, and of their numbers."""
        layout = _LAYOUTS[collection.name]
        values: Iterable[tuple[Any, ...]]
        if isinstance(rows, Rows):
            values = zip(*(rows.columns[name] for name in layout.names[:-1]), numbers, strict=True)
        else:
            values = ((*layout.taken(row), number) for row, number in zip(rows, numbers, strict=True))
        return map(Record, repeat(layout), values, repeat(opened))

    def changed(self, changes: Mapping[str, Any]) -> Record:
        """Return a record with some columns replaced."""
        fields = self._layout.fields
        if any(value_fault(fields[name], value) is not None for name, value in changes.items()):
            return BrokenRecord.of(self, changes)
        return self.updated(changes)

    def updated(self, changes: Mapping[str, Any]) -> Record:
        """Return a record with some columns replaced by what the core has checked."""
        layout = self._layout
        values, places = list(self._values), layout.places
        for name, value in changes.items():
            values[places[name]] = value
        return Record(layout, tuple(values), self._opened)

    @property
    def facts(self) -> dict[str, Any]:
        """Every column by name, JSON decoded, as the evaluator reads it. Do not change it."""
        facts = self._facts
        if facts is None:
            facts = self._facts = self.decoded()
            self._opened.add(self)
        return facts

    def decoded(self) -> dict[str, Any]:
        """Return the columns with JSON decoded, without keeping them."""
        facts = dict(zip(self._layout.names, self._values, strict=True))
        for name in self._layout.json:
            text = facts[name]
            if text is not None:
                facts[name] = from_json(text)
        if facts.get("content") is not None:
            facts["words"] = self.words
        return facts

    def columns(self, records: Iterable[Record], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield columns of records of the collection, one after the other: JSON as text."""
        values, places = list(map(_VALUES, records)), self._layout.places
        return (tuple(map(itemgetter(places[name]), values)) for name in names)

    def pack(self) -> None:
        """Drop the decoded columns."""
        self._facts = None

    def picked(self, names: Iterable[str]) -> dict[str, Any]:
        """Return these columns by name, as all that reads them within the backend sees them; JSON as text."""
        values, places = self._values, self._layout.places
        return {name: values[places[name]] for name in names}

    @property
    def number(self) -> int:
        """The record's number, unique in its collection."""
        return self._values[-1]  # type: ignore[no-any-return]

    def get(self, name: str) -> Any:
        """Return a column as the seam has it; ``None`` where the collection has none of this name."""
        at = self._layout.places.get(name)
        return None if at is None else self._values[at]

    def row(self, names: Iterable[str]) -> Row:
        """Return these columns as the seam wants them: a fresh dictionary, JSON as text."""
        return self.picked(names)

    def words(self, marks: bool) -> str | None:
        """Return the content's words in their stored form, kept once made; None without content."""
        content = self.get("content")
        if self._words is None and content is not None:
            self._words = index_words(content, marks=marks)
        return self._words

    def keys(self) -> Sequence[tuple[str, Hashable]]:
        """Return the index entries of this record: an index's name and the key in it."""
        values, layout = self._values, self._layout
        beside = values[layout.beside]
        if beside is None:
            return (("id", values[layout.id]),)
        get = self.get
        if get("document_id") is not None:
            return ("id", values[layout.id]), ("document_id", beside)
        chain = (get("tenant"), get("owner"), beside)
        found = [("id", values[layout.id]), ("external_id", beside), ("version", (*chain, get("version")))]
        return [*found, ("latest", chain)] if get("is_latest") else found


_BLANK: Final[Mapping[Kind, Any]] = {
    Kind.TEXT: "", Kind.CHOICE: "", Kind.INTEGER: 0, Kind.BOOLEAN: False, Kind.INSTANT: 0, Kind.JSON: "{}",
}  # fmt: skip


class BrokenRecord(Record):
    """A record that was given values past the library, as by hand: all that reads it within the backend
    sees blanks in their stead, who is handed its row sees them.
    """

    __slots__ = ("_raw",)
    _raw: Mapping[str, Any]

    @staticmethod
    def of(record: Record, changes: Mapping[str, Any]) -> Record:
        """Return a record with some columns replaced; a plain one if none of its values is wrong any more."""
        layout = record._layout
        names = layout.names
        raw = {**record.row(names), **changes}
        wrong = {name for name in names if value_fault(layout.fields[name], raw[name]) is not None}
        sound = tuple(_BLANK[layout.fields[name].kind] if name in wrong else raw[name] for name in names)
        if not wrong:
            return Record(layout, sound, record._opened)
        made = BrokenRecord(layout, sound, record._opened)
        made._raw = {name: raw[name] for name in wrong}
        return made

    def row(self, names: Iterable[str]) -> Row:
        """Return these columns, those that are wrong as they were given."""
        row = super().row(names)
        row.update((name, value) for name, value in self._raw.items() if name in row)
        return row

    def updated(self, changes: Mapping[str, Any]) -> Record:
        """Return a record with some columns replaced."""
        return BrokenRecord.of(self, changes)


class Table:
    """Records by number, in the order they were first put, and the numbers under each index key.

    An index entry is a bare number while there is one, a set where there are more: most keys are unique.
    """

    __slots__ = ("_are_new", "_indexes", "records")

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        # True while no key of these records is also a key of another one, here or where they will be added.
        self._are_new = True
        self._indexes: dict[str, dict[Hashable, int | set[int]]] = {name: {} for name in INDEXES}

    def put(self, record: Record) -> None:
        """Add a record, or replace the one of the same number."""
        number, old = record.number, self.records.get(record.number)
        if old is None:
            for name, key in record.keys():  # noqa: SIM118 - not a mapping
                self._link(name, key, number)
        else:
            before, after = old.keys(), record.keys()
            if before != after:
                for name, key in {*before} - {*after}:
                    self._unlink(name, key, number)
                for name, key in {*after} - {*before}:
                    self._link(name, key, number)
        self.records[number] = record

    def add(self, other: Table) -> None:
        """Add the records of another table, which is not used any more; none of the numbers is taken here."""
        order = sorted(other.records)
        self.records.update(zip(order, map(other.records.__getitem__, order), strict=True))
        for name, coming in other._indexes.items():
            entries = self._indexes[name]
            if other._are_new or entries.keys().isdisjoint(coming):
                entries.update(coming)
                continue
            for key, numbers in coming.items():
                for number in (numbers,) if isinstance(numbers, int) else numbers:
                    self._link(name, key, number)

    def add_new(self, records: Mapping[int, Record], ids: Mapping[Hashable, int]) -> None:
        """Add records that are found by their ids alone; their ids and numbers must be free."""
        self.records.update(records)
        self._indexes["id"].update(ids)

    def has_any(self, index: str, keys: Mapping[Hashable, Any]) -> bool:
        """Return whether there is a record under one of the keys."""
        return not self._indexes[index].keys().isdisjoint(keys)

    def remove(self, number: int) -> None:
        """Remove the record of this number if there is one."""
        record = self.records.pop(number, None)
        if record is not None:
            for name, key in record.keys():  # noqa: SIM118 - not a mapping
                self._unlink(name, key, number)

    def find(self, index: str, key: Hashable) -> list[Record]:
        """Return the records under a key; ``number`` is an index, too."""
        if index == "number":
            record = self.records.get(key)  # type: ignore[call-overload]
            return [] if record is None else [record]
        numbers = self._indexes[index].get(key)
        if numbers is None:
            return []
        if isinstance(numbers, int):
            return [self.records[numbers]]
        return [self.records[number] for number in numbers]

    def _link(self, index: str, key: Hashable, number: int) -> None:
        self._are_new = False
        entries = self._indexes[index]
        present = entries.get(key)
        if present is None:
            entries[key] = number
        elif isinstance(present, int):
            entries[key] = {present, number}
        else:
            present.add(number)

    def _unlink(self, index: str, key: Hashable, number: int) -> None:
        entries = self._indexes[index]
        present = entries[key]
        if isinstance(present, set) and len(present) > 1:
            present.discard(number)
        else:
            del entries[key]

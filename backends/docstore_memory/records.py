"""Rows as this backend keeps them: immutable records, and tables that find them by number and by a few keys.

A record is never changed, only replaced. Whoever holds one may read it without a lock.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Final

from docstore.backend import Row
from docstore.query.fields import Collection, Kind

__all__ = ["INDEXES", "Record", "Table"]

INDEXES: Final = ("id", "external_id", "document_id", "version", "latest")
"""What a table finds records by, besides ``number``. The first three are fields of the record."""


class Record:
    """One row of a collection.

    Attributes:
        facts: every column by name, JSON decoded: what the evaluator reads. Not to be changed.
    """

    __slots__ = ("_texts", "facts")

    def __init__(self, facts: dict[str, Any], texts: dict[str, str | None]) -> None:
        self.facts = facts
        self._texts = texts

    @classmethod
    def made(cls, collection: Collection, columns: Mapping[str, Any]) -> Record:
        """Return the record of a row at the seam, whose JSON columns are texts."""
        return cls({}, {}).changed(collection, columns)

    def changed(self, collection: Collection, changes: Mapping[str, Any]) -> Record:
        """Return a record with some columns replaced."""
        facts, texts = {**self.facts, **changes}, dict(self._texts)
        for name, value in changes.items():
            if collection.column(name).kind is Kind.JSON:
                texts[name] = value
                facts[name] = None if value is None else json.loads(value)
        return Record(facts, texts)

    @property
    def number(self) -> int:
        """The record's number, unique in its collection."""
        number: int = self.facts["number"]
        return number

    def row(self, names: Iterable[str]) -> Row:
        """Return these columns as the seam wants them: a fresh dictionary, JSON as text."""
        facts, texts = self.facts, self._texts
        return {name: texts[name] if name in texts else facts[name] for name in names}

    def keys(self) -> Iterator[tuple[str, Hashable]]:
        """Yield the index entries of this record: an index's name and the key in it."""
        facts = self.facts
        yield "id", facts["id"]
        if facts.get("document_id") is not None:
            yield "document_id", facts["document_id"]
        if facts.get("external_id") is not None:
            chain = (facts["tenant"], facts["owner"], facts["external_id"])
            yield "external_id", facts["external_id"]
            yield "version", (*chain, facts["version"])
            if facts["is_latest"]:
                yield "latest", chain


class Table:
    """Records by number, in the order they were first put, and the numbers under each index key.

    An index entry is a bare number while there is one, a set where there are more: most keys are unique.
    """

    __slots__ = ("_indexes", "records")

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self._indexes: dict[str, dict[Hashable, int | set[int]]] = {name: {} for name in INDEXES}

    def put(self, record: Record) -> None:
        """Add a record, or replace the one of the same number."""
        number, old = record.number, self.records.get(record.number)
        if old is None:
            for name, key in record.keys():  # noqa: SIM118 - not a mapping
                self._link(name, key, number)
        else:
            before, after = set(old.keys()), set(record.keys())
            for name, key in before - after:
                self._unlink(name, key, number)
            for name, key in after - before:
                self._link(name, key, number)
        self.records[number] = record

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

"""Summaries of a field: facets, distinct values, bounds and paths; records as flat rows and Arrow tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from docstore.backend import CountsBuckets, CountsBy, Query, Reader, Row, SortKey, capabilities_of
from docstore.concurrency import STORE_DEFAULT, Timeout, looked_over
from docstore.context.collection_view import CollectionView, Filter, Listing
from docstore.errors import InvalidPage, shown
from docstore.limits import Limits
from docstore.models import FieldInfo, ValuePage, unreadable
from docstore.query import executor
from docstore.query.evaluator import json_type
from docstore.query.expr import TRUE, And, Exists, Path
from docstore.query.facets import (
    INSTANT_ENDS,
    NUMBER_ENDS,
    Bucket,
    Facet,
    bucket_of,
    facet_path,
    group,
    in_buckets,
    in_order,
    shown_value,
    values_at,
)
from docstore.query.fields import Collection, Kind, decode, fault_of
from docstore.query.instants import metadata_instant, to_datetime
from docstore.query.operators import text_operand
from docstore.query.paths import index_step, path_text, seen
from docstore.query.planner import normalize
from docstore.query.sorting import order_bytes
from docstore.query.text import fold
from docstore.query.values import Json, identity

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "MOST_VALUES",
    "Columns",
    "Summaries",
    "columns_of",
    "flat_row",
    "table_of",
    "value_at",
]

# Values or paths that one call returns.
MOST_VALUES = 10_000
# Rows of one column in a batch: no content is read, so that batches may be large.
_AT_ONCE = 2048
# Different values at a path that `fields` keeps apart.
_DISTINCT_KNOWN = 1000
# Different values of a field that fields() shows.
_EXAMPLES = 3


class Summaries:
    """Summaries of one collection within one scope."""

    def __init__(self, view: CollectionView[Any]) -> None:
        self._view = view
        self._context = view.context
        self._collection = view.collection

    def count_by(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        by: str | float | None = None,
        search: str | None = None,
        latest_only: bool = True,
        limit: int = 100,
        timeout: Timeout = STORE_DEFAULT,
    ) -> Facet:
        """Count records by what they have at a path: see Records.count_by."""
        path = facet_path(field, self._collection, self._context.limits)
        with self._context.budget(timeout) as budget:
            listing = self._view.listing(filter, search, "number", latest_only, ())
            budget.plan = listing.plan
            if by is None:
                show = shown_value(path, self._collection)
                pairs = in_order(self._grouped(listing, path))[:limit]
                return Facet((show(value), count) for value, count in pairs)
            counted = self._grouped(listing, path, bucket_of(by, path, self._collection))
            ranked = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
            return Facet(ranked[:limit])

    def distinct(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        contains: str | None = None,
        offset: int = 0,
        limit: int = 100,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
    ) -> ValuePage:
        """List the values at a path: see Records.distinct."""
        path = facet_path(field, self._collection, self._context.limits, "distinct")
        wanted = None if contains is None else fold(text_operand(contains, ("contains",)))
        with self._context.budget(timeout) as budget:
            listing = self._view.listing(filter, search, "number", latest_only, ())
            budget.plan = listing.plan
            pairs = in_order(self._grouped(listing, path))
            if wanted is not None:
                pairs = [pair for pair in pairs if isinstance(pair[0], str) and wanted in fold(pair[0])]
            show = shown_value(path, self._collection)
            items = [(show(value), count) for value, count in pairs[offset : offset + limit]]
            return ValuePage(items=items, offset=offset, limit=limit, total=len(pairs))

    def bounds(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
    ) -> tuple[Any, Any] | None:
        """Return the least and the greatest value at a path: see Records.bounds."""
        path = facet_path(field, self._collection, self._context.limits, "bounds")
        with self._context.budget(timeout) as budget:
            listing = self._view.listing(filter, search, "number", latest_only, ())
            budget.plan = listing.plan
            kind = self._collection.column(path[0]).kind
            if kind is Kind.BOOLEAN:
                return None
            if kind is not Kind.JSON and path != ("content",):
                return self._column_bounds(listing, path)
            return self._bounds(listing, path)

    def fields(
        self,
        filter: Filter | None = None,
        *,
        prefix: str = "metadata",
        limit: int = 1000,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
    ) -> list[FieldInfo]:
        """Return the paths below a JSON field: see Records.fields."""
        path = facet_path(prefix, self._collection, self._context.limits, "fields")
        with self._context.budget(timeout) as budget:
            listing = self._view.listing(filter, None, "number", latest_only, ())
            budget.plan = listing.plan
            found = _Field()
            if self._collection.column(path[0]).kind is Kind.JSON:
                with (
                    self._context.read(snapshot=True) as reader,
                    self._context.watching("fields", listing.plan),
                ):
                    for record in looked_over(self._records(reader, listing, path)):
                        found.take_below(record, path)
            ranked = sorted(found.all_below(path), key=lambda pair: (-pair[1].records, pair[0]))
            return [field.told(path_text(at)) for at, field in ranked[:limit]]

    # -- reading -----------------------------------------------------------------------------------

    def _grouped(self, listing: Listing, path: Path, bucket: Bucket | None = None) -> Facet:
        """Count the records of a listing by the stored values at a path, or by their buckets."""
        with self._context.read(snapshot=True) as reader, self._context.watching("count_by", listing.plan):
            return self._grouped_by(reader, listing, path, bucket)

    def _grouped_by(
        self, reader: Reader, listing: Listing, path: Path, bucket: Bucket | None = None
    ) -> Facet:
        if listing.plan.residual == TRUE and isinstance(reader, CountsBy):
            counted = self._counted(reader, listing.query, path, bucket)
            if counted is not None:
                return counted if isinstance(counted, Facet) else Facet(counted.items())
        return group(self._records(reader, listing, path), path, bucket)

    def _counted(
        self, reader: CountsBy, query: Query, path: Path, bucket: Bucket | None
    ) -> Mapping[Any, int] | None:
        if bucket is None:
            return reader.count_by(query, path)
        if capabilities_of(reader).counts_buckets:
            return cast(CountsBuckets, reader).count_by(query, path, bucket)
        if self._collection.column(path[0]).kind is Kind.JSON:
            return None  # a record may have several values in a bucket
        counted = reader.count_by(query, path)
        return None if counted is None else in_buckets(counted, bucket)

    def _records(self, reader: Reader, listing: Listing, path: Path) -> Iterator[Mapping[str, Any]]:
        """Yield the records of a listing, as far as a path needs them, its JSON field decoded."""
        name = path[0]
        names = (name,) if self._collection.column(name).kind is Kind.JSON else ()
        query = listing.query
        if self._collection.column(name).heavy:
            query = replace(query, include=query.include | {name})
        for row in self._narrow_rows(reader, replace(listing, query=query), name):
            try:
                yield decode(self._collection, row, names)
            except ValueError:
                if (fault := fault_of(self._collection, row)) is None:
                    raise
                executor.leave_out(row, fault)

    def _narrow_rows(self, reader: Reader, listing: Listing, name: str) -> Iterator[Row]:
        """Yield rows with one column, and perhaps others: a reader may bring them all."""
        if listing.plan.residual != TRUE:
            yield from executor.walk(reader, listing.plan, listing.query)
            return
        after = None
        while True:
            query = replace(
                listing.query, after=after, limit=_AT_ONCE, offset=0, only=frozenset({"number", name})
            )
            batch = reader.select(query)
            yield from batch
            if len(batch) < _AT_ONCE:
                return
            after = (batch[-1]["number"],)

    def _bounds(self, listing: Listing, path: Path) -> tuple[Any, Any] | None:
        """Return the ends of the numbers at a path into JSON, else of the instants, else of the texts."""
        with self._context.read(snapshot=True) as reader:
            finds_ends = listing.plan.residual == TRUE and capabilities_of(reader).counts_buckets
            for ends in (NUMBER_ENDS, INSTANT_ENDS) if finds_ends else ():
                counted = cast(CountsBuckets, reader).count_by(listing.query, path, ends)
                if counted is None:
                    break
                if counted:
                    least, most = min(counted), max(counted)
                    return (to_datetime(least), to_datetime(most)) if ends is INSTANT_ENDS else (least, most)
            return _bounds_of(list(self._grouped_by(reader, listing, path)))

    def _column_bounds(self, listing: Listing, path: Path) -> tuple[Any, Any] | None:
        there = normalize(And((listing.query.where, Exists(path))))
        found = []
        with self._context.read(snapshot=True) as reader:
            for descending in (False, True):
                order = (SortKey(path, descending, descending), SortKey(("number",), descending, descending))
                query = Query(self._collection, listing.query.scope, there, order, limit=1)
                if listing.plan.residual != TRUE:
                    query = replace(query, where=normalize(And((there, listing.plan.residual))))
                found += self._view.run_exactly(reader, query)
        show = shown_value(path, self._collection)
        return (show(found[0][path[0]]), show(found[1][path[0]])) if len(found) == 2 else None


def _bounds_of(values: list[Any]) -> tuple[Any, Any] | None:
    numbers = [value for value in values if type(value) is int or type(value) is float]
    if numbers:
        return min(numbers), max(numbers)
    instants = [at for at in map(metadata_instant, values) if at is not None]
    if instants:
        return to_datetime(min(instants)), to_datetime(max(instants))
    texts = [value for value in values if type(value) is str]
    return (min(texts), max(texts)) if texts else None


def _paths_below(starts: Sequence[Any], prefix: Path) -> Iterable[Path]:
    """Return the different paths that lead somewhere in values at a prefix; through arrays by name."""
    found: dict[Path, None] = {}
    stack: list[tuple[Path, Json]] = [(prefix, value) for value in starts]
    while stack:
        path, value = stack.pop()
        if type(value) is dict:
            for name, member in value.items():
                found[(*path, name)] = None
                stack.append(((*path, name), member))
        elif type(value) is list:
            stack += [(path, element) for element in value if type(element) is dict]
    return found


class _Field:
    """The values seen at one path, and the fields below it."""

    __slots__ = ("_all_known", "_below", "_types", "_values", "records")

    def __init__(self) -> None:
        self.records = 0
        self._types: set[str] = set()
        self._values: dict[Hashable, Any] = {}
        self._all_known = True
        self._below: dict[str, _Field] = {}

    def take_below(self, record: Mapping[str, Any], path: Path) -> None:
        """Take in all that a record has below the path."""
        value = record.get(path[0])
        for step in path[1:]:
            value = value.get(step) if type(value) is dict else None
        if type(value) is dict:
            self._take_members(value, record, path)
        elif (held := record.get(path[0])) is not None:
            self._take_reached(seen({path[0]: held}, path).values, record, path)

    def all_below(self, path: Path) -> Iterator[tuple[Path, _Field]]:
        """Yield the fields below with their paths."""
        for name, field in self._below.items():
            yield (*path, name), field
            yield from field.all_below((*path, name))

    def _take_members(self, value: Mapping[str, Any], record: Mapping[str, Any], path: Path) -> None:
        """Take in an object that no array leads to: its members are all that there is at their paths."""
        for name, member in value.items():
            field, at, kind = self._at(name), (*path, name), type(member)
            if kind is dict:
                field._note((member,), ())
                field._take_members(member, record, at)
            elif kind is not list:
                field._note((member,), (member,))
            elif any(type(element) is dict for element in member):
                field.count(record, at)
                field._take_reached([member], record, at)
            else:
                field._note((*member, member), [one for one in member if type(one) is not list])

    def _take_reached(self, starts: Sequence[Any], record: Mapping[str, Any], path: Path) -> None:
        """Take in what a record has below the values at a path that leads through arrays."""
        for below in _paths_below(starts, path):
            field = self
            for step in below[len(path) :]:
                field = field._at(step)
            field.count(record, below)

    def _at(self, name: str) -> _Field:
        found = self._below.get(name)
        if found is None:
            found = self._below[name] = _Field()
        return found

    def count(self, record: Mapping[str, Any], path: Path) -> None:
        """Take in a record that has the path."""
        self._note(seen(record, path).values, values_at(record, path))

    def _note(self, values: Sequence[Any], scalars: Sequence[Any]) -> None:
        """Take in the values that a record has, and the scalars among them."""
        self.records += 1
        self._types.update(map(json_type, values))
        for value in scalars if self._all_known else ():
            key = identity(value)
            if key not in self._values:
                if len(self._values) < _DISTINCT_KNOWN:
                    self._values[key] = value
                else:
                    self._all_known = False

    def told(self, path: str) -> FieldInfo:
        """Return it as callers get it."""
        examples = sorted((value for value in self._values.values() if value is not None), key=order_bytes)
        return FieldInfo(
            path=path,
            types=tuple(sorted(self._types)),
            documents=self.records,
            distinct=len(self._values) if self._all_known else None,
            examples=tuple(examples[:_EXAMPLES]),
        )


# The name of each column, as the caller wrote it, and its path.
Columns: TypeAlias = tuple[tuple[str, Path], ...]
# Rows of one Arrow record batch.
_BATCH = 2048
# Whole numbers up to here are doubles.
_EXACT = 2**53


def columns_of(fields: Any, collection: Collection, limits: Limits, call: str) -> Columns:
    """Return the columns that ``fields`` names.

    Raises:
        InvalidPage: it is no list of field paths.
        UnknownField: one names no field of the collection.
    """
    if isinstance(fields, str) or not isinstance(fields, Iterable):
        raise InvalidPage(
            f"{call}: fields={shown(fields)}; expected a list of field paths", argument="fields"
        )
    return tuple((field, facet_path(field, collection, limits, call)) for field in dict.fromkeys(fields))


def flat_row(columns: Columns, collection: Collection, row: Row) -> dict[str, Any]:
    """Return the values of a row at some paths: as records show them, ``None`` where there is none.

    A path through an array of objects yields the list of what its elements have.

    Raises:
        UnreadableRecord: the row is no record.
    """
    names = {path[0] for _, path in columns if collection.column(path[0]).kind is Kind.JSON}
    try:
        record = decode(collection, row, names)
        return {name: _value(record, path, collection) for name, path in columns}
    except (ValueError, TypeError, AttributeError, OverflowError):
        fault = fault_of(collection, row)
        if fault is None:
            raise
        raise unreadable(collection, row, fault) from None


def _value(record: Mapping[str, Any], path: Path, collection: Collection) -> Any:
    value = record.get(path[0])
    if value is not None and collection.column(path[0]).kind is Kind.INSTANT:
        return to_datetime(value)
    return value_at(value, path[1:])


def value_at(value: Any, steps: Path) -> Any:
    """Return what stands at a path below a JSON value, ``None`` if nothing does.

    Of an array of objects it is the list of what they have there.
    """
    for place, step in enumerate(steps):
        if type(value) is dict:
            value = value.get(step)
        elif type(value) is list:
            index = index_step(step)
            if index is None:
                return [value_at(one, steps[place:]) for one in value if type(one) is dict and step in one]
            value = value[index] if index < len(value) else None
        else:
            return None
    return value


def table_of(columns: Columns, collection: Collection, rows: Iterable[Mapping[str, Any]]) -> pyarrow.Table:
    """Return flat rows as an Arrow table.

    Raises:
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as missing:
        raise ImportError(
            "to_arrow needs pyarrow: python -m pip install 'embedded-docstore[arrow]'"
        ) from missing
    values: dict[str, list[Any]] = {name: [] for name, _ in columns}
    for row in rows:
        for name, value in row.items():
            values[name].append(value)
    types = {
        Kind.TEXT: pa.string(),
        Kind.CHOICE: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    }
    arrays = []
    for name, path in columns:
        kind = types.get(collection.column(path[0]).kind)
        if kind is None and len(path) > 1:
            kind = _number_kind(pa, values[name])
        if kind is None:
            arrays.append(pa.array(_texts(values[name]), pa.string()))
        else:
            arrays.append(pa.array(values[name], kind))
    return pa.table(arrays, names=[name for name, _ in columns])


def _number_kind(pa: Any, values: Sequence[Any]) -> Any:
    """Return the type of values that are all numbers or all booleans, ``None`` for others."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int}:
        return pa.int64()
    if kinds == {bool}:
        return pa.bool_()
    if kinds and kinds <= {int, float}:
        return pa.float64() if all(_is_double(value) for value in values) else None
    return None


def _is_double(value: Any) -> bool:
    return type(value) is not int or -_EXACT <= value <= _EXACT


def _texts(values: Iterable[Any]) -> list[str | None]:
    write: Callable[[Any], str] = lambda value: json.dumps(value, ensure_ascii=False)  # noqa: E731
    return [None if value is None else write(value) for value in values]

"""LangGraph: a ``BaseStore`` for the long-term memory of agents, with namespaces, filters and time to live.

There are no vectors: a search's ``query`` is not looked at, as by LangGraph's own stores without an index.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from docstore.dialects.terms import metadata_path
from docstore.errors import BackendNotInstalled
from docstore.integrations.stores import KeyedValues, StoreHolder, in_batches
from docstore.models import Document as Record
from docstore.store import Store

try:
    from langgraph.store.base import (
        BaseStore,
        GetOp,
        Item,
        ListNamespacesOp,
        MatchCondition,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
        TTLConfig,
        validate_op_namespace,
    )
except ImportError as _missing:
    raise BackendNotInstalled(
        "docstore.integrations.langgraph needs LangGraph: run  "
        'python -m pip install "embedded-docstore[langgraph]"'
    ) from _missing

__all__ = ["DocstoreStore"]

_KIND = "langgraph.item"
_MINE = {"metadata.kind": _KIND}
# Records of one find(), which takes no more.
_PAGE = 1_000
_MOST_VALUES = 10_000
_ORDERING = ("$gt", "$gte", "$lt", "$lte")
_OPERATORS = ("$eq", "$ne", *_ORDERING)
_NO_ARRAY = {"$not": {"$type": "array"}}

Namespace = tuple[str, ...]


class DocstoreStore(BaseStore):
    """Items by namespace and key, one document each, with the value below ``metadata.value``.

    Args:
        store: an open store, or one of its views; or the URL of one.
        ttl: LangGraph's defaults for the time to live, in minutes. Items that are past theirs are not found
            (unless it says ``omit_expired=False``); :meth:`sweep_ttl`, or ``collect`` of the docstore,
            deletes them.
        options: of :func:`docstore.open`, with a URL.

    Example:
        >>> memory = DocstoreStore("memory://")  # doctest: +SKIP
        >>> memory.put(("users", "ada"), "likes", {"food": "figs"}, ttl=60)  # doctest: +SKIP
    """

    supports_ttl = True

    def __init__(self, store: Store | str, *, ttl: TTLConfig | None = None, **options: Any) -> None:
        self._holder = StoreHolder(store, options)
        self._documents = self._holder.store.documents
        self.ttl_config = ttl
        self._omits_expired = (ttl or {}).get("omit_expired", True)

    def close(self) -> None:
        """Close the store if it was opened here, by a URL."""
        self._holder.close()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do operations: what reads sees the store as it was, then what puts is one commit.

        Of several puts of one key the last counts.

        Raises:
            InvalidNamespaceError: a label is empty, holds a dot or is no text.
            ValueError: an operation, an operator or a match type is unknown.
            InvalidDocument: a value cannot be stored; nothing of the batch is put.
        """
        asked = list(ops)
        for op in asked:
            validate_op_namespace(op)
        items = self._items([op for op in asked if isinstance(op, GetOp)])
        results: list[Result] = []
        puts: dict[str, PutOp] = {}
        for op in asked:
            match op:
                case GetOp():
                    results.append(items.get(_name(op.namespace, op.key)))
                case SearchOp():
                    results.append(self._found(op))
                case ListNamespacesOp():
                    results.append(self._namespaces(op))
                case PutOp():
                    puts[_name(op.namespace, op.key)] = op
                    results.append(None)
                case _:
                    raise ValueError(f"unknown operation {type(op).__name__}")
        self._put(puts)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do :meth:`batch` in a thread."""
        return await asyncio.to_thread(self.batch, ops)

    def sweep_ttl(self) -> int:
        """Delete the items that are past their time; return how many there were."""
        return self._documents.delete_many({"$and": [_MINE, {"expires_at": {"$lte": datetime.now(UTC)}}]})

    def _items(self, ops: Sequence[GetOp]) -> dict[str, Item]:
        """Return the items that operations ask for, by the names of their documents."""
        records: dict[str, Record] = {}
        for names in in_batches(_name(op.namespace, op.key) for op in ops):
            page = self._documents.find(self._alive({"external_id": {"$in": names}}), limit=len(names))
            records.update((record.external_id or "", record) for record in page)
        refreshed = {_name(op.namespace, op.key) for op in ops if op.refresh_ttl}
        self._refresh([record for name, record in records.items() if name in refreshed])
        return {name: Item(**_item(record)) for name, record in records.items()}

    def _found(self, op: SearchOp) -> list[SearchItem]:
        conditions = [_below(op.namespace_prefix)] if op.namespace_prefix else []
        conditions += [_condition(("value", key), wanted) for key, wanted in (op.filter or {}).items()]
        where = self._alive(*conditions)
        records: list[Record] = []
        while len(records) < op.limit:
            size = min(_PAGE, op.limit - len(records))
            page = self._documents.find(where, sort="number", offset=op.offset + len(records), limit=size)
            records += page.items
            if not page.has_more:
                break
        if op.refresh_ttl:
            self._refresh(records)
        return [SearchItem(**_item(record)) for record in records]

    def _namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        found: list[Namespace] = []
        while True:
            page = self._documents.distinct(
                "metadata.namespace", self._alive(), offset=len(found), limit=_MOST_VALUES
            )
            found += [tuple(name.split(".")) for name, _ in page.items]
            if len(found) >= page.total or not page.items:
                break
        conditions = op.match_conditions or ()
        matching = {
            namespace[: op.max_depth]
            for namespace in found
            if all(_matches(condition, namespace) for condition in conditions)
        }
        return sorted(matching)[op.offset : op.offset + op.limit]

    def _put(self, puts: Mapping[str, PutOp]) -> None:
        gone = [name for name, op in puts.items() if op.value is None]
        entries = []
        for op in puts.values():
            if op.value is not None:
                fields = {} if op.ttl is None else {"expires_at": _after(op.ttl)}
                metadata = {"value": op.value, "ttl": op.ttl}
                entries.append(_values(self._holder.store, op.namespace).entry(op.key, metadata, **fields))
        if not puts:
            return
        with self._holder.store.transaction():
            for names in in_batches(gone):
                self._documents.delete_many({"external_id": {"$in": names}})
            self._documents.put_many(entries)

    def _refresh(self, records: Iterable[Record]) -> None:
        """Begin anew the time of items that were read."""
        by_ttl: dict[float, list[str]] = {}
        for record in records:
            if record.metadata["ttl"] is not None:
                by_ttl.setdefault(record.metadata["ttl"], []).append(record.id)
        for ttl, ids in by_ttl.items():
            for some in in_batches(ids):
                self._documents.update_many({"id": {"$in": some}}, expires_at=_after(ttl), touch=False)

    def _alive(self, *conditions: Mapping[str, Any]) -> dict[str, Any]:
        """Return the filter of items that meet conditions and are not past their time."""
        times: list[dict[str, Any]] = []
        if self._omits_expired:
            times = [{"$or": [{"expires_at": None}, {"expires_at": {"$gt": datetime.now(UTC)}}]}]
        return {"$and": [_MINE, *conditions, *times]}


def _after(minutes: float) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


def _values(store: Any, namespace: Namespace) -> KeyedValues:
    """Return the values of a namespace, named by its labels with dots between, of which labels have none."""
    return KeyedValues(store, _KIND, ".".join(namespace))


def _name(namespace: Namespace, key: str) -> str:
    """Return the external_id of an item."""
    return _values(None, namespace).name(key)


def _below(prefix: Namespace) -> dict[str, Any]:
    """Return the filter of the namespaces that begin with labels."""
    name = ".".join(prefix)
    return {"$or": [{"metadata.namespace": name}, {"metadata.namespace": {"$startsWith": f"{name}."}}]}


def _item(record: Record) -> dict[str, Any]:
    return {
        "namespace": tuple(record.metadata["namespace"].split(".")),
        "key": record.metadata["key"],
        "value": record.metadata["value"],
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def _condition(steps: tuple[str, ...], wanted: Any) -> dict[str, Any]:
    """Return what LangGraph's filter asks of the value at ``steps``: whole values are compared, so an array
    never stands for its elements; an object asks for the keys that it names alone.
    """
    path = metadata_path(steps)
    if not isinstance(wanted, Mapping):
        return _equal(path, wanted)
    if any(key.startswith("$") for key in wanted):
        return {"$and": [_operator(path, name, operand) for name, operand in wanted.items()]}
    inner = [_condition((*steps, key), value) for key, value in wanted.items()]
    return {"$and": [{path: {"$type": "object", **_NO_ARRAY}}, *inner]}


def _equal(path: str, wanted: Any) -> dict[str, Any]:
    if isinstance(wanted, (list, tuple)):
        return {path: {"$eq": list(wanted), "$size": len(wanted)}}
    return {path: {"$eq": wanted, **_NO_ARRAY}}


def _operator(path: str, name: str, operand: Any) -> dict[str, Any]:
    if name not in _OPERATORS:
        raise ValueError(f"unknown operator {name!r} in a filter; the operators are {', '.join(_OPERATORS)}")
    if name in _ORDERING:
        return {path: {name: operand, **_NO_ARRAY}}
    return _equal(path, operand) if name == "$eq" else {"$nor": [_equal(path, operand)]}


def _matches(condition: MatchCondition, namespace: Namespace) -> bool:
    """Return whether a namespace begins or ends with a path in which ``*`` is any label."""
    path = tuple(condition.path)
    if condition.match_type not in ("prefix", "suffix"):
        raise ValueError(f"unknown match type {condition.match_type!r}; expected 'prefix' or 'suffix'")
    if len(path) > len(namespace):
        return False
    part = (
        namespace[: len(path)]
        if condition.match_type == "prefix"
        else namespace[len(namespace) - len(path) :]
    )
    return all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))

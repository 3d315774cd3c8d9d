"""A plain model of a store: lists and dictionaries, no index, no SQL, no lock. What a store does must be what
this does.

It knows what the public API promises of writing: ids, versions, status, claims, extractions, scopes. It
leaves out what filters mean (the evaluator says that) and the clock; a claim's lease is either far from its
end or over at once, and an ``expires_at`` is long past or far away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from docstore.errors import (
    AlreadyExists,
    InvalidDocument,
    InvalidTransition,
    LeaseLost,
    NotFound,
    RevisionConflict,
    ScopeError,
)
from docstore.writes.updates import merge_patch

__all__ = ["Model", "ModelDocument", "ModelExtraction", "Where"]

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""Between what is long past and what is far away."""
Where = tuple[str | None, str | None]
"""A scope: tenant and owner; ``None`` does not confine."""

_FROM = {
    "start": ("pending",),
    "complete": ("pending", "processing"),
    "fail": ("pending", "processing"),
    "retry": ("failed", "completed"),
}
_TO = {"start": "processing", "complete": "completed", "fail": "failed", "retry": "pending"}


@dataclass
class ModelDocument:
    """One version of a document."""

    id: str
    tenant: str | None
    owner: str | None
    filename: str
    external_id: str | None
    metadata: dict[str, Any]
    content: str | None
    bytes: bytes | None
    status: str
    asked: Any
    version: int = 1
    is_latest: bool = True
    error: str | None = None
    attempts: int = 0
    revision: int = 1
    created_at: datetime | None = None
    """As given; None: the clock's."""
    expires_at: datetime | None = None
    lease: tuple[str, bool] | None = None  # token, and whether it is over at once

    @property
    def chain(self) -> tuple[str | None, str | None, str | None]:
        """The version chain that it belongs to."""
        return self.tenant, self.owner, self.external_id


@dataclass
class ModelExtraction:
    """One extraction."""

    id: str
    document: ModelDocument
    results: dict[str, Any] | None
    status: str
    asked: Any
    error: str | None = None
    reviewed: dict[str, Any] | None = None
    revision: int = 1


@dataclass
class Model:
    """All documents and extractions, in the order in which they were added."""

    documents: list[ModelDocument] = field(default_factory=list)
    extractions: list[ModelExtraction] = field(default_factory=list)

    def copy(self) -> Model:
        """Return a copy to go back to."""
        return deepcopy(self)

    # -- reading -----------------------------------------------------------------------------------

    def seen(self, where: Where) -> list[ModelDocument]:
        """Return the documents within a scope."""
        return [document for document in self.documents if _within(document, where)]

    def get(self, where: Where, id: str) -> ModelDocument:
        """Return the first document with this id in a scope."""
        for document in self.seen(where):
            if document.id == id:
                return document
        raise NotFound(f"no document with the id {id!r}", id=id)

    def mine(self, where: Where, id: str) -> ModelDocument:
        """Return the document to change: there must be one only."""
        if len([one for one in self.seen(where) if one.id == id]) > 1:
            raise ScopeError("several tenants")
        return self.get(where, id)

    def seen_extractions(self, where: Where) -> list[ModelExtraction]:
        """Return the extractions within a scope."""
        return [extraction for extraction in self.extractions if _within(extraction.document, where)]

    def get_extraction(self, where: Where, id: str) -> ModelExtraction:
        """Return the first extraction with this id in a scope."""
        for extraction in self.seen_extractions(where):
            if extraction.id == id:
                return extraction
        raise NotFound(f"no extraction with the id {id!r}", id=id)

    def my_extraction(self, where: Where, id: str) -> ModelExtraction:
        """Return the extraction to change: there must be one only."""
        if len([one for one in self.seen_extractions(where) if one.id == id]) > 1:
            raise ScopeError("several tenants")
        return self.get_extraction(where, id)

    # -- documents ---------------------------------------------------------------------------------

    def add(
        self,
        where: Where,
        new_id: str,
        *,
        id: str | None = None,
        tenant: str | None = None,
        owner: str | None = None,
        source: bytes | None = None,
        filename: str = "",
        external_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        content: str | None = None,
        status: str | None = None,
        dedupe: str | None = None,
        created_at: datetime | None = None,
        expires_at: datetime | None = None,
        empty: bool = False,
    ) -> ModelDocument:
        """Add a document; ``new_id`` is the id it gets where none is given; ``empty``: nothing was."""
        if empty:
            raise InvalidDocument("empty")
        if status is None:
            status = "pending" if content is None else "completed"
        for fixed, given in zip(where, (tenant, owner), strict=True):
            if fixed is not None and given is not None and fixed != given:
                raise ScopeError("another scope")
        tenant, owner = where[0] or tenant, where[1] or owner
        named = id is not None
        metadata = _stored(metadata or {})
        asked = (
            tenant, owner, source, filename, external_id, metadata, content, status, named, created_at,
            expires_at,
        )  # fmt: skip
        taken = self._first(id=id, tenant=tenant) if id is not None else None
        if taken is not None:
            if taken.asked != asked:
                raise AlreadyExists("taken", id=id)
            return taken
        if dedupe is not None and source is not None:
            same = self._first(bytes=source, tenant=tenant, owner=owner)
            if same is not None:
                return same
        made = ModelDocument(
            id if id is not None else new_id,
            tenant,
            owner,
            filename,
            external_id,
            dict(metadata),
            content,
            source,
            status,
            asked,
            created_at=created_at,
            expires_at=expires_at,
        )
        self._place(made)
        self.documents.append(made)
        return made

    def _first(self, **wanted: Any) -> ModelDocument | None:
        for document in self.documents:
            if all(getattr(document, name) == value for name, value in wanted.items()):
                return document
        return None

    def _place(self, made: ModelDocument) -> None:
        if made.external_id is None:
            return
        for other in self.documents:
            if other.chain == made.chain and other.is_latest:
                other.is_latest = False
                made.version = other.version + 1

    def put(
        self,
        where: Where,
        new_id: str,
        *,
        on_conflict: str,
        id: str | None = None,
        external_id: str | None = None,
        tenant: str | None = None,
        **given: Any,
    ) -> tuple[ModelDocument, str]:
        """Add the document with this key, or change the one that is there; say which."""
        if where[0] is not None and tenant is not None and where[0] != tenant:
            raise ScopeError("another scope")
        if on_conflict == "version" and id is not None:
            raise InvalidDocument("a version of an id")
        whose = {"tenant": where[0] or tenant}
        if id is not None:
            there = self._first(id=id, **whose)
        else:
            there = self._first(external_id=external_id, owner=where[1], is_latest=True, **whose)
        if there is None:
            made = self.add(where, new_id, id=id, external_id=external_id, tenant=tenant, **given)
            return made, "added"
        if where[1] is not None and there.owner != where[1]:
            raise AlreadyExists("another owner's", id=there.id)
        if on_conflict == "skip":
            return there, "skipped"
        blank: dict[str, Any] = {
            "source": None, "filename": "", "metadata": {}, "content": None, "expires_at": None,
        }  # fmt: skip
        plain, given = given, {**given}
        if "metadata" in given:
            given["metadata"] = _stored(given["metadata"])
        whole = {**blank, **given}
        status = "pending" if whole["content"] is None else "completed"
        name = there.external_id if id is None else None
        asked = (
            whose["tenant"], where[1], whole["source"], whole["filename"], name, whole["metadata"],
            whole["content"], status, id is not None, None, whole["expires_at"],
        )  # fmt: skip
        if on_conflict == "merge":
            wanted = {
                **{name: value for name, value in given.items() if name != "metadata"},
                "metadata": merge_patch(there.metadata, given.get("metadata", {})),
            }
            compared = wanted
        else:
            wanted = {**whole, "status": status, "error": None}
            again = there.asked == asked
            compared = {name: wanted[name] for name in ("source", "filename", "metadata", *given)}
            compared = compared if again else wanted
        held = {
            "source": there.bytes, "filename": there.filename, "metadata": there.metadata,
            "content": there.content, "status": there.status, "error": there.error,
            "expires_at": there.expires_at,
        }  # fmt: skip
        if all(held[name] == value for name, value in compared.items()):
            return there, "unchanged"
        if on_conflict == "error":
            raise AlreadyExists("taken", id=there.id)
        if on_conflict == "version":
            next_one = self.add(where, new_id, external_id=external_id, tenant=tenant, **plain)
            return next_one, "versioned"
        for name, value in wanted.items():
            setattr(there, "bytes" if name == "source" else name, value)
        if on_conflict == "replace":
            there.attempts, there.lease, there.asked = 0, None, asked
        there.revision += 1
        return there, "replaced" if on_conflict == "replace" else "merged"

    def update(
        self, where: Where, id: str, *, if_revision: int | None = None, **changes: Any
    ) -> ModelDocument:
        """Change a document."""
        document = self.mine(where, id)
        _check_revision(document, if_revision)
        self._change(document, changes)
        return document

    def _change(self, document: ModelDocument, changes: Mapping[str, Any]) -> None:
        if "metadata" in changes:
            document.metadata = merge_patch(document.metadata, _stored(changes["metadata"]))
        if "replace_metadata" in changes:
            document.metadata = _stored(changes["replace_metadata"])
        for name in ("filename", "content", "error", "created_at", "expires_at"):
            if name in changes:
                setattr(document, name, changes[name])
        if "source" in changes:
            document.bytes = changes["source"]
        document.revision += 1

    def move(self, where: Where, id: str, **target: str | None) -> ModelDocument:
        """Give a document to another owner, another external_id, or both."""
        if where[1] is not None and target.get("owner", where[1]) != where[1]:
            raise ScopeError("another owner")
        document = self.mine(where, id)
        before, was_latest = document.chain, document.is_latest
        document.owner = target.get("owner", document.owner)
        document.external_id = target.get("external_id", document.external_id)
        document.revision += 1
        if before == document.chain:
            return document
        document.version, document.is_latest = 1, False
        self._place(document)
        document.is_latest = True
        self._promote(before, was_latest)
        return document

    def expire(self) -> int:
        """Remove the documents whose ``expires_at`` has come."""
        gone = [one for one in self.documents if one.expires_at is not None and one.expires_at < _NOW]
        for document in gone:
            self._remove(document)
        return len(gone)

    def update_many(self, where: Where, filenames: Iterable[str], **changes: Any) -> int:
        """Change all documents with one of the filenames."""
        wanted = set(filenames)
        found = [document for document in self.seen(where) if document.filename in wanted]
        for document in found:
            self._change(document, changes)
        return len(found)

    def operate(self, where: Where, id: str, operators: Mapping[str, Any]) -> ModelDocument:
        """Change a document by update operators."""
        document = self.mine(where, id)
        _take(document, _operated(document, operators))
        return document

    def operate_many(
        self, where: Where, filenames: Iterable[str], operators: Mapping[str, Any]
    ) -> tuple[int, int]:
        """Change all documents with one of the filenames by update operators, or none; count them and those
        that are not as they were.
        """
        wanted = set(filenames)
        found = [document for document in self.seen(where) if document.filename in wanted]
        made = [_operated(document, operators) for document in found]
        return len(found), sum(map(_take, found, made))

    def delete(self, where: Where, id: str, *, if_revision: int | None = None) -> None:
        """Remove a document."""
        document = self.mine(where, id)
        _check_revision(document, if_revision)
        self._remove(document)

    def delete_many(self, where: Where, filenames: Iterable[str]) -> int:
        """Remove all documents with one of the filenames."""
        wanted = set(filenames)
        found = [document for document in self.seen(where) if document.filename in wanted]
        for document in found:
            self._remove(document)
        return len(found)

    def _remove(self, document: ModelDocument) -> None:
        self.documents = [other for other in self.documents if other is not document]
        self.extractions = [one for one in self.extractions if one.document is not document]
        self._promote(document.chain, document.is_latest)

    def _promote(self, chain: tuple[str | None, str | None, str | None], lost_latest: bool) -> None:
        """Make the newest version that is left the latest, in a chain that lost its latest."""
        left = [other for other in self.documents if other.chain == chain]
        if chain[2] is not None and lost_latest and left:
            max(left, key=lambda other: other.version).is_latest = True

    # -- status and claims -------------------------------------------------------------------------

    def step(self, where: Where, action: str, id: str, **given: Any) -> ModelDocument:
        """Take a step of the status: ``start``, ``complete``, ``fail`` or ``retry``."""
        return self._step(self.mine(where, id), action, **given)

    def retry_many(self, where: Where, filenames: Iterable[str]) -> tuple[int, int]:
        """Send documents with one of the filenames back to the queue; count them, and those that went."""
        wanted = set(filenames)
        found = [document for document in self.seen(where) if document.filename in wanted]
        again = [document for document in found if document.status in _FROM["retry"]]
        for document in again:
            self._step(document, "retry")
        return len(found), len(again)

    def _step(self, document: ModelDocument, action: str, **given: Any) -> ModelDocument:
        if document.status not in _FROM[action]:
            raise InvalidTransition("no", id=document.id, status=document.status, action=action)
        document.status, document.error, document.lease = _TO[action], given.get("error"), None
        document.attempts += action == "start"
        document.revision += 1
        if given.get("content") is not None:
            document.content = given["content"]
        if given.get("metadata") is not None:
            document.metadata = merge_patch(document.metadata, _stored(given["metadata"]))
        return document

    def claim(self, where: Where, limit: int, over: bool) -> list[ModelDocument]:
        """Claim the oldest documents; ``over``: under a lease that ends at once."""
        free = [document for document in self.seen(where) if _is_free(document)][:limit]
        for document in free:
            document.status, document.error = "processing", None
            document.attempts += 1
            document.revision += 1
        return free

    def end(self, document: ModelDocument, token: str, action: str, **given: Any) -> ModelDocument:
        """End a claim by ``complete``, ``fail`` or ``release``."""
        self.hold(document, token)
        if action != "release":
            return self._step(document, action, **given)
        document.status, document.error, document.lease = "pending", given.get("error"), None
        document.revision += 1
        return document

    def hold(self, document: ModelDocument, token: str) -> None:
        """Refuse a claim that does not hold any more."""
        alive = any(document is other for other in self.documents)
        if not alive or document.status != "processing" or document.lease != (token, False):
            raise LeaseLost("lost", id=document.id)

    # -- extractions -------------------------------------------------------------------------------

    def extract(
        self,
        where: Where,
        new_id: str,
        document_id: str,
        results: dict[str, Any] | None,
        *,
        id: str | None = None,
        status: str = "completed",
    ) -> ModelExtraction:
        """Add an extraction."""
        document = self.mine(where, document_id)
        results = None if results is None else _stored(results)
        asked = (document.id, results, status)
        for one in self.extractions:
            if id is not None and one.id == id and one.document.tenant == document.tenant:
                if one.asked != asked:
                    raise AlreadyExists("taken", id=id)
                return one
        made = ModelExtraction(id if id is not None else new_id, document, results, status, asked)
        self.extractions.append(made)
        return made

    def step_extraction(self, where: Where, action: str, id: str, **given: Any) -> ModelExtraction:
        """Take a step of an extraction's status: ``start``, ``complete`` or ``fail``."""
        one = self.my_extraction(where, id)
        if one.status not in _FROM[action]:
            raise InvalidTransition("no", id=id, status=one.status, action=action)
        one.status, one.error = _TO[action], given.get("error")
        one.results = _stored(given["results"]) if "results" in given else one.results
        one.revision += 1
        return one

    def review(self, where: Where, id: str, results: dict[str, Any]) -> ModelExtraction:
        """Write a review."""
        one = self.my_extraction(where, id)
        one.reviewed, one.revision = _stored(results), one.revision + 1
        return one

    def delete_extraction(self, where: Where, id: str) -> None:
        """Remove an extraction."""
        gone = self.my_extraction(where, id)
        self.extractions = [one for one in self.extractions if one is not gone]


def _operated(document: ModelDocument, operators: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the filename and metadata after the operators that the machine uses."""
    metadata, filename = deepcopy(document.metadata), document.filename
    for path, amount in operators.get("$inc", {}).items():
        name = path.removeprefix("metadata.")
        if not isinstance(metadata.setdefault(name, 0), int):
            raise InvalidDocument("no number")
        metadata[name] += amount
    for path, value in operators.get("$push", {}).items():
        name = path.removeprefix("metadata.")
        if not isinstance(metadata.setdefault(name, []), list):
            raise InvalidDocument("no array")
        metadata[name].append(value)
    for path, value in operators.get("$addToSet", {}).items():
        held = metadata.setdefault(path.removeprefix("metadata."), [])
        if value not in held:
            held.append(value)
    for path, value in operators.get("$max", {}).items():
        name = path.removeprefix("metadata.")
        metadata[name] = max(metadata.get(name, value), value)
    for path, value in operators.get("$set", {}).items():
        if path == "filename":
            filename = value
            continue
        _, name, below = path.split(".")
        if not isinstance(metadata.setdefault(name, {}), dict):
            raise InvalidDocument("no object")
        metadata[name][below] = value
    for path in operators.get("$unset", {}):
        _, name, below = path.split(".")
        held = metadata.get(name)
        if isinstance(held, dict):
            held.pop(below, None)
    return filename, metadata


def _stored(value: Any) -> Any:
    """Return JSON as it is stored: an instant is RFC 3339 text in UTC."""
    if isinstance(value, Mapping):
        return {name: _stored(member) for name, member in value.items()}
    return (
        value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        if isinstance(value, datetime)
        else value
    )


def _take(document: ModelDocument, made: tuple[str, dict[str, Any]]) -> bool:
    """Write what operators made, if it is anything else; return whether."""
    if made == (document.filename, document.metadata):
        return False
    document.filename, document.metadata = made
    document.revision += 1
    return True


def _within(document: ModelDocument, where: Where) -> bool:
    return where[0] in (None, document.tenant) and where[1] in (None, document.owner)


def _is_free(document: ModelDocument) -> bool:
    over = document.lease is not None and document.lease[1]
    return document.status == "pending" or (document.status == "processing" and over)


def _check_revision(document: ModelDocument, expected: int | None) -> None:
    if expected is not None and expected != document.revision:
        raise RevisionConflict("no", id=document.id, expected=expected, current=document.revision)

"""Drafts: a new document as the caller gave it, validated, and not yet a row. Step P0 of the put protocol; no
I/O.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docstore.backend import Scope
from docstore.blobs.source import Source
from docstore.checks import Checks, collapsed, scope_text
from docstore.errors import InvalidDocument, ScopeError
from docstore.mediatype import content_type_of, file_type_of
from docstore.models import NewDocument

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7

__all__ = ["Draft", "draft_document", "new_id", "stamped"]

_NAMES = frozenset(NewDocument.model_fields)
_INSTANTS = ("created_at", "updated_at", "processed_at")


@dataclass(slots=True)
class Draft:
    """A new document: its row so far, and the bytes it is to have.

    Attributes:
        row: every column but the number; ``created_at`` and ``updated_at`` are ``None`` where the clock is to
            set them.
        source: the bytes as given, or ``None``.
        named: whether the caller gave the id, so that a repeated add is recognised.
        dedupe: whether a document with the same bytes in the same scope stands in.
    """

    row: dict[str, Any]
    source: Any
    named: bool
    dedupe: bool

    def named_after(self, source: Source, checks: Checks) -> None:
        """Take the filename from where the bytes come from, if the caller gave none."""
        if self.row["filename"] is None:
            self.row["filename"] = checks.filename(source.filename or "")
        self.typed()

    def typed(self) -> None:
        """Settle what follows from the filename."""
        row = self.row
        row["filename"] = row["filename"] or ""
        row["content_type"] = row["content_type"] or content_type_of(row["filename"])
        row["file_type"] = file_type_of(row["content_type"], row["filename"])

    def fingerprint(self) -> str | None:
        """Return a digest of all that the caller asked for, with the bytes' size and sha256; ``None`` without
        an id of theirs.
        """
        if not self.named:
            return None
        asked = {name: value for name, value in self.row.items() if name not in _NOT_ASKED}
        text = json.dumps(asked, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


_NOT_ASKED = {
    "version",
    "is_latest",
    "attempts",
    "first_created_at",
    "revision",
    "file_type",
    "blob_key",
    "fingerprint",
    "lease_token",
    "lease_worker",
    "lease_expires_at",
}


def new_id() -> str:
    """Return a fresh UUIDv7 as text."""
    return str(uuid7())


def stamped(scope: Scope, tenant: Any, owner: Any) -> tuple[str | None, str | None]:
    """Return the tenant and owner that a new record gets in ``scope``.

    Raises:
        ScopeError: one was given against the scope.
    """
    made = []
    for name, given, fixed in (("tenant", tenant, scope.tenant), ("owner", owner, scope.owner)):
        if given is not None:
            scope_text(name, given)
            if fixed is not None and given != fixed:
                raise ScopeError(f"{name}={given!r}: this store is confined to {name}={fixed!r}")
        made.append(fixed if fixed is not None else given)
    return made[0], made[1]


def draft_document(given: NewDocument | Mapping[str, Any], scope: Scope, checks: Checks) -> Draft:
    """Validate a new document.

    Raises:
        InvalidDocument: a field is unknown, of the wrong type, or out of its bounds.
        ScopeError: its tenant or owner is against the scope.
    """
    get = _values(given).get
    tenant, owner = stamped(scope, get("tenant"), get("owner"))
    if (id := get("id")) is not None:
        id = checks.key("id", id)
    if (external_id := get("external_id")) is not None:
        external_id = checks.key("external_id", external_id)
    if (filename := get("filename")) is not None:
        filename = checks.filename(filename)
    if (content_type := get("content_type")) is not None:
        content_type = checks.key("content_type", content_type)
    if (error := get("error")) is not None:
        error = checks.text("error", error)
    if (content := get("content")) is not None:
        content = checks.content(content)
    if (preview := get("preview")) is not None:
        preview = checks.text("preview", preview)
    elif content is not None:
        preview = collapsed(content)
    if (size := get("size")) is not None:
        size = checks.size(size)
    if (sha256 := get("sha256")) is not None:
        sha256 = checks.sha256(sha256)
    metadata, source, dedupe = get("metadata"), get("source"), get("dedupe")
    created_at, updated_at, processed_at = (_instant(checks, name, get(name)) for name in _INSTANTS)
    row = {
        "id": new_id() if id is None else id,
        "external_id": external_id,
        "version": 1,
        "is_latest": True,
        "tenant": tenant,
        "owner": owner,
        "filename": filename,
        "content_type": content_type,
        "file_type": None,
        "size": size,
        "sha256": sha256,
        "status": checks.status(get("status", "pending")),
        "error": error,
        "attempts": 0,
        "metadata": "{}" if metadata is None else checks.json("metadata", metadata),
        "preview": preview,
        "content": content,
        "created_at": created_at,
        "updated_at": created_at if updated_at is None else updated_at,
        "first_created_at": created_at,
        "processed_at": processed_at,
        "revision": 1,
        "blob_key": None,
        "fingerprint": None,
        "lease_token": None,
        "lease_worker": None,
        "lease_expires_at": None,
    }
    if dedupe is not None and dedupe != "sha256":
        raise InvalidDocument(f"dedupe: {dedupe!r}; expected 'sha256' or None", field="dedupe")
    draft = Draft(row, source, id is not None, dedupe is not None)
    if source is None:
        draft.typed()
    return draft


def _instant(checks: Checks, name: str, value: Any) -> int | None:
    return None if value is None else checks.instant(name, value)


def _values(given: NewDocument | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(given, NewDocument):
        return {name: getattr(given, name) for name in given.model_fields_set}
    if not isinstance(given, Mapping):
        raise InvalidDocument(
            f"expected a NewDocument or a mapping of add's keywords, not {type(given).__name__}"
        )
    if not _NAMES.issuperset(given):
        for name in (name for name in given if name not in _NAMES):
            raise InvalidDocument(
                f"unknown field {name!r}: expected {', '.join(sorted(_NAMES))}", field=str(name)
            )
    return given

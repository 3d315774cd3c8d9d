"""Drafts: a new document as the caller gave it, validated, and not yet a row. Step P0 of the put protocol; no
I/O.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from docstore.backend import Scope
from docstore.blobs.source import Source
from docstore.checks import Checks, check_order, collapsed, scope_text
from docstore.errors import InvalidDocument, ScopeError, shown
from docstore.mediatypes import file_type_of, settled_type
from docstore.models import NewDocument
from docstore.query.fields import CONTENT_STATES

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7

__all__ = ["BLANK", "CHECKED", "NAMES", "Draft", "draft_document", "given_values", "new_id", "stamped"]

NAMES: Final = frozenset(NewDocument.model_fields)
"""The fields that may be given."""


_HEAD_BYTES: Final = 4096


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
        said = self.row["size"]  # a source is read one byte beyond what was said of it, at most
        self.typed(source.head(_HEAD_BYTES if said is None else min(_HEAD_BYTES, said + 1)))

    def typed(self, head: bytes = b"") -> None:
        """Settle what follows from the filename and the first bytes."""
        row = self.row
        row["filename"] = row["filename"] or ""
        row["content_type"] = settled_type(row["content_type"], row["filename"], head)
        row["file_type"] = file_type_of(row["content_type"], row["filename"])

    def fingerprint(self) -> str | None:
        """Return a digest of all that the caller asked for, with the bytes' size and sha256; ``None`` without
        an id or external_id of theirs.
        """
        if not self.named and self.row["external_id"] is None:
            return None
        left_out = _NOT_ASKED if self.named else _NOT_ASKED | {"id"}
        asked = {name: value for name, value in self.row.items() if name not in left_out}
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
    if tenant is None and owner is None:
        return scope.tenant, scope.owner
    made = []
    for name, given, fixed in (("tenant", tenant, scope.tenant), ("owner", owner, scope.owner)):
        if given is not None:
            scope_text(name, given)
            if fixed is not None and given != fixed:
                raise ScopeError(f"{name}={shown(given)}: this store is confined to {name}={shown(fixed)}")
        made.append(fixed if fixed is not None else given)
    return made[0], made[1]


def draft_document(given: NewDocument | Mapping[str, Any], scope: Scope, checks: Checks) -> Draft:
    """Validate a new document.

    Raises:
        InvalidDocument: a field is unknown, of the wrong type, or out of its bounds.
        ScopeError: its tenant or owner is against the scope.
    """
    values = given_values(given)
    get = values.get
    row = BLANK.copy()
    row["tenant"], row["owner"] = stamped(scope, get("tenant"), get("owner"))
    for name, value in values.items():
        if value is None and name != "status":
            continue
        check = CHECKED.get(name)
        if check is not None:
            row[name] = check(checks, value)
    if "status" not in values and row["content"] is not None:
        row["status"] = "completed"
    named = row["id"] is not None
    checks.cut_content(row)
    _settle(row)
    source, dedupe = get("source"), get("dedupe")
    if dedupe is not None and dedupe != "sha256":
        raise InvalidDocument(f"dedupe: {shown(dedupe)}; expected 'sha256' or None", field="dedupe")
    draft = Draft(row, source, named, dedupe is not None)
    if source is None:
        draft.typed()
    return draft


def _settle(row: dict[str, Any]) -> None:
    """Fill in what follows from the fields given."""
    if row["id"] is None:
        row["id"] = new_id()
    if row["preview"] is None and row["content"] is not None:
        row["preview"] = collapsed(row["content"])
    row["first_created_at"] = row["created_at"]
    check_order(row["created_at"], row["updated_at"])
    if row["updated_at"] is None:
        row["updated_at"] = row["created_at"]


BLANK: Final[dict[str, Any]] = {
    "id": None,
    "external_id": None,
    "version": 1,
    "is_latest": True,
    "tenant": None,
    "owner": None,
    "filename": None,
    "content_type": None,
    "file_type": None,
    "size": None,
    "sha256": None,
    "status": "pending",
    "error": None,
    "attempts": 0,
    "metadata": "{}",
    "preview": None,
    "content_state": None,
    "content_note": None,
    "content": None,
    "created_at": None,
    "updated_at": None,
    "first_created_at": None,
    "processed_at": None,
    "expires_at": None,
    "revision": 1,
    "blob_key": None,
    "fingerprint": None,
    "lease_token": None,
    "lease_worker": None,
    "lease_expires_at": None,
}
"""The row of a document of which nothing was said."""

CHECKED: Final[Mapping[str, Callable[[Checks, Any], Any]]] = {
    "id": lambda checks, value: checks.key("id", value),
    "external_id": lambda checks, value: checks.key("external_id", value),
    "filename": Checks.filename,
    "content_type": lambda checks, value: checks.key("content_type", value),
    "error": lambda checks, value: checks.text("error", value),
    "content": Checks.content,
    "preview": lambda checks, value: checks.text("preview", value),
    "content_state": lambda checks, value: checks.choice("content_state", value, CONTENT_STATES),
    "content_note": lambda checks, value: checks.text("content_note", value),
    "size": Checks.size,
    "sha256": Checks.sha256,
    "status": Checks.status,
    "metadata": Checks.metadata,
    "created_at": lambda checks, value: checks.instant("created_at", value),
    "updated_at": lambda checks, value: checks.instant("updated_at", value),
    "processed_at": lambda checks, value: checks.instant("processed_at", value),
    "expires_at": lambda checks, value: checks.instant("expires_at", value),
}
"""How each field is checked, and brought into the form that rows hold."""


def given_values(given: NewDocument | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a new document that the caller gave.

    Raises:
        InvalidDocument: it is no document, or has a field that there is not.
    """
    if isinstance(given, NewDocument):
        return {name: getattr(given, name) for name in given.model_fields_set}
    if type(given) is not dict and not isinstance(given, Mapping):
        raise InvalidDocument(
            f"expected a NewDocument or a mapping of add's keywords, not {type(given).__name__}"
        )
    if not NAMES.issuperset(given):
        for name in (name for name in given if name not in NAMES):
            raise InvalidDocument(
                f"unknown field {shown(name)}: expected {', '.join(sorted(NAMES))}", field=str(name)
            )
    return given

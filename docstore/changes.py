"""Changes to a record, validated before any I/O, applied to the row once it is read. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from docstore.backend import Row
from docstore.checks import Checks, collapsed
from docstore.errors import InvalidDocument
from docstore.mediatype import file_type_of
from docstore.query.fields import CONTENT_STATES

__all__ = ["Change", "document_changes", "merge_patch"]

Change = Callable[[Row, int], dict[str, Any]]
"""From the row as it is, and now, to the columns to set."""

_CHANGEABLE = (
    "filename",
    "content_type",
    "metadata",
    "replace_metadata",
    "content",
    "preview",
    "content_state",
    "content_note",
    "error",
    "processed_at",
    "created_at",
    "updated_at",
)


def merge_patch(target: Any, patch: Any) -> Any:
    """Return ``target`` with an RFC 7396 merge patch applied: objects merge, ``None`` removes, all else
    replaces.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def patched(checks: Checks, field: str, text: str | None, patch: dict[str, Any]) -> str:
    """Return a JSON field's text with a merge patch applied, within the bounds."""
    return checks.json_text(field, checks.object(field, merge_patch(json.loads(text or "{}"), patch)))


def document_changes(changes: Mapping[str, Any], checks: Checks) -> Change:
    """Validate changes to a document; return what makes columns of them.

    Raises:
        InvalidDocument: a change is unknown, of the wrong type or out of its bounds.
    """
    for name in changes:
        if name not in _CHANGEABLE:
            raise InvalidDocument(_unknown(name), field=name)
    if "metadata" in changes and "replace_metadata" in changes:
        raise InvalidDocument(
            "give metadata (a patch) or replace_metadata (the whole), not both", field="metadata"
        )
    made: dict[str, Any] = {}
    for name, check in (
        ("filename", checks.filename),
        ("content_type", lambda value: checks.key("content_type", value)),
    ):
        if name in changes:
            made[name] = check(changes[name])
    for name in ("created_at", "updated_at"):
        if name in changes:
            made[name] = checks.instant(name, changes[name])
    if "processed_at" in changes:
        given = changes["processed_at"]
        made["processed_at"] = None if given is None else checks.instant("processed_at", given)
    for name in ("preview", "error", "content_note"):
        if name in changes:
            made[name] = None if changes[name] is None else checks.text(name, changes[name])
    if "content_state" in changes:
        given = changes["content_state"]
        made["content_state"] = (
            None if given is None else checks.choice("content_state", given, CONTENT_STATES)
        )
        made.setdefault("content_note", None)
    if "content" in changes:
        made["content"] = None if changes["content"] is None else checks.content(changes["content"])
        made.setdefault("preview", None if made["content"] is None else collapsed(made["content"]))
        made.setdefault("content_state", None)  # the old state and note were about the old text
        made.setdefault("content_note", None)
        checks.cut_content(made)
    if "replace_metadata" in changes:
        made["metadata"] = checks.json("metadata", changes["replace_metadata"])
    patch = checks.object("metadata", changes["metadata"]) if "metadata" in changes else None

    def apply(row: Row, now: int) -> dict[str, Any]:
        columns = dict(made)
        if patch is not None:
            columns["metadata"] = patched(checks, "metadata", row["metadata"], patch)
        if "content_type" in columns:
            filename = columns["filename"] if "filename" in columns else row["filename"]
            columns["file_type"] = file_type_of(columns["content_type"], filename)
        return columns

    return apply


def _unknown(name: str) -> str:
    if name == "status":
        return "update does not set status: use start, complete, fail or retry"
    near = get_close_matches(name, _CHANGEABLE, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"update cannot change {name!r}{hint} It changes {', '.join(_CHANGEABLE)}"

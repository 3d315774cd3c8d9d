"""What callers give for an extraction, new or changed: validated before any I/O, then made into columns.
Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from docstore.backend import Row
from docstore.changes import Change, Edit, edit_of, metadata_patch, patched
from docstore.checks import Checks, check_order
from docstore.drafts import new_id
from docstore.errors import InvalidDocument, shown
from docstore.lifecycle.review import flagged, needs_review
from docstore.query.fields import EXTRACTIONS

__all__ = ["draft_extraction", "extraction_changes", "extraction_edit", "row_of_extraction"]

_CHANGEABLE = ("results", "confidence_scores", "review_flags", "review_below", "needs_review", "metadata",
"replace_metadata",
               "error", "created_at", "updated_at")  # fmt: skip
_SETTABLE = {
    "results": True,
    "confidence_scores": True,
    "review_flags": True,
    "needs_review": False,
    "error": True,
    "created_at": False,
    "updated_at": False,
}
"""The record fields that ``$set`` takes, and whether they may be ``None``."""


def draft_extraction(given: Mapping[str, Any], checks: Checks) -> Row:
    """Return a new extraction's columns as far as its document and the clock do not settle them.

    Raises:
        InvalidDocument: a value of the wrong type or out of its bounds.
    """

    def optional(name: str, check: Callable[[Any], Any]) -> Any:
        return None if given.get(name) is None else check(given[name])

    scores = optional("confidence_scores", checks.scores)
    below = optional("review_below", checks.threshold)
    flags = flagged(scores, optional("review_flags", checks.flags), below)
    wanted = optional("needs_review", lambda value: checks.flag("needs_review", value))
    created_at = optional("created_at", lambda value: checks.instant("created_at", value))
    updated_at = optional("updated_at", lambda value: checks.instant("updated_at", value))
    check_order(created_at, updated_at)
    row = {
        "id": optional("id", lambda value: checks.key("id", value)) or new_id(),
        "status": checks.status(given.get("status", "completed")),
        "error": optional("error", lambda value: checks.text("error", value)),
        "results": optional("results", lambda value: checks.json("results", value)),
        "needs_review": needs_review(wanted, flags),
        "is_reviewed": False,
        "reviewed_at": None,
        "reviewed_by": None,
        "reviewed_results": None,
        "confidence_scores": None if scores is None else checks.json_text("confidence_scores", scores),
        "review_flags": None if flags is None else checks.json_text("review_flags", flags),
        "metadata": optional("metadata", lambda value: checks.json("metadata", value)) or "{}",
        "created_at": created_at,
        "updated_at": updated_at if updated_at is not None else created_at,
        "revision": 1,
        "fingerprint": None,
    }
    if given.get("id") is not None:
        row["fingerprint"] = _fingerprint(row, given["document_id"])
    return row


def _fingerprint(row: Row, document_id: str) -> str:
    text = json.dumps(
        {**row, "document_id": document_id}, ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def row_of_extraction(draft: Row, document: Row, now: int) -> Row:
    """Return the row to insert: what the document settles, and the clock."""
    settled = {
        "document_id": document["id"],
        **{name: document[name] for name in ("filename", "tenant", "owner")},
    }
    row = {**draft, **settled}
    if row["created_at"] is None:
        row["created_at"] = now if row["updated_at"] is None else min(now, row["updated_at"])
    if row["updated_at"] is None:
        row["updated_at"] = now
    return row


def extraction_changes(changes: Mapping[str, Any], checks: Checks) -> Change:
    """Validate changes to an extraction; return what makes columns of them.

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
    for name in ("created_at", "updated_at"):
        if name in changes:
            made[name] = checks.instant(name, changes[name])
    if "error" in changes:
        made["error"] = None if changes["error"] is None else checks.text("error", changes["error"])
    if "results" in changes:
        made["results"] = None if changes["results"] is None else checks.json("results", changes["results"])
    if "replace_metadata" in changes:
        made["metadata"] = checks.json("metadata", changes["replace_metadata"])
    patch = metadata_patch(checks, changes["metadata"]) if "metadata" in changes else None
    doubts = _doubts(changes, checks)

    def apply(row: Row, now: int) -> dict[str, Any]:
        columns = {**made, **doubts(row)}
        if patch is not None:
            columns["metadata"] = patched(checks, "metadata", row["metadata"], patch)
        return columns

    return apply


def extraction_edit(operators: Any, changes: Mapping[str, Any], checks: Checks) -> Edit:
    """Validate an update of an extraction: see :func:`docstore.changes.edit_of`."""
    return edit_of(
        operators, changes, checks,
        collection=EXTRACTIONS, settable=_SETTABLE, change_of=extraction_changes,
    )  # fmt: skip


def _doubts(changes: Mapping[str, Any], checks: Checks) -> Callable[[Row], dict[str, Any]]:
    """Validate scores, flags, threshold and need of a review; return what makes columns of them."""
    given: dict[str, Any] = {}
    for name, check in (
        ("confidence_scores", checks.scores),
        ("review_flags", checks.flags),
        ("review_below", checks.threshold),
    ):
        if name in changes:
            given[name] = None if changes[name] is None else check(changes[name])
    wanted = (
        checks.flag("needs_review", changes["needs_review"])
        if changes.get("needs_review") is not None
        else None
    )

    def columns(row: Row) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if "confidence_scores" in given:
            made["confidence_scores"] = _text(checks, "confidence_scores", given["confidence_scores"])
        if "review_flags" in given or given.get("review_below") is not None:
            scores = (
                given["confidence_scores"]
                if "confidence_scores" in given
                else _read(row["confidence_scores"])
            )
            flags = flagged(scores, given.get("review_flags"), given.get("review_below"))
            made["review_flags"] = _text(checks, "review_flags", flags)
            made["needs_review"] = needs_review(wanted, flags)
        elif wanted is not None:
            made["needs_review"] = wanted
        return made

    return columns


def _text(checks: Checks, field: str, value: dict[str, Any] | None) -> str | None:
    return None if value is None else checks.json_text(field, value)


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _unknown(name: str) -> str:
    if name == "status":
        return "update does not set status: use start, complete or fail"
    if name in ("reviewed_results", "reviewed_by", "reviewed_at", "is_reviewed"):
        return f"update does not set {name}: use review"
    near = get_close_matches(name, _CHANGEABLE, 1)
    hint = f"; did you mean {shown(near[0])}?" if near else ""
    return f"update cannot change {shown(name)}{hint} It changes {', '.join(_CHANGEABLE)}"

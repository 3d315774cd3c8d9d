"""Updates: changes to a document or an extraction, validated before any I/O, then made into columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from docstore.backend import Row
from docstore.errors import FilterSyntaxError, FilterValueError, InvalidDocument, shown
from docstore.lifecycle import flagged, needs_review
from docstore.mediatypes import file_type_of
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection
from docstore.query.filter_errors import SLIP
from docstore.query.updates import WORDS, Unfit, Update, parse_update
from docstore.validation import Checks, check_order, collapsed, scope_text
from docstore.writes.drafts import CHECKED, new_id

__all__ = [
    "Change",
    "Edit",
    "document_changes",
    "document_edit",
    "draft_extraction",
    "edit_of",
    "extraction_changes",
    "extraction_edit",
    "merge_patch",
    "metadata_patch",
    "refuse_operators",
    "row_of_extraction",
]

# From the row as it is, and now, to the columns to set.
Change = Callable[[Row, int], dict[str, Any]]
_CHANGEABLE: Final = (*(field.name for field in DOCUMENTS.given), "replace_metadata")
_CHECKED: Final[Mapping[str, Callable[[Checks, Any], Any]]] = {
    **CHECKED, "owner": lambda checks, value: scope_text("owner", value),
}  # fmt: skip
# What a document is moved by, from one version chain to another.
MOVES: Final = frozenset({"owner", "external_id"})
# The record fields that `$set` takes, and whether they may be `None`.
_SETTABLE: Final = {field.name: field.nullable for field in DOCUMENTS.given if field.name != "metadata"}


def merge_patch(target: Any, patch: Any) -> Any:
    """Return ``target`` with an RFC 7396 merge patch: objects merge, None removes, else replace."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def metadata_patch(checks: Checks, value: Any) -> dict[str, Any]:
    """Return a merge patch of the metadata, checked.

    Raises:
        InvalidDocument: it is no object within the bounds, or holds update operators: they would be stored
            as keys, which nobody means (rule 26).
    """
    patch = checks.object("metadata", value)
    refuse_operators(patch)
    return patch


def refuse_operators(patch: Any) -> None:
    """Raise InvalidDocument if a merge patch of the metadata holds update operators (rule 26)."""
    below: list[tuple[str, Any]] = [("metadata", patch)]
    while below:
        path, value = below.pop()
        if isinstance(value, list):
            below += [(f"{path}.{at}", member) for at, member in enumerate(value)]
        elif isinstance(value, dict) and value:
            if WORDS.issuperset(value):
                word = next(iter(value))
                raise InvalidDocument(
                    f"{path}: the merge patch metadata= would store the operator {shown(word)} as a key; "
                    f"give operators by themselves, as in update(id, {{'$inc': {{'metadata.n': 1}}}}), "
                    f"or the whole with replace_metadata=",
                    field=path,
                )
            below += [(f"{path}.{name}", member) for name, member in value.items()]


def patched(checks: Checks, field: str, text: str | None, patch: dict[str, Any]) -> str:
    """Return a JSON field's text with a merge patch applied, within the bounds."""
    return checks.json(field, merge_patch(json.loads(text or "{}"), patch))


def _check_names(
    changes: Mapping[str, Any], changeable: Container[str], explain: Callable[[str], str]
) -> None:
    """Refuse a field that cannot be changed, and both ways of changing the metadata at once."""
    for name in changes:
        if name not in changeable:
            raise InvalidDocument(explain(name), field=name)
    if "metadata" in changes and "replace_metadata" in changes:
        raise InvalidDocument(
            "give metadata (a patch) or replace_metadata (the whole), not both", field="metadata"
        )


def document_changes(changes: Mapping[str, Any], checks: Checks) -> Change:
    """Validate changes to a document; return what makes columns of them.

    Raises:
        InvalidDocument: a change is unknown, of the wrong type or out of its bounds.
    """
    _check_names(changes, _CHANGEABLE, _unknown)
    made: dict[str, Any] = {}
    for name, may_be_none in _SETTABLE.items():
        if name in changes:
            given = changes[name]
            made[name] = None if given is None and may_be_none else _CHECKED[name](checks, given)
    if "content_state" in changes:
        made.setdefault("content_note", None)
    if "content" in changes:
        made.setdefault("preview", None if made["content"] is None else collapsed(made["content"]))
        made.setdefault("content_state", None)  # the old state and note were about the old text
        made.setdefault("content_note", None)
        checks.cut_content(made)
    if "replace_metadata" in changes:
        made["metadata"] = checks.json("metadata", changes["replace_metadata"])
    patch = metadata_patch(checks, changes["metadata"]) if "metadata" in changes else None

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
    near = get_close_matches(name, _CHANGEABLE, 1, SLIP)
    hint = f"; did you mean {shown(near[0])}?" if near else "."
    return f"update cannot change {shown(name)}{hint} It changes {', '.join(_CHANGEABLE)}"


@dataclass(frozen=True, slots=True)
class Edit:
    """One ``update``, validated: from a row to the columns to set.

    Attributes:
        change: the fields given by name.
        update: the operators; ``None`` without any. With operators what changes nothing is not written.
        checks: the bounds in force.
        noun: what errors call a record.
        names: the fields that it sets.
    """

    change: Change
    update: Update | None
    checks: Checks
    noun: str
    names: frozenset[str] = frozenset()

    @property
    def reads(self) -> frozenset[str]:
        """The heavy columns that it looks at."""
        return frozenset({"content"} & set(self.update.fields if self.update is not None else ()))

    def __call__(self, row: Row, now: int) -> dict[str, Any] | None:
        """Return the columns to set; ``None`` where nothing would change.

        Raises:
            InvalidDocument: an operator does not go with the row; it names its id.
        """
        columns = self.change(row, now)
        if self.update is None:
            return columns
        if self.update.changes:
            metadata = self._updated(row)
            if metadata is not None:
                columns["metadata"] = metadata
        same = all(name in row and row[name] == value for name, value in columns.items())
        return None if same else columns

    def _updated(self, row: Row) -> str | None:
        """Return the text of the metadata after the operators; ``None`` if it is as it was."""
        assert self.update is not None
        try:
            text = self.checks.metadata(self.update.apply(json.loads(row["metadata"])))
        except Unfit as wrong:
            raise self._refusal(row, wrong.path, f"{wrong.path}: {wrong}") from None
        except InvalidDocument as wrong:
            raise self._refusal(row, wrong.field, wrong.message) from None
        before = json.dumps(json.loads(row["metadata"]), ensure_ascii=False, separators=(",", ":"))
        return None if text == before else text

    def _refusal(self, row: Row, field: str, reason: str) -> InvalidDocument:
        return InvalidDocument(f"{self.noun} {shown(row['id'])}: {reason}; it was not changed", field=field)


def edit_of(
    operators: Any,
    changes: Mapping[str, Any],
    checks: Checks,
    *,
    collection: Collection,
    settable: Mapping[str, bool],
    change_of: Callable[[Mapping[str, Any], Checks], Change],
) -> Edit:
    """Validate operators and changes given by name; return what both make of a row.

    Args:
        operators: of rules 24 and 25; ``None`` without any.
        changes: by name.
        checks: the bounds in force.
        collection: of the records to change.
        settable: the record fields that ``$set`` takes, and whether they may be ``None``.
        change_of: validates changes by name.

    Raises:
        FilterError: the operators are malformed, or name what is given by name, too.
        InvalidDocument: a change is unknown, of the wrong type or out of its bounds.
    """
    noun = collection.name.rstrip("s")
    if operators is None:
        return Edit(change_of(changes, checks), None, checks, noun, frozenset(changes))
    update = parse_update(
        operators, collection, settable,
        limits=checks.limits, default_timezone=checks.default_timezone,
    )  # fmt: skip
    for name in ("metadata", "replace_metadata", *update.fields):
        if name in changes:
            raise FilterSyntaxError(
                f"{name}= beside update operators; expected one of them for a field", path=name
            )
    try:
        change_of(update.fields, checks)
    except InvalidDocument as wrong:
        place = f"$set/{wrong.field}"
        raise FilterValueError(f"{wrong.message} at {place}", path=place) from None
    every = {**changes, **update.fields}
    return Edit(change_of(every, checks), update, checks, noun, frozenset(every))


def document_edit(operators: Any, changes: Mapping[str, Any], checks: Checks) -> Edit:
    """Validate an update of a document: see :func:`edit_of`."""
    return edit_of(
        operators, changes, checks,
        collection=DOCUMENTS, settable=_SETTABLE, change_of=document_changes,
    )  # fmt: skip


_EXTRACTION_CHANGEABLE = (
    "results", "confidence_scores", "review_flags", "review_below", "needs_review", "metadata",
    "replace_metadata", "error", "created_at", "updated_at",
)  # fmt: skip
# The record fields that `$set` takes, and whether they may be `None`.
_EXTRACTION_SETTABLE = {
    "results": True,
    "confidence_scores": True,
    "review_flags": True,
    "needs_review": False,
    "error": True,
    "created_at": False,
    "updated_at": False,
}


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
    _check_names(changes, _EXTRACTION_CHANGEABLE, _unknown_of_extraction)
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
    """Validate an update of an extraction: see :func:`docstore.writes.updates.edit_of`."""
    return edit_of(
        operators, changes, checks,
        collection=EXTRACTIONS, settable=_EXTRACTION_SETTABLE, change_of=extraction_changes,
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


def _unknown_of_extraction(name: str) -> str:
    if name == "status":
        return "update does not set status: use start, complete or fail"
    if name in ("reviewed_results", "reviewed_by", "reviewed_at", "is_reviewed"):
        return f"update does not set {name}: use review"
    near = get_close_matches(name, _EXTRACTION_CHANGEABLE, 1, SLIP)
    hint = f"; did you mean {shown(near[0])}?" if near else "."
    return f"update cannot change {shown(name)}{hint} It changes {', '.join(_EXTRACTION_CHANGEABLE)}"

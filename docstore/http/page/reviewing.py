"""The review of extractions: the queue, and the form beside the document; saved by ``extractions.review``."""

from __future__ import annotations

import getpass
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from docstore.errors import DocstoreError
from docstore.http.page.guard import wants_json
from docstore.http.page.preview import Preview, preview_of
from docstore.http.page.rendering import html_page, shown_as
from docstore.models import Extraction
from docstore.store import Store

__all__ = ["Answer", "answers_of", "queue_page", "review_page", "save"]

WAITING = {"needs_review": True, "is_reviewed": False}
"""The extractions that people have to look at; the oldest come first."""
_LONG = 60
_TEXT_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One result in the form.

    Attributes:
        name: of the form's field.
        key: of the result.
        text: what stands in the field; JSON if ``is_json``.
        is_json: whether the result is no text.
        is_long: whether it needs several lines.
        is_flagged: whether it is doubtful.
        score: with how much confidence it was read, ``None`` if nobody said.
    """

    name: str
    key: str
    text: str
    is_json: bool
    is_long: bool
    is_flagged: bool
    score: float | None


def answers_of(extraction: Extraction) -> list[Answer]:
    """Return the fields of the form, flagged ones first."""
    flags, scores = extraction.review_flags or {}, extraction.confidence_scores or {}
    results = _results(extraction)
    made = []
    for number, (key, value) in enumerate(results.items()):
        is_json = not isinstance(value, str)
        text = json.dumps(value, ensure_ascii=False) if is_json else value
        is_long = "\n" in text or len(text) > _LONG
        flagged, score = bool(flags.get(key)), scores.get(key)
        made.append(Answer(f"value-{number}", key, text, is_json, is_long, flagged, score))
    return sorted(made, key=lambda answer: not answer.is_flagged)


def _results(extraction: Extraction) -> dict[str, Any]:
    reviewed = extraction.reviewed_results
    return dict((extraction.results if reviewed is None else reviewed) or {})


def queue_page(request: Request) -> Response:
    """List the extractions that wait for a review, the oldest first."""
    store: Store = request.state.docstore.store
    cursor = request.query_params.get("cursor") or None
    page = store.extractions.find(WAITING, sort="number", limit=50, cursor=cursor, total=10_000)
    if wants_json(request):
        return JSONResponse(page.model_dump(mode="json"))
    return html_page(request, "queue.html", page=page)


def review_page(request: Request, id: str) -> Response:
    """Show an extraction beside its document."""
    store: Store = request.state.docstore.store
    extraction = store.extractions.get(id)
    if wants_json(request):
        return JSONResponse(extraction.model_dump(mode="json"), headers={"ETag": f'"{extraction.revision}"'})
    document = store.documents.get(extraction.document_id, include={"content"})
    try:
        preview = preview_of(store, document)
    except DocstoreError as error:
        preview = Preview("missing", error.message)
    waiting = store.extractions.count(WAITING, at_most=10_000)
    return html_page(
        request, "review.html", extraction=extraction, document=document, preview=preview,
        answers=answers_of(extraction), waiting=waiting, skip=_next(store, extraction),
        text=(document.content or "")[:_TEXT_CHARACTERS],
    )  # fmt: skip


def _next(store: Store, extraction: Extraction) -> str:
    """Return the address of the one that waits behind this, of the first if none does, else of the queue."""
    for beyond in ({"$gt": extraction.number}, {"$lt": extraction.number}):
        found = store.extractions.find({**WAITING, "number": beyond}, sort="number", limit=1).items
        if found:
            return f"/review/{quote(found[0].id, safe='')}"
    return "/review"


def save(request: Request, id: str) -> Response:
    """Write a review down, and go on to the next that waits."""
    form = request.state.form
    store: Store = request.state.docstore.store
    extraction = store.extractions.get(id)
    if form.get("revision") != str(extraction.revision):
        raise HTTPException(409, "somebody changed this extraction meanwhile: load the page again")
    results = _results(extraction)
    for answer in answers_of(extraction):
        sent = form.get(answer.name)
        if not isinstance(sent, str):
            raise HTTPException(422, f"{answer.key[:80]!r}: the form has no value for it")
        results[answer.key] = _value(sent, answer, results[answer.key])
    visitor = request.scope["docstore.visitor"]
    reviewer = visitor.name or visitor.caller.owner or _user()
    store.extractions.review(id, results, reviewed_by=reviewer)
    return RedirectResponse(_next(store, extraction), 303)


def _value(sent: str, answer: Answer, before: Any) -> Any:
    """Return the value that a field was given: what was, if it stands as it was shown; JSON for what is no
    text, or the text if it is no JSON.
    """
    plain = sent.replace("\r\n", "\n")
    if plain == shown_as(answer.text).replace("\r\n", "\n"):
        return before
    if not answer.is_json:
        return plain
    try:
        return json.loads(plain)
    except (ValueError, RecursionError):
        return plain


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return "reviewer"

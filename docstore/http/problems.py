"""Errors as problem details (RFC 9457): the table from docstore's errors to statuses."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from docstore.errors import (
    AlreadyExists,
    BackendError,
    BlobError,
    BlobMissing,
    BlobsNotConfigured,
    ChecksumMismatch,
    DocstoreError,
    InvalidTransition,
    LeaseLost,
    NotFound,
    QueryTimeout,
    ReadOnlyStore,
    RevisionConflict,
    ScopeError,
    SizeMismatch,
)

__all__ = ["ANSWERED", "Problem", "ProblemResponse", "install_error_handlers", "problem_of"]

_log = logging.getLogger("docstore.http")

# The first class that an error is an instance of says its status; all others are 422, wrong questions.
_STATUSES: Sequence[tuple[type[DocstoreError], int]] = (
    (NotFound, 404),
    (RevisionConflict, 412),
    (AlreadyExists, 409),
    (InvalidTransition, 409),
    (LeaseLost, 409),
    (ScopeError, 403),
    (ReadOnlyStore, 403),
    (BlobsNotConfigured, 501),
    (ChecksumMismatch, 422),
    (SizeMismatch, 422),
    (QueryTimeout, 503),
    (BlobError, 503),
    (BackendError, 503),
)

# Attributes of errors that answers carry, where they are set.
_TOLD = ("path", "suggestion", "field", "expected", "current", "argument", "bound", "limit")
_DOWN = "The store is not available; try again later."


class Problem(BaseModel):
    """An error, as RFC 9457 has it.

    Attributes:
        type: always ``about:blank``: the status says what kind it is, and ``code`` which error.
        title: the status in words.
        status: of HTTP.
        detail: what is wrong, where, and what was expected.
        code: the error's name in snake case, such as ``unknown_operator``; ``None`` where HTTP says it all.
        path: where in the filter, such as ``$and/1/n/$gte2``; only of filter errors.
        suggestion: what may have been meant.
        errors: each thing that is wrong with the request.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str | None = None
    path: str | None = None
    suggestion: str | None = None
    errors: list[dict[str, Any]] | None = None


class ProblemResponse(JSONResponse):
    """A response of the type ``application/problem+json``."""

    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        """Return the JSON; a lone surrogate, which a request may carry and UTF-8 cannot, becomes ``?``."""
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


# The errors that `problem_of` knows.
ANSWERED = (HTTPException, RequestValidationError, DocstoreError)


class ShapedResponse(ProblemResponse):
    """A problem in an API's own form."""

    media_type = "application/json"


# Makes the status and the body of an API's own form from a problem.
Shape = Callable[[Problem], tuple[int, Mapping[str, Any]]]


def install_error_handlers(app: FastAPI, shape: Shape | None = None) -> None:
    """Answer an application's errors with problem details: docstore's, invalid requests, HTTP errors.

    A wrong filter, sort, page or document is 422 (a filter's problem carries ``path``), an unknown id 404, an
    id that is taken, a step that the status does not allow or a lost lease 409, another revision 412, a scope
    or a store that does not allow it 403, a store without ``blobs=`` 501, a failing database or storage 503.
    What the database said is logged by ``docstore.http``, not answered.

    Args:
        app: the application.
        shape: makes the status and the JSON body of an API that has its own form of errors; ``None``:
            problem details as they are.
    """

    def answer(request: Request, error: Exception) -> ProblemResponse:
        made = problem_of(error)
        if shape is None:
            return made
        status, body = shape(Problem.model_validate_json(bytes(made.body)))
        kept = {name: value for name, value in made.headers.items() if not name.startswith("content-")}
        return ShapedResponse(body, status, kept)

    for kind in ANSWERED:
        app.add_exception_handler(kind, answer)


def problem_of(error: Exception) -> ProblemResponse:
    """Return the answer to one of the errors in ``ANSWERED``."""
    if isinstance(error, HTTPException):
        return _answer(error.status_code, str(error.detail), headers=error.headers)
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors())
    assert isinstance(error, DocstoreError)
    return _refused(error)


def _answer(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> ProblemResponse:
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = f"Status {status}"
    told = {name: value for name, value in members.items() if value is not None}
    return ProblemResponse(
        {"type": "about:blank", "title": title, "status": status, "detail": detail, **told},
        status,
        dict(headers or {}),
    )


def _invalid(errors: Sequence[Any]) -> ProblemResponse:
    told = [{"loc": [str(step) for step in one["loc"]], "msg": str(one["msg"])} for one in errors]
    detail = "; ".join(f"{'.'.join(one['loc'][1:]) or '.'.join(one['loc'])}: {one['msg']}" for one in told)
    first = next((one for one in errors if "path" in (one.get("ctx") or {})), None)
    if first is None:
        return _answer(422, detail, code="invalid_request", errors=told)
    context = first["ctx"]
    return _answer(
        422, detail, code=first["type"], path=context["path"], suggestion=context["suggestion"], errors=told
    )


def _refused(error: DocstoreError) -> ProblemResponse:
    code = re.sub(r"(?<!^)([A-Z])", r"_\1", type(error).__name__).lower()
    if isinstance(error, BlobMissing) and error.key is None:
        return _answer(404, error.message, code=code)
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 422)
    if status < 500 or isinstance(error, QueryTimeout | BlobsNotConfigured):
        members = {name: getattr(error, name, None) for name in _TOLD}
        told = {name: value for name, value in members.items() if value != "" or name == "path"}
        return _answer(status, error.message, code=code, **told)
    _log.error(
        "%s: %s", type(error).__name__, error.message, exc_info=error,
        extra={"docstore_event": "request_failed", "docstore_error": type(error).__name__},
    )  # fmt: skip
    retryable = isinstance(error, BackendError) and error.retryable
    return _answer(status, _DOWN, code=code, headers={"Retry-After": "1"} if retryable else None)

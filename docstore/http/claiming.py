"""The routes of workers: documents taken out of the queue, and what becomes of them, by the claim's token."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from docstore.aio.store import AsyncStore
from docstore.aio.workers import AsyncClaim
from docstore.filter_type import Filter
from docstore.http.access import CallersView, View, answered
from docstore.models import Document
from docstore.workers import Claim

__all__ = ["claim", "complete", "fail", "heartbeat", "release"]

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class ClaimRequest(BaseModel):
    """What to take out of the queue; ``lease`` is in seconds."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=1000)] = 1
    filter: Filter | None = None
    lease: Seconds = 300.0
    worker: str | None = None
    max_attempts: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None


class Claimed(BaseModel):
    """A document that the caller alone holds until ``expires_at``; the token is what proves it."""

    document: Document
    token: str
    expires_at: datetime


class Held(BaseModel):
    """The token of a claim."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    token: str


class Beat(Held):
    """A claim, and the seconds from now that it is to be held."""

    lease: Seconds = 300.0


class Completed(Held):
    """A claim, and what was found."""

    content: str | None = None
    preview: str | None = None
    metadata: dict[str, Any] | None = None


class Failed(Held):
    """A claim, and what went wrong."""

    error: str


class Released(Held):
    """A claim, and what went wrong, if anything did."""

    error: str | None = None


class Lease(BaseModel):
    """When a lease ends."""

    expires_at: datetime


async def claim(view: CallersView, asked: ClaimRequest) -> list[Claimed]:
    """Take pending documents for a while: the oldest first, each for one caller alone."""
    claims = await answered(
        view.store.documents.claim, asked.limit, filter=asked.filter, lease=asked.lease, worker=asked.worker,
        max_attempts=asked.max_attempts,
    )  # fmt: skip
    return [Claimed(document=one.document, token=one.token, expires_at=one.expires_at) for one in claims]


async def heartbeat(view: CallersView, id: str, beat: Beat) -> Lease:
    """Let the lease of a claim end later."""
    held = await _claim(view, id, beat.token)
    return Lease(expires_at=await answered(held.heartbeat, beat.lease))


async def complete(view: CallersView, id: str, completed: Completed) -> Document:
    """Finish a claimed document."""
    held = await _claim(view, id, completed.token)
    document: Document = await answered(
        held.complete, **completed.model_dump(exclude_unset=True, exclude={"token"})
    )
    return document


async def fail(view: CallersView, id: str, failed: Failed) -> Document:
    """Give a claimed document up."""
    held = await _claim(view, id, failed.token)
    document: Document = await answered(held.fail, failed.error)
    return document


async def release(view: CallersView, id: str, released: Released) -> Document:
    """Give a claimed document back to the queue."""
    held = await _claim(view, id, released.token)
    document: Document = await answered(held.release, released.error)
    return document


async def _claim(view: View, id: str, token: str) -> Claim | AsyncClaim:
    """Return the claim that a token stands for; whether it holds, the store says when it is used.

    Raises:
        NotFound: there is no such document in this scope.
    """
    documents = view.store.documents
    document: Document = await answered(documents.get, id)
    if isinstance(view.store, AsyncStore):
        queue = await documents._blocking()
        return AsyncClaim(documents._shell, Claim(document, token, document.updated_at, 0.0, queue._queue))
    return Claim(document, token, document.updated_at, 0.0, documents._queue)

"""Claim: a document that one worker holds for a while, and what the worker can do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from docstore.models import Document

__all__ = ["Claim"]

if TYPE_CHECKING:
    from docstore.queue import Queue


@dataclass(slots=True, eq=False)
class Claim:
    """A document claimed by :meth:`Documents.claim`: nobody else has it until the lease ends.

    Every method raises LeaseLost, and writes nothing, once the lease ran out, the claim was ended, or the
    document is gone.

    Attributes:
        document: as it was claimed, ``processing``.
        token: the secret that stands for this claim.
        expires_at: when the lease ends, by the database's clock; :meth:`heartbeat` moves it.
        lease: seconds that the lease was asked for.
    """

    document: Document
    token: str = field(repr=False)
    expires_at: datetime
    lease: float
    _queue: Queue = field(repr=False)

    def heartbeat(self, lease: float | None = None) -> datetime:
        """Let the lease end later: ``lease`` seconds from now.

        Args:
            lease: seconds, more than 0; ``None`` is what was claimed for.

        Returns:
            When it ends now.

        Raises:
            LeaseLost: the claim no longer holds.
        """
        self.expires_at = self._queue._prolong(
            self.document, self.token, self.lease if lease is None else lease
        )
        return self.expires_at

    def complete(
        self,
        *,
        content: str | None = None,
        preview: str | None = None,
        content_state: str | None = None,
        content_note: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        processed_at: Any = None,
        touch: bool = True,
    ) -> Document:
        """Finish: the document is completed, the claim over. Arguments as for :meth:`Documents.complete`.

        Raises:
            LeaseLost: the claim no longer holds; nothing was written.
            InvalidDocument: a field cannot be stored; the claim goes on.
        """
        make = self._queue._completing(
            content=content,
            preview=preview,
            content_state=content_state,
            content_note=content_note,
            metadata=metadata,
            processed_at=processed_at,
        )
        return self._queue._held(self.document, self.token, make, touch=touch)

    def fail(self, error: str) -> Document:
        """Give up: the document is failed, the claim over.

        Args:
            error: the reason, for people.

        Raises:
            LeaseLost: the claim no longer holds; nothing was written.
            InvalidDocument: the reason is no text.
        """
        return self._queue._held(self.document, self.token, self._queue._failing(error))

    def release(self, error: str | None = None) -> Document:
        """Give the document back: it is pending again, the claim over. The attempt counts.

        Args:
            error: what went wrong, for people; ``None`` for nothing.

        Raises:
            LeaseLost: the claim no longer holds; nothing was written.
            InvalidDocument: the reason is no text.
        """
        return self._queue._held(self.document, self.token, self._queue._releasing(error))

"""AsyncClaim: a document that one worker holds for a while, awaited."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from docstore.aio.shell import Shell, Twin
from docstore.models import Document
from docstore.workers import Claim

__all__ = ["AsyncClaim"]


class AsyncClaim(Twin[Claim]):
    """A document claimed by :meth:`AsyncDocuments.claim`: :class:`~docstore.workers.Claim`, awaited.

    Every method raises LeaseLost, and writes nothing, once the claim no longer holds.
    """

    def __init__(self, shell: Shell, claim: Claim) -> None:
        self._shell = shell
        self._claim = claim

    async def _blocking(self) -> Claim:
        return self._claim

    @property
    def document(self) -> Document:
        """The document as it was claimed, ``processing``."""
        return self._claim.document

    @property
    def token(self) -> str:
        """The secret that stands for this claim."""
        return self._claim.token

    @property
    def expires_at(self) -> datetime:
        """When the lease ends, by the database's clock; :meth:`heartbeat` moves it."""
        return self._claim.expires_at

    @property
    def lease(self) -> float:
        """Seconds that the lease was asked for."""
        return self._claim.lease

    async def heartbeat(self, lease: float | None = None) -> datetime:
        """Let the lease end later: :meth:`Claim.heartbeat`, awaited."""
        return await self._shell.run("write", partial(self._claim.heartbeat, lease), first=True)

    async def complete(
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
        """Finish; the document is completed, the claim over: :meth:`Claim.complete`, awaited."""
        return await self._write(
            Claim.complete, content=content, preview=preview, content_state=content_state,
            content_note=content_note, metadata=metadata, processed_at=processed_at, touch=touch,
        )  # fmt: skip

    async def fail(self, error: str) -> Document:
        """Give up; the document is failed, the claim over: :meth:`Claim.fail`, awaited."""
        return await self._write(Claim.fail, error)

    async def release(self, error: str | None = None) -> Document:
        """Give the document back to the queue: :meth:`Claim.release`, awaited."""
        return await self._write(Claim.release, error)

    def __repr__(self) -> str:
        return f"<AsyncClaim of {self.document.id!r} until {self.expires_at.isoformat()}>"

"""The asynchronous work queue: AsyncClaim, and AsyncWorkers, the tasks behind ``process``."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from docstore.aio.calls import Hop, ThreadGroup, unbroken
from docstore.aio.shell import Shell, Twin
from docstore.context.store_context import StoreContext
from docstore.errors import DocstoreError, InvalidDocument, LeaseLost
from docstore.models import Document
from docstore.workers import (
    HEARTBEATS_PER_LEASE,
    STOP_LOOK_SECONDS,
    Claim,
    ProcessLog,
    ProcessReport,
    RetryDelay,
    Stop,
    completion_of,
)

__all__ = [
    "AsyncClaim",
    "AsyncHandler",
    "AsyncWorkers",
]


class AsyncClaim(Twin[Claim]):
    """A document claimed by :meth:`AsyncDocuments.claim`: :class:`~docstore.workers.Claim`, awaited.

    Every method raises LeaseLost, and writes nothing, once the claim no longer holds.
    """

    def __init__(self, shell: Shell, claim: Claim) -> None:
        self._shell = shell
        self._claim = claim

    def _of(self, root: StoreContext) -> Claim:
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


Result: TypeAlias = Mapping[str, Any] | str | None
# A coroutine function, run on the loop, or a plain function, run in a thread.
AsyncHandler: TypeAlias = Callable[[Document], Awaitable[Result]] | Callable[[Document], Result]


class AsyncWorkers:
    """One run of ``process``.

    Args:
        shell: of the store.
        handler: called with each document; a plain function in one of as many threads as there are workers.
        take: claims the next document, ``None`` if there is none.
        put_back: ends a claim whose handler failed, for so many seconds; returns the document as it is then.
        retry_delay, poll, stop: as for :class:`~docstore.workers.Workers`.
        workers: tasks.
        lease: seconds of a claim.
        on_progress: called with the number of documents finished so far; may be a coroutine function.
    """

    def __init__(
        self,
        shell: Shell,
        handler: AsyncHandler,
        take: Callable[[], Awaitable[AsyncClaim | None]],
        put_back: Callable[[AsyncClaim, BaseException, float], Awaitable[Document]],
        *,
        retry_delay: RetryDelay,
        workers: int,
        lease: float,
        on_progress: Callable[[int], object] | None,
        poll: float | None,
        stop: Stop | None,
    ) -> None:
        self._log = ProcessLog(retry_delay, poll)
        self._stop = stop
        self._shell = shell
        self._threads = ThreadGroup("docstore-handler", workers)
        self._handler = handler
        self._take = take
        self._put_back = put_back
        self._workers = workers
        self._lease = lease
        self._on_progress = on_progress
        self._active: dict[str, AsyncClaim] = {}

    async def run(self) -> ProcessReport:
        """Work until nothing is left to claim.

        Raises:
            Exception: the first that the database or ``on_progress`` raised; the other handlers are
            cancelled.
            CancelledError: the caller was cancelled; what was being handled is back in the queue.
        """
        heart = asyncio.ensure_future(self._beat())
        tasks = [asyncio.ensure_future(self._work()) for _ in range(self._workers)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in (heart, *tasks):
                task.cancel()
            self._threads.close()
            await unbroken(_all(heart, *tasks))
        return self._log.report(interrupted=self._stops())

    async def _work(self) -> None:
        while not self._stops():
            claim = await self._take()
            if claim is None:
                if not await self._waited():
                    break
                continue
            self._active[claim.document.id] = claim
            try:
                outcome = await self._outcome(claim)
            # Another worker has the document now, and says what became of it.
            except LeaseLost:
                outcome = "lost"
            finally:
                self._active.pop(claim.document.id, None)
            await self._count(outcome)

    def _stops(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    async def _waited(self) -> bool:
        """Wait until something may be pending again; return false if nothing will be."""
        wait = self._log.seconds_to_wait()
        if wait is None:
            return False
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0 and not self._stops():
            await asyncio.sleep(left if self._stop is None else min(left, STOP_LOOK_SECONDS))
        return True

    async def _outcome(self, claim: AsyncClaim) -> str:
        """Run the handler and end the claim; return what to count. A cancellation gives the claim back."""
        try:
            try:
                fields = completion_of(await self._handled(claim.document))
            except Exception as failure:
                return await self._failed(claim, failure)
            try:
                await claim.complete(**fields)
            except (InvalidDocument, TypeError) as failure:
                return await self._failed(claim, failure)
        except Exception:
            raise
        except BaseException:
            await unbroken(_given_back(claim))
            raise
        return "completed"

    async def _failed(self, claim: AsyncClaim, failure: Exception) -> str:
        try:
            delay = self._log.delay_after(claim.document.attempts)
        except Exception:
            await _given_back(claim)
            raise
        return self._log.failed(await self._put_back(claim, failure, delay), delay)

    async def _handled(self, document: Document) -> Any:
        if inspect.iscoroutinefunction(self._handler):
            return await self._handler(document)
        hop: Hop[Any] = Hop(partial(self._handler, document), self._threads, foreign=True)
        result = await self._shell.follow(hop)
        return await result if inspect.isawaitable(result) else result

    async def _count(self, outcome: str) -> None:
        finished = self._log.count(outcome)
        if self._on_progress is not None and finished is not None:
            told = self._on_progress(finished)
            if inspect.isawaitable(told):
                await told

    async def _beat(self) -> None:
        """Prolong the leases of what is being handled, until cancelled."""
        while True:
            await asyncio.sleep(self._lease / HEARTBEATS_PER_LEASE)
            for id, claim in list(self._active.items()):
                try:
                    await claim.heartbeat()
                except LeaseLost:
                    self._active.pop(id, None)
                except DocstoreError:
                    continue  # the database is away: the next beat may reach it, else the lease runs out


async def _given_back(claim: AsyncClaim) -> None:
    """Release a claim; where that fails, its lease runs out."""
    try:
        await claim.release()
    # The database is away or the lease is over: either way the document comes back by itself.
    except DocstoreError:
        return


async def _all(*tasks: asyncio.Future[Any]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)

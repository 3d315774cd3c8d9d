"""Who is calling: the scope of a request, and the store confined to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from docstore.aio.store import AsyncStore
from docstore.store import Store
from docstore.validation import scope_text

__all__ = ["Caller", "CallersView", "View", "answered", "binding"]


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request may see and touch: this tenant's and owner's documents.

    Args:
        tenant, owner: non-empty texts. ``None`` confines no further than the store that the router was given;
            with neither, that is all of it (a store opened with ``scope_required=True`` refuses).

    Raises:
        ScopeError: a part is empty or no text.
    """

    tenant: str | None = None
    owner: str | None = None

    def __post_init__(self) -> None:
        """Check both parts."""
        for name in ("tenant", "owner"):
            if getattr(self, name) is not None:
                scope_text(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class View:
    """What the handlers of one request work on.

    Attributes:
        store: confined to the caller; blocking or asynchronous.
        caller: who asks.
        max_upload: bytes of a file, at most.
    """

    store: Any
    caller: Caller
    max_upload: int


def binding(store: Any, caller: Callable[..., Any], max_upload: int) -> Callable[..., Any]:
    """Return the dependency of all routes that finds the caller and confines the store.

    Args:
        store: a Store, an AsyncStore, or a dependency that returns one.
        caller: a dependency that returns a :class:`Caller`.
        max_upload: bytes of a file, at most.

    Raises:
        TypeError: one of the two is of another type.
    """
    if not callable(caller):
        raise TypeError(f"caller: expected a dependency that returns a Caller, not {type(caller).__name__}")
    if isinstance(store, Store | AsyncStore):
        known = store

        async def source() -> Any:
            return known
    elif callable(store):
        source = store
    else:
        kind = type(store).__name__
        raise TypeError(f"store: expected a Store, an AsyncStore or a dependency, not {kind}")

    held_by, asked_by = Depends(source), Depends(caller)

    async def bind(request: Request, held: Any = held_by, who: Any = asked_by) -> None:
        if not isinstance(who, Caller):
            raise TypeError(f"the caller dependency returned {type(who).__name__}; expected a Caller")
        parts = {"tenant": who.tenant, "owner": who.owner}
        given = {name: value for name, value in parts.items() if value is not None}
        request.state.docstore = View(held.scoped(**given) if given else held, who, max_upload)

    return bind


async def _bound(request: Request) -> View:
    view: View = request.state.docstore
    return view


CallersView = Annotated[View, Depends(_bound)]
"""The view that :func:`binding` made for this request."""


async def answered(method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a method of either store: a coroutine function is awaited, another runs in a thread."""
    if inspect.iscoroutinefunction(method):
        return await method(*args, **kwargs)
    return await run_in_threadpool(method, *args, **kwargs)

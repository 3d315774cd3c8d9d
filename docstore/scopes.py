"""Scopes: how the scope of a view becomes a narrower one, and never a wider."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from docstore.backend import Scope
from docstore.checks import scope_text
from docstore.errors import ScopeError, shown

__all__ = ["UNSET", "check_unscoped", "narrowed"]

UNSET: Any = object()
"""The default of an argument whose ``None`` is an error."""


def narrowed(scope: Scope, tenant: str = UNSET, owner: str = UNSET) -> Scope:
    """Return a scope confined further; arguments and errors as for :meth:`Store.scoped`."""
    given = {name: value for name, value in (("tenant", tenant), ("owner", owner)) if value is not UNSET}
    if not given:
        raise ScopeError("scoped() needs tenant=, owner= or both")
    for name, value in given.items():
        scope_text(name, value)
        fixed = getattr(scope, name)
        if fixed is not None and fixed != value:
            raise ScopeError(
                f"{name}={shown(value)}: this view is confined to {name}={shown(fixed)}; scopes only narrow"
            )
    return replace(scope, **given)


def check_unscoped(scope: Scope) -> None:
    """Raise ScopeError if ``scope`` confines to anything."""
    if scope != Scope():
        raise ScopeError("this view is confined to a scope: scopes only narrow")

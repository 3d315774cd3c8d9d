"""Keys of callers over HTTP: ``--key`` and ``DOCSTORE_KEYS`` of `docstore serve` and `docstore mcp`."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from docstore.errors import ScopeError
from docstore.validation import scope_text

__all__ = ["AccessKey", "is_loopback", "key_of", "read_keys"]

_FORM = "NAME=SECRET[,tenant=T][,owner=O]"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A secret, and whose documents it opens.

    Attributes:
        name: who has it, for people to read.
        secret: sent as ``Authorization: Bearer SECRET``.
        tenant, owner: what it is confined to; ``None`` confines no further.
    """

    name: str
    secret: str = field(repr=False)
    tenant: str | None = None
    owner: str | None = None

    def view_of(self, store: Any) -> Any:
        """Return the view of a Store or AsyncStore that this key opens.

        Raises:
            ScopeError: the store is confined to another tenant or owner.
        """
        scope = {name: value for name in ("tenant", "owner") if (value := getattr(self, name)) is not None}
        return store.scoped(**scope) if scope else store


def read_keys(given: Iterable[str], environment: str = "") -> tuple[AccessKey, ...]:
    """Read keys as people write them: ``NAME=SECRET[,tenant=T][,owner=O]``.

    Args:
        given: one key each.
        environment: more of them, separated by white space or semicolons.

    Raises:
        ValueError: one cannot be read, or two have the same name or secret. The message never shows a secret.
    """
    keys = [_read(text) for text in (*given, *re.split(r"[\s;]+", environment)) if text]
    for what in ("name", "secret"):
        if len({getattr(key, what) for key in keys}) < len(keys):
            raise ValueError(f"two keys have the same {what}")
    return tuple(keys)


def _read(text: str) -> AccessKey:
    first, *scope = text.split(",")
    name, _, secret = first.partition("=")
    if not name or not secret:
        raise ValueError(f"a key has no name or no secret; expected {_FORM}")
    if not secret.isascii():
        raise ValueError(f"the secret of key {name!r} holds what a header cannot; expected ASCII characters")
    parts: dict[str, str] = {}
    for part in scope:
        kind, _, value = part.partition("=")
        if kind not in ("tenant", "owner") or kind in parts:
            raise ValueError(f"key {name!r} has {kind!r} behind its secret; expected {_FORM}")
        try:
            parts[kind] = scope_text(kind, value)
        except ScopeError as error:
            raise ValueError(f"key {name!r}: {error}") from None
    return AccessKey(name, secret, **parts)


def key_of(authorization: str | None, keys: Sequence[AccessKey]) -> AccessKey | None:
    """Return the key that a request's ``Authorization`` names, ``None`` if it is none of these.

    Every key is compared, in a time that does not depend on how much of it is right.
    """
    scheme, _, secret = (authorization or "").partition(" ")
    sent = secret.strip().encode("utf-8", "replace")
    found = [key for key in keys if hmac.compare_digest(sent, key.secret.encode())]
    return found[0] if found and scheme.lower() == "bearer" else None


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server that listens at ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

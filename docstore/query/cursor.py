"""Cursors: a position between two rows, as opaque URL-safe text.

A cursor holds the sort values of the row it stands at (keyset, never an offset), the way it goes, and a
digest of the query it belongs to. The same position in the same query is the same text on every backend.
Before base64 it is::

    1 byte    0x10 | 1 backwards | 2 deflated | 4 signed
    8 bytes   digest of the query: binding
    n bytes   the sort values' bytes (docstore.query.sorting), deflated where that is shorter
    16 bytes  the first half of the HMAC-SHA256 of all before, if signed

A store with secrets takes signed cursors only, one without them only unsigned ones. An unsigned cursor can be
forged; that moves the position and nothing else: filter and scope are never read from it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from docstore.errors import InvalidCursor
from docstore.limits import DEFAULT_LIMITS, Limits
from docstore.query.expr import Scope, SortKey, SortValue
from docstore.query.fields import Collection, Field, Kind
from docstore.query.instants import MAX_INSTANT, MIN_INSTANT
from docstore.query.sorting import order_bytes, position_value, whole_numbers

Way: TypeAlias = Literal["next", "prev"]

# Bits of a cursor's first byte.
_VERSION, _BACKWARDS, _DEFLATED, _SIGNED = 0x10, 1, 2, 4
# Eight bytes tell one's own queries apart; sixteen keep a signature from being guessed.
_DIGEST_BYTES, _MAC_BYTES = 8, 16
# Stands before what is signed: no other use of the secret gives a MAC that is a cursor's.
_CONTEXT = b"docstore cursor\0"
# Bytes of sort values from which deflating is tried. A number takes 11, so that most cursors stay below.
_WORTH_DEFLATING = 96
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")
_INT64 = range(-(1 << 63), 1 << 63)


def signing_keys(cursor_secret: str | bytes | Sequence[str | bytes] | None) -> tuple[bytes, ...]:
    """Return the secrets that sign (the first) and verify (all) cursors.

    Args:
        cursor_secret: one secret, or several while one replaces another; ``None``: cursors are not signed.

    Raises:
        ValueError: an empty secret or an empty list, or another type.
    """
    if cursor_secret is None:
        return ()
    given = [cursor_secret] if isinstance(cursor_secret, str | bytes) else cursor_secret
    if not isinstance(given, list | tuple) or not given:
        raise ValueError("cursor_secret: expected text, bytes, or a non-empty list of them")
    secrets = []
    for secret in given:
        if not isinstance(secret, str | bytes) or not secret:
            raise ValueError("cursor_secret: expected each secret to be non-empty text or bytes")
        secrets.append(secret.encode() if isinstance(secret, str) else bytes(secret))
    return tuple(secrets)


def binding(
    collection: Collection,
    filter_text: str,
    search: str | None,
    order: Sequence[SortKey],
    latest_only: bool,
    scope: Scope,
) -> bytes:
    """Return the digest of a query that its cursors carry: another in any of these has another.

    Args:
        collection: what is listed.
        filter_text: a canonical text of the filter's Expr.
        search: as given; ``None`` and ``""`` are the same.
        order: the whole order, ``number`` included.
        latest_only: whether only the newest versions are listed.
        scope: the tenant and owner.
    """
    keys = [[key.path, key.descending, key.largest] for key in order]
    said = [collection.name, filter_text, search or "", keys, latest_only, scope.tenant, scope.owner]
    text = json.dumps(said, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES, person=b"docstore cursor").digest()


def encode(position: Sequence[SortValue], way: Way, bound: bytes, secrets: Sequence[bytes] = ()) -> str:
    """Return the cursor that stands at ``position`` and goes ``way``.

    Args:
        position: the row's sort value under each key of the order.
        way: ``"next"`` is forwards in the order, ``"prev"`` backwards.
        bound: the query's :func:`binding`.
        secrets: of :func:`signing_keys`; none: unsigned.
    """
    body = b"".join(map(order_bytes, position))
    flags = _VERSION | (_BACKWARDS if way == "prev" else 0) | (_SIGNED if secrets else 0)
    if len(body) > _WORTH_DEFLATING and len(deflated := _deflate(body)) < len(body):
        flags, body = flags | _DEFLATED, deflated
    raw = bytes((flags,)) + bound + body
    return _as_text(raw + _mac(secrets[0], raw) if secrets else raw)


def decode(
    text: str, bound: bytes, order: Sequence[SortKey], collection: Collection, secrets: Sequence[bytes] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[tuple[SortValue, ...], Way]:  # fmt: skip
    """Return where a cursor stands and which way it goes.

    Args:
        text: the cursor.
        bound: the :func:`binding` of the query that it is used in.
        order: that query's whole order.
        collection: what it lists.
        secrets: of :func:`signing_keys`; none: cursors are unsigned.
        limits: bound how much a cursor may unfold to.

    Returns:
        One sort value a key, and ``"next"`` or ``"prev"``.

    Raises:
        InvalidCursor: it is damaged, forged, or belongs to another query.
    """
    flags, digest, body = _opened(_as_bytes(text), secrets)
    if not hmac.compare_digest(digest, bound):
        raise InvalidCursor(
            "the cursor belongs to another collection, filter, search, sort, latest_only or scope"
        )
    if flags & _DEFLATED:
        # No value's sort bytes are twelve times its JSON: a digit is the worst, with eleven.
        body = _inflate(body, 65_536 + 12 * limits.metadata_bytes)
    position = _values(body, len(order), limits.metadata_depth + 1)
    for value, key in zip(position, order, strict=True):
        if not _fits(value, key, collection.fields[key.path[0]]):
            raise _damaged("a value does not fit its sort key")
    return position, "prev" if flags & _BACKWARDS else "next"


def _damaged(why: str) -> InvalidCursor:
    return InvalidCursor(
        f"the cursor is damaged: {why}; take it unchanged from a page's next_cursor or prev_cursor"
    )


def _as_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _as_bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise InvalidCursor(f"a cursor is text, not a {type(text).__name__}")
    if not _ALPHABET.fullmatch(text):
        raise _damaged("it has characters that no cursor has")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise _damaged("its length is wrong") from None
    # base64 ignores the last character's spare bits. Were they not 0, two texts would be one cursor.
    if len(text) % 4 and _as_text(raw[-(len(raw) % 3) :]) != text[-(len(text) % 4) :]:
        raise _damaged("it ends wrongly")
    return raw


def _opened(raw: bytes, secrets: Sequence[bytes]) -> tuple[int, bytes, bytes]:
    """Take ``raw`` apart into flags, digest and body, its signature verified."""
    flags = raw[0]
    if bool(flags & _SIGNED) != bool(secrets):
        raise InvalidCursor(
            "the cursor is not signed" if secrets else "the cursor is signed, the store has no cursor_secret"
        )
    if secrets:
        raw, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not any(hmac.compare_digest(mac, _mac(secret, raw)) for secret in secrets):
            raise _damaged("its signature is wrong")
    if flags & ~(_BACKWARDS | _DEFLATED | _SIGNED) != _VERSION or len(raw) < 1 + _DIGEST_BYTES:
        raise _damaged("it has another form")
    return flags, raw[1 : 1 + _DIGEST_BYTES], raw[1 + _DIGEST_BYTES :]


def _mac(secret: bytes, raw: bytes) -> bytes:
    return hmac.digest(secret, _CONTEXT + raw, "sha256")[:_MAC_BYTES]


def _deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(body) + packer.flush()


def _inflate(body: bytes, at_most: int) -> bytes:
    unpacker = zlib.decompressobj(-15)
    try:
        unfolded = unpacker.decompress(body, at_most)
    except zlib.error:
        raise _damaged("it cannot be unfolded") from None
    # What encode() would not have deflated was written by somebody else.
    if not unpacker.eof or unpacker.unused_data or len(unfolded) <= _WORTH_DEFLATING:
        raise _damaged("it cannot be unfolded")
    return unfolded


def _values(body: bytes, count: int, depth: int) -> tuple[SortValue, ...]:
    """Read ``count`` values that fill ``body`` and are written as :func:`encode` writes them."""
    numbers = whole_numbers(body)
    if numbers is not None and len(numbers) == count:
        return numbers
    found, at = [], 0
    try:
        for _ in range(count):
            value, at = position_value(body, at, depth)
            found.append(value)
    except (ValueError, RecursionError):
        raise _damaged("it holds no sort values") from None
    # Written anew they are the same bytes: a forged cursor must not spell a value in a second way.
    if at != len(body) or b"".join(map(order_bytes, found)) != body:
        raise _damaged("it holds no sort values")
    return tuple(found)


def _fits(value: SortValue, key: SortKey, field: Field) -> bool:
    if type(value) is int and field.kind is Kind.INSTANT:
        return MIN_INSTANT <= value <= MAX_INSTANT
    if len(key.path) > 1 or field.kind is Kind.JSON:
        return not _has_nul(value)
    if value is None:
        return field.nullable
    match field.kind:
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.INTEGER:
            return type(value) is int and value in _INT64
        case Kind.INSTANT:
            return False
    return isinstance(value, str) and "\0" not in value


def _has_nul(value: SortValue) -> bool:
    """Tell whether a text within ``value`` has a NUL, which no stored text has."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))

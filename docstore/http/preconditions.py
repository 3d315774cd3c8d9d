"""Conditional requests and ranges (RFC 9110): If-Match, If-None-Match, If-Range, Range."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import HTTPException

from docstore.errors import RevisionConflict
from docstore.http.access import answered

__all__ = ["byte_range", "is_known", "revision_asked"]

_TAG = re.compile(r'(W/)?"([^"]*)"')
_RANGE = re.compile(r"bytes=([0-9]{0,30})-([0-9]{0,30})", re.ASCII | re.IGNORECASE)


async def revision_asked(if_match: str | None, get: Callable[..., Any], id: str) -> int | None:
    """Return the revision that ``If-Match`` asks for, ``None`` for any.

    Args:
        if_match: the header: a revision, with quotes or without, a list of them, or ``*``.
        get: of the collection.
        id: of the record.

    Raises:
        NotFound: there is no such record.
        RevisionConflict: the header names no revision, or several and none is the record's.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    revisions = _revisions(if_match)
    if len(revisions) == 1:
        return revisions.pop()
    current: int = (await answered(get, id)).revision
    if current in revisions:
        return current
    raise RevisionConflict(
        f"the document has revision {current}; If-Match asks for another", id=id, expected=0, current=current
    )


def _revisions(text: str) -> set[int]:
    """Return the revisions that are named; a weak tag is none, as the comparison is strong."""
    named = {text.strip()} | {tag for weak, tag in _TAG.findall(text) if not weak}
    return {int(one) for one in named if re.fullmatch("[0-9]{1,18}", one, re.ASCII)}


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Return whether ``If-None-Match`` names this tag, given with its quotes."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag.strip('"') in {one for _, one in _TAG.findall(if_none_match)}


def byte_range(asked: str | None, if_range: str | None, tag: str, size: int) -> tuple[int, int] | None:
    """Return the first byte asked for and the one behind the last, ``None`` for all of them.

    Several ranges, other units and malformed ones are answered with the whole, as the standard allows.

    Raises:
        HTTPException: 416, no such byte is there.
    """
    found = _RANGE.fullmatch(asked.strip()) if asked is not None else None
    if found is None or (if_range is not None and if_range.strip() != tag):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if first and last and int(first) > int(last):
        return None
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
    else:
        start, end = max(0, size - int(last)), size
    if start >= size or start >= end:
        raise HTTPException(
            416, f"the file has {size} bytes; none is in the range", {"Content-Range": f"bytes */{size}"}
        )
    return start, end

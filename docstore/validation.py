"""Validation of callers' values for a record's fields, and their conversion to what rows hold. No I/O.

Every refusal is an InvalidDocument that says which field, what is wrong and what was expected.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import datetime, tzinfo
from itertools import chain
from math import isfinite
from types import NoneType
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_json

from docstore.errors import InvalidDocument, ScopeError, shown, shown_path
from docstore.limits import Limits
from docstore.query.fields import STATUSES
from docstore.query.instants import format_instant, from_datetime, parse_instant
from docstore.query.values import (
    INT64_MAX,
    INT64_MIN,
    NotJson,
    by_value,
    canonical_size,
    check_text,
    plain,
    plain_text,
)

__all__ = [
    "Checks",
    "check_order",
    "collapsed",
    "plain_texts",
    "scope_text",
]

# A b-tree entry of Postgres holds 2,704 bytes, and the widest of ours has three keys.
KEY_BYTES = 800
# Of the content, where the caller gives no preview.
PREVIEW_CHARACTERS = 200


def collapsed(content: str) -> str:
    """Return the preview of ``content``: its first 200 characters with white space collapsed."""
    return " ".join(content[: PREVIEW_CHARACTERS * 8].split())[:PREVIEW_CHARACTERS].rstrip()


def scope_text(name: str, value: Any) -> str:
    """Return a tenant or owner, checked.

    Raises:
        ScopeError: it is not a plain non-empty text of at most 800 bytes in UTF-8.
    """
    if type(value) is not str or not value:
        raise ScopeError(f"{name}={shown(value)}: expected a non-empty str")
    if len(value) <= KEY_BYTES and value.isascii() and "\0" not in value:
        return value
    try:
        size = len(check_text(value).encode())
    except NotJson as wrong:
        raise ScopeError(f"{name}: {wrong.reason}; expected {wrong.expected}") from None
    if size > KEY_BYTES:
        raise ScopeError(f"{name}: {size} bytes of UTF-8; expected at most {KEY_BYTES}")
    return value


def check_order(created: int | None, updated: int | None) -> None:
    """Refuse a record that would be updated before it was created.

    Raises:
        InvalidDocument: it would.
    """
    if created is not None and updated is not None and updated < created:
        raise InvalidDocument(
            f"updated_at: {format_instant(updated)} is before created_at, {format_instant(created)}",
            field="updated_at",
        )


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks under one store's bounds and time zone."""

    limits: Limits
    default_timezone: tzinfo | None
    metadata_default: Callable[[Any], Any] | None = None

    def text(self, field: str, value: Any) -> str:
        """Return ``value`` as plain text without NUL and lone surrogates."""
        if type(value) is str and value.isascii() and "\0" not in value:
            return value
        value = by_value(value)
        if not isinstance(value, str):
            raise InvalidDocument(f"{field}: expected text, not {type(value).__name__}", field=field)
        try:
            return check_text(value)
        except NotJson as wrong:
            raise InvalidDocument(
                f"{field}: {wrong.reason}; expected {wrong.expected}", field=field
            ) from None

    def key(self, field: str, value: Any) -> str:
        """Return an id: non-empty text of at most 800 bytes in UTF-8, so that every database can index it."""
        if type(value) is str and 0 < len(value) <= KEY_BYTES and value.isascii() and "\0" not in value:
            return value
        text = self.text(field, value)
        size = len(text) if text.isascii() else len(text.encode())
        if not 0 < size <= KEY_BYTES:
            raise InvalidDocument(f"{field}: {size} bytes of UTF-8; expected 1 to {KEY_BYTES}", field=field)
        return text

    def filename(self, value: Any) -> str:
        """Return a filename, stored verbatim."""
        plain = type(value) is str and value.isascii() and "\0" not in value
        text = value if plain else self.text("filename", value)
        if len(text) > self.limits.filename_characters:
            raise InvalidDocument(
                f"filename: {len(text)} characters; expected at most {self.limits.filename_characters}",
                field="filename",
            )
        return text

    def content(self, value: Any) -> str:
        """Return extracted text: NUL becomes U+FFFD."""
        value = by_value(value)
        return self.text(
            "content", value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
        )

    def status(self, value: Any) -> str:
        """Return one of the four words."""
        return self.choice("status", value, STATUSES)

    def choice(self, field: str, value: Any, choices: Sequence[str]) -> str:
        """Return one of the words that the field may be."""
        if type(value) is str and value in choices:
            return value
        text = self.text(field, value)
        if text not in choices:
            raise InvalidDocument(f"{field}: {shown(text)} is none of {', '.join(choices)}", field=field)
        return text

    def cut_content(self, row: dict[str, Any]) -> None:
        """Cut a row's content to the bound, and say so in its ``content_state`` and ``content_note``."""
        content, bound = row["content"], self.limits.content
        if content is None or len(content) <= bound:
            return
        note, cut = row.get("content_note"), f"cut at {bound:,} characters"
        row["content"] = content[:bound]
        row["content_state"] = "partial"
        row["content_note"] = f"{note}; {cut}" if note else cut

    def instant(self, field: str, value: Any) -> int:
        """Return a datetime or RFC 3339 text as microseconds since the epoch."""
        try:
            if type(value) is datetime:
                return from_datetime(value, self.default_timezone)
            value = by_value(value) if not isinstance(value, datetime) else value
            return parse_instant(value, self.default_timezone)
        except (ValueError, TypeError) as wrong:
            raise InvalidDocument(f"{field}: {wrong}", field=field) from None

    def size(self, value: Any) -> int:
        """Return a number of bytes."""
        return self.whole("size", value)

    def whole(self, field: str, value: Any) -> int:
        """Return a whole number from 0 within int64."""
        value = by_value(value)
        if type(value) is not int or not 0 <= value <= INT64_MAX:
            raise InvalidDocument(
                f"{field}: {shown(value)}; expected a whole number of at least 0", field=field
            )
        return int(value)

    def sha256(self, value: Any) -> str:
        """Return a sha256 as 64 lower-case hexadecimal digits."""
        text = self.text("sha256", value).lower()
        if len(text) != 64 or text.strip("0123456789abcdef"):
            raise InvalidDocument(f"sha256: {shown(value)}; expected 64 hexadecimal digits", field="sha256")
        return text

    def flag(self, field: str, value: Any) -> bool:
        """Return a bool."""
        if not isinstance(value, bool):
            raise InvalidDocument(f"{field}: {shown(value)}; expected True or False", field=field)
        return value

    def scores(self, value: Any) -> dict[str, float]:
        """Return confidence scores: a number for each field."""
        made = self.object("confidence_scores", value)
        for name, score in made.items():
            if isinstance(score, bool) or not isinstance(score, int | float):
                raise InvalidDocument(
                    f"confidence_scores.{name}: {shown(score)}; expected a number",
                    field=f"confidence_scores.{name}",
                )
        return {name: float(score) for name, score in made.items()}

    def flags(self, value: Any) -> dict[str, bool]:
        """Return review flags: True or False for each field."""
        made = self.object("review_flags", value)
        return {name: self.flag(f"review_flags.{name}", flag) for name, flag in made.items()}

    def threshold(self, value: Any) -> float:
        """Return the score below which a field is flagged."""
        value = by_value(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise InvalidDocument(f"review_below: {shown(value)}; expected a number", field="review_below")
        return float(value)

    def object(self, field: str, value: Any) -> dict[str, Any]:
        """Return a JSON object within the bounds, of Python's own types."""
        is_record = is_dataclass(value) and not isinstance(value, type)
        if not isinstance(value, Mapping | BaseModel) and not is_record:
            raise InvalidDocument(
                f"{field}: expected an object (a dict, a dataclass or a Pydantic model), not"
                f" {type(value).__name__}",
                field=field,
            )
        try:
            made: dict[str, Any] = plain(
                value,
                default_timezone=self.default_timezone,
                depth=self.limits.metadata_depth,
                default=self.metadata_default,
            )
        except NotJson as wrong:
            where = (field, *wrong.where)
            raise InvalidDocument(
                f"{shown_path(where, '.')}: {wrong.reason}; expected {wrong.expected}", field=".".join(where)
            ) from None
        return made

    def metadata(self, value: Any) -> str:
        """Return the text of a record's metadata."""
        return self.json("metadata", value)

    def json(self, field: str, value: Any) -> str:
        """Return a JSON object's text, its keys in the order given."""
        if type(value) is dict:
            limits = self.limits
            text = plain_text(value, limits.metadata_depth)
            if text is not None and len(text) <= limits.metadata_bytes:
                return text.decode()
        return self.json_text(field, self.object(field, value))

    def json_text(self, field: str, value: dict[str, Any]) -> str:
        """Return the text of a checked object, refusing one that is too large."""
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if len(text) * 4 > self.limits.metadata_bytes and canonical_size(value) > self.limits.metadata_bytes:
            raise InvalidDocument(
                f"{field}: {canonical_size(value)} bytes of JSON; "
                f"expected at most {self.limits.metadata_bytes}",
                field=field,
            )
        return text


# Types of which every value is plain; of texts the encoder sees what is wrong.
_BY_TYPE: Final = frozenset({str, bool, NoneType})
# More values than that a document, and they are not looked at together: a value that holds itself has no end.
_LARGE: Final = 256


def plain_texts(objects: Sequence[dict[Any, Any]], depth: int, most: int) -> list[str] | None:
    """Return the JSON text of each object, as :meth:`Checks.json` does of one.

    Args:
        objects: anything in dictionaries.
        depth: levels of arrays and objects that are allowed.
        most: bytes that a text may have.

    Returns:
        The texts; ``None`` where one of the objects has to be changed or refused, or may have to be.
    """
    if not _are_plain(objects, depth, _LARGE * len(objects)):
        return None
    try:
        texts = list(map(to_json, objects))
    except ValueError:  # a lone surrogate
        return None
    if max(map(len, texts)) > most or b"\\u0000" in b"\n".join(texts):
        return None
    return list(map(bytes.decode, texts))


def _are_plain(column: Sequence[Any], depth: int, left: int) -> bool:
    """Return whether there are only Python's own types within bounds, texts left aside, and no number whose
    two writers differ; at most ``left`` values.
    """
    every = set(map(type, column))
    for kind in every - _BY_TYPE:
        members: Sequence[Any] = column
        if len(every) > 1:
            members = [value for value in column if type(value) is kind]
        if kind is int:
            fits = min(members) >= INT64_MIN and max(members) <= INT64_MAX
        elif kind is float:
            fits = _are_alike(members)
        elif kind is dict:
            fits = depth > 0 and _are_objects(members, depth, left)
        elif kind is list:
            fits = depth > 0 and _are_arrays(members, depth, left)
        else:
            fits = False
        if not fits:
            return False
    return True


def _are_alike(numbers: Sequence[float]) -> bool:
    """Return whether all writers of JSON write these numbers alike."""
    if min(numbers) >= 1e-4 and max(numbers) < 1e16 and sum(numbers) > 0:  # a NaN makes the sum one
        return True
    return all(1e-4 <= abs(number) < 1e16 or repr(number) == "0.0" for number in numbers)


def _are_arrays(arrays: Sequence[list[Any]], depth: int, left: int) -> bool:
    size = sum(map(len, arrays))
    if size > left:
        return False
    return not size or _are_plain(list(chain.from_iterable(arrays)), depth - 1, left - size)


def _are_objects(objects: Sequence[dict[Any, Any]], depth: int, left: int) -> bool:
    """Look at objects of one shape member by member, at others all at once."""
    shapes = set(map(tuple, objects))
    left -= len(objects) * len(objects[0]) if len(shapes) == 1 else sum(map(len, objects))
    if left < 0 or not set(map(type, chain.from_iterable(shapes))) <= {str}:
        return False
    if len(shapes) == 1:
        columns = zip(*map(dict.values, objects), strict=True)
        return all(_are_plain(column, depth - 1, left) for column in columns)
    return _are_plain(list(chain.from_iterable(map(dict.values, objects))), depth - 1, left)

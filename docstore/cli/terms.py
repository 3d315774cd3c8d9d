"""Terms: what people write on a command line for a filter, for what is to be set, and for one document.

``key=value key!=value key>value key~glob key?`` and JSON objects; a key is a field of the record, else one of
its metadata. A document is named by an id or the unique beginning of one, an external_id, a filename.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import click

from docstore.query.fields import DOCUMENTS, Kind

if TYPE_CHECKING:
    from docstore.models import Document
    from docstore.store import Store

__all__ = [
    "assignments_of",
    "documents_named",
    "field_of",
    "filter_of",
    "named",
    "value_of",
]

_TERM = re.compile(r"(?P<key>[^\s=!<>~?:]+)(?P<operator>:=|!=|>=|<=|=|>|<|~|\?\Z)(?P<value>.*)", re.DOTALL)
_OPERATORS = {"!=": "$ne", ">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kKMGT]i?B?|B)")
_POWERS = {"k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_TEXTS = (Kind.TEXT, Kind.CHOICE)
_EXPECTED = "key=value, key!=value, key>value, key~glob, key?, key:=JSON or a JSON object"


def filter_of(terms: Iterable[str]) -> dict[str, Any]:
    """Return the filter that asks for all terms.

    Raises:
        click.BadParameter: one cannot be read.
    """
    parts = [_json_filter(term) if _is_json(term) else _condition(term) for term in terms]
    return parts[0] if len(parts) == 1 else {"$and": parts}


def assignments_of(terms: Iterable[str]) -> dict[str, Any]:
    """Return what ``key=value`` and ``key:=JSON`` set, by field path.

    Raises:
        click.BadParameter: one is no assignment.
    """
    made: dict[str, Any] = {}
    for term in terms:
        found = _TERM.fullmatch(term)
        if found is None or found["operator"] not in ("=", ":="):
            raise _bad(term, "key=value or key:=JSON")
        field = field_of(found["key"])
        given = found["value"]
        made[field] = _json(given, term) if found["operator"] == ":=" else value_of(field, given)
    return made


def field_of(key: str) -> str:
    """Return the field path that a key stands for: of the record, else of its metadata."""
    return key if key.partition(".")[0] in DOCUMENTS.fields else f"metadata.{key}"


def value_of(field: str, text: str) -> Any:
    """Return the value that a text stands for.

    A number, true, false or null if JSON writes it exactly so (``007`` is text), a text in quotes if it
    stands in them; a size may have a unit: ``1.5MB``, ``2KiB``. The texts of a record are always texts.
    """
    kind = DOCUMENTS.fields[field].kind if field in DOCUMENTS.fields else None
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return json.loads(text)
        except ValueError:
            return text[1:-1]
    if kind in _TEXTS and text != "null":
        return text
    if field == "size" and (found := _SIZE.fullmatch(text)) is not None:
        return _bytes(found["number"], found["unit"])
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text
    is_scalar = value is None or isinstance(value, bool | int | float)
    return value if is_scalar and json.dumps(value) == text else text


def _bytes(number: str, unit: str) -> int:
    power = _POWERS.get(unit[0], 0)
    return round(float(number) * float((1024 if "i" in unit else 1000) ** power))


def _is_json(term: str) -> bool:
    return term == "-" or term.lstrip().startswith(("{", "["))


def _json_filter(term: str) -> Any:
    try:
        return _json(sys.stdin.read() if term == "-" else term, term)
    except UnicodeDecodeError:
        raise _bad(term, "a JSON object in UTF-8 on standard input") from None


def _condition(term: str) -> dict[str, Any]:
    found = _TERM.fullmatch(term)
    if found is None:
        word = "" if any(sign in term for sign in "=<>~?") else f"; to look for a word, --search {term!r}"
        raise _bad(term, f"{_EXPECTED}{word}")
    field, operator, text = field_of(found["key"]), found["operator"], found["value"]
    if operator == "?":
        return {field: {"$exists": True}}
    if operator == "~":
        return {field: {"$glob": text}}
    if operator == ":=":
        return {field: _json(text, term)}
    value = value_of(field, text)
    return {field: value} if operator == "=" else {field: {_OPERATORS[operator]: value}}


def _json(text: str, term: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    short = term if len(term) <= 60 else f"{term[:60]}…"
    raise click.BadParameter(
        f"""{short!r} is no JSON: {reason}; expected an object such as '{{"status": "failed"}}'""",
        param_hint="TERM",
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _bad(term: str, expected: str) -> click.BadParameter:
    short = term if len(term) <= 60 else f"{term[:60]}…"
    return click.BadParameter(f"{short!r}: expected {expected}", param_hint="TERM")


def operators_of(changes: Mapping[str, Any], unset: Iterable[str]) -> dict[str, Any]:
    """Return MongoDB's update operators for what is set and what is taken away."""
    made: dict[str, Any] = {}
    if changes:
        made["$set"] = dict(changes)
    if removed := [field_of(key) for key in unset]:
        made["$unset"] = dict.fromkeys(removed, "")
    return made


_EXTERNAL = "external_id:"
_LONG = 800  # bytes; the key of a longer path is cut


def named(store: Store, name: str, *, include: Iterable[str] = (), prefix: int = 1) -> Document:
    """Return the document that is meant.

    Arguments:
        store: where.
        name: an id, `external_id:…`, an external_id, a filename, the beginning of an id, or the number that
            a listing shows; the first that any document has counts.
        include: heavy fields to read.
        prefix: characters that the beginning of an id must have at least.

    Raises:
        click.ClickException: none is; exit status 1.
        click.UsageError: several are.
    """
    for wanted, latest in _ways(name, prefix):
        found = store.documents.find(
            wanted, sort="number", limit=3, latest_only=latest, include=include
        ).items
        if len(found) > 1:
            ids = ", ".join(one.id for one in found)
            raise click.UsageError(f"{name!r} names several documents, such as {ids}: write an id")
        if found:
            return found[0]
    short = f"; the beginning of an id needs {prefix} characters here" if len(name) < prefix else ""
    raise click.ClickException(f"there is no document {name!r}{short}; see: docstore find")


def documents_named(store: Store, names: Iterable[str], *, prefix: int = 1) -> list[Document]:
    """Return the documents that are meant, each once, before anything is done with one."""
    found = (named(store, name, prefix=prefix) for name in names)
    return list({document.id: document for document in found}.values())


def _ways(name: str, prefix: int) -> Iterable[tuple[dict[str, Any], bool]]:
    if name.startswith(_EXTERNAL):
        yield {"external_id": name.removeprefix(_EXTERNAL)}, True
        return
    raw = os.fsencode(name)
    if len(raw) > _LONG or raw.decode(errors="replace") != name:  # a path that its key does not spell
        from docstore.ingest.folders import key_of, shown_path

        root, slash, path = name.partition("/")
        yield {"external_id": key_of(shown_path(root) + slash + path)}, True
        name = raw.decode(errors="replace")
    yield {"id": name}, False
    yield {"external_id": name}, True
    yield {"filename": name}, True
    if len(name) >= prefix:
        yield {"id": {"$startsWith": name}}, False
    if name.isascii() and name.isdecimal() and len(name) <= 18:
        yield {"number": int(name)}, False

"""Addresses as questions: search, filter as people write it, order, columns; and their spellings.

A filter is terms as the command takes them (``status=failed size>1MB``), JSON in MongoDB's language, or both.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any
from urllib.parse import parse_qsl, urlencode

import click

from docstore.cli.terms import filter_of
from docstore.errors import FilterError, FilterSyntaxError, InvalidPage
from docstore.query.fields import DOCUMENTS
from docstore.query.paths import parse_path

__all__ = ["COLUMNS", "Complaint", "Question", "complaint_of", "spelled_out", "term_for", "terms_in"]

# The columns of a list, unless others are chosen.
COLUMNS = ("filename", "file_type", "size", "status", "created_at")
DEFAULT_LIMIT = 50
# Columns that an address may ask for.
_MOST_COLUMNS = 20
_DECODER = json.JSONDecoder()
# A term of the search field: quotes keep blanks together.
_WORD = re.compile(r'(?:"(?:\\.|[^"\\])*"|\S)+', re.DOTALL)
_JSON_VALUE = re.compile(r"[^\s=!<>~?:]+:=(?=\S)")
_SPACE = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Complaint:
    """A fault of a filter, and the part of its text that has it.

    Attributes:
        message: for people.
        path: in the filter, as errors of docstore name it; ``""`` for all of it.
        before, part, after: the text as it was given, cut around the part.
        is_slow: whether nothing is wrong, but that it takes long.
    """

    message: str
    path: str = ""
    before: str = ""
    part: str = ""
    after: str = ""
    is_slow: bool = False


def terms_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield the terms of a filter's text, each with its place.

    Raises:
        FilterSyntaxError: JSON that begins there does not end.
    """
    at = _skip(text, 0)
    while at < len(text):
        value = _JSON_VALUE.match(text, at)
        if text[at] in "{[" or value:
            begin = value.end() if value else at
            try:
                _, end = _DECODER.raw_decode(text, begin)
            except RecursionError:
                raise FilterSyntaxError("the filter is nested too deeply", path="") from None
            except ValueError as error:
                place = getattr(error, "pos", begin)
                reason = getattr(error, "msg", str(error))
                raise FilterSyntaxError(f"no JSON: {reason} at character {place + 1}", path="") from error
        else:
            word = _WORD.match(text, at)
            assert word is not None
            end = word.end()
        yield at, text[at:end]
        at = _skip(text, end)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _condition(text: str) -> dict[str, Any] | None:
    """Return the filter that a text means; ``None`` without a term.

    Raises:
        FilterError: a term cannot be read; ``path`` is the term, ``""`` for JSON.
    """
    parts: list[Any] = []
    for _, term in terms_in(text):
        if term == "-":  # on a command line it reads standard input
            raise FilterSyntaxError("'-': expected key=value or JSON", path=term)
        try:
            parts.append(filter_of([term]))
        except click.BadParameter as error:
            raise FilterSyntaxError(error.message, path=term) from None
    return {"$and": parts} if len(parts) > 1 else parts[0] if parts else None


def complaint_of(text: str, error: FilterError) -> Complaint:
    """Return what is wrong with a filter's text, and where."""
    cause = error.__cause__
    start, end = 0, len(text)
    if isinstance(cause, json.JSONDecodeError):
        start, end = min(cause.pos, max(len(text) - 1, 0)), cause.pos + 1
    else:
        with suppress(FilterSyntaxError, ValueError, IndexError):
            start, end = _place(text, error.path)
    return Complaint(error.message, error.path, text[:start], text[start:end], text[end:])


def _place(text: str, path: str) -> tuple[int, int]:
    """Return the part of a filter's text that a path in the filter leads to."""
    terms = list(terms_in(text))
    for at, term in terms:
        if term == path:
            return at, at + len(term)
    steps = path.split("/") if path else []
    number = 0
    if len(terms) > 1 and len(steps) > 1 and steps[0] == "$and":
        number, steps = int(steps[1]), steps[2:]
    at, term = terms[number]
    if term.startswith("{") and (found := _member(text, at, steps)) is not None:
        return found
    return at, at + len(term)


def _member(text: str, at: int, steps: list[str]) -> tuple[int, int] | None:
    """Return the place of the member that the steps lead to, as far as they lead; ``None`` without steps."""
    found = None
    for step in steps:
        entry = next((entry for entry in _entries(text, at) if entry[0] == step), None)
        if entry is None:
            break
        _, begin, at, end = entry
        found = begin, end
    return found


def _entries(text: str, at: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield key, beginning, beginning of the value and end of the members of JSON that stands at a place."""
    closes = {"{": "}", "[": "]"}.get(text[at])
    begin, number = _SPACE.match(text, at + 1).end(), 0  # type: ignore[union-attr]
    while closes is not None and text[begin] != closes:
        value, key = begin, str(number)
        if closes == "}":
            key, value = scanstring(text, begin + 1)
            value = re.compile(r"\s*:\s*").match(text, value).end()  # type: ignore[union-attr]
        _, end = _DECODER.raw_decode(text, value)
        yield key, begin, value, end
        begin, number = _SPACE.match(text, end).end(), number + 1  # type: ignore[union-attr]


def term_for(path: str, value: Any) -> str:
    """Return the term that asks for a value at a field path: ``status=failed``; JSON where no term can."""
    meant = {path: value}
    steps = parse_path(path)
    is_short = steps[0] == "metadata" and len(steps) > 1 and steps[1] not in DOCUMENTS.fields
    keys = [path.removeprefix("metadata."), path] if is_short else [path]
    written = json.dumps(value, ensure_ascii=False)
    for key in keys:
        for text in [value, written] if isinstance(value, str) else [written]:
            term = f"{key}={text}"
            try:
                if [one for _, one in terms_in(term)] == [term] and filter_of([term]) == meant:
                    return term
            except (click.BadParameter, FilterError):
                continue
    return json.dumps(meant if not isinstance(value, Mapping) else {path: {"$eq": value}}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Question:
    """The question of an address about the documents.

    Attributes:
        search, filter, cursor: as they stand in the address; ``""`` for none.
        condition: the filter as ``find`` takes it, ``None`` for none.
        error: why the filter has no condition, ``None`` if it has.
        sort: field paths, ``-`` before one for descending.
        limit: documents on a page.
        latest_only: whether older versions are left out.
        waits: whether the page may take as long as the store's reads may, not just a moment.
        columns: field paths of the list's columns.
    """

    search: str = ""
    filter: str = ""
    condition: dict[str, Any] | None = None
    error: FilterError | None = None
    sort: tuple[str, ...] = ("-created_at",)
    limit: int = DEFAULT_LIMIT
    cursor: str = ""
    latest_only: bool = True
    waits: bool = False
    columns: tuple[str, ...] = COLUMNS

    @classmethod
    def read(cls, params: Iterable[tuple[str, str]]) -> Question:
        """Return what the parameters of an address ask.

        Raises:
            InvalidPage: ``limit`` is no number. What else may be wrong, ``find`` says; of the filter,
                ``error``.
        """
        pairs = [(name, value.strip()) for name, value in params if value.strip()]
        given = dict(pairs)
        limit = given.get("limit", str(DEFAULT_LIMIT))
        if not re.fullmatch("[0-9]{1,6}", limit, re.ASCII):
            raise InvalidPage(f"limit={limit[:80]!r}; expected a number from 0 to 1000", argument="limit")
        search, text = given.get("search", ""), given.get("filter", "")
        sort = [value for name, value in pairs if name == "sort" and (search or value != "-score")]
        names = ",".join(value for name, value in pairs if name == "columns").split(",")
        columns = list(dict.fromkeys(name.strip() for name in names if name.strip()))[:_MOST_COLUMNS]
        made = cls(
            search=search, filter=text, sort=tuple(sort) or cls.sort_default(), limit=int(limit),
            cursor=given.get("cursor", ""), columns=tuple(columns) or COLUMNS,
            latest_only=given.get("latest_only", "true").lower() not in ("false", "0"),
            waits=given.get("wait") == "true",
        )  # fmt: skip
        try:
            return replace(made, condition=_condition(text))
        except FilterError as error:
            return replace(made, error=error)

    @staticmethod
    def sort_default() -> tuple[str, ...]:
        """Return the order of a list whose address names none."""
        return ("-created_at",)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the parameters of the address that asks this, without those that say nothing."""
        pairs = [("search", self.search), ("filter", self.filter)]
        pairs += [("sort", key) for key in self.sort if self.sort != self.sort_default()]
        pairs += [("limit", "" if self.limit == DEFAULT_LIMIT else str(self.limit)), ("cursor", self.cursor)]
        pairs += [("latest_only", "" if self.latest_only else "false")]
        pairs += [("wait", "true" if self.waits else "")]
        pairs += [("columns", "" if self.columns == COLUMNS else ",".join(self.columns))]
        return [(name, value) for name, value in pairs if value]

    def address(self, path: str = "/documents", **changes: Any) -> str:
        """Return the address that asks this, or this with changes; a change begins at the first page."""
        asked = replace(self, **{"cursor": "", **changes}) if changes else self
        query = urlencode(asked.pairs())
        return f"{path}?{query}" if query else path

    def narrowed(self, term: str) -> str:
        """Return the filter's text with a term more, or without it if it is there."""
        try:
            terms = [one for _, one in terms_in(self.filter)]
        except FilterError:
            return term
        return " ".join([one for one in terms if one != term] if term in terms else [*terms, term])

    def has(self, term: str) -> bool:
        """Return whether the filter has a term."""
        try:
            return term in (one for _, one in terms_in(self.filter))
        except FilterError:
            return False

    @property
    def asked(self) -> dict[str, Any]:
        """The arguments that every way of reading takes: filter, search, latest_only."""
        return {"filter": self.condition, "search": self.search or None, "latest_only": self.latest_only}

    def as_python(self, place: str, blobs: str, scope: Mapping[str, str]) -> str:
        """Return a program that asks this."""
        lines = [] if self.condition is None else [f"{self.condition!r},"]
        lines += [f"search={self.search!r},"] if self.search else []
        lines += [f"sort={list(self.sort) if len(self.sort) > 1 else self.sort[0]!r}, limit={self.limit},"]
        lines += [] if self.latest_only else ["latest_only=False,"]
        body = "\n".join(f"        {line}" for line in lines)
        parts = ", ".join(f"{name}={value!r}" for name, value in scope.items())
        store = f"store.scoped({parts})" if scope else "store"
        opened = f"docstore.open({place!r}{f', blobs={blobs!r}' if blobs else ''})"
        return (
            f"import docstore\n\nwith {opened} as store:\n"
            f"    page = {store}.documents.find(\n{body}\n    )\n    for document in page:\n"
            "        print(document.id, document.filename)"
        )

    def as_curl(self, base: str, *, with_key: bool) -> str:
        """Return the command that asks this over HTTP."""
        key = ' -H "Authorization: Bearer $DOCSTORE_KEY"' if with_key else ""
        return f"curl -H 'Accept: application/json'{key} {shlex.quote(base + self.address())}"

    def as_command(self, place: str, blobs: str, scope: Mapping[str, str]) -> str:
        """Return the command line that asks this."""
        words = ["docstore", "find", *(term for _, term in terms_in(self.filter))]
        words += ["--search", self.search] if self.search else []
        words += [word for key in self.sort if self.sort != self.sort_default() for word in ("--sort", key)]
        words += ["--limit", str(self.limit)] if self.limit != DEFAULT_LIMIT else []
        words += [] if self.latest_only else ["--all-versions"]
        words += [word for name, value in scope.items() for word in (f"--{name}", value)]
        words += ["--store", place, *(["--blobs", blobs] if blobs else [])]
        return shlex.join(words)


def spelled_out(query: str) -> str:
    """Return a query string with its filter as JSON and without empty values, as the router takes it.

    Raises:
        FilterError: a term of the filter cannot be read.
    """
    pairs = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if value.strip()]
    made = [(name, _json_of(value) if name == "filter" else value) for name, value in pairs]
    return urlencode(made)


def _json_of(text: str) -> str:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        if text.lstrip().startswith("{") and not _ends(text):
            return text  # the router says what is wrong with it
    else:
        return text
    return json.dumps(_condition(text))


def _ends(text: str) -> bool:
    try:
        return bool(list(terms_in(text)))
    except FilterError:
        return False

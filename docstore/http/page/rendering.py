"""Templates: the environment that fills them in, and what values look like on the page."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from docstore.cli.output import size_text
from docstore.query.search import highlight

__all__ = ["STATIC", "error_page", "html_page", "login_page", "marked", "shown_as", "streamed_page"]

STATIC = Path(__file__).parent / "static"
# What a template prints where the page so far is to be sent.
_FLUSH = Markup("\0")
# Control characters, and those that turn the direction of text around: a name must not look like another.
_STEERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_TITLES = {400: "Wrong request", 401: "A key is needed", 403: "Not allowed", 404: "Not found",
           413: "Too large", 422: "Wrong question", 429: "Too often", 503: "Not available"}  # fmt: skip


def shown_as(text: str) -> str:
    """Return text as the page shows it: characters that could steer the page's own are written as escapes."""
    return _STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _visible(value: Any) -> Any:
    """Return what a template prints for a value."""
    if type(value) is str:
        return shown_as(value)
    return "" if value is None else value


def marked(text: str, search: str) -> Markup:
    """Return text with what a search finds in it marked."""
    pieces, last = [], 0
    for start, end in highlight(text, search) if search else ():
        pieces += [escape(_visible(text[last:start])), Markup("<mark>"), escape(_visible(text[start:end]))]
        pieces.append(Markup("</mark>"))
        last = end
    return Markup("").join([*pieces, escape(_visible(text[last:]))])


def _moment(at: datetime | None, form: str = "%Y-%m-%d %H:%M") -> Markup:
    """Return an instant in UTC, to the minute; exactly to programs."""
    if at is None:
        return Markup("–")
    here = at.astimezone(UTC)
    exact = here.isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(exact, here.strftime(form))


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str)


def _segment(text: str) -> str:
    return quote(text, safe="")


@cache
def _stamp(name: str) -> str:
    """Return the address of a static file, with its version."""
    return f"/static/{name}?{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("docstore.http.page"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_visible,
    )  # fmt: skip
    made.filters |= {
        "moment": _moment, "size": size_text, "marked": marked, "json": _json, "segment": _segment,
        "number": lambda value: f"{value:,}",
    }  # fmt: skip
    made.globals |= {"static": _stamp, "flush": _FLUSH}
    return made


def _context(request: Request, values: Mapping[str, Any]) -> dict[str, Any]:
    visitor = request.scope.get("docstore.visitor")
    settings = request.app.state.page if "app" in request.scope else None
    return {
        "visitor": visitor,
        "token": visitor.token if visitor else "",
        "place": settings.place if settings and visitor else "",
        "write": bool(settings and settings.write),
        "here": request.url.path,
        **values,
    }


def html_page(request: Request, name: str, status: int = 200, **values: Any) -> Response:
    """Return a template filled in."""
    text = _environment().get_template(name).render(_context(request, values))
    return HTMLResponse(text, status)


def streamed_page(request: Request, name: str, status: int = 200, **values: Any) -> Response:
    """Return a template that is sent in pieces: up to each ``flush`` as soon as that much is made."""
    parts = _environment().get_template(name).generate(_context(request, values))

    def pieces() -> Iterator[str]:
        made: list[str] = []
        for part in parts:
            if "\0" not in part:
                made.append(part)
                continue
            before, _, after = part.partition("\0")
            yield "".join((*made, before))
            made = [after]
        yield "".join(made)

    return StreamingResponse(pieces(), status, media_type="text/html; charset=utf-8")


def error_page(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a page that says what is wrong."""
    title = _TITLES.get(status, "Something is wrong")
    response = html_page(request, "error.html", status, title=title, detail=detail)
    response.headers.update(headers or {})
    return response


def login_page(request: Request, then: str, problem: str, status: int) -> Response:
    """Return the form that asks for a key."""
    response = html_page(request, "login.html", status, then=then, problem=problem)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response

"""Access to the pages: hosts, keys, sessions, the token of every write; around all routes of the page."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException, Request, Response
from starlette.types import ASGIApp, Message, Receive, Send

from docstore.access_keys import AccessKey, key_of
from docstore.errors import FilterError
from docstore.http.page.question import spelled_out
from docstore.http.page.rendering import error_page, login_page
from docstore.http.problems import problem_of
from docstore.http.requests import Caller

__all__ = ["PAGE_POLICY", "Guard", "Rate", "Visitor", "caller_of", "wants_html", "wants_json"]

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; "
    "frame-src 'self'; object-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "private, no-store",
}
_SAFE = ("GET", "HEAD", "OPTIONS")
# From one address: a key is not to be found by trying.
_LOGINS_A_MINUTE = 10
_SPELLED = ("/documents", "/documents:count", "/documents:facets", "/documents:fields")

Scope = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Visitor:
    """The sender of a request.

    Attributes:
        name: of the key, ``""`` where none is needed.
        caller: what may be seen.
        token: that a form has to carry to write; ``""`` where the key came with the request itself.
    """

    name: str
    caller: Caller
    token: str

    @property
    def sees_all(self) -> bool:
        """Whether the visitor is confined to no tenant or owner."""
        return self.caller == Caller()


@dataclass(slots=True)
class Rate:
    """How often a minute something expensive may be asked for, by each who asks."""

    most: int
    what: str
    _asked: dict[str, deque[float]] = field(default_factory=dict)

    def spend(self, who: str) -> None:
        """Count a call.

        Raises:
            HTTPException: 429, that is too often.
        """
        now = time.monotonic()
        if len(self._asked) > 10_000:
            self._asked.clear()
        times = self._asked.setdefault(who, deque())
        while times and times[0] < now - 60:
            times.popleft()
        if len(times) >= self.most:
            wait = str(int(60 - (now - times[0])) + 1)
            raise HTTPException(429, f"{self.what}: at most {self.most} a minute", {"Retry-After": wait})
        times.append(now)


def wants_json(request: Request) -> bool:
    """Return whether JSON is asked for, and HTML is not."""
    accept = request.headers.get("accept", "").lower()
    return "json" in accept and "text/html" not in accept


def wants_html(request: Request) -> bool:
    """Return whether HTML is asked for by name, as browsers do."""
    return "text/html" in request.headers.get("accept", "").lower()


def caller_of(request: Request) -> Caller:
    """Return whose documents a request may see: the router's dependency."""
    visitor: Visitor = request.scope["docstore.visitor"]
    return visitor.caller


class Guard:
    """An ASGI application around the page's: it refuses, by name, what must not reach the routes.

    Args:
        app: the routes.
        hosts: names that a Host header may have; ``*`` as one of them: any IP address as well.
        keys: of callers; empty: everybody who reaches the server sees all of it.
        write: whether anything may be changed.
        cookie: name of the session's cookie; browsers share cookies between the ports of a host.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str], keys: Sequence[AccessKey], write: bool, cookie: str
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._keys = tuple(keys)
        self._write = write
        self._cookie = cookie
        # Sessions end with the process: nothing of them is stored.
        self._secret = secrets.token_bytes(32)
        self._logins = Rate(_LOGINS_A_MINUTE, "keys that are wrong")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        cookies: list[bytes] = []
        scope["docstore.sign_in"], scope["docstore.sign_out"] = self.sign_in, self.sign_out

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                if scope["path"].startswith("/static/"):  # their addresses name their version
                    headers.append((b"cache-control", b"public, max-age=31536000, immutable"))
                known = {name.lower() for name, _ in headers}
                headers += [
                    (name.encode(), value.encode()) for name, value in _HEADERS.items()
                    if name.lower().encode() not in known
                ]  # fmt: skip
                message = {**message, "headers": [*headers, *((b"set-cookie", one) for one in cookies)]}
            await send(message)

        try:
            # First of all: a page of another site that resolves its name to this address (DNS rebinding) is
            # stopped here.
            self._check_host(request)
            path = scope["path"]
            if not path.startswith("/static/"):
                cookies += self._admit(request, is_open=path == "/login")
            if path in _SPELLED and not wants_html(request):
                scope["query_string"] = spelled_out(scope["query_string"].decode("latin-1")).encode("ascii")
        except (HTTPException, FilterError) as error:
            await self._refusal(request, error)(scope, receive, sending)
            return
        await self._app(scope, receive, sending)

    def _refusal(self, request: Request, error: HTTPException | FilterError) -> Response:
        if not wants_html(request) or isinstance(error, FilterError):
            return problem_of(error)
        if error.status_code == 401:
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return login_page(request, here if request.method == "GET" else "/", "", 401)
        return error_page(request, error.status_code, str(error.detail), error.headers)

    def _check_host(self, request: Request) -> None:
        given = request.headers.get("host", "")
        try:
            name = urlsplit(f"//{given}").hostname or ""
        except ValueError:
            name = ""
        # An address cannot be rebound to another name, so that any may be allowed.
        is_address = "*" in self._hosts and (name.replace(".", "").isdigit() or ":" in name)
        if name not in self._hosts and not is_address:
            known = ", ".join(sorted(self._hosts - {"*"}))
            raise HTTPException(
                400, f"the host {given[:80]!r} is not served here; expected {known} (--allow-host adds one)"
            )

    # -- who -----------------------------------------------------------------------------------------

    def _admit(self, request: Request, *, is_open: bool) -> list[bytes]:
        """Find out who asks and whether that may be; return cookies to set.

        Raises:
            HTTPException: 401, no key; 403, a write that is not allowed.
        """
        cookies: list[bytes] = []
        bearer = request.headers.get("authorization")
        session = request.cookies.get(self._cookie, "")
        key: AccessKey | None = None
        if not self._keys:
            if not self._is_ours(session, ""):
                session, cookie = self._session("")
                cookies.append(cookie)
        elif bearer is not None:
            key, session = key_of(bearer, self._keys), ""
        else:
            key = next((one for one in self._keys if self._is_ours(session, one.name)), None)
        if self._keys and key is None and not is_open:
            raise HTTPException(
                401, "a key is needed: Authorization: Bearer SECRET", {"WWW-Authenticate": "Bearer"}
            )
        caller = Caller() if key is None else Caller(key.tenant, key.owner)
        name = "" if key is None else key.name
        token = self._sign("token", session) if session else ""
        request.scope["docstore.visitor"] = Visitor(name, caller, token)
        if request.method not in _SAFE:
            self._check_write(request, token, is_open=is_open)
        return cookies

    def _check_write(self, request: Request, token: str, *, is_open: bool) -> None:
        # Browsers send it with every write, and no page can forge it.
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            raise HTTPException(403, f"the request comes from another site, {origin[:80]!r}")
        if is_open or request.scope["path"] == "/logout":
            return
        if not self._write:
            raise HTTPException(403, "this store can only be read here; --write lets it be changed")
        if token and not wants_html(request):  # a page's own forms carry it inside, and are checked there
            sent = request.headers.get("x-docstore-token", "")
            if not hmac.compare_digest(sent.encode(), token.encode()):
                raise HTTPException(
                    403,
                    "the write carries no token of this session; programs send a key (--key NAME=SECRET) as "
                    "Authorization: Bearer SECRET",
                )

    def sign_in(self, request: Request, secret: str) -> bytes | None:
        """Return the cookie for a key's secret, ``None`` if there is no such key.

        Raises:
            HTTPException: 429, too many wrong ones.
        """
        key = key_of(f"Bearer {secret}", self._keys)
        if key is None:
            self._logins.spend(request.client.host if request.client else "")
            return None
        return self._session(key.name, is_secure=request.url.scheme == "https")[1]

    def sign_out(self) -> bytes:
        """Return the cookie that ends a session."""
        return f"{self._cookie}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict".encode()

    def _session(self, name: str, *, is_secure: bool = False) -> tuple[str, bytes]:
        """Return a new session of a key's and its cookie."""
        nonce = secrets.token_urlsafe(16)
        value = f"{nonce}.{self._sign(f'session {name}', nonce)}"
        secure = "; Secure" if is_secure else ""
        return value, f"{self._cookie}={value}; Path=/; HttpOnly; SameSite=Strict{secure}".encode()

    def _is_ours(self, session: str, name: str) -> bool:
        nonce, _, signed = session.partition(".")
        # In constant time: the answer's time must not tell how much of a forged signature is right.
        return hmac.compare_digest(signed.encode(), self._sign(f"session {name}", nonce).encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()

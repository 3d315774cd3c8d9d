"""The S3 server of the tests, and a proxy before it that fails on purpose.

The server is moto's, in a process of its own that ends with its standard input. The proxy on 127.0.0.1
answers 500, drops replies after the effect, cuts bodies, and stands in for services that know less than S3.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import importlib.util
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Collection
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self, TypeAlias

from docstore.testing.servers.process import ServerError, ServerNotInstalled, end

__all__ = [
    "FAULTS",
    "Lack",
    "S3Proxy",
    "WireFault",
]

_SERVE_S3 = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


def _storage_options(endpoint: str) -> dict[str, Any]:
    """Return the arguments by which s3fs reaches a server or its proxy: fresh dictionaries at every call."""
    return {
        "key": "testing",
        "secret": "testing",
        "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"},
    }


class S3Server:
    """An S3 server on 127.0.0.1 and a free port, in a process of its own, keeping everything in memory.

    Args:
        least_part: bytes of the smallest part that it takes in an upload of several, the last aside.

    Example:
        >>> with S3Server() as server:
        ...     server.create_bucket("files")
        ...     blobs = docstore.Blobs("s3://files/prefix", **server.storage_options)

    Raises:
        ServerNotInstalled: `moto[server]` is missing.
        ServerError: The server did not start.
    """

    def __init__(self, *, least_part: int = 5_242_880) -> None:
        if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
            raise ServerNotInstalled.naming("the S3 test server", "moto[server]")
        self._pid = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE_S3],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "S3_UPLOAD_PART_MIN_SIZE": str(least_part)},
            start_new_session=True,
        )  # fmt: skip
        atexit.register(self.close)
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        if not port:
            self.close()
            code = self._process.returncode
            raise ServerError(f"the S3 test server ended with exit code {code} before it listened")
        self.port: int = int(port)

    @property
    def endpoint(self) -> str:
        """The address of the server, `http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def storage_options(self) -> dict[str, Any]:
        """The arguments by which s3fs reaches the server: fresh dictionaries at every call."""
        return _storage_options(self.endpoint)

    def create_bucket(self, name: str) -> str:
        """Create an empty bucket and return its URL, `s3://name`.

        Raises:
            ServerError: The server refuses the name, or the bucket exists.
        """
        self._request("PUT", f"/{name}")
        return f"s3://{name}"

    def reset(self) -> None:
        """Forget every bucket and object."""
        self._request("POST", "/moto-api/reset")

    def pause(self) -> None:
        """Stop answering without closing connections, until `resume`."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again after `pause`."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the server; idempotent, and nothing in a forked child."""
        # A forked child inherits the object, not the server.
        if os.getpid() != self._pid:
            return
        end(self._process)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _request(self, method: str, path: str) -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, headers={"Content-Length": "0"})
            response = connection.getresponse()
            answer = response.read()
        if response.status >= 300:
            text = answer.decode(errors="replace")
            raise ServerError(f"{method} {path} answered {response.status}: {text}")


WireFault: TypeAlias = Literal["error", "drop", "cut request", "cut reply"]
# What a service may not know: `If-None-Match`, checksum headers, ListMultipartUploads, DeleteObjects.
Lack: TypeAlias = Literal["conditions", "checksums", "uploads", "batches"]
FAULTS: tuple[WireFault, ...] = ("error", "drop", "cut request", "cut reply")
_CHECKSUMS = ("x-amz-checksum-", "x-amz-sdk-checksum", "x-amz-trailer")
# Headers of one connection: a proxy makes its own.
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class S3Proxy:
    """Passes requests on to a server on this machine, and lets some of them fail.

    ``error`` answers 500 and passes nothing on. ``drop`` passes the request on and closes the connection
    instead of answering. ``cut request`` passes on all but the last byte of the body and closes both sides.
    ``cut reply`` answers with all but the last byte of the body, or of the head where there is no body.

    Example:
        >>> with S3Server() as server, S3Proxy(server.port, rate=0.1, seed=7) as proxy:
        ...     blobs = docstore.Blobs("s3://files", **{**server.storage_options, **proxy.storage_options})

    Args:
        port: of the server.
        rate: the part of the requests that fail, 0 to 1.
        seed: of which fail, and how.
        faults: those that are meant.
        lacks: what the service does not know; requests with it are answered by ``status``.
        status: 501, or 400 as some services say.

    Attributes:
        requests: method and path of each request that arrived, in order.
        fired: how often each fault happened; the counts of the process that made the proxy.
    """

    def __init__(
        self, port: int, *, rate: float = 0.0, seed: int = 0, faults: tuple[WireFault, ...] = FAULTS,
        lacks: Collection[Lack] = (), status: int = 501,
    ) -> None:  # fmt: skip
        self.lacks: frozenset[Lack] = frozenset(lacks)
        self.status = status
        self.requests: list[tuple[str, str]] = []
        self.rate = rate
        self.fired: dict[str, int] = dict.fromkeys(faults, 0)
        self._target = port
        self._faults = faults
        self._chance = random.Random(seed)
        self._mutex = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """The address of the proxy, ``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def storage_options(self) -> dict[str, Any]:
        """The arguments by which s3fs goes through the proxy, in place of the server's own."""
        return _storage_options(self.endpoint)

    def next_fault(self) -> WireFault | None:
        """Return how the next request is to fail; ``None`` if it is not."""
        with self._mutex:
            if self._chance.random() >= self.rate:
                return None
            fault = self._chance.choice(self._faults)
            self.fired[fault] += 1
            return fault

    def is_unknown(self, method: str, path: str, headers: Any) -> bool:
        """Return whether the service does not know a request, or something in it."""
        names = {name.lower() for name in headers}
        asked = {part.partition("=")[0] for part in path.partition("?")[2].split("&")}
        needed: dict[Lack, bool] = {
            "conditions": "if-none-match" in names,
            "checksums": any(name.startswith(_CHECKSUMS) for name in names),
            "uploads": method == "GET" and "uploads" in asked,
            "batches": method == "POST" and "delete" in asked,
        }
        return any(needed[lack] for lack in self.lacks)

    def forward(self, method: str, path: str, headers: Any, body: bytes, *, cut: bool) -> Any:
        """Send a request to the server; return its answer, read to the end, ``None`` if it was cut."""
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=60)
        with closing(connection), suppress(http.client.HTTPException, ConnectionError):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in ("expect", "connection"):
                    connection.putheader(name, value)
            # The announced length is the whole body's: the server waits for the last byte, and then sees the
            # end.
            connection.endheaders(body[:-1] if cut else body)
            if not cut:
                with connection.getresponse() as answer:  # it may hold the socket by itself
                    return answer, answer.read()
        return None

    def close(self) -> None:
        """Stop; idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    proxy: S3Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients are killed on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy = self.server.proxy
        proxy.requests.append((self.command, self.path))
        if proxy.is_unknown(self.command, self.path, self.headers):
            self._refuse(proxy.status)
            return
        fault = proxy.next_fault()
        if fault == "error":
            self.send_error(500, "injected fault")
            self.close_connection = True
            return
        cut = fault == "cut request"
        answered = self.server.proxy.forward(self.command, self.path, self.headers, body, cut=cut)
        if answered is None or fault == "drop":
            self._hang_up()
            return
        self._answer(*answered, cut=fault == "cut reply")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815 - the names that the base class calls

    def _answer(self, answer: Any, body: bytes, *, cut: bool) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length or "0")
        if cut and not body:
            self._hang_up()  # the head is still in the buffer
            return
        self.end_headers()
        self.wfile.write(body[:-1] if cut else body)
        if cut:
            self._hang_up()

    def _refuse(self, status: int) -> None:
        code = "NotImplemented" if status == 501 else "InvalidArgument"
        text = f"<Error><Code>{code}</Code><Message>this service does not know that</Message></Error>"
        body = text.encode()
        self.send_response_only(status, "refused")
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.command != "HEAD" else b"")

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

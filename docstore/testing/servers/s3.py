"""The S3 server of the tests: moto's, in a process of its own that ends with its standard input."""

from __future__ import annotations

import atexit
import contextlib
import http.client
import importlib.util
import os
import signal
import subprocess
import sys
from typing import Any, Self

from docstore.testing.servers.process import ServerError, ServerNotInstalled, end

_SERVE_S3 = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class S3Server:
    """An S3 server on 127.0.0.1 and a free port, in a process of its own, keeping everything in memory.

    Example:
        >>> with S3Server() as server:
        ...     server.create_bucket("files")
        ...     blobs = docstore.Blobs("s3://files/prefix", **server.storage_options)

    Raises:
        ServerNotInstalled: `moto[server]` is missing.
        ServerError: The server did not start.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
            raise ServerNotInstalled.naming("the S3 test server", "moto[server]")
        self._pid = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE_S3],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": "ignore"}, start_new_session=True,
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
        """What s3fs must be told to reach the server: fresh dictionaries at every call."""
        return {
            "key": "testing",
            "secret": "testing",
            "client_kwargs": {"endpoint_url": self.endpoint, "region_name": "us-east-1"},
        }

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

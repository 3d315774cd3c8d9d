"""The server of ``docstore serve``: the page over a store, listened for until it is interrupted."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence

import uvicorn

from docstore.access_keys import AccessKey
from docstore.errors import BackendError
from docstore.http.page.application import application
from docstore.store import Store

__all__ = ["serve"]


def serve(
    store: Store, *, host: str, port: int, keys: Sequence[AccessKey], hosts: Sequence[str], write: bool,
    max_upload: int, place: str, blobs: str, said: Callable[[str], None], opens: bool,
) -> None:  # fmt: skip
    """Serve the page until it is interrupted.

    Args:
        store: stays open meanwhile.
        host, port: where to listen; port 0 is any that is free.
        keys, hosts, write, max_upload: as for :func:`~docstore.http.page.application.application`.
        place, blobs: the store's URLs; a password in them is not shown.
        said: told the address, once there is one.
        opens: whether a browser is opened.

    Raises:
        ValueError: other machines reach ``host``, and there are no keys.
        BackendError: the address is taken, or not this machine's.
    """
    listener = _listener(host, port)
    port = listener.getsockname()[1]
    with listener:
        app = application(
            store, place=_without_password(place), blobs=_without_password(blobs), write=write, keys=keys,
            host=host, port=port, hosts=hosts, max_upload=max_upload,
        )  # fmt: skip
        shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{port}/documents"
        said(f"{address}  to read{' and write' if write else ''}; Ctrl-C ends")
        if opens and _has_screen():
            threading.Timer(0.5, webbrowser.open, [address]).start()
        config = uvicorn.Config(
            app, log_level="warning", server_header=False, proxy_headers=False, lifespan="off",
            timeout_graceful_shutdown=5,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise BackendError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error


def _has_screen() -> bool:
    """Return whether a window can open: a browser within the terminal would take it from the server."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _without_password(url: str) -> str:
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", url)

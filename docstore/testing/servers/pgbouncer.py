"""A PgBouncer before the tests' Postgres: the machine's own program, on a unix socket in a private folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit

from docstore.testing.servers.place import Unprivileged, is_root, private_folder
from docstore.testing.servers.postgres import PostgresServer
from docstore.testing.servers.process import ServerError, ServerNotInstalled, end

PORT = 6432
_PLACES = ("/usr/sbin", "/usr/bin", "/usr/local/bin")
_CONFIGURATION = """
[databases]
* = host={server} user=postgres

[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 500
server_idle_timeout = 2
server_check_delay = 0
"""


class PgBouncer:
    """A PgBouncer that hands the connections of a :class:`PostgresServer` out.

    Args:
        server: where its connections lead.
        mode: ``transaction``: each transaction may get another of the server's sessions; ``session``: each
            client keeps one.
        size: the server's sessions for each database.

    Raises:
        ServerNotInstalled: There is no ``pgbouncer`` on this machine.
        ServerError: It did not start within ten seconds.
    """

    def __init__(
        self, server: PostgresServer, mode: Literal["transaction", "session"] = "transaction", size: int = 4
    ) -> None:
        program = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), *_PLACES]))
        if program is None:
            raise ServerNotInstalled("the tests of poolers need PgBouncer: run  apt-get install pgbouncer")
        self._folder = private_folder()
        user = Unprivileged() if is_root() else None
        (self._folder / "users").write_text('"postgres" ""\n')
        text = _CONFIGURATION.format(
            server=server.folder, port=PORT, folder=self._folder, mode=mode, size=size
        )
        (self._folder / "ini").write_text(text)
        for path in (self._folder, *self._folder.iterdir()):
            if user is not None:
                os.chown(path, user.uid, user.gid)
        identity: dict[str, Any] = {} if user is None else {"user": user.uid, "group": user.gid}
        self._process = subprocess.Popen(
            [program, "-q", str(self._folder / "ini")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **identity,
        )  # fmt: skip
        self._await()

    def _await(self) -> None:
        socket = self._folder / f".s.PGSQL.{PORT}"
        for _ in range(200):
            if socket.exists():
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        self.close()
        raise ServerError("pgbouncer did not start")

    @property
    def folder(self) -> Path:
        """The folder of its socket."""
        return self._folder

    def url(self, url: str) -> str:
        """Return the address by which a database of the server is reached through it."""
        name = urlsplit(url).path.strip("/")
        return f"postgresql://postgres@/{name}?host={quote(str(self._folder))}&port={PORT}"

    def close(self) -> None:
        """End it and remove its files."""
        end(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

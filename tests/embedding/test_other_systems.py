"""What a system that is not POSIX lacks is asked for where it is used, so that Windows has a chance.

Nothing here was run on Windows: these tests take from Python what Windows lacks.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import importlib, os, pathlib, select, signal, socket, sys, types

PACKAGES = ("docstore", "docstore_sql", "docstore_memory", "docstore_sqlite", "docstore_postgres")
# The child is never started there; the others bring a framework each, and take seconds.
ELSEWHERE = ("docstore.extract.child", "docstore.integrations.", "docstore.__main__", "docstore.http",
    "docstore.mcp", "docstore.testing.conformance")
def load():
    for name in PACKAGES:
        (folder,) = importlib.import_module(name).__path__
        for path in sorted(pathlib.Path(folder).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            module = ".".join((name, *parts)).removesuffix(".__init__")
            if not module.startswith(ELSEWHERE):
                importlib.import_module(module)

load()  # brings the requirements, which find all that they look for
for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
    del sys.modules[name]
LACKING = {
    os: "O_DIRECTORY O_CLOEXEC O_NONBLOCK O_NOFOLLOW O_SYNC pread pwrite preadv register_at_fork fork wait "
        "getuid geteuid getgid getegid statvfs sched_getaffinity uname chown fchown mkfifo nice killpg",
    signal: "SIGKILL SIGSTOP SIGCONT SIGXCPU SIGVTALRM SIGPROF SIGALRM SIGHUP SIGUSR1 setitimer alarm "
        "pthread_sigmask",
    socket: "send_fds recv_fds socketpair",
    select: "poll epoll",
}
for module, names in LACKING.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
for name in ("fcntl", "pwd", "grp", "resource", "termios", "posix"):
    sys.modules[name] = None
load()

import docstore
from docstore.extract import ExtractionError, extract

folder = sys.argv[1]
for url in ("memory://", f"sqlite:///{folder}/a.db"):
    with docstore.open(url, blobs=f"{folder}/{url[:6]}") as store:
        added = store.documents.add(b"some bytes", filename="a.txt", metadata={"n": 1})
        assert store.documents.find_one({"metadata.n": 1}).id == added.id
        assert store.documents.read_bytes(added.id) == b"some bytes"
        with store.documents.open(added.id) as file:
            assert (file.read(4), file.read(), file.seek(5), file.read()) == (b"some", b" bytes", 5, b"bytes")
        store.documents.download(added.id, f"{folder}/copy.txt")
        store.documents.update(added.id, source=b"others")
        assert store.check(level="hash").ok
try:
    extract(b"text", filename="a.txt")
except ExtractionError as wrong:
    assert "in_process=True" in str(wrong)
assert extract(b"text", filename="a.txt", in_process=True).text == "text"
print("done")
"""


def test_the_package_works_without_what_only_posix_has(tmp_path: Path) -> None:
    """Every module is imported, and memory and SQLite store and read bytes in a folder, where Python has
    none of POSIX' own modules, functions and flags.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "done\n", done.stderr

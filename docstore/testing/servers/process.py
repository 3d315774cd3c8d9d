"""Processes of the test servers: their errors, and how they are ended."""

from __future__ import annotations

import subprocess
from typing import Self


class ServerError(RuntimeError):
    """A test server did not start or stop; the message holds what it printed."""


class ServerNotInstalled(ServerError):
    """The package a test server comes in is not installed; the message names the command that does it."""

    @classmethod
    def naming(cls, server: str, requirement: str) -> Self:
        """Return the error for a server and the requirement pip would install it by."""
        return cls(f"{server} needs {requirement!r}: run  python -m pip install {requirement!r}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process of ours, wait for it and close our ends of its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()

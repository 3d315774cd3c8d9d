"""A program in a fork of this process, with standard streams, a folder and an environment of its own.

To start an interpreter and to import docstore takes half a second of CPU, a fork a fiftieth of it. What an
interpreter does before and after the program (`python -m docstore`, imports) is not seen here.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Self

from tests.kit.crashes import fork

__all__ = ["Forked", "command"]


def command(*arguments: str) -> Callable[[], int]:
    """Return the program that runs the command `docstore` with these arguments."""

    def run() -> int:
        from docstore.cli import main

        return main(arguments)

    return run


class Forked:
    """A process that runs one function: its result is the exit status, None is 0.

    Args:
        program: what it runs.
        folder: where it runs; None: here.
        environment: what is added to the environment.
        terminal: the end of a terminal that its streams are, in place of pipes; the caller closes it.
        streams: which of the streams 0, 1 and 2 are that terminal.
        without: file descriptors of this process that it shall not hold open, such as the terminal's other
            end.

    Attributes:
        output: what it writes to standard output, as bytes, if that is no terminal.
        errors: the same of standard error.
        returncode: its exit status once it was waited for, negative for a signal.
    """

    def __init__(
        self,
        program: Callable[[], int | None],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        terminal: int | None = None,
        streams: Sequence[int] = (0, 1, 2),
        without: Sequence[int] = (),
    ) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        reads, writes = zip(os.pipe(), os.pipe(), strict=True)
        fds: list[int] = [-1, *writes]
        for stream in streams if terminal is not None else ():
            fds[stream] = terminal or -1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12 where threads are about
            self.pid = fork()
        if self.pid == 0:
            _become(program, fds, (*reads, *without), folder, environment or {})
        for written in writes:
            os.close(written)
        self.returncode: int | None = None
        self.output, self.errors = (open(read, "rb") for read in reads)  # noqa: SIM115 - closed by __exit__

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing if it has ended and was waited for."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end, and kill it if that does not come within so many seconds; return its status."""
        if self.returncode is None:
            late = threading.Timer(seconds, os.kill, (self.pid, signal.SIGKILL))
            late.start()
            _, status = os.waitpid(self.pid, 0)
            late.cancel()
            late.join()
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if any(exception):
            self.send_signal(signal.SIGKILL)
        self.wait()
        self.output.close()
        self.errors.close()


def _become(
    program: Callable[[], int | None], fds: Sequence[int], closed: Sequence[int], folder: Path | None,
    environment: Mapping[str, str],
) -> NoReturn:  # fmt: skip
    """Run the program in this process, the child, and end it as an interpreter does."""
    code = 1
    try:
        for descriptor in closed:
            os.close(descriptor)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for stream, descriptor in enumerate(fds):
            os.dup2(nothing if descriptor < 0 else descriptor, stream)
        for descriptor in {nothing, *(one for one in fds if one > 2)}:
            os.close(descriptor)
        sys.stdin = sys.__stdin__ = _text(0, "r")  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = _text(1, "w")  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = _text(2, "w")  # type: ignore[misc]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.update(environment)
        if folder is not None:
            os.chdir(folder)
        code = program() or 0
        sys.stdout.flush()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else bool(ended.code)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _text(descriptor: int, mode: str) -> io.TextIOWrapper:
    raw = open(descriptor, f"{mode}b", closefd=False)  # noqa: SIM115 - as long as the process
    lines = mode == "w" and (descriptor == 2 or os.isatty(descriptor))
    return io.TextIOWrapper(raw, encoding="utf-8", line_buffering=lines)

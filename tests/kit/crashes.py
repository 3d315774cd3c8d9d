"""Crashes on purpose: processes that are forked warm, and end at a step, at an instant, or by SIGKILL.

A fork is some thousand times faster than a fresh interpreter, so that hundreds of crashes fit into a test. A
store that was opened before a fork may be used in the child: it connects anew there.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from docstore.crash_points import hooked

__all__ = ["Child", "crashed_at", "dying_at", "fork"]

_CRASHED = 86
"""The exit code of a process that a hook ended."""


class Child:
    """A forked process that runs one function, and a pipe on which it tells what it did.

    Args:
        work: what it runs; it is given ``tell``, which writes one line to the pipe at once, whole. It ends
        with
            exit code 0 when it returns, else with 1 and the traceback on standard error.
    """

    def __init__(self, work: Callable[[Callable[[str], None]], None]) -> None:
        self._read, write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12 where threads are about
            self.pid: int = fork()
        if self.pid == 0:
            os.close(self._read)
            _run(work, write)
        os.close(write)
        self._pending = b""
        self._code: int | None = None

    def told(self, timeout: float | None = None) -> str | None:
        """Wait for the next line; ``None`` once the process ended and all of it was read.

        Args:
            timeout: seconds to wait; ``None`` waits as long as it takes.

        Raises:
            TimeoutError: nothing came, and the process did not end.
        """
        while b"\n" not in self._pending:
            if timeout is not None and not select.select([self._read], [], [], timeout)[0]:
                raise TimeoutError(f"the process {self.pid} told nothing for {timeout:g} s")
            piece = os.read(self._read, 65_536)
            if not piece:
                return None  # a line without its end was never told
            self._pending += piece
        line, self._pending = self._pending.split(b"\n", 1)
        return line.decode()

    def kill(self, how: int = signal.SIGKILL) -> None:
        """Send a signal, SIGKILL unless another is named; nothing if it was waited for."""
        if self._code is None:
            os.kill(self.pid, how)

    def wait(self) -> int:
        """Wait for its end; return the exit code, negative for the signal that ended it."""
        if self._code is None:
            _, status = os.waitpid(self.pid, 0)
            self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def stop(self) -> None:
        """Kill it if it still runs."""
        self.kill()
        self.wait()

    def close(self) -> list[str]:
        """Kill it if it still runs; return the lines that were not read yet."""
        self.stop()
        lines = list(iter(self.told, None))
        os.close(self._read)
        return lines


def crashed_at(step: str, work: Callable[[], object], *, time: int = 1) -> bool:
    """Run ``work`` in a fork that ends, as by a crash, when it reaches a step.

    Args:
        step: one of :data:`docstore.crash_points.STEPS`.
        work: what to run.
        time: die when the step is reached for the so manieth time, from 1.

    Returns:
        Whether the step was reached; false if ``work`` returned before.

    Raises:
        RuntimeError: ``work`` raised; the traceback is on standard error.
    """

    def dying(tell: Callable[[str], None]) -> None:
        with dying_at(step, time=time):
            work()

    child = Child(dying)
    code = child.wait()
    child.close()
    if code not in (0, _CRASHED):
        raise RuntimeError(f"the process that was to die at {step} ended with exit code {code}")
    return code == _CRASHED


@contextmanager
def dying_at(step: str, *, time: int = 1) -> Iterator[None]:
    """End this process at once, by ``os._exit``, when a step is reached within the block."""
    left = time

    def die(reached: str) -> None:
        nonlocal left
        left -= reached == step
        if reached == step and left == 0:
            os._exit(_CRASHED)

    with hooked(die):
        yield


def fork() -> int:
    """Fork; the child's garbage collector leaves alone what it inherits, or it would copy every page."""
    gc.freeze()
    pid = os.fork()
    if pid:
        gc.unfreeze()
    return pid


def _run(work: Callable[[Callable[[str], None]], None], pipe: int) -> NoReturn:
    code = 1
    try:
        work(lambda line: _write(pipe, line))
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _write(pipe: int, line: str) -> None:
    os.write(pipe, line.encode() + b"\n")

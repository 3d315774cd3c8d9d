"""How far a long command is: a moving line on a terminal, else a plain line every few seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from docstore.cli.output import note
from docstore.maintenance import Progress

__all__ = ["told"]

_EVERY = 5.0  # seconds between two plain lines


@contextmanager
def told(command: str, *, quiet: bool = False) -> Iterator[Callable[[Progress], None] | None]:
    """Yield what is to be called with the progress of a command; it tells it on standard error.

    Arguments:
        command: what is going on, in a word.
        quiet: tell nothing; None is yielded.
    """
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task(command)
            yield lambda progress: bar.update(task, description=_line(command, progress))
    else:
        yield _Lines(command)


def _bar() -> Bar:
    console = Console(file=sys.stderr, markup=False, emoji=False, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    return Bar(*columns, console=console, transient=True)


def _line(command: str, progress: Progress) -> str:
    return f"{command}: {progress.done:,} {progress.stage}"


class _Lines:
    """Plain lines, not more than one every few seconds."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.said = monotonic()

    def __call__(self, progress: Progress) -> None:
        """Tell how far it is, if it is time to."""
        if monotonic() - self.said >= _EVERY:
            note(_line(self.command, progress))
            self.said = monotonic()

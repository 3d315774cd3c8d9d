"""Output of the commands: tables for people, lines for programs, text that cannot steer a terminal.

Progress is a moving line on a terminal, else a plain line every few seconds.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.table import Table

    from docstore.maintenance import Progress

__all__ = [
    "document_table",
    "document_view",
    "is_terminal",
    "note",
    "print_json",
    "print_table",
    "record",
    "shown",
    "size_text",
    "stdout",
    "table_of",
    "told",
]

_PIPED_WIDTH = 200
_WIDE = 120  # columns from which a listing has room for ids
_NARROW = 70  # columns below which it has none for dates
_STATUS_STYLES = {"completed": "green", "failed": "red", "processing": "yellow", "pending": "cyan"}
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def is_terminal() -> bool:
    """Return whether people look at standard output."""
    return sys.stdout.isatty()


def stdout() -> Console:
    """Return a console on standard output, wide where that is no terminal, so that nothing is cut."""
    from rich.console import Console

    width = None if is_terminal() else _PIPED_WIDTH
    return Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)


def print_table(table: Table) -> None:
    """Print a table on standard output, without blanks at the ends of lines where that is no terminal."""
    console = stdout()
    if is_terminal():
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))


def table_of(names: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> Table:
    """Lay rows out under their names; those in `right` are numbers."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold", justify="right" if name in right else "left")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    return table


def note(text: str) -> None:
    """Print one line on standard error."""
    print(shown(text), file=sys.stderr)


def shown(text: object, *, lines: bool = False) -> str:
    """Write text so that a terminal only shows it: controls and direction marks become escapes.

    Arguments:
        text: what to show.
        lines: keep line feeds and tabs.
    """
    kept = "\n\t" if lines else ""
    return "".join(c if c in kept else _safe(c) for c in str(text))


def _safe(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def size_text(size: int | None) -> str:
    """Write a number of bytes for people, in steps of 1,000; None is a dash."""
    if size is None:
        return "–"
    if size < 1000:
        return f"{size} B"
    amount, units = size / 1000, ["TB", "GB", "MB", "kB"]
    while amount >= 999.95 and len(units) > 1:
        amount /= 1000
        units.pop()
    return f"{amount:.1f} {units[-1]}"


def record(model: BaseModel) -> dict[str, Any]:
    """Turn a record into what JSON can hold."""
    return model.model_dump(mode="json")


def json_text(value: object, *, indent: int | None = None) -> str:
    """Write JSON; escapes for characters that standard output cannot hold, or that steer a terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    if is_terminal():
        safe = (c if c == "\n" or _safe(c) == c else json.dumps(c)[1:-1] for c in text)
        return "".join(safe)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeError:
        return json.dumps(value, indent=indent, default=str)
    return text


def print_json(value: object) -> None:
    """Print JSON, two spaces deep."""
    print(json_text(value, indent=2))


def time_text(moment: datetime, *, wide: bool) -> str:
    """Write an instant in UTC: to the minute, the second where there is room, or exactly in a pipe."""
    if not is_terminal():
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S" if wide else "%Y-%m-%d %H:%M")


def document_table(documents: Iterable[Any], *, chain: bool = False) -> Table:
    """Lay documents out in a table; their ids are in it where there is room for them.

    Sizes and dates are for people on a terminal, and exact in a pipe.

    Arguments:
        documents: what to show, in this order.
        chain: show version numbers, too.
    """
    from rich.table import Table

    width = stdout().width
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("number", justify="right", no_wrap=True)
    table.add_column("name", overflow="fold", ratio=1)
    table.add_column("type", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    if width >= _NARROW:
        table.add_column("created (UTC)", no_wrap=True)
    if chain:
        table.add_column("version", justify="right", no_wrap=True)
    if width >= _WIDE:
        table.add_column("id", no_wrap=True)
    for document in documents:
        table.add_row(*_cells(document, chain, width))
    return table


def _cells(document: Any, chain: bool, width: int) -> Sequence[Any]:
    from rich.text import Text

    status = str(document.status)
    exact = "" if document.size is None else str(document.size)
    cells = [
        Text(str(document.number)),
        Text(shown(document.external_id or document.filename)),
        Text(document.file_type),
        Text(size_text(document.size) if is_terminal() else exact),
        Text(status, style=_STATUS_STYLES.get(status, "")),
    ]
    if width >= _NARROW:
        cells.append(Text(time_text(document.created_at, wide=width >= _WIDE)))
    if chain:
        cells.append(Text(f"{document.version}{' latest' if document.is_latest else ''}"))
    return [*cells, Text(shown(document.id), style="dim")] if width >= _WIDE else cells


def document_view(document: BaseModel) -> Table:
    """Lay one document out, a field a line; fields that are None and the content are left out."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in record(document).items():
        if value is None or name == "content":
            continue
        # As filters write them: true, not True.
        plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        text = json.dumps(value, ensure_ascii=False, indent=2) if isinstance(value, dict) else plain
        table.add_row(name, Text(shown(text, lines=isinstance(value, dict))))
    return table


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
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

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

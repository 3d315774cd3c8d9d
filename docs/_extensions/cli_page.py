"""The page on the command, made from its ``--help`` and from what it prints in a small session.

    python docs/_extensions/cli_page.py            write docs/cli.md and tests/cli/transcripts
    python docs/_extensions/cli_page.py --check    exit with 1 if they are not as they should be

What differs from run to run (ids, times, places) is replaced by something of the same length.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cli.md"
TRANSCRIPTS = ROOT / "tests" / "cli" / "transcripts"
WIDTHS = {"80": 80, "120": 120, "pipe": None}

_HEAD = """# The command

<!-- Made by docs/_extensions/cli_page.py from --help and from a session; edit those, and run it again. -->

`pip install "embedded-docstore[cli,extract]"` brings `docstore`. `python -m docstore` is the same. A program can do
whatever it does by one call of the library. `docstore completion bash` prints a completion script.

```text
{help}
```

Name a document by its id, by the unique beginning of one, or by `external_id:…`. A filename works if only one
document has it, and so does the number that a listing shows. Not found is exit status 1, several are 2. Sizes and
dates are rounded on a terminal, and exact in a pipe.
"""

SESSION = (
    ("index", "docstore index papers"),
    ("index", "docstore index papers"),
    ("index", "docstore index papers --dry-run --include '*.csv'"),
    ("add", "docstore add letter.txt -m vendor=Acme --id letter"),
    ("import", "docstore import customers.csv --key number"),
    ("find", "docstore find --sort number"),
    ("find", "docstore find 'size>10' file_type=text --fields filename,size"),
    ("find", "docstore find hello"),
    ("count", "docstore count"),
    ("count", "docstore count --by file_type"),
    ("fields", "docstore fields --prefix metadata.source"),
    ("facets", "docstore facets status file_type"),
    ("explain", "docstore explain vendor=Acme"),
    ("show", "docstore show letter"),
    ("get", "docstore get plan.txt"),
    ("cat", "docstore cat bill.csv"),
    ("text", "docstore text plan.txt"),
    ("open", "docstore open plan.txt"),
    ("set", "docstore set letter paid:=true city=Bern"),
    ("tag", "docstore tag letter +important +q3"),
    ("versions", "docstore versions papers/plan.txt"),
    ("retry", "docstore retry plan.txt"),
    ("status", "docstore status"),
    ("work", "docstore work --extract"),
    ("review", "docstore review"),
    ("rm", "docstore rm letter"),
    ("rm", "docstore rm --where city=Bern"),
    ("serve", "docstore servee"),
    ("serve", "docstore serve --host 0.0.0.0"),
    ("mcp", "docstore mcp --host 0.0.0.0"),
    ("partition", "docstore partition"),
    ("distribute", "docstore distribute"),
    ("completion", "docstore completion bash"),
    ("check", "docstore check"),
    ("repair", "docstore repair"),
    ("collect", "docstore collect"),
    ("adopt", "docstore adopt"),
    ("stats", "docstore stats"),
    ("indexes", "docstore indexes --create metadata.vendor"),
    ("advise", "docstore advise"),
    ("upgrade", "docstore upgrade --dry-run"),
    ("erase", "docstore erase --tenant acme"),
    ("copy", "docstore copy docstore.db new.db --target-blobs new-files"),
    ("diff", "docstore diff docstore.db new.db --other-blobs new-files"),
    ("export", "docstore export docs.jsonl.gz"),
    ("backup", "docstore backup monday"),
    ("backup", "docstore count --store monday"),
)
"""What is typed, and which command's section shows it."""
_FIRST_LINES = {"completion": 4, "explain": 6, "stats": 3}
"""Of these the rest is the engine's own, and differs from one version of it to the next."""


def session(columns: int | None) -> list[tuple[str, str, str]]:
    """Run the session, and return of each line the command, what is typed and what is printed.

    Args:
        columns: of the terminal; ``None``: a pipe.
    """
    folder = Path(tempfile.mkdtemp(prefix="docstore-cli-", dir="/tmp"))
    before = Path.cwd()
    try:
        _make_files(folder)
        os.chdir(folder)
        settings = {"COLUMNS": str(columns or 80), "TERM": "xterm", "NO_COLOR": "1", "TZ": "UTC"}
        cleared = {name: text for name, text in os.environ.items() if not name.startswith("DOCSTORE_")}
        temporary = mock.patch("tempfile.tempdir", str(folder))
        with temporary, mock.patch.dict(os.environ, {**cleared, **settings}, clear=True):
            known: dict[str, str] = {}
            return [(name, typed, _said(name, typed, columns, known)) for name, typed in SESSION]
    finally:
        os.chdir(before)
        shutil.rmtree(folder)


def _make_files(folder: Path) -> None:
    files = {
        "papers/plan.txt": "a plan for the spring",
        "papers/2026/bill.csv": "item,price\nrope,12\n",
        "letter.txt": "Dear Ada, hello from Bern.\n",
        "customers.csv": "number,name,city\n1,Ada,Bern\n2,Max,Basel\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_767_225_600, 1_767_225_600))


class _Screen(io.TextIOWrapper):
    """What a command prints to: a terminal, or a pipe."""

    def __init__(self, to: io.BytesIO, *, is_terminal: bool) -> None:
        super().__init__(to, encoding="utf-8", write_through=True)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def _said(name: str, typed: str, columns: int | None, known: dict[str, str]) -> str:
    import shlex

    from docstore.cli import main

    printed = io.BytesIO()
    errors = io.BytesIO() if columns is None else printed
    screen, said = _Screen(printed, is_terminal=columns is not None), _Screen(errors, is_terminal=False)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(screen))
        stack.enter_context(contextlib.redirect_stderr(said))
        stack.enter_context(mock.patch("sys.stdin", io.StringIO()))
        stack.enter_context(mock.patch("click.launch", return_value=0))
        status = main(shlex.split(typed)[1:])
    screen.detach()
    said.detach()
    text = printed.getvalue().decode() + (errors.getvalue().decode() if errors is not printed else "")
    lines = [line.rstrip() for line in settled(text, known).rstrip("\n").split("\n")]
    if name in _FIRST_LINES:
        lines = [*lines[: _FIRST_LINES[name]], "…"]
    return "\n".join([*lines, *([f"(exit status {status})"] if status else [])])


_CHANGING = (
    (
        re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"),
        "01980000-0000-7000-8000-{:012}",
    ),
    (re.compile(r"/tmp/docstore-cli-\w{8}"), "/home/ada/documents/work{:02}"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "{:032}"),
    (re.compile(r"\b[0-9a-f]{64}\b(?=$|\n)"), "{:064}"),
)


def settled(text: str, known: dict[str, str]) -> str:
    """Return a text with what changes from run to run made the same, in the same room."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    text = re.sub(r"docstore-\w{8}(?=/plan)", "docstore-00000000", text)
    for pattern, form in _CHANGING:
        for found in pattern.findall(text):
            count = sum(value[:4] == form[:4] for value in known.values()) + 1
            known.setdefault(found, form.format(count))
    for found, value in known.items():
        text = text.replace(found, value)
    text = re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "2026-01-01T00:00:00.000000Z", text)
    text = re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", "2026-01-01 00:00:00", text)
    text = re.sub(r"20\d\d-\d\d-\d\d \d\d:\d\d", "2026-01-01 00:00", text)
    return re.sub(r"\d+\.\d s\b", "0.1 s", text)


def help_of(*names: str) -> str:
    """Return the help page of a command, 88 columns wide."""
    from docstore.cli import main

    printed = io.BytesIO()
    screen = _Screen(printed, is_terminal=True)
    with contextlib.redirect_stdout(screen), mock.patch.dict(os.environ, {"COLUMNS": "88", "TERM": "dumb"}):
        main([*names, "--help"])
    screen.detach()
    return "\n".join(line.rstrip() for line in printed.getvalue().decode().rstrip().split("\n"))


def wrapped(text: str, columns: int = 80) -> str:
    """Return a text as a terminal of that width shows it: long lines go on in the next one."""
    lines = (line for whole in text.split("\n") for line in _pieces(whole, columns))
    return "\n".join(lines)


def _pieces(line: str, columns: int) -> list[str]:
    return [line[at : at + columns] for at in range(0, len(line), columns)] or [""]


def page(lines: list[tuple[str, str, str]]) -> str:
    """Return docs/cli.md, with a session of 80 columns."""
    from docstore.cli.app import COMMANDS

    parts = [_HEAD.format(help=help_of())]
    for title, commands in COMMANDS.items():
        parts.append(f"\n## {title}\n")
        for name in commands:
            parts.append(f"\n### docstore {name}\n\n```text\n{help_of(name)}\n```\n")
            shown = [wrapped(f"$ {typed}\n{said}".rstrip()) for of, typed, said in lines if of == name]
            if shown:
                parts.append("\n```console\n{}\n```\n".format("\n\n".join(shown)))
    return "".join(parts)


def sessions() -> dict[str, list[tuple[str, str, str]]]:
    """Return the session at each width."""
    return {name: session(columns) for name, columns in WIDTHS.items()}


def made(told: dict[str, list[tuple[str, str, str]]]) -> Iterator[tuple[Path, str]]:
    """Yield every file that is made of the sessions, and its text."""
    for name, lines in told.items():
        text = "\n\n".join(f"$ {typed}\n{said}".rstrip() for _, typed, said in lines)
        yield TRANSCRIPTS / f"{name}.txt", f"{text}\n"
        if name == "80":
            yield PAGE, page(lines)


def main() -> int:
    """Write the files, or with ``--check`` compare them."""
    changed = []
    for path, text in made(sessions()):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            changed.append(path)
            if "--check" not in sys.argv:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for path in changed:
        print(f"{'differs' if '--check' in sys.argv else 'written'}: {path.relative_to(ROOT)}")
    return 1 if changed and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())

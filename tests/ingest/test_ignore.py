"""What is left out: .gitignore as git reads it, .docstoreignore, names that nobody looks for."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from docstore.ingest import WalkOptions, walk
from docstore.ingest.ignore import Pattern, patterns_of


def taken(folder: Path, **options: object) -> set[str]:
    """Return the names of the files that are taken."""
    options = {"hidden": True, **options}
    walked = walk(folder, WalkOptions(**options))  # type: ignore[arg-type]
    return {entry.name for entry in walked if not entry.ignored and entry.problem is None}


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files below a folder, and return it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


RULES = {
    ".gitignore": "*.log\n!keep.log\n/top.txt\nbuild/\ndocs/*.tmp\n**/deep/x\n\\#odd\n# comment\ntrail \n"
    "q?.c\n[ab].o\nblank\\   \ncrlf\r\nwrong\\\n/u?\n",
    "sub/.gitignore": "!a.log\nonly/\n/here\n",
    "sub/inner/.gitignore": "*\n!.gitignore\n!kept\n",
    "a.log": "", "keep.log": "", "top.txt": "", "sub/top.txt": "", "build/x": "", "sub/build/y": "",
    "sub/a.log": "", "sub/b.log": "", "docs/a.tmp": "", "docs/in/a.tmp": "", "m/deep/x": "", "#odd": "",
    "blank ": "", "blank": "", "crlf": "", "u\u00e9": "", "ux": "",
    "trail": "", "qq.c": "", "qqq.c": "", "a.o": "", "c.o": "", "sub/only/z": "", "sub/here": "",
    "sub/more/here": "", "sub/inner/kept": "", "sub/inner/gone": "", "build.txt": "", "sub/build.d/z": "",
}  # fmt: skip


def test_rules_are_read_as_git_reads_them(tmp_path: Path) -> None:
    """The same files are taken that git would add, in the repository and in a folder of it."""
    if shutil.which("git") is None:
        pytest.fail("git is needed to compare with")
    repository = write(tmp_path / "r", RULES)
    git = ["git", "-c", "core.excludesFile=/dev/null", "-C", str(repository)]
    subprocess.run([*git, "init", "-q"], check=True)
    (repository / ".git" / "info" / "exclude").write_text("c.o\n")
    listed = subprocess.run(
        [*git, "ls-files", "-z", "--others", "--exclude-standard"], check=True, capture_output=True
    )
    expected = {os.fsdecode(name) for name in listed.stdout.split(b"\0") if name}
    assert len(expected) > 8
    assert "c.o" not in expected
    assert taken(repository) == expected
    below = {name.removeprefix("sub/") for name in expected if name.startswith("sub/")}
    assert taken(repository / "sub") == below


# Parts of patterns: with what git reads in a way of its own, and what a regular expression would.
PARTS = (
    "a", "b", "ab", "*", "*", "**", "**/", "/**", "/**/", "/", "?", "\\/", "\\a", "\\", "***", "!", "#",
    " ", "\\ ", "\t", ".", "[ab]", "[!a]", "[^a]", "[a-c]", "[]a]", "[!]a]", "[a-]", "[-a]", "[c-a]", "[a",
    "[", "[]", "[[:alpha:]]", "[^[:space:]]", "[[:none:]]", "[[:a]", "[a-[:digit:]]", "[\\]]", "[a-\\c]",
    "[a--b]", "[a&&b]", "[a/b]", "{a,b}", "\u00e9", "[\u00e9]", "\r", "$", "(",
)  # fmt: skip
NAMES = (
    "a", "b", "ab", "aab", "a ", " a", "!a", "#a", "[a", "a]", "\\a", "\u00e9", "A", "-", "a.b", "a\t",
)  # fmt: skip


def test_generated_patterns_match_what_they_match_for_git(tmp_path: Path) -> None:
    """300 of them, each in a folder of its own, over 20 paths."""
    chance = random.Random(11)
    rules = {
        f"{number}": "".join(chance.choices(PARTS, k=chance.randint(1, 6))) + "\n" for number in range(300)
    }
    write(tmp_path, {f"{folder}/.gitignore": line for folder, line in rules.items()})
    git = ["git", "-c", "core.excludesFile=/dev/null", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    paths = ["/".join(chance.choices(NAMES, k=chance.randint(1, 4))) for _ in range(20)]
    asked = "\0".join(f"{folder}/{path}" for folder in rules for path in paths)
    told = subprocess.run(
        [*git, "check-ignore", "--stdin", "-z"], input=asked.encode(), capture_output=True, check=True
    )
    expected = set(filter(None, told.stdout.decode().split("\0")))

    patterns = {folder: patterns_of(line.encode()) or [Pattern(b"")] for folder, line in rules.items()}

    def is_ignored(folder: str, path: str) -> bool:
        (pattern,) = patterns[folder]
        steps = path.encode().split(b"/")
        ways = [
            (b"/".join(steps[:end]), steps[end - 1], end < len(steps)) for end in range(1, len(steps) + 1)
        ]
        return not pattern.takes_back and any(pattern.matches(*way) for way in ways)

    assert len(expected) > 300
    assert {f"{folder}/{path}" for folder in rules for path in paths if is_ignored(folder, path)} == expected


@pytest.mark.parametrize("line", ["*a" * 30 + "b", "**/a" * 20 + "/b", "/**/a*a" * 15 + "/**/b"])
def test_many_stars_cost_nothing(line: str) -> None:
    """No pattern is tried in all ways: these would take for ever."""
    (pattern,) = patterns_of(line.encode())
    path = b"aaa/" * 900 + b"a" * 200
    started = time.process_time()
    assert not pattern.matches(path, b"a" * 200, False)
    assert time.process_time() - started < 5


def test_a_file_of_rules_that_is_none(tmp_path: Path) -> None:
    """A link, as for git, a pipe and a folder hold no rules, and nobody waits for them."""
    write(
        tmp_path,
        {"rules": "*.log\n", "a.log": "", "pipe/a.log": "", "folder/.gitignore/x": "*\n", "folder/a.log": ""},
    )
    (tmp_path / ".gitignore").symlink_to("rules")
    os.mkfifo(tmp_path / "pipe" / ".gitignore")
    assert {"a.log", "pipe/a.log", "folder/a.log"} <= taken(tmp_path)


def test_docstoreignore_goes_before_gitignore(tmp_path: Path) -> None:
    """In one folder; it takes files back, too."""
    write(
        tmp_path, {".gitignore": "a\nb\n", ".docstoreignore": "!a\nc\n", "a": "", "b": "", "c": "", "d": ""}
    )
    assert taken(tmp_path) == {".gitignore", ".docstoreignore", "a", "d"}
    assert taken(tmp_path, ignore=False) >= {"a", "b", "c", "d"}


def test_names_that_nobody_looks_for(tmp_path: Path) -> None:
    """Are left out by themselves, at any depth."""
    names = [
        "node_modules/x.js",
        "s/__pycache__/y.pyc",
        "~$letter.docx",
        "Thumbs.db",
        "desktop.ini",
        ".DS_Store",
    ]
    write(tmp_path, dict.fromkeys([*names, "a.txt"], ""))
    assert taken(tmp_path) == {"a.txt"}
    assert taken(tmp_path, ignore=False) == {*names, "a.txt"}


def test_what_was_left_out_is_told(tmp_path: Path) -> None:
    """Once for a folder with all that it holds."""
    write(tmp_path, {".gitignore": "out/\n*.log\n", "out/a": "", "out/b": "", "c.log": "", "d": ""})
    assert sorted(entry.name for entry in walk(tmp_path) if entry.ignored) == [".gitignore", "c.log", "out"]


def test_included_patterns(tmp_path: Path) -> None:
    """Only files that match one are taken, in any folder; excluded ones not even then."""
    write(tmp_path, dict.fromkeys(["a.pdf", "s/b.pdf", "c.txt", "s/d.md"], ""))
    assert taken(tmp_path, include=["*.pdf", "*.md"], exclude=["a.*"]) == {"s/b.pdf", "s/d.md"}


@pytest.mark.parametrize("folder", ["build", "build/deep", "sub/out"])
def test_a_folder_that_is_named_is_taken_though_it_is_ignored(tmp_path: Path, folder: str) -> None:
    """The rules from around it leave it out with all it holds, and so do not count; its own do."""
    (tmp_path / ".git").mkdir()
    files = {".gitignore": "build/\n*.log\n", "sub/.gitignore": "out\n", f"{folder}/.gitignore": "b\n"}
    write(tmp_path, {**files, f"{folder}/a.log": "", f"{folder}/in/c": "", f"{folder}/b": ""})
    assert taken(tmp_path / folder, hidden=False) == {"a.log", "in/c"}

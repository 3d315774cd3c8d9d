"""Walking a folder: what is taken, what is left, what is reported."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from docstore.ingest.files import Entry, WalkOptions, walk


def names(folder: Path, **options: object) -> list[str]:
    """Return the names of the files that can be indexed."""
    walked = walk(folder, WalkOptions(**options))  # type: ignore[arg-type]
    return [entry.name for entry in walked if entry.problem is None and not entry.ignored]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with files, folders, hidden ones among them."""
    for name in ("b.txt", "a/z.txt", "a/b/c.txt", "a/x.tmp", ".hidden", ".git/config", "c/.d/e.txt"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "tree"


def test_files_come_once_in_a_fixed_order(tree: Path) -> None:
    """Sorted by name within each folder, a folder's files where the folder stands."""
    assert names(tree) == ["a/b/c.txt", "a/x.tmp", "a/z.txt", "b.txt"]


def test_hidden_files_are_taken_when_asked(tree: Path) -> None:
    """A leading dot hides a file, and a folder with all that is in it."""
    assert names(tree, hidden=True, ignore=False) == [
        ".git/config", ".hidden", "a/b/c.txt", "a/x.tmp", "a/z.txt", "b.txt", "c/.d/e.txt",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.tmp", ["a/b/c.txt", "a/z.txt", "b.txt"]),
        ("a", ["b.txt"]),
        ("a/b", ["a/x.tmp", "a/z.txt", "b.txt"]),
        ("a/*", ["b.txt"]),
        ("B.txt", ["a/b/c.txt", "a/x.tmp", "a/z.txt", "b.txt"]),
    ],
)
def test_patterns_leave_out_names_and_paths(tree: Path, pattern: str, left: list[str]) -> None:
    """A pattern is held against the name and the path within the folder; its case counts."""
    assert names(tree, exclude=(pattern,)) == left


def test_size_and_time_are_the_files_own(tree: Path) -> None:
    """An entry has the size in bytes and the time of the last change to the nanosecond."""
    os.utime(tree / "b.txt", ns=(0, 1_234_567_890_123_456_789))
    entry = next(entry for entry in walk(tree) if entry.name == "b.txt")
    assert entry == Entry(str(tree / "b.txt"), "b.txt", 5, 1_234_567_890_123_456_789)


def test_links_and_special_files_are_passed_and_named(tree: Path) -> None:
    """A link, a pipe and a socket are left out, each with a word; none is opened."""
    os.symlink("b.txt", tree / "link")
    os.symlink("a", tree / "linked")
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tree / "sock"))
        passed = {entry.name: entry.problem for entry in walk(tree) if entry.passed}
    assert passed == {
        "link": "a symbolic link",
        "linked": "a symbolic link",
        "pipe": "a named pipe",
        "sock": "a socket",
    }


def test_followed_loops_end(tree: Path) -> None:
    """With links followed, each folder is entered once: loops and second ways in are not."""
    for link, target in (("a/up", ".."), ("a/self", "."), ("z", "a"), ("file", "b.txt")):
        os.symlink(target, tree / link)
    assert names(tree, follow=True) == ["a/b/c.txt", "a/x.tmp", "a/z.txt", "b.txt", "file"]


def test_a_link_to_nowhere_is_reported(tree: Path) -> None:
    """A followed link without a target is a problem, not the end of the walk."""
    os.symlink("nowhere", tree / "0link")
    problems = [(e.name, e.problem) for e in walk(tree, WalkOptions(follow=True)) if e.problem]
    assert problems == [("0link", "cannot be looked at: No such file or directory")]
    assert len(names(tree, follow=True)) == 4


def test_a_folder_that_cannot_be_listed_is_reported(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk goes on beside it. (Root may list any folder, so the refusal is put in.)"""
    scandir: Callable[[str], object] = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("/a/b"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("docstore.ingest.files.os.scandir", refusing)
    met = [(entry.name, entry.problem) for entry in walk(tree) if not entry.ignored]
    assert met[0] == ("a/b", "folder cannot be listed: Permission denied")
    assert [name for name, _ in met[1:]] == ["a/x.tmp", "a/z.txt", "b.txt"]


def test_avoided_paths_are_left_out_without_a_word(tree: Path) -> None:
    """What `avoid` says yes to is not there."""
    assert names(tree, avoid=lambda path: path == str(tree / "a")) == ["b.txt"]


def test_the_folder_itself_must_be_there(tmp_path: Path) -> None:
    """A missing folder and a file in its place are errors of the caller."""
    (tmp_path / "file").touch()
    for wrong in ("missing", "file"):
        with pytest.raises(OSError, match=wrong):
            list(walk(tmp_path / wrong))


def test_deep_trees_need_no_recursion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More folders below one another than Python calls may be are walked."""
    depth = sys.getrecursionlimit() + 100
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    Path("deep.txt").touch()
    assert [entry.name for entry in walk(tmp_path)] == ["d/" * depth + "deep.txt"]
    os.unlink("deep.txt")
    for _ in range(depth):  # pytest removes tmp_path by recursion
        os.chdir("..")
        os.rmdir("d")

"""The file of a store in SQLite: what opening it says where it cannot be, and closing beside others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from docstore_sqlite import open_backend

import docstore


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """The error says what could not be opened and which folder is missing; nothing is made."""
    with pytest.raises(docstore.BackendError, match=r"library\.db; the folder .*absent does not exist"):
        docstore.open(f"sqlite:///{tmp_path}/absent/library.db")
    assert [] == os.listdir(tmp_path)


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    """A folder is no database: a BackendError that names it."""
    with pytest.raises(docstore.BackendError, match=tmp_path.name):
        docstore.open(f"sqlite:///{tmp_path}")


def test_a_file_of_something_else(tmp_path: Path) -> None:
    """What is no database is named as such, and stays as it was."""
    (tmp_path / "notes.txt").write_text("no database, but long enough to be looked at as one" * 20)
    before = (tmp_path / "notes.txt").read_bytes()
    with pytest.raises(docstore.BackendError, match=r"not a database.*notes\.txt"):
        docstore.open(f"sqlite:///{tmp_path}/notes.txt")
    assert before == (tmp_path / "notes.txt").read_bytes()
    assert ["notes.txt"] == os.listdir(tmp_path)


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe is refused by its name, and nobody waits for its other end; nothing is made beside it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(docstore.BackendError, match=r"/pipe is no file"):
        docstore.open(f"sqlite:///{tmp_path}/pipe")
    assert ["pipe"] == os.listdir(tmp_path)


def test_closing_waits_for_no_writer(sqlite_url: str) -> None:
    """A store closes although another holds the write lock for longer than it would wait."""
    store = docstore.open(open_backend(sqlite_url, busy_timeout=0.05))
    other = docstore.open(sqlite_url)
    with other.transaction():
        other.documents.add(filename="x")
        store.close()
    assert 1 == other.documents.count()
    other.close()

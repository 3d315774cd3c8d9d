"""The names of things: content_type and file_type come from a fixed table and nothing else."""

from __future__ import annotations

import mimetypes
from collections import Counter

import pytest

from docstore import mediatypes
from docstore.mediatypes import FILE_TYPES, content_type_of, file_type_of


@pytest.mark.parametrize(
    ("filename", "content_type", "file_type"),
    [
        ("report.pdf", "application/pdf", "pdf"),
        ("letter.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "word"),
        ("letter.doc", "application/msword", "word"),
        ("sheet.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "excel"),
        ("sheet.xls", "application/vnd.ms-excel", "excel"),
        ("rows.csv", "text/csv", "excel"),
        (
            "talk.pptx",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "powerpoint",
        ),
        ("photo.JPG", "image/jpeg", "image"),
        ("song.mp3", "audio/mpeg", "audio"),
        ("film.mp4", "video/mp4", "video"),
        ("notes.txt", "text/plain", "text"),
        ("notes.md", "text/markdown", "text"),
        ("code.py", "text/x-python", "text"),
        ("tree.xml", "text/xml", "text"),
        ("set.yaml", "application/yaml", "text"),
        ("page.html", "text/html", "html"),
        ("tree.json", "application/json", "json"),
        ("backup.tar.gz", "application/gzip", "archive"),
        ("backup.tgz", "application/gzip", "archive"),
        ("backup.zip", "application/zip", "archive"),
        ("program.exe", "application/vnd.microsoft.portable-executable", "other"),
    ],
)
def test_known_suffixes(filename: str, content_type: str, file_type: str) -> None:
    """A known suffix names its MIME type, and the MIME type its file type."""
    assert content_type_of(filename) == content_type
    assert file_type_of(content_type, filename) == file_type


@pytest.mark.parametrize("filename", ["Makefile", "README", "LICENSE", "Dockerfile", ".gitignore", "x.CFG"])
def test_well_known_names_are_text(filename: str) -> None:
    """Names that people know without a suffix are text."""
    assert file_type_of(content_type_of(filename), filename) == "text"


@pytest.mark.parametrize(
    "filename",
    ["", "blob", "a.unknownsuffix", "a.", ".", "pdf", "archive/pdf", "\udcff", "x.\u202efdp", "a.pdf/x"],
)
def test_unknown_names(filename: str) -> None:
    """Whatever is not in the table is octet-stream and other; no name raises."""
    assert content_type_of(filename) == "application/octet-stream"
    assert file_type_of("application/octet-stream", filename) == "other"


@pytest.mark.parametrize("filename", ["../../a.PDF", "C:\\a\\b.pdf", "dir.zip/b.Pdf", " b.pdf "])
def test_only_the_last_part_of_a_path_counts(filename: str) -> None:
    """Folders, case and surrounding blanks change nothing."""
    assert content_type_of(filename) == "application/pdf"


@pytest.mark.parametrize(
    ("content_type", "file_type"),
    [
        ("TEXT/HTML; charset=utf-8", "html"),
        ("application/vnd.api+json", "json"),
        ("application/atom+xml", "text"),
        ("image/x-never-heard-of", "image"),
        ("text/x-never-heard-of", "text"),
        ("application/x-never-heard-of", "other"),
        ("text/csv;header=present", "excel"),
    ],
)
def test_a_content_type_decides_before_the_name(content_type: str, file_type: str) -> None:
    """Parameters and case do not count; families of MIME types are known by their shape."""
    assert file_type_of(content_type, "x") == file_type


def test_a_content_type_that_says_nothing_leaves_it_to_the_name() -> None:
    """Octet-stream, an unknown type and an empty text fall back on the suffix; a known type does not."""
    for silent in ("application/octet-stream", "", "application/x-download"):
        assert file_type_of(silent, "a.pdf") == "pdf"
    assert file_type_of("application/wasm", "a.pdf") == "other"


def test_the_hosts_registry_is_never_asked() -> None:
    """A type added to the process-wide registry changes no answer."""
    mimetypes.add_type("application/x-changed", ".pdf")
    assert content_type_of("a.pdf") == "application/pdf"


def test_every_suffix_stands_once() -> None:
    """No suffix has two meanings in the table, every one is lower case, every file type is a known word."""
    suffixes = Counter(
        suffix for types in mediatypes._TABLE.values() for words in types.values() for suffix in words.split()
    )
    assert {s: n for s, n in suffixes.items() if n > 1 or s != s.lower()} == {}
    assert set(mediatypes._TABLE) == set(FILE_TYPES)


def test_every_type_of_the_table_keeps_its_word() -> None:
    """content_type_of and file_type_of agree with the table for every suffix in it."""
    for file_type, types in mediatypes._TABLE.items():
        for content_type, words in types.items():
            for suffix in words.split():
                assert content_type_of(f"a.{suffix}") == content_type
                assert file_type_of(content_type, f"a.{suffix}") == file_type

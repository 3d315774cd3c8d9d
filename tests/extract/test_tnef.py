"""`winmail.dat`: the subject, message and attachments that Outlook packs into one file."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import pytest

import docstore
from docstore.extract import ExtractionError, extract
from docstore.ingest import index_folder

# From MS-OXRTFCP, 4.1.1: {\rtf1\ansi\ansicpg1252\pard hello world}
COMPRESSED = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)


def attribute(level: int, number: int, value: bytes) -> bytes:
    return struct.pack("<BII", level, number, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def properties(*found: tuple[int, int, bytes]) -> bytes:
    made = struct.pack("<I", len(found))
    for kind, number, value in found:
        made += struct.pack("<HHII", kind, number, 1, len(value)) + value + bytes(-len(value) % 4)
    return made


def packed(*message: tuple[int, int, bytes]) -> bytes:
    return (
        b"\x78\x9f\x3e\x22\1\0"
        + attribute(1, 0x69007, struct.pack("<II", 1251, 0))
        + attribute(1, 0x18004, "Привет\0".encode("cp1251"))
        + attribute(1, 0x69003, properties(*message))
        + attribute(2, 0x69002, bytes(14))
        + attribute(2, 0x18010, b"LONGNA~1.TXT\0")
        + attribute(2, 0x6800F, b"attached words")
        + attribute(2, 0x69005, properties((0x1F, 0x3707, "long näme.txt\0".encode("utf-16-le"))))
    )


@pytest.mark.parametrize(
    "body",
    [
        (0x1E, 0x1000, "тело hello world\0".encode("cp1251")),
        (0x102, 0x1013, b"<p>hello <b>world</b></p>"),
        (0x102, 0x1009, COMPRESSED),
    ],
)
def test_the_message_is_read_however_it_is_kept(body: tuple[int, int, bytes]) -> None:
    """As text, as HTML or as compressed RTF; attachments by their long names."""
    made = extract(packed(body), filename="winmail.dat")
    assert ("complete", None, "application/vnd.ms-tnef") == (made.state, made.note, made.content_type)
    assert made.text.startswith("Subject: Привет\n")
    assert "hello world" in made.text
    assert made.text.endswith("long näme.txt\n")


def test_attachments_are_read_as_members() -> None:
    """With `archives=True`, each by itself."""
    made = extract(packed(), filename="winmail.dat", archives=True)
    assert [("long näme.txt", "attached words")] == [(one.name, one.extracted.text) for one in made.members]


def test_a_folder_s_attachments_are_indexed(tmp_path: Path) -> None:
    """As those of archives and of mails are: each is a document of its own."""
    (tmp_path / "winmail.dat").write_bytes(packed())
    with docstore.open("memory://", blobs="memory://") as store:
        index_folder(store, tmp_path, archives=True)
        inside = {"metadata.source.archive": "winmail.dat"}
        [found] = store.documents.iterate(inside, include={"content"})
    assert ("long näme.txt", "attached words") == (found.filename, found.content)


@pytest.mark.parametrize("kind", ["application/ms-tnef", "application/vnd.ms-tnef", "application/x-tnef"])
def test_a_mail_shows_what_outlook_packed(kind: str) -> None:
    """The text of a mail is often nowhere else; its type has several names."""
    head = f"Subject: s\nContent-Type: {kind}\nContent-Transfer-Encoding: base64\n\n".encode()
    made = extract(head + base64.encodebytes(packed((0x1E, 0x1000, b"hello\0"))), filename="a.eml")
    assert "hello" in made.text
    assert "long näme.txt" in made.text


def test_what_is_cut_off_is_told() -> None:
    """What was before it is kept."""
    whole = packed((0x1E, 0x1000, b"hello\0"))
    for missing in range(1, 50):
        made = extract(whole[:-missing], filename="winmail.dat", in_process=True)
        assert "hello" in made.text
        assert made.state == "partial", missing


def test_what_is_no_tnef_fails_with_a_reason() -> None:
    """A file that says by its type alone that it is one."""
    with pytest.raises(ExtractionError, match="no TNEF"):
        extract(bytes(99) + b"\1" * 99, content_type="application/ms-tnef")

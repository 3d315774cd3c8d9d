"""Short files, read in the process that asks: which they are, and that a child reads them the same."""

from __future__ import annotations

import gzip
import time

import pytest

from docstore.extract import ExtractionError, extract
from docstore.extract.short import read_short

HERE = {
    "a.txt": "plain words, é".encode(),
    "long.py": b"print(1)\n" * 20_000,
    "coded.py": b"# coding: latin-1\nname = 'caf\xc3\xa9'\n",
    "blank.txt": b" \n",
    "blank.md": "\xa0\u2028\n".encode(),
    "a.txt.gz": gzip.compress(b"packed words"),
    "a.json.gz": gzip.compress(b'{"a": ["words"]}'),
    "a.html": b"<p>two <b>words</b><script>no</script>",
    "a.csv": b'a,"b, c"\n1,2\n',
    "a.json": b'{"a": "caf\\u00e9"}',
    "a.xml": b"<a>words &amp; more</a>",
    "broken.xml": b"<a>words <b>more</a> <!-- cut",
    "a.ics": b"BEGIN:VCALENDAR\nSUMMARY:wor\n ds\nEND:VCALENDAR\n",
    "japanese.txt": b"\x1b$B%F%9%H\x1b(B",
    "page": b"<!doctype html><p>words",
    "a.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 300_000,
    "a.bin": bytes(range(256)),
}
ELSEWHERE = {
    "empty.txt": b"",
    "legacy.txt": b"caf\xe9 cr\xe8me",
    "wide.txt": "words".encode("utf-16"),
    "long.txt": b"x" * 300_000,
    "long.html": b"<p>words " * 4000,
    "bomb.txt.gz": gzip.compress(bytes(10_000_000)),
    "two.txt.gz": gzip.compress(b"one ") + gzip.compress(b"two"),
    "cut.txt.gz": gzip.compress(b"words " * 99)[:-9],
    "damaged.gz": b"\x1f\x8b\x08\0 damaged",
    "a.pdf": b"%PDF-1.4",
    "a.docx": b"PK\3\4",
    "a.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "a.eml": b"From: a\nTo: b\n\nwords",
    "a.ipynb": b'{"cells": []}',
    "entities.xml": b'<!DOCTYPE a [<!ENTITY b "words">]><a>&b;</a>',
}


@pytest.mark.parametrize("name", HERE)
def test_a_short_file_of_a_simple_kind_is_read_as_a_child_reads_it(name: str) -> None:
    """The same text, state, note and type."""
    assert read_short(HERE[name], name) == extract(HERE[name], filename=name)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_may_run_away_is_left_to_a_child(name: str) -> None:
    """Long files, encodings to be detected, formats of others' libraries, what unpacks to more."""
    assert read_short(ELSEWHERE[name], name) is None


def test_a_reason_is_raised_as_by_a_child() -> None:
    """XML that ends in its first tag."""
    with pytest.raises(ExtractionError) as here:
        read_short(b"<a b='", "a.xml")
    with pytest.raises(ExtractionError) as there:
        extract(b"<a b='", filename="a.xml")
    assert here.value.message == there.value.message


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("a.xml", "<b><!--"), ("a.svg", "<svg><!--"), ("a.html", "<a b='"), ("a.html", "<!--"), ("a.html", "&#"),
        ("a.csv", '"a\n'), ("a.json", '["\\'), ("a.json", '{"a":['), ("a.vcf", "N;ENCODING=QUOTED-PRINTABLE:=\n"),
        ("a.vcf", 'A;B="'), ("page", "<!---->"),
    ],
)  # fmt: skip
def test_no_short_file_takes_long(name: str, unit: str) -> None:
    """Time grows with the length: what is read here is bounded by its bytes alone."""
    found = (unit * 16_384)[:16_384].encode()
    before = time.process_time()
    try:
        assert read_short(found, name) is not None
    except ExtractionError as error:
        assert error.message  # noqa: PT017 - either is right
    assert time.process_time() - before < 2  # 0.06 on a quiet machine, 20 if it were quadratic


def test_what_is_packed_under_a_name_of_xml_is_unpacked() -> None:
    """The bytes win over the name, here and in a child; types that end in +xml are text."""
    found = gzip.compress(b"<svg><text>drawn</text></svg>")
    assert read_short(found, "a.svg") == extract(found, filename="a.svg")
    assert "drawn" in extract(found, filename="a.svg").text

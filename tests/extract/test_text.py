"""Text formats: CSV, JSON, HTML, XML, notebooks, mail, cards; and what is decided by the bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import mailbox
import sys
import tarfile
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from docstore.extract import Extracted, ExtractionError, ExtractLimits, extract


def text(found: bytes | str, name: str, **options: object) -> str:
    """Return the text of a file that is read completely."""
    made = read(found, name, **options)
    assert ("complete", None) == (made.state, made.note)
    return made.text


def read(found: bytes | str, name: str, **options: object) -> Extracted:
    """Read a file."""
    source = found.encode() if isinstance(found, str) else found
    return extract(source, filename=name, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "rows"),
    [
        ('a,"b, c"\r\n1,2\r\n', ["a\tb, c", "1\t2"]),
        ("a;b\n1,5;2\n", ["a\tb", "1,5\t2"]),
        ('"a;b;c;d",x\n1,2\n', ["a;b;c;d\tx", "1\t2"]),
        ('"a,b,c,d";x\n"1,2,3,4";y\n', ["a,b,c,d\tx", "1,2,3,4\ty"]),
        ("a|b\nc|d\n", ["a\tb", "c\td"]),
        ("a\tb,c\n1\t2\n", ["a\tb,c", "1\t2"]),
        ('"a, b"\t"c"\n"1, 2"\t"d"\n', ["a, b\tc", "1, 2\td"]),
        ("sep=;\na,b;c\n", ["a,b\tc"]),
        ('a,"two\nlines",c\nd\n', ["a\ttwo lines\tc", "d"]),
        ('"say ""hi""",b\n', ['say "hi"\tb']),
        ('5" pipe,b\n6" pipe,c\n', ['5" pipe\tb', '6" pipe\tc']),
        ('a,"open\nb,c\n', ['a\t"open', "b\tc"]),
        (",,,x,,\n,,\ny\n", ["x", "", "y"]),
        ("a\rb\r", ["a", "b"]),
        ("word\n", ["word"]),
    ],
)
def test_csv_is_read_a_row_a_line(found: str, rows: list[str]) -> None:
    """Whatever parts the cells; a delimiter in quotes is none, an open quote is no quote."""
    assert "".join(f"{row}\n" for row in rows) == text(found, "x.csv")


@pytest.mark.parametrize(
    ("source", "options", "named"),
    [
        (None, {}, "source"),
        (b"x", {"filename": 1}, "filename"),
        (b"x", {"content_type": b"text/plain"}, "content_type"),
    ],
)
def test_arguments_of_other_types_are_refused(source: Any, options: dict[str, Any], named: str) -> None:
    """Before anything is read."""
    with pytest.raises(TypeError, match=f"^{named}=.* expected"):
        extract(source, **options)


def test_csv_that_is_sent_as_excel_is_csv() -> None:
    """As browsers on Windows send it; and CSV, HTML and RTF that are named as Excel or Word files."""
    assert "a\tb\n" == extract(b"a,b\n", filename="x.csv", content_type="application/vnd.ms-excel").text
    assert "a\tb\n" == extract(b"a;b\n", filename="x.xls").text
    assert "a b" == " ".join(extract(b"<html><table><tr><td>a<td>b</table>", filename="x.xls").text.split())
    assert "a" == extract(rb"{\rtf1 a}", filename="x.doc").text


def test_json_is_read_as_keys_and_values() -> None:
    """Words that are stored as escapes, or parted by escaped line feeds, are words in the text."""
    found = {"name": "Žižkov\nPraha", "n": [1, None, True], "deep": {"x": {"y": 1.5}}, "": []}
    assert text(json.dumps(found), "x.json").split("\n") == [
        "name: Žižkov", "Praha", "n: ", "1", "null", "true", "deep: ", "x: ", "y: 1.5", ": ", "",
    ]  # fmt: skip
    assert "word\n" == text('"word"', "x.json")
    assert "a: 1\na: 2\n" == text('{"a": 1, "a": 2}', "x.json")
    assert "a: é\nb: x\n1\n" == text('{"a": "\\u00e9"}\n{"b":"x"}\n[1]\n', "x.jsonl")
    assert "x\ufffdy\n" == text('"x\\ud800y"', "x.json")


@pytest.mark.parametrize("found", ['{"a": "cut', '// note\n{"a": "b"}', "[" * 100_000 + '"a"', "{'a': b}"])
def test_json_that_is_not_quite_json_loses_no_word(found: str) -> None:
    """A cut end, comments and absurd nesting."""
    words = {"a", "cut", "note", "b"}
    made = text(found, "x.json")
    assert words & set(
        found.replace('"', " ").replace("'", " ").replace(":", " ").replace("}", " ").split()
    ) <= set(made.replace('"', " ").replace("'", " ").replace(":", " ").replace("}", " ").split())


def test_a_long_string_and_many_pieces_lose_nothing() -> None:
    """Strings and numbers across the seams of what is read at once."""
    found = [{"key": "x" * 300_000 + "end", "n": n * 1234567} for n in range(5)]
    made = text(json.dumps(found), "x.json")
    assert [line for line in made.split("\n") if line] == [
        line for one in found for line in (f"key: {one['key']}", f"n: {one['n']}")
    ]


def test_html_gives_what_a_reader_sees() -> None:
    """Scripts, styles, templates, comments and tags go; blocks make lines; references are resolved."""
    page = (
        "<title>A &amp; B</title><style>p{}</style><script>if (a < b) { x('<p>') }</script>"
        "<template>no</template><!-- no --><p>one  <b>two</b>\n three</p><table><tr><td>4<td>5</table>"
        "<img src=x alt='a boat'>&eacute;"
    )
    assert text(page, "x.html").split("\n") == ["", "A & B", "one two three", "4 5", "a boaté"]


@pytest.mark.parametrize(
    "found", ["<p>a<", "<p>a<!--", "<script>a", "</b></p>a", "<p a='", "<![x", "&#xffffffff;a"]
)
def test_broken_html_raises_nothing(found: str) -> None:
    """However broken, HTML gives the text that can be seen in it."""
    assert isinstance(read(found, "x.html").text, str)


@pytest.mark.parametrize(
    "unit", ["<!--", "<a b=c", "<!--" + "x" * 60, "</", "&#", "<![CDATA[", "<script>", "<"]
)
def test_html_that_never_ends_is_read_in_bounded_time(unit: str) -> None:
    """Markup that is opened again and again and never closed."""
    made = read(unit * 100_000 + "<!-- --></script>", "x.html", limits=ExtractLimits(seconds=20))
    assert "time" not in (made.note or "")


@pytest.mark.parametrize("end", ["<script>alert('no')", "<style>no", "<!-- no", "<a href='no", "</p"])
def test_an_open_end_hides_no_text_and_shows_no_code(end: str) -> None:
    """What stands before markup that is never closed is kept, what is in it is not shown."""
    assert "yes" == read(f"<p>yes {end}", "x.html").text.strip()


def test_html_in_pieces_is_the_same_text() -> None:
    """A page longer than one step of the reader loses nothing at the seams."""
    inner = "<script>var no = '<p>no</p>';" + "/* */" * 30_000 + "</script><!-- no " + "no " * 50_000 + "-->"
    page = "".join(f"<p>line {n} &amp; more</p>{inner if n == 9_000 else ''}" for n in range(20_000))
    lines = [line for line in text(page, "x.html").split("\n") if line]
    assert lines == [f"line {n} & more" for n in range(20_000)]


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ("<a>M&#252;ller &amp; S&#xf6;hne</a>", ["Müller & Söhne"]),
        (
            "<r><n>Anna</n><c>Rome</c><p>Hel<b>lo</b> and <b>Hel</b>lo</p></r>",
            ["Anna", "Rome", "Hello and Hello"],
        ),
        ("<r a='no'><!-- no --><?no no?><![CDATA[a < b]]></r>", ["a < b"]),
        ("<!DOCTYPE r [<!ENTITY who 'Anna'>]><r>Hi &who; &nbsp;&eacute;</r>", ["Hi Anna  é"]),
    ],
)
def test_xml_is_its_text_nodes(found: str, lines: list[str]) -> None:
    """Entities decoded; no tags, attributes and comments; inline elements part no word."""
    assert lines == [line.replace("\xa0", " ") for line in text(found, "x.xml").split("\n")]


def test_svg_is_its_text() -> None:
    """Titles and texts, not styles, scripts and paths."""
    found = (
        '<svg xmlns="http://www.w3.org/2000/svg"><style>.a{}</style><script>no()</script><title>Map</title>'
        "<path d='M0 0'/><text>Nor<tspan>way</tspan></text></svg>"
    )
    assert "Map\nNorway" == text(found, "x.svg")
    assert "Map\nNorway" == text(gzip.compress(found.encode()), "x.svgz")


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ("<a>one <b>two</a> three &eacute;", ["one", "two", "three", "é"]),
        ("<a>one</a><a>two</a>", ["one", "two"]),
        ("<a>one & two</a>", ["one", "two"]),
        ("<a>one", ["one"]),
        ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>one &e; two</a>', ["one", "two"]),
    ],
)
def test_malformed_xml_gives_what_stands_outside_of_tags(found: str, kept: list[str]) -> None:
    """And says that it is malformed, or that something was not fetched."""
    made = read(found, "x.xml")
    assert "partial" == made.state
    assert kept == [word for word in made.text.split() if word != "&"]


def test_an_entity_bomb_is_left_out() -> None:
    """Entities of entities are not expanded; nothing is fetched."""
    bomb = '<!ENTITY e0 "boom">' + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    made = read(f"<!DOCTYPE x [{bomb}]><x>before &e11; after</x>", "x.xml")
    assert ("partial", ["before", "after"]) == (made.state, made.text.split())


def test_notebooks_are_their_cells_and_outputs() -> None:
    """Sources and printed text, errors; not the base64 of pictures."""
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "words"]},
        {
            "cell_type": "code",
            "source": "print(1)",
            "outputs": [
                {"output_type": "stream", "text": ["printed\n"]},
                {"data": {"image/png": "iVBORw0KGgo" * 1000, "text/plain": ["<Figure>"]}},
                {"ename": "ValueError", "evalue": "bad", "traceback": ["\x1b[31mno\x1b[0m"]},
            ],
        },
    ]
    found = json.dumps({"nbformat": 4, "cells": cells})
    lines = ["# Title", "words", "print(1)", "printed", "<Figure>", "ValueError: bad"]
    for name in ("x.ipynb", "unknown"):
        assert lines == text(found, name).split("\n")[:-1]
    old = json.dumps(
        {"nbformat": 3, "worksheets": [{"cells": [{"input": "old", "outputs": [{"text": "out"}]}]}]}
    )
    assert "old\nout\n" == text(old, "x.ipynb")


def mail(body: str = "Hällo wörld", **options: str) -> EmailMessage:
    """Return a message."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Grüße", "Jörg <j@example.org>", "x@example.org"
    message.set_content(body, **options)
    return message


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_mail_is_decoded(encoding: str) -> None:
    """Headers and bodies, however they are encoded."""
    made = text(mail(cte=encoding).as_bytes(), "x.eml")
    for words in ("Subject: Grüße", "From: Jörg <j@example.org>", "Hällo wörld"):
        assert words in made


def test_mail_in_html_is_its_text() -> None:
    """Tags go; of two alternatives the plain one is read, if it says something."""
    html = "<p>Gr&uuml;&szlig;e &amp; <b>more</b></p>"
    made = text(mail(html, subtype="html", cte="quoted-printable").as_bytes(), "x.eml")
    assert "Grüße & more" in made
    assert "<p>" not in made
    both = mail("plain words")
    both.add_alternative("<p>html words</p>", subtype="html")
    assert ("plain words" in text(both.as_bytes(), "x.eml"), "html" in text(both.as_bytes(), "x.eml")) == (
        True,
        False,
    )
    empty = mail(" ")
    empty.add_alternative("<p>html words</p>", subtype="html")
    assert "html words" in text(empty.as_bytes(), "x.eml")


def test_attachments_are_named_and_with_archives_read() -> None:
    """Their base64 is no text; with `archives=True` each is a member."""
    message = mail("see below")
    message.add_attachment(
        b"%bin" * 15_000, maintype="application", subtype="octet-stream", filename="räport.bin"
    )
    message.add_attachment("inner words", filename="inner.txt")
    made = text(message.as_bytes(), "x.eml")
    assert ("räport.bin" in made, "inner.txt" in made, "inner words" in made) == (True, True, False)
    assert len(made) < 300
    whole = read(message.as_bytes(), "x.eml", archives=True)
    assert "inner words" in whole.text
    assert ["räport.bin", "inner.txt"] == [member.name for member in whole.members]
    assert "inner words\n" == whole.members[1].extracted.text


def test_a_mail_in_a_mail_is_read() -> None:
    """A forwarded message, as an attachment of its own kind."""
    outer = mail("outer words")
    outer.add_attachment(mail("inner words"))
    made = text(outer.as_bytes(), "x.eml")
    assert made.index("outer words") < made.index("inner words")


def test_raw_and_legacy_mail_is_decoded() -> None:
    """Bytes beyond ASCII in headers, charsets by the WHATWG's names, names by RFC 2231."""
    raw = (
        "Subject: café\r\nContent-Type: text/plain; charset=gb2312\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode()
        + "朱镕基".encode("gbk")
    )
    made = text(raw, "x.eml")
    assert "Subject: café" in made
    assert "朱镕基" in made
    words = b"Subject: =?iso-8859-1?q?caf=E9?= =?koi8-r?b?0NLJ18XU?=\nFrom: a@b.c\n\nx\n"
    assert "Subject: caféпривет" in text(words, "x.eml").replace(
        "Subject: café привет", "Subject: caféпривет"
    )


def test_a_mailbox_is_its_messages(tmp_path: Path) -> None:
    """One after the other, quoted lines unquoted."""
    box = mailbox.mbox(tmp_path / "x.mbox")
    box.add(mail("first\nFrom here on\n", cte="7bit"))
    box.add(mail("sécond", cte="base64"))
    box.close()
    made = text((tmp_path / "x.mbox").read_bytes(), "x.mbox")
    assert ["first", "From here on", "sécond"] == [
        line for line in made.split("\n") if line and ":" not in line
    ]
    assert 2 == made.count("Subject: Grüße")


def test_cards_and_calendars_are_their_values() -> None:
    """Unfolded and decoded; no pictures, ids and rules."""
    card = (
        "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=\r\n=BCrgen\r\n"
        "item1.NOTE:A long li\r\n ne\\, and\\nmore\r\nPHOTO;ENCODING=BASE64:AAAA\r\n BBBB\r\nUID:no\r\nEND:VCARD\r\n"
    )
    assert "Müller Jürgen\nA long line, and\nmore\n" == text(card, "x.vcf")
    event = (
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY;LANGUAGE=de:Tref\n fen\nLOCATION:Zürich\\; HB\nRRULE:FREQ=DAILY\n"
        'ATTENDEE;CN="Doe; Jane";ROLE=X:mailto:j@example.org\nEND:VEVENT\nEND:VCALENDAR\n'
    )
    assert "Treffen\nZürich; HB\nDoe; Jane j@example.org\n" == text(event, "x.ics")


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (rb"{\rtf1\ansi\ansicpg1252 caf\'e9\par two\tab three}", ["café", "two\tthree"]),
        (
            rb"{\rtf1\ansi\ansicpg1251{\fonttbl{\f0\fcharset204 Arial;}}\f0 \'cf\'f0\'e8\'e2\'e5\'f2}",
            ["Привет"],
        ),
        (
            rb"{\rtf1{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset128 B;}}\f0 a \f1\'93\'fa\'96\'7b\f0  b}",
            ["a 日本 b"],
        ),
        (rb"{\rtf1\ansi \u26085?\u26412? \uc0\u233 \u-10179 \u-8704 {\*\bkmkstart x}y}", ["日本 é😀y"]),
        (
            rb"{\rtf1{\stylesheet no;}{\info{\title no}}{\pict\bin4 {{}}ffd8}{\header top\par}a {\deleted no}b}",
            ["top", "a b"],
        ),
        (rb"{\rtf1{\field{\*\fldinst HYPERLINK no}{\fldrslt shown}}{\footnote foot}}", ["shownfoot"]),
        (rb"{\rtf1\trowd a\cell b\cell\row c\'97d \{x\} \\ y}", ["a\tb\t", "c—d {x} \\ y"]),
    ],
)
def test_rtf_is_read(found: bytes, lines: list[str]) -> None:
    """By the code pages of its fonts; without pictures, instructions, properties and deletions."""
    assert lines == text(found, "x.rtf").rstrip("\n").split("\n")


def test_rtf_that_is_cut_off_is_partial() -> None:
    """The end is missing, the words before it are there."""
    made = read(rb"{\rtf1 words {\b and", "x.rtf")
    assert ("partial", "words and") == (made.state, made.text)


def zstd(found: bytes) -> bytes:
    """Pack by zstd."""
    if sys.version_info >= (3, 14):
        from compression import zstd as packer
    else:
        from backports import zstd as packer
    return packer.compress(found)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zst", zstd)]
)
def test_a_compressed_file_is_read_through(suffix: str, pack: object) -> None:
    """As what its name without the suffix says, or as its bytes are."""
    assert "grüße\n" == text(pack("grüße\n".encode()), f"x.txt.{suffix}")  # type: ignore[operator]
    assert "a\tb\n" == text(pack(b"a,b\n"), f"x.csv.{suffix}")  # type: ignore[operator]
    assert "one" == text(pack(b"<html><p>one"), f"x.{suffix}").strip()  # type: ignore[operator]
    assert "one" == text(pack(b"one"), "unknown")  # type: ignore[operator]
    assert "none" == read(pack(b"\x89PNG\r\n\x1a\n"), f"x.{suffix}").state  # type: ignore[operator]


def test_a_damaged_compressed_file_gives_what_is_before_the_damage() -> None:
    """It says so; one that gives nothing is an error."""
    whole = gzip.compress("".join(f"line {n} {n * 7919 % 100003}\n" for n in range(20_000)).encode())
    made = read(whole[: len(whole) // 2], "x.txt.gz")
    assert ("partial", True) == (made.state, made.text.startswith("line 0 0\nline 1"))
    assert "damaged or truncated" in (made.note or "")
    with pytest.raises(ExtractionError, match="damaged or truncated"):
        read(whole[:12], "x.txt.gz")


def test_a_bomb_is_cut() -> None:
    """At the bytes that a compressed file may unpack to, and at the characters."""
    bomb = gzip.compress(b"word " * 2_000_000)
    made = read(bomb, "x.txt.gz", limits=ExtractLimits(unpacked=1000))
    assert (1000, "partial", "cut at 1,000 bytes unpacked") == (len(made.text), made.state, made.note)
    made = read(bomb, "x.txt.gz", limits=ExtractLimits(characters=1000))
    assert (1000, "partial", "cut at 1,000 characters") == (len(made.text), made.state, made.note)


def archives() -> dict[str, bytes]:
    """Return a zip and a tar with the same members, one of them an archive."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep.txt", "deep words")
    members = {
        "a/one.txt": "grüße".encode(),
        "two.html": b"<p>two words",
        "p.png": b"\x89PNG\r\n\x1a\n",
        "in.zip": inner.getvalue(),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, found in members.items():
            archive.writestr(name, found)
    rolled = io.BytesIO()
    with tarfile.open(fileobj=rolled, mode="w:gz") as tar:
        for name, found in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(found)
            tar.addfile(info, io.BytesIO(found))
    return {"x.zip": made.getvalue(), "x.tar.gz": rolled.getvalue(), "x.tgz": rolled.getvalue()}


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.tgz"])
def test_archives_list_their_members_and_can_be_read(name: str) -> None:
    """The names alone; with `archives=True` each member as a file of its own, archives within included."""
    found = archives()[name]
    assert ["a/one.txt", "two.html", "p.png", "in.zip"] == text(found, name).split()
    made = read(found, name, archives=True)
    assert "complete" == made.state
    texts = {member.name: member.extracted.text.strip() for member in made.members}
    states = {member.name: member.extracted.state for member in made.members}
    assert "grüße" == texts["a/one.txt"]
    assert "two words" == texts["two.html"]
    assert "none" == states["p.png"]
    assert "deep words" in texts["in.zip"]
    assert {"grüße", "deep", "two.html"} <= set(made.text.split())


def test_a_broken_archive_is_an_error() -> None:
    """Nothing of it can be listed."""
    with pytest.raises(ExtractionError, match="damaged or truncated"):
        read(b"PK\x03\x04" + b"x" * 100, "x.zip")


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0 jpeg", "image/jpeg"),
        (b"ID3\x03\x00sound", "audio/mpeg"),
        (b"\x7fELF\x02\x01", "application/x-sharedlib"),
        (b"\0\x01\x02\x03\xff\xfe\xfd" * 10, "application/octet-stream"),
        (b"<html><body>x", "text/html"),
        (b"<!DOCTYPE html><p>x", "text/html"),
        (b"<?xml version='1.0'?><r>x</r>", "text/xml"),
        (b"<svg><text>x</text></svg>", "image/svg+xml"),
        (b'{"a": 1}', "application/json"),
        (b"BEGIN:VCARD\nFN:x\nEND:VCARD", "text/vcard"),
        (b"Received: by x\nFrom: a\nSubject: b\n\nx", "message/rfc822"),
        (b"From a Mon\nFrom: a\nSubject: b\n\nx", "application/mbox"),
        (b"just words", "text/plain"),
    ],
)
def test_content_decides_where_the_name_says_nothing(found: bytes, kind: str) -> None:
    """What cannot have text is `none` with a note, not a failure."""
    for name, declared in (("unknown", None), ("x.bin", "application/octet-stream"), ("", None)):
        made = extract(found, filename=name, content_type=declared)
        assert kind == made.content_type
        assert ("none" == made.state) == (not made.text)
        assert made.state == "complete" or made.note


def test_what_has_no_text_is_no_failure() -> None:
    """Pictures, empty files, binary under a text's name, formats that nobody reads: with a note."""
    for found, name, note in (
        (b"\x89PNG\r\n\x1a\n", "x.png", "no text in this kind of file (image/png)"),
        (b"", "x.txt", "the file is empty (0 bytes)"),
        (b"", "x", "the file is empty (0 bytes)"),
        (b" \n\n", "x.txt", "no text in the file"),
        (b"\0\0\1\2", "x.txt", "no text in the file: its bytes are binary"),
        (b"x\0\0\1", "x.mobi", "no extractor for application/x-mobipocket-ebook"),
    ):
        made = read(found, name)
        assert ("", "none") == (made.text.strip(), made.state)
        assert (made.note or "").startswith(note)


def parts(*bodies: str, kind: str = "mixed") -> bytes:
    """Return a mail of these parts, each a header and a body."""
    made = "".join(f"--A\n{body}\n" for body in bodies)
    head = f"Subject: s\nFrom: a@b.c\nMIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=A\n\n"
    return f"{head}{made}--A--\n".encode()


@pytest.mark.parametrize(
    ("found", "seen", "unseen"),
    [
        ("Content-Type: multipart/mixed\n\nno boundary", "no boundary", None),
        ("Content-Type: multipart/mixed; boundary=Z\n\nnever begun", "never begun", None),
        ("Content-Type: multipart/mixed; boundary=Z\n\n--Y\nX-A: b\n\nin a part\n--Y--", "in a part", "X-A"),
        ("Content-Type: multipart/alternative; boundary=Z\n\n--Z\nContent-Type: message/external-body\n\n\none\n--Z\nContent-Type: message/external-body\n\n\ntwo\n--Z--", "one", None),
        ("Content-Type: text/plain; charset=us-ascii\n\nGröße", "Größe", None),
        ("Content-Type: text/plain; charset=x-unknown\n\nGröße", "Größe", None),
        ("Content-Type: text/plain; charset=utf-7\n\nGr+APwA3w-e", "Grüße", None),
        ("Content-Type: text/plain; format=flowed\n\na long \nline\n> quoted \n> too\n-- \nsign", "a long line\n> quoted too\n-- \nsign", None),
        ("Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\n\n日本 \n語", "日本語", None),
        (parts("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaW4KCmlubmVyIHdvcmRz"), "inner words", "U3Vi"),
        (parts("Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nStatus: 5.1.1", kind="report"), "Status: 5.1.1", None),
        (parts("Content-Type: text/html\n\n<p>page</p>", "Content-Type: text/css\n\np {colour: red}", kind="related"), "page", "colour"),
        (parts("\n\nbody", "Content-Type: a/b\nContent-Disposition: attachment; filename*0*=UTF-8''%C3%BCb; filename*1=er.bin\n\nx"), "über.bin", None),
    ],
)  # fmt: skip
def test_odd_mails_lose_nothing(found: str | bytes, seen: str, unseen: str | None) -> None:
    """Lost boundaries, wrong charsets, flowed lines, packed messages, reports, saved pages, RFC 2231."""
    raw = f"Subject: s\nFrom: a@b.c\n{found}\n".encode() if isinstance(found, str) else found
    made = text(raw, "x.eml")
    assert seen in made
    assert unseen is None or unseen not in made


def test_lines_folded_within_a_character_are_joined() -> None:
    """RFC 5545 counts bytes, so that a fold may stand between two of one character."""
    assert "Müller\n" == text(b"BEGIN:VCALENDAR\r\nSUMMARY:M\xc3\r\n \xbcller\r\nEND:VCALENDAR", "x.ics")


def test_a_notebooks_html_and_latex_are_read() -> None:
    """Of outputs that have no plain text."""
    outputs = [{"data": {"text/html": ["<b>bold</b>"]}}, {"data": {"text/latex": "$x$"}}]
    made = text(json.dumps({"nbformat": 4, "cells": [{"source": "", "outputs": outputs}]}), "x.ipynb")
    assert "bold\n$x$\n" == made


def test_quotes_behind_a_blank_are_quotes() -> None:
    """As spreadsheets write them that part cells by a comma and a blank."""
    assert "a\tb, c\td\n" == text('a, "b, c", d\n', "x.csv")


@pytest.mark.parametrize("name", ["x.docx", "x.pdf", "x.png", "x.zip"])
def test_text_under_a_binary_name_is_text(name: str) -> None:
    """The bytes win; what is left of a PDF without its header is none."""
    assert "404 not found" == text("404 not found", name)
    assert "none" == read(b"\x89PNG\r\n", "x.png").state
    with pytest.raises(ExtractionError):
        extract(b"1 0 obj\n<< /Type /Catalog >>\nendobj\nxref\n", filename="x.pdf")

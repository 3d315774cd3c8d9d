"""Formats that are text already: decoding, CSV, JSON, HTML."""

from __future__ import annotations

import json
from time import monotonic

import pytest

from docstore.extract import ExtractionError, ExtractLimits, extract

WORDS = "Grüße, naïve café – 日本語 🐙\nsecond line"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le-mark", "utf-16-be-mark"]
)
def test_unicode_encodings_are_known(encoding: str) -> None:
    """UTF-8 without a mark, and UTF-8, UTF-16 and UTF-32 with one, decode to the same text."""
    marks = {"utf-16-le-mark": (b"\xff\xfe", "utf-16-le"), "utf-16-be-mark": (b"\xfe\xff", "utf-16-be")}
    mark, codec = marks.get(encoding, (b"", encoding))
    assert extract(mark + WORDS.encode(codec), filename="a.txt") == WORDS


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_known_by_its_zeros(codec: str) -> None:
    """Latin text in UTF-16 without a byte-order mark is read."""
    assert extract("a plain line of text".encode(codec), filename="a.txt") == "a plain line of text"


def test_windows_1252_and_then_latin_1_are_the_last_resort() -> None:
    """Bytes that are no UTF-8 decode as Windows-1252; those it has no character for, as Latin-1."""
    assert extract("“café” 5 €".encode("cp1252"), filename="a.txt") == "“café” 5 €"
    assert extract(b"caf\xe9 and more words \x81", filename="a.txt") == "café and more words \x81"


@pytest.mark.parametrize(
    ("name", "head", "codec"),
    [
        ("a.py", "# -*- coding: koi8-r -*-\n# ", "koi8-r"),
        ("a.xml", '<?xml version="1.0" encoding="iso-8859-2"?>', "iso-8859-2"),
    ],
)
def test_a_declared_encoding_is_used(name: str, head: str, codec: str) -> None:
    """What a source file or XML file says of its own encoding counts, once UTF-8 has failed."""
    text = head + ("привет" if codec == "koi8-r" else "žluťoučký")
    assert extract(text.encode(codec), filename=name) == text


def test_a_declared_encoding_that_is_no_character_set_is_ignored() -> None:
    """`coding: punycode` or an unknown name decodes nothing; the fallback does."""
    for name in ("punycode", "zip", "unicode_escape", "nonsense-8"):
        assert extract(f"# coding: {name}\ncaf\xe9".encode("latin-1"), filename="a.py").endswith("café")


@pytest.mark.parametrize(
    "found",
    [b"\x7fELF\x02\x01\0\0\0\0", bytes(range(256)) * 40, b"\x01\x02\x03\x04" * 10, b"a\0b c d e f g"],
)
def test_binary_is_refused(found: bytes) -> None:
    """Bytes that are no text give a reason, whatever the name says."""
    with pytest.raises(ExtractionError, match="binary, not text"):
        extract(found, filename="a.txt")


def test_text_that_breaks_its_mark_is_refused() -> None:
    """A UTF-16 mark followed by half a character is damaged, not Latin-1."""
    with pytest.raises(ExtractionError, match="UTF-16-LE"):
        extract(b"\xff\xfea\0b", filename="a.txt")


def test_an_empty_file_has_an_empty_text() -> None:
    """A 0-byte text file is read as an empty text, of every text format."""
    assert [extract(b"", filename=name) for name in ("a.txt", "a.csv", "a.json", "a.html", "a")] == [""] * 5


@pytest.mark.parametrize(("limit", "length"), [(1, 1), (10, 10), (99, 99), (100, 100), (101, 100)])
def test_characters_are_bounded(limit: int, length: int) -> None:
    """At most `characters` are kept, the rest is dropped."""
    text = extract("é".encode() * 100, filename="a.txt", limits=ExtractLimits(characters=limit))
    assert text == "é" * length


def test_a_cut_in_the_middle_of_a_character_loses_only_it() -> None:
    """Reading stops at `bytes`; half a character there does not make the text another encoding."""
    assert extract("aé".encode() * 10, filename="a.txt", limits=ExtractLimits(bytes=5)) == "aéa"


def test_csv_is_read_a_row_a_line() -> None:
    """Quotes go, cells are parted by tabs, and the delimiter is found out."""
    assert extract(b'a,"b, c"\r\n1,2\r\n', filename="x.csv") == "a\tb, c\n1\t2\n"
    assert extract(b"a;b\n1,5;2\n", filename="x.csv") == "a\tb\n1,5\t2\n"
    assert extract(b"a\tb\n", filename="x.tsv") == "a\tb\n"


def test_csv_that_is_none_is_read_as_text() -> None:
    """A cell beyond the csv module's bound does not lose the text."""
    found = b'"' + b"x" * 200_000
    assert extract(found, filename="x.csv") == found.decode()


def test_json_is_read_as_keys_and_values() -> None:
    """Words that are stored as escapes, or parted by escaped line feeds, are words in the text."""
    found = {"name": "Žižkov\nPraha", "n": [1, None, True], "deep": {"x": {"y": 1.5}}, "": []}
    assert extract(json.dumps(found).encode(), filename="x.json").split("\n") == [
        "name: Žižkov", "Praha", "n: ", "1", "null", "true", "deep: ", "x: ", "y: 1.5", ": ", "",
    ]  # fmt: skip
    assert extract(b'"word"', filename="x.json") == "word\n"


def test_json_lines_are_read_line_by_line() -> None:
    """A line that is no JSON is kept as it is."""
    assert extract(b'{"a": "\\u00e9"}\nnonsense\n[1]\n', filename="x.jsonl") == "a: é\nnonsense\n1\n"


@pytest.mark.parametrize("found", [b'{"a": "\\u00e9', b'// note\n{"a": "\\n"}', b"[" * 100_000 + b"\\"])
def test_json_that_is_not_quite_json_is_read_as_text(found: bytes) -> None:
    """A cut end, comments and absurd nesting do not lose the text."""
    assert extract(found, filename="x.json") == found.decode()


def test_lone_surrogates_are_replaced() -> None:
    """What no database can hold becomes U+FFFD."""
    assert extract(b'"x\\ud800y"', filename="x.json") == "x\ufffdy\n"


def test_html_gives_what_a_reader_sees() -> None:
    """Scripts, styles, templates, comments and tags go; blocks make lines; references are resolved."""
    page = (
        "<title>A &amp; B</title><style>p{}</style><script>if (a < b) { x('<p>') }</script>"
        "<template>no</template><!-- no --><p>one  <b>two</b>\n three</p><table><tr><td>4<td>5</table>"
        "<img src=x alt='a boat'>&eacute;"
    )
    assert extract(page.encode(), filename="x.html").split("\n") == [
        "", "A & B", "one two three", "4 5", "a boaté",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "found", ["<p>a<", "<p>a<!--", "<script>a", "</b></p>a", "<p a='", "<![x", "&#xffffffff;a"]
)
def test_broken_html_raises_nothing(found: str) -> None:
    """However broken, HTML gives the text that can be seen in it."""
    assert isinstance(extract(found.encode(), filename="x.html"), str)


@pytest.mark.parametrize("unit", ["<!--", "<a b=c", "<!--" + "x" * 60, "</", "&#", "<![CDATA["])
def test_html_that_never_ends_is_read_in_bounded_time(unit: str) -> None:
    """Markup that is opened again and again and never closed ends when the time is up, or little later."""
    started = monotonic()
    try:
        extract(unit.encode() * 250_000, filename="x.html", limits=ExtractLimits(seconds=3))
    except ExtractionError as error:
        assert "gave up after 3 seconds" in error.message  # noqa: PT017 - either way is right, in time
    assert monotonic() - started < 30


@pytest.mark.parametrize("end", ["<script>alert('no')", "<style>no", "<!-- no", "<a href='no", "</p"])
def test_an_open_end_hides_no_text_and_shows_no_code(end: str) -> None:
    """What stands before markup that is never closed is kept, what is in it is not shown."""
    assert extract(f"<p>yes {end}".encode(), filename="x.html").strip() == "yes"


def test_html_in_pieces_is_the_same_text() -> None:
    """A page longer than one step of the reader loses nothing at the seams."""
    page = "".join(f"<p>line {n} &amp; more</p>" for n in range(20_000))
    lines = [line for line in extract(page.encode(), filename="x.html").split("\n") if line]
    assert lines == [f"line {n} & more" for n in range(20_000)]

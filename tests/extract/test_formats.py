"""PDF, Word, Excel and PowerPoint: real files, broken files and hostile ones."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import pytest

from docstore.extract import ExtractionError, ExtractLimits, extract

SAMPLES = Path(__file__).parents[2] / "examples" / "samples"
FORMATS = ("report.pdf", "minutes.docx", "crossings.xlsx", "radar.pptx")


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        ("report.pdf", ["412,000 crowns", "winter timetable begins in November"]),
        ("minutes.docx", ["order a radar", "Ove Strand", "Spritzgebäck"]),
        ("crossings.xlsx", ["Marta\tInes Dahl\t871\t15240.5", "Fares", "Under seven years"]),
        ("radar.pptx", ["A radar for the Gull", "photograph of the fog", "52,000 crowns"]),
        ("timetable.html", ["Winter timetable", "every forty minutes – the last one"]),
        ("crew-notes.md", ["Horses board first"]),
        ("fares.csv", ["fare, crowns"]),
    ],
)
def test_samples(name: str, phrases: list[str]) -> None:
    """Every sample gives its words, from a path, from bytes and from a stream."""
    text = extract(SAMPLES / name)
    assert [phrase for phrase in phrases if phrase not in text] == []
    assert extract((SAMPLES / name).read_bytes(), filename=name) == text
    with (SAMPLES / name).open("rb") as stream:
        assert extract(stream, filename=name) == text


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_truncated_files_give_a_reason(name: str, share: float) -> None:
    """A cut file is refused as such and gives no half of a text."""
    whole = (SAMPLES / name).read_bytes()
    found = whole[: int(len(whole) * share)]
    with pytest.raises(ExtractionError, match=r"empty|truncated"):
        extract(found, filename=name)


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_raise_nothing_else(name: str) -> None:
    """Whatever one changed byte in fifty makes a library raise, it leaves as ExtractionError."""
    whole = bytearray((SAMPLES / name).read_bytes())
    outcomes = set()
    for start in range(1, 50, 7):
        broken = bytearray(whole)
        for at in range(start, len(broken), 50):
            broken[at] ^= 0x55
        try:
            outcomes.add(type(extract(bytes(broken), filename=name)))
        except ExtractionError:
            outcomes.add(ExtractionError)
    assert outcomes <= {str, ExtractionError}
    assert ExtractionError in outcomes


@pytest.mark.parametrize("name", FORMATS)
def test_another_format_under_the_name_gives_a_reason(name: str) -> None:
    """Text, an empty zip and an old binary file are refused under the name of each format."""
    empty_zip = io.BytesIO()
    zipfile.ZipFile(empty_zip, "w").close()
    for found in (b"just text", empty_zip.getvalue(), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)):
        with pytest.raises(ExtractionError, match=r"not a|a zip without|encrypted"):
            extract(found, filename=name)


def test_an_encrypted_pdf_says_that_it_needs_a_password() -> None:
    """A PDF with a user password is refused with this reason; with an empty one it is read."""
    from pypdf import PdfReader, PdfWriter

    for password, fails in (("secret", True), ("", False)):
        writer = PdfWriter(clone_from=PdfReader(SAMPLES / "report.pdf"))
        writer.encrypt(password, "owner", algorithm="RC4-128")
        found = io.BytesIO()
        writer.write(found)
        if fails:
            with pytest.raises(ExtractionError, match="encrypted and needs a password"):
                extract(found.getvalue(), filename="x.pdf")
        else:
            assert "412,000 crowns" in extract(found.getvalue(), filename="x.pdf")


@pytest.mark.parametrize("folder", ["word", "xl", "ppt"])
def test_a_zip_bomb_is_refused_before_it_is_opened(folder: str) -> None:
    """What a zip says it unpacks to counts, not its length."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(f"{folder}/document.xml", b" " * 20_000_000)
    name = {"word": "x.docx", "xl": "x.xlsx", "ppt": "x.pptx"}[folder]
    assert len(found.getvalue()) < 100_000
    with pytest.raises(ExtractionError, match="would unpack to 20,000,000 bytes"):
        extract(found.getvalue(), filename=name, limits=ExtractLimits(unpacked=10_000_000))


def test_a_zip_of_too_many_files_is_refused() -> None:
    """The number of files inside is bounded, too."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as package:
        for n in range(30):
            package.writestr(f"word/{n}", b"")
    with pytest.raises(ExtractionError, match="30 files inside"):
        extract(found.getvalue(), filename="x.docx", limits=ExtractLimits(members=29))


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_beyond_the_bound_is_refused(name: str) -> None:
    """Formats that need the whole file are not read in part; the reason names both sizes."""
    with pytest.raises(ExtractionError, match=r"up to 1,000 bytes"):
        extract(SAMPLES / name, limits=ExtractLimits(bytes=1000))


@pytest.mark.parametrize("name", FORMATS)
def test_a_late_extractor_is_given_up(name: str) -> None:
    """Past `seconds`, looked at between pages, rows and paragraphs, the reason is the time."""
    with pytest.raises(ExtractionError, match="gave up after 1e-09 seconds"):
        extract(SAMPLES / name, limits=ExtractLimits(seconds=1e-9))


@pytest.mark.parametrize("name", FORMATS)
def test_characters_are_bounded(name: str) -> None:
    """At most `characters` are kept of every format."""
    assert extract(SAMPLES / name, limits=ExtractLimits(characters=9)) == extract(SAMPLES / name)[:9]


def test_an_entity_bomb_in_a_sheet_does_no_harm() -> None:
    """Nested XML entities inside an Excel file end in a reason, at once."""
    found = io.BytesIO()
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "boom">{entities}]><worksheet>&e11;</worksheet>'
    with zipfile.ZipFile(SAMPLES / "crossings.xlsx") as sample, zipfile.ZipFile(found, "w") as package:
        for member in sample.infolist():
            is_sheet = member.filename == "xl/worksheets/sheet1.xml"
            package.writestr(member, bomb if is_sheet else sample.read(member))
    with pytest.raises(ExtractionError, match="damaged"):
        extract(found.getvalue(), filename="x.xlsx")


@pytest.mark.parametrize(
    ("name", "library"),
    list(zip(FORMATS, ("pypdf", "docx", "openpyxl", "pptx"), strict=True)),
)
def test_a_missing_library_names_the_install_command(
    name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra, the reason says what to install."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ExtractionError, match=r'pip install "embedded-docstore\[extract\]"'):
        extract(SAMPLES / name)

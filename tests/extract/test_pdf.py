"""PDF: pages, hyphens, annotations and form fields, encryption, scans, damage."""

from __future__ import annotations

import io
import sys

import pytest
from made_files import drawn, pdf

from docstore.extract import Extracted, ExtractionError, ExtractLimits, extract


def read(found: bytes, **options: object) -> Extracted:
    """Read a PDF."""
    return extract(found, filename="a.pdf", **options)  # type: ignore[arg-type]


def test_pages_come_in_their_order() -> None:
    """One after the other, completely."""
    made = read(pdf(drawn("first page"), drawn("second", "page")))
    assert ("first page\nsecond\npage\n", "complete", None) == (made.text, made.state, made.note)


def test_words_that_are_broken_at_a_line_end_are_joined() -> None:
    """At a hyphen between lower-case letters; a name keeps its own."""
    made = read(pdf(drawn("an exam-", "ple of Smith-", "Jones and 12-", "34 x-ray")))
    assert "an example of Smith-Jones and 12-34 x-ray" == " ".join(made.text.replace("-\n", "-").split())


def test_pages_without_text_are_counted() -> None:
    """All of them: there is no text; some: the note says how many."""
    picture = b"q 100 0 0 100 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"
    made = read(pdf(picture, picture))
    assert ("", "none", "2 of 2 pages have no text: scanned?") == (made.text, made.state, made.note)
    made = read(pdf(drawn("words"), picture, picture))
    assert ("words", "partial", "2 of 3 pages have no text: scanned?") == (
        made.text.strip(),
        made.state,
        made.note,
    )


def test_annotations_and_form_fields_are_read() -> None:
    """What a reader of the page sees, wherever the file keeps it; a link's target is not seen."""
    appearance = b"<< /Type /XObject /Subtype /Form /BBox [0 0 200 20] /Resources << /Font << /F1 3 0 R >> >> /Length 40 >>"
    drawing = b"BT /F1 12 Tf 2 5 Td (%s) Tj ET"
    note, field = drawing % b"FREETEXT", drawing % b"FIELDVALUE"
    objects = (
        b"<< /Type /Annot /Subtype /FreeText /Rect [20 500 220 520] /Contents (FREETEXT) /F 4 /AP << /N 8 0 R >> >>",
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (f) /V (FIELDVALUE) /Rect [20 400 220 420] /F 4 /AP << /N 9 0 R >> >>",
        *(
            appearance.replace(b"40", str(len(one)).encode()) + b"\nstream\n" + one + b"\nendstream"
            for one in (note, field)
        ),
    )
    page = "/Annots [6 0 R 7 0 R]"
    made = read(
        pdf(drawn("page words"), page=page, objects=objects, catalog="/AcroForm << /Fields [7 0 R] >>")
    )
    assert {"page", "words", "FREETEXT", "FIELDVALUE"} == set(made.text.split())


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_only_a_password_that_is_needed_is_missed(algorithm: str) -> None:
    """A PDF with an owner's password opens, AES included; one with a user's fails by name."""
    from pypdf import PdfReader, PdfWriter

    for password in ("", "secret"):
        writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(drawn("secret words")))))
        writer.encrypt(password, "owner", algorithm=algorithm)
        found = io.BytesIO()
        writer.write(found)
        if password:
            with pytest.raises(ExtractionError, match="encrypted and needs a password"):
                read(found.getvalue())
        else:
            assert "secret words" in read(found.getvalue()).text


def test_pypdf_reads_where_pdfium_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without both, the reason names the command that installs them; so it does for the old Office formats."""
    found = pdf(drawn("page words"), drawn("more"))
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    assert "page words" in read(found, in_process=True).text
    monkeypatch.setitem(sys.modules, "pypdf", None)
    monkeypatch.setitem(sys.modules, "kreuzberg", None)
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    for one, name in ((found, "a.pdf"), (ole, "a.doc")):
        with pytest.raises(ExtractionError, match=r'pip install "embedded-docstore\[extract\]"'):
            extract(one, filename=name, in_process=True)


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_a_file_that_is_cut_off_is_an_error_or_partial(share: float) -> None:
    """Without a page nothing could be read."""
    whole = pdf(*(drawn(f"page {n}") for n in range(5)))
    with pytest.raises(ExtractionError, match=r"damaged|truncated|read"):
        read(whole[: int(share * len(whole))])


def test_a_file_without_its_table_is_read() -> None:
    """What PDFium can rebuild, or pypdf."""
    whole = pdf(drawn("words"))
    assert "words" in read(whole.replace(b"startxref\n", b"startxref\n99")).text
    assert "words" in read(whole[: whole.rindex(b"startxref")]).text
    assert "words" in read(b"junk before\n" + whole).text


def test_a_page_that_never_ends_is_cut_and_the_others_kept() -> None:
    """Past the CPU seconds: the page that was cut off is not read, those before it are."""
    endless = b"BT /F1 12 Tf 20 700 Td " + b"(word) Tj " * 2_000_000 + b"ET"
    made = read(pdf(drawn("first page"), endless), limits=ExtractLimits(seconds=0.5))
    assert ("first page\n", "partial", "cut where its time was up") == (made.text, made.state, made.note)


def test_many_words_on_a_page_are_read() -> None:
    """A hundred thousand pieces of text in three kilobytes."""
    made = read(
        pdf(b"BT /F1 12 Tf 20 700 Td " + b"(word) Tj " * 100_000 + b"ET"), limits=ExtractLimits(seconds=20)
    )
    assert ("complete", 100_000) == (made.state, made.text.count("word"))

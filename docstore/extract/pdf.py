"""The extractor of PDF: by pypdfium2, and by pypdf what that cannot open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docstore.extract.base import ExtractionError, Source, missing

__all__ = ["pdf_text"]

# A word that a line's end has cut: with a hyphen, or with what PDF's fonts have for one.
_BROKEN = re.compile(r"([^\W\d_])(?:[\ufffe\x02](?:\r?\n)?|-[ \t]*\r?\n)[ \t]*([^\W\d_])")
# A soft hyphen is shown where a line ends there, and is no character of the word.
_SOFT = re.compile("\xad(?:[ \t]*\r?\n[ \t]*)?")
_PASSWORD = "the PDF is encrypted and needs a password"
_ERROR_PASSWORD = 4  # FPDF_ERR_PASSWORD


def pdf_text(source: Source) -> Iterator[str]:
    """Yield the text of each page: what is drawn on it, and what stands in its annotations and form fields.

    Raises:
        ExtractionError: neither library is installed; no PDF, or encrypted with a password, or damaged.
    """
    if b"%PDF-" not in source.head(1024):
        raise ExtractionError("not a PDF: the first 1,024 bytes have no %PDF- header")
    try:
        pages = _by_pdfium(source)
    except ImportError:
        pages = _by_pypdf(source)
    else:
        if pages is None:
            pages = _by_pypdf(source)
    return _counted(pages, source)


def _counted(pages: Iterator[tuple[str, bool]], source: Source) -> Iterator[str]:
    """Yield the pages' text, and note how many have none."""
    total = empty = drawn = 0
    for text, is_drawn in pages:
        total += 1
        if not text.strip():
            empty += 1
            drawn += is_drawn
        yield _joined(text) + "\n"
    if not total:
        raise ExtractionError("no page found; the PDF is damaged or truncated")
    if empty:
        note = f"{empty:,} of {total:,} pages have no text: scanned?"
        if drawn and empty < total:
            source.lost(note)
        else:
            source.remark(note)


def _joined(text: str) -> str:
    """Join words that are broken at a line's end: at a soft hyphen, or a hyphen between lower-case letters.

    PDFium has U+FFFE for a hyphen at a line's end, and leaves the line end out.
    """

    def join(match: re.Match[str]) -> str:
        between = "" if match[1].islower() and match[2].islower() else "-"
        return f"{match[1]}{between}{match[2]}"

    text = _BROKEN.sub(join, _SOFT.sub("", text))
    return text.replace("\r\n", "\n").replace("\ufffe", "-").replace("\x02", "-")


def _by_pdfium(source: Source) -> Iterator[tuple[str, bool]] | None:
    """Return PDFium's pages: their text, and whether anything is drawn; None if it cannot open the file."""
    import pypdfium2

    source.stream.seek(0)
    try:
        document = pypdfium2.PdfDocument(source.stream)
    except pypdfium2.PdfiumError as wrong:
        if getattr(wrong, "err_code", None) == _ERROR_PASSWORD or "password" in str(wrong).lower():
            raise ExtractionError(_PASSWORD) from wrong
        return None
    if not len(document):
        document.close()
        return None
    return _pdfium_pages(document, source)


def _pdfium_pages(document: Any, source: Source) -> Iterator[tuple[str, bool]]:
    from pypdfium2 import PdfiumError, raw

    try:
        has_form = document.get_formtype() != raw.FORMTYPE_NONE
        if has_form:
            document.init_forms()  # draws the fields that have a value and no appearance
        for number in range(len(document)):
            try:
                page = document[number]
                if raw.FPDFPage_GetAnnotCount(page):
                    page = _flattened(document, page, number)
                text_page = page.get_textpage()
                text = text_page.get_text_range() if text_page.count_chars() else ""
                is_drawn = bool(text) or raw.FPDFPage_CountObjects(page) > 0
                text_page.close()
                page.close()
            except PdfiumError as wrong:
                source.lost(f"a part of the file could not be read: page {number + 1}: {wrong}")
                continue
            yield text, is_drawn
    finally:
        document.close()


def _flattened(document: Any, page: Any, number: int) -> Any:
    """Return a page with its annotations and form fields drawn into it, where they are seen."""
    from pypdfium2 import raw

    if raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY) != raw.FLATTEN_SUCCESS:
        return page
    page.close()
    return document[number]


def _by_pypdf(source: Source) -> Iterator[tuple[str, bool]]:
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError
    except ImportError:
        raise missing("PDF", "pypdfium2") from None
    source.stream.seek(0)
    try:
        reader = PdfReader(source.stream)
        if reader.is_encrypted and not reader.decrypt(""):
            raise ExtractionError(_PASSWORD)
        pages = list(reader.pages)
    except DependencyError:
        raise missing("encrypted PDF", "pypdf[crypto]") from None
    for number, page in enumerate(pages, 1):
        try:
            text = page.extract_text()
        except Exception as wrong:
            source.lost(f"a part of the file could not be read: page {number}: {wrong}")
            continue
        yield text, "/Contents" in page

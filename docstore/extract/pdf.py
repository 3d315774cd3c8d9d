"""The extractor of PDF, by pypdf."""

from __future__ import annotations

from collections.abc import Iterator

from docstore.extract.base import ExtractionError, Source, missing

__all__ = ["pdf_text"]


def pdf_text(source: Source) -> Iterator[str]:
    """Yield the text of each page. A PDF of scanned pages has none and yields nothing but new lines.

    Raises:
        ExtractionError: pypdf is not installed; no PDF, empty, encrypted, damaged or without pages.
    """
    try:
        from pypdf import PdfReader
    except ImportError:
        raise missing("PDF", "pypdf") from None
    stream = source.whole()
    if b"%PDF-" not in stream.read(1024):
        raise ExtractionError("not a PDF: the first 1,024 bytes have no %PDF- header")
    stream.seek(0)
    reader = PdfReader(stream)
    if reader.is_encrypted and not reader.decrypt(""):
        raise ExtractionError("the PDF is encrypted and needs a password")
    pages = 0
    for page in reader.pages:
        pages += 1
        yield page.extract_text() + "\n"
    if not pages:
        raise ExtractionError("no page found; the PDF is damaged or truncated")

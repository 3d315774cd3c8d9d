"""The extractors of Word, Excel and PowerPoint, by python-docx, openpyxl and python-pptx."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from docstore.extract.base import Source, missing
from docstore.extract.package import office_package

__all__ = ["excel_text", "powerpoint_text", "word_text"]


def word_text(source: Source) -> Iterator[str]:
    """Yield paragraphs and table rows in the order of the document.

    Raises:
        ExtractionError: python-docx is not installed; encrypted, damaged, no Word file, a bomb.
    """
    try:
        from docx import Document
    except ImportError:
        raise missing("Word files", "python-docx") from None
    yield from _word_blocks(Document(office_package(source, "word/")))


def _word_blocks(holder: Any) -> Iterator[str]:
    for block in holder.iter_inner_content():
        if hasattr(block, "rows"):
            yield from _word_rows(block)
        else:
            yield block.text + "\n"


def _word_rows(table: Any) -> Iterator[str]:
    """Yield a line a row; a merged cell, which stands once for each place it covers, counts once."""
    for row in table.rows:
        seen: dict[int, str] = {id(cell._tc): cell.text for cell in row.cells}
        yield "\t".join(seen.values()) + "\n"


def excel_text(source: Source) -> Iterator[str]:
    """Yield each sheet's name and its rows, cells parted by tabs; formulas give the value last saved.

    Raises:
        ExtractionError: openpyxl is not installed; encrypted, damaged, no Excel file, a bomb.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise missing("Excel files", "openpyxl") from None
    book = load_workbook(office_package(source, "xl/"), read_only=True, data_only=True)
    try:
        for sheet in book.worksheets:
            yield f"{sheet.title}\n"
            sheet.reset_dimensions()  # what the file says of its size may be wrong, or huge
            yield from _excel_rows(sheet.iter_rows(values_only=True))
    finally:
        book.close()


def _excel_rows(rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    for row in rows:
        line = "\t".join("" if value is None else str(value) for value in row).rstrip("\t")
        yield f"{line}\n" if line else ""


def powerpoint_text(source: Source) -> Iterator[str]:
    """Yield the texts, tables and notes of each slide.

    Raises:
        ExtractionError: python-pptx is not installed; encrypted, damaged, no PowerPoint file, a bomb.
    """
    try:
        from pptx import Presentation
    except ImportError:
        raise missing("PowerPoint files", "python-pptx") from None
    for slide in Presentation(office_package(source, "ppt/")).slides:
        yield from _shapes(slide.shapes)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            yield slide.notes_slide.notes_text_frame.text + "\n"


def _shapes(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        elif getattr(shape, "has_table", False):
            for row in shape.table.rows:
                yield "\t".join(cell.text for cell in row.cells) + "\n"
        elif shape.has_text_frame:
            yield shape.text_frame.text + "\n"

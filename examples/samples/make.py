"""Write the sample files beside this script; run it again only if their text changes.

Needs python-docx, openpyxl and python-pptx. The PDF is written by hand, byte by byte.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from docx import Document
from openpyxl import Workbook
from pptx import Presentation

HERE = Path(__file__).parent
MADE = datetime(2026, 1, 5, 9, 0)  # noqa: DTZ001 - Office files hold naive times
REPORT = (
    ("The ferry at Lindholm: report of the third quarter",
     "Revenue rose by eleven percent to 412,000 crowns, most of it from bicycles.",
     "The ferry made 2,208 crossings. Nine were cancelled, all of them for fog.",
     "The new landing stage was finished on 14 September, six days late."),
    ("Outlook",
     "The winter timetable begins in November with two boats in place of three.",
     "The hull of the Marta needs paint; the yard asks 38,500 crowns."),
)  # fmt: skip
CREWS = (
    ("Boat", "Skipper", "Crossings", "Fuel (litres)"),
    ("Marta", "Ines Dahl", 871, 15240.5),
    ("Gull", "Ove Strand", 802, 14010),
    ("Tern", "Ada Moe", 535, 9120.25),
)


def pdf() -> bytes:
    """Build a PDF of one page for each part of the report, in Helvetica."""
    pages = [_page(part) for part in REPORT]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for n, content in enumerate(pages):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            + f"/Contents {5 + 2 * n} 0 R >>".encode()
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream")
    return _file(objects)


def _page(lines: tuple[str, ...]) -> bytes:
    shown = "\n".join(f"({line}) Tj 0 -20 Td" for line in lines)
    return f"BT /F1 12 Tf 56 780 Td\n{shown}\nET".encode("cp1252")


def _file(objects: list[bytes]) -> bytes:
    out, offsets = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    return bytes(
        out + f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    )


def word(path: Path) -> None:
    """Write a letter with a table."""
    letter = Document()
    letter.core_properties.author = "The docstore authors"
    letter.core_properties.created = letter.core_properties.modified = MADE
    letter.add_heading("Minutes of the ferry board, 5 January 2026", level=1)
    letter.add_paragraph("Present: Ines Dahl, Ove Strand, Ada Moe. Excused: nobody.")
    letter.add_paragraph("The board agreed to order a radar for the Gull before the spring fogs.")
    table = letter.add_table(rows=0, cols=2)
    for task, who in (("Ask three yards for the radar", "Ove Strand"), ("Paint for the Marta", "Ines Dahl")):
        row = table.add_row().cells
        row[0].text, row[1].text = task, who
    letter.add_paragraph("Next meeting: 2 February 2026 in the boathouse, with coffee and Spritzgebäck.")
    letter.save(str(path))


def excel(path: Path) -> None:
    """Write a workbook of two sheets."""
    book = Workbook()
    book.properties.creator = "The docstore authors"
    book.properties.created = book.properties.modified = MADE
    first = book.active
    first.title = "Crossings"
    for row in CREWS:
        first.append(row)
    second = book.create_sheet("Fares")
    for row in (("Passenger", 35), ("Bicycle", 20), ("Horse", 90), ("Under seven years", 0)):
        second.append(row)
    book.save(path)


def powerpoint(path: Path) -> None:
    """Write a talk of two slides, one with notes."""
    talk = Presentation()
    talk.core_properties.author = "The docstore authors"
    talk.core_properties.created = talk.core_properties.modified = MADE
    first = talk.slides.add_slide(talk.slide_layouts[0])
    first.shapes.title.text = "A radar for the Gull"
    first.placeholders[1].text = "Why nine crossings were cancelled"
    first.notes_slide.notes_text_frame.text = "Show the photograph of the fog first."
    second = talk.slides.add_slide(talk.slide_layouts[1])
    second.shapes.title.text = "What it costs"
    second.placeholders[1].text = "52,000 crowns, less than one lost summer week"
    talk.save(str(path))


PAGE = """<!doctype html>
<html lang="en">
<head><title>Timetable of the Lindholm ferry</title><style>td { padding: 2px }</style></head>
<body>
<h1>Winter timetable</h1>
<p>From <b>2 November</b> the boats leave every forty minutes &ndash; the last one at 22:20.</p>
<table><tr><th>Lindholm</th><th>Mainland</th></tr><tr><td>06:20</td><td>06:40</td></tr></table>
<script>console.log("this is no text");</script>
</body>
</html>
"""
NOTES = """# Notes for new crew

- The **bell** rings twice before the ramp goes up.
- Horses board first, bicycles last.
- In fog, sound one long blast every two minutes.
"""


def main() -> None:
    """Write all sample files."""
    (HERE / "report.pdf").write_bytes(pdf())
    word(HERE / "minutes.docx")
    excel(HERE / "crossings.xlsx")
    powerpoint(HERE / "radar.pptx")
    (HERE / "timetable.html").write_text(PAGE, encoding="utf-8")
    (HERE / "crew-notes.md").write_text(NOTES, encoding="utf-8")
    fares = 'passenger,"fare, crowns"\nAdult,35\nBicycle,20\n"Horse, saddled",90\n'
    (HERE / "fares.csv").write_text(fares, encoding="utf-8")


if __name__ == "__main__":
    main()

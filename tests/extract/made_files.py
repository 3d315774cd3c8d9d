"""Small files of each format, made by hand: what libraries write is only a part of what people have."""

from __future__ import annotations

import io
import zipfile
import zlib

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT = "http://purl.oclc.org/ooxml"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_NAMES = (
    f'xmlns:w="{W}" xmlns:r="{_OFFICE}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"'
)
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def zipped(parts: dict[str, str | bytes]) -> bytes:
    """Return a zip of these files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(name, content)
    return made.getvalue()


def relations(**targets: str) -> str:
    """Return relationships; `header1="x.xml"` is one of type `header`, its id the whole name."""
    rows = "".join(
        f'<Relationship Id="{id}" Type="{_OFFICE}/{id.rstrip("0123456789")}" Target="{target}"/>'
        for id, target in targets.items()
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{rows}</Relationships>'


def types(main: str, kind: str) -> str:
    """Return the part that says what the main part is."""
    return (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Override PartName="/{main}" ContentType="application/{kind}+xml"/></Types>'
    )


def r(text: str) -> str:
    """Return a run of Word."""
    return f"<w:r><w:t>{text}</w:t></w:r>"


def p(*runs: str) -> str:
    """Return a paragraph of Word."""
    return f"<w:p>{''.join(runs)}</w:p>"


def docx(body: str, parts: dict[str, str | bytes] | None = None, **targets: str) -> bytes:
    """Return a Word file; further parts are `word/NAME`, related to the body by `targets`."""
    return zipped(
        {
            "[Content_Types].xml": types(
                "word/document.xml", "vnd.openxmlformats-officedocument.wordprocessingml.document.main"
            ),
            "_rels/.rels": relations(officeDocument="word/document.xml"),
            "word/document.xml": f"<w:document {_NAMES}><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": relations(**targets),
            **{f"word/{name}": content for name, content in (parts or {}).items()},
        }
    )


def part(name: str, content: str) -> str:
    """Return a part of Word or PowerPoint with this root element."""
    return f"<{name} {_NAMES}>{content}</{name}>"


def sheet(rows: str, more: str = "", namespace: str = _SHEET) -> str:
    """Return a worksheet."""
    return f'<worksheet xmlns="{namespace}"><sheetData>{rows}</sheetData>{more}</worksheet>'


def xlsx(
    *sheets: str, parts: dict[str, str | bytes] | None = None, strings: str = "", styles: str = ""
) -> bytes:
    """Return an Excel file of worksheets called One, Two …; further parts are `xl/NAME`."""
    names = ("One", "Two", "Three")
    listed = "".join(
        f'<sheet name="{names[n]}" sheetId="{n + 1}" r:id="worksheet{n + 1}"/>' for n in range(len(sheets))
    )
    targets = {f"worksheet{n + 1}": f"worksheets/sheet{n + 1}.xml" for n in range(len(sheets))}
    return zipped(
        {
            "[Content_Types].xml": types(
                "xl/workbook.xml", "vnd.openxmlformats-officedocument.spreadsheetml.sheet.main"
            ),
            "_rels/.rels": relations(officeDocument="xl/workbook.xml"),
            "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(
                sharedStrings="sharedStrings.xml", styles="styles.xml", **targets
            ),
            "xl/sharedStrings.xml": f'<sst xmlns="{_SHEET}">{strings}</sst>',
            "xl/styles.xml": f'<styleSheet xmlns="{_SHEET}">{styles}</styleSheet>',
            **{f"xl/worksheets/sheet{n}.xml": content for n, content in enumerate(sheets, 1)},
            **{f"xl/{name}": content for name, content in (parts or {}).items()},
        }
    )


def slide(*texts: str, more: str = "") -> str:
    """Return a slide with a paragraph for each text."""
    made = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in texts)
    return part(
        "p:sld", f"<p:cSld><p:spTree><p:sp><p:txBody>{made}</p:txBody></p:sp>{more}</p:spTree></p:cSld>"
    )


def pptx(*slides: str, order: tuple[int, ...] = (), parts: dict[str, str | bytes] | None = None) -> bytes:
    """Return a PowerPoint file; further parts are `ppt/NAME`; `order` is that of the slides, from 1."""
    places = order or range(1, len(slides) + 1)
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="slide{n}"/>' for n in places)
    return zipped(
        {
            "[Content_Types].xml": types(
                "ppt/presentation.xml", "vnd.openxmlformats-officedocument.presentationml.presentation.main"
            ),
            "_rels/.rels": relations(officeDocument="ppt/presentation.xml"),
            "ppt/presentation.xml": part("p:presentation", f"<p:sldIdLst>{ids}</p:sldIdLst>"),
            "ppt/_rels/presentation.xml.rels": relations(
                **{f"slide{n}": f"slides/slide{n}.xml" for n in range(1, len(slides) + 1)}
            ),
            **{f"ppt/slides/slide{n}.xml": content for n, content in enumerate(slides, 1)},
            **{f"ppt/{name}": content for name, content in (parts or {}).items()},
        }
    )


def odt(body: str, kind: str = "text", parts: dict[str, str | bytes] | None = None) -> bytes:
    """Return an OpenDocument file."""
    names = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ["office", "text", "table", "draw", "presentation", "style"]
    )
    content = f"<office:document-content {names}><office:body>{body}</office:body></office:document-content>"
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": content,
            "META-INF/manifest.xml": "<manifest/>",
            **{name: str(text).replace("NAMES", names) for name, text in (parts or {}).items()},
        }
    )


def drawn(*lines: str) -> bytes:
    """Return the content of a PDF's page with these lines of text."""
    shown = " 0 -14 Td ".join(f"({line}) Tj" for line in lines)
    return f"BT /F1 12 Tf 20 700 Td {shown} ET".encode("latin-1")


def pdf(*pages: bytes, page: str = "", objects: tuple[bytes, ...] = (), catalog: str = "") -> bytes:
    """Return a PDF of pages with these contents.

    `page` and `catalog` are added to the dictionaries of each page and of the catalog; the objects behind the
    pages have the numbers from `4 + 2 * len(pages)` on.
    """
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    made = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog} >>".encode(),
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, content in enumerate(pages):
        packed = zlib.compress(content, 9)
        resources = "/Resources << /Font << /F1 3 0 R >> >>"
        made += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R "
            f"{resources} {page} >>".encode(),
            f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode() + packed + b"\nendstream",
        ]
    found, places = b"%PDF-1.7\n", []
    for number, body in enumerate((*made, *objects), 1):
        places.append(len(found))
        found += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(places) + 1
    return (
        found
        + (
            f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer << /Size {size} /Root 1 0 R >>\n"
            f"startxref\n{len(found)}\n%%EOF"
        ).encode()
    )

"""A small library for the browser's tests and the pictures in the docs: the same each time."""

from __future__ import annotations

import random
import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

SUBJECTS = (
    "Annual report",
    "Board minutes",
    "Invoice",
    "Delivery note",
    "Lease",
    "Site plan",
    "Budget",
    "Offer",
)
VENDORS = ("Acme GmbH", "Borealis", "Cobalt & Sons", "Dorsch", "Elm Street")
KINDS = ("pdf", "pdf", "pdf", "csv", "txt", "png", "docx")
REASONS = ("the file is encrypted", "no text in 3 of 12 pages", "the archive is damaged: bad magic number")
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
LEASE = (100, 130, 158)
"""Documents that are versions of one."""
BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)
SCRIPT = "<script>document.title='run'</script>"
HOSTILE = {
    f'"><img src=x onerror="document.title=1">{SCRIPT}.txt': b"harmless",
    "page.html": f"<h1>Hello</h1>{SCRIPT}<img src='http://evil.example/x.png'>".encode(),
    "drawing.svg": f'<svg xmlns="http://www.w3.org/2000/svg" width="9" onload="top.document.title=1">'
    f'<image href="http://evil.example/x.png"/>{SCRIPT}</svg>'.encode(),
    "javascript:alert(1)": b"x",
}


def fill(store: Any, *, documents: int = 160) -> None:
    """Put a library into an empty store: files of many kinds, failures, versions, extractions to review."""
    chance = random.Random(3)
    for n in range(documents):
        subject, vendor = chance.choice(SUBJECTS), chance.choice(VENDORS)
        kind, total = chance.choice(KINDS), round(chance.random() * 4000 + 50, 2)
        if n in LEASE:
            subject, vendor, kind = "Lease", "Elm Street", "pdf"
        at = BEGIN + timedelta(hours=51 * n + chance.randrange(20))
        text = (
            f"{subject} of {vendor}. Revenue rose by {chance.randrange(2, 19)} percent in the third quarter; "
            f"the board met on {at:%d %B} and approved the budget. Total {total} euro, to be paid within "
            "thirty days."
        )
        document = store.documents.add(
            _content(kind, subject, vendor, total, text, chance), filename=f"{subject} {n:03}.{kind}",
            content_type=WORD if kind == "docx" else None, created_at=at,
            owner="ada" if n in LEASE else chance.choice(("ada", "bob")),
            external_id="lease-7" if n in LEASE else None,
            metadata={
                "vendor": vendor, "year": chance.choice((2024, 2025, 2026)), "total": total,
                "tags": chance.sample(("important", "q3", "legal", "draft"), 2),
                "project": {"code": f"P-{chance.randrange(9):02}", "open": chance.random() < 0.5},
            },
        )  # fmt: skip
        fate = chance.random()
        if fate < 0.82 or n in LEASE:
            store.documents.complete(document.id, content=text, processed_at=at + timedelta(minutes=2))
        elif fate < 0.9:
            store.documents.start(document.id)
            store.documents.fail(document.id, chance.choice(REASONS))
        elif fate < 0.93:
            store.documents.start(document.id)
        if subject == "Invoice":
            _extract(store, document.id, vendor, total, at, chance)


def _extract(store: Any, id: str, vendor: str, total: float, at: datetime, chance: random.Random) -> None:
    results = {
        "vendor": vendor, "currency": "EUR", "total": total, "paid": False,
        "terms": "Thank you for your order.\nPlease pay within thirty days.",
    }  # fmt: skip
    scores = {
        "vendor": 97,
        "currency": 99,
        "total": chance.randrange(40, 79),
        "paid": chance.randrange(60, 99),
    }
    store.extractions.add(id, results, confidence_scores=scores, review_below=80, created_at=at)


def fill_with_hostile(store: Any) -> list[str]:
    """Add documents that would like to run something; return their ids."""
    return [
        store.documents.add(
            content, filename=name, metadata={"note": name, SCRIPT: [SCRIPT, {"k": SCRIPT}]}, created_at=BEGIN
        ).id
        for name, content in HOSTILE.items()
    ]


def _content(kind: str, subject: str, vendor: str, total: float, text: str, chance: random.Random) -> bytes:
    if kind == "pdf":
        return _pdf([subject, vendor, "", "Revenue rose in the third quarter.", f"Total {total} EUR"])
    if kind == "csv":
        rows = [f"Part {n},{chance.randrange(1, 90)},{chance.random() * 90:.2f}" for n in range(12)]
        return "\n".join(["item,quantity,price", *rows]).encode()
    if kind == "png":
        return _png(chance.randrange(40, 160))
    return text.encode() if kind == "txt" else b"PK\x03\x04nothing"


def _png(hue: int) -> bytes:
    """Return a picture of a plan: rooms, drawn in lines."""
    width, height = 320, 200
    rows = []
    for y in range(height):
        row = bytearray(b"\xf6\xf4\xee" * width)
        for x in range(width):
            if x in (20, 140, 141, 300) or y in (20, 110, 180):
                row[3 * x : 3 * x + 3] = bytes((hue, 90, 120))
        rows.append(b"\0" + bytes(row))
    head = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
              for name, body in parts]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _pdf(lines: list[str]) -> bytes:
    """Return a page of lines."""
    shown = b" ".join(b"(%s) Tj T*" % line.encode() for line in lines)
    stream = b"BT /F1 14 Tf 60 760 Td 22 TL %s ET" % shown
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    made, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj%sendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(made)
    return made + b"xref\n0 6\n0000000000 65535 f \n" + table + end

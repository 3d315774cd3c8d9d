"""Transfers: copy a store into another, export and import it as JSON Lines, and compare two stores.

Rows are read and written as they are, so that nothing is lost on the way. Bytes go through the store's own
write protocol. No function holds more than one batch in memory.
"""

from __future__ import annotations

from docstore.transfer.comparison import diff, fingerprint
from docstore.transfer.copies import copy
from docstore.transfer.json_lines import export_lines, import_lines
from docstore.transfer.plain_records import RecordsReport, import_records, is_export
from docstore.transfer.rows import CopyReport, Diff, Difference, Failure, Fingerprint, Transferred

__all__ = [
    "CopyReport",
    "Diff",
    "Difference",
    "Failure",
    "Fingerprint",
    "RecordsReport",
    "Transferred",
    "copy",
    "diff",
    "export_lines",
    "fingerprint",
    "import_lines",
    "import_records",
    "is_export",
]

"""Transfers: a store into another, a store into a file and back, and how two stores differ.

Between the public store and the seam: rows are read and written as they are, so that nothing is lost on the
way; bytes take the store's own protocol. Nothing here holds more than one batch.
"""

from __future__ import annotations

from docstore.transfer.comparing import diff, fingerprint
from docstore.transfer.copying import copy
from docstore.transfer.exporting import export_lines
from docstore.transfer.importing import import_lines
from docstore.transfer.records import RecordsReport, import_records, is_export
from docstore.transfer.reports import CopyReport, Diff, Difference, Failure, Transferred
from docstore.transfer.rows import Fingerprint

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

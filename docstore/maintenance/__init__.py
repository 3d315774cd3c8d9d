"""Maintenance: check, repair, collect, erase, backup and stats, over a backend and the blobs beside it.

These functions know rows and bytes, not users. The store checks scopes and delegates to them. None may be
called within a transaction of the same store.
"""

from __future__ import annotations

from docstore.maintenance.backup import backup
from docstore.maintenance.check import ChecksIndexes, check
from docstore.maintenance.collect import Compacts, KeepsValues, collect, compact, erase
from docstore.maintenance.repair import adopt, repair
from docstore.maintenance.reports import (
    Action,
    AdoptReport,
    BackupReport,
    CheckReport,
    CollectReport,
    EraseReport,
    Finding,
    FindingKind,
    HeldDocument,
    OnProgress,
    Progress,
    RepairReport,
    Stats,
    Total,
)
from docstore.maintenance.tables import MeasuresTables, held_documents, stats

__all__ = [
    "Action",
    "AdoptReport",
    "BackupReport",
    "CheckReport",
    "ChecksIndexes",
    "CollectReport",
    "Compacts",
    "EraseReport",
    "Finding",
    "FindingKind",
    "HeldDocument",
    "KeepsValues",
    "MeasuresTables",
    "OnProgress",
    "Progress",
    "RepairReport",
    "Stats",
    "Total",
    "adopt",
    "backup",
    "check",
    "collect",
    "compact",
    "erase",
    "held_documents",
    "repair",
    "stats",
]

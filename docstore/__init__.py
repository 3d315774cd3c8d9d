"""An embedded document index: files, their bytes and their metadata, queried alike on every backend."""

from docstore.aio import AsyncStore, open_async
from docstore.blobs import Blobs
from docstore.claims import Claim
from docstore.errors import (
    AlreadyExists,
    BackendError,
    BackendNotInstalled,
    BlobCorrupt,
    BlobError,
    BlobMissing,
    BlobsNotConfigured,
    ChecksumMismatch,
    DocstoreError,
    FilterError,
    FilterSyntaxError,
    FilterTooComplex,
    FilterValueError,
    InvalidCursor,
    InvalidDocument,
    InvalidPage,
    InvalidSort,
    InvalidTransition,
    LeaseLost,
    NotFound,
    NotPushed,
    RevisionConflict,
    SchemaTooNew,
    ScopeError,
    ScopeRequired,
    SizeMismatch,
    StoreBusy,
    StoreClosed,
    UnknownBackend,
    UnknownField,
    UnknownOperator,
    UpgradeNeeded,
)
from docstore.filter_type import Filter
from docstore.limits import Limits
from docstore.models import AddResult, Document, Extraction, NewDocument, Page, Status
from docstore.query.evaluate import matches_filter as matches
from docstore.query.instants import instant
from docstore.query.plan import Plan
from docstore.query.under import under
from docstore.store import Store, open
from docstore.transfer import copy, diff
from docstore.upgrading import upgrade
from docstore.workers import ProcessReport

__all__ = [
    "AddResult",
    "AlreadyExists",
    "AsyncStore",
    "BackendError",
    "BackendNotInstalled",
    "BlobCorrupt",
    "BlobError",
    "BlobMissing",
    "Blobs",
    "BlobsNotConfigured",
    "ChecksumMismatch",
    "Claim",
    "DocstoreError",
    "Document",
    "Extraction",
    "Filter",
    "FilterError",
    "FilterSyntaxError",
    "FilterTooComplex",
    "FilterValueError",
    "InvalidCursor",
    "InvalidDocument",
    "InvalidPage",
    "InvalidSort",
    "InvalidTransition",
    "LeaseLost",
    "Limits",
    "NewDocument",
    "NotFound",
    "NotPushed",
    "Page",
    "Plan",
    "ProcessReport",
    "RevisionConflict",
    "SchemaTooNew",
    "ScopeError",
    "ScopeRequired",
    "SizeMismatch",
    "Status",
    "Store",
    "StoreBusy",
    "StoreClosed",
    "UnknownBackend",
    "UnknownField",
    "UnknownOperator",
    "UpgradeNeeded",
    "copy",
    "diff",
    "instant",
    "matches",
    "open",
    "open_async",
    "under",
    "upgrade",
]
__version__ = "0.1.0"

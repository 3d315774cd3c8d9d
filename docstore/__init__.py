"""An embedded document index: files, their bytes and their metadata, queried alike on every backend.

What most programs do not use (the asynchronous store, copying between stores, the type of filters) is
imported when it is asked for.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

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
    QueryTimeout,
    ReadOnlyStore,
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
from docstore.limits import Limits
from docstore.models import (
    AddResult,
    Document,
    Extraction,
    NewDocument,
    Page,
    Put,
    PutResult,
    Status,
    UpdateResult,
)
from docstore.query.evaluate import matches_filter as matches
from docstore.query.instants import instant
from docstore.query.plan import Plan
from docstore.query.under import under
from docstore.store import Store, open
from docstore.workers import ProcessReport

if TYPE_CHECKING:
    from docstore.aio import AsyncStore, open_async
    from docstore.filter_type import Filter
    from docstore.transfer import copy, diff
    from docstore.upgrading import upgrade

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
    "Put",
    "PutResult",
    "QueryTimeout",
    "ReadOnlyStore",
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
    "UpdateResult",
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
_LATER = {
    "AsyncStore": "docstore.aio",
    "Filter": "docstore.filter_type",
    "open_async": "docstore.aio",
    "copy": "docstore.transfer",
    "diff": "docstore.transfer",
    "upgrade": "docstore.upgrading",
}
_PARTS = frozenset({"aio", "dialects", "filter_type", "indexes", "maintenance", "transfer", "upgrading"})


def __getattr__(name: str) -> object:
    """Import what was left for later."""
    if name in _PARTS:
        return _import_module(f"docstore.{name}")
    if name not in _LATER:
        raise AttributeError(f"module 'docstore' has no attribute {name!r}", name=name, obj=None)
    found: object = getattr(_import_module(_LATER[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_PARTS})

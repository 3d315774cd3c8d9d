"""An embedded document index: files, their bytes and their metadata, queried alike on every backend.

Every public name is imported when it is first used, so that a program pays only for what it uses and
``docstore --help`` starts fast.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docstore.aio import (
        AsyncStore,
        open_async,
    )
    from docstore.alembic import (
        alembic_include_object,
        alembic_metadata,
    )
    from docstore.blobs import (
        Blobs,
    )
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
        Permanent,
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
        UnreadableRecord,
        UpgradeNeeded,
        WrongBlobs,
    )
    from docstore.filter_type import (
        Filter,
    )
    from docstore.limits import (
        Limits,
    )
    from docstore.maintenance.tables import (
        distribute,
        partition,
    )
    from docstore.models import Document, Extraction, FieldInfo, NewDocument, Page, Status, ValuePage
    from docstore.query.evaluator import matches_filter as matches
    from docstore.query.facets import (
        Facet,
    )
    from docstore.query.instants import (
        instant,
    )
    from docstore.query.planner import Plan
    from docstore.query.scoping import under
    from docstore.query.search import highlight
    from docstore.registry import (
        upgrade,
    )
    from docstore.store import (
        Store,
        open,
    )
    from docstore.transfer import (
        copy,
        diff,
    )
    from docstore.workers import (
        Claim,
        ProcessReport,
    )
    from docstore.writes.results import AddResult, Put, PutResult, UpdateResult

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
    "Facet",
    "FieldInfo",
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
    "Permanent",
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
    "UnreadableRecord",
    "UpdateResult",
    "UpgradeNeeded",
    "ValuePage",
    "WrongBlobs",
    "alembic_include_object",
    "alembic_metadata",
    "copy",
    "diff",
    "distribute",
    "highlight",
    "instant",
    "matches",
    "open",
    "open_async",
    "partition",
    "under",
    "upgrade",
]
__version__ = "0.1.0"
_PLACES = {
    "docstore.alembic": (
        "alembic_include_object",
        "alembic_metadata",
    ),
    "docstore.aio": (
        "AsyncStore",
        "open_async",
    ),
    "docstore.blobs": ("Blobs",),
    "docstore.errors": (
        "AlreadyExists",
        "BackendError",
        "BackendNotInstalled",
        "BlobCorrupt",
        "BlobError",
        "BlobMissing",
        "BlobsNotConfigured",
        "ChecksumMismatch",
        "DocstoreError",
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
        "NotFound",
        "NotPushed",
        "Permanent",
        "QueryTimeout",
        "ReadOnlyStore",
        "RevisionConflict",
        "SchemaTooNew",
        "ScopeError",
        "ScopeRequired",
        "SizeMismatch",
        "StoreBusy",
        "StoreClosed",
        "UnknownBackend",
        "UnknownField",
        "UnknownOperator",
        "UnreadableRecord",
        "UpgradeNeeded",
        "WrongBlobs",
    ),
    "docstore.filter_type": ("Filter",),
    "docstore.limits": ("Limits",),
    "docstore.models": (
        "Document",
        "Extraction",
        "FieldInfo",
        "NewDocument",
        "Page",
        "Status",
        "ValuePage",
    ),
    "docstore.writes.results": (
        "AddResult",
        "Put",
        "PutResult",
        "UpdateResult",
    ),
    "docstore.query.evaluator": ("matches",),
    "docstore.query.facets": ("Facet",),
    "docstore.query.instants": ("instant",),
    "docstore.query.planner": ("Plan",),
    "docstore.query.search": ("highlight",),
    "docstore.query.scoping": ("under",),
    "docstore.store": (
        "Store",
        "open",
    ),
    "docstore.transfer": (
        "copy",
        "diff",
    ),
    "docstore.maintenance.tables": ("distribute", "partition"),
    "docstore.registry": ("upgrade",),
    "docstore.workers": (
        "Claim",
        "ProcessReport",
    ),
}
"""The modules that the public names are in."""
_NAMED = {"matches": "matches_filter"}
"""What is called otherwise where it is made."""
_LATER = {name: module for module, names in _PLACES.items() for name in names}
_PARTS = frozenset(
    {
        "aio", "backend", "blobs", "dialects", "errors", "extract", "filter_type", "ingest",
        "limits", "maintenance", "models", "query", "store", "testing", "transfer",
    }
)  # fmt: skip
"""Modules that need no import statement of their own."""


def __getattr__(name: str) -> object:
    """Import what was left for later."""
    if name in _PARTS:
        return _import_module(f"docstore.{name}")
    if name not in _LATER:
        raise AttributeError(f"module 'docstore' has no attribute {name!r}", name=name, obj=None)
    found: object = getattr(_import_module(_LATER[name]), _NAMED.get(name, name))
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_PARTS})

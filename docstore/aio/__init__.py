"""The asynchronous shell: ``docstore.open_async`` and what it returns, over the same core as the blocking
one.

Every method is written out with its signature and awaits the blocking one, which
:mod:`docstore.aio.bridge` runs.
"""

from docstore.aio.claims import AsyncClaim
from docstore.aio.documents import AsyncDocuments
from docstore.aio.extractions import AsyncExtractions
from docstore.aio.files import AsyncFile
from docstore.aio.records import AsyncRecords
from docstore.aio.store import AsyncStore, open_async

__all__ = [
    "AsyncClaim",
    "AsyncDocuments",
    "AsyncExtractions",
    "AsyncFile",
    "AsyncRecords",
    "AsyncStore",
    "open_async",
]

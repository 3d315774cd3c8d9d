"""The asynchronous store: ``docstore.open_async`` and its classes, a shell of threads over the blocking core.

Every method has its signature written out and calls the blocking method of the same name. ``self._read(…)``,
``self._write(…)`` or ``self._bytes(…)`` runs that call in a thread of its group (:mod:`docstore.aio.shell`).
"""

from docstore.aio.collection import AsyncRecords
from docstore.aio.documents import AsyncDocuments
from docstore.aio.extractions import AsyncExtractions
from docstore.aio.files import AsyncFile
from docstore.aio.store import AsyncStore, open_async
from docstore.aio.workers import AsyncClaim

__all__ = [
    "AsyncClaim",
    "AsyncDocuments",
    "AsyncExtractions",
    "AsyncFile",
    "AsyncRecords",
    "AsyncStore",
    "open_async",
]

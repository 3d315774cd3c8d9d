"""The asynchronous shell: ``docstore.open_async`` and what it returns, over the same core as the blocking
one.

Every method is written out with its signature and is one line that names the blocking one: ``self._read(…)``,
``self._write(…)`` or ``self._bytes(…)`` makes it in a thread of that group (:mod:`docstore.aio.shell`).
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

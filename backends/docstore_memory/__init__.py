"""The backend that keeps everything in this process' memory.

Read it from the bottom: ``table`` (records and their keys), ``index``, ``mvcc`` (a state with changes laid
over it), ``planner`` (which records can match), ``session`` (blocks), ``backend`` (state, locks, commit).
"""

from docstore_memory.backend import MemoryBackend, open_backend

__all__ = ["MemoryBackend", "open_backend"]

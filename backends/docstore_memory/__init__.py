"""The backend that keeps everything in this process' memory.

Read it from the bottom: ``table`` (records and their keys), ``index``, ``state`` (a state with changes
laid over it, and which of its records match), ``backend`` (blocks, locks, commit).
"""

from docstore_memory.backend import MemoryBackend, open_backend

__all__ = ["MemoryBackend", "open_backend"]

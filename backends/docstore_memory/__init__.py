"""The backend that keeps everything in this process' memory.

Read it from the bottom: ``records`` (rows and their indexes), ``views`` (a state with changes laid over it),
``narrow`` (which rows can match), ``reading`` and ``writing`` (blocks), ``backend`` (state, locks, commit).
"""

from docstore_memory.backend import MemoryBackend, open_backend

__all__ = ["MemoryBackend", "open_backend"]

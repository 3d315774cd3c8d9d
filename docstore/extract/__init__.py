"""Text out of files, each read in a child process within bounds of CPU time, memory and output.

Beside the core, not within it: the store keeps whatever text it is given. `extract` reads the text of one
file and says how much of it that is, a `Registry` says which `Extractor` reads which content type, and an
`ExtractionError` carries the reason why a file that should have text gave none.
"""

from docstore.extract.base import Extracted, ExtractionError, ExtractLimits, Extractor, Member, Source
from docstore.extract.dispatch import Registry, builtin
from docstore.extract.extraction import completion_of, extract

__all__ = [
    "ExtractLimits",
    "Extracted",
    "ExtractionError",
    "Extractor",
    "Member",
    "Registry",
    "Source",
    "builtin",
    "completion_of",
    "extract",
]

"""Text out of files: plain text, Markdown, HTML, CSV, JSON, source code, PDF, Word, Excel and PowerPoint.

Beside the core, not within it: the store keeps whatever text it is given. `extract` reads the text of
one file, a `Registry` says which `Extractor` reads which content type, and an `ExtractionError`
carries the reason why a file has none.
"""

from docstore.extract.base import ExtractionError, ExtractLimits, Extractor, Source
from docstore.extract.registry import Registry, builtin, extract

__all__ = ["ExtractLimits", "ExtractionError", "Extractor", "Registry", "Source", "builtin", "extract"]

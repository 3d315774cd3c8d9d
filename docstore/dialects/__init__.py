"""Filter dialects: other systems' filters as docstore filters over the metadata, and back.

Each ``from_…`` returns a filter in which every field stands below ``metadata.``, so nothing in a stranger's
filter can name a record field, a tenant or an owner. Each ``to_…`` writes a filter over the metadata for the
other system. Both are pure functions: no store, no framework and no import of one is needed. What a side
cannot say is a :class:`~docstore.errors.FilterError` that names it; nothing is translated by half.

Text that names an instant with its offset (``2026-01-31T09:30:00Z``) becomes a ``{"$date": …}`` operand where
the other system would compare it as a time; text without an offset compares as text.
"""

from docstore.dialects.aip160 import from_aip160, to_aip160
from docstore.dialects.chroma import from_chroma, to_chroma
from docstore.dialects.haystack import from_haystack, to_haystack
from docstore.dialects.langchain import from_langchain, to_langchain
from docstore.dialects.llama_index import from_llama_index, to_llama_index
from docstore.dialects.query_string import from_query_string, to_query_string

__all__ = [
    "from_aip160",
    "from_chroma",
    "from_haystack",
    "from_langchain",
    "from_llama_index",
    "from_query_string",
    "to_aip160",
    "to_chroma",
    "to_haystack",
    "to_langchain",
    "to_llama_index",
    "to_query_string",
]

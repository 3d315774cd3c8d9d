"""Ingest: put folders and files into a store, again and again (``docstore index``).

A folder is known by a name. The key of a file, its document's ``external_id``, is that name and the file's
path within the folder. So no file of one folder becomes a version of another's.
"""

from docstore.ingest.files import Entry, WalkOptions, walk
from docstore.ingest.folders import IndexedFolder
from docstore.ingest.indexer import Event, IndexReport, Outcome, index_files, index_folder

__all__ = [
    "Entry",
    "Event",
    "IndexReport",
    "IndexedFolder",
    "Outcome",
    "WalkOptions",
    "index_files",
    "index_folder",
    "walk",
]

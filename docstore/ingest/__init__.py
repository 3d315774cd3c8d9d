"""Folders and files put into a store: what ``docstore index`` does, for programs.

A folder is remembered by a name, and the key of a file (its document's ``external_id``) is that name and the
file's path within the folder: no file of one folder ever becomes a version of another's.
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

"""The life of a document: pure decisions on status, versions, claims and review; the collections do the
I/O.
"""

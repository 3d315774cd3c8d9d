"""Extractions: what was read out of documents, its thresholds, and its review by people."""

from __future__ import annotations

from docstore.models import Extraction
from docstore.query.fields import EXTRACTIONS
from docstore.records import Records

__all__ = ["Extractions"]


class Extractions(Records[Extraction]):
    """The extractions of a store, within its scope."""

    _collection = EXTRACTIONS

"""Move the document of a file from the key that it had before folders had names to the one it has now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docstore import lifecycle
from docstore.backend import Query, SortKey, Writer
from docstore.documents import Documents
from docstore.ingest.folders import owned_by
from docstore.models import Document
from docstore.query.fields import DOCUMENTS

__all__ = ["adopt"]

_BY_VERSION = (SortKey(("version",)), SortKey(("number",)))


def adopt(documents: Documents, document: Document, key: str, source: Mapping[str, Any]) -> None:
    """Give all versions of a document another ``external_id``, which nobody has, in one commit; then say in
    the latest where the file is.
    """
    before = document.external_id
    assert before is not None
    chain = (document.tenant, document.owner, before)
    where = documents._parsed({**owned_by(document.tenant, document.owner), "external_id": before})

    def move(writer: Writer) -> None:
        lifecycle.lock_chains(writer, [chain, (document.tenant, document.owner, key)])
        for row in documents._run_exactly(writer, Query(DOCUMENTS, documents._scope, where, _BY_VERSION)):
            writer.update(DOCUMENTS, row["number"], {"external_id": key, "revision": row["revision"] + 1})

    documents._root.written(move, recognises=True)
    documents.update(document.id, metadata={"source": dict(source)}, touch=False)

"""A user's program that uses every public name; it is read by type checkers, and its functions are not
called.

``typing.assert_type`` says what each call is known to return.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterator
from typing import Any, BinaryIO, assert_type

from pydantic import BaseModel

import docstore


class InvoiceMetadata(BaseModel):
    """The metadata of this program's documents."""

    vendor: str
    amount: float


class Ask(BaseModel):
    """What a caller of this program's service sends."""

    filter: docstore.Filter | None = None
    invoices: docstore.Filter[InvoiceMetadata] | None = None


class Answer(BaseModel):
    """What the service answers."""

    page: docstore.Page[docstore.Document]


def opening() -> docstore.Store:
    """Open a store with all that can be said."""
    return docstore.open(
        "sqlite:///library.db",
        blobs=docstore.Blobs("s3://bucket/prefix", key="k", secret="s"),
        scope_required=True,
        default_timezone=dt.UTC,
        limits=docstore.Limits(page=500),
        cursor_secret=["new", "old"],
        slow_query=0.5,
        table_prefix="library_",
    )


def upgrading() -> tuple[str, ...]:
    """Say what opening a store of an older format would change."""
    docstore.partition("postgresql:///library", 8)
    docstore.distribute("postgresql:///library")
    return docstore.upgrade("sqlite:///library.db", dry_run=True).steps


def reading(store: docstore.Store) -> None:
    """Read documents and extractions."""
    page = store.documents.find(
        {"status": docstore.Status.COMPLETED, "metadata.tags": {"$in": ["a"]}},
        search="words",
        sort=["-created_at", "number"],
        limit=10,
        total=True,
        include={"content"},
    )
    assert_type(page, docstore.Page[docstore.Document])
    for document in page:
        assert_type(document, docstore.Document)
        assert_type(document.status, docstore.Status)
        assert_type(document.metadata, dict[str, Any])
        assert_type(document.created_at, dt.datetime)
    assert_type(page.next_cursor, str | None)
    assert_type(store.documents.count(search="x", at_most=10), int)
    assert_type(store.documents.count_by("metadata.tags"), docstore.Facet)
    assert_type(store.documents.exists({"size": {"$gt": 0}}), bool)
    assert_type(store.documents.get("id"), docstore.Document)
    assert_type(store.documents.get_many(["id"]), list[docstore.Document])
    assert_type(store.documents.explain({}), docstore.Plan)
    walk: Iterator[docstore.Document] = store.documents.iterate(batch_size=100)
    print(next(walk).filename)
    assert_type(store.extractions.get("id"), docstore.Extraction)
    assert_type(store.extractions.find({"needs_review": True}).items, list[docstore.Extraction])
    asked = Ask(filter={"status": "completed"})
    Answer(page=store.documents.find(asked.filter))
    store.documents.find(docstore.under("metadata", {"vendor": "x"}))
    assert_type(docstore.matches({"a": 1}, {"a": [1, 2]}), bool)


def writing(store: docstore.Store) -> None:
    """Add, change and remove."""
    added = store.documents.add(
        "report.pdf", metadata={"a": 1}, created_at=docstore.instant("2026-01-01T00:00:00Z")
    )
    result = store.documents.add_many([docstore.NewDocument(source=b"x", filename="x"), {"filename": "y"}])
    assert_type(store.documents.update_many({}, {"$inc": {"metadata.n": 1}}), docstore.UpdateResult)
    put = store.documents.put(external_id="a", on_conflict="merge")
    assert_type(put, docstore.Put)
    assert_type(put.document, docstore.Document)
    assert_type(store.documents.put_many([{"id": "a"}]), docstore.PutResult)
    assert_type(store.documents.count_by("status"), docstore.Facet)
    assert_type(store.documents.distinct("status"), docstore.ValuePage)
    assert_type(store.documents.fields(), list[docstore.FieldInfo])
    assert_type(store.documents.get("a", default=None), docstore.Document | None)
    assert_type(store.documents.find_one({}), docstore.Document | None)
    assert_type(store.documents.find()[0], docstore.Document)
    assert_type(docstore.highlight("some text", "text"), list[tuple[int, int]])
    assert "docstore_document" in docstore.alembic_metadata("sqlite").tables
    assert docstore.alembic_include_object(None, "t", "table", False, None)
    assert_type(result, docstore.AddResult)
    assert_type(store.documents.update(added.id, if_revision=1, metadata={"a": None}), docstore.Document)
    assert_type(store.documents.update_many({}, preview=None), docstore.UpdateResult)
    assert_type(store.documents.versions("external"), list[docstore.Document])
    store.documents.get_by_external_id("external", version=1)
    with store.documents.open(added.id) as file:
        assert_type(file, BinaryIO)
    assert_type(store.documents.read_bytes(added.id), bytes)
    store.documents.download(added.id, "copy.pdf")
    assert_type(store.documents.url(added.id, expires=60), str)
    extraction = store.extractions.add(
        added.id, {"total": 1}, review_below=80, confidence_scores={"total": 50.0}
    )
    store.extractions.review(extraction.id, {"total": 2}, reviewed_by="ada")
    store.documents.delete(added.id)
    assert_type(store.documents.delete_many({"status": "failed"}), int)
    ours = store.scoped(tenant="us", owner="ada")
    with ours.transaction() as same:
        assert_type(same, docstore.Store)
    with store.unscoped() as everything:
        print(everything)
    print(docstore.copy(store, ours), docstore.diff(store, ours))


def working(store: docstore.Store) -> None:
    """Process the queue."""
    for claim in store.documents.claim(5, lease=60.0):
        assert_type(claim, docstore.Claim)
        claim.heartbeat()
        assert_type(claim.complete(content="text"), docstore.Document)
    report = store.documents.process(lambda document: document.filename, workers=2)
    assert_type(report, docstore.ProcessReport)
    store.documents.start("id")
    store.documents.fail("id", "why")
    store.documents.retry("id")


async def awaiting() -> None:
    """Do the same with the asynchronous store."""
    async with docstore.open_async("postgresql:///library", blobs="./files") as store:
        assert_type(store, docstore.AsyncStore)
        page = await store.documents.find({"metadata.vendor": "x"}, total=10)
        assert_type(page, docstore.Page[docstore.Document])
        async for document in store.documents.iterate():
            assert_type(document, docstore.Document)
        added = await store.documents.add(pieces(), filename="x")
        assert_type(await store.documents.read_bytes(added.id), bytes)
        async with await store.documents.open(added.id) as file:
            assert_type(await file.read(10), bytes)
        async with store.transaction() as same:
            assert_type(same, docstore.AsyncStore)
        for claim in await store.documents.claim():
            assert_type(await claim.complete(), docstore.Document)
        assert_type(await store.documents.process(handle, workers=4), docstore.ProcessReport)
        assert_type(await store.extractions.get("id"), docstore.Extraction)
        assert_type(store.scoped(owner="ada"), docstore.AsyncStore)
    opened = await docstore.open_async("memory://")
    await opened.close()


async def pieces() -> AsyncIterator[bytes]:
    """Yield a document's bytes."""
    yield b"x"


async def handle(document: docstore.Document) -> str:
    """Return a document's content."""
    await asyncio.sleep(0)
    return document.filename


def failing(store: docstore.Store) -> str | None:
    """Catch every error by its own name, and use what it carries."""
    try:
        reading(store)
    except docstore.UnknownOperator as wrong:
        return wrong.suggestion or wrong.path
    except docstore.UnknownField as wrong:
        return wrong.suggestion
    except docstore.FilterValueError as wrong:
        return wrong.expected
    except docstore.FilterTooComplex as wrong:
        return f"{wrong.bound} {wrong.limit + 1}"
    except docstore.NotPushed as wrong:
        return ", ".join(wrong.reasons)
    except docstore.FilterSyntaxError as wrong:
        return wrong.path
    except docstore.FilterError as wrong:
        return wrong.path
    except (docstore.InvalidCursor, docstore.InvalidSort, docstore.InvalidPage, docstore.InvalidDocument):
        return None
    except docstore.RevisionConflict as conflict:
        return f"{conflict.current}"
    except (docstore.NotFound, docstore.AlreadyExists, docstore.InvalidTransition, docstore.LeaseLost):
        return None
    except (docstore.ScopeError, docstore.ScopeRequired):
        return None
    except (docstore.ChecksumMismatch, docstore.SizeMismatch, docstore.BlobsNotConfigured):
        return None
    except (docstore.BlobMissing, docstore.BlobCorrupt) as lost:
        return lost.key
    except docstore.WrongBlobs as wrong_blobs:
        return str(wrong_blobs)
    except docstore.BlobError:
        return None
    except (docstore.QueryTimeout, docstore.ReadOnlyStore, docstore.UnreadableRecord, docstore.Permanent):
        return None
    except docstore.UpgradeNeeded as needed:
        return f"{needed.found} {needed.supported} {len(needed.steps)}"
    except (docstore.StoreBusy, docstore.StoreClosed, docstore.SchemaTooNew) as failed:
        return f"{failed.retryable}"
    except (docstore.UnknownBackend, docstore.BackendNotInstalled, docstore.BackendError):
        return None
    except docstore.DocstoreError as error:
        return str(error)
    return None

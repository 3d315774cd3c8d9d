"""Extractions: data read out of documents, with confidence scores and review by people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from docstore import lifecycle
from docstore.backend import Query, Row, Scope, Writer
from docstore.collection import Records
from docstore.context.collection_view import CollectionView, Make, check_revision_argument
from docstore.context.store_context import StoreContext
from docstore.errors import AlreadyExists, DocstoreError, InvalidDocument, NotFound, ScopeError, shown
from docstore.lifecycle import reviewed
from docstore.models import Document, Extraction
from docstore.query.expr import And, Compare, In
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.writes.results import (
    AddResult,
    OnError,
    UpdateResult,
    check_batch_size,
    check_on_error,
    store_apart,
    validated,
)
from docstore.writes.updates import (
    draft_extraction,
    extraction_changes,
    extraction_edit,
    row_of_extraction,
)

__all__ = ["Extractions"]

_PRIVATE = frozenset({"fingerprint"})
# Ids of one statement, well within every engine's number of parameters.
_AT_ONCE = 1000
# The keywords of `add`.
_ADDED = frozenset({
    "document_id", "results", "id", "status", "error", "confidence_scores", "review_flags", "review_below",
    "needs_review", "metadata", "created_at", "updated_at",
})  # fmt: skip


class Extractions(Records[Extraction]):
    """The extractions of a store, within its scope."""

    def __init__(self, context: StoreContext, scope: Scope, *, confined: bool) -> None:
        super().__init__(CollectionView[Extraction](context, scope, EXTRACTIONS, confined=confined))

    def add(
        self,
        document_id: str | Document,
        results: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        status: str = "completed",
        error: str | None = None,
        confidence_scores: Mapping[str, float] | None = None,
        review_flags: Mapping[str, bool] | None = None,
        review_below: float | None = None,
        needs_review: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        created_at: Any = None,
        updated_at: Any = None,
    ) -> Extraction:
        """Store data read out of a document, under its filename, tenant and owner, and removed with it.

        Args:
            document_id: of which document; or the document.
            results: a JSON object, or ``None`` for none yet.
            id: by default a fresh UUIDv7. Given again with the same arguments it returns the extraction that
                is there.
            status: ``pending``, ``processing``, ``completed`` or ``failed``.
            error: why it failed.
            confidence_scores: a number for each field.
            review_flags: True for each field that is doubtful.
            review_below: flags every field that is scored below; those given in ``review_flags`` stay
                flagged.
            needs_review: whether a person should look; ``None``: if any field is flagged.
            metadata: a JSON object.
            created_at, updated_at: aware ``datetime`` or RFC 3339 text; by default now, ``created_at``.

        Raises:
            NotFound: there is no such document in this scope.
            InvalidDocument: a field cannot be stored; nothing was done.
            AlreadyExists: the id is taken by an extraction that was added with other arguments.

        Example:
            >>> document = store.documents.add("report.pdf")
            >>> extraction = store.extractions.add(
            ...     document, {"total": 12.5}, confidence_scores={"total": 71}, review_below=80
            ... )
            >>> extraction.needs_review, extraction.review_flags
            (True, {'total': True})
        """
        self._view.ready_to_write("add")
        given = {name: value for name, value in locals().items() if name != "self" and value is not None}
        key = self._view.id_of(document_id, Document)
        draft = draft_extraction({**given, "document_id": key}, self._view.checks)
        tried = False

        def work(writer: Writer) -> Row:
            nonlocal tried
            document = self._view.mine(writer, key, collection=DOCUMENTS)  # locked: no rename passes by
            if tried or draft["fingerprint"] is not None:
                found = self._added(writer, draft, document)
                if found is not None:
                    return found
            tried = True
            row = row_of_extraction(draft, document, writer.now())
            row["number"] = writer.insert(EXTRACTIONS, [row])[0]
            return row

        return self._view.record_of(self._context.written(work, recognises=True))

    def add_many(
        self,
        extractions: Iterable[Mapping[str, Any]],
        *,
        on_error: OnError = "raise",
        batch_size: int = 1000,
        on_progress: Callable[[int], object] | None = None,
    ) -> AddResult:
        """Add many extractions, each batch in one commit.

        Args:
            extractions: mappings with the keywords of :meth:`add`, ``document_id`` among them. Read lazily.
            on_error, batch_size, on_progress: as for :meth:`Documents.add_many`.

        Returns:
            Their ids, in order, how many are new, and what failed.

        Raises:
            InvalidDocument, NotFound: an extraction cannot be stored, or its document is not there;
                ``.index`` says which. Its batch is not written, earlier ones are.
            Others: as :meth:`add`, for the whole batch.

        Example:
            >>> store.extractions.add_many([]).added
            0
        """
        self._view.ready_to_write("add_many")
        check_batch_size(batch_size)
        failures = check_on_error(on_error)
        ids: list[str] = []
        added = 0
        for batch in validated(extractions, self._drafted, batch_size, failures, "extraction"):
            placed = [(index, (index, draft)) for index, draft in batch]
            for _, (row, is_new) in store_apart(placed, self._add_batch, failures):
                ids.append(row["id"])
                added += is_new
            if on_progress is not None:
                on_progress(len(ids))
        failed = tuple(sorted(failures or (), key=itemgetter(0)))
        return AddResult(ids=ids, added=added, existing=len(ids) - added, failed=failed)

    def _drafted(self, given: Mapping[str, Any]) -> tuple[str, Row]:
        """Validate one extraction; return its document's id, and the draft."""
        if not isinstance(given, Mapping):
            raise InvalidDocument(f"expected a mapping of add's keywords, not {type(given).__name__}")
        for name in given:
            if name not in _ADDED:
                raise InvalidDocument(
                    f"unknown field {shown(name)}: expected {', '.join(sorted(_ADDED))}", field=str(name)
                )
        if given.get("document_id") is None:
            raise InvalidDocument("document_id: none; expected the document's id", field="document_id")
        key = self._view.id_of(given["document_id"], Document)
        kept = {name: value for name, value in given.items() if value is not None}
        return key, draft_extraction({**kept, "document_id": key}, self._view.checks)

    def _add_batch(self, drafts: Sequence[tuple[int, tuple[str, Row]]]) -> list[tuple[Row, bool]]:
        """Add validated extractions, all or none."""
        tried = False

        def work(writer: Writer) -> list[tuple[Row, bool]]:
            nonlocal tried
            now, new, known = writer.now(), list[Row](), dict[Any, Row]()
            documents = self._documents(writer, drafts)
            done: list[tuple[Row, bool]] = []
            for _, (key, draft) in drafts:
                document = documents[key]
                found = known.get((document["tenant"], draft["id"]))
                if found is not None and found["fingerprint"] != draft["fingerprint"]:
                    text = f"the id {shown(draft['id'])} is taken by an extraction with other fields"
                    raise AlreadyExists(text, id=draft["id"])
                if found is None and (tried or draft["fingerprint"] is not None):
                    found = self._added(writer, draft, document)
                if found is None:
                    found = row_of_extraction(draft, document, now)
                    new.append(found)
                    done.append((found, True))
                else:
                    done.append((found, tried))
                known[document["tenant"], draft["id"]] = found
            tried = True
            if new:
                for row, number in zip(new, writer.insert(EXTRACTIONS, new), strict=True):
                    row["number"] = number
            return done

        return self._context.written(work, recognises=True)

    def _documents(self, writer: Writer, drafts: Sequence[tuple[int, tuple[str, Row]]]) -> dict[str, Row]:
        """Return the documents of extractions by their ids, locked: no rename passes by."""
        ids = list(dict.fromkeys(key for _, (key, _) in drafts))
        found: dict[str, Row] = {}
        for at in range(0, len(ids), _AT_ONCE):
            where = In(("id",), tuple(ids[at : at + _AT_ONCE]))
            for row in self._view.run_exactly(writer, Query(DOCUMENTS, self._view.scope, where, lock="wait")):
                if row["id"] in found:
                    raise ScopeError(
                        f"several tenants have a document with the id {shown(row['id'])}: say which with"
                        " scoped(tenant=...)"
                    )
                found[row["id"]] = row
        for index, (key, _) in drafts:
            if key not in found:
                text = f"extraction {index}: no document with the id {shown(key)}"
                raise NotFound(text, id=key, index=index)
        return found

    def _added(self, writer: Writer, draft: Row, document: Row) -> Row | None:
        """Return the extraction that has the draft's id in the document's tenant.

        Raises:
            AlreadyExists: it is another one.
        """
        where = And((Compare(("id",), "eq", draft["id"]), Compare(("tenant",), "eq", document["tenant"])))
        rows = self._view.run_exactly(writer, Query(EXTRACTIONS, where=where, limit=1, include=_PRIVATE))
        if rows and rows[0]["fingerprint"] != draft["fingerprint"]:
            text = f"the id {shown(draft['id'])} is taken by an extraction with other fields"
            raise AlreadyExists(text, id=draft["id"])
        return rows[0] if rows else None

    # -- status ------------------------------------------------------------------------------------

    def start(self, id: str | Extraction) -> Extraction:
        """Begin: pending → processing.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is not pending.

        Example:
            >>> document = store.documents.add("report.pdf")
            >>> extraction = store.extractions.add(document, status="pending")
            >>> store.extractions.start(extraction).status.value
            'processing'
        """
        self._view.ready_to_write("start")
        return self._view.changed(id, lambda row, now: _to("start", row))

    def complete(
        self,
        id: str | Extraction,
        results: Mapping[str, Any],
        *,
        confidence_scores: Mapping[str, float] | None = None,
        review_flags: Mapping[str, bool] | None = None,
        review_below: float | None = None,
        needs_review: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        touch: bool = True,
    ) -> Extraction:
        """Finish: processing (or pending) → completed.

        Args:
            id: which.
            results: a JSON object.
            confidence_scores, review_flags, review_below, needs_review: as for :meth:`add`; ``None`` leaves
                what is there.
            metadata: an RFC 7396 merge patch.
            touch: set ``updated_at`` to now.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is completed or failed already.
            InvalidDocument: a field cannot be stored.

        Example:
            >>> document = store.documents.add("report.pdf")
            >>> extraction = store.extractions.add(document, status="pending")
            >>> store.extractions.complete(extraction, {"total": 12.5}).results
            {'total': 12.5}
        """
        self._view.ready_to_write("complete")
        asked = {
            "confidence_scores": confidence_scores,
            "review_flags": review_flags,
            "review_below": review_below,
            "needs_review": needs_review,
            "metadata": metadata,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        text = self._view.checks.json("results", results)
        make = extraction_changes(given, self._view.checks)
        return self._view.changed(
            id, lambda row, now: {**_to("complete", row), **make(row, now), "results": text}, touch=touch
        )

    def fail(self, id: str | Extraction, error: str) -> Extraction:
        """Give up: processing (or pending) → failed.

        Args:
            id: which.
            error: the reason, for people.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is completed or failed already.
            InvalidDocument: the reason is no text.

        Example:
            >>> document = store.documents.add("report.pdf")
            >>> extraction = store.extractions.add(document, status="pending")
            >>> store.extractions.fail(extraction, "no table found").error
            'no table found'
        """
        self._view.ready_to_write("fail")
        reason = self._view.checks.text("error", error)
        return self._view.changed(id, lambda row, now: {**_to("fail", row), "error": reason})

    # -- changing ----------------------------------------------------------------------------------

    def update(
        self,
        id: str | Extraction,
        operators: Mapping[str, Any] | None = None,
        /,
        *,
        if_revision: int | None = None,
        touch: bool = True,
        **changes: Any,
    ) -> Extraction:
        """Change an extraction's fields.

        Args:
            id: which.
            operators: MongoDB's update operators on paths below ``metadata``, as for
                :meth:`Documents.update`; ``$set`` and ``$unset`` also take the fields named in ``changes``.
            if_revision: refuse unless the revision is still this; ``None`` does not look.
            touch: set ``updated_at`` to now (unless it is among the changes).
            changes: ``results``, ``confidence_scores``, ``review_flags`` (each whole; ``None`` for none),
                ``review_below``, ``needs_review``, ``metadata`` (an RFC 7396 merge patch),
                ``replace_metadata``, ``error``, ``created_at``, ``updated_at``. Status and review have verbs
                of their own; the filename is the document's.

        Returns:
            The extraction as it is now, its revision one higher.

        Raises:
            NotFound: there is none in this scope.
            RevisionConflict: the revision moved on; ``.current`` is what it is.
            FilterError: an operator is unknown or malformed.
            InvalidDocument: a change is unknown, cannot be stored, or does not go with what is there.

        Example:
            >>> document = store.documents.add("report.pdf")
            >>> extraction = store.extractions.add(document, {"total": 12.5}, metadata={"tries": 1})
            >>> store.extractions.update(extraction, {"$inc": {"metadata.tries": 1}}).metadata
            {'tries': 2}
        """
        self._view.ready_to_write("update")
        return self._view.changed(
            id, extraction_edit(operators, changes, self._view.checks), if_revision=if_revision, touch=touch
        )

    def review(
        self,
        id: str | Extraction,
        reviewed_results: Mapping[str, Any],
        *,
        reviewed_by: str,
        reviewed_at: Any = None,
    ) -> Extraction:
        """Record a person's review: ``is_reviewed``, ``reviewed_at``, ``_by`` and ``_results`` at once.

        ``results`` and ``needs_review`` stay as they were. A later review replaces an earlier one.

        Args:
            id: which.
            reviewed_results: a JSON object: the results as they should be.
            reviewed_by: who, non-empty text.
            reviewed_at: when; by default now.

        Raises:
            NotFound: there is none in this scope.
            InvalidDocument: a value cannot be stored.

        Example:
            >>> document = store.documents.add("report.pdf")
            >>> extraction = store.extractions.add(document, {"total": 12.5})
            >>> reviewed = store.extractions.review(extraction, {"total": 12.0}, reviewed_by="Ada")
            >>> reviewed.is_reviewed, reviewed.results, reviewed.reviewed_results
            (True, {'total': 12.5}, {'total': 12.0})
        """
        self._view.ready_to_write("review")
        text = self._view.checks.json("reviewed_results", reviewed_results)
        by = self._view.checks.key("reviewed_by", reviewed_by)
        at = None if reviewed_at is None else self._view.checks.instant("reviewed_at", reviewed_at)
        make: Make = lambda row, now: reviewed(text, by, now if at is None else at)  # noqa: E731
        return self._view.changed(id, make)

    def review_many(
        self,
        reviews: Iterable[Mapping[str, Any]],
        *,
        reviewed_by: str,
        reviewed_at: Any = None,
        batch_size: int = 1000,
    ) -> UpdateResult:
        """Write down a person's review of many extractions, each batch in one commit.

        Args:
            reviews: mappings with ``id`` and ``reviewed_results``. Read lazily.
            reviewed_by, reviewed_at: as for :meth:`review`, of all of them.
            batch_size: extractions a commit, 1 to 100,000.

        Returns:
            How many were reviewed.

        Raises:
            InvalidDocument, NotFound: a review cannot be stored, or its extraction is not there; ``.index``
                says which. Its batch is not written, earlier ones are: ``.matched`` counts them.

        Example:
            >>> document = store.documents.add("report.pdf")
            >>> extraction = store.extractions.add(document, {"total": 12.5})
            >>> reviews = [{"id": extraction.id, "reviewed_results": {"total": 12.5}}]
            >>> store.extractions.review_many(reviews, reviewed_by="Ada").changed
            1
        """
        self._view.ready_to_write("review_many")
        check_batch_size(batch_size)
        by = self._view.checks.key("reviewed_by", reviewed_by)
        at = None if reviewed_at is None else self._view.checks.instant("reviewed_at", reviewed_at)
        done = 0
        try:
            for batch in validated(reviews, self._reviewed, batch_size, None, "review"):

                def work(writer: Writer, batch: list[tuple[int, tuple[str, str]]] = batch) -> None:
                    now = writer.now()
                    for index, (key, text) in batch:
                        try:
                            row = self._view.mine(writer, key)
                        except NotFound:
                            missing = f"review {index}: no extraction with the id {shown(key)}"
                            raise NotFound(missing, id=key, index=index) from None
                        columns = reviewed(text, by, now if at is None else at)
                        self._view.write(writer, row, columns, now, touch=True)

                self._context.written(work)
                done += len(batch)
        except DocstoreError as failed:
            failed.matched = failed.changed = done
            raise
        return UpdateResult(done, done)

    def _reviewed(self, given: Any) -> tuple[str, str]:
        """Validate one review; return the extraction's id, and the text of the results."""
        if not isinstance(given, Mapping) or given.keys() != {"id", "reviewed_results"}:
            raise InvalidDocument("expected a mapping with id and reviewed_results", field="reviewed_results")
        return self._view.id_of(given["id"]), self._view.checks.json(
            "reviewed_results", given["reviewed_results"]
        )

    def delete(self, id: str | Extraction, *, if_revision: int | None = None) -> None:
        """Remove an extraction.

        Args:
            id: which.
            if_revision: refuse unless the revision is still this.

        Raises:
            NotFound: there is none in this scope.
            RevisionConflict: the revision moved on.

        Example:
            >>> document = store.documents.add("report.pdf")
            >>> extraction = store.extractions.add(document, {"total": 12.5})
            >>> store.extractions.delete(extraction)
            >>> len(store.extractions)
            0
        """
        self._view.ready_to_write("delete")
        key, expected = self._view.id_of(id), check_revision_argument(if_revision)
        tried = False

        def work(writer: Writer) -> None:
            nonlocal tried
            try:
                row = self._view.mine(writer, key)
            except NotFound:
                if tried:  # removed by the commit whose outcome was unknown
                    return
                raise
            self._view.check_revision(row, expected)
            tried = True
            writer.delete(EXTRACTIONS, [row])

        self._context.written(work, recognises=True)


def _to(action: str, row: Row) -> Row:
    """Return what every step of the status writes."""
    return {"status": lifecycle.status_after(action, row["status"], row["id"]), "error": None}

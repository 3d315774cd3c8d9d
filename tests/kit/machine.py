"""The state machine: any sequence of calls of the API, made on a store and on the plain model, must come to
the same.

Every step is an operation of the model with its arguments; :class:`StoreMachine` runs it on both and compares
what comes back, the error or the record, and then everything that any scope can see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from docstore.errors import BackendError, DocstoreError
from docstore.models import Document, Extraction
from docstore.store import Store
from docstore.workers import Claim
from docstore.writes.results import UpdateResult
from tests.kit.model import Model, ModelDocument, ModelExtraction, Where

__all__ = ["StoreMachine", "machine_for"]

_TENANTS, _OWNERS = ("t1", "t2"), ("o1", "o2")
_LONG, _OVER = 3600.0, 1e-6

_wheres = st.tuples(st.sampled_from((None, *_TENANTS)), st.sampled_from((None, *_OWNERS)))
_ids = st.sampled_from(("a", "b", "c"))
_names = st.sampled_from(("p.txt", "q.pdf", "r"))
_PAST, _FUTURE = datetime(2001, 2, 3, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
_instants = st.sampled_from((_PAST, datetime(2002, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))))
_objects = st.dictionaries(
    st.sampled_from("xyzw"),
    st.integers(0, 3) | st.none() | st.just({"x": 1}) | st.just(_PAST),
    max_size=2,
)
_operators = st.fixed_dictionaries(
    {},
    optional={
        "$inc": st.just({"metadata.x": 2}),
        "$push": st.just({"metadata.y": 1}),
        "$addToSet": st.sampled_from(({"metadata.v": 1}, {"metadata.v": 2})),
        "$max": st.sampled_from(({"metadata.m": 1}, {"metadata.m": 2})),
        "$unset": st.just({"metadata.w.x": ""}),
        "$set": st.sampled_from(({"metadata.z.x": 1}, {"filename": "r"})),
    },
)
_texts = st.sampled_from(("one", "two words", ""))
_revisions = st.none() | st.integers(1, 3)


def _asking(operation: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy of one operation: its name, its scope, its arguments."""
    return st.tuples(st.just(operation), _wheres, st.fixed_dictionaries(arguments))


def _some(**arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=arguments)


_OPERATIONS = st.one_of(
    _asking(
        "add",
        given=_some(
            id=_ids,
            tenant=st.sampled_from(_TENANTS),
            owner=st.sampled_from(_OWNERS),
            source=st.sampled_from((b"", b"1", b"22")),
            filename=_names,
            external_id=st.sampled_from(("e", "f")),
            metadata=_objects,
            content=_texts,
            status=st.sampled_from(("pending", "completed", "processing")),
            dedupe=st.just("sha256"),
            created_at=_instants,
            expires_at=st.sampled_from((_PAST, _FUTURE)),
        ),
    ),
    _asking("add", given=_some(id=_ids, external_id=st.just("e"), source=st.just(b"1"))),
    _asking(
        "update",
        id=_ids,
        if_revision=_revisions,
        given=_some(
            metadata=_objects, filename=_names, content=_texts, source=st.sampled_from((b"3", b"44"))
        ),
    ),
    _asking("update", id=_ids, if_revision=st.none(), given=_some(replace_metadata=_objects)),
    _asking(
        "update",
        id=_ids,
        if_revision=st.none(),
        given=_some(created_at=_instants, expires_at=st.sampled_from((None, _PAST, _FUTURE))),
    ),
    _asking(
        "move",
        id=_ids,
        target=st.fixed_dictionaries({"owner": st.sampled_from((None, *_OWNERS))})
        | st.fixed_dictionaries({"external_id": st.sampled_from((None, "e", "f"))})
        | st.fixed_dictionaries({"owner": st.sampled_from(_OWNERS), "external_id": st.just("e")}),
    ),
    _asking(
        "update_many", names=st.lists(_names, max_size=2), given=_some(metadata=_objects, filename=_names)
    ),
    _asking(
        "put",
        given=st.fixed_dictionaries({"id": _ids})
        | st.fixed_dictionaries({"external_id": st.sampled_from("ef")}),
        more=_some(
            tenant=st.sampled_from(_TENANTS),
            metadata=_objects,
            filename=_names,
            content=_texts,
            source=st.sampled_from((b"1", b"22")),
        ),
        on_conflict=st.sampled_from(("replace", "merge", "skip", "version", "error")),
    ),
    _asking(
        "put",
        given=st.just({"external_id": "e"}),
        more=_some(metadata=_objects, filename=_names, expires_at=st.just(_FUTURE)),
        on_conflict=st.just("version"),
    ),
    _asking("retry_many", names=st.lists(_names, max_size=2)),
    _asking("operate", id=_ids, operators=_operators),
    _asking("operate_many", names=st.lists(_names, max_size=2), operators=_operators),
    _asking("delete", id=_ids, if_revision=_revisions),
    _asking("delete_many", names=st.lists(_names, max_size=1)),
    _asking("step", action=st.sampled_from(("start", "retry")), id=_ids, given=st.just({})),
    _asking("step", action=st.just("complete"), id=_ids, given=_some(content=_texts, metadata=_objects)),
    _asking("step", action=st.just("fail"), id=_ids, given=st.fixed_dictionaries({"error": _texts})),
    _asking("claim", limit=st.integers(1, 3), over=st.booleans()),
    _asking("claim", limit=st.integers(1, 3), over=st.just(False)),
    _asking("end", which=st.integers(0, 5), action=st.just("complete"), given=_some(content=_texts)),
    _asking(
        "end",
        which=st.integers(0, 5),
        action=st.sampled_from(("fail", "release")),
        given=st.just({"error": "no"}),
    ),
    _asking("hold", which=st.integers(0, 5)),
    _asking(
        "extract",
        document=_ids,
        results=st.none() | _objects,
        given=_some(id=_ids, status=st.sampled_from(("pending", "completed"))),
    ),
    _asking("step_extraction", action=st.just("start"), id=_ids, given=st.just({})),
    _asking(
        "step_extraction",
        action=st.just("complete"),
        id=_ids,
        given=st.fixed_dictionaries({"results": _objects}),
    ),
    _asking(
        "step_extraction", action=st.just("fail"), id=_ids, given=st.fixed_dictionaries({"error": _texts})
    ),
    _asking("review", id=_ids, results=_objects),
    _asking("delete_extraction", id=_ids),
)


class _Undone(Exception):
    """Ends a transaction."""


class StoreMachine(RuleBasedStateMachine):
    """A store beside its model. A subclass says how a store is opened."""

    @staticmethod
    def open_store() -> Store:
        """Return an empty store with blobs."""
        raise AssertionError("use machine_for(...)")

    @staticmethod
    def close_store(store: Store) -> None:
        """Close a store that :meth:`open_store` returned."""
        store.close()

    def __init__(self) -> None:
        super().__init__()
        self.store: Store = self.open_store()
        self.model: Model = Model()
        self.claims: list[tuple[Claim, int]] = []
        self._outcome = ""

    def teardown(self) -> None:
        """Close the store."""
        self.close_store(self.store)

    @rule(operation=_OPERATIONS)
    def call(self, operation: Any) -> None:
        """Make one call."""
        self._both(operation)

    @rule(operations=st.lists(_OPERATIONS, min_size=1, max_size=5), fails=st.booleans())
    def transaction(self, operations: list[Any], fails: bool) -> None:
        """Make several calls one commit, or undo them.

        Where a backend cannot undo a part of a transaction, a call that fails ends it: then nothing of it is.
        """
        before, claims = self.model.copy(), list(self.claims)
        try:
            with self.store.transaction():
                for operation in operations:
                    if self._both(operation) is not None and self._is_spoiled():
                        raise _Undone
                self.everything_is_the_same()
                if fails:
                    raise _Undone
        except _Undone:
            self.model, self.claims = before, claims

    @rule()
    def collect(self) -> None:
        """Delete what has expired; outside of transactions, as it commits by itself."""
        report = self.store.collect(grace=86_400.0)
        assert report.documents == self.model.expire()

    @rule(where=_wheres)
    def read_bytes(self, where: Where) -> None:
        """Read the bytes of all that a scope can see."""
        view = self._view(where)
        for document in self.model.seen(where):
            if self.model.get(where, document.id) is document and document.bytes is not None:
                assert document.bytes == view.documents.read_bytes(document.id)

    @invariant()
    def everything_is_the_same(self) -> None:
        """Everything that a scope can see, counted and listed, is what the model has."""
        for where in ((None, None), ("t1", None), (None, "o1"), ("t2", "o2")):
            view = self._view(where)
            expected = [_of_model(document) for document in self.model.seen(where)]
            actual = [_of_store(one) for one in view.documents.iterate(latest_only=False)]
            assert expected == actual
            assert len([one for one in expected if one["is_latest"]]) == view.documents.count()
            assert _counted(one["status"] for one in expected) == view.documents.count_by(
                "status", latest_only=False
            )
            extractions = [_of_model_extraction(one) for one in self.model.seen_extractions(where)]
            assert extractions == [_of_extraction(one) for one in view.extractions.iterate()]

    # -- one call, twice ---------------------------------------------------------------------------

    def _view(self, where: Where) -> Store:
        given = {
            name: value for name, value in zip(("tenant", "owner"), where, strict=True) if value is not None
        }
        return self.store.scoped(**given) if given else self.store

    def _is_spoiled(self) -> bool:
        """Whether the transaction in force takes no more calls."""
        return isinstance(_outcome(self.store.documents.exists)[1], BackendError)

    def _both(self, operation: Any) -> DocstoreError | None:
        """Make a call of the store and of the model, compare, and return the error that both raised."""
        name, where, arguments = operation
        made = getattr(self, f"_{name}")(where, **arguments)
        if made is None:
            return None
        real, modelled = made
        actual, error = _outcome(real)
        expected, wanted = _outcome(lambda: modelled(actual))
        assert (type(wanted), getattr(wanted, "id", None)) == (type(error), getattr(error, "id", None)), (
            wanted,
            error,
        )
        if error is None and isinstance(actual, Document):
            assert _of_model(expected) == _of_store(actual)
        elif error is None and isinstance(actual, Extraction):
            assert _of_model_extraction(expected) == _of_extraction(actual)
        elif error is None:
            assert expected == actual
        return error

    def _add(self, where: Where, given: dict[str, Any]) -> Any:
        real = self._view(where).documents
        empty = not given.keys() - {"tenant", "owner", "dedupe"}
        return lambda: real.add(**given), lambda made: self.model.add(
            where, getattr(made, "id", ""), **given, empty=empty
        )

    def _update(self, where: Where, id: str, if_revision: int | None, given: dict[str, Any]) -> Any:
        real = self._view(where).documents
        return (
            lambda: real.update(id, if_revision=if_revision, **given),
            lambda made: self.model.update(where, id, if_revision=if_revision, **given),
        )

    def _move(self, where: Where, id: str, target: dict[str, Any]) -> Any:
        real = self._view(where).documents
        return lambda: real.update(id, **target), lambda made: self.model.move(where, id, **target)

    def _retry_many(self, where: Where, names: list[str]) -> Any:
        real = self._view(where).documents
        return (
            lambda: _pair(real.retry_many({"filename": {"$in": names}})),
            lambda made: self.model.retry_many(where, names),
        )

    def _update_many(self, where: Where, names: list[str], given: dict[str, Any]) -> Any:
        real = self._view(where).documents
        return (
            lambda: real.update_many({"filename": {"$in": names}}, **given),
            lambda made: self.model.update_many(where, names, **given),
        )

    def _put(self, where: Where, given: dict[str, Any], more: dict[str, Any], on_conflict: Any) -> Any:
        real = self._view(where).documents

        def put() -> Document:
            done = real.put(on_conflict=on_conflict, **given, **more)
            self._outcome = done.outcome
            return done.document

        def modelled(made: Any) -> ModelDocument:
            new_id = getattr(made, "id", "")
            document, outcome = self.model.put(where, new_id, on_conflict=on_conflict, **given, **more)
            assert outcome == self._outcome
            return document

        return put, modelled

    def _operate(self, where: Where, id: str, operators: dict[str, Any]) -> Any:
        real = self._view(where).documents
        return lambda: real.update(id, operators), lambda made: self.model.operate(where, id, operators)

    def _operate_many(self, where: Where, names: list[str], operators: dict[str, Any]) -> Any:
        real = self._view(where).documents
        return (
            lambda: _pair(real.update_many({"filename": {"$in": names}}, operators)),
            lambda made: self.model.operate_many(where, names, operators),
        )

    def _delete(self, where: Where, id: str, if_revision: int | None) -> Any:
        real = self._view(where).documents
        return (
            lambda: real.delete(id, if_revision=if_revision),
            lambda made: self.model.delete(where, id, if_revision=if_revision),
        )

    def _delete_many(self, where: Where, names: list[str]) -> Any:
        real = self._view(where).documents
        return (
            lambda: real.delete_many({"filename": {"$in": names}}),
            lambda made: self.model.delete_many(where, names),
        )

    def _step(self, where: Where, action: str, id: str, given: dict[str, Any]) -> Any:
        real = getattr(self._view(where).documents, action)
        return lambda: real(id, **given), lambda made: self.model.step(where, action, id, **given)

    def _claim(self, where: Where, limit: int, over: bool) -> Any:
        taken = self._view(where).documents.claim(limit, lease=_OVER if over else _LONG)
        expected = self.model.claim(where, limit, over)
        assert [document.id for document in expected] == [claim.document.id for claim in taken]
        for document, claim in zip(expected, taken, strict=True):
            document.lease = (claim.token, over)
            self.claims.append((claim, claim.document.number))

    def _claimed(self, which: int) -> tuple[Claim, Callable[[], ModelDocument]] | None:
        """Return a claim made before, and what finds its document in the model."""
        if not self.claims:
            return None
        claim, _ = self.claims[which % len(self.claims)]
        held = [one for one in self.model.documents if one.lease is not None and one.lease[0] == claim.token]
        same = [one for one in held if one.id == claim.document.id and one.tenant == claim.document.tenant]
        gone = ModelDocument(claim.document.id, None, None, "", None, {}, None, None, "", None)
        return claim, lambda: same[0] if same else gone

    def _end(self, where: Where, which: int, action: str, given: dict[str, Any]) -> Any:
        found = self._claimed(which)
        if found is None:
            return None
        claim, document = found
        return (
            lambda: getattr(claim, action)(**given),
            lambda made: self.model.end(document(), claim.token, action, **given),
        )

    def _hold(self, where: Where, which: int) -> Any:
        found = self._claimed(which)
        if found is None:
            return None
        claim, document = found
        return lambda: _nothing(claim.heartbeat()), lambda made: self.model.hold(document(), claim.token)

    def _extract(self, where: Where, document: str, results: Any, given: dict[str, Any]) -> Any:
        real = self._view(where).extractions
        return (
            lambda: real.add(document, results, **given),
            lambda made: self.model.extract(where, getattr(made, "id", ""), document, results, **given),
        )

    def _step_extraction(self, where: Where, action: str, id: str, given: dict[str, Any]) -> Any:
        real = getattr(self._view(where).extractions, action)
        return lambda: real(id, **given), lambda made: self.model.step_extraction(where, action, id, **given)

    def _review(self, where: Where, id: str, results: dict[str, Any]) -> Any:
        real = self._view(where).extractions
        return (
            lambda: real.review(id, results, reviewed_by="somebody"),
            lambda made: self.model.review(where, id, results),
        )

    def _delete_extraction(self, where: Where, id: str) -> Any:
        real = self._view(where).extractions
        return lambda: real.delete(id), lambda made: self.model.delete_extraction(where, id)


def machine_for(
    open_store: Callable[[], Store], close_store: Callable[[Store], None] | None = None
) -> type[StoreMachine]:
    """Return a machine over the stores that ``open_store`` opens; its ``TestCase`` is a test.

    Args:
        open_store: returns an empty store with blobs; called once a run.
        close_store: closes it; ``None`` calls its ``close``.

    Example:
        >>> TestMachine = machine_for(lambda: docstore.open("memory://", blobs="memory://")).TestCase
    """
    methods: dict[str, Any] = {"open_store": staticmethod(open_store)}
    if close_store is not None:
        methods["close_store"] = staticmethod(close_store)
    return type("Machine", (StoreMachine,), methods)


def _outcome(call: Callable[[], Any]) -> tuple[Any, DocstoreError | None]:
    try:
        return call(), None
    except DocstoreError as error:
        return None, error


def _pair(result: UpdateResult) -> tuple[int, int]:
    return result.matched, result.changed


def _nothing(_: object) -> None:
    """Leave a result aside."""


def _counted(values: Any) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return found


_COMPARED = (
    "id",
    "tenant",
    "owner",
    "filename",
    "external_id",
    "metadata",
    "version",
    "is_latest",
    "error",
    "attempts",
    "revision",
    "expires_at",
)


def _of_model(document: ModelDocument) -> dict[str, Any]:
    made = {name: getattr(document, name) for name in _COMPARED}
    preview = None if document.content is None else " ".join(document.content.split())
    stored = document.bytes
    digest = None if stored is None else hashlib.sha256(stored).hexdigest()
    return {
        **made,
        "status": document.status,
        "preview": preview,
        "sha256": digest,
        "created_at": document.created_at,
    }


def _of_store(document: Document) -> dict[str, Any]:
    made = {name: getattr(document, name) for name in _COMPARED}
    return {
        **made,
        "status": str(document.status),
        "preview": document.preview,
        "sha256": document.sha256,
        "created_at": document.created_at if document.created_at.year < 2010 else None,  # else the clock's
    }


def _of_model_extraction(one: ModelExtraction) -> dict[str, Any]:
    document = one.document
    own = {name: getattr(one, name) for name in ("id", "results", "status", "error", "revision")}
    theirs = {name: getattr(document, name) for name in ("tenant", "owner", "filename")}
    return {
        **own,
        **theirs,
        "document_id": document.id,
        "reviewed_results": one.reviewed,
        "is_reviewed": one.reviewed is not None,
    }


def _of_extraction(one: Extraction) -> dict[str, Any]:
    names = (
        "id",
        "results",
        "error",
        "revision",
        "tenant",
        "owner",
        "filename",
        "document_id",
        "reviewed_results",
        "is_reviewed",
    )
    return {**{name: getattr(one, name) for name in names}, "status": str(one.status)}

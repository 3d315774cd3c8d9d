"""Every error that docstore raises: one tree, so that one ``except`` line can be as wide or as narrow as
wanted.

::

    DocstoreError
    ├── FilterError (ValueError)             .path: where in the filter, e.g. $and/1/priority/$gte2
    │   ├── FilterSyntaxError                the filter has the wrong form
    │   ├── UnknownOperator                  a $-word that the language does not have   .operator .suggestion
    │   ├── UnknownField                     a field that the record does not have      .field .suggestion
    │   ├── FilterValueError                 an operand of the wrong type or value      .expected
    │   ├── FilterTooComplex                 a bound was passed                         .bound .limit
    │   └── NotPushed                        strict=True and a residual                 .reasons
    ├── InvalidCursor (ValueError)
    ├── InvalidSort (ValueError)             .field .suggestion
    ├── InvalidPage (ValueError)             .argument
    ├── InvalidDocument (ValueError)         .field .index
    ├── NotFound (LookupError)               .id .index
    ├── AlreadyExists                        .id
    ├── RevisionConflict                     .id .expected .current
    ├── InvalidTransition                    .id .status .action
    ├── LeaseLost                            .id
    ├── ScopeError (ValueError)
    │   └── ScopeRequired
    ├── BlobError                            .key
    │   ├── BlobsNotConfigured
    │   ├── BlobMissing
    │   ├── BlobCorrupt
    │   ├── WrongBlobs                       .expected .found
    │   ├── ChecksumMismatch                 .expected .actual
    │   └── SizeMismatch                     .expected .actual
    └── BackendError                         .retryable .transient .outcome_unknown
        ├── ReadOnlyStore                    .reason
        ├── UnreadableRecord                 .id .reason
        ├── StoreBusy
        ├── StoreClosed
        ├── SchemaTooNew                     .found .supported
        ├── UpgradeNeeded                    .found .supported .steps
        ├── UnknownBackend
        └── BackendNotInstalled

The text of an error says what is wrong, where, and what was expected. What a program may want to read is on
attributes, and every error survives :mod:`pickle` with them.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import Any, Final

__all__ = [
    "AlreadyExists",
    "BackendError",
    "BackendNotInstalled",
    "BlobCorrupt",
    "BlobError",
    "BlobMissing",
    "BlobsNotConfigured",
    "ChecksumMismatch",
    "DocstoreError",
    "FilterError",
    "FilterSyntaxError",
    "FilterTooComplex",
    "FilterValueError",
    "InvalidCursor",
    "InvalidDocument",
    "InvalidPage",
    "InvalidSort",
    "InvalidTransition",
    "LeaseLost",
    "NotFound",
    "NotPushed",
    "Permanent",
    "QueryTimeout",
    "ReadOnlyStore",
    "RevisionConflict",
    "SchemaTooNew",
    "ScopeError",
    "ScopeRequired",
    "SizeMismatch",
    "StoreBusy",
    "StoreClosed",
    "UnknownBackend",
    "UnknownField",
    "UnknownOperator",
    "UnreadableRecord",
    "UpgradeNeeded",
    "WrongBlobs",
    "missing",
]

# Characters of a value, and of a whole path, in a message: enough to recognise it, and no log line is
# flooded by a caller's megabyte.
_LONGEST_SHOWN = 80
_LONGEST_PATH = 300


def shown_path(steps: Iterable[str], between: str = "/") -> str:
    """Return steps as messages show them: each cut at 80 characters, all of them at 300."""
    cut = (step if len(step) <= _LONGEST_SHOWN else step[:_LONGEST_SHOWN] + "…" for step in steps)
    text = between.join(cut)
    return text if len(text) <= _LONGEST_PATH else text[:_LONGEST_PATH] + "…"


_short = reprlib.Repr()
_short.maxlevel = 4
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = _short.maxfrozenset = 20
_short.maxstring = _short.maxother = _short.maxlong = 2 * _LONGEST_SHOWN


def shown(value: object) -> str:
    """Return a value as messages show it: its ``repr``, cut at 80 characters."""
    if isinstance(value, str | bytes):
        cut = value[:_LONGEST_SHOWN]
        return repr(value) if len(value) <= _LONGEST_SHOWN else repr(cut)[:-1] + "…" + repr(cut)[-1]
    if isinstance(value, int) and value.bit_length() > 256:
        return "a very large number"
    # reprlib ends at any depth and size, where repr() fails or takes seconds
    text = _short.repr(value) if isinstance(value, list | tuple | dict | set | frozenset) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


class DocstoreError(Exception):
    """The base of every error that docstore raises.

    Keyword arguments become attributes; an attribute that was not given keeps its class's default.

    Attributes:
        matched, changed: of ``update_many`` and ``delete_many``: the records of the batches that were done
            before the error; ``None`` elsewhere.
    """

    matched: int | None = None
    changed: int | None = None

    def __init__(self, message: str = "", /, **attributes: Any) -> None:
        super().__init__(message)
        self.__dict__.update(attributes)

    @property
    def message(self) -> str:
        """The error's text."""
        return str(self.args[0]) if self.args else ""


class FilterError(DocstoreError, ValueError):
    """A filter that cannot be run. ``path`` says where in it, ``""`` for the whole."""

    path: str = ""


class FilterSyntaxError(FilterError):
    """A filter of the wrong form, such as a list where an object is needed."""


class UnknownOperator(FilterError):
    """A ``$``-word that the language does not have. ``suggestion`` is the nearest, or None."""

    operator: str = ""
    suggestion: str | None = None


class UnknownField(FilterError):
    """A field that the record does not have. ``suggestion`` is the nearest that it has, or ``None``."""

    field: str = ""
    suggestion: str | None = None


class FilterValueError(FilterError):
    """An operand of the wrong type or value. ``expected`` says what is allowed."""

    expected: str = ""


class FilterTooComplex(FilterError):
    """A filter or search beyond a bound. ``bound`` names it, ``limit`` is its value."""

    bound: str = ""
    limit: int = 0


class NotPushed(FilterError):
    """``strict=True``, and the backend cannot run all of the filter. ``reasons`` lists why."""

    reasons: tuple[str, ...] = ()


class InvalidCursor(DocstoreError, ValueError):
    """A cursor that is damaged, or belongs to another filter, sort, search, scope or collection."""


class InvalidSort(DocstoreError, ValueError):
    """A sort that names no sortable field, or is of the wrong type."""

    field: str = ""
    suggestion: str | None = None


class InvalidPage(DocstoreError, ValueError):
    """A limit, offset, page or direction of the wrong type or out of range. ``argument`` names it."""

    argument: str = ""


class InvalidDocument(DocstoreError, ValueError):
    """A document that cannot be stored. ``field`` says where, ``index`` which of an ``add_many``."""

    field: str = ""
    index: int | None = None


class NotFound(DocstoreError, LookupError):
    """No such record in this scope. ``index`` is its place among many, else ``None``."""

    id: str = ""
    index: int | None = None


class AlreadyExists(DocstoreError):
    """The id is taken by a record with other bytes or fields."""

    id: str = ""


class RevisionConflict(DocstoreError):
    """``if_revision`` no longer holds. ``current`` is the revision now."""

    id: str = ""
    expected: int = 0
    current: int = 0


class InvalidTransition(DocstoreError):
    """The status does not allow this step. ``status`` is the one now, ``action`` the verb."""

    id: str = ""
    status: str = ""
    action: str = ""


class LeaseLost(DocstoreError):
    """The claim outlived its lease, or was taken over; nothing was written."""

    id: str = ""


class ScopeError(DocstoreError, ValueError):
    """A scope that is empty, of the wrong type, or tries to widen the one in force."""


class ScopeRequired(ScopeError):
    """The store was opened with ``scope_required=True``: use ``scoped(...)`` or ``unscoped()``."""


class BlobError(DocstoreError):
    """The bytes of a document could not be stored or read. ``key`` is the storage key, or ``None``."""

    key: str | None = None


class BlobsNotConfigured(BlobError):
    """The store was opened without ``blobs=`` and bytes were given or asked for."""


class BlobMissing(BlobError):
    """The document has no bytes, or its object is gone from the storage."""


class BlobCorrupt(BlobError):
    """The stored bytes do not have the size or sha256 that was recorded."""


class WrongBlobs(BlobError):
    """The root of the bytes belongs to another store, or nobody knows to which.

    ``expected`` is the id of this store, ``found`` the id that the root bears, ``None`` if it bears none.
    """

    expected: str | None = None
    found: str | None = None


class ChecksumMismatch(BlobError):
    """The bytes given do not have the ``sha256`` given; nothing was stored."""

    expected: str = ""
    actual: str = ""


class SizeMismatch(BlobError):
    """The bytes given do not have the ``size`` given; nothing was stored."""

    expected: int = 0
    actual: int = 0


class Permanent(Exception):
    """Raise this in a handler of ``process`` if another attempt would fail, too.

    It is no DocstoreError: docstore never raises it.

    Example:
        >>> def handle(document):
        ...     if document.file_type == "other":
        ...         raise docstore.Permanent("nothing here can be read")
    """


class BackendError(DocstoreError):
    """The database failed.

    Attributes:
        retryable: the same call may succeed later.
        transient: the engine undid the transaction for another's sake; the store runs it again at once, a few
            times.
        outcome_unknown: the connection was lost while the transaction was being committed, so that it may
            have happened. The store looks before it tries again; the error arrives only where looking could
            not tell.
    """

    retryable: bool = False
    transient: bool = False
    outcome_unknown: bool = False


class ReadOnlyStore(BackendError):
    """The store can only be read, and the call would have changed it; nothing was done.

    ``reason`` says why: it was opened so, or the database, its folder or the role does not allow more.
    """

    reason: str = ""


class QueryTimeout(BackendError, TimeoutError):
    """A read took longer than its budget of seconds. ``budget`` is that; ``predicates`` are those that no
    index serves, in words. The store works on.
    """

    budget: float = 0.0
    predicates: tuple[str, ...] = ()


class UnreadableRecord(BackendError):
    """A row is not as docstore writes rows: somebody changed it by hand, or the disk did.

    ``id`` says which record, as far as that can be read, and ``reason`` what is wrong with it.
    """

    id: str | None = None
    reason: str = ""


class StoreBusy(BackendError):
    """Other writers held the store for too long; the same call may succeed later."""

    retryable: bool = True


class StoreClosed(BackendError):
    """The store was closed."""


class SchemaTooNew(BackendError):
    """The store was written by a newer docstore. ``found`` and ``supported`` are format versions."""

    found: int = 0
    supported: int = 0


class UpgradeNeeded(BackendError):
    """The store is older than this docstore, or not there, and was to be opened with ``upgrade=False``.

    ``found`` is its format version (0: there is no store), ``supported`` that of this docstore, ``steps``
    say what an upgrade would do, one after another.
    """

    found: int = 0
    supported: int = 0
    steps: tuple[str, ...] = ()


class UnknownBackend(BackendError, ValueError):
    """No backend is registered for this URL. ``schemes`` lists those that are."""

    schemes: tuple[str, ...] = ()


class BackendNotInstalled(BackendError, ImportError):
    """The backend needs a package that is not installed; the text names the command that installs it."""


_COLLECTION: Final = {
    "all": "iterate() yields all, find() a page of them",
    "aggregate": "count_by(), distinct() and bounds() sum up; rows() and to_arrow() hand over columns",
    "bulk_write": "add_many(), put_many() and update_many() write many at once",
    "contains": "find({'metadata.tags': 'x'}) and exists(…) ask",
    "count_documents": "count(filter) counts",
    "create": "add() stores a document",
    "create_index": "store.create_index('metadata.n') makes an index",
    "delete_one": "delete(id) removes one document",
    "estimated_document_count": "count() counts",
    "fetch": "get(id) returns one, find() a page of them",
    "filter": "find(filter) lists",
    "find_by_id": "get(id) returns one",
    "find_many": "find(filter) lists a page, iterate(filter) all",
    "find_one_and_update": "update(id, {…}) changes one and returns it as it is then",
    "first": "find_one(filter) returns the first",
    "get_by_id": "get(id) returns one",
    "get_or_create": "put(external_id=…, on_conflict='skip') does",
    "insert": "add() stores a document, put() one that may be there",
    "insert_all": "add_many() stores many",
    "insert_many": "add_many() stores many",
    "insert_one": "add() stores a document",
    "list": "find(filter) lists a page, iterate(filter) all",
    "lookup": "find_one(filter) returns the first, get(id) one",
    "one": "find_one(filter) returns the first",
    "patch": "update(id, metadata={…}) merges a patch",
    "query": "find(filter) lists",
    "replace": "put(id=…) replaces a document",
    "replace_one": "put(id=…) replaces a document",
    "rows_where": "rows(fields, filter) yields them",
    "save": "put() stores a document that may be there",
    "search": "find(search='words') searches",
    "select": "find(filter) lists, rows(fields, filter) yields columns",
    "update_one": "update(id, {…}) changes one document",
    "upsert": "put() stores a document that may be there",
    "upsert_all": "put_many() stores many that may be there",
    "upsert_many": "put_many() stores many that may be there",
    "where": "find(filter) lists",
    "to_df": "to_arrow().to_pandas() makes a data frame",
    "to_pandas": "to_arrow().to_pandas() makes a data frame",
    "to_dict": "rows(fields) yields dictionaries",
}
_STORE: Final = {
    "add": "store.documents.add(metadata={}) stores a document",
    "add_many": "store.documents.add_many() stores many",
    "all": "store.documents.iterate() yields all",
    "collection": "store.documents and store.extractions are the collections",
    "commit": "each call commits; store.transaction() makes several one commit",
    "count": "store.documents.count() counts",
    "delete": "store.documents.delete(id) removes a document",
    "find": "store.documents.find() lists",
    "find_one": "store.documents.find_one() returns the first",
    "get": "store.documents.get(id) returns one",
    "insert": "store.documents.add(metadata={}) stores a document",
    "iterate": "store.documents.iterate() yields all",
    "put": "store.documents.put() stores a document that may be there",
    "query": "store.documents.find() lists",
    "search": "store.documents.find(search='words') searches",
    "session": "store.transaction() makes several calls one commit, store.join(session) takes part in yours",
    "table": "store.documents and store.extractions are the collections",
    "update": "store.documents.update(id, …) changes a document",
    "upsert": "store.documents.put() stores a document that may be there",
}


def missing(owner: object, name: str, *, of_store: bool = False) -> AttributeError:
    """Return the error for an attribute that is not there; it names what is, where that is known."""
    hint = (_STORE if of_store else _COLLECTION).get(name)
    text = f"{type(owner).__name__!r} object has no attribute {name!r}"
    return AttributeError(f"{text}: {hint}" if hint else text, name=name, obj=owner)

"""Store and ``open``: a whole store or a scoped view, its transactions and its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Literal, Self
from zoneinfo import ZoneInfo

from docstore.backend import ANYWHERE, Joins, Scope
from docstore.blobs import Blobs
from docstore.concurrency import check_timeout
from docstore.context.store_context import UNSET as _UNSET
from docstore.context.store_context import StoreContext, check_unscoped, narrowed
from docstore.documents import Documents
from docstore.errors import BackendError, missing, shown
from docstore.extractions import Extractions
from docstore.limits import Limits
from docstore.query.cursor import signing_keys
from docstore.registry import open_backend
from docstore.telemetry import SLOW, Watch
from docstore.upkeep import Upkeep

__all__ = ["Store", "check_unscoped", "narrowed", "open", "open_root"]


class Store(Upkeep):
    """An open store, or a view of one that is confined to a tenant, an owner, or both.

    Attributes:
        documents: the documents.
        extractions: what was read out of them.

    A store may be used by several threads at once. Close it, or use it as a context manager; closing a view
    closes nothing.

    Example:
        >>> with docstore.open("memory://") as store:
        ...     document = store.documents.add(filename="a.txt", metadata={"n": 1})
        ...     store.documents.find_one({"metadata.n": 1}) == document
        True
    """

    documents: Documents
    extractions: Extractions

    def __init__(
        self, root: StoreContext, scope: Scope = ANYWHERE, *, confined: bool = False, is_view: bool = False
    ) -> None:
        self._context = root
        self._scope = scope
        self._confined = confined
        self._is_view = is_view
        self.documents = Documents(root, scope, confined=confined)
        self.extractions = Extractions(root, scope, confined=confined)

    # -- scope -------------------------------------------------------------------------------------

    def scoped(self, *, tenant: str = _UNSET, owner: str = _UNSET) -> Store:
        """Return a view that sees and touches only this tenant and/or owner, and stamps them on what it adds.

        Args:
            tenant, owner: non-empty texts; one left out keeps what is set already, at least one must be
                given.

        Raises:
            ScopeError: none was given, one is empty or no text, or another is set already.

        Example:
            >>> mine = store.scoped(tenant="acme", owner="ada")
            >>> mine.documents.add(filename="a.txt").owner
            'ada'
        """
        return Store(self._context, narrowed(self._scope, tenant, owner), confined=True, is_view=True)

    def unscoped(self) -> Store:
        """Return a view of everything, said explicitly; needed where ``scope_required=True``.

        Raises:
            ScopeError: this view is confined to a scope already; scopes only narrow.

        Example:
            >>> store.unscoped().documents.count()
            0
        """
        check_unscoped(self._scope)
        return Store(self._context, confined=True, is_view=True)

    # -- transactions ------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Make several calls one commit: what this thread or task does is kept together or not at all.

        Nothing of it is visible to others before the commit; an exception undoes it, bytes included. Calls
        inside see what came before them. A block within a block takes part in the outer one.

        Example:
            >>> with store.transaction():
            ...     first = store.documents.add(b"one", filename="1.txt")
            ...     second = store.documents.update(other_id, metadata={"first": first.id})

        Raises:
            StoreBusy: others kept the store for too long.
        """
        self._context.check_open()
        with self._context.transaction():
            yield self

    @contextmanager
    def join(self, connection: Any) -> Iterator[Self]:
        """Take part in the application's own transaction on the same database, for a block.

        Calls in the block run on ``connection``. The application commits them or rolls them back, with its
        own work there.

        Args:
            connection: an SQLAlchemy ``Connection`` or ``Session`` on the database that the store is in.

        Raises:
            TypeError: it is something else, or of another database or driver.
            BackendError: the backend has no such connections; it is in autocommit; a
                :meth:`transaction` of the store's is under way; or, by a call within the block, the
                application has committed or rolled back meanwhile.

        Example:
            >>> def file_order(session, order):
            ...     with store.join(session):
            ...         session.add(order)
            ...         store.documents.add("report.pdf", metadata={"order": order.number})
        """
        self._context.check_open()
        self._context.check_writable("join")
        backend = self._context.backend
        if not isinstance(backend, Joins):
            raise BackendError(
                f"the {backend.name} backend cannot join a connection: use store.transaction()"
            )
        with self._context.joined(backend.join(connection)):
            yield self

    @property
    def position(self) -> str:
        """How far the database's log is that holds all that this store has written, as text.

        Handed to another process or request, as ``at_least=`` of a read, it makes that read see all of it,
        though it be done at a replica. ``0/0`` where there are no replicas: in memory, on SQLite.
        """
        return self._context.position()

    # -- life --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the store; idempotent. Later calls raise StoreClosed. On a view it does nothing.

        Example:
            >>> store.close()
        """
        if not self._is_view:
            self._context.close()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the store."""
        self.close()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say where what is asked for is."""
            raise missing(self, name, of_store=True)

    def __repr__(self) -> str:
        """Show the backend and the scope."""
        scope = "".join(
            f" {name}={value!r}"
            for name, value in (("tenant", self._scope.tenant), ("owner", self._scope.owner))
            if value
        )
        return f"<Store {self._context.backend.name}{scope}{' closed' if self._context.closed else ''}>"


def open(
    url: Any = "sqlite:///docstore.db",
    *,
    blobs: str | os.PathLike[str] | Blobs | None = None,
    scope_required: bool = False,
    default_timezone: tzinfo | str | None = None,
    limits: Limits | Mapping[str, int] | None = None,
    cursor_secret: str | bytes | Sequence[str | bytes] | None = None,
    slow_query: float | None = SLOW,
    query_timeout: float | None = 30.0,
    read_only: bool = False,
    store_id: str | None = None,
    search_marks: bool = False,
    sources: Literal["any", "bytes"] = "any",
    metadata_default: Callable[[Any], Any] | None = None,
    **options: Any,
) -> Store:
    """Open a store, creating or upgrading its schema.

    Args:
        url: ``memory://``, ``sqlite:///path.db``, ``sqlite://`` (in memory), ``postgresql://…``, any scheme
            registered under the entry-point group ``docstore.backends``, an SQLAlchemy ``Engine``, a
            ``Backend`` object, or the folder of a :meth:`Store.backup`, whose bytes are then in it.
        blobs: where bytes go: a path, an fsspec URL, or :class:`Blobs`; ``None`` for documents without bytes.
        scope_required: make the unscoped store's data methods raise ScopeRequired.
        default_timezone: the time zone of naive times and bare dates, a ``tzinfo`` or an IANA name such as
            ``"Europe/Berlin"``; ``None`` refuses them.
        limits: bounds other than the defaults, as :class:`Limits` or a mapping of some of its names.
        cursor_secret: text or bytes that sign cursors; of several the first signs and all verify. ``None``:
            unsigned.
        slow_query: seconds from which a query is logged, one line with its plan's fingerprint, by the logger
            ``docstore.query`` as a warning; 0 logs all, ``None`` none.
        query_timeout: seconds that a read may take, waiting included, unless its ``timeout=`` says otherwise;
            past them it raises QueryTimeout. ``None`` is without limit.
        read_only: open without the right to write: every call that would change the store raises
            ReadOnlyStore, and nothing is created or upgraded. False finds out: a store on a read-only medium,
            in a folder without write permission, on a standby or opened by a role that may only SELECT is
            read-only all the same.
        search_marks: whether a search tells letters with marks from those without (``José`` from ``Jose``).
            Fixed when the store is made; a store that was made with the other value is refused.
        store_id: the id (``store.stats().store_id``) that the database and the root of the bytes must bear
            before bytes are added, collected or repaired, so that a slip in either URL shows; ``None``: the
            root must bear the database's.
        sources: what bytes may come from: ``"any"`` reads paths and URLs that it is given as text, too;
            ``"bytes"`` refuses these, for services that hand on what strangers send.
        metadata_default: as json's ``default=``: called with a value in metadata that is not JSON, returns
            one that is; ``None``: such values are refused.
        options: the backend's own, such as ``table_prefix``.

    Returns:
        The store; close it, or use it as a context manager.

    Raises:
        UnknownBackend, BackendNotInstalled: nothing can open ``url``.
        SchemaTooNew: a newer docstore wrote the store.
        UpgradeNeeded: ``read_only``, and there is no store or an older one.
        BackendError: the database cannot be reached or opened.
        ValueError: an argument is of the wrong form.

    Example:
        >>> with docstore.open("sqlite:///library.db", blobs="./files") as store:
        ...     document = store.documents.add("report.pdf", metadata={"category": "finance"})
    """
    return Store(
        open_root(
            url,
            blobs=blobs,
            scope_required=scope_required,
            default_timezone=default_timezone,
            limits=limits,
            cursor_secret=cursor_secret,
            slow_query=slow_query,
            query_timeout=query_timeout,
            read_only=read_only,
            store_id=store_id,
            search_marks=search_marks,
            sources=sources,
            metadata_default=metadata_default,
            options=options,
        )
    )


def _zone(given: tzinfo | str | None) -> tzinfo | None:
    if given is None or isinstance(given, tzinfo):
        return given
    if isinstance(given, str):
        try:
            return ZoneInfo(given)
        except (ValueError, OSError, LookupError):
            pass
    raise ValueError(
        f"default_timezone={shown(given)}: expected a tzinfo, such as datetime.UTC, or a name such as"
        " 'Europe/Berlin'"
    )


def _of_backup(
    url: Any, blobs: str | os.PathLike[str] | Blobs | None
) -> tuple[Any, str | os.PathLike[str] | Blobs | None]:
    """Return where rows and bytes are of a folder that a backup made; anything else as it is."""
    if not isinstance(url, (str, os.PathLike)) or "://" in (folder := os.fspath(url)):
        return url, blobs
    database, files = os.path.join(folder, "docstore.db"), os.path.join(folder, "files")
    if not isinstance(folder, str) or not os.path.isfile(database):
        return url, blobs
    return f"sqlite:///{os.path.abspath(database)}", blobs or (files if os.path.isdir(files) else None)


def open_root(
    url: Any,
    *,
    blobs: str | os.PathLike[str] | Blobs | None,
    scope_required: bool,
    default_timezone: tzinfo | str | None,
    limits: Limits | Mapping[str, int] | None,
    cursor_secret: str | bytes | Sequence[str | bytes] | None,
    slow_query: float | None,
    query_timeout: float | None,
    read_only: bool,
    sources: str = "any",
    metadata_default: Callable[[Any], Any] | None = None,
    store_id: str | None = None,
    search_marks: bool = False,
    options: Mapping[str, Any],
) -> StoreContext:
    """Check the arguments of :func:`open` and open what all views of the store share."""
    checked = Limits.of(limits)
    secrets = signing_keys(cursor_secret)
    zone = _zone(default_timezone)
    if sources not in ("any", "bytes"):
        raise ValueError(f"sources={shown(sources)}: expected 'any' or 'bytes'")
    if metadata_default is not None and not callable(metadata_default):
        raise ValueError(f"metadata_default={shown(metadata_default)}: expected a function or None")
    if not isinstance(read_only, bool):
        raise ValueError(f"read_only={shown(read_only)}: expected True or False")
    budget = check_timeout(query_timeout, "query_timeout")
    Watch("", None, slow_query)  # a wrong value is told before anything is opened
    if not isinstance(search_marks, bool):
        raise ValueError(f"search_marks={shown(search_marks)}: expected True or False")
    if search_marks:
        options = {**options, "search_marks": True}
    if store_id is not None and (type(store_id) is not str or not store_id):
        raise ValueError(f"store_id={store_id!r}: expected the text that stats().store_id gives, or None")
    url, blobs = _of_backup(url, blobs)
    place = Blobs.of(blobs)
    backend = open_backend(url, read_only=read_only, **options)
    return StoreContext(
        backend,
        place,
        limits=checked,
        default_timezone=zone,
        secrets=secrets,
        scope_required=scope_required,
        slow_query=slow_query,
        query_timeout=budget,
        metadata_default=metadata_default,
        sources=sources,
        read_only=read_only,
        store_id=store_id,
        search_marks=search_marks,
    )

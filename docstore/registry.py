"""Open and upgrade a store by its URL, through the entry-point group ``docstore.backends``.

The first-party backends register as any third party's does. Where no entry point is installed (a checkout on
``sys.path``), the first-party packages are found by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from inspect import Parameter, signature
from math import inf
from typing import Any, TypeGuard

from docstore.backend import Backend, Opener
from docstore.errors import BackendNotInstalled, UnknownBackend, UpgradeNeeded, shown

__all__ = ["UpgradeReport", "open_backend", "schemes", "upgrade"]

GROUP = "docstore.backends"
# Options of one backend that any other may be given as what they are by default.
_NOT_EVERYWHERE = ("pooled", "replica", "partitions", "mmap_size")
# The options of one backend here that SQLAlchemy would refuse in words of its own for another.
_ELSEWHERE = (
    *_NOT_EVERYWHERE, "busy_timeout", "connect_timeout", "idle_timeout", "lock_timeout", "schema",
    "statement_timeout",
)  # fmt: skip
# What SQLAlchemy's pools are given, and the least of each.
_POOL = {"pool_size": 0, "max_overflow": -1}
# The options of `docstore.open` itself.
_OWN = (
    "blobs", "scope_required", "default_timezone", "limits", "cursor_secret", "slow_query", "query_timeout",
    "read_only", "store_id", "search_marks", "sources", "metadata_default",
)  # fmt: skip
_FIRST_PARTY = {
    "memory": "docstore_memory:open_backend",
    "sqlite": "docstore_sqlite:open_backend",
    "postgresql": "docstore_postgres:open_backend",
}


def schemes() -> tuple[str, ...]:
    """Return the URL schemes that can be opened, in order."""
    return tuple(sorted({*_FIRST_PARTY, *_registered()}))


@cache
def _registered() -> Mapping[str, str]:
    """Return what is registered, by scheme. Read once a process: it takes milliseconds."""
    return {point.name: point.value for point in entry_points(group=GROUP)}


def open_backend(url: Any, /, *, read_only: bool = False, **options: Any) -> Backend:
    """Open the backend for a URL or an SQLAlchemy engine; a Backend is returned as it is.

    Args:
        url: as for :func:`docstore.open`.
        read_only: nothing will be written; told to an opener that has such a parameter.
        options: the backend's own; ``upgrade``, and ``pooled``, ``replica`` and ``partitions`` where they
            ask for nothing, are left out where the opener has no such parameter.

    Raises:
        UnknownBackend: no backend is registered for the scheme, or ``url`` is of another type.
        BackendNotInstalled: a package that the backend needs is missing.
    """
    if isinstance(url, str):
        return _opened(_opener(_scheme_of(url)), url, read_only, options)
    if _is_backend(url):
        if options:
            raise TypeError(f"a Backend object takes no options here: {', '.join(sorted(options))}")
        return url
    dialect = getattr(getattr(url, "dialect", None), "name", None)
    if isinstance(dialect, str):
        return _opened(_opener(dialect), url, read_only, options)
    raise UnknownBackend(
        f"cannot open {type(url).__name__}: expected a URL, an SQLAlchemy Engine or a Backend",
        schemes=schemes(),
    )


def _is_backend(given: Any) -> TypeGuard[Backend]:
    """Return whether this is a backend, also one that hands calls on by ``__getattr__``: isinstance() takes
    such a one for a Backend on Python 3.11 alone.
    """
    return all(hasattr(given, name) for name in ("name", "support", "sorts", "read", "write", "close"))


def _opened(opener: Opener, url: Any, read_only: bool, options: dict[str, Any]) -> Backend:
    # A third party's opener need not know the option: the core refuses writes anyway.
    if read_only and "read_only" in signature(opener).parameters:
        options = {**options, "read_only": True}
    known = signature(opener).parameters
    left_out = {name for name in _NOT_EVERYWHERE if not options.get(name)} | {"upgrade"}
    options = {name: value for name, value in options.items() if name in known or name not in left_out}
    _check_options(options, known)
    return opener(url, **options)


def _check_options(options: Mapping[str, Any], known: Mapping[str, Parameter]) -> None:
    """Refuse an option that the backend has not, or that is a slip for one of ``docstore.open``'s own.

    Raises:
        TypeError: there is such an option; it is named.
        ValueError: a time is no number of seconds, or the size of a pool no whole number.
    """
    _check_numbers(options, known)
    takes_any = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in known.values())
    named = [name for name, parameter in known.items() if parameter.kind is Parameter.KEYWORD_ONLY]
    for name in options:
        if name in known:
            continue
        # An opener that takes any option hands it to a driver, which would not know the slip for one.
        elsewhere = name in _ELSEWHERE
        near = [] if elsewhere else get_close_matches(name, [*_OWN, *named], 1, 0.8)
        if near or elsewhere or not takes_any:
            hint = f"did you mean {near[0]!r}?" if near else f"the backend's are {', '.join(named) or 'none'}"
            raise TypeError(f"docstore.open() has no option {name!r}; {hint}")


def _check_numbers(options: Mapping[str, Any], known: Mapping[str, Parameter]) -> None:
    for name, value in options.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        is_seconds = name.endswith("_timeout") and name in known and isinstance(known[name].default, float)
        if is_seconds and not (is_number and 0 <= value < inf):
            raise ValueError(f"{name}={shown(value)}: expected seconds, 0 or more")
        if name in _POOL and not (is_number and isinstance(value, int) and value >= _POOL[name]):
            raise ValueError(f"{name}={shown(value)}: expected a whole number, {_POOL[name]} or more")


def _scheme_of(url: str) -> str:
    scheme, colon, _ = url.partition(":")
    if not colon:
        raise UnknownBackend(
            f"no scheme in {shown(url)}: expected a URL such as sqlite:///{url[:40] or 'docstore.db'}",
            schemes=schemes(),
        )
    base = scheme.split("+")[0].lower()
    rest = url[len(scheme) + 1 :]
    if base == "sqlite" and rest != "//" and not rest.startswith(("///", "//?")):
        file = rest.lstrip("/")
        raise ValueError(
            f"{shown(url)}: three slashes stand before a file; expected sqlite:///{file[:60]} (relative), "
            "sqlite:////… (absolute) or sqlite:// (in memory)"
        )
    return "postgresql" if base == "postgres" else base


def _opener(scheme: str) -> Opener:
    target = _FIRST_PARTY.get(scheme) or _registered().get(scheme)  # to look for others takes long
    if target is not None:
        return _loaded(scheme, target)
    raise UnknownBackend(
        f"no backend for {shown(scheme)}: those installed are {', '.join(schemes())}", schemes=schemes()
    )


def _loaded(scheme: str, target: str) -> Opener:
    module, _, name = target.partition(":")
    try:
        opener: Opener = getattr(import_module(module), name)
    except ImportError as error:
        raise BackendNotInstalled(
            f"the backend for {shown(scheme)} needs {error.name}: run  "
            f'pip install "embedded-docstore[{_extra(scheme)}]"'
        ) from error
    return opener


def _extra(scheme: str) -> str:
    return "postgres" if scheme == "postgresql" else "all"


@dataclass(frozen=True, slots=True)
class UpgradeReport:
    """The result of an upgrade.

    Attributes:
        found: the format that the store had; 0: there was none.
        format: the format of this docstore; ``None`` if nothing was to be done.
        steps: what was to be done, in order; each is a transaction of its own.
        dry_run: nothing was changed.
    """

    found: int | None = None
    format: int | None = None
    steps: tuple[str, ...] = ()
    dry_run: bool = False


def upgrade(url: Any, *, dry_run: bool = False, **options: Any) -> UpgradeReport:
    """Create a store or bring it up to the format of this docstore, as :func:`docstore.open` does by default.

    For services that open their store with ``upgrade=False``, so that only a deployment changes tables.
    Each step
    is one transaction, and only one process at a time runs any: killed on the way, the same call goes on.

    Args:
        url: as for :func:`docstore.open`.
        dry_run: only say what would be done.
        options: the backend's own, such as ``table_prefix``.

    Returns:
        The steps done, or with ``dry_run`` those to do.

    Raises:
        SchemaTooNew: a newer docstore wrote the store.
        BackendError: the database cannot be reached, or a step failed; the steps before it stay.

    Example:
        >>> docstore.upgrade("postgresql:///library", dry_run=True).steps
        ()
    """
    try:
        open_backend(url, **{**options, "upgrade": False}).close()
    except UpgradeNeeded as needed:
        if not dry_run:
            open_backend(url, **{**options, "upgrade": True}).close()
        return UpgradeReport(needed.found, needed.supported, needed.steps, dry_run)
    return UpgradeReport(dry_run=dry_run)

"""upgrade: bring a store up to the format of this docstore, or say what that would do, without opening it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from docstore.errors import UpgradeNeeded
from docstore.registry import open_backend

__all__ = ["UpgradeReport", "upgrade"]


@dataclass(frozen=True, slots=True)
class UpgradeReport:
    """What an upgrade did, or would do.

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
        What was done, or would be.

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

"""Reports of maintenance: frozen records, each of which becomes JSON by :func:`dataclasses.asdict`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

__all__ = [
    "Action",
    "AdoptReport",
    "BackupReport",
    "CheckReport",
    "CollectReport",
    "EraseReport",
    "Finding",
    "FindingKind",
    "OnProgress",
    "Progress",
    "RepairReport",
    "Stats",
    "Total",
    "tell",
]

FindingKind: TypeAlias = Literal[
    "missing", "truncated", "corrupt", "extra", "stale_pending", "stale_dead", "foreign", "unowned", "index",
    "unreadable",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long call is.

    Attributes:
        stage: what it is doing, such as ``documents`` or ``bytes``.
        done: how many of them it has done.
        position: the last key or name of this stage, from which an interrupted collection can go on;
            ``""`` where the stage has no order by key.
    """

    stage: str
    done: int
    position: str = ""


OnProgress: TypeAlias = Callable[[Progress], None]


def tell(on_progress: OnProgress | None, stage: str, done: int, position: str = "") -> None:
    """Call ``on_progress`` if there is one."""
    if on_progress is not None:
        on_progress(Progress(stage, done, position))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: ``missing`` (a document without its bytes), ``truncated`` (the object is shorter than recorded),
            ``corrupt`` (it is longer, or has another sha256), ``extra`` (an object, a temporary file or a
            live row that no document needs), ``stale_pending`` (an intent older than the grace period),
            ``stale_dead`` (bytes that should have been removed by now), ``foreign`` (a file that is not
            ours), ``unowned`` (the root of the bytes is not this store's, or nobody knows whose; what stands
            there without a row is then not looked for), ``index`` (what the backend derived does not fit the
            documents), ``unreadable`` (a row is not as docstore writes rows: somebody changed it by hand).
        key: the storage key, or the path below the root of what is no object; ``""`` for an index.
        document_id: the document concerned, ``None`` if there is none.
        detail: what was seen, for people.
    """

    kind: FindingKind
    key: str
    document_id: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check.

    Attributes:
        level: ``size`` or ``hash``.
        findings: what is wrong, empty if nothing is.
        documents: document rows that were looked at.
        blobs: live blob rows that were looked at.
        objects: objects that stand in the storage, and belong to it by their names.
        bytes: bytes that were read (level ``hash``).
        grace: seconds that the check was told: repair leaves what has no row and is younger.
        notes: what the findings do not say one by one, for people.
    """

    level: str
    findings: tuple[Finding, ...] = ()
    documents: int = 0
    blobs: int = 0
    objects: int = 0
    bytes: int = 0
    grace: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class Action:
    """The action of repair for one finding.

    Attributes:
        finding: what was found.
        verb: ``restore`` (the row is made to say what is there), ``copy`` (the bytes are copied from another
            document that has them), ``quarantine`` (the object is moved below ``quarantine/``), ``bury`` (the
            row is marked dead; collection removes the bytes), ``sweep`` (dead bytes are removed), ``rebuild``
            (indexes are made anew), ``keep`` (nothing can or need be done).
        done: whether it was done; false in a dry run.
        detail: why, for people.
    """

    finding: Finding
    verb: Literal["restore", "copy", "quarantine", "bury", "sweep", "rebuild", "keep"]
    done: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The result of a repair.

    Attributes:
        dry_run: nothing was changed.
        actions: one for each finding that is still there; findings that went away by themselves have none.
        removals: how many of them take something away (``quarantine`` and ``bury``).
    """

    dry_run: bool
    actions: tuple[Action, ...] = ()
    removals: int = 0


@dataclass(frozen=True, slots=True)
class CollectReport:
    """The result of a collection.

    Attributes:
        documents: documents past their ``expires_at``, deleted.
        expired: intents older than the grace period, now dead.
        swept: dead objects whose bytes were removed.
        dropped: swept rows removed after a second grace period.
        orphans: objects and temporary files without a row that were moved below ``quarantine/``.
        failed: names whose bytes could not be removed or moved this time; the next collection tries again.
        uploads: keys without a row whose open multipart uploads were aborted (S3).
        emptied: what was put below ``quarantine/`` more than a grace period ago, and is now removed.
        young: objects and temporary files without a row that were left for being younger than the grace
            period.
        refused: why nothing was moved below ``quarantine/``, such as that more than a tenth of the objects
            have no row; ``""``: nothing was refused.
        elsewhere: rows that were left for their bytes being at another root than the store was opened with,
            by where that is.
    """

    expired: int = 0
    swept: int = 0
    dropped: int = 0
    orphans: int = 0
    failed: tuple[str, ...] = ()
    uploads: int = 0
    emptied: int = 0
    young: int = 0
    refused: str = ""
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    documents: int = 0


@dataclass(frozen=True, slots=True)
class EraseReport:
    """The result of an erasure.

    Attributes:
        documents: document rows removed, all versions.
        blobs: objects whose bytes were removed.
        failed: keys whose bytes could not be removed this time; collection tries again until they are.
        unreached: roots of bytes, other than the one that the store was opened with, where bytes of the scope
            are still: the same call through a store that is opened with each of them goes on.
    """

    documents: int = 0
    blobs: int = 0
    failed: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """The result of adopting a root of bytes.

    Attributes:
        location: where it is, without credentials.
        store_id: the store's own id, which the root now bears.
        before: the id that it bore before; ``None`` if it bore none, ``""`` if its mark was damaged.
    """

    location: str
    store_id: str
    before: str | None = None


@dataclass(frozen=True, slots=True)
class BackupReport:
    """The result of a backup: its content, and the part copied by this run.

    Attributes:
        folder: where it is: ``docstore.open(folder)`` opens it.
        documents: document rows, all versions.
        extractions: extraction rows.
        objects: objects that documents need.
        copied: those of them that were brought now; the others an earlier backup brought.
        bytes: that were brought now.
    """

    folder: str
    documents: int = 0
    extractions: int = 0
    objects: int = 0
    copied: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Total:
    """How many, and how large together (bytes)."""

    count: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class HeldDocument:
    """A document that a worker holds by a claim.

    Attributes:
        document_id, filename: which.
        worker: who, ``None`` if the claim did not say.
        expires_at: when the lease ends; past that anybody may claim the document again.
        attempts: how often it was claimed or started.
    """

    document_id: str
    filename: str
    worker: str | None
    expires_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Stats:
    """The counts and sizes of a store.

    Attributes:
        backend: the backend's name.
        documents: document rows, all versions.
        latest: those of them that are the latest version.
        extractions: extraction rows.
        statuses: documents by status, all versions.
        blobs: blob rows by state, those that are there.
        location: where the bytes are, without credentials; ``None`` without blobs.
        store_id: the store's own id, for ``docstore.open(store_id=)``; ``None`` where the backend keeps none.
        held: documents that a worker holds by a claim, those whose lease ends first; a hundred at most.
        sizes: bytes by table and index, the database as a whole first; empty unless it was asked for, and
            in a scoped view.
    """

    backend: str
    documents: int
    latest: int
    extractions: int
    statuses: Mapping[str, int] = field(default_factory=dict)
    blobs: Mapping[str, Total] = field(default_factory=dict)
    location: str | None = None
    store_id: str | None = None
    held: tuple[HeldDocument, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)

"""Reports of transfers: frozen records, each of which becomes JSON by :func:`dataclasses.asdict`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from docstore.transfer.rows import Fingerprint

__all__ = ["CopyReport", "Diff", "Difference", "Failure", "Transferred"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be transferred, and why.

    Attributes:
        tenant, id: which.
        reason: of the source: its bytes are missing or damaged.
    """

    tenant: str | None
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Transferred:
    """Counts of the records that reached the target.

    Attributes:
        added: documents that are new there.
        existing: documents that were there already, just so.
        replaced: documents that were there otherwise, and were overwritten (or got the bytes they lacked).
        extractions: extractions that were added or replaced.
        skipped: extractions whose document is not in the target.
        bytes: that were written.
        failures: documents that were left out, the first thousand of them.
    """

    added: int = 0
    existing: int = 0
    replaced: int = 0
    extractions: int = 0
    skipped: int = 0
    bytes: int = 0
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyReport:
    """The result of a copy.

    Attributes:
        transferred: what came to the target.
        source: the fingerprint of what was to be copied; ``None`` without verification.
        target: the fingerprint of the records of the same ids in the target; equal if the copy is complete.
    """

    transferred: Transferred
    source: Fingerprint | None = None
    target: Fingerprint | None = None

    @property
    def ok(self) -> bool:
        """Whether everything arrived, as far as was looked at."""
        return not self.transferred.failures and self.source == self.target


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that is not the same in two stores.

    Attributes:
        kind: ``only_in_a``, ``only_in_b``, ``different``, or ``unreadable`` (its bytes are missing or damaged
            in one of them).
        collection: ``documents`` or ``extractions``.
        tenant, id: which.
        fields: those that differ; ``bytes`` stands for having them stored.
        detail: for people, where the fields do not say it.
        name: the document's ``external_id``, else its filename; ``""`` of extractions.
    """

    kind: Literal["only_in_a", "only_in_b", "different", "unreadable"]
    collection: str
    tenant: str | None
    id: str
    fields: tuple[str, ...] = ()
    detail: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Diff:
    """How two stores differ.

    Attributes:
        a, b: their fingerprints.
        count: how many differences there are.
        differences: the first of them.
    """

    a: Fingerprint
    b: Fingerprint
    count: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def same(self) -> bool:
        """Whether they hold the same."""
        return self.count == 0 and self.a == self.b

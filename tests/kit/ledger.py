"""What processes that may be killed at any instant said they were about to do, did, or could not do.

A worker tells a line before each change and one after it. A change without its second line may have been done
or not, but not by half: its documents are looked at together in the end, and nobody touches them until then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import docstore
from docstore.errors import BlobError, NotFound

__all__ = ["Ledger", "Tally", "Telling"]


@dataclass(slots=True)
class Tally:
    """What came out of a run; the first five have to be 0, ``problems`` empty.

    Attributes:
        lost: documents that are not in the state that was acknowledged last.
        mixed: unacknowledged changes that were done by half.
        dangling: documents whose bytes are missing, and wrong states of their rows.
        corrupt: objects that are not what was stored.
        untracked: objects, temporary files and rows that nothing needs, after collection.
        problems: what else should not have happened, in words.
        kills: processes killed.
        acknowledged: changes that were acknowledged.
        unknown: changes of which nobody knew whether they were done.
        refused: changes that failed by a named error with nothing done.
        collections, checks: how often the collector and the checker came round beside.
        documents: documents there were in the end.
    """

    lost: int = 0
    mixed: int = 0
    dangling: int = 0
    corrupt: int = 0
    untracked: int = 0
    problems: list[str] = field(default_factory=list)
    kills: int = 0
    acknowledged: int = 0
    unknown: int = 0
    refused: int = 0
    collections: int = 0
    checks: int = 0
    documents: int = 0

    @property
    def faults(self) -> tuple[int, int, int, int, int, list[str]]:
        """Return lost, mixed, dangling, corrupt, untracked and the problems: all 0, and none."""
        return self.lost, self.mixed, self.dangling, self.corrupt, self.untracked, self.problems


class Telling:
    """The worker's side of a ledger."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def about_to(self, changes: Mapping[str, str | None]) -> None:
        """Say the sha256 that each document is about to have, ``None`` for one that is about to go."""
        self._tell(json.dumps(["try", changes]))

    def done(self) -> None:
        """Say that it was acknowledged."""
        self._tell(json.dumps(["done"]))

    def refused(self) -> None:
        """Say that nothing of it was done."""
        self._tell(json.dumps(["refused"]))

    def unknown(self) -> None:
        """Say that nobody knows."""
        self._tell(json.dumps(["unknown"]))

    def problem(self, text: str) -> None:
        """Say that something happened that must not."""
        self._tell(json.dumps(["problem", text]))


class Ledger:
    """The states of documents as workers told them.

    Attributes:
        states: document id → sha256 of documents whose state is known, ``None`` for those that are gone.
        open: changes that may have been done or not: id → (before, after).
        tally: what was counted so far.
    """

    def __init__(self) -> None:
        self.states: dict[str, str | None] = {}
        self.open: list[dict[str, tuple[str | None, str | None]]] = []
        self.tally: Tally = Tally()

    def read(self, lines: list[str]) -> set[str]:
        """Take in all that one worker told; return the ids whose state became unknown."""
        pending: dict[str, str | None] = {}
        touched: set[str] = set()
        for word, *rest in map(json.loads, lines):
            match word:
                case "try":
                    pending = rest[0]
                case "done":
                    self.states.update(pending)
                    self.tally.acknowledged += 1
                    pending = {}
                case "refused":
                    self.tally.refused += 1
                    pending = {}
                case "unknown":
                    touched |= self._leave_open(pending)
                    pending = {}
                case _:
                    self.tally.problems.append(rest[0])
        return touched | self._leave_open(pending)

    def _leave_open(self, pending: Mapping[str, str | None]) -> set[str]:
        if pending:
            self.tally.unknown += 1
            self.open.append({id: (self.states.pop(id, None), after) for id, after in pending.items()})
        return set(pending)

    def compare(self, store: docstore.Store) -> None:
        """Compare every document with what was told of it, reading all bytes."""
        found = {one.id for one in store.documents.iterate(latest_only=False)}
        told = {*self.states, *(id for change in self.open for id in change)}
        self.tally.problems += [f"a document nobody added: {id}" for id in sorted(found - told)]
        self.tally.documents = len(found)
        for id, expected in self.states.items():
            if (actual := self._digest(store, id)) != expected:
                self.tally.lost += 1
                self.tally.problems.append(f"{id}: {expected} was acknowledged, found {actual}")
        for change in self.open:
            actual_states = {id: self._digest(store, id) for id in change}
            if not any(actual_states == {id: pair[at] for id, pair in change.items()} for at in (0, 1)):
                self.tally.mixed += 1
                self.tally.problems.append(f"neither before nor after: {change}, found {actual_states}")

    def _digest(self, store: docstore.Store, id: str) -> str | None:
        try:
            body = store.documents.read_bytes(id)
        except NotFound:
            return None
        except BlobError as error:
            return str(error)
        return hashlib.sha256(body).hexdigest()

    def look_after(self, store: docstore.Store) -> None:
        """Collect at grace 0, twice, then check every byte.

        The first time what no row knows is put aside, even where it is more than a tenth: a collector at
        grace 0 beside slow writers takes many intents from under them. The second time it goes.
        """
        for _ in range(2):
            failed = store.collect(0, force=True).failed
            self.tally.problems += [f"cannot be removed: {key}" for key in failed]
        for finding in store.check("hash", grace=0).findings:
            match finding.kind:
                case "missing":
                    self.tally.dangling += 1
                case "corrupt" | "truncated":
                    self.tally.corrupt += 1
                case _:
                    self.tally.untracked += 1
            self.tally.problems.append(f"{finding.kind} {finding.key} {finding.detail}")

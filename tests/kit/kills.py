"""Kill loops: writers killed at random instants, a collector at grace 0 and a checker beside, nothing lost.

:func:`kill_loop` works on any backend and storage; what it counts is a
:class:`~tests.kit.ledger.Tally`.
Every process is a fork of this one, so open no store in it before.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import docstore
from docstore.errors import BackendError, BlobError, DocstoreError, StoreBusy
from tests.kit.crashes import Child
from tests.kit.ledger import Ledger, Tally, Telling

__all__ = ["kill_loop"]

_HANDED = 12
"""Documents of others that a worker is given to change."""
_STALLED = 120.0
"""Seconds after which a writer that tells nothing stopped for good."""
_KEPT = 120
"""About so many documents are kept alive."""


def kill_loop(
    open_store: Callable[[], docstore.Store],
    kills: int,
    *,
    seed: int = 0,
    writers: int = 2,
    most: int = 5,
    largest: int = 40_000,
    collects: bool = True,
    disturb: Callable[[int], None] | None = None,
    settle: float = 0.0,
    seconds: float | None = None,
) -> Tally:
    """Kill writers again and again, then look whether all that they acknowledged is there, and nothing else.

    Args:
        open_store: opens the store; called in each process.
        kills: how many writers are killed.
        seed: of the instants, the operations and the bytes.
        writers: how many write at a time.
        most: lines that a writer tells before it is killed, at most; it then goes on for a random part of the
            time that a line takes, so that the load of the machine does not matter.
        largest: bytes that a document has at most.
        collects: whether a collector at grace 0 (killed and begun again, too) and a checker run beside.
        disturb: called after each kill with the number of kills so far, such as to restart a server.
        settle: seconds to wait before the last collection, for requests that are still under way.
        seconds: stop killing after so long; ``None`` goes on to the end.

    Returns:
        What was found; ``.faults`` are to be 0 and empty.
    """
    chance = random.Random(seed)
    with open_store() as store:  # creates the schema, and warms what the forks inherit
        store.check()
    ledger, free = Ledger(), list[str]()
    beside = _Beside(open_store, chance, ledger.tally) if collects else None
    running = [_Writing(open_store, chance, free, largest) for _ in range(writers)]
    begun = time.monotonic()
    with _stopped_at_last(running, beside):
        for number in range(kills):
            if seconds is not None and time.monotonic() - begun > seconds:
                break
            writing = running[0]
            writing.wait(chance.randint(0, most), chance)
            writing.end(ledger, free)
            ledger.tally.kills += 1
            if beside is not None:
                beside.kill_sometimes()
            if disturb is not None:
                disturb(number + 1)
            running.append(_Writing(open_store, chance, free, largest))
            del running[0]
        for one in running:
            one.end(ledger, free)
        if beside is not None:
            beside.end()
    time.sleep(settle)
    with open_store() as store:
        ledger.look_after(store)
        ledger.compare(store)
    return ledger.tally


@contextmanager
def _stopped_at_last(running: list[_Writing], beside: _Beside | None) -> Iterator[None]:
    """Leave no process behind, whatever is raised."""
    try:
        yield
    finally:
        for child in [*(one.child for one in running), *(beside.children if beside else ())]:
            child.stop()


class _Writing:
    """A writer and the documents that were handed to it."""

    def __init__(
        self, open_store: Callable[[], docstore.Store], chance: random.Random, free: list[str], largest: int
    ) -> None:
        chance.shuffle(free)
        self._mine, free[:] = free[:_HANDED], free[_HANDED:]
        self._lines: list[str] = []
        full = len(free) > _KEPT
        seed, mine = chance.getrandbits(64), list(self._mine)
        self.child = Child(lambda tell: _Writer(open_store, seed, mine, largest, full).run(Telling(tell)))

    def wait(self, lines: int, chance: random.Random) -> None:
        """Wait until it told so many lines, and then for a random part of what one takes, to be in the
        midst.
        """
        begun = time.monotonic()
        for _ in range(lines):
            line = self.child.told(_STALLED)
            if line is None:
                raise AssertionError("a writer ended by itself; its traceback is on standard error")
            self._lines.append(line)
        pace = (time.monotonic() - begun) / lines if lines else 0.01
        time.sleep(chance.uniform(0, min(1.5 * pace, 0.5)))

    def end(self, ledger: Ledger, free: list[str]) -> None:
        """Kill it, and take what it told into the ledger."""
        before = set(ledger.states)
        unknown = ledger.read(self._lines + self.child.close())
        known = {*self._mine, *(set(ledger.states) - before)} - unknown
        free.extend(sorted(id for id in known if ledger.states.get(id) is not None))


class _Writer:
    """What a writer does until it is killed."""

    def __init__(
        self, open_store: Callable[[], docstore.Store], seed: int, mine: list[str], largest: int, full: bool
    ) -> None:
        self._open = open_store
        self._chance = random.Random(seed)
        self._mine = mine
        self._largest = largest
        self._weights = (2, 3, 4, 1) if full else (4, 3, 1, 2)

    def run(self, telling: Telling) -> None:
        store = _opened(self._open)
        while True:
            for change in self._chance.choices(
                (self._add, self._replace, self._delete, self._together), weights=self._weights
            ):
                self._guarded(telling, lambda change=change: change(store, telling))  # type: ignore[misc]

    def _guarded(self, telling: Telling, change: Callable[[], None]) -> None:
        try:
            change()
            telling.done()
        except StoreBusy:
            telling.refused()
            time.sleep(0.002)
        except (BackendError, BlobError):
            telling.unknown()
            self._mine.clear()
            time.sleep(0.02)
        except DocstoreError:
            telling.problem(traceback.format_exc())
            telling.unknown()
            self._mine.clear()

    def _body(self) -> tuple[bytes, str]:
        body = self._chance.randbytes(self._chance.randrange(self._largest))
        return body, hashlib.sha256(body).hexdigest()

    def _fresh(self) -> str:
        return str(UUID(int=self._chance.getrandbits(128)))

    def _taken(self) -> str | None:
        return self._mine.pop(self._chance.randrange(len(self._mine))) if self._mine else None

    def _add(self, store: docstore.Store, telling: Telling) -> None:
        id, (body, digest) = self._fresh(), self._body()
        telling.about_to({id: digest})
        store.documents.add(body, id=id, filename="added")
        self._mine.append(id)

    def _replace(self, store: docstore.Store, telling: Telling) -> None:
        if (id := self._taken()) is None:
            return self._add(store, telling)
        body, digest = self._body()
        telling.about_to({id: digest})
        store.documents.update(id, source=body)
        self._mine.append(id)
        return None

    def _delete(self, store: docstore.Store, telling: Telling) -> None:
        if (id := self._taken()) is None:
            return self._add(store, telling)
        telling.about_to({id: None})
        store.documents.delete(id)
        return None

    def _together(self, store: docstore.Store, telling: Telling) -> None:
        """Add, replace and delete in one transaction."""
        (first, digest), (second, other) = self._body(), self._body()
        added, replaced, gone = self._fresh(), self._taken(), self._taken()
        changes: dict[str, str | None] = {added: digest}
        changes.update({replaced: other} if replaced else {})
        changes.update({gone: None} if gone else {})
        telling.about_to(changes)
        with store.transaction():
            store.documents.add(first, id=added, filename="together")
            if replaced is not None:
                store.documents.update(replaced, source=second)
            if gone is not None:
                store.documents.delete(gone)
        self._mine += [added, *([replaced] if replaced else [])]


class _Beside:
    """The collector at grace 0 and the checker that run beside the writers."""

    def __init__(self, open_store: Callable[[], docstore.Store], chance: random.Random, tally: Tally) -> None:
        self._open = open_store
        self._chance = chance
        self._tally = tally
        self._collector = Child(lambda tell: _collect(open_store, tell))
        self._checker = Child(lambda tell: _check(open_store, tell))

    def kill_sometimes(self) -> None:
        """Kill the collector one time in eight, and begin another."""
        if self._chance.random() < 0.125:
            self._read(self._collector)
            self._collector = Child(lambda tell: _collect(self._open, tell))

    @property
    def children(self) -> tuple[Child, Child]:
        """The two processes."""
        return self._collector, self._checker

    def end(self) -> None:
        self._read(self._collector)
        self._read(self._checker)

    def _read(self, child: Child) -> None:
        for word, *rest in map(json.loads, child.close()):
            self._tally.collections += word == "collected"
            self._tally.checks += word == "checked"
            self._tally.problems += rest


def _collect(open_store: Callable[[], docstore.Store], tell: Callable[[str], None]) -> None:
    store = _opened(open_store)
    while True:
        try:
            store.collect(0)
            tell(json.dumps(["collected"]))
        except (BackendError, BlobError):
            pass  # a server that restarts, a storage that fails: the next one goes on
        except Exception:
            tell(json.dumps(["problem", traceback.format_exc()]))
        time.sleep(0.025)


def _check(open_store: Callable[[], docstore.Store], tell: Callable[[str], None]) -> None:
    """Check every byte; at grace 0 the collector may take an intent from under its writer, whose bytes are
    then extra.
    """
    store = _opened(open_store)
    while True:
        try:
            findings = [one for one in store.check("hash").findings if one.kind != "extra"]
            tell(json.dumps(["checked", *(f"beside: {one}" for one in findings)]))
        except (BackendError, BlobError):
            pass
        except Exception:
            tell(json.dumps(["problem", traceback.format_exc()]))
        time.sleep(0.05)


def _opened(open_store: Callable[[], docstore.Store]) -> docstore.Store:
    while True:
        try:
            return open_store()
        except (BackendError, BlobError):
            time.sleep(0.02)

"""Acting on absence: what no row knows is put aside, where the rows prove to be the whole truth.

An object without a row may be the rest of a killed writer, or a document of another database: of last night's
backup, of a store whose URL was mistyped, of a role that sees its own rows alone. So it is not removed for
being unknown. It has to be older than the grace period, to be one of few, and goes to ``quarantine/``, which
is emptied after another grace period, and from where repair brings it back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from docstore.backend import Backend, KeepsSettings, Reader, Writer
from docstore.blobs import Blobs, Found, key_of_temporary
from docstore.blobs.objects import QUARANTINE, Upload, at_once, classify
from docstore.context.ownership import Ownership, hidden_from
from docstore.crash_points import reached
from docstore.errors import BlobError, BlobMissing, shown
from docstore.maintenance.reports import OnProgress, tell
from docstore.maintenance.retry import committed, documents_of

__all__ = [
    "Absent",
    "GraceClock",
    "allowed",
    "key_of",
    "listed",
    "remove_unknown",
    "unproven",
]

# Objects that are compared with their rows at a time.
_LISTED = 1000
# Objects moved between two looks whether a row for them has come.
_MOVED = 200
# A tenth: if more than that has no row, the wrong database or an old backup is likelier than garbage.
_PART_THAT_MAY_GO = 10
_log = logging.getLogger("docstore.upkeep")


@dataclass(frozen=True, slots=True)
class GraceClock:
    """The age below which an object is left alone.

    Attributes:
        grace: seconds; 0: nothing is.
        now: seconds since the epoch, by the slower of the database's clock and this machine's.
    """

    grace: float
    now: float

    @classmethod
    def of(cls, backend: Backend, grace: float) -> GraceClock:
        """Return the clock of now."""
        with backend.write() as writer:
            return cls(grace, min(writer.now() / 1_000_000, time.time()))

    def spares(self, modified: float | None) -> bool:
        """Return whether what was written then, or nobody knows when, is too young."""
        return self.grace > 0 and (modified is None or modified > self.now - self.grace)


@dataclass(slots=True)
class Absent:
    """The objects without a row, and what was done with them.

    Attributes:
        moved: objects and temporary files put aside.
        emptied: what was put aside before, and is now gone.
        uploads: keys whose open multipart uploads were aborted.
        young: what was left for being younger than the grace period.
        refusal: why nothing was put aside; ``""``: it was, if there was anything.
        failed: names that could not be moved or removed this time.
    """

    moved: int = 0
    emptied: int = 0
    uploads: int = 0
    young: int = 0
    refusal: str = ""
    failed: list[str] = field(default_factory=list)


def allowed(listed: int) -> int:
    """Return how many of so many objects may be taken away without being told to: a tenth, and one always."""
    return max(1, listed // _PART_THAT_MAY_GO)


def unproven(reader: Reader, ownership: Ownership) -> str:
    """Return why a row that is not seen by ``reader`` may be there all the same; ``""``: it is not there.

    Args:
        reader: of the block in which rows are looked for.
        ownership: of the root, by what was read before.
    """
    if ownership.own is None:
        return "this backend keeps no store's id, so that nobody knows whose the objects are"
    if isinstance(reader, KeepsSettings) and reader.setting("store_id") != ownership.own:
        return "the database was replaced by another store's meanwhile"
    hidden = hidden_from(reader)
    return f"{hidden}, so that rows may be there that it does not show" if hidden else ""


def key_of(found: Found) -> str | None:
    """Return the key that a found thing belongs to, ``None`` for what is not ours to touch."""
    if found.kind == "object":
        return found.name
    if found.kind == "temporary":
        return key_of_temporary(found.name)
    if found.kind == "quarantined":
        name = found.name.removeprefix(QUARANTINE)
        return name if classify(name) == "object" else key_of_temporary(name)
    return None


def listed(
    blobs: Blobs, prefix: str = "", after: str = "", listing: Iterable[tuple[str, int]] | None = None
) -> Iterator[Found]:
    """Walk the storage, or what an inventory says of it; what was put aside of a prefix, too.

    Args:
        blobs: the storage.
        prefix: of keys.
        after: only names greater than it.
        listing: pairs of name and size, instead of the storage's own listing.

    Raises:
        ValueError: an item of ``listing`` is no such pair.
    """
    if listing is None:
        aside = blobs.list(QUARANTINE + prefix, after=after) if prefix else ()
        yield from chain(blobs.list(prefix, after=after), aside)
        return
    for item in listing:
        match item:
            case [str() as path, int() as size]:
                pass
            case _:
                raise ValueError(f"{shown(item)} in listing=: expected an object's name and its size")
        name = blobs.name_of(path)
        if name > after and name.removeprefix(QUARANTINE).startswith(prefix):
            yield Found(name, size, classify(name))


def remove_unknown(
    backend: Backend,
    blobs: Blobs,
    ownership: Ownership,
    found: Iterator[Found],
    uploads: Callable[[], Mapping[str, Sequence[Upload]]],
    clock: GraceClock,
    *,
    force: bool = False,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> Absent:
    """Put aside what stands in the storage and has no row, and remove what was put aside long ago.

    Bytes are listed first, then rows are read. An intent is committed before its bytes are written, and no
    key is used twice: what was listed and has no row will never have one. The rows are read in a write
    block, so that on an engine with a single writer a transaction that holds both an intent and its bytes has
    ended.

    Args:
        backend: where rows are.
        blobs: where bytes are.
        ownership: of their root; it is this store's.
        found: what stands there.
        uploads: returns the open multipart uploads of keys that this may touch.
        clock: what is too young.
        force: take away more than a tenth of the objects, too.
        workers: how many requests are under way at once.
        on_progress: called with the stages ``listed``, ``quarantined`` and ``uploads``.

    Returns:
        The objects listed, moved and removed.
    """
    told = Absent()
    objects, unknown, aside = _unknown(backend, blobs, ownership, found, clock, told, on_progress)
    if told.refusal:
        _tell_refusal(told.refusal)
        return told
    many = sum(one.kind == "object" for one in unknown)
    if many > allowed(objects) and not force:
        told.refusal = (
            f"{many} of {objects} objects have no row, more than a tenth. Is this the right database, and not"
            " an older backup of it? They stay where they are; force=True puts them aside"
        )
        _tell_refusal(told.refusal)
    else:
        told.moved = _each(
            backend, ownership, unknown, blobs.quarantine, workers, told, on_progress, "quarantined"
        )
    told.emptied = _each(
        backend, ownership, aside, lambda name: blobs.delete(name), workers, told, on_progress, "emptied"
    )
    _abort_uploads(backend, blobs, ownership, uploads(), clock, told, on_progress)
    return told


def _tell_refusal(reason: str) -> None:
    _log.warning(
        "nothing without a row was put aside: %s",
        reason,
        extra={"docstore_event": "nothing_put_aside", "docstore_reason": reason},
    )


def _unknown(
    backend: Backend, blobs: Blobs, ownership: Ownership, found: Iterator[Found], clock: GraceClock,
    told: Absent, on_progress: OnProgress | None,
) -> tuple[int, list[Found], list[Found]]:  # fmt: skip
    """Return how many objects were listed, the unknown among them, and those put aside before."""
    objects = seen = 0
    unknown, aside = list[Found](), list[Found]()
    while batch := list(islice(found, _LISTED)):
        reached("C7")
        seen += len(batch)
        objects += sum(one.kind == "object" for one in batch)
        owned = {one.name: key for one in batch if (key := key_of(one)) is not None}
        ownerless, told.refusal = _without_row(backend, ownership, set(owned.values()))
        if told.refusal:
            break
        for one in batch:
            if owned.get(one.name) not in ownerless:
                continue
            if clock.spares(one.modified) and _spared(blobs, one, clock):
                told.young += one.kind != "quarantined"
            else:
                (aside if one.kind == "quarantined" else unknown).append(one)
        tell(on_progress, "listed", seen, batch[-1].name)
    return objects, unknown, aside


def _spared(blobs: Blobs, one: Found, clock: GraceClock) -> bool:
    """Return whether a thing is too young; of one that an inventory told of, its time is looked up."""
    if one.modified is not None:
        return True
    stands = blobs.stat(one.name)
    return stands is None or clock.spares(stands.modified)


def _each(
    backend: Backend, ownership: Ownership, things: Sequence[Found], act: Callable[[str], object],
    workers: int, told: Absent, on_progress: OnProgress | None, stage: str,
) -> int:  # fmt: skip
    """Do something with things that have no row still, a few at a time; return with how many it was done."""
    done = 0

    def try_it(one: Found) -> bool:
        try:
            act(one.name)
        except BlobMissing:  # another collection was quicker
            return False
        # A storage that fails for one object is asked for the others; the report names this one.
        except BlobError:
            told.failed.append(one.name)
            return False
        reached("C8")
        return True

    for at in range(0, len(things), _MOVED):
        some = [(one, key) for one in things[at : at + _MOVED] if (key := key_of(one)) is not None]
        ownerless, told.refusal = _without_row(backend, ownership, {key for _, key in some})
        if told.refusal:
            break
        done += sum(at_once(try_it, [one for one, key in some if key in ownerless], workers))
        tell(on_progress, stage, done, some[-1][0].name if some else "")
    return done


def _abort_uploads(
    backend: Backend, blobs: Blobs, ownership: Ownership, uploads: Mapping[str, Sequence[Upload]],
    clock: GraceClock, told: Absent, on_progress: OnProgress | None,
) -> None:  # fmt: skip
    """Abort multipart uploads whose key has no row; those with a row go with it."""
    old = {key for key, some in uploads.items() if not any(clock.spares(one.begun) for one in some)}
    ownerless, refusal = _without_row(backend, ownership, old)
    if refusal or not uploads:
        return
    for key in sorted(ownerless):
        try:
            blobs.abort(key, uploads[key])
        except BlobError:
            told.failed.append(key)
        else:
            told.uploads += 1
    tell(on_progress, "uploads", told.uploads)


def _without_row(backend: Backend, ownership: Ownership, keys: set[str]) -> tuple[set[str], str]:
    """Return those of the keys that neither a row nor a document has; or why nobody can tell."""
    if not keys:
        return keys, ""

    def look(writer: Writer) -> tuple[set[str], str]:
        reason = unproven(writer, ownership)
        if reason:
            return set(), reason
        return keys - {row.key for row in writer.blobs(keys=sorted(keys), limit=len(keys))}, ""

    left, reason = committed(backend, look)
    with backend.read() as reader:  # what a document has, though its row was lost by damage, is repair's
        return left - documents_of(reader, sorted(left)).keys(), reason

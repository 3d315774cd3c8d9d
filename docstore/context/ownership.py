"""Ownership of the blobs' root: the store's id, its mark at the root, and the roots that it ever used.

A store has a random id, kept in its settings and in the mark at the root of its bytes. Bytes are written, and
removed for having no row, only at a root that bears the store's own mark. The mark is set with the first
bytes, if the rows know every object that is there. Otherwise a person must say whose the root is
(:meth:`docstore.Store.adopt_blobs`). Reading by key works at any root.

Each root has a number, its *place*, in its mark and in the rows of the bytes below it. So a root that was
moved is recognised, and bytes at another root are not reported as missing.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from uuid import uuid4

from docstore.backend import KeepsSettings, Reader, SeesAll, SetsSettings, Writer
from docstore.blobs import Blobs, Mark
from docstore.errors import BackendError, WrongBlobs

if TYPE_CHECKING:
    from docstore.backend import BlobRow

__all__ = [
    "Ownership",
    "Places",
    "hidden_from",
    "location_of",
    "own_id",
    "places_of",
]

# Keys of one listing that are compared with their rows in one statement.
_LISTED = 1000
# How long who writes believes what was seen last: at a root that is asked over a network all of it, at one
# that is near the store's id alone; its mark is read for each write.
_BELIEVED_SECONDS = 60.0
_STORE_ID = "store_id"
_HINT = "are both URLs right? If these bytes are this store's, say store.adopt_blobs() or run  docstore adopt"


@dataclass(frozen=True, slots=True)
class Ownership:
    """The state of a root, as one store sees it.

    Attributes:
        own: the store's id; ``None`` where its backend keeps none.
        mark: what stands at the root; ``None``: nothing.
        place: the number of this root among the store's; 0 while it has none.
        refusal: why bytes may be neither written nor collected here; ``""``: they may.
    """

    own: str | None
    mark: Mark | None
    place: int = 0
    refusal: str = ""

    def check(self) -> None:
        """Raise WrongBlobs if the root is not this store's."""
        if self.refusal:
            found = None if self.mark is None else self.mark.store
            raise WrongBlobs(self.refusal, expected=self.own, found=found)


class Places:
    """The root that an open store writes its bytes to, looked at when it is used.

    Args:
        blobs: where bytes are.
        read: opens a block for reading, within the transaction in force if there is one.
        apart: opens a block for writing that commits by itself where it can.
        given: the id that the caller expects, ``None`` if none.
    """

    def __init__(
        self,
        blobs: Blobs,
        read: Callable[[], AbstractContextManager[Reader]],
        apart: Callable[[], AbstractContextManager[Writer]],
        given: str | None = None,
    ) -> None:
        self._blobs = blobs
        self._read = read
        self._apart = apart
        self._given = given
        self._seen = (Ownership(None, None), 0.0)
        """What was seen last, and the monotonic instant until which it is believed: one value, so that
        threads need no lock, which a fork could find taken.
        """

    def place_to_write(self) -> int:
        """Return the number of the root that bytes may be written below; the first call marks it.

        Raises:
            WrongBlobs: the root is another store's, or nobody knows whose.
            BlobError, BackendError: the storage or the database failed.
        """
        seen, until = self._seen
        is_fresh = time.monotonic() < until
        if is_fresh and (not self._blobs.is_near or self._blobs.mark() == seen.mark):
            return seen.place
        found = self.look()
        found.check()
        if found.own is not None and (found.mark is None or not found.mark.place):
            mark = self._set_mark(found.own, found.place)
            found = Ownership(found.own, mark, mark.place)
        if found.place != seen.place:
            self._remember(found.place)
        self._seen = found, time.monotonic() + _BELIEVED_SECONDS
        return found.place

    def confirm(self, reader: Reader) -> None:
        """Look in a block in which bytes are announced whether its database is still the one that was seen.

        Raises:
            WrongBlobs: it is another store's: it was replaced meanwhile.
        """
        own = self._seen[0].own
        if own is None or not isinstance(reader, KeepsSettings):
            return
        found = reader.setting(_STORE_ID)
        if found != own:
            self._seen = (Ownership(None, None), 0.0)
            text = (
                f"the database was replaced by one of the store {found}; {self._blobs.location} is of {own}"
            )
            raise WrongBlobs(text, expected=found, found=own)

    def look(self) -> Ownership:
        """Look whose the root is; change nothing there."""
        own = own_id(self._read, self._apart)
        mark = self._blobs.mark()
        where = self._blobs.location
        if own is None:
            if mark is None:
                return Ownership(None, None)
            refusal = (
                f"{where} belongs to {_owner(mark)}, and this store's backend keeps no id: give it another"
            )
            return Ownership(None, mark, refusal=refusal)
        if self._given is not None and self._given != own:
            refusal = (
                f"the database is of the store {own}, and store_id= says {self._given}: is its URL right?"
            )
            return Ownership(self._given, Mark(own), refusal=refusal)
        if mark is None:
            return self._unmarked(own, where)
        if mark.store != own:
            refusal = f"{where} belongs to {_owner(mark)}, and this is the store {own}: {_HINT}"
            return Ownership(own, mark, refusal=refusal)
        return Ownership(own, mark, mark.place)

    def adopt(self) -> Ownership:
        """Mark the root as this store's, whatever it bears; return how it was before.

        Raises:
            WrongBlobs: the database is not of the store that the caller expects.
            BackendError: the backend keeps no store's id.
        """
        before = self.look()
        if before.own is None:
            raise BackendError("this backend keeps no store's id: no root can be adopted")
        if self._given is not None and before.own != own_id(self._read, self._apart):
            before.check()
        if before.mark is not None and before.mark.store == before.own and before.mark.place:
            return before
        place = self._place_of_objects() or self._only_place() or _fresh_place()
        self._blobs.set_mark(Mark(before.own, place), replace=True)
        self._remember(place)
        self._seen = (Ownership(None, None), 0.0)
        return before

    def _unmarked(self, own: str, where: str) -> Ownership:
        """Take a root without a mark for this store's if the rows know every object that stands there."""
        places: Counter[int] = Counter()
        for known, unknown in self._objects():
            if unknown:
                refusal = (
                    f"{where} bears no store's mark and has objects that this database does not know, such as"
                    f" {unknown[0]}; this is the store {own}: {_HINT}"
                )
                return Ownership(own, None, refusal=refusal)
            places.update(row.place for row in known if row.place)
        return Ownership(own, None, places.most_common(1)[0][0] if places else 0)

    def _objects(self) -> Iterator[tuple[Sequence[BlobRow], Sequence[str]]]:
        """Yield rows and names of objects at the root, some at a time: bytes first, then rows."""
        listing = self._blobs.list()
        while batch := list(islice(listing, _LISTED)):
            keys = [found.name for found in batch if found.kind == "object"]
            if not keys:
                continue
            with self._read() as reader:
                rows = reader.blobs(keys=keys, limit=len(keys))
            known = {row.key for row in rows}
            yield rows, [key for key in keys if key not in known]

    def _place_of_objects(self) -> int:
        """Return the place that most of the objects are at by their rows; 0 if none is known."""
        places = Counter(row.place for known, _ in self._objects() for row in known if row.place)
        return places.most_common(1)[0][0] if places else 0

    def _only_place(self) -> int:
        """Return the place of the rows if they name one alone, else 0."""
        found: set[int] = set()
        after = ""
        with self._read() as reader:
            while rows := reader.blobs(after_key=after, limit=_LISTED):
                found |= {row.place for row in rows if row.place}
                if len(found) > 1:
                    return 0
                after = rows[-1].key
        return found.pop() if found else 0

    def _set_mark(self, own: str, place: int) -> Mark:
        """Mark the root; of several that do so at once one wins, and the others take its place."""
        mark = Mark(own, place or _fresh_place())
        stands = self._blobs.set_mark(mark)
        if stands.store == own and not stands.place:
            stands = self._blobs.set_mark(mark, replace=True)
        if stands.store != own:
            text = f"{self._blobs.location} was just marked by {_owner(stands)}; this is {own}"
            raise WrongBlobs(text, expected=own, found=stands.store)
        return stands

    def _remember(self, place: int) -> None:
        """Note for people where a place is; a role that may not keep settings does without."""
        if not place:
            return
        name, where = f"place/{place}", self._blobs.location
        # Only a note for people: a role without the right to write it must not fail for that.
        with suppress(BackendError):
            with self._read() as reader:
                if not isinstance(reader, KeepsSettings) or reader.setting(name) == where:
                    return
            with self._apart() as writer:
                if isinstance(writer, SetsSettings):
                    writer.set_setting(name, where)


def own_id(
    read: Callable[[], AbstractContextManager[Reader]], apart: Callable[[], AbstractContextManager[Writer]]
) -> str | None:
    """Return the store's id, which is made if there is none; ``None`` where the backend keeps none.

    Args:
        read: opens a block for reading.
        apart: opens a block for writing that commits by itself where it can.
    """
    with read() as reader:
        if not isinstance(reader, KeepsSettings):
            return None
        found = reader.setting(_STORE_ID)
    if found is not None:
        return found
    with apart() as writer:
        if not isinstance(writer, SetsSettings):
            return None
        writer.lock(_STORE_ID)
        found = writer.setting(_STORE_ID)
        if found is None:
            found = uuid4().hex
            writer.set_setting(_STORE_ID, found)
        return found


def hidden_from(reader: Reader) -> str:
    """Return what hides rows from a reader, in words; ``""``: nothing does."""
    return reader.hidden() if isinstance(reader, SeesAll) else ""


def location_of(reader: Reader, place: int) -> str:
    """Return where a place is, or was when it was last used, in words."""
    if not place:
        return "a root that nobody noted"
    found = reader.setting(f"place/{place}") if isinstance(reader, KeepsSettings) else None
    return f"place {place}" if found is None else found


def places_of(reader: Reader, places: Sequence[int]) -> dict[int, str]:
    """Return where places are, by number."""
    return {place: location_of(reader, place) for place in sorted(set(places))}


def _fresh_place() -> int:
    """Return a number that no root has: by chance, so that it can be taken without asking."""
    return 1 + secrets.randbelow(2**31 - 2)


def _owner(mark: Mark) -> str:
    return f"the store {mark.store}" if mark.store else "a store whose mark is damaged"

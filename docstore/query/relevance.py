"""Relevance (rules 22a and 22b): where a search's terms stand in a text, what that scores, a snippet of it.

All of it reads the text itself, folded for search, so that the answer is the same on every backend.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from docstore.query.expr import Occurs
from docstore.query.search import search_terms
from docstore.query.text import begins_cluster, occurrences, search_fold, words

__all__ = ["SNIPPET_CHARACTERS", "highlight", "score", "snippet"]

SNIPPET_CHARACTERS = 200
"""The most that a snippet holds beside its ``…``."""

_WORDS_OF_HALF_WEIGHT = 500
_FILENAME_BONUS = 3
_BEGINNING_WEIGHT = 0.25
_BLOCK = 2_048
"""Characters that are folded together when a place is traced back to the original: the fine map, a character
at a time, is made of these alone."""
_MOST_PLACES = 10_000
"""Occurrences that a snippet looks at; the best place among the first of them is good enough."""
_REACH = 4 * SNIPPET_CHARACTERS
"""Characters on each side of a place that a snippet is cut from: white space that it collapses included."""


def score(terms: Sequence[Occurs], filename: str, content: str | None) -> float:
    """Return how well a record answers a search (rule 22a), rounded to nine decimals.

    Args:
        terms: what :func:`~docstore.query.search.search_terms` says of the search; they share ``marks``.
        filename: the record's, as stored.
        content: the same; ``None`` counts as empty.
    """
    marks = bool(terms) and terms[0].marks
    name, text = search_fold(filename, marks=marks), search_fold(content or "", marks=marks)
    length = len(words(text)) / _WORDS_OF_HALF_WEIGHT
    total = 0.0
    for term in terms:
        found = sum(1.0 if whole else _BEGINNING_WEIGHT for _, _, whole in occurrences(term, text))
        total += found / (found + 0.5 + length) + (_FILENAME_BONUS if term.text in name else 0)
    return round(total, 9)


def highlight(text: str, search: str, *, search_marks: bool = False) -> list[tuple[int, int]]:
    """Return where the terms of a search stand in a text.

    The words are found as in the content of a document; excluded terms mark nothing.

    Args:
        text: any text: a content, a snippet, a filename.
        search: as given to ``find(search=…)``.
        search_marks: as given to ``docstore.open``.

    Returns:
        Pairs of start and end, code points of ``text``, ascending, without overlap. Where a term is only the
        beginning of a word, the pair covers that beginning.

    Example:
        >>> docstore.highlight("Le café de José", "jose cafe")
        [(3, 7), (11, 15)]
    """
    folded = _Folded(text, search_marks)
    found = sorted(
        (start, end)
        for term in search_terms(search, marks=search_marks)
        for start, end, _ in occurrences(term, folded.text)
    )
    spans: list[tuple[int, int]] = []
    for start, end in (folded.span(*place) for place in found):
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def snippet(content: str | None, terms: Sequence[Occurs]) -> str | None:
    """Return up to 200 characters of a content around the place where most of the terms stand together.

    Without a term in the content, it is the beginning. ``…`` stands where something was cut; white space is
    collapsed. None if there is no content.
    """
    if content is None:
        return None
    place = _best_place(content, terms)
    return _cut(content, *place)


def _best_place(content: str, terms: Sequence[Occurs]) -> tuple[int, int]:
    """Return the stretch of at most a snippet's length that holds most of the terms, the first of equals."""
    folded = _Folded(content, bool(terms) and terms[0].marks)
    places: list[tuple[int, int, int]] = []
    for number, term in enumerate(terms):
        for start, end, _ in occurrences(term, folded.text):
            places.append((start, end, number))
            if len(places) % _MOST_PLACES == 0:
                break
    places.sort()
    best, most, first = (0, 0), 0, 0
    within: dict[int, int] = {}
    for start, end, number in places:
        within[number] = within.get(number, 0) + 1
        while places[first][0] < end - SNIPPET_CHARACTERS and places[first][0] < start:
            gone = places[first][2]
            within[gone] -= 1
            if not within[gone]:
                del within[gone]
            first += 1
        if len(within) > most:
            best, most = (places[first][0], end), len(within)
    return folded.span(*best) if most else (0, 0)


def _cut(content: str, start: int, end: int) -> str:
    """Return the text around a stretch, cut at words."""
    before = _collapsed(content[max(0, start - _REACH) : start])
    middle = _collapsed(content[start:end])[:SNIPPET_CHARACTERS]
    behind = _collapsed(content[end : end + _REACH])
    if start <= _REACH:
        before = before.lstrip()
    if end + _REACH >= len(content):
        behind = behind.rstrip()
    room = SNIPPET_CHARACTERS - len(middle)
    left = min(len(before), max(room // 2, room - len(behind)))
    right = min(len(behind), room - left)
    cut_left = left < len(before) or start > _REACH
    cut_right = right < len(behind) or end + _REACH < len(content)
    head, tail = before[len(before) - left :], behind[:right]
    if cut_left and left < len(before) and not before[len(before) - left - 1].isspace():
        head = head.partition(" ")[2] if " " in head else head
    if cut_right and right < len(behind) and not behind[right].isspace():
        tail = tail.rpartition(" ")[0] if " " in tail else tail
    shown = f"{head}{middle}{tail}".strip()
    return f"{'…' if cut_left else ''}{shown}{'…' if cut_right else ''}"


def _collapsed(text: str) -> str:
    """Return ``text`` with each run of white space as one blank, those at its ends too."""
    joined = " ".join(text.split())
    if not joined:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{joined}{' ' if text[-1].isspace() else ''}"


class _Folded:
    """A text folded for search, and the way back from places in it to places in the original.

    The original is cut into blocks at white space, where a fold never joins what stands on either side.
    """

    def __init__(self, text: str, marks: bool) -> None:
        self._original = text
        self._marks = marks
        self._starts = [0]
        if text.isascii():
            self.text = text.lower()
            self._folded_starts = [0]
            return
        parts: list[str] = []
        self._folded_starts = [0]
        for start, end in _blocks(text):
            parts.append(search_fold(text[start:end], marks=marks))
            self._starts.append(end)
            self._folded_starts.append(self._folded_starts[-1] + len(parts[-1]))
        self.text = "".join(parts)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the characters of the original begin and end that folded to these places."""
        if len(self._starts) == 1:
            return start, end
        return self._place(start)[0], self._place(end - 1)[1]

    def _place(self, at: int) -> tuple[int, int]:
        """Return the start and end, in the original, of the cluster that gave the folded character ``at``."""
        block = bisect_right(self._folded_starts, at) - 1
        start, end = self._starts[block], self._starts[block + 1]
        at -= self._folded_starts[block]
        for first, last in _clusters(self._original, start, end):
            folded = search_fold(self._original[first:last], marks=self._marks)
            if at < len(folded):
                return self._within(first, last, folded, at)
            at -= len(folded)
        return end, end

    def _within(self, first: int, last: int, folded: str, at: int) -> tuple[int, int]:
        """Return the place of a folded character within its cluster, with the marks that left no trace;
        of the whole cluster where its characters fold to something together.
        """
        parts = [search_fold(one, marks=self._marks) for one in self._original[first:last]]
        if last - first == 1 or "".join(parts) != folded:
            return first, last
        start = first
        for place, part in enumerate(parts, first):
            if part:
                start = place if at >= 0 else start
                if at < 0:
                    return start, place
                at -= len(part)
        return start, last


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yield stretches of a text that can be folded one by one: each ends before white space."""
    start = 0
    while start < len(text):
        end = min(len(text), start + _BLOCK)
        while end < len(text) and not text[end].isspace():
            end += 1
        yield start, end
        start = end


def _clusters(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the shortest stretches of a text that fold by themselves: a character and its marks."""
    first = start
    for at in range(start + 1, end):
        if begins_cluster(text, at):
            yield first, at
            first = at
    if first < end:
        yield first, end

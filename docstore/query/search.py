"""Searches (rule 22): parsed into terms, scored (rule 22a), and shown as snippets (rule 22b).

A search's text is first written in compatibility form, its default-ignorables dropped, so that U+FF02 is a
quote and U+FF0D a minus. Then it is split, and each term is folded for search. A term begins after white
space or a phrase and is

- a phrase, ``"…"`` up to the next quote, white space and all; a quote that none closes is dropped;
- otherwise everything up to white space. A quote within it is an ordinary character, and ``*`` at its end is
  dropped: the last word may be the beginning of one anyway.

A ``-`` at the beginning of either excludes it. ``OR`` between two terms means either; it binds tighter than
the white space that joins the others. A term that is only ``*`` or ``-``, or folds to nothing, is none.

Scores and snippets read the text itself, folded for search: the answer is the same on every backend.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from unicodedata import normalize as unicode_form

from docstore.errors import FilterTooComplex, FilterValueError, shown
from docstore.limits import Limits
from docstore.query.expr import FALSE, TRUE, And, Expr, Not, Occurs, Or
from docstore.query.fields import Collection
from docstore.query.planner import normalize
from docstore.query.text import (
    begins_cluster,
    index_words,
    is_word_boundary,
    occurrences,
    search_fold,
    times_stored,
    without_ignorables,
    words,
)

_TERM = re.compile(r'(-?)(?:"([^"]*)"|(\S+))')
# No stored text has one, so that a term with it occurs nowhere.
_SURROGATE = re.compile("[\ud800-\udfff]")
_EITHER = "OR"


def parse_search(search: str | None, collection: Collection, limits: Limits, *, marks: bool = False) -> Expr:
    """Return what ``search`` asks of a record, normalized.

    Args:
        search: as the user wrote it, up to ``limits.search_characters`` characters; ``None``, an empty text
            and white space alone match everything. A term with a lone surrogate occurs nowhere.
        collection: what is searched; where it has no content, the filename alone.
        limits: the bounds.
        marks: whether the store keeps marks apart (``search_marks=True``).

    Raises:
        FilterValueError: ``search`` is not a text.
        FilterTooComplex: it is too long.
    """
    if search is None:
        return TRUE
    if not isinstance(search, str):
        wrong, expected = type(search).__name__, "text or None"
        raise FilterValueError(f"search is a {wrong}; expected {expected}", path="search", expected=expected)
    limit = limits.search_characters
    if len(search) > limit:
        wrong = f"search has {len(search)} characters; at most {limit} are allowed (search_characters)"
        raise FilterTooComplex(wrong, path="search", bound="search_characters", limit=limit)
    groups = _groups(search, "content" in collection.fields, marks)
    return normalize(And(tuple(Or(tuple(group)) for group in groups)))


def search_terms(search: str | None, *, marks: bool = False) -> tuple[Occurs, ...]:
    """Return the different terms that a search asks for, in its order; excluded ones are not among them."""
    terms = [term for group in _groups(search or "", True, marks) for term in group]
    return tuple(dict.fromkeys(term for term in terms if isinstance(term, Occurs)))


def _groups(search: str, content: bool, marks: bool) -> list[list[Expr]]:
    """Return the terms of a search in groups: of each group any term must match."""
    plain = unicode_form("NFKC", without_ignorables(search.replace("\0", " ")))
    # OR binds tighter than white space: each group is an Or, all of them an And.
    groups: list[list[Expr]] = []
    joins = False
    for minus, phrase, word in _TERM.findall(plain):
        if word == _EITHER and not minus:
            joins = bool(groups)
            continue
        text = phrase or word.removeprefix('"').rstrip("*")
        if text in ("", "-") and not phrase:
            continue
        term = _occurs(search_fold(text, marks=marks), bool(phrase), content, marks)
        if term is None:
            continue
        term = Not(term) if minus else term
        if joins:
            groups[-1].append(term)
        else:
            groups.append([term])
        joins = False
    return groups


def _occurs(text: str, is_phrase: bool, content: bool, marks: bool) -> Expr | None:
    """Return the leaf of one folded term; None if nothing is left of it."""
    if not text:
        return None
    if _SURROGATE.search(text):
        return FALSE
    found = tuple(words(text))
    prefix = bool(found) and not is_phrase and text.endswith(found[-1])
    return Occurs(text, found, prefix, content, marks)


# The most that a snippet holds beside its `…`.
SNIPPET_CHARACTERS = 200

# Rule 22a: a content's words are counted in units of so many, a term in the filename adds so much, and a word
# that is only begun counts so much of a whole one.
_WORDS_OF_HALF_WEIGHT = 500
_FILENAME_BONUS = 3
_BEGINNING_WEIGHT = 0.25
# Characters that are folded together when a place is traced back to the original: the fine map, a character
# at a time, is made of these alone.
_BLOCK = 2_048
# Occurrences that a snippet looks at; the best place among the first of them is good enough.
_MOST_PLACES = 10_000
# Characters within which a snippet is rather cut at a blank than between two words.
_NEAR = 30
_JOINER = "\u200d"
# Characters on each side of a place that a snippet is cut from: white space that it collapses included.
_REACH = 4 * SNIPPET_CHARACTERS


def score(terms: Sequence[Occurs], filename: str, content: str | None, *, stored: str | None = None) -> float:
    """Return how well a record answers a search (rule 22a), rounded to nine decimals.

    Args:
        terms: what :func:`~docstore.query.search.search_terms` says of the search; they share ``marks``.
        filename: the record's, as stored.
        content: the same; ``None`` counts as empty. It is not looked at where ``stored`` is given, unless a
            term has no word.
        stored: :func:`~docstore.query.text.index_words` of the content; ``None`` makes them.
    """
    marks = bool(terms) and terms[0].marks
    name = search_fold(filename, marks=marks)
    if stored is None:
        stored = index_words(content, marks=marks)
    length = max(0, stored.count(" ") - 1) / _WORDS_OF_HALF_WEIGHT
    total = 0.0
    for term in terms:
        if term.words:
            whole, begun = times_stored(term, stored)
        else:
            whole, begun = search_fold(content or "", marks=marks).count(term.text), 0
        found = whole + begun * _BEGINNING_WEIGHT
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

    Raises:
        TypeError: one of them is no text, such as the content of a document that has none.

    Example:
        >>> docstore.highlight("Le café de José", "jose cafe")
        [(3, 7), (11, 15)]
    """
    for name, value in (("text", text), ("search", search)):
        if not isinstance(value, str):
            raise TypeError(f"{name}={shown(value)}: expected text")
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
    # A window slides over the places: how often each term stands within it.
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
    middle = _collapsed(content[start:end])
    behind = _collapsed(content[end : end + _REACH])
    if start <= _REACH:
        before = before.lstrip()
    if end + _REACH >= len(content):
        behind = behind.rstrip()
    room = max(0, SNIPPET_CHARACTERS - len(middle))
    left = min(len(before), max(room // 2, room - len(behind)))
    right = min(len(behind), room - left)
    text = before + middle + behind
    first = len(before) - left
    last = min(len(before + middle) + right, first + SNIPPET_CHARACTERS)
    is_cut_left, is_cut_right = first > 0 or start > _REACH, last < len(text) or end + _REACH < len(content)
    if first > 0:
        first = _cut_forwards(text, first, len(before))
    if last < len(text):
        last = _cut_backwards(text, last, first if len(middle) > SNIPPET_CHARACTERS else len(before + middle))
    shown = " ".join(text[first:last].split())  # a term may be white space, too
    return f"{'…' if is_cut_left else ''}{shown}{'…' if is_cut_right else ''}"


def _cut_forwards(text: str, at: int, end: int) -> int:
    """Return the first place from ``at`` to ``end`` where a text can be cut.

    It is behind a blank that is near, else between two words.
    """
    if text[at - 1] == " ":
        return at
    blank = text.find(" ", at, min(end, at + _NEAR))
    if blank >= 0:
        return blank + 1
    return next((place for place in range(at, end) if _parts_words(text, place)), end)


def _cut_backwards(text: str, at: int, start: int) -> int:
    """Return the last place from ``at`` back to ``start`` where a text can be cut.

    It is before a blank that is near, else between two words, else between two letters of the one word.
    """
    if text[at] == " ":
        return at
    blank = text.rfind(" ", max(start, at - _NEAR), at)
    if blank >= 0:
        return blank
    places = range(at, start, -1)
    fallback = next((place for place in places if _parts_letters(text, place)), start or at)
    return next((place for place in places if _parts_words(text, place)), fallback)


def _parts_words(text: str, at: int) -> bool:
    return is_word_boundary(text, at) and _parts_letters(text, at)


def _parts_letters(text: str, at: int) -> bool:
    """Return whether a text can be cut at a place without parting what is shown as one."""
    return begins_cluster(text, at) and text[at - 1] != _JOINER


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

"""Generated texts and searches in ten scripts, and a plain reading of rules 22 and 22a to hold engines to.

The reading here is written from the rules, not from the code: it folds a character at a time, compares lists
of words, and shares nothing with :mod:`docstore.query`. :func:`hunt` fills stores with documents of a script,
a few words of others among them, asks each store the same searches, and compares what is found, counted and
ranked.

    python -m tests.kit.searches --pairs 50000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import docstore

__all__ = ["SCRIPTS", "Difference", "hunt"]

SCRIPTS: Mapping[str, Sequence[str]] = {
    "latin": (
        "étudiant",
        "Łódź",
        "İstanbul",
        "straße",
        "Þór",
        "œuvre",
        "naïve",
        "ﬁne",
        "c++",
        "q3-2024",
        "x²",
        "Ørsted",
    ),
    "greek": ("Ἀθῆναι", "λόγος", "ΣΊΣΥΦΟΣ", "ὕδωρ", "καί", "ΐ", "ᾳ", "ώρα"),
    "cyrillic": ("ёлка", "елка", "йод", "иод", "їжак", "Ёж", "МЙ", "и\u0306", "стра\u0301на", "ўз"),
    "arabic": ("مُحَمَّد", "محمد", "كتـــاب", "كتاب", "أحمد", "احمد", "ﷺ", "قُرْآن", "٢٠٢٤"),
    "hebrew": ("שָׁלוֹם", "שלום", "בְּרֵאשִׁית", "בראשית", "לא", "יִשְׂרָאֵל", "׳"),
    "devanagari": ("कुल", "कल", "हिन्दी", "क़लम", "कलम", "२०२६", "श्री", "संस्कृतम्"),
    "thai": ("สวัสดีชาวโลก", "โลก", "ชาวโลก", "กิน", "กัน", "ภาษาไทย", "น้ำ", "๑๒๓"),
    "japanese": ("漢字", "かな", "がか", "ガス", "ｶﾞ", "東京都", "〇一", "㍿", "々"),
    "korean": ("한국어", "한국", "각", "가", "\u1100\u1161\u11a8", "서울시", "ㄱ"),
    "myanmar": ("မြန်မာ", "ကမ္ဘာ", "ខ្មែរ", "ລາວ", "မာ", "ភាសា"),
}
"""Words of each script that a fold, a word's end or a mark makes hard; Khmer and Lao are with Myanmar."""
_COMMON = (
    "a",
    "1",
    "report",
    "the",
    "OR",
    "%",
    "€",
    "☂",
    "-",
    "—",
    "…",
    "*",
    '"',
    "a.b",
    "don't",
    "ß",
    "\u00bd",
)
_MARKS = (
    "\u0301",
    "\u0306",
    "\u0308",
    "\u0327",
    "\u0323",
    "\u05b8",
    "\u064e",
    "\u0651",
    "\u0e48",
    "\u093c",
    "\u3099",
)
_IGNORABLE_SOME = ("\u00ad", "\u200b", "\u200d", "\u2060", "\ufeff", "\u034f", "\ufe0f")
_BLANKS = (" ", " ", " ", " ", "\n", "\t", "\u3000", "\u00a0", "\u2028", ", ", ". ", "-", "/", "", "\u00b7")

_IGNORABLE = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF),
)  # fmt: skip
_LEFT_OUT = (
    (0x300, 0x36F), (0x483, 0x487), (0x591, 0x5C7), (0x610, 0x61A), (0x64B, 0x65F), (0x670, 0x670),
    (0x6D6, 0x6ED), (0x711, 0x711), (0x730, 0x74A), (0x8CA, 0x8FF), (0x93C, 0x93C), (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFB1E, 0xFB1E), (0xFE20, 0xFE2F),
)  # fmt: skip
_WITHOUT_BLANKS = re.compile(
    "THAI |LAO |MYANMAR |KHMER |HANGUL |HIRAGANA |KATAKANA |CJK |HALFWIDTH KATAKANA|HALFWIDTH HANGUL"
    "|KATAKANA-HIRAGANA |COMBINING KATAKANA|IDEOGRAPHIC (ITERATION|NUMBER|CLOSING)|VERTICAL KANA|MASU"
)
_LETTERS = {
    "ł": "l",
    "ø": "o",
    "đ": "d",
    "ð": "d",
    "ħ": "h",
    "ŧ": "t",
    "ı": "i",
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
}


# -- the rules, read plainly -------------------------------------------------------------------------


def fold(text: str, marks: bool) -> str:
    """Return a text folded for search."""
    kept = "".join(char for char in text if not _within(char, _IGNORABLE))
    parts: list[str] = []
    base = ""
    for char in unicodedata.normalize("NFKD", kept):
        is_mark = unicodedata.category(char) == "Mn" and _within(char, _LEFT_OUT)
        if not marks and (char == "\u0640" or is_mark):
            letter = char in "\u0306\u0308" and base not in "еЕ" and _is_cyrillic(base)
            if not letter:
                continue
        elif not is_mark:
            base = char
        parts.append(char)
    folded = "".join(parts).casefold()
    if not marks:
        folded = "".join(_LETTERS.get(char, char) for char in folded)
    return unicodedata.normalize("NFKC", folded)


def _within(char: str, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(first <= ord(char) <= last for first, last in ranges)


def _is_cyrillic(char: str) -> bool:
    return bool(char) and unicodedata.name(char, "").startswith("CYRILLIC") and char.isalpha()


def words(folded: str) -> list[str]:
    """Return the words of a folded text."""
    found: list[str] = []
    grows = False
    for char in folded:
        if _WITHOUT_BLANKS.match(unicodedata.name(char, "")):
            if unicodedata.category(char)[0] in "LMN":
                found.append(char)
            grows = False
        elif unicodedata.category(char)[0] in "LM" or unicodedata.category(char) == "Nd":
            if grows:
                found[-1] += char
            else:
                found.append(char)
            grows = True
        else:
            grows = False
    return found


@dataclass(frozen=True)
class Term:
    """One term of a search."""

    text: str
    words: tuple[str, ...]
    begins: bool
    """Whether its last word may be the beginning of one."""
    excluded: bool = False


def terms_of(search: str, marks: bool) -> list[list[Term]]:
    """Return the groups of a search: of each group a term must match."""
    kept = "".join(char for char in search.replace("\0", " ") if not _within(char, _IGNORABLE))
    rest = unicodedata.normalize("NFKC", kept)
    groups: list[list[Term]] = []
    joins = False
    while rest := rest.lstrip():
        excluded = rest[0] == "-"
        body = rest[1:] if excluded else rest
        if body[:1] == '"' and '"' in body[1:]:
            text, _, rest = body[1:].partition('"')
            is_phrase = bool(text)
        else:
            whole = body.split(maxsplit=1)[0] if body and not body[0].isspace() else ""
            rest = body[len(whole) :]
            if whole == "OR" and not excluded:
                joins = bool(groups)
                continue
            text = whole.removeprefix('"').rstrip("*")
            is_phrase = False
        folded = fold(text, marks)
        if not folded or (text == "-" and not is_phrase):
            continue
        found = words(folded)
        begins = bool(found) and not is_phrase and folded.endswith(found[-1])
        term = Term(folded, tuple(found), begins, excluded)
        if joins:
            groups[-1].append(term)
        else:
            groups.append([term])
        joins = False
    return groups


@dataclass
class Text:
    """A document as a search sees it, folded once."""

    name: str
    content: str
    words: list[str]

    def weight(self, term: Term) -> float:
        """Return how often a term occurs in the content, a mere beginning counting a quarter."""
        if not term.words:
            return float(self.content.count(term.text))
        total, at, length = 0.0, 0, len(term.words)
        while at + length <= len(self.words):
            some = self.words[at : at + length]
            is_whole = tuple(some) == term.words
            if is_whole or (
                term.begins and some[:-1] == list(term.words[:-1]) and some[-1].startswith(term.words[-1])
            ):
                total += 1.0 if is_whole else 0.25
                at += length
            else:
                at += 1
        return total

    def has(self, term: Term) -> bool:
        """Return whether a term occurs in the filename or the content."""
        return term.text in self.name or self.weight(term) > 0

    def score(self, groups: list[list[Term]]) -> float:
        """Return rule 22a's score."""
        asked = dict.fromkeys(term for group in groups for term in group if not term.excluded)
        total = 0.0
        for term in asked:
            found = self.weight(term)
            total += found / (found + 0.5 + len(self.words) / 500) + (3 if term.text in self.name else 0)
        return round(total, 9)


def found_by(groups: list[list[Term]], text: Text) -> bool:
    """Return whether a document is found."""
    return all(any(text.has(term) is not term.excluded for term in group) for group in groups)


# -- chance ------------------------------------------------------------------------------------------


def a_word(chance: random.Random, script: str) -> str:
    """Return a word of a script, often in another form."""
    word = chance.choice(SCRIPTS[script]) if chance.random() < 0.85 else chance.choice(_COMMON)
    kind = chance.randrange(12)
    if kind == 0:
        return word.upper()
    if kind == 1:
        return unicodedata.normalize("NFD", word)
    if kind == 2:
        return unicodedata.normalize("NFKC", word)
    at = chance.randint(0, len(word))
    if kind == 3:
        return word[:at] + chance.choice(_IGNORABLE_SOME) + word[at:]
    if kind == 4:
        return word[:at] + chance.choice(_MARKS) + word[at:]
    if kind == 5:
        return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in word)
    if kind == 6:
        return word + chance.choice(SCRIPTS[script])
    return word


def a_text(chance: random.Random, script: str, most: int) -> str:
    """Return some words of a script, a few of others among them."""
    parts: list[str] = []
    for _ in range(chance.randint(0, most)):
        other = chance.choice(list(SCRIPTS)) if chance.random() < 0.1 else script
        parts += [a_word(chance, other), chance.choice(_BLANKS)]
    return "".join(parts)


def a_search(chance: random.Random, script: str, texts: Sequence[str]) -> str:
    """Return a search that finds something more often than not."""
    parts: list[str] = []
    for _ in range(chance.choice((1, 1, 2, 2, 3, 4))):
        kind = chance.randrange(10)
        piece = a_word(chance, script)
        if kind < 4 and texts:
            text = chance.choice(texts)
            start = chance.randint(0, len(text))
            piece = text[start : start + chance.randint(1, 12)]
        elif kind == 4:
            piece = piece[: chance.randint(1, len(piece))] if piece else ""
        if chance.random() < 0.2:
            piece = f'"{piece}{chance.choice(["", " ", "-"])}{a_word(chance, script)}"'[
                : chance.choice((None, -1))
            ]
        piece = (
            chance.choice(("", "", "", "", "-", "- ", '"'))
            + piece
            + chance.choice(("", "", "", "", "*", '"'))
        )
        parts += [piece, chance.choice((" ", " ", " ", " OR ", "\u3000", " - ", ""))]
    return "".join(parts).replace("\r", " ")[:900]


# -- the hunt ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """A wrong answer, with what makes it again."""

    store: str
    seed: int
    marks: bool
    search: str
    expected: Any
    actual: Any

    def __str__(self) -> str:
        return (
            f"{self.store}, seed {self.seed}, marks {self.marks}: {self.search!r}\n  expected {self.expected}"
            f"\n  actual   {self.actual}"
        )


@dataclass
class Found:
    """What a hunt found."""

    pairs: int = 0
    hits: int = 0
    differences: list[Difference] = field(default_factory=list)


DOCUMENTS, SEARCHES, CHANGES = 24, 100, 4
"""Documents of a world, searches that it is asked, and how often some of its documents change meanwhile."""
_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def hunt(stores: Mapping[str, Any], pairs: int, seed: int, *, marks: bool = False) -> Found:
    """Ask each store ``pairs`` searches and hold its answers to the rules.

    Args:
        stores: by name; what they hold is removed.
        pairs: searches, each on one set of documents.
        seed: of the first set; each further one has the next.
        marks: whether the stores were made with ``search_marks=True``.
    """
    found = Found()
    while found.pairs < pairs:
        chance = random.Random(seed)
        script = list(SCRIPTS)[seed % len(SCRIPTS)]
        rows = [a_row(chance, script, number) for number in range(DOCUMENTS)]
        for store in stores.values():
            store.documents.delete_many({})
            store.documents.add_many(rows)
        for _ in range(CHANGES):
            texts = [str(row["content"]) for row in rows if row["content"]] + [
                str(row["filename"]) for row in rows
            ]
            seen = {str(row["id"]): _seen(row, marks) for row in rows}
            for _ in range(min(SEARCHES // CHANGES, pairs - found.pairs)):
                search = a_search(chance, script, texts)
                found.pairs += 1
                _ask(stores, search, seed, marks, rows, seen, found)
            _change(chance, script, rows, stores)
        seed += 1
    return found


def a_row(chance: random.Random, script: str, number: int) -> dict[str, Any]:
    """Return a document; some have no content, many the same time."""
    content = a_text(chance, script, chance.choice((2, 8, 30))) if chance.random() < 0.9 else None
    name = a_text(chance, script, 2).replace("/", "") or f"{number}"
    made = _DAY + timedelta(days=chance.randrange(5))
    return {"id": f"d{number}", "filename": name[:200], "content": content, "created_at": made}


def _change(
    chance: random.Random, script: str, rows: list[dict[str, Any]], stores: Mapping[str, Any]
) -> None:
    """Give three documents another name and text."""
    for number in chance.sample(range(len(rows)), 3):
        new = a_row(chance, script, number)
        rows[number] = {**rows[number], "filename": new["filename"], "content": new["content"]}
        for store in stores.values():
            store.documents.put(id=new["id"], filename=new["filename"], content=new["content"])


def _seen(row: Mapping[str, Any], marks: bool) -> Text:
    content = fold(row["content"] or "", marks)
    return Text(fold(row["filename"], marks), content, words(content))


def _ask(
    stores: Mapping[str, Any], search: str, seed: int, marks: bool, rows: Sequence[Mapping[str, Any]],
    seen: Mapping[str, Text], found: Found,
) -> None:  # fmt: skip
    """Ask every store one search: found, counted, and in the order of relevance."""
    groups = terms_of(search, marks)
    matching = [row["id"] for row in rows if found_by(groups, seen[row["id"]])]
    found.hits += bool(matching)
    for name, store in stores.items():
        documents = store.documents
        page = documents.find(search=search, sort="number", limit=1000, total=True)
        answers: list[tuple[Any, Any]] = [
            (matching, [one.id for one in page]), (len(matching), page.total),
            (len(matching), documents.count(search=search)),
        ]  # fmt: skip
        if groups:
            ranked = documents.find(search=search, sort="-score", limit=1000)
            made = {row["id"]: (row["created_at"], place) for place, row in enumerate(rows)}
            best = sorted(matching, key=lambda id: (seen[id].score(groups), made[id]), reverse=True)
            answers.append((best, [one.id for one in ranked]))
        wrong = [Difference(name, seed, marks, search, *pair) for pair in answers if pair[0] != pair[1]]
        found.differences += wrong[:1]


def main() -> int:
    """Run the hunt on memory, SQLite and Postgres; exit with 1 if there is a difference."""
    from docstore.testing.servers import PostgresServer

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--pairs", type=int, default=50_000, help="searches an engine")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", choices=["memory", "sqlite", "postgres"])
    given = options.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        urls = {"memory": "memory://", "sqlite": f"sqlite:///{folder}/docs.db"}
        if given.only in (None, "postgres"):
            server = stack.enter_context(PostgresServer())
            server.start()
            urls["postgres"] = server.create_database()
        names = [given.only] if given.only else list(urls)
        total = Found()
        for marks, share in ((False, 0.9), (True, 0.1)):
            extra = {"table_prefix": "marks_"} if marks else {}
            with ExitStack() as opened:
                stores = {
                    name: opened.enter_context(_opened(urls[name], name, marks, extra)) for name in names
                }
                for part in _parts(round(given.pairs * share)):
                    some = hunt(stores, part, given.seed + total.pairs, marks=marks)
                    total.pairs += some.pairs
                    total.hits += some.hits
                    total.differences += some.differences
                    print(f"{total.pairs} searches, {total.hits} find something, "
                          f"{len(total.differences)} differences", flush=True)  # fmt: skip
                    for one in some.differences[:5]:
                        print(one, flush=True)
    return 1 if total.differences else 0


def _parts(pairs: int) -> Iterator[int]:
    """Yield a number in thousands, so that progress shows."""
    while pairs > 0:
        yield min(pairs, 1000)
        pairs -= 1000


def _opened(url: str, name: str, marks: bool, extra: dict[str, Any]) -> Any:
    options = {} if name == "memory" else extra
    return docstore.open(url, search_marks=marks, **options)


if __name__ == "__main__":
    sys.exit(main())

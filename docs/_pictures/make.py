"""Make the drawings of docs/pictures.

python docs/_pictures/make.py            write them
python docs/_pictures/make.py --check    exit with 1 if one is not as it should be
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from drawing import Picture
from plots import growth, peers
from terminal import terminal

PICTURES = Path(__file__).parents[1] / "pictures"


def store() -> Picture:
    """Two places: a database for records and texts, a filesystem for bytes."""
    picture = Picture(760, 300, "A store is a database of records and a place for bytes")
    picture.box(20, 95, 190, 110, ["your program", "`store.documents.add(…)`", "`store.documents.find(…)`"], size=13.5)
    picture.box(280, 95, 150, 110, ["docstore", "a library,", "no server"], kind="blue")
    picture.box(520, 20, 220, 110, ["a database", "records, metadata, text", "and the index of it all",
                                    "memory · SQLite · Postgres"], kind="green")
    picture.box(520, 170, 220, 110, ["a place for bytes", "files, as they came,", "under keys of their own",
                                     "folder · S3 · any fsspec"], kind="amber")
    picture.arrow((210, 150), (278, 150))
    picture.arrow((430, 130), (518, 80), label="filters, pages", at=(466, 84))
    picture.arrow((430, 170), (518, 220), label="open, download", at=(464, 226))
    return picture


def query() -> Picture:
    """From a filter to a page."""
    picture = Picture(820, 380, "The way of a query: parse, rewrite, plan, run, recheck, page")
    stages = (
        ("parse", "dictionary → tree,", "every word checked"),
        ("rewrite", "three rewrites,", "same answer"),
        ("plan", "asks the backend", "about each term"),
    )
    picture.box(15, 40, 120, 76, ["your filter", '`{"n": {"$gt": 3}}`'], size=12)
    picture.arrow((135, 78), (163, 78))
    for at, (name, first, second) in enumerate(stages):
        x = 165 + at * 165
        picture.box(x, 40, 135, 76, [name, first, second], kind="blue", size=13)
        picture.arrow((x + 135, 78), (x + 163, 78))
    picture.box(660, 40, 145, 76, ["run", "SQL, or bitmaps", "in memory"], kind="green", size=13)
    picture.text(330, 148, "Each term is", size=13, kind="bold")
    for at, (word, means, kind) in enumerate((
        ("exact", "the database decides", "green"),
        ("inexact", "the database returns too much", "amber"),
        ("unsupported", "the database cannot say", "red"),
    )):
        y = 160 + at * 34
        picture.box(330, y, 104, 27, [word], kind=kind, size=12.5)
        picture.text(446, y + 18, means, size=12.5, kind="quiet")
    picture.arrow((732, 116), (732, 288), (552, 288), label="rows", at=(752, 210))
    picture.box(330, 266, 220, 44, ["recheck: the evaluator"], kind="amber", size=13)
    picture.arrow((330, 288), (152, 288), label="exactly what matches", at=(241, 280))
    picture.box(15, 258, 135, 60, ["page", "items, total, cursors"], kind="blue", size=13)
    picture.text(15, 345, "The evaluator is one Python function: the memory backend's filter, the recheck of the others, "
                 "and the tests' oracle.", size=12.5, kind="quiet")
    picture.text(15, 363, "So every backend gives the same answer.", size=12.5, kind="quiet")
    return picture


def life() -> Picture:
    """The status of a document, and what moves it."""
    picture = Picture(760, 320, "The life of a document: pending, processing, completed, failed")
    picture.box(150, 120, 130, 64, ["pending", "waits in the queue"], size=13.5)
    picture.box(400, 120, 140, 64, ["processing", "leased to a worker"], kind="blue", size=13.5)
    picture.box(610, 40, 130, 56, ["completed", "has its text"], kind="green", size=13.5)
    picture.box(610, 210, 130, 56, ["failed", "with the error"], kind="red", size=13.5)
    picture.arrow((20, 152), (148, 152), label="add(file)", at=(80, 144))
    picture.arrow((280, 142), (398, 142), label="claim · start", at=(339, 133))
    picture.arrow((400, 164), (282, 164), label="release · lease over", at=(341, 181))
    picture.arrow((540, 135), (608, 85), label="complete", at=(560, 98))
    picture.arrow((540, 170), (608, 225), label="fail", at=(588, 190))
    picture.arrow((20, 45), (608, 60), label="add(content=…)", at=(300, 46))
    picture.arrow((610, 252), (215, 252), (215, 186), label="retry", at=(400, 245))
    picture.text(20, 300, "A worker that dies loses its lease, and another takes the document. After max_attempts it is failed.",
                 size=12.5, kind="quiet")
    return picture


def versions() -> Picture:
    """One external_id, three versions."""
    picture = Picture(760, 270, "Versions: each add with the same external_id makes a new one; lists show the latest")
    picture.text(20, 34, 'external_id = "plans/spring"', size=13.5, kind="code")
    for at, (day, words) in enumerate((("Monday", "a first draft"), ("Tuesday", "with a budget"), ("Friday", "signed"))):
        x = 20 + at * 250
        latest = at == 2
        lines = [f"version {at + 1}", words, "is_latest: true" if latest else "is_latest: false"]
        picture.box(x, 60, 210, 92, lines, kind="green" if latest else "plain", dashed=not latest)
        picture.text(x + 105, 174, f"added on {day}", size=12.5, middle=True, kind="quiet")
        if at:
            picture.arrow((x - 38, 106), (x - 2, 106))
    picture.text(20, 214, "find(…)", size=13, kind="code")
    picture.text(230, 214, "sees version 3, if version 3 matches", size=13)
    picture.text(20, 234, "find(…, latest_only=False)", size=13, kind="code")
    picture.text(230, 234, "sees each version that matches", size=13)
    picture.text(20, 254, 'versions("plans/spring")', size=13, kind="code")
    picture.text(230, 254, "all three, the first one first", size=13)
    return picture


def crash() -> Picture:
    """A put step by step, and what a crash leaves at each."""
    picture = Picture(820, 372, "A put with bytes, and what a crash at each step leaves")
    columns = (20, 245, 470, 650)
    for x, words in zip(columns, ("step", "on disk after it", "a reader sees", "a crash here leaves"), strict=True):
        picture.text(x, 34, words, size=13.5, kind="bold")
    picture.line(20, 44, 800, 44)
    rows = (
        ("1 · intent", "commit: key k2 is pending", "row: key k2 pending", "the old version", "an intent", "plain"),
        ("2 · bytes", "write k2, count, hash, fsync", "k2 beside k1", "the old version", "an intent, bytes", "amber"),
        ("3 · rename", "k2 becomes durable", "k1 and k2, both whole", "the old version", "an intent, bytes", "amber"),
        ("4 · commit", "k2 live, k1 dead, row → k2", "row → k2", "the new version", "dead bytes k1", "green"),
        ("5 · answer", "add() returns", "row → k2", "the new version", "dead bytes k1", "green"),
    )
    for at, (name, does, disk, reader, leaves, kind) in enumerate(rows):
        y = 56 + at * 52
        picture.box(20, y, 205, 44, [name, does], kind=kind, size=13)
        picture.text(245, y + 27, disk, size=13)
        picture.text(470, y + 27, reader, size=13, kind="bold")
        picture.text(650, y + 27, leaves, size=13)
    picture.text(20, 338, "No step shows a row without its bytes. Step 4 is one transaction: old or new, never a mix.", size=13)
    picture.text(20, 358, "collect() removes what a crash leaves. It competes with step 4 on the same row, so exactly one of them wins.",
                 size=13, kind="quiet")
    return picture


def scopes() -> Picture:
    """Who may see what."""
    picture = Picture(760, 316, "Who may see what: the store, a tenant's view, an owner's view")
    picture.box(20, 20, 480, 276, kind="plain")
    picture.text(36, 44, "store.unscoped()", size=13, kind="code")
    for at, (tenant, owners) in enumerate((("acme", ("ada", "max")), ("bolt", ("eve", "no owner")))):
        x = 40 + at * 230
        picture.box(x, 62, 210, 214, kind="blue")
        picture.text(x + 14, 86, f'scoped(tenant="{tenant}")', size=12, kind="code")
        for place, owner in enumerate(owners):
            y = 104 + place * 84
            label = f'`owner="{owner}"`' if owner != "no owner" else "no owner"
            picture.box(x + 16, y, 178, 70, [label, "documents, bytes,", "extractions, queue"], kind="green", size=12)
    picture.text(520, 62, "A view narrows, never widens.", size=13, kind="bold")
    for at, words in enumerate((
        "Its condition is ANDed outermost",
        "to every read and every write.",
        "",
        "Another's id is NotFound: the same",
        "error as for an id that is not there.",
        "",
        "Cursors, totals, facets, searches,",
        "claims and bytes obey it, too.",
        "",
        "scope_required=True refuses a call",
        "that says neither scoped nor unscoped.",
    )):
        picture.text(520, 88 + at * 19, words, size=12.5, kind="quiet")
    return picture


def postings() -> Picture:
    """Values to sets of record numbers; a filter is algebra on sets."""
    picture = Picture(800, 330, "The index: each value has the set of records that hold it; a filter is algebra on sets")
    picture.text(20, 32, "records", size=13.5, kind="bold")
    records = (
        ("1", '{"city": "Graz", "tags": ["a"]}'),
        ("2", '{"city": "Bern", "tags": ["a", "b"]}'),
        ("3", '{"city": "Graz", "tags": ["b"]}'),
        ("4", '{"city": "Graz", "tags": []}'),
    )
    for at, (number, text) in enumerate(records):
        y = 50 + at * 36
        picture.box(20, y, 30, 28, [number], kind="blue", size=13)
        picture.text(60, y + 19, text, size=12.5, kind="code")
    picture.arrow((345, 118), (415, 118), label="terms", at=(380, 108))
    picture.text(430, 32, "posting lists", size=13.5, kind="bold")
    lists = (
        ('city = "Graz"', "1 3 4"), ('city = "Bern"', "2"), ('tags ∋ "a"', "1 2"), ('tags ∋ "b"', "2 3"), ("tags = []", "4"),
    )
    for at, (term, numbers) in enumerate(lists):
        y = 50 + at * 32
        picture.text(430, y + 18, term, size=12.5, kind="code")
        for numeral in numbers.split():
            x = 590 + (int(numeral) - 1) * 46
            picture.box(x, y, 38, 25, [numeral], kind="green", size=12.5)
    picture.line(20, 226, 780, 226, dashed=True)
    picture.text(20, 252, '{"city": "Graz", "tags": {"$ne": "a"}}', size=13, kind="code")
    picture.text(380, 252, "{1 3 4}  ∩  not {1 2}  =  {3 4}", size=14, kind="bold")
    picture.text(20, 282, "count", size=13, kind="code")
    picture.text(120, 282, "the number of members: no record is read", size=13)
    picture.text(20, 304, "a page", size=13, kind="code")
    picture.text(120, 304, "the newest members, found in the order of created_at; only these are read", size=13)
    return picture


def tail() -> Picture:
    """The bulk of the index, and the tail of what changed since."""
    picture = Picture(800, 250, "The index is a bulk and a tail; each answers the whole question")
    picture.box(20, 56, 330, 84, ["bulk", "posting lists up to the last compaction;", "answers are kept while it stands"],
                kind="green", size=13.5)
    picture.box(380, 56, 130, 84, ["stale", "numbers of records", "changed since"], kind="red", size=13.5)
    picture.box(540, 56, 240, 84, ["tail", "up to 1,024 changed records,", "asked one by one, or in segments"],
                kind="amber", size=13.5)
    picture.text(20, 36, "a write adds to the tail, and never touches the bulk", size=13.5, kind="bold")
    picture.text(400, 182, "answer = (bulk − stale) ∪ tail", size=18, middle=True, kind="bold")
    picture.text(400, 210, "So a question right after a write costs about what it cost before it.", size=13, middle=True, kind="quiet")
    picture.text(400, 230, "At 1,024 changes the tail is compacted into the bulk, in the writer's transaction.", size=13,
                 middle=True, kind="quiet")
    return picture


def rooms() -> Picture:
    """The rooms of the code, and which way imports run."""
    picture = Picture(820, 470, "The rooms of docstore: imports run downwards, and never from the core to a backend")
    picture.text(20, 30, "for people and programs", size=12.5, kind="quiet")
    outer = (("cli", "the command"), ("http", "router, page"), ("mcp", "agents"), ("integrations", "frameworks"),
             ("ingest", "folders"), ("transfer", "copy, export"))
    for at, (name, words) in enumerate(outer):
        picture.box(20 + at * 131, 40, 120, 46, [name, words], size=12.5)
    picture.arrow((410, 86), (410, 110))
    picture.box(20, 112, 780, 156, kind="blue")
    picture.text(34, 133, "the core", size=12.5, kind="quiet")
    picture.box(110, 122, 190, 40, ["store · aio", "what open returns"], size=12.5)
    picture.box(315, 122, 220, 40, ["documents · extractions", "the public methods"], size=12.5)
    picture.box(550, 122, 236, 40, ["maintenance", "check, repair, collect, erase"], size=12.5)
    picture.box(34, 174, 240, 40, ["collection", "find: call, plan, page"], size=12.5)
    picture.box(286, 174, 240, 40, ["writes", "add, put, update, claim"], size=12.5)
    picture.box(538, 174, 248, 40, ["context · concurrency", "scope, transaction, deadline"], size=12.5)
    picture.box(34, 224, 360, 36, ["query: parse, plan, evaluate (no I/O)"], kind="green", size=12.5)
    picture.box(406, 224, 250, 36, ["index: sets and orders (no I/O)"], kind="green", size=12.5)
    picture.box(668, 224, 118, 36, ["blobs"], kind="amber", size=12.5)
    picture.arrow((320, 268), (320, 296))
    picture.box(110, 298, 420, 42, ["backend: the seam", "duties, promises, capabilities"], kind="amber", size=12.5)
    for at, (name, words) in enumerate((("docstore_memory", "dictionaries"), ("docstore_sqlite", "one file"),
                                        ("docstore_postgres", "a server"), ("yours", "an entry point"))):
        x = 20 + at * 150
        picture.box(x, 404, 136, 46, [name, words], size=12, dashed=name == "yours")
    picture.box(170, 356, 286, 30, ["docstore_sql: shared by both"], size=12)
    picture.arrow((88, 404), (140, 342))
    picture.arrow((238, 404), (238, 388))
    picture.arrow((388, 404), (388, 388))
    picture.arrow((313, 356), (313, 342))
    picture.arrow((538, 404), (500, 342), dashed=True)
    picture.arrow((727, 268), (727, 404))
    picture.box(640, 404, 160, 46, ["fsspec", "a folder, S3, …"], size=12, dashed=True)
    for at, words in enumerate(("The core finds a", "backend by its URL,", "and never imports one.")):
        picture.text(560, 308 + at * 17, words, size=12, kind="quiet")
    return picture


DRAWINGS: dict[str, Callable[[], Picture]] = {
    "store": store,
    "query": query,
    "life": life,
    "versions": versions,
    "crash": crash,
    "scopes": scopes,
    "rooms": rooms,
    "postings": postings,
    "tail": tail,
    "terminal": terminal,
    "peers": peers,
    "growth": growth,
}


def main() -> int:
    """Write every drawing, or with `--check` compare them."""
    check = "--check" in sys.argv
    changed = []
    for name, draw in DRAWINGS.items():
        path = PICTURES / f"{name}.svg"
        text = draw().svg()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            changed.append(path.name)
            if not check:
                path.write_text(text, encoding="utf-8")
    print(f"{'differ' if check else 'written'}: {', '.join(changed) or 'none'}")
    return 1 if changed and check else 0


if __name__ == "__main__":
    sys.exit(main())

"""The order of relevance beside SQLite's bm25 and Postgres' ts_rank, and what a ranked page costs.

    python -m benchmarks relevance --docs docs/search.md

The documents are real texts that every Python has: the topics of the language reference (``pydoc_data``) and the
docstrings of the standard library's modules. Twenty questions are asked of each engine in its own words. FTS5
searches filename and content with its default tokenizer and weighs the filename ten times; Postgres has the
dictionary ``english`` and the weights A and D. Times are CPU of this process.
"""

from __future__ import annotations

import argparse
import ast
import platform
import random
import re
import sqlite3
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import docstore
from benchmarks.clock import factor

__all__ = ["QUESTIONS", "compare", "ranked_times", "texts"]

QUESTIONS = (
    "exception handling", "garbage collection", "string formatting", "parse arguments", "regular expression",
    "event loop", "temporary file", "thread lock", "unicode", "network socket", "binary data", "operator precedence",
    "import module", "time zone", "zip archive", "class attribute", "generator", "random numbers", "compile code",
    "email message",
)  # fmt: skip
TOP = 10
_SHORTEST_DOCSTRING = 150
_SKIPPED = ("test", "site-packages", "idlelib", "lib2to3", "pydoc_data", "ensurepip")
_MARKS = ("<!-- relevance: made by python -m benchmarks relevance -->", "<!-- relevance: end -->")
_MATCHES, _WORDS = 1_000, 300
_TAKES = 15


def texts() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each document."""
    topics: dict[str, str] = import_module("pydoc_data.topics").topics
    yield from sorted(topics.items())
    library = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted(library.rglob("*.py")):
        place = file.relative_to(library)
        if any(part.startswith(_SKIPPED) for part in place.parts):
            continue
        try:
            said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
        except (SyntaxError, UnicodeDecodeError):
            continue
        if said and len(said) >= _SHORTEST_DOCSTRING:
            yield str(place), said


def compare(
    documents: Sequence[tuple[str, str]], postgres: str
) -> Iterator[tuple[str, int, dict[str, list[str]]]]:
    """Yield each question, how many documents docstore finds, and the first ten names of each engine."""
    with ExitStack() as stack:
        store = stack.enter_context(docstore.open("sqlite://"))
        store.documents.add_many([{"filename": name, "content": text} for name, text in documents])
        engines: dict[str, Callable[[str], list[str]]] = {
            "docstore": lambda asked: [
                one.filename for one in store.documents.find(search=asked, sort="-score", limit=TOP)
            ],
            "bm25": stack.enter_context(_Fts5(documents)).best,
            "ts_rank": stack.enter_context(_Tsvector(documents, postgres)).best,
        }
        for asked in QUESTIONS:
            found = store.documents.count(search=asked)
            yield asked, found, {name: best(asked) for name, best in engines.items()}


class _Fts5:
    """SQLite's full-text index, as its manual has it."""

    def __init__(self, documents: Sequence[tuple[str, str]]) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute("CREATE VIRTUAL TABLE page USING fts5(name, content)")
        self.connection.executemany("INSERT INTO page VALUES (?, ?)", documents)

    def __enter__(self) -> _Fts5:
        return self

    def __exit__(self, *exception: object) -> None:
        self.connection.close()

    def best(self, asked: str) -> list[str]:
        """Return the names of the best documents."""
        sql = "SELECT name FROM page WHERE page MATCH ? ORDER BY bm25(page, 10.0, 1.0), rowid LIMIT ?"
        return [name for (name,) in self.connection.execute(sql, (asked, TOP))]


class _Tsvector:
    """Postgres' text search with the dictionary ``english``."""

    def __init__(self, documents: Sequence[tuple[str, str]], url: str) -> None:
        import psycopg

        self.connection = psycopg.connect(url)
        self.connection.execute(
            "CREATE TEMP TABLE page (id int GENERATED ALWAYS AS IDENTITY, name text, words tsvector)"
        )
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO page (name, words) VALUES (%s, setweight(to_tsvector('english', %s), 'A') ||"
                " setweight(to_tsvector('english', %s), 'D'))",
                [(name, name, text) for name, text in documents],
            )

    def __enter__(self) -> _Tsvector:
        return self

    def __exit__(self, *exception: object) -> None:
        self.connection.close()

    def best(self, asked: str) -> list[str]:
        """Return the names of the best documents."""
        found = self.connection.execute(
            "SELECT name FROM page, websearch_to_tsquery('english', %s) asked WHERE words @@ asked"
            " ORDER BY ts_rank(words, asked, 1) DESC, id LIMIT %s",
            (asked, TOP),
        )
        return [name for (name,) in found]


def ranked_times(urls: dict[str, str]) -> dict[str, float]:
    """Return the CPU milliseconds of a ranked page of 1,000 matches on each engine, each asked for the first time.

    It is the best of fifteen, divided by how much slower this machine is than the one of the targets, which is the
    best of some, too.

    Args:
        urls: of empty stores, by engine.
    """
    chance = random.Random(1)
    known = sorted({word for _, text in texts() for word in re.findall("[a-z]{4,}", text)})
    needles = [f"needle{place}x" for place in range(_TAKES)]
    found: dict[str, float] = {}
    for name, url in urls.items():
        with docstore.open(url) as store:
            for _ in range(4):
                store.documents.add_many(
                    {
                        "filename": f"{n}.txt",
                        "content": " ".join(chance.choices(known, k=_WORDS) + needles),
                    }
                    for n in range(_MATCHES // 4)
                )
            taken = []
            for place in range(_TAKES):
                begun = time.process_time()
                page = store.documents.find(search=f"needle{place}x", sort="-score", limit=20)
                taken.append(time.process_time() - begun)
                assert page.ranked == _MATCHES
            found[name] = min(taken) * 1000 / factor()
    return found


def table(compared: Sequence[tuple[str, int, dict[str, list[str]]]]) -> str:
    """Return the comparison as Markdown."""
    lines = [
        "| question | found | of the top ten with bm25 | with ts_rank | first here | first by bm25 | first by ts_rank |",
        "|---|--:|--:|--:|---|---|---|",
    ]
    for asked, found, best in compared:
        ours = best["docstore"]
        shared = [len(set(ours) & set(best[name])) for name in ("bm25", "ts_rank")]
        firsts = [f"`{best[name][0]}`" if best[name] else "none" for name in ("docstore", "bm25", "ts_rank")]
        lines.append(f"| {asked} | {found} | {shared[0]} | {shared[1]} | {' | '.join(firsts)} |")
    return "\n".join(lines)


def write_docs(page: Path, text: str) -> None:
    """Replace the table of a page."""
    old = page.read_text(encoding="utf-8")
    before, _, rest = old.partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    page.write_text(f"{before}{_MARKS[0]}\n\n{text}\n\n{_MARKS[1]}{after}", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Print the table and the times; exit with 1 if a ranked page takes more than 40 ms of CPU."""
    from docstore.testing.servers import PostgresServer

    parser = argparse.ArgumentParser(prog="python -m benchmarks relevance")
    parser.add_argument("--docs", type=Path, metavar="PAGE", help="the page whose table is replaced")
    chosen = parser.parse_args(arguments)
    with PostgresServer() as server, tempfile.TemporaryDirectory(prefix="docstore-bench-") as folder:
        server.start()
        documents = list(texts())
        said = table(list(compare(documents, server.create_database())))
        urls = {
            "memory": "memory://",
            "sqlite": f"sqlite:///{folder}/x.db",
            "postgres": server.create_database(),
        }
        times = ranked_times(urls)
    shown = ", ".join(f"{name} {spent:.0f} ms" for name, spent in times.items())
    text = (
        f"{said}\n\nPython {platform.python_version()}, {len(documents)} documents, SQLite "
        f"{sqlite3.sqlite_version}. A ranked page of {_MATCHES:,} matches of {_WORDS} words, asked for the first time, "
        f"takes this process, in CPU (the best of {_TAKES} searches): {shown}."
    )
    print(text)
    if chosen.docs:
        write_docs(chosen.docs, text)
    return int(max(times.values()) > 40)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

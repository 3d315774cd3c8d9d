"""The SQL of the workloads W1 to W12 (benchmarks/workloads.py), whole, for both dialects.

Each workload is asked through the public API in a small store. A change of a statement shows as a difference
of a file here. ``GOLDEN=write pytest tests/golden`` writes the files anew: read the difference first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

import docstore
from benchmarks.corpus import corpus, new_document
from benchmarks.workloads import WORKLOADS, Workload
from tests.kit.statements import Statements, record_statements

FOLDER = Path(__file__).parent
SIZE = 300
PENDING = next(f"document-{doc.at}" for doc in corpus(SIZE) if doc.status == "pending")
LONGEST_VALUE, MOST_VALUES = 100, 6
_WORDS = "FROM|WHERE|GROUP BY|ORDER BY|LIMIT|UNION ALL|CROSS JOIN|LEFT JOIN|ON CONFLICT|VALUES|RETURNING"
_CLAUSE = re.compile(rf" (?=(?:{_WORDS})\b)")
_COLUMNS = re.compile(r"d\.id, d\.number, d\.external_id, .*? d\.revision(?= FROM|,)")
_INSERTED = re.compile(r"\(((?:number, )?id, [a-z0-9_, ]*), (filename_fold, filename_search[a-z_, ]*)\)")
_MARKS = re.compile(r"(?:(?:%s(?:::\w+)?|\?\d*|NULL|'\w*'|[01]|coalesce\([^)]*\)), ){8,}")


def readable(text: str) -> str:
    """Return a statement with each clause on a line, indented by the parentheses it stands in.

    The lists of all columns of a record are written ``{columns}``, long rows of placeholders ``…``.
    """
    text = _COLUMNS.sub("{columns}", text)
    text = _MARKS.sub("…, ", _INSERTED.sub(r"({columns}, \2)", text))
    lines, depth = [], 0
    for part in _CLAUSE.split(" ".join(text.split())):
        lines.append("  " * depth + part)
        depth += part.count("(") - part.count(")")
    return "\n".join(lines)


def shown(statements: Statements, *, values: bool) -> Iterator[str]:
    """Yield statements as they stand in a golden file, one that is run again and again once.

    Args:
        statements: what was run.
        values: whether the first bound values stand behind each.
    """
    for text, group in groupby(statements, key=itemgetter(0)):
        same = [bound for _, bound in group]
        lines = [f"{readable(text)};"]
        if values:
            lines += (f"--   {value!r}"[:LONGEST_VALUE] for value in same[0][:MOST_VALUES])
        if len(same) > 1:
            lines.append(f"-- … {len(same)} times")
        yield "\n".join(lines)


def ask(store: docstore.Store, work: Workload) -> None:
    """Ask a workload, a page deep in the order at a depth of 20."""
    documents = store.documents
    match work.kind:
        case "page":
            documents.find(work.filter, search=work.search, limit=10)
        case "total":
            documents.find(work.filter, limit=10, total=True)
        case "count":
            documents.count(work.filter)
        case "offset":
            documents.find(work.filter, limit=10, offset=20)
        case "cursor":
            first = documents.find(work.filter, limit=2)
            documents.find(work.filter, limit=2, cursor=first.next_cursor)
        case "get":
            documents.get("document-7")


@pytest.fixture(params=["sqlite", "postgres"])
def recorded(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, docstore.Store, Statements]]:
    """A dialect, a store of the benchmarks' documents on it, and the statements that it runs from then on."""
    monkeypatch.setattr("docstore_sql.counters.random", lambda: 1.0)  # no writer happens to add counters up
    monkeypatch.setattr("docstore_postgres.backend.folds", lambda: False)
    kept = record_statements(monkeypatch)
    with docstore.open(str(request.getfixturevalue(f"{request.param}_url"))) as store:
        store.documents.add_many(
            {**new_document(doc, content=True), "id": f"document-{doc.at}"} for doc in corpus(SIZE)
        )
        store.collect()  # on SQLite the changes are folded into the index
        with store._context.backend.write() as session:  # plans that depend on statistics depend on these
            session.cursor.execute("ANALYZE")  # type: ignore[attr-defined]
        yield request.param, store, kept


def compare(name: str, dialect: str, parts: list[str]) -> None:
    """Compare what was run with the golden file, or write it."""
    path, text = FOLDER / dialect / f"{name}.sql", "\n\n".join(parts) + "\n"
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"GOLDEN=write pytest tests/golden writes {path} anew"


def test_reads_run_the_golden_statements(recorded: tuple[str, docstore.Store, Statements]) -> None:
    """W2 to W9 and W12: a page, a total, a count, a deep page, a document, searches, adversaries."""
    dialect, store, kept = recorded
    store.documents.find({"metadata.category": "none"}, limit=1)  # what a first read looks up once
    families: dict[str, list[str]] = {}
    for work in WORKLOADS:
        kept.clear()
        ask(store, work)
        family = families.setdefault(work.name.rstrip("abcdefghij"), [])
        family += [f"-- {work.name}: {work.title}", *shown(kept, values=True)]
    for name, parts in families.items():
        compare(name, dialect, parts)


def _add_many(store: docstore.Store) -> None:
    store.documents.add_many({"filename": f"{at}.txt", "metadata": {"n": at}} for at in range(8))


WRITES: dict[str, tuple[tuple[str, Callable[[docstore.Store], Any]], ...]] = {
    "W1": (
        (
            "W1: one document and commit",
            lambda store: store.documents.add(filename="a.txt", metadata={"n": 1}),
        ),
        ("W1: documents in bulk", _add_many),
    ),
    "W10": (("W10: the status of one document", lambda store: store.documents.start(PENDING)),),
}


def test_writes_run_the_golden_statements(recorded: tuple[str, docstore.Store, Statements]) -> None:
    """W1 and W10: one document, many, a status."""
    dialect, store, kept = recorded
    for name, works in WRITES.items():
        parts: list[str] = []
        for title, work in works:
            kept.clear()
            work(store)
            parts += [f"-- {title}", *shown(kept, values=False)]
        compare(name, dialect, parts)

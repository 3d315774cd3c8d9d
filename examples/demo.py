"""What docstore does that others do not, in under a minute, with progress and colour.

Run it with `nox -s demo`, or by hand with the extras `cli` and `extract` installed:

    python examples/demo.py                   in a temporary folder that is removed at the end
    python examples/demo.py ./demo-store      kept; a second run adds only what is new or changed
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter

import docstore
from docstore.errors import BackendNotInstalled
from docstore.ingest import Event, WalkOptions, index_folder

SAMPLES = Path(__file__).parent / "samples"
LIBRARY = Path(sysconfig.get_path("stdlib")) / "asyncio"
FILTER = {
    "file_type": "text",
    "size": {"$gte": 5_000},
    "metadata.source.path": {"$regex": "^[a-m].*s\\.py$"},
}
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def painted(text: str, code: int) -> str:
    """Return a text in colour, on a terminal."""
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a title, what the block prints, and how long the block took."""
    print(f"\n{painted('──', 36)} {painted(title, 1)}")
    start = perf_counter()
    yield
    print(painted(f"   took {perf_counter() - start:.2f} s", 2))


def show(documents: list[docstore.Document]) -> None:
    """Print a line a document."""
    for document in documents:
        name = document.external_id or document.filename
        print(f"   {document.number:>5}  {document.file_type:<10} {document.size or 0:>9,} B  {name}")


def index(store: docstore.Store, folder: Path) -> None:
    """Index a folder, tell how far it is, and print what became of its files."""
    done = 0

    def on_event(event: Event) -> None:
        nonlocal done
        done += 1
        if COLOUR:
            print(f"\r\x1b[2K   {done:,} files: {event.name[:60]}", end="", flush=True)

    report = index_folder(store, folder, options=WalkOptions(exclude=["__pycache__"]), on_event=on_event)
    counts = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(report.counts.items()))
    print(f"{chr(13) + chr(27) + '[2K' if COLOUR else ''}   {folder.name}: {counts}")


def three_engines(store: docstore.Store) -> bool:
    """Ask the same filter of three engines, and say whether they answer alike."""
    with ExitStack() as stack:
        engines = {"sqlite": store, "memory": stack.enter_context(docstore.open("memory://"))}
        try:
            from docstore.testing.servers import PostgresServer

            server = stack.enter_context(PostgresServer())
            engines["postgres"] = stack.enter_context(docstore.open(server.create_database()))
        except (ImportError, BackendNotInstalled) as missing:
            print(f"   without Postgres: {missing}")
        answers = {}
        for name, engine in engines.items():
            if engine is not store:
                docstore.copy(store, engine, bytes=False, verify=False)
            start = perf_counter()
            page = engine.documents.find(FILTER, sort=["-size", "filename"], limit=500, total=True)
            answers[name] = [document.id for document in page]
            took = (perf_counter() - start) * 1000
            print(f"   {name:<9} {page.total:>4} found in {took:5.1f} ms")
    equal = len({tuple(answer) for answer in answers.values()}) == 1
    print("   " + (painted("equal answers, in the same order", 32) if equal else painted("they differ", 31)))
    return equal


def killed(store: docstore.Store, url: str, blobs: str) -> bool:
    """Kill a process in the middle of its work, and look whether anything is broken."""
    before = store.documents.count()
    child = os.fork()
    if not child:
        with docstore.open(url, blobs=blobs) as other:
            for number in range(100_000):
                other.documents.add(os.urandom(20_000), filename=f"{number}.bin", metadata={"run": "killed"})
    _wait_until_it_writes(store, before)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kept = store.documents.count({"metadata.run": "killed"})
    report = store.check("hash")
    bad = [finding for finding in report.findings if finding.kind in ("missing", "truncated", "corrupt")]
    print(f"   killed after {kept} documents; every byte of {report.documents} read: {len(bad)} broken")
    store.documents.delete_many({"metadata.run": "killed"})
    return not bad


def _wait_until_it_writes(store: docstore.Store, before: int) -> None:
    deadline = perf_counter() + 10
    while store.documents.count() < before + 5 and perf_counter() < deadline:
        pass


def cursors(store: docstore.Store) -> None:
    """Turn pages by their cursors, forth and back."""
    first = store.documents.find({"file_type": "text"}, sort="-size", limit=3, total=True)
    show(list(first))
    second = store.documents.find({"file_type": "text"}, sort="-size", limit=3, cursor=first.next_cursor)
    back = store.documents.find({"file_type": "text"}, sort="-size", limit=3, cursor=second.prev_cursor)
    print(f"   page 2 begins with {second.items[0].filename}; back is page 1: {list(back) == list(first)}")


def review(store: docstore.Store) -> None:
    """Keep what was read out of a document, and have a person look at what is doubtful."""
    document = next(iter(store.documents.find({"file_type": "pdf"}, limit=1)), None)
    if document is None:
        document = store.documents.find(limit=1).items[0]
    extraction = store.extractions.add(
        document.id, {"total": 1840, "vendor": "Acme"}, confidence_scores={"total": 61, "vendor": 97},
        review_below=80,
    )  # fmt: skip
    print(f"   {document.filename}: flagged for review: {extraction.review_flags}")
    done = store.extractions.review(extraction.id, {"total": 1480, "vendor": "Acme"}, reviewed_by="ada")
    print(f"   reviewed by {done.reviewed_by}: {done.reviewed_results}")


def search(store: docstore.Store) -> None:
    """Search, the best first, with the place where the words stand."""
    words = "event loop transport"
    try:
        page = store.documents.find(search=words, sort="-score", limit=3, include={"snippet"}, total=True)
    except docstore.DocstoreError:
        page = store.documents.find(search=words, limit=3, total=True)
    for document in page:
        snippet = getattr(document, "snippet", None) or document.preview or ""
        print(f"   {painted(document.external_id or document.filename, 33)}")
        print(f"      {' '.join(snippet.split())[:100]}")
    print(f"   {len(page)} of {page.total:,}")


def main() -> int:
    """Show it all, in the folder named or in a temporary one.

    Returns:
        0, or 1 if an answer is not as it should be.
    """
    parser = argparse.ArgumentParser(description="Show what docstore does.")
    parser.add_argument("folder", nargs="?", type=Path, help="where to keep the store; default: nowhere")
    kept: Path | None = parser.parse_args().folder
    with tempfile.TemporaryDirectory(prefix="docstore-demo-") as temporary:
        home = kept or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        print(f"docstore demo in {home}, Python {sys.version.split()[0]}")
        url, blobs = f"sqlite:///{home / 'docstore.db'}", str(home / "files")
        with docstore.open(url, blobs=blobs) as store:
            with step("index two folders, then again: nothing to do"):
                for folder in (LIBRARY, SAMPLES, LIBRARY):
                    index(store, folder)
            with step("one filter on three engines"):
                right = three_engines(store)
            with step("explain: what the database does"):
                print("   " + str(store.documents.explain(FILTER)).split("\n\n")[0])
            with step("kill a writer in the middle, then check every byte"):
                right = killed(store, url, blobs) and right
            with step("pages by cursor"):
                cursors(store)
            with step("a review"):
                review(store)
            with step('a search: "event loop transport"'):
                search(store)
            report = {"external_id": "samples/report.pdf", "status": "completed"}
            right = store.documents.exists(report) and right
        print("\nTry next:")
        print("   docstore index ~/Documents && docstore find --search 'annual report'")
        print("   docstore find file_type=pdf 'size>1MB' --sort -size")
        print("   python -c 'import docstore; print(docstore.open(\"sqlite:///docstore.db\").stats())'")
        return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())

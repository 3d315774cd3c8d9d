"""Index a real tree of thousands of files, query it, and say how long each step took.

Run it with `nox -s demo`, or by hand with the extras `cli` and `extract` installed:

    python examples/demo.py                   in a temporary folder that is removed at the end
    python examples/demo.py ./demo-store      kept; a second run adds only what is new or changed
    docstore find --store sqlite:///demo-store/docstore.db --blobs demo-store/files
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import docstore
from docstore.ingest import WalkOptions, index_folder

SAMPLES = Path(__file__).parent / "samples"
LIBRARY = Path(sysconfig.get_path("stdlib"))
NOT_PYTHONS_OWN = ("site-packages", "dist-packages", "__pycache__", "config-*")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a title, what the block prints, and how long the block took."""
    print(f"\n── {title}")
    start = perf_counter()
    yield
    print(f"   took {perf_counter() - start:.3f} s")


def index(store: docstore.Store, folder: Path, prefix: str) -> None:
    """Index a folder and print what became of its files."""
    start = perf_counter()
    options = WalkOptions(exclude=NOT_PYTHONS_OWN)
    counts = index_folder(store, folder, name=prefix.strip("/") or None, options=options).counts
    files = sum(number for outcome, number in counts.items() if outcome != "passed")
    print(f"   {files:,} files, {files / (perf_counter() - start):,.0f} a second: ", end="")
    print(", ".join(f"{number:,} {outcome}" for outcome, number in sorted(counts.items())))


def show(documents: list[docstore.Document]) -> None:
    """Print a line a document."""
    for document in documents:
        name = document.external_id or document.filename
        print(f"   {document.number:>5}  {document.file_type:<10} {document.size or 0:>9,} B  {name}")


def query(store: docstore.Store) -> None:
    """Ask the store the questions that an application would."""
    documents = store.documents
    with step("how many documents have each status"):
        for status in docstore.Status:
            print(f"   {status.value:<10} {documents.count({'status': status.value}):>6,}")
    with step("why texts could not be read"):
        failed = documents.iterate({"status": "failed"})
        reasons = Counter((document.error or "").partition(":")[0] for document in failed)
        for reason, number in reasons.most_common(4):
            print(f"   {number:>5}  {reason}")
    large = {"metadata.source.folder": {"$glob": "*test*"}, "file_type": "text", "size": {"$gte": 20_000}}
    with step("the largest text files in folders named *test*: a filter, a sort, a total"):
        page = documents.find(large, sort="-size", limit=5, total=True)
        show(page.items)
        print(f"   {len(page.items)} of {page.total:,}")
    with step("page 2 of the same, by its number"):
        show(documents.find(large, sort="-size", limit=5, page=2).items)
    with step('a search: "file descriptor" socket -test'):
        words = '"file descriptor" socket -test'
        page = documents.find(search=words, sort="external_id", limit=5, total=True)
        show(page.items)
        print(f"   {len(page.items)} of {page.total:,}")
    with step("a search in PDF, Word, Excel and PowerPoint: marta"):
        office = {"file_type": {"$in": ["pdf", "word", "excel", "powerpoint"]}}
        page = documents.find(office, search="marta", sort="filename")
        show(page.items)
    with step("the text of one of them"):
        document = documents.get(page.items[0].id, include={"content"})
        print("   " + "\n   ".join((document.content or "").splitlines()[:4]))


def main() -> int:
    """Index and query, in the folder named or in a temporary one.

    Returns:
        0, or 1 if the store does not hold what was indexed.
    """
    parser = argparse.ArgumentParser(description="Index Python's own library and query it.")
    parser.add_argument("folder", nargs="?", type=Path, help="where to keep the store; default: nowhere")
    kept: Path | None = parser.parse_args().folder
    with tempfile.TemporaryDirectory(prefix="docstore-demo-") as temporary:
        home = kept or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        print(f"docstore demo in {home}, Python {sys.version.split()[0]}")
        with docstore.open(f"sqlite:///{home / 'docstore.db'}", blobs=str(home / "files")) as store:
            with step(f"index {LIBRARY}"):
                index(store, LIBRARY, "python/")
            with step(f"index {SAMPLES}"):
                index(store, SAMPLES, "samples/")
            with step("index it again: nothing to do"):
                index(store, LIBRARY, "python/")
            query(store)
            report = {"external_id": "samples/report.pdf", "status": "completed"}
            return 0 if store.documents.exists(report) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The command in a terminal, and beside itself: `review` at a pty, two `index` runs on one folder."""

from __future__ import annotations

import os
import pty
import time
from pathlib import Path

import pytest

import docstore
from tests.kit.forked import Forked, command


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    """The options that name a store with two extractions that wait for a review."""
    url = f"sqlite:///{tmp_path}/docs.db"
    with docstore.open(url) as store:
        bill = store.documents.add(filename="bill\x1b[2J.pdf")
        for total in (12, 13):
            scores: dict[str, float] = {"total": 40, "vendor": 99}
            results = {"vendor": "Acme", "total": total}
            store.extractions.add(bill.id, results, confidence_scores=scores, review_below=80)
    return ["--store", url, "--blobs", ""]


def at_a_terminal(arguments: list[str], typed: list[tuple[str, str]]) -> tuple[int, str]:
    """Run the command at a terminal; type each text once what it waits for was printed.

    Return its exit status and all that was printed.
    """
    ours, its = pty.openpty()
    with Forked(command(*arguments), terminal=its, without=[ours]) as running:
        os.close(its)
        shown, ends = "", time.monotonic() + 60
        try:
            while time.monotonic() < ends:
                if typed and typed[0][0] in shown.rpartition("\x00")[2]:
                    shown += "\x00"
                    os.write(ours, typed.pop(0)[1].encode())
                shown += os.read(ours, 4096).decode()
        except OSError:  # the terminal's other end was closed
            pass
        finally:
            os.close(ours)
        return running.wait(), shown.replace("\x00", "")


def test_review_goes_through_the_queue_at_a_terminal(place: list[str]) -> None:
    """Flagged fields come first; one is corrected, one accepted, both by the reviewer's name."""
    prompt = "accept, correct, skip or quit"
    typed = [(prompt, "c\n"), ("total [12]", "120\n"), ("vendor", "\n"), (prompt, "a\n")]
    status, shown = at_a_terminal(["review", "--by", "ada", *place], typed)
    assert (status, typed) == (0, [])
    assert shown.index("total: 12") < shown.index("vendor:")
    assert "1 of 2: bill\\x1b[2J.pdf" in shown
    assert "nothing more waits for a review" in shown
    with docstore.open(place[1]) as store:
        done = store.extractions.find(sort="number")
    assert [one.reviewed_results for one in done] == [
        {"vendor": "Acme", "total": 120}, {"vendor": "Acme", "total": 13},
    ]  # fmt: skip
    assert {one.reviewed_by for one in done} == {"ada"}


def test_accept_at_a_terminal_asks_nothing(place: list[str]) -> None:
    """`review --accept ID` accepts and ends, though it could ask."""
    with docstore.open(place[1]) as store:
        first = store.extractions.find(sort="number")[0]
    status, shown = at_a_terminal(["review", "--by", "ada", "--accept", first.id, *place], [])
    assert (status, shown.strip()) == (0, "1 accepted")
    with docstore.open(place[1]) as store:
        assert store.extractions.count({"is_reviewed": True}) == 1


def test_two_runs_on_one_folder_make_no_duplicates(tmp_path: Path) -> None:
    """Two `docstore index` of a folder at the same time put each file in once."""
    folder = tmp_path / "papers"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.txt").write_text(f"paper {number}")
    place = ["--store", str(tmp_path / "docs.db"), "--blobs", str(tmp_path / "files")]
    index = command("index", str(folder), "--quiet", *place)
    with Forked(index) as one, Forked(index) as other:
        said = [process.output.read() + process.errors.read() for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], said
    with docstore.open(f"sqlite:///{tmp_path}/docs.db", blobs=str(tmp_path / "files")) as store:
        found = [(one.filename, one.version) for one in store.documents.find(limit=1000, latest_only=False)]
        assert sorted(found) == sorted((f"{number}.txt", 1) for number in range(40))
        assert store.check("hash").ok

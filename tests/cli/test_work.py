"""The commands of the queue: `docstore work` and `docstore status`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import docstore
from docstore.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The options that name a store with three pending documents, one of which cannot be read."""
    url, blobs = request.getfixturevalue(f"{request.param}_url"), str(tmp_path / "bytes")
    with docstore.open(url, blobs=blobs) as store:
        store.documents.add(b"a plan for the spring", filename="plan.txt")
        store.documents.add(b"%PDF-1.4 and no more", filename="broken.pdf")
        store.documents.add(filename="nothing")
        store.documents.add(filename="done", status="completed")
    return ["--store", url, "--blobs", blobs]


@pytest.fixture
def docstore_(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; return its exit status, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return run


def test_work_completes_what_can_be_read_and_fails_the_rest(docstore_: Run, place: list[str]) -> None:
    """The counts are told, the reason of each failure stands on standard error, the exit status is 1."""
    status, out, err = docstore_("work", "--extract", "--jobs", "2", "--max-attempts", "1", *place)
    assert (1, True) == (status, out.startswith("2 completed, 1 failed in "))
    assert "ExtractionError" in err
    with docstore.open(place[1]) as store:
        found = {one.filename: one for one in store.documents.iterate()}
    assert ("completed", "a plan for the spring") == (found["plan.txt"].status, found["plan.txt"].preview)
    assert ("failed", "completed") == (found["broken.pdf"].status, found["nothing"].status)
    status, out, err = docstore_("work", "--extract", "--json", *place)
    report = json.loads(out)
    assert (0, 0, 0, "") == (status, report["completed"], report["failed"], err)


def test_work_takes_what_a_filter_says(docstore_: Run, place: list[str]) -> None:
    """Others stay pending; the exit status is 0."""
    status, out, _ = docstore_("work", "--extract", "--where", "filename=plan.txt", *place)
    assert (0, True) == (status, out.startswith("1 completed, 0 failed in "))
    status, out, _ = docstore_("status", "--json", *place)
    assert (0, {"pending": 2, "processing": 0, "completed": 2, "failed": 0}) == (status, json.loads(out))


def test_a_program_that_is_not_there_fails_no_document(docstore_: Run, place: list[str]) -> None:
    """It is refused before anything is claimed."""
    status, out, err = docstore_("work", *place, "no-such-program")
    assert (status, out, "there is no program 'no-such-program'" in err) == (2, "", True)
    status, out, _ = docstore_("status", "--json", *place)
    assert (status, json.loads(out)["failed"]) == (0, 0)


def test_status_prints_every_status(docstore_: Run, place: list[str]) -> None:
    """In the order of a document's life, those of none, too; a filter narrows."""
    status, out, _ = docstore_("status", *place)
    lines = [line.split() for line in out.splitlines()]
    assert (0, [["pending", "3"], ["processing", "0"], ["completed", "1"], ["failed", "0"]]) == (
        status,
        lines,
    )
    status, out, _ = docstore_("status", '{"filename": "done"}', "--json", *place)
    assert {"pending": 0, "processing": 0, "completed": 1, "failed": 0} == json.loads(out)
    assert 2 == docstore_("status", '{"nope": 1}', *place)[0]

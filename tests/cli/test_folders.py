"""``docstore index``: folders kept apart, what is left out, what is deleted, a run that is interrupted."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import docstore
from tests.kit.forked import Forked
from tests.kit.forked import command as program
from tests.kit.forms import SOAK

Run = Callable[..., tuple[int, str, str]]
INTERRUPTED = "docstore: interrupted; what was done stays"


def test_two_folders_with_a_file_of_one_name(command: Run, tmp_path: Path) -> None:
    """Are two documents, both found, run after run."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(f"readme of {name}")
    for _ in range(3):
        assert command("index", "a")[0] == command("index", "b")[0] == 0
    found = [json.loads(line) for line in command("find", "--search", "readme", "--jsonl")[1].splitlines()]
    assert {one["external_id"] for one in found} == {"a/README.md", "b/README.md"}
    assert command("count", "--all-versions")[1] == "2\n"


def test_a_name_that_is_taken(command: Run, tmp_path: Path) -> None:
    """Is refused with what to write, exit status 2; with that it goes."""
    for place in ("x", "y"):
        (tmp_path / place / "docs").mkdir(parents=True)
        (tmp_path / place / "docs" / "a.txt").write_text(place)
    command("index", "x/docs")
    status, out, err = command("index", "y/docs")
    assert (status, out, err.count("\n"), "--as NAME" in err) == (2, "", 1, True)
    assert command("index", "y/docs", "--as", "other")[0] == 0
    assert command("cat", "other/a.txt")[1] == "y"


def test_everything_together_does_a_folder_once(command: Run, papers: Path) -> None:
    """Shards, threads, patterns and metadata; a dry run says so before and changes nothing."""
    for n in range(20):
        (papers / f"{n}.txt").write_text(str(n))
    (papers / ".gitignore").write_text("1*.txt\n")
    options = ("--include", "*.txt", "--exclude", "5.*", "--jobs", "4", "-m", "project=north")
    told = command("index", "papers", "--dry-run", *options)[1]
    assert told.count("would add: ") == 8
    assert command("count")[1] == "3\n"
    counts = [
        json.loads(command("index", "papers", *options, "--shard", f"{i}/3", "--json")[1]) for i in (1, 2, 3)
    ]
    assert sum(one["added"] for one in counts) == 8
    assert (
        command("count", "project=north")[1]
        == command("count", "project=north", "--all-versions")[1]
        == "8\n"
    )
    for gone in ("2.txt", "8.txt", "12.txt"):  # the last was ignored, and never stored
        (papers / gone).unlink()
    shards = [(*options, "--delete", "--shard", f"{i}/3") for i in (1, 2, 3)]
    would = "".join(command("index", "papers", *shard, "--dry-run")[1] for shard in shards)
    assert sorted(line for line in would.splitlines() if line.startswith("would")) == [
        "would delete: 2.txt", "would delete: 8.txt",
    ]  # fmt: skip
    assert command("count", "project=north")[1] == "8\n"
    counts = [json.loads(command("index", "papers", *shard, "--json")[1]) for shard in shards]
    assert [sum(one[name] for one in counts) for name in ("deleted", "unchanged", "added")] == [2, 7, 0]
    assert json.loads(command("index", "papers", "--no-ignore", "--json")[1])["added"] == 11


def test_deleting_what_is_gone(command: Run, papers: Path) -> None:
    """Only of a folder that is whole: else nothing is, and the exit status is 1; never beside files."""
    (papers / "plan.txt").unlink()
    assert command("index", "papers", "--delete", "--dry-run")[1].startswith("would delete: plan.txt\n")
    assert command("index", "papers/2026/bill.csv", "--delete")[0] == 2
    assert "1 deleted" in command("index", "papers", "--delete")[1]
    for path in (papers / "2026").iterdir():
        path.unlink()
    status, _, err = command("index", "papers", "--delete")
    assert (status, "nothing was deleted" in err) == (1, True)
    status, _, err = command("index", "gone", "--delete")
    assert (status, "is not there" in err) == (1, True)
    assert command("count")[1] == "2\n"


def test_files_from_standard_input(command: Run, papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ended by a zero byte; those that are known are unchanged."""
    (papers / "two\nlines.txt").write_text("new")
    given = io.TextIOWrapper(io.BytesIO(b"papers/plan.txt\0papers/two\nlines.txt\0"))
    monkeypatch.setattr("sys.stdin", given)
    done = json.loads(command("index", "--stdin0", "--json")[1])
    assert (done["added"], done["unchanged"]) == (1, 1)
    assert command("index", "papers", "--json")[1].count('"unchanged": 4') == 1


def test_a_folder_is_watched_until_it_is_interrupted(papers: Path, tmp_path: Path) -> None:
    """What changes meanwhile is put in; Ctrl-C ends it with 130."""
    with Forked(program("index", "papers", "--watch", "--quiet"), folder=tmp_path) as process:
        (papers / "new.txt").write_text("new words")
        deadline, found = time.monotonic() + 60, 0
        with docstore.open(f"sqlite:///{tmp_path}/docstore.db") as store:
            while not found and time.monotonic() < deadline:
                found = store.documents.count({"external_id": "papers/new.txt"})
                time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.errors.read().strip() == b"docstore: interrupted; what was done stays"
    assert found == 1


def test_an_interrupted_import_is_no_traceback(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 raises a RuntimeError for a Ctrl-C in a class that is being made."""

    def interrupted(arguments: object) -> int:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr("docstore.cli.app.run", interrupted)
    assert command("count") == (130, "", "")


def test_an_interrupted_run_goes_on(command: Run, tmp_path: Path) -> None:
    """At whatever moment, and again and again: nothing is lost, nothing is there twice, no bytes are
    missing. Two moments; in the long form sixty, of runs that add, change and delete.
    """
    many = tmp_path / "many"
    many.mkdir()
    made = itertools.count()
    for _ in range(100):
        _write(many, next(made))
    started = time.monotonic()
    assert command("index", "many")[0] == 0
    whole = time.monotonic() - started + 0.5 * SOAK  # and Python's start
    moments = [whole * (n + 0.5) / 60 for n in range(60)] if SOAK else [0.4 * whole, 0.8 * whole]
    for moment in moments:
        for _ in range(20):
            _write(many, next(made))
        names = sorted(path.name for path in many.iterdir())
        for name in names[::20]:
            (many / name).write_text(f"changed at {moment}")
        for name in names[7::20]:
            (many / name).unlink()
        asked = ("index", "many", "--quiet", "--delete", "--jobs", "4")
        status, said = (_interrupted if SOAK else _interrupted_fork)(asked, tmp_path, moment)
        has_begun = not SOAK or "/docstore/cli/" in said  # Python that starts ends with 1, or by the signal
        assert status in (0, 130) or not has_begun, said
        assert status != 130 or said.strip() in ("", INTERRUPTED), said
        _expect(tmp_path, many, is_whole=status == 0)
    assert command("index", "many", "--delete")[0] == 0
    _expect(tmp_path, many, is_whole=True)


def _interrupted(asked: tuple[str, ...], place: Path, moment: float) -> tuple[int, str]:
    """Run the command in an interpreter of its own, and send Ctrl-C; return its status and errors."""
    with subprocess.Popen(
        [sys.executable, "-m", "docstore", *asked],
        cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        time.sleep(moment)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)  # a terminal tells the children, too
        said = process.communicate(timeout=60)[1].decode()
    return process.returncode, said


def _interrupted_fork(asked: tuple[str, ...], place: Path, moment: float) -> tuple[int, str]:
    """The same in a fork, which imports nothing: the moment is always one of the command's own."""
    with Forked(program(*asked), folder=place) as process:
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        return process.wait(), process.errors.read().decode()


def _write(folder: Path, number: int) -> None:
    """Write a new file; one in four goes through a process that reads documents."""
    if number % 4:
        (folder / f"{number}.txt").write_text(f"number {number}")
    else:
        (folder / f"{number}.html").write_text(f"<title>{number}</title><p>number {number}")


def _expect(place: Path, folder: Path, *, is_whole: bool) -> None:
    """What is stored was on the disk, each file once, with its bytes; of a whole run, all of it."""
    with docstore.open(f"sqlite:///{place}/docstore.db", blobs=str(place / "docstore-files")) as store:
        stored = {document.external_id: document for document in store.documents.iterate()}
        assert len(stored) == store.documents.count()
        findings = store.check("hash").findings
        assert [one for one in findings if one.kind in ("missing", "corrupt", "truncated", "index")] == []
        for chain in (store.documents.versions(key) for key in stored if key):
            hashes = [one.sha256 for one in chain]
            assert [one.version for one in chain] == list(range(1, len(chain) + 1))
            assert all(one != other for one, other in itertools.pairwise(hashes)), chain
        if is_whole:
            on_disk = {f"many/{path.name}": path.read_bytes() for path in folder.iterdir()}
            assert {key: store.documents.read_bytes(one.id) for key, one in stored.items()} == on_disk
            assert {one.status for one in stored.values()} == {"completed"}


def test_a_store_is_named_by_a_path(command: Run, papers: Path, tmp_path: Path) -> None:
    """Of a file, or of a backup's folder with its bytes."""
    os.rename("docstore.db", "other.db")
    assert command("count", "--store", "other.db")[1] == "3\n"
    assert command("backup", "monday", "--store", "other.db")[0] == 0
    assert command("cat", "plan.txt", "--store", "monday")[1] == "a plan for the spring"


def test_plain_records_are_read_in(command: Run, tmp_path: Path) -> None:
    """JSON Lines and CSV; with a key again only what changed; a bad line is named."""
    (tmp_path / "a.jsonl").write_text(
        '{"filename": "a.txt", "content": "words", "n": 1}\n{"n": 2, "metadata": {"m": 3}}\n'
    )
    assert command("import", "a.jsonl")[1] == "2 added; 0 replaced; 0 unchanged\n"
    assert command("count", "n=2", "m=3")[1] == command("count", "--search", "words")[1] == "1\n"
    (tmp_path / "b.csv").write_text("number;name\n1;Ada\n2;Max\n")
    assert command("import", "b.csv", "--key", "number")[1] == "2 added; 0 replaced; 0 unchanged\n"
    (tmp_path / "b.csv").write_text("number;name\n1;Ada\n2;Moritz\n")
    assert command("import", "b.csv", "--key", "number")[1] == "0 added; 1 replaced; 1 unchanged\n"
    assert command("count", "name=Moritz", "external_id=2")[1] == "1\n"
    (tmp_path / "c.jsonl").write_text('{"n": 1}\n[]\n')
    status, _, err = command("import", "c.jsonl")
    assert (status, "line 2" in err) == (2, True)
    (tmp_path / "d.jsonl").write_text('{"status": "odd"}\n{"n": 7}\n')
    status, out, err = command("import", "d.jsonl")
    assert (status, out, err.startswith("line 1: ")) == (1, "1 added; 0 replaced; 0 unchanged\n", True)


def test_what_is_no_file_is_named(command: Run, papers: Path) -> None:
    """Pipes and sockets by a line each; links, of which there may be thousands, are counted alone."""
    os.mkfifo(papers / "pipe")
    (papers / "link").symlink_to("plan.txt")
    status, out, err = command("index", "papers")
    assert (status, err) == (0, "left out: pipe: a named pipe\n")
    assert "2 links and special files left out" in out


def test_a_link_that_leads_nowhere_is_refused_as_folder(command: Run, tmp_path: Path) -> None:
    """By what was written, not by what it points to."""
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("gone", "loop"):
        status, out, err = command("index", name)
        assert (status, out) == (2, "")
        assert err.startswith(f"docstore: there is no file or folder '{name}': the link leads nowhere")


def test_a_dry_run_names_what_could_not_be_read(
    command: Run, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the run itself would, without reading anything."""
    (papers / "secret.txt").write_text("secret")
    allowed = os.access
    monkeypatch.setattr(
        "os.access", lambda path, mode, **more: "secret" not in str(path) and allowed(path, mode, **more)
    )
    status, out, err = command("index", "papers", "--dry-run")
    assert (status, err) == (1, "error: secret.txt: cannot be read\n")
    assert "1 could not be read or stored" in out

"""The commands that look after a store and move it: what they do, print and exit with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore.blobs import new_key
from docstore.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a store that lives on between two commands."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_store_url"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The folder of its bytes."""
    return tmp_path / "bytes"


@pytest.fixture
def place(url: str, files: Path) -> list[str]:
    """The options that name a store of twelve documents, of tenants t and u."""
    with docstore.open(url, blobs=files) as store:
        for n in range(12):
            document = store.documents.add(b"%d" % n, filename=f"{n}.txt", tenant="tu"[n % 2])
        store.extractions.add(document.id, {"n": 1})
    return ["--store", url, "--blobs", str(files)]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; return its exit status, standard output and standard error."""

    def running(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return running


def put_extra(files: Path) -> Path:
    """Put an object there that no row knows."""
    path = files / new_key()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"extra")
    return path


def test_check_says_that_nothing_is_wrong(place: list[str], run: Run) -> None:
    """Exit status 0 and one line; with --json one object."""
    assert (0, "12 documents, 12 with bytes, 12 objects: nothing found\n", "") == run("check", *place)
    status, out, err = run("check", "--level", "hash", "--json", *place)
    report = json.loads(out)
    assert (0, "", True, [], 14) == (status, err, report["ok"], report["findings"], report["bytes"])


def test_check_names_what_is_wrong(place: list[str], files: Path, run: Run) -> None:
    """Exit status 1; each finding is a line, or an object."""
    extra = put_extra(files)
    status, out, _ = run("check", *place)
    assert (1, True) == (status, "1 found (1 extra)" in out)
    status, out, _ = run("check", "--json", *place)
    assert (1, [("extra", str(extra.relative_to(files)))]) == (
        status, [(one["kind"], one["key"]) for one in json.loads(out)["findings"]],
    )  # fmt: skip
    assert 0 == run("check", "--tenant", "t", *place)[0]


def test_repair_is_dry_until_told(place: list[str], files: Path, run: Run) -> None:
    """Without --apply it says what it would do, exit status 1; with it, it does, and nothing is left."""
    extra = put_extra(files)
    assert "younger" in run("repair", *place)[1]
    status, out, err = run("repair", "--grace", "0", *place)
    assert (1, True, True) == (status, out.startswith("would quarantine: extra"), "--apply" in err)
    assert extra.exists()
    status, out, _ = run("repair", "--grace", "0", "--apply", *place)
    assert (0, True) == (status, out.endswith("1 of 1 repaired\n"))
    assert not extra.exists()
    assert (0, "nothing to repair\n", "") == run("repair", *place)
    assert json.loads(run("repair", "--json", *place)[1])["actions"] == []


def test_collect_removes_what_was_deleted(place: list[str], url: str, files: Path, run: Run) -> None:
    """Bytes of a deleted document go; the counts are printed."""
    with docstore.open(url, blobs=files) as store:
        store.documents.delete_many({"tenant": "t"})
    status, out, _ = run("collect", "--grace", "0", "--tenant", "t", *place)
    assert (0, True) == (status, out.startswith("6 removed"))
    assert {"swept": 0, "failed": []}.items() <= json.loads(run("collect", "--json", *place)[1]).items()
    assert 6 == sum(path.is_file() for path in files.rglob("[!.]*"))


def test_stats_count(place: list[str], run: Run) -> None:
    """People get a table, programs an object; both within a scope."""
    status, out, _ = run("stats", *place)
    assert (0, True) == (status, "12 (12 latest versions)" in out)
    counted = json.loads(run("stats", "--tenant", "u", "--json", *place)[1])
    assert (6, 1, 6) == (counted["documents"], counted["extractions"], counted["blobs"]["live"]["count"])


def test_erase_needs_a_word(place: list[str], run: Run) -> None:
    """Nobody named: wrong usage. Without --yes nothing goes. With it, one tenant goes, the other stays."""
    assert 2 == run("erase", "--yes", *place)[0]
    status, _, err = run("erase", "--tenant", "t", *place)
    assert (1, True) == (status, "--yes" in err)
    assert (0, "6 documents and 6 objects erased\n", "") == run("erase", "--tenant", "t", "--yes", *place)
    assert {"count": 6} == json.loads(run("count", "--json", *place)[1])


def test_upgrade_has_nothing_to_do(place: list[str], url: str, run: Run) -> None:
    """A store of today: exit status 0, also of the dry run. Where there is no store, a dry run says so."""
    assert (0, "nothing to do\n", "") == run("upgrade", "--dry-run", *place)
    assert json.loads(run("upgrade", "--json", *place)[1])["steps"] == []
    with docstore.open(url, blobs=None):
        pass
    assert 1 == run("upgrade", "--store", "sqlite:///not-there.db")[0]


def test_upgrade_makes_a_store(postgres_url: str, run: Run) -> None:
    """A dry run on an empty database says what would be done, exit status 1; without it, it is done."""
    status, out, _ = run("upgrade", "--dry-run", "--store", postgres_url)
    assert (1, "would do: create the tables of format 3\n") == (status, out)
    assert (0, "done: create the tables of format 3\n", "") == run("upgrade", "--store", postgres_url)
    assert (0, "nothing to do\n", "") == run("upgrade", "--store", postgres_url)


def test_copy_and_diff(place: list[str], url: str, files: Path, tmp_path: Path, run: Run) -> None:
    """A copy is verified; diff finds them the same, and names what was changed since."""
    target, other = str(tmp_path / "new.db"), str(tmp_path / "new")
    source = ["--blobs", str(files)]
    status, out, _ = run("copy", url, target, "--target-blobs", other, *source)
    assert (0, True, True) == (status, out.startswith("12 documents added"), "verified: " in out)
    again = json.loads(run("copy", url, target, "--target-blobs", other, "--json", *source)[1])
    assert (True, 0, 12) == (again["ok"], again["transferred"]["added"], again["transferred"]["existing"])
    compare = ["diff", url, target, *source, "--other-blobs", other, "--level", "hash"]
    status, out, _ = run(*compare)
    assert (0, True) == (status, out.endswith("they hold the same\n"))
    with docstore.open(f"sqlite:///{target}", blobs=other) as store:
        gone = next(store.documents.iterate())
        store.documents.delete(gone.id)
    status, out, _ = run(*compare)
    assert (1, True) == (
        status,
        f"only in A: document {gone.id} ({gone.external_id or gone.filename}) of tenant t\n" in out,
    )
    found = json.loads(run(*compare, "--json")[1])
    assert (False, "only_in_a") == (found["same"], found["differences"][0]["kind"])


def test_copy_asks_where_the_bytes_go(
    place: list[str], url: str, files: Path, tmp_path: Path, run: Run
) -> None:
    """No place: wrong usage. The source's own place: refused. Neither makes a store."""
    target = tmp_path / "new.db"
    assert 2 == run("copy", url, str(target))[0]
    assert not target.exists()
    same = run("copy", url, str(target), "--blobs", str(files), "--target-blobs", str(files))
    assert (1, True) == (same[0], "place of its own" in same[2])
    assert 0 == run("copy", url, str(target), "--blobs", str(files), "--no-bytes")[0]


@pytest.mark.parametrize("name", ["backup.jsonl", "backup.jsonl.gz"])
def test_export_and_import(
    place: list[str], url: str, files: Path, tmp_path: Path, run: Run, name: str
) -> None:
    """What was exported comes back the same, compressed or not; the file appears whole."""
    file, other = (
        str(tmp_path / name),
        ["--store", f"sqlite:///{tmp_path}/new.db", "--blobs", str(tmp_path / "new")],
    )
    status, out, err = run("export", file, *place)
    assert (0, "", True) == (status, out, err.startswith("12 documents, 1 extractions"))
    assert [] == list(tmp_path.glob("*.part"))
    status, out, _ = run("import", file, *other)
    assert (0, True) == (status, out.startswith("12 documents added"))
    assert 12 == json.loads(run("import", file, "--json", *other)[1])["existing"]
    compare = [
        "diff",
        url,
        f"{tmp_path}/new.db",
        "--blobs",
        str(files),
        "--other-blobs",
        str(tmp_path / "new"),
    ]
    assert 0 == run(*compare)[0]


def test_export_by_pipe_with_a_folder(
    place: list[str], url: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard output and input serve, with the bytes in a folder beside."""
    beside, other = ["--files", str(tmp_path / "beside")], ["--store", f"sqlite:///{tmp_path}/new.db"]
    status, out, _ = run("export", "--quiet", *beside, *place)
    assert (0, 15) == (status, len(out.splitlines()))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(out.encode())))
    status, out, _ = run("import", *beside, *other, "--blobs", str(tmp_path / "new"))
    assert (0, True) == (status, out.startswith("12 documents added"))


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("damage", ["gone", "corrupt"])
def test_an_export_goes_on_past_damage(
    place: list[str], files: Path, tmp_path: Path, run: Run, damage: str, beside: bool
) -> None:
    """The document is named and written without its bytes, the others with theirs; exit status 1."""
    broken = next(path for path in files.rglob("[!.]*") if path.is_file())
    broken.unlink() if damage == "gone" else broken.write_bytes(bytes(broken.stat().st_size))
    export = [str(tmp_path / "backup.jsonl"), *(["--files", str(tmp_path / "beside")] if beside else [])]
    status, _, err = run("export", *export, *place)
    assert (1, 1) == (status, err.count("without its bytes: document "))
    new = ["--store", str(tmp_path / "new.db"), "--blobs", str(tmp_path / "new")]
    assert 0 == run("import", *export, *new)[0]
    assert run("count", "--all-versions", *new)[1] == run("count", "--all-versions", *place)[1]
    with docstore.open(f"sqlite:///{tmp_path / 'new.db'}", blobs=str(tmp_path / "new")) as store:
        assert store.check("hash").ok
        lost = store.documents.find({"id": err.split()[4].rstrip(":")}, latest_only=False).items[0]
        with pytest.raises(docstore.BlobMissing):
            store.documents.read_bytes(lost.id)


def test_a_failed_export_leaves_no_file(place: list[str], tmp_path: Path, run: Run) -> None:
    """A folder that cannot be made ends it, and neither FILE nor its beginning is there."""
    (tmp_path / "taken").touch()
    export = ["export", str(tmp_path / "backup.jsonl"), "--files", str(tmp_path / "taken" / "in")]
    assert 1 == run(*export, *place)[0]
    assert [] == list(tmp_path.glob("backup*"))


@pytest.mark.parametrize(
    "command", ["check", "repair", "collect", "stats", "erase", "upgrade", "copy", "diff", "export", "import"]
)
def test_help_of_upkeep_shows_examples(command: str, run: Run) -> None:
    """Every command's --help has examples that begin with the command itself."""
    status, out, _ = run(command, "--help")
    assert (0, True) == (status, f"docstore {command}" in out.partition("\n")[2])


def test_progress_is_told_on_a_terminal(place: list[str], run: Run, monkeypatch: Any) -> None:
    """Off a terminal nothing is told of a short run; on one a line moves, and is gone at the end."""
    assert "" == run("check", *place)[2]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "checking" in run("check", *place)[2]
    assert "" == run("check", "--quiet", *place)[2]


def test_bytes_of_another_store_are_refused_until_adopted(
    place: list[str], files: Path, tmp_path: Path, run: Run
) -> None:
    """A typo in the store's URL: exit status 1 and both ids; adopt says that they are ours after all."""
    with docstore.open(f"sqlite:///{tmp_path / 'typo.db'}") as typo:
        own = typo.stats().store_id
    other = ["--store", f"sqlite:///{tmp_path / 'typo.db'}", "--blobs", str(files)]
    status, out, err = run("collect", "--grace", "0", *other)
    assert (1, "", True, True) == (status, out, str(own) in err, "docstore adopt" in err)
    assert "unowned" in run("check", *other)[1]
    assert 1 == run("collect", "--store-id", "another", *place)[0]
    adopted = json.loads(run("adopt", "--json", *other)[1])
    assert (own, str(files)) == (adopted["store_id"], adopted["location"])
    status, out, err = run("collect", "--grace", "0", *other)
    assert (1, True) == (status, "more than a tenth" in err)
    assert "12 without a row put aside" in run("collect", "--grace", "0", "--force", *other)[1]
    assert "already" in run("adopt", *other)[1]
    assert 0 == run("adopt", *place)[0]


def test_a_backup_is_opened_by_its_folder(place: list[str], tmp_path: Path, run: Run) -> None:
    """One line, or an object; again it brings nothing; a folder of something else is refused."""
    folder = tmp_path / "backup"
    status, out, _ = run("backup", str(folder), *place)
    assert (0, True) == (status, out.startswith("12 documents and 12 objects in"))
    assert 0 == json.loads(run("backup", str(folder), "--json", *place)[1])["copied"]
    with docstore.open(folder) as copy:
        assert copy.check("hash").ok
        assert 12 == copy.documents.count()
    assert 1 == run("backup", str(tmp_path), *place)[0]

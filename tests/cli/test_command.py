"""The command `docstore`: what it prints, where, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from docstore.cli import main
from docstore.cli.app import COMMANDS
from docstore.cli.options import local_path, own_places, sqlite_file
from docstore.cli.output import shown, size_text
from docstore.testing.servers import PostgresServer
from tests.kit.forked import Forked, command

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The options that name a store which lives on between two commands."""
    url = request.getfixturevalue(f"{request.param}_url")
    return ["--store", url, "--blobs", str(tmp_path / "bytes")]


@pytest.fixture
def docstore_(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; return its exit status, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return run


def three_files(place: Path) -> Path:
    """Make a folder of three files, one of them without text."""
    (place / "folder" / "sub").mkdir(parents=True)
    (place / "folder" / "plan.txt").write_text("a plan for the spring")
    (place / "folder" / "sub" / "bill.csv").write_text("item,price\nrope,12\n")
    (place / "folder" / "sub" / "photo.png").write_bytes(b"\x89PNG")
    return place / "folder"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three files that is this test's alone."""
    return three_files(tmp_path)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    """The options of a store that such a folder was indexed into; tests only look at it."""
    root = tmp_path_factory.mktemp("filled")
    is_file = request.param == "sqlite"
    url = f"sqlite:///{root / 'docstore.db'}" if is_file else postgres_server.create_database()
    place = ["--store", url, "--blobs", str(root / "bytes")]
    assert main(["index", str(three_files(root)), "--quiet", *place]) == 0
    yield place
    if not is_file:
        postgres_server.drop_database(url)


def test_index_says_what_it_did(place: list[str], docstore_: Run, folder: Path) -> None:
    """One line of counts on standard output; to have no text is no failure."""
    status, out, err = docstore_("index", str(folder), *place)
    assert (status, err) == (0, "")
    assert out.startswith("3 files in ")
    assert out.endswith("3 added, 0 changed, 0 unchanged; 1 without text\n")
    status, out, err = docstore_("index", str(folder), *place)
    assert (status, err) == (0, "")
    assert out.endswith("0 added, 0 changed, 3 unchanged\n")


def test_index_with_an_error_has_status_1(
    place: list[str], docstore_: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that could not be stored is named on standard error, also when quiet; the others are stored."""
    really: Callable[..., object] = open

    def opening(path: str, mode: str = "r", **options: Any) -> object:
        if path.endswith("plan.txt"):
            raise PermissionError(13, "Permission denied", path)
        return really(path, mode, **options)

    monkeypatch.setattr("docstore.ingest.files.open", opening, raising=False)
    status, out, err = docstore_("index", str(folder), "--quiet", *place)
    assert (status, err) == (1, "error: plan.txt: cannot be read: Permission denied\n")
    assert out.endswith("1 without text; 1 could not be read or stored\n")


def test_find_lists_documents(filled: list[str], docstore_: Run) -> None:
    """A table with a line a document, in the order asked."""
    status, out, err = docstore_("find", "--sort", "external_id", "--total", *filled)
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split()[:5] == ["number", "name", "type", "size", "status"]
    assert [line.split()[1:6] for line in lines[1:4]] == [
        ["folder/plan.txt", "text", "21", "completed", lines[1].split()[5]],
        ["folder/sub/bill.csv", "excel", "19", "completed", lines[2].split()[5]],
        ["folder/sub/photo.png", "image", "4", "completed", lines[3].split()[5]],
    ]
    assert err == "3 of 3 documents\n"


def test_find_filters_and_searches(filled: list[str], docstore_: Run) -> None:
    """FILTER and --search both hold; --json is one array on standard output and nothing else."""
    status, out, err = docstore_("find", '{"status": "completed"}', "--search", "rope", "--json", *filled)
    (document,) = json.loads(out)
    assert (status, err, document["external_id"]) == (0, "", "folder/sub/bill.csv")
    assert "content" not in document
    _, out, _ = docstore_("find", "--search", "spring", "--json", "--content", *filled)
    assert [document["content"] for document in json.loads(out)] == ["a plan for the spring"]


def test_find_pages_by_number_offset_and_cursor(filled: list[str], docstore_: Run) -> None:
    """The three ways to the second page lead to the same document."""
    first = docstore_("find", "--sort", "number", "--limit", "1", "--json", *filled)
    assert first[2].startswith("there are more: --all, or --cursor ")
    cursor = first[2].split()[-1]
    pages = [
        json.loads(docstore_("find", "--sort", "number", "--limit", "1", "--json", *way, *filled)[1])
        for way in (["--page", "2"], ["--offset", "1"], ["--cursor", cursor])
    ]
    assert pages[0] == pages[1] == pages[2] != json.loads(first[1])


def test_find_without_a_match_is_no_failure(filled: list[str], docstore_: Run) -> None:
    """Nothing found: status 0, an empty array, a word on standard error for people."""
    assert docstore_("find", '{"size": 999}', "--json", *filled) == (0, "[]\n", "nothing matches\n")
    assert docstore_("find", '{"size": 999}', *filled) == (0, "", "nothing matches\n")


def test_all_versions_are_listed_when_asked(place: list[str], docstore_: Run, folder: Path) -> None:
    """A changed file has two versions; without --all-versions only the latest shows."""
    assert docstore_("index", str(folder), *place)[0] == 0
    (folder / "plan.txt").write_text("a plan for the autumn")
    os.utime(folder / "plan.txt", ns=(0, 5))
    assert "1 changed" in docstore_("index", str(folder), *place)[1]
    wanted = '{"external_id": "folder/plan.txt"}'
    assert docstore_("count", wanted, *place)[1] == "1\n"
    assert docstore_("count", wanted, "--all-versions", *place)[1] == "2\n"
    assert docstore_("find", wanted, "--all-versions", *place)[1].count("plan.txt") == 2
    assert docstore_("count", "--search", "spring", *place)[1] == "0\n"


def test_show_takes_an_id_a_path_or_a_number(filled: list[str], docstore_: Run) -> None:
    """All name the same document; --content adds its text, --json prints one object."""
    document = json.loads(docstore_("show", "folder/plan.txt", "--json", *filled)[1])
    status, out, err = docstore_("show", document["id"], "--content", *filled)
    assert (status, err) == (0, "")
    assert out.endswith("\na plan for the spring\n")
    assert document["metadata"]["source"]["path"] == "plan.txt"
    assert document["id"] in out
    assert json.loads(docstore_("show", str(document["number"]), "--json", *filled)[1]) == document


def test_index_names_each_damaged_file(place: list[str], docstore_: Run, tmp_path: Path) -> None:
    """A file of a type that can be read, but which cannot, is named; that is no failure of the run."""
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "cut.pdf").write_bytes(b"%PDF-1.4 cut")
    status, _, err = docstore_("index", str(tmp_path / "damaged"), *place)
    assert (status, err.count("\n")) == (0, 1)
    assert err.startswith("no text: cut.pdf: cannot read as application/pdf; damaged or truncated?")
    _, out, _ = docstore_("find", '{"status": "failed"}', "--json", *place)
    assert [document["filename"] for document in json.loads(out)] == ["cut.pdf"]


def test_show_of_nothing_has_status_1(filled: list[str], docstore_: Run) -> None:
    """One line says what was asked for."""
    assert docstore_("show", "none.txt", *filled) == (
        1, "", "docstore: there is no document 'none.txt'; see: docstore find\n",
    )  # fmt: skip


def test_count_prints_a_number(filled: list[str], docstore_: Run) -> None:
    """A bare number for people, an object with --json."""
    assert docstore_("count", *filled) == (0, "3\n", "")
    assert json.loads(docstore_("count", "status=completed", "--json", *filled)[1]) == {"count": 3}


def test_explain_prints_the_plan(filled: list[str], docstore_: Run) -> None:
    """The plan of a filter names the field it asks."""
    status, out, err = docstore_("explain", '{"size": {"$gt": 5}}', *filled)
    assert (status, err) == (0, "")
    assert "size" in out
    assert "size" in json.dumps(json.loads(docstore_("explain", '{"size": 5}', "--json", *filled)[1]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["find", "{nonsense"], "TERM"),
        (["find", '{"size": NaN}'], "NaN is no JSON number"),
        (["find", "[" * 100_000], "TERM"),
        (["find", '{"sizes": 3}'], "sizes"),
        (["find", '{"size": {"$gte2": 3}}'], "$gte2"),
        (["find", '["size"]'], "filter"),
        (["find", "--sort", "sizes"], "sizes"),
        (["find", "--limit", "1001"], "limit"),
        (["find", "--limit", "x"], "limit"),
        (["find", "--page", "2", "--offset", "3"], "page"),
        (["find", "--cursor", "nonsense"], "cursor"),
        (["find", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
        (["index"], "FOLDER"),
        (["index", "/nonexistent/folder"], "/nonexistent/folder"),
    ],
)
def test_wrong_usage_has_status_2_and_one_line(
    arguments: list[str], said: str, docstore_: Run, sqlite_url: str, tmp_path: Path
) -> None:
    """What was wrong is named in one line on standard error; nothing on standard output, no traceback."""
    (tmp_path / "empty").mkdir()
    place = ["--store", sqlite_url, "--blobs", str(tmp_path / "bytes")]
    assert docstore_("index", str(tmp_path / "empty"), *place)[0] == 0
    status, out, err = docstore_(*arguments, *(place if arguments[0] != "nonsense" else []))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("docstore: ")
    assert said in err


def test_an_unknown_scheme_has_status_2(docstore_: Run) -> None:
    """The line names the scheme."""
    status, out, err = docstore_("count", "--store", "nonsense://x")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "nonsense" in err


def test_a_store_that_is_not_there_is_not_made_by_looking(docstore_: Run, tmp_path: Path) -> None:
    """Reading commands refuse an SQLite file that does not exist, and leave none behind."""
    url = f"sqlite:///{tmp_path / 'typo.db'}"
    status, out, err = docstore_("find", "--store", url)
    assert (status, out) == (1, "")
    made = f"make one with docstore index FOLDER --store {url}"
    assert err == f"docstore: there is no store at {tmp_path / 'typo.db'}: {made}\n"
    assert list(tmp_path.iterdir()) == []


def test_the_environment_names_the_store(
    docstore_: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DOCSTORE_URL and DOCSTORE_BLOBS stand in for the options."""
    monkeypatch.setenv("DOCSTORE_URL", f"sqlite:///{tmp_path / 'env.db'}")
    monkeypatch.setenv("DOCSTORE_BLOBS", str(tmp_path / "env-bytes"))
    assert docstore_("index", str(folder), "--quiet")[0] == 0
    assert docstore_("count")[1] == "3\n"
    assert (tmp_path / "env.db").exists()


def test_a_store_within_the_folder_is_not_indexed(
    docstore_: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`docstore index .` with the defaults leaves out its own database and bytes, run after run."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DOCSTORE_URL", raising=False)
    monkeypatch.delenv("DOCSTORE_BLOBS", raising=False)
    for _ in range(2):
        assert docstore_("index", ".", "--quiet")[1].startswith("3 files in ")
    assert docstore_("count")[1] == "3\n"


def test_own_places_are_the_database_its_side_files_and_the_bytes(tmp_path: Path) -> None:
    """Names that only look alike are not."""
    own = own_places(f"sqlite:///{tmp_path}/d.db", f"file://{tmp_path}/bytes")
    names = ("d.db", "d.db-wal", "d.db.lock", "d.db2", "bytes", "bytes2")
    found = [name for name in names if own(f"{tmp_path}/{name}")]
    assert found == ["d.db", "d.db-wal", "d.db.lock", "bytes"]
    assert not own_places("postgresql://localhost/x", "s3://bucket/x")("/x")


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///a.db", "a.db"),
        ("sqlite:////tmp/a.db?x=1", "/tmp/a.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql://localhost/a.db", None),
    ],
)
def test_the_file_of_a_url(url: str, file: str | None) -> None:
    """Only an SQLite URL with a path is a file."""
    assert sqlite_file(url) == (None if file is None else Path(file))


def test_the_folder_of_the_bytes() -> None:
    """Plain paths and file URLs are local; other filesystems and chained URLs are not."""
    assert local_path("x/y") == Path("x/y")
    assert local_path("file:///x/y") == Path("/x/y")
    assert [local_path(url) for url in ("s3://b/x", "zip://x::file:///y", "")] == [None, None, None]


@pytest.mark.parametrize("command", [name for group in COMMANDS.values() for name in group])
def test_help_shows_examples(command: str, docstore_: Run) -> None:
    """Each command's help has a usage line and at least one example of itself."""
    status, out, err = docstore_(command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"Usage: docstore {command} [OPTIONS]")
    assert f"\n  docstore {command}" in out


def test_the_command_says_what_it_is(docstore_: Run) -> None:
    """--help lists the commands, --version names the program; both end well."""
    status, out, _ = docstore_("--help")
    assert status == 0
    assert [name for group in COMMANDS.values() for name in group if f"  {name} " not in out] == []
    assert docstore_("--version")[1].startswith("docstore, version ")


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_the_install_command_is_printed(missing: str) -> None:
    """`docstore.cli:main` imports without click and rich, says what to install and returns 2."""
    hidden = f"import sys; sys.modules[{missing!r}] = None\n"
    code = f"{hidden}from docstore.cli import main\nsys.exit(main(['stats']))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"docstore: the command needs {missing}, which is not installed: "
        'pip install "embedded-docstore[cli]"\n'
    )


def test_a_reader_that_went_away_is_no_traceback(filled: list[str]) -> None:
    """`docstore find | head -0` ends quietly."""
    with Forked(command("find", "--json", *filled)) as process:
        process.output.close()
        assert process.wait() == 1
        assert process.errors.read() == b""


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
     (1_500_000_000, "1.5 GB"), (10**16, "10000.0 TB")],
)  # fmt: skip
def test_sizes_for_people(size: int | None, text: str) -> None:
    """Steps of a thousand, one digit; never 1000.0 of a unit that has a larger one."""
    assert size_text(size) == text


def test_names_cannot_steer_the_terminal() -> None:
    """Escape sequences, direction marks and lone surrogates are shown, not sent."""
    assert shown("a\x1b[2Jb\u202ec\udcffd\ne é 日") == "a\\x1b[2Jb\\u202ec\\udcffd\\ne é 日"
    assert shown("a\n\tb\r", lines=True) == "a\n\tb\\r"


def test_on_a_terminal_a_bar_shows_how_far_it_is(folder: Path, tmp_path: Path) -> None:
    """With standard error on a terminal, `index` draws how many files and which, and clears it at the end."""
    place = ["--store", f"sqlite:///{tmp_path / 'bar.db'}", "--blobs", str(tmp_path / "bytes")]
    leader, follower = os.openpty()
    environment = {"TERM": "xterm", "COLUMNS": "80"}
    run = command("index", str(folder), *place)
    with Forked(run, environment=environment, terminal=follower, streams=[2], without=[leader]) as process:
        os.close(follower)
        drawn = b""
        with open(leader, "rb", buffering=0) as terminal, suppress(OSError):  # EIO: the other end is closed
            while found := terminal.read(4096):
                drawn += found
        assert process.output.read().startswith(b"3 files in ")
    assert process.returncode == 0
    assert b"indexing" in drawn
    assert b"3 files: sub/photo.png" in drawn

"""The verbs for single documents, and the forms of a listing."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import docstore
from docstore.cli import main, prepare_streams
from docstore.cli.documents import safe_name

Run = Callable[..., tuple[int, str, str]]


def test_a_file_comes_back(command: Run, papers: Path, tmp_path: Path) -> None:
    """By get into the current folder, never over a file; to a path or a folder that is named; by cat."""
    assert command("get", "papers/plan.txt") == (0, "plan.txt\n", "")
    assert command("get", "plan.txt") == (0, "plan (1).txt\n", "")
    assert command("get", "plan.txt", "-o", "other.txt")[0] == 0
    (tmp_path / "out").mkdir()
    assert command("get", "plan.txt", "bill.csv", "-o", "out")[1] == "out/plan.txt\nout/bill.csv\n"
    copies = ("plan.txt", "plan (1).txt", "other.txt", "out/plan.txt")
    assert {(tmp_path / name).read_text() for name in copies} == {"a plan for the spring"}
    assert command("cat", "bill.csv") == (0, "item,price\nrope,12\n", "")
    assert command("get", "plan.txt", "-o", "-")[1] == "a plan for the spring"
    assert command("get", "plan.txt", "bill.csv", "-o", "one.txt")[0] == 2


def test_a_text_is_printed(command: Run, papers: Path) -> None:
    """One without says why on standard error, exit status 1."""
    assert command("text", "plan.txt")[:2] == (0, "a plan for the spring\n")
    status, out, err = command("text", "photo.png")
    assert (status, out) == (1, "")
    assert err.startswith("no text: ")


def test_how_a_document_is_named(command: Run, papers: Path) -> None:
    """By its id or the beginning of one, external_id, filename or number; not found is 1, several are 2."""
    document = json.loads(command("show", "papers/plan.txt", "--json")[1])
    names = (document["id"], "external_id:papers/plan.txt", "plan.txt", str(document["number"]))
    assert {command("cat", name)[1] for name in names} == {"a plan for the spring"}
    assert command("cat", "nonsense")[0] == 1
    status, _, err = command("cat", document["id"][:8])
    assert (status, "names several documents" in err) == (2, True)
    beginning = next(document["id"][:n] for n in range(8, 37) if command("cat", document["id"][:n])[0] == 0)
    assert command("cat", beginning)[1] == "a plan for the spring"


def test_fields_are_set_and_taken_away(command: Run, papers: Path) -> None:
    """A key is a field of the document, else of its metadata; values as terms write them."""
    assert command("set", "plan.txt", "vendor=Acme", "n=5", 'lines:=[1, {"a": 2}]', "filename=a.txt")[0] == 0
    found = json.loads(command("show", "a.txt", "--json")[1])
    assert {"vendor": "Acme", "n": 5, "lines": [1, {"a": 2}]}.items() <= found["metadata"].items()
    assert command("set", "a.txt", "-vendor", "--unset", "n")[0] == 0
    found = json.loads(command("set", "a.txt", "x.y=1", "--json")[1])["metadata"]
    assert ("vendor" in found, "n" in found, found["x"]) == (False, False, {"y": 1})
    assert command("set", "a.txt")[0] == command("set", "a.txt", "n>5")[0] == 2


def test_tags_are_added_and_removed(command: Run, papers: Path) -> None:
    """Each once; what the document has then is printed."""
    assert command("tag", "plan.txt", "+a", "+b", "+a")[1] == "a\nb\n"
    assert command("tag", "plan.txt", "-a", "--add", "two words", "--remove", "none")[1] == "b\ntwo words\n"
    assert command("count", "tags=b")[1] == "1\n"
    assert command("tag", "plan.txt", "c")[0] == 2


def test_versions_are_listed(command: Run, papers: Path) -> None:
    """The first one first, whatever they were found by."""
    (papers / "plan.txt").write_text("another plan")
    os.utime(papers / "plan.txt", ns=(0, 5))
    command("index", "papers")
    found = json.loads(command("versions", "plan.txt", "--json")[1])
    assert [one["version"] for one in found] == [1, 2]
    assert command("cat", found[0]["id"])[1] == "a plan for the spring"


def test_documents_are_removed(command: Run, papers: Path) -> None:
    """Those named, or with --yes all that match; a short beginning of an id is not enough."""
    document = json.loads(command("show", "plan.txt", "--json")[1])
    assert command("rm", document["id"][:5])[0] == 1
    assert command("rm", "plan.txt") == (0, "1 removed\n", "")
    status, _, err = command("rm", "--where", "filename~*.csv")
    assert (status, "--yes" in err) == (2, True)
    assert command("rm", "--where", "filename~*.csv", "--yes")[1] == "1 removed\n"
    assert command("count")[1] == "1\n"
    assert command("rm")[0] == command("rm", "a", "--where", "b=1")[0] == 2


def test_documents_go_back_into_the_queue(command: Run, papers: Path) -> None:
    """And a command works through it: its output is the text, its failure the error."""
    assert command("retry", "--where", "file_type=text")[1] == "1 pending again\n"
    assert command("work", "--", "tr", "a-z", "A-Z")[0] == 0
    assert command("text", "plan.txt")[1] == "A PLAN FOR THE SPRING\n"
    command("retry", "plan.txt")
    status, _, err = command("work", "--max-attempts", "1", "--", "sh", "-c", "echo broken >&2; exit 3")
    assert (status, "ended with status 3: broken" in err) == (1, True)
    assert "failed: papers/plan.txt" in command("status")[2]
    assert command("work")[0] == command("work", "--extract", "ls")[0] == 2


def test_files_are_added_as_documents(command: Run, papers: Path, tmp_path: Path) -> None:
    """Each id is printed; under a key of one's own a conflict is settled as asked."""
    (tmp_path / "a.txt").write_text("first")
    status, out, _ = command("add", "a.txt", "-m", "vendor=Acme", "-m", "tags:=[1]", "-m", "x.y=2")
    assert status == 0
    found = json.loads(command("show", out.strip(), "--json")[1])
    assert (found["status"], found["metadata"]) == (
        "pending", {"vendor": "Acme", "tags": [1], "x": {"y": 2}},
    )  # fmt: skip
    first = command("add", "a.txt", "--external-id", "k", "--on-conflict", "error")[1]
    assert command("add", "a.txt", "--external-id", "k", "--on-conflict", "skip")[1] == first
    (tmp_path / "a.txt").write_text("second")
    assert command("add", "a.txt", "--external-id", "k", "--on-conflict", "error")[0] == 1
    assert command("add", "a.txt", "--external-id", "k", "--on-conflict", "replace")[1] == first
    assert command("cat", first.strip())[1] == "second"
    assert command("add", "a.txt", "a.txt", "--id", "x")[0] == 2
    assert command("add", "a.txt", "--on-conflict", "skip")[0] == 2


def test_the_forms_of_a_listing(command: Run, papers: Path) -> None:
    """Each holds the same documents; fields by their paths, metadata without the word."""
    asked = ("find", "--sort", "number")
    array = json.loads(command(*asked, "--json")[1])
    lines = [json.loads(line) for line in command(*asked, "--jsonl")[1].splitlines()]
    assert array == lines
    ids = [one["id"] for one in array]
    assert (
        command(*asked, "--ids")[1].split()
        == command(*asked, "--all", "--ids", "-0")[1].split("\0")[:-1]
        == ids
    )
    fields = ("--fields", "filename,source.path,size")
    rows = list(csv.reader(io.StringIO(command(*asked, *fields, "--csv")[1])))
    assert rows[0] == ["filename", "metadata.source.path", "size"]
    assert ["plan.txt", "plan.txt", "21"] in rows
    assert command(*asked, *fields, "--tsv")[1].splitlines()[0] == "filename\tmetadata.source.path\tsize"
    assert json.loads(command(*asked, *fields, "--jsonl")[1].splitlines()[0]).keys() == set(rows[0])
    assert command("find", "size>10", "--count")[1] == command("count", "size>10")[1] == "2\n"


def test_values_are_counted(command: Run, papers: Path) -> None:
    """By one field, or by several."""
    assert json.loads(command("count", "--by", "file_type", "--json")[1]) == [
        ["excel", 1], ["image", 1], ["text", 1],
    ]  # fmt: skip
    found = json.loads(command("facets", "status", "source.folder", "--where", "size>10", "--json")[1])
    assert found == {"status": [["completed", 2]], "source.folder": [["", 1], ["2026", 1]]}
    assert "2026" in command("facets", "source.folder")[1]


def test_terms_are_read_from_standard_input(
    command: Run, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As JSON, among others."""
    monkeypatch.setattr("sys.stdin", io.StringIO('{"size": {"$gt": 10}}'))
    assert command("count", "-", "file_type=text")[1] == "1\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8"))
    status, _, err = command("count", "-")
    assert (status, "'-': expected a JSON object in UTF-8 on standard input" in err) == (2, True)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\\b\\c.txt", "c.txt"),
        ("..", "document"),
        ("", "document"),
        ("-rf", "rf"),
        ("--rm", "rm"),
        (" .-.x", "x"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("console", "console"),
        ("a\x00b\n.txt", "a_b_.txt"),
        ("\u202etxt.exe", "_txt.exe"),
        ("a:b?.txt", "a_b_.txt"),
        ("x" * 300 + ".pdf", "x" * 236 + ".pdf"),
    ],
)
def test_a_name_is_made_safe(name: str, safe: str) -> None:
    """Its last part, without what a file may not be called somewhere, no longer than a name may be."""
    assert safe_name(name) == safe


def test_a_path_names_its_document_whatever_its_bytes(command: Run, papers: Path) -> None:
    """One that is no UTF-8 and one that is too long for a key are written as the folder has them."""
    raw = os.fsdecode(b"odd\xff.txt")
    (papers / raw).write_bytes(b"odd")
    deep = papers.joinpath(*["d" * 200] * 4)
    deep.mkdir(parents=True)
    (deep / "a.txt").write_bytes(b"deep")
    assert command("index", "papers")[0] == 0
    assert command("cat", f"papers/{raw}") == (0, "odd", "")
    assert command("cat", raw)[1] == "odd"
    assert command("cat", f"papers/{'/'.join(['d' * 200] * 4)}/a.txt") == (0, "deep", "")
    folder = Path(os.fsdecode(b"root\xff"))
    folder.mkdir()
    (folder / "y.txt").write_text("y")
    (folder / raw).write_text("raw")
    assert command("index", str(folder))[0] == 0
    assert command("cat", f"{folder}/y.txt")[1] == "y"
    assert command("cat", f"{folder}/{raw}")[1] == "raw"
    assert command("add", f"papers/{raw}")[0] == 0
    status, _, err = command("cat", f"papers/no{raw}")
    assert (status, "there is no document" in err) == (1, True)


def test_get_of_several_goes_on_behind_a_damaged_one(command: Run, papers: Path, tmp_path: Path) -> None:
    """It is named, the others are there, and the exit status is 1."""
    objects = [path for path in (tmp_path / "docstore-files").rglob("*") if path.is_file()]
    (bill,) = [path for path in objects if path.read_bytes().startswith(b"item")]
    bill.unlink()
    status, out, err = command("get", "papers/2026/bill.csv", "papers/plan.txt", "-o", "out/")
    assert (status, out) == (1, "out/plan.txt\n")
    assert err.startswith("docstore: papers/2026/bill.csv: the object ")


def test_a_backup_is_copied_and_compared_by_its_folder(command: Run, papers: Path, tmp_path: Path) -> None:
    """With the bytes that are in it, wherever the command runs."""
    assert command("backup", "saved/monday")[0] == 0
    shutil.move("saved", "else")
    shutil.move("docstore-files", "away")
    assert command("copy", "else/monday", "new.db", "--target-blobs", "new-files")[0] == 0
    for pair in (("else/monday", "new.db"), ("new.db", "else/monday")):
        places = ("--blobs", "new-files") if pair[0] == "new.db" else ("--other-blobs", "new-files")
        assert command("diff", *pair, *places, "--level", "hash")[0] == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"\xff\xfea\x00", "no UTF-8 text (invalid start byte): save it as UTF-8 first"),
        ("a.json", b'[{"a": 1}]', "a JSON array: write an object a line, such as by jq -c '.[]'"),
    ],
)
def test_what_cannot_be_imported_is_told(
    command: Run, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    """In a line; nothing is added."""
    (tmp_path / name).write_bytes(content)
    status, out, err = command("import", name)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert command("count")[1] == "0\n"


def test_a_long_value_of_csv_is_imported(command: Run, tmp_path: Path) -> None:
    """Contents are longer than the 131,072 characters that Python's csv takes by itself."""
    (tmp_path / "long.csv").write_text(f"filename,content\na.txt,{'x' * 200_000}\n")
    assert command("import", "long.csv")[1] == "1 added; 0 replaced; 0 unchanged\n"
    assert len(command("text", "a.txt")[1]) == 200_001
    assert csv.field_size_limit() == 131_072


@pytest.mark.parametrize("form", ["--csv", "--tsv", "--jsonl", "--json", "--table"])
def test_no_form_steers_a_terminal(command: Run, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal names come as escapes, within JSON as JSON's; in a pipe they are exact."""
    name = "a\x1b[2J\x9b\u202e\u00e9.txt"
    with docstore.open("sqlite:///docstore.db") as store:
        store.documents.add(filename=name, id="x\x1by")
    exact = command("find", form, "--fields", "filename,id")[1]
    if form != "--table":
        assert (json.dumps(name, ensure_ascii=False)[1:-1] if "json" in form else name) in exact
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    told = command("find", form, "--fields", "filename,id")[1]
    assert not any(part in told for part in ("\x1b[2J", "\x9b", "\u202e"))
    assert "\u00e9" in told
    assert command("find", "--ids")[1] == "x\\x1by\n"
    if form == "--jsonl":
        assert json.loads(told)["filename"] == name


def test_no_is_an_answer(command: Run, papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`rm --where` asks on a terminal; then nothing is removed, and the exit status is 1."""
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    status, out, err = command("rm", "--where", "file_type=text")
    assert (status, out) == (1, "")
    assert "Remove 1 document? [y/N]" in err
    assert err.endswith("nothing was removed\n")
    assert command("count")[1] == "3\n"


@pytest.mark.parametrize("name", ["a?b.db", "a#b.db", "a%20b.db", "a b.db", "xy:z.db", "-d.db", "q'.db"])
def test_a_store_is_any_file(command: Run, papers: Path, tmp_path: Path, name: str) -> None:
    """Its path is no URL, whatever characters are in it."""
    place = ("--store", name, "--blobs", f"bytes {name}")
    assert command("index", "papers", *place)[0] == 0
    assert (tmp_path / name).is_file()
    assert command("cat", "papers/plan.txt", *place)[1] == "a plan for the spring"
    assert command("check", *place)[0] == 0


def test_add_takes_files_first(command: Run, tmp_path: Path) -> None:
    """Also one whose name could be a URL; a URL that nothing reads is refused in a line."""
    (tmp_path / "a::b.txt").write_text("colons")
    assert command("add", "a::b.txt")[0] == 0
    assert command("cat", "a::b.txt")[1] == "colons"
    status, out, err = command("add", "zzz://name:secret@host/x")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "source zzz://host/x: Protocol not known: zzz; expected a path or an fsspec URL" in err


def test_an_export_replaces_no_pipe_and_no_link(command: Run, papers: Path, tmp_path: Path) -> None:
    """A pipe is written to, and a link leads to the file that is replaced."""
    os.mkfifo("pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_bytes()))
    reader.start()
    assert command("export", "pipe", "--no-bytes")[0] == 0
    reader.join(30)
    assert read[0].count(b"\n") == 5
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    ours, its = os.pipe()
    with open(ours, "rb") as end:
        status = command("export", f"/dev/fd/{its}", "--no-bytes")[0]
        os.close(its)
        assert (status, end.read()) == (0, read[0])
    Path("real.jsonl").write_text("old")
    os.symlink("real.jsonl", "link.jsonl")
    assert command("export", "link.jsonl", "--no-bytes")[0] == 0
    assert os.path.islink("link.jsonl")
    assert Path("real.jsonl").read_bytes() == read[0]


def test_streams_that_are_closed_or_narrow(
    command: Run, papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output that nobody wants is dropped; what an encoding has no character for is written as an escape."""
    with docstore.open("sqlite:///docstore.db") as store:
        store.documents.add(filename="\u00e9\u65e5.txt")
    for encoding, name in (("ascii", "\\xe9\\u65e5.txt"), ("latin-1", "\u00e9\\u65e5.txt")):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr("sys.stdout", out)
        prepare_streams()
        for form in ("--table", "--csv", "--tsv"):
            assert main(["find", form, "--fields", "filename", "--limit", "1"]) == 0
        out.seek(0)
        assert out.read().splitlines()[1::2] == [name] * 3
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}", None)
    prepare_streams()
    assert main(["find"]) == main(["add", "-"]) == 0
    for closed in (sys.stdin, sys.stdout, sys.stderr):
        closed.close()


def test_places_that_are_none(command: Run, papers: Path) -> None:
    """What is to be read or written is looked at first: nothing is added, and the line says what to write."""
    for arguments, said in (
        (("add", "papers/plan.txt", "nowhere"), "there is no file 'nowhere'"),
        (("add", "papers/plan.txt", "papers"), "'papers' is a folder: put it in by docstore index papers"),
        (("get", "papers/plan.txt", "-o", "none/x"), "-o 'none/x': there is no such folder"),
        (("get", "papers/plan.txt", "-o", ""), "-o '': there is no such folder"),
    ):
        status, out, err = command(*arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert said in err
    assert command("count")[1] == "3\n"
    ours, its = os.pipe()
    with open(ours, "rb") as end:
        status = command("get", "papers/plan.txt", "-o", f"/dev/fd/{its}")[0]
        os.close(its)
        assert (status, end.read()) == (0, b"a plan for the spring")


def test_tags_that_are_none(command: Run, papers: Path) -> None:
    """A sign alone is no tag, and a text in their place is shown whole."""
    status, _, err = command("tag", "papers/plan.txt", "+")
    assert (status, "'+' has no tag: write +TAG to add one, -TAG to remove one" in err) == (2, True)
    assert command("set", "papers/plan.txt", "tags=urgent")[0] == 0
    assert command("tag", "papers/plan.txt") == (0, "urgent\n", "")


def test_an_export_into_a_folder_is_refused_at_once(command: Run, papers: Path) -> None:
    """Before anything is read."""
    status, _, err = command("export", "papers/")
    assert (status, "papers/ is a folder: name a file, such as papers/export.jsonl" in err) == (2, True)


def test_a_short_beginning_is_too_short_to_remove_by(command: Run, papers: Path) -> None:
    """And the error says how long one has to be."""
    start = command("find", "--ids", "--limit", "1")[1][:5]
    status, _, err = command("rm", start)
    assert status == 1
    assert "the beginning of an id needs 6 characters here" in err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--blobs", "zzz://a", "--blobs: no fsspec filesystem is known for zzz://"),
        ("--blobs", "", "this store was opened without bytes: say where they are, --blobs FOLDER"),
        ("--store", "no store.db", "docstore index FOLDER --store 'no store.db'"),
        ("--store", "sqlite:no.db", "--store 'sqlite:no.db': write the file's path alone, or sqlite:///FILE"),
        ("--store", "postgresql:x", "expected a SQLite file's path or postgresql://HOST:PORT/NAME"),
        ("--store", "postgresql://h:x/db", "expected a SQLite file's path or postgresql://HOST:PORT/NAME"),
        ("--store", "sqlite://no.db", "write the file's path alone, or sqlite:///FILE"),
        ("--blobs", "odd\udcff", "is no UTF-8, and the database keeps it: name another folder"),
    ],
)
def test_a_wrong_place_is_told_in_the_commands_words(
    command: Run, papers: Path, option: str, value: str, said: str
) -> None:
    """One line that says what to write."""
    status, out, err = command("cat", "papers/plan.txt", option, value)
    assert (status > 0, out, err.count("\n")) == (True, "", 1)
    assert said in err


@pytest.mark.parametrize(
    ("slip", "proposed"),
    [("fnd", "find"), ("exprt", "export"), ("eras", None), ("rn", None), ("collct", None), ("repare", None)],
)
def test_a_slip_is_told_what_is_near(command: Run, slip: str, proposed: str | None) -> None:
    """But never a command that removes."""
    status, out, err = command(slip)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert (f"did you mean {proposed!r}?" in err) == (proposed is not None)
    assert "did you mean" not in err or proposed is not None


@pytest.mark.parametrize("extra", ["serve", "mcp"])
def test_a_missing_extra_says_how_to_get_it(
    command: Run, papers: Path, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, with the command to write."""
    monkeypatch.setitem(sys.modules, {"serve": "jinja2", "mcp": "mcp"}[extra], None)
    status, out, err = command(extra)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f'pip install "embedded-docstore[{extra}]"' in err


@pytest.mark.parametrize("name", ["partition", "distribute"])
def test_what_is_for_postgres_says_so(command: Run, papers: Path, name: str) -> None:
    """In one line, with what brings a store there."""
    status, out, err = command(name)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "docstore copy" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(command: Run, shell: str) -> None:
    """Each calls the command back."""
    status, out, _ = command("completion", shell)
    assert (status, "_DOCSTORE_COMPLETE" in out) == (0, True)


def test_what_removes_is_not_completed() -> None:
    """Before it was typed whole."""
    from docstore.cli.app import app

    with app.make_context("docstore", ["find"]) as context:
        found = {item.value for item in app.shell_complete(context, "re")}
        assert found >= {"retry", "review"}
        assert "repair" not in found
        assert [item.value for item in app.shell_complete(context, "repair")] == ["repair"]


def test_python_m_docstore(tmp_path: Path) -> None:
    """Is the command, too."""
    asked = [sys.executable, "-m", "docstore", "--version"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == f"docstore, version {docstore.__version__}\n"


def test_help_imports_next_to_nothing() -> None:
    """No library but click, and of docstore nothing but the command: a tenth of a second of CPU."""
    code = "import sys; from docstore.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "click" in loaded
    assert loaded.isdisjoint({"sqlalchemy", "pydantic", "rich", "fsspec", "psycopg"})
    assert {name for name in done.stderr.split() if name.startswith("docstore.")} == {
        "docstore.cli", "docstore.cli.app",
    }  # fmt: skip


def test_count_imports_no_more_than_it_needs(papers: Path, tmp_path: Path) -> None:
    """Neither what draws tables nor what reads files."""
    code = "import sys; from docstore.cli import main; main(['count']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "3\n"
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded.isdisjoint({"rich", "psycopg", "pypdf", "chardet"})
    assert "docstore.extract" not in done.stderr.split()


def test_the_command_alone_and_help_show_help(command: Run) -> None:
    """`docstore`, `docstore help` and `docstore help find` print the pages of --help."""
    assert command() == command("help") == command("--help")
    assert command("help", "find") == command("find", "--help")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--store", "x.db", "find"], "Write it behind the command"),
        (["index", ""], "there is no file or folder ''"),
        (["index", "pipe"], "neither a folder nor a file"),
        (["index", "papers", "-m", "vendor"], "expected KEY=VALUE"),
        (["index", "papers", "-m", "=x"], "expected KEY=VALUE"),
        (["index", "papers", "-m", "a.=x"], "expected KEY=VALUE"),
        (["count", "--store", ""], "the store has no name"),
        (["find", "-0"], "write --ids -0"),
        (["find", "--all", "--page", "2"], "leave --page"),
        (["find", "--fields", " , "], "--fields is empty"),
        (["work", "--extrct"], "No such option '--extrct'"),
        (["upgrade", "--store", "none.db"], "name another by --store"),
    ],
)
def test_a_stumble_is_told_what_to_write(
    command: Run, papers: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    """In one line, and nothing is done."""
    os.mkfifo(tmp_path / "pipe")
    before = command("status", "--json")
    status, out, err = command(*arguments)
    assert (status in (1, 2), out, err.count("\n")) == (True, "", 1)
    assert said in err
    assert command("status", "--json") == before


def test_snippets_are_a_field_of_a_listing(command: Run, papers: Path) -> None:
    """Of one page or of all; metadata of that name have their path."""
    for everything in ([], ["--all"]):
        asked = ("find", "--search", "spring", "--fields", "filename,snippet", "--jsonl", *everything)
        found = json.loads(command(*asked)[1])
        assert found == {"filename": "plan.txt", "snippet": "a plan for the spring"}


def test_a_store_named_by_the_folder_that_is_indexed(command: Run, papers: Path) -> None:
    """Is not put into itself, nor are its bytes."""
    for _ in range(2):
        assert command("index", "papers", "--store", "papers")[0] == 0
    assert command("count", "--store", "papers")[1] == "3\n"

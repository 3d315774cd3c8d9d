"""The child process: bounds of CPU time, memory and output, its replacement, and what the parent keeps."""

from __future__ import annotations

import io
import os
import pickle
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from made_files import W, docx, drawn, p, pdf, r

from docstore.errors import DocstoreError
from docstore.extract import (
    Extracted,
    ExtractionError,
    ExtractLimits,
    Registry,
    Source,
    builtin,
    extract,
    extraction,
)

SAMPLES = Path(__file__).parents[2] / "examples" / "samples"


def spin(source: Source) -> str:
    """Never end, in Python."""
    while True:
        pass


def first_then_spin(source: Source):  # type: ignore[no-untyped-def]
    """Yield a piece, then never end, in C, without a look at signals."""
    yield "first piece\n"
    sum(range(10**12))


def hoard(source: Source):  # type: ignore[no-untyped-def]
    """Yield a piece, then take all memory."""
    yield "first piece\n"
    held = []
    while True:
        held.append(bytearray(1 << 24))


def crash(source: Source):  # type: ignore[no-untyped-def]
    """Yield a piece, then fall."""
    yield "first piece\n"
    os.abort()


def stop(source: Source) -> str:
    """Fall at once."""
    os._exit(3)


def repeat(source: Source):  # type: ignore[no-untyped-def]
    """Yield for ever."""
    while True:
        yield "abc" * 1000


def where(source: Source) -> str:
    """Say which process this is."""
    return f"{os.getpid()} {source.filename}"


def broken(source: Source) -> str:
    """Raise what no extractor should."""
    raise LookupError("deep\ninside")


def reading(extractor: object, limits: ExtractLimits | None = None, **options: object) -> Extracted:
    """Read a file by an extractor of one's own."""
    registry = builtin()
    registry.register("application/x-own", extractor)  # type: ignore[arg-type]
    return extract(
        b"x", filename="a", content_type="application/x-own", registry=registry, limits=limits, **options
    )  # type: ignore[arg-type]


def own(name: str) -> object:
    """Return an extractor of this module under a name that a child can import it by."""
    return getattr(sys.modules[__name__], name)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest's importlib mode names this module so that no other process could find it."""
    folder = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(sys.modules, "test_process", sys.modules[__name__])
    for name in ("spin", "first_then_spin", "hoard", "crash", "stop", "repeat", "where", "broken"):
        monkeypatch.setattr(own(name), "__module__", "test_process")
    extraction.close_idle()


def test_a_file_is_read_in_another_process_that_is_used_again() -> None:
    """One process for many files."""
    pids = {reading(own("where")).text.split()[0] for _ in range(5)}
    assert 1 == len(pids)
    assert str(os.getpid()) not in pids


def test_an_extractor_that_cannot_be_sent_runs_here() -> None:
    """A function within a function, or a bound method."""
    assert f"{os.getpid()} a" == reading(lambda source: where(source)).text
    assert f"{os.getpid()} a" == reading(own("where"), in_process=True).text


@pytest.mark.parametrize("extractor", ["spin", "stop"])
def test_an_end_without_text_is_an_error(extractor: str) -> None:
    """Nothing was read, and the reason says why; the next file is read all the same."""
    with pytest.raises(ExtractionError, match=r"time was up|exit status 3"):
        reading(own(extractor), ExtractLimits(seconds=0.3))
    assert "words" == extract(b"words", filename="a.txt").text


@pytest.mark.parametrize(
    ("extractor", "seconds", "note"),
    [
        ("first_then_spin", 0.5, "cut where its time was up"),
        ("hoard", 20, "memory"),
        ("crash", 20, "SIGABRT"),
    ],
)
def test_what_was_read_before_is_kept(extractor: str, seconds: float, note: str) -> None:
    """Time that is up within a library, memory that is full, a fault: the pieces before stay, partial."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    made = reading(own(extractor), ExtractLimits(seconds=seconds, memory=1 << 28))
    extraction.close_idle()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ("first piece\n", "partial") == (made.text, made.state)
    assert note in (made.note or "")
    assert ended.ru_utime - began.ru_utime < 4
    assert ended.ru_maxrss < 1 << 20
    assert "words" == extract(b"words", filename="a.txt").text


def test_characters_are_bounded() -> None:
    """An endless extractor is cut at the bound, and says so; every format is."""
    made = reading(own("repeat"), ExtractLimits(characters=10_000))
    assert ("abc" * 3333 + "a", "partial", "cut at 10,000 characters") == (made.text, made.state, made.note)
    for name in ("report.pdf", "minutes.docx", "crossings.xlsx", "radar.pptx", "timetable.html", "fares.csv"):
        whole = extract(SAMPLES / name).text
        made = extract(SAMPLES / name, limits=ExtractLimits(characters=9))
        assert (whole[:9], "partial", "cut at 9 characters") == (made.text, made.state, made.note)


def test_the_clock_on_the_wall_is_no_bound() -> None:
    """A process that waits, or is kept waiting, has the same text: CPU seconds count."""
    results = []

    def work() -> None:
        results.append(extract(found, filename="a.csv", limits=ExtractLimits(seconds=30)))

    found = b"a,b,c\n" * 20_000
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 6 == len(results)
    assert {"complete"} == {made.state for made in results}
    assert 1 == len({made.text for made in results})


def test_a_child_that_died_idle_is_replaced() -> None:
    """The next file is read by another one."""
    extract(b"words", filename="a.txt")
    for child in extraction._idle:
        child.process.kill()
        child.process.wait()
    assert "words" == extract(b"words", filename="a.txt").text


def test_a_fork_has_children_of_its_own() -> None:
    """The parent's children are not shared, and go on."""
    extract(b"words", filename="a.txt")
    pid = os.fork()
    if pid == 0:
        good = extract(b"forked", filename="a.txt").text == "forked"
        extraction.close_idle()
        os._exit(0 if good else 1)
    assert (pid, 0) == os.waitpid(pid, 0)
    assert "words" == extract(b"words", filename="a.txt").text


def test_the_end_of_the_parent_ends_its_children() -> None:
    """However it ends: the child's socket is closed then."""
    program = (
        "import os\nfrom docstore.extract import extract, extraction\nextract(b'x', filename='a.txt')\n"
        "print(extraction._idle[0].process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pid = int(ran.stdout)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and Path(f"/proc/{pid}").exists():
        if "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]:
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("x.txt", "some words in a line of a long text \u20ac\n"),
        ("x.csv", '1,"name, more",2024-01-01,some text,,\n'),
        ("x.jsonl", '{"id": 1, "tags": ["a", {"b": [1.5, null]}]}\n'),
        ("x.html", "<div class=x><p>words &amp; <b>bold</b></p></div>\n"),
    ],
)
def test_memory_does_not_grow_with_the_file(name: str, unit: str, tmp_path: Path) -> None:
    """A file of 2.5 MiB takes the child little more than one of a quarter of a MiB that it read before."""

    def peak(size: int) -> int:
        path = tmp_path / f"{size}{name}"
        path.write_text(unit * (size // len(unit)), encoding="utf-8")
        assert "complete" == extract(path).state
        status = Path(f"/proc/{extraction._idle[0].process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])

    few = peak(1 << 18)
    assert peak(5 << 19) - few < 3 << 10


HOSTILE = {
    "paragraphs.docx": lambda: docx("<w:p/>" * 3_500_000),
    "spans.docx": lambda: docx(
        "<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val='2000000000'/></w:tcPr>"
        + p(r("x"))
        + "</w:tc></w:tr></w:tbl>"
    ),
    "deep.docx": lambda: docx("<w:sdt>" * 200_000),
    "forms.pdf": lambda: pdf(
        b"/X Do",
        page="",
        objects=(
            b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >> /Length 12 >>\n"
            b"stream\n/X Do /X Do \nendstream",
        ),
    ),
    "words.pdf": lambda: pdf(b"BT /F1 12 Tf 20 700 Td " + b"(word) Tj " * 1_500_000 + b"ET", drawn("second")),
    "deep.json": lambda: b"[" * 5_000_000,
    "deep.html": lambda: b"<div><p>" * 500_000,
    "deep.xml": lambda: b"<a>" * 1_000_000,
    "deep.rtf": lambda: b"{\\rtf1" + b"{" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_within_their_bounds(name: str) -> None:
    """The parent's memory does not move, and the run goes on."""
    found = HOSTILE[name]()
    extract(b"words", filename="a.txt")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    limits = ExtractLimits(seconds=0.25, memory=1 << 29)
    try:
        made = extract(found, filename=name, limits=limits)
        assert made.state in ("partial", "none", "complete")
    except ExtractionError as error:
        assert error.message  # noqa: PT017 - either way is right
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert "words" == extract(b"words", filename="a.txt").text


def test_a_source_is_a_path_bytes_or_a_stream() -> None:
    """The caller's stream stays open and is read from its beginning."""
    name = SAMPLES / "timetable.html"
    whole = extract(name)
    assert "Winter timetable" in whole.text
    assert whole == extract(str(name)) == extract(name.read_bytes(), filename="x.html")
    with name.open("rb") as stream:
        stream.read(100)
        assert whole == extract(stream, filename="x.html")
        assert not stream.closed
    assert whole == extract(io.BytesIO(name.read_bytes()), filename="x.html")
    assert whole == extract(name, in_process=True)


def test_an_unreadable_path_is_an_error(tmp_path: Path) -> None:
    """With the system's reason."""
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(ExtractionError, match="cannot read the file"):
            extract(path)


def test_the_callers_exception_is_no_reason_of_the_file() -> None:
    """What a stream raises arrives unchanged."""

    class Bad(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        extract(Bad(b"x"), filename="a.txt")


@pytest.mark.parametrize("in_process", [True, False])
def test_any_exception_of_an_extractor_becomes_a_reason(in_process: bool) -> None:
    """In one line that names the exception."""
    with pytest.raises(ExtractionError, match=r"LookupError: deep inside") as caught:
        reading(own("broken"), in_process=in_process)
    assert "\n" not in caught.value.message


def test_a_registered_extractor_takes_the_place_of_a_built_in_one() -> None:
    """A whole type goes before its suffix and its family; a name that is no type is refused."""
    registry = Registry()
    for name in ("text/html", "text/*", "*+json", "Application/Own"):
        registry.register(name, lambda source, name=name: name)  # type: ignore[misc]
    found = {
        name: registry.find(name)
        for name in ("text/html", "text/x", "application/a+json", "application/own; q=1", "a/b")
    }
    assert ["text/html", "text/*", "*+json", "Application/Own", None] == [
        one and one(None)
        for one in found.values()  # type: ignore[arg-type]
    ]
    for name in ("", "pdf", "+json"):
        with pytest.raises(ValueError, match="expected a MIME type"):
            registry.register(name, where)
    mine = builtin()
    mine.register("application/pdf", lambda source: f"own {source.filename}")
    assert "own a.pdf" == extract(b"%PDF-1.4", filename="a.pdf", registry=mine).text


@pytest.mark.parametrize("name", ["seconds", "memory", "characters", "unpacked"])
def test_bounds_are_above_zero(name: str) -> None:
    """Zero and less are mistakes."""
    for value in (0, -1):
        with pytest.raises(ValueError, match=name):
            ExtractLimits(**{name: value})


def test_the_error_is_docstores_own_and_picklable() -> None:
    """As every error of the tree."""
    error = pickle.loads(pickle.dumps(ExtractionError("why")))
    assert isinstance(error, DocstoreError)
    assert error.message == "why"
    assert W.startswith("http")

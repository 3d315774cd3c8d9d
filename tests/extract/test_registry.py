"""Which extractor reads what, and what becomes of its errors."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from docstore.errors import DocstoreError
from docstore.extract import ExtractionError, ExtractLimits, Registry, Source, builtin, extract


def test_a_whole_type_goes_before_its_family_and_its_suffix() -> None:
    """`text/html`, then `text/*`, then `*+json`; parameters and case do not count."""
    registry = Registry()
    for name in ("text/html", "text/*", "*+json"):
        registry.register(name, lambda _, name=name: name)
    found = {
        kind: extract(b"", content_type=kind, registry=registry)
        for kind in ("Text/HTML; charset=x", "text/plain", "text/x+json", "application/x+json")
    }
    assert list(found.values()) == ["text/html", "text/*", "text/*", "*+json"]


def test_a_registered_extractor_takes_the_place_of_a_built_in_one() -> None:
    """A registry can be changed without changing any other."""
    mine = builtin()
    mine.register("application/pdf", lambda source: f"own {source.filename}")
    assert extract(b"", filename="a.pdf", registry=mine) == "own a.pdf"
    with pytest.raises(ExtractionError, match="empty"):
        extract(b"", filename="a.pdf")


@pytest.mark.parametrize("name", ["", "pdf", "*"])
def test_a_name_that_is_no_content_type_is_refused(name: str) -> None:
    """Registering a suffix or nothing says what is expected."""
    with pytest.raises(ValueError, match="expected a MIME type"):
        Registry().register(name, lambda _: "")


@pytest.mark.parametrize("name", ["a.png", "a.zip", "a.exe", "a.doc", "a.mp3"])
def test_a_type_without_extractor_gives_a_reason(name: str) -> None:
    """What cannot be read says which content type has no extractor."""
    with pytest.raises(ExtractionError, match="no extractor for "):
        extract(b"x", filename=name)


def test_a_name_that_says_nothing_is_tried_as_text() -> None:
    """A file without a known suffix is text if its bytes are."""
    assert extract(b"words", filename="unknown") == "words"
    with pytest.raises(ExtractionError, match="binary"):
        extract(b"\0\1\2\3", filename="unknown")


@pytest.mark.parametrize("error", [RuntimeError("no\nway"), KeyError("x"), RecursionError(), MemoryError()])
def test_any_exception_of_an_extractor_becomes_a_reason(error: Exception) -> None:
    """A library's own exception arrives as ExtractionError of one line, with the cause kept."""

    def broken(_: Source) -> Iterator[str]:
        yield "some"
        raise error

    registry = Registry({"text/*": broken})
    with pytest.raises(ExtractionError, match=type(error).__name__) as caught:
        extract(b"", filename="a.txt", registry=registry)
    assert caught.value.__cause__ is error
    assert "\n" not in caught.value.message


def test_an_unreadable_path_becomes_a_reason(tmp_path: Path) -> None:
    """A missing file and a folder are reasons, as any other."""
    with pytest.raises(ExtractionError, match="No such file"):
        extract(tmp_path / "none.txt")
    with pytest.raises(ExtractionError, match="Is a directory"):
        extract(tmp_path, content_type="text/plain")


def test_the_callers_stream_stays_open_and_is_read_from_its_beginning() -> None:
    """A stream may stand anywhere and is not closed."""
    with (Path(__file__)).open("rb") as stream:
        stream.seek(100, os.SEEK_SET)
        text = extract(stream, filename="a.py")
        assert not stream.closed
    assert text == Path(__file__).read_text(encoding="utf-8")


def test_an_endless_extractor_is_cut() -> None:
    """Pieces are asked for only until the characters are there."""

    def endless(_: Source) -> Iterator[str]:
        while True:
            yield "abc"

    registry = Registry({"text/*": endless})
    assert extract(b"", filename="a.txt", registry=registry, limits=ExtractLimits(characters=7)) == "abcabca"


@pytest.mark.parametrize("name", ["bytes", "characters", "unpacked", "members", "seconds"])
def test_bounds_are_above_zero(name: str) -> None:
    """A bound of 0 or below is refused by name."""
    with pytest.raises(ValueError, match=f"{name}=0: expected a number above 0"):
        ExtractLimits(**{name: 0})


def test_the_error_is_docstores_own_and_picklable() -> None:
    """One `except DocstoreError` catches it, and it crosses processes."""
    error = pickle.loads(pickle.dumps(ExtractionError("why")))
    assert isinstance(error, DocstoreError)
    assert error.message == "why"

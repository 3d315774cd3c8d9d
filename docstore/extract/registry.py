"""Which extractor reads which content type, and `extract`, the one way in.

Any exception of an extractor or a library below it leaves here as an `ExtractionError` with a reason,
so that one bad file never stops a run.
"""

from __future__ import annotations

import io
import os
import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from docstore.errors import shown
from docstore.extract.base import ExtractionError, ExtractLimits, Extractor, Source, joined
from docstore.extract.html import html_text
from docstore.extract.office import excel_text, powerpoint_text, word_text
from docstore.extract.pdf import pdf_text
from docstore.extract.text import csv_rows, json_rows, json_text, plain
from docstore.mediatype import content_type_of

__all__ = ["Registry", "builtin", "extract"]

_TEXT_APPLICATIONS = "yaml x-yaml toml xml javascript x-javascript x-sh sql graphql x-pem-file"
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Registry:
    """Extractors by content type.

    A name is a whole MIME type (`application/pdf`), a family (`text/*`) or a suffix (`*+json`); they
    are asked in this order.
    """

    extractors: dict[str, Extractor] = field(default_factory=dict)

    def register(self, content_type: str, extractor: Extractor) -> None:
        """Let an extractor read a content type; it takes the place of the one before it.

        Arguments:
            content_type: `application/pdf`, `text/*` or `*+json`; case does not count.
            extractor: called with one `Source`.

        Raises:
            ValueError: a content type without `/` or `+`.
        """
        if "/" not in content_type and not content_type.startswith("*+"):
            raise ValueError(
                f"content type {shown(content_type)}: expected a MIME type, 'text/*' or '*+json'"
            )
        self.extractors[content_type.lower()] = extractor

    def find(self, content_type: str) -> Extractor | None:
        """Return the extractor of a content type (parameters and case do not count), or None."""
        bare = _bare(content_type)
        names = (bare, f"{bare.partition('/')[0]}/*", f"*+{bare.rpartition('+')[2]}" if "+" in bare else "")
        return next((self.extractors[name] for name in names if name in self.extractors), None)


def builtin() -> Registry:
    """Build a registry of all extractors that come with docstore; change it as you like.

    PDF, Word, Excel and PowerPoint need the extra `extract`; without it their extractors raise an
    `ExtractionError` that names the command to install it.
    """
    ooxml = "application/vnd.openxmlformats-officedocument."
    extractors: dict[str, Extractor] = {
        "text/*": plain,
        "text/html": html_text,
        "application/xhtml+xml": html_text,
        "text/csv": csv_rows,
        "text/tab-separated-values": csv_rows,
        "application/json": json_text,
        "application/x-ndjson": json_rows,
        "application/pdf": pdf_text,
        "image/svg+xml": plain,
        "message/rfc822": plain,
        "application/mbox": plain,
        "*+json": json_text,
        "*+xml": plain,
        f"{ooxml}wordprocessingml.document": word_text,
        "application/vnd.ms-word.document.macroenabled.12": word_text,
        f"{ooxml}spreadsheetml.sheet": excel_text,
        f"{ooxml}spreadsheetml.template": excel_text,
        "application/vnd.ms-excel.sheet.macroenabled.12": excel_text,
        "application/vnd.ms-excel.template.macroenabled.12": excel_text,
        f"{ooxml}presentationml.presentation": powerpoint_text,
        f"{ooxml}presentationml.slideshow": powerpoint_text,
        "application/vnd.ms-powerpoint.presentation.macroenabled.12": powerpoint_text,
    }
    extractors |= {f"application/{name}": plain for name in _TEXT_APPLICATIONS.split()}
    return Registry(extractors)


_BUILTIN = builtin()


def extract(
    source: bytes | str | os.PathLike[str] | BinaryIO,
    *,
    filename: str | None = None,
    content_type: str | None = None,
    limits: ExtractLimits | None = None,
    registry: Registry | None = None,
) -> str:
    """Read the text of a file.

    Arguments:
        source: the bytes, a path, or a seekable binary file object (left open).
        filename: the name that says what it is; default: the path's own, else none.
        content_type: a MIME type; default: what `filename` stands for. A file whose name says
            nothing is tried as plain text.
        limits: bounds of bytes, characters and time; default `ExtractLimits()`.
        registry: the extractors to choose from; default the built-in ones.

    Returns:
        The text, at most `limits.characters` long, empty if the file holds none. Lone surrogates are
        replaced by U+FFFD; zero characters are left to the store.

    Raises:
        ExtractionError: the reason why there is no text: no extractor for this type, not readable,
            encrypted, damaged, too large, a library missing.

    >>> extract(b"<p>Hello <b>world</b></p>", filename="a.html").strip()
    'Hello world'
    """
    name = filename if filename is not None else _name(source)
    bare = _bare(content_type or content_type_of(name))
    reader = (registry or _BUILTIN).find(bare)
    if reader is None and bare == "application/octet-stream" and content_type_of(name) == bare:
        reader = plain
    if reader is None:
        raise ExtractionError(f"no extractor for {bare}")
    bounds = limits or ExtractLimits()
    try:
        with ExitStack() as stack:
            found = reader(Source(_stream(source, stack), name, bare, bounds))
            return _SURROGATES.sub("\ufffd", joined(found, bounds))
    except ExtractionError:
        raise
    except OSError as error:
        raise ExtractionError(f"cannot read the file: {error.strerror or error}") from error
    except Exception as error:  # a library's own: whatever it is, it is this file's reason
        raise ExtractionError(_reason(error, bare)) from error


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _name(source: object) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else ""


def _stream(source: bytes | str | os.PathLike[str] | BinaryIO, stack: ExitStack) -> BinaryIO:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source)
    if isinstance(source, (str, os.PathLike)):
        return stack.enter_context(Path(source).open("rb"))
    return source


def _reason(error: Exception, content_type: str) -> str:
    """Say in one line of at most 300 characters what a library found wrong."""
    said = " ".join(str(error).split())[:300]
    return f"cannot read as {content_type}; damaged or truncated? ({type(error).__name__}: {said})"

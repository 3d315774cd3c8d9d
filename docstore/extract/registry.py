"""The registry of extractors: one for each content type."""

from __future__ import annotations

from dataclasses import dataclass, field

from docstore.errors import shown
from docstore.extract.base import Extractor
from docstore.extract.cards import card_text
from docstore.extract.html import html_text
from docstore.extract.legacy import legacy_text
from docstore.extract.mail import mail_text, mailbox_text
from docstore.extract.markup import xml_text
from docstore.extract.notebook import notebook_text
from docstore.extract.ooxml import office_text
from docstore.extract.opendocument import epub_text, flat_text, opendocument_text
from docstore.extract.pdf import pdf_text
from docstore.extract.rtf import rtf_text
from docstore.extract.text import csv_rows, json_text, plain

__all__ = ["Registry", "bare_type", "builtin"]

_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
_READ: tuple[tuple[Extractor, str], ...] = (
    (plain, "text/*"),
    (html_text, "text/html application/xhtml+xml"),
    (csv_rows, "text/csv text/tab-separated-values"),
    (json_text, "application/json application/x-ndjson *+json"),
    (xml_text, "text/xml application/xml *+xml"),
    (card_text, "text/vcard text/calendar"),
    (notebook_text, "application/x-ipynb+json"),
    (mail_text, "message/rfc822"),
    (mailbox_text, "application/mbox"),
    (pdf_text, "application/pdf"),
    (rtf_text, "application/rtf"),
    (epub_text, "application/epub+zip"),
    (
        office_text,
        f"{_OOXML}wordprocessingml.document {_OOXML}wordprocessingml.template {_OOXML}spreadsheetml.sheet "
        f"{_OOXML}spreadsheetml.template {_OOXML}presentationml.presentation {_OOXML}presentationml.template "
        f"{_OOXML}presentationml.slideshow "
        "application/vnd.ms-word.document.macroenabled.12 application/vnd.ms-word.template.macroenabled.12 "
        "application/vnd.ms-excel.sheet.macroenabled.12 application/vnd.ms-excel.template.macroenabled.12 "
        "application/vnd.ms-excel.addin.macroenabled.12 "
        "application/vnd.ms-powerpoint.presentation.macroenabled.12 "
        "application/vnd.ms-powerpoint.slideshow.macroenabled.12 "
        "application/vnd.ms-powerpoint.template.macroenabled.12",
    ),
    (
        opendocument_text,
        " ".join(
            f"{_ODF}{kind}"
            for kind in [
                "text",
                "text-template",
                "text-master",
                "text-web",
                "spreadsheet",
                "spreadsheet-template",
                "presentation",
                "presentation-template",
                "graphics",
                "graphics-template",
                "chart",
                "formula",
            ]
        ),
    ),
    (flat_text, f"{_ODF}text-flat-xml {_ODF}spreadsheet-flat-xml {_ODF}presentation-flat-xml"),
    (
        legacy_text,
        "application/msword application/vnd.ms-excel application/vnd.ms-powerpoint "
        "application/vnd.ms-outlook application/vnd.ms-excel.sheet.binary.macroenabled.12",
    ),
    (
        plain,
        "application/yaml application/x-yaml application/toml application/javascript "
        "application/x-javascript application/x-sh application/sql application/graphql "
        "application/x-pem-file application/postscript application/xml-dtd",
    ),
)


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
            extractor: called with one `Source`. A function at the top of a module runs in the child process
                as the built-in ones do; any other runs in this process, unbounded.

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
        bare = bare_type(content_type)
        names = (bare, f"*+{bare.rpartition('+')[2]}" if "+" in bare else "", f"{bare.partition('/')[0]}/*")
        return next((self.extractors[name] for name in names if name in self.extractors), None)


def builtin() -> Registry:
    """Build a registry of all extractors that come with docstore; change it as you like.

    PDF and the old binary Office formats need the extra `extract`; without it their extractors raise an
    `ExtractionError` that names the command to install it.
    """
    return Registry({name: extractor for extractor, names in _READ for name in names.split()})


def bare_type(content_type: str) -> str:
    """Return a MIME type in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()

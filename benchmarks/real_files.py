"""How much of the text of real files is read: files of public packages, against a second reader of each kind.

The packages are fetched when this runs, by the ordinary clients of their registries; none of their files is kept
in this repository. `python -m benchmarks real_files [FOLDER [KIND …]]` leaves them in FOLDER, and fetches none that is there;
with kinds named it fetches none at all. `--few` fetches two packages of each registry, reads eight files of a kind, and fails if
one of the registries gave nothing or less than nine words in ten were read.
A word is three letters or more. Recall is the share of the second reader's words that are in the text, precision
the share of the text's words that the second reader has, both over all files of a kind.
"""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import re
import resource
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from docstore.extract import ExtractionError, extract, extraction

NPM = (
    "mammoth docx4js officeparser pdf-parse pdf2json pdf-lib read-excel-file textract word-extractor docxtemplater "
    "@kenjiuno/msgreader any-text epub html-to-text mailparser libmime"
)
PYPI = (
    "python-docx python-pptx openpyxl odfpy EbookLib nbconvert nbformat mail-parser xlrd pdfminer.six agate-excel csvkit "
    "frictionless tablib pikepdf"
)
DEBIAN = (
    "developers-reference-ja developers-reference-de debian-faq debian-faq-zh-cn maint-guide-ja maint-guide-zh-cn "
    "bash-doc debian-history debmake-doc gnuplot-doc harden-doc latex2html libreoffice-common docbook-xsl-doc-pdf "
    "debian-kernel-handbook debian-reference-common bash octave-doc debian-policy"
)
FEW = {"npm": "mammoth docxtemplater", "pypi": "openpyxl nbconvert", "debian": "bash-doc bash"}
MOST_FILES, FEW_FILES = 80, 8
WORD = re.compile(r"[^\W\d_]{3,}")


def fetch(folder: Path, *, few: bool = False) -> None:
    """Fetch the packages that are not there, and unpack them."""
    for registry, names, command in (
        ("npm", NPM, ["npm", "pack", "--silent"]),
        ("pypi", PYPI, [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]),
        ("debian", DEBIAN, ["apt-get", "download", "-qq"]),
    ):
        for name in (FEW[registry] if few else names).split():
            place = folder / registry / name.replace("/", "+")
            if place.exists():
                continue
            place.mkdir(parents=True)
            subprocess.run([*command, name], cwd=place, check=False, capture_output=True, timeout=300)
            for package in list(place.iterdir()):
                unpack(package, place)


def unpack(package: Path, place: Path) -> None:
    """Unpack one package beside it."""
    if package.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(package), str(place)], check=False)
    elif package.suffix == ".zip":
        zipfile.ZipFile(package).extractall(place)
    else:
        with tarfile.open(package) as archive:
            archive.extractall(place, filter="data")
    package.unlink()


W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
UNSEEN = {
    f"{W}del",
    f"{W}moveFrom",
    f"{W}rt",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}


def word(path: Path) -> str:
    """Read the paragraphs of all parts that are seen by lxml."""
    from lxml import etree

    made = []
    with zipfile.ZipFile(path) as package:
        for name in package.namelist():
            if re.fullmatch(r"word/(document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml", name):
                tree = etree.fromstring(package.read(name))
                for node in [node for node in tree.iter() if node.tag in UNSEEN]:
                    node.clear()
                for _, node in etree.iterwalk(tree, events=("end",)):
                    made.append(node.text or "" if node.tag == f"{W}t" else "")
                    made.append("\n" if node.tag in (f"{W}p", f"{W}tab", f"{W}br") else "")
    return "".join(made)


def excel(path: Path) -> str:
    """Read the sheets' names, cached values, comments and headings by openpyxl, charts and drawings by lxml."""
    import openpyxl

    book = openpyxl.load_workbook(path, data_only=True)
    made: list[str] = []
    for sheet in book.worksheets:
        made.append(sheet.title)
        for row in sheet.iter_rows():
            made += (cell.comment.text for cell in row if cell.comment is not None)
            made += (
                str(cell.value).upper() if isinstance(cell.value, bool) else str(cell.value)
                for cell in row
                if isinstance(cell.value, str | bool | dt.date)
            )
        for heading in (sheet.oddHeader, sheet.oddFooter):
            made += (part.text for part in (heading.left, heading.center, heading.right) if part.text)
    return "\n".join([*made, *drawn(path, r"xl/(charts/chart|drawings/drawing)\d+\.xml")])


def drawn(path: Path, parts: str) -> Iterator[str]:
    """Read the paragraphs and cached values of charts, drawings and SmartArt by lxml."""
    from lxml import etree

    with zipfile.ZipFile(path) as package:
        for name in package.namelist():
            if not re.fullmatch(parts, name):
                continue
            for node in etree.fromstring(package.read(name)).iter("{*}p", "{*}v"):
                texts = [node.text or ""] if node.tag.endswith("}v") else node.itertext("{*}t")
                yield "".join(text or "" for text in texts)


def powerpoint(path: Path) -> str:
    """Read shapes, tables and notes by python-pptx, charts and SmartArt by lxml."""
    import pptx

    def shapes(found: Any) -> Iterator[str]:
        for shape in found:
            if shape.shape_type == 6:
                yield from shapes(shape.shapes)
            if shape.has_text_frame:
                yield shape.text_frame.text
            if getattr(shape, "has_table", False) and shape.has_table:
                yield from (cell.text for row in shape.table.rows for cell in row.cells)

    made = []
    for slide in pptx.Presentation(str(path)).slides:
        made += shapes(slide.shapes)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            made.append(slide.notes_slide.notes_text_frame.text)
    made += drawn(path, r"ppt/(charts/chart|diagrams/data)\d+\.xml")
    return "\n".join(made).replace("\v", "\n")


def pdf(path: Path) -> str:
    """Read the pages by Poppler."""
    ran = subprocess.run(["pdftotext", "-q", str(path), "-"], capture_output=True, check=False)
    if ran.returncode:
        raise ValueError("pdftotext cannot read it")
    text = ran.stdout.decode("utf-8", "replace")
    return re.sub(r"(?<=[a-z])[-\xad]\n(?=[a-z])", "", text).replace("\xad", "")


def opendocument(path: Path) -> str:
    """Read the paragraphs and headings, those of headers and footers included, by lxml."""
    from lxml import etree

    text = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
    style = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
    made: list[str] = []
    with zipfile.ZipFile(path) as package:
        for name in package.namelist():
            if not re.fullmatch(r"([^/]+/)?content\.xml|styles\.xml", name):
                continue
            tree = etree.fromstring(package.read(name))
            roots = [tree]
            if name == "styles.xml":
                roots = [
                    node
                    for node in tree.iter()
                    if re.match(rf"{re.escape(style)}(header|footer)(-|$)", str(node.tag))
                ]
                roots = [node for node in roots if not str(node.tag).endswith(("style", "properties"))]
            for root in roots:
                for node in [node for node in root.iter() if node.tag == f"{text}tracked-changes"]:
                    node.clear()
                for event, node in etree.iterwalk(root, events=("start", "end")):
                    inside = any(up.tag in (f"{text}p", f"{text}h") for up in node.iterancestors())
                    if event == "start":
                        made.append(
                            (node.text or "") if inside or node.tag in (f"{text}p", f"{text}h") else ""
                        )
                    else:
                        made.append(
                            "\n"
                            if node.tag in (f"{text}p", f"{text}h", f"{text}tab", f"{text}line-break")
                            else ""
                        )
                        made.append((node.tail or "") if inside else "")
    return "".join(made)


def epub(path: Path) -> str:
    """Read the chapters of the spine by EbookLib and lxml."""
    from ebooklib import epub as reader
    from lxml import html as parser

    book = reader.read_epub(str(path), {"ignore_ncx": True})
    items = [book.get_item_with_id(id) for id, _ in book.spine]
    return "\n".join(
        "\n".join(parser.fromstring(item.get_content()).itertext()) for item in items if item is not None
    )


def notebook(path: Path) -> str:
    """Read the sources and printed texts by nbformat."""
    import nbformat

    made = []
    for cell in nbformat.read(str(path), as_version=4).cells:
        made.append(cell.source)
        made += [
            output.get("text") or (output.get("data") or {}).get("text/plain", "")
            for output in cell.get("outputs", [])
        ]
    return "\n".join(made)


def mail(path: Path) -> str:
    """Read the headers and the parts that are no attachments by the standard library's newer policy."""
    found = path.read_bytes()
    message = email.message_from_bytes(found, policy=email.policy.default)
    dates = email.message_from_bytes(found).get_all("Date", [])  # as they stand: the newer policy rewrites them
    return "\n".join([*map(str, dates), *shown_parts(message)])


def shown_parts(message: Any) -> Iterator[str]:
    """Return the headers that a reader sees, and the texts: of alternatives the plain one if there is one."""
    from lxml import html as parser

    for name in ("Subject", "From", "To", "Cc"):
        yield from (f"{name}: {value}" for value in message.get_all(name, []))
    kind, parts = message.get_content_type(), message.get_payload()
    if message.get_content_disposition() == "attachment" and kind != "message/rfc822":
        yield message.get_filename() or kind
    elif kind == "message/delivery-status":
        yield from (f"{name}: {value}" for part in parts for name, value in part.items())
    elif kind == "multipart/alternative" and isinstance(parts, list):
        plain = [part for part in parts if part.get_content_type() == "text/plain"]
        yield from (text for part in plain[:1] or parts for text in shown_parts(part))
    elif isinstance(parts, list):
        yield from (text for part in parts for text in shown_parts(part))
    elif kind == "text/html":
        yield "\n".join(parser.fromstring(message.get_content()).itertext())
    elif message.get_content_maintype() == "text":
        yield message.get_content()
    elif message.get_content_maintype() == "multipart":
        yield re.sub(r"(?m)^--.*|^Content-[-\w]+:.*(?:\n[ \t].*)*", "", parts)
    elif message.get_filename():
        yield message.get_filename()


def page(path: Path) -> str:
    """Read the text of HTML by lxml, without scripts and styles."""
    from lxml import html as parser

    tree = parser.parse(str(path)).getroot()
    for node in list(tree.iter("script", "style", "template")) + [
        n for n in tree.iter() if not isinstance(n.tag, str)
    ]:
        tail = node.tail
        node.text = ""
        for child in list(node):
            node.remove(child)
        node.tail = tail
    return "\n".join(tree.itertext())


def xml(path: Path) -> str:
    """Read the text nodes of XML by lxml."""
    from lxml import etree

    tree = etree.parse(
        str(path),
        etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True),
    )
    return "\n".join(tree.getroot().itertext())


def plain(path: Path) -> str:
    """Read UTF-8."""
    return path.read_bytes().decode("utf-8")


KINDS: dict[str, tuple[Callable[[Path], str], str]] = {
    "Word": (word, "docx docm dotx"),
    "Excel": (excel, "xlsx xlsm xltx"),
    "PowerPoint": (powerpoint, "pptx potx ppsx"),
    "PDF": (pdf, "pdf"),
    "OpenDocument": (opendocument, "odt ott ods odp"),
    "EPUB": (epub, "epub"),
    "notebooks": (notebook, "ipynb"),
    "mail": (mail, "eml"),
    "HTML": (page, "html htm"),
    "XML": (xml, "xml"),
    "plain text": (plain, "txt rst md"),
}


def measure(folder: Path, kind: str, most: int = MOST_FILES) -> Counter[str]:
    """Read every file of a kind, and compare it with what the second reader has."""
    second, suffixes = KINDS[kind]
    files = sorted(
        path for path in folder.rglob("*") if path.suffix[1:].lower() in suffixes.split() and path.is_file()
    )
    if kind == "mail":  # those of Python's own tests
        files += sorted((Path(email.__file__).parents[1] / "test/test_email/data").glob("msg_*.txt"))
    step = max(1, -(-len(files) // most))
    found: Counter[str] = Counter()
    judged: list[tuple[Path, Counter[str]]] = []
    for path in files[::step]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                judged.append((path, Counter(WORD.findall(second(path)))))
        except Exception:  # the second reader cannot read it: no judge
            found["unread"] += 1
    extraction.close_idle()
    before = children_seconds()
    for path, wanted in judged:
        compare(path, wanted, kind, found)
        found["peak"] = max([found["peak"], *(peak(one.process.pid) for one in extraction._idle)])
    extraction.close_idle()
    found["milliseconds"] = round(1000 * (children_seconds() - before))
    return found


def compare(path: Path, wanted: Counter[str], kind: str, found: Counter[str]) -> None:
    """Read one file, and count what it has of the second reader's words."""
    try:
        made = extract(path, content_type="message/rfc822" if kind == "mail" else None)
    except ExtractionError as wrong:
        made = None
        print(f"    failed: {path}: {wrong}", file=sys.stderr)
    words = Counter(WORD.findall(made.text)) if made is not None else Counter()
    both = (wanted & words).total()
    found["files"] += 1
    found["failed"] += made is None
    found["wanted"] += wanted.total()
    found["both"] += both
    found["words"] += words.total()
    found[made.state if made else "none"] += 1
    if wanted.total() and both < 0.9 * wanted.total():
        found["low"] += 1
        found["silent"] += made is not None and made.state == "complete"
        print(f"    {both / wanted.total():.0%} {made.state if made else 'failed'} {path}", file=sys.stderr)
    if both < 0.8 * words.total():
        more = (words - wanted).most_common(8)
        print(f"    precision {both / words.total():.0%} {path}: {more}", file=sys.stderr)


def children_seconds() -> float:
    """Return the CPU seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak(process: int) -> int:
    """Return the most memory that a process has held, in MiB; 0 where the system does not say."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


LEGACY = {
    "bg": "cp1251", "cs": "cp1250 iso8859-2", "da": "cp1252", "de": "cp1252 iso8859-15", "el": "cp1253 iso8859-7",
    "es": "cp1252", "et": "cp1257", "fi": "cp1252", "fr": "cp1252", "hr": "cp1250", "hu": "cp1250 iso8859-2",
    "it": "cp1252", "ja": "cp932 euc-jp iso2022-jp", "ko": "cp949", "lt": "cp1257 iso8859-13", "nl": "cp1252",
    "pl": "cp1250 iso8859-2", "pt_BR": "cp1252", "ro": "iso8859-16", "ru": "koi8-r cp1251 iso8859-5 cp866",
    "sk": "cp1250", "sl": "cp1250", "sr": "cp1251", "sv": "cp1252", "tr": "cp1254", "uk": "koi8-u cp1251",
    "vi": "cp1258", "zh_CN": "gb18030", "zh_TW": "big5hkscs",
}  # fmt: skip


def legacy(folder: Path) -> tuple[int, int]:
    """Read the translations of a program in the legacy encodings of their languages: all, and those right."""
    import gettext

    total = right = 0
    for language, codecs in LEGACY.items():
        for path in folder.rglob(f"locale/{language}/LC_MESSAGES/bash.mo"):
            with path.open("rb") as file:
                catalog: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
            text = "\n".join(line for key, line in catalog.items() if key)[:20_000]
            for codec in codecs.split():
                found = text.encode(codec, "ignore")
                wanted = found.decode(codec)
                made = extract(found, filename="a.txt")
                total += 1
                right += made.text == wanted
                if made.text != wanted:
                    print(f"    {language} {codec}: {made.note}", file=sys.stderr)
    return total, right


def main(arguments: list[str]) -> int:
    """Fetch, measure, print the table."""
    few = "--few" in arguments
    arguments = [one for one in arguments if one != "--few"]
    place = Path(arguments[0]) if arguments else Path(tempfile.mkdtemp(prefix="docstore-corpus-"))
    if len(arguments) < 2:
        fetch(place, few=few)
    kinds = arguments[1:] or list(KINDS)
    print("| kind | files | recall | precision | below 90 % | of these complete | failed | CPU s | MiB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    every: Counter[str] = Counter()
    for kind in kinds:
        got = measure(place, kind, FEW_FILES if few else MOST_FILES)
        every += got
        recall = got["both"] / max(got["wanted"], 1)
        precision = got["both"] / max(got["words"], 1)
        print(
            f"| {kind} | {got['files']} | {recall:.1%} | {precision:.1%} | {got['low']} | {got['silent']} | {got['failed']} "
            f"| {got['milliseconds'] / 1000:.1f} | {got['peak']} |",
            flush=True,
        )
    total, right = legacy(place)
    print(f"\nLegacy encodings: {right} of {total} texts right.")
    if not few:
        return 0
    silent = [one for one in FEW if not any(path.is_file() for path in (place / one).rglob("*"))]
    for registry in silent:
        print(f"nothing came from {registry}: {FEW[registry]}", file=sys.stderr)
    return 1 if silent or every["both"] < 0.9 * every["wanted"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""MIME types and file types, from a file's name and its first bytes, the same on every machine.

The tables are fixed and the host's :mod:`mimetypes` registry is not used. So two machines that index one
folder store the same ``content_type`` and ``file_type``. Nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from types import MappingProxyType
from typing import Final

UNKNOWN: Final = "application/octet-stream"

FILE_TYPES: Final = (
    "pdf",
    "word",
    "excel",
    "powerpoint",
    "image",
    "audio",
    "video",
    "text",
    "html",
    "json",
    "archive",
    "other",
)

_OOXML: Final = "application/vnd.openxmlformats-officedocument."
_ODF: Final = "application/vnd.oasis.opendocument."

# file type → content type → the suffixes (without the dot) that mean it; the first place a suffix is
# found counts, and every suffix stands once (a test says so).
_TABLE: Final[dict[str, dict[str, str]]] = {
    "pdf": {"application/pdf": "pdf"},
    "word": {
        "application/msword": "doc dot",
        f"{_OOXML}wordprocessingml.document": "docx",
        f"{_OOXML}wordprocessingml.template": "dotx",
        "application/vnd.ms-word.document.macroenabled.12": "docm",
        "application/vnd.ms-word.template.macroenabled.12": "dotm",
        f"{_ODF}text": "odt",
        f"{_ODF}text-template": "ott",
        f"{_ODF}text-master": "odm",
        f"{_ODF}text-flat-xml": "fodt",
        "application/rtf": "rtf",
        "application/vnd.apple.pages": "pages",
    },
    "excel": {
        "application/vnd.ms-excel": "xls xlt",
        f"{_OOXML}spreadsheetml.sheet": "xlsx",
        f"{_OOXML}spreadsheetml.template": "xltx",
        "application/vnd.ms-excel.sheet.macroenabled.12": "xlsm",
        "application/vnd.ms-excel.template.macroenabled.12": "xltm",
        "application/vnd.ms-excel.addin.macroenabled.12": "xlam",
        "application/vnd.ms-excel.sheet.binary.macroenabled.12": "xlsb",
        f"{_ODF}spreadsheet": "ods",
        f"{_ODF}spreadsheet-template": "ots",
        f"{_ODF}spreadsheet-flat-xml": "fods",
        "application/vnd.apple.numbers": "numbers",
        "text/csv": "csv",
        "text/tab-separated-values": "tsv tab",
    },
    "powerpoint": {
        "application/vnd.ms-powerpoint": "ppt pps",
        f"{_OOXML}presentationml.presentation": "pptx",
        f"{_OOXML}presentationml.template": "potx",
        f"{_OOXML}presentationml.slideshow": "ppsx",
        "application/vnd.ms-powerpoint.presentation.macroenabled.12": "pptm",
        "application/vnd.ms-powerpoint.slideshow.macroenabled.12": "ppsm",
        "application/vnd.ms-powerpoint.template.macroenabled.12": "potm",
        f"{_ODF}presentation": "odp",
        f"{_ODF}presentation-template": "otp",
        f"{_ODF}presentation-flat-xml": "fodp",
        "application/vnd.apple.keynote": "key",
    },
    "image": {
        "image/png": "png apng",
        "image/jpeg": "jpg jpeg jpe jfif",
        "image/gif": "gif",
        "image/webp": "webp",
        "image/avif": "avif",
        "image/heic": "heic",
        "image/heif": "heif",
        "image/bmp": "bmp dib",
        "image/tiff": "tif tiff",
        "image/svg+xml": "svg",
        "image/x-icon": "ico cur",
        "image/vnd.adobe.photoshop": "psd",
        "image/x-portable-bitmap": "pbm",
        "image/x-portable-graymap": "pgm",
        "image/x-portable-pixmap": "ppm",
        "image/x-portable-anymap": "pnm",
        "image/x-xbitmap": "xbm",
        "image/jxl": "jxl",
        "image/jp2": "jp2",
        "image/x-canon-cr2": "cr2",
        "image/x-nikon-nef": "nef",
        "image/x-adobe-dng": "dng",
    },
    "audio": {
        "audio/mpeg": "mp3 mp2 mpga",
        "audio/mp4": "m4a m4b",
        "audio/aac": "aac",
        "audio/ogg": "ogg oga opus spx",
        "audio/flac": "flac",
        "audio/wav": "wav",
        "audio/aiff": "aif aiff aifc",
        "audio/basic": "au snd",
        "audio/midi": "mid midi",
        "audio/x-ms-wma": "wma",
        "audio/amr": "amr",
    },
    "video": {
        "video/mp4": "mp4 m4v",
        "video/mpeg": "mpeg mpg mpe",
        "video/quicktime": "mov qt",
        "video/x-msvideo": "avi",
        "video/x-matroska": "mkv",
        "video/webm": "webm",
        "video/ogg": "ogv",
        "video/x-ms-wmv": "wmv",
        "video/x-flv": "flv",
        "video/3gpp": "3gp",
        "video/mp2t": "m2ts mts",
    },
    "html": {"text/html": "html htm", "application/xhtml+xml": "xhtml xht"},
    "json": {
        "application/json": "json webmanifest har",
        "application/x-ndjson": "jsonl ndjson",
        "application/geo+json": "geojson",
        "application/ld+json": "jsonld",
        "application/x-ipynb+json": "ipynb",
    },
    "archive": {
        "application/zip": "zip whl egg",
        "application/x-tar": "tar",
        "application/gzip": "gz tgz svgz",
        "application/x-bzip2": "bz2 tbz tbz2",
        "application/x-xz": "xz txz",
        "application/zstd": "zst tzst",
        "application/x-lz4": "lz4",
        "application/x-lzma": "lzma",
        "application/x-7z-compressed": "7z",
        "application/vnd.rar": "rar",
        "application/java-archive": "jar war ear",
        "application/vnd.debian.binary-package": "deb",
        "application/x-rpm": "rpm",
        "application/x-cpio": "cpio",
        "application/x-archive": "a",
    },
    "text": {
        "text/plain": "txt text log out err diff patch in list lst env gitignore gitattributes gitmodules "
        "editorconfig dockerignore npmrc netrc asc srt vtt po pot tmpl jinja j2 manifest dectest",
        "text/markdown": "md markdown mdown mkd mdx",
        "text/x-rst": "rst rest",
        "text/asciidoc": "adoc asciidoc",
        "text/x-tex": "tex sty cls bib",
        "text/troff": "man me roff",
        "application/xml-dtd": "dtd",
        "text/xml": "xml xsl xslt xsd rng rss atom plist wsdl kml gpx xlf resx",
        "application/yaml": "yaml yml",
        "application/toml": "toml",
        "text/x-ini": "ini cfg conf cnf properties desktop",
        "text/css": "css",
        "text/x-scss": "scss sass less",
        "text/javascript": "js mjs cjs",
        "text/x-jsx": "jsx",
        "text/x-typescript": "ts cts tsx",
        "text/x-vue": "vue svelte",
        "text/x-python": "py pyi pyw pyx pxd",
        "text/x-c": "c h",
        "text/x-c++": "cc cpp cxx c++ hh hpp hxx ipp inl",
        "text/x-csharp": "cs",
        "text/x-java": "java",
        "text/x-kotlin": "kt kts",
        "text/x-scala": "scala sbt",
        "text/x-groovy": "groovy gradle",
        "text/x-go": "go",
        "text/x-rust": "rs",
        "text/x-swift": "swift",
        "text/x-objective-c": "m mm",
        "text/x-zig": "zig",
        "text/x-ruby": "rb rake gemspec",
        "text/x-perl": "pl pm",
        "text/x-php": "php phtml",
        "text/x-lua": "lua",
        "text/x-r": "r rmd",
        "text/x-julia": "jl",
        "text/x-haskell": "hs lhs",
        "text/x-ocaml": "ml mli",
        "text/x-fsharp": "fs fsi fsx",
        "text/x-erlang": "erl hrl",
        "text/x-elixir": "ex exs",
        "text/x-clojure": "clj cljs cljc edn",
        "text/x-lisp": "lisp el scm rkt",
        "text/x-dart": "dart",
        "text/x-tcl": "tcl tk",
        "text/x-fortran": "f f90 f95 for",
        "text/x-pascal": "pas pp dpr",
        "text/x-asm": "s asm",
        "text/x-shellscript": "sh bash zsh fish ksh csh",
        "text/x-powershell": "ps1 psm1 psd1",
        "text/x-batch": "bat cmd",
        "text/x-sql": "sql ddl",
        "text/x-graphql": "graphql gql",
        "text/x-protobuf": "proto",
        "text/x-cmake": "cmake",
        "text/x-makefile": "mk mak",
        "text/x-dockerfile": "dockerfile",
        "text/x-terraform": "tf tfvars hcl",
        "text/x-nix": "nix",
        "text/calendar": "ics",
        "text/vcard": "vcf",
        "message/rfc822": "eml mht mhtml",
        "application/mbox": "mbox",
        "application/x-pem-file": "pem crt csr",
    },
    "other": {
        "application/epub+zip": "epub",
        f"{_ODF}graphics": "odg",
        f"{_ODF}graphics-template": "otg",
        "application/x-mobipocket-ebook": "mobi",
        "application/postscript": "ps eps ai",
        "application/vnd.ms-outlook": "msg",
        "application/vnd.ms-tnef": "tnef",
        "application/vnd.visio": "vsd vsdx",
        "application/vnd.sqlite3": "sqlite sqlite3 db db3",
        "application/vnd.apache.parquet": "parquet",
        "application/wasm": "wasm",
        "application/x-python-code": "pyc pyo",
        "application/x-sharedlib": "so dylib",
        "application/vnd.microsoft.portable-executable": "exe dll pyd msi",
        "application/x-object": "o obj",
        "application/java-vm": "class",
        "application/x-iso9660-image": "iso img",
        "font/ttf": "ttf",
        "font/otf": "otf",
        "font/woff": "woff",
        "font/woff2": "woff2",
        UNKNOWN: "bin dat",
    },
}

# Whole names, lower case, that say what a file is without (or against) a suffix.
_NAMES: Final[dict[str, str]] = {
    "dockerfile": "text/x-dockerfile",
    "containerfile": "text/x-dockerfile",
    "makefile": "text/x-makefile",
    "gnumakefile": "text/x-makefile",
    "cmakelists.txt": "text/x-cmake",
    "rakefile": "text/x-ruby",
    "gemfile": "text/x-ruby",
    "vagrantfile": "text/x-ruby",
    "jenkinsfile": "text/x-groovy",
    "pipfile": "application/toml",
    "cargo.lock": "application/toml",
    "poetry.lock": "application/toml",
    "pipfile.lock": "application/json",
    "composer.lock": "application/json",
}
_TEXT_NAMES: Final = (
    "readme license licence copying notice authors contributors maintainers owners codeowners changelog "
    "changes history news todo install thanks acks credits version procfile"
)

# Other names of a MIME type, as callers declare it.
ALIASES: Final = MappingProxyType(
    {
        alias: content_type
        for content_type, aliases in {
            "text/csv": "application/csv application/x-csv text/x-csv text/comma-separated-values",
            "text/tab-separated-values": "text/tsv text/x-tsv",
            "application/zip": "application/x-zip-compressed application/x-zip multipart/x-zip",
            "application/gzip": "application/x-gzip application/x-gunzip",
            "application/x-bzip2": "application/x-bzip application/bzip2",
            "application/zstd": "application/x-zstd",
            "application/pdf": "application/x-pdf text/pdf application/acrobat",
            "application/rtf": "text/rtf application/x-rtf text/richtext",
            "application/json": "text/json application/x-json",
            "application/x-ndjson": "application/jsonl application/x-jsonlines application/jsonlines "
            "application/json-lines application/ndjson text/x-ndjson",
            "text/markdown": "text/x-markdown",
            "text/vcard": "text/x-vcard text/directory",
            "application/vnd.ms-tnef": "application/ms-tnef application/x-tnef application/tnef",
            "image/jpeg": "image/jpg image/pjpeg",
            "image/png": "image/x-png",
        }.items()
        for alias in aliases.split()
    }
)

_SILENT_WORDS = (
    f"{UNKNOWN} binary/octet-stream application/unknown application/x-unknown application/x-download "
    "application/download application/force-download application/binary application/x-binary "
    "unknown/unknown"
)
_SILENT: Final = frozenset(_SILENT_WORDS.split()) | {""}

# What a file begins with, and where; text is in no one's first bytes.
_MAGIC: Final = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3\2", "audio/mpeg"),
    (0, b"ID3\3", "audio/mpeg"),
    (0, b"ID3\4", "audio/mpeg"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
    (0, b"\x7fELF", "application/x-sharedlib"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"OTTO\0", "font/otf"),
    (0, b"\0\x01\0\0\0", "font/ttf"),
    (0, b"\0asm", "application/wasm"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"!<arch>\n", "application/x-archive"),
    (0, b"8BPS\0", "image/vnd.adobe.photoshop"),
)

# Looked up by the first byte: an upload is compared with a few of them, not all.
_MAGIC_BY_FIRST_BYTE: Final = {
    mark[:1]: tuple(row for row in _MAGIC if row[0] == 0 and row[1][:1] == mark[:1]) for _, mark, _ in _MAGIC
}
_MAGIC_FURTHER_ON: Final = tuple(row for row in _MAGIC if row[0])

# The types that a file of a magic number may have; a name or declared type of another row contradicts it.
_CONTAINERS: Final = {
    "application/zip": "docx dotx docm dotm odt ott odm pages xlsx xltx xlsm xltm xlam xlsb ods ots numbers "
    "pptx potx ppsx pptm ppsm potm odp otp key zip whl egg jar epub odg otg vsdx",
    "application/x-ole-storage": "doc xls ppt msg vsd exe sqlite",
    "application/gzip": "gz",
    "application/x-archive": "a deb",
    "audio/ogg": "ogg ogv",
    "audio/mpeg": "mp3 aac flac wav",
    "video/x-matroska": "mkv webm",
    "application/x-sharedlib": "so exe o bin",
    "image/tiff": "tif dng nef cr2",
    "font/ttf": "ttf otf",
}

_TEXT_APPLICATIONS: Final = (
    "application/xml application/javascript application/x-javascript application/x-sh application/sql "
    "application/x-yaml application/graphql"
)
_WORDS: Final = {"image": "image", "audio": "audio", "video": "video", "text": "text"}

_BY_SUFFIX = MappingProxyType(
    {
        suffix: content_type
        for types in _TABLE.values()
        for content_type, suffixes in types.items()
        for suffix in suffixes.split()
    }
)
_BY_NAME = MappingProxyType(_NAMES | dict.fromkeys(_TEXT_NAMES.split(), "text/plain"))
# The suffixes that no whole name ends in: what they say needs no second look.
_SURE = frozenset(_BY_SUFFIX) - {name.rpartition(".")[2] for name in _BY_NAME}
_BY_TYPE = MappingProxyType(
    {content_type: file_type for file_type, types in _TABLE.items() for content_type in types}
)


def content_type_of(filename: str) -> str:
    """Name the MIME type that a file's name stands for.

    Arguments:
        filename: any text, a bare name or a path with `/` or `\\`; only its last part counts, its
            case does not. The last suffix decides (`a.tar.gz` is gzip); some whole names such as
            `Makefile` and `README` are known; a leading dot alone makes a suffix (`.gitignore`).

    Returns:
        A lower-case MIME type without parameters; `application/octet-stream` if nothing is known.
    """
    _, dot, suffix = filename.rpartition(".")
    if dot and suffix in _SURE:
        return _BY_SUFFIX[suffix]
    name = filename.strip().lower()
    if "/" in name or "\\" in name:
        name = name.replace("\\", "/").rpartition("/")[2].strip()
    if name in _BY_NAME:
        return _BY_NAME[name]
    _, dot, suffix = name.rpartition(".")
    return _BY_SUFFIX.get(suffix, UNKNOWN) if dot else UNKNOWN


def types_of(filenames: Iterable[str]) -> list[tuple[str, str]]:
    """Name the MIME type and the kind of each file by its name alone."""
    known: dict[str, tuple[str, str]] = {}
    found: list[tuple[str, str]] = []
    for filename in filenames:
        ending = filename[filename.rfind(".") :]
        types = known.get(ending)
        if types is None:
            content_type = content_type_of(filename)
            types = content_type, file_type_of(content_type, filename)
            if ending[:1] == "." and ending[1:] in _SURE:
                known[ending] = types
        found.append(types)
    return found


def declared_type(content_type: str | None, filename: str) -> str:
    """Name the MIME type by what the caller declares, and by the name where that says nothing.

    Returns:
        The type by its usual name, without parameters; CSV that was sent as `application/vnd.ms-excel` is
        CSV. `application/octet-stream` if neither says anything.
    """
    bare = "" if content_type is None else _named(content_type)
    bare = ALIASES.get(bare, bare)
    if bare in _SILENT:
        return content_type_of(filename)
    if bare == "application/vnd.ms-excel" and content_type_of(filename) in _ROWS:
        return content_type_of(filename)
    return bare


@lru_cache(maxsize=256)
def _named(content_type: str) -> str:
    """Return a type in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


_ROWS: Final = ("text/csv", "text/tab-separated-values")


def magic_type(head: bytes) -> str | None:
    """Name the MIME type that a file's first bytes (a kilobyte is enough) say for sure, None for any other.

    A zip is named by what its first member says it is: an Office or OpenDocument file, a book.
    """
    if not head:
        return None
    rows = (*_MAGIC_BY_FIRST_BYTE.get(head[:1], ()), *_MAGIC_FURTHER_ON)
    found = next(((at, kind) for at, mark, kind in rows if head.startswith(mark, at)), None)
    if found is None:
        return _boxed_type(head) if head[4:8] == b"ftyp" else None
    at, content_type = found
    if content_type == "application/x-bzip2" and head[4:10] not in (b"1AY&SY", b"\x17rE8P\x90"):
        return None
    if at == 8 and not head.startswith(b"RIFF"):
        return None
    return _zipped_type(head) if head.startswith(b"PK\x03\x04") else content_type


def _boxed_type(head: bytes) -> str:
    brand = head[8:12]
    if brand in (b"heic", b"heix", b"mif1", b"msf1"):
        return "image/heic"
    if brand == b"avif":
        return "image/avif"
    if brand == b"qt  ":
        return "video/quicktime"
    return "audio/mp4" if brand == b"M4A " else "video/mp4"


def _zipped_type(head: bytes) -> str:
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if name == b"mimetype":
        start = 38 + int.from_bytes(head[28:30], "little")
        said = (
            head[start : start + int.from_bytes(head[18:22], "little")][:100]
            .decode("ascii", "replace")
            .strip()
        )
        return said if said in _BY_TYPE else "application/zip"
    for folder, content_type in (
        (b"word/", f"{_OOXML}wordprocessingml.document"),
        (b"xl/", f"{_OOXML}spreadsheetml.sheet"),
        (b"ppt/", f"{_OOXML}presentationml.presentation"),
    ):
        if b"[Content_Types].xml" in head and folder in head:
            return content_type
    return "application/zip"


def settled_type(content_type: str | None, filename: str, head: bytes) -> str:
    """Name a file's MIME type: what is declared, then the name, unless the first bytes contradict it.

    Magic numbers win over a type that says nothing, and over one that a file with them cannot have.

    Arguments:
        content_type: as the caller declares it, or None.
        filename: the file's name.
        head: its first bytes; a kilobyte is enough.

    Returns:
        The declared type as it was given, parameters included, if it stands; else a bare type.
    """
    told, magic = declared_type(content_type, filename), magic_type(head) if head else None
    if magic is None or told == magic or not contradicts(told, magic):
        return content_type if content_type and told == _named(content_type) else told
    return magic


def contradicts(told: str, magic: str) -> bool:
    """Tell whether a file with a magic number cannot be of a type, or is of a narrower one."""
    row = next((row for row in _ALLOWED if magic in _ALLOWED[row] or magic == row), magic)
    if told == UNKNOWN or (told == row and magic != row):
        return True
    allowed = _ALLOWED.get(row)
    return told not in (allowed or {row}) and (told in _HAS_MAGIC or is_text_type(told))


def is_text_type(content_type: str) -> bool:
    """Tell whether files of this type are text that stands there as it is read."""
    named = file_type_of(content_type, "") in ("text", "html", "json") or content_type in _ROWS
    return named or content_type.endswith(("+xml", "+json"))  # RFC 6839: SVG, feeds


_ALLOWED: Final = {
    row: {_BY_SUFFIX[suffix] for suffix in suffixes.split()} | {row} for row, suffixes in _CONTAINERS.items()
}
_HAS_MAGIC: Final = frozenset({row for _, _, row in _MAGIC}).union(*_ALLOWED.values())


def file_type_of(content_type: str, filename: str) -> str:
    """Name the kind of a file, one of `FILE_TYPES`.

    Arguments:
        content_type: a MIME type as a caller or `content_type_of` gave it; case and parameters
            (`; charset=utf-8`) do not count.
        filename: asked only where the MIME type says nothing (empty, unknown, octet-stream).

    Returns:
        `pdf word excel powerpoint image audio video text html json archive` or `other`. CSV counts
        as `excel`; source code, Markdown, XML and YAML are `text`.
    """
    bare, found = _bare(content_type)
    if found == "other" and (bare == UNKNOWN or bare not in _BY_TYPE):
        return _type_word(content_type_of(filename))
    return found


@lru_cache(maxsize=1024)
def _bare(content_type: str) -> tuple[str, str]:
    """Return a MIME type without case and parameters, and the kind of file that it says by itself."""
    bare = content_type.partition(";")[0].strip().lower()
    return bare, _type_word(bare)


@lru_cache(maxsize=1024)
def _type_word(content_type: str) -> str:
    if content_type in _BY_TYPE:
        return _BY_TYPE[content_type]
    if content_type.endswith("+json"):
        return "json"
    if content_type.endswith("+xml") or content_type in _TEXT_APPLICATIONS.split():
        return "text"
    return _WORDS.get(content_type.partition("/")[0], "other")

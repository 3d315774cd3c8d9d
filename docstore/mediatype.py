"""Name the MIME type and the kind of a file from its name alone, the same on every machine.

The first step of `add`: a fixed table, never the host's mimetypes registry, so that two machines
that index one folder store the same `content_type` and `file_type`. Nothing here opens a file.
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
        "application/rtf": "rtf",
        "application/vnd.apple.pages": "pages",
    },
    "excel": {
        "application/vnd.ms-excel": "xls xlt",
        f"{_OOXML}spreadsheetml.sheet": "xlsx",
        f"{_OOXML}spreadsheetml.template": "xltx",
        "application/vnd.ms-excel.sheet.macroenabled.12": "xlsm",
        "application/vnd.ms-excel.template.macroenabled.12": "xltm",
        "application/vnd.ms-excel.sheet.binary.macroenabled.12": "xlsb",
        f"{_ODF}spreadsheet": "ods",
        f"{_ODF}spreadsheet-template": "ots",
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
        f"{_ODF}presentation": "odp",
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
        "application/gzip": "gz tgz",
        "application/x-bzip2": "bz2 tbz tbz2",
        "application/x-xz": "xz txz",
        "application/zstd": "zst",
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
        "text/xml": "xml xsl xslt xsd rng rss atom plist dtd wsdl kml gpx xlf resx",
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
        "application/x-mobipocket-ebook": "mobi",
        "application/postscript": "ps eps ai",
        "application/vnd.ms-outlook": "msg",
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
_SURE = frozenset(_BY_SUFFIX) - {name.rpartition(".")[2] for name in _BY_NAME}
"""The suffixes that no whole name ends in: what they say needs no second look."""
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

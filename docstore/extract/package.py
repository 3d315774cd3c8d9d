"""The guard before Word, Excel and PowerPoint: a zip that is whole, unencrypted and not a bomb."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

from docstore.extract.base import ExtractionError, Source

__all__ = ["office_package"]

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def office_package(source: Source, main: str) -> BinaryIO:
    """Check a zipped Office file before a library opens it.

    A zip's own table of contents bounds what reading a member can give, so the sum of the sizes it
    states bounds the work.

    Arguments:
        source: the file.
        main: the folder that this kind of file has inside, such as `word/`.

    Returns:
        The stream, set to its beginning.

    Raises:
        ExtractionError: empty, too long, truncated, encrypted, old binary format, no such folder
            inside, or it would unpack to more than the bounds.
    """
    stream = source.whole()
    if stream.read(len(_OLE)) == _OLE:
        raise ExtractionError("encrypted with a password, or an old binary Office file; save it anew without")
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as package:
            members = package.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        raise ExtractionError(f"not a zipped Office file, or truncated: {error}") from error
    _refuse_bomb(members, source)
    if not any(member.filename.startswith(main) for member in members):
        raise ExtractionError(f"a zip without {main}; not a {source.content_type} file")
    stream.seek(0)
    return stream


def _refuse_bomb(members: list[zipfile.ZipInfo], source: Source) -> None:
    limits = source.limits
    if len(members) > limits.members:
        raise ExtractionError(f"{len(members):,} files inside; at most {limits.members:,} are unpacked")
    unpacked = sum(member.file_size for member in members)
    if unpacked > limits.unpacked:
        raise ExtractionError(f"would unpack to {unpacked:,} bytes; at most {limits.unpacked:,} are unpacked")
    if any(member.flag_bits & 1 for member in members):
        raise ExtractionError("the zip inside is encrypted and needs a password")

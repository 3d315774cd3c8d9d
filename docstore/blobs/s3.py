"""Blobs on S3, over the requests of s3fs: conditional puts with checksums, and multipart uploads.

s3fs repeats a request whose answer was lost. A repeated put then finds the object that the first one stored:
such a refusal is settled by looking at the object's size and checksum, since nobody else writes under a fresh
key.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from errno import EIO
from io import BytesIO
from typing import Any

from docstore.blobs.objects import temporary_name
from docstore.steps import reached

__all__ = ["SMALL", "S3Objects"]

SMALL = 8_388_608
"""Bytes up to which an object is one request, and the size of the first parts of a larger one."""

_BLOCK = 4_194_304
_REFUSED = ("PreconditionFailed", "ConditionalRequestConflict")


class S3Objects:
    """Objects in a bucket, below a prefix.

    Objects of up to 8 MiB are one conditional request with a SHA-256 that the server checks; larger ones a
    multipart upload, each part checked likewise, aborted on any error. The parts grow with their number, so
    that the 10,000 that S3 allows hold 430 GiB. A put is believed after a HEAD.
    """

    name = "S3"

    def __init__(self, filesystem: Any, root: str) -> None:
        self._filesystem = filesystem
        self._bucket, _, prefix = root.strip("/").partition("/")
        self._prefix = prefix + "/" if prefix else ""

    def put(self, key: str, chunks: Iterator[bytes]) -> None:
        """Store in one request or in many, by what the first 8 MiB show."""
        parts = _parts(chunks)
        first = next(parts, b"")
        if len(first) < SMALL:
            self._put_whole(key, first)
            size = len(first)
        else:
            size = self._put_parts(key, first, parts)
        try:
            reached("P3.4")
            self._believe(key, size)
            reached("P3.5")
        except BaseException:
            with suppress(Exception):
                self._delete(key)
            raise

    def open(self, key: str) -> OpenObject:
        """Open an object."""
        size = self.size_of(key)
        if size is None:
            raise FileNotFoundError(f"no such object: {key}")
        return OpenObject(self._filesystem, f"{self._bucket}/{self._prefix}{key}", size)

    def size_of(self, key: str) -> int | None:
        """Return an object's size, by a HEAD."""
        try:
            return int(self._call("head_object", key)["ContentLength"])
        except FileNotFoundError:
            return None

    def remove(self, key: str) -> None:
        """Abort the open multipart uploads of ``key``, then delete its object."""
        for upload in [upload for path, upload in self.uploads(key) if path == key]:
            with suppress(FileNotFoundError):
                self._call("abort_multipart_upload", key, UploadId=upload)
        reached("C2")
        self._delete(key)
        self._delete(temporary_name(key))

    def walk(self, prefix: str, after: str) -> Iterator[tuple[str, int]]:
        """List a thousand at a time."""
        start: dict[str, str] = {"StartAfter": self._prefix + after} if after else {}
        while True:
            page = self._filesystem.call_s3(
                "list_objects_v2", Bucket=self._bucket, Prefix=self._prefix + prefix, **start
            )
            for entry in page.get("Contents", ()):
                yield entry["Key"].removeprefix(self._prefix), int(entry["Size"])
            if not page.get("IsTruncated"):
                return
            start = {"ContinuationToken": page["NextContinuationToken"]}

    def uploads(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield (path below the root, upload id) of all open multipart uploads of such paths."""
        start: dict[str, str] = {}
        while True:
            page = self._filesystem.call_s3(
                "list_multipart_uploads", Bucket=self._bucket, Prefix=self._prefix + prefix, **start
            )
            for entry in page.get("Uploads", ()):
                yield entry["Key"].removeprefix(self._prefix), entry["UploadId"]
            if not page.get("IsTruncated"):
                return
            start = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def sign(self, key: str, expires: int, disposition: str | None, content_type: str | None) -> str:
        """Sign a GET whose answer carries the disposition and the content type."""
        wanted = {"ResponseContentDisposition": disposition, "ResponseContentType": content_type}
        said = {name: value for name, value in wanted.items() if value is not None}
        return str(self._filesystem.sign(f"{self._bucket}/{self._prefix}{key}", expiration=expires, **said))

    def _call(self, method: str, key: str, **arguments: Any) -> Any:
        return self._filesystem.call_s3(method, Bucket=self._bucket, Key=self._prefix + key, **arguments)

    def _delete(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._call("delete_object", key)

    def _put_whole(self, key: str, body: bytes) -> None:
        reached("P3.2")
        try:
            self._call("put_object", key, Body=body, IfNoneMatch="*", ChecksumSHA256=_checksum(body))
        except OSError as error:
            if not _refused(error) or self._digest(key, len(body)) != hashlib.sha256(body).hexdigest():
                raise

    def _put_parts(self, key: str, first: bytes, parts: Iterator[bytes]) -> int:
        upload = self._call("create_multipart_upload", key, ChecksumAlgorithm="SHA256")["UploadId"]
        try:
            reached("P3.1")
            sent = [self._put_part(key, upload, 1, first)]
            size = len(first)
            for part in parts:
                sent.append(self._put_part(key, upload, len(sent) + 1, part))
                size += len(part)
            reached("P3.2")
            self._complete(key, upload, sent, size)
        except BaseException:
            with suppress(Exception):
                self._call("abort_multipart_upload", key, UploadId=upload)
            raise
        return size

    def _put_part(self, key: str, upload: str, number: int, body: bytes) -> dict[str, Any]:
        checksum = _checksum(body)
        answer = self._call(
            "upload_part", key, UploadId=upload, PartNumber=number, Body=body, ChecksumSHA256=checksum
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

    def _complete(self, key: str, upload: str, parts: list[dict[str, Any]], size: int) -> None:
        try:
            self._call(
                "complete_multipart_upload",
                key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                IfNoneMatch="*",
            )
        except OSError:
            # Its answer may be all that was lost, and a repetition finds no upload any more. The server
            # checked each part's SHA-256, so an object of this size under this key is ours and whole.
            if self.size_of(key) != size:
                raise

    def _believe(self, key: str, size: int) -> None:
        if (found := self.size_of(key)) != size:
            raise OSError(EIO, f"{size} bytes were stored under {key} and a HEAD says {found}")

    def _digest(self, key: str, size: int) -> str | None:
        """Return the sha256 of the object under ``key``, ``None`` if it has not this size."""
        if self.size_of(key) != size:
            return None
        path = f"{self._bucket}/{self._prefix}{key}"
        body = self._filesystem.cat_file(path, start=0, end=size) if size else b""
        return hashlib.sha256(body).hexdigest()


class OpenObject:
    """An object, read by ranges."""

    block = _BLOCK

    def __init__(self, filesystem: Any, path: str, size: int) -> None:
        self._filesystem = filesystem
        self._path = path
        self.size = size

    def read_at(self, position: int, amount: int) -> bytes:
        """Return bytes from a position."""
        return bytes(self._filesystem.cat_file(self._path, start=position, end=position + amount))

    def close(self) -> None:
        """Do nothing: each range is a request of its own."""


def _parts(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Gather chunks into parts: 8 MiB each up to the 999th, and 8 MiB more with each further thousand.

    A part is ``bytes``: of them botocore makes a file anew for each try, which is sent piece by piece.
    """
    held = BytesIO()
    number = 1
    for chunk in chunks:
        left = memoryview(chunk)
        while left:
            full = SMALL * (1 + number // 1000)
            left = left[held.write(left[: full - held.tell()]) :]
            if held.tell() == full:
                yield held.getvalue()
                held = BytesIO()
                number += 1
    if held.tell():
        yield held.getvalue()


def _checksum(body: bytes) -> str:
    return b64encode(hashlib.sha256(body).digest()).decode("ascii")


def _refused(error: OSError) -> bool:
    """Return whether S3 says that the key is taken."""
    if isinstance(error, FileExistsError):
        return True
    answer = getattr(error.__cause__, "response", None) or {}
    return answer.get("Error", {}).get("Code") in _REFUSED

"""Storage on S3, over the requests of s3fs: conditional puts with checksums, and multipart uploads.

s3fs repeats a request whose reply was lost, and the repeated put then finds the object of the first one. Such
a refusal is settled by the object's size and checksum, since nobody else writes under a fresh key.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from errno import EEXIST, EIO
from io import BytesIO
from itertools import islice
from typing import Any

from docstore.blobs.objects import QUARANTINE, SPOKEN_BY_S3, ObjectStat, Requests, Upload, temporary_name
from docstore.crash_points import reached

__all__ = ["SMALL", "S3Objects"]


# Bytes up to which an object is one request, and the size of the first parts of a larger one.
SMALL = 8_388_608

# Bytes of one ranged GET.
_BLOCK = 4_194_304
_REFUSED = ("PreconditionFailed", "ConditionalRequestConflict")
# Answers of status 400 that say something of the bytes or of the caller, not of the service.
_OURS = (
    "AuthorizationHeaderMalformed", "BadDigest", "EntityTooLarge", "EntityTooSmall", "ExpiredToken",
    "IncompleteBody", "InvalidDigest", "InvalidToken", "RequestTimeout", "TokenRefreshRequired",
)  # fmt: skip
# A DeleteObjects takes 1,000 names; a key has three.
_KEYS_A_REQUEST = 333
# Bytes that one CopyObject takes; larger objects are copied in parts of a gibibyte.
_COPIED_AT_ONCE = 5_368_709_120
_COPIED_PART = 1_073_741_824


class S3Objects:
    """Objects in a bucket, below a prefix.

    Objects of up to 8 MiB are one conditional request with a SHA-256 that the server checks; larger ones a
    multipart upload, each part checked likewise, aborted on any error. The parts grow with their number, so
    that the 10,000 that S3 allows hold 430 GiB. A put is believed after a HEAD.

    Args:
        filesystem: of s3fs.
        root: the bucket and the prefix.
        requests: what the service understands.
    """

    name = "S3"

    def __init__(self, filesystem: Any, root: str, requests: Requests = SPOKEN_BY_S3) -> None:
        self._filesystem = filesystem
        self._requests = requests
        self._batches = True
        self._bucket, _, prefix = root.strip("/").partition("/")
        self.prefix: str = prefix + "/" if prefix else ""

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
        # The object is there, but is not what was sent, or nobody could look: it must not be found later.
        except BaseException:
            with suppress(Exception):
                self._delete(key)
            raise

    def open(self, key: str) -> OpenObject:
        """Open an object."""
        found = self.stat(key)
        if found is None:
            raise FileNotFoundError(f"no such object: {key}")
        return OpenObject(self._filesystem, f"{self._bucket}/{self.prefix}{key}", found.size)

    def stat(self, key: str) -> ObjectStat | None:
        """Return an object's size and time, by a HEAD."""
        try:
            found = self._call("head_object", key)
        except FileNotFoundError:
            return None
        modified = found.get("LastModified")
        return ObjectStat(int(found["ContentLength"]), None if modified is None else modified.timestamp())

    def remove(self, key: str) -> None:
        """Abort the open multipart uploads of ``key``, then delete its object."""
        uploads = {key: [upload for path, upload in self.uploads(key) if path == key]}
        for error in self.remove_many([key], uploads).values():
            raise error

    def remove_many(
        self, keys: Sequence[str], uploads: Mapping[str, Sequence[Upload]]
    ) -> dict[str, Exception]:
        """Remove objects by one request for some hundreds.

        Args:
            keys: theirs.
            uploads: the open multipart uploads, by key; those of the keys are aborted first.

        Returns:
            The errors of those that could not be removed, by key.
        """
        failed: dict[str, Exception] = {}
        for key in keys:
            try:
                self.abort(key, uploads.get(key, ()))
            except OSError as error:
                failed[key] = error
        reached("C2")
        left = iter([key for key in keys if key not in failed])
        while some := list(islice(left, _KEYS_A_REQUEST)):
            failed |= self._delete_some(some)
        return failed

    def abort(self, key: str, uploads: Sequence[Upload]) -> None:
        """End multipart uploads of a key; what is gone is fine."""
        for upload in uploads:
            with suppress(FileNotFoundError):
                self._call("abort_multipart_upload", key, UploadId=upload.id)

    def move(self, name: str, to: str) -> None:
        """Copy the object within the service, look at the copy, then delete the object."""
        found = self.stat(name)
        if found is None:
            raise FileNotFoundError(f"no such object: {name}")
        source = {"Bucket": self._bucket, "Key": self.prefix + name}
        if found.size < _COPIED_AT_ONCE:
            self._call("copy_object", to, CopySource=source)
        else:
            self._copy_parts(source, to, found.size)
        self._believe(to, found.size)
        self._delete(name)

    def mark(self, name: str, body: bytes, *, replace: bool) -> bool:
        """Put it on the condition that nothing stands there; without conditions, look first."""
        if not replace and not self._requests.conditional and self.stat(name) is not None:
            return False
        condition = {} if replace or not self._requests.conditional else {"IfNoneMatch": "*"}
        try:
            self._call("put_object", name, Body=body, **condition, **self._checked(body))
        except OSError as error:
            if not _refused(error):
                raise self._explained(error) from error
            return False
        return True

    def walk(self, prefix: str, after: str) -> Iterator[tuple[str, int, float | None]]:
        """List a thousand at a time."""
        start: dict[str, str] = {"StartAfter": self.prefix + after} if after else {}
        while True:
            page = self._filesystem.call_s3(
                "list_objects_v2", Bucket=self._bucket, Prefix=self.prefix + prefix, **start
            )
            for entry in page.get("Contents", ()):
                name = entry["Key"].removeprefix(self.prefix)
                yield name, int(entry["Size"]), entry["LastModified"].timestamp()
            if not page.get("IsTruncated"):
                return
            start = {"ContinuationToken": page["NextContinuationToken"]}

    def uploads(self, prefix: str) -> Iterator[tuple[str, Upload]]:
        """Yield (path below the root, upload) of open multipart uploads, where the service lists them."""
        start: dict[str, str] = {}
        while True:
            try:
                page = self._filesystem.call_s3(
                    "list_multipart_uploads", Bucket=self._bucket, Prefix=self.prefix + prefix, **start
                )
            except OSError as error:
                if _is_unknown(error):
                    return
                raise
            for entry in page.get("Uploads", ()):
                begun = entry.get("Initiated")
                upload = Upload(entry["UploadId"], None if begun is None else begun.timestamp())
                yield entry["Key"].removeprefix(self.prefix), upload
            if not page.get("IsTruncated"):
                return
            start = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def sign(self, key: str, expires: int, disposition: str | None, content_type: str | None) -> str:
        """Sign a GET whose answer carries the disposition and the content type."""
        wanted = {"ResponseContentDisposition": disposition, "ResponseContentType": content_type}
        said = {name: value for name, value in wanted.items() if value is not None}
        return str(self._filesystem.sign(f"{self._bucket}/{self.prefix}{key}", expiration=expires, **said))

    def _call(self, method: str, key: str, **arguments: Any) -> Any:
        return self._filesystem.call_s3(method, Bucket=self._bucket, Key=self.prefix + key, **arguments)

    def _delete(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._call("delete_object", key)

    def _delete_some(self, keys: Sequence[str]) -> dict[str, Exception]:
        """Remove one request of objects with all under their keys; one by one without DeleteObjects."""
        names = {name: key for key in keys for name in (key, temporary_name(key), QUARANTINE + key)}
        if self._batches:
            objects = [{"Key": self.prefix + name} for name in names]
            try:
                answer = self._filesystem.call_s3(
                    "delete_objects", Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
                )
            # Some services of S3's kind have no DeleteObjects: from then on each name is a request.
            except OSError as error:
                if not _is_unknown(error):
                    return dict.fromkeys(keys, error)
                self._batches = False
            else:
                return {
                    names[one["Key"].removeprefix(self.prefix)]: OSError(EIO, one.get("Message", one["Code"]))
                    for one in answer.get("Errors", ())
                }
        failed: dict[str, Exception] = {}
        for name, key in names.items():
            try:
                self._delete(name)
            except OSError as error:
                failed[key] = error
        return failed

    def _copy_parts(self, source: Mapping[str, str], to: str, size: int) -> None:
        upload = self._call("create_multipart_upload", to)["UploadId"]
        try:
            sent = []
            for number, start in enumerate(range(0, size, _COPIED_PART), 1):
                end = min(start + _COPIED_PART, size) - 1
                answer = self._call(
                    "upload_part_copy", to, UploadId=upload, PartNumber=number, CopySource=source,
                    CopySourceRange=f"bytes={start}-{end}",
                )  # fmt: skip
                sent.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
            self._call("complete_multipart_upload", to, UploadId=upload, MultipartUpload={"Parts": sent})
        # An upload that nobody ends is billed for its parts, and no listing of objects shows it.
        except BaseException:
            with suppress(Exception):
                self._call("abort_multipart_upload", to, UploadId=upload)
            raise

    def _checked(self, body: bytes) -> dict[str, str]:
        """Return the arguments by which the service compares a body."""
        if self._requests.checksum == "sha256":
            return {"ChecksumSHA256": _checksum(body)}
        if self._requests.checksum == "md5":
            md5 = hashlib.md5(body, usedforsecurity=False).digest()
            return {"ContentMD5": b64encode(md5).decode("ascii")}
        return {}

    def _explained(self, error: OSError) -> OSError:
        """Return the error that names the options, if the service seems not to know what they ask of it."""
        if not _is_unknown(error) or self._requests == Requests(conditional=False, checksum=None):
            return error
        return OSError(
            EIO,
            f"{error}; if this service knows no If-None-Match, say docstore.Blobs(url, conditional=False); if"
            " it knows no checksum headers, say checksum='md5' or checksum=None",
        )

    def _put_whole(self, key: str, body: bytes) -> None:
        reached("P3.2")
        conditional = self._requests.conditional
        if not conditional and self.stat(key) is not None:
            raise FileExistsError(EEXIST, "an object stands under this key", key)
        condition = {"IfNoneMatch": "*"} if conditional else {}
        try:
            self._call("put_object", key, Body=body, **condition, **self._checked(body))
        except OSError as error:
            if not _refused(error):
                raise self._explained(error) from error
            if self._digest(key, len(body)) != hashlib.sha256(body).hexdigest():
                raise

    def _put_parts(self, key: str, first: bytes, parts: Iterator[bytes]) -> int:
        if not self._requests.conditional and self.stat(key) is not None:
            raise FileExistsError(EEXIST, "an object stands under this key", key)
        algorithm = {"ChecksumAlgorithm": "SHA256"} if self._requests.checksum == "sha256" else {}
        try:
            upload = self._call("create_multipart_upload", key, **algorithm)["UploadId"]
        except OSError as error:
            raise self._explained(error) from error
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
        checked = self._checked(body)
        try:
            answer = self._call("upload_part", key, UploadId=upload, PartNumber=number, Body=body, **checked)
        except OSError as error:
            raise self._explained(error) from error
        listed = checked if self._requests.checksum == "sha256" else {}
        return {"PartNumber": number, "ETag": answer["ETag"], **listed}

    def _complete(self, key: str, upload: str, parts: list[dict[str, Any]], size: int) -> None:
        condition = {"IfNoneMatch": "*"} if self._requests.conditional else {}
        try:
            self._call(
                "complete_multipart_upload",
                key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                **condition,
            )
        except OSError as error:
            # Its answer may be all that was lost, and a repetition finds no upload any more. The server
            # compared each part's checksum, so an object of this size under this key is ours and whole.
            if _size(self.stat(key)) != size:
                raise self._explained(error) from error

    def _believe(self, key: str, size: int) -> None:
        if (found := _size(self.stat(key))) != size:
            raise OSError(EIO, f"{size} bytes were stored under {key} and a HEAD says {found}")

    def _digest(self, key: str, size: int) -> str | None:
        """Return the sha256 of the object under ``key``, ``None`` if it has not this size."""
        if _size(self.stat(key)) != size:
            return None
        path = f"{self._bucket}/{self.prefix}{key}"
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


def _size(found: ObjectStat | None) -> int | None:
    return None if found is None else found.size


def _is_unknown(error: OSError) -> bool:
    """Return whether the service says that it does not know a request, or something in it."""
    answer = getattr(error.__cause__, "response", None) or {}
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in (400, 405, 501) and answer.get("Error", {}).get("Code") not in _OURS


def _refused(error: OSError) -> bool:
    """Return whether S3 says that the key is taken."""
    if isinstance(error, FileExistsError):
        return True
    answer = getattr(error.__cause__, "response", None) or {}
    return answer.get("Error", {}).get("Code") in _REFUSED

"""The URL of a storage: checked, and turned into the filesystem behind it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

from docstore.blobs.local import LocalObjects
from docstore.blobs.objects import SPOKEN_BY_S3, Objects, Requests
from docstore.blobs.streams import is_url
from docstore.errors import BlobError

__all__ = [
    "attachment",
    "build",
    "connect",
    "normalize",
    "objects_on",
    "without_secrets",
]

_LOCAL = ("file", "local")
_S3 = ("s3", "s3a")
_NO_CHECKSUMS: Mapping[str, Any] = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
_FRESH: Mapping[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}


def normalize(url: str | os.PathLike[str], options: Mapping[str, Any]) -> str:
    """Return the URL as it is kept: an absolute path for a folder, a fresh root for a bare ``memory://``.

    Raises:
        BlobError: nothing that can be a storage; no I/O is done to find out.
    """
    text = os.fsdecode(url)
    if not text or "\0" in text:
        raise BlobError(f"blobs={text!r}: expected a folder's path or an fsspec URL")
    if isinstance(url, os.PathLike) or not is_url(text):
        return _folder(text, options)
    if "::" in text:
        return text
    scheme, _, rest = text.partition("://")
    if scheme in _LOCAL:
        return _folder(rest, options)
    if scheme == "memory":
        return text if rest.strip("/") else f"memory://docstore-{uuid4().hex}"
    _require(scheme, rest)
    return text


def build(url: str, options: Mapping[str, Any], requests: Requests = SPOKEN_BY_S3) -> Objects:
    """Return the storage of a normalized URL, with a filesystem of its own.

    Raises:
        BlobError: the filesystem cannot be made, such as for want of its package.
    """
    if not is_url(url) or url.startswith("/"):
        return LocalObjects(url)
    from docstore.blobs.filesystem import MemoryObjects

    filesystem, root = connect(url, options, requests)
    if url.startswith("memory://"):
        return MemoryObjects(filesystem, root)
    return objects_on(filesystem, root, requests)


def connect(url: str, options: Mapping[str, Any], requests: Requests = SPOKEN_BY_S3) -> tuple[Any, str]:
    """Return the fsspec filesystem of a URL and the path below which the objects are.

    Raises:
        BlobError: the filesystem cannot be made.
    """
    try:
        return _filesystem(url, options, requests)
    except Exception as error:
        raise BlobError(f"cannot open the blob storage {without_secrets(url)}: {error}") from error


def objects_on(filesystem: Any, root: str, requests: Requests = SPOKEN_BY_S3) -> Objects:
    """Return the objects below a path of an fsspec filesystem that is neither local nor memory."""
    from docstore.blobs.filesystem import FilesystemObjects
    from docstore.blobs.s3 import S3Objects

    s3 = hasattr(filesystem, "call_s3")
    return S3Objects(filesystem, root, requests) if s3 else FilesystemObjects(filesystem, root)


def without_secrets(url: str) -> str:
    """Return the URL without the user, password, query and fragment that it may carry."""
    return "::".join(_bare(link) for link in url.split("::"))


def _folder(path: str, options: Mapping[str, Any]) -> str:
    if options:
        raise BlobError(f"a local folder takes no storage options, {sorted(options)} were given")
    if not path:
        raise BlobError("blobs='file://': expected a folder's path after it")
    return os.path.abspath(path)


def _require(scheme: str, rest: str) -> None:
    """Refuse a scheme that nothing serves, and an S3 without bucket."""
    from fsspec.registry import known_implementations, registry

    if scheme not in registry and scheme not in known_implementations:
        raise BlobError(f"no fsspec filesystem is known for {scheme}://; for a folder, give its path")
    if scheme in _S3:
        if not rest.strip("/"):
            raise BlobError(f"blobs='{scheme}://': expected a bucket after it")
        if find_spec("s3fs") is None:
            raise BlobError("s3:// needs s3fs: run  python -m pip install 'embedded-docstore[s3]'")


def _filesystem(url: str, options: Mapping[str, Any], requests: Requests) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    schemes = [link.partition("://")[0] for link in url.split("::")]
    arguments = dict(options)
    for scheme in _S3:
        if schemes[0] == scheme:
            arguments = _of_s3(arguments, requests)
        elif scheme in schemes:
            arguments[scheme] = _of_s3(arguments.get(scheme, {}), requests)
    filesystem, root = url_to_fs(url, **arguments)
    return filesystem, str(filesystem._strip_protocol(root))


def _of_s3(given: Mapping[str, Any], requests: Requests) -> dict[str, Any]:
    """Return what s3fs is told. Unless told so, botocore adds checksum headers of its own to every put."""
    arguments = {**_FRESH, **given}
    if requests.checksum != "sha256":
        arguments["config_kwargs"] = {**_NO_CHECKSUMS, **arguments.get("config_kwargs", {})}
    return arguments


def _bare(link: str) -> str:
    if "://" not in link:
        return link
    try:
        parts = urlsplit(link)
    except ValueError:
        return link.partition("://")[0] + "://…"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"
_UNSAFE = re.compile(r'[^ !#-\[\]-~]|["\\/%]')


def attachment(filename: str) -> str:
    """Return the header's value that makes a browser save under ``filename``.

    The plain form, for old readers, has ``_`` for whatever is not plain ASCII or would need quoting; the
    encoded form is the whole name, in which slashes are ``_``, too: a name is no path.
    """
    name = re.sub(r"[/\\]", "_", filename)
    plain = _UNSAFE.sub("_", name)
    encoded = quote(name.encode("utf-8", "replace"), safe=_ATTRIBUTE_CHARACTERS)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"

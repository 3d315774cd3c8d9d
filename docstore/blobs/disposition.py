"""The Content-Disposition header of a download (RFC 6266, with RFC 5987's encoding)."""

from __future__ import annotations

import re
from urllib.parse import quote

__all__ = ["attachment"]

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

"""Griffe extension: turns the docstrings' roles and doubled backquotes into the site's Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":[a-z]+:`~?([^`]+)`")
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)  # Griffe knows the plural alone


def _short(found: re.Match[str]) -> str:
    return f"`{found.group(1).removeprefix('docstore.')}`"


class Roles(griffe.Extension):
    """Rewrites the roles of every docstring that is collected."""

    def on_instance(self, *, obj: griffe.Object, **options: Any) -> None:
        """Rewrite one object's docstring before it is parsed."""
        if obj.docstring is not None:
            text = _EXAMPLE.sub(r"\1Examples:", obj.docstring.value)
            obj.docstring.value = _ROLE.sub(_short, text).replace("``", "`")

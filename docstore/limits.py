"""Limits: the bounds on one filter, search, page or document (SEMANTICS: Bounds).

Every bound is checked before any I/O and without recursion. The error names the bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from docstore.errors import shown

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on filters, searches, pages and documents; give your own with ``docstore.open(limits=...)``.

    Attributes:
        nesting: depth of ``$and $or $nor $not $elemMatch`` in a filter.
        operand_depth: depth of arrays and objects in one operand.
        predicates: leaf operators in a filter.
        list_length: values in one ``$in``, ``$nin``, ``$all``, ``$contains`` or list of ids.
        path_steps: steps of one field path, the field's name included.
        operand_bytes: UTF-8 bytes of one text operand (and of the canonical JSON of an array or object
            operand).
        patterns: ``$regex``, ``$glob`` and ``$iglob`` in a filter.
        pattern_characters: characters of one ``$regex`` or glob.
        pattern_instructions: instructions that RE2 makes of one ``$regex``: about one for a character of
            plain text, ten for ``.``, 70 for ``.{8}``, 1,200 for ``\\pL``.
        page: records on one page.
        metadata_bytes: UTF-8 bytes of the canonical JSON of one metadata object.
        metadata_depth: depth of arrays and objects in metadata.
        content: characters of a document's content; a longer one is cut there.
        filename_characters: characters of a filename.
        search_characters: characters of a search.
        sort_keys: keys of one sort.
        ranked: records that ``sort="-score"`` ranks, the newest of those that match.

    Example:
        >>> with docstore.open("memory://", limits=docstore.Limits(page=100)) as small:
        ...     small.documents.find(limit=1000)
        Traceback (most recent call last):
        docstore.errors.InvalidPage: ...
    """

    nesting: int = 16
    operand_depth: int = 64
    predicates: int = 500
    list_length: int = 10_000
    path_steps: int = 16
    operand_bytes: int = 65_536
    patterns: int = 100
    pattern_characters: int = 1_000
    pattern_instructions: int = 25_000
    page: int = 1_000
    metadata_bytes: int = 1_048_576
    metadata_depth: int = 64
    content: int = 50_000_000
    filename_characters: int = 1_024
    search_characters: int = 1_000
    sort_keys: int = 16
    ranked: int = 1_000

    @classmethod
    def of(cls, given: Limits | Mapping[str, int] | None) -> Limits:
        """Return ``given`` as limits: ``None`` is the defaults, a mapping changes some of them.

        Raises:
            ValueError: a name that is no limit, or a value that is no positive whole number.
        """
        if isinstance(given, Limits):
            limits = given
        elif given is not None and not isinstance(given, Mapping):
            raise ValueError(f"limits={shown(given)}: expected Limits, or a mapping of names to numbers")
        else:
            changes = dict(given or {})
            known = [field.name for field in fields(cls)]
            for name in changes:
                if name not in known:
                    raise ValueError(f"unknown limit {shown(name)}; the limits are {', '.join(known)}")
            limits = replace(cls(), **changes)
        for field in fields(limits):
            value = getattr(limits, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"limit {field.name}={shown(value)}: expected a whole number of at least 1")
        return limits


# So many threads one call may have for bytes.
MOST_WORKERS = 256

DEFAULT_LIMITS = Limits()

"""Errors of filters: what is wrong, where in the filter, what was expected, and what was perhaps meant.

The functions return the error; the caller raises it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, TypeAlias

from docstore import errors
from docstore.errors import (
    FilterError,
    FilterSyntaxError,
    FilterTooComplex,
    FilterValueError,
    UnknownField,
    UnknownOperator,
)
from docstore.query.values import type_name

# Keys and list indexes from the top of the filter to what an error is about.
Where: TypeAlias = tuple[str, ...]

# Characters up to which a name is compared with those there are: comparing takes the square of them.
_LONGEST_GUESSED = 64
# How alike a slip and the name that was meant are: `staus` and `status`, not `tags` and `status`.
SLIP = 0.8


def shown(value: Any) -> str:
    """Return a short text for ``value`` in an error: its literal if it is a small scalar, else its type."""
    return (
        errors.shown(value)
        if value is None or isinstance(value, str | bool | int | float)
        else type_name(value)
    )


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the one of ``known`` that ``word`` was perhaps meant to be, or ``None``. Case is nothing.

    Args:
        word: what was written.
        known: what there is.
        cutoff: how alike they must be, from 0 to 1.
    """
    if len(word) > _LONGEST_GUESSED:
        return None
    plain = {name.lower().replace("_", ""): name for name in known}
    found = get_close_matches(word.lower().replace("_", ""), plain, n=1, cutoff=cutoff)
    return plain[found[0]] if found else None


def bad_syntax(where: Where, what: str, expected: str) -> FilterError:
    """Return FilterSyntaxError."""
    return _error(FilterSyntaxError, where, what, f"; expected {expected}")


def bad_value(where: Where, what: str, expected: str) -> FilterError:
    """Return FilterValueError."""
    return _error(FilterValueError, where, what, f"; expected {expected}", expected=expected)


def too_complex(where: Where, what: str, bound: str, limit: int) -> FilterError:
    """Return FilterTooComplex for the bound named ``bound``, whose value is ``limit``."""
    return _error(
        FilterTooComplex, where, what, f"; the limit {bound} is {limit:,}", bound=bound, limit=limit
    )


def unknown_operator(where: Where, operator: str, known: Iterable[str], place: str) -> FilterError:
    """Return UnknownOperator; ``known`` are those that stand in such a place, which ``place`` names."""
    guess = nearest(operator, known)
    meant = f"; did you mean {guess!r}?" if guess else f"; expected {place}"
    what = f"unknown operator {shown(operator)}"
    return _error(UnknownOperator, where, what, meant, operator=operator, suggestion=guess)


def unknown_field(
    where: Where, field: str, known: Iterable[str], what: str, hint: str, below: str | None = None
) -> FilterError:
    """Return UnknownField.

    Args:
        where: its place in the filter.
        field: the name as written.
        known: the names that there are; the nearest is suggested.
        what: what is wrong.
        hint: said if no name is near.
        below: the path that the field would be in the metadata. It is suggested unless a name is very near.
    """
    guess = nearest(field, known, SLIP if below else 0.6) or below
    meant = f"; did you mean {guess!r}?" if guess else f"; {hint}"
    return _error(UnknownField, where, what, meant, field=field, suggestion=guess)


def _error(kind: type[FilterError], where: Where, what: str, rest: str, **attributes: Any) -> FilterError:
    path = "/".join(where)
    at = f"at {errors.shown_path(where)}" if path else "at the top of the filter"
    return kind(f"{what} {at}{rest}", path=path, **attributes)

"""String operators on an SQL text."""

from __future__ import annotations

from docstore_sql.fragment import TRUE, Fragment

from docstore.query.expr import Match, Regex
from docstore.query.text import fold
from docstore_postgres import patterns, regex

__all__ = ["string_condition"]


def string_condition(text: str, leaf: Regex | Match, *, folded: str) -> Fragment:
    """Return the condition of a string operator on an SQL text.

    Args:
        text: the expression of the text.
        leaf: the operator.
        folded: the expression of the folded text.
    """
    match leaf:
        case Match(_, "substring", part):
            return Fragment(f"strpos({text}, %s) > 0", (part,))
        case Match(_, "isubstring", part):
            return Fragment(f"strpos({folded}, %s) > 0", (fold(part),))
        case Match(_, "starts_with", part):
            return Fragment(f"starts_with({text}, %s)", (part,))
        case Match(_, "glob", pattern):
            return patterns.glob(text, pattern)
        case Match(_, "iglob", pattern):
            return patterns.glob(folded, pattern, folded=True)
        case Regex(_, pattern, flags):
            translated = regex.translate(pattern, flags)
            return Fragment(f'{text} COLLATE "C" ~ %s', (translated.source,)) if translated else TRUE
        case _:
            raise AssertionError(leaf)

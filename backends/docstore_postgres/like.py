"""String operators on an SQL text: globs as LIKE or as a regular expression, both by code point."""

from __future__ import annotations

import re

from docstore_sql.fragment import TRUE, Fragment

from docstore.query.expr import Match, Regex
from docstore.query.patterns import CharacterClass, Token, Wild, glob_tokens
from docstore.query.text import fold
from docstore_postgres import regex
from docstore_postgres.regex import CodeRanges, bracket, literal

__all__ = ["glob", "glob_is_exact", "like_text", "string_condition"]

_MOST_RANGES = 200
_SPECIAL = re.compile(r"([%_\\])")


def like_text(text: str) -> str:
    """Return ``text`` with the special characters of LIKE quoted."""
    return _SPECIAL.sub(r"\\\1", text)


def glob(column: str, pattern: str, *, folded: bool = False) -> Fragment:
    """Return the condition that the text ``column`` as a whole matches a glob.

    Args:
        column: an SQL expression; of folded text if ``folded``.
        pattern: as the user wrote it.
        folded: fold literals and classes.
    """
    tokens = glob_tokens(pattern, folded=folded)
    if _ranges_of(tokens) in range(1, _MOST_RANGES + 1):
        source = "".join(map(_regex_token, tokens))
        return Fragment(f'{column} COLLATE "C" ~ %s', (f"^(?:{source})$",))
    return Fragment(f'{column} COLLATE "C" LIKE %s', ("".join(map(_like_token, tokens)),))


def glob_is_exact(pattern: str, *, folded: bool = False) -> bool:
    """Return whether :func:`glob` is exact: not where its classes, too many, stand for any character."""
    return _ranges_of(glob_tokens(pattern, folded=folded)) <= _MOST_RANGES


def _ranges_of(tokens: tuple[Token, ...]) -> int:
    return sum(len(token.ranges) + 1 for token in tokens if isinstance(token, CharacterClass))


def _regex_token(token: Token) -> str:
    match token:
        case str():
            return "".join(map(literal, token))
        case Wild.ANY:
            return ".*"
        case Wild.ONE:
            return "."
        case CharacterClass(ranges, negated):
            return bracket(CodeRanges((ord(first), ord(last)) for first, last in ranges), negated)


def _like_token(token: Token) -> str:
    match token:
        case str():
            return like_text(token)
        case Wild.ANY:
            return "%"
        case _:
            return "_"


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
            return glob(text, pattern)
        case Match(_, "iglob", pattern):
            return glob(folded, pattern, folded=True)
        case Regex(_, pattern, flags):
            translated = regex.translate(pattern, flags)
            return Fragment(f'{text} COLLATE "C" ~ %s', (translated.source,)) if translated else TRUE
        case _:
            raise AssertionError(leaf)

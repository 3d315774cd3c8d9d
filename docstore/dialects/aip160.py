"""Google's AIP-160: filters as a line of text, such as ``year >= 2020 AND (kind = "report" OR tags:q3)``.

The grammar and the meanings are those of google.aip.dev/160. ``OR`` binds tighter than ``AND``; blanks
between two restrictions mean ``AND``. Text in quotes is text; without quotes ``true``, ``false``, ``null``
and numbers are what JSON has, times with an offset are instants, all else is text. ``*`` in the text of
``=`` and ``!=`` stands for any run of characters, ``\\*`` for itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from docstore.dialects.terms import (
    ARRAY,
    Filter,
    Junction,
    Negation,
    Node,
    Test,
    both,
    cannot_say,
    checked,
    date_operand,
    deeper,
    either,
    literal,
    metadata_path,
    neither,
    operand_date,
    read_filter,
    syntax,
    wrong_value,
)
from docstore.limits import DEFAULT_LIMITS
from docstore.query.filter_errors import shown

__all__ = ["from_aip160", "to_aip160"]

NAME = "AIP-160 filter"

_OPERATORS = {"=": "$eq", "!=": "$ne", "<=": "$lte", ">=": "$gte", "<": "$lt", ">": "$gt"}
_COMPARATOR = re.compile(r"\s*(<=|>=|!=|<|>|=|:)\s*")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])")
_DURATION = re.compile(r"-?[0-9]+(?:\.[0-9]+)?s")
_STEP = re.compile(r'[^\s.,:()<>=!"\'\\]+')
_WORD = re.compile(r'[^\s,:()<>=!"\']+')
_BLANK = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class _Value:
    """One literal. ``pattern`` is a glob if the text holds a ``*`` that stands for a run of characters."""

    value: Any
    pattern: str | None = None
    is_star: bool = False
    is_duration: bool = False


def from_aip160(text: str | None) -> Filter:
    """Return an AIP-160 filter as a filter over the metadata.

    ``f:*`` asks for presence: the field is there, and neither null nor an empty array or object. ``f:v`` is
    true where ``f`` is ``v``, an array that holds it, or an object with that key. ``a.b != v`` needs ``a`` to
    be there, as the AIP says; ``a != v`` is true without ``a``.

    Args:
        text: the filter; ``None``, empty and blank match everything.

    Raises:
        FilterError: no such filter; a bare literal (which asks every field) and functions cannot be said. The
            text names the character where it went wrong, from 1.

    Example:
        >>> from_aip160('year >= 2020 AND kind = "report"')
        {'$and': [{'metadata.year': {'$gte': 2020}}, {'metadata.kind': 'report'}]}
    """
    if text is None:
        return {}
    if not isinstance(text, str):
        raise syntax(NAME, f"a {type(text).__name__}", "", "text")
    if len(text.encode("utf-8", "replace")) > DEFAULT_LIMITS.operand_bytes:
        raise wrong_value(
            NAME, f"{len(text):,} characters", "", f"at most {DEFAULT_LIMITS.operand_bytes:,} bytes"
        )
    return checked(_Parser(text).filter())


class _Parser:
    """A descent through the grammar, one method a rule; the depth of parentheses is bounded."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def filter(self) -> Filter:
        self._skip()
        if self._at == len(self._text):
            return {}
        found = self._expression()
        if self._at < len(self._text):
            raise self._wrong(f"{self._text[self._at]!r}", "AND, OR, a restriction or the end")
        return found

    def _expression(self) -> Filter:
        return self._sequence(self._factor, "a restriction")

    def _sequence(self, rule: Callable[[], Filter], expected: str) -> Filter:
        """Read one or more of a rule, with or without AND between them, up to ``)`` or the end."""
        parts = [rule()]
        while True:
            joined = self._keyword("AND")
            self._skip()
            if self._at == len(self._text) or self._text[self._at] == ")":
                if joined:
                    raise self._wrong("nothing behind AND", expected)
                return both(parts)
            parts.append(rule())

    def _factor(self) -> Filter:
        parts = [self._term()]
        while self._keyword("OR"):
            parts.append(self._term())
        return either(parts)

    def _term(self) -> Filter:
        self._skip()
        if self._keyword("NOT"):
            return neither([self._simple()])
        if self._text.startswith("-", self._at):
            self._at += 1
            return neither([self._simple()])
        return self._simple()

    def _simple(self) -> Filter:
        self._skip()
        if self._text.startswith("(", self._at):
            return self._nested(self._expression)
        return self._restriction()

    def _nested(self, rule: Callable[[], Filter]) -> Filter:
        """Read what a rule says between parentheses."""
        opened = self._at
        self._at += 1
        self._depth = deeper(NAME, self._depth, self._place(opened))
        self._skip()
        found = rule()
        self._depth -= 1
        self._skip()
        if not self._text.startswith(")", self._at):
            raise self._wrong("an unclosed parenthesis", "')'", opened)
        self._at += 1
        return found

    def _restriction(self) -> Filter:
        begun = self._at
        steps = self._member()
        if self._text.startswith("(", self._at):
            what = f"the function {shown('.'.join(steps))}"
            raise cannot_say(NAME, what, self._place(begun), "docstore has no functions in filters")
        comparator = _COMPARATOR.match(self._text, self._at)
        if comparator is None:
            what = f"the bare literal {shown('.'.join(steps))}"
            raise cannot_say(NAME, what, self._place(begun), "name a field ( field = value ), or use search=")
        self._at = comparator.end()
        return self._argument(steps, comparator[1])

    def _member(self) -> tuple[str, ...]:
        steps = [self._step()]
        while self._text.startswith(".", self._at):
            self._at += 1
            steps.append(self._step())
        return tuple(steps)

    def _step(self) -> str:
        quoted = _STRING.match(self._text, self._at)
        if quoted is not None:
            self._at = quoted.end()
            return _unescaped(quoted[1] if quoted[1] is not None else quoted[2])
        plain = _STEP.match(self._text, self._at)
        if plain is None:
            found = repr(self._text[self._at]) if self._at < len(self._text) else "the end"
            raise self._wrong(found, "the name of a field")
        if plain[0] in ("AND", "OR", "NOT"):
            raise self._wrong(plain[0], "a restriction such as  field = value")
        self._at = plain.end()
        return plain[0]

    def _argument(self, steps: tuple[str, ...], comparator: str) -> Filter:
        """Read what stands behind a comparator: a literal, or literals joined by AND, OR and NOT."""
        self._skip()
        if not self._text.startswith("(", self._at):
            begun = self._at
            return self._compared(steps, comparator, self._literal(), begun)
        return self._nested(lambda: self._values(steps, comparator))

    def _values(self, steps: tuple[str, ...], comparator: str) -> Filter:
        """Read values joined by AND, OR and NOT; each stands behind the comparator by itself."""

        def value() -> Filter:
            self._skip()
            return neither([value()]) if self._keyword("NOT") else self._argument(steps, comparator)

        def alternatives() -> Filter:
            parts = [value()]
            while self._keyword("OR"):
                parts.append(value())
            return either(parts)

        return self._sequence(alternatives, "a value")

    def _literal(self) -> _Value:
        quoted = _STRING.match(self._text, self._at)
        if quoted is not None:
            self._at = quoted.end()
            return _text_value(quoted[1] if quoted[1] is not None else quoted[2])
        timed = _TIME.match(self._text, self._at)
        if timed is not None:
            self._at = timed.end()
            return _Value(date_operand(timed[0]))
        word = _WORD.match(self._text, self._at)
        if word is None:
            found = repr(self._text[self._at]) if self._at < len(self._text) else "the end"
            raise self._wrong(found, "a value")
        if word[0] in ("AND", "OR", "NOT"):
            raise self._wrong(word[0], "a value")
        self._at = word.end()
        if self._text.startswith("(", self._at):
            raise cannot_say(NAME, f"the function {shown(word[0])}", self._place(word.start()))
        if word[0] in ("true", "false", "null"):
            return _Value(json.loads(word[0]))
        if _NUMBER.fullmatch(word[0]):
            return _Value(_number(word[0]))
        if _DURATION.fullmatch(word[0]):
            return _Value(word[0], is_duration=True)
        return _text_value(word[0])

    def _compared(self, steps: tuple[str, ...], comparator: str, given: _Value, begun: int) -> Filter:
        path = metadata_path(steps)
        if comparator == ":":
            return _has(steps, given)
        if comparator not in ("=", "!="):
            if given.is_duration:
                place = self._place(begun)
                raise cannot_say(
                    NAME, f"the order of durations such as {given.value}", place, "store seconds"
                )
            if given.value is None or isinstance(given.value, bool):
                raise wrong_value(
                    NAME,
                    f"{json.dumps(given.value)} with {comparator}",
                    self._place(begun),
                    "a number or text",
                )
            return {path: {_OPERATORS[comparator]: given.value}}
        operand: Any = {"$glob": given.pattern} if given.pattern is not None else literal(given.value)
        if comparator == "=":
            return {path: operand}
        differs: Filter = {path: {"$not": operand} if given.pattern is not None else {"$ne": given.value}}
        if len(steps) == 1:
            return differs
        return {"$and": [{metadata_path(steps[:-1]): {"$ne": None}}, differs]}

    def _keyword(self, word: str) -> bool:
        """Step over a keyword if it stands next, as a word of its own."""
        self._skip()
        end = self._at + len(word)
        is_next = self._text.startswith(word, self._at) and (
            end == len(self._text) or self._text[end].isspace() or self._text[end] == "("
        )
        if is_next:
            self._at = end
        return is_next

    def _skip(self) -> None:
        found = _BLANK.match(self._text, self._at)
        assert found is not None, "it matches nothing, too"
        self._at = found.end()

    def _place(self, at: int) -> str:
        return f"character {at + 1}"

    def _wrong(self, what: str, expected: str, at: int | None = None) -> Exception:
        return syntax(NAME, what, self._place(self._at if at is None else at), expected)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _text_value(raw: str) -> _Value:
    """Return the literal of a text as it stands in the filter, backslashes and wildcards read."""
    plain: list[str] = []
    glob: list[str] = []
    stars = 0
    characters = iter(raw)
    for character in characters:
        if character == "*":
            stars += 1
            glob.append("*")
            plain.append("*")
            continue
        if character == "\\":
            character = next(characters, "\\")
        plain.append(character)
        glob.append(f"\\{character}" if character in "*?[]\\" else character)
    text = "".join(plain)
    pattern = "".join(glob) if stars else None
    return _Value(text if stars else date_operand(text), pattern, is_star=raw == "*")


def _has(steps: tuple[str, ...], given: _Value) -> Filter:
    """Return what ``f:v`` means: presence, an element, the value itself, or a key."""
    path = metadata_path(steps)
    if given.is_star:
        nothing: Filter = {path: {"$in": [None, {}], "$not": dict(ARRAY)}}
        return {path: {"$exists": True}, "$nor": [{path: {"$size": 0}}, nothing]}
    operand = {"$glob": given.pattern} if given.pattern is not None else literal(given.value)
    holds: Filter = {path: operand}
    if not isinstance(given.value, str) or given.pattern is not None:
        return holds
    return {"$or": [holds, {metadata_path((*steps, given.value)): {"$exists": True}}]}


def to_aip160(filter: Mapping[str, Any] | None) -> str:
    """Return a filter over the metadata as an AIP-160 filter; empty text for one that matches everything.

    Raises:
        FilterError: it holds what AIP-160 cannot say, such as ``$regex``, ``$exists``, arrays and objects.

    Example:
        >>> to_aip160({"metadata.year": {"$gte": 2020}, "metadata.kind": {"$in": ["a", "b"]}})
        'year >= 2020 AND (kind = "a" OR kind = "b")'
    """
    node = read_filter(NAME, filter)
    return "" if isinstance(node, Junction) and not node.parts else _written(node)


def _written(node: Node) -> str:
    match node:
        case Junction("and", parts):
            return " AND ".join(
                _wrapped(part) if isinstance(part, Junction) else _written(part) for part in parts
            )
        case Junction(_, parts):
            return " OR ".join(
                _wrapped(part) if isinstance(part, Junction) else _written(part) for part in parts
            )
        case Negation(part):
            return f"NOT {_wrapped(part)}"
        case Test(steps, operator, operand, where):
            return _written_test(steps, operator, operand, where)


def _wrapped(node: Node) -> str:
    return f"({_written(node)})"


def _written_test(steps: tuple[str, ...], operator: str, operand: Any, where: str) -> str:
    field = ".".join(map(_name, steps))
    if operator in ("in", "nin") and operand:
        joined = " OR ".join(f"{field} = {_literal_text(one, where)}" for one in operand)
        joined = f"({joined})" if len(operand) > 1 else joined
        return joined if operator == "in" else f"NOT {joined}"
    if operator == "ne":
        return f"NOT {field} = {_literal_text(operand, where)}"
    if operator == "glob" and "?" not in operand and "[" not in operand:
        return f"{field} = {_quoted(operand, is_glob=True)}"
    signs = {name[1:]: sign for sign, name in _OPERATORS.items()}
    if operator not in signs:
        raise cannot_say(NAME, f"${operator}", where)
    if operator != "eq" and (operand is None or isinstance(operand, bool)):
        raise cannot_say(NAME, f"${operator} with {shown(operand)}", where)
    return f"{field} {signs[operator]} {_literal_text(operand, where)}"


def _name(step: str) -> str:
    is_plain = (
        _STEP.fullmatch(step) is not None and step not in ("AND", "OR", "NOT") and not step.startswith("-")
    )
    return step if is_plain else _quoted(step)


def _literal_text(operand: Any, where: str) -> str:
    date = operand_date(operand)
    if date is not None:
        return f'"{date}"'
    if isinstance(operand, (list, tuple, Mapping)):
        raise cannot_say(NAME, shown(operand), where, "AIP-160 has scalars alone")
    if not isinstance(operand, str):
        return json.dumps(operand)
    if date_operand(operand) is not operand:
        raise cannot_say(NAME, f"the text {shown(operand)}", where, "AIP-160 would read it as an instant")
    return _quoted(operand)


def _quoted(text: str, *, is_glob: bool = False) -> str:
    """Return text between double quotes; in one that is no glob a star stands for itself."""
    if is_glob and (len(text) - len(text.rstrip("\\"))) % 2:
        text += "\\"  # a last backslash is ordinary in a glob, and would quote the quote here
    special = '"' if is_glob else '"\\*'
    return '"' + "".join(f"\\{one}" if one in special else one for one in text) + '"'

"""Expr as canonical JSON text and back: what a registered SQL function gets and a cursor is bound to."""

from __future__ import annotations

import json
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from docstore.concurrency import looked_over
from docstore.query.expr import (
    All,
    Always,
    And,
    Compare,
    Contains,
    During,
    ElemMatch,
    Exists,
    Expr,
    In,
    Json,
    Match,
    Mod,
    Not,
    Occurs,
    Or,
    Path,
    Regex,
    Size,
    TypeIs,
)
from docstore.query.values import canonical_json

__all__ = ["expr_from_json", "expr_to_json"]


def expr_to_json(expr: Expr) -> str:
    """Return ``expr`` as a compact JSON text: the same text for the same Expr, always.

    Unlike ``==`` on expressions (Python holds ``1`` and ``True`` equal) two texts are equal only if the
    expressions mean the same, so the text is also the right key for caches.
    """
    return _encode(expr)


def expr_from_json(text: str) -> Expr:
    """Return the Expr that :func:`expr_to_json` wrote.

    Raises:
        ValueError: the text is not one of its texts.
    """
    try:
        return _decode(json.loads(text))
    except (KeyError, TypeError, IndexError) as wrong:
        raise ValueError(f"not an expression: {text[:80]!r}") from wrong


def _encode(expr: Expr) -> str:
    match expr:
        case Compare(path, op, value):
            return f'["compare",{_path(path)},"{op}",{_value(value)}]'
        case And(terms):
            return _group("and", terms)
        case Or(terms):
            return _group("or", terms)
        case Not(term):
            return f'["not",{_encode(term)}]'
        case In(path, values):
            return f'["in",{_path(path)},[{",".join(map(_value, looked_over(values)))}]]'
        case All(path, values):
            return f'["all",{_path(path)},[{",".join(map(_value, values))}]]'
        case ElemMatch(path, condition, of):
            return f'["element",{_path(path)},{_encode(condition)},"{of}"]'
        case Exists(path):
            return f'["exists",{_path(path)}]'
        case _:
            return canonical_json(_parts(expr))


def _group(word: str, terms: tuple[Expr, ...]) -> str:
    return ",".join([f'["{word}"', *map(_encode, terms)]) + "]"


@lru_cache(maxsize=1024)
def _path(path: Path) -> str:
    return canonical_json(path)


def _value(value: Json) -> str:
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    return repr(value) if kind is int else canonical_json(value)


def _parts(expr: Expr) -> list[Any]:
    match expr:
        case Always(value):
            return ["always", value]
        case TypeIs(path, types):
            return ["type", path, sorted(types)]
        case Size(path, length):
            return ["size", path, length]
        case Mod(path, divisor, remainder):
            return ["mod", path, divisor, remainder]
        case Regex(path, pattern, flags):
            return ["regex", path, pattern, flags]
        case Match(path, kind, text):
            return ["match", path, kind, text]
        case Contains(path, values, every, instants):
            return ["contains", path, values, every, instants]
        case During(path, spans):
            return ["during", path, spans]
        case Occurs(text, words, prefix, content, marks):
            return ["occurs", text, words, prefix, content, marks]
        case _:
            raise AssertionError(expr)


def _decode(node: Any) -> Expr:
    kind, *rest = node
    if kind == "and":
        return And(tuple(map(_decode, rest)))
    if kind == "or":
        return Or(tuple(map(_decode, rest)))
    if kind == "not":
        return Not(_decode(rest[0]))
    if kind == "occurs":
        text, words, prefix, content, marks = rest
        return Occurs(text, tuple(words), prefix, content, marks)
    if kind == "always":
        return Always(rest[0])
    return _decode_leaf(kind, tuple(rest[0]), rest[1:])


def _decode_leaf(kind: str, path: tuple[str, ...], rest: list[Any]) -> Expr:
    read: Any = _PLAIN.get(kind)
    if read is not None:
        leaf: Expr = read(path, *rest)
        return leaf
    match kind, rest:
        case "in", [values]:
            return In(path, tuple(values))
        case "all", [values]:
            return All(path, tuple(values))
        case "contains", [values, every, instants]:
            return Contains(path, tuple(values), every, tuple(instants))
        case "during", [spans]:
            return During(path, tuple((first, last) for first, last in spans))
        case "type", [types]:
            return TypeIs(path, frozenset(types))
        case "element", [condition, of]:
            return ElemMatch(path, _decode(condition), of)
        case _:
            raise ValueError(f"not an expression: {kind!r}")


_PLAIN: dict[str, Any] = {
    "compare": Compare,
    "exists": Exists,
    "size": Size,
    "mod": Mod,
    "regex": Regex,
    "match": Match,
}

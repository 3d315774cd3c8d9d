"""Where a path leads in ``jsonb``, as SQL: the ends of rules 6 to 9, for paths with indexes too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from docstore_sql.fragment import Fragment, either, joined

from docstore.query.expr import Path
from docstore_postgres import jsonpath

__all__ = ["Root", "ends", "indexed", "is_missing", "tested"]

_LARGEST_INDEX = 2**31 - 1
_SCALAR = '$.type() != "object" && $.type() != "array"'
_LACKS = '(exists($ ? (@.type() == "object" && !exists(@.{0}))))'


@dataclass(frozen=True, slots=True)
class Root:
    """What paths start at: an object, or any value for the path ``()``.

    Attributes:
        text: the SQL expression of a ``jsonb``.
        depth: how many ElemMatch it stands within; aliases are numbered by it.
        nullable: whether the expression can be NULL: then every path is missing.
        whole: whether the path ``()`` is the value itself, an array not opened: an element under an ElemMatch
            of values.
        folds: the SQL expression of the record's folds (see ``index_folds``).
    """

    text: str
    depth: int = 0
    nullable: bool = False
    whole: bool = False
    folds: str = "NULL::jsonb"


def indexed(path: Sequence[str]) -> bool:
    """Return whether a step of ``path`` can be an index; the first, on an object, is a key anyway."""
    return any(map(jsonpath.is_index, path[1:]))


def tested(value: str, predicate: str) -> Fragment:
    """Return ``value`` fulfilling a predicate of the path language."""
    return Fragment(f"{value} @@ %s::jsonpath", (predicate,))


def ends(root: Root, path: Path) -> Fragment:
    """Return a FROM item ``e<depth>(v, i)``: each value that ``path`` leads to, and if it stays whole."""
    alias = f"e{root.depth}(v, i)"
    if not path and root.whole:
        return Fragment(f"(SELECT {root.text}, true) AS {alias}")
    if not indexed(path):
        return Fragment(
            f"(SELECT jsonb_path_query({root.text}, %s::jsonpath), false) AS {alias}",
            (jsonpath.reached(path),),
        )
    chain, last, at_end = _chain(root, path)
    unopened = f"{last}.i" if at_end else "false"
    return Fragment(f"(SELECT {last}.v, {unopened} FROM {chain.text}) AS {alias}", chain.values)


def _chain(root: Root, path: Path) -> tuple[Fragment, str, bool]:
    """Return FROM items along ``path``, the alias of the last, and whether an index was its step."""
    parts: list[Fragment] = []
    value = root.text
    at = 0
    by_index = False
    while at < len(path):
        alias = f"r{root.depth}_{len(parts)}"
        lateral = "LATERAL " if parts else ""
        by_index = at > 0 and jsonpath.is_index(path[at])
        if by_index:
            parts.append(_index_step(value, path[at]).wrapped("LATERAL (", f") AS {alias}(v, i)"))
            at += 1
        else:
            stop = next((n for n in range(max(at, 1), len(path)) if jsonpath.is_index(path[n])), len(path))
            steps = jsonpath.reached(path[at:stop])
            parts.append(
                Fragment(f"{lateral}jsonb_path_query({value}, %s::jsonpath) AS {alias}(v)", (steps,))
            )
            at = stop
        value = f"{alias}.v"
    return joined(" CROSS JOIN ", parts), value.removesuffix(".v"), by_index


def _index_step(value: str, step: str) -> Fragment:
    """Return what an index leads to: the member of that name, and the element at that place of an array."""
    member = Fragment(f"SELECT jsonb_path_query({value}, %s::jsonpath), false", (jsonpath.reached((step,)),))
    if int(step) > _LARGEST_INDEX:
        return member
    there = f"jsonb_typeof({value}) = 'array' AND {value} -> %s::int IS NOT NULL"
    element = Fragment(f"SELECT {value} -> %s::int, true WHERE {there}", (int(step), int(step)))
    return joined(" UNION ALL ", (member, element))


def is_missing(root: Root, path: Path) -> Fragment:
    """Return the condition that ``path`` leads nowhere at some place (rule 9)."""
    parts = [Fragment(f"{root.text} IS NULL")] if root.nullable else []
    if not path:
        return either(parts)
    plain = next((at for at in range(1, len(path)) if jsonpath.is_index(path[at])), len(path))
    parts.append(tested(root.text, jsonpath.missing(path[: plain + 1])))
    parts += [_missing_behind(root, path, at) for at in range(plain + 1, len(path))]
    return either(parts)


def _missing_behind(root: Root, path: Path, at: int) -> Fragment:
    """Return that the step at ``at`` leads nowhere; a scalar reached by an index is not stepped from."""
    chain, last, by_index = _chain(root, path[:at])
    lacks = _LACKS.format(jsonpath.quoted(path[at]))
    stepped = tested(f"{last}.v", f"{lacks} || ({_SCALAR})")
    if by_index:
        unstepped = tested(f"{last}.v", lacks)
        stepped = joined(" ELSE ", (unstepped.wrapped(f"CASE WHEN {last}.i THEN "), stepped)).wrapped(
            "", " END"
        )
    return joined(" WHERE ", (chain, stepped)).wrapped("EXISTS (SELECT 1 FROM ", ")")

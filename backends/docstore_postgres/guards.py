"""Guards: what is quickly seen to be missing keeps many alternatives from being asked at all.

A guard is implied by every condition behind it, and a ``CASE`` keeps the order: Postgres would sort the
terms of an AND by what it thinks they cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from docstore_sql.fragment import Fragment, either

from docstore.query.expr import Path
from docstore_postgres import jsonpath
from docstore_postgres.predicates import merged
from docstore_postgres.reach import Root, indexed, tested
from docstore_postgres.values import json_of

__all__ = ["Guarded", "guarded"]

_MANY = 16
"""From so many conditions behind it on a guard pays."""
_CHUNK = 24
"""Keys that are looked for together."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A condition and what must be there for it to hold.

    Attributes:
        path: leads somewhere.
        type: Postgres' name of the type of a value seen there, for ``array`` of the value reached; ``None``:
            any.
        condition: the condition.
    """

    path: Path
    type: str | None
    condition: Fragment


def guarded(root: Root, asked: Sequence[Guarded], before: Path = ()) -> list[Fragment]:
    """Return the conditions, those on many keys behind ``before`` asked only where one of the keys is."""
    at = len(before)
    by_key: dict[str, list[Guarded]] = {}
    here: list[Guarded] = []
    for one in asked:
        if len(one.path) > at and not (at and jsonpath.is_index(one.path[at])):
            by_key.setdefault(one.path[at], []).append(one)
        else:
            here.append(one)
    found = _of_types(root, before, here)
    if len(by_key) >= _MANY:
        return [*found, _of_keys(root, before, by_key)]
    for key, some in by_key.items():
        found += guarded(root, some, (*before, key))
    return found


def _of_keys(root: Root, before: Path, by_key: dict[str, list[Guarded]]) -> Fragment:
    keys = list(by_key)
    parts = []
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        one = _any_of(part for key in chunk for part in guarded(root, by_key[key], (*before, key)))
        parts.append(one if before else _behind(Fragment(f"{root.text} ?| %s::text[]", (chunk,)), one))
    return _behind(_has_key(root, before, keys), either(parts))


def _of_types(root: Root, path: Path, asked: Sequence[Guarded]) -> list[Fragment]:
    """Return conditions that all need something at or below ``path``; many are asked of their types alone."""
    types = {one.type for one in asked if one.path == path}
    some = [one.condition for one in asked if one.path == path]
    others = [one.condition for one in asked if one.path != path]
    if len(some) < _MANY or None in types or not path or indexed(path):
        return [*some, *others]
    *start, last = path
    array = f'@.type() == "object" && @.{jsonpath.quoted(last)}.type() == "array"'
    tests = [
        jsonpath.exists(start, array) if name == "array" else jsonpath.exists(path, f'@.type() == "{name}"')
        for name in sorted(filter(None, types))
    ]
    return [*others, _behind(tested(root.text, jsonpath.any_of(tests)), _any_of(some))]


def _any_of(conditions: Iterable[Fragment]) -> Fragment:
    return either(merged(conditions, "||"))


def _behind(guard: Fragment, condition: Fragment) -> Fragment:
    """Return ``condition``, asked where ``guard`` holds and nowhere else."""
    return Fragment(f"CASE WHEN {guard.text} THEN {condition.text} END", guard.values + condition.values)


def _has_key(root: Root, before: Path, keys: Sequence[str]) -> Fragment:
    """Return that an object at ``before``, or in an array there, has one of the keys."""
    if not before:
        value = f"CASE WHEN jsonb_typeof({root.text}) = 'object' THEN {root.text} END"
        names = f"jsonb_object_keys({value}) AS k(v)"
        return Fragment(f"EXISTS (SELECT 1 FROM {names} WHERE k.v = ANY(%s::text[]))", (list(keys),))
    steps = f'{jsonpath.reached(before)} ? (@.type() == "object").keyvalue().key'
    return Fragment(
        f"EXISTS (SELECT 1 FROM jsonb_path_query({root.text}, %s::jsonpath) AS k(v) "
        "WHERE k.v = ANY(%s::jsonb[]))",
        (steps, [json_of(key) for key in keys]),
    )

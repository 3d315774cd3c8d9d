"""Filters of hundreds of generated patterns, to look for one that takes too long to its first row.

A family is one shape, such as ``^[a-q].{3}(?:xy|z)[k-z]$``, written hundreds of times with other classes, counts and
letters. What RE2 does about many patterns at once depends on all of them and on the texts, so that the worst of them are
found by trying.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeAlias

__all__ = ["families"]

_PREDICATES = 490
_FIELDS = ("filename", "content", "metadata.a", "external_id")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
Pattern: TypeAlias = Callable[[int], str]
"""Writes a shape the n-th time."""
Condition: TypeAlias = Callable[[int], dict[str, Any]]


def families(number: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what ``find`` is asked: ``number`` filters, each of one or two families.

    Args:
        number: how many.
        seed: of the shapes.
    """
    random = Random(seed)
    for turn in range(number):
        first, second = _condition(random), _condition(random)
        yield {"filter": _FORMS[turn % len(_FORMS)](first, second, random.choice(_FIELDS))}


def _condition(random: Random) -> Condition:
    pattern, flags = _pattern(random), random.choice(["", "", "", "", "i", "s", "m", "im"])
    if random.random() < 0.12:
        glob, word = _glob(random), random.choice(["$glob", "$iglob"])
        return lambda n: {word: glob(n)}
    if flags:
        return lambda n: {"$regex": pattern(n), "$options": flags}
    return lambda n: {"$regex": pattern(n)}


def _pattern(random: Random) -> Pattern:
    parts = [_part(random) for _ in range(random.randint(2, 6))]
    start = random.choice(["", "", "", "^", "^", "\\b"])
    end = random.choice(["", "", "", "$", "$", "\\b"])
    return lambda n: start + "".join(part(n) for part in parts) + end


def _part(random: Random) -> Pattern:
    """Return a repeated character, or alternatives that may be left out or come twice."""
    if random.random() < 0.8:
        return _repeated(random, random.choice(_ATOMS)(random))
    branches = [
        [_repeated(random, random.choice(_ATOMS)(random)) for _ in range(random.randint(1, 3))]
        for _ in range(random.randint(2, 3))
    ]
    times = random.choice(["", "", "?", "{1,2}"])
    return lambda n: "(?:" + "|".join("".join(part(n) for part in branch) for branch in branches) + ")" + times


def _letter(random: Random) -> Pattern:
    shift, step = random.randrange(26), random.choice([0, 1, 3, 5])
    return lambda n: _LETTERS[(shift + n * step) % 26]


def _range(random: Random) -> Pattern:
    negated, split, step = random.choice(["", "", "^"]), random.randint(6, 18), random.choice([1, 3, 5])
    return lambda n: f"[{negated}{_LETTERS[n * step % split]}-{_LETTERS[split + n % (26 - split)]}]"


def _beyond_ascii(random: Random) -> Pattern:
    negated, first = random.choice(["", "", "^"]), random.choice([0xE0, 0x370, 0x3041, 0x4E00, 0xAC00])
    wide, step = random.choice([1, 30, 400, 9_000]), random.choice([0, 1, 7])
    return lambda n: f"[{negated}{chr(first + n * step)}-{chr(first + n * step + wide)}]"


def _rare(random: Random) -> Pattern:
    first = random.choice([0x4E00, 0x20, 0x400])
    return lambda n: f"\\x{{{first + n:x}}}"


def _fixed(random: Random) -> Pattern:
    text = random.choice(
        [".", ".", ".", "\\w", "\\d", "\\pL", "\\PL", "\\pN", "\\s", "[^.]", "[.]", "\\S", "[aeiou]", "[0-9]", "(?i:t)", "txt", "pdf"]
    )
    return lambda n: text


def _numbers(random: Random) -> Pattern:
    return lambda n: str(n)


_ATOMS = [_letter, _range, _range, _range, _beyond_ascii, _rare, _fixed, _fixed, _fixed, _numbers]


def _repeated(random: Random, atom: Pattern) -> Pattern:
    top, least = random.choice([2, 3, 5, 8, 13, 21]), random.randint(0, 2)
    times: list[Pattern] = [
        lambda n: "", lambda n: "", lambda n: "", lambda n: "+", lambda n: "*", lambda n: "?",
        lambda n: f"{{{n % top}}}", lambda n: f"{{{n % top}}}", lambda n: f"{{{least},{least + n % top}}}", lambda n: f"{{{n % top},}}",
    ]  # fmt: skip
    count = random.choice(times)
    return lambda n: atom(n) + count(n)


def _glob(random: Random) -> Pattern:
    makes: list[Pattern] = [
        lambda n: "*", lambda n: "?", lambda n: f"[{_LETTERS[n % 13]}-{_LETTERS[13 + n % 13]}]", lambda n: f"[!{chr(0x4E00 + n)}]",
        lambda n: _LETTERS[n % 26], lambda n: ".", lambda n: "?" * (n % 7),
    ]  # fmt: skip
    parts = [random.choice(makes) for _ in range(random.randint(3, 8))]
    return lambda n: "*" + "".join(part(n) for part in parts)


def _each(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    return {"$or": [{field: first(n)} for n in range(_PREDICATES)]}


def _none(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    return {"$nor": [{field: first(n)} for n in range(_PREDICATES)]}


def _not_each(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    return {"$and": [*({field: {"$not": first(n)}} for n in range(_PREDICATES)), {field: {"$regex": "zzq"}}]}


def _both_kinds(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    return {"$or": [{field: (first, second)[n % 2](n)} for n in range(_PREDICATES)]}


def _pairs(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    return {"$or": [{"$and": [{field: first(n)}, {field: second(n)}]} for n in range(_PREDICATES // 2)]}


def _pairs_across(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    return {"$or": [{"$and": [{"filename": first(n)}, {"content": second(n)}]} for n in range(_PREDICATES // 2)]}


def _nearly(n: int) -> dict[str, Any]:
    return {"$regex": f"[^{chr(0x4E00 + n)}]"}


def _beside_nearly_all(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    return {"$or": [{"$and": [{"filename": _nearly(n)}, {field: first(n)}]} for n in range(_PREDICATES // 2)]}


def _all_of_either(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    either = [{"$or": [{field: {"$not": first(n)}}, {"filename": second(n)}]} for n in range(_PREDICATES // 2)]
    return {"$and": [*either, {field: {"$regex": "zzq"}}]}


def _none_of_pairs(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    pairs = [{field: {"$not": first(n)}, "filename": second(n)} for n in range(_PREDICATES // 2)]
    return {"$nor": [*pairs, {field: {"$not": {"$regex": "zzq"}}}]}


def _beside_sizes(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    return {"$or": [{field: first(n), "size": {"$lt": -n}} for n in range(_PREDICATES // 2)]}


def _in_elements(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    return {"$or": [{"metadata.a": {"$elemMatch": first(n)}} for n in range(_PREDICATES // 2)]}


def _three_deep(first: Condition, second: Condition, field: str) -> dict[str, Any]:
    return {
        "$or": [
            {"$and": [{"filename": _nearly(n)}, {"$or": [{field: first(n)}, {"content": second(n)}]}]}
            for n in range(_PREDICATES // 3)
        ]
    }


_FORMS = [
    _each, _none, _each, _not_each, _both_kinds, _pairs, _pairs_across, _beside_nearly_all, _all_of_either, _none_of_pairs,
    _beside_sizes, _in_elements, _three_deep,
]  # fmt: skip

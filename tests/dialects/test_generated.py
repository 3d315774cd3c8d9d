"""500 generated filters a dialect: docstore answers as the dialect's own rules do, read in plain Python."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from fnmatch import translate as glob_regex
from types import SimpleNamespace
from typing import Any

import pytest

import docstore
from docstore import dialects
from docstore.query.evaluator import matches
from docstore.query.parser import parse

ROUNDS = 150
NUMBERS = (-2, 0, 1, 2.5, 3, 10**12)
TEXTS = ("", "a", "b", "ab", "B", "a,b", "%_", "null", "5", "Zoë")
RECORDS: list[dict[str, Any]] = []
_random = random.Random(160)
for _ in range(24):
    record: dict[str, Any] = {}
    for key, values in (("n", NUMBERS), ("m", NUMBERS), ("s", TEXTS), ("t", TEXTS), ("f", (True, False))):
        if _random.random() < 0.85:
            record[key] = _random.choice(values)
    if _random.random() < 0.7:
        record["in"] = {"n": _random.choice(NUMBERS), "s": _random.choice(TEXTS)}
    if _random.random() < 0.8:
        record["tags"] = _random.sample(TEXTS, _random.randrange(4))
    if _random.random() < 0.8:
        record["nums"] = _random.sample(NUMBERS, _random.randrange(4))
    RECORDS.append(record)

Case = tuple[Any, Callable[[dict[str, Any]], bool]]
"""A filter of the dialect, and what it says of one metadata object."""


def seen(record: Any, *steps: str) -> Any:
    """Return the value at a path, or None."""
    for step in steps:
        record = record.get(step) if isinstance(record, dict) else None
    return record


def ordered(operator: str, value: Any, operand: Any) -> bool:
    """Compare two values; None and another type are never before or behind."""
    if value is None or isinstance(value, (list, dict)) or isinstance(value, str) != isinstance(operand, str):
        return False
    return {">": value > operand, ">=": value >= operand, "<": value < operand, "<=": value <= operand}[
        operator
    ]


def agree(cases: list[Case], translate: Callable[[Any], dict[str, Any]]) -> None:
    """Check every case on every record."""
    for given, says in cases:
        filter = translate(given)
        for metadata in RECORDS:
            assert says(metadata) == docstore.matches(filter, {"metadata": metadata}), (
                given,
                filter,
                metadata,
            )


def haystack(chance: random.Random, depth: int = 0) -> Case:
    """Make a Haystack filter."""
    if depth < 3 and chance.random() < 0.4:
        parts = [haystack(chance, depth + 1) for _ in range(chance.randrange(1, 4))]
        operator = chance.choice(("AND", "OR", "NOT"))
        given = {"operator": operator, "conditions": [one for one, _ in parts]}
        if operator == "OR":
            return given, lambda record: any(says(record) for _, says in parts)
        wanted = operator == "AND"
        return given, lambda record: all(says(record) for _, says in parts) == wanted
    kind = chance.choice("nms")
    steps = chance.choice(((kind,), ("in", "s" if kind == "s" else "n")))
    values = TEXTS if kind == "s" else NUMBERS
    operator = chance.choice(
        ("==", "!=", "in", "not in") if kind == "s" else ("==", "!=", ">", ">=", "<", "<=", "in", "not in")
    )
    if operator in ("in", "not in"):
        several = chance.sample((*values, None), chance.randrange(4))
        wanted = operator == "in"
        given = {"field": f"meta.{'.'.join(steps)}", "operator": operator, "value": several}
        return given, lambda record: (seen(record, *steps) in several) == wanted
    operand = chance.choice((*values, None))
    given = {"field": f"meta.{'.'.join(steps)}", "operator": operator, "value": operand}
    if operator in ("==", "!="):
        wanted = operator == "=="
        return given, lambda record: (seen(record, *steps) == operand) == wanted
    return given, lambda record: operand is not None and ordered(operator, seen(record, *steps), operand)


def llama_index(chance: random.Random, depth: int = 0) -> Case:
    """Make filters of LlamaIndex, as mappings."""
    if depth < 3 and (depth == 0 or chance.random() < 0.3):
        parts = [llama_index(chance, depth + 1) for _ in range(chance.randrange(1, 4))]
        condition = chance.choice(("and", "or", "not"))
        given: dict[str, Any] = {"filters": [one for one, _ in parts], "condition": condition}
        if condition == "and":
            return given, lambda record: all(says(record) for _, says in parts)
        wanted = condition == "or"
        return given, lambda record: any(says(record) for _, says in parts) == wanted
    operator = chance.choice(
        ("==", "!=", ">", ">=", "<", "<=", "in", "nin", "any", "all", "text_match", "contains", "is_empty")
    )
    key = chance.choice("nmst")
    if operator in ("any", "all"):
        key = chance.choice(("tags", "nums"))
    elif operator == "contains":
        key = chance.choice(("tags", "nums", "s"))
    elif operator == "text_match":
        key = chance.choice("st")
    elif operator == "is_empty":
        key = chance.choice(("tags", "s", "n"))
    values = NUMBERS if key in ("n", "m", "nums") else TEXTS
    value = (
        chance.sample(values, chance.randrange(3))
        if operator in ("in", "nin", "any", "all")
        else chance.choice(values)
    )
    value = None if operator == "is_empty" else value

    def says(record: dict[str, Any]) -> bool:
        found = record.get(key)
        if operator == "is_empty":
            return found is None or found in ("", [])
        if found is None:
            return operator in ("!=", "nin")
        match operator:
            case "==" | "!=":
                return bool(found == value) == (operator == "==")
            case "in" | "nin":
                return (found in value) == (operator == "in")
            case "any":
                return any(one in found for one in value)
            case "all":
                return all(one in found for one in value)
            case "text_match" | "contains":
                return value in found
        return ordered(operator, found, value)

    return {"key": key, "value": value, "operator": operator}, says


def chroma(chance: random.Random, depth: int = 0) -> Case:
    """Make a where of Chroma."""
    if depth < 3 and chance.random() < 0.4:
        parts = [chroma(chance, depth + 1) for _ in range(chance.randrange(2, 4))]
        logic = chance.choice(("$and", "$or"))
        some = all if logic == "$and" else any
        return {logic: [one for one, _ in parts]}, lambda record: some(says(record) for _, says in parts)
    operator = chance.choice(
        ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$contains", "$not_contains", "")
    )
    is_array = operator.endswith("contains")
    key = chance.choice(
        ("tags", "nums")
        if is_array
        else ("n", "m")
        if operator in ("$gt", "$gte", "$lt", "$lte")
        else "nmstf"
    )
    values: Any = {"f": (True, False), "n": NUMBERS, "m": NUMBERS, "nums": NUMBERS}.get(key, TEXTS)
    if operator in ("$in", "$nin"):
        several = chance.sample(values, chance.randrange(1, 3))
        return {key: {operator: several}}, lambda record: (record.get(key) in several) == (operator == "$in")
    value = chance.choice(values)
    if is_array:
        wanted = operator == "$contains"
        return {key: {operator: value}}, lambda record: (value in record.get(key, ())) == wanted
    if operator in ("$eq", "$ne", ""):
        wanted = operator != "$ne"
        return {
            key: {operator: value} if operator else value
        }, lambda record: (record.get(key) == value) == wanted
    sign = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}[operator]
    return {key: {operator: value}}, lambda record: ordered(sign, record.get(key), value)


def langchain(chance: random.Random, depth: int = 0) -> Case:
    """Make a directive of LangChain, as its attributes alone."""
    if depth < 3 and chance.random() < 0.4:
        operator = chance.choice(("and", "or", "not"))
        parts = [
            langchain(chance, depth + 1) for _ in range(1 if operator == "not" else chance.randrange(1, 4))
        ]
        given = SimpleNamespace(operator=operator, arguments=[one for one, _ in parts])
        if operator == "not":
            return given, lambda record: not parts[0][1](record)
        some = all if operator == "and" else any
        return given, lambda record: some(says(record) for _, says in parts)
    comparator = chance.choice(("eq", "ne", "gt", "gte", "lt", "lte", "contain", "like", "in", "nin"))
    key = chance.choice(
        {"contain": ("tags", "nums", "s"), "like": ("s", "t")}.get(comparator, ("n", "m", "s", "t"))
    )
    values = NUMBERS if key in ("n", "m", "nums") else TEXTS
    value: Any = (
        chance.sample(values, chance.randrange(3)) if comparator in ("in", "nin") else chance.choice(values)
    )
    if comparator == "like":
        value = chance.choice(("%a%", "a_", "_", "%", r"\%\_", "a,%", "[a]"))

    def says(record: dict[str, Any]) -> bool:
        found = record.get(key)
        match comparator:
            case "eq" | "ne":
                return bool(found == value) == (comparator == "eq")
            case "in" | "nin":
                return (found in value) == (comparator == "in")
            case "contain":
                return found is not None and value in found
            case "like":
                pattern = re.escape(value).replace("%", ".*").replace("_", ".")
                pattern = pattern.replace(r"\\.*", "%").replace(r"\\.", "_")
                return found is not None and re.fullmatch(pattern, found, re.DOTALL) is not None
        return ordered({"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}[comparator], found, value)

    return SimpleNamespace(comparator=comparator, attribute=key, value=value), says


def quoted(text: str) -> str:
    """Write text for AIP-160, its wildcards kept."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def aip160(chance: random.Random, depth: int = 0) -> Case:
    """Make a text of AIP-160: OR binds tighter than AND."""
    if depth < 3 and chance.random() < 0.5:
        rows = [
            [aip160(chance, depth + 1) for _ in range(chance.randrange(1, 3))]
            for _ in range(chance.randrange(1, 3))
        ]
        text = chance.choice((" AND ", " ")).join(" OR ".join(one for one, _ in row) for row in rows)
        no = chance.choice(("", "", "NOT ", "-"))
        return (
            f"{no}({text})",
            lambda record: all(any(says(record) for _, says in row) for row in rows) == (not no),
        )
    sign = chance.choice(("=", "!=", ">", ">=", "<", "<=", ":", ":*", "=*"))
    key = chance.choice(
        {":": ("tags", "nums"), ":*": ("n", "tags", "in"), "=*": ("s",)}.get(sign, ("n", "s", "in.n"))
    )
    steps = key.split(".")
    value: Any = chance.choice(NUMBERS if key in ("n", "nums", "in.n") else TEXTS)
    if sign == ":*":
        return f"{key}:*", lambda record: seen(record, *steps) not in (None, [], {})
    if sign == "=*":
        pattern = chance.choice(("*a", "a*", "*", "*,*"))
        return f"{key} = {quoted(pattern)}", lambda record: bool(
            "s" in record and re.match(glob_regex(pattern), record["s"])
        )
    spelled = quoted(value) if isinstance(value, str) else repr(value)

    def says(record: dict[str, Any]) -> bool:
        found = seen(record, *steps)
        if sign == ":":
            return found is not None and value in found
        if sign in ("=", "!="):
            reachable = len(steps) == 1 or seen(record, *steps[:-1]) is not None
            return bool(found == value) if sign == "=" else reachable and found != value
        return ordered(sign, found, value)

    return f"{key}{chance.choice(('', ' '))}{sign}{chance.choice(('', ' '))}{spelled}", says


@pytest.mark.parametrize("dialect", [haystack, llama_index, chroma, langchain, aip160])
def test_answers_are_the_dialects_own(dialect: Callable[[random.Random], Case]) -> None:
    """A translated filter is true of just the metadata that the dialect's own rules select."""
    chance = random.Random(dialect.__name__)
    agree([dialect(chance) for _ in range(ROUNDS)], getattr(dialects, f"from_{dialect.__name__}"))


@pytest.mark.parametrize("dialect", ["haystack", "chroma", "aip160", "query_string"])
def test_round_trips(dialect: str) -> None:
    """What a dialect can say of a filter comes back with the same answers; at least a third can be said."""
    chance = random.Random(7)
    said = 0
    for _ in range(ROUNDS):
        given, _ = chroma(chance) if dialect != "query_string" else chroma(chance, 3)
        filter = dialects.from_chroma(given)
        try:
            written = getattr(dialects, f"to_{dialect}")(filter)
        except docstore.FilterError:
            continue
        said += 1
        back = getattr(dialects, f"from_{dialect}")(written)
        wanted, again = parse(filter, None), parse(back, None)
        for metadata in RECORDS:
            record = {"metadata": metadata}
            assert matches(wanted, record, free=True) == matches(again, record, free=True), (
                filter,
                written,
                back,
                metadata,
            )
    assert said >= ROUNDS / 3

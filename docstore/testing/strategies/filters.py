"""Filters in users' words over the records of a world: every operator, operands mostly of what is stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeAlias

from docstore.errors import FilterError
from docstore.query.evaluator import compile
from docstore.query.fields import DOCUMENTS, Field, Kind, decode
from docstore.query.instants import MAX_INSTANT, MIN_INSTANT, metadata_instant, to_datetime
from docstore.query.parser import parse
from docstore.query.paths import path_text
from docstore.testing.strategies.values import INSTANTS, STEPS, Chooser, scalar, text, value
from docstore.testing.strategies.worlds import MICROSECONDS, World, document_rows, json_path, json_text

__all__ = [
    "THEMES",
    "Filter",
    "field_condition",
    "instant",
    "mod",
    "near",
    "plain_list",
    "plain_near",
    "plain_or_list",
    "some_filter",
    "string_condition",
    "themed",
    "types",
    "wide_filter",
]

_TYPES = (
    "null", "bool", "number", "string", "array", "object", "int", "long", "double", "date", "decimal",
    "objectId", "binData", "regex", "timestamp", 10, 8, 2, 4, 3, 16, 18, 1, 9, 7, -1, 127,
)  # fmt: skip
_PATTERNS = (
    ".", "^.$", "^$", "", "a|b", "[a-c]+", r"^\d+$", r"\bab\b", "(?i)A", "x*", r"\w+", r"\S", "^.{2,3}$", "é",
    "[^a]", r"\.", "(a)(b)?", "^a", "b$", "a.b", "%", "_",
)  # fmt: skip
_SIGNS = ("%", "_", "*", "?", "[a]", "\\", ".", "$", "^", "'", '"', "a%", "_b", "%%", "")
_GLOBS = ("*", "[a-z]*", "[!a]*", "[]]*", "[z-a]", "[a", "\\", "*\\", "[!]", "*%*", "_*", "?", "??*", "")


def _neighbours(stored: Any) -> list[Any]:
    """Return what an engine may take for a value: another type's likeness, the next number, a case."""
    match stored:
        case bool():
            return [not stored, int(stored), str(stored).lower()]
        case int():
            beside = [number for number in (stored - 1, stored + 1) if -(2**63) <= number < 2**63]
            return [float(stored), stored == 1, str(stored), *beside]
        case float():
            whole = [int(stored)] if stored.is_integer() and abs(stored) < 2**63 else []
            return [stored / 2, str(stored), *whole]
        case str():
            return [stored.swapcase(), stored[:-1], stored + "a", [stored]]
        case list():
            return [stored[:-1], stored[::-1], [stored], *stored]
        case dict():
            return [dict(reversed(stored.items())), {}, {**stored, "zz": 1}, *stored.values()]
    return [False, 0, "", "null", [None], []]


def _moments(choose: Chooser, stored: Any) -> list[Any]:
    """Return instants near one that is stored as text, spelled as a filter may spell them."""
    at = metadata_instant(stored)
    if at is None:
        at = metadata_instant(choose.pick(INSTANTS))
    assert at is not None
    beside = [near for near in (at - 1, at, at + 1) if MIN_INSTANT <= near <= MAX_INSTANT]
    moments = [to_datetime(near) for near in beside]
    return [*moments, {"$date": moments[0]}, {"$date": choose.pick(INSTANTS)}, {"$date": at // 1000}]


def near(choose: Chooser, stored: Any) -> Any:
    """Return a stored value itself half of the time, else a neighbour or anything."""
    if choose.one_in(3) and (metadata_instant(stored) is not None or choose.one_in(16)):
        return choose.pick(_moments(choose, stored))
    match choose.below(8):
        case 4 | 5:
            return choose.pick(_neighbours(stored))
        case 6:
            return scalar(choose)
        case 7:
            return value(choose, 2)
        case _:
            return stored


def plain_near(choose: Chooser, stored: Any) -> Any:
    """Return an operand in which no operator can be read."""
    made = near(choose, stored)
    return {} if _has_word(made) else made


def _has_word(operand: Any) -> bool:
    if not isinstance(operand, dict) or list(operand) == ["$date"]:
        return False
    return bool(next(iter(operand), "").startswith("$"))


def plain_list(choose: Chooser, stored: Any) -> list[Any]:
    """Return up to three operands; of an array, some of its elements often."""
    if isinstance(stored, list) and stored and choose.below(2):
        return _plain(choose.several(lambda: choose.pick(stored), 3))
    return choose.several(lambda: plain_near(choose, stored), 3)


def plain_or_list(choose: Chooser, stored: Any) -> Any:
    """Return one operand or several; an array that stands alone is read as several."""
    operand = plain_list(choose, stored) if choose.below(3) else plain_near(choose, stored)
    return _plain(operand) if isinstance(operand, list) else operand


def _plain(operands: list[Any]) -> list[Any]:
    return [operand for operand in operands if not _has_word(operand)]


def types(choose: Chooser) -> Any:
    """Return one alias or code of ``$type``, or a few."""
    if choose.one_in(3):
        return choose.several(lambda: choose.pick(_TYPES), 3, 1)
    return choose.pick(_TYPES)


def mod(choose: Chooser, stored: Any) -> list[Any]:
    """Return a divisor and a remainder, the stored number's own often; fractions are truncated."""
    divisor = choose.pick((2, 1, 3, -3, 2.0, 2.9, 10, 2**53, 2**63 - 1, -(2**63)))
    if isinstance(stored, int) and not choose.one_in(4):
        return [divisor, abs(stored) % abs(int(divisor)) * (-1 if stored < 0 else 1)]
    return [divisor, choose.pick((0, 1, -1, 2, 1.5, 0.0))]


def string_condition(choose: Chooser, stored: Any) -> dict[str, Any]:
    """Return one operator on strings, its text or pattern made from a part of a stored one."""
    whole = stored if isinstance(stored, str) else text(choose)
    start = choose.below(len(whole) + 1)
    part = choose.pick(_SIGNS) if choose.one_in(5) else whole[start : start + choose.below(5)]
    word = choose.pick(("$substring", "$isubstring", "$startsWith", "$glob", "$iglob", "$regex"))
    if word == "$regex":
        return _regex(choose, part)
    if word in ("$glob", "$iglob"):
        return {word: _glob(choose, whole, part)}
    return {word: choose.pick((part, whole, part.swapcase(), whole[:1], whole[:2], whole[-1:]))}


def _glob(choose: Chooser, whole: str, part: str) -> str:
    plain = re.sub(r"([*?\[\\])", r"\\\1", part)
    inside = (f"*{plain}*", f"*{plain.swapcase()}*", f"{plain}*", f"*{plain}", f"?{plain}*", f"[{part}]*")
    return choose.pick((*inside, whole, part, "?" * len(whole), choose.pick(_GLOBS)))


def _regex(choose: Chooser, part: str) -> dict[str, Any]:
    quoted = re.escape(part) if part.isascii() and part.isprintable() else "a"
    made = (quoted, f"^{quoted}", f"{quoted}$", f"^{quoted}$", quoted.swapcase() if quoted.isalpha() else ".")
    pattern = choose.pick((*made, choose.pick(_PATTERNS), choose.pick(_PATTERNS)))
    options = choose.pick((None, "i", "m", "s", "ims", "", "x", "i"))
    return {"$regex": pattern} if options is None else {"$regex": pattern, "$options": options}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Minutes from UTC: whole hours, half hours, the widest.
_OFFSETS = (0, 60, -60, 330, -570, 840)
# Around where a double no longer holds every whole number, and at the ends of int64.
_INTEGERS = (0, 1, 2, 1.0, 2**53 + 1, 2.0**53, 2**63 - 1, -(2**63))


def field_condition(choose: Chooser, field: Field, stored: list[Any]) -> Any:
    """Return what may stand beside a scalar field's name; ``stored`` are values that records have there."""
    if choose.one_in(5):
        return _field_operand(choose, field, stored)
    condition = _field_operator(choose, field, stored)
    return {"$not": condition} if choose.one_in(6) else condition


def _field_operand(choose: Chooser, field: Field, stored: list[Any]) -> Any:
    """Return one operand, ``None`` now and then: it means missing."""
    if choose.one_in(6):
        return None
    if field.kind is Kind.INSTANT:
        return instant(choose, stored)
    if stored and choose.below(3):
        return choose.pick(stored)
    match field.kind:
        case Kind.CHOICE:
            return choose.pick(field.choices)
        case Kind.INTEGER:
            return choose.pick(_INTEGERS)
        case Kind.BOOLEAN:
            return choose.below(2) == 1
        case _:
            return text(choose)


def _field_operator(choose: Chooser, field: Field, stored: list[Any]) -> dict[str, Any]:
    match choose.below(8):
        case 4:
            word = choose.pick(("$in", "$nin"))
            return {word: choose.several(lambda: _field_operand(choose, field, stored), 3)}
        case 5:
            return {"$exists": choose.below(2) == 1}
        case 6:
            return {"$type": types(choose)}
        case 7 if field.kind is Kind.TEXT:
            return string_condition(choose, choose.pick(stored) if stored else "")
        case 7 if field.kind is Kind.INTEGER:
            return {"$mod": mod(choose, choose.pick(stored) if stored else 0)}
        case _:
            word = choose.pick(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"))
            return {word: _field_operand(choose, field, stored)}


def instant(choose: Chooser, stored: list[int]) -> datetime | str:
    """Return an instant, a stored one often, as an aware ``datetime`` or as RFC 3339 text at some offset."""
    micros = choose.pick(stored if stored and choose.below(3) else MICROSECONDS)
    moment = _EPOCH + timedelta(microseconds=micros)
    if 1 < moment.year < 9999:
        moment = moment.astimezone(timezone(timedelta(minutes=choose.pick(_OFFSETS))))
    if choose.below(2):
        return moment
    written = moment.isoformat(timespec="microseconds")
    if choose.below(2):
        written = written.replace("+00:00", "Z")
    return written[:26] + "999" + written[26:] if choose.one_in(4) else written


Filter: TypeAlias = dict[str, Any]
_PLAIN_STEPS = tuple(step for step in STEPS if not step.startswith("$"))


def some_filter(choose: Chooser, world: World, depth: int = 3) -> Filter:
    """Return a filter that the language accepts, logic nested up to ``depth``."""
    kind = choose.below(10) if depth else 0
    if kind < 6:
        return _fields(choose, world, depth)
    if kind == 9:
        return {"$comment": "why", **some_filter(choose, world, depth - 1)}
    terms = choose.several(lambda: some_filter(choose, world, depth - 1), 3, 1)
    beside = _fields(choose, world, depth - 1) if choose.one_in(4) else {}
    return {**beside, ("$or", "$and", "$nor")[kind - 6]: terms}


def _fields(choose: Chooser, world: World, depth: int) -> Filter:
    """Return a filter of up to three fields, one most often, sometimes none."""
    return dict([_field(choose, world, depth) for _ in range(choose.pick((1, 1, 1, 1, 1, 1, 2, 2, 3, 0)))])


def _field(choose: Chooser, world: World, depth: int) -> tuple[str, Any]:
    if not choose.one_in(4):
        path, stored = json_path(choose, world)
        return path, _condition(choose, stored, depth)
    fields = [field for field in world.collection.fields.values() if field.kind is not Kind.JSON]
    field = choose.pick(fields)
    return field.name, field_condition(choose, field, world.values(field.name))


def _condition(choose: Chooser, stored: Any, depth: int) -> Any:
    """Return what may stand beside a JSON path, near a value that is found there."""
    return plain_near(choose, stored) if choose.one_in(5) else _operators(choose, stored, depth)


def _operators(choose: Chooser, stored: Any, depth: int) -> dict[str, Any]:
    """Return an object of one to three operators; ``$options`` has its own ``$regex`` beside it."""
    merged: dict[str, Any] = {}
    for _ in range(choose.pick((1, 1, 1, 1, 2, 2, 3))):
        part = _operator(choose, stored, depth)
        if "$regex" in part:
            merged.pop("$options", None)
        merged.update(part)
    return merged


_FAMILIES = (
    "compare", "order", "order", "list", "exists", "type", "string", "array", "array", "mod", "not",
    "element",
)  # fmt: skip
# Operators by what they look at: those apt for a stored value are taken more often than the rest.
_APT: dict[type, tuple[str, ...]] = {
    str: ("string", "string", "order", "compare", "list"),
    int: ("order", "mod", "compare", "list"),
    float: ("order", "mod", "compare", "list"),
    list: ("array", "element", "element", "array", "compare", "list"),
    dict: ("compare", "order", "element", "list"),
}


def _operator(choose: Chooser, stored: Any, depth: int) -> dict[str, Any]:
    apt = _APT.get(type(stored), ("compare", "exists", "list"))
    match choose.pick(_FAMILIES if choose.one_in(3) else apt):
        case "compare":
            return {choose.pick(("$eq", "$ne")): near(choose, stored)}
        case "order":
            return {choose.pick(("$gte", "$gt", "$lt", "$lte")): plain_near(choose, stored)}
        case "list":
            return {choose.pick(("$in", "$nin", "$all")): plain_list(choose, stored)}
        case "exists":
            return {"$exists": choose.pick((True, False, 1, 0, None))}
        case "type":
            return {"$type": types(choose)}
        case "mod":
            return {"$mod": mod(choose, stored)}
        case "string":
            return string_condition(choose, stored)
        case "not" if depth:
            return {"$not": _operators(choose, stored, depth - 1)}
        case "element" if depth:
            return _every_element(choose, stored, depth - 1)
        case _:
            return _array_condition(choose, stored)


def _array_condition(choose: Chooser, stored: Any) -> dict[str, Any]:
    """Return ``$size``, ``$contains`` or ``$containsAny``."""
    if choose.one_in(3):
        return {"$size": choose.pick((len(stored) if isinstance(stored, list) else 1, 0, 1, 2))}
    operand = plain_or_list(choose, stored)
    return {choose.pick(("$contains", "$containsAny")): operand}


def _every_element(choose: Chooser, stored: Any, depth: int) -> dict[str, Any]:
    """Return ``$elemMatch``, alone or in ``$all``."""
    element = choose.pick(stored) if isinstance(stored, list) and stored else stored
    if choose.one_in(4):
        return {"$all": choose.several(lambda: {"$elemMatch": _element(choose, element, depth)}, 2, 1)}
    return {"$elemMatch": _element(choose, element, depth)}


def _element(choose: Chooser, element: Any, depth: int) -> dict[str, Any]:
    """Return the operand of ``$elemMatch``: operators on the element, or a filter over its fields."""
    if not isinstance(element, dict | list) or choose.one_in(5):
        return _operators(choose, element, depth)
    if depth and choose.one_in(4):
        filters = choose.several(lambda: _element_fields(choose, element, depth - 1), 2, 1)
        return {choose.pick(("$or", "$and", "$nor")): filters}
    return _element_fields(choose, element, depth)


def _element_fields(choose: Chooser, element: Any, depth: int) -> dict[str, Any]:
    inner = dict(enumerate(element)) if isinstance(element, list) else element
    stored = [(str(key), value) for key, value in inner.items() if not str(key).startswith("$")]
    made: dict[str, Any] = {}
    for _ in range(choose.pick((1, 1, 2))):
        known = stored and not choose.one_in(5)
        key, value = choose.pick(stored) if known else (choose.pick(_PLAIN_STEPS), 1)
        made[path_text((key,))] = _condition(choose, value, depth)
    return made


# Terms of a wide filter.
_SIZES = (3, 9, 17, 40)
# So many times the terms that are kept are made, at most: those that nearly all match say nothing.
_LEAVES_OF = 3
_MAKERS: dict[str, Callable[[Chooser, Any], Any]] = {
    "sizes": lambda choose, stored: {"$size": choose.below(6)},
    "remainders": lambda choose, stored: {"$mod": mod(choose, stored)},
    "texts": string_condition,
    "members": lambda choose, stored: {
        choose.pick(("$contains", "$containsAny")): plain_list(choose, stored)
    },
    "equals": lambda choose, stored: {choose.pick(("$eq", "$eq", "$gt", "$lte")): near(choose, stored)},
    "lists": lambda choose, stored: {"$in": plain_list(choose, stored)},
    "elements": lambda choose, stored: {
        "$elemMatch": choose.pick(
            (
                {"$mod": mod(choose, stored)},
                {"$eq": near(choose, stored)},
                {choose.pick(("a", "b", "0")): near(choose, stored)},
            )
        )
    },
    "types": lambda choose, stored: {
        "$type": choose.pick(("number", "string", "array", "null", "object")),
        "$size": choose.below(3),
    },
}


def wide_filter(choose: Chooser, world: World) -> Filter:
    """Return an ``$or``, ``$nor`` or ``$and`` of negatives: up to 40 terms, none that most match."""
    number = choose.pick(_SIZES)
    make = _mixed if choose.one_in(4) else _alike(choose, world)
    terms: list[Filter] = []
    for _ in range(number * _LEAVES_OF):
        term = make(choose, world)
        if len(terms) < number and _is_telling(term, world):
            terms.append(term)
    if not terms:
        return {}
    word = choose.pick(("$or", "$or", "$nor", "$and"))
    return {word: [{"$nor": [term]} for term in terms] if word == "$and" else terms}


def _mixed(choose: Chooser, world: World) -> Filter:
    return some_filter(choose, world, 1)


def _alike(choose: Chooser, world: World) -> Callable[[Chooser, World], Filter]:
    """Return what makes conditions of one or two kinds: on one path, or on many that mostly lead nowhere."""
    kinds = choose.several(lambda: choose.pick(list(_MAKERS)), 2, 1)
    known = [json_path(choose, world) for _ in range(3)]
    ways = choose.below(4)

    def term(choose: Chooser, world: World) -> Filter:
        path, stored = choose.pick(known[: 1 + ways])
        if ways == 2:
            path = f"{path}.p{choose.below(60)}" if choose.below(3) else path
        elif ways == 3:
            path = f"metadata.{choose.pick(('a.', 'b.1.', 'p', ''))}{choose.below(40)}"
        condition = {path: _MAKERS[choose.pick(kinds)](choose, stored)}
        return {**condition, "metadata.b": {"$ne": stored}} if choose.one_in(9) else condition

    return term


def _is_telling(term: Filter, world: World) -> bool:
    """Return whether the language accepts ``term``, and half of the records at most match it."""
    try:
        test = compile(parse(term, world.collection))
    except FilterError:
        return False
    found = sum(test({**decode(world.collection, row), "number": 1}) for row in world.rows)
    return 2 * found <= len(world.rows)


# Values by theme, those side by side that engines confuse. In the first two there is text to search.
THEMES: dict[str, tuple[Any, ...]] = {
    "patterns": (
        "a_b", "axb", "a%b", "ab", "%", "_", "a", "a*b", "a?b", "[a]", "a\\b", "a.b", "", "\\", "*", "a\nb",
    ),
    "case": (
        "ss", "ß", "SS", "ſs", "ﬁ", "fi", "FI", "İ", "i", "I", "K", "k", "Σ", "σ", "ς", "é", "e\u0301", "É",
    ),
    "likeness": (1, True, 1.0, "1", 0, False, 0.0, "0", "true", None, "null", [1], [True], {"a": 1}, ""),
    "precision": (
        2**53, 2**53 + 1, 2.0**53, 2**53 - 1, 2**63 - 1, 2.0**63, 2**63 - 2, -(2**63), -(2.0**63), 1e16,
        10**16, 0.1, 5e-324, 0, -0.0, 1e300, 2**31, 2.0**31, 2**31 - 1, 0.5,
    ),
    "nothing": (
        None, [], [None], {}, "", [[]], [{}], {"b": None}, {"b": []}, [{"b": None}], [{"b": 1}, 1], 0,
    ),
    "arrays": (
        1, [1], [[1]], [1, 2], [2, 1], [1, [2]], [{"b": 1}], [{"b": [1, 2]}], {"b": [1, 2]}, {"0": 1},
        [[1, 2]], [],
    ),
    "order": (
        "a", "B", "b", "é", "\uffff", "\U00010000", "", "10", "9", 10, 9, [9, 10], {"a": 9}, True, None, [],
    ),
    "instants": ("2026-01-01T00:00:00.000000Z", "2025-12-31T23:59:59.999999Z", "2026-01-01", "2026", 2026),
}  # fmt: skip

# One path often, so that predicates meet; others below it, by a key and by an index.
_PATHS = (*("metadata.a",) * 6, "metadata.a.b", "metadata.a.0", "metadata.a.0.b")
_LISTS = ("$in", "$nin", "$all", "$contains", "$containsAny")
_WORDS = ("$eq", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", *_LISTS)
_TEXT_WORDS = ("$substring", "$isubstring", "$startsWith", "$glob", "$iglob")
_FILTERS = 16
_NEIGHBOURS = 5


def themed(choose: Chooser, theme: str) -> tuple[World, list[dict[str, Any]]]:
    """Return documents whose ``metadata.a`` and, where it can, filename are of one theme; and filters."""
    start = choose.below(len(THEMES[theme]))
    values = (THEMES[theme] * 2)[start : start + _NEIGHBOURS]
    rows = document_rows(choose, 8, 4, plain=True)
    for row in rows:
        value = choose.pick(values)
        row["metadata"] = json_text({} if choose.one_in(8) else {"a": value})
        row["filename"] = value if isinstance(value, str) else "a"
    return World(DOCUMENTS, rows), [_filter(choose, theme, values) for _ in range(_FILTERS)]


def _filter(choose: Chooser, theme: str, values: tuple[Any, ...]) -> dict[str, Any]:
    value = choose.pick(values)
    if theme in ("patterns", "case") and not choose.one_in(4):
        path = choose.pick(("metadata.a", "filename"))
        return {path: {choose.pick(_TEXT_WORDS): choose.pick((value, value, value[:1], value.swapcase()))}}
    word = choose.pick(_WORDS)
    operand = [value, choose.pick(values)] if word in _LISTS else value
    return {choose.pick(_PATHS): {word: operand}}

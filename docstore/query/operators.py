"""Operators on one field: one specification each, with its reader, its meaning and its JSON Schema.

``parser`` knows the operators that hold others (``$not``, ``$elemMatch``, ``$all``) and the logic; this
module knows the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from docstore.concurrency import looked_over
from docstore.query import patterns
from docstore.query.expr import (
    FALSE,
    Contains,
    During,
    ElemMatch,
    Exists,
    Expr,
    In,
    Match,
    Mod,
    Not,
    Or,
    Regex,
    Size,
    TypeIs,
)
from docstore.query.fields import Collection, Field, Kind
from docstore.query.operands import (
    LOGIC,
    Moment,
    Op,
    Rules,
    Target,
    Where,
    bad_syntax,
    bad_value,
    compare_field,
    field_operand,
    is_operators,
    shown,
    text_operand,
    too_complex,
    whole_number,
)
from docstore.query.values import Json, by_value, type_name

Reader: TypeAlias = Callable[[Rules, Target, Any, Where], Expr]
"""Makes an Expr of an operator's operand, which stands at a place in the filter."""


def plain_value(rules: Rules, target: Target, value: Any, where: Where) -> Expr:
    """Read ``{field: value}`` and ``$eq`` (rule 10)."""
    return compare_field(target, "eq", field_operand(rules, target, value, where))


def array_only(target: Target, where: Where) -> None:
    """Refuse an array operator on a record field that holds a single value.

    Raises:
        FilterValueError: ``target`` is such a field.
    """
    if not target.is_json:
        what = f"an array operator on {target.path[0]!r}, a {target.kind.value} field"
        raise bad_value(where, what, "a path into metadata or another JSON field")


def list_operand(value: Any, where: Where, expected: str = "an array of values") -> list[Any]:
    """Return an operand that must be an array; tuples count.

    Raises:
        FilterValueError: it is none.
    """
    if not isinstance(value, (list, tuple)):
        raise bad_value(where, shown(value), expected)
    return list(value)


def _no_operators(value: Any, where: Where) -> None:
    if is_operators(value):
        raise bad_value(
            where, f"the operator {shown(next(iter(value)))} within a list of values", "plain values"
        )


def _comparison(op: Op) -> Reader:
    def read(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
        if target.kind in (Kind.JSON, Kind.INTEGER) and isinstance(operand, float) and math.isinf(operand):
            return _open_bound(target, op, operand)
        return compare_field(target, op, field_operand(rules, target, operand, where))

    return read


def _open_bound(target: Target, op: Op, operand: float) -> Expr:
    """Read a bound of plus or minus infinity (rule 2): numbers are finite, so all or none are within."""
    if (op in ("gt", "gte")) is (operand > 0):
        return FALSE
    return TypeIs(target.path, frozenset({"number"})) if target.is_json else Exists(target.path)


def _not_equal(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    return Not(plain_value(rules, target, operand, where))


def _in(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    values: list[Json] = []
    moments: list[int] = []
    for at, value in enumerate(looked_over(list_operand(operand, where))):
        here = (*where, str(at))
        _no_operators(value, here)
        member = field_operand(rules, target, value, here)
        if isinstance(member, Moment):
            moments.append(member.at)
        elif target.is_json or not isinstance(member, float):
            values.append(member)
    among: Expr = In(target.path, tuple(values)) if values else FALSE
    if not moments:
        return among
    at_one = During(target.path, tuple((at, at) for at in sorted(set(moments))))
    return Or((among, at_one)) if values else at_one


def _not_in(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    return Not(_in(rules, target, operand, where))


def _exists(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    wanted = by_value(operand)
    yes = not (wanted is None or (isinstance(wanted, (bool, int, float)) and wanted == 0))
    return Exists(target.path) if yes else Not(Exists(target.path))


_CODES = {
    -1: "minKey",
    1: "double",
    2: "string",
    3: "object",
    4: "array",
    5: "binData",
    6: "undefined",
    7: "objectId",
    8: "bool",
    9: "date",
    10: "null",
    11: "regex",
    12: "dbPointer",
    13: "javascript",
    14: "symbol",
    15: "javascriptWithScope",
    16: "int",
    17: "timestamp",
    18: "long",
    19: "decimal",
    127: "maxKey",
}
_ALIASES = frozenset(_CODES.values()) | {"number"}
_JSON_TYPES = frozenset({"null", "bool", "number", "string", "array", "object", "int", "long", "double"})
_TYPES_EXPECTED = "one of null bool number string array object int long double date, a BSON alias or code"


def _type(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    if isinstance(operand, (list, tuple)):
        if not operand:
            raise bad_value(where, "an empty array", "at least one type")
        names = {_alias(value, (*where, str(at))) for at, value in enumerate(operand)}
    else:
        names = {_alias(operand, where)}
    return _type_of_field(target, names)


def _alias(value: Any, where: Where) -> str:
    name = by_value(value)
    if isinstance(name, (int, float)) and not isinstance(name, bool) and name in _CODES:
        return _CODES[int(name)]
    if not isinstance(name, str) or name not in _ALIASES:
        raise bad_value(where, f"unknown type {shown(name)}", _TYPES_EXPECTED)
    return name


_KIND_TYPES = {Kind.TEXT: "string", Kind.CHOICE: "string", Kind.BOOLEAN: "bool", Kind.INSTANT: "date"}


def _type_of_field(target: Target, names: set[str]) -> Expr:
    """Read ``$type`` on a field: a record field's type is known, only null and a number's size are open."""
    if target.is_json:
        types = frozenset(names) & _JSON_TYPES
        return TypeIs(target.path, types) if types else FALSE
    if target.kind is Kind.INTEGER:
        if "number" in names or {"int", "long"} <= names:
            return Exists(target.path)
        types = frozenset(names) & {"int", "long"}
        return TypeIs(target.path, types) if types else FALSE
    return Exists(target.path) if _KIND_TYPES[target.kind] in names else FALSE


_LARGEST_SIZE = 2**31 - 1


def _size(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    array_only(target, where)
    expected = f"a whole number from 0 to {_LARGEST_SIZE}"
    length = whole_number(operand, where, expected)
    if not 0 <= length <= _LARGEST_SIZE:
        raise bad_value(where, str(length), expected)
    return Size(target.path, length)


def _mod(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    if target.kind not in (Kind.JSON, Kind.INTEGER):
        raise bad_value(
            where, f"$mod on a {target.kind.value} field", "a number field or a path into metadata"
        )
    expected = "[divisor, remainder], two numbers within 64 bits"
    numbers = list_operand(operand, where, expected)
    if len(numbers) != 2:
        raise bad_value(where, f"an array of {len(numbers)}", expected)
    divisor, remainder = (
        whole_number(number, (*where, str(at)), "a number within 64 bits", truncate=True)
        for at, number in enumerate(numbers)
    )
    if divisor == 0:
        raise bad_value((*where, "0"), "the divisor 0", "a divisor other than 0")
    return Mod(target.path, divisor, remainder)


def _text_only(target: Target, where: Where) -> None:
    if target.kind not in (Kind.JSON, Kind.TEXT, Kind.CHOICE):
        what = f"a text operator on {target.path[0]!r}, a {target.kind.value} field"
        raise bad_value(where, what, "a text field or a path into metadata")


def _match(kind: Literal["substring", "isubstring", "starts_with", "glob", "iglob"]) -> Reader:
    def read(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
        _text_only(target, where)
        return Match(target.path, kind, text_operand(operand, where))

    return read


def _contains(every: bool) -> Reader:
    def read(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
        array_only(target, where)
        listed = isinstance(operand, (list, tuple))
        places = [(*where, str(at)) for at in range(len(operand))] if listed else [where]
        values: list[Json] = []
        moments: list[int] = []
        for value, here in zip(operand if listed else [operand], places, strict=True):
            _no_operators(value, here)
            member = field_operand(rules, target, value, here)
            if isinstance(member, Moment):
                moments.append(member.at)
            else:
                values.append(member)
        if not moments:
            return Contains(target.path, tuple(values), every) if every or values else FALSE
        instants = tuple(sorted(set(moments)))
        if every:
            return Contains(target.path, tuple(values), every, instants)
        at_one = During((), tuple((at, at) for at in instants))
        element = ElemMatch(target.path, at_one, "values")
        return Or((Contains(target.path, tuple(values), every), element)) if values else element

    return read


def read_regex(
    rules: Rules, target: Target, pattern: Any, where: Where, siblings: Mapping[Any, Any] | None = None
) -> Expr:
    """Read ``$regex`` with the ``$options`` among its ``siblings``, or a compiled pattern alone (rule 18).

    Raises:
        FilterValueError: it is no pattern, RE2 refuses it, an option is unknown, or google-re2 is not
            installed.
        FilterTooComplex: RE2 makes too many instructions of the pattern.
    """
    _text_only(target, where)
    text, options = _pattern(pattern, where)
    if siblings is not None and "$options" in siblings:
        place = (*where[:-1], "$options")
        given = text_operand(siblings["$options"], place, "letters of i, m, s, x, u")
        if given and options:
            raise bad_value(place, "options beside a compiled pattern that has its own", "them in one place")
        options = given or options
    try:
        prepared = patterns.prepare(text, options)
    except patterns.BadPattern as wrong:
        raise bad_value(
            where, str(wrong), "a regular expression in RE2 syntax, options of i m s x u"
        ) from None
    size, limit = patterns.instructions(*prepared), rules.limits.pattern_instructions
    if size > limit:
        raise too_complex(where, f"a pattern of {size:,} instructions", "pattern_instructions", limit)
    return Regex(target.path, *prepared)


def _pattern(pattern: Any, where: Where) -> tuple[str, str]:
    if not isinstance(pattern, re.Pattern):
        return text_operand(pattern, where, "a regular expression as text"), ""
    try:
        text, options = patterns.from_compiled(pattern)
    except patterns.BadPattern as wrong:
        raise bad_value(where, str(wrong), "a regular expression in RE2 syntax") from None
    return text_operand(text, where), options


def _options(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    raise bad_syntax(where, f"$options ({type_name(operand)}) without $regex", "$regex beside it")


Operand: TypeAlias = Literal["value", "values", "pattern", "operators", "other"]
"""An operand: one value, an array of values, a pattern, operators of its own, or anything else."""

_TEXT = {"type": "string"}
_LIST = {"type": "array"}
_TYPES = {"anyOf": [_TEXT, {"type": "integer"}, {**_LIST, "minItems": 1}]}


@dataclass(frozen=True, slots=True)
class Operator:
    """The specification of one operator: how it is read, and its JSON Schema.

    Attributes:
        meaning: a few words for the schema.
        operand: what kind of operand it takes; bounds and the types of models go by it.
        schema: the JSON Schema of the operand.
        read: makes an Expr of the operand. None if the parser reads it: it holds operators, or looks at those
            beside it.
    """

    meaning: str
    operand: Operand
    schema: Mapping[str, Any]
    read: Reader | None


OPERATORS: dict[str, Operator] = {
    "$eq": Operator("equals; null also matches a missing field", "value", {}, plain_value),
    "$ne": Operator("the complement of $eq", "value", {}, _not_equal),
    "$gt": Operator("greater, of the same type", "value", {}, _comparison("gt")),
    "$gte": Operator("greater or equal, of the same type", "value", {}, _comparison("gte")),
    "$lt": Operator("less, of the same type", "value", {}, _comparison("lt")),
    "$lte": Operator("less or equal, of the same type", "value", {}, _comparison("lte")),
    "$in": Operator("equals one of these", "values", _LIST, _in),
    "$nin": Operator("the complement of $in", "values", _LIST, _not_in),
    "$exists": Operator("whether the field is there", "other", {"type": "boolean"}, _exists),
    "$type": Operator("the value's type, by alias or code", "other", _TYPES, _type),
    "$size": Operator("the array's length", "other", {"type": "integer", "minimum": 0}, _size),
    "$mod": Operator("[divisor, remainder]", "other", {**_LIST, "minItems": 2, "maxItems": 2}, _mod),
    "$all": Operator("the array has all of these", "values", _LIST, None),
    "$elemMatch": Operator("one element of the array satisfies all", "operators", {"type": "object"}, None),
    "$not": Operator("the complement of these operators", "operators", {"type": "object"}, None),
    "$regex": Operator("RE2 pattern", "pattern", _TEXT, None),
    "$options": Operator("flags of $regex", "other", {**_TEXT, "pattern": "^[imsxu]*$"}, _options),
    "$substring": Operator("contains, case-sensitive", "other", _TEXT, _match("substring")),
    "$isubstring": Operator("contains, folded", "other", _TEXT, _match("isubstring")),
    "$startsWith": Operator("begins with", "other", _TEXT, _match("starts_with")),
    "$glob": Operator("the whole value, with * ? [...]", "pattern", _TEXT, _match("glob")),
    "$iglob": Operator("the whole value, with * ? [...], folded", "pattern", _TEXT, _match("iglob")),
    "$contains": Operator("the array has this value, or all of these", "values", {}, _contains(True)),
    "$containsAny": Operator("the array has one of these", "values", {}, _contains(False)),
}
"""The operators that stand below a field."""


def words_with(*operands: Operand) -> tuple[str, ...]:
    """Return the operators that take one of some kinds of operand."""
    return tuple(word for word, operator in OPERATORS.items() if operator.operand in operands)


_KINDS: dict[Kind, dict[str, Any]] = {
    Kind.TEXT: {"type": ["string", "null"]},
    Kind.INTEGER: {"type": ["integer", "null"]},
    Kind.BOOLEAN: {"type": ["boolean", "null"]},
    Kind.INSTANT: {"type": ["string", "null"], "format": "date-time"},
}


def filter_schema(collection: Collection, model: type[BaseModel] | None) -> dict[str, Any]:
    """Return the JSON Schema of a filter. It is stated in full at one place: paths into JSON.

    Args:
        collection: whose fields it names.
        model: of the metadata, whose fields it names instead; ``None``: the collection's.
    """
    schema: dict[str, Any] = {
        "title": "Filter" if model is None else f"Filter[{model.__name__}]",
        "type": "object",
        "description": "A filter in MongoDB's language: field paths with values or operators, and logic.",
        "properties": {**{word: _logic(word) for word in LOGIC}, "$comment": {}},
    }
    properties = schema["properties"]
    if model is not None:
        properties.update((name, _named({})) for name in model.model_fields)
        return {**schema, "additionalProperties": _operand()}
    plain = {name: field for name, field in collection.fields.items() if field.kind is not Kind.JSON}
    properties.update((name, _named(_value_schema(field))) for name, field in plain.items())
    into = "|".join(name for name in collection.fields if name not in plain)
    paths = {f"^({into})(\\..*)?$": _operand()}
    return {**schema, "patternProperties": paths, "additionalProperties": False}


def _value_schema(field: Field) -> dict[str, Any]:
    return {"enum": [*field.choices, None]} if field.kind is Kind.CHOICE else _KINDS[field.kind]


def _logic(word: str) -> dict[str, Any]:
    meaning = {"$and": "all of these filters", "$or": "one of these filters", "$nor": "none of these filters"}
    return {"type": "array", "minItems": 1, "items": {"type": "object"}, "description": meaning[word]}


def _named(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what stands at a named field: a value, or operators by their names."""
    return {"anyOf": [value, {"type": "object", "minProperties": 1, "propertyNames": {"enum": [*OPERATORS]}}]}


def _operand() -> dict[str, Any]:
    """Return the schema of what stands at a path: a value, or operators with what each takes."""
    properties = {
        word: {**operator.schema, "description": operator.meaning} for word, operator in OPERATORS.items()
    }
    operators = {"type": "object", "minProperties": 1, "properties": properties}
    return {"anyOf": [{}, {**operators, "additionalProperties": False}]}

"""Update operators: ``{"$inc": {"metadata.n": 1}}`` read, and applied to a record's metadata. Pure.

MongoDB's server is the reference (rules 24 and 25 of the project's SEMANTICS). Like there, operators on
different paths are applied in the order of their paths, whatever the order in which they are written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo
from typing import Any, Final, TypeAlias

from docstore.errors import FilterError, FilterSyntaxError, UnknownOperator
from docstore.limits import Limits
from docstore.query.evaluator import compile
from docstore.query.expr import Path
from docstore.query.fields import Collection
from docstore.query.filter_errors import (
    Where,
    bad_syntax,
    bad_value,
    shown,
    too_complex,
    unknown_field,
    unknown_operator,
)
from docstore.query.operators import is_instant, of_records, whole_number
from docstore.query.parser import members, parse
from docstore.query.paths import MISSING, Missing, index_step, parse_path, path_text
from docstore.query.values import (
    INT64_MAX,
    INT64_MIN,
    Json,
    NotJson,
    by_value,
    check_text,
    compare,
    identity,
    plain,
    type_name,
)

# The operators that there are.
OPERATORS: Final = (
    "$set", "$unset", "$inc", "$mul", "$min", "$max", "$rename", "$push", "$addToSet", "$pull", "$pop",
)  # fmt: skip
# Words that MongoDB's users know as update operators: no one means a key of such a name.
WORDS: Final = frozenset((
    *OPERATORS, "$setOnInsert", "$currentDate", "$bit", "$pullAll", "$pushAll", "$addFields", "$replaceWith",
))  # fmt: skip
# What says the same as a word of MongoDB's that there is not.
_INSTEAD: Final = {
    "$currentDate": "the time itself, as in {'$set': {'metadata.at': datetime.now(UTC)}}",
    "$pullAll": "{'$pull': {path: {'$in': […]}}}",
    "$pushAll": "{'$push': {path: {'$each': […]}}}",
    "$addFields": "$set",
    "$replaceWith": "replace_metadata=",
    "$setOnInsert": "put() with on_conflict='skip' or 'merge'",
}
# JSON bytes of a null that pads an array: the bound on metadata says how many there may be.
_NULL_BYTES = len("null,")
_ROOT = "metadata"

# From the value at a path, or `MISSING`, to what is to be there.
Settle: TypeAlias = Callable[[Json | Missing], Json | Missing]


class Unfit(ValueError):
    """An operator that does not go with what a record holds. ``path`` says at which field."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


@dataclass(frozen=True, slots=True)
class Change:
    """One operator on one path below the metadata.

    Attributes:
        word: the operator.
        path: its steps, ``metadata`` left out; ``()`` is the metadata as a whole.
        settle: what is to be at the path.
        creates: whether a missing path is made. If not, a missing one is left alone.
        lenient: whether a path that leads through a scalar is left alone, too, instead of being refused.
        source: for ``$rename``, the path that the value is taken from.
    """

    word: str
    path: Path
    settle: Settle
    creates: bool = True
    lenient: bool = False
    source: Path | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The operators of one call.

    Attributes:
        fields: record fields to set, or None where one is to be unset.
        changes: what changes below the metadata, in the order of the paths.
        most_nulls: how many nulls an array may be padded with.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    most_nulls: int = 0

    def apply(self, metadata: dict[str, Json]) -> dict[str, Json]:
        """Return the metadata after the update; what was given may be changed on the way.

        Raises:
            Unfit: an operator does not go with a value that is there.
        """
        root = {_ROOT: metadata}
        for change in self.changes:
            path = (_ROOT, *change.path)
            try:
                if change.source is not None:
                    _rename(root, (_ROOT, *change.source), path, self.most_nulls)
                else:
                    _change(root, change, path, self.most_nulls)
            except Unfit as wrong:
                wrong.path = path_text(path)
                raise
        return root[_ROOT]


# -- walking ---------------------------------------------------------------------------------------


def _child(container: Json, step: str) -> Json | Missing:
    if type(container) is dict:
        return container.get(step, MISSING)
    index = index_step(step) if type(container) is list else None
    return container[index] if index is not None and index < len(container) else MISSING


def _prefix(root: Json, path: Path) -> list[Json]:
    """Return the values along a path as far as it exists, the root first."""
    values = [root]
    for step in path:
        child = _child(values[-1], step)
        if child is MISSING:
            break
        values.append(child)
    return values


def _is_viable(container: Json, step: str) -> bool:
    """Return whether a step could be made in a value."""
    return type(container) is dict or (type(container) is list and index_step(step) is not None)


def _refuse_step(container: Json, step: str) -> Unfit:
    if type(container) is list:
        return Unfit("", f"an array has no field {shown(step)}; expected an index, or an object there")
    return Unfit("", f"{type_name(container)} has no field {shown(step)}; expected an object there")


def _put(container: Json, step: str, value: Json) -> None:
    """Put a value where one is."""
    container[int(step) if type(container) is list else step] = value


def _create(container: Json, path: Path, value: Json, most_nulls: int) -> None:
    """Make a path, its missing steps as objects; ``path`` begins below ``container``."""
    step = path[0]
    if not _is_viable(container, step):
        raise _refuse_step(container, step)
    for name in reversed(path[1:]):
        value = {name: value}
    if type(container) is dict:
        container[step] = value
        return
    index = int(step)
    if index - len(container) > most_nulls:
        raise Unfit("", f"the index {index} is too far beyond an array of {len(container)}")
    container.extend([None] * (index - len(container)))
    container.append(value)


def _change(root: Json, change: Change, path: Path, most_nulls: int) -> None:
    values = _prefix(root, path)
    if len(values) > len(path):
        settled = change.settle(values[-1])
        if settled is not MISSING:
            _put(values[-2], path[-1], settled)
        elif type(values[-2]) is list:  # as MongoDB does: the elements behind it keep their places
            _put(values[-2], path[-1], None)
        else:
            del values[-2][path[-1]]
    elif change.creates:
        _create(values[-1], path[len(values) - 1 :], change.settle(MISSING), most_nulls)
    elif not change.lenient and not _is_viable(values[-1], path[len(values) - 1]):
        raise _refuse_step(values[-1], path[len(values) - 1])


def _rename(root: Json, source: Path, target: Path, most_nulls: int) -> None:
    held = _prefix(root, source)
    if len(held) <= len(source):
        if not _is_viable(held[-1], source[len(held) - 1]):
            raise _refuse_step(held[-1], source[len(held) - 1])
        return
    there = _prefix(root, target)
    exists = len(there) > len(target)
    for name, passed in ((source, held[:-1]), (target, there[:-1] if exists else there)):
        if any(type(value) is list for value in passed):
            raise Unfit("", f"$rename cannot go through an array, as {shown(path_text(name))} does")
    if exists:
        _put(there[-2], target[-1], held[-1])
    else:
        _create(there[-1], target[len(there) - 1 :], held[-1], most_nulls)
    del held[-2][source[-1]]


# -- reading ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one reading goes by."""

    limits: Limits
    default_timezone: tzinfo | None

    def value(self, value: Any, where: Where) -> Json:
        try:
            return plain(value, default_timezone=self.default_timezone, depth=self.limits.metadata_depth)
        except NotJson as wrong:
            raise bad_value((*where, *wrong.where), wrong.reason, wrong.expected) from None

    def values(self, given: Any, where: Where) -> list[Json]:
        if not isinstance(given, (list, tuple)):
            raise bad_value(where, shown(given), "an array of values")
        return [self.value(one, (*where, str(at))) for at, one in enumerate(given)]


def parse_update(
    operators: Any,
    collection: Collection,
    settable: Mapping[str, bool],
    *,
    limits: Limits,
    default_timezone: tzinfo | None = None,
) -> Update:
    """Read update operators.

    Args:
        operators: such as ``{"$inc": {"metadata.n": 1}, "$set": {"filename": "b.pdf"}}``.
        collection: of the records to change.
        settable: the record fields that ``$set`` takes, and whether ``$unset`` does.
        limits: the bounds.
        default_timezone: what naive times are in; None makes them an error.

    Raises:
        FilterSyntaxError: the wrong form, or two operators on one path or on a path and its beginning.
        UnknownOperator, UnknownField: a word or name that there is not.
        FilterValueError: an operand of the wrong type or value.
        FilterTooComplex: a path of too many steps.
    """
    if isinstance(operators, (list, tuple)):
        raise UnknownOperator(
            f"an array, as MongoDB's pipelines are; expected an object of {', '.join(OPERATORS)}", path=""
        )
    if not isinstance(operators, Mapping):
        raise FilterSyntaxError(
            f"{shown(operators)} as update operators; expected an object such as {{'$set': {{…}}}}", path=""
        )
    reading = _Reading(limits, default_timezone)
    fields: dict[str, Any] = {}
    changes: list[Change] = []
    claims = _Claims()
    for word, operand in members(operators, (), "update operators"):
        if word not in OPERATORS:
            if not word.startswith("$"):
                raise bad_syntax(
                    (word,), f"the plain key {shown(word)}",
                    f"update operators, as in {{'$set': {{{shown(word)}: …}}}}",
                )  # fmt: skip
            instead = _INSTEAD.get(word, "one of " + ", ".join(OPERATORS))
            raise unknown_operator((word,), word, () if word in _INSTEAD else OPERATORS, instead)
        for name, given in members(operand, (word,), "an object of paths and operands"):
            where = (word, name)
            path = _path(name, where, limits)
            claims.add(path, where)
            if path[0] != _ROOT:
                fields[path[0]] = _field(word, path, given, where, collection, settable)
                continue
            change = _read(reading, word, path[1:], given, where)
            if change.source is not None:
                claims.add((_ROOT, *change.path), where)
            changes.append(change)
    # MongoDB's server applies them in this order, whatever the order in which they are written.
    changes.sort(key=lambda change: [_place(step) for step in change.path])
    return Update(fields, tuple(changes), limits.metadata_bytes // _NULL_BYTES)


def _path(name: str, where: Where, limits: Limits) -> Path:
    if len(name) > limits.operand_bytes:
        raise too_complex(where[:-1], "a path too long", "operand_bytes", limits.operand_bytes)
    path = parse_path(name)
    if len(path) > limits.path_steps:
        raise too_complex(where, "a path of too many steps", "path_steps", limits.path_steps)
    for step in path[1:]:
        if step == "$" or step.startswith("$["):
            raise unknown_operator(where, step, (), "a field's name or an index as a step")
    return path


class _Claims:
    """The paths that are changed, each by one operator alone."""

    def __init__(self) -> None:
        self._whole: dict[Path, Where] = {}
        self._beginnings: dict[Path, Where] = {}

    def add(self, path: Path, where: Where) -> None:
        """Claim a path.

        Raises:
            FilterSyntaxError: another operator changes it, a part of it, or what it is a part of.
        """
        beginnings = [path[:size] for size in range(1, len(path))]
        for other in (self._beginnings.get(path), *map(self._whole.get, (*beginnings, path))):
            if other is not None:
                what = f"{shown(path_text(path))} is changed by {'/'.join(other)}, too"
                raise bad_syntax(where, what, "one operator for a path and all below it")
        self._whole[path] = where
        self._beginnings |= dict.fromkeys(beginnings, where)


def _place(step: str) -> tuple[int, int, str]:
    index = index_step(step)
    # Indexes come before names, and by their number: 2 before 10.
    return (1, 0, step) if index is None else (0, index, "")


def _field(
    word: str, path: Path, given: Any, where: Where, collection: Collection, settable: Mapping[str, bool]
) -> Any:
    """Return what a record field is set to: as given, for the checks of ``update``."""
    name = path[0]
    if name not in collection.fields:
        what = f"unknown field {shown(name)}"
        if name:
            text = path_text((_ROOT, *path))
            hint = f"what a record carries beyond its fields is below 'metadata': {shown(text)}"
        else:
            hint = "a path begins with 'metadata'"
        raise unknown_field(where, name, (), what, hint)
    if word not in ("$set", "$unset"):
        raise bad_value(where, f"{word} on the record field {shown(name)}", "a path below 'metadata'")
    if name not in settable:
        raise unknown_field(
            where, name, (), f"update does not set {shown(name)}", f"it sets {', '.join(settable)}"
        )
    if len(path) > 1:
        raise bad_value(
            where, f"a path into {shown(name)}", "the field as a whole, or a path below 'metadata'"
        )
    if word == "$set":
        return given
    if not settable[name]:
        raise bad_value(where, f"$unset of {shown(name)}", "a field that may be None, or $set")
    return None


def _read(reading: _Reading, word: str, path: Path, given: Any, where: Where) -> Change:
    if not path and word not in ("$set", "$unset"):
        raise bad_value(where, f"{word} on the whole metadata", "a path below it, such as 'metadata.n'")
    match word:
        case "$set":
            value = reading.value(given, where)
            if not path and type(value) is not dict:
                raise bad_value(where, f"metadata that is {type_name(value)}", "an object")
            return Change(word, path, lambda _: value)
        case "$unset":
            gone: Json | Missing = MISSING if path else {}
            return Change(word, path, lambda _: gone, creates=False, lenient=True)
        case "$inc" | "$mul":
            return Change(word, path, _arithmetic(word, _number(reading.value(given, where), where)))
        case "$min" | "$max":
            return Change(word, path, _extreme(word, reading.value(given, where)))
        case "$rename":
            return _renamed(reading, path, given, where)
        case "$push":
            return Change(word, path, _push(reading, given, where))
        case "$addToSet":
            return Change(word, path, _add_to_set(reading, given, where))
        case "$pull":
            return Change(word, path, _pull(reading, given, where), creates=False)
        case _:
            return Change(word, path, _pop(given, where), creates=False)


def _renamed(reading: _Reading, path: Path, given: Any, where: Where) -> Change:
    name = by_value(given)
    expected = "a path below 'metadata' as text"
    if not isinstance(name, str):
        raise bad_value(where, shown(name), expected)
    try:
        check_text(name)
    except NotJson as wrong:
        raise bad_value(where, wrong.reason, wrong.expected) from None
    target = _path(name, where, reading.limits)
    if target[0] != _ROOT or len(target) == 1:
        raise bad_value(where, shown(name), expected)
    return Change("$rename", target[1:], lambda value: value, source=path)


def _number(value: Json, where: Where) -> int | float:
    if type(value) is int or type(value) is float:
        return value
    raise bad_value(where, shown(value), "a number")


def _arithmetic(word: str, operand: int | float) -> Settle:
    def settle(value: Json | Missing) -> Json:
        if value is MISSING:
            return operand if word == "$inc" else type(operand)(0)
        if type(value) is not int and type(value) is not float:
            raise Unfit("", f"{word} on {type_name(value)}; expected a number")
        found = value + operand if word == "$inc" else value * operand
        whole = type(found) is int
        if not (INT64_MIN <= found <= INT64_MAX if whole else math.isfinite(found)):
            raise Unfit("", f"{word} leads beyond {'64 bits' if whole else 'the finite numbers'}")
        return found if whole else found + 0.0

    return settle


def _extreme(word: str, operand: Json) -> Settle:
    def settle(value: Json | Missing) -> Json:
        if value is MISSING:
            return operand
        order = compare(operand, value)
        return operand if (order < 0 if word == "$min" else order > 0) else value

    return settle


def _array(word: str, value: Json | Missing) -> list[Json]:
    if value is MISSING:
        return []
    if type(value) is not list:
        raise Unfit("", f"{word} on {type_name(value)}; expected an array")
    return value


_MODIFIERS = ("$each", "$slice", "$position")


def _push(reading: _Reading, given: Any, where: Where) -> Settle:
    values, first, most = _pushed(reading, given, where)

    def settle(value: Json | Missing) -> Json:
        array = list(_array("$push", value))
        at = len(array) if first is None else first
        array[at:at] = values
        if most is None:
            return array
        return array[:most] if most >= 0 else array[most:]

    return settle


def _pushed(reading: _Reading, given: Any, where: Where) -> tuple[list[Json], int | None, int | None]:
    """Return the values to push, where, and how many elements are kept."""
    words = [by_value(key) for key in given] if isinstance(given, Mapping) else []
    if "$each" not in words:
        if words and words[0] in ("$slice", "$position", "$sort"):
            _refuse_modifiers(words, ("$each",), where)
            raise bad_syntax(where, f"{words[0]} without $each", "$each beside it")
        return [reading.value(given, where)], None, None
    _refuse_modifiers(words, _MODIFIERS, where)
    modifiers = dict(zip(words, given.values(), strict=True))
    whole = "a whole number within 64 bits"
    first, most = (
        whole_number(modifiers[word], (*where, word), whole) if word in modifiers else None
        for word in ("$position", "$slice")
    )
    return reading.values(modifiers["$each"], (*where, "$each")), first, most


def _refuse_modifiers(words: Sequence[Any], known: Sequence[str], where: Where) -> None:
    """Refuse what is no modifier among modifiers."""
    for word in words:
        if word in known or word in _MODIFIERS:
            continue
        if isinstance(word, str) and word.startswith("$"):
            raise unknown_operator((*where, word), word, (), "one of " + ", ".join(_MODIFIERS))
        raise bad_syntax(where, f"the key {shown(word)} beside modifiers", "one of " + ", ".join(_MODIFIERS))


def _add_to_set(reading: _Reading, given: Any, where: Where) -> Settle:
    words = [by_value(key) for key in given] if isinstance(given, Mapping) else []
    if words and words[0] == "$each":
        for word in words[1:]:
            if isinstance(word, str) and word.startswith("$"):
                raise unknown_operator((*where, word), word, (), "$each alone")
            raise bad_syntax(where, f"the key {shown(word)} beside $each", "$each alone")
        values = reading.values(next(iter(given.values())), (*where, "$each"))
    else:
        values = [reading.value(given, where)]
    # Backwards, so that of equal values the first one stays: 1 rather than a 1.0 behind it.
    wanted = {identity(value): value for value in reversed(values)}
    different = [wanted[key] for key in dict.fromkeys(map(identity, values))]

    def settle(value: Json | Missing) -> Json:
        array = _array("$addToSet", value)
        held = set(map(identity, array))
        return [*array, *(one for one in different if identity(one) not in held)]

    return settle


def _pull(reading: _Reading, given: Any, where: Where) -> Settle:
    matches = _condition(reading, given, where)

    def settle(value: Json | Missing) -> Json:
        return [element for element in _array("$pull", value) if not matches(element)]

    return settle


def _condition(reading: _Reading, given: Any, where: Where) -> Callable[[Json], bool]:
    """Return the test of the elements to remove: equal to a value, or matching as ``$elemMatch`` would."""
    is_moment = isinstance(given, date) or is_instant(given)
    is_object = isinstance(given, Mapping) and not is_moment
    if isinstance(given, re.Pattern):
        asked: Mapping[Any, Any] = {"$regex": given}
    elif is_object:
        asked = given
    elif is_moment:
        asked = {"$eq": given}
    else:
        asked = {"$eq": reading.value(given, where)}
    try:
        expr = parse(
            {"": {"$elemMatch": asked}},
            None,
            limits=reading.limits,
            default_timezone=reading.default_timezone,
        )
    except FilterError as wrong:
        raise _placed(wrong, where) from None
    holds = compile(expr, free=True)
    # Put into an array of one: the test of `$elemMatch` is the test of an element.
    if is_object and of_records(asked):  # MongoDB takes an array within the array for no object of indexes
        return lambda element: type(element) is dict and holds({"": [element]})
    return lambda element: holds({"": [element]})


def _placed(wrong: FilterError, where: Where) -> FilterError:
    """Return the error of a condition with its place in the update."""
    inner = wrong.path.removeprefix("/$elemMatch").removeprefix("/")
    path = "/".join((*where, inner) if inner else where)
    text = wrong.message.replace(f"at {wrong.path}", f"at {path}", 1)
    return type(wrong)(text, **{**vars(wrong), "path": path})


def _pop(given: Any, where: Where) -> Settle:
    end = whole_number(given, where, "1 or -1")
    if end not in (1, -1):
        raise bad_value(where, shown(given), "1 (the last element) or -1 (the first)")

    def settle(value: Json | Missing) -> Json:
        array = _array("$pop", value)
        return array[:-1] if end == 1 else array[1:]

    return settle

"""Nothing that a user wrote reaches SQL text: generated questions, every statement that they run looked at.

The texts of each question are first masked, letter by letter, with ideographs that no statement of ours has:
a fragment that is found in a statement came from the question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

import docstore
from docstore.errors import DocstoreError
from docstore.query.fields import DOCUMENTS, Kind
from docstore.query.operators import is_operators, of_records
from docstore.query.parser import FIELD_WORDS, TOP_WORDS, parse
from docstore.query.paths import parse_path, path_text
from docstore.testing.strategies import RandomChooser, World
from docstore.testing.strategies.asks import Ask, ask
from docstore.testing.strategies.filters import Filter
from docstore.testing.strategies.worlds import world
from tests.kit.statements import Statements, record_statements

QUESTIONS, WORLDS = 12, 12
_UNMASKED = ("$type", "$options", "$exists", "$size", "$mod", "$comment")
_PIECES = ("$substring", "$isubstring", "$startsWith", "$glob", "$iglob", "$regex")
_MASK = {code: 0x4E00 + code for code in (*range(65, 91), *range(97, 123))}


def masked(text: str) -> str:
    """Return ``text`` with an ideograph for each ASCII letter."""
    return text.translate(_MASK)


def masked_value(value: Any) -> Any:
    """Return a literal with its keys and texts masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {masked(key): masked_value(inner) for key, inner in value.items()}
    return [masked_value(inner) for inner in value] if isinstance(value, list) else value


def masked_condition(condition: Any) -> Any:
    """Return what stands beside a JSON path, masked; patterns that are no literals stay as they are."""
    if not is_operators(condition):
        return masked_value(condition)
    made: dict[str, Any] = {}
    for word, operand in condition.items():
        if word in _UNMASKED or (word == "$regex" and not re.fullmatch(r"\w*", operand, re.ASCII)):
            made[word] = operand
        elif word == "$not":
            made[word] = masked_condition(operand)
        elif word == "$elemMatch":
            made[word] = masked_filter(operand, {}) if of_records(operand) else masked_condition(operand)
        elif word == "$all" and operand and is_operators(operand[0]):
            made[word] = [masked_condition(each) for each in operand]
        else:
            made[word] = masked_value(operand)
    return made


def masked_path(path: str, fields: Any) -> str:
    """Return a path with all its steps masked but the field's name."""
    first, *steps = parse_path(path)
    return path_text((first if first in fields else masked(first), *map(masked, steps)))


def masked_filter(filter: Filter, fields: Any) -> Filter:
    """Return a filter with all keys and texts masked, but for record fields and operands that are no text."""
    made: Filter = {}
    for key, value in filter.items():
        if key in ("$and", "$or", "$nor"):
            made[key] = [masked_filter(each, fields) for each in value]
        elif key == "$comment":
            made[key] = masked(value)
        else:
            field = fields.get(parse_path(key)[0])
            free = field is None or field.kind in (Kind.JSON, Kind.TEXT)
            made[masked_path(key, fields)] = masked_condition(value) if free else masked_choice(value)
    return made


def masked_choice(condition: Any) -> Any:
    """Return what stands beside a field of few words, its pieces of text masked: the words are none."""
    if not is_operators(condition):
        return condition
    made: dict[str, Any] = {}
    for word, operand in condition.items():
        made[word] = masked_choice(operand) if word == "$not" else operand
        if word in _PIECES:
            made[word] = masked_condition({word: operand})[word]
    return made


def texts(value: Any, fields: Any) -> Iterator[str]:
    """Yield every key and every scalar of a filter as text, but operators and record fields."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not key.startswith("$"):
                first, *steps = parse_path(key)
                yield from (first, *steps) if first not in fields else steps
            yield from texts(inner, fields) if key not in _UNMASKED[:2] else ()
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, fields)
    elif isinstance(value, str | float | int) and not isinstance(value, bool):
        yield str(value)


def words(value: Any) -> Iterator[str]:
    """Yield the operators in a filter."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str) and key.startswith("$"):
            yield key
        if isinstance(inner, dict | list):
            yield from words(inner)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Every statement that a session runs."""
    return record_statements(monkeypatch)


def asked(choose: RandomChooser, over: World, parsed: list[int]) -> tuple[Ask, dict[str, Any]]:
    """Return a question, masked, and how ``find`` is asked it."""
    question = ask(choose, over)
    fields = over.collection.fields
    filter = masked_filter(question.filter, fields)
    try:
        parse(filter, over.collection)
        parsed.append(1)
    except DocstoreError:
        filter = {}
    sort = [("-" if key[0] == "-" else "") + masked_path(key.lstrip("-"), fields) for key in question.sort]
    search = None if question.search is None else masked(question.search)
    return question, {"filter": filter, "search": search, "sort": sort, "latest_only": question.latest_only}


@pytest.mark.parametrize("name", ["sqlite_url", "postgres_store_url"])
def test_no_fragment_of_a_question_is_in_the_sql(
    name: str, request: pytest.FixtureRequest, statements: Statements
) -> None:
    """No key, operand or sort name longer than two characters, nor any part of one, is in a statement."""
    seen: set[str] = set()
    parsed: list[int] = []
    with docstore.open(str(request.getfixturevalue(name))) as store:
        for seed in range(WORLDS):
            choose = RandomChooser(seed)
            over = world(choose, size=5)
            with store._context.backend.write() as writer:
                for collection, rows in ((DOCUMENTS, over.documents), (over.collection, over.rows)):
                    writer.insert(collection, rows)
            records: Any = getattr(store, over.collection.name)
            for _ in range(QUESTIONS):
                _, arguments = asked(choose, over, parsed)
                statements.clear()
                run(records, arguments, over.collection.fields)
                check(" ".join(text for text, _ in statements), arguments, over.collection.fields)
                seen.update(words(arguments["filter"]))
            store.documents.delete_many({})
    assert len(parsed) > 0.9 * WORLDS * QUESTIONS
    assert {*FIELD_WORDS, *TOP_WORDS} <= seen


def run(records: Any, arguments: dict[str, Any], fields: Any) -> None:
    """Ask everything that reads."""
    page = records.find(**arguments, limit=1, total=True)
    if page.next_cursor is not None:
        records.find(**arguments, limit=1, cursor=page.next_cursor, total=2)
        records.find(**arguments, limit=1, cursor=page.next_cursor, direction="prev")
    records.explain(**arguments, offset=1)
    asks = {name: arguments[name] for name in ("filter", "search", "latest_only")}
    records.count(**asks)
    records.exists(**asks)
    records.count_by(arguments["sort"][0].lstrip("-"), **asks)
    list(records.iterate(**arguments, batch_size=2))


@pytest.mark.parametrize("leak", ["SELECT '{}'", "SELECT * FROM d ORDER BY metadata->'{}'", "SELECT 1 -- {}"])
def test_a_leak_is_noticed(leak: str) -> None:
    """The check itself fails on a statement that holds a key, an operand or a part of one."""
    for sort, filter, text in (("number", {"metadata.a": "it's"}, "t's"), ("metadata.x'y", {}, "x'y")):
        with pytest.raises(AssertionError):
            check(leak.format(text), {"filter": filter, "sort": [sort], "search": None}, DOCUMENTS.fields)
    with pytest.raises(AssertionError):
        check(leak.format(masked("a")), {"filter": {}, "sort": ["number"], "search": None}, DOCUMENTS.fields)


def check(statements: str, arguments: dict[str, Any], fields: Any) -> None:
    """Check that no three characters in a row of anything asked, eight of a number, are in the statements."""
    assert "SELECT" in statements
    assert statements.isascii()
    choices = {word for field in fields.values() for word in field.choices}
    sort = [step for key in arguments["sort"] for step in parse_path(key.lstrip("-"))[1:]]
    for text in (*texts(arguments["filter"], fields), *sort, *(arguments["search"] or "").split()):
        if text in OURS or text in choices:
            continue
        size = max(3, min(len(text), 8)) if text.lstrip("-")[:1].isdigit() else 3  # our own have digits, too
        for at in range(len(text) - size + 1):
            fragment = text[at : at + size]
            assert fragment not in statements or fragment in OURS, (fragment, text, arguments)


OURS = "-1 0.0 1.0 -2147483648 2147483647 9007199254740992 9007199254740993 '{}' 'string' sort_key"
"""Numbers and words that our statements and the pools of the generators have in common."""

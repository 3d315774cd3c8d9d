"""What Postgres is given of texts: exact numbers, folded strings, patterns in its syntax."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from docstore_postgres import backend, session
from docstore_postgres.jsonpath import ascii_lower, index_folds, index_json, json_of
from docstore_postgres.patterns import glob, glob_is_exact, translate
from docstore_postgres.schema import function_statements, order_function
from docstore_sql.tables import Tables
from hypothesis import given
from hypothesis import strategies as st

import docstore
from docstore.query.patterns import BadPattern, matcher, required_text, searcher
from docstore.query.sorting import order_bytes
from docstore.query.text import fold
from docstore.testing.servers import PostgresServer
from docstore.testing.strategies import json_values


@pytest.fixture(scope="module")
def connection(postgres_server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database that has the functions."""
    url = postgres_server.create_database()
    with psycopg.connect(url, autocommit=True) as opened:
        for statement in function_statements(Tables("t_")):
            opened.execute(statement.encode())
        yield opened
    postgres_server.drop_database(url)


def found(connection: psycopg.Connection[Any], condition: str, value: str, texts: list[str]) -> list[bool]:
    """Return of each text whether a condition on ``x``, with one value bound, holds."""
    query = f"SELECT {condition} FROM unnest(%s::text[]) WITH ORDINALITY AS u(x, n) ORDER BY n"
    return [bool(row[0]) for row in connection.execute(query.encode(), (value, texts))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1.5,"b":1}', '{"a":1.5,"b":1}'),
        ("[1e+16]", "[10000000000000000]"),
        ("[-1.2345678901234567e+18]", "[-1234567890123456768]"),
        ("[1e-07]", "[1e-07]"),
        ('["1e+16",1e+16]', '["1e+16",10000000000000000]'),
        ('["\\"1e+16",1e+17]', '["\\"1e+16",100000000000000000]'),
    ],
)
def test_large_doubles_become_the_whole_numbers_they_are(text: str, expected: str) -> None:
    """Postgres would read the shortest decimal instead, which is another number."""
    assert expected == index_json(text)


@given(json_values())
def test_index_json_keeps_every_value(value: Any) -> None:
    """The text means what it meant; only how large numbers are written changes."""
    text = json.dumps(value, ensure_ascii=False)
    assert json.loads(text) == json.loads(index_json(text))


@given(json_values())
def test_folds_hold_what_lowering_ascii_does_not_give(value: Any) -> None:
    """A string folds to its entry, or to itself with A to Z lowered."""
    folds = json.loads(index_folds(json.dumps({"key É": value}, ensure_ascii=False)) or "{}")
    stack = [value]
    while stack:
        match stack.pop():
            case str() as text:
                assert fold(text) == folds.get(text, ascii_lower(text))
            case list() as elements:
                stack += elements
            case dict() as members:
                stack += members.values()
    assert "key É" not in folds


ATOMS = (
    "a", "b", "k", "K", "s", ".", "^", "$", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\b", r"\B", r"\A",
    r"\z", "[a-c]",
    "[^a]", "[^k]", r"[\W]", r"[^\w]", r"[\d-]", "[]a]", "[^]]", "[[:alpha:]]", "[[:^alpha:]s]", "é",
    "[é-ü]", r"\n",
    r"\x41", r"\x{e9}", r"\.", r"\\", r"\Qa\E", "-", "(?i)", "(?-i)", "(?s)", "(?m)", "(?i:k)", "(?m:^)",
    "(?m:$)", "(?:)",
    r"[\x{1}-\x{10ffff}]", r"\pL", "\u212a",
)  # fmt: skip
QUANTIFIERS = ("", "*", "+", "?", "{2}", "{1,2}", "{0,2}", "{2,}", "*?", "+?", "{0}", "{,2}")
TEXTS = [
    "", "a", "A", "k", "K", "s", "S", "\u017f", "\u212a", "é", "É", "\n", "\r", "\v", " ", "1", "_", "-",
    ".", "\\", "\u2028",
    "😀", "ab", "aé", "éa", "a\nb", "\na", "a\n", "kK", "a b", "_a", "1a", "aaa", "bÉA", "Sks", "a" * 300,
]  # fmt: skip


@st.composite
def patterns(draw: st.DrawFn, depth: int = 3) -> str:
    """Return a pattern of atoms, sequences, alternatives and repeated groups; RE2 may refuse it."""
    kind = draw(st.integers(0, 4)) if depth else 0
    if kind == 0:
        return draw(st.sampled_from(ATOMS)) + draw(st.sampled_from(("", "", *QUANTIFIERS, "{300}")))
    inner = [draw(patterns(depth - 1)) for _ in range(2)]
    return {1: "".join(inner), 2: f"({'|'.join(inner)})", 3: "|".join(inner)}.get(
        kind, f"(?:{inner[0]}){draw(st.sampled_from(QUANTIFIERS))}"
    )


@given(patterns(), st.sampled_from(("", "", "i", "m", "s", "im", "ims")))
def test_translated_patterns_find_what_re2_finds(
    connection: psycopg.Connection[Any], pattern: str, flags: str
) -> None:
    """An exact translation finds the same texts, another those and more; Postgres accepts each."""
    try:
        search = searcher(pattern, flags)
    except BadPattern:
        return
    translated = translate(pattern, flags)
    if translated is None:
        return
    expected = [search(text) for text in TEXTS]
    actual = found(connection, 'x COLLATE "C" ~ %s', translated.source, TEXTS)
    if translated.exact:
        assert expected == actual
    assert all(there for there, wanted in zip(actual, expected, strict=True) if wanted)


@given(patterns(), st.sampled_from(("", "i", "ms")))
def test_what_a_pattern_requires_is_in_all_that_match(pattern: str, flags: str) -> None:
    """With ``i`` in their folds."""
    try:
        search = searcher(pattern, flags)
    except BadPattern:
        return
    required = required_text(pattern)
    assert all(required in text or fold(required) in fold(text) for text in TEXTS if search(text))
    assert flags or all(required in text for text in TEXTS if search(text))


@pytest.mark.parametrize(
    ("pattern", "required"),
    [
        (r"^report-[0-9]+\.pdf$", "report-"),
        (r"\d+ab?c\.d", "c.d"),
        ("x{0}abc", "abc"),
        ("a|b", ""),
        ("(?i)abc", ""),
        (r"\x41bc", ""),
        ("a#x{0}", ""),
    ],
)
def test_a_pattern_requires_its_longest_plain_part(pattern: str, required: str) -> None:
    """Where nothing in it makes that uncertain."""
    assert required == required_text(pattern)


NAMES = [
    "report-0000012.pdf", "Report-0000012.PDF", "Straße 100%_.txt", "STRASSE 100%_.TXT", "e\u0301té.md",
    "été.md", "\u212aelvin.txt", "kelvin.txt", "a\\b'c.txt", "ab", "", "ﬁle", "\u017fecret.doc", "日本語.md",
]  # fmt: skip


@pytest.mark.parametrize("trigrams", [True, False], ids=["pg_trgm", "own function"])
def test_names_are_found_by_their_index(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, trigrams: bool
) -> None:
    """Equal, one of several, by a pattern, or one or the other: the index finds what the evaluator finds."""
    monkeypatch.setattr(backend.PostgresBackend, "_has_trigrams", lambda *_: trigrams)
    monkeypatch.setattr(session, "scan_limit", lambda wanted, rows: 1)
    with docstore.open(postgres_url, blobs="memory://") as store:
        store.documents.add_many({"filename": name} for name in NAMES)
        documents = list(store.documents.iterate())
        filters: list[dict[str, Any]] = [
            *({"filename": name} for name in NAMES),
            {"filename": {"$in": [NAMES[0], NAMES[2], NAMES[8]]}},
            {"filename": {"$in": [NAMES[0], "ab"]}},
            {"$or": [{"filename": NAMES[2]}, {"filename": {"$regex": "^report-0+12"}}]},
            {"filename": {"$regex": "^report-[0-9]+.pdf", "$options": "i"}},
            {"filename": {"$regex": "kelvin", "$options": "i"}},
            {"filename": {"$regex": "secret.doc", "$options": "i"}},
            {"filename": {"$regex": "100%_.txt$"}},
        ]
        for filter in filters:
            expected = [
                one.filename for one in documents if docstore.matches(filter, {"filename": one.filename})
            ]
            assert sorted(expected) == sorted(one.filename for one in store.documents.find(filter).items), (
                filter
            )
            assert len(expected) == store.documents.count(filter), filter


@pytest.mark.parametrize("pattern", ["^a+$", r"[a-z]+\d{2,}", "(?i)report", "a.b", "^(x|y)*z?$", r"\bab\b"])
def test_ordinary_patterns_are_exact(pattern: str) -> None:
    """What people write is translated without loss."""
    translated = translate(pattern)
    assert translated is not None
    assert translated.exact


GLOBS = (
    "*",
    "?",
    "a",
    "%",
    "_",
    "\\",
    "[a-c]",
    "[!a]",
    "[]]",
    "[z-a]",
    "[a",
    "é",
    "[é-ü]",
    "\\*",
    "[%_]",
    ".",
    "😀",
    "\n",
)


@given(st.lists(st.sampled_from(GLOBS), max_size=5).map("".join))
def test_globs_match_what_the_core_matches(connection: psycopg.Connection[Any], pattern: str) -> None:
    """LIKE or a regular expression: both by code point, newlines included, nothing else special."""
    assert glob_is_exact(pattern)
    texts = [*TEXTS, "%", "a%", "*", "]", "[a", "\\*"]
    condition = glob("x", pattern)
    assert list(map(matcher(pattern), texts)) == found(connection, condition.text, condition.values[0], texts)


@given(json_values())
def test_the_order_function_writes_the_cores_bytes(connection: psycopg.Connection[Any], value: Any) -> None:
    """Positions made in Python compare with keys made in the database."""
    query = f"SELECT {order_function(Tables('t_'))}(%s::jsonb)"
    written = connection.execute(query.encode(), (json_of(value),)).fetchone()
    assert written is not None
    assert order_bytes(value) == written[0]


@pytest.mark.parametrize("near", [2**53, 2**63 - 1024, 2**63 - 512, 2**62, 10**18, 2**55 + 2**2])
def test_the_order_function_is_exact_at_the_edges(connection: psycopg.Connection[Any], near: int) -> None:
    """Integers around a double differ from it and from each other, of either sign."""
    for value in (
        sign * number for number in range(near - 3, near + 4) for sign in (1, -1) if number < 2**63
    ):
        query = f"SELECT {order_function(Tables('t_'))}(%s::jsonb)"
        written = connection.execute(query.encode(), (str(value),)).fetchone()
        assert written is not None
        assert order_bytes(value) == written[0], value

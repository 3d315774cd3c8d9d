"""What each dialect's operators, values and errors become, and that nothing reaches beyond the metadata."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import docstore
from docstore.dialects import (
    from_aip160,
    from_chroma,
    from_haystack,
    from_langchain,
    from_llama_index,
    from_query_string,
    to_aip160,
    to_chroma,
    to_haystack,
    to_query_string,
)

OFFSET = "2026-01-31T09:30:00+01:00"
NAIVE = "2026-01-31T09:30:00"


def compare(field: str, operator: str, value: Any) -> dict[str, Any]:
    """Return a comparison of Haystack's."""
    return {"field": field, "operator": operator, "value": value}


def directive(comparator: str, attribute: str, value: Any) -> SimpleNamespace:
    """Return the attributes of a comparison of LangChain's."""
    return SimpleNamespace(comparator=comparator, attribute=attribute, value=value)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (from_haystack(compare("meta.a.b", "==", 1)), {"metadata.a.b": 1}),
        (from_haystack(compare("year", ">", 1)), {"metadata.year": {"$gt": 1}}),
        (from_haystack(compare("meta.at", ">", OFFSET)), {"metadata.at": {"$gt": {"$date": OFFSET}}}),
        (from_haystack(compare("meta.at", "<=", NAIVE)), {"metadata.at": {"$lte": NAIVE}}),
        (from_haystack(None), {}),
        (from_haystack({}), {}),
        (from_haystack(compare("id", "==", "x"), fields={"id": "id"}), {"id": "x"}),
        (from_langchain(directive("like", "a.b", "10\\%_*")), {"metadata.a.b": {"$glob": "10%?\\*"}}),
        (
            from_langchain(SimpleNamespace(query="q", filter=directive("eq", "a", 1), limit=None)),
            {"metadata.a": 1},
        ),
        (from_langchain(SimpleNamespace(query="q", filter=None, limit=3)), {}),
        (
            from_langchain(directive("gt", "at", {"type": "datetime", "datetime": OFFSET})),
            {"metadata.at": {"$gt": {"$date": OFFSET}}},
        ),
        (
            from_langchain(directive("gt", "at", {"type": "date", "date": "2026-01-31"})),
            {"metadata.at": {"$gt": "2026-01-31"}},
        ),
        (from_llama_index({"key": "a.b", "value": 1}), {"metadata.a\\.b": 1}),
        (from_llama_index({"filters": []}), {}),
        (from_chroma({"a.b": {"$eq": 1}}), {"metadata.a\\.b": {"$eq": 1}}),
        (from_chroma({"a": {"$not_contains": 1}}), {"metadata.a": {"$not": {"$contains": 1}}}),
        (from_chroma(None), {}),
        (from_aip160(""), {}),
        (from_aip160("  "), {}),
        (from_aip160(None), {}),
        (from_aip160('a = 1 AND b = "x" OR c = true'), {"$and": [
            {"metadata.a": 1}, {"$or": [{"metadata.b": "x"}, {"metadata.c": True}]}
        ]}),
        (from_aip160("a=1 b=2"), {"$and": [{"metadata.a": 1}, {"metadata.b": 2}]}),
        (from_aip160("a > -1.5e3"), {"metadata.a": {"$gt": -1500.0}}),
        (from_aip160(f"at >= {OFFSET}"), {"metadata.at": {"$gte": {"$date": OFFSET}}}),
        (from_aip160(f'at >= "{OFFSET}"'), {"metadata.at": {"$gte": {"$date": OFFSET}}}),
        (from_aip160(f"at < {NAIVE}"), {"metadata.at": {"$lt": NAIVE}}),
        (from_aip160('a = "*.foo"'), {"metadata.a": {"$glob": "*.foo"}}),
        (from_aip160(r'a = "\*[x]"'), {"metadata.a": "*[x]"}),
        (from_aip160('a != "x*"'), {"metadata.a": {"$not": {"$glob": "x*"}}}),
        (from_aip160("a = (1 OR 2)"), {"$or": [{"metadata.a": 1}, {"metadata.a": 2}]}),
        (from_aip160('"my key"."b.c" = null'), {"metadata.my key.b\\.c": None}),
        (from_aip160("a = foo"), {"metadata.a": "foo"}),
        (from_query_string("a=5&b=true&c=null&d=x&e=%225%22"), {"$and": [
            {"metadata.a": 5}, {"metadata.b": True}, {"metadata.c": None}, {"metadata.d": "x"},
            {"metadata.e": "5"},
        ]}),
        (from_query_string("?a=1&a=x"), {"metadata.a": {"$in": [1, "x"]}}),
        (from_query_string("a[in]=1,x&a[in]=y"), {"metadata.a": {"$in": [1, "x", "y"]}}),
        (from_query_string('a[nin]="x,y",z'), {"metadata.a": {"$nin": ["x,y", "z"]}}),
        (from_query_string("a[in]="), {"metadata.a": {"$in": []}}),
        (from_query_string("a=x,y"), {"metadata.a": "x,y"}),
        (from_query_string("a[contains]=x"), {"metadata.a": {"$contains": "x"}}),
        (from_query_string("a[contains]=x,y"), {"metadata.a": {"$contains": ["x", "y"]}}),
        (from_query_string("a[contains_any]=x,1"), {"metadata.a": {"$containsAny": ["x", 1]}}),
        (from_query_string("a.b[exists]=false"), {"metadata.a.b": {"$exists": False}}),
        (from_query_string("a[substring]=5&a[startsWith]=%22q"), {"$and": [
            {"metadata.a": {"$substring": "5"}}, {"metadata.a": {"$startsWith": '"q'}}
        ]}),
        (from_query_string({"a": ["1", "2"], "b[gte]": "3"}), {"$and": [
            {"metadata.a": {"$in": [1, 2]}}, {"metadata.b": {"$gte": 3}}
        ]}),
        (from_query_string([("a[ne]", "007")]), {"metadata.a": {"$ne": "007"}}),
        (from_query_string({"at[gt]": OFFSET}), {"metadata.at": {"$gt": {"$date": OFFSET}}}),
        (from_query_string("a=NaN&b=+1"), {"$and": [{"metadata.a": "NaN"}, {"metadata.b": " 1"}]}),
        (from_query_string(""), {}),
    ],
)  # fmt: skip
def test_translations(found: Any, wanted: Any) -> None:
    """Each operator and kind of value is said as docstore says it."""
    assert wanted == found


@pytest.mark.parametrize(
    ("translate", "given", "error", "said"),
    [
        (from_haystack, {"operator": "AND"}, docstore.FilterSyntaxError, "conditions"),
        (from_haystack, {"conditions": []}, docstore.FilterSyntaxError, "operator"),
        (from_haystack, {"operator": "XOR", "conditions": []}, docstore.UnknownOperator, "XOR"),
        (from_haystack, {"field": "meta.a", "operator": "=="}, docstore.FilterSyntaxError, "value"),
        (from_haystack, compare("meta.a", "=", 1), docstore.UnknownOperator, "'='"),
        (from_haystack, compare("meta.a", ">", "x"), docstore.FilterValueError, "ISO date"),
        (from_haystack, compare("meta.a", ">", [1]), docstore.FilterValueError, "array"),
        (from_haystack, compare("meta.a", "in", 1), docstore.FilterValueError, "list"),
        (from_haystack, compare("content", "==", "x"), docstore.FilterError, "content"),
        (from_haystack, compare("embedding", "==", 1), docstore.FilterError, "embedding"),
        (from_haystack, [1], docstore.FilterSyntaxError, "object"),
        (from_langchain, directive("near", "a", 1), docstore.UnknownOperator, "near"),
        (from_langchain, directive("in", "a", 1), docstore.FilterValueError, "list"),
        (from_langchain, directive("like", "a", 1), docstore.FilterValueError, "pattern"),
        (from_langchain, SimpleNamespace(operator="not", arguments=[]), docstore.FilterSyntaxError, "one"),
        (from_langchain, {"a": 1}, docstore.FilterSyntaxError, "Comparison"),
        (
            from_llama_index,
            {"key": "a", "operator": "==", "value": None},
            docstore.FilterValueError,
            "is_empty",
        ),
        (from_llama_index, {"key": "a", "operator": "~", "value": 1}, docstore.UnknownOperator, "~"),
        (from_llama_index, {"filters": [], "condition": "xor"}, docstore.UnknownOperator, "xor"),
        (from_llama_index, 5, docstore.FilterSyntaxError, "MetadataFilters"),
        (from_chroma, {"a": 1, "b": 2}, docstore.FilterSyntaxError, "$and"),
        (from_chroma, {"a": {"$gt": 1, "$lt": 3}}, docstore.FilterSyntaxError, "$and"),
        (from_chroma, {"a": {"$regex": "x"}}, docstore.UnknownOperator, "$regex"),
        (from_chroma, {"a": {"$gt": "x"}}, docstore.FilterValueError, "number"),
        (from_chroma, {"a": None}, docstore.FilterValueError, "text, a number"),
        (from_chroma, {"a": {"$in": []}}, docstore.FilterValueError, "list"),
        (from_chroma, {"#document": {"$contains": "x"}}, docstore.FilterError, "search="),
        (from_chroma, {"$nor": []}, docstore.UnknownOperator, "$nor"),
        (from_aip160, "Hugo", docstore.FilterError, "bare literal"),
        (from_aip160, "f(a)", docstore.FilterError, "function"),
        (from_aip160, "a = f(b)", docstore.FilterError, "function"),
        (from_aip160, "a > 20s", docstore.FilterError, "durations"),
        (from_aip160, "a > null", docstore.FilterValueError, "null"),
        (from_aip160, "(a = 1", docstore.FilterSyntaxError, "character 1"),
        (from_aip160, "a = 1)", docstore.FilterSyntaxError, "character 6"),
        (from_aip160, 'a = "x', docstore.FilterSyntaxError, "character 5"),
        (from_aip160, "a = 1 AND", docstore.FilterSyntaxError, "AND"),
        (from_aip160, "AND a = 1", docstore.FilterSyntaxError, "AND"),
        (from_aip160, "a =", docstore.FilterSyntaxError, "the end"),
        (from_aip160, "(" * 5000 + "a=1" + ")" * 5000, docstore.FilterTooComplex, "nested"),
        (from_aip160, b"a=1", docstore.FilterSyntaxError, "text"),
        (from_query_string, "a[gtx]=1", docstore.UnknownOperator, "gt"),
        (from_query_string, "a[gt]=null", docstore.FilterValueError, "null"),
        (from_query_string, "a[exists]=yes", docstore.FilterValueError, "true or false"),
        (from_query_string, "[gt]=1", docstore.FilterSyntaxError, "field"),
        (from_query_string, {"a": 1}, docstore.FilterSyntaxError, "texts"),
        (from_query_string, 5, docstore.FilterSyntaxError, "pairs"),
        (from_query_string, [("a",)], docstore.FilterSyntaxError, "pairs"),
        (to_haystack, {"metadata.a": {"$regex": "x"}}, docstore.FilterError, "$regex"),
        (to_haystack, {"metadata.a\\.b": 1}, docstore.FilterError, "a.b"),
        (to_haystack, {"owner": "x"}, docstore.FilterError, "owner"),
        (to_chroma, {"metadata.a.b": 1}, docstore.FilterError, "flat"),
        (to_chroma, {"metadata.a": None}, docstore.FilterError, "$eq"),
        (to_chroma, {"metadata.a": {"$not": {"$gt": 1}}}, docstore.FilterError, "negation"),
        (to_aip160, {"metadata.a": {"$size": 1}}, docstore.FilterError, "$size"),
        (to_aip160, {"metadata.a": [1]}, docstore.FilterError, "scalars"),
        (
            to_query_string,
            {"$or": [{"metadata.a": 1}, {"metadata.b": 1}]},
            docstore.FilterError,
            "disjunction",
        ),
        (to_query_string, {"$and": [{"metadata.a": 1}, {"metadata.a": 2}]}, docstore.FilterError, "twice"),
    ],
)
def test_what_cannot_be_said_is_named(translate: Any, given: Any, error: type[Exception], said: str) -> None:
    """An operator, value or field that one side lacks is a FilterError that names it."""
    with pytest.raises(error) as raised:
        translate(given)
    assert said in str(raised.value)
    assert isinstance(raised.value, docstore.FilterError)


def test_nothing_names_a_record_field() -> None:
    """Whatever a stranger calls a field, it stands below the metadata."""
    for name in ("tenant", "owner", "$where", "metadata", "$or"):
        filters = [
            from_llama_index({"key": name, "value": "x"}),
            from_query_string({name: "x"}),
            from_langchain(directive("eq", name, "x")),
            from_aip160(f'"{name}" = x'),
        ]
        if not name.startswith("$"):
            filters += [from_chroma({name: "x"}), from_haystack(compare(name, "==", "x"))]
        for filter in filters:
            assert all(key.startswith("metadata.") for key in filter), filter


def test_a_translated_filter_runs(url: str) -> None:
    """A store of any backend takes it as it is."""
    with docstore.open(url) as store:
        store.documents.add_many(
            [{"filename": f"{n}", "metadata": {"n": n, "tags": [str(n)]}} for n in range(5)]
        )
        found = store.documents.find(from_aip160('n >= 3 AND NOT tags:"4"'))
        assert [3] == [one.metadata["n"] for one in found]

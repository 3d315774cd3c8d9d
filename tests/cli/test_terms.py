"""Terms of the command line: what is a filter, what is a value."""

from __future__ import annotations

from typing import Any

import click
import pytest

from docstore.cli.terms import assignments_of, filter_of


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("status=failed", {"status": "failed"}),
        ("vendor=Acme", {"metadata.vendor": "Acme"}),
        ("metadata.vendor=Acme", {"metadata.vendor": "Acme"}),
        ("lines.0.sum>=1.5", {"metadata.lines.0.sum": {"$gte": 1.5}}),
        ("n=5", {"metadata.n": 5}),
        ("n=007", {"metadata.n": "007"}),
        ("n=1e3", {"metadata.n": "1e3"}),
        ("n=-0", {"metadata.n": "-0"}),
        ('n="5"', {"metadata.n": "5"}),
        ("paid=true", {"metadata.paid": True}),
        ("paid=True", {"metadata.paid": "True"}),
        ("vendor=null", {"metadata.vendor": None}),
        ("owner=null", {"owner": None}),
        ("vendor=", {"metadata.vendor": ""}),
        ("filename=2026", {"filename": "2026"}),
        ("filename=true", {"filename": "true"}),
        ("filename=a=b", {"filename": "a=b"}),
        ("vendor!=Acme", {"metadata.vendor": {"$ne": "Acme"}}),
        ("size>1MB", {"size": {"$gt": 1_000_000}}),
        ("size<=1.5KiB", {"size": {"$lte": 1536}}),
        ("size<2kB", {"size": {"$lt": 2000}}),
        ("size=3", {"size": 3}),
        ("note=1MB", {"metadata.note": "1MB"}),
        ("filename~*.pdf", {"filename": {"$glob": "*.pdf"}}),
        ("due?", {"metadata.due": {"$exists": True}}),
        ("tags:=[1, 2]", {"metadata.tags": [1, 2]}),
        ('{"a": 1}', {"a": 1}),
        ("created_at>=2026-01-01", {"created_at": {"$gte": "2026-01-01"}}),
    ],
)
def test_a_term_is_a_filter(term: str, expected: dict[str, Any]) -> None:
    """Numbers, true, false and null as JSON writes them, sizes with a unit, all else text; types count."""
    found = filter_of([term])
    assert (found, repr(found)) == (expected, repr(expected))


def test_several_terms_must_all_hold() -> None:
    """Also two of one field, and filters as JSON among them."""
    assert filter_of(["n>1", "n<5", '{"a": 1}']) == {
        "$and": [{"metadata.n": {"$gt": 1}}, {"metadata.n": {"$lt": 5}}, {"a": 1}]
    }


@pytest.mark.parametrize("term", ["word", "=x", "a b=c", "{nonsense", "n:=[", "?", "~x"])
def test_what_is_no_term_is_refused(term: str) -> None:
    """With what would be one; a word is to be searched for."""
    with pytest.raises(click.BadParameter) as wrong:
        filter_of([term])
    assert "expected" in wrong.value.message
    assert ("--search" in wrong.value.message) == (term == "word")


def test_assignments() -> None:
    """Of fields and metadata; a condition is none."""
    assert assignments_of(["filename=a.txt", "n=5", "lines:=[1]"]) == {
        "filename": "a.txt", "metadata.n": 5, "metadata.lines": [1],
    }  # fmt: skip
    with pytest.raises(click.BadParameter):
        assignments_of(["n>5"])

"""Slips in options, URLs and names of fields: the error names what was meant."""

from __future__ import annotations

from typing import Any

import pytest

import docstore


@pytest.mark.parametrize(
    ("url", "options", "hint"),
    [
        ("memory://", {"blob": "x"}, "'blob'; did you mean 'blobs'"),
        ("sqlite://", {"table_prefx": "a_"}, "did you mean 'table_prefix'"),
        ("memory://", {"nonsense": 1}, "no option 'nonsense'"),
        ("sqlite://", {"replica": "postgresql://x"}, "no option 'replica'; the backend's are"),
        ("sqlite://", {"lock_timeout": 5.0}, "no option 'lock_timeout'"),
        ("postgresql://nowhere.invalid/x", {"busy_timeout": 5.0}, "no option 'busy_timeout'; the backend's"),
        ("postgresql://nowhere.invalid/x", {"mmap_size": 1}, "no option 'mmap_size'"),
    ],
)
def test_options(url: str, options: dict[str, Any], hint: str) -> None:
    """A TypeError that names the option."""
    with pytest.raises(TypeError, match=hint):
        docstore.open(url, **options)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("memory://", {"busy_timeout": "5"}),
        ("sqlite://", {"busy_timeout": -1}),
        ("sqlite://", {"pool_timeout": float("nan")}),
        ("sqlite://", {"mmap_size": 1.5}),
        ("sqlite://", {"pool_size": "8"}),
        ("postgresql://nowhere.invalid/x", {"lock_timeout": None}),
        ("postgresql://nowhere.invalid/x", {"connect_timeout": True}),
        ("postgresql://nowhere.invalid/x", {"max_overflow": 1.5}),
    ],
)
def test_numbers(url: str, options: dict[str, Any]) -> None:
    """A ValueError that names the option and what was expected, before any connection."""
    (name,) = options
    with pytest.raises(ValueError, match=f"^{name}=.*: expected"):
        docstore.open(url, **options)


@pytest.mark.parametrize(
    "url", ["sqlite://foo.db", "sqlite:foo.db", "sqlite:/foo.db", "sqlite+pysqlite://a/b.db"]
)
def test_urls(url: str) -> None:
    """A file stands after three slashes."""
    with pytest.raises(ValueError, match="three slashes"):
        docstore.open(url)


@pytest.mark.parametrize(
    ("field", "meant"),
    [("tags", "metadata.tags"), ("a.b", "metadata.a.b"), ("staus", "status"), ("fileName", "filename")],
)
def test_fields(field: str, meant: str) -> None:
    """The metadata first; a record's field only for a slip."""
    with docstore.open("memory://") as store, pytest.raises(docstore.UnknownField) as wrong:
        store.documents.count({field: 1})
    assert meant == wrong.value.suggestion
    assert repr(meant) in str(wrong.value)

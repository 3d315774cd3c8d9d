"""Errors: one tree, picklable with their attributes; and a closed store says so."""

from __future__ import annotations

import inspect
import pickle

import pytest

import docstore
from docstore import errors

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, errors.DocstoreError)
]
MIXED = {
    "FilterError": ValueError,
    "InvalidCursor": ValueError,
    "InvalidSort": ValueError,
    "InvalidPage": ValueError,
    "InvalidDocument": ValueError,
    "NotFound": LookupError,
    "ScopeError": ValueError,
    "BackendNotInstalled": ImportError,
}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_errors_survive_pickling(kind: type[errors.DocstoreError]) -> None:
    """Text, class and attributes come back."""
    attributes = dict.fromkeys(getattr(kind, "__annotations__", {}), "x")
    error = kind("the text", **attributes, extra=[1])
    copy = pickle.loads(pickle.dumps(error))
    assert (type(error), error.args, vars(error)) == (type(copy), copy.args, vars(copy))
    assert "the text" in str(copy)


@pytest.mark.parametrize("name", MIXED)
def test_errors_are_the_built_ins_that_users_catch(name: str) -> None:
    """Each is a DocstoreError and the built-in."""
    assert issubclass(getattr(docstore, name), (MIXED[name], docstore.DocstoreError))
    assert issubclass(getattr(docstore, name), MIXED[name])


def test_a_raised_error_carries_what_a_program_needs(store: docstore.Store) -> None:
    """Also after a trip through pickle."""
    with pytest.raises(docstore.NotFound) as caught:
        store.documents.get("none")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert ("none", str(caught.value)) == (copy.id, str(copy))


def test_a_closed_store_says_so(store: docstore.Store) -> None:
    """StoreClosed from every call, of views and claims, too; closing again is fine."""
    made = store.documents.add(metadata={})
    view = store.scoped(tenant="t")
    [claim] = store.documents.claim()
    view.close()
    assert 1 == store.documents.count()
    store.close()
    store.close()
    for call in (
        store.documents.count,
        view.documents.find,
        store.documents.add,
        claim.complete,
        claim.heartbeat,
        lambda: store.extractions.get(made.id),
        lambda: store.documents.claim(),
        lambda: store.transaction().__enter__(),
    ):
        with pytest.raises(docstore.StoreClosed):
            call()

"""docs/postgres.md: its policies back the scope in the database itself, and the store works under them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

import docstore

PAGE = Path(__file__).parents[2] / "docs" / "postgres.md"


def statements() -> list[str]:
    """Return the page's SQL."""
    return re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def functions() -> dict[str, object]:
    """Return what the page's Python defines."""
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    return names


@pytest.fixture
def app_url(postgres_url: str) -> Iterator[str]:
    """A store with the page's role and policies, and documents of two tenants; the URL of the role."""
    with docstore.open(postgres_url) as store:
        for tenant in ("t1", "t2"):
            store.documents.add(
                tenant=tenant, id="x", content=f"text of {tenant}", metadata={"kind": "invoice"}
            )
            store.scoped(tenant=tenant).extractions.add("x", {"of": tenant})
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS app")
        for text in statements():
            owner.execute(text.encode())
        yield postgres_url.replace("postgres@", "app@")
        owner.execute("DROP OWNED BY app")
        owner.execute("DROP ROLE app")


def test_without_a_tenant_nothing_is_seen(app_url: str) -> None:
    """Not even by an unscoped store."""
    with docstore.open(app_url) as store:
        assert (0, 0, {}) == (
            store.documents.count(),
            store.extractions.count(),
            store.documents.count_by("status"),
        )
        assert [] == list(store.documents.iterate(latest_only=False))
        with pytest.raises(docstore.BackendError):
            store.documents.add(tenant="t1")


def test_a_forgotten_scope_reaches_no_other_tenant(app_url: str) -> None:
    """An unscoped store on a connection of t1 sees and changes t1 alone; writing as t2 is refused."""
    with docstore.open(app_url, connect_args={"options": "-c app.tenant=t1"}) as store:
        assert ["t1"] == [one.tenant for one in store.documents.iterate()]
        assert {"of": "t1"} == store.extractions.find().items[0].results
        assert 1 == store.documents.count() == store.documents.update_many({}, metadata={"seen": True})
        assert "text of t1" == store.documents.get("x", include={"content"}).content
        with pytest.raises(docstore.BackendError):
            store.documents.add(tenant="t2")
        assert 1 == store.documents.delete_many({})
    with docstore.open(app_url, connect_args={"options": "-c app.tenant=t2"}) as store:
        assert [{"kind": "invoice"}] == [one.metadata for one in store.documents.iterate()]


def test_everything_works_within_a_tenant(app_url: str, tmp_path: Path) -> None:
    """Bytes, versions, claims, extractions and counts under the policies."""
    options = {"options": "-c app.tenant=t1"}
    with docstore.open(app_url, blobs=str(tmp_path), connect_args=options) as opened:
        store = opened.scoped(tenant="t1")
        made = [store.documents.add(b"bytes", external_id="e") for _ in range(2)]
        store.documents.delete(made[1].id)
        assert b"bytes" == store.documents.read_bytes(made[0].id)
        store.extractions.add(made[0].id, {"a": 1})
        assert 2 == store.documents.process(lambda document: "text").completed
        assert {"completed": 2} == store.documents.count_by("status")


def test_the_pages_functions_do_what_they_say(app_url: str) -> None:
    """A tenant is set on a joined connection for one transaction, or on an engine for good."""
    names = functions()
    engine = sa.create_engine(app_url.replace("postgresql:", "postgresql+psycopg:"), pool_size=1)
    with docstore.open(app_url) as store:
        assert 1 == names["invoices_of"](engine, store, "t1")  # type: ignore[operator]
        with engine.begin() as connection, store.join(connection):
            assert 0 == store.documents.count()
    engine.dispose()
    view = names["store_of"](app_url, "t2")  # type: ignore[operator]
    assert ["t2"] == [one.tenant for one in view.documents.iterate()]
    view._root.close()

"""docs/postgres.md: its policies back the scope in the database itself, and the store works under them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import docstore
from docstore.cli.app import app
from docstore.transfer import export_lines, import_lines

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
            store.documents.add(filename="a", tenant="t1")


def test_a_forgotten_scope_reaches_no_other_tenant(app_url: str) -> None:
    """An unscoped store on a connection of t1 sees and changes t1 alone; writing as t2 is refused."""
    with docstore.open(app_url, connect_args={"options": "-c app.tenant=t1"}) as store:
        assert ["t1"] == [one.tenant for one in store.documents.iterate()]
        assert {"of": "t1"} == store.extractions.find().items[0].results
        assert 1 == store.documents.count() == store.documents.update_many({}, metadata={"seen": True})
        assert "text of t1" == store.documents.get("x", include={"content"}).content
        with pytest.raises(docstore.BackendError):
            store.documents.add(filename="a", tenant="t2")
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
        assert 1 == store.documents.process(lambda document: "text").completed
        assert {"completed": 2} == store.documents.count_by("status")


@pytest.fixture
def of_t1(app_url: str, tmp_path: Path) -> Iterator[docstore.Store]:
    """A store confined to t1, by its connections and its scope."""
    options = {"options": "-c app.tenant=t1"}
    with docstore.open(app_url, blobs=str(tmp_path / "files"), connect_args=options) as opened:
        yield opened.scoped(tenant="t1")


@pytest.mark.parametrize("count", [7, 8, 50])
def test_many_rows_at_once_are_added_under_the_policies(of_t1: docstore.Store, count: int) -> None:
    """A batch goes in whole, contents and versions too, where COPY would be refused."""
    rows = [{"content": f"word{n}", "external_id": f"e{n % 5}", "metadata": {"n": n}} for n in range(count)]
    assert count == of_t1.documents.add_many(rows).added
    assert 1 == of_t1.documents.count(search=f"word{count - 1}", latest_only=False)
    assert 5 == of_t1.documents.count({"metadata.n": {"$exists": True}})


def test_rows_of_another_tenant_are_refused_in_a_batch_too(app_url: str) -> None:
    """The error names the policy, and nothing of the batch is kept."""
    with docstore.open(app_url, connect_args={"options": "-c app.tenant=t1"}) as store:
        rows = [{"metadata": {}, "tenant": "t1"}] * 9 + [{"metadata": {}, "tenant": "t2"}]
        with pytest.raises(docstore.BackendError, match="row-level security"):
            store.documents.add_many(rows)
        assert 1 == store.documents.count()


def test_import_copy_and_index_work_under_the_policies(
    of_t1: docstore.Store, app_url: str, tmp_path: Path
) -> None:
    """More than a handful of records with bytes come in by each way there is."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for n in range(9):
        (folder / f"{n}.txt").write_text(f"indexed {n}")
    with docstore.open("memory://", blobs="memory://rls") as source:
        for n in range(9):
            made = source.documents.add(b"x%d" % n, tenant="t1", id=f"d{n}", content="text")
            source.scoped(tenant="t1").extractions.add(made.id, {"n": n})
        lines = io.BytesIO()
        export_lines(source, lines)
        docstore.copy(source, of_t1)
    assert (10, 10) == (of_t1.documents.count(), of_t1.extractions.count())
    of_t1.documents.delete_many({"id": {"$ne": "x"}})
    import_lines(of_t1, io.BytesIO(lines.getvalue()))
    assert (10, 10) == (of_t1.documents.count(), of_t1.extractions.count())
    environment = {"PGOPTIONS": "-c app.tenant=t1"}
    asked = ["index", str(folder), "--store", app_url, "--tenant", "t1", "--blobs", str(tmp_path / "files")]
    ran = CliRunner().invoke(app, asked, env=environment)
    assert 0 == ran.exit_code, ran.output
    assert 9 == of_t1.documents.count(search="indexed")


TENANTS = [
    "zzz -c app.tenant=t2", "t2", "a b", "back\\slash", "tab\tnew\nline", "quote' \"", " t2", "é\u2003x",
]  # fmt: skip


@pytest.mark.parametrize("tenant", TENANTS)
def test_the_pages_store_of_a_tenant_is_that_tenants(app_url: str, tenant: str) -> None:
    """Whatever the tenant is called, its connections are set to that and nothing else."""
    view = functions()["store_of"](app_url, tenant)  # type: ignore[operator]
    view.documents.add(metadata={})
    with view._context.backend.read() as session:
        session.cursor.execute("SELECT current_setting('app.tenant')")
        assert tenant == session.cursor.fetchone()[0]
    assert {tenant} == {one.tenant for one in view.documents.iterate()}
    view._context.close()


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
    view._context.close()

"""The page in a browser: ``nox -s browser``, with Debian's Chromium.

Every test ends with no message of an error in the console, no script of anybody else's and no request to
another host.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

import docstore
from docstore.access_keys import read_keys
from docstore.http.page.application import application
from tests.serve.demo_store import fill, fill_with_hostile

PICTURES = os.environ.get("DOCSTORE_PICTURES")
PICTURED = {
    "list-1280-light", "list-400-light", "search-400-dark", "wrong-1280-light", "document-1280-dark",
    "review-1280-light", "review-400-dark", "store-1280-light", "store-400-dark", "explain-1280-light",
}
"""The pictures that docs/serve.md and the README show."""
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 400, "height": 820}
WAITING = {"needs_review": True, "is_reviewed": False}


@contextmanager
def served(store: Any, **options: Any) -> Iterator[str]:
    """Serve the page over a store at a port of this machine; yield its address."""
    server = uvicorn.Server(uvicorn.Config(lambda: None, port=0, log_level="warning", lifespan="off"))
    listener = server.config.bind_socket()
    port = listener.getsockname()[1]
    server.config.app = application(store, port=port, place="sqlite:///library.db", **options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("library")
    with docstore.open(f"sqlite:///{folder}/library.db", blobs=str(folder / "files")) as opened:
        fill(opened)
        yield opened


@pytest.fixture(scope="session")
def address(store: Any) -> Iterator[str]:
    with served(store, write=True) as url:
        yield url


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path is not None, "no chromium: apt-get install chromium"
    browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    yield browser
    browser.close()


@contextmanager
def visit(chromium: Browser, **options: Any) -> Iterator[BrowserContext]:
    """Yield a browser that nobody has used; fail if a page complained, ran a dialog or went elsewhere."""
    wrong: list[str] = []

    def watch(page: Page) -> None:
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))

    def request(asked: Any) -> None:
        parts = urlsplit(asked.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            wrong.append(asked.url)

    context = chromium.new_context(**{"viewport": WIDE, **options})
    context.set_default_timeout(15_000)
    context.on("page", watch)
    context.on("request", request)
    yield context
    context.close()
    assert wrong == []


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with visit(chromium) as context:
        yield context.new_page()


def names(page: Page) -> list[str]:
    """Return the names in a list, once all of it has come: rows are sent as they are read."""
    page.wait_for_load_state()
    return page.locator("table.documents td.name a").all_inner_texts()


@pytest.fixture(scope="session")
def addresses(store: Any) -> dict[str, str]:
    """The pages that are looked at in every width and colour."""
    find = store.documents.find

    def one(filter: dict[str, Any]) -> str:
        return f"/documents/{find(filter, limit=1).items[0].id}"

    versions = store.documents.versions("lease-7")
    waiting = store.extractions.find(
        {**WAITING, "filename": {"$glob": "*.pdf"}}, sort="-number", limit=1
    ).items[0]
    return {
        "list": "/documents",
        "search": "/documents?search=revenue+board&filter=vendor%3DBorealis&sort=-score",
        "wrong": "/documents?filter=vendor%3DAcme+%7B%22metadata.year%22%3A+%7B%22%24gte2%22%3A+2025%7D%7D",
        "empty": "/documents?search=nothing-like-this",
        "columns": "/documents?columns=filename,metadata.vendor,metadata.total,status&sort=-metadata.total",
        "document": f"{one({'file_type': 'pdf', 'status': 'completed'})}?search=revenue",
        "table": one({"file_type": "excel"}),
        "picture": one({"file_type": "image"}),
        "failed": one({"status": "failed"}),
        "versions": f"/documents/{versions[-1].id}?with={versions[0].id}",
        "queue": "/review",
        "review": f"/review/{waiting.id}",
        "store": "/store?check=size",
        "explain": "/documents:explain?filter=vendor~A*+status%3Dfailed&search=board",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_every_page_can_be_read_by_all(
    chromium: Browser, address: str, addresses: dict[str, str], scheme: Any, width: int
) -> None:
    """axe finds nothing serious, nothing is wider than the window, headings and landmarks are there."""
    found = []
    with visit(chromium, viewport=NARROW if width == 400 else WIDE, color_scheme=scheme) as context:
        page = context.new_page()
        for name, path in addresses.items():
            page.goto(address + path)
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            wider = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wider <= 0, name
            if name in ("document", "review"):
                time.sleep(1.0)  # the browser's own view of a PDF has no event to wait for
            for details in page.locator("details").all():
                details.evaluate("it => it.open = true")
            for one in Axe().run(page).response["violations"]:
                if one["impact"] in ("serious", "critical", "moderate"):
                    nodes = [node["html"][:200] for node in one["nodes"][:3]]
                    found.append((name, one["id"], one["help"], nodes))
            for details in page.locator("details").all():
                details.evaluate("it => it.open = false")
            picture(page, f"{name}-{width}-{scheme}")
    assert found == []


def picture(page: Page, name: str) -> None:
    """Keep what the window shows, in few colours, where pictures are asked for."""
    if PICTURES and name in PICTURED:
        made = Image.open(BytesIO(page.screenshot()))
        made.convert("RGB").quantize(128).save(Path(PICTURES, f"serve-{name}.png"), optimize=True)


def test_filters_in_three_syntaxes_by_keyboard(page: Page, address: str, store: Any) -> None:
    """Search, terms and JSON are typed and asked by Enter; what is wrong is an alert, and the text stays."""
    page.goto(f"{address}/documents")
    for text, filter in [
        ("status=failed", {"status": "failed"}),
        ("size>1kB vendor=Dorsch", {"size": {"$gt": 1000}, "metadata.vendor": "Dorsch"}),
        ('{"metadata.tags": {"$all": ["q3", "legal"]}}', {"metadata.tags": {"$all": ["q3", "legal"]}}),
    ]:
        page.get_by_label("Filter").fill(text)
        page.keyboard.press("Enter")
        expect(page.get_by_label("Filter")).to_have_value(text)
        expect(page.locator(".total strong")).to_have_text(str(store.documents.count(filter)))
        assert names(page) == [one.filename for one in store.documents.find(filter)]
    page.get_by_label("Filter").fill('{"status": "faild"}')
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("failed")
    expect(page.get_by_role("alert").locator("mark")).to_have_text('"status": "faild"')
    page.get_by_label("Filter").fill("")
    page.get_by_role("searchbox", name="Search").fill("budget lease")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{address}/documents?search=budget+lease&sort=-score")
    expect(page.locator(".snippet mark").first).to_be_visible()
    assert names(page) == [one.filename for one in store.documents.find(search="budget lease", sort="-score")]


def test_narrowing_sorting_and_columns(page: Page, address: str, store: Any) -> None:
    """A value at the side narrows the list, and widens it again; heads sort; columns are chosen."""
    page.goto(f"{address}/documents")
    page.get_by_role("complementary").get_by_role("link", name="Cobalt & Sons").click()
    expect(page.get_by_label("Filter")).to_have_value('vendor="Cobalt & Sons"')
    expect(page.locator(".total strong")).to_have_text(
        str(store.documents.count({"metadata.vendor": "Cobalt & Sons"}))
    )
    page.get_by_role("link", name="Size").click()
    expect(page.get_by_role("columnheader", name="Size")).to_have_attribute("aria-sort", "descending")
    found = store.documents.find({"metadata.vendor": "Cobalt & Sons"}, sort="-size")
    assert names(page) == [one.filename for one in found]
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("total").check()
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("columnheader", name="Total")).to_be_visible()
    page.get_by_role("complementary").get_by_role("link", name="Cobalt & Sons").click()
    expect(page.get_by_label("Filter")).to_have_value("")


def test_pages_and_a_shared_address(page: Page, chromium: Browser, address: str, store: Any) -> None:
    """Next and Previous lead through a list; its address shows the same in another's browser."""
    page.goto(f"{address}/documents?filter=vendor%3DDorsch&limit=7")
    first = names(page)
    page.get_by_role("link", name="Next").click()
    second = names(page)
    expected = [one.filename for one in store.documents.find({"metadata.vendor": "Dorsch"}, limit=14)]
    assert first + second == expected
    with visit(chromium) as other:
        shared = other.new_page()
        shared.goto(page.url)
        assert names(shared) == second
    page.get_by_role("link", name="Previous").click()
    assert names(page) == first


def test_a_document_is_shown(page: Page, address: str, addresses: dict[str, str], store: Any) -> None:
    """PDF, picture and table are shown, the search is marked, a value leads on, the file is saved."""
    with page.expect_response("**/preview") as sent:
        page.goto(address + addresses["document"])
    assert sent.value.headers["content-type"] == "application/pdf"
    expect(page.locator("pre.text mark").first).to_have_text("Revenue")
    with page.expect_download() as saving:
        page.get_by_role("link", name="Download").click()
    document = store.documents.get(urlsplit(addresses["document"]).path.rpartition("/")[2])
    assert saving.value.suggested_filename == document.filename
    assert saving.value.path().read_bytes() == store.documents.read_bytes(document.id)
    assert any(frame.url.endswith("/preview") for frame in page.frames)
    page.goto(address + addresses["picture"])
    page.wait_for_function("document.querySelector('img.file').naturalWidth === 320")
    page.goto(address + addresses["table"])
    expect(page.get_by_role("cell", name="Part 11")).to_be_visible()
    value = page.get_by_role(
        "link", name=str(store.documents.get(page.url.rpartition("/")[2]).metadata["year"])
    )
    year = value.inner_text()
    value.click()
    expect(page.get_by_label("Filter")).to_have_value(f"year={year}")


def test_ten_reviews_by_keyboard(page: Page, address: str, store: Any) -> None:
    """From the queue on no pointer is needed; the next one opens, its first doubt focused."""
    waiting = [one.id for one in store.extractions.find(WAITING, sort="number", limit=12)]
    page.goto(f"{address}/review")
    begin = page.get_by_role("link", name="Begin")
    for _ in range(20):
        page.keyboard.press("Tab")
        if begin.evaluate("it => it === document.activeElement"):
            break
    page.keyboard.press("Enter")
    for place, id in enumerate(waiting[:10]):
        page.wait_for_url(f"{address}/review/{id}")
        expect(page.get_by_label("total")).to_be_focused()
        if place % 3 == 1:
            page.keyboard.press("Control+A")
            page.keyboard.type("12.5")
            page.keyboard.press("Enter")
        else:
            keys = page.get_by_role("button", name="Accept").get_attribute("aria-keyshortcuts")
            assert keys is not None
            page.keyboard.press(keys)
    page.wait_for_url(f"{address}/review/{waiting[10]}")
    page.keyboard.press("Alt+n")
    page.wait_for_url(f"{address}/review/{waiting[11]}")
    for place, id in enumerate(waiting[:10]):
        reviewed = store.extractions.get(id)
        expected = {**reviewed.results, **({"total": 12.5} if place % 3 == 1 else {})}
        assert reviewed.is_reviewed
        assert reviewed.reviewed_results == expected
    assert not store.extractions.get(waiting[10]).is_reviewed


def test_the_stores_page_leads_to_its_lists(page: Page, address: str, store: Any) -> None:
    """A number of the store's page leads to the list of just so many; the plot says what it shows."""
    page.goto(f"{address}/store")
    expect(page.get_by_role("img", name="Documents by when they were added")).to_be_visible()
    page.get_by_role("link", name="failed").first.click()
    expect(page.locator(".total strong")).to_have_text(
        str(store.documents.count({"status": "failed"}, latest_only=False))
    )
    page.goto(f"{address}/store")
    page.get_by_role("button", name="Compare documents").click()
    expect(page.get_by_text("0 findings")).to_be_visible()


def test_hostile_documents_do_nothing(page: Page, chromium: Browser, tmp_path: Path) -> None:
    """Names, metadata and files run nothing and load nothing: on their pages, and opened by themselves."""
    with docstore.open("memory://", blobs=str(tmp_path)) as store, served(store, write=True) as address:
        ids = fill_with_hostile(store)
        for id in ids:
            store.extractions.add(id, {"<b>": "<script>document.title='run'</script>"}, needs_review=True)
        paths = ["/documents", "/store", "/review", *(f"/documents/{id}" for id in ids)]
        paths += [f"/review/{one.id}" for one in store.extractions.find()]
        for path in paths:
            page.goto(address + path)
            assert page.title().endswith("· docstore"), path
            assert page.locator("main script, main [onerror], main [onload]").count() == 0
        for id in ids:
            for rest in ("bytes", "preview"):
                with page.expect_download() as saving:
                    page.evaluate(f"location.href = '/documents/{id}/{rest}'")
                assert saving.value.path().read_bytes() == store.documents.read_bytes(id)


def test_it_works_without_script(chromium: Browser, tmp_path: Path) -> None:
    """Search, facets, pages and reviews need no script."""
    with docstore.open("memory://", blobs=str(tmp_path)) as store, served(store, write=True) as address:
        fill(store, documents=60)
        with visit(chromium, java_script_enabled=False) as context:
            page = context.new_page()
            page.goto(f"{address}/documents")
            page.get_by_role("searchbox", name="Search").fill("budget")
            page.get_by_role("button", name="Find").click()
            found = store.documents.find(search="budget", sort="-score")
            assert names(page) == [one.filename for one in found]
            page.goto(f"{address}/review")
            page.get_by_role("link", name="Begin").click()
            before = store.extractions.count(WAITING)
            page.get_by_role("button", name="Accept").click()
            page.wait_for_url(re.compile("/review/"))
            assert store.extractions.count(WAITING) == before - 1


def test_upload_and_signing_in(chromium: Browser, tmp_path: Path) -> None:
    """A key typed into the form opens its own documents; a file is uploaded, and shown."""
    keys = read_keys(["ada=s1,tenant=acme", "bob=s2,tenant=bolt"])
    with (
        docstore.open("memory://", blobs=str(tmp_path)) as store,
        served(store, write=True, keys=keys) as address,
        visit(chromium) as context,
    ):
        store.scoped(tenant="bolt").documents.add(filename="bolt.txt")
        page = context.new_page()
        page.goto(f"{address}/login")
        page.get_by_label("Key").fill("s1")
        page.keyboard.press("Enter")
        expect(page.get_by_text("There is no document yet")).to_be_visible()
        page.goto(f"{address}/documents")
        page.get_by_text("Upload", exact=True).first.click()
        page.get_by_label("File, at most").set_input_files(
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"words of ada"}
        )
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("notes.txt")
        expect(page.get_by_label("The file as text")).to_have_text("words of ada")
        assert store.scoped(tenant="acme").documents.count() == 1
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Key")).to_be_visible()


def test_the_keyboard_finds_its_way(page: Page, address: str) -> None:
    """The first stop leads past the bar; what has the focus is framed."""
    page.goto(f"{address}/documents")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    page.get_by_role("link", name="Created").focus()
    page.keyboard.press("Tab")
    width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert width == "2px"

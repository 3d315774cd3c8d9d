"""Lists: what an address asks, in three syntaxes; pages, facets, columns, exports."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

import docstore
from docstore.http.page.question import Question, spelled_out, term_for
from tests.serve.conftest import HTML, Site


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page over twelve documents, that no test changes."""
    with docstore.open("sqlite://", blobs=str(tmp_path_factory.mktemp("files"))) as store:
        for n in range(12):
            document = store.documents.add(
                b"x" * n * 200_000,
                filename=f"d{n:02}.txt",
                external_id="e" if n < 2 else None,
                metadata={"n": n, "vendor": "Acme GmbH" if n % 2 else "Bolt", "paid": n % 3 == 0},
            )
            if n % 4 == 0:
                store.documents.complete(document.id, content=f"revenue {'rose ' * n}")
        yield Site(store)


def names(text: str) -> list[str]:
    """Return the names of a list, in its order."""
    return [html.unescape(name) for name in re.findall(r"<bdi>(d\d\d\.txt)</bdi></a>", text)]


SAME = [
    ("status=completed", {"status": "completed"}),
    ("size>1MB", {"size": {"$gt": 1_000_000}}),
    ("vendor=Bolt n>=6", {"metadata.vendor": "Bolt", "metadata.n": {"$gte": 6}}),
    ('vendor="Acme GmbH"', {"metadata.vendor": "Acme GmbH"}),
    ("filename~d0*", {"filename": {"$glob": "d0*"}}),
    ("vendor!=Bolt paid?", {"metadata.vendor": {"$ne": "Bolt"}, "metadata.paid": {"$exists": True}}),
    ('n:={"$in": [1, 2]} paid=false', {"metadata.n": {"$in": [1, 2]}, "metadata.paid": False}),
    ('{"metadata.n": {"$lt": 5}} status=pending', {"metadata.n": {"$lt": 5}, "status": "pending"}),
    (
        '{"$or": [{"metadata.n": 3}, {"status": "completed"}]}',
        {"$or": [{"metadata.n": 3}, {"status": "completed"}]},
    ),
]


@pytest.mark.parametrize(("text", "meant"), SAME)
def test_filters_in_three_syntaxes(filled: Site, text: str, meant: dict[str, Any]) -> None:
    """Terms, sizes and JSON ask the same, of the page and of its JSON, as the filter that they mean."""
    expected = [one.filename for one in filled.store.documents.find(meant)]
    assert expected
    assert names(filled.page("/documents", params={"filter": text})) == expected
    items = filled.json("/documents", params={"filter": text})["items"]
    assert [one["filename"] for one in items] == expected
    assert filled.json("/documents:count", params={"filter": text}) == {"count": len(expected)}


WRONG = [
    ("vendor=Bolt statu", "<mark>statu</mark>", "expected"),
    ('{"metadata.n": {"$gte2": 1}}', "<mark>&#34;$gte2&#34;: 1</mark>", "$gte"),
    ('n>1 {"metadata.n": 1, "status": "done"}', "<mark>&#34;status&#34;: &#34;done&#34;</mark>", "completed"),
    ('{"$or": [{"status": "failed"}, {"nothing": 1}]}', "<mark>&#34;nothing&#34;: 1</mark>", "nothing"),
    ('{"a": }', "<mark>}</mark>", "JSON"),
    ("size=big", "<mark>size=big</mark>", "size"),
    ("-", "<mark>-</mark>", "expected"),
    ("[" * 5000, "", "nested"),
]


@pytest.mark.parametrize(("text", "mark", "said"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_filter_says_where(filled: Site, text: str, mark: str, said: str) -> None:
    """The part that is wrong is marked where it stands, the message is an alert, the text is kept; programs
    get 422 with the path.
    """
    page = filled.page("/documents", params={"filter": text})
    alert = page.partition('role="alert"')[2].partition("</div>")[0]
    assert mark in alert
    assert said in alert
    assert 'aria-invalid="true"' in page
    problem = filled.json("/documents", 422, params={"filter": text})
    assert "path" in problem
    assert said in problem["detail"]


def test_pages_by_cursor_both_ways(filled: Site) -> None:
    """Next and Previous lead through all documents and back; a shared address shows the same."""
    address, seen, pages = "/documents?limit=5&filter=n%3E0", [], []
    while address:
        text = filled.page(address)
        pages.append((address, names(text)))
        seen += names(text)
        link = re.search(r'rel="next" href="([^"]+)"', text)
        address = html.unescape(link[1]) if link else ""
    assert seen == [f"d{n:02}.txt" for n in range(11, 0, -1)]
    back = html.unescape(re.search(r'rel="prev" href="([^"]+)"', text)[1])  # type: ignore[index]
    assert names(filled.page(back)) == pages[-2][1]
    assert all(names(filled.page(address)) == shown for address, shown in pages)


def test_a_form_leads_to_the_address_that_says_it(filled: Site) -> None:
    """What a form leaves empty is not in the address; an order by score needs a search."""
    answer = filled.client.get("/documents?search=&filter=paid%3Dtrue&sort=-score&limit=", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/documents?filter=paid%3Dtrue")
    text = filled.page("/documents?search=rose&sort=-score")
    found = filled.store.documents.find(search="rose", sort="-score")
    assert names(text) == [one.filename for one in found]
    assert "<mark>rose</mark>" in text


def test_order_and_columns(filled: Site) -> None:
    """A head sorts by its column, the other way round the second time; columns are chosen by the address."""
    text = filled.page("/documents?columns=filename,metadata.n,size&sort=metadata.n")
    heads = re.findall(r'<th scope="col" aria-sort="(\w+)"[^>]*><a href="([^"]+)">([^<]+)</a>', text)
    assert [(sorted_by, name) for sorted_by, _, name in heads] == [
        ("none", "Name"), ("ascending", "N"), ("none", "Size")
    ]  # fmt: skip
    assert names(text) == [f"d{n:02}.txt" for n in range(1, 12)]
    again = filled.page(html.unescape(heads[1][1]))
    assert names(again) == names(text)[::-1]
    assert 'aria-sort="descending"' in again
    assert re.findall(r'data-name="N"[^>]*>\s*<bdi>(\d+)', again) == [str(n) for n in range(11, 0, -1)]
    for wrong in ("columns=nothing", "sort=nothing", "cursor=x"):
        assert 'role="alert"' in filled.page(f"/documents?{wrong}")
    filled.page("/documents?limit=x", 422)


def test_facets_add_and_take_away(filled: Site) -> None:
    """Each value stands with its count, and leads to the list narrowed to it; once more leads back."""
    aside = filled.page("/documents").partition("<aside")[2]
    assert "<strong>11</strong>" in aside
    heads = re.findall(r"<h2>([^<]+)</h2>", aside)
    assert heads == ["status", "n", "paid", "vendor"]
    links = re.findall(r'<li><a href="([^"]+)"[^>]*><bdi>([^<]*)</bdi></a> <span class="count">(\d+)', aside)
    for link, value, count in links:
        narrowed = filled.page(html.unescape(link))
        assert len(names(narrowed)) == int(count), value
        on = re.findall(r'<a href="([^"]+)" aria-current="true"><bdi>([^<]*)', narrowed)
        assert on == [("/documents", value)]


def test_terms_mean_what_they_were_made_of() -> None:
    """The term for a value asks for just that value, whatever it is."""
    for path in ("status", "metadata.a", "metadata.status", r"metadata.a\.b", "metadata.a=b", "metadata.é ü"):
        for value in ("x", "a b", "5", "", '"', "null", 5, 2.5, True, None, "{", "a\nb", "*"):
            question = Question.read([("filter", term_for(path, value))])
            assert question.error is None
            assert question.condition == {path: value}


def test_what_the_router_is_asked() -> None:
    """Only the filter is spelled anew: JSON stays as it is, empty values go."""
    assert spelled_out("search=&filter=&limit=5") == "limit=5"
    assert spelled_out("filter=%7B%22a%22%3A1%7D&sort=a&sort=-b") == "filter=%7B%22a%22%3A1%7D&sort=a&sort=-b"
    assert (
        spelled_out("filter=status%3Dfailed")
        == f"filter={quote(json.dumps({'status': 'failed'})).replace('%20', '+')}"
    )


def test_exports_hold_what_is_listed(filled: Site) -> None:
    """CSV, JSON Lines and Arrow have every document that matches, in the order and columns of the list."""
    import pyarrow

    question = "filter=vendor%3DBolt&sort=metadata.n&limit=2&columns=filename,metadata.n,created_at"
    expected = [
        one.filename for one in filled.store.documents.find({"metadata.vendor": "Bolt"}, sort="metadata.n")
    ]
    page = filled.page(f"/documents?{question}")
    links = dict(re.findall(r'<a href="(/documents:export[^"]+)">([^<]+)</a>', page))
    made = {name: filled.client.get(html.unescape(link), headers=HTML) for link, name in links.items()}
    assert list(made) == ["CSV", "JSON Lines", "Arrow"]
    assert all("attachment" in answer.headers["content-disposition"] for answer in made.values())
    rows = list(csv.DictReader(io.StringIO(made["CSV"].text)))
    assert [row["filename"] for row in rows] == expected
    assert list(rows[0]) == ["id", "filename", "metadata.n", "created_at"]
    lines = [json.loads(line) for line in made["JSON Lines"].text.splitlines()]
    assert [line["filename"] for line in lines] == expected
    assert lines[0]["metadata"]["vendor"] == "Bolt"
    table = pyarrow.ipc.open_stream(made["Arrow"].content).read_all()
    assert table["filename"].to_pylist() == expected
    assert filled.client.get("/documents:export?format=x").status_code == 422
    assert filled.client.get("/documents:export?filter=x").status_code == 422


def test_copies_ask_the_same(filled: Site) -> None:
    """The program, the request and the command line on the page find what the list shows."""
    page = filled.page("/documents", params={"filter": "n>3 vendor=Bolt", "sort": "-size", "limit": "7"})
    python, curl, command = [
        html.unescape(text) for text in re.findall(r"<pre tabindex[^>]*>(.*?)</pre>", page, re.DOTALL)
    ]
    call = python.partition("find(")[2].rpartition("\n    )")[0]
    found = eval(f"find({call})", {"find": filled.store.documents.find})
    assert [one.filename for one in found] == names(page)
    path = curl.partition("'http://127.0.0.1:8000")[2].rstrip("'")
    assert [one["filename"] for one in filled.json(path)["items"]] == names(page)
    assert command.startswith("docstore find 'n>3' vendor=Bolt --sort -size --limit 7")


def test_a_plan_is_drawn(filled: Site) -> None:
    """The picture of a list's plan names every predicate, and who runs it."""
    text = filled.page("/documents:explain?filter=vendor%3DBolt&search=rose")
    assert "metadata.vendor = &#34;Bolt&#34;" in text
    assert "In the database, sqlite" in text


def test_what_takes_long_says_so(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is not found within a moment offers to wait; what is not counted by then is left out."""
    monkeypatch.setattr("docstore.http.page.listing._MOMENT_SECONDS", 1e-9)
    text = filled.page("/documents?search=rose")
    link = html.unescape(re.search(r'<a href="([^"]+)">Wait for it</a>', text)[1])  # type: ignore[index]
    assert 'role="alert"' in text
    assert "aria-invalid" not in text
    assert names(filled.page(link)) == [one.filename for one in filled.store.documents.find(search="rose")]
    monkeypatch.setattr("docstore.http.page.listing._BUDGET_SECONDS", 1e-9)
    aside = filled.page(link).partition("<aside")[2]
    assert "more than there was time to count" in aside
    assert "not counted in time" in aside

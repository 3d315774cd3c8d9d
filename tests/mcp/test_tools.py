"""The tools, called by the SDK's own client in this process, on every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from mcp import Client

import docstore
import docstore.mcp

READING = ["search", "find", "count_by", "fields", "get", "explain"]


class Agent:
    """A client of the tools over a store."""

    def __init__(self, store: Any, *, write: bool = False) -> None:
        self.server = docstore.mcp.server(store, write=write)

    def with_client(self, ask: Callable[[Client], Any]) -> Any:
        async def main() -> Any:
            async with Client(self.server) as client:
                return await ask(client)

        return anyio.run(main)

    def tools(self) -> dict[str, Any]:
        return {tool.name: tool for tool in self.with_client(lambda client: client.list_tools()).tools}

    def call(self, name: str, **arguments: Any) -> Any:
        """Return a tool's answer; it must be no error."""
        answer = self.with_client(lambda client: client.call_tool(name, arguments))
        assert not answer.is_error, answer.content[0].text
        return answer.structured_content

    def fail(self, name: str, **arguments: Any) -> tuple[str, Any]:
        """Return the text and the data of a tool's error."""
        answer = self.with_client(lambda client: client.call_tool(name, arguments))
        assert answer.is_error
        return answer.content[0].text, answer.structured_content


@pytest.fixture
def store(url: str) -> Iterator[Any]:
    with docstore.open(url) as store:
        store.documents.add(
            filename="rent.txt", content="the rent is due in March", tenant="acme",
            metadata={"vendor": "Acme", "year": 2024},
        )  # fmt: skip
        store.documents.add(filename="plan.txt", content="a plan", tenant="bolt", metadata={"year": 2026})
        yield store


@pytest.fixture
def small() -> Iterator[Any]:
    """A store in memory, for what no backend has a part in."""
    with docstore.open("memory://") as store:
        yield store


def test_every_tool_answers(store: Any) -> None:
    """Each tool is one call of the store, whose answer it gives."""
    agent = Agent(store)
    assert list(agent.tools()) == READING
    (found,) = agent.call("search", query="rent")["documents"]
    assert (found["filename"], found["snippet"]) == ("rent.txt", "the rent is due in March")
    listed = agent.call("find", filter={"metadata.year": {"$gte": 2024}}, sort="metadata.year")
    assert [one["metadata"]["year"] for one in listed["documents"]] == [2024, 2026]
    assert (listed["total"], listed["total_is_exact"], listed["next_cursor"]) == (2, True, None)
    assert agent.call("count_by", field="metadata.year")["values"] == [
        {"value": 2024, "count": 1}, {"value": 2026, "count": 1},
    ]  # fmt: skip
    assert {one["path"] for one in agent.call("fields")["fields"]} == {"metadata.vendor", "metadata.year"}
    assert agent.call("get", id=found["id"])["text"] == "the rent is due in March"
    explained = agent.call("explain", filter={"metadata.year": {"$gt": 1}})
    assert explained["terms"][0]["term"] == "metadata.year > 1"


def test_the_list_of_tools_teaches_the_filter(store: Any) -> None:
    """Tools are marked as reading, and state the filter's schema and the store's own fields."""
    tools = Agent(store).tools()
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    filter = tools["find"].input_schema["properties"]["filter"]
    assert "$gte" in str(filter["patternProperties"])
    for name in ("search", "find", "count_by", "explain"):
        assert "metadata.vendor (string, such as 'Acme')" in tools[name].model_dump_json()
    assert sum(len(tool.model_dump_json()) for tool in tools.values()) < 20_000


def test_a_view_confines_every_tool(store: Any) -> None:
    """Another tenant's documents are neither found, counted, told nor read."""
    agent = Agent(store.scoped(tenant="bolt"))
    other = store.documents.find_one({"tenant": "acme"}).id
    assert agent.fail("get", id=other)[1]["code"] == "not_found"
    assert agent.call("search", query="rent")["documents"] == []
    assert agent.call("find")["total"] == 1
    assert [one["path"] for one in agent.call("fields")["fields"]] == ["metadata.year"]
    assert "Acme" not in str(agent.tools())


@pytest.mark.parametrize(
    ("tool", "arguments", "said", "suggestion"),
    [
        (
            "find",
            {"filter": {"$and": [{"metadata.n": {"$gte2": 1}}]}},
            "$and/0/metadata.n/$gte2; did",
            "$gte",
        ),
        ("find", {"filter": {"vendor": "Acme"}}, "did you mean 'metadata.vendor'?", "metadata.vendor"),
        ("count_by", {"field": "vendor"}, "did you mean 'metadata.vendor'?", "metadata.vendor"),
        ("find", {"sort": "-vendor"}, "did you mean 'metadata.vendor'?", "metadata.vendor"),
        ("find", {"filter": {"file_type": "csv"}}, "csv files are file_type 'excel'", None),
        ("find", {"filter": "{"}, "no JSON", None),
        ("find", {"fliter": {}}, "The arguments are filter, query", "filter"),
        ("find", {"limit": 1000}, "limit: Input should be less than or equal to 50", None),
        ("find", {"cursor": "x"}, "next_cursor", None),
        ("search", {}, "query: Field required", None),
        ("serach", {}, "The tools are search, find", "search"),
        ("add", {"filename": "x"}, "to read only", None),
    ],
)
def test_an_error_says_how_to_mend_it(
    small: Any, tool: str, arguments: Any, said: str, suggestion: str | None
) -> None:
    """A wrong question is an answer with ``is_error``: where it is wrong and what was meant."""
    text, error = Agent(small).fail(tool, **arguments)
    assert said in text
    assert error["message"] == text
    assert error.get("suggestion") == suggestion


def test_a_filter_error_has_its_path(small: Any) -> None:
    """``path`` says where in the filter; the mended filter is answered."""
    agent = Agent(small)
    _, error = agent.fail("find", filter={"$or": [{"size": {"$gte2": 1}}]})
    assert error["path"] == "$or/0/size/$gte2"
    assert agent.call("find", filter={"$or": [{"size": {error["suggestion"]: 1}}]})["documents"] == []


def test_answers_are_small_and_go_on(small: Any) -> None:
    """Pages have 10 documents by default, long metadata are cut or named; texts come in pieces."""
    long = {"note": "n" * 5_000, "rows": list(range(500)), "year": 1}
    ids = [
        small.documents.add(filename=f"{n}.txt", content="0123456789" * 1_000, metadata=long).id
        for n in range(12)
    ]
    agent = Agent(small)
    first = agent.call("find", sort="number")
    assert [len(first["documents"]), first["total"]] == [10, 12]
    (one, *_) = first["documents"]
    assert one["metadata"] == {"note": "n" * 200 + "…", "year": 1}
    assert one["metadata_left_out"] == ["rows"]
    rest = agent.call("find", sort="number", cursor=first["next_cursor"])
    assert [row["id"] for row in first["documents"] + rest["documents"]] == ids
    piece = agent.call("get", id=ids[0])
    assert (len(piece["text"]), piece["next_offset"], piece["characters"]) == (4_000, 4_000, 10_000)
    last = agent.call("get", id=ids[0], offset=8_000)
    assert (len(last["text"]), last["next_offset"]) == (2_000, None)
    assert agent.call("get", id=ids[0], field="metadata.rows", length=9)["text"] == "[0, 1, 2,"
    assert agent.call("get", id=ids[0], field="metadata.rows.7")["text"] == "7"


def test_writing_is_offered_only_if_asked(small: Any) -> None:
    """With ``write=True`` there are add and update, marked as such; a revision that has gone is told."""
    agent = Agent(small, write=True)
    tools = agent.tools()
    assert [name for name, tool in tools.items() if not tool.annotations.read_only_hint] == ["add", "update"]
    added = agent.call("add", filename="a.md", content="hello", metadata={"n": 1, "gone": 1})
    changed = agent.call("update", id=added["id"], metadata={"gone": None, "m": 2}, if_revision=1)
    assert (changed["metadata"], changed["revision"]) == ({"n": 1, "m": 2}, 2)
    assert agent.fail("update", id=added["id"], metadata={}, if_revision=1)[1]["current"] == 2


def test_what_the_database_says_stays_here(small: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A store that fails is told as that, and logged; the agent learns nothing of it."""
    agent = Agent(small)
    small.close()
    text, error = agent.fail("find")
    assert (text, error["code"]) == ("The store is not available; try again later.", "store_closed")
    assert "closed" in caplog.text


def test_an_asynchronous_store_answers_too() -> None:
    """The tools await an AsyncStore."""

    async def main() -> Any:
        async with docstore.open_async("memory://") as store:
            await store.documents.add(filename="a.txt", content="hello")
            async with Client(docstore.mcp.server(store)) as client:
                return await client.call_tool("search", {"query": "hello"})

    answer = anyio.run(main)
    assert answer.structured_content["total"] == 1

"""The vendor's own Python SDK pages through the Tensorlake application: `nox -s sdk`.

Not among the tests that are found by themselves: the SDK and what it needs are large.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from tensorlake.documentai import DocumentAI
from tensorlake.documentai.models import DocumentAIError, PaginationDirection

import docstore


@pytest.fixture
def served(store: docstore.Store) -> Iterator[str]:
    """The application on the test's store, on a free port of 127.0.0.1."""
    from examples.tensorlake import create_app

    app = create_app(store, {"k1": {"tenant": "acme", "owner": "1"}})
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_the_sdk_pages_forwards_and_back(served: str, store: docstore.Store) -> None:
    """Every file once on the way down, by next_cursor, and the same pages on the way up, by prev_cursor."""
    view = store.scoped(tenant="acme", owner="1")
    for number in range(10):
        view.documents.add(filename=f"{number}.pdf", size=number, created_at="2024-01-01T00:00:00Z")
    with DocumentAI(api_key="k1", server_url=served) as client:
        pages = [client.files(limit=3)]
        while pages[-1].has_more:
            pages.append(
                client.files(limit=3, cursor=pages[-1].next_cursor, direction=PaginationDirection.next)
            )
        back = [pages[-1]]
        while back[-1].prev_cursor:
            back.append(
                client.files(limit=3, cursor=back[-1].prev_cursor, direction=PaginationDirection.prev)
            )
    assert [f"{number}.pdf" for number in range(9, -1, -1)] == [
        file.name for page in pages for file in page.items
    ]
    assert [page.items for page in reversed(pages)] == [page.items for page in back]
    assert [9, 8, 7] == [file.file_size for file in pages[0].items]


def test_the_sdk_uploads_finds_and_deletes(served: str, store: docstore.Store, tmp_path: Path) -> None:
    """An upload has the same id twice, is found by a part of its name, and is gone when deleted."""
    path = tmp_path / "Отчёт 1.pdf"
    path.write_bytes(b"%PDF")
    with DocumentAI(api_key="k1", server_url=served) as client:
        id = client.upload(path)
        assert id == client.upload(path)
        (file,) = client.files(filename="чёт").items
        assert (id, "Отчёт 1.pdf", 4, "application/pdf") == (
            file.id,
            file.name,
            file.file_size,
            file.mime_type,
        )
        assert client.files(filename="Report").items == []
        client.delete_file(id)
        assert client.files().items == []
    assert store.documents.count() == 0


def test_the_sdk_is_told_of_errors(served: str) -> None:
    """A key that is unknown and a cursor that is none are the SDK's own errors."""
    with DocumentAI(api_key="nobody", server_url=served) as client, pytest.raises(DocumentAIError):
        client.files()
    with DocumentAI(api_key="k1", server_url=served) as client, pytest.raises(DocumentAIError):
        client.files(cursor="garbage")

"""Keys over HTTP: how they are written, whom they let in, and what they open."""

from __future__ import annotations

import pytest

import docstore
from docstore.access_keys import AccessKey, is_loopback, key_of, read_keys


def test_keys_are_read_from_options_and_environment() -> None:
    """``NAME=SECRET``, with tenant and owner; the environment separates by white space or semicolons."""
    assert read_keys(["ada=a=b,tenant=acme,owner=ada"], "bob=xyz; eve=uvw,owner=eve\n") == (
        AccessKey("ada", "a=b", "acme", "ada"), AccessKey("bob", "xyz"), AccessKey("eve", "uvw", owner="eve"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["secret1"], "no name or no secret"),
        (["=secret1"], "no name or no secret"),
        (["ada=secret1,team=x"], "'team'"),
        (["ada=secret1,tenant="], "tenant"),
        (["ada=secret1,tenant=a,tenant=b"], "'tenant'"),
        (["ada=secret1", "ada=secret2"], "the same name"),
        (["ada=secret1", "bob=secret1"], "the same secret"),
        (["ada=sécret1"], "ASCII"),
    ],
)
def test_a_wrong_key_is_refused_without_its_secret(given: list[str], said: str) -> None:
    """The message says what was expected, and no secret."""
    with pytest.raises(ValueError, match=said) as caught:
        read_keys(given)
    assert "cret1" not in str(caught.value)


def test_only_a_whole_bearer_secret_opens() -> None:
    """Beginnings, other schemes, names and texts that are no ASCII open nothing."""
    keys = read_keys(["ada=secret1", "bob=secret2"])
    assert key_of("Bearer secret2", keys) is key_of("bearer  secret2", keys) is keys[1]
    for sent in (
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer secret",
        "Basic secret2",
        "secret2",
        "Bearer bob",
        "Bearer é",
    ):
        assert key_of(sent, keys) is None


def test_a_key_opens_its_view_alone() -> None:
    """A key with a tenant sees that tenant; one without sees the store."""
    with docstore.open("memory://") as store:
        store.documents.add(filename="a", tenant="acme")
        store.documents.add(filename="b", tenant="bolt")
        counted = {
            text: read_keys([text])[0].view_of(store).documents.count() for text in ("x=1,tenant=acme", "x=1")
        }
    assert counted == {"x=1,tenant=acme": 1, "x=1": 2}


def test_only_addresses_of_this_machine_need_no_key() -> None:
    """127.0.0.0/8, ::1 and localhost are this machine; all addresses and other names are not."""
    assert all(map(is_loopback, ("127.0.0.1", "127.8.9.1", "::1", "localhost")))
    assert not any(
        map(is_loopback, ("0.0.0.0", "::", "", "10.0.0.1", "example.org", "127.0.0.1.example.org"))
    )

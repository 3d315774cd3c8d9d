"""Commands that belong to other parts of docstore, and say where those are missing; and `completion`."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from typing import Any

import click

from docstore.cli.options import DEFAULT_BLOBS, opened, scope_options, store_options, store_url, within

_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


class _Size(click.ParamType[int]):
    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        found = re.fullmatch(r"\s*([0-9]{1,15})\s*([A-Za-z]{0,3})\s*", str(value))
        if found is None or found[2].upper() not in _UNITS or not int(found[1]):
            self.fail(f"{value!r}: expected a size such as 100MB or 64KiB", param, context)
        return int(found[1]) * _UNITS[found[2].upper()]


@click.command("serve", short_help="Look at a store in a browser.")
@click.option("--write", is_flag=True, help="Let uploads, reviews and changes through.")
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Listen here."
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8000, show_default=True, help="0 is any that is free."
)
@click.option("--no-open", is_flag=True, help="Open no browser.")
@click.option(
    "--key", "keys", metavar="NAME=SECRET", multiple=True,
    help="Let in who has this key; NAME=SECRET,tenant=T,owner=O confines them. May be repeated. Environment: "
    "DOCSTORE_KEYS.",
)  # fmt: skip
@click.option(
    "--allow-host", "hosts", metavar="NAME", multiple=True, help="A further name that browsers reach it by."
)
@click.option(
    "--max-upload", type=_Size(), default="100MB", show_default=True, help="Size of a file, at most."
)
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True,
    help="Seconds that a read may take.",
)  # fmt: skip
@store_options
def serve_(
    write: bool, host: str, port: int, no_open: bool, keys: tuple[str, ...], hosts: tuple[str, ...],
    max_upload: int, timeout: float, url: str, blobs: str,
) -> None:  # fmt: skip
    """Show a store in a browser: to read, unless --write. Needs the extra serve.

    \b
    docstore serve
    docstore serve --store postgresql://localhost/docs --port 9000 --write
    docstore serve --host 0.0.0.0 --key ada=SECRET,tenant=acme

    Lists, documents, reviews and the store itself are pages, and JSON at the same addresses. On 127.0.0.1
    nobody needs a key; at any other address all do.
    """
    _needs("serve", ("fastapi", "uvicorn", "jinja2", "python_multipart"))
    from docstore.access_keys import is_loopback, read_keys
    from docstore.http.page.application import serve

    try:
        known = read_keys(keys, os.environ.get("DOCSTORE_KEYS", ""))
    except ValueError as error:
        raise click.UsageError(f"--key: {error}") from None
    if not known and not is_loopback(host):
        raise click.UsageError(
            f"other machines reach {host}: give each caller a key by --key NAME=SECRET or DOCSTORE_KEYS"
        )
    shown = "" if blobs == DEFAULT_BLOBS else blobs
    with opened(url, blobs, read_only=not write, query_timeout=timeout) as store:
        serve(
            store, host=host, port=port, keys=known, hosts=hosts, write=write, max_upload=max_upload,
            place=store_url(url), blobs=shown, said=click.echo, opens=not no_open,
        )  # fmt: skip


@click.command("mcp", short_help="Offer a store to agents.")
@click.option("--write", is_flag=True, help="Offer tools that add documents and change metadata, too.")
@click.option("--http", is_flag=True, help="Streamable HTTP at /mcp instead of standard input and output.")
@click.option("--host", metavar="ADDRESS", help="With HTTP: listen here.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="With HTTP: listen at this port.  [default: 8001]"
)
@click.option(
    "--key", "keys", metavar="NAME=SECRET", multiple=True,
    help="With HTTP: let in who sends this key; NAME=SECRET,tenant=T,owner=O confines them. May be repeated. "
    "Environment: DOCSTORE_KEYS.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True,
    help="Seconds that a call may take.",
)  # fmt: skip
@scope_options
@store_options
def mcp_(
    write: bool, http: bool, host: str | None, port: int | None, keys: tuple[str, ...], timeout: float,
    tenant: str | None, owner: str | None, url: str, blobs: str,
) -> None:  # fmt: skip
    """Offer a store to agents by the Model Context Protocol: to read, unless --write. Needs the extra mcp.

    \b
    docstore mcp
    docstore mcp --store postgresql://localhost/docs --tenant acme
    docstore mcp --http --port 8001
    docstore mcp --http --host 0.0.0.0 --key ada=SECRET,tenant=acme

    An agent's program starts it and speaks to it by standard input and output; with --http (or --host,
    --port, --key) it listens. Other addresses than this machine's own need a key.
    """
    _needs("mcp", ("mcp", "mcp_types"))
    from docstore.access_keys import read_keys
    from docstore.mcp import protocol

    listens = http or host is not None or port is not None or bool(keys)
    try:
        known = read_keys(keys, os.environ.get("DOCSTORE_KEYS", "")) if listens else ()
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with opened(url, blobs, read_only=not write, query_timeout=timeout) as opened_store:
        store = within(opened_store, tenant, owner)
        if not listens:
            protocol.serve_stdio(store, write=write)
            return
        address, port = host or "127.0.0.1", 8001 if port is None else port
        try:
            app = protocol.http_app(store, keys=known, write=write, host=address)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        try:
            protocol.serve_http(app, address, port, said=lambda text: click.echo(text, err=True))
        except OSError as error:
            reason = error.strerror or error
            raise click.ClickException(f"cannot listen at {address}:{port}: {reason}") from None


def _needs(extra: str, modules: tuple[str, ...]) -> None:
    """Refuse a command whose extra is not installed.

    Raises:
        click.UsageError: a module of the extra is missing.
    """
    lacking = [name for name in modules if find_spec(name) is None]
    if lacking:
        raise click.UsageError(
            f'{extra} needs {", ".join(lacking)}: pip install "embedded-docstore[{extra}]"'
        )


@click.command("completion", short_help="Print what completes this command in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_(shell: str) -> None:
    """Print a script that completes commands and options; your shell reads it when it starts.

    \b
    docstore completion bash >> ~/.bashrc
    docstore completion zsh > ~/.zfunc/_docstore
    docstore completion fish > ~/.config/fish/completions/docstore.fish
    """
    from click.shell_completion import get_completion_class

    from docstore.cli.app import app

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(app, {}, "docstore", "_DOCSTORE_COMPLETE").source())

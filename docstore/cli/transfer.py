"""The commands that move stores: copy and diff, export and import."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

import docstore
from docstore.cli.options import (
    blobs_option,
    json_option,
    opened,
    quiet_option,
    scope_options,
    store_options,
    within,
)
from docstore.cli.output import note, print_json, shown, size_text
from docstore.cli.progress import told
from docstore.transfer import Diff, Difference, Transferred, export_lines, import_lines

__all__ = ["TRANSFER_COMMANDS", "store_url"]

_files = click.option(
    "--files",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the bytes, beside the lines; without it they are within, as base64.",
)
_replace = click.option("--replace", is_flag=True, help="Overwrite what the target has otherwise.")
_blobs_of_source = blobs_option("Where the bytes of the first store are.")


def store_url(text: str) -> str:
    """Return the URL of a store that was named by its URL or by the path of an SQLite file."""
    return text if ":" in text else f"sqlite:///{text}"


@click.command(short_help="Copy one store into another.")
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@_blobs_of_source
@click.option("--target-blobs", metavar="URL", help="Where the bytes are to go: a place of the target's own.")
@click.option("--no-bytes", is_flag=True, help="Copy documents without their bytes; a later copy adds them.")
@_replace
@click.option("--no-verify", is_flag=True, help="Do not read everything again at the end.")
@json_option()
@quiet_option
@scope_options
def copy(
    source: str, target: str, blobs: str, target_blobs: str | None, no_bytes: bool, replace: bool,
    no_verify: bool, as_json: bool, quiet: bool, tenant: str | None, owner: str | None,
) -> int:  # fmt: skip
    """Copy SOURCE into TARGET: documents of all versions, extractions and bytes, just as they are.

    Stores are named by their URLs, or SQLite files by their paths. Stopped at any point, the same command
    goes on. At the end everything is read again and compared.

    \b
    docstore copy docstore.db postgresql://localhost/docs --target-blobs s3://bucket/docs
    docstore copy old.db new.db --blobs old-files --target-blobs new-files
    docstore copy docstore.db postgresql://localhost/docs --no-bytes

    Exit status 1 if a document could not be copied, or the comparison finds a difference.
    """
    if target_blobs is None and not no_bytes:
        raise click.UsageError("say where the bytes are to go, --target-blobs URL, or --no-bytes")
    with (
        opened(store_url(source), blobs) as one,
        opened(store_url(target), target_blobs or "", must_exist=False) as other,
        told("copying", quiet=quiet) as on_progress,
    ):
        report = docstore.copy(
            within(one, tenant, owner), other,
            bytes=not no_bytes, replace=replace, verify=not no_verify, on_progress=on_progress,
        )  # fmt: skip
    if as_json:
        print_json({**asdict(report), "ok": report.ok})
        return 0 if report.ok else 1
    _print_transferred(report.transferred)
    if report.source != report.target:
        note("source and target differ; see: docstore diff")
    elif report.source is not None:
        click.echo(f"verified: {report.source.digest}")
    return 0 if report.ok else 1


def _print_transferred(done: Transferred) -> None:
    parts = [
        f"{done.added:,} documents added",
        f"{done.existing:,} there already",
        f"{done.replaced:,} replaced",
    ]
    parts += [f"{done.extractions:,} extractions", f"{size_text(done.bytes)} written"]
    click.echo("; ".join(parts))
    for failure in done.failures:
        note(f"not copied: document {failure.id}: {failure.reason}")
    if done.skipped:
        note(f"{done.skipped:,} extractions without their document were left out")


@click.command(short_help="Compare two stores.")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@_blobs_of_source
@click.option("--other-blobs", metavar="URL", default="", help="Where the bytes of the second store are.")
@click.option(
    "--level",
    type=click.Choice(["rows", "hash"]),
    default="rows",
    show_default=True,
    help="rows: documents with the sha256 of their bytes; hash: also read all bytes of both.",
)
@click.option("--no-bytes", is_flag=True, help="It is no difference that one has bytes that the other lacks.")
@json_option()
@quiet_option
@scope_options
def diff(
    a: str, b: str, blobs: str, other_blobs: str, level: Any, no_bytes: bool, as_json: bool, quiet: bool,
    tenant: str | None, owner: str | None,
) -> int:  # fmt: skip
    """Compare the stores A and B, document by document; numbers and storage keys may differ.

    \b
    docstore diff docstore.db postgresql://localhost/docs
    docstore diff old.db new.db --level hash --blobs old-files --other-blobs new-files

    Exit status 0 if they hold the same, 1 if not.
    """
    with (
        opened(store_url(a), blobs) as one,
        opened(store_url(b), other_blobs) as other,
        told("comparing", quiet=quiet) as on_progress,
    ):
        views = within(one, tenant, owner), within(other, tenant, owner)
        found = docstore.diff(*views, level=level, bytes=not no_bytes, on_progress=on_progress)
    if as_json:
        print_json({**asdict(found), "same": found.same})
    else:
        _print_diff(found)
    return 0 if found.same else 1


def _print_diff(found: Diff) -> None:
    for difference in found.differences:
        click.echo(_difference_line(difference))
    if found.count > len(found.differences):
        note(f"and {found.count - len(found.differences):,} more")
    for name, one in (("A", found.a), ("B", found.b)):
        held = f"{one.documents:,} documents, {one.extractions:,} extractions, {size_text(one.bytes)}"
        click.echo(f"{name}: {held}, {one.digest}")
    click.echo("they hold the same" if found.same else f"{found.count:,} differences")


def _difference_line(difference: Difference) -> str:
    where = {"only_in_a": "only in A", "only_in_b": "only in B"}.get(difference.kind, difference.kind)
    tenant = "" if difference.tenant is None else f" of tenant {difference.tenant}"
    named = f"{where}: {difference.collection.rstrip('s')} {difference.id}{tenant}"
    more = difference.detail or ", ".join(difference.fields)
    return shown(f"{named}: {more}" if more else named)


@click.command("export", short_help="Write a store as JSON Lines.")
@click.argument("file", default="-")
@click.option("--no-bytes", is_flag=True, help="Leave the bytes out.")
@_files
@quiet_option
@scope_options
@store_options
def export_(
    file: str, no_bytes: bool, files: Path | None, quiet: bool, tenant: str | None, owner: str | None,
    url: str, blobs: str,
) -> None:  # fmt: skip
    """Write all documents, extractions and bytes as JSON Lines to FILE, or to standard output.

    A FILE whose name ends with .gz is compressed. FILE appears when it is complete.

    \b
    docstore export backup.jsonl.gz
    docstore export backup.jsonl --files backup-files
    docstore export --no-bytes | jq -c .document.filename
    """
    with (
        opened(url, blobs) as store,
        _writing(file) as stream,
        told("exporting", quiet=quiet) as on_progress,
    ):
        view = within(store, tenant, owner)
        written = export_lines(view, stream, bytes=not no_bytes, files=files, on_progress=on_progress)
    if not quiet:
        counts = f"{written.documents:,} documents, {written.extractions:,} extractions"
        note(f"{counts}, {size_text(written.bytes)}: {written.digest}")


@contextmanager
def _writing(file: str) -> Iterator[BinaryIO]:
    """Open where an export goes: standard output, or a file that appears when it is complete."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = f"{file}.part"
    try:
        with _opened_file(partial, "wb", file) as stream:
            yield stream
        os.replace(partial, file)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(partial)
        raise


def _opened_file(path: str, mode: str, named: str) -> BinaryIO:
    opening: Any = gzip.open if named.endswith(".gz") else open
    return cast(BinaryIO, opening(path, mode))


@click.command("import", short_help="Read JSON Lines into a store.")
@click.argument("file", default="-")
@_replace
@_files
@json_option()
@quiet_option
@scope_options
@store_options
def import_(
    file: str, replace: bool, files: Path | None, as_json: bool, quiet: bool, tenant: str | None,
    owner: str | None, url: str, blobs: str,
) -> int:  # fmt: skip
    """Read what an export wrote from FILE, or standard input, into the store; run again, it goes on.

    \b
    docstore import backup.jsonl.gz
    docstore import backup.jsonl --files backup-files --store postgresql://localhost/docs

    Exit status 1 if a document could not be read in, or the lines are damaged or incomplete.
    """
    with (
        opened(url, blobs, must_exist=False) as store,
        _reading(file) as stream,
        told("importing", quiet=quiet) as on_progress,
    ):
        view = within(store, tenant, owner)
        done = import_lines(view, stream, files=files, replace=replace, on_progress=on_progress)
    if as_json:
        print_json(asdict(done))
    else:
        _print_transferred(done)
    return 1 if done.failures else 0


@contextmanager
def _reading(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with _opened_file(file, "rb", file) as stream:
        yield stream


TRANSFER_COMMANDS = (copy, diff, export_, import_)

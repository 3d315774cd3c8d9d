"""The commands that move stores: copy and diff, export and import."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

import docstore
from docstore.cli.options import (
    DEFAULT_BLOBS,
    blobs_option,
    json_option,
    opened,
    quiet_option,
    scope_options,
    store_options,
    within,
)
from docstore.cli.output import note, print_json, shown, size_text, told
from docstore.transfer import (
    Diff,
    Difference,
    RecordsReport,
    Transferred,
    export_lines,
    import_lines,
    import_records,
    is_export,
)

_files = click.option(
    "--files",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the bytes, beside the lines; without it they are within, as base64.",
)
_replace = click.option("--replace", is_flag=True, help="Overwrite what the target has otherwise.")
_blobs_of_source = blobs_option("Where the bytes of the first store are.")


@click.command("copy", short_help="Copy one store into another.")
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
def copy_(
    source: str, target: str, blobs: str, target_blobs: str | None, no_bytes: bool, replace: bool,
    no_verify: bool, as_json: bool, quiet: bool, tenant: str | None, owner: str | None,
) -> int:  # fmt: skip
    """Copy SOURCE into TARGET: documents of all versions, extractions and bytes, just as they are.

    Stores are named by their URLs, SQLite files by their paths, backups by their folders. Stopped at any
    point, the same command goes on. At the end everything is read again and compared.

    \b
    docstore copy docstore.db postgresql://localhost/docs --target-blobs s3://bucket/docs
    docstore copy old.db new.db --blobs old-files --target-blobs new-files
    docstore copy docstore.db postgresql://localhost/docs --no-bytes

    Exit status 1 if a document could not be copied, or the comparison finds a difference.
    """
    if target_blobs is None and not no_bytes:
        raise click.UsageError("say where the bytes are to go, --target-blobs URL, or --no-bytes")
    with (
        opened(source, blobs) as one,
        opened(target, target_blobs or "", must_exist=False) as other,
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


@click.command("diff", short_help="Compare two stores.")
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
@click.option("--summary", "summarizes", is_flag=True, help="Only say how many of which kind.")
@json_option()
@quiet_option
@scope_options
def diff_(
    a: str, b: str, blobs: str, other_blobs: str, level: Any, no_bytes: bool, summarizes: bool, as_json: bool,
    quiet: bool, tenant: str | None, owner: str | None,
) -> int:  # fmt: skip
    """Compare the stores A and B, document by document; numbers and storage keys may differ.

    Each difference is a line: where the document is, or what differs, and its name.

    \b
    docstore diff docstore.db postgresql://localhost/docs
    docstore diff old.db new.db --level hash --blobs old-files --other-blobs new-files

    Exit status 0 if they hold the same, 1 if not.
    """
    with (
        opened(a, blobs) as one,
        opened(b, other_blobs or (DEFAULT_BLOBS if os.path.isdir(b) else "")) as other,
        told("comparing", quiet=quiet) as on_progress,
    ):
        views = within(one, tenant, owner), within(other, tenant, owner)
        found = docstore.diff(*views, level=level, bytes=not no_bytes, on_progress=on_progress)
    if as_json:
        print_json({**asdict(found), "same": found.same})
    else:
        _print_diff(found, summarizes)
    return 0 if found.same else 1


def _print_diff(found: Diff, summarizes: bool) -> None:
    if summarizes:
        for kind, number in Counter(_kind(one) for one in found.differences).most_common():
            click.echo(f"{kind}: {number:,}")
    for difference in () if summarizes else found.differences:
        click.echo(_difference_line(difference))
    if found.count > len(found.differences):
        note(f"and {found.count - len(found.differences):,} more")
    for name, one in (("A", found.a), ("B", found.b)):
        held = f"{one.documents:,} documents, {one.extractions:,} extractions, {size_text(one.bytes)}"
        click.echo(f"{name}: {held}, {one.digest}")
    click.echo("they hold the same" if found.same else f"{found.count:,} differences")


def _kind(difference: Difference) -> str:
    return {"only_in_a": "only in A", "only_in_b": "only in B"}.get(difference.kind, difference.kind)


def _difference_line(difference: Difference) -> str:
    tenant = "" if difference.tenant is None else f" of tenant {difference.tenant}"
    name = f" ({difference.name})" if difference.name else ""
    named = f"{_kind(difference)}: {difference.collection.rstrip('s')} {difference.id}{name}{tenant}"
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
) -> int:  # fmt: skip
    """Write all documents, extractions and bytes as JSON Lines to FILE, or to standard output.

    A FILE whose name ends with .gz is compressed. FILE appears when it is complete.

    \b
    docstore export backup.jsonl.gz
    docstore export backup.jsonl --files backup-files
    docstore export --no-bytes | jq -c .document.filename

    A document whose bytes are missing or damaged is named, and written without them; the exit status is then
    1.
    """
    if os.path.isdir(file):
        raise click.UsageError(f"{file} is a folder: name a file, such as {file.rstrip('/')}/export.jsonl")
    damaged: list[str] = []

    def on_damaged(id: str, error: Exception) -> None:
        damaged.append(id)
        note(f"without its bytes: document {id}: {error}")

    with (
        opened(url, blobs) as store,
        _writing(file) as stream,
        told("exporting", quiet=quiet) as on_progress,
    ):
        view = within(store, tenant, owner)
        written = export_lines(
            view, stream, bytes=not no_bytes, files=files, on_progress=on_progress, on_damaged=on_damaged
        )
    if not quiet:
        counts = f"{written.documents:,} documents, {written.extractions:,} extractions"
        note(f"{counts}, {size_text(written.bytes)}: {written.digest}")
    return 1 if damaged else 0


@contextmanager
def _writing(file: str) -> Iterator[BinaryIO]:
    """Open where an export goes: standard output, a pipe, or a file that appears when it is complete."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    # A device or a pipe, such as /dev/fd/63, is written to, not replaced.
    if os.path.exists(file) and not os.path.isfile(file):
        with _opened_file(file, "wb", file) as stream:
            yield stream
        return
    target = os.path.realpath(file)  # a link stays one
    partial = f"{target}.part"
    try:
        with _opened_file(partial, "wb", file) as stream:
            yield stream
        os.replace(partial, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(partial)
        raise


def _opened_file(path: str, mode: str, named: str) -> BinaryIO:
    opening: Any = gzip.open if named.endswith(".gz") else open
    return cast(BinaryIO, opening(path, mode))


@click.command("import", short_help="Read records or an export into a store.")
@click.argument("file", default="-")
@click.option(
    "--format",
    "form",
    type=click.Choice(["export", "jsonl", "csv"]),
    help="What FILE is; without, its first line and its name tell.",
)
@click.option("--key", metavar="FIELD", help="Of plain records: the field that is the external_id.")
@_replace
@_files
@json_option()
@quiet_option
@scope_options
@store_options
def import_(
    file: str, form: str | None, key: str | None, replace: bool, files: Path | None, as_json: bool,
    quiet: bool, tenant: str | None, owner: str | None, url: str, blobs: str,
) -> int:  # fmt: skip
    """Read what an export wrote, or plain records, from FILE or standard input into the store.

    Plain records are JSON objects, one a line, or CSV with a header. What is no field of a document becomes
    metadata. With --key a record that is there already is replaced if it is another now, so that the same
    FILE may be read in again.

    \b
    docstore import backup.jsonl.gz
    docstore import backup.jsonl --files backup-files --store postgresql://localhost/docs
    docstore import customers.csv --key number

    Exit status 1 if a document could not be read in, or the lines are damaged or incomplete.
    """
    with (
        opened(url, blobs, must_exist=False) as store,
        _reading(file) as stream,
        told("importing", quiet=quiet) as on_progress,
    ):
        view, lines = within(store, tenant, owner), io.BufferedReader(cast(Any, stream))
        kind = form or _form_of(file, lines)
        if kind != "export":
            report = import_records(view, lines, form=cast(Any, kind), key=key)
            return _print_records(report, as_json)
        done = import_lines(view, lines, files=files, replace=replace, on_progress=on_progress)
    if as_json:
        print_json(asdict(done))
    else:
        _print_transferred(done)
    return 1 if done.failures else 0


def _form_of(file: str, lines: io.BufferedReader) -> str:
    """Return what a stream holds, by its beginning and its name."""
    begin = lines.peek(1).lstrip()[:1]
    if is_export(lines.peek(4096)):
        return "export"
    if begin == b"[" and not file.endswith(".csv"):
        raise click.UsageError("a JSON array: write an object a line, such as by  jq -c '.[]'")
    return "csv" if re.search(r"\.(csv|tsv)(\.gz)?$", file) or begin not in (b"{", b"") else "jsonl"


def _print_records(report: RecordsReport, as_json: bool) -> int:
    if as_json:
        print_json({**asdict(report), "failed": [[line, str(error)] for line, error in report.failed]})
    else:
        click.echo(f"{report.added:,} added; {report.replaced:,} replaced; {report.unchanged:,} unchanged")
        for line, error in report.failed:
            note(f"line {line}: {error}")
    return 1 if report.failed else 0


@contextmanager
def _reading(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with _opened_file(file, "rb", file) as stream:
        yield stream


@click.command("backup", short_help="Copy a store, bytes and all, into a folder.")
@click.argument("folder", metavar="FOLDER")
@json_option()
@quiet_option
@store_options
def backup_(folder: str, as_json: bool, quiet: bool, url: str, blobs: str) -> int:
    """Write a consistent copy of a store, database and bytes, into FOLDER; run again, it goes on.

    FOLDER is new, empty, or holds an earlier backup of the same store: then only what is missing is brought.

    \b
    docstore backup /backups/monday
    docstore find --store /backups/monday

    Everything is read again and compared at the end.
    """
    with opened(url, blobs) as store, told("backing up", quiet=quiet) as on_progress:
        report = store.backup(folder, on_progress=on_progress)
    if as_json:
        print_json(asdict(report))
    else:
        brought = f"{report.copied:,} brought now, {size_text(report.bytes)}"
        held = f"{report.documents:,} documents and {report.objects:,} objects"
        click.echo(f"{held} in {shown(report.folder)}: {brought}")
    return 0

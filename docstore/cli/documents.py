"""The commands for single documents: what is in one, its bytes, its fields, its versions."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from docstore.cli.options import json_option, opened, scope_options, store_options, within

if TYPE_CHECKING:
    from docstore.models import Document

# Characters that the beginning of an id must have, where a document is removed by it.
_LEAST_PREFIX = 6
_names = click.argument("names", metavar="ID...", nargs=-1, required=True)
_name = click.argument("name", metavar="ID")
_where = click.option("--where", "terms", metavar="TERM", multiple=True, help="All that match; repeatable.")


@click.command("show", short_help="Show the fields of a document.")
@_name
@click.option("--content", is_flag=True, help="Show the text, too.")
@json_option("Print JSON.")
@scope_options
@store_options
def show_(
    name: str, content: bool, as_json: bool, tenant: str | None, owner: str | None, url: str, blobs: str
) -> None:
    """Show a document: all its fields, its metadata and, if asked, its text.

    ID is a document's id or the unique beginning of one, external_id:…, a filename that one document has, or
    the number that a listing shows. For an indexed file the external_id is FOLDER/PATH.

    \b
    docstore show papers/2026/q3.pdf
    docstore show 0198f2a4
    docstore show q3.pdf --json | jq .metadata

    Exit status 1 if there is no such document, 2 if several are meant.
    """
    from docstore.cli.output import document_view, print_json, print_table, record, shown
    from docstore.cli.terms import named

    with opened(url, blobs) as store:
        document = named(within(store, tenant, owner), name, include={"content"} if content else ())
    if as_json:
        fields = record(document)
        if not content:
            fields.pop("content", None)
        print_json(fields)
        return
    print_table(document_view(document))
    if content:
        click.echo("\n" + shown(document.content or "", lines=True))


@click.command("get", short_help="Write documents' files into a folder.")
@_names
@click.option("-o", "--output", metavar="PATH", help="A file, a folder, or - for standard output.")
@scope_options
@store_options
def get_(
    names: tuple[str, ...], output: str | None, tenant: str | None, owner: str | None, url: str, blobs: str
) -> int:
    """Write the files of documents into the current folder, or to PATH; print where they are.

    \b
    docstore get papers/2026/q3.pdf
    docstore get q3.pdf -o /tmp/report.pdf
    docstore get $(docstore find vendor=Acme --ids) -o folder

    Without -o a file has the last part of its name, made safe, and is never written over another. Of several
    those that are missing or damaged are named, and the others written; the exit status is then 1.
    """
    from docstore.cli.output import note, shown
    from docstore.cli.terms import documents_named
    from docstore.errors import BlobCorrupt, BlobMissing

    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)
        found = documents_named(store, names)
        if output == "-":
            for document in found:
                _copy_out(store, document, sys.stdout.buffer)
            return 0
        if output and os.path.exists(output) and not (os.path.isfile(output) or os.path.isdir(output)):
            with open(output, "wb") as pipe:  # or a device, such as /dev/stdout
                for document in found:
                    _copy_out(store, document, pipe)
            return 0
        targets = _targets(found, output)
        failed = 0
        for document, target in zip(found, targets, strict=True):
            try:
                store.documents.download(document.id, target)
            except (BlobCorrupt, BlobMissing) as error:
                note(f"docstore: {document.external_id or document.filename}: {error}")
                failed += 1
            else:
                click.echo(shown(target))
    return int(failed > 0)


def _targets(documents: Sequence[Document], output: str | None) -> list[Path]:
    """Return where each file goes.

    Raises:
        click.UsageError: several files would go to one.
    """
    if output is not None and not os.path.isdir(output) and not output.endswith(os.sep):
        if len(documents) > 1:
            raise click.UsageError(f"{len(documents)} documents, and {output} is no folder: make it first")
        if not output or not os.path.isdir(os.path.dirname(output) or "."):
            raise click.UsageError(f"-o {output!r}: there is no such folder: make it first")
        return [Path(output)]
    folder = Path(output or ".")
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for document in documents:
        made.append(_free(folder, safe_name(document.filename), made))
    return made


def _free(folder: Path, name: str, taken: Any) -> Path:
    """Return a path in a folder where nothing is, with a number before the suffix if need be."""
    path, number = folder / name, 1
    stem, suffix = os.path.splitext(name)
    while path in taken or os.path.lexists(path):
        path, number = folder / f"{stem} ({number}){suffix}", number + 1
    return path


_RESERVED = r"con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3]"  # devices of Windows, whatever their suffix


def safe_name(filename: str) -> str:
    """Return the last part of a filename as a file may be called anywhere."""
    last = re.split(r"[/\\]", filename.rstrip("/\\"))[-1]
    safe = re.sub(r'[\x00-\x1f\x7f-\x9f<>:"|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]', "_", last)
    safe = safe.lstrip(" .-").rstrip(" .") or "document"
    if re.fullmatch(_RESERVED, safe.split(".")[0].rstrip(), re.IGNORECASE):
        safe = f"_{safe}"
    stem, suffix = os.path.splitext(safe.encode("utf-8", "replace").decode())
    while len(f"{stem}{suffix}".encode()) > 240:
        stem, suffix = (stem[:-1], suffix) if stem else ("", suffix[:-1])
    return f"{stem}{suffix}"


def _copy_out(store: Any, document: Document, to: BinaryIO) -> None:
    with store.documents.open(document.id) as file:
        while chunk := file.read(1 << 20):
            to.write(chunk)
    to.flush()


@click.command("cat", short_help="Print the bytes of a document.")
@_name
@scope_options
@store_options
def cat_(name: str, tenant: str | None, owner: str | None, url: str, blobs: str) -> None:
    """Print the bytes of a document on standard output, as they are.

    \b
    docstore cat papers/2026/q3.csv | head
    """
    from docstore.cli.terms import named

    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)
        _copy_out(store, named(store, name), sys.stdout.buffer)


@click.command("text", short_help="Print the text of a document.")
@_name
@scope_options
@store_options
def text_(name: str, tenant: str | None, owner: str | None, url: str, blobs: str) -> int:
    """Print the text that was read out of a document.

    \b
    docstore text papers/2026/q3.pdf | less

    Exit status 1 if it has none; standard error says why.
    """
    from docstore.cli.output import is_terminal, note, shown
    from docstore.cli.terms import named

    with opened(url, blobs) as store:
        document = named(within(store, tenant, owner), name, include={"content"})
    if document.content is None:
        note(f"no text: {document.error or document.content_note or f'it is {document.status}'}")
        return 1
    click.echo(shown(document.content, lines=True) if is_terminal() else document.content)
    if document.content_note:
        note(document.content_note)
    return 0


@click.command("open", short_help="Open a document's file with its program.")
@_name
@scope_options
@store_options
def open_(name: str, tenant: str | None, owner: str | None, url: str, blobs: str) -> int:
    """Write a document's file into a temporary folder and open it with the program for its kind.

    \b
    docstore open q3.pdf
    """
    from docstore.cli.output import shown
    from docstore.cli.terms import named

    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)
        document = named(store, name)
        path = Path(tempfile.mkdtemp(prefix="docstore-")) / safe_name(document.filename)
        store.documents.download(document.id, path)
    path.chmod(0o400)  # changes to the copy would be lost
    click.echo(shown(path))
    return click.launch(str(path))


@click.command(
    "set", short_help="Change fields and metadata.", context_settings={"ignore_unknown_options": True}
)
@_name
@click.argument("changes", metavar="[KEY=VALUE|KEY:=JSON|-KEY]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--unset", metavar="KEY", multiple=True, help="Take a field away; the same as -KEY.")
@json_option("Print the document.")
@scope_options
@store_options
def set_(
    name: str, changes: tuple[str, ...], unset: tuple[str, ...], as_json: bool, tenant: str | None,
    owner: str | None, url: str, blobs: str,
) -> None:  # fmt: skip
    """Change a document: KEY=VALUE sets a field, KEY:=JSON any value, -KEY takes one away.

    \b
    docstore set q3.pdf vendor=Acme paid:=true -draft
    docstore set q3.pdf 'lines:=[1, 2]' filename=report.pdf --unset notes

    A KEY is a field of the document, else one of its metadata. Numbers, true, false and null are read as JSON
    writes them; in double quotes they are text.
    """
    from docstore.cli.output import print_json, record
    from docstore.cli.terms import assignments_of, named, operators_of

    removed = [*unset, *(change[1:] for change in changes if change.startswith("-"))]
    operators = operators_of(assignments_of(c for c in changes if not c.startswith("-")), removed)
    if not operators:
        raise click.UsageError("say what to change: KEY=VALUE, KEY:=JSON or -KEY")
    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)
        document = store.documents.update(named(store, name).id, operators)
    if as_json:
        print_json(record(document))


@click.command("tag", short_help="Add and remove tags.", context_settings={"ignore_unknown_options": True})
@_name
@click.argument("tags", metavar="[+TAG|-TAG]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--add", metavar="TAG", multiple=True, help="The same as +TAG.")
@click.option("--remove", metavar="TAG", multiple=True, help="The same as -TAG.")
@scope_options
@store_options
def tag_(
    name: str, tags: tuple[str, ...], add: tuple[str, ...], remove: tuple[str, ...], tenant: str | None,
    owner: str | None, url: str, blobs: str,
) -> None:  # fmt: skip
    """Add tags to a document (metadata.tags) and remove others; print those that it has then.

    \b
    docstore tag q3.pdf +important -draft
    docstore tag q3.pdf --add "two words" --remove old
    """
    from docstore.cli.output import shown
    from docstore.cli.terms import named

    wrong = [tag for tag in tags if tag[:1] not in ("+", "-") or len(tag) < 2]
    if wrong and wrong[0] in ("", "+", "-"):
        raise click.UsageError(f"{wrong[0]!r} has no tag: write +TAG to add one, -TAG to remove one")
    if wrong:
        raise click.UsageError(f"{wrong[0]!r}: write +{wrong[0]} to add it, -{wrong[0]} to remove it")
    added = [*(tag[1:] for tag in tags if tag[0] == "+"), *add]
    removed = [*(tag[1:] for tag in tags if tag[0] == "-"), *remove]
    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)
        document = named(store, name)
        if added:
            operators: dict[str, Any] = {"$addToSet": {"metadata.tags": {"$each": added}}}
            document = store.documents.update(document.id, operators)
        if removed and "tags" in document.metadata:
            operators = {"$pull": {"metadata.tags": {"$in": removed}}}
            document = store.documents.update(document.id, operators)
    found = document.metadata.get("tags")
    for tag in found if isinstance(found, list) else [] if found is None else [found]:
        click.echo(shown(tag))


@click.command("versions", short_help="List the versions of a document.")
@_name
@json_option("Print an array of documents.")
@scope_options
@store_options
def versions_(name: str, as_json: bool, tenant: str | None, owner: str | None, url: str, blobs: str) -> None:
    """List all versions of a document, the first one first.

    \b
    docstore versions papers/2026/q3.pdf
    docstore get $(docstore versions q3.pdf --json | jq -r '.[0].id')
    """
    from docstore.cli.output import document_table, print_json, print_table, record
    from docstore.cli.terms import named

    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)
        document = named(store, name)
        found = [document]
        if document.external_id is not None:
            chain = {"tenant": document.tenant, "owner": document.owner, "external_id": document.external_id}
            found = list(store.documents.iterate(chain, sort="version", latest_only=False))
    if as_json:
        print_json([record(one) for one in found])
    else:
        print_table(document_table(found, chain=True))


@click.command("retry", short_help="Put documents back into the queue.")
@click.argument("names", metavar="[ID]...", nargs=-1)
@_where
@scope_options
@store_options
def retry_(
    names: tuple[str, ...], terms: tuple[str, ...], tenant: str | None, owner: str | None, url: str,
    blobs: str,
) -> None:  # fmt: skip
    """Make documents that are failed or completed pending again; print how many.

    \b
    docstore retry q3.pdf
    docstore retry --where status=failed --where file_type=pdf
    """
    from docstore.cli.terms import documents_named, filter_of

    if bool(names) == bool(terms):
        raise click.UsageError("say which: IDs, or --where TERM")
    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)
        wanted = {"$and": [filter_of(terms), {"status": {"$in": ["failed", "completed"]}}]} if terms else {}
        found = list(store.documents.iterate(wanted)) if terms else documents_named(store, names)
        for document in found:
            store.documents.retry(document.id)
    click.echo(f"{len(found):,} pending again")


@click.command("rm", short_help="Remove documents.")
@click.argument("names", metavar="[ID]...", nargs=-1)
@_where
@click.option("--yes", is_flag=True, help="With --where: do not ask.")
@scope_options
@store_options
def rm_(
    names: tuple[str, ...], terms: tuple[str, ...], yes: bool, tenant: str | None, owner: str | None,
    url: str, blobs: str,
) -> int:  # fmt: skip
    """Remove documents: those named, or all that match, every version of them.

    \b
    docstore rm papers/2026/q3.pdf
    docstore rm --where 'metadata.expires<2026-01-01' --yes

    The beginning of an id must have six characters at least. A document that is named is removed in the one
    version that is meant; the one before it is then the latest. --where asks first on a terminal, elsewhere
    it needs --yes; the answer no ends it with 1. The bytes go by: docstore collect.
    """
    from docstore.cli.output import note
    from docstore.cli.terms import documents_named, filter_of

    if bool(names) == bool(terms):
        raise click.UsageError("say which: IDs, or --where TERM")
    with opened(url, blobs) as opened_store:
        store = within(opened_store, tenant, owner)
        if names:
            found = documents_named(store, names, prefix=_LEAST_PREFIX)
            for document in found:
                store.documents.delete(document.id)
            removed = len(found)
        else:
            wanted = filter_of(terms)
            there = store.documents.count(wanted, latest_only=False)
            if not _agreed(there, yes):
                note("nothing was removed")
                return 1
            removed = store.documents.delete_many(wanted)
    click.echo(f"{removed:,} removed")
    return 0


def _agreed(count: int, yes: bool) -> bool:
    """Return whether so many documents may be removed."""
    if yes or not count:
        return True
    if not sys.stdin.isatty():
        match = "document matches" if count == 1 else "documents match"
        raise click.UsageError(f"{count:,} {match}: say --yes to remove")
    return click.confirm(f"Remove {count:,} {'document' if count == 1 else 'documents'}?", err=True)

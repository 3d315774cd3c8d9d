"""What names a place for bytes, what stands there, and how it is removed."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from docstore.blobs import Blobs, Found, attachment, new_key
from docstore.blobs.objects import key_of_temporary, temporary_name
from docstore.blobs.s3 import SMALL
from docstore.errors import BlobError

KEYS = sorted(new_key() for _ in range(12))


def test_making_blobs_touches_nothing(tmp_path: Path) -> None:
    """The folder comes with the first write; until then there are no objects."""
    blobs = Blobs(tmp_path / "later")
    assert (tmp_path / "later").exists() is False
    assert list(blobs.list()) == []
    assert blobs.size_of(new_key()) is None
    assert (tmp_path / "later").exists() is False


def test_a_relative_folder_is_taken_from_the_working_directory_of_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later change of directory does not move the bytes."""
    monkeypatch.chdir(tmp_path)
    blobs, key = Blobs("here"), new_key()
    monkeypatch.chdir("/")
    blobs.write(key, [b"x"])
    assert (tmp_path / "here" / key).read_bytes() == b"x"


@pytest.mark.parametrize("name", ["plain", "~", "a b", "%41", "x?versionId=1", "*", "[a]"])
def test_a_plain_path_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    """Nothing in a folder's name is expanded or escaped, and nothing globs."""
    other, blobs, key = Blobs(tmp_path / "other"), Blobs(str(tmp_path / name)), new_key()
    for place in (other, blobs):
        place.write(key, [b"x"])
    assert (tmp_path / name / key).read_bytes() == b"x"
    blobs.delete(key)
    assert (blobs.size_of(key), other.size_of(key)) == (None, 1)


def test_a_file_url_and_its_path_are_one_place(tmp_path: Path) -> None:
    """file:///path is the folder at that path."""
    key = new_key()
    Blobs(f"file://{tmp_path}/files").write(key, [b"x"])
    assert Blobs(tmp_path / "files").read_bytes(key) == b"x"


def test_a_memory_url_is_one_place_and_a_bare_one_is_fresh() -> None:
    """Two stores share memory:// only if both name the same root."""
    key = new_key()
    Blobs("memory://shared/root").write(key, [b"x"])
    assert Blobs("memory://shared/root").size_of(key) == 1
    assert Blobs("memory://shared").size_of(key) is None
    one, two = Blobs("memory://"), Blobs("memory://")
    one.write(key, [b"x"])
    assert (one.size_of(key), two.size_of(key)) == (1, None)


@pytest.mark.parametrize("url", ["", "a\0b", "s3://", "file://", "nosuch://x"])
def test_what_is_no_place_is_refused_at_once(url: str) -> None:
    """The form of the URL is looked at when the blobs are made."""
    with pytest.raises(BlobError):
        Blobs(url)


def test_a_folder_takes_no_options(tmp_path: Path) -> None:
    """An option that would be ignored is refused."""
    with pytest.raises(BlobError, match="auto_mkdir"):
        Blobs(tmp_path, auto_mkdir=True)


def test_of_takes_what_open_takes(tmp_path: Path) -> None:
    """None stays None, blobs stay themselves, a path or URL becomes blobs."""
    blobs = Blobs(tmp_path)
    assert Blobs.of(None) is None
    assert Blobs.of(blobs) is blobs
    for given in (tmp_path, str(tmp_path), f"file://{tmp_path}"):
        made = Blobs.of(given)
        assert made is not None
        assert made.location == str(tmp_path)
    with pytest.raises(BlobError, match="type int"):
        Blobs.of(3)  # type: ignore[arg-type]


def test_no_credentials_are_shown() -> None:
    """A repr names the place and neither user, password, query nor options."""
    blobs = Blobs("s3://key:secret@bucket/prefix?token=t", secret="secret")
    assert repr(blobs) == "Blobs('s3://bucket/prefix')"


def test_everything_that_stands_there_is_listed_in_order(blobs: Blobs) -> None:
    """Objects with their sizes, by name."""
    for size, key in enumerate(KEYS):
        blobs.write(key, [b"x" * size])
    expected = [Found(key, size, "object") for size, key in enumerate(KEYS)]
    assert list(blobs.list()) == expected


def test_a_listing_is_cut_by_prefix_and_goes_on_after_a_name(blobs: Blobs) -> None:
    """A large place is walked in parts; every part is what a whole listing has there."""
    for key in KEYS:
        blobs.write(key, [b""])
    for at, key in enumerate(KEYS):
        assert [found.name for found in blobs.list(after=key)] == KEYS[at + 1 :]
        for length in (1, 2, 3, 4, 5, 6, 10, len(key)):
            prefix = key[:length]
            expected = [other for other in KEYS if other.startswith(prefix)]
            assert [found.name for found in blobs.list(prefix)] == expected
            later = [other for other in expected if other > key]
            assert [found.name for found in blobs.list(prefix, after=key)] == later
    assert list(blobs.list("zz")) == []
    assert list(blobs.list("00/00/none")) == []


def test_a_listing_is_longer_than_a_page_of_s3(s3_blobs: Callable[[str], Blobs]) -> None:
    """Page after page is asked for, here of three objects each instead of a thousand."""
    blobs = s3_blobs("many")
    filesystem = blobs._objects._filesystem  # type: ignore[attr-defined]
    request = filesystem.call_s3
    for key in KEYS:
        blobs.write(key, [b""])
    filesystem.call_s3 = lambda method, **arguments: request(method, MaxKeys=3, **arguments)
    assert [found.name for found in blobs.list()] == KEYS
    assert [found.name for found in blobs.list(after=KEYS[3])] == KEYS[4:]


def test_temporary_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    """Only what has exactly the shape of our names is ours; the order is that of the whole paths."""
    key = new_key()
    names = {
        key: "object",
        temporary_name(key): "temporary",
        "README": "foreign",
        key.upper() if key.upper() != key else "0/" + key: "foreign",
        f"{key}.bak": "foreign",
        f"00/11/{'2' * 32}": "foreign",
        "zz/deep/er/file": "foreign",
        "ab.d": "foreign",
        "ab/c": "foreign",
    }
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = list(Blobs(tmp_path).list())
    assert {one.name: one.kind for one in found} == names
    assert [one.name for one in found] == sorted(names)
    assert key_of_temporary(temporary_name(key)) == key
    assert key_of_temporary(key) is None
    for name in sorted(names):
        later = sorted(other for other in names if other > name)
        assert [one.name for one in Blobs(tmp_path).list(after=name)] == later


def test_a_deleted_object_is_gone_and_may_be_deleted_again(blobs: Blobs) -> None:
    """delete() of what is missing is fine, and touches nothing else."""
    one, two = new_key(), new_key()
    for key in (one, two):
        blobs.write(key, [b"x"])
    for _ in range(2):
        blobs.delete(one)
    assert [found.name for found in blobs.list()] == [two]


def test_delete_removes_a_temporary_file_too(tmp_path: Path) -> None:
    """What a killed writer left beside the object goes with it."""
    blobs, key = Blobs(tmp_path), new_key()
    blobs.write(key, [b"x"])
    (tmp_path / temporary_name(key)).write_bytes(b"half")
    blobs.delete(key)
    assert list(blobs.list()) == []


def test_delete_aborts_the_key_s_multipart_uploads(s3_blobs: Callable[[str], Blobs]) -> None:
    """Uploads that a killed writer left open are aborted, those of other keys are not."""
    blobs, keys = s3_blobs("p"), [new_key(), new_key()]
    objects = blobs._objects
    for key in keys:
        upload = objects._call("create_multipart_upload", key)["UploadId"]  # type: ignore[attr-defined]
        objects._put_part(key, upload, 1, b"x" * SMALL)  # type: ignore[attr-defined]
    blobs.delete(keys[0])
    left = objects._filesystem.list_multipart_uploads(objects._bucket)  # type: ignore[attr-defined]
    assert [entry["Key"] for entry in left] == [f"p/{keys[1]}"]


def test_unfinished_uploads_are_listed_by_prefix(s3_blobs: Callable[[str], Blobs]) -> None:
    """Keys below our own prefix that an upload was begun for, and nothing that is no key of ours."""
    blobs, keys = s3_blobs("p"), sorted(new_key() for _ in range(3))
    for objects, key in [*((blobs._objects, key) for key in keys), (s3_blobs("q")._objects, new_key())]:
        objects._call("create_multipart_upload", key)  # type: ignore[attr-defined]
    blobs._objects._call("create_multipart_upload", "someone's")  # type: ignore[attr-defined]
    assert keys == sorted(blobs.unfinished())
    assert [keys[0]] == [*blobs.unfinished(keys[0][:7])]
    assert [] == [*Blobs("memory://").unfinished()]


def test_unfinished_uploads_are_listed_a_page_at_a_time(s3_blobs: Callable[[str], Blobs]) -> None:
    """S3 tells a thousand at once and marks where it stopped; here two at once."""

    class Paged:
        def __init__(self, target: Any) -> None:
            self._target = target

        def call_s3(self, method: str, **asked: Any) -> Any:
            begin = (asked.pop("KeyMarker", ""), asked.pop("UploadIdMarker", ""))
            every = self._target.call_s3(method, **asked)["Uploads"]
            entries = sorted(every, key=lambda entry: (entry["Key"], entry["UploadId"]))
            page = [entry for entry in entries if (entry["Key"], entry["UploadId"]) > begin][:2]
            last = page[-1]
            marks = {"NextKeyMarker": last["Key"], "NextUploadIdMarker": last["UploadId"]}
            return {"Uploads": page, "IsTruncated": last != entries[-1], **marks}

    objects, keys = s3_blobs("p")._objects, sorted([new_key(), new_key(), *[new_key()] * 3])
    made = sorted((key, objects._call("create_multipart_upload", key)["UploadId"]) for key in keys)  # type: ignore[attr-defined]
    objects._filesystem = Paged(objects._filesystem)  # type: ignore[attr-defined]
    assert made == [(key, upload.id) for key, upload in objects.uploads("")]  # type: ignore[attr-defined]


def test_a_place_that_cannot_be_listed_is_a_blob_error(
    tmp_path: Path, s3_blobs: Callable[[str], Blobs]
) -> None:
    """A bucket that is not there, or a file where the folder should be, is no empty place."""
    options = s3_blobs("p")._options
    (tmp_path / "file").write_bytes(b"")
    for blobs in (Blobs("s3://no-such-bucket/p", **options), Blobs(tmp_path / "file")):
        with pytest.raises(BlobError):
            list(blobs.list())


def test_a_presigned_url_gives_the_bytes_name_and_type(s3_blobs: Callable[[str], Blobs]) -> None:
    """Whoever has the URL gets the object, saved under the document's own name."""
    blobs, key = s3_blobs("p"), new_key()
    blobs.write(key, [b"hello"])
    url = blobs.url(key, expires=60, filename='Übersicht "Q3".pdf', content_type="application/pdf")
    asked = parse_qs(urlsplit(url).query)
    assert asked["response-content-type"] == ["application/pdf"]
    expected = "attachment; filename=\"_bersicht _Q3_.pdf\"; filename*=UTF-8''%C3%9Cbersicht%20%22Q3%22.pdf"
    assert asked["response-content-disposition"] == [expected]
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"hello"
        assert answer.headers["Content-Disposition"] == expected


@pytest.mark.parametrize("place", ["local", "memory"])
def test_a_filesystem_without_urls_says_so(place: str, tmp_path: Path) -> None:
    """The error names the filesystem and what to do instead."""
    blobs = Blobs(tmp_path) if place == "local" else Blobs("memory://")
    with pytest.raises(BlobError, match=rf"{place}.*no presigned URLs.*open\(id\).*S3"):
        blobs.url(new_key())


@pytest.mark.parametrize("expires", [0, -1, 604_801, 1.5, True, "60"])
def test_a_url_s_life_is_whole_seconds_up_to_a_week(s3_blobs: Callable[[str], Blobs], expires: int) -> None:
    """Anything else is refused before anything is signed."""
    with pytest.raises(BlobError, match="604800"):
        s3_blobs("p").url(new_key(), expires=expires)


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("report.pdf", "attachment; filename=\"report.pdf\"; filename*=UTF-8''report.pdf"),
        ("../../etc/passwd", "attachment; filename=\".._.._etc_passwd\"; filename*=UTF-8''.._.._etc_passwd"),
        ('a\r\nB: x"', "attachment; filename=\"a__B: x_\"; filename*=UTF-8''a%0D%0AB%3A%20x%22"),
        ("\u202egpj", "attachment; filename=\"_gpj\"; filename*=UTF-8''%E2%80%AEgpj"),
        ("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt"),
    ],
)
def test_a_filename_cannot_leave_its_place_in_the_header(filename: str, expected: str) -> None:
    """Quotes, line ends, slashes and the like are replaced or encoded."""
    assert attachment(filename) == expected


def test_the_storage_makes_no_executable_or_private_files(tmp_path: Path) -> None:
    """Files have the permissions that the process' umask says."""
    before = os.umask(0o027)
    try:
        blobs, key = Blobs(tmp_path), new_key()
        blobs.write(key, [b"x"])
        blobs.download(key, tmp_path / "copy")
    finally:
        os.umask(before)
    assert (tmp_path / key).stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o640

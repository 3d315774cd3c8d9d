"""The recipe of docs/scale.md: a dump of Postgres and a copy of the bucket are a store again."""

from __future__ import annotations

import subprocess
from typing import Any

import s3fs

import docstore
from docstore.testing.servers import PostgresServer, S3Server
from docstore.testing.servers.postgres import postgres_binaries


def test_a_dump_and_a_copy_of_the_bucket_are_a_store(
    postgres_server: PostgresServer, postgres_url: str, s3_server: S3Server, s3_options: dict[str, Any]
) -> None:
    """The database first and the bytes then: each row that was dumped has its bytes, whatever was written
    meanwhile; what is too much is found, and put aside.
    """
    files = s3fs.S3FileSystem(**s3_server.storage_options, use_listings_cache=False)
    live, kept = s3_server.create_bucket("live"), s3_server.create_bucket("kept")
    binaries = postgres_binaries()
    with docstore.open(postgres_url, blobs=docstore.Blobs(f"{live}/docs", **s3_options)) as store:
        made = [store.documents.add(f"bytes {n}".encode(), metadata={"n": n}).id for n in range(6)]
        dump = [str(binaries / "pg_dump"), "--no-owner", f"--dbname={postgres_url}"]
        dumped = subprocess.run(dump, capture_output=True, check=True).stdout
        store.documents.add(b"written meanwhile")
        store.documents.delete(made[0])
        for name in files.find("live/docs"):
            files.copy(name, name.replace("live/", "kept/", 1))
    url = postgres_server.create_database()
    restore = [str(binaries / "psql"), "--quiet", "-v", "ON_ERROR_STOP=1", f"--dbname={url}"]
    subprocess.run(restore, input=dumped, capture_output=True, check=True)
    with docstore.open(url, blobs=docstore.Blobs(f"{kept}/docs", **s3_options)) as restored:
        assert b"bytes 0" == restored.documents.read_bytes(made[0])
        report = restored.check("hash", grace=0)
        assert [("extra", None)] == [(one.kind, one.document_id) for one in report.findings]
        restored.collect(grace=0)
        assert restored.check("hash", grace=0).ok
        assert 6 == restored.documents.count()
        assert made[-1] < restored.documents.add(b"later").id
    postgres_server.drop_database(url)

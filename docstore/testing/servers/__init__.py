"""Servers of the tests' own: a Postgres from a wheel and an S3 in a subprocess, both gone when their user is.

Neither listens beyond this machine: Postgres on a unix socket in a private folder, S3 on 127.0.0.1. Both end
with the process that started them, also when it is killed: each reads a pipe which only that one holds open.
"""

from docstore.testing.servers.postgres import PostgresServer
from docstore.testing.servers.process import ServerError, ServerNotInstalled
from docstore.testing.servers.s3 import S3Proxy, S3Server

__all__ = ["PostgresServer", "S3Proxy", "S3Server", "ServerError", "ServerNotInstalled"]

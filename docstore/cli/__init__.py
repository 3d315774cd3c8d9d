"""The `docstore` command: a thin layer over the public API, for people and scripts.

One module per group of commands: `index` puts a folder into a store, `read` finds, shows and counts.
`walk` and `indexing` need neither click nor rich and can be used from Python.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

INSTALL = 'pip install "embedded-docstore[cli]"'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Arguments:
        arguments: what stands after the command's name; None: the process's own.

    Returns:
        The exit status: 0 done, 1 not found or work that failed, 2 wrong usage, a bad filter, or the
        extra `cli` is not installed.
    """
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        print(f"docstore: the command needs {error.name}, which is not installed: {INSTALL}", file=sys.stderr)
        return 2
    from docstore.cli.app import run

    return run(sys.argv[1:] if arguments is None else arguments)

"""The `docstore` command: a thin layer over the public API, for people and scripts.

One module per group of commands, imported when one of them is run: `--help` and a slip of the keyboard cost
next to nothing.
"""

from __future__ import annotations

import gc
import os
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
        extra `cli` is not installed, 130 interrupted.
    """
    # Looking for plugins of Pydantic reads the metadata of every installed package: a tenth of a second.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if arguments is None:
        prepare_streams()
        # Imports make 70,000 objects that stay. Looking through them for garbage, 160 times, took a
        # tenth of the CPU of `docstore count` (0.07 of 0.7 s).
        gc.set_threshold(50_000, 20, 20)
    try:
        import click  # noqa: F401

        from docstore.cli.app import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return 130
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in ("click", "rich"):
            raise
        return _missing(error)
    except RuntimeError as error:
        # Before Python 3.12 a Ctrl-C while a class is made, as in an import, comes wrapped.
        if isinstance(error.__cause__, KeyboardInterrupt):
            return 130
        raise


def prepare_streams() -> None:
    """Let streams that the shell closed lead nowhere, and write what an encoding lacks as escapes.

    Without the first a file of the store would get the number of a stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _missing(error: ImportError) -> int:
    name = (error.name or "").partition(".")[0]
    print(f"docstore: the command needs {name}, which is not installed: {INSTALL}", file=sys.stderr)
    return 2

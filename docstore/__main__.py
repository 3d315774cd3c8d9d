"""Run the command line: ``python -m docstore`` is the command ``docstore``."""

from __future__ import annotations

import sys

from docstore.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""Lets the tests of this folder import `made_files`, which makes the files that they read."""

import sys
from pathlib import Path

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

"""The test files that take longest, with their seconds: several workers begin with them.

Seconds of CPU of a file run alone, its servers and child processes included, on a machine of 2 cores with
Python 3.11. ``pytest --durations=20``, which `nox -s tests` uses, lists the slowest tests themselves.
"""

from __future__ import annotations

__all__ = ["SECONDS"]

SECONDS = {
    "faults/test_calls.py": 19.3,
    "examples/test_commands.py": 15.2,
    "faults/test_sentences.py": 13.5,
    "api/test_timeout.py": 11.3,
    "faults/test_steps.py": 10.4,
    "maintenance/test_check.py": 10.3,
    "faults/test_kills.py": 9.9,
    "cli/test_command.py": 9.3,
    "examples/test_openapi.py": 8.4,
    "maintenance/test_backup.py": 8.2,
    "conformance/test_parity.py": 8.0,
    "benchmarks/test_service.py": 7.6,
    "examples/test_docsense.py": 4.8,
    "index/test_state.py": 4.6,
    "query/test_sql_text.py": 3.6,
}

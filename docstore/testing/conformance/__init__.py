"""The conformance suite: every promise of :mod:`docstore.backend`, one answer to every question.

    TestConformance = conformance_suite(MyHarness)

is all that a backend's own tests need.
"""

import pytest

for _part in ("properties", "reads", "threads", "writes"):
    pytest.register_assert_rewrite(f"{__name__}.{_part}")

from docstore.testing.conformance.suite import conformance_suite  # noqa: E402 - asserts are rewritten on import
from docstore.testing.harness import Harness  # noqa: E402

__all__ = ["Harness", "conformance_suite"]

"""Review: which fields of an extraction are doubtful, and what a person's review writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from docstore.backend import Row

__all__ = ["flagged", "needs_review", "reviewed"]


def flagged(
    scores: Mapping[str, float] | None, given: Mapping[str, bool] | None, below: float | None
) -> dict[str, bool] | None:
    """Return the review flags: those given, and with a threshold one for each score, true where it is below.

    A field is flagged if either says so. ``None``: there are neither flags nor a threshold with scores.
    """
    if below is None or scores is None:
        return None if given is None else dict(given)
    flags = {name: score < below for name, score in scores.items()}
    for name, flag in (given or {}).items():
        flags[name] = flag or flags.get(name, False)
    return flags


def needs_review(given: bool | None, flags: Mapping[str, bool] | None) -> bool:
    """Return whether a person should look: as told, else if any field is flagged."""
    return any((flags or {}).values()) if given is None else given


def reviewed(results: str, by: str, at: int) -> Row:
    """Return the four columns of a review; what was extracted stays as it is."""
    return {"is_reviewed": True, "reviewed_at": at, "reviewed_by": by, "reviewed_results": results}

"""What a leaf that is not run implies, and costs little: an array or an object where it looks into one."""

from __future__ import annotations

from docstore.query.expr import (
    TRUE,
    Always,
    Compare,
    Contains,
    ElemMatch,
    Expr,
    In,
    Leaf,
    Occurs,
    Size,
    TypeIs,
)
from docstore.query.many.stepped import before_index

__all__ = ["implied"]


def implied(leaf: Leaf) -> Expr:
    """Return a condition that holds wherever ``leaf`` does: ``TRUE`` where nothing is known.

    Behind an index there is an array, or an object with that key; what asks of an array needs one (rules 8,
    16, 17). A leaf that null and what is missing satisfy implies nothing.
    """
    if isinstance(leaf, Always | Occurs) or _takes_missing(leaf):
        return TRUE
    before = before_index(leaf.path)
    if before is not None and len(before) > 1:
        return TypeIs(before, frozenset({"array", "object"}))
    if before is None and len(leaf.path) > 1 and isinstance(leaf, Size | Contains | ElemMatch):
        return TypeIs(leaf.path, frozenset({"array"}))
    return TRUE


def _takes_missing(leaf: Leaf) -> bool:
    if isinstance(leaf, Compare):
        return leaf.value is None
    return isinstance(leaf, In) and None in leaf.values

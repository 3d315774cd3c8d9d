"""A page in the order of time out of the groups of a declared index: the records of each value of a path.

An index of a path and then ``created_at`` has the newest of each value side by side. Where a condition asks
for nothing else and leaves few values, a page is the newest of each of these, merged.
"""

from __future__ import annotations

from dataclasses import dataclass

from docstore_sql.fragment import Fragment, both, joined

from docstore.backend import SortKey
from docstore.query.expr import Always, And, Expr, Leaf, Occurs, Path, leaves
from docstore_postgres.intervals import Cut, intervals

__all__ = ["MOST_GROUPS", "Grouped", "grouped"]

MOST_GROUPS = 50
"""Values that a path may have for its groups to be merged."""
_PARTS = 8
_PASSED = (("is_latest",), ("created_at",), ("number",))
"""What may be asked besides: nearly all records are so, or the index holds it."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """The groups that a condition leaves.

    Attributes:
        name: of the index.
        value: the expression that it begins with.
        many: the condition of records that are in no group, as the path reaches several values there.
        parts: from which bytes to before which others.
    """

    name: str
    value: str
    many: str
    parts: tuple[tuple[bytes, bytes], ...]

    def picked(self, table: str, asked: Fragment, order: Fragment, most: int) -> Fragment:
        """Return the statement for the ``number`` and ``created_at`` of at most so many of each group.

        Args:
            table: the collection's.
            asked: the condition on ``d``.
            order: the ORDER BY on ``d``.
            most: records of a group.
        """
        of, value = f"SELECT {self.value} FROM {table} AS d WHERE {self.value}", self.value
        ranges = joined(", ", [Fragment("(%s::bytea, %s::bytea)", part) for part in self.parts])
        first = f"({of} >= p.lo AND {value} < p.hi ORDER BY {value} LIMIT 1)"
        later = f"({of} > v.b AND {value} < v.hi ORDER BY {value} LIMIT 1)"
        values = ranges.wrapped(
            f"WITH RECURSIVE v (b, hi) AS (SELECT {first}, p.hi FROM (VALUES ",
            f") AS p (lo, hi) UNION ALL SELECT {later}, v.hi FROM v WHERE v.b IS NOT NULL) ",
        )
        rows = f"SELECT d.number, d.created_at FROM {table} AS d WHERE "
        newest = joined(
            "", (both((Fragment(f"{value} = v.b"), asked)), order, Fragment(" LIMIT %s", (most,)))
        )
        each = newest.wrapped(
            f"SELECT f.number, f.created_at FROM v CROSS JOIN LATERAL ({rows}", ") AS f WHERE v.b IS NOT NULL"
        )
        others = both((Fragment(self.many), asked)).wrapped(rows)
        return joined("", (values, joined(" UNION ", (each, others))))


def grouped(where: Expr, keys: tuple[SortKey, ...], longest: int) -> tuple[tuple[bytes, bytes], ...] | None:
    """Return the parts of the first key's order that a condition leaves; ``None``: it asks for more, or the
    keys are no path and then ``created_at``.

    Args:
        where: the condition.
        keys: the index's.
        longest: bytes of a value from which on the index holds its beginning.
    """
    if len(keys) != 2 or keys[1].path != ("created_at",):
        return None
    path = keys[0].path
    terms = where.terms if isinstance(where, And) else (where,)
    of_path = tuple(term for term in terms if all(_asks(leaf, (path,)) for leaf in leaves(term)))
    if not all(_asks(leaf, (path, *_PASSED)) for leaf in leaves(where)):
        return None
    found = intervals(And(of_path), path)
    if found.is_all or not found.exact or len(found.parts) > _PARTS:
        return None
    if any(len(said) >= longest for part in found.parts for said, _ in part):
        return None
    return tuple((_from(start), _from(end)) for start, end in found.parts)


def _asks(leaf: Leaf, paths: tuple[Path, ...]) -> bool:
    return not isinstance(leaf, Always | Occurs) and leaf.path in paths


def _from(cut: Cut) -> bytes:
    """Return the first bytes behind a cut."""
    return cut[0] + b"\0" if cut[1] else cut[0]

"""The backends agree with the evaluator on generated questions; `nox -s parity` is the long form."""

from importlib.util import find_spec

from docstore.registry import open_backend
from tests.kit.parity import compare, first_party

EMBEDDED = ("memory", "sqlite", *(("pysqlite3",) if find_spec("pysqlite3") else ()))


def test_embedded_backends_answer_as_the_evaluator_does() -> None:
    """300 questions with updates between them: every answer, order, page and total the same, every update's
    counts and metadata too, and all of it pushed.
    """
    with first_party(EMBEDDED) as backends:
        tally = compare(backends, 300, seed=1_000_000)
    assert [] == list(map(str, tally.differences))
    assert dict.fromkeys(EMBEDDED, tally.pairs) == tally.pushed
    assert tally.changing > 10


def test_postgres_answers_as_the_evaluator_does(postgres_url: str) -> None:
    """200 other questions to Postgres: the same answers, with an empty residual in over 95 of 100."""
    backend = open_backend(postgres_url)
    try:
        tally = compare({"postgres": backend}, 200, seed=2_000_000)
    finally:
        backend.close()
    assert [] == list(map(str, tally.differences))
    assert tally.pushed["postgres"] > 0.95 * tally.pairs


def test_once_wrong_on_postgres(postgres_url: str) -> None:
    """Seeds that found a difference once: a null among types compared, null and empty texts in counts."""
    backend = open_backend(postgres_url)
    try:
        tallies = [compare({"postgres": backend}, 16, seed) for seed in (5115, 6194)]
    finally:
        backend.close()
    assert [] == [str(difference) for tally in tallies for difference in tally.differences]

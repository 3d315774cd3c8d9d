"""The benchmark of a service in short: it runs on every engine, and a wrong answer stops it."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.corpus import corpus
from benchmarks.questions import W2, Oracle, Question
from benchmarks.service import Engine, Options, Run, WrongAnswer, measure, steps, table, write_docs
from docstore.testing.servers import PostgresServer

SHORT = Options(size=200, quiet=1, pending=1, turns=2)


def test_every_row_is_measured_on_every_engine(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All answers of ours and by hand are right, each state is there, and the table has each row."""
    monkeypatch.setattr("benchmarks.service.factor", lambda: 1.0)  # how fast the machine is takes most of it
    taken = measure(replace(SHORT, server=postgres_server.url()), lambda line: None)
    found = {(one.engine, one.row, one.state) for one in taken}
    for engine in SHORT.engines:
        assert {"quiet", "1", "100", "1,000"} == {
            state for name, row, state in found if (name, row) == (engine, "W2")
        }
        rows = {row for name, row, _ in found if name == engine}
        assert {"W1 bulk", "W1 one", "W10", "W3", "W8a", "steady"} <= rows
    assert all(one.by_hand for one in taken if one.row == "W7" and one.engine != "memory")
    lines = table(taken).splitlines()
    assert len({one.row for one in taken}) + 2 == len(lines)


def test_nothing_is_asked_twice() -> None:
    """Of the rows that have more values than are asked, no question has the values of another."""
    asked = [step.do for step in steps(SHORT) if isinstance(step.do, Question)]
    many = [(one.row, *one.by_hand) for one in asked if one.row in ("W2", "W3", "W4a", "W5", "steady")]
    assert len(many) == len(set(many))


def test_a_wrong_answer_stops_it(tmp_path: Path) -> None:
    """An answer that is not the expected one raises, whoever gave it."""
    engine = Engine("memory", "memory://", tmp_path)
    run = Run(engine, SHORT)
    run.load()
    question = W2(Oracle(list(corpus(200, 1)), random.Random(1)))
    run.ask("quiet", question)
    with pytest.raises(WrongAnswer, match="W2 on memory"):
        run.ask("quiet", replace(question, expected=["d00000000", "none"]))
    engine.close()


def test_a_page_keeps_all_but_the_table(tmp_path: Path) -> None:
    """The table between its marks is replaced, and a page without marks refused."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- service 200 begin -->\nold\n<!-- service 200 end -->\nafter\n")
    write_docs(page, 200, "new")
    kept = ["before", "<!-- service 200 begin -->", "", "new", "", "<!-- service 200 end -->", "after"]
    assert kept == page.read_text().splitlines()
    with pytest.raises(SystemExit, match="expected the lines"):
        write_docs(page, 100, "new")

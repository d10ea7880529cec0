"""The table of speed and quality says what was measured, in 80 columns, misses included."""

import math
import sys

import numpy as np
import pytest

from benchmarks import data, table
from benchmarks.clock import median_ratio, run
from benchmarks.kept import Kept
from benchmarks.table import Block, Line, Promise
from benchmarks.works import chinchilla
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Huber
from scalefit.inference.uncertainty import draw
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.laws import LAWS

KEPT = Promise(57.3, 50, at_least=True, of="theirs to ours")
MISSED = Promise(12.0, 8, at_least=False, of="ours to a bare import")
BLOCK = Block(
    "A work with a title that is far too long to stand on one line of a terminal, as some are",
    [
        Line("ours", 0.41, 4.7e-5, 93, 3e-12, 0.0),
        Line("the tool with the longest name", 23456.7, 0.0059, 10187, 0.0012, 1.0, KEPT, True),
        Line("start", whole=0.00123, promise=MISSED),
    ],
    ["a note " * 30],
)


def test_no_line_is_wider_than_80_columns():
    assert max(len(line) for line in table.terminal([BLOCK]).splitlines()) <= 80


@pytest.mark.parametrize("form", [table.terminal, table.markdown])
def test_a_missed_promise_is_told_with_its_distance(form):
    words = " ".join(form([BLOCK]).split())
    assert (
        "start: missed: ours to a bare import is 12, promised at most 8: 1.5 times short" in words
    )
    assert "theirs to ours" not in words


def test_a_miss_says_what_is_in_the_way_and_how_far_one_could_get():
    promise = Promise(12.0, 20, at_least=True, of="a to b", best=31.4, why="the door is slow")
    assert promise.words.endswith("at the limit it would be 31.4; the door is slow")


def test_a_promise_is_kept_up_to_its_limit():
    assert Promise(50, 50, at_least=True, of="").kept
    assert not Promise(49.99, 50, at_least=True, of="").kept
    assert Promise(8, 8, at_least=False, of="").kept
    assert not Promise(math.nan, 8, at_least=False, of="").kept


def test_every_row_of_the_markdown_has_the_same_cells():
    rows = [line for line in table.markdown([BLOCK]).splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {len(table.HEADER) + 1}


def test_a_kept_block_comes_back_as_it_was(tmp_path):
    lines = [*BLOCK.lines, Line("told", promise=Promise(2.0, math.inf, at_least=False, of="x"))]
    block = Block(BLOCK.title, lines, BLOCK.notes)
    Kept(tmp_path / "r.json").put("work", block)
    again = Kept(tmp_path / "r.json")
    assert table.markdown([again.get("work")]) == table.markdown([block])
    assert again.get("another") is None


def test_ratios_are_those_of_the_pairs():
    assert median_ratio([2, 30, 8], [1, 10, 2]) == 3


def test_a_process_is_measured_and_a_failing_one_is_an_error():
    took = run([sys.executable, "-c", "x = bytearray(60_000_000); print('{\"a\": 1}')"])
    assert took.said == {"a": 1}
    assert took.memory > 60
    assert took.cpu > 0
    with pytest.raises(RuntimeError, match="no such thing"):
        run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_the_judge_of_refits_agrees_with_the_library():
    runs = data.observed(*_case())
    found = fit(LAWS.get("chinchilla"), runs, objective=Huber(1e-3))
    method = Bootstrap(draws=20)
    drawn = draw(found, method, seed=0)
    weight = method.weights(runs, 0, 0, 20)
    ends = chinchilla.our_refits(found, 20)
    good = np.setdiff1d(np.arange(20), drawn.failed)
    values = chinchilla.objective(ends, runs, weight)[good]
    u = found.problem.search(drawn.theta)
    theirs = [found.objective.value(found.problem.residual(u[k : k + 1]), weight[b : b + 1])[0]
              for k, b in enumerate(good)]  # fmt: skip
    np.testing.assert_allclose(values, theirs, rtol=1e-9)


def _case():
    random = np.random.default_rng(3)
    n, d = np.exp(random.uniform(17, 24, 60)), np.exp(random.uniform(20, 26, 60))
    loss = 1.7 + 400 * n**-0.34 + 1200 * d**-0.36
    return {"N": n, "D": d}, loss * np.exp(0.005 * random.standard_normal(60))

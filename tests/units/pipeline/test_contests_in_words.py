"""What tests between laws come to, in one sentence."""

from pathlib import Path

import pytest

import scalefit
from scalefit.inference.contests import Contest, Guard, Nested
from scalefit.pipeline import contests


def nested(simple, general, p, replicates=199):
    return Nested(simple, general, 9.0, p, replicates)


def contest(second, verdict):
    return Contest("a", second, 2.5, 0.01, 18, 20, 0.001, verdict)


def test_the_first_law_is_set_against_every_other_one():
    found = contests.Tested(
        (nested("b", "a", 0.01), nested("c", "b", 0.01), nested("d", "a", 0.4)),
        (contest("e", "a"), contest("f", "undecided"), contest("g", "g")),
        Guard("a", "c", 6, 0.01),
        "a",
    )
    assert contests.conclusion(found) == (
        "a is better than b, e; g is better than a; undecided between a and d, f"
    )


def test_a_law_that_extends_the_first_may_be_better():
    assert (
        contests.conclusion(contests.Tested((nested("a", "b", 0.01),), (), None, "a"))
        == "b is better than a"
    )


def test_choosing_among_many_is_held_against_the_best():
    found = contests.Tested((), (contest("b", "a"),), Guard("a", "c", 7, 0.2), "a")
    assert contests.conclusion(found).endswith(
        "allowing for the choice among 7, a is not shown to beat c (p = 0.2)"
    )


def test_one_law_has_nothing_to_say():
    assert contests.conclusion(contests.Tested((), (), None, "a")) == ""
    assert contests.section(contests.Tested((), (), None, "a")).lead == ()


@pytest.mark.parametrize(("p", "words"), [(1 / 200, "≤ 0.005"), (0.01, "0.01")])
def test_the_least_p_of_so_many_replicates_is_a_bound(p, words):
    assert (
        contests.section(contests.Tested((nested("b", "a", p),), (), None, "a")).rows[0][2] == words
    )


def test_many_laws_are_held_against_the_best_unasked(monkeypatch):
    runs = scalefit.read(Path(__file__).parents[3] / "data" / "chinchilla-subset" / "runs.csv")
    compared = scalefit.compare(runs, ["chinchilla", "chinchilla-tied", "coupled"])
    assert contests.caution(compared) == ()
    monkeypatch.setattr(contests, "_MANY", 2)
    (note,) = contests.caution(compared)
    assert note.code == "many-laws"
    assert "3 laws compared" in note.message

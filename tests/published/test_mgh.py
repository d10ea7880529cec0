"""Hard unconstrained problems: the known minimum, or the word that it was not reached."""

import mgh_problems as mgh
import numpy as np
import pytest

from scalefit.core.errors import FitError
from scalefit.inference.certificate import USABLE
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import SquaredError


def ended(task, factor):
    """Status and sum of squares from the start times a factor; a fit may also be refused.

    Steps out of the doubles are what far starts give.
    """
    start = task.far(factor)[None]
    try:
        with np.errstate(all="ignore"):
            found = fit(task.law(), task.runs(), objective=SquaredError(), starts=start)
    except FitError:
        return "refused", np.inf
    return found.status, found.value


def reached(name, value):
    """Whether a sum of squares is that of a known minimum to 1e-8; 1e-16 stands for zero."""
    return any(
        abs(value - known) <= 1e-8 * known or (known == 0 and value <= 1e-16)
        for known in mgh.MGH[name].minima
    )


def table(ends):
    """One row for each problem: status and whether the minimum was reached, from each start."""
    names = dict.fromkeys(name for name, _ in ends)
    factors = dict.fromkeys(factor for _, factor in ends)
    rows = [f"{'problem':24}" + "".join(f"{f'from {k} x0':>20}" for k in factors)]
    for name in names:
        row = f"{name:24}"
        for factor in factors:
            status, value = ends[name, factor]
            row += f"{status + (' =' if reached(name, value) else '  '):>20}"
        rows.append(row)
    return "\n".join([*rows, "=: the known minimum to 1e-8"])


def false_words(ends):
    """Fits called usable that stand at no known minimum."""
    return [
        (name, factor, status, value)
        for (name, factor), (status, value) in ends.items()
        if status in USABLE and not reached(name, value)
    ]


def test_there_are_at_least_26_problems_and_none_starts_at_its_minimum():
    assert len(mgh.MGH) >= 26
    for task in mgh.MGH.values():
        rows = np.arange(1, task.target.size + 1)
        residual = task.target - task.curve(list(task.start), rows)
        assert residual @ residual > task.minima[0]


def test_from_the_papers_own_starts_all_minima_are_reached():
    ends = {(name, 1): ended(task, 1) for name, task in mgh.MGH.items()}
    assert [name for (name, _), (_, value) in ends.items() if not reached(name, value)] == []
    assert false_words(ends) == []


@pytest.mark.slow
def test_from_far_away_the_minimum_is_reached_or_the_fit_says_that_it_was_not(record_property):
    ends = {
        (name, factor): ended(task, factor)
        for name, task in mgh.MGH.items()
        for factor in (1, 10, 100)
    }
    record_property("table", "Moré, Garbow & Hillstrom\n" + table(ends))
    assert false_words(ends) == []
    found = sum(reached(name, value) for (name, _), (_, value) in ends.items())
    assert found >= 0.85 * len(ends)

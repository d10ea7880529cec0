"""What must not matter to a fit does not: units, the order of rows, copies, silenced rows, nats.

Hypothesis draws worlds and disguises; in each example one and the same set of runs is fitted
plainly and in disguise, whatever the law.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import example as also
from hypothesis import strategies as st
from simulated import example, grid, observations, predicted

from scalefit.inference.certificate import USABLE
from scalefit.inference.fitting import fit
from scalefit.laws import LAWS

QUICK = {"side": 5, "line": 30}
FEW = settings(max_examples=3, deadline=None, derandomize=True, database=None,
               suppress_health_check=list(HealthCheck))  # fmt: skip
MANY = settings(FEW, max_examples=200)


@dataclass(frozen=True)
class Disguise:
    """What is done to runs that should change no curve.

    Attributes:
        units: Decimal logarithm of the factor of each input's unit, in the order of the inputs.
        shuffled: Seed of an order of the rows.
        copied: Rows that stand twice in disguise and weigh two plainly, as a share of all.
        silenced: Rows that are spoilt and weigh nothing in disguise and are absent plainly.
        bits: Factor of the loss, if the law has a loss of its own unit.
    """

    units: tuple[float, ...]
    shuffled: int
    copied: float
    silenced: float
    bits: float


disguises = st.builds(
    Disguise,
    units=st.tuples(*[st.floats(-9, 9)] * 3),
    shuffled=st.integers(0, 2**32 - 1),
    copied=st.sampled_from([0.0, 0.2, 0.5]),
    silenced=st.sampled_from([0.0, 0.1, 0.3]),
    bits=st.sampled_from([1.0, 1 / np.log(2), 1e-3, 250.0]),
)


@pytest.fixture(params=LAWS.values(), ids=lambda law: law.name)
def law(request):
    return request.param


def scalable(law):
    """Whether multiplying the loss leaves a curve of the law one: it can scale its loss."""
    scales = [p.name for p in law.parameters if p.relative_to == "loss"]
    return bool(scales) and all(law.example[name] for name in scales)


def world(law, seed):
    """Inputs and a noisy loss of the law's example."""
    inputs = grid(law, **QUICK)
    loss = law.predict(example(law), list(inputs.values()))
    random = np.random.default_rng(seed)
    return inputs, loss * np.exp(0.004 * random.standard_normal(loss.size)), random


def pair(law, seed, disguise):
    """The same runs plainly and in disguise, and the factors that undo the disguise."""
    inputs, loss, random = world(law, seed)
    twice = random.random(loss.size) < disguise.copied
    dead = (random.random(loss.size) < disguise.silenced) & ~twice
    plain = observations(
        {name: values[~dead] for name, values in inputs.items()},
        loss[~dead],
        weight=np.where(twice, 2.0, 1.0)[~dead],
    )
    units = dict(zip(law.inputs, (10.0**u for u in disguise.units), strict=False))
    units |= {name: units[twin] for name, twin in law.shares_unit.items()}
    factor = disguise.bits if scalable(law) else 1.0
    spoilt = np.where(dead, 1.3 * loss, loss) * factor
    at = np.concatenate([np.arange(loss.size), np.flatnonzero(twice)])
    at = np.random.default_rng(disguise.shuffled).permutation(at)
    hidden = observations(
        {name: values[at] / units[name] for name, values in inputs.items()},
        spoilt[at],
        weight=np.where(dead, 0.0, 1.0)[at],
    )
    return plain, hidden, units, factor


def check(law, seed, disguise):
    """The curves agree, and so do the exponents where the runs fix them."""
    plain, hidden, units, factor = pair(law, seed, disguise)
    first, second = fit(law, plain), fit(law, hidden)
    assert (first.status in USABLE) == (second.status in USABLE)
    if first.status not in USABLE:
        return  # both are refused: nothing is said of a curve
    back = {name: values / units[name] for name, values in plain.inputs.items()}
    np.testing.assert_allclose(predicted(second, back) / factor, predicted(first), rtol=1e-8)
    if first.status == "converged" and first.certificate.kappa < 1e3:
        for i, parameter in enumerate(law.parameters):
            if not parameter.units and parameter.relative_to != "loss":
                assert second.theta[i] == pytest.approx(first.theta[i], rel=1e-5), parameter.name


@FEW
@given(seed=st.integers(0, 2**32 - 1), disguise=disguises)
# Three breaks whose full polishing step overshoots the minimum.
@also(seed=5156236, disguise=Disguise((0.0, 0.0, 0.0), 0, 0.0, 0.0, 250.0))
# Three breaks whose best basin is overtaken by many in the second round of the search.
@also(seed=49193, disguise=Disguise((0.0, 0.0, 0.0), 0, 0.2, 0.0, 1.0))
# Three breaks whose best basin is one of few searches that arrive late.
@also(seed=6643, disguise=Disguise((0.0, 0.0, 0.0), 0, 0.5, 0.0, 0.001))
def test_a_disguise_changes_no_curve(law, seed, disguise):
    check(law, seed, disguise)


@pytest.mark.slow
@MANY
@given(seed=st.integers(0, 2**32 - 1), disguise=disguises)
def test_200_disguises_change_no_curve(law, seed, disguise):
    check(law, seed, disguise)

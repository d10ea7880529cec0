"""What may be fixed and bounded."""

import numpy as np
import pytest
from simulated import runs_of

from scalefit.core.errors import InputError
from scalefit.inference.problem import bind
from scalefit.laws import LAWS

LAW = LAWS.get("chinchilla")


def bound_to(fix=None, bound=None):
    return bind(LAW, runs_of(LAW), log_target=True, fix=fix, bound=bound)


@pytest.mark.parametrize("fix", [{"alpha": 100.0}, {"alpha": -0.3}, {"E": -0.1}, {"A": 0.0}])
def test_no_parameter_is_fixed_where_it_means_nothing(fix):
    with pytest.raises(InputError, match=next(iter(fix))):
        bound_to(fix=fix)


@pytest.mark.parametrize("bound", [{"alpha": (5.0, 9.0)}, {"beta": (-2.0, -1.0)}, {"E": (-2, -1)}])
def test_no_bound_lies_wholly_outside_what_the_law_allows(bound):
    with pytest.raises(InputError, match=r"outside what chinchilla allows"):
        bound_to(bound=bound)


def test_a_bound_may_widen_what_the_law_searches():
    problem = bound_to(bound={"alpha": (0.1, 4.0)})
    assert problem.high[problem.law.index("alpha")] == 4
    assert bound_to(fix={"alpha": 3.0}).p == len(LAW.parameters) - 1


@pytest.mark.parametrize("law", LAWS.values(), ids=lambda law: law.name)
def test_every_parameter_may_be_fixed_at_its_example(law):
    runs = runs_of(law)
    for name in law.names:
        problem = bind(law, runs, log_target=True, fix={name: law.example[name]})
        assert np.nanmax(problem.fixed) == law.example[name]


def test_a_parameter_is_not_fixed_outside_the_bound_that_is_given_with_it():
    with pytest.raises(InputError, match=r"alpha is fixed at 0\.5, outside its bound of 0\.2 to"):
        bound_to(fix={"alpha": 0.5}, bound={"alpha": (0.2, 0.4)})
    assert bound_to(fix={"alpha": 0.3}, bound={"alpha": (0.2, 0.4)}).p == len(LAW.parameters) - 1


def test_what_leaves_the_doubles_has_no_parameters_and_warns_of_nothing():
    # As points beside a wild refit that its runs do not identify.
    problem = bound_to(fix={"E": 1.7})
    far = np.array([[800.0, 0.3, -1e9, 1e-3], [1.0, 5e7, 1.0, 0.3]])
    assert not np.isfinite(problem.theta(far)).all(axis=1).any()

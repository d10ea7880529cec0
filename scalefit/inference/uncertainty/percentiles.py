"""Intervals between percentiles of draws, and how many draws there may be."""

from __future__ import annotations

import math

from scalefit.core.errors import InputError
from scalefit.core.observations import Array, IntArray, Observations
from scalefit.core.records import dataclass
from scalefit.core.sorting import quantiles
from scalefit.inference.fitting import Fit
from scalefit.inference.uncertainty.base import Interval


def check_draws(draws: int) -> None:
    """Refuse a number of replicates that gives no quantiles or no end.

    Raises:
        InputError: it is below 20 or above ten million.
    """
    if not 20 <= draws <= 10_000_000:
        raise InputError(f"{draws} draws: must lie between 20 and 10,000,000")


def percentiles(estimate: Array, values: Array, level: float) -> Interval:
    """Interval between quantiles of draws (R, m), linearly interpolated."""
    low, high = quantiles(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, values.std(axis=0, ddof=1), low, high)


@dataclass(frozen=True)
class Percentiles:
    """What methods share whose intervals lie between percentiles of as many draws as asked for.

    Attributes:
        draws: Number of replicates.
    """

    draws: int = 2000

    def __post_init__(self) -> None:
        """Refuse a number of replicates that gives no quantiles or no end."""
        check_draws(self.draws)

    def count(self, runs: Observations) -> int:
        """As many as asked for."""
        return self.draws

    def df(self, fit: Fit) -> float:
        """None are used."""
        return math.inf

    def interval(
        self, estimate: Array, values: Array, number: IntArray, level: float, df: float
    ) -> Interval:
        """Percentiles of the draws, linearly interpolated."""
        return percentiles(estimate, values, level)

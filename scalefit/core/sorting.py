"""Median, quantiles and distinct values without masked arrays, which NumPy's load for no fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scalefit.core.observations import Array

if TYPE_CHECKING:
    from numpy.typing import NDArray


def median(values: Any) -> Array:
    """Middle of the values along the last axis, which holds one or more; nan where any is nan.

    >>> float(median([4.0, 1.0, 3.0, 10.0]))
    3.5
    """
    values = np.asarray(values, dtype=float)
    last = values.shape[-1] - 1
    middle = last // 2, (last + 1) // 2
    ordered = np.partition(values, (*middle, last), axis=-1)  # nan goes to the end
    found = (ordered[..., middle[0]] + ordered[..., middle[1]]) / 2
    return np.asarray(np.where(np.isnan(ordered[..., last]), np.nan, found))


def quantiles(values: Array, levels: Sequence[float]) -> Array:
    """Quantiles of each column of values (R, m), linearly interpolated, shape (levels, m).

    >>> quantiles(np.array([[4.0], [1.0], [3.0]]), [0.25, 0.5]).tolist()
    [[2.0], [3.0]]
    """
    last = len(values) - 1
    place = last * np.asarray(levels)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, last)
    ordered = np.partition(values, sorted({*below, *above, last}), axis=0)
    share = (place - below)[:, None]
    low, high = ordered[below], ordered[above]
    # From the nearer end, as NumPy has it.
    near = np.where(share < 0.5, low + (high - low) * share, high - (high - low) * (1 - share))
    return np.asarray(np.where(np.isnan(ordered[last]), np.nan, near))


def distinct(values: Any) -> NDArray[Any]:
    """The different values of a vector without nan, ascending.

    >>> distinct([3, 1, 3, 2, 1])
    array([1, 2, 3])
    """
    ordered = np.sort(np.asarray(values), axis=None)
    new = np.ones(ordered.size, dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    found: NDArray[Any] = ordered[new]
    return found

"""Median and distinct values without what NumPy's load: masked arrays, which no fit needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scalefit.core.observations import Array


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

"""The median without what NumPy's loads: masked arrays, which no fit needs."""

from __future__ import annotations

from typing import Any

import numpy as np

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

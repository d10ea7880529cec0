"""Runs of about the same scale as one budget."""

from __future__ import annotations

import numpy as np

from scalefit.core.observations import Array, IntArray

_MOST_BUDGETS = 15


def budgets(scale: Array) -> IntArray:
    """Number of the budget of each run, 0 for the smallest, shape (n,).

    Runs whose scale agrees to about 2 % share a budget; where that leaves more than 15, the axis
    is cut into twelve equal parts instead.
    """
    log = np.log10(scale)
    order = np.argsort(log, kind="stable")
    label = np.empty(log.size, dtype=np.int64)
    label[order] = np.concatenate([[0], np.cumsum(np.diff(log[order]) > 0.01)])
    if label.max(initial=0) >= _MOST_BUDGETS:
        width = (log.max() - log.min()) / 12 * (1 + 1e-12)
        label = np.floor((log - log.min()) / width).astype(np.int64)
    return np.unique(label, return_inverse=True)[1].astype(np.int64)

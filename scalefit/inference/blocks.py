"""Very many rows, some at a time: what a pass over them needs fits the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from scalefit.core.observations import Array

ROWS = 16_000  # taken together: a handful of arrays of so many doubles fit a level-2 cache


def slices(n: int, rows: int = ROWS) -> Iterator[slice]:
    """The rows 0 to n, so many at a time; all at once where there are no more."""
    for begin in range(0, max(n, 1), rows):
        yield slice(begin, begin + rows)


def sum_over(n: int, part: Callable[[slice], Array]) -> Array:
    """What `part` says of each slice of n rows, added up."""
    total: Array | None = None
    for some in slices(n):
        found = part(some)
        total = found if total is None else total + found
    assert total is not None
    return total


def dot(a: Array, b: Array) -> Array:
    """Sum of products over the last axis: the same bits whatever batch a row stands in."""
    # A BLAS adds up in another order where a row's numbers lie apart.
    return np.asarray(np.vecdot(np.ascontiguousarray(a), np.ascontiguousarray(b)))


def triangle(above: Array, rows: Array) -> Array:
    """R of the QR factorisation of rows below others that are reduced already.

    Whatever depends on inner products of columns alone is the same for R, to rounding.

    Args:
        above: What this function returned for the rows before, shape (k, c); none is (0, c).
        rows: Shape (n, c).

    Returns:
        Shape (min(k + n, c), c).

    Source: TSQR, Demmel, Grigori, Hoemmen & Langou 2012, SIAM J. Sci. Comput. 34(1).
    """
    return np.asarray(np.linalg.qr(np.concatenate([above, rows]), mode="r"))

"""Random numbers keyed by replicate: the same for any chunk, order and number of processes."""

from __future__ import annotations

import numpy as np

from scalefit.core.observations import Array, IntArray

# Each use of a seed has a stream of its own; the numbers are part of what a seed means.
BOOTSTRAP, BAYESIAN, WILD, RESIDUAL, PARAMETRIC, STRATIFIED = 1, 2, 3, 4, 5, 6


def uniforms(seed: int, use: int, replicate: int, count: int) -> Array:
    """Uniform numbers in (0, 1), shape (count,), from a stream of that replicate alone.

    The raw words of a bit generator are stable across NumPy versions, its methods are not.
    """
    key = np.random.SeedSequence(entropy=seed, spawn_key=(use, replicate))
    words = np.random.Philox(key).random_raw(count) >> np.uint64(11)
    return np.asarray((words.astype(float) + 0.5) * 2.0**-53)


def drawn(seed: int, use: int, replicate: int, count: int, among: int) -> IntArray:
    """Numbers from 0 to among - 1, shape (count,), each as likely."""
    return np.asarray(uniforms(seed, use, replicate, count) * among, dtype=np.int64)

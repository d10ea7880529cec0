"""Random words of each replicate: the same whatever else is drawn, in whatever order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalefit.core.observations import Array, IntArray

Words = NDArray[np.uint64]
_BLOCK = 4  # words that one value of Philox's counter gives
# Each use of a seed has a stream of its own; the numbers are part of what a seed means.
BOOTSTRAP, BAYESIAN, WILD, RESIDUAL, PARAMETRIC, STRATIFIED = 1, 2, 3, 4, 5, 6
DEALT, LITTLE = 7, 8


def words(seed: int, use: int, start: int, stop: int, each: int) -> Words:
    """Raw 64-bit words of replicates `start` to `stop`, shape (stop - start, each).

    Every replicate owns a run of counters of one counter-based stream, so its words depend on
    seed, use, its number and `each` alone. The raw words of a bit generator are stable across
    NumPy versions; its methods are not.

    Args:
        seed: Of the whole analysis.
        use: One of the numbers above.
        start: First replicate.
        stop: One past the last replicate.
        each: Words for each replicate.

    Source: Philox4x64-10, Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
    """
    blocks = -(-each // _BLOCK)
    stream = np.random.Philox(np.random.SeedSequence(entropy=seed, spawn_key=(use,)))
    stream.advance(start * blocks)
    raw = stream.random_raw((stop - start) * blocks * _BLOCK)
    return np.asarray(raw).reshape(stop - start, blocks * _BLOCK)[:, :each]


def below(bound: int, drawn: Words) -> IntArray:
    """Words as whole numbers, uniform on 0..bound-1 to within bound/2^64 (Lemire 2019)."""
    half, many = np.uint64(32), np.uint64(bound)
    high, low = drawn >> half, drawn & np.uint64(0xFFFFFFFF)
    high *= many
    low *= many
    low >>= half
    high += low
    high >>= half
    return high.view(np.int64)


def uniforms(seed: int, use: int, replicate: int, count: int) -> Array:
    """Uniform numbers in (0, 1), shape (count,), of one replicate."""
    return between(words(seed, use, replicate, replicate + 1, count)[0])


def between(drawn: Words) -> Array:
    """Words as numbers, uniform in (0, 1), same shape."""
    return np.asarray(((drawn >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53)


def drawn(seed: int, use: int, replicate: int, count: int, among: int) -> IntArray:
    """Numbers from 0 to among - 1, shape (count,), each as likely."""
    return np.asarray(below(among, words(seed, use, replicate, replicate + 1, count))[0])

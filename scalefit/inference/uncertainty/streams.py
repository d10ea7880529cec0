"""Random words of each replicate: the same whatever else is drawn, in whatever order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalefit.core.observations import IntArray

Words = NDArray[np.uint64]
_BLOCK = 4  # words that one value of Philox's counter gives


def words(seed: int, domain: int, start: int, stop: int, each: int) -> Words:
    """Raw 64-bit words of replicates `start` to `stop`, shape (stop - start, each).

    Every replicate owns a run of counters of one counter-based stream, so its words depend on
    seed, domain, its number and `each` alone. The raw words of a bit generator are stable across
    NumPy versions; its methods are not.

    Args:
        seed: Of the whole analysis.
        domain: Keeps the streams of one use of the seed apart from those of any other.
        start: First replicate.
        stop: One past the last replicate.
        each: Words for each replicate.

    Source: Philox4x64-10, Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
    """
    blocks = -(-each // _BLOCK)
    stream = np.random.Philox(np.random.SeedSequence(entropy=seed, spawn_key=(domain,)))
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

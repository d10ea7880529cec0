"""Random words of each replicate: the same whatever else is drawn, in whatever order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalefit.core.observations import Array, IntArray
from scalefit.inference.native import NATIVE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]
_BLOCK = 4  # words that one value of Philox's counter gives
# Each use of a seed has a stream of its own; the numbers are part of what a seed means.
BOOTSTRAP, BAYESIAN, WILD, RESIDUAL, PARAMETRIC, STRATIFIED = 1, 2, 3, 4, 5, 6
DEALT, LITTLE, BUMPED = 7, 8, 9


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
    raw = _raw(seed, use, start * blocks, (stop - start) * blocks)
    return raw.reshape(stop - start, blocks * _BLOCK)[:, :each]


def _raw(seed: int, use: int, first: int, count: int) -> Words:
    """The words of some counters in order; NumPy's, without what its random numbers load."""
    if NATIVE is None or seed < 0:
        stream = np.random.Philox(np.random.SeedSequence(entropy=seed, spawn_key=(use,)))
        stream.advance(first)
        return np.asarray(stream.random_raw(count * _BLOCK))
    found = np.empty(count * _BLOCK, dtype=np.uint64)
    NATIVE.philox(_key(seed, use), first + 1, found)
    return found


def _key(seed: int, use: int) -> Words:
    """The key that NumPy's SeedSequence makes of a seed of 0 or more.

    Source: O'Neill 2015, Developing a seed_seq alternative; as numpy.random.SeedSequence has it.
    """
    most = 0xFFFFFFFF
    entropy = [seed >> 32 * k & most for k in range(max(4, -(-seed.bit_length() // 32)))]
    factor = 0x43B0D7E5

    def hashed(value: int, step: int = 0x931E8875) -> int:
        nonlocal factor
        value ^= factor
        factor = factor * step & most
        value = value * factor & most
        return value ^ value >> 16

    def mixed(x: int, y: int) -> int:
        value = 0xCA01F9DD * x - 0x4973F715 * y & most
        return value ^ value >> 16

    pool = [hashed(word) for word in entropy[:4]]
    for source in range(4):
        for at in range(4):
            if source != at:
                pool[at] = mixed(pool[at], hashed(pool[source]))
    for word in (*entropy[4:], use):
        for at in range(4):
            pool[at] = mixed(pool[at], hashed(word))
    factor = 0x8B51F9DD
    low = [hashed(word, 0x58F38DED) for word in pool]
    return np.array([low[0] | low[1] << 32, low[2] | low[3] << 32], dtype=np.uint64)


def counts(seed: int, use: int, start: int, stop: int, among: int) -> Array:
    """How often each of the numbers below `among` is drawn in as many draws of each replicate.

    Shape (stop - start, among). The draws are `below` of `words`.
    """
    if NATIVE is not None and seed >= 0:
        found = np.empty((stop - start, among))
        NATIVE.counts(_key(seed, use), start * -(-among // _BLOCK) + 1, among, found)
        return found
    drawn = below(among, words(seed, use, start, stop, among))
    drawn += np.arange(stop - start)[:, None] * among
    counted = np.bincount(drawn.ravel(), minlength=(stop - start) * among)
    return counted.reshape(stop - start, among).astype(float)


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

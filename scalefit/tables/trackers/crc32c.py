"""CRC-32C (Castagnoli) of many short records at once, which plain Python does one byte at a time.

The checksum is linear: zeros in front of a record change nothing while the state is zero, so
records of different lengths are one matrix, and the usual start from all ones is added after.

Source: RFC 3720, appendix B.4, for the polynomial and test values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
_POLYNOMIAL = 0x82F63B78
_ONES = 0xFFFFFFFF


def crc32c(records: Sequence[bytes]) -> Words:
    """Checksum of each record, shape (records,).

    >>> [hex(int(crc)) for crc in crc32c([b"123456789", bytes(32)])]
    ['0xe3069283', '0x8a9136aa']
    """
    sums = np.zeros(len(records), np.uint32)
    for places in _alike(records):
        longest = max(len(records[i]) for i in places)
        padded = b"".join(records[i].rjust(longest, b"\0") for i in places)
        matrix = np.frombuffer(padded, np.uint8).reshape(len(places), longest)
        sums[places] = _zero_start(matrix)
    starts = np.array([_after_zeros(len(record)) for record in records], np.uint32)
    return sums ^ starts ^ np.uint32(_ONES)


def _alike(records: Sequence[bytes]) -> Iterator[list[int]]:
    """Places of records whose lengths are within a factor of two, so little is padded."""
    groups: dict[int, list[int]] = {}
    for place, record in enumerate(records):
        groups.setdefault(len(record).bit_length(), []).append(place)
    yield from groups.values()


def _zero_start(matrix: NDArray[np.uint8]) -> Words:
    state = np.zeros(len(matrix), np.uint32)
    table = _table()
    for column in np.ascontiguousarray(matrix.T):
        state = table[(state ^ column) & np.uint32(255)] ^ (state >> np.uint32(8))
    return state


@lru_cache
def _table() -> Words:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        odd = (table & 1).astype(np.bool_)
        table = np.where(odd, (table >> np.uint32(1)) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table.astype(np.uint32)


@lru_cache(maxsize=4096)
def _after_zeros(count: int) -> int:
    """All ones after `count` zero bytes.

    A zero byte maps the 32 bits linearly; squaring that map again and again takes log2(count)
    steps.
    """
    step = [_zero_byte(1 << bit) for bit in range(32)]
    state = _ONES
    while count:
        if count & 1:
            state = _applied(step, state)
        step = [_applied(step, image) for image in step]
        count >>= 1
    return state


def _zero_byte(state: int) -> int:
    return int(_table()[state & 255]) ^ (state >> 8)


def _applied(images: Sequence[int], state: int) -> int:
    """A linear map, given by its images of single bits, applied to `state`."""
    result = 0
    for bit, image in enumerate(images):
        if state >> bit & 1:
            result ^= image
    return result

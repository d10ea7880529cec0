"""Between Arrow columns and numpy arrays, without a copy more than needed and without pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from scalefit.core.observations import Array, BoolArray, IntArray

Mask = BoolArray
_NO_FLOATS: Any = pa.array([], pa.float64())
_NO_VALUES = np.frombuffer(b"", np.float64)


def floats(column: pa.ChunkedArray[Any]) -> Array:
    """A float64 column as a read-only array, shape (rows,); nulls become NaN."""
    filled = [chunk for chunk in column.chunks if len(chunk)]
    # A single chunk needs no copy, which matters for ten million rows.
    whole = filled[0] if len(filled) == 1 else pa.concat_arrays([_NO_FLOATS, *filled])
    data = whole.buffers()[1]
    if data is None or not len(whole):
        return _NO_VALUES
    # A buffer may be longer than its values by any number of bytes; an offset says where they are.
    values = np.frombuffer(memoryview(data), np.float64, len(whole), whole.offset * 8)
    if whole.null_count:
        return np.where(flags(pa.chunked_array([whole.is_null()])), np.nan, values)
    return values


def flags(column: pa.ChunkedArray[Any]) -> Mask:
    """A column of truth values without nulls as an array, shape (rows,)."""
    return np.equal(floats(column.cast(pa.int8()).cast(pa.float64())), 1)


def column_of(values: Array) -> pa.Array[Any]:
    """A float64 Arrow column without nulls that holds `values`."""
    whole = np.ascontiguousarray(values, np.float64)
    return pa.Array.from_buffers(pa.float64(), whole.size, [None, pa.py_buffer(whole.data)])


def alike(keys: Sequence[Array]) -> IntArray:
    """A number for each row, equal where all of some keys of shape (rows,) are, shape (rows,)."""
    order = np.lexsort(keys)
    new = np.zeros(order.size, np.bool_)
    for key in keys:
        new[1:] |= key[order][1:] != key[order][:-1]
    number = np.empty(order.size, np.int64)
    number[order] = np.cumsum(new)
    return number


def codes(column: pa.ChunkedArray[Any]) -> tuple[IntArray, tuple[str, ...]]:
    """A column without nulls, of any type, as labels.

    Returns:
        For each row the place of its label, shape (rows,), and the labels, sorted as text.
    """
    text: Any = column.cast(pa.string())
    uniform = pa.concat_arrays([pa.array([], pa.string()), *text.chunks]).dictionary_encode()
    labels: list[str] = uniform.dictionary.to_pylist()
    order = sorted(range(len(labels)), key=labels.__getitem__)
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels))
    places = floats(pa.chunked_array([uniform.indices.cast(pa.float64())])).astype(np.int64)
    return rank[places], tuple(labels[i] for i in order)

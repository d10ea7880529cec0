"""Parquet: the first table of a report, unrounded, with the metadata of its fields."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa

from scalefit.core.records import dataclass
from scalefit.tables.reports.base import FORMATS, Report, first_table

_ROWS_PER_GROUP = 65_536


@dataclass(frozen=True)
class Parquet:
    """The same table gives the same bytes, however it was cut into chunks before."""

    name: ClassVar[str] = "parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def render(self, report: Report) -> bytes:
        """The table of the first section that has one.

        Raises:
            InputError: the report holds no table.
        """
        return table_bytes(first_table(report))


def table_bytes(table: pa.Table) -> bytes:
    """A table as a Parquet file: no time, host or path in it, row groups of fixed size."""
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=_ROWS_PER_GROUP, compression="zstd")
    return sink.getvalue().to_pybytes()


PARQUET = FORMATS.add(Parquet())

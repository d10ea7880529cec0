"""The rows of a table while it is still being decided which of them stay."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.observations import Array
from scalefit.core.records import dataclass, replace
from scalefit.tables.arrays import Mask
from scalefit.tables.columns import Assignment
from scalefit.tables.readers.base import Loaded


@dataclass(frozen=True, eq=False)
class Draft:
    """Everything about the rows while it is still being decided which of them stay.

    Attributes:
        values: Numeric role to its values in the unit of the role, shape (rows_read,).
        units: Numeric role to that unit.
        used: Which rows are still in use, shape (rows_read,).
        reasons: Row number, counted from 1, to why it is left out.
    """

    title: str
    assignment: Assignment
    loaded: Loaded
    values: Mapping[str, Array]
    units: Mapping[str, str]
    derived: Mapping[str, str]
    used: Mask
    reasons: Mapping[int, str]
    notes: tuple[Note, ...]

    def without(self, dropped: Mask, reason: Mapping[int, str] | str) -> Draft:
        """The same with the rows of `dropped` left out, if they were in use."""
        gone = np.flatnonzero(dropped & self.used) + 1
        told = {int(r): reason if isinstance(reason, str) else reason[int(r)] for r in gone}
        used = self.used & ~dropped
        return replace(self, used=used, reasons={**self.reasons, **told})

    def noting(self, *notes: Note) -> Draft:
        """The same with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def column(self, role: str) -> str:
        """What the values of a role are called in the source."""
        return self.assignment.columns.get(role, role)

    def valued(self, role: str, values: Array) -> Draft:
        """The same with other values of one role."""
        return replace(self, values={**self.values, role: values})

"""One file per format: from bytes to the columns that are wanted."""

from scalefit.tables.readers import csv, memory
from scalefit.tables.readers.base import READERS, CellError, Loaded, Opened, Reader, Source

__all__ = ["READERS", "CellError", "Loaded", "Opened", "Reader", "Source", "csv", "memory"]

"""Readers: from bytes to the columns that are wanted. A format is one file and adds itself."""

from scalefit.core.registry import import_all
from scalefit.tables.readers.base import (
    FOLDERS,
    READERS,
    CellError,
    FolderReader,
    Loaded,
    Opened,
    Reader,
    Source,
)

# A file dropped into this folder is a reader from then on: no list is kept by hand.
import_all(__name__, __path__)

__all__ = [
    "FOLDERS", "READERS", "CellError", "FolderReader", "Loaded", "Opened", "Reader", "Source",
]  # fmt: skip

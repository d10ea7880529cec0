"""Readers: from bytes to the columns that are wanted. A format is one file and adds itself."""

from importlib import import_module
from pkgutil import iter_modules

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
for _module in sorted(found.name for found in iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")

__all__ = [
    "FOLDERS", "READERS", "CellError", "FolderReader", "Loaded", "Opened", "Reader", "Source",
]  # fmt: skip

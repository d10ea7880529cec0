"""Reports: one story, many formats. A format is one file and adds itself to FORMATS."""

from importlib import import_module
from pkgutil import iter_modules

from scalefit.tables.reports.base import FORMATS, Figure, Report, Section, format_for

# A file dropped into this folder is a format from then on: no list is kept by hand.
for _module in sorted(found.name for found in iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")

from scalefit.tables.reports.write import (  # noqa: E402  (after the formats)
    require_place,
    write,
    write_folder,
)

__all__ = [
    "FORMATS",
    "Figure",
    "Report",
    "Section",
    "format_for",
    "require_place",
    "write",
    "write_folder",
]

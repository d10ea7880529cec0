"""Reports: one story, many formats. A format is one file and adds itself to FORMATS."""

from scalefit.core.registry import import_all
from scalefit.tables.reports.base import FORMATS, Figure, Report, Section, format_for

# A file dropped into this folder is a format from then on: no list is kept by hand.
import_all(__name__, __path__)

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

"""Reports: one story, many formats. A format is one file and adds itself to FORMATS."""

from scalefit.tables.reports.base import FORMATS, Figure, Report, Section

__all__ = ["FORMATS", "Figure", "Report", "Section"]

"""The wing of tables: files to a RunTable and on to arrays, results to reports and figures."""

from scalefit.tables.read import read
from scalefit.tables.runs import Exclusion, RunTable
from scalefit.tables.select import select

__all__ = ["Exclusion", "RunTable", "read", "select"]

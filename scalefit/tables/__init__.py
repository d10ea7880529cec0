"""The wing of tables: files to a RunTable and on to arrays, results to reports and figures."""

from scalefit.tables.runs import Exclusion, RunTable

__all__ = ["Exclusion", "RunTable"]

"""Other people's solvers behind one Protocol: slow references for the quick one, each a file."""

from scalefit.core.registry import import_all
from scalefit.inference.solvers.base import SOLVERS, Solver

import_all(__name__, __path__)

__all__ = ["SOLVERS", "Solver"]

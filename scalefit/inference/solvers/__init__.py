"""Other people's solvers behind one Protocol: slow references for the quick one, each a file."""

from importlib import import_module
from pkgutil import iter_modules

from scalefit.inference.solvers.base import SOLVERS, Solver

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["SOLVERS", "Solver"]

"""How sure one may be: methods behind one Protocol, each a file that adds itself to METHODS."""

from importlib import import_module
from pkgutil import iter_modules

from scalefit.inference.uncertainty.base import METHODS, Draws, Interval, Method, draw, interval

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["METHODS", "Draws", "Interval", "Method", "draw", "interval"]

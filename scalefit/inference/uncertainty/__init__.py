"""How sure one may be: methods behind one Protocol, each a file that adds itself to METHODS."""

from scalefit.inference.uncertainty.base import METHODS, Draws, Interval, Method, draw, interval

__all__ = ["METHODS", "Draws", "Interval", "Method", "draw", "interval"]

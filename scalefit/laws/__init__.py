"""The library of laws: a law, a file. Every module here that declares one is found by itself."""

from importlib import import_module
from pkgutil import iter_modules

from scalefit.laws.base import LAWS, Derived, Law, Parameter

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["LAWS", "Derived", "Law", "Parameter"]

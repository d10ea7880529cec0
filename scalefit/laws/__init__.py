"""The library of laws: a law, a file. Every module here that declares one is found by itself."""

from scalefit.laws.base import LAWS, Derived, Law, Parameter

__all__ = ["LAWS", "Derived", "Law", "Parameter"]

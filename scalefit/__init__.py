"""Fit neural scaling laws; say how sure one may be."""
__version__ = "0.1.0"

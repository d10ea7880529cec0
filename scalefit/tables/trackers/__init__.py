"""Logs of trackers to runs: a tracker, a file. Every module here that declares one is found."""

from importlib import import_module
from pkgutil import iter_modules

from scalefit.tables.trackers.base import TRACKERS, Log, Run, Tracker
from scalefit.tables.trackers.walk import claimant, open_folder, open_log

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["TRACKERS", "Log", "Run", "Tracker", "claimant", "open_folder", "open_log"]

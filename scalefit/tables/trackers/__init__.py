"""Logs of trackers to runs: a tracker, a file. Every module here that declares one is found."""

from scalefit.core.registry import import_all
from scalefit.tables.trackers.base import TRACKERS, Log, Run, Tracker
from scalefit.tables.trackers.walk import claimant, open_folder, open_log

import_all(__name__, __path__)

__all__ = ["TRACKERS", "Log", "Run", "Tracker", "claimant", "open_folder", "open_log"]

"""torchtitan's console log: `step: 10  loss: 8.12345  grad_norm: 1.2345  ...`.

The loss has the names that torchtitan gives it in W&B and TensorBoard.

Source: the metrics logger of torchtitan 0.3.
"""

from __future__ import annotations

import re

from scalefit.tables.trackers.base import TRACKERS
from scalefit.tables.trackers.console import Heard, console_tracker, number

_COLOUR = r"(?:\x1b\[\d+m)?"
_MARK = rf"step: +\d+ +{_COLOUR}loss: +-?(\d|nan)"
_STEP = re.compile(r"(validate )?step: +(\d{1,15})  +(loss: .*)")
_PART = re.compile(r"(\w+): +(-?[\d.,]+(?:e[+-]?\d+)?|nan|inf)")
_PARAMETERS = re.compile(r"size: ([\d,]+) total parameters")
_LOSS = {None: "loss_metrics/global_avg_loss", "validate ": "validation_metrics/loss"}


def hear(heard: Heard, line: str) -> None:
    """A step, a validation, the number of parameters, or nothing."""
    if step := _STEP.search(line):
        values = {}
        for name, text in _PART.findall(step[3]):
            spelt = number(text)
            if spelt is not None and (name == "loss" or not step[1]):
                values[_LOSS[step[1]] if name == "loss" else name] = spelt
        heard.add(float(step[2]), values)
    elif count := _PARAMETERS.search(line):
        heard.config["total_params"] = int(count[1].replace(",", "")[:18] or 0)


TORCHTITAN = TRACKERS.add(console_tracker("torchtitan", "console logs of torchtitan", _MARK, hear))

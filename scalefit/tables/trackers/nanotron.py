"""nanotron's console log: `iteration: 10 / 100 | consumed_tokens: 3.07K | ... | lm_loss: 2.34`.

Source: the logger of nanotron 0.4.
"""

from __future__ import annotations

import re

from scalefit.tables.trackers.base import TRACKERS
from scalefit.tables.trackers.console import Heard, console_tracker, short_number

_MARK = r"iteration: \d+ / \d+ \| .{0,2000}lm_loss: "
_STEP = re.compile(r"iteration: (\d{1,15}) / \d+ \| (.*)")
_PARAMETERS = re.compile(r"Total number of parameters: ([\d.]+[KMGTPE]?)")


def hear(heard: Heard, line: str) -> None:
    """A step, the number of parameters, or nothing."""
    if step := _STEP.search(line):
        values = {}
        for part in step[2].split(" | "):
            name, _, value = part.partition(": ")
            spelt = short_number(value)
            if spelt is not None:
                values[name.strip()] = spelt
        heard.add(float(step[1]), values)
    elif (count := _PARAMETERS.search(line)) and (size := short_number(count[1])) is not None:
        heard.config["total_params"] = size


NANOTRON = TRACKERS.add(
    console_tracker(
        "nanotron", "console logs of nanotron", _MARK, hear,
        rounded="three digits; its W&B or TensorBoard log has them all",
    )
)  # fmt: skip

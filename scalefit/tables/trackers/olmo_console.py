"""OLMo's and OLMo-core's console log: `[step=10/1000,epoch=1]` and indented `name=value` lines.

Source: the console callback of ai2-olmo-core 3.0.
"""

from __future__ import annotations

import re

from scalefit.tables.trackers.base import TRACKERS
from scalefit.tables.trackers.console import Heard, console_tracker, short_number

_MARK = r"\[step=\d+/[\d?,]+, ?epoch=\d+"
_STEP = re.compile(r"\[step=(\d{1,15})/[\d?,]+, ?epoch=")
_VALUE = re.compile(r"^\s+(\S[^=]*)=([-\d.,]+(?:E[+-]?\d+|[BTPE])?|nan|-?inf)$")
# The step that the values below belong to; no setting has this name.
_AT = "[step"


def hear(heard: Heard, line: str) -> None:
    """The step of the next lines, one value, or nothing."""
    if step := _STEP.search(line):
        heard.config[_AT] = int(step[1])
    elif (value := _VALUE.match(line)) and _AT in heard.config:
        spelt = short_number(value[2])
        if spelt is not None:
            heard.add(float(heard.config[_AT]), {value[1].strip(): spelt})
    elif line.strip():
        # Anything else ends the block.
        heard.config.pop(_AT, None)


def finish(heard: Heard) -> None:
    """The last block may still be open."""
    heard.config.pop(_AT, None)


OLMO_CONSOLE = TRACKERS.add(
    console_tracker(
        "olmo-console", "console logs of OLMo", _MARK, hear, finish=finish,
        rounded="four digits; metrics.json and the W&B log have them all",
    )
)  # fmt: skip

"""Megatron-LM's console log: ` iteration i/n | consumed samples: ... | lm loss: 2.345E+00 |`.

Tokens are samples times the sequence length, which the settings printed at the start give.

Source: the format as Megatron-LM's training loop prints it; forks add and leave out fields.
"""

from __future__ import annotations

import re

from scalefit.tables.trackers.base import TRACKERS, is_number
from scalefit.tables.trackers.console import Heard, console_tracker, number
from scalefit.tables.trackers.nested import typed

_MARK = r"iteration +\d+/ *\d+ \|.{0,2000}\blm loss: "
_STEP = re.compile(r"iteration +(\d{1,15})/ *\d+ \|(.*)")
_HELD_OUT = re.compile(r"(validation|test) loss at iteration (\d{1,15})[^|]{0,200}\|(.*)")
_SETTING = re.compile(r"^(?:\[?[\w\-]+\]?:)?\s+([a-z]\w*) \.{2,} (.*)$")
_PARAMETERS = re.compile(
    r"number of parameters on \(tensor, pipeline\) model parallel rank \((\d+), (\d+)\): (\d+)"
)


def hear(heard: Heard, line: str) -> None:
    """A step, a validation, a setting, or nothing."""
    if step := _STEP.search(line):
        heard.add(float(step[1]), _fields(step[2]))
    elif held_out := _HELD_OUT.search(line):
        values = _fields(held_out[3])
        renamed = {name.replace("lm loss value", "loss"): v for name, v in values.items()}
        split = held_out[1]
        heard.add(float(held_out[2]), {f"{split} {name}": v for name, v in renamed.items()})
    elif setting := _SETTING.match(line):
        heard.config[setting[1]] = typed(setting[2].strip())
    elif count := _PARAMETERS.search(line):
        heard.config[f"parameters on rank ({count[1]}, {count[2]})"] = int(count[3][:18])


def _fields(text: str) -> dict[str, float]:
    """`name: value` parts between bars."""
    found = {}
    for part in text.split("|"):
        name, _, value = part.rpartition(":")
        spelt = number(value)
        if name.strip() and spelt is not None:
            found[name.strip()] = spelt
    return found


def finish(heard: Heard) -> None:
    """Tokens where the sequence length is known; parameters where one rank holds them all."""
    length = heard.config.get("seq_length")
    samples = heard.history.series.get("consumed samples")
    if is_number(length) and samples:
        assert isinstance(length, int | float)
        for step, count in zip(*samples, strict=True):
            heard.history.add("consumed tokens", step, count * length)
    ranks = [name for name in heard.config if name.startswith("parameters on rank")]
    if ranks == ["parameters on rank (0, 0)"]:
        heard.config["parameters"] = heard.config.pop(ranks[0])


MEGATRON = TRACKERS.add(
    console_tracker("megatron", "console logs of Megatron-LM", _MARK, hear, finish=finish)
)

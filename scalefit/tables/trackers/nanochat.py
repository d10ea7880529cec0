"""nanochat's console log: `step 00010/01000 (1.00%) | loss: 9.876543 | ...`, bits per byte beside.

Tokens are steps times the batch, which is printed at the start.

Source: the format as nanochat's pretraining script prints it.
"""

from __future__ import annotations

import re

from scalefit.tables.trackers.base import TRACKERS, is_number
from scalefit.tables.trackers.console import Heard, console_tracker, number

_MARK = r"step \d+/\d+ \([\d.]+%\) \| loss: "
_STEP = re.compile(r"step (\d{1,15})/\d+ \([\d.]+%\) \|(.*)")
_BPB = re.compile(r"Step (\d{1,15}) \| Validation bpb: ([\d.]+)")
_SETTINGS = {
    "num_params": re.compile(r"Number of parameters: ([\d,]+)"),
    "batch_tokens": re.compile(r"Total batch size ([\d,]+)"),
    "n_layers": re.compile(r"num_layers: (\d+)"),
    "model_dim": re.compile(r"model_dim: (\d+)"),
    "vocab_size": re.compile(r"Vocab size: ([\d,]+)"),
    "flops_per_token": re.compile(r"FLOPs per token: ([\d.]+e\+?\d+)"),
}
_PART = re.compile(r"([\w/ ]+): (-?[\d.,]+)")


def hear(heard: Heard, line: str) -> None:
    """A step, a validation, settings, or nothing."""
    if step := _STEP.search(line):
        found = {name.strip(): number(text) for name, text in _PART.findall(step[2])}
        heard.add(float(step[1]), {f"train/{k}" if k == "loss" else k: v
                                   for k, v in found.items() if v is not None})  # fmt: skip
    elif bpb := _BPB.search(line):
        value = number(bpb[2])
        heard.add(float(bpb[1]), {} if value is None else {"val_bpb": value})
    else:
        for name, pattern in _SETTINGS.items():
            if (match := pattern.search(line)) and (value := number(match[1])) is not None:
                heard.config[name] = int(value) if value.is_integer() else value


def finish(heard: Heard) -> None:
    """Tokens at every step, where the batch is known."""
    batch = heard.config.get("batch_tokens")
    if not is_number(batch):
        return
    assert isinstance(batch, int | float)
    steps = {step for at, _ in heard.history.series.values() for step in at}
    for step in sorted(steps):
        heard.history.add("tokens", step, step * batch)


NANOCHAT = TRACKERS.add(
    console_tracker("nanochat", "console logs of nanochat", _MARK, hear, finish=finish)
)

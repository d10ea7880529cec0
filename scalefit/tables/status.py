"""How each run ended: failed runs go out with a reason, unfinished ones are told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.numbers import human
from scalefit.core.observations import Array
from scalefit.core.sorting import median
from scalefit.tables import where
from scalefit.tables.arrays import Mask
from scalefit.tables.doubts import RUNS_CENSORED, SCHEDULE_UNFINISHED

FAILED = frozenset(
    {"diverged", "failed", "crashed", "error", "nan", "oom", "killed", "aborted", "broken"}
)
_UNFINISHED = frozenset(
    {"early-stopped", "earlystopped", "stopped", "running", "unfinished", "preempted", "partial"}
)
_NO = frozenset({"false", "no", "0", "f", "n", "0.0"})
_EARLY = {"status": _UNFINISHED, "schedule_done": _NO}
_UNEVEN = 2.0


def failed(words: Sequence[object]) -> Mask:
    """Rows whose status says that the run came to nothing, shape (rows,)."""
    return _among(words, FAILED)


def unfinished_notes(told: Mapping[str, tuple[str, Sequence[object]]], used: Mask) -> list[Note]:
    """A note where rows in use were read mid-schedule, with the condition that leaves them out.

    Args:
        told: Each of the roles `status` and `schedule_done` that is played to its column's name
            and its cells, a word for each row.
        used: Rows in use, shape (rows,).
    """
    early = np.zeros_like(used)
    without = []
    for role, (name, words) in told.items():
        hit = _among(words, _EARLY[role]) & used
        early |= hit
        if hit.any():
            said = {str(words[i]) for i in np.flatnonzero(hit).tolist()}
            without.append(where.none_of(name, said))
    if not early.any():
        return []
    return [
        SCHEDULE_UNFINISHED.note(
            f"{int(early.sum())} of {int(used.sum())} losses were read before the schedule"
            " was done: they are not final losses of runs of that length; leave them out with"
            f" {where.flag(' and '.join(without))}"
        )
    ]


def censored_notes(gone: Mask, values: Mapping[str, Array]) -> list[Note]:
    """A note where failed runs are missing more often at one end of the scale."""
    role = next((r for r in ("C", "N", "D", "x") if r in values), None)
    if role is None or not gone.any():
        return []
    scale = values[role]
    known = np.isfinite(scale)
    large = scale > median(scale[known])
    share = [float(gone[known & part].mean()) for part in (~large, large) if (known & part).any()]
    if len(share) < 2 or max(share) < _UNEVEN * min(share):
        return []
    worst = float(median(scale[gone & known])) if (gone & known).any() else float("nan")
    return [
        RUNS_CENSORED.note(
            f"{int(gone.sum())} of {gone.size} runs are left out as failed: {share[0]:.0%} of the"
            f" smaller half and {share[1]:.0%} of the larger ({role} about {human(worst)});"
            " the law describes runs that survived"
        )
    ]


def _among(words: Sequence[object], known: frozenset[str]) -> Mask:
    folded = [str(word).strip().casefold().replace("_", "-").replace(" ", "-") for word in words]
    return np.array([word in known for word in folded], np.bool_)

"""How each run ended: failed runs go out with a reason, unfinished ones are told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.numbers import human
from scalefit.core.observations import Array
from scalefit.core.sorting import median
from scalefit.tables.arrays import Mask
from scalefit.tables.doubts import RUNS_CENSORED, SCHEDULE_UNFINISHED

FAILED = frozenset(
    {"diverged", "failed", "crashed", "error", "nan", "oom", "killed", "aborted", "broken"}
)
_UNFINISHED = frozenset(
    {"early-stopped", "earlystopped", "stopped", "running", "unfinished", "preempted", "partial"}
)
_NO = frozenset({"false", "no", "0", "f", "n", "0.0"})
_UNEVEN = 2.0


def failed(words: Sequence[object]) -> Mask:
    """Rows whose status says that the run came to nothing, shape (rows,)."""
    return _among(words, FAILED)


def unfinished(status: Sequence[object] | None, done: Sequence[object] | None) -> Mask | None:
    """Rows whose loss was read before the schedule ended; None where no column could say so."""
    early = [_among(words, known) for words, known in ((status, _UNFINISHED), (done, _NO)) if words]
    return np.logical_or.reduce(early) if early else None


def unfinished_notes(early: Mask | None, used: Mask) -> list[Note]:
    """A note where rows in use were read mid-schedule."""
    if early is None or not (early & used).any():
        return []
    return [
        SCHEDULE_UNFINISHED.note(
            f"{int((early & used).sum())} of {int(used.sum())} losses were read before the schedule"
            " was done: they are not final losses of runs of that length; leave them out with"
            " --where"
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

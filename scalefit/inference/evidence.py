"""What counts as one piece of evidence: runs and their copies, shared errors, known noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.observations import Array, IntArray, Observations
from scalefit.core.sorting import distinct, median
from scalefit.core.tails import f_tail
from scalefit.inference import doubts
from scalefit.inference.fitting import Fit

# What a law's scatter is judged by: repeated runs from so many degrees of freedom on, times this;
# else what laws of validation losses leave, 0.3 to 0.8 % of the loss (method.md 1.6), and no more.
ENOUGH_REPEATS, TIMES_NOISE, MOST_SCATTER = 5, 1.5, 0.015
_MANY_CHECKPOINTS = 10
_FEWEST_ROWS = 20
_RISING = 0.95
_TRAILING = 0.5
_LEAST_SHARE = 0.1  # of the run noise in a row's variance: no row outweighs all others


@dataclass(frozen=True)
class PureError:
    """Noise that runs of one setting show without any law.

    Attributes:
        sd: Standard deviation of the log loss between runs of one setting; nan without any.
        df: Degrees of freedom, the sum of (runs of a setting - 1).
        settings: Settings that were run more than once.
    """

    sd: float
    df: int
    settings: int


@dataclass(frozen=True)
class Kinship:
    """How alike rows of one group err.

    Attributes:
        by: What makes a group, such as `N`.
        groups: How many there are.
        correlation: Intra-class correlation of the residuals; may be negative.
        p_value: Of no correlation, by the F test of a one-way layout.
    """

    by: str
    groups: int
    correlation: float
    p_value: float


def pure_error(runs: Observations) -> PureError:
    """The noise floor from runs that share every setting, input of the law or not, but no cluster.

    Runs that differ in what the law does not look at, such as unique tokens, are no repeats: their
    differences are what the law misses, and must not excuse it.
    """
    pairs, inverse = np.unique(
        np.stack([setting_of(runs), runs.cluster], axis=1), axis=0, return_inverse=True
    )
    inverse = inverse.ravel()
    # Rows of one cluster at one setting are one run read twice.
    loss = np.bincount(inverse, np.log(np.maximum(runs.loss, 1e-300))) / np.bincount(inverse)
    counts = np.bincount(pairs[:, 0])
    mean = np.bincount(pairs[:, 0], loss) / np.maximum(counts, 1)
    df = int((counts - 1).clip(0).sum())
    squares = float(((loss - mean[pairs[:, 0]]) ** 2).sum())
    sd = float(np.sqrt(squares / df)) if df else float("nan")
    return PureError(sd, df, int((counts > 1).sum()))


def setting_of(runs: Observations) -> IntArray:
    """The setting of each row as 0..S-1, shape (n,): inputs of the law and what else was set."""
    parts: list[Array] = [
        np.asarray(np.round(np.log(v), 9), np.float64) for v in runs.inputs.values()
    ]
    if "setting" in runs.beside:
        parts.append(runs.beside["setting"])
    _, setting = np.unique(np.stack(parts, axis=1), axis=0, return_inverse=True)
    return np.asarray(setting.ravel(), dtype=np.int64)


def kinship(by: str, residual: Array, label: IntArray) -> Kinship | None:
    """Intra-class correlation of residuals of shape (n,); None where no group holds two rows.

    Source: Searle, Casella & McCulloch 1992, section 3.5 (analysis of variance, unequal sizes).
    """
    _, group = np.unique(label, return_inverse=True)
    size = np.bincount(group).astype(float)
    n, k = float(residual.size), size.size
    if k < 2 or n <= k:
        return None
    mean = np.bincount(group, residual) / size
    between = float((size * (mean - residual.mean()) ** 2).sum()) / (k - 1)
    within = float(((residual - mean[group]) ** 2).sum()) / (n - k)
    if between + within <= 0:
        return None
    typical = (n - float((size**2).sum()) / n) / (k - 1)
    correlation = (between - within) / (between + (typical - 1) * within)
    ratio = between / within if within > 0 else np.inf
    return Kinship(by, k, float(correlation), float(f_tail(k - 1, n - k, ratio)))


def groupings(runs: Observations) -> dict[str, IntArray]:
    """Ways in which rows may share an error, each shape (n,).

    By cluster, group, setting and model size: what all runs of one setting have in common is the
    law's miss there, and no number of seeds averages it out.
    """
    found = {}
    if runs.clusters < runs.n:
        found[runs.cluster_name] = runs.cluster
    if "group" in runs.beside:
        found["group"] = runs.beside["group"].astype(np.int64)
    if "N" in runs.inputs:
        found["N"] = np.unique(np.round(np.log(runs.inputs["N"]), 6), return_inverse=True)[1]
    if pure_error(runs).settings:
        found["setting"] = setting_of(runs)
    return {name: np.asarray(label, dtype=np.int64) for name, label in found.items()}


def rows_that_are_no_runs(fit: Fit) -> list[Note]:
    """A refusal where rows stand for independent runs but are checkpoints of a few."""
    runs = fit.runs
    if runs.clusters < runs.n:
        return []
    named = runs.beside.get("run")
    if named is not None and distinct(named).size < runs.n and _grow_within(runs, named):
        return [
            doubts.ROWS_ARE_NOT_RUNS.note(
                f"{runs.n} rows are checkpoints of {distinct(named).size} runs; intervals of "
                "independent rows would cover far less than they say: leave --cluster row out"
            )
        ]
    if named is not None or not {"N", "D"} <= set(runs.inputs):
        return []
    sizes = distinct(runs.inputs["N"]).size
    if runs.n < _FEWEST_ROWS or runs.n < _MANY_CHECKPOINTS * sizes:
        return []
    if not _look_like_checkpoints(fit):
        return []
    return [
        doubts.ROWS_ARE_NOT_RUNS.note(
            f"{runs.n} rows look like checkpoints of {sizes} runs (D grows row by row at equal N, "
            "and neighbours err alike); intervals of independent rows would cover about 40 %, not "
            "95 %: name the run with --col run=NAME, or use --cluster size"
        )
    ]


def _grow_within(runs: Observations, run: Array) -> bool:
    """Whether the rows of one run are of one size: checkpoints, not runs of one name."""
    if "N" not in runs.inputs:
        return True
    pairs = np.stack([run, np.log(runs.inputs["N"])], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    return bool(first.size == distinct(run).size)


def _look_like_checkpoints(fit: Fit) -> bool:
    """Tokens rise from row to row of the file at equal N, and so do errors go together."""
    runs = fit.runs
    order = np.lexsort((runs.row, runs.inputs["N"]))
    size, tokens, residual = runs.inputs["N"][order], runs.inputs["D"][order], fit.residual[order]
    same = size[1:] == size[:-1]
    rising = tokens[1:] > tokens[:-1]
    if not same.any() or rising[same].mean() < _RISING:
        return False
    pairs = np.stack([residual[1:][same], residual[:-1][same]])
    bound = 3 * float(median(np.abs(residual))) / 0.6745
    pairs = np.clip(pairs, -bound, bound)
    return bool(pairs.std(axis=1).min() > 0 and np.corrcoef(pairs)[0, 1] > _TRAILING)


def weighed_by_loss_se(fit: Fit, noise: float) -> tuple[Observations, Note] | None:
    """The runs with each row weighed by its known variance; None if that changes nothing.

    A row's variance is that of a run about the law, less the average error of evaluation, plus
    the row's own squared `loss_se`; the first part is the pure error where replicates show it.

    Args:
        fit: A fit without these weights.
        noise: Standard deviation of a run about the law, relative to the loss.
    """
    runs = fit.runs
    if "loss_se" not in runs.beside:
        return None
    error = runs.beside["loss_se"] / runs.loss
    known = np.isfinite(error) & (error >= 0)
    if not known.any():
        return None
    error = np.where(known, error, median(error[known])) ** 2
    floor = pure_error(runs)
    total = noise**2
    own = floor.sd**2 if floor.df >= 3 else total - float(np.mean(error))
    own = max(own, _LEAST_SHARE * total)
    weight = 1 / (own + error)
    weight *= runs.n / weight.sum()
    if np.ptp(weight) <= 0.01:
        return None
    told = doubts.WEIGHED_BY_LOSS_SE.note(
        f"rows are weighed by 1/(s^2 + loss_se^2) with a run noise s of {np.sqrt(own):.2%} of the "
        f"loss: weights from {weight.min():.2g} to {weight.max():.2g}"
    )
    return replace(runs, weight=runs.weight * weight), told

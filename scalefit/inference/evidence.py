"""What counts as one piece of evidence: runs and their copies, shared errors, known noise."""

from __future__ import annotations

import numpy as np

from scalefit.core.notes import Note
from scalefit.core.observations import Array, IntArray, Observations
from scalefit.core.records import dataclass, replace
from scalefit.core.sorting import distinct, median
from scalefit.core.tails import f_tail
from scalefit.inference import doubts
from scalefit.inference.fitting import Fit
from scalefit.inference.residuals import PERFECT, basis, evaluated

# What a law's scatter is judged by: repeated runs from so many degrees of freedom on, times this;
# else what laws of validation losses leave, 0.3 to 0.8 % of the loss (method.md 1.6), and no more.
ENOUGH_REPEATS, TIMES_NOISE, MOST_SCATTER = 5, 1.5, 0.015
FEWEST_GROUPS, LEAST_KINSHIP, KINSHIP_LEVEL = 5, 0.1, 0.05  # method.md 1.1, and a 5 % test
_MANY_CHECKPOINTS = 10
_FEWEST_ROWS = 20
_RISING = 0.95
_TRAILING = 0.5
_ROUNDING = 1e-12  # of a unit vector's squared length
_LEAST_FREE = 1e-6  # degrees of freedom between groups that a law leaves
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
        correlation: Intra-class correlation of the errors; may be negative.
        p_value: Of a correlation no higher, were the errors independent.
        rows: Rows of a typical group.
    """

    by: str
    groups: int
    correlation: float
    p_value: float
    rows: float

    @property
    def shown(self) -> bool:
        """Whether the runs show it: beyond chance, of some size, over five groups or more."""
        return (
            self.groups >= FEWEST_GROUPS
            and self.correlation > LEAST_KINSHIP
            and self.p_value < KINSHIP_LEVEL
        )

    @property
    def design_effect(self) -> float:
        """Rows that are worth one independent row, 1 where the correlation is 0.1 or less.

        Source: Kish 1965, section 8.2.
        """
        if not self.correlation > LEAST_KINSHIP:
            return 1.0
        return 1 + (self.rows - 1) * min(self.correlation, 1.0)


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


def kinships(fit: Fit) -> dict[str, Kinship]:
    """How alike rows of one group err about a law, by those `groupings` whose rows tell it."""
    kept = fit.runs.weight > 0
    residual, jacobian = evaluated(fit)
    found = {
        by: kinship(by, residual[kept], label[kept], jacobian[:, kept])
        for by, label in groupings(fit.runs).items()
    }
    return {by: one for by, one in found.items() if one is not None}


def kinship(by: str, residual: Array, label: IntArray, jacobian: Array) -> Kinship | None:
    """Intra-class correlation of the errors behind residuals; None where these do not tell it.

    A fit takes up part of what groups share, so that its residuals are less alike than the errors
    were: a law with two parameters for the size leaves six sizes three degrees of freedom. Both
    mean squares and their F test are those of residuals after the law's own columns. Without any
    they are the analysis of variance of a one-way layout.

    Args:
        by: What makes a group.
        residual: Of the log loss, shape (n,).
        label: Group of each row, shape (n,).
        jacobian: Derivatives of the residuals in the law's parameters, shape (p, n).

    Sources: Searle, Casella & McCulloch 1992, sections 3.6 and 5.5 (moments after other columns);
    Satterthwaite 1946, Biometrics Bulletin 2(6) (degrees of freedom between groups).
    """
    _, group = np.unique(label, return_inverse=True)
    size = np.bincount(group).astype(float)
    n, k = residual.size, size.size
    if k < 2 or not np.isfinite(residual).all() or np.abs(residual).max() < PERFECT:
        return None
    law = basis(np.stack([np.ones(n), *jacobian], axis=1))
    left = residual - law @ (law.T @ residual)
    # Each group's unit vector, and how much of it the law can draw, shape (rank, k).
    drawn = np.stack([np.bincount(group, column, k) for column in law.T]) / np.sqrt(size)
    taken = (drawn**2).sum(axis=0)
    crossed = drawn @ drawn.T
    seen = taken * -2 + np.einsum("ig,ij,jg->g", drawn, crossed, drawn) + 1
    free, squared = float((1 - taken).sum()), float(seen.sum())

    def within(values: Array) -> Array:
        return np.asarray(values - (np.bincount(group, values) / size)[group])

    inside = np.stack([within(column) for column in law.T], axis=1)
    own = basis(inside[:, (inside**2).sum(axis=0) > _ROUNDING])
    df = n - k - own.shape[1]
    if df < 1 or free < _LEAST_FREE:
        return None
    inner = within(left)
    noise = float(((inner - own @ (own.T @ inner)) ** 2).sum()) / df
    between = float((np.bincount(group, left) ** 2 / size).sum()) / free
    if between + noise <= 0:
        return None
    rows = float(size @ seen) / free
    correlation = (between - noise) / (between + (rows - 1) * noise)
    ratio = between / noise if noise > 0 else np.inf
    p_value = f_tail(free**2 / squared, df, ratio)
    return Kinship(by, k, float(correlation), float(p_value), rows)


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

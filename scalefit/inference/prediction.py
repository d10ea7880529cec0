"""Loss at points nobody trained: three nested intervals, the distance, and a word of trust."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from scalefit.core import flops
from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import counted, decades_of, human
from scalefit.core.observations import Array, Observations
from scalefit.core.records import dataclass
from scalefit.core.tails import t_quantile
from scalefit.inference import doubts
from scalefit.inference.fitting import Fit
from scalefit.inference.forecasts import LawError, growth, noise_of
from scalefit.inference.uncertainty import Draws, Interval, interval
from scalefit.laws.base import Law

Trust = Literal["inside", "near", "far", "speculative", "refused"]
MOST_SHOWN = 3  # points or budgets, where a whole answer is shown in a line


@dataclass(frozen=True, eq=False)
class Band:
    """Loss with its three nested intervals, each array of shape (m,).

    Attributes:
        loss: Point prediction.
        exact: If the law is exactly right: the mean loss.
        new_run: The same for one new run, with its noise.
        headline: With the law's own error beyond the data.
        share: Parts of the headline variance due to parameters, run noise and law error (3, m).
    """

    loss: Array
    exact: Interval
    new_run: Interval
    headline: Interval
    share: Array


@dataclass(frozen=True, repr=False)
class Prediction:
    """Predictions at m points.

    Attributes:
        points: Input to its values, shape (m,).
        scale: Compute or input that distance is measured in, shape (m,).
        band: The loss and its intervals.
        decades: Distance beyond the data, 0 inside, shape (m,): the farthest of the scale's and
            every input's.
        trust: A word for each point.
        notes: Doubts about each point; a refusal means that its numbers are withheld.
        law_error: Where the headline's width comes from.
        level: Of every interval.
        method: That made them, in words.
        df: Its degrees of freedom.
        average: Laws and their weights, where several are averaged.
    """

    points: Mapping[str, Array]
    scale: Array
    band: Band
    decades: Array
    trust: tuple[Trust, ...]
    notes: tuple[tuple[Note, ...], ...]
    law_error: LawError
    level: float
    method: str
    df: float
    average: tuple[tuple[str, float], ...] = ()

    def __repr__(self) -> str:
        """The first points with loss and headline: the whole would fill a screen of arrays."""
        ends = self.band.headline
        told = [
            self.trust[k]
            if self.trust[k] == "refused"
            else f"{human(float(loss), 4)} [{human(float(ends.low[k]), 4)}, "
            f"{human(float(ends.high[k]), 4)}] {self.trust[k]}"
            for k, loss in enumerate(self.band.loss[:MOST_SHOWN])
        ]
        more = ["..."] * (self.scale.size > MOST_SHOWN)
        return f"Prediction({counted(self.scale.size, 'point')}: {'; '.join(told + more)})"


def predict(
    fit: Fit,
    draws: Draws,
    error: LawError,
    points: Mapping[str, Array],
    *,
    level: float = 0.95,
    scale: Array | None = None,
    i_know: bool = False,
) -> Prediction:
    """Loss at the points.

    Args:
        fit: A usable fit.
        draws: Its refits.
        error: The law's error at one decade.
        points: Every input of the law to values of shape (m,), positive.
        level: Of the intervals.
        scale: Compute of each point, shape (m,); 6ND if it is not given or counted otherwise.
        i_know: Answer even further beyond the data than the data span.

    Raises:
        InputError: an input is missing or not positive.
    """
    values = _checked(fit, points)
    where = point_scale(fit.runs, values, scale)
    axes = axes_of(fit.runs, values, where)
    away = farthest(axes)
    band = loss_band(fit, draws, error, values, away, level)
    notes = tuple(_row_notes(fit.runs, values, axes, k, i_know) for k in range(where.size))
    return Prediction(
        points=values,
        scale=where,
        band=band,
        decades=away,
        trust=trust_words(axes, notes),
        notes=notes,
        law_error=error,
        level=level,
        method=draws.method.words,
        df=draws.df,
    )


def require_inputs(law: Law, points: Mapping[str, Any]) -> None:
    """Nothing, if points have every input of the law.

    Raises:
        InputError: they lack one.
    """
    for name in law.inputs:
        if name not in points:
            raise InputError(
                f"the point lacks {name}, an input of {law.name}",
                "give every input, such as --at " + ",".join(f"{n}=VALUE" for n in law.inputs),
            )


def _checked(fit: Fit, points: Mapping[str, Array]) -> dict[str, Array]:
    require_inputs(fit.law, points)
    values: dict[str, Array] = {}
    for name in fit.law.inputs:
        values[name] = np.atleast_1d(np.asarray(points[name], dtype=float))
        bad = np.flatnonzero(~(np.isfinite(values[name]) & (values[name] > 0)))
        if bad.size:
            raise InputError(
                f"point {bad[0] + 1}: {name} is {values[name][bad[0]]:g}, must be positive and "
                "finite"
            )
    if len({v.size for v in values.values()}) > 1:
        raise InputError("inputs of the points differ in length")
    return values


def point_scale(
    runs: Observations, points: Mapping[str, Array], given: Array | None = None
) -> Array:
    """Where points (m,) stand on the scale of the runs: the compute given if it is near 6ND.

    Else 6ND itself, as the compute of the runs was turned into; without compute the first input.
    """
    if runs.scale_name != "C" or not {"N", "D"} <= points.keys():
        return np.asarray(next(iter(points.values())))
    rule = flops.six_nd(points["N"], points["D"])
    if given is None:
        return rule
    return np.where(flops.agrees(points["N"], points["D"], given), given, rule)


def loss_band(
    fit: Fit,
    draws: Draws,
    error: LawError,
    points: Mapping[str, Array],
    decades: Array,
    level: float,
) -> Band:
    """Loss and intervals at points of shape (m,), at a distance of so many decades."""
    inputs = [points[name] for name in fit.law.inputs]
    loss = fit.law.predict(fit.theta[None], inputs)[0]
    loss = np.broadcast_to(loss, decades.shape).astype(float)
    values = np.broadcast_to(fit.law.predict(draws.theta, inputs), (len(draws.theta), loss.size))
    exact = interval(
        draws, loss, values, level, log=True, of=lambda theta: fit.law.predict(theta, inputs)
    )
    reach = t_quantile((1 + level) / 2, draws.df)
    noise = noise_of(fit, fit.scale, int((fit.runs.weight > 0).sum()))
    if not fit.problem.log_target:
        typical = float(np.exp(np.mean(np.log(fit.problem.target))))
        run = (noise * typical / loss) ** 2
    else:
        run = np.full(loss.shape, noise**2)
    law = (error.tau * growth(decades)) ** 2
    parts = np.stack([np.nan_to_num(exact.se) ** 2, run, law])
    total = np.maximum(parts.sum(axis=0), 1e-300)
    return Band(
        loss=loss,
        exact=exact,
        new_run=widened(exact, reach, run),
        headline=widened(exact, reach, run + law),
        share=parts / total,
    )


def widened(exact: Interval, reach: float, variance: Array) -> Interval:
    """The interval with independent variance added to each side, in log loss; still nested."""
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.log(exact.value)
        down = np.sqrt((middle - np.log(exact.low)) ** 2 + reach**2 * variance)
        up = np.sqrt((np.log(exact.high) - middle) ** 2 + reach**2 * variance)
    se = np.sqrt(exact.se**2 + variance)
    return Interval(exact.value, se, np.exp(middle - down), np.exp(middle + up))


@dataclass(frozen=True, eq=False)
class Axis:
    """How far m points lie outside the runs in one quantity.

    Attributes:
        name: Of the quantity.
        low: Its least value among the runs.
        high: Its largest.
        values: Of the points, shape (m,).
        decades: Distance outside the runs, 0 inside, shape (m,).
    """

    name: str
    low: float
    high: float
    values: Array
    decades: Array

    @property
    def span(self) -> float:
        """Decades that the runs span."""
        return float(np.log10(self.high / self.low))


def axes_of(runs: Observations, points: Mapping[str, Array], scale: Array) -> tuple[Axis, ...]:
    """The scale, first, and every input that the points have, with their distances.

    Compute inside the runs says nothing of a point that is ten times larger than any of them and
    saw as many tokens less: a wrong law is wrong there all the same.
    """
    seen = {runs.scale_name: runs.scale, **{name: runs.inputs[name] for name in points}}
    asked = {runs.scale_name: np.asarray(scale, dtype=float), **points}
    if {"U", "D"} <= points.keys():
        # Unique tokens matter by how often they are read, once at least.
        for values in (seen, asked):
            values["epochs"] = np.maximum(values["D"] / values.pop("U"), 1.0)
    return tuple(_axis(name, seen[name], asked[name]) for name in asked)


def _axis(name: str, known: Array, values: Array) -> Axis:
    low, high = float(known.min()), float(known.max())
    log = np.log10(values)
    beyond = np.maximum(np.maximum(log - np.log10(high), np.log10(low) - log), 0.0)
    # A target typed as the largest run's own compute is inside whatever its last digit.
    return Axis(name, low, high, values, np.where(beyond < 1e-6, 0.0, beyond))


def farthest(axes: Sequence[Axis]) -> Array:
    """Decades outside the runs on the axis on which a point lies farthest out, shape (m,)."""
    return np.asarray(np.max([axis.decades for axis in axes], axis=0))


def trust(decades: float, span: float) -> Trust:
    """A word for a distance beyond data of a span: inside, near (half a decade), far (1.5)."""
    if decades == 0:
        return "inside"
    if decades > 1.5 or decades > span / 2:
        return "speculative"
    return "near" if decades <= 0.5 else "far"


def least(words: Sequence[Trust]) -> Trust:
    """The word of the least trust."""
    return max(words, key=get_args(Trust).index)


def trust_words(axes: Sequence[Axis], notes: Sequence[Sequence[Note]]) -> tuple[Trust, ...]:
    """The least word of any axis for each point, `refused` where its notes refuse an answer."""
    return tuple(
        "refused"
        if any(n.severity == "refusal" for n in told)
        else least([trust(float(axis.decades[k]), axis.span) for axis in axes])
        for k, told in enumerate(notes)
    )


def _row_notes(
    runs: Observations, points: Mapping[str, Array], axes: Sequence[Axis], k: int, i_know: bool
) -> tuple[Note, ...]:
    notes = distance_notes(axes, k, i_know=i_know)
    if "N" in points and "D" in points and {"N", "D"} <= set(runs.inputs):
        notes += ratio_notes(runs, float(points["D"][k] / points["N"][k]))
    return (*notes, *_range_notes(axes, k))


def _range_notes(axes: Sequence[Axis], k: int) -> Iterator[Note]:
    """Doubts about inputs other than size and tokens outside the runs: epochs, bits."""
    scale, *inputs = axes
    for axis in sorted(inputs, key=lambda axis: axis.name):
        if axis.name in {"N", "D", "C", scale.name} or not axis.decades[k]:
            continue
        yield doubts.OFF_RANGE.note(
            f"{axis.name} = {human(float(axis.values[k]))} lies outside the runs' "
            f"{human(axis.low)} to {human(axis.high)}"
        )


def distance_notes(axes: Sequence[Axis], k: int, *, i_know: bool) -> list[Note]:
    """Doubts that point `k` raises by its distance beyond the data alone.

    Further beyond the data than these span is refused along the scale, the first axis.
    """
    scale, away = axes[0], max(axes, key=lambda axis: float(axis.decades[k]))
    if away.decades[k] == 0:
        return []
    notes = [
        doubts.NO_NEW_REGIME.note(
            f"{_beyond(away, k)} the data: assumes that no new regime begins in between"
        )
    ]
    decades, span = float(scale.decades[k]), scale.span
    if decades > span:
        end, limit = "largest", scale.high * 10**span
        if scale.values[k] < scale.low:
            end, limit = "smallest", scale.low / 10**span
        words = (
            f"{decades_of(decades)} from {decades_of(span)} of data; the {end} supported "
            f"{scale.name} is {limit:.3g}"
        )
        if not i_know:
            return [doubts.TOO_FAR.note(words)]
        return [*notes, doubts.SPECULATIVE.note(words)]
    worst = max(axes, key=lambda axis: float(axis.decades[k]) / max(axis.span, 1e-9))
    for axis in (away, worst):
        if trust(float(axis.decades[k]), axis.span) == "speculative":
            words = f"{_beyond(axis, k)} {decades_of(axis.span)} of data is speculation"
            return [*notes, doubts.SPECULATIVE.note(words)]
    return notes


def _beyond(axis: Axis, k: int) -> str:
    return f"{decades_of(float(axis.decades[k]))} of {axis.name} beyond"


def ratio_notes(runs: Observations, ratio: float) -> list[Note]:
    """Doubts about tokens per parameter outside those of the runs."""
    seen = runs.inputs["D"] / runs.inputs["N"]
    low, high = float(seen.min()), float(seen.max())
    if low * (1 - 1e-9) <= ratio <= high * (1 + 1e-9):
        return []
    return [
        doubts.OFF_RAY.note(
            f"{human(ratio)} tokens per parameter lie outside the runs' {human(low)} to "
            f"{human(high)}"
        )
    ]

"""`rollout`: what this very method would have predicted at each earlier stage, and did it cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from scalefit.config import Settings
from scalefit.core.errors import FitError, InputError
from scalefit.core.numbers import counted, human, per_cent
from scalefit.core.observations import Array, BoolArray, IntArray
from scalefit.core.records import dataclass
from scalefit.core.sorting import median
from scalefit.inference.forecasts import budgets
from scalefit.inference.prediction import Prediction
from scalefit.inference.scores import DISTANCES
from scalefit.inference.uncertainty import Interval
from scalefit.pipeline import averages, documents, steps
from scalefit.pipeline.averages import Averaged
from scalefit.pipeline.steps import Estimate
from scalefit.tables.reports import Report, Section
from scalefit.tables.runs import RunTable, taken
from scalefit.tables.select import select

_FEWEST = 6  # runs below which no law of the library has an interval


@dataclass(frozen=True)
class Foretold:
    """One run that a stage did not have, and what it would have said of it.

    Attributes:
        row: Number of the run in the source.
        scale: Its scale.
        decades: Beyond the stage's data.
        loss: What it came to.
        predicted: What the stage predicted.
        low: Lower end of the headline.
        high: Upper end of the headline.
        trusting: Whether the interval that trusts the law, for one new run, held it.
    """

    row: int
    scale: float
    decades: float
    loss: float
    predicted: float
    low: float
    high: float
    trusting: bool

    @property
    def inside(self) -> bool:
        """Whether the headline held it."""
        return self.low <= self.loss <= self.high


@dataclass(frozen=True)
class Stage:
    """One earlier stage of the project.

    Attributes:
        cut: Largest scale that it had.
        runs: How many runs it had.
        law: The law, or the laws of the average with their weights.
        tau: Rate of law error it would have used.
        told: What it would have said of each later run; empty where it refused.
        refusal: Why it would have said nothing.
    """

    cut: float
    runs: int
    law: str
    tau: float
    told: tuple[Foretold, ...]
    refusal: str = ""


def report(settings: Settings, table: RunTable, manifest: dict[str, Any]) -> Report:
    """Every stage, with the share of later runs inside its intervals by distance.

    Raises:
        InputError: the runs have fewer than three budgets, or settings are wrong.
    """
    scale, name = _scales(settings, table)
    label = budgets(scale)
    last = int(label.max(initial=0))
    if last < 2:
        raise InputError(
            f"the runs have {last + 1} budgets of {name}: there is no earlier stage to go back to",
            "a roll-out needs at least three",
        )
    stages = tuple(
        _stage(settings, table, scale, label <= cut)
        for cut in range(last)
        if int((label <= cut).sum()) >= _FEWEST
    )
    document = {
        **documents.header("scalefit.rollout/1", table, None, settings.seed),
        "scale": name,
        "level": settings.uncertainty.level,
        "stages": [_plain_stage(stage) for stage in stages],
        "coverage": [
            {"distance": words, **{k: documents.number(v) for k, v in found.items()}}
            for words, found in _coverage(stages).items()
        ],
    }
    sections = (_stage_section(stages, name), _coverage_section(stages, settings))
    return Report(
        f"scalefit rollout: {counted(len(stages), 'stage')}", sections, document, manifest=manifest
    )


def _scales(settings: Settings, table: RunTable) -> tuple[Array, str]:
    """Scale of each row of the table, and its role."""
    law = steps.first_law(settings.fit.named, table, settings.fit.x)
    runs = select(table, steps.roles_for(law, table, settings.fit.x), cluster="row")
    place = {int(row): k for k, row in enumerate(runs.row)}
    return runs.scale[[place[int(row)] for row in table.row]], runs.scale_name


def _stage(settings: Settings, table: RunTable, scale: Array, below: BoolArray) -> Stage:
    cut, later = float(scale[below].max()), taken(table, ~below)
    try:
        source = _source(settings, taken(table, below), later)
        roles = source.lead.roles
        points = {role: _column(later, role) for role in roles.values()}
        said = averages.predict(source, points, i_know=True)
    except (FitError, InputError) as error:
        return Stage(cut, int(below.sum()), "", float("nan"), (), str(error))
    law = ", ".join(f"{100 * w:.0f} % {n}" for n, w in said.average) or source.lead.law.name
    told = _foretold(said, later.row, scale[~below], _column(later, "L"))
    return Stage(cut, int(below.sum()), law, said.law_error.tau, told)


def _source(settings: Settings, known: RunTable, later: RunTable) -> Estimate | Averaged:
    fit, sure = settings.fit, settings.uncertainty
    if fit.averaged:
        law = steps.first_law(fit.named, known, fit.x)
        roles = steps.roles_for(law, known, fit.x)
        ahead = {role: _column(later, role) for role in roles.values()}
        return averages.average(settings, known, ahead)
    estimate = steps.fit(
        known,
        steps.first_law(fit.named, known, fit.x),
        x=fit.x,
        objective=fit.objective,
        interval=sure.name,
        level=sure.level,
        draws=sure.draws,
        cluster=sure.cluster,
        fix=fit.fix,
        bound=fit.bound,
        solver=fit.solver,
        seed=settings.seed,
        jobs=settings.jobs,
    )
    if estimate.draws.refused:
        raise FitError(f"{estimate.law.name}: {estimate.draws.notes[0].message}")
    steps.require_usable(estimate, allow_unconverged=settings.allow_unconverged)
    return estimate


def _column(table: RunTable, role: str) -> Array:
    from scalefit.tables.arrays import floats

    return floats(table.table.column(role))


def _foretold(said: Prediction, row: IntArray, scale: Array, loss: Array) -> tuple[Foretold, ...]:
    band = said.band

    def holds(one: Interval, k: int) -> bool:
        return bool(one.low[k] <= loss[k] <= one.high[k])

    return tuple(
        Foretold(
            row=int(row[k]),
            scale=float(scale[k]),
            decades=float(said.decades[k]),
            loss=float(loss[k]),
            predicted=float(band.loss[k]),
            low=float(band.headline.low[k]),
            high=float(band.headline.high[k]),
            trusting=holds(band.new_run, k),
        )
        for k in range(loss.size)
    )


def _coverage(stages: Sequence[Stage]) -> dict[str, dict[str, float]]:
    """Over all stages and by distance: forecasts, coverage, error, and width."""
    told = [one for stage in stages for one in stage.told]
    found = {"all": _summary(told)} if told else {}
    for words, (low, high) in DISTANCES.items():
        some = [one for one in told if low < one.decades <= high]
        if some:
            found[words] = _summary(some)
    return found


def _summary(told: Sequence[Foretold]) -> dict[str, float]:
    miss = np.array([np.log(one.loss / one.predicted) for one in told])
    width = np.array([np.log(one.high / one.low) / 2 for one in told])
    return {
        "forecasts": float(len(told)),
        "covered": float(np.mean([one.inside for one in told])),
        "covered_if_law_right": float(np.mean([one.trusting for one in told])),
        "rmse": float(np.sqrt(np.mean(miss**2))),
        "mean_error": float(miss.mean()),
        "half_width": float(median(width)),
    }


def _plain_stage(stage: Stage) -> dict[str, Any]:
    return {
        "cut": stage.cut,
        "runs": stage.runs,
        "law": stage.law,
        "tau": documents.number(stage.tau),
        "refusal": stage.refusal or None,
        "forecasts": [
            {
                "row": one.row,
                "scale": one.scale,
                "decades": one.decades,
                "loss": one.loss,
                "predicted": documents.number(one.predicted),
                "low": documents.number(one.low),
                "high": documents.number(one.high),
                "inside": one.inside,
            }
            for one in stage.told
        ],
    }


def _stage_section(stages: Sequence[Stage], name: str) -> Section:
    rows = []
    for stage in stages:
        if stage.told:
            found = _summary(stage.told)
            hit = sum(one.inside for one in stage.told)
            rows.append(
                (
                    human(stage.cut), str(stage.runs), stage.law, f"{hit} of {len(stage.told)}",
                    per_cent(found["rmse"]), per_cent(found["mean_error"], "+"),
                    f"±{per_cent(found['half_width'])}",
                )
            )  # fmt: skip
        else:
            rows.append(
                (human(stage.cut), str(stage.runs), f"refused: {stage.refusal}", "", "", "", "")
            )
    told = [(stage.cut, one) for stage in stages for one in stage.told]
    table = pa.table(
        {
            "cut": pa.array([cut for cut, _ in told], pa.float64()),
            "row": pa.array([one.row for _, one in told], pa.int64()),
            # A bound that is infinite is none.
            **{
                key: pa.array(
                    [documents.number(getattr(one, key)) for _, one in told], pa.float64()
                )
                for key in ("scale", "decades", "loss", "predicted", "low", "high")
            },
            "inside": pa.array([one.inside for _, one in told], pa.bool_()),
        }
    )
    return Section(
        name="rollout",
        heading="What would have been said at each earlier stage",
        header=(f"largest {name}", "runs", "law", "covered", "error", "mean", "width"),
        rows=tuple(rows),
        numeric=frozenset({0, 1, 3, 4, 5, 6}),
        table=table,
        footer=(
            "Each stage knew only the runs up to its largest scale, and went through the whole "
            "method: fit, refits, law error, headline interval for each later run. Error: root "
            "mean square, relative to the loss; mean: actual less predicted.",
        ),
    )


def _coverage_section(stages: Sequence[Stage], settings: Settings) -> Section:
    rows = tuple(
        (
            words,
            f"{found['forecasts']:.0f}",
            f"{100 * found['covered']:.0f} %",
            f"{100 * found['covered_if_law_right']:.0f} %",
            per_cent(found["rmse"]),
            f"±{per_cent(found['half_width'])}",
        )
        for words, found in _coverage(stages).items()
    )
    return Section(
        name="coverage",
        heading=f"Did the {100 * settings.uncertainty.level:g} % intervals hold?",
        header=("distance", "forecasts", "headline", "if the law is right", "error", "width")
        if rows
        else (),
        rows=rows,
        numeric=frozenset(range(1, 6)),
        footer=() if rows else ("No stage had enough runs to say anything.",),
    )

"""`--law auto`: the adequate laws averaged, wherever one law can stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scalefit.config import Settings
from scalefit.core.errors import FitError
from scalefit.core.notes import Note
from scalefit.core.observations import Array
from scalefit.inference import doubts
from scalefit.inference.allocation import Allocation
from scalefit.inference.averaging import average_allocations, average_predictions
from scalefit.inference.comparison import Ranked
from scalefit.inference.prediction import Prediction
from scalefit.inference.uncertainty import draw
from scalefit.pipeline import steps
from scalefit.pipeline.steps import Compared, Estimate
from scalefit.tables.runs import RunTable
from scalefit.tables.select import select

_LEAST_WEIGHT = 0.005  # below it a law moves no digit that is printed


@dataclass(frozen=True)
class Averaged:
    """The laws of an average, heaviest first.

    Attributes:
        members: Their fits with refits.
        weight: Akaike weights, summing to one, shape (k,).
        compared: Every law that was tried.
    """

    members: tuple[Estimate, ...]
    weight: Array
    compared: Compared

    @property
    def lead(self) -> Estimate:
        """The heaviest law: it stands where only one can, as in tables of parameters."""
        return self.members[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the laws."""
        return tuple(member.law.name for member in self.members)


def average(
    settings: Settings, table: RunTable, ahead: Mapping[str, Array] | None = None
) -> Averaged:
    """The adequate laws with their weights and refits.

    Args:
        settings: The laws named beside `auto` are averaged; all that suit if there are none.
        table: The runs.
        ahead: Points to be predicted, by role: gates look as far.

    Raises:
        FitError: no law is adequate.
        InputError: the runs or a setting are wrong.
    """
    compared = compared_of(settings, table, ahead)
    chosen = [r for r in compared.comparison.laws if r.weight >= _LEAST_WEIGHT]
    if not chosen:
        failed = "; ".join(_failure(r) for r in compared.comparison.laws)
        raise FitError(f"no law is adequate: {failed}", doubts.NO_ADEQUATE_LAW.remedy)
    chosen.sort(key=lambda r: -r.weight)
    weight = np.array([r.weight for r in chosen])
    members = tuple(_estimate(r, settings, table, compared) for r in chosen)
    sound = np.array([not member.draws.refused for member in members])
    if not sound.any():
        return Averaged(members[:1], np.ones(1), compared)
    kept = tuple(member for member, good in zip(members, sound, strict=True) if good)
    return Averaged(kept, weight[sound] / weight[sound].sum(), compared)


def _failure(one: Ranked) -> str:
    return f"{one.fit.law.name} fails {', '.join(v.gate for v in one.gates if not v.passed)}"


def compared_of(
    settings: Settings, table: RunTable, ahead: Mapping[str, Array] | None = None
) -> Compared:
    """The comparison that an average rests on."""
    fit = settings.fit
    named: Sequence[Any] = [(law.name, law.x) for law in fit.named]
    return steps.compare(
        table,
        named or steps.suitable(table, fit.x),
        x=fit.x,
        objective=fit.objective,
        cluster=settings.uncertainty.cluster,
        fix=fit.fix,
        bound=fit.bound,
        solver=fit.solver,
        ahead=ahead,
    )


def _estimate(one: Ranked, settings: Settings, table: RunTable, compared: Compared) -> Estimate:
    sure = settings.uncertainty
    method = steps.method_named(sure.name, sure.draws)
    fan = steps.fan_of(settings.jobs)
    return Estimate(
        fit=one.fit,
        draws=draw(one.fit, method, seed=settings.seed, fan=fan),
        level=sure.level,
        roles=compared.roles[one.fit.law.name],
        table=table,
        seed=settings.seed,
        told=one.forecasts,
    )


def predict(
    source: Estimate | Averaged, points: Mapping[str, Any], *, i_know: bool = False, **how: Any
) -> Prediction:
    """Loss at points, by one law or by the average; arguments as in `steps.predict`."""
    if isinstance(source, Estimate):
        return steps.predict(source, points, i_know=i_know, **how)
    parts = [steps.predict(member, points, i_know=i_know) for member in source.members]
    found = average_predictions(parts, source.names, source.weight, _cover(source))
    return replace(found, notes=tuple((*row, *_notes(source)) for row in found.notes))


def allocate(
    source: Estimate | Averaged, budgets: Sequence[float] | Array, **how: Any
) -> Allocation:
    """Best settings for budgets, by one law or by the average; as in `steps.allocate`.

    Raises:
        FitError: no law of the average has a best split.
    """
    if isinstance(source, Estimate):
        return steps.allocate(source, budgets, **how)
    how.pop("allow_unconverged", None)
    parts, kept, failed = [], [], []
    for k, member in enumerate(source.members):
        try:
            parts.append(steps.allocate(member, budgets, **how))
            kept.append(k)
        except FitError as error:
            failed.append(error)
    if not parts:
        raise failed[0]
    weight = source.weight[kept] / source.weight[kept].sum()
    names = [source.names[k] for k in kept]
    found = average_allocations(parts, names, weight, _cover(source))
    told = [doubts.OPTIMUM_LEFT_OUT.note(str(error)) for error in failed]
    return replace(found, notes=tuple((*row, *_notes(source), *told) for row in found.notes))


def _cover(source: Averaged) -> tuple[str, ...]:
    return source.compared.comparison.disagreeing


def _notes(source: Averaged) -> tuple[Note, ...]:
    words = ", ".join(
        f"{name} {100 * w:.0f} %" for name, w in zip(source.names, source.weight, strict=True)
    )
    tried = len(source.compared.comparison.laws) + len(source.compared.unfitted)
    made = doubts.AVERAGED_LAWS.note(f"average of {words}; {tried} laws were tried")
    return (made, *source.compared.comparison.notes)


def points_at(table: RunTable, budgets: Sequence[float]) -> dict[str, Array] | None:
    """A point at the largest budget, both inputs grown alike from the largest run."""
    names = table.table.column_names
    if not {"N", "D"} <= set(names) or not budgets:
        return None
    observed = select(table, {"N": "N", "D": "D"})
    top = int(np.argmax(observed.scale))
    factor = max(1.0, float(np.sqrt(max(budgets) / observed.scale[top])))
    return {name: observed.inputs[name][top : top + 1] * factor for name in ("N", "D")}

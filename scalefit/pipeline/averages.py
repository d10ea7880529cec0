"""`--law auto`: the adequate laws averaged, wherever one law can stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalefit.config import Settings
from scalefit.core.errors import FitError
from scalefit.core.notes import Note
from scalefit.core.observations import Array
from scalefit.core.records import dataclass, replace
from scalefit.inference import doubts
from scalefit.inference.allocation import Allocation
from scalefit.inference.averaging import (
    average_allocations,
    average_predictions,
    swollen_allocation,
    swollen_prediction,
)
from scalefit.inference.certificate import USABLE
from scalefit.inference.comparison import Ranked
from scalefit.inference.prediction import Prediction
from scalefit.inference.uncertainty import draw
from scalefit.laws import Law
from scalefit.pipeline import steps
from scalefit.pipeline.steps import Compared, Estimate
from scalefit.tables.runs import RunTable
from scalefit.tables.select import select

_LEAST_WEIGHT = 0.005  # below it a law moves no digit that is printed


@dataclass(frozen=True, eq=False)
class Averaged:
    """The laws of an average, heaviest first.

    Attributes:
        members: Their fits with refits.
        weight: Akaike weights, summing to one, shape (k,).
        compared: Every law that was tried.
        every: Every law that has a fit, with refits, where all were asked for; else the members.
        forced: Whether no law is adequate and the user asked for an answer all the same.
    """

    members: tuple[Estimate, ...]
    weight: Array
    compared: Compared
    every: tuple[Estimate, ...] = ()
    forced: bool = False

    @property
    def lead(self) -> Estimate:
        """The heaviest law: it stands where only one can, as in tables of parameters."""
        return self.members[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the laws."""
        return tuple(member.law.name for member in self.members)


def average(
    settings: Settings,
    table: RunTable,
    ahead: Mapping[str, Array] | None = None,
    *,
    force: bool = False,
    every: bool = False,
) -> Averaged:
    """The adequate laws with their weights and refits.

    Args:
        settings: The laws named beside `auto` are averaged; all that suit if there are none.
        table: The runs.
        ahead: Points to be predicted, by role: gates look as far.
        force: Where no law is adequate, average the laws that have a minimum.
        every: Draw the refits of every law, not just of those in the average.

    Raises:
        FitError: no law is adequate.
        InputError: the runs or a setting are wrong.
    """
    compared = compared_of(settings, table, ahead)
    laws = compared.comparison.laws
    weight = {r.fit.law.name: r.weight for r in laws}
    forced = force and not any(weight.values())
    if forced:
        weight = _forced_weights([r for r in laws if r.fit.status in USABLE])
    chosen = {name: w for name, w in weight.items() if w >= _LEAST_WEIGHT}
    if not chosen:
        failed = "; ".join(_failure(r) for r in laws)
        raise FitError(f"no law is adequate: {failed}", doubts.NO_ADEQUATE_LAW.remedy)
    drawn = {
        r.fit.law.name: _estimate(r, settings, table, compared)
        for r in laws
        if every or r.fit.law.name in chosen
    }
    order = sorted(chosen, key=lambda name: -chosen[name])
    sound = [name for name in order if not drawn[name].draws.refused] or order[:1]
    heavy = np.array([chosen[name] for name in sound])
    return Averaged(
        members=tuple(drawn[name] for name in sound),
        weight=heavy / heavy.sum(),
        compared=compared,
        every=tuple(drawn.values()),
        forced=forced,
    )


def _forced_weights(laws: Sequence[Ranked]) -> dict[str, float]:
    """Equal weights of laws that have a minimum: where none is adequate, AICc picks no winner.

    It would choose the law that bends most. Equal weights are hard to beat where every forecaster
    is wrong (Smith & Wallis 2009, Oxford Bulletin of Economics and Statistics 71(3)).
    """
    known = [r for r in laws if np.isfinite(r.aicc)] or laws
    return {r.fit.law.name: 1 / len(known) for r in known}


def _failure(one: Ranked) -> str:
    return f"{one.fit.law.name} fails {', '.join(v.gate for v in one.gates if not v.passed)}"


def compared_of(
    settings: Settings, table: RunTable, ahead: Mapping[str, Array] | None = None
) -> Compared:
    """The comparison that an average rests on."""
    fit = settings.fit
    laws: Sequence[Any] = [(law.name, law.x) for law in fit.named]
    return steps.compare(
        table,
        laws or _answering(steps.suitable(table, fit.x), table, fit.x, ahead),
        x=fit.x,
        objective=fit.objective,
        cluster=settings.uncertainty.cluster,
        fix=fit.fix,
        bound=fit.bound,
        solver=fit.solver,
        ahead=ahead,
    )


def _answering(
    laws: Sequence[Law], table: RunTable, x: str, ahead: Mapping[str, Array] | None
) -> Sequence[Law]:
    """The laws that the points can be put to; all of them where none can, to be told what lacks."""
    if not ahead:
        return laws
    asked = set(ahead)
    roles = {law.name: steps.roles_for(law, table, x) for law in laws}
    able = [law for law in laws if all(asked & {*pair} for pair in roles[law.name].items())]
    return able or laws


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
    how["allow_unconverged"] = True  # the gates have judged the members
    parts = [
        swollen_prediction(steps.predict(member, points, i_know=i_know, **how), _swelling(source))
        for member in source.members
    ]
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
    how["allow_unconverged"] = True
    parts, kept, failed = [], [], []
    for k, member in enumerate(source.members):
        try:
            one = steps.allocate(member, budgets, **how)
            parts.append(swollen_allocation(one, _swelling(source)))
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


def _swelling(source: Averaged) -> float:
    """What intervals of independent rows are too short by, where rows are worth fewer runs."""
    return float(source.compared.comparison.share**-0.5)


def _cover(source: Averaged) -> tuple[str, ...]:
    return source.compared.comparison.disagreeing


def _notes(source: Averaged) -> tuple[Note, ...]:
    words = ", ".join(
        f"{name} {100 * w:.0f} %" for name, w in zip(source.names, source.weight, strict=True)
    )
    tried = len(source.compared.comparison.laws) + len(source.compared.unfitted)
    made = doubts.AVERAGED_LAWS.note(f"average of {words}; {tried} laws were tried")
    told = source.compared.comparison.notes
    if source.forced:
        told = tuple(replace(n, severity="warning") if n.severity == "refusal" else n for n in told)
    return (made, *told)


def points_at(table: RunTable, budgets: Sequence[float]) -> dict[str, Array] | None:
    """A point at the largest budget, both inputs grown alike from the largest run."""
    names = table.table.column_names
    if not {"N", "D"} <= set(names) or not budgets:
        return None
    observed = select(table, {"N": "N", "D": "D"})
    top = int(np.argmax(observed.scale))
    factor = max(1.0, float(np.sqrt(max(budgets) / observed.scale[top])))
    return {name: observed.inputs[name][top : top + 1] * factor for name in ("N", "D")}

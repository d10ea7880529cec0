"""The verbs: a table of runs to fitted laws, and on to what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scalefit.config import LawChoice, RunsSettings, Settings, check_level, check_waste
from scalefit.core.errors import FitError, InputError, UnknownName
from scalefit.core.notes import Note
from scalefit.core.numbers import counted, human
from scalefit.core.observations import Array, Observations
from scalefit.core.records import dataclass, replace
from scalefit.inference import allocation as allocations
from scalefit.inference import comparison as comparisons
from scalefit.inference import prediction as predictions
from scalefit.inference.batches import Steps, stepwise
from scalefit.inference.certificate import USABLE
from scalefit.inference.diagnostics import Diagnostics, diagnose, inseparable
from scalefit.inference.doubts import REACHES_ZERO
from scalefit.inference.evidence import weighed_by_loss_se
from scalefit.inference.fitting import Fit
from scalefit.inference.fitting import fit as fit_law
from scalefit.inference.forecasts import (
    Forecasts,
    LawError,
    Stages,
    law_error,
    noise_of,
    rolling_origin,
    stages,
)
from scalefit.inference.objectives import parse_objective
from scalefit.inference.residuals import misfit
from scalefit.inference.scores import leave_one_group_out, leave_one_out
from scalefit.inference.solver import Solution
from scalefit.inference.split_error import split_error
from scalefit.inference.uncertainty import METHODS, Draws, Interval, draw, interval
from scalefit.inference.uncertainty.base import Fan, Quantity, Refit
from scalefit.inference.uncertainty.percentiles import check_draws
from scalefit.laws import LAWS, Law
from scalefit.laws.base import Derived, by_name
from scalefit.laws.text import named
from scalefit.pipeline import arguments
from scalefit.tables.columns import inputs_to_map
from scalefit.tables.read import read as read_table
from scalefit.tables.runs import RunTable
from scalefit.tables.select import select

_AXES = ("x", "C", "N", "D")
_MOST_BREAKS = 2  # that are tried unasked


@dataclass(frozen=True, repr=False)
class Estimate:
    """A fitted law with its refits: what predictions and optima are made from.

    Attributes:
        fit: The point fit and its certificate.
        draws: The refits behind every interval.
        level: Of every interval.
        roles: Input of the law to the role that plays it.
        table: The runs as they were read.
        seed: Of the draws.
        told: Rolling-origin forecasts, if they are known already.
    """

    fit: Fit
    draws: Draws
    level: float
    roles: Mapping[str, str]
    table: RunTable
    seed: int
    told: Forecasts | None = None

    def __repr__(self) -> str:
        """The law, its standing and its parameters: the whole would fill a screen of arrays."""
        told = ", ".join(
            f"{k}={human(v, 4)}"
            for k, v in zip(self.law.names, map(float, self.fit.theta), strict=True)
        )
        rows = counted(self.fit.runs.n, "row")
        return f"Estimate({self.law.name}, {self.status}, {rows}: {told})"

    @property
    def lead(self) -> Estimate:
        """Itself: the law that speaks for the answer."""
        return self

    @property
    def law(self) -> Law:
        """The law."""
        return self.fit.law

    @property
    def status(self) -> str:
        """What the certificate allows."""
        return self.fit.status

    @cached_property
    def undetermined(self) -> tuple[str, ...]:
        """Parameters on a bound, and all of them where the runs cannot separate them."""
        return self.law.names if inseparable(self.fit) else self.fit.certificate.bounds

    @cached_property
    def parameters(self) -> dict[str, Interval]:
        """Each parameter with its interval; none for one that is fixed or not determined."""
        held = {*self.fit.fixed, *self.undetermined}
        found = {}
        for i, parameter in enumerate(self.law.parameters):
            value = self.fit.theta[i : i + 1]
            # E is a size, so its interval cannot cross zero; a slope may.
            # One that a refit puts at zero has no logarithm there, and ends at zero itself.
            positive = bool(value[0] > 0 and (self.draws.theta[:, i] > 0).all())
            log = parameter.log or (parameter.linear and positive)
            if parameter.name in held:
                none = np.full(1, np.nan)
                found[parameter.name] = Interval(value, none, none, none)
            else:
                one = interval(
                    self.draws, value, self.draws.theta[:, i], self.level, log=log,
                    of=_column(i),
                )  # fmt: skip
                se = one.se * value if log else one.se
                low = one.low if log or parameter.low != 0 else np.maximum(one.low, 0.0)
                found[parameter.name] = Interval(value, se, low, one.high)
        return found

    @cached_property
    def derived(self) -> dict[str, Interval]:
        """Each derived quantity with its interval; none where it rests on a bound."""
        found = {}
        at, drawn = by_name(self.law, self.fit.theta[None]), by_name(self.law, self.draws.theta)
        for quantity in self.law.derived:
            value = np.atleast_1d(quantity.of(at))
            one = interval(
                self.draws, value, quantity.of(drawn), self.level, log=quantity.log,
                of=_derived(self.law, quantity),
            )  # fmt: skip
            moved = [{**at, b: 1.01 * at[b] + 1e-6} for b in self.undetermined]
            if any(not np.array_equal(quantity.of(other), value) for other in moved):
                none = np.full(1, np.nan)
                one = Interval(value, none, none, none)
            found[quantity.name] = one
        return found

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """What looking at the fit from every side shows."""
        return diagnose(self.fit, self.draws, self.level)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Every doubt about the fit and its intervals, each once."""
        return tuple(dict.fromkeys((*self.fit.notes, *self.draws.notes, *self.diagnostics.notes)))

    @cached_property
    def forecasts(self) -> Forecasts:
        """What the law would have forecast at each earlier stage."""
        return self.told if self.told is not None else rolling_origin(self.fit, self.stages)

    @cached_property
    def law_error(self) -> LawError:
        """How far the law is wrong beyond its data."""
        return law_error(self.forecasts, misfit(self.fit))

    @cached_property
    def stages(self) -> Stages:
        """What the fit would have been at earlier stages of the runs."""
        return stages(self.fit)

    @cached_property
    def split_error(self) -> LawError:
        """How far the law is wrong about the best split, per standard deviation of the budgets."""
        return split_error(self.fit, self.stages)


def _column(i: int) -> Quantity:
    return lambda theta: theta[:, i : i + 1]


def _derived(law: Law, quantity: Derived) -> Quantity:
    return lambda theta: np.atleast_2d(quantity.of(by_name(law, theta))).T


def read(source: str | Path | Any, **settings: Any) -> RunTable:
    """A table of runs from a file, standard input or memory.

    Args:
        source: Path of a CSV or TSV file, `-`, or an object with `__arrow_c_stream__`.
        settings: `columns`, `where`, `keep`, `na`, `last` and the rest, as in
            `scalefit.tables.read`.

    Raises:
        InputError: the file or a value in it is wrong.
    """
    arguments.whole("smooth", settings.get("smooth", 0))
    return read_table(source, **settings)


def reading(settings: RunsSettings) -> dict[str, Any]:
    """What `read` is told by a section of settings."""
    named = {f.name: getattr(settings, f.name) for f in fields(settings) if f.name != "path"}
    return {**named, "columns": dict(settings.columns), "where": settings.where or None}


def roles_for(law: Law, table: RunTable, x: str = "") -> dict[str, str]:
    """Which role of the table plays each input of the law.

    Raises:
        InputError: a law of one input could take several roles and none was chosen, or there is
            none to take.
    """
    if law.inputs != ("x",):
        return {name: name for name in law.inputs}
    if x:
        return {"x": x}
    present = [role for role in _AXES if role in table.table.column_names]
    given = [role for role in present if role not in table.derived]
    if "x" in given:
        return {"x": "x"}
    if len(given) == 1:
        return {"x": given[0]}
    if not present:
        raise InputError(
            "no column plays N, D, C or x, so no law has anything to go by",
            f"{inputs_to_map(table.offered, table.table.column_names)}; "
            "scalefit columns RUNS lists what is not used",
        )
    raise InputError(
        f"{law.name} is a law of one input, and the runs have {', '.join(present)}",
        "choose one, such as " + " or ".join(f"--x {role}" for role in present),
    )


@stepwise
def fit(
    runs: RunTable,
    law: str | Law,
    *,
    x: str = "",
    objective: str | Any = "t:4",
    interval: str | Any = "jackknife",
    level: float = 0.95,
    draws: int = 2000,
    cluster: str = "run",
    fix: Mapping[str, float] | None = None,
    bound: Mapping[str, tuple[float, float]] | None = None,
    solver: str = "scalefit",
    seed: int = 0,
    jobs: int = 1,
) -> Steps[Estimate]:
    """A law fitted to runs, with its refits.

    Args:
        runs: As `read` gives them.
        law: Name of a law, or a law.
        x: Role that plays the input of a law of one input.
        objective: Name with its setting, such as `huber:1e-3`, or an objective.
        interval: Name of an interval method, or a method.
        level: Of the intervals, such as 0.95.
        draws: Replicates, for methods that draw.
        cluster: Independent unit: `run`, `row`, `setting`, a role or a kept column.
        fix: Parameters held at a value.
        bound: Parameters kept between two values.
        solver: `scalefit`, `scipy` or `lmfit`.
        seed: Of the draws.
        jobs: Processes for the refits; they change no byte.

    Raises:
        InputError: the runs or a setting are wrong.
        FitError: no finite estimate exists.
    """
    arguments.require_runs(runs)
    chosen = arguments.law_of(law)
    check_level(arguments.number("level", level))
    arguments.whole("seed", seed)
    arguments.whole("jobs", jobs, 1)
    arguments.name("x", x, "x='C'")
    arguments.name("solver", solver, "solver='scipy'")
    arguments.held(fix, bound)
    if x and chosen.inputs != ("x",):
        raise InputError(
            f"{chosen.name} is a law of {', '.join(chosen.inputs)}: there is no input to choose",
            "leave out --x, or take a law of one input, such as power-floor",
        )
    roles = roles_for(chosen, runs, x)
    arguments.name("the cluster", cluster, "run, row, size, a role or a column")
    observations = select(runs, roles, cluster=cluster)
    goal = _objective(objective)
    method = method_named(interval, draws) if isinstance(interval, str) else interval
    if not hasattr(method, "count"):
        raise InputError(
            f"the interval is {arguments.kind(method)}, must be a method or its name",
            f"choose one of {', '.join(METHODS.names())}",
        )
    how: dict[str, Any] = {"objective": goal, "fix": fix, "bound": bound, "solver": solver}
    point = yield from fit_law.steps(chosen, observations, **how)
    weighed = weighed_by_loss_se(point, noise_of(point, point.scale, point.runs.n))
    if weighed is not None:
        point = yield from fit_law.steps(chosen, weighed[0], **how)
        point = replace(point, notes=(*point.notes, weighed[1]))
    drawn = yield from draw.steps(point, method, seed=seed, fan=fan_of(jobs))
    return Estimate(
        fit=point,
        draws=replace(drawn, notes=(*drawn.notes, *_zero_notes(point, drawn))),
        level=level,
        roles=roles,
        table=runs,
        seed=seed,
    )


def _objective(given: object) -> Any:
    """An objective, or that of a name with its setting.

    Raises:
        InputError: it is neither.
    """
    if isinstance(given, str):
        return parse_objective(given)
    if not hasattr(given, "log_target"):
        raise InputError(
            f"the objective is {arguments.kind(given)}, must be an objective or its name",
            "write t:4, gaussian, huber:1e-3, huber:auto or mse",
        )
    return given


def _zero_notes(point: Fit, drawn: Draws) -> list[Note]:
    """Parameters of which some refit leaves nothing, though the fit itself does not."""
    held = {*point.fixed, *point.certificate.bounds}
    found = []
    for name, value, column in zip(point.law.names, point.theta, drawn.theta.T, strict=True):
        none = int((column <= 0).sum())
        floor = point.law.parameters[point.law.index(name)].low == 0
        if floor and none and value > 0 and name not in held and not drawn.refused:
            words = f"{name} is 0 in {none} of {column.size} refits: its interval begins at 0"
            found.append(REACHES_ZERO.note(words))
    return found


def axis_of(choice: LawChoice) -> str:
    """The input chosen for a law of one; beside such laws others go by their own."""
    return choice.x if named(choice.name).inputs == ("x",) else ""


@stepwise
def estimate(
    settings: Settings, table: RunTable, choice: LawChoice, laws: Sequence[LawChoice], *, jobs: int
) -> Steps[Estimate]:
    """One of the laws that settings name, fitted as they say.

    Raises:
        InputError: the runs or a setting are wrong.
        FitError: no finite estimate exists.
    """
    return fit.steps(
        table,
        choice.name,
        x=choice.x if len(laws) == 1 else axis_of(choice),
        objective=settings.fit.objective,
        interval=settings.uncertainty.name,
        level=settings.uncertainty.level,
        draws=settings.uncertainty.draws,
        cluster=settings.uncertainty.cluster,
        fix=_held(settings.fit.fix, choice.name, laws),
        bound=_held(settings.fit.bound, choice.name, laws),
        solver=settings.fit.solver,
        seed=settings.seed,
        jobs=jobs,
    )


def _held(given: Mapping[str, Any], law: str, laws: Sequence[LawChoice]) -> dict[str, Any]:
    """What is fixed or bounded for one law; with several laws, what that law has.

    Raises:
        UnknownName: no law has the parameter.
    """
    if len(laws) == 1:
        return dict(given)
    known = {name for choice in laws for name in named(choice.name).names}
    for name in given:
        if name not in known:
            named(laws[0].name).index(name)
    return {k: v for k, v in given.items() if k in named(law).names}


def fan_of(jobs: int) -> Fan | None:
    """Spans of refits over so many processes, or None for one."""
    if jobs <= 1:
        return None

    def over_processes(task: Refit, spans: Sequence[tuple[int, int]]) -> list[Solution]:
        with workers(jobs) as parallel:
            return list(parallel(task, [(span,) for span in spans]))

    return over_processes


@contextmanager
def workers(jobs: int) -> Iterator[Callable[[Callable[..., Any], Sequence[Any]], Iterator[Any]]]:
    """Processes that apply a task to items, each a tuple of arguments, in order of the items."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor

    def parallel(task: Callable[..., Any], items: Sequence[Any]) -> Iterator[Any]:
        with parallel_config(backend="loky", inner_max_num_threads=1):
            return iter(
                Parallel(n_jobs=jobs, return_as="generator")(delayed(task)(*one) for one in items)
            )

    try:
        yield parallel
    except BaseException:
        # Whoever ends us, by a signal or by a mistake, wants no processes left behind.
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        raise


def method_named(name: str, draws: int) -> Any:
    """The interval method of that name; `draws` goes to methods that draw.

    Raises:
        UnknownName: no such method.
        InputError: no method could make so many draws.
    """
    check_draws(arguments.whole("draws", draws, 20))
    kind = METHODS.get(name)
    return kind(draws=draws) if any(f.name == "draws" for f in fields(kind)) else kind()


def require_usable(estimate: Estimate, *, allow_unconverged: bool = False) -> None:
    """Refuse to go on from an estimate that is no minimum.

    Raises:
        FitError: its status forbids it.
    """
    if estimate.status in USABLE or allow_unconverged:
        return
    reasons = [n.message for n in estimate.fit.notes if n.code == estimate.status]
    raise FitError(
        f"{estimate.law.name} is {estimate.status}: {'; '.join(reasons) or 'see its certificate'}",
        f"scalefit explain {estimate.status}   (or --allow-unconverged to go on all the same)",
    )


def _require_estimate(estimate: object) -> None:
    """Nothing, if this is what `fit` gives.

    Raises:
        InputError: it is not.
    """
    if not isinstance(estimate, Estimate):
        raise InputError(
            f"the fit is {arguments.kind(estimate)}, must be what scalefit.fit gives",
            "fit a law first: scalefit.fit(runs, 'chinchilla')",
        )


def predict(
    estimate: Estimate,
    points: Mapping[str, Sequence[float] | Array | float],
    *,
    allow_unconverged: bool = False,
    i_know: bool = False,
) -> predictions.Prediction:
    """Loss at points, with three nested intervals.

    Args:
        estimate: As `fit` gives it.
        points: Each input of the law, by its name or by the role that plays it, to its values:
            numbers or words such as `7B`, as many of each input, or one that stands for all.
        allow_unconverged: Go on from a fit whose status forbids it.
        i_know: Answer even further beyond the data than the data span.

    Raises:
        InputError: an input is missing or not positive.
        FitError: the fit's status forbids it.
    """
    _require_estimate(estimate)
    require_usable(estimate, allow_unconverged=allow_unconverged)
    given = arguments.points_of(points)
    named = {role: name for name, role in estimate.roles.items()}
    known = {*estimate.law.inputs, *estimate.roles.values(), "C"}
    for key in given:
        if key not in known:
            raise InputError(
                f"{key} is no input of {estimate.law.name}",
                "give " + ",".join(f"{role}=VALUE" for role in estimate.roles.values()),
            )
    values = {named.get(key, key): value for key, value in given.items()}
    return predictions.predict(
        estimate.fit,
        estimate.draws,
        estimate.law_error,
        {name: values[name] for name in estimate.law.inputs if name in values},
        level=estimate.level,
        scale=values.get("C"),
        i_know=i_know,
    )


def allocate(
    estimate: Estimate,
    budgets: Sequence[float] | Array | float,
    *,
    waste: float = 0.01,
    allow_unconverged: bool = False,
    i_know: bool = False,
) -> allocations.Allocation:
    """Best model size and token count for each compute budget, with intervals.

    Args:
        estimate: A law of N and D as `fit` gives it.
        budgets: Training FLOP.
        waste: Share of compute that the near-optimal range may waste.
        allow_unconverged: Go on from a fit whose status forbids it.
        i_know: Answer even further beyond the data than the data span.

    Raises:
        InputError: the law is not one of N and D, or a budget is not positive.
        FitError: the fit's status forbids it, or the law has no best split.
    """
    _require_estimate(estimate)
    check_waste(arguments.number("waste", waste))
    if estimate.law.inputs == ("N", "D"):
        # Said first: on one line a search has no single end, which would only be a riddle.
        allocations.refuse_one_line(estimate.fit)
    require_usable(estimate, allow_unconverged=allow_unconverged)
    return allocations.allocate(
        estimate.fit,
        estimate.draws,
        estimate.law_error,
        arguments.values("budgets", budgets),
        split=estimate.split_error,
        level=estimate.level,
        waste=waste,
        i_know=i_know,
    )


@dataclass(frozen=True, repr=False)
class Compared:
    """Laws compared on the same runs.

    Attributes:
        comparison: Ranking and verdict.
        unfitted: Laws that could not be fitted at all, with the reason.
        table: The runs.
        observations: The rows that every law was fitted to.
        roles: Law to which role plays each of its inputs.
    """

    comparison: comparisons.Comparison
    unfitted: Mapping[str, str]
    table: RunTable
    observations: Observations
    roles: Mapping[str, Mapping[str, str]]

    def __repr__(self) -> str:
        """The verdict."""
        return f"Compared({self.comparison.verdict})"


def suitable(table: RunTable, x: str = "") -> tuple[Law, ...]:
    """Every law whose inputs the table has; laws of one input only where there is one axis.

    More than two breaks are tried only where they are asked for by name (method.md 1.6).
    """
    roles = set(table.table.column_names)
    one_axis = bool(x) or not {"N", "D"} <= roles
    return tuple(
        law
        for law in LAWS
        if len(law.breaks) <= _MOST_BREAKS
        and (one_axis if law.inputs == ("x",) else set(law.inputs) <= roles)
    )


def first_law(choices: Sequence[LawChoice], table: RunTable, x: str = "") -> Law:
    """The first law that is named; without any, the law that stands for such runs by default.

    That is chinchilla for runs with N and D, power-floor else.
    """
    if choices:
        return named(choices[0].name)
    both = {"N", "D"} <= set(table.table.column_names) and not x
    return LAWS.get("chinchilla" if both else "power-floor")


def compare(
    runs: RunTable,
    laws: Sequence[str | Law | tuple[str, str]] = (),
    *,
    x: str = "",
    objective: str | Any = "t:4",
    cluster: str = "run",
    fix: Mapping[str, float] | None = None,
    bound: Mapping[str, tuple[float, float]] | None = None,
    solver: str = "scalefit",
    rank: str = "aicc",
    ahead: Mapping[str, Array] | None = None,
    leave_out: bool = False,
) -> Compared:
    """Laws ranked on the same runs, with what they would have forecast.

    Args:
        runs: As `read` gives them.
        laws: Names, laws, or (name, role of x) pairs; none stands for all that suit the columns.
        x: Role that plays the input of laws of one input.
        objective: As in `fit`, the same for every law.
        cluster: As in `fit`.
        fix: Parameters held at a value, in the laws that have them.
        bound: Parameters kept between two values, likewise.
        solver: As in `fit`.
        rank: `aicc` or `extrapolation`.
        ahead: Points to be predicted, by role; gates look as far.
        leave_out: Also forecast each budget from all the others.

    Raises:
        InputError: the runs or a setting are wrong, or fewer than two laws are named.
    """
    arguments.require_runs(runs)
    arguments.held(fix, bound)
    if not isinstance(laws, Sequence) or isinstance(laws, str):
        raise InputError("one law cannot be compared", "give a list of two or more")
    arguments.name("x", x, "x='C'")
    if rank not in comparisons.RANKS:
        raise UnknownName("ranking", rank, comparisons.RANKS)
    chosen: list[tuple[Law, str]] = [
        (arguments.law_of(law[0]), arguments.name("x", law[-1], "('power', 'C')"))
        if isinstance(law, tuple) and len(law) == 2
        else (arguments.law_of(law), x)
        for law in laws
    ] or [(law, x) for law in suitable(runs, x)]  # fmt: skip
    for one in chosen:
        if sum(one[0].name == law.name and one[1] == axis for law, axis in chosen) > 1:
            raise InputError(f"{one[0].name} is named twice", "name each law once")
    if len(chosen) < 2:
        raise InputError("one law cannot be compared", "name two or more with --law NAME")
    goal = _objective(objective)
    known = {name for law, _ in chosen for name in law.names}
    for name in (*(fix or {}), *(bound or {})):
        if name not in known:
            raise UnknownName("parameter of these laws", name, known)
    fits: list[Fit] = []
    unfitted: dict[str, str] = {}
    roles: dict[str, Mapping[str, str]] = {}
    observations: Observations | None = None
    for law, axis in chosen:
        roles[law.name] = roles_for(law, runs, axis)
        own = select(runs, roles[law.name], cluster=cluster)
        observations = observations or own
        held = {k: v for k, v in (fix or {}).items() if k in law.names}
        kept = {k: v for k, v in (bound or {}).items() if k in law.names}
        if own.n < len(law.parameters) - len(held):
            unfitted[law.name] = f"{own.n} runs for {len(law.parameters) - len(held)} parameters"
            continue
        fits.append(fit_law(law, own, objective=goal, fix=held, bound=kept, solver=solver))
    if not fits or observations is None:
        raise InputError("no law could be fitted: " + "; ".join(unfitted.values()), "add runs")
    names = {role: name for own in roles.values() for name, role in own.items()}
    points = {names.get(role, role): values for role, values in (ahead or {}).items()}
    for law, _ in chosen if points else ():
        predictions.require_inputs(law, points)
    ranked = comparisons.compare(
        fits,
        [rolling_origin(one) for one in fits],
        ahead=points,
        rank=rank,
    )
    if leave_out:
        whole = tuple(
            replace(r, left_out=leave_one_out(r.fit), groups_out=leave_one_group_out(r.fit))
            for r in ranked.laws
        )
        ranked = replace(ranked, laws=whole)
    return Compared(ranked, unfitted, runs, observations, roles)

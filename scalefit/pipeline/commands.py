"""One function per command: settings in, a report and an exit code out."""

from __future__ import annotations

import math
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import scalefit
from scalefit.config import (
    FitSettings,
    LawChoice,
    OptimumSettings,
    PredictSettings,
    Settings,
    UncertaintySettings,
)
from scalefit.core.errors import FitError, InputError
from scalefit.core.notes import DOUBTS, Note
from scalefit.core.numbers import human, shown
from scalefit.core.records import dataclass, replace
from scalefit.inference.allocation import Allocation
from scalefit.inference.certificate import USABLE
from scalefit.inference.comparison import RULED_OUT
from scalefit.inference.doubts import LAW_RULED_OUT
from scalefit.inference.native import engine
from scalefit.inference.prediction import Prediction
from scalefit.laws import LAWS
from scalefit.laws.text import named
from scalefit.pipeline import arguments, averages, diagnosis, documents, steps, story
from scalefit.pipeline.averages import Averaged
from scalefit.pipeline.reading import with_excluded
from scalefit.pipeline.steps import Estimate
from scalefit.tables.columns import ROLES, assign, convert
from scalefit.tables.doctor import examine
from scalefit.tables.reports import Report, Section, require_place
from scalefit.tables.reports.json import document_text
from scalefit.tables.runs import RunTable, split
from scalefit.tables.select import select

_FALLBACK = "chinchilla"
_MOST_EXAMINED = 200_000  # beyond it an examination takes longer than a fit; check still does it
_ROLES_BY_NAME = frozenset({"row", "size", "setting", *ROLES})
_INTERRUPTED = 130
_SHAPES_NUMBERS = ("numpy", "scipy", "pyarrow")


@dataclass(frozen=True)
class Outcome:
    """What a command has to say.

    Attributes:
        report: For people and machines.
        exit_code: 0, or 3 where no usable fit exists.
        saved: A fit document to go on from, if the command makes one.
    """

    report: Report
    exit_code: int = 0
    saved: Mapping[str, Any] | None = None


def fit(settings: Settings) -> Outcome:
    """Fit laws to runs."""
    estimates = _estimates(settings)
    document = documents.fit_document(estimates)
    sections = [
        story.runs_section(estimates[0].table, estimates[0].fit.runs),
        *(story.parameters_section(estimate) for estimate in estimates),
    ]
    usable = all(estimate.status in USABLE for estimate in estimates)
    report = Report(
        title=f"scalefit fit: {', '.join(e.law.name for e in estimates)}",
        sections=tuple(sections),
        document=document,
        manifest=_manifest(settings, estimates[0].table),
    )
    return Outcome(
        report,
        0 if usable or settings.allow_unconverged else 3,
        documents.saved_document(estimates, settings),
    )


def fit_groups(settings: Settings, by: str, watch: Callable[[int, int], None]) -> Outcome:
    """Fit laws to every group of runs; `watch` is told how many of how many are finished."""
    from scalefit.pipeline import groups

    if settings.fit.averaged:
        raise InputError("auto has no parameters of its own", "with --by name laws with --law")
    table = _table(settings, [by])
    laws = settings.fit.named or (_default_law(table, settings.fit.x),)
    _refuse_twice(laws)
    task = groups.Task(settings, laws)
    fitted = groups.fit_each(task, split(table, by), jobs=settings.jobs, watch=watch)
    if fitted.refusal:
        raise InputError(f"in every group: {fitted.refusal}", "scalefit columns RUNS shows roles")
    report = Report(
        title=f"scalefit fit: {', '.join(law.name for law in laws)}, by {by}",
        sections=groups.sections(fitted, by, [law.name for law in laws]),
        document=groups.document(fitted, by, table, settings.seed),
        manifest=_manifest(settings, table),
    )
    if fitted.interrupted:
        return Outcome(report, _INTERRUPTED)
    return Outcome(report, 0 if fitted.usable or settings.allow_unconverged else 3)


def compare(settings: Settings, rank: str = "aicc", *, tests: bool = False) -> Outcome:
    """Compare laws on the same runs."""
    from scalefit.pipeline import breaks, contests

    compared = _compared(settings, rank=rank)
    level = settings.uncertainty.level
    sections = [
        *story.comparison_sections(compared, level),
        story.leave_out_section(compared, level),
        *filter(None, [story.leave_group_out_section(compared, level)]),
    ]
    document = documents.compare_document(compared, settings.seed, level)
    broken = breaks.section_and_document(compared)
    if broken is not None:
        sections.insert(1, broken[0])
        document["breaks"] = broken[1]
    many = contests.caution(compared, settings.seed)
    sections[0] = replace(sections[0], notes=(*sections[0].notes, *many))
    document["notes"] += documents.notes(many)
    if tests:
        found = contests.all_tests(compared, seed=settings.seed)
        sections.insert(1, contests.section(found))
        document["tests"] = contests.document(found)
    return Outcome(
        Report(
            title="scalefit compare",
            sections=tuple(sections),
            document=document,
            manifest=_manifest(settings, compared.table),
        )
    )


def hold_out(settings: Settings, holdout: str, by: str = "") -> Outcome:
    """Score every law, and their average, on rows that are held out, group by group."""
    from scalefit.pipeline.holdout import parse_held
    from scalefit.pipeline.holdout import report as scored_report

    held = parse_held(holdout)
    table = _table(settings, [column for column in (by, held.column) if column])
    return Outcome(scored_report(settings, table, by, held, _manifest(settings, table)))


def rollout(settings: Settings) -> Outcome:
    """What would have been predicted at each earlier stage of the project."""
    from scalefit.pipeline.rollout import report as rolled_out

    table = _table(settings)
    return Outcome(rolled_out(settings, table, _manifest(settings, table)))


def predict(settings: Settings) -> Outcome:
    """Predict the loss at points."""
    points = settings.predict.at
    if not points:
        raise InputError("no point is given", "give one with --at N=7B,D=1.4T, or --at-file")
    source = _source(settings, lambda table: _columns(points))
    estimate = source.lead
    found = averages.predict(
        source,
        _columns(points),
        allow_unconverged=settings.allow_unconverged,
        i_know=settings.i_know,
    )
    stamp = estimate.status not in USABLE
    document = documents.predict_document(estimate, found, points, stamp=stamp)
    return Outcome(
        Report(
            title=f"scalefit predict: {_title(source)}",
            sections=(story.prediction_section(estimate, found),),
            document=document,
            notes=_carried(estimate, found),
            manifest=_manifest(settings, estimate.table),
        ),
        _refused(document["rows"]),
    )


def optimum(settings: Settings) -> Outcome:
    """Compute-optimal settings for budgets."""
    budgets = settings.optimum.budgets
    if not budgets:
        raise InputError("no budget is given", "give one with --budget 1e22")
    source = _source(settings, lambda table: averages.points_at(table, budgets))
    estimate = source.lead
    found = averages.allocate(
        source,
        list(budgets),
        waste=settings.optimum.waste,
        allow_unconverged=settings.allow_unconverged,
        i_know=settings.i_know,
    )
    stamp = estimate.status not in USABLE
    document = documents.optimum_document(estimate, found, stamp=stamp)
    return Outcome(
        Report(
            title=f"scalefit optimum: {_title(source)}",
            sections=(story.optimum_section(estimate, found),),
            document=document,
            notes=_carried(estimate, found),
            manifest=_manifest(settings, estimate.table),
        ),
        _refused(document["rows"]),
    )


def _refused(rows: Sequence[Mapping[str, Any]]) -> int:
    """3 if every row was refused: then no usable result exists."""
    severities = [[n["severity"] for n in row["notes"]] for row in rows]
    return 3 if all("refusal" in row for row in severities) else 0


def check(settings: Settings) -> Outcome:
    """What the table of runs can and cannot show."""
    table = _table(settings)
    findings = tuple(dict.fromkeys((*table.notes, *_examined(settings, table))))
    count = len(findings)
    words = "nothing to object to" if not count else f"{count} finding{'s' * (count > 1)}"
    document = {
        **documents.header("scalefit.check/1", table, None, settings.seed),
        "columns": dict(table.columns),
        "findings": documents.notes(findings),
    }
    section = replace(story.runs_section(table, _rows_only(table)), name="findings")
    whole = Report(
        title=f"scalefit check: {words}",
        sections=(replace(section, notes=findings, table=story.notes_table(findings)),),
        document=document,
        manifest=_manifest(settings, table),
    )
    return Outcome(with_excluded(whole, table))


def _examined(settings: Settings, table: RunTable) -> tuple[Note, ...]:
    """What the table shows by itself, but for an input that is missed where another is named."""
    found = examine(table)
    named = {choice.x for choice in settings.fit.laws} & set(table.table.column_names)
    return tuple(n for n in found if n.code != "no-input" or not named)


def _rows_only(table: RunTable) -> Any:
    """The runs as rows, for words about the table alone."""
    axes = [r for r in ("x", "N", "D", "C", "L") if r in table.table.column_names]
    # Which column stands for the input is all one here, but a constant one is refused.
    moving = [r for r in axes if len(table.table.column(r).unique()) > 1]
    role = (moving or axes or ["L"])[0]
    return select(table, {role: role})


def report_of(
    runs: RunTable,
    folder: str | Path,
    *,
    law: str = "",
    x: str = "",
    budgets: Sequence[float] | float = (),
    at: Sequence[Mapping[str, float]] = (),
    objective: str = "t:4",
    interval: str = "jackknife",
    level: float = 0.95,
    draws: int = 2000,
    cluster: str = "run",
    seed: int = 0,
) -> Path:
    """Write the whole story of some runs into a folder.

    Args:
        runs: As `read` gives them.
        folder: Made if it is not there.
        law: Name of a law; chinchilla for runs with N and D, else power-floor.
        x: Role that plays the input of a law of one input.
        budgets: Training FLOP to find the best settings for.
        at: Points to predict at, each a role to a number.
        objective: As in `fit`.
        interval: As in `fit`.
        level: As in `fit`.
        draws: As in `fit`.
        cluster: As in `fit`.
        seed: As in `fit`.

    Returns:
        The page, `report.html`.

    Raises:
        InputError: the runs or a setting are wrong.
        OutputError: a file could not be written.
    """
    arguments.require_runs(runs)
    if not isinstance(folder, str | Path):
        raise InputError(f"the folder is {arguments.kind(folder)}, must be a path", "as 'results'")
    if isinstance(at, Mapping) or not all(isinstance(point, Mapping) for point in at):
        raise InputError("at must be a list of points", "write at=[{'N': 7e9, 'D': 1.4e11}]")
    settings = Settings(
        seed=arguments.whole("seed", seed),
        fit=FitSettings(laws=(LawChoice(law, x),) if law else (), objective=objective),
        uncertainty=UncertaintySettings(interval, level, draws, cluster),
        predict=PredictSettings(
            tuple({k: float(arguments.values(k, v)[0]) for k, v in one.items()} for one in at)
        ),
        optimum=OptimumSettings(
            tuple(arguments.values("budgets", budgets).tolist()) if np.size(budgets) else ()
        ),
    )
    require_place(Path(folder), [runs.source], folder=True)
    return write_report(report(settings, runs), Path(folder))


def report(settings: Settings, table: RunTable | None = None) -> Outcome:
    """The whole story: runs, fit, comparison, predictions, optimum and figures."""
    from scalefit.pipeline import pictures

    table = table or _table(settings)
    findings = tuple(dict.fromkeys((*table.notes, *_examined(settings, table))))
    ranked = len(settings.fit.laws) > 1 and not settings.fit.averaged
    compared = _compared_for_report(settings, table) if ranked else None
    source = _source(_preferring(settings, compared), table=table)
    estimate = source.lead
    fitted = documents.fit_document([estimate])
    usable = estimate.status in USABLE or settings.allow_unconverged
    budgets = settings.optimum.budgets or _own_budgets(estimate)
    runs = story.runs_section(table, estimate.fit.runs)
    sections = [
        replace(runs, notes=findings, table=story.runs_table(table, estimate.fit.runs, estimate))
    ]
    parameters = story.parameters_section(estimate)
    on_page = list(budgets) if usable and estimate.law.inputs == ("N", "D") else []
    parts: dict[str, Any] = {
        "fit": fitted,
        "comparison": None,
        "predictions": None,
        "optimum": None,
    }
    notes: list[Note] = []
    try:
        drawn = pictures.fit_figures(estimate, on_page)
    except FitError as error:
        notes.append(_refusal(error))
        drawn = (pictures.residual_figure(estimate),)
        on_page = []
    sections.append(replace(parameters, figures=drawn))
    sections += diagnosis.sections(estimate.diagnostics)
    if isinstance(source, Averaged):
        compared = source.compared
    elif not ranked:
        compared = _compared_for_report(settings, table)
    if compared is not None:
        if isinstance(source, Estimate):
            notes += _against(source, compared, predicts=usable)
        ranking, forecasts = story.comparison_sections(compared, settings.uncertainty.level)
        picture = pictures.forecast_figure(compared, settings.uncertainty.level)
        sections += [ranking, replace(forecasts, figures=(picture,) if picture else ())]
        parts["comparison"] = documents.compare_document(
            compared, settings.seed, settings.uncertainty.level
        )
    told: list[Prediction | Allocation] = []
    if on_page:
        found = averages.allocate(
            source, on_page, waste=settings.optimum.waste, allow_unconverged=True,
            i_know=settings.i_know,
        )  # fmt: skip
        told.append(found)
        sections.append(story.optimum_section(estimate, found))
        parts["optimum"] = documents.optimum_document(
            estimate, found, stamp=estimate.status not in USABLE
        )
    points = settings.predict.at or _own_points(estimate)
    if usable and points:
        said = averages.predict(
            source, _columns(points), allow_unconverged=True, i_know=settings.i_know
        )
        told.append(said)
        sections.append(story.prediction_section(estimate, said))
        parts["predictions"] = documents.predict_document(
            estimate, said, points, stamp=estimate.status not in USABLE
        )
    sections = _each_once(sections)
    document = {
        **documents.header("scalefit.report/1", table, estimate.fit.runs, settings.seed),
        **parts,
        "findings": documents.notes(findings),
    }
    whole = Report(
        title=f"Scaling law of {Path(table.source).name}: {_title(source)}",
        sections=tuple(replace(s, name=_file_stem(s.name)) for s in sections),
        document=document,
        notes=_unsaid(sections, (*notes, *_carried(estimate, *told))),
        manifest=_manifest(settings, table),
    )
    saved = documents.saved_document([estimate], settings)
    asked = [
        _refused(parts[key]["rows"])
        for key, given in (
            ("predictions", settings.predict.at),
            ("optimum", settings.optimum.budgets),
        )
        if given and parts[key] is not None
    ]
    code = max(asked, default=0) if usable else 3
    return Outcome(with_excluded(whole, table), code, saved)


def _preferring(settings: Settings, compared: steps.Compared | None) -> Settings:
    """The settings with the law first that a comparison puts first, if it is adequate."""
    if compared is None or not compared.comparison.laws[0].counted:
        return settings
    best = compared.comparison.laws[0].fit.law.name
    laws = sorted(settings.fit.laws, key=lambda choice: named(choice.name).name != best)
    return replace(settings, fit=replace(settings.fit, laws=tuple(laws)))


def _each_once(sections: Sequence[Section]) -> list[Section]:
    """The sections without notes that an earlier one says already."""
    said: set[Note] = set()
    found = []
    for section in sections:
        found.append(replace(section, notes=tuple(n for n in section.notes if n not in said)))
        said.update(section.notes)
    return found


def _unsaid(sections: Sequence[Section], notes: Sequence[Note]) -> tuple[Note, ...]:
    """The notes that no section says already."""
    said = {note for section in sections for note in section.notes}
    return tuple(note for note in dict.fromkeys(notes) if note not in said)


def _against(estimate: Estimate, compared: steps.Compared, *, predicts: bool) -> list[Note]:
    """A warning if the comparison of the same report rules out the law that it goes on with."""
    laws = compared.comparison.laws
    own = next((r for r in laws if r.fit.law.name == estimate.law.name), None)
    if own is None or (own.adequate and (own.same_as or not own.delta > RULED_OUT)):
        return []
    failed = [v.gate for v in own.gates if not v.passed]
    why = f"fails {', '.join(failed)}" if failed else f"is {own.delta:.1f} of AICc behind"
    better = [r.fit.law.name for r in laws if r.counted and r is not own]
    words = f"{estimate.law.name} {why} in the comparison here"
    if better:
        words += f"; {better[0]} stands first there"
    if predicts:
        words += "; what is predicted below rests on it all the same"
    return [LAW_RULED_OUT.note(words)]


def _file_stem(name: str) -> str:
    return "parameters" if name.startswith("parameters-") else name


def report_files(outcome: Outcome) -> dict[str, bytes]:
    """JSON files of a report folder beside those that every report has."""
    document = outcome.report.document
    parts = {
        "fit.json": outcome.saved,
        "comparison.json": document.get("comparison"),
        "optimum.json": document.get("optimum"),
        "predictions.json": document.get("predictions"),
        "report.json": {k: v for k, v in document.items() if k != "fit"},
    }
    return {
        name: (document_text(part) + "\n").encode()
        for name, part in parts.items()
        if part is not None
    }


def _refusal(error: Exception) -> Note:
    return DOUBTS.get("collinear-design").note(str(error))


def _own_budgets(estimate: Estimate) -> tuple[float, ...]:
    """Budgets worth showing when none were asked for: the largest run's, ten times that."""
    if estimate.fit.runs.scale_name != "C":
        return ()
    top = _rounded_down(float(estimate.fit.runs.scale.max()), 2)
    return (top / 10, top, 10 * top)


def _rounded_down(value: float, digits: int) -> float:
    """`value` in so many digits and never above itself, so that it stays inside the data."""
    unit = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    return float(f"{math.floor(value / unit * (1 + 1e-12)) * unit:.{digits - 1}e}")


def _own_points(estimate: Estimate) -> tuple[Mapping[str, float], ...]:
    """Points worth showing when none were asked for."""
    runs, law = estimate.fit.runs, estimate.law
    top = {name: float(values.max()) for name, values in runs.inputs.items()}
    if len(law.inputs) == 1:
        name = law.inputs[0]
        role = estimate.roles[name]
        most = _rounded_down(top[name], 3)
        return tuple({role: float(f"{factor * most:.4g}")} for factor in (1.0, 3.0, 10.0))
    if law.inputs == ("N", "D"):
        biggest = int(np.argmax(runs.scale))
        n, d = float(runs.inputs["N"][biggest]), float(runs.inputs["D"][biggest])
        return ({"N": n, "D": d}, {"N": 3 * n, "D": 3 * d})
    return ()


def _carried(estimate: Estimate, *told: Prediction | Allocation) -> tuple[Note, ...]:
    """Doubts about the fit that stand behind what is made of it, and about how far that goes."""
    about_fit = (*estimate.fit.notes, *estimate.diagnostics.notes)
    kept = [n for n in about_fit if n.severity != "note"]
    # Inside the data the law's error widens nothing, and so its size is no doubt about a number.
    beyond = [one.law_error for one in told if (one.decades > 0).any()]
    for error in beyond[:1]:
        if error.source != "assumed":
            continue
        kept.append(
            DOUBTS.get("assumed-law-error").note(
                f"law error could not be measured from {error.forecasts} forecasts: "
                f"{100 * error.tau:g} % of the loss at one decade is assumed"
            )
        )
    about_runs = [n for n in estimate.table.notes if n.severity == "warning"]
    return tuple(dict.fromkeys((*about_runs, *kept, *estimate.draws.notes)))


def _columns(points: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Points as role to values; every point must give the same roles.

    Raises:
        InputError: they do not.
    """
    roles = list(points[0])
    for point in points:
        if set(point) != set(roles):
            raise InputError("points give different inputs", "give the same inputs in every --at")
    return {role: np.array([point[role] for point in points], dtype=float) for role in roles}


def _table(settings: Settings, extra: Sequence[str] = ()) -> RunTable:
    if not settings.runs.path:
        raise InputError("no runs are given", "give a path, - for standard input, or [runs] path")
    if is_saved(settings.runs.path):
        raise InputError(
            f"{shown(Path(settings.runs.path).name)} is a saved fit, but the runs are needed here",
            "name the table of runs; a saved fit stands in for it with fit, predict and optimum",
        )
    cluster = settings.uncertainty.cluster
    keep = list(extra)
    if cluster not in _ROLES_BY_NAME:
        keep.append(cluster)
    table = steps.read(settings.runs.path, keep=tuple(keep), **steps.reading(settings.runs))
    if table.rows > _MOST_EXAMINED:
        return table
    warnings = [n for n in _examined(settings, table) if n.severity == "warning"]
    return replace(table, notes=tuple(dict.fromkeys((*table.notes, *warnings))))


def is_saved(path: str) -> bool:
    """Whether a path names a saved fit and not a table of runs."""
    if not (path.endswith(".json") and Path(path).is_file()):
        return False
    # A table of runs may be JSON too, but none begins with the first key of our documents.
    with Path(path).open("rb") as file:
        head = file.read(256)
    return re.match(rb'(\xef\xbb\xbf)?\s*(\{\s*"(fits|schema)"|\{\s*\}|[^{\[])', head) is not None


def _estimates(settings: Settings, table: RunTable | None = None) -> list[Estimate]:
    if table is None and is_saved(settings.runs.path):
        return _saved(settings)
    if settings.fit.averaged:
        raise InputError(
            "auto is an average of laws and has no parameters of its own",
            "use it with predict, optimum, report or compare; for fit name a law",
        )
    table = table or _table(settings)
    chosen = settings.fit.named or (_default_law(table, settings.fit.x),)
    _refuse_twice(chosen)
    return [
        steps.estimate(settings, table, choice, chosen, jobs=settings.jobs) for choice in chosen
    ]


def _saved(settings: Settings) -> list[Estimate]:
    """The estimates of a saved fit, or those of the laws that are named.

    Raises:
        InputError: it holds no fit of a law that is named.
    """
    path = Path(settings.runs.path)
    found = {e.law.name: e for e in documents.load_saved(path)}
    wanted = [choice.name for choice in settings.fit.laws if choice.name]
    for name in wanted:
        if name not in found and named(name).name not in found:
            raise InputError(
                f"{shown(path.name)} holds no fit of {name}: it holds {', '.join(found)}",
                "choose one of these, or fit the runs anew",
            )
    return [found.get(name) or found[named(name).name] for name in wanted] or list(found.values())


def _refuse_twice(laws: Sequence[LawChoice]) -> None:
    """Refuse the same law of the same input named twice.

    Raises:
        InputError: one is.
    """
    for choice in laws:
        if laws.count(choice) > 1:
            raise InputError(f"{choice.name} is named twice", "name each law once")


def _default_law(table: RunTable, x: str) -> LawChoice:
    if {"N", "D"} <= set(table.table.column_names) and not x:
        return LawChoice(_FALLBACK)
    return LawChoice("power-floor", x)


def _one_estimate(settings: Settings, table: RunTable | None = None) -> Estimate:
    if len(settings.fit.laws) > 1:
        if table is None:
            raise InputError(
                "several laws are named, but one is needed",
                "choose one with --law, or rank them with scalefit compare",
            )
        first = settings.fit.laws[0]
        alone = replace(first, x=steps.axis_of(first))
        settings = replace(settings, fit=replace(settings.fit, laws=(alone,)))
    found = _estimates(settings, table)
    if settings.fit.named:
        wanted = named(settings.fit.named[0].name).name
        found = [e for e in found if e.law.name == wanted]
    if len(found) != 1:
        raise InputError(
            f"the saved file holds {len(found)} fits",
            f"choose one with --law: {', '.join(e.law.name for e in found)}",
        )
    return found[0]


def _source(
    settings: Settings,
    ahead: Callable[[RunTable], Any] = lambda table: None,
    table: RunTable | None = None,
) -> Estimate | Averaged:
    """What answers: the one law that is asked for, or the average of laws.

    Args:
        settings: With the laws.
        ahead: Points to be predicted, by role, from the table of runs.
        table: The runs, if they are read already.
    """
    if not settings.fit.averaged:
        return _one_estimate(settings, table)
    if is_saved(settings.runs.path):
        raise InputError("auto needs the runs, not a saved fit", "name the table of runs instead")
    runs = table or _table(settings)
    return averages.average(settings, runs, ahead(runs), force=settings.i_know)


def _title(source: Estimate | Averaged) -> str:
    if isinstance(source, Estimate):
        return source.law.name
    return f"auto, the average of {', '.join(source.names)}"


def _compared(
    settings: Settings, table: RunTable | None = None, rank: str = "aicc"
) -> steps.Compared:
    table = table or _table(settings)
    x = settings.fit.laws[0].x if settings.fit.laws else ""
    _refuse_twice(settings.fit.laws)
    named = [(choice.name, choice.x) for choice in settings.fit.named]
    return steps.compare(
        table,
        named,
        x=x,
        objective=settings.fit.objective,
        cluster=settings.uncertainty.cluster,
        fix=settings.fit.fix,
        bound=settings.fit.bound,
        solver=settings.fit.solver,
        rank=rank,
        leave_out=True,
    )


def _compared_for_report(settings: Settings, table: RunTable) -> steps.Compared | None:
    """The comparison of a report: the named laws if there are several, else all that suit."""
    chosen = settings.fit.laws if len(settings.fit.laws) > 1 else ()
    x = settings.fit.laws[0].x if settings.fit.laws else ""
    one = replace(settings, fit=replace(settings.fit, laws=chosen, fix={}, bound={}))
    if not chosen and len(steps.suitable(table, x)) < 2:
        return None
    if not chosen and x:
        names = tuple(LawChoice(law.name, x) for law in steps.suitable(table, x))
        one = replace(one, fit=replace(one.fit, laws=names))
    return _compared(one, table)


def _manifest(settings: Settings, table: RunTable) -> dict[str, Any]:
    """Enough to make the report again."""
    kept = asdict(replace(settings, runs=replace(settings.runs, path=Path(table.source).name)))
    return {
        "scalefit": scalefit.__version__,
        "python": platform.python_version(),
        # SciPy had no part in what was told if nothing asked for it.
        **{name: sys.modules[name].__version__ for name in _SHAPES_NUMBERS if name in sys.modules},
        "engine": engine(),
        "input": {"path": Path(table.source).name, "sha256": table.sha256},
        "columns": dict(table.columns),
        "settings": {k: v for k, v in kept.items() if k != "jobs"},
        "rows": f"{table.rows_read} read, {table.rows} used",
    }


def laws_section(names: Sequence[str] = ()) -> Report:
    """The library of laws, or some of them whole."""
    chosen = [named(name) for name in names] or list(LAWS)
    listed = [
        {
            "law": law.name,
            "formula": law.formula,
            "inputs": list(law.inputs),
            "parameters": [p.name for p in law.parameters],
            "source": law.source,
            "example": dict(law.example),
            "derived": {d.name: d.meaning for d in law.derived},
        }
        for law in chosen
    ]
    if not names:
        section = Section(
            name="laws",
            heading=f"{len(chosen)} laws",
            header=("law", "formula", "source"),
            rows=tuple((law.name, law.formula, law.source) for law in chosen),
        )
        return Report("scalefit laws", (section,), {"schema": "scalefit.laws/1", "laws": listed})
    sections = tuple(
        Section(
            name=law.name,
            heading=law.name,
            lead=(law.formula, f"Inputs: {', '.join(law.inputs)}.", f"Source: {law.source}."),
            header=("parameter", "example", "searched between", "times"),
            rows=tuple(
                (
                    p.name,
                    human(law.example[p.name], 5),
                    f"{p.low:g} and {p.high:g}",
                    _frame_words(p.relative_to),
                )
                for p in law.parameters
            ),
            numeric=frozenset({1}),
            footer=(
                "Ranges hold for inputs divided by their geometric means.",
                *(f"{d.name}: {d.meaning}." for d in law.derived),
            ),
        )
        for law in chosen
    )
    return Report("scalefit laws", sections, {"schema": "scalefit.laws/1", "laws": listed})


def _frame_words(frame: str) -> str:
    if not frame:
        return "1"
    return "the least loss" if frame == "loss" else f"the least and largest {frame}"


def explain(code: str) -> Report:
    """What a note code means and what helps.

    Raises:
        UnknownName: there is no such code.
    """
    import scalefit.inference.doubts
    import scalefit.tables.doubts  # noqa: F401  (both fill DOUBTS)

    doubt = DOUBTS.get(code)
    section = Section(
        name=doubt.name,
        heading=f"{doubt.name} ({doubt.severity})",
        lead=(
            f"Given when: {doubt.trigger.rstrip('.')}.",
            doubt.meaning,
            f"What helps: {doubt.remedy}",
        ),
    )
    return Report(
        "scalefit explain",
        (section,),
        {"schema": "scalefit.explain/1", "code": doubt.name, "severity": doubt.severity,
         "trigger": doubt.trigger, "meaning": doubt.meaning, "remedy": doubt.remedy},
    )  # fmt: skip


def points_of(path: Path) -> tuple[dict[str, float], ...]:
    """Points of a table, one row each, its columns named by role, with units as in runs.

    What runs have besides inputs, such as a loss, is passed over: a table of runs is one of points.

    Raises:
        InputError: the table cannot be read, or a cell is no number.
    """
    import csv

    from scalefit.core.numbers import parse_human

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{shown(str(path))} cannot be read: {error}") from None
    if not rows:
        raise InputError(f"{shown(str(path))} holds no points", "write a header and a row each")
    names = [str(name).strip() for name in rows[0] if name is not None]
    roles = {column: role for role, column in assign(names).columns.items()}
    inputs = {"C", *(name for law in LAWS.values() for name in law.inputs)}
    beside = {column for column, role in roles.items() if role in ROLES and role not in inputs}
    found = []
    for k, row in enumerate(rows, start=2):
        point = {}
        for role, text in row.items():
            if role is not None and role.strip() in beside:
                continue
            if role is None or text is None or not text.strip():
                what = "a cell too many" if role is None else f"column {shown(role)}: nothing here"
                raise InputError(
                    f"{shown(path.name)}, line {k}, {what}", "give one number for each input"
                )
            name = role.strip()
            played = roles.get(name, name)
            try:
                given = np.array([parse_human(text)])
                point[played] = float(convert(played, name, given)[0][0])
            except InputError as error:
                raise InputError(
                    f"{shown(path.name)}, line {k}, column {shown(str(role))}: {error}", error.hint
                ) from None
        found.append(point)
    return tuple(found)


def write_report(outcome: Outcome, folder: Path) -> Path:
    """Write a report folder; returns the page in it."""
    from scalefit.tables.reports import write_folder

    write_folder(outcome.report, folder, report_files(outcome))
    return folder / "report.html"


def write_outcome(outcome: Outcome, path: Path) -> Path:
    """Write an outcome in the format of the suffix; JSON of a fit can be gone on from."""
    from scalefit.tables.reports import write

    whole = outcome.report
    if outcome.saved is not None and path.suffix.lower() == ".json":
        whole = replace(whole, document=outcome.saved)
    # A table file holds what was asked for; what was excluded is in the JSON document.
    tabular: list[Any] = [s for s in whole.sections if s.table is not None and s.name != "runs"]
    if path.suffix.lower() in (".csv", ".parquet") and tabular:
        # Laws fitted together make one table, told apart by its column `law`.
        alike = [s.table for s in tabular if s.table.schema.equals(tabular[0].table.schema)]
        whole = replace(whole, sections=(replace(tabular[0], table=pa.concat_tables(alike)),))
    return write(whole, path)


def doubts_of(outcome: Outcome) -> tuple[Note, ...]:
    """Every note of a report that is more than a remark."""
    found = [*outcome.report.notes, *(n for s in outcome.report.sections for n in s.notes)]
    return tuple(dict.fromkeys(n for n in found if n.severity != "note"))


def require_gates(gates: Sequence[str]) -> None:
    """Nothing, if each gate is the code or the severity of a note.

    Raises:
        UnknownName: a gate is neither.
    """
    import scalefit.inference.doubts
    import scalefit.tables.doubts  # noqa: F401  (both fill DOUBTS)

    for gate in gates:
        if gate not in {"note", "warning", "refusal"}:
            DOUBTS.get(gate)


def failing(outcome: Outcome, gates: Sequence[str]) -> tuple[str, ...]:
    """Codes of the findings that a gate names, by code or by severity.

    Raises:
        UnknownName: a gate is neither.
    """
    require_gates(gates)
    found = [*outcome.report.notes, *(n for s in outcome.report.sections for n in s.notes)]
    hit = [n.code for n in found if n.code in gates or n.severity in gates]
    return tuple(dict.fromkeys(hit))

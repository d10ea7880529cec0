"""Nouns to the words, tables and figures that a report is laid out from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from scalefit.core.notes import Note
from scalefit.core.numbers import as_precise_as, counted, decades_of, human, per_cent
from scalefit.core.observations import Array, Observations
from scalefit.core.records import replace
from scalefit.inference.allocation import Allocation
from scalefit.inference.certificate import USABLE
from scalefit.inference.comparison import Ranked, trimmed_rms
from scalefit.inference.forecasts import Forecasts, LawError, noise_of
from scalefit.inference.prediction import Prediction
from scalefit.inference.scores import BOUNDLESS, Score, score, score_by_distance
from scalefit.inference.uncertainty import Draws, Interval
from scalefit.pipeline import diagnosis
from scalefit.pipeline.steps import Compared, Estimate
from scalefit.tables.reports import Section
from scalefit.tables.runs import RunTable

_UNITS = {"N": "parameters", "D": "tokens", "C": "FLOP"}


def runs_section(table: RunTable, runs: Observations) -> Section:
    """What was read, what of it is used and over which ranges."""
    rows = []
    for role, column in table.columns.items():
        rows.append((role, column, *_range(table, role)))
    for role, rule in table.derived.items():
        rows.append((role, f"derived: {rule}", *_range(table, role)))
    lead = [
        f"{table.rows_read} rows read, {runs.n} used, {len(table.excluded)} excluded; "
        f"{counted(runs.clusters, 'independent run')}."
    ]
    reasons: dict[str, int] = {}
    for one in table.excluded:
        reasons[one.reason] = reasons.get(one.reason, 0) + 1
    lead += [f"Excluded {count}: {reason}" for reason, count in list(reasons.items())[:5]]
    if len(reasons) > 5:
        lead.append(f"… and for {len(reasons) - 5} more reasons; the JSON document lists all rows.")
    return Section(
        name="runs",
        heading=f"Runs of {table.source}",
        lead=tuple(lead),
        header=("role", "column", "from", "to"),
        rows=tuple(rows),
        numeric=frozenset({2, 3}),
        table=runs_table(table, runs),
        notes=table.notes,
    )


def runs_table(table: RunTable, runs: Observations, estimate: Estimate | None = None) -> pa.Table:
    """The runs in use, one row each, with what a law makes of them if one is given."""
    columns: dict[str, Any] = {
        "row": pa.array([int(r) for r in runs.row], pa.int64()),
        "cluster": pa.array([int(c) for c in runs.cluster], pa.int64()),
        **{name: _column(values) for name, values in runs.inputs.items()},
        "scale": _column(runs.scale),
        "weight": _column(runs.weight),
        "L": _column(runs.loss),
    }
    if estimate is not None:
        inputs = [runs.inputs[name] for name in estimate.law.inputs]
        fitted = estimate.law.predict(estimate.fit.theta[None], inputs)[0]
        columns |= {"fitted": _column(fitted), "residual": _column(runs.loss / fitted - 1)}
    return _with_units(pa.table(columns), {**_UNITS, **_of_loss(table, "L", "fitted")})


def _of_loss(table: RunTable, *names: str) -> dict[str, str]:
    """The unit of the loss for columns that hold losses; empty where the table does not say."""
    if "L" not in table.table.column_names:
        return {}
    stated = (table.table.schema.field("L").metadata or {}).get(b"unit", b"").decode()
    return dict.fromkeys(names, stated) if stated else {}


def notes_table(notes: Sequence[Note]) -> pa.Table:
    """Notes, one row each."""
    return pa.table(
        {
            key: pa.array([getattr(n, key) for n in notes], pa.string())
            for key in ("code", "severity", "message")
        }
    )


def _range(table: RunTable, role: str) -> tuple[str, str]:
    if role not in table.table.column_names:
        return "", ""
    column = table.table.column(role)
    if not pa.types.is_floating(column.type) or not table.rows:
        return "", ""
    values = np.concatenate([np.asarray(np.from_dlpack(c)) for c in column.chunks if len(c)])
    if np.isnan(values).all():
        return "", ""
    return human(float(np.nanmin(values))), human(float(np.nanmax(values)))


def parameters_section(estimate: Estimate) -> Section:
    """Estimates with intervals, derived exponents, and the certificate in one line."""
    fit, c = estimate.fit, estimate.fit.certificate
    found = {**estimate.parameters, **estimate.derived}
    meaning = {d.name: d.meaning for d in estimate.law.derived}
    rows = []
    for name, one in found.items():
        remark = meaning.get(name, "")
        if name in fit.fixed:
            remark = "fixed"
        elif name in c.bounds:
            remark = "on its bound: not determined"
        elif name in estimate.undetermined:
            remark = "cannot be separated from the others"
        spread = _spread(one)
        rows.append(
            (
                name,
                as_precise_as(float(one.value[0]), spread),
                *_ends(one, spread),
                remark,
            )
        )
    none = estimate.draws.refused
    table = pa.table(
        {
            "law": pa.array([estimate.law.name] * len(found)),
            "parameter": pa.array(list(found)),
            "value": pa.array([float(v.value[0]) for v in found.values()]),
            "se": _column([v.se[0] for v in found.values()]),
            "low": _column([v.low[0] for v in found.values()]),
            "high": _column([v.high[0] for v in found.values()]),
            "status": pa.array([fit.status] * len(found)),
            "method": pa.array([None if none else estimate.draws.method.words] * len(found)),
            "level": pa.array([None if none else estimate.level] * len(found), pa.float64()),
            "df": _column([math.nan if none else estimate.draws.df] * len(found)),
        }
    )
    used = int((fit.runs.weight > 0).sum())
    sigma = noise_of(fit, fit.scale, used)
    agreed = f"{c.agree} of {c.starts} searches agree"
    return Section(
        name=f"parameters-{estimate.law.name}",
        heading=f"{estimate.law.name}: {estimate.law.formula}",
        lead=(
            f"status {fit.status} · n = {used} · {fit.runs.clusters} clusters · objective "
            f"{objective_words(fit.objective)} = {fit.value:.10g}",
        ),
        header=("parameter", "estimate", "low", "high", ""),
        rows=tuple(rows),
        numeric=frozenset({1, 2, 3}),
        table=table,
        notes=estimate.notes,
        footer=(
            interval_words(estimate.draws, estimate.level),
            *diagnosis.short_words(estimate.diagnostics),
            f"Scatter of one run about the law: {per_cent(sigma)} of the loss. Certificate: "
            f"score {_score_words(c.score)}, condition number {c.kappa:.2g}, {agreed}.",
        ),
    )


def _score_words(score: float) -> str:
    """The score against its thresholds; its last digits are rounding and differ by machine."""
    for limit in (1e-6, 1e-4, 1e-2):
        if score <= limit:
            return f"below {limit:.0e}".replace("e-0", "e-")
    return f"{score:.1g}"


def objective_words(objective: Any) -> str:
    """An objective as people name it."""
    if objective.name == "t":
        return f"Student-t (nu = {objective.nu:g}) negative log-likelihood"
    if objective.name == "huber":
        words = f"Huber (delta = {objective.delta:.4g}) sum"
        return words + (", near to least absolute deviations" if objective.delta <= 2e-3 else "")
    if objective.name == "mse":
        return "sum of squared errors of the raw loss"
    return "normal negative log-likelihood"


def interval_words(draws: Draws, level: float) -> str:
    """Method, level, degrees of freedom and refits in one sentence."""
    if draws.refused:
        return "No intervals: see the notes."
    df = f", {draws.df:g} degrees of freedom" if math.isfinite(draws.df) else ""
    failed = f", {len(draws.failed)} of {draws.tried} refits failed" if draws.failed else ""
    return (
        f"{100 * level:g} % intervals: {draws.method.words}{df}, "
        f"{draws.tried} refits over {draws.clusters} clusters{failed}."
    )


def _spread(found: Interval) -> float:
    ends = [abs(float(e[0] - found.value[0])) for e in (found.low, found.high)]
    # Where one end is open the other one tells how many digits mean something.
    width = min(ends) / 2 if any(map(math.isinf, ends)) else float(sum(ends)) / 4
    return width if math.isfinite(width) and width > 0 else float("nan")


def _ends(found: Interval, spread: float, k: int = 0) -> tuple[str, str]:
    both = (float(found.low[k]), float(found.high[k]))
    if any(math.isnan(end) for end in both):
        return "none", "none"
    low, high = ("open" if math.isinf(end) else as_precise_as(end, spread) for end in both)
    return low, high


def _column(values: Iterable[Any]) -> pa.Array[Any]:
    plain = [float(v) for v in values]
    return pa.array([v if math.isfinite(v) else None for v in plain], pa.float64())


def _with_units(table: pa.Table, units: Mapping[str, str]) -> pa.Table:
    schema = pa.schema(
        [f.with_metadata({"unit": units[f.name]}) if f.name in units else f for f in table.schema]
    )
    return pa.Table.from_arrays(table.columns, schema=schema)


def prediction_section(estimate: Estimate, found: Prediction) -> Section:
    """Predicted losses with the three nested intervals."""
    roles = {name: estimate.roles[name] for name in found.points}
    shown_rows, withheld = [], _withheld(found.notes)
    for k in range(found.decades.size):
        point = ", ".join(f"{roles[n]} = {human(float(v[k]))}" for n, v in found.points.items())
        if withheld[k]:
            shown_rows.append((point, "refused", "", "", "", f"{found.decades[k]:.2g}", "refused"))
            continue
        spread = max(float(found.band.headline.high[k] - found.band.headline.low[k]) / 4, 1e-12)
        shown_rows.append(
            (
                point,
                as_precise_as(float(found.band.loss[k]), spread, 1),
                _pair(found.band.exact, k, spread),
                _pair(found.band.new_run, k, spread),
                _pair(found.band.headline, k, spread),
                f"{found.decades[k]:.2g}",
                _stamped(found.trust[k] if found.decades[k] else "inside", estimate),
            )
        )
    keep = [not w for w in withheld]
    table = pa.table(
        {
            **{roles[n]: pa.array([float(x) for x in v]) for n, v in found.points.items()},
            "loss": _column(np.where(keep, found.band.loss, np.nan)),
            **_band_columns(found.band.exact, "exact_law", keep),
            **_band_columns(found.band.new_run, "new_run", keep),
            **_band_columns(found.band.headline, "headline", keep),
            "decades_beyond": _column(found.decades),
            "interpolation": pa.array([bool(h == 0) for h in found.decades]),
            "trust": pa.array(list(found.trust)),
            "status": pa.array([estimate.status] * len(found.trust)),
        }
    )
    return Section(
        name="predictions",
        heading=f"Predicted loss, {law_words(estimate, found)}",
        header=(
            "at", "loss", "if the law is right", "one new run", "headline", "decades beyond",
            "trust",
        ),
        rows=tuple(shown_rows),
        numeric=frozenset({1, 2, 3, 4, 5}),
        table=_with_units(
            table, {**_UNITS, **_of_loss(estimate.table, "loss"), "decades_beyond": "decades"}
        ),
        notes=_of_rows(found.notes, found.decades),
        footer=(
            interval_words(estimate.draws, estimate.level),
            *(() if estimate.draws.refused else (law_error_words(found.law_error),)),
        ),
    )  # fmt: skip


def _of_rows(notes: Sequence[Sequence[Note]], decades: Array) -> tuple[Note, ...]:
    """The notes of rows, each kind once: as it stands at the row that lies farthest out."""
    far_first = sorted(range(len(notes)), key=lambda k: -float(decades[k]))
    kinds: dict[str, dict[Note, None]] = {}
    for k in far_first:
        for note in notes[k]:
            kinds.setdefault(note.code, {})[note] = None
    found = []
    for told in kinds.values():
        first, *others = told
        more = f" (farthest of {len(told)} rows that say so)" if others else ""
        found.append(replace(first, message=first.message + more))
    return tuple(found)


def _stamped(words: str, estimate: Estimate) -> str:
    """The standing of a row; from a fit that is no minimum it carries the status of the fit."""
    return words if estimate.status in USABLE else f"{words}, {estimate.status}"


def _withheld(rows: Sequence[Sequence[Note]]) -> list[bool]:
    return [any(n.severity == "refusal" for n in row) for row in rows]


def _pair(found: Interval, k: int, spread: float) -> str:
    if not (math.isfinite(found.low[k]) and math.isfinite(found.high[k])):
        return "none"
    return (
        f"[{as_precise_as(float(found.low[k]), spread, 1)}, "
        f"{as_precise_as(float(found.high[k]), spread, 1)}]"
    )


def _band_columns(found: Interval, name: str, keep: Sequence[bool]) -> dict[str, pa.Array[Any]]:
    return {
        f"{name}_low": _column(np.where(keep, found.low, np.nan)),
        f"{name}_high": _column(np.where(keep, found.high, np.nan)),
    }


def law_words(estimate: Estimate, found: Prediction | Allocation) -> str:
    """The law that speaks, or the laws that are averaged with their weights."""
    if not found.average:
        return estimate.law.name
    if len(found.average) == 1:
        return f"{estimate.law.name}, the one law with weight"
    parts = ", ".join(f"{100 * w:.0f} % {name}" for name, w in found.average)
    return f"average of {parts}"


def law_error_words(error: LawError) -> str:
    """Where the headline's width comes from."""
    how = "assumed because these runs cannot show it"
    if error.source == "estimated":
        how = f"estimated from {error.forecasts} earlier forecasts"
    return (
        f"Headline: parameters, noise of one run, and a law error of {per_cent(error.tau)} of "
        f"the loss at one decade beyond the data (power 3/2 of the distance), {how}."
    )


def split_error_words(error: LawError) -> str:
    """What beyond the parameters widens N* and D*."""
    how = "assumed because these runs cannot show it"
    if error.source == "estimated":
        how = f"estimated from {error.forecasts} earlier forecasts of N*"
    return (
        f"N* and D*: parameters, and a law error of {per_cent(math.expm1(error.tau))} for each "
        f"standard deviation of the runs' budgets (in logs) that one is off their middle, {how}."
    )


def optimum_section(estimate: Estimate, found: Allocation) -> Section:
    """Compute-optimal settings."""
    rows, withheld = [], _withheld(found.notes)
    for k, budget in enumerate(found.budget):
        if withheld[k]:
            rows.append(
                (
                    human(float(budget)),
                    "refused",
                    *[""] * 5,
                    f"{decades_of(float(found.decades[k]))}, refused",
                )
            )
            continue
        spread = max(float(found.band.headline.high[k] - found.band.headline.low[k]) / 4, 1e-12)
        rows.append(
            (
                human(float(budget)),
                _human_with(found.N_headline, k),
                _human_with(found.D_headline, k),
                _human_with(found.ratio_headline, k),
                f"{as_precise_as(float(found.band.loss[k]), spread, 1)} "
                + _pair(found.band.headline, k, spread),
                _human_ends(found.N, k),
                f"{human(float(found.near[k, 0]))} to {human(float(found.near[k, 1]))}",
                _stamped(
                    found.trust[k]
                    if found.decades[k] == 0
                    else f"{decades_of(float(found.decades[k]))}, {found.trust[k]}",
                    estimate,
                ),
            )
        )
    keep = [not w for w in withheld]
    table = pa.table(
        {
            "budget": pa.array([float(b) for b in found.budget]),
            **_valued(found.N, "N", keep),
            **_valued(found.D, "D", keep),
            **_valued(found.ratio, "tokens_per_parameter", keep),
            **_band_columns(found.N_headline, "N_headline", keep),
            **_band_columns(found.D_headline, "D_headline", keep),
            **_band_columns(found.ratio_headline, "tokens_per_parameter_headline", keep),
            **_band_columns(found.band.headline, "loss_headline", keep),
            **_valued(found.band.headline, "loss", keep),
            "near_optimal_N_low": _column(np.where(keep, found.near[:, 0], np.nan)),
            "near_optimal_N_high": _column(np.where(keep, found.near[:, 1], np.nan)),
            "decades_beyond": _column(found.decades),
            "interpolation": pa.array([bool(h == 0) for h in found.decades]),
            "trust": pa.array(list(found.trust)),
            "status": pa.array([estimate.status] * len(found.trust)),
        }
    )
    grown = [
        f"{name}* grows as C^{as_precise_as(float(v.value[0]), _spread(v), 1)}"
        + (f" {_pair(v, 0, _spread(v))}" if math.isfinite(_spread(v)) else "")
        for name, v in (("N", found.exponent_N), ("D", found.exponent_D))
    ]
    return Section(
        name="optimum",
        heading=f"Compute-optimal settings, {law_words(estimate, found)} (C = 6ND)",
        header=(
            "FLOP", "N*", "D*", "tokens per parameter", "loss", "N* if the law is right",
            f"N within {100 * found.waste:g} % of compute", "distance",
        ),
        rows=tuple(rows),
        numeric=frozenset(range(7)),
        table=_with_units(
            table, {**_UNITS, **_of_loss(estimate.table, "loss"), "budget": "FLOP"}
        ),
        notes=_of_rows(found.notes, found.decades),
        footer=(
            "; ".join(grown) + ".",
            *(
                (interval_words(estimate.draws, estimate.level),)
                if estimate.draws.refused
                else (
                    interval_words(estimate.draws, estimate.level)
                    + " Headlines, but where the law is said to be right.",
                    law_error_words(found.law_error),
                    split_error_words(found.split_error),
                )
            ),
        ),
    )  # fmt: skip


def _human_with(found: Interval, k: int) -> str:
    return f"{human(float(found.value[k]))} {_human_ends(found, k)}".rstrip()


def _human_ends(found: Interval, k: int) -> str:
    if not math.isfinite(found.low[k]):
        return ""
    return f"[{human(float(found.low[k]))}, {human(float(found.high[k]))}]"


def _valued(found: Interval, name: str, keep: Sequence[bool]) -> dict[str, pa.Array[Any]]:
    return {
        name: _column(np.where(keep, found.value, np.nan)),
        f"{name}_low": _column(np.where(keep, found.low, np.nan)),
        f"{name}_high": _column(np.where(keep, found.high, np.nan)),
    }


def comparison_sections(compared: Compared, level: float) -> tuple[Section, Section]:
    """Laws ranked with gates and weights, and what each would have forecast."""
    return _ranking(compared), _forecast_section(compared, level)


def leave_out_section(compared: Compared, level: float) -> Section:
    """Each budget forecast from all the others, by distance from them."""
    laws = {r.fit.law.name: r.left_out for r in compared.comparison.laws}
    return _left_out("budget", laws, level, ", larger and smaller")


def leave_group_out_section(compared: Compared, level: float) -> Section | None:
    """Each group of runs forecast from all the others; None where runs know of no groups."""
    laws = {r.fit.law.name: r.groups_out for r in compared.comparison.laws}
    known = any(told is not None for told in laws.values())
    return _left_out("group", laws, level) if known else None


def _left_out(
    unit: str, laws: Mapping[str, Forecasts | None], level: float, which: str = ""
) -> Section:
    scored = [
        (name, words, part)
        for name, told in laws.items()
        if told is not None
        for words, part in score_by_distance(told, level).items()
    ]
    rows = [
        (name, words.removesuffix(" decades"), *_score_cells(part)) for name, words, part in scored
    ]
    header = ("law", "decades", *_SCORES)
    return Section(
        name="leave-one-out" if unit == "budget" else f"leave-one-{unit}-out",
        heading=f"Leaving each {unit} out",
        header=header if rows else (),
        rows=tuple(rows),
        numeric=frozenset(range(2, len(header))),
        footer=(
            f"Each {unit} forecast from all the others{which}; columns as above.",
            *_boundless_words(part for _, _, part in scored),
        )
        if rows
        else (f"Too few {unit}s to leave one out.",),
    )


_SCORES = ("forecasts", "error", "mean", "z", "CRPS", "covered")


def _boundless_words(scores: Iterable[Score]) -> tuple[str, ...]:
    """Why there is no CRPS in some row."""
    if not any(one.boundless for one in scores):
        return ()
    return (
        f"CRPS none: the standard error of a forecast has no bounds (above {per_cent(BOUNDLESS)} "
        "of the loss), for what was left of the runs does not tell the law's parameters apart; "
        "such a forecast counts as covered.",
    )


def _score_cells(one: Score) -> tuple[str, ...]:
    return (
        str(one.forecasts),
        per_cent(one.rmse),
        per_cent(one.mean_error, "+"),
        f"{one.z:.2g}",
        "none" if one.boundless else per_cent(one.crps),
        f"{100 * one.coverage:.0f} %",
    )


def _ranking(compared: Compared) -> Section:
    ranked = compared.comparison.laws
    rows: list[tuple[str, ...]] = []
    for one in ranked:
        failed = [v.gate for v in one.gates if not v.passed]
        rows.append(
            (
                one.fit.law.name,
                _or_dash(one.aicc, ".1f"),
                _or_dash(one.delta, ".1f"),
                f"{one.weight:.3f}" if one.counted else "–",
                per_cent(trimmed_rms(one.fit)),
                one.fit.status,
                _gate_words(one, failed),
            )
        )
    rows += [
        (name, *("–",) * 4, "not fitted", reason) for name, reason in compared.unfitted.items()
    ]
    table = pa.table(
        {
            "law": pa.array([r.fit.law.name for r in ranked]),
            "status": pa.array([r.fit.status for r in ranked]),
            "adequate": pa.array([r.adequate for r in ranked]),
            "aicc": _column(r.aicc for r in ranked),
            "delta": _column(r.delta for r in ranked),
            "weight": _column(r.weight for r in ranked),
            "forecasts": pa.array([r.forecasts.count for r in ranked], pa.int64()),
            "forecast_rmse": _column(r.rmse for r in ranked),
        }
    )
    return Section(
        name="comparison",
        heading=f"{len(rows)} laws compared on {_evidence_words(compared.observations)}",
        lead=(f"Verdict: {compared.comparison.verdict}.",),
        header=("law", "AICc", "Δ", "weight", "residual", "status", "gates"),
        rows=tuple(rows),
        numeric=frozenset(range(1, 5)),
        table=table,
        notes=compared.comparison.notes,
        footer=(
            *_reasons(compared),
            "AICc and weights come from the likelihood that was fitted; weights are shared among "
            "laws that pass every gate. Residual: root mean square without the worst tenth.",
        ),
    )


def _evidence_words(runs: Observations) -> str:
    if runs.clusters == runs.n:
        return f"{runs.n} runs"
    return f"{runs.n} rows of {runs.clusters} independent runs"


def _gate_words(one: Ranked, failed: Sequence[str]) -> str:
    if failed:
        return f"fails {', '.join(failed)}"
    return f"the curve of {one.same_as}" if one.same_as else "passed"


def _reasons(compared: Compared) -> tuple[str, ...]:
    """Why each law that fails a gate fails it."""
    return tuple(
        f"{one.fit.law.name} fails {verdict.gate}: {verdict.detail}."
        for one in compared.comparison.laws
        for verdict in one.gates
        if not verdict.passed
    )


def _forecast_section(compared: Compared, level: float) -> Section:
    rows: list[tuple[str, ...]] = []
    for one in compared.comparison.laws:
        parts = score_by_distance(one.forecasts, level)
        whole = {"all": score(one.forecasts, level)} if len(parts) != 1 else {}
        rows += [
            (one.fit.law.name, words.removesuffix(" decades"), *_score_cells(part))
            for words, part in {**whole, **parts}.items()
            if part.forecasts
        ]
    header = ("law", "decades", *_SCORES)
    return Section(
        name="forecasts",
        heading="Leaving the largest budgets out",
        header=header if rows else (),
        rows=tuple(rows),
        numeric=frozenset(range(2, len(header))),
        table=forecast_table(compared),
        footer=(
            "Each law was fitted to the runs below a cut and asked for every budget above it, for "
            "each cut that leaves enough runs, so many decades beyond it. Error: root mean square, "
            "relative to the loss; mean: actual less forecast; z: error in standard errors, 1 if "
            "the law's own interval is honest; CRPS: lower is better; covered: share inside the "
            f"{100 * level:g} % interval that trusts the law.",
            *_boundless_words(score(r.forecasts, level) for r in compared.comparison.laws),
        )
        if rows
        else ("Too few budgets to leave the largest out: no forecast could be scored.",),
    )


def _or_dash(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "–"


def forecast_table(compared: Compared) -> pa.Table:
    """Every forecast of every law, one row each; no `se` where it has no bounds."""
    names, columns = [], []
    for one in compared.comparison.laws:
        told = one.forecasts
        names += [one.fit.law.name] * told.count
        se = np.sqrt(told.variance)
        se = np.where(se <= BOUNDLESS, se, np.nan)
        columns.append(np.stack([told.cut, told.scale, told.decades, told.error, se]))
    joined = np.concatenate(columns, axis=1) if columns else np.empty((5, 0))
    return pa.table(
        {
            "law": pa.array(names, pa.string()),
            **{
                name: _column(joined[k])
                for k, name in enumerate(("cut", "scale", "decades", "error", "se"))
            },
        }
    )

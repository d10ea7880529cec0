"""Nouns to the JSON documents of the outside contract, and saved fits back to nouns.

Keys are promised to outside scripts: adding is free, renaming needs a new schema number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import scalefit
from scalefit.config import Settings
from scalefit.core.errors import InputError
from scalefit.core.notes import Note
from scalefit.core.numbers import shown
from scalefit.core.observations import Array, Observations
from scalefit.core.records import replace
from scalefit.inference.allocation import Allocation
from scalefit.inference.certificate import STATUSES
from scalefit.inference.fitting import Fit
from scalefit.inference.fitting import fit as fit_law
from scalefit.inference.forecasts import Forecasts, LawError, noise_of
from scalefit.inference.objectives import parse_objective
from scalefit.inference.prediction import Prediction
from scalefit.inference.scores import score, score_by_distance
from scalefit.inference.uncertainty import Draws, Interval
from scalefit.laws import LAWS
from scalefit.laws.text import parse_law
from scalefit.pipeline import diagnosis
from scalefit.pipeline.steps import Compared, Estimate, method_named
from scalefit.tables.runs import Exclusion, RunTable

SAVED = "scalefit.fit/1"
_MOST_SAVED_BYTES = 1 << 30


def number(value: Any) -> float | None:
    """A finite number or null."""
    plain = float(value)
    return plain if math.isfinite(plain) else None


def ends(found: Interval, k: int = 0) -> dict[str, Any]:
    """Low and high of entry k; an end that nothing limits is null and named as open."""
    both = {"low": found.low[k], "high": found.high[k]}
    wide = [name for name, value in both.items() if math.isinf(value)]
    return {**{name: number(v) for name, v in both.items()}, **({"open": wide} if wide else {})}


def with_value(found: Interval, k: int = 0) -> dict[str, Any]:
    """Value, low and high of entry k."""
    return {"value": number(found.value[k]), **ends(found, k)}


def notes(given: Sequence[Note]) -> list[dict[str, str]]:
    """Notes as objects, each once."""
    unique = dict.fromkeys(given)
    return [{"code": n.code, "severity": n.severity, "message": n.message} for n in unique]


def header(schema: str, table: RunTable, runs: Observations | None, seed: int) -> dict[str, Any]:
    """What every document begins with: schema, version, seed and where the runs came from."""
    return {
        "schema": schema,
        "version": scalefit.__version__,
        "seed": seed,
        "runs": {
            "source": table.source,
            "sha256": table.sha256,
            "rows_read": table.rows_read,
            "rows_used": runs.n if runs is not None else table.rows,
            "clusters": runs.clusters if runs is not None else None,
            "cluster_by": runs.cluster_name if runs is not None else None,
            "columns": dict(table.columns),
            "derived": dict(table.derived),
            "excluded": [{"row": e.row, "reason": e.reason} for e in table.excluded],
            "notes": notes(table.notes),
        },
    }


def fit_document(estimates: Sequence[Estimate]) -> dict[str, Any]:
    """`scalefit.fit/1`: every fitted law with parameters, certificate and notes."""
    first = estimates[0]
    return {
        **header(SAVED, first.table, first.fit.runs, first.seed),
        "fits": [fitted(estimate) for estimate in estimates],
    }


def fitted(estimate: Estimate) -> dict[str, Any]:
    """One fitted law, looked at from every side."""
    return {
        **summary(estimate),
        "diagnostics": diagnosis.document(estimate.diagnostics, estimate.fit.runs),
        "notes": notes(estimate.notes),
    }


def summary(estimate: Estimate) -> dict[str, Any]:
    """One fitted law, with the doubts that the fit and its refits bring."""
    fit, draws = estimate.fit, estimate.draws
    certificate = fit.certificate
    return {
        "law": fit.law.name,
        "formula": fit.law.formula,
        "source": fit.law.source,
        "inputs": dict(estimate.roles),
        "status": fit.status,
        "objective": _objective(fit),
        "parameters": {
            name: {
                "value": number(found.value[0]),
                "se": number(found.se[0]),
                **ends(found),
                "at_bound": name in certificate.bounds,
                "fixed": name in fit.fixed,
            }
            for name, found in estimate.parameters.items()
        },
        "interval": interval_of(draws, estimate.level),
        "certificate": {
            "score": number(certificate.score),
            "kappa": number(certificate.kappa),
            "starts": certificate.starts,
            "agree": certificate.agree,
            "minima": certificate.minima,
            "bounds": list(certificate.bounds),
            "step_se": number(certificate.step_se),
            "hess_min": number(certificate.hess_min),
            "reeval": number(certificate.reeval),
            "deriv": number(certificate.deriv),
            "in_band": None if certificate.in_band < 0 else certificate.in_band,
            "dof": certificate.dof,
        },
        "derived": {name: with_value(found) for name, found in estimate.derived.items()},
        "sigma": number(noise_of(fit, fit.scale, int((fit.runs.weight > 0).sum()))),
        "notes": notes(tuple(dict.fromkeys((*fit.notes, *draws.notes)))),
    }


def _objective(fit: Fit) -> dict[str, Any]:
    goal = fit.objective
    settings = {f.name: number(getattr(goal, f.name)) for f in fields(goal)}
    return {"name": goal.name, **settings, "value": number(fit.value), "scale": number(fit.scale)}


def interval_of(draws: Draws, level: float) -> dict[str, Any]:
    """What made the intervals."""
    return {
        "method": draws.method.words,
        "level": level,
        "df": number(draws.df),
        "clusters": draws.clusters,
        "refits": draws.tried,
        "failed": len(draws.failed),
    }


def _withheld(found: Sequence[Note]) -> bool:
    return any(note.severity == "refusal" for note in found)


def _tau(error: LawError) -> dict[str, Any]:
    return {"value": error.tau, "source": error.source, "forecasts": error.forecasts}


def _about(estimate: Estimate, stamp: bool) -> dict[str, Any]:
    about: dict[str, Any] = {
        "law": estimate.law.name,
        "status": estimate.status,
        "interval": interval_of(estimate.draws, estimate.level),
        "fit": fitted(estimate),
    }
    if stamp:
        about["unconverged"] = True
    return about


def _averaged(found: Prediction | Allocation) -> dict[str, Any]:
    """What says that several laws speak, if they do; `fit` is then that of the heaviest."""
    if not found.average:
        return {}
    laws = [{"law": name, "weight": number(weight)} for name, weight in found.average]
    return {"law": "auto", "average": laws}


def predict_document(
    estimate: Estimate, found: Prediction, asked: Sequence[Mapping[str, float]], *, stamp: bool
) -> dict[str, Any]:
    """`scalefit.predict/1`: one row per point."""
    rows = []
    for k, point in enumerate(asked):
        withheld = _withheld(found.notes[k])
        band = found.band
        row: dict[str, Any] = {
            "at": {role: number(value) for role, value in point.items()},
            "loss": {"value": None if withheld else number(band.loss[k])},
            "exact_law": ends(band.exact, k),
            "new_run": ends(band.new_run, k),
            "headline": ends(band.headline, k),
            "decades": number(found.decades[k]),
            "inside": bool(found.decades[k] == 0),
            "trust": found.trust[k],
            "share": dict(
                zip(
                    ("parameters", "noise", "law_error"),
                    (number(v) for v in band.share[:, k]),
                    strict=True,
                )
            ),
            "notes": notes(found.notes[k]),
        }
        if withheld:
            row |= {
                key: {"low": None, "high": None} for key in ("exact_law", "new_run", "headline")
            }
        if stamp:
            row["status"] = estimate.status
        rows.append(row)
    return {
        **header("scalefit.predict/1", estimate.table, estimate.fit.runs, estimate.seed),
        **_about(estimate, stamp),
        **_averaged(found),
        "rows": rows,
        "tau": _tau(found.law_error),
        "notes": notes(estimate.draws.notes),
    }


def optimum_document(estimate: Estimate, found: Allocation, *, stamp: bool) -> dict[str, Any]:
    """`scalefit.optimum/1`: one row per budget."""
    empty = {"value": None, "low": None, "high": None}
    rows = []
    for k, budget in enumerate(found.budget):
        withheld = _withheld(found.notes[k])
        row: dict[str, Any] = {
            "budget": number(budget),
            "N": with_value(found.N, k),
            "D": with_value(found.D, k),
            "tokens_per_parameter": with_value(found.ratio, k),
            # Bare ends trust the law for the split and are the headline for the loss, as the
            # contract has them; each quantity has both by name besides.
            "N_exact_law": ends(found.N, k),
            "D_exact_law": ends(found.D, k),
            "tokens_per_parameter_exact_law": ends(found.ratio, k),
            "loss_headline": ends(found.band.headline, k),
            "N_headline": ends(found.N_headline, k),
            "D_headline": ends(found.D_headline, k),
            "tokens_per_parameter_headline": ends(found.ratio_headline, k),
            "loss": with_value(found.band.headline, k),
            "loss_exact_law": ends(found.band.exact, k),
            "loss_new_run": ends(found.band.new_run, k),
            "near_optimal": {"waste": found.waste, "N": [number(v) for v in found.near[k]]},
            "decades": number(found.decades[k]),
            "inside": bool(found.decades[k] == 0),
            "trust": found.trust[k],
            "notes": notes(found.notes[k]),
        }
        if withheld:
            row |= {key: dict(empty) for key in ("N", "D", "tokens_per_parameter", "loss")}
            row["near_optimal"] = {"waste": found.waste, "N": [None, None]}
            bare = [key for key in row if key.endswith(("_exact_law", "_new_run", "_headline"))]
            row |= {key: {"low": None, "high": None} for key in bare}
        if stamp:
            row["status"] = estimate.status
        rows.append(row)
    return {
        **header("scalefit.optimum/1", estimate.table, estimate.fit.runs, estimate.seed),
        **_about(estimate, stamp),
        **_averaged(found),
        "exponents": {"N": with_value(found.exponent_N), "D": with_value(found.exponent_D)},
        "convention": "C = 6 N D",
        "rows": rows,
        "tau": _tau(found.law_error),
        "split_tau": _tau(found.split_error),
        "notes": notes(estimate.draws.notes),
    }


def compare_document(compared: Compared, seed: int, level: float) -> dict[str, Any]:
    """`scalefit.compare/1`: every law tried, best first, and the verdict."""
    laws: list[dict[str, Any]] = []
    for ranked in compared.comparison.laws:
        fit, told = ranked.fit, ranked.forecasts
        whole = score(told, level)
        laws.append(
            {
                "law": fit.law.name,
                "formula": fit.law.formula,
                "status": fit.status,
                "adequate": ranked.adequate,
                "gates": [
                    {"gate": v.gate, "passed": v.passed, "detail": v.detail} for v in ranked.gates
                ],
                "parameters": {
                    name: {"value": number(v), "at_bound": name in fit.certificate.bounds}
                    for name, v in zip(fit.law.names, fit.theta, strict=True)
                },
                "objective": _objective(fit),
                "aicc": number(ranked.aicc),
                "bic": number(ranked.bic),
                "same_as": ranked.same_as or None,
                "delta": number(ranked.delta),
                "weight": number(ranked.weight),
                "extrapolation": {
                    "forecasts": told.count,
                    "rmse": number(ranked.rmse),
                    "mean_error": number(told.error.mean()) if told.count else None,
                    "coverage": number(whole.coverage),
                    "level": level,
                    "z": number(whole.z),
                    "crps": number(whole.crps),
                    "boundless": whole.boundless,
                    "by_distance": _by_distance(told, level),
                },
                "leave_one_out": _by_distance(ranked.left_out, level),
                "leave_one_group_out": _by_distance(ranked.groups_out, level),
                "notes": notes(fit.notes),
            }
        )
    for name, reason in compared.unfitted.items():
        gate = {"gate": "enough-data", "passed": False, "detail": reason}
        laws.append(
            {
                "law": name,
                "formula": LAWS.get(name).formula if name in LAWS else "",
                "status": "not-identified",
                "adequate": False,
                "gates": [gate],
                "parameters": {},
                "objective": None,
                "aicc": None,
                "delta": None,
                "weight": 0.0,
                "extrapolation": {
                    "forecasts": 0, "rmse": None, "mean_error": None, "coverage": None,
                    "level": level, "z": None, "crps": None, "boundless": 0, "by_distance": [],
                },
                "leave_one_out": [],
                "leave_one_group_out": [],
                "notes": [],
            }
        )  # fmt: skip
    return {
        **header("scalefit.compare/1", compared.table, compared.observations, seed),
        "laws": laws,
        "laws_tried": len(laws),
        "rank": compared.comparison.rank,
        "independent_share": number(compared.comparison.share),
        "disagreeing": list(compared.comparison.disagreeing),
        "verdict": compared.comparison.verdict,
        "notes": notes(compared.comparison.notes),
    }


def _by_distance(told: Forecasts | None, level: float) -> list[dict[str, Any]]:
    if told is None:
        return []
    return [
        {
            "distance": words,
            **{k: v if isinstance(v, int) else number(v) for k, v in vars(one).items()},
        }
        for words, one in score_by_distance(told, level).items()
    ]


def saved_document(estimates: Sequence[Estimate], settings: Settings) -> dict[str, Any]:
    """A fit document with all it takes to go on from it: runs, refits and settings."""
    document = fit_document(estimates)
    document["saved"] = [
        {
            "runs": _arrays(estimate.fit.runs),
            "theta": [float(v) for v in estimate.fit.theta],
            "draws": [[float(v) for v in row] for row in estimate.draws.theta],
            "number": [int(k) for k in estimate.draws.number],
            "draw_notes": notes(estimate.draws.notes),
            "fit_notes": notes(estimate.fit.notes),
            "failed": list(estimate.draws.failed),
            "tried": estimate.draws.tried,
            "objective": _spelled(estimate.fit.objective),
            "method": estimate.draws.method.name,
            "level": estimate.level,
            "fix": dict(estimate.fit.fixed),
            "bound": {k: list(v) for k, v in settings.fit.bound.items() if k in estimate.law.names},
            "roles": dict(estimate.roles),
            "law_text": estimate.law.text,
        }
        for estimate in estimates
    ]
    return document


def _spelled(objective: Any) -> str:
    settings = [repr(float(getattr(objective, f.name))) for f in fields(objective)]
    return ":".join([objective.name, *settings])


def _arrays(runs: Observations) -> dict[str, Any]:
    return {
        "inputs": {k: [float(x) for x in v] for k, v in runs.inputs.items()},
        "loss": [float(x) for x in runs.loss],
        "weight": [float(x) for x in runs.weight],
        "cluster": [int(x) for x in runs.cluster],
        "row": [int(x) for x in runs.row],
        "scale": [float(x) for x in runs.scale],
        "scale_name": runs.scale_name,
        "cluster_name": runs.cluster_name,
        "nats": runs.nats,
        "beside": {k: [number(x) for x in v] for k, v in runs.beside.items()},
    }


def load_saved(path: Path) -> list[Estimate]:
    """Estimates of a saved fit; each is refitted from its own values and must come out the same.

    Raises:
        InputError: the file is no saved fit, is of a later schema, or does not reproduce.
    """
    where = shown(path.name)
    try:
        if path.stat().st_size > _MOST_SAVED_BYTES:
            raise InputError(f"{where} is larger than a saved fit may be")
        document = json.loads(
            path.read_bytes().decode("utf-8"),
            parse_constant=_no_constant,
            object_pairs_hook=_no_doubles,
        )
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{where} cannot be read as a saved fit: {error}") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SAVED:
        raise InputError(
            f"{where} has schema {shown(repr(schema))}, not {SAVED}",
            "save one with scalefit fit RUNS -o fit.json",
        )
    if "saved" not in document:
        raise InputError(
            f"{where} holds results, but not the runs and refits to go on from",
            "save the fit with scalefit fit RUNS -o fit.json",
        )
    try:
        return [
            _restored(part, one, document)
            for part, one in zip(document["saved"], document["fits"], strict=True)
        ]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(f"{where} is damaged: {type(error).__name__} {error}") from None


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table


def _floats(values: Any) -> Array:
    array = np.array([_real(v) for v in values], dtype=float)
    if not np.isfinite(array).all():
        raise ValueError("a number is not finite")
    return array


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{shown(repr(value))} is no number")
    return float(value)


def _restored(part: Mapping[str, Any], one: Mapping[str, Any], document: Any) -> Estimate:
    text = str(part.get("law_text", ""))
    law = parse_law(text, "the saved law") if text else LAWS.get(str(one["law"]))
    arrays = part["runs"]
    runs = Observations(
        inputs={name: _floats(arrays["inputs"][name]) for name in law.inputs},
        loss=_floats(arrays["loss"]),
        weight=_floats(arrays["weight"]),
        cluster=np.array(arrays["cluster"], dtype=np.int64),
        row=np.array(arrays["row"], dtype=np.int64),
        scale=_floats(arrays["scale"]),
        scale_name=str(arrays["scale_name"]),
        cluster_name=str(arrays["cluster_name"]),
        nats=bool(arrays.get("nats", False)),
        beside={
            str(k): np.array([np.nan if x is None else _real(x) for x in v])
            for k, v in arrays["beside"].items()
        },
    )
    theta = _floats(part["theta"])
    if theta.size != len(law.parameters) or {len(row) for row in part["draws"]} - {theta.size}:
        raise ValueError("the number of parameters does not fit the law")
    rowwise = (*runs.inputs.values(), runs.loss, runs.weight, runs.scale, *runs.beside.values())
    sizes = {v.size for v in rowwise}
    if len(part["number"]) != len(part["draws"]):
        raise ValueError("the numbers of the refits do not fit the refits")
    if len(sizes | {runs.cluster.size, runs.row.size}) != 1:
        raise ValueError("columns of the runs differ in length")
    again = fit_law(
        law,
        runs,
        objective=parse_objective(str(part["objective"])),
        fix={k: _real(v) for k, v in part["fix"].items()},
        bound={k: (_real(v[0]), _real(v[1])) for k, v in part["bound"].items()},
        starts=theta[None],
    )
    if not np.allclose(again.theta, theta, rtol=1e-6, atol=1e-12):
        raise InputError(
            "the saved fit does not come out of its own runs again", "fit the runs anew"
        )
    again = _as_searched(again, one, _notes(part["fit_notes"]))
    method = method_named(str(part["method"]), max(20, int(part["tried"])))
    draws = np.array([_floats(row) for row in part["draws"]]).reshape(-1, theta.size)
    return Estimate(
        fit=again,
        draws=Draws(
            fit=again,
            theta=draws,
            number=np.array([int(k) for k in part["number"]], dtype=np.int64),
            estimate=again.theta,
            method=method,
            df=method.df(again),
            clusters=runs.clusters,
            tried=int(part["tried"]),
            failed=tuple(int(k) for k in part["failed"]),
            notes=_notes(part["draw_notes"]),
        ),
        level=_real(part["level"]),
        roles={str(k): str(v) for k, v in part["roles"].items()},
        table=_table_of(document["runs"], runs, part["roles"]),
        seed=int(document["seed"]),
    )


def _as_searched(again: Fit, one: Mapping[str, Any], told: tuple[Note, ...]) -> Fit:
    """A fit that was found again from its end, with what the search for it showed.

    What the search found amiss stands; what the repetition finds worse stands as well.
    """
    found, status = one["certificate"], str(one["status"])
    if status not in STATUSES:
        raise ValueError(f"{shown(status)} is no status")
    own = again.certificate
    worse = STATUSES.index(own.status) > STATUSES.index(status)
    certificate = replace(
        own,
        status=own.status if worse else STATUSES[STATUSES.index(status)],
        starts=int(found["starts"]),
        agree=int(found["agree"]),
        minima=int(found["minima"]),
    )
    kept = tuple(dict.fromkeys((*told, *again.notes))) if worse else told
    return replace(again, certificate=certificate, notes=kept)


def _notes(given: Sequence[Mapping[str, Any]]) -> tuple[Note, ...]:
    return tuple(Note(n["code"], n["severity"], n["message"]) for n in given)


def _table_of(about: Mapping[str, Any], runs: Observations, roles: Mapping[str, str]) -> RunTable:
    columns = {str(roles[name]): values for name, values in runs.inputs.items()}
    return RunTable(
        table=pa.table({**columns, runs.scale_name: runs.scale, "L": runs.loss}),
        columns={str(k): str(v) for k, v in about["columns"].items()},
        derived={str(k): str(v) for k, v in about["derived"].items()},
        source=str(about["source"]),
        sha256=str(about["sha256"]),
        rows_read=int(about["rows_read"]),
        row=runs.row,
        excluded=tuple(Exclusion(int(e["row"]), str(e["reason"])) for e in about["excluded"]),
        notes=_notes(about["notes"]),
    )

"""Diagnostics of a fit to words, tables and JSON."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from scalefit.core.numbers import apart, human
from scalefit.core.observations import Observations
from scalefit.inference.diagnostics import Diagnostics
from scalefit.inference.residuals import Check, Residuals
from scalefit.inference.sensitivity import Influence, Pull, Variant, row_words
from scalefit.tables.reports import Section

_SHOWN_LEVERAGE = 5


def document(found: Diagnostics, runs: Observations) -> dict[str, Any]:
    """Everything that was looked at, as JSON."""
    return {
        "evidence": {
            "cluster_by": runs.cluster_name,
            "clusters": runs.clusters,
            "replicates": {
                "settings": found.pure.settings,
                "df": found.pure.df,
                "sd": _number(found.pure.sd),
            },
            "intra_class": [
                {
                    "by": k.by,
                    "groups": k.groups,
                    "correlation": _number(k.correlation),
                    "p_value": _number(k.p_value),
                }
                for k in found.kin
            ],
        },
        "residuals": None if found.residuals is None else _residuals(found.residuals, runs),
        "identifiability": None
        if found.spectrum is None
        else {
            "parameters": list(found.spectrum.names),
            "eigenvalues": [_number(v) for v in found.spectrum.eigenvalues],
            "condition": _number(found.spectrum.condition),
            "correlation": [[_number(v) for v in row] for row in found.spectrum.correlation],
            "words": found.spectrum.words,
        },
        "influence": [_influence(one) for one in found.influence],
        "sensitivity": [_variant(found, variant) for variant in found.box],
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _check(check: Check) -> dict[str, float | None]:
    return {
        "statistic": _number(check.statistic),
        "p_value": _number(check.p_value),
        "ratio": _number(check.ratio),
    }


def _residuals(found: Residuals, runs: Observations) -> dict[str, Any]:
    most = sorted(range(runs.n), key=lambda i: (-found.leverage[i], int(runs.row[i])))
    return {
        "outliers": [
            {"row": int(runs.row[i]), "deviations": _number(found.standard[i])}
            for i in found.outliers
        ],
        "leverage": [
            {"row": int(runs.row[i]), "leverage": _number(found.leverage[i])}
            for i in most[:_SHOWN_LEVERAGE]
        ],
        "uneven_scatter": _check(found.scatter),
        "order": _check(found.order),
        "structure": _check(found.structure),
        # JSON has no infinity: null stands for normal tails, or for no judgement.
        "tail_df": _number(found.tail),
    }


def _influence(one: Influence) -> dict[str, Any]:
    return {
        "headline": one.headline.name,
        "meaning": one.headline.meaning,
        "value": _number(one.value),
        "se": _number(one.se),
        "log": one.headline.log,
        "runs": [
            {
                "rows": list(pull.rows),
                "without": _number(pull.without),
                "shift_se": _number(pull.shift),
                "share": _number(pull.share),
                "decides": pull.decides,
            }
            for pull in one.pulls
        ],
    }


def _variant(found: Diagnostics, variant: Variant) -> dict[str, Any]:
    names = [one.headline.name for one in found.influence]
    return {
        "choice": variant.name,
        "headlines": {
            name: {"value": _number(value), "shift_se": _number(shift)}
            for name, value, shift in zip(names, variant.values, variant.shifts, strict=True)
        },
    }


def short_words(found: Diagnostics) -> tuple[str, ...]:
    """The few sentences that stand under every fit."""
    if found.residuals is None or found.spectrum is None:
        return ()
    words = []
    quoted = [one for one in found.influence if one.headline.quoted]
    pulls = [(abs(pull.shift), one, pull) for one in quoted for pull in one.pulls]
    if pulls:
        _, one, pull = max(pulls, key=lambda item: item[0])
        words.append(f"Most influential: {_pull_words(one, pull)}.")
    other = _furthest(found)
    if other:
        words.append(f"Most sensitive: {other}.")
    words.append(f"Parameters: {found.spectrum.words}.")
    if found.pure.df:
        words.append(
            f"Runs of one setting differ by {found.pure.sd:.2%} ({found.pure.df} degrees of "
            "freedom)."
        )
    return (" ".join(words),)


def _pull_words(one: Influence, pull: Pull) -> str:
    without, value = apart(pull.without, one.value)
    return (
        f"{row_words(pull.rows, 4)}, without which {one.headline.name} is {without}, not {value} "
        f"({pull.shift:+.2g} standard errors)"
    )


def _furthest(found: Diagnostics) -> str:
    """The choice that moves a headline most, in words; empty without standard errors."""
    best, words = 0.0, ""
    for variant in found.box:
        for one, value, shift in zip(found.influence, variant.values, variant.shifts, strict=True):
            if one.headline.quoted and math.isfinite(shift) and abs(shift) > best:
                best = abs(shift)
                words = (
                    f"{one.headline.name} to {variant.name} ({human(value)}, {shift:+.2g} "
                    "standard errors)"
                )
    return words


def sections(found: Diagnostics) -> tuple[Section, ...]:
    """The whole of it for a report: residuals, influence, and the sensitivity box."""
    if found.residuals is None:
        return ()
    parts = [_residual_section(found)]
    if any(one.pulls for one in found.influence):
        parts.append(_influence_section(found))
    if found.box:
        parts.append(_box_section(found))
    return tuple(parts)


def _residual_section(found: Diagnostics) -> Section:
    looked = found.residuals
    assert looked is not None
    kin = "; ".join(
        f"{k.correlation:.2f} by {k.by} ({k.groups} groups, p = {k.p_value:.2g})" for k in found.kin
    )
    rows = (
        ("Scatter along the scale", _p(looked.scatter), "small over large runs: ", looked.scatter),
        ("Order along the scale", _p(looked.order), "von Neumann ratio: ", looked.order),
        ("Shape beyond the law", _p(looked.structure), "share of variance: ", looked.structure),
    )
    outliers = f"{looked.outliers.size} beyond 5 robust deviations"
    tails = "a normal distribution"
    if math.isfinite(looked.tail):
        tails = f"Student t with {looked.tail:g} degrees of freedom"
    return Section(
        name="diagnostics",
        heading="Residuals",
        header=("what", "p", "size"),
        rows=(
            *((name, p, f"{words}{check.ratio:.3g}") for name, p, words, check in rows),
            ("Outlying rows", "–", outliers),
            ("Tails", "–", f"{tails} fits best"),
            ("Intra-class correlation", "–", kin or "no group holds two rows"),
            ("Parameters", "–", found.spectrum.words if found.spectrum else "–"),
        ),
        numeric=frozenset({1}),
    )


def _p(check: Check) -> str:
    return f"{check.p_value:.2g}" if math.isfinite(check.p_value) else "–"


def _influence_section(found: Diagnostics) -> Section:
    rows = [
        (
            one.headline.name,
            human(one.value, 4),
            row_words(pull.rows, 4),
            human(pull.without, 4),
            f"{pull.shift:+.2f}",
            f"{pull.share:.0%}",
        )
        for one in found.influence
        for pull in one.pulls
    ]
    decided = any(pull.decides for one in found.influence for pull in one.pulls)
    return Section(
        name="influence",
        heading="Runs that decide",
        header=("headline", "value", "without", "is", "standard errors", "of variance"),
        rows=tuple(rows),
        numeric=frozenset({1, 3, 4, 5}),
        footer=(
            "Each run, or cluster of rows, left out in turn. A run decides a headline if it makes "
            "more than half of its jackknife variance" + ("." if decided else "; none here does."),
        ),
    )


def _box_section(found: Diagnostics) -> Section:
    names = [one.headline.name for one in found.influence]
    # The last ones are the best split and the loss: what people act on.
    shown = names[-3:] if "N*" in names else names[-1:]
    places = [names.index(name) for name in shown]
    rows = []
    for variant in found.box:
        shifts = [abs(s) if math.isfinite(s) else -1.0 for s in variant.shifts]
        worst = max(range(len(shifts)), key=shifts.__getitem__)
        moved = f"{variant.shifts[worst]:+.2f} on {names[worst]}" if shifts[worst] >= 0 else "–"
        # The fit itself is among the choices, to rounding.
        moved = "none" if 0 <= shifts[worst] < 0.005 else moved
        rows.append((variant.name, *(human(variant.values[k], 4) for k in places), moved))
    table = pa.table(
        {
            "choice": pa.array([v.name for v in found.box for _ in names]),
            "headline": pa.array([name for _ in found.box for name in names]),
            "value": pa.array([_number(x) for v in found.box for x in v.values], pa.float64()),
            "shift_se": pa.array([_number(x) for v in found.box for x in v.shifts], pa.float64()),
        }
    )
    meaning = {one.headline.name: one.headline.meaning for one in found.influence}
    return Section(
        name="sensitivity",
        heading="What else one might have done",
        header=("choice", *shown, "largest shift in standard errors"),
        rows=tuple(rows),
        numeric=frozenset(range(1, len(shown) + 1)),
        table=table,
        footer=("; ".join(f"{name}: {meaning[name]}" for name in shown) + ".",),
    )

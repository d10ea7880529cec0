"""The columns a law needs, as checked arrays in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from scalefit.core import flops
from scalefit.core.errors import InputError
from scalefit.core.numbers import human, shown
from scalefit.core.observations import Array, IntArray, Observations
from scalefit.tables import columns as roles
from scalefit.tables import where as filters
from scalefit.tables.arrays import alike, codes, floats
from scalefit.tables.runs import RunTable
from scalefit.tables.units import NATS

_LOSSES = frozenset({"loss", "l", "nll", "ce", "entropy", "nats", "ppl", "perplexity"})
_TRAINING = frozenset({"train", "training"})
_SENSE = (1.0, 12.5)  # nats per token: less are bytes or pictures, more is worse than guessing
_UNITS_BY_WORD = {"size": "N"}
_SETTING = "setting"


def select(runs: RunTable, inputs: Mapping[str, str], *, cluster: str = "run") -> Observations:
    """What a law is fitted to.

    Args:
        runs: From `read`.
        inputs: Each input of the law to the role that fills it: `{"x": "C"}`.
        cluster: What is one independent unit: `run` (every row its own where no column plays
            that role), `row`, `size` (equal N), `setting` (equal in all that was set), or the name
            of a role or of a column that was kept.

    Returns:
        Rows ordered by inputs, loss and weight, so the order of the file changes no bit. Its
        `scale` is training compute for laws of N and D where it is known, counted as 6ND in the
        median row, as budgets and points are; else the first input.

    Raises:
        InputError: a role is missing, a value is not positive, weights are unusable, or the rows
            hold nothing to fit: a single row, all rows equal, or an input with one value.
    """
    chosen = {name: _positive(runs, role) for name, role in inputs.items()}
    loss = _positive(runs, "L")
    weight = _weights(runs)
    _refuse_empty(runs, inputs, chosen, loss)
    unit = _units(runs, cluster)
    # A law of one input goes further only along that input, whatever compute went into the runs.
    by_compute = "C" in runs.table.column_names and {"N", "D"} <= chosen.keys()
    scale_name = "C" if by_compute else next(iter(inputs.values()))
    scale = _positive(runs, scale_name)
    if by_compute:
        scale = scale / flops.against_six_nd(chosen["N"], chosen["D"], scale)[0]
    # lexsort takes its last key first. Units come last: they only part rows that agree otherwise.
    order = np.lexsort((unit, scale, weight, loss, *reversed(list(chosen.values()))))
    return Observations(
        inputs={name: values[order] for name, values in chosen.items()},
        loss=loss[order],
        weight=weight[order],
        cluster=_by_appearance(unit[order]),
        row=runs.row[order],
        scale=scale[order],
        scale_name=scale_name,
        cluster_name=_unit_name(runs, cluster),
        nats="x" not in inputs.values() and _is_in_nats(runs, loss),
        beside={name: values[order] for name, values in _beside(runs, inputs).items()},
    )


def _is_in_nats(runs: RunTable, loss: Array) -> bool:
    """Whether name, unit and values of the loss are those of a language model's on held-out text.

    A name that says nothing of train or validation is taken for a final loss.
    """
    facts = runs.table.schema.field("L").metadata or {}
    words = set(re.findall(r"[a-z]+", facts.get(b"source", b"").decode("utf-8", "replace").lower()))
    named = bool(words & _LOSSES) and not words & _TRAINING
    low, high = _SENSE
    within = bool((loss >= low).all() and (loss <= high).all())
    return named and within and facts.get(b"unit") == NATS.name.encode()


def settings(runs: RunTable) -> tuple[str, ...]:
    """Columns in which runs must agree to be repeats of one setting, whatever a law looks at.

    N and D stand for C too, which is counted or measured besides. Roles that a law made up count,
    since a law that has not heard of them still sees what they do to the loss.
    """
    present = runs.table.column_names
    axes = [r for r in ("N", "D", "C", "x") if r in present]
    free = [
        field.name
        for field in runs.table.schema
        if field.metadata and field.name not in roles.ROLES and str(field.type) == "double"
    ]
    chosen = ["N", "D"] if {"N", "D"} <= set(present) else axes
    return (*chosen, *(r for r in roles.ALSO_SET if r in present), *free)


def _beside(runs: RunTable, inputs: Mapping[str, str]) -> dict[str, Array]:
    """What the rows say beyond inputs and loss, each shape (rows,); labels as codes."""
    present = runs.table.column_names
    beside: dict[str, Array] = {}
    further = [role for role in settings(runs) if role not in inputs.values()]
    if further:
        beside["setting"] = alike([numbers(runs, role) for role in further]).astype(np.float64)
    beside |= {r: floats(runs.table.column(r)) for r in ("loss_se", "tries") if r in present}
    beside |= {r: _labels(runs, r).astype(np.float64) for r in ("run", "group") if r in present}
    return beside


def numbers(runs: RunTable, role: str) -> Array:
    """A column as numbers, shape (rows,): itself with 0 for a blank, or codes of its labels."""
    if role in _texts():
        return _labels(runs, role).astype(np.float64)
    return np.nan_to_num(floats(runs.table.column(role)))


def _positive(runs: RunTable, role: str) -> Array:
    if role not in runs.table.column_names or role in _texts():
        raise roles.missing(role, runs.offered)
    values = floats(runs.table.column(role))
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        name = runs.columns.get(role, role)
        what = "blank" if np.isnan(values[at]) else f"{values[at]:g}"
        raise InputError(
            f"{shown(runs.source, 200)}, row {runs.row[at]}, column {shown(name)!r}:"
            f" {what}, must be positive ({int(bad.sum())} such rows)",
            f"leave such rows out: {filters.flag(f'{filters.column(name)} > 0')}, or ask for it: "
            f"{roles.flag(role, name)}",
        )
    return values


def _texts() -> frozenset[str]:
    return frozenset(role.name for role in roles.ROLES.values() if role.text)


def _weights(runs: RunTable) -> Array:
    if "weight" not in runs.table.column_names:
        return np.ones(runs.rows)
    weight = floats(runs.table.column("weight"))
    name = shown(runs.columns.get("weight", "weight"))
    bad = np.flatnonzero(~(weight >= 0) | np.isinf(weight))
    if bad.size:
        what = "blank" if np.isnan(weight[bad[0]]) else f"{weight[bad[0]]:g}"
        raise InputError(
            f"{shown(runs.source, 200)}, row {runs.row[bad[0]]}, column {name!r}:"
            f" the weight is {what}, must be 0 or more",
            "a weight of 0 leaves a row out",
        )
    if not (weight > 0).any():
        raise InputError(f"column {name!r}: every weight is 0", "give some row a weight")
    # Only their ratios mean anything: a likelihood of weights in the thousands would claim a
    # thousand times the evidence.
    return np.asarray(weight / weight[weight > 0].mean())


def _refuse_empty(
    runs: RunTable, inputs: Mapping[str, str], chosen: Mapping[str, Array], loss: Array
) -> None:
    source = shown(runs.source, 200)
    if loss.size < 2:
        raise InputError(f"{source} has one row in use", "a law needs several runs")
    constant = [name for name, values in chosen.items() if (values == values[0]).all()]
    if len(constant) == len(chosen) and (loss == loss[0]).all():
        raise InputError(f"{source}: all {loss.size} rows in use are equal", "vary the scale")
    if constant:
        role = inputs[constant[0]]
        raise InputError(
            f"{source}: {role} is {human(float(chosen[constant[0]][0]))} in all {loss.size} rows,"
            " so its effect cannot be seen",
            f"choose a law without {role}, or add runs that vary it",
        )


def _units(runs: RunTable, cluster: str) -> IntArray:
    """A number for each row that tells its unit, equal for rows of one unit, shape (rows,)."""
    name = _unit_name(runs, cluster)
    if name == _SETTING:
        return alike([numbers(runs, role) for role in settings(runs)])
    return np.arange(runs.rows, dtype=np.int64) if name == "row" else _labels(runs, name)


def _unit_name(runs: RunTable, cluster: str) -> str:
    """The column whose labels tell units apart, `setting`, or `row` where every row is its own.

    Raises:
        InputError: there is no such column.
    """
    present = runs.table.column_names
    if cluster == "row" or (cluster == "run" and "run" not in present):
        return "row"
    if cluster == _SETTING:
        return cluster
    played = [role for role, name in runs.columns.items() if name == cluster]
    name = cluster if cluster in present else (played or [_UNITS_BY_WORD.get(cluster, "")])[0]
    if name not in present:
        hint = f"choose row, run, size, setting or one of: {', '.join(map(shown, present))}"
        raise InputError(f"there is no column {shown(cluster)!r} to cluster by", hint)
    return name


def _labels(runs: RunTable, name: str) -> IntArray:
    unit, labels = codes(runs.table.column(name))
    blank = np.array([not label.strip() for label in labels], np.bool_)[unit]
    # A blank names nothing, so such rows do not belong together.
    return np.where(blank, np.arange(runs.rows) + len(labels), unit)


def _by_appearance(unit: IntArray) -> IntArray:
    """The same units numbered 0..G-1 in the order in which they appear."""
    _, first, inverse = np.unique(unit, return_index=True, return_inverse=True)
    rank = np.empty(first.size, np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[inverse]

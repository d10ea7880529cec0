"""Runs for promises: made from a law's own example, or from arrays at hand."""

import numpy as np

from scalefit.core.observations import Observations


def observations(inputs, loss, *, weight=None, cluster=None, scale=None):
    """Runs in the fixed order that `select` gives them."""
    inputs = {name: np.asarray(values, dtype=float) for name, values in inputs.items()}
    loss = np.asarray(loss, dtype=float)
    n = loss.size
    weight = np.ones(n) if weight is None else np.asarray(weight, dtype=float)
    cluster = np.arange(n) if cluster is None else np.asarray(cluster)
    scale_name = "C" if {"N", "D"} <= set(inputs) else next(iter(inputs))
    if scale is None:
        scale = 6 * inputs["N"] * inputs["D"] if scale_name == "C" else inputs[scale_name]
    order = np.lexsort((cluster, scale, weight, loss, *reversed(list(inputs.values()))))
    _, first, inverse = np.unique(cluster[order], return_index=True, return_inverse=True)
    rank = np.empty(first.size, np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return Observations(
        inputs={name: values[order] for name, values in inputs.items()},
        loss=loss[order],
        weight=weight[order],
        cluster=rank[inverse],
        row=np.arange(1, n + 1)[order],
        scale=np.asarray(scale, dtype=float)[order],
        scale_name=scale_name,
    )


def example(law):
    """The law's example as a vector."""
    return np.array([law.example[name] for name in law.names])


def axes(law):
    """Where each input matters to the example, as (lowest, highest) around it.

    A declared position matters at itself, a term A x^-b where it is 0.3.
    """
    places = {name: [] for name in law.inputs}
    for parameter in law.parameters:
        for name, power in parameter.units:
            value = law.example[parameter.name]
            place = (value / 0.3) ** (1 / law.example[power]) if isinstance(power, str) else value
            places[name].append(place)
    for name, twin in law.shares_unit.items():
        places[name] = places[name] or places[twin]
    return {name: (min(at) / 30, max(at) * 30) for name, at in places.items()}


def grid(law, *, side=7, line=48):
    """Inputs over those axes: a line of one input, or a tilted product of several."""
    ends = axes(law)
    if len(ends) == 1:
        ((name, (low, high)),) = ends.items()
        return {name: np.geomspace(low, high, line)}
    steps = np.meshgrid(*[np.linspace(0, 1, side)] * len(ends), indexing="ij")
    flat = [step.ravel() for step in steps]
    # No two rows share a value, so that row order is never a matter of ties.
    shift = np.linspace(0, 0.3 / side, flat[0].size)
    return {
        name: low * (high / low) ** (step + shift)
        for step, (name, (low, high)) in zip(flat, ends.items(), strict=True)
    }


def runs_of(law, *, noise=0.0, seed=0, **shape):
    """Runs of the example, with log-normal noise."""
    inputs = grid(law, **shape)
    loss = law.predict(example(law), list(inputs.values()))
    jitter = np.random.default_rng(seed).standard_normal(loss.size)
    return observations(inputs, loss * np.exp(noise * jitter))


def predicted(fit, inputs=None):
    """Loss of a fit at its own runs or at other inputs."""
    inputs = fit.runs.inputs if inputs is None else inputs
    return fit.law.predict(fit.theta, [inputs[name] for name in fit.law.inputs])

"""What every law promises, tried on one law: derivative, units, shapes, and a fit of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scalefit.core.errors import ScalefitError
from scalefit.core.observations import Array, Observations
from scalefit.core.records import dataclass
from scalefit.inference.certificate import complex_jacobian
from scalefit.inference.fitting import fit
from scalefit.inference.problem import bind
from scalefit.laws.base import Law, rescaled

_REACH = 30.0
_ALONE, _SIDE = 48, 7
_EXACT = 1e-9


@dataclass(frozen=True)
class Kept:
    """Whether a law keeps one promise, and what was seen."""

    promise: str
    kept: bool
    detail: str


def promises(law: Law) -> tuple[Kept, ...]:
    """Every promise, tried around the law's example; none stops the others."""
    found = []
    for words, trial in _TRIALS.items():
        try:
            with np.errstate(all="ignore"):
                kept, detail = trial(law)
        except (ScalefitError, ArithmeticError, TypeError, ValueError) as error:
            kept, detail = False, f"{type(error).__name__}: {error}"
        found.append(Kept(words, kept, detail))
    return tuple(found)


def example(law: Law) -> Array:
    """The law's example as a vector, shape (P,)."""
    return np.array([law.example[name] for name in law.names])


def example_runs(law: Law) -> Observations:
    """Noise-free runs of the example, spread over the scales where each input matters to it."""
    ends = _ends(law)
    if len(ends) == 1:
        ((name, (low, high)),) = ends.items()
        inputs = {name: np.geomspace(low, high, _ALONE)}
    else:
        side = _SIDE if len(ends) == 2 else 5
        axes = np.meshgrid(*[np.linspace(0, 1, side)] * len(ends), indexing="ij")
        # No two rows share a value, so nothing rests on ties.
        shift = np.linspace(0, 0.3 / side, axes[0].size)
        inputs = {
            name: low * (high / low) ** (axis.ravel() + shift)
            for axis, (name, (low, high)) in zip(axes, ends.items(), strict=True)
        }
    loss = np.asarray(law.predict(example(law), list(inputs.values())))
    n = loss.size
    scale = np.asarray(next(iter(inputs.values())))
    return Observations(
        inputs, loss, np.ones(n), np.arange(n), np.arange(1, n + 1), scale, next(iter(inputs))
    )


def _ends(law: Law) -> dict[str, tuple[float, float]]:
    """Where each input matters: a position at itself, a term A x^-b where it is 0.3."""
    places: dict[str, list[float]] = {name: [] for name in law.inputs}
    for parameter in law.parameters:
        for name, power in parameter.units:
            value = law.example[parameter.name]
            place = (value / 0.3) ** (1 / law.example[power]) if isinstance(power, str) else value
            places[name].append(float(place))
    for name, twin in law.shares_unit.items():
        places[name] = places[name] or places[twin]
    return {
        name: (min(at) / _REACH, max(at) * _REACH) if at else (1 / _REACH, _REACH)
        for name, at in places.items()
    }


def _finite(law: Law) -> tuple[bool, str]:
    runs = example_runs(law)
    spans = ", ".join(f"{k} {v.min():.3g} to {v.max():.3g}" for k, v in runs.inputs.items())
    good = bool(np.isfinite(runs.loss).all() and (runs.loss > 0).all())
    return good, f"loss {np.min(runs.loss):.4g} to {np.max(runs.loss):.4g} over {spans}"


def _in_box(law: Law) -> tuple[bool, str]:
    problem = bind(law, example_runs(law), log_target=True)
    found = problem.theta(problem.search(example(law)[None]))[0]
    moved = [
        name
        for name, a, b in zip(law.names, found, example(law), strict=True)
        if not abs(a - b) <= 1e-9 * abs(b)
    ]
    return not moved, f"outside its bounds: {', '.join(moved)}" if moved else "inside its bounds"


def _derivative(law: Law) -> tuple[bool, str]:
    problem = bind(law, example_runs(law), log_target=True)
    u = problem.search(example(law)[None])
    exact = complex_jacobian(problem, u[0])
    size = np.abs(exact).max(axis=1, keepdims=True) + 1e-300
    worst = float((np.abs(problem.evaluate(u)[1][0] - exact) / size).max())
    return worst <= 1e-10, f"relative difference {worst:.1g}"


def _units(law: Law) -> tuple[bool, str]:
    runs, worst, at = example_runs(law), 0.0, ""
    # An input that shares another's unit cannot change it alone.
    for changed in (name for name in law.inputs if name not in law.shares_unit):
        for factor in (1e-3, 1e6):
            units = {changed: factor}
            units |= {n: factor for n, twin in law.shares_unit.items() if twin == changed}
            moved = rescaled(law, example(law), units)
            other = [runs.inputs[n] / units.get(n, 1.0) for n in law.inputs]
            gap = float(np.abs(law.predict(moved, other) / runs.loss - 1).max())
            if not gap <= worst:
                worst, at = gap, changed
    if worst <= _EXACT:
        return True, "in millions the parameters move as declared"
    return False, f"{at} in another unit changes the loss by {worst:.2g}: declare of, by or units"


def _linear(law: Law) -> tuple[bool, str]:
    flags = np.array([p.linear for p in law.parameters])
    if not flags.any():
        return True, "none is declared linear"
    inputs = list(example_runs(law).inputs.values())
    loss = [law.predict(np.where(flags, k, 1) * example(law), inputs) for k in (1, 2, 3)]
    bend = float(np.abs(loss[2] - 2 * loss[1] + loss[0]).max() / np.abs(loss[0]).max())
    names = ", ".join(p.name for p in law.parameters if p.linear)
    return bend <= _EXACT, f"{names}: curvature {bend:.1g}"


def _broadcasts(law: Law) -> tuple[bool, str]:
    inputs = list(example_runs(law).inputs.values())
    draws = example(law) * np.linspace(0.95, 1.05, 5)[:, None]
    together = np.asarray(law.predict(draws, inputs))
    if together.shape != (5, inputs[0].size):
        return False, f"five draws of {inputs[0].size} runs give shape {together.shape}"
    rows = np.stack([law.predict(theta, inputs) for theta in draws])
    return bool(np.array_equal(together, rows)), "many draws at once equal one by one"


def _fitted(law: Law) -> tuple[bool, str]:
    runs = example_runs(law)
    found = fit(law, runs)
    predicted = law.predict(found.theta[None], list(runs.inputs.values()))[0]
    gap = float(np.abs(predicted / runs.loss - 1).max())
    return gap <= 1e-5, f"status {found.status}, largest miss {gap:.1g}"


_TRIALS: dict[str, Callable[[Law], tuple[bool, str]]] = {
    "the example has a finite, positive loss": _finite,
    "the example lies inside the bounds": _in_box,
    "the derivative is exact (complex step)": _derivative,
    "a change of unit moves parameters as declared": _units,
    "what is declared linear is linear": _linear,
    "many draws broadcast against many runs": _broadcasts,
    "noise-free runs of the example are fitted": _fitted,
}

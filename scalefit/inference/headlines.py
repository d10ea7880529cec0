"""The numbers that people act on, each as a function of the parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scalefit.core.observations import Array, Observations
from scalefit.core.records import dataclass
from scalefit.inference.allocation import best_size, on_one_line
from scalefit.inference.fitting import Fit

_AHEAD = 10.0  # times the largest scale: where a headline is asked for


@dataclass(frozen=True, eq=False)
class Headline:
    """One quantity that a fit is asked for.

    Attributes:
        name: Short, such as `beta`, `N*` or `loss`.
        meaning: In words, with the place it is meant at.
        of: The quantity, shape (R,), from parameters of shape (R, P); nan where there is none.
        log: Whether differences are taken on its logarithm.
        quoted: Whether it means something by itself; an amplitude depends on its exponent.
    """

    name: str
    meaning: str
    of: Callable[[Array], Array]
    log: bool
    quoted: bool = True

    def difference(self, values: Array, base: float) -> Array:
        """Values less a base, on the scale that differences are taken on."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(values / base) if self.log else values - base)


def headlines(fit: Fit) -> tuple[Headline, ...]:
    """Parameters that the runs determine, the best split and the loss at ten times the scale."""
    return (*_parameters(fit), *_ahead(fit))


def _parameters(fit: Fit) -> list[Headline]:
    held = {*fit.fixed, *fit.certificate.bounds}
    found = []
    for i, parameter in enumerate(fit.law.parameters):
        if parameter.name in held:
            continue
        log = parameter.log or (parameter.linear and bool(fit.theta[i] > 0))
        quoted = not any(isinstance(power, str) for _, power in parameter.units)
        meaning = f"parameter {parameter.name}"
        found.append(Headline(parameter.name, meaning, _column(i), log, quoted))
    return found


def _column(i: int) -> Callable[[Array], Array]:
    return lambda theta: theta[:, i]


def target_scale(runs: Observations) -> float:
    """Ten times the largest scale, to two digits."""
    return float(f"{_AHEAD * runs.scale.max():.1e}")


def _ahead(fit: Fit) -> list[Headline]:
    law, runs = fit.law, fit.runs
    far = target_scale(runs)
    if law.inputs != ("N", "D") or runs.scale_name != "C" or on_one_line(runs):
        return [_loss_ahead(fit)]
    budget = np.array([far])
    best = best_size(law, fit.theta[None], budget)[0]
    if not np.isfinite(best).all():
        return [_loss_ahead(fit)]
    n, d = np.exp(best), budget / 6 / np.exp(best)

    last: list[Array] = []

    def size(theta: Array) -> Array:
        # The ratio asks for the same search again right after the size did.
        if not last or last[0] is not theta:
            last[:] = [theta, np.exp(best_size(law, theta, budget)[:, 0])]
        return last[1]

    def ratio(theta: Array) -> Array:
        return np.asarray(far / 6 / size(theta) ** 2)

    def loss(theta: Array) -> Array:
        return np.asarray(law.predict(theta, [n, d])[:, 0])

    return [
        Headline("N*", f"best model size at {far:.3g} FLOP", size, True),
        Headline("tokens_per_parameter", f"best ratio at {far:.3g} FLOP", ratio, True),
        Headline("loss", f"loss of the best split of {far:.3g} FLOP", loss, True),
    ]


def _loss_ahead(fit: Fit) -> Headline:
    """The loss at ten times the only input, or of the largest run where there are several."""
    law, runs = fit.law, fit.runs
    top = int(np.argmax(runs.scale))
    ahead = _AHEAD if len(law.inputs) == 1 else 1.0
    at = [np.array([ahead * runs.inputs[name][top]]) for name in law.inputs]
    place = ", ".join(f"{i} = {v[0]:.3g}" for i, v in zip(law.inputs, at, strict=True))
    return Headline("loss", f"loss at {place}", lambda theta: law.predict(theta, at)[:, 0], True)

"""Which combinations of parameters the runs fix, and which they leave open."""

from __future__ import annotations

import numpy as np

from scalefit.core.observations import Array
from scalefit.core.records import dataclass
from scalefit.inference.fitting import Fit

_MEMBER = 0.3  # of a unit direction: below it a parameter hardly takes part
_TIED = 0.1  # correlation of two estimates: below it neither gives way to the other


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of J'J with its columns scaled to length one.

    Attributes:
        names: Free parameters off their bounds.
        eigenvalues: Largest first, shape (k,); they sum to k.
        condition: Largest over smallest.
        correlation: Of the estimates, shape (k, k).
        stiff: Parameters of the direction that the runs fix best.
        sloppy: Parameters of the direction that they fix least.
        pair: The two most strongly correlated estimates; empty for one parameter.
        tie: Their correlation.
    """

    names: tuple[str, ...]
    eigenvalues: Array
    condition: float
    correlation: Array
    stiff: tuple[str, ...]
    sloppy: tuple[str, ...]
    pair: tuple[str, ...]
    tie: float

    @property
    def words(self) -> str:
        """Stiff and sloppy directions in one sentence."""
        if not self.pair:
            return f"the runs speak of {' and '.join(self.names) or 'no parameter'} alone"
        tied = abs(self.tie) >= _TIED
        trade = f"{' and '.join(self.pair)} trade off: r = {self.tie:+.3g}"
        return (
            f"fixed best: {' with '.join(self.stiff)}; least: {' against '.join(self.sloppy)} "
            f"(condition {self.condition:.2g}); {trade if tied else 'no two trade off'}"
        )


def spectrum(fit: Fit) -> Spectrum:
    """Stiff and sloppy directions of the law at the estimate.

    Source: Transtrum et al. 2015, arXiv:1501.07668 (sloppy models).
    """
    kept = [
        k
        for k, i in enumerate(fit.problem.free)
        if fit.law.parameters[i].name not in fit.certificate.bounds
    ]
    names = tuple(fit.law.parameters[fit.problem.free[k]].name for k in kept)
    jacobian = fit.problem.evaluate(fit.u[None])[1][0][kept] * np.sqrt(fit.runs.weight)
    size = np.sqrt((jacobian**2).sum(axis=1))
    scaled = jacobian / np.where(size > 0, size, 1.0)[:, None]
    if not kept:
        return Spectrum((), np.empty(0), 1.0, np.empty((0, 0)), (), (), (), float("nan"))
    left, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    floor = np.maximum(singular, 1e-14 * singular[0])
    inverse = (left / floor**2) @ left.T
    width = np.sqrt(np.diag(inverse))
    correlation = inverse / np.outer(width, width)
    apart = np.abs(correlation - np.diag(np.diag(correlation)))
    a, b = (int(k) for k in np.unravel_index(int(np.argmax(apart)), apart.shape))
    several = len(names) > 1
    return Spectrum(
        names=names,
        eigenvalues=singular**2,
        condition=float((singular[0] / floor[-1]) ** 2),
        correlation=correlation,
        stiff=_members(names, left[:, 0]),
        sloppy=_members(names, left[:, -1]),
        pair=(names[min(a, b)], names[max(a, b)]) if several else (),
        tie=float(correlation[a, b]) if several else float("nan"),
    )


def _members(names: tuple[str, ...], direction: Array) -> tuple[str, ...]:
    order = np.argsort(-np.abs(direction), kind="stable")
    return tuple(names[k] for k in order if abs(direction[k]) > _MEMBER)

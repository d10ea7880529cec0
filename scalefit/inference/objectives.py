"""What a fit minimises: a penalty of residuals, with the two curvatures that the solver steps by.

An objective is one class. The solver asks it for a measure of a whole batch of residuals; a
likelihood also carries its scale along, solved for exactly at every call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np

from scalefit.core.errors import InputError, UnknownName
from scalefit.core.observations import Array
from scalefit.core.records import dataclass, names_of, replace
from scalefit.core.registry import Registry
from scalefit.core.sorting import median
from scalefit.inference.blocks import dot, sum_over
from scalefit.inference.native import NATIVE

SMALLEST_SCALE = 1e-12
_LARGEST_DELTA = 1e6
_DEAREST = 1e6
_FAR = 1e100  # where a law leaves the doubles its residual is infinite; squares must not be


@dataclass(frozen=True, eq=False)
class Measure:
    """A batch of residuals as an objective sees it.

    Attributes:
        value: The objective, shape (B,).
        size: Positive part of it that relative tests are relative to, shape (B,).
        psi: Derivative of each row's penalty in its residual, shape (B, n), without weights.
        sharp: Second derivative, shape (B, n); may be zero or negative.
        safe: psi / residual, likewise: the curvature of a parabola above the penalty.
        state: Scale or threshold at which all this holds, shape (B,).
    """

    value: Array
    size: Array
    psi: Array
    sharp: Array
    safe: Array
    state: Array


class Objective(Protocol):
    """A penalty of residuals; residuals are of shape (B, n), weights (B, n) or (1, n)."""

    name: ClassVar[str]
    log_target: ClassVar[bool]
    settles: ClassVar[bool]  # whether the best state depends on the residuals

    def begin(self, residual: Array, weight: Array, *, cold: bool) -> Array:
        """State to start from, shape (B,)."""
        ...

    def tighten(self, state: Array) -> Array:
        """Next state of a cold start, nearer to the objective itself; the same when there."""
        ...

    def settle(self, residual: Array, weight: Array, state: Array) -> Array:
        """The best state for these residuals, near the one given; the same if it is not free."""
        ...

    def measure(self, residual: Array, weight: Array, state: Array) -> Measure:
        """Value, derivative and curvatures at a settled state; sums over rows, for any rows."""
        ...

    def value(self, residual: Array, weight: Array) -> Array:
        """The objective alone, shape (B,); for a likelihood with its best scale."""
        ...

    def rho(self, residual: Array, scale: Array) -> Array:
        """Penalty of each residual, same shape, at a scale of shape (B, 1)."""
        ...

    def scale(self, residual: Array, weight: Array) -> Array:
        """Standard-deviation-like scale of the residuals, shape (B,)."""
        ...

    def log_likelihood(self, residual: Array, weight: Array) -> Array:
        """Largest log-likelihood of the target, shape (B,), over the scale; the law's is fitted."""
        ...


OBJECTIVES: Registry[Any] = Registry("objective")


def _sum(values: Array) -> Array:
    # One contiguous inner axis at a time: the same bits whatever batch the row stands in.
    return np.asarray(values.sum(axis=-1))


def _over(residual: Array, weight: Array, of: Callable[[Array], Array]) -> Array:
    """Sum over rows of weight times what `of` says of residuals, shape (B,)."""
    return sum_over(residual.shape[1], lambda some: _sum(weight[:, some] * of(residual[:, some])))


@OBJECTIVES.add
@dataclass(frozen=True)
class StudentT:
    """Student-t likelihood of the log loss, its scale estimated jointly (Lange et al. 1989).

    Attributes:
        nu: Degrees of freedom; 4 by default, towards infinity it is Gaussian.
    """

    name: ClassVar[str] = "t"
    log_target: ClassVar[bool] = True
    settles: ClassVar[bool] = True
    nu: float = 4.0

    def __post_init__(self) -> None:
        """Refuse degrees of freedom for which no likelihood exists."""
        if not (math.isfinite(self.nu) and self.nu >= 1):
            raise InputError(f"t: degrees of freedom are {self.nu:g}, must be 1 or more")

    def begin(self, residual: Array, weight: Array, *, cold: bool) -> Array:
        """The best scale for these residuals."""
        rough = _root_mean_square(residual, weight)
        return self.settle(np.clip(residual, -_FAR, _FAR), weight, rough)

    def tighten(self, state: Array) -> Array:
        """Nothing to tighten: the scale follows the residuals down by itself."""
        return state

    def measure(self, residual: Array, weight: Array, state: Array) -> Measure:
        """At each problem's own scale."""
        s = state[:, None]
        spread = np.square(residual * (1 / s))
        spread += self.nu
        size = dot(weight, np.log(spread * (1 / self.nu))) * (self.nu + 1) / 2
        np.reciprocal(spread, out=spread)
        safe = spread * ((self.nu + 1) / s**2)
        spread *= 2 * self.nu
        spread -= 1.0
        total = _total(weight, residual)
        return Measure(
            value=size + total * (np.log(state) + self.constant),
            size=size,
            psi=safe * residual,
            sharp=safe * spread,
            safe=safe,
            state=state,
        )

    def value(self, residual: Array, weight: Array) -> Array:
        """Negative log-likelihood of the log loss, with every constant."""
        s = self.begin(residual, weight, cold=False)[:, None]
        return _over(residual, weight, lambda r: self.rho(r, s))

    def rho(self, residual: Array, scale: Array) -> Array:
        """Negative log-density."""
        z2 = (np.clip(residual, -_FAR, _FAR) / scale) ** 2
        return np.asarray(
            (self.nu + 1) / 2 * np.log1p(z2 / self.nu) + np.log(scale) + self.constant
        )

    def scale(self, residual: Array, weight: Array) -> Array:
        """The scale s of the t distribution (its standard deviation is s sqrt(nu/(nu-2)))."""
        return self.begin(residual, weight, cold=False)

    def log_likelihood(self, residual: Array, weight: Array) -> Array:
        """Minus the objective."""
        return -self.value(residual, weight)

    @property
    def constant(self) -> float:
        """What each row adds to the objective whatever its residual, the scale being 1."""
        nu = self.nu
        return math.lgamma(nu / 2) - math.lgamma((nu + 1) / 2) + math.log(nu * math.pi) / 2

    def settle(self, residual: Array, weight: Array, state: Array) -> Array:
        """Best scale for given residuals: Newton on its logarithm, each problem on its own.

        The score sum w ((nu+1) z^2/(nu+z^2) - 1) falls in log s, so the root is unique. A step
        below 1e-6 leaves an error of its square.
        """
        if NATIVE is not None:
            residual, weight = np.ascontiguousarray(residual), np.ascontiguousarray(weight)
            found = np.array(state, dtype=float)
            NATIVE.settle(residual, weight, self.nu, SMALLEST_SCALE, found)
            return found
        return self._settle_by_numpy(residual, weight, state)

    def _settle_by_numpy(self, residual: Array, weight: Array, state: Array) -> Array:
        total = _total(weight, residual)
        log_s = np.log(np.maximum(state, SMALLEST_SCALE))
        live = np.arange(len(log_s))
        for _ in range(60):
            some = residual if live.size == len(residual) else residual[live]
            share = weight if weight.shape[0] == 1 or live.size == len(weight) else weight[live]
            first, second = self._shares(some, share, np.exp(-log_s[live])[:, None])
            score = (self.nu + 1) * first - total[live]
            fall = 2 * (self.nu + 1) * (first - second)
            step = np.clip(score / np.maximum(fall, 1e-3 * total[live]), -2.0, 2.0)
            log_s[live] = np.maximum(log_s[live] + step, math.log(SMALLEST_SCALE))
            live = live[np.abs(step) > 1e-6]
            if not live.size:
                break
        return np.exp(log_s)

    def _shares(self, residual: Array, weight: Array, per: Array) -> tuple[Array, Array]:
        """Sums of q = z^2/(nu + z^2) and of q^2, each (B,), where z is `per` (B, 1) residuals."""

        def both(some: slice) -> Array:
            ratio = np.square(residual[:, some] * per)
            ratio /= ratio + self.nu
            weighted = weight[:, some] * ratio
            return np.stack([_sum(weighted), dot(weighted, ratio)])

        first, second = sum_over(residual.shape[1], both)
        return first, second


def _half_squares(residual: Array, weight: Array, state: Array) -> Measure:
    """Half the sum of squares: it has the same minimum as the normal likelihood."""
    half = dot(weight * residual, residual) / 2
    one = np.broadcast_to(np.ones(()), residual.shape)
    return Measure(half, half, residual, one, one, state)


def _root_mean_square(residual: Array, weight: Array) -> Array:
    squares = _over(residual, weight, lambda r: np.clip(r, -_FAR, _FAR) ** 2)
    return np.maximum(np.sqrt(squares / _total(weight, residual)), SMALLEST_SCALE)


def _normal_log_likelihood(residual: Array, weight: Array) -> Array:
    s = _root_mean_square(residual, weight)
    # Half the rows, unless the scale stands at its floor.
    squares = _over(residual, weight, lambda r: (np.clip(r, -_FAR, _FAR) / s[:, None]) ** 2)
    return -squares / 2 - _total(weight, residual) * (np.log(s) + 0.5 * math.log(2 * math.pi))


@OBJECTIVES.add
@dataclass(frozen=True)
class Gaussian:
    """Normal likelihood of the log loss: least squares, its scale estimated jointly."""

    name: ClassVar[str] = "gaussian"
    log_target: ClassVar[bool] = True
    settles: ClassVar[bool] = False

    def begin(self, residual: Array, weight: Array, *, cold: bool) -> Array:
        """No state: the scale does not change the fit."""
        return np.ones(residual.shape[0])

    def tighten(self, state: Array) -> Array:
        """Nothing to tighten."""
        return state

    def settle(self, residual: Array, weight: Array, state: Array) -> Array:
        """Nothing to settle."""
        return state

    def measure(self, residual: Array, weight: Array, state: Array) -> Measure:
        """Least squares."""
        return _half_squares(residual, weight, state)

    def value(self, residual: Array, weight: Array) -> Array:
        """Negative log-likelihood of the log loss, with every constant."""
        return -_normal_log_likelihood(residual, weight)

    def rho(self, residual: Array, scale: Array) -> Array:
        """Negative log-density."""
        finite = np.clip(residual, -_FAR, _FAR)
        return np.asarray((finite / scale) ** 2 / 2 + np.log(scale) + 0.5 * math.log(2 * math.pi))

    def scale(self, residual: Array, weight: Array) -> Array:
        """Root mean square residual (the maximum-likelihood sigma)."""
        return _root_mean_square(residual, weight)

    def log_likelihood(self, residual: Array, weight: Array) -> Array:
        """Minus the objective."""
        return _normal_log_likelihood(residual, weight)


@OBJECTIVES.add
@dataclass(frozen=True)
class SquaredError:
    """Squared error of the raw loss."""

    name: ClassVar[str] = "mse"
    log_target: ClassVar[bool] = False
    settles: ClassVar[bool] = False

    def begin(self, residual: Array, weight: Array, *, cold: bool) -> Array:
        """No state."""
        return np.ones(residual.shape[0])

    def tighten(self, state: Array) -> Array:
        """Nothing to tighten."""
        return state

    def settle(self, residual: Array, weight: Array, state: Array) -> Array:
        """Nothing to settle."""
        return state

    def measure(self, residual: Array, weight: Array, state: Array) -> Measure:
        """Least squares."""
        return _half_squares(residual, weight, state)

    def value(self, residual: Array, weight: Array) -> Array:
        """Sum of squares of the raw residuals, neither halved nor divided."""
        return _over(residual, weight, lambda r: np.clip(r, -_FAR, _FAR) ** 2)

    def rho(self, residual: Array, scale: Array) -> Array:
        """Square of each residual."""
        return np.asarray(np.clip(residual, -_FAR, _FAR) ** 2 + 0 * scale)

    def scale(self, residual: Array, weight: Array) -> Array:
        """Root mean square residual."""
        return _root_mean_square(residual, weight)

    def log_likelihood(self, residual: Array, weight: Array) -> Array:
        """Of the raw loss under a normal distribution with the best sigma."""
        return _normal_log_likelihood(residual, weight)


@OBJECTIVES.add
@dataclass(frozen=True)
class Huber:
    """Quadratic near zero, linear beyond delta (Huber 1964), of the log loss.

    Attributes:
        delta: Threshold in log loss; None stands for 1.345 robust standard deviations of the
            residuals of a t fit (the value of 95 % efficiency under normal noise).
    """

    name: ClassVar[str] = "huber"
    log_target: ClassVar[bool] = True
    settles: ClassVar[bool] = False
    delta: float | None = 1e-3

    def __post_init__(self) -> None:
        """Refuse a threshold at which no log loss is ever near, or ever far."""
        if self.delta is not None and not SMALLEST_SCALE <= self.delta <= _LARGEST_DELTA:
            raise InputError(
                f"huber: delta is {self.delta:g}, must lie between {SMALLEST_SCALE:g} and "
                f"{_LARGEST_DELTA:g}",
                "its unit is log loss; for plain least squares use gaussian",
            )

    @property
    def threshold(self) -> float:
        """The threshold, once it is known."""
        if self.delta is None:
            raise ValueError("an automatic delta must be settled first")
        return self.delta

    def settled(self, residual: Array) -> Huber:
        """With an automatic delta replaced by its value for residuals of shape (n,)."""
        if self.delta is not None:
            return self
        spread = 1.4826 * float(median(np.abs(residual)))
        return replace(self, delta=max(1.345 * spread, SMALLEST_SCALE))

    def begin(self, residual: Array, weight: Array, *, cold: bool) -> Array:
        """A cold start begins at the mean residual and comes down: continuation in delta."""
        if not cold:
            return np.full(residual.shape[0], self.threshold)
        size = _over(residual, weight, lambda r: np.minimum(np.abs(r), 1e6))
        mean = size / _total(weight, residual)
        return np.maximum(mean, self.threshold)

    def tighten(self, state: Array) -> Array:
        """A quarter of the threshold, down to delta."""
        return np.maximum(state / 4, self.threshold)

    def settle(self, residual: Array, weight: Array, state: Array) -> Array:
        """Nothing to settle."""
        return state

    def measure(self, residual: Array, weight: Array, state: Array) -> Measure:
        """At each problem's own threshold."""
        d = state[:, None]
        psi = np.clip(residual, -d, d)
        weighted = weight * psi
        value = dot(weighted, residual) - dot(weighted, psi) / 2
        safe = np.abs(residual)
        np.maximum(safe, d, out=safe)
        np.divide(d, safe, out=safe)
        return Measure(value, value, psi, np.floor(safe), safe, state)

    def value(self, residual: Array, weight: Array) -> Array:
        """Plain sum of the penalties."""
        return _over(residual, weight, lambda r: self.rho(r, np.ones((1, 1))))

    def rho(self, residual: Array, scale: Array) -> Array:
        """Penalty of each residual; it knows no scale but delta."""
        size = np.minimum(np.abs(residual), _FAR)
        d = self.threshold
        return np.where(size <= d, size**2 / 2, d * (size - d / 2))

    def scale(self, residual: Array, weight: Array) -> Array:
        """Median absolute residual as the sigma of a normal distribution."""
        return np.maximum(1.4826 * median(np.abs(residual)), SMALLEST_SCALE)

    def log_likelihood(self, residual: Array, weight: Array) -> Array:
        """Under the density exp(-rho(r)/t)/Z(t), with its dispersion t at its best.

        Z(t) = sqrt(2 pi t) erf(delta / sqrt(2 t)) + 2 t/delta exp(-delta^2/(2 t)); the law that
        minimises the sum of rho is its maximum-likelihood law at every t (Huber 1964, section 2).
        """
        total = self.value(residual, weight)
        rows = _total(weight, residual)
        return np.array(
            [
                _best_log_likelihood(float(v), float(m), self.threshold)
                for v, m in zip(total, np.broadcast_to(rows, total.shape), strict=True)
            ]
        )


@OBJECTIVES.add
@dataclass(frozen=True)
class AsymmetricHuber:
    """Huber of the log loss, dearer where the law predicts more than was measured.

    It draws the curve towards the best runs, those that others fail to match for want of tuning
    (the `overestimate_penalty` of data-constrained fits, Lovelace et al. and their successors).

    Attributes:
        over: How many times dearer a loss below the curve is than one as far above it; 1 or more.
        delta: Threshold in log loss.
    """

    name: ClassVar[str] = "asymmetric-huber"
    log_target: ClassVar[bool] = True
    settles: ClassVar[bool] = False
    over: float = 10.0
    delta: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse a factor below one, and what Huber refuses."""
        if not 1 <= self.over <= _DEAREST:
            raise InputError(
                f"asymmetric-huber: over is {self.over:g}, must lie between 1 and {_DEAREST:g}",
                "1 is the symmetric huber",
            )
        Huber(self.delta)

    @property
    def threshold(self) -> float:
        """The threshold."""
        return self.delta

    @property
    def _even(self) -> Huber:
        return Huber(self.delta)

    def _factor(self, residual: Array) -> Array:
        # At zero it is the dearer one, which bounds the curvature of every row.
        return np.where(residual <= 0, self.over, 1.0)

    def begin(self, residual: Array, weight: Array, *, cold: bool) -> Array:
        """As Huber."""
        return self._even.begin(residual, weight, cold=cold)

    def tighten(self, state: Array) -> Array:
        """As Huber."""
        return self._even.tighten(state)

    def settle(self, residual: Array, weight: Array, state: Array) -> Array:
        """Nothing to settle."""
        return state

    def measure(self, residual: Array, weight: Array, state: Array) -> Measure:
        """Huber's, each row times its factor."""
        factor = self._factor(residual)
        even = self._even.measure(residual, weight * factor, state)
        return Measure(
            even.value, even.size, even.psi * factor, even.sharp * factor, even.safe * factor, state
        )

    def value(self, residual: Array, weight: Array) -> Array:
        """Plain sum of the penalties."""
        return _over(residual, weight, lambda r: self.rho(r, np.ones((1, 1))))

    def rho(self, residual: Array, scale: Array) -> Array:
        """Penalty of each residual; it knows no scale but delta."""
        return np.asarray(self._factor(residual) * self._even.rho(residual, scale))

    def scale(self, residual: Array, weight: Array) -> Array:
        """Median absolute residual as the sigma of a normal distribution."""
        return self._even.scale(residual, weight)

    def log_likelihood(self, residual: Array, weight: Array) -> Array:
        """Under the density exp(-rho(r)/t)/Z(t): half of Huber's on each side, at t and t/over."""
        total = self.value(residual, weight)
        rows = _total(weight, residual)
        return np.array(
            [
                _best_log_likelihood(float(v), float(m), self.delta, self.over)
                for v, m in zip(total, np.broadcast_to(rows, total.shape), strict=True)
            ]
        )


def _best_log_likelihood(total: float, rows: float, d: float, over: float = 1.0) -> float:
    """Max over t of -total/t - rows log Z(t), by golden section in log t."""

    def mass(t: float) -> float:
        whole = math.sqrt(2 * math.pi * t) * math.erf(d / math.sqrt(2 * t))
        return whole + 2 * t / d * math.exp(-(d**2) / (2 * t))

    def likelihood(log_t: float) -> float:
        t = math.exp(log_t)
        return -total / t - rows * math.log((mass(t) + mass(t / over)) / 2)

    low, high = math.log(d**2 * 1e-12), math.log(d**2 * 1e12)
    golden = (math.sqrt(5) - 1) / 2
    while high - low > 1e-10:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if likelihood(left) > likelihood(right):
            high = right
        else:
            low = left
    return likelihood((low + high) / 2)


def _total(weight: Array, residual: Array) -> Array:
    return np.broadcast_to(_sum(weight), residual.shape[:1])


def parse_objective(text: str) -> Any:
    """The objective that `t:4`, `gaussian`, `huber:1e-3`, `huber:auto` or `mse` names.

    Several settings stand in the order of its fields, or by name, with commas between.

    >>> parse_objective("huber:auto"), parse_objective("asymmetric-huber:10,0.01")
    (Huber(delta=None), AsymmetricHuber(over=10.0, delta=0.01))

    Raises:
        UnknownName: no such objective, or no such setting of it.
        InputError: a setting that it cannot have.
    """
    name, _, setting = text.partition(":")
    kind = OBJECTIVES.get(name)
    names = names_of(kind)
    if not setting:
        return kind()
    if not names:
        raise InputError(f"objective {name} takes no setting, but {setting!r} was given")
    if setting in ("auto", "delta=auto") and kind is Huber:
        return Huber(delta=None)
    given = [part.partition("=") for part in setting.split(",")]
    if len(given) > len(names):
        raise InputError(f"objective {name} takes {len(names)} settings, not {len(given)}")
    settings: dict[str, float] = {}
    for place, (key, equals, value) in enumerate(given):
        field = key.strip() if equals else names[place]
        if field not in names:
            raise UnknownName(f"setting of {name}", field, names)
        try:
            settings[field] = float(value if equals else key)
        except ValueError:
            raise InputError(
                f"objective {name}: {value if equals else key!r} is not a number",
                f"write {name}:NUMBER",
            ) from None
    return kind(**settings)

"""A law bound to runs: centred inputs, a box to search in, and the way back."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property

import numpy as np

from scalefit.core.errors import InputError
from scalefit.core.observations import Array, BoolArray, IntArray, Observations
from scalefit.core.records import dataclass, replace
from scalefit.inference.blocks import ROWS, slices, sum_over
from scalefit.inference.broken import Broken, broken_of
from scalefit.inference.native import MOST_INPUTS, MOST_PARAMETERS, MOST_STEPS, NATIVE
from scalefit.inference.powers import Powers, powers_of
from scalefit.laws.base import Law, Parameter, rescaled
from scalefit.laws.tape import record

Bounds = Mapping[str, tuple[float, float]]
_TAPED = 2  # a law told by the steps of its formula
_SAME = 1e-9  # residuals of one curve written in two ways


@dataclass(frozen=True, eq=False)
class Problem:
    """What the solver sees of a law and its runs.

    The search vector u holds the free parameters for centred inputs, logarithms where the law
    says so. theta is the full vector for the inputs as they are.

    A stack is a problem for each member of a batch: inputs and target may then have rows for each,
    shape (B, n), and the box corners for each, shape (B, p). The solver takes it as it takes one.

    Attributes:
        law: The law.
        inputs: Centred inputs (divided by their geometric means), each shape (n,).
        target: What is fitted, shape (n,): log loss, or the loss itself.
        log_target: Whether the target is the log loss.
        weight: Row weights, shape (n,).
        units: Input to the number it was divided by.
        free: Numbers of the free parameters, in order.
        fixed: Centred theta, shape (P,), whose entries at fixed parameters hold.
        low: Lower corner of the box in u, shape (p,).
        high: Upper corner, shape (p,).
        log: Whether each free parameter is searched in its logarithm, shape (p,).
    """

    law: Law
    inputs: tuple[Array, ...]
    target: Array
    log_target: bool
    weight: Array
    units: Mapping[str, float]
    free: tuple[int, ...]
    fixed: Array
    low: Array
    high: Array
    log: BoolArray

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.target.shape[-1])

    @property
    def p(self) -> int:
        """Free parameters."""
        return len(self.free)

    def of(self, at: slice | IntArray | BoolArray) -> Problem:
        """The problem of some members of a batch; itself where all share one."""
        if self.target.ndim == 1:
            return self
        part = replace(
            self,
            inputs=tuple(_members(values, at) for values in self.inputs),
            target=self.target[at],
            low=_members(self.low, at),
            high=_members(self.high, at),
        )
        part.__dict__["logs"] = tuple(_members(values, at) for values in self.logs)
        for known in ("fused", "affine"):
            part.__dict__[known] = getattr(self, known)
        return part

    @cached_property
    def affine(self) -> BoolArray:
        """Whether the target is linear in each free parameter, but for a floor; shape (p,)."""
        parameters = (self.law.parameters[i] for i in self.free)
        return np.array([self.log_target and p.log_linear for p in parameters], dtype=bool)

    def centred(self, u: Array) -> Array:
        """Theta for centred inputs, shape (B, P), from u of shape (B, p)."""
        theta = np.repeat(self.fixed[None, :], u.shape[0], axis=0)
        theta[:, list(self.free)] = np.where(self.log, np.exp(np.where(self.log, u, 0.0)), u)
        return theta

    def theta(self, u: Array) -> Array:
        """Theta for the inputs as they are, shape (B, P)."""
        back = {name: 1 / unit for name, unit in self.units.items()}
        with np.errstate(all="ignore"):  # a vector far outside the box may have none
            theta: Array = rescaled(self.law, self.centred(u), back)
        return theta

    def search(self, theta: Array) -> Array:
        """Search vectors in the box, shape (B, p), from theta (B, P) for the inputs as they are."""
        chosen = rescaled(self.law, theta, self.units)[:, list(self.free)]
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.where(self.log, np.log(np.where(self.log, chosen, 1.0)), chosen)
        finite = np.nan_to_num(u, nan=0.0, posinf=1e300, neginf=-1e300)
        return np.asarray(np.clip(finite, self.low, self.high))

    def ordered(self, u: Array) -> Array:
        """The same curves, interchangeable parameters in the law's order, shape (B, p).

        A row stays as it is where its reordered self would leave the box or a fixed value.
        """
        if self.law.ordered is None:
            return u
        moved = self.search(self.law.ordered(self.theta(u)))
        with np.errstate(invalid="ignore"):
            apart = np.abs(self.residual(moved) - self.residual(u)).max(axis=1)
        return np.where(apart[:, None] <= _SAME, moved, u)

    def evaluate(self, u: Array) -> tuple[Array, Array]:
        """Residuals target - prediction, shape (B, n), and the prediction's Jacobian (B, p, n).

        Where the law leaves the doubles, the residual is infinite and the Jacobian zero.
        """
        residual, slopes = self.derivatives(u)
        jacobian = np.ascontiguousarray(np.swapaxes(slopes, 0, 1))
        sound = np.isfinite(residual) & np.isfinite(jacobian).all(axis=1)
        if not sound.all():
            residual = np.where(sound, residual, np.inf)
            jacobian = np.where(sound[:, None, :], jacobian, 0.0)
        return residual, jacobian

    def derivatives(self, u: Array) -> tuple[Array, Array]:
        """Residuals (B, n) and Jacobian (p, B, n), whatever stands where doubles end.

        One plane for each parameter: operations on whole planes run through memory in one go.
        """
        return self.derivatives_at(self.centred(u))

    def derivatives_at(self, theta: Array) -> tuple[Array, Array]:
        """The same from theta for centred inputs, shape (B, P)."""
        with np.errstate(all="ignore"):
            if self.fused is not None:
                value, jacobian = self.fused.slopes(theta, self.logs, log_target=self.log_target)
            else:
                value, jacobian = self._by_duals(theta)
            if not self.log_target:
                return self.target - value, jacobian
            np.log(value, out=value)
            return np.subtract(self.target, value, out=value), jacobian

    def _by_duals(self, theta: Array) -> tuple[Array, Array]:
        """Loss (B, n), and the Jacobian (p, B, n) of the target, for any law."""
        seeds = np.ones_like(theta)
        seeds[:, list(self.free)] = np.where(self.log, theta[:, list(self.free)], 1.0)
        value, partials = self.law.jacobian(theta, self.inputs, seeds, self.free)
        jacobian = np.empty((self.p, len(theta), self.n))
        for k, part in enumerate(partials):
            if self.log_target:
                np.divide(part, value, out=jacobian[k])
            else:
                jacobian[k] = part
        return np.array(np.broadcast_to(value, jacobian.shape[1:])), jacobian

    @cached_property
    def logs(self) -> tuple[Array, ...]:
        """Minus the logarithms of the centred inputs, each shape (n,): what exponents multiply."""
        with np.errstate(all="ignore"):
            return tuple(-np.log(values) for values in self.inputs)

    def rounding(self, weight: Array) -> Array:
        """Sum of weight (B, n) times the square of what rounding is relative to, shape (B,).

        That is the target's size; a log near 0 is rounded as one near 1 is.
        """
        return sum_over(self.n, lambda some: (weight[:, some] * self._size(some) ** 2).sum(axis=-1))

    def _size(self, some: slice) -> Array:
        size = np.abs(self.target[..., some])
        return np.maximum(size, 1.0) if self.log_target else size

    def rows(self, some: slice | IntArray) -> Problem:
        """Some of the rows as a problem of their own, in the same units and the same box."""
        if isinstance(some, slice) and some.indices(self.n) == (0, self.n, 1):
            return self
        part = replace(
            self,
            inputs=tuple(values[..., some] for values in self.inputs),
            target=self.target[..., some],
            weight=self.weight[some],
        )
        # Known already: a block is looked at once for every step of a search.
        part.__dict__["logs"] = tuple(values[..., some] for values in self.logs)
        part.__dict__["fused"] = self.fused
        if self.fused is None and self.compiled is not None:
            numbers, columns = self.compiled
            part.__dict__["compiled"] = numbers, tuple(values[..., some] for values in columns)
        return part

    @cached_property
    def fused(self) -> Powers | Broken | None:
        """The law's fused path, if it has one."""
        return powers_of(self.law, self.free) or broken_of(self.law, self.free)

    @cached_property
    def compiled(self) -> tuple[IntArray, tuple[Array, ...]] | None:
        """The law in whole numbers, and its columns, as native/module.c reads them.

        None where the compiled part is not built or does not know how.
        """
        if NATIVE is None or len(self.law.parameters) > MOST_PARAMETERS:
            return None
        if self.fused is not None:
            columns = self.logs[: int(self.fused.numbers[3])]
            return (self.fused.numbers, columns) if len(columns) <= MOST_INPUTS else None
        held = {k: self.fixed[i] for i, k in enumerate(self.law.names) if i not in self.free}
        tape = record(self.law, self.inputs, held)
        if tape is None or len(tape.columns) > MOST_INPUTS or len(tape.steps) > MOST_STEPS:
            return None
        slots = [self.free.index(i) if i in self.free else -1 for i in range(self.fixed.size)]
        logs = [int(parameter.log) for parameter in self.law.parameters]
        sizes = [len(slots), self.p, len(tape.columns)]
        numbers = [_TAPED, *sizes, *slots, *logs, len(tape.steps), tape.scalars]
        return np.concatenate([np.array(numbers), tape.steps.ravel()]), tape.columns

    def residual(self, u: Array) -> Array:
        """Residuals alone, shape (B, n); infinite where the law leaves the doubles."""
        theta = self.centred(u)
        if self.n <= ROWS:
            return self._residual(theta)
        found = np.empty((len(u), self.n))
        for some in slices(self.n):
            found[:, some] = self.rows(some)._residual(theta)
        return found

    def _residual(self, theta: Array) -> Array:
        with np.errstate(all="ignore"):
            value = (
                self.law.predict(theta, self.inputs)
                if self.fused is None
                else self.fused.value(theta, self.logs)
            )
            residual = self.target - (np.log(value) if self.log_target else value)
        return np.where(np.isfinite(residual), residual, np.inf)


def _members(values: Array, at: slice | IntArray | BoolArray) -> Array:
    """Of what each member of a batch has, or of what all share."""
    return values if values.ndim == 1 else values[at]


def stacked(problems: Sequence[Problem], counts: Sequence[int]) -> Problem:
    """Problems that are alike as one, each repeated for so many members of the batch.

    Args:
        problems: Of one law and as many rows, with the same parameters free: see `likeness`.
        counts: Members of each.
    """

    def together(parts: Sequence[Array]) -> Array:
        return np.repeat(np.stack(parts), counts, axis=0)

    first = problems[0]
    whole = replace(
        first,
        inputs=tuple(
            together(columns) for columns in zip(*(p.inputs for p in problems), strict=True)
        ),
        target=together([p.target for p in problems]),
        low=together([p.low for p in problems]),
        high=together([p.high for p in problems]),
    )
    if first.compiled is not None:
        told = [p.compiled[1] for p in problems if p.compiled is not None]
        columns = tuple(together(parts) for parts in zip(*told, strict=True))
        whole.__dict__["compiled"] = first.compiled[0], columns
    return whole


def likeness(problem: Problem) -> tuple[Hashable, ...]:
    """What is the same for problems that can be stacked."""
    numbers = problem.compiled[0].tobytes() if problem.compiled is not None else b""
    fixed, log = problem.fixed.tobytes(), problem.log.tobytes()
    return id(problem.law), problem.n, problem.free, fixed, log, problem.log_target, numbers


def bind(
    law: Law,
    runs: Observations,
    *,
    log_target: bool,
    fix: Mapping[str, float] | None = None,
    bound: Bounds | None = None,
) -> Problem:
    """The law bound to the runs.

    Args:
        law: The law.
        runs: Observations that hold the law's inputs.
        log_target: Whether residuals are those of the log loss.
        fix: Parameters held at a value, for the inputs as they are.
        bound: Parameters kept between two values, likewise.

    Raises:
        InputError: a loss that has no logarithm; a bound that is empty or not allowed; a start
            or fixed value outside what the law allows.
        UnknownName: the law has no such parameter.
    """
    fix, bound = dict(fix or {}), dict(bound or {})
    for name in (*fix, *bound):
        law.index(name)
    if log_target and np.any(runs.loss <= 0):
        raise InputError(
            "a loss of zero or below has no logarithm", "fit the raw loss with --objective mse"
        )
    units = _units(law, runs, tied={*fix, *bound})
    inputs = tuple(runs.inputs[name] / units[name] for name in law.inputs)
    frames = _frames(inputs, law, runs)
    fixed = np.full(len(law.parameters), np.nan)
    low, high, log, free = [], [], [], []
    for i, parameter in enumerate(law.parameters):
        lowest, highest = _box(law, parameter, frames, bound.get(parameter.name))
        if parameter.name in fix:
            fixed[i] = _fixed(law, parameter, fix[parameter.name])
            if parameter.name in bound and not lowest <= fixed[i] <= highest:
                raise InputError(
                    f"{parameter.name} is fixed at {fixed[i]:g}, outside its bound of "
                    f"{lowest:g} to {highest:g}",
                    "leave out --fix or --bound",
                )
            continue
        free.append(i)
        log.append(parameter.log)
        low.append(np.log(lowest) if parameter.log else lowest)
        high.append(np.log(highest) if parameter.log else highest)
    if not free:
        raise InputError("every parameter is fixed: there is nothing to fit")
    return Problem(
        law=law,
        inputs=inputs,
        target=np.log(runs.loss) if log_target else runs.loss.astype(float),
        log_target=log_target,
        weight=runs.weight,
        units=units,
        free=tuple(free),
        fixed=fixed,
        low=np.array(low),
        high=np.array(high),
        log=np.array(log, dtype=bool),
    )


def _units(law: Law, runs: Observations, tied: set[str]) -> dict[str, float]:
    """What each input is divided by: its geometric mean, if a parameter moves with its unit.

    An input keeps its own unit if such a parameter is fixed or bounded, since a box in one unit
    is not a box in another.
    """
    units: dict[str, float] = {}
    for name in law.inputs:
        moving = {p.name for p in law.parameters if any(of == name for of, _ in p.units)}
        centred = bool(moving) and not moving & tied
        units[name] = _geometric_mean(runs.inputs[name]) if centred else 1.0
    for name, twin in law.shares_unit.items():
        units[name] = units[twin]
    return units


def _geometric_mean(values: Array) -> float:
    return float(np.exp(np.mean(np.log(values))))


def _frames(
    inputs: tuple[Array, ...], law: Law, runs: Observations
) -> dict[str, tuple[float, float]]:
    """What bounds are relative to: name to (smallest, largest)."""
    smallest = float(runs.loss.min())
    frames = {"": (1.0, 1.0), "loss": (smallest, smallest)}
    for name, values in zip(law.inputs, inputs, strict=True):
        frames[name] = (float(values.min()), float(values.max()))
    return frames


def _box(
    law: Law,
    parameter: Parameter,
    frames: Mapping[str, tuple[float, float]],
    asked: tuple[float, float] | None,
) -> tuple[float, float]:
    smallest, largest = frames[parameter.relative_to]
    if asked is None:
        # An amplitude of inputs that are not centred holds their whole scale to its power.
        reach = 1.0
        for of, power in parameter.units:
            if isinstance(power, str) and of in frames:
                middle = np.sqrt(frames[of][0] * frames[of][1])
                reach *= max(middle, 1 / middle) ** law.parameters[law.index(power)].high
        return parameter.low * smallest / reach, parameter.high * largest * reach
    if not asked[0] < asked[1]:
        raise InputError(
            f"bound on {parameter.name}: {asked[0]:g} is not below {asked[1]:g}",
            f"write --bound {parameter.name}=LOW:HIGH",
        )
    lowest, highest = _sense(parameter)
    if asked[1] < lowest or asked[0] > highest:
        raise InputError(
            f"bound on {parameter.name}: {asked[0]:g} to {asked[1]:g} lies outside what "
            f"{law.name} allows, {lowest:g} to {highest:g}",
            f"scalefit laws show {law.name}",
        )
    if parameter.log and asked[0] <= 0:
        raise InputError(
            f"bound on {parameter.name}: {asked[0]:g} must be positive",
            f"write a small positive number, or fix it with --fix {parameter.name}=VALUE",
        )
    return asked


def _fixed(law: Law, parameter: Parameter, value: float) -> float:
    if not np.isfinite(value) or (parameter.log and value <= 0):
        raise InputError(f"{parameter.name} cannot be fixed at {value:g}: it must be positive")
    lowest, highest = _sense(parameter)
    if not lowest <= value <= highest:
        raise InputError(
            f"{parameter.name} cannot be fixed at {value:g}: in {law.name} it lies between "
            f"{lowest:g} and {highest:g}",
            f"scalefit laws show {law.name}",
        )
    return float(value)


def _sense(parameter: Parameter) -> tuple[float, float]:
    """Limits beyond which a parameter means nothing, whatever the unit of the runs."""
    if not parameter.relative_to:
        return parameter.low, parameter.high
    return (0.0 if parameter.low == 0 else -np.inf), np.inf

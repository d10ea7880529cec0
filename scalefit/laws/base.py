"""What a law is: a pure function, and a declaration of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any

import numpy as np

from scalefit.core.errors import UnknownName
from scalefit.core.observations import Array
from scalefit.core.records import dataclass
from scalefit.core.registry import Registry
from scalefit.laws.dual import Dual

Formula = Callable[..., Any]
ByName = Callable[[Mapping[str, Array]], Array]
_PLACES = tuple(float(x) for x in (np.arange(18) + 0.5) / 18)
_EXPONENTS = tuple(float(x) for x in np.geomspace(0.05, 1.6, 16))


@dataclass(frozen=True)
class Parameter:
    """One parameter of a law: where it lives, and how it moves when a unit changes.

    Attributes:
        name: As in the formula's signature.
        low: Lower bound, in the frame of `relative_to`.
        high: Upper bound, likewise.
        starts: Values to start a search from, likewise.
        log: Whether the search steps in its logarithm (it must then be positive).
        linear: Whether the loss is linear in it, the others held.
        log_linear: Whether log(loss - floor) is affine in it (in its log, if `log`), the
            parameters that are not log-linear held.
        shaped_by: The parameters that log(loss - floor) depends on through this log-linear one
            alone, up to a constant factor of the loss.
        relative_to: Empty: bounds and starts are plain. `loss`: they are multiples of the
            smallest loss. The name of an input: `low` multiplies the smallest and `high` the
            largest value of the input, and a start s means smallest^(1-s) largest^s.
        units: Pairs (input, power): with that input in units of c, the parameter is divided by
            c to the power, a number or the name of another parameter.
    """

    name: str
    low: float
    high: float
    starts: tuple[float, ...]
    log: bool = False
    linear: bool = False
    log_linear: bool = False
    shaped_by: tuple[str, ...] = ()
    relative_to: str = ""
    units: tuple[tuple[str, float | str], ...] = ()


def irreducible(name: str) -> Parameter:
    """The loss that no scale removes: between 0 and the smallest loss seen."""
    return Parameter(
        name, 0.0, 1.0, (0.0, 0.5, 0.8, 0.9, 0.97, 0.995), linear=True, relative_to="loss"
    )


def amplitude(
    name: str, of: str | None = None, by: str | None = None, *, linear: bool = True, **flags: Any
) -> Parameter:
    """The size of a term; with `of` and `by`, of a term in that input to the power minus `by`."""
    # With centred inputs an amplitude is the term's size amid the data, so that nine orders of
    # magnitude below the loss is a term that no data can see.
    return Parameter(
        name, 1e-9, 1e9, (0.05, 0.3, 1.0), log=True, linear=linear, relative_to="loss",
        units=() if of is None or by is None else ((of, by),), **flags,
    )  # fmt: skip


def exponent(name: str, **flags: Any) -> Parameter:
    """How steeply a term falls: between 1e-3 and 3."""
    return Parameter(name, 1e-3, 3.0, _EXPONENTS, **flags)


def slope(name: str, **flags: Any) -> Parameter:
    """A log-log slope, or a change of one, of either sign."""
    return Parameter(name, -5.0, 5.0, (0.0, 0.3, -0.3, 1.0), log_linear=True, **flags)


def position(
    name: str,
    of: str,
    *,
    low: float = 1.0,
    high: float = 1.0,
    starts: Sequence[float] = _PLACES,
) -> Parameter:
    """A place on the axis of an input; by default inside the data."""
    return Parameter(name, low, high, tuple(starts), log=True, relative_to=of, units=((of, 1.0),))


def sharpness(name: str) -> Parameter:
    """The width of a transition in log input: small is sharp."""
    return Parameter(name, 0.05, 5.0, (0.06, 0.3, 1.0), log=True)


@dataclass(frozen=True)
class Derived:
    """A quantity that the parameters of a law determine.

    Attributes:
        name: Short name, such as `a`.
        meaning: In words, with the unit.
        of: The value, shape (draws,), from parameters by name, each shape (draws,).
        log: Whether intervals are formed on its logarithm (it is then positive).
    """

    name: str
    meaning: str
    of: ByName
    log: bool = False


@dataclass(frozen=True)
class Term:
    """One term of a sum of powers.

    Attributes:
        amplitude: Number of its amplitude among the law's parameters.
        powers: Number of each input it falls with, and number of that exponent.
    """

    amplitude: int
    powers: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Law:
    """A scaling law.

    Attributes:
        name: Kebab-case.
        formula: For people.
        source: Paper and equation.
        loss: Pure function; positional arguments are inputs, keyword-only ones parameters. It
            broadcasts parameters of shape (draws, 1) against inputs of shape (n,).
        parameters: In the order of the vector theta.
        example: A set of parameters from the literature, for examples and promises.
        derived: Quantities that follow from the parameters.
        shares_unit: Input to the input whose unit it shares, such as unique tokens and tokens.
        within: The simpler law that this one is where its added slopes are zero; parameters
            carry over by name.
        ordered: The same curves with interchangeable parameters in their order: theta to theta,
            shape (..., P). None: no parameters are interchangeable.
        text: The TOML that declares it; empty for a law of the library.
        holds: Names of laws that are special cases of this one, at a value of a parameter.
        breaks: For each break the names of its position and of its width in log input.
    """

    name: str
    formula: str
    source: str
    loss: Formula
    parameters: tuple[Parameter, ...]
    example: Mapping[str, float]
    derived: tuple[Derived, ...] = ()
    shares_unit: Mapping[str, str] = field(default_factory=dict)
    within: Law | None = None
    ordered: Callable[[Array], Array] | None = None
    text: str = ""
    holds: tuple[str, ...] = ()
    breaks: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check that the declaration matches the signature."""
        keyword = tuple(
            p.name
            for p in inspect.signature(self.loss).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        )
        if keyword != self.names or set(self.example) != set(keyword):
            raise ValueError(f"law {self.name}: signature, parameters and example disagree")

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A law of the library travels to other processes by name, one given as text as its text.

        Their functions do not travel; a law that is neither goes as far as its functions do.
        """
        if self.name in LAWS and LAWS.get(self.name) is self:
            return _of_library, (self.name,)
        return (_of_text, (self.text,)) if self.text else super().__reduce_ex__(protocol)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return tuple(
            p.name
            for p in inspect.signature(self.loss).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(p.name for p in self.parameters)

    @cached_property
    def terms(self) -> tuple[Term, ...] | None:
        """The terms, if the law is a floor plus powers of its inputs and no more; else None.

        The declaration proposes them, and the formula itself is asked whether they are all.
        """
        proposed = tuple(
            Term(i, tuple((self.inputs.index(of), self.index(str(by))) for of, by in p.units))
            for i, p in enumerate(self.parameters)
            if p.units and p.log and all(by in self.names for _, by in p.units)
        )
        told = {i for term in proposed for i in (term.amplitude, *(k for _, k in term.powers))}
        floors = [i for i in range(len(self.parameters)) if i not in told]
        plain = [
            p for i, p in enumerate(self.parameters) if i not in {t.amplitude for t in proposed}
        ]
        if not proposed or any(p.log for p in plain):
            return None
        theta = np.linspace(0.3, 1.9, 2 * len(self.parameters)).reshape(2, -1)
        inputs = [np.array([0.4, 1.3, 2.9, 0.7]) + 0.2 * i for i in range(len(self.inputs))]
        total = theta[:, floors].sum(axis=1)[:, None]
        for term in proposed:
            height = theta[:, term.amplitude, None]
            for i, k in term.powers:
                height = height * inputs[i] ** -theta[:, k, None]
            total = total + height
        value = np.broadcast_to(self.predict(theta, inputs), total.shape)
        return proposed if np.allclose(value, total, rtol=1e-13, atol=0.0) else None

    def index(self, name: str) -> int:
        """Place of a parameter in theta.

        Raises:
            UnknownName: the law has no such parameter.
        """
        if name not in self.names:
            raise UnknownName(f"parameter of {self.name}", name, self.names)
        return self.names.index(name)

    def predict(self, theta: Array, inputs: Sequence[Array]) -> Array:
        """Loss, shape (..., n), for parameters of shape (..., P) at inputs of shape (n,) each."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            values = {name: theta[..., i, None] for i, name in enumerate(self.names)}
            return self.loss(*inputs, **values)  # type: ignore[no-any-return]

    def jacobian(
        self, theta: Array, inputs: Sequence[Array], seeds: Array, free: Sequence[int]
    ) -> tuple[Array, list[Any]]:
        """Loss and its exact derivative in each free parameter.

        Args:
            theta: Parameters, shape (B, P).
            inputs: Each shape (n,), or (B, n).
            seeds: d theta / d search coordinate, shape (B, P).
            free: Numbers of the parameters to differentiate by.

        Returns:
            The loss, shape (B, n), and one partial per free parameter, each of a shape that
            broadcasts to (B, n); 0.0 where the loss does not depend on it.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            values: dict[str, Any] = {}
            for i, name in enumerate(self.names):
                plain = theta[:, i, None]
                values[name] = Dual(plain, {i: seeds[:, i, None]}) if i in free else plain
            result = self.loss(*inputs, **values)
            if not isinstance(result, Dual):
                return result, [0.0 for _ in free]
            return result.value, [result.partials.get(i, 0.0) for i in free]


def by_name(law: Law, theta: Array) -> dict[str, Array]:
    """Parameters of shape (..., P) as name to array of shape (...)."""
    return {name: theta[..., i] for i, name in enumerate(law.names)}


def rescaled(law: Law, theta: Array, units: Mapping[str, float]) -> Array:
    """Theta for inputs divided by `units`, from theta for the inputs as they are.

    Each parameter declares how it moves; the reverse is the same with 1/unit.
    """
    moved = np.array(theta, dtype=float)
    with np.errstate(over="ignore", under="ignore"):
        for i, parameter in enumerate(law.parameters):
            for name, power in parameter.units:
                moved[..., i] *= np.exp(-power_of(law, theta, power) * np.log(units.get(name, 1.0)))
    return moved


def power_of(law: Law, theta: Array, power: float | str) -> Array:
    """A power of `Parameter.units` as numbers: itself, or that of the parameter it names."""
    if isinstance(power, str):
        return np.asarray(theta[..., law.index(power)])
    return np.asarray(power)


LAWS: Registry[Law] = Registry("law", "scalefit.laws")


def _of_library(name: str) -> Law:
    import scalefit.laws

    return scalefit.laws.LAWS.get(name)


def _of_text(text: str) -> Law:
    from scalefit.laws.text import parse_law

    return parse_law(text)

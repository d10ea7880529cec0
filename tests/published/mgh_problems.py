"""The 35 least-squares problems of Moré, Garbow & Hillstrom 1981, as laws of our own kind.

Source: ACM Transactions on Mathematical Software 7(1), written from its formulae. A problem is a
set of functions f_i of the parameters; as runs it has the row number i as its input and, for what
is fitted, the data y_i of a curve, or 1 where the paper has only f_i = 0: the law is then 1 + f_i.
"""

from dataclasses import dataclass
from inspect import Parameter as Argument
from inspect import Signature
from math import exp, pi, sqrt

import numpy as np

from scalefit.core.observations import Observations
from scalefit.laws.base import Law, Parameter
from scalefit.laws.dual import value_of

MGH = {}


@dataclass(frozen=True)
class Task:
    """A problem of the set.

    Attributes:
        name: With the number of parameters.
        curve: Prediction of every row from the parameters (a list) and the row numbers.
        target: What is predicted, shape (m,).
        start: The paper's own start.
        minima: Sums of squares at the known minima, the least one first; infima at infinity too.
    """

    name: str
    curve: object
    target: np.ndarray
    start: tuple
    minima: tuple

    def law(self):
        """The problem as a law with unbounded parameters x1, x2, ..."""
        names = [f"x{k + 1}" for k in range(len(self.start))]

        def loss(row, **p):
            return self.curve([p[name] for name in names], row.astype(int))

        arguments = [Argument("row", Argument.POSITIONAL_OR_KEYWORD)]
        arguments += [Argument(name, Argument.KEYWORD_ONLY) for name in names]
        loss.__signature__ = Signature(arguments)
        return Law(
            name=self.name,
            formula="of the paper",
            source="Moré, Garbow & Hillstrom 1981",
            loss=loss,
            parameters=tuple(Parameter(name, -np.inf, np.inf, (1.0,)) for name in names),
            example=dict(zip(names, self.start, strict=True)),
        )

    def runs(self):
        """Its rows."""
        m = self.target.size
        row = np.arange(1, m + 1)
        return Observations(
            {"row": row.astype(float)}, self.target, np.ones(m), row - 1, row, row * 1.0, "row"
        )

    def far(self, factor):
        """The start times a factor; where it is zero, the factor itself, as in MINPACK's tests."""
        start = np.array(self.start, dtype=float)
        return start * factor if start.any() else start + (factor if factor != 1 else 0)


def curve(name, target, start, *minima):
    """Add a problem whose model is given for all rows at once."""

    def add(model):
        MGH[name] = Task(name, model, np.array(target, dtype=float), tuple(start), minima)
        return model

    return add


def system(name, m, start, *minima):
    """Add a problem that is a list of functions which all should be zero."""

    def add(functions):
        def model(x, row):
            each = functions(x)
            assert len(each) == m
            total = 1.0 + 0.0 * row
            for i, f in enumerate(each, start=1):
                total = total + (row == i) * f
            return total

        MGH[name] = Task(name, model, np.ones(m), tuple(start), minima)
        return functions

    return add


def real(x):
    """A parameter as a plain number, whatever derivative it carries along."""
    return np.real(value_of(x))


@system("rosenbrock", 2, (-1.2, 1.0), 0.0)
def _(x):
    return [10 * (x[1] - x[0] ** 2), 1 - x[0]]


@system("freudenstein-roth", 2, (0.5, -2.0), 0.0, 48.98425367924)
def _(x):
    return [
        -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1],
        -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1],
    ]


@system("powell-badly-scaled", 2, (0.0, 1.0), 0.0)
def _(x):
    return [1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001]


@system("brown-badly-scaled", 3, (1.0, 1.0), 0.0)
def _(x):
    return [x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2]


@curve("beale", (1.5, 2.25, 2.625), (1.0, 1.0), 0.0)
def _(x, i):
    return x[0] * (1 - x[1] ** i)


@curve("jennrich-sampson", 2.0 + 2 * np.arange(1, 11), (0.3, 0.4), 124.36218235561473)
def _(x, i):
    return np.exp(i * x[0]) + np.exp(i * x[1])


@system("helical-valley", 3, (-1.0, 0.0, 0.0), 0.0)
def _(x):
    turn = np.arctan(x[1] / x[0]) / (2 * pi) + np.where(real(x[0]) < 0, 0.5, 0.0)
    return [10 * (x[2] - 10 * turn), 10 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]]


BARD = (0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39)


@curve("bard", BARD, (1.0, 1.0, 1.0), 8.214877306579e-3, 17.428693333333)
def _(x, i):
    return x[0] + i / ((16 - i) * x[1] + np.minimum(i, 16 - i) * x[2])


BELL = (0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521)


@curve("gaussian", (*BELL, 0.3989, *BELL[::-1]), (0.4, 1.0, 0.0), 1.12793276962e-8)
def _(x, i):
    return x[0] * np.exp(-x[1] * ((8 - i) / 2 - x[2]) ** 2 / 2)


MEYER = (
    34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820,
    3307, 2872,
)  # fmt: skip


@curve("meyer", MEYER, (0.02, 4000.0, 250.0), 87.945855170395)
def _(x, i):
    return x[0] * np.exp(x[1] / (45 + 5 * i + x[2]))


@curve("gulf", np.arange(1, 100) / 100, (5.0, 2.5, 0.15), 0.0)
def _(x, i):
    y = 25 + (-50 * np.log(i / 100)) ** (2 / 3)
    return np.exp(-np.exp(x[2] * 0.5 * np.log((y - x[1]) ** 2)) / x[0])


@system("box-3d", 10, (0.0, 10.0, 20.0), 0.0)
def _(x):
    return [
        np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (exp(-t) - exp(-10 * t))
        for t in np.arange(1, 11) / 10
    ]


@system("powell-singular", 4, (3.0, -1.0, 0.0, 1.0), 0.0)
def _(x):
    return [
        x[0] + 10 * x[1],
        sqrt(5) * (x[2] - x[3]),
        (x[1] - 2 * x[2]) ** 2,
        sqrt(10) * (x[0] - x[3]) ** 2,
    ]


@system("wood", 6, (-3.0, -1.0, -3.0, -1.0), 0.0)
def _(x):
    return [
        10 * (x[1] - x[0] ** 2),
        1 - x[0],
        sqrt(90) * (x[3] - x[2] ** 2),
        1 - x[2],
        sqrt(10) * (x[1] + x[3] - 2),
        (x[1] - x[3]) / sqrt(10),
    ]


KOWALIK = (
    0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246,
)  # fmt: skip
KOWALIK_U = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


@curve("kowalik-osborne", KOWALIK, (0.25, 0.39, 0.415, 0.39), 3.0750560385e-4, 1.0273439e-3)
def _(x, i):
    u = KOWALIK_U[i - 1]
    return x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


@system("brown-dennis", 20, (25.0, 5.0, -5.0, -1.0), 85822.20162635628)
def _(x):
    return [
        (x[0] + t * x[1] - exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2
        for t in np.arange(1, 21) / 5
    ]


OSBORNE_1 = (
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685,
    0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448,
    0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406,
)  # fmt: skip


@curve("osborne-1", OSBORNE_1, (0.5, 1.5, -1.0, 0.01, 0.02), 5.464894697e-5)
def _(x, i):
    t = 10.0 * (i - 1)
    return x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4])


TENTHS = np.arange(1, 14) / 10


@curve(
    "biggs-exp6",
    np.exp(-TENTHS) - 5 * np.exp(-10 * TENTHS) + 3 * np.exp(-4 * TENTHS),
    (1.0, 2.0, 1.0, 1.0, 1.0, 1.0),
    0.0,
    5.6556499255e-3,
)
def _(x, i):
    t = i / 10
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4])


OSBORNE_2 = (
    1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608,
    0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661,
    0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428,
    0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559,
    0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054,
)  # fmt: skip


@curve(
    "osborne-2",
    OSBORNE_2,
    (1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5),
    4.01377362935e-2,
    1.7898135868811,
)
def _(x, i):
    t = (i - 1) / 10
    peaks = sum(x[k] * np.exp(-((t - x[k + 7]) ** 2) * x[k + 4]) for k in (1, 2, 3))
    return x[0] * np.exp(-t * x[4]) + peaks


def watson(n):
    def functions(x):
        each = []
        for t in np.arange(1, 30) / 29:
            slope = sum(j * x[j] * t ** (j - 1) for j in range(1, n))
            each.append(slope - sum(x[j] * t**j for j in range(n)) ** 2 - 1)
        return [*each, x[0] + 0.0, x[1] - x[0] ** 2 - 1]

    return functions


system("watson-6", 31, np.zeros(6), 2.28767005355e-3)(watson(6))
system("watson-9", 31, np.zeros(9), 1.39976013810e-6)(watson(9))


@system("extended-rosenbrock", 10, (-1.2, 1.0) * 5, 0.0)
def _(x):
    pairs = [(10 * (x[k + 1] - x[k] ** 2), 1 - x[k]) for k in range(0, 10, 2)]
    return [f for pair in pairs for f in pair]


@system("extended-powell", 12, (3.0, -1.0, 0.0, 1.0) * 3, 0.0)
def _(x):
    each = []
    for k in range(0, 12, 4):
        a, b, c, d = x[k : k + 4]
        each += [a + 10 * b, sqrt(5) * (c - d), (b - 2 * c) ** 2, sqrt(10) * (a - d) ** 2]
    return each


@system("penalty-1", 5, (1.0, 2.0, 3.0, 4.0), 2.249977500901e-5)
def _(x):
    return [*(sqrt(1e-5) * (v - 1) for v in x), sum(v**2 for v in x) - 0.25]


@system("penalty-2", 8, (0.5,) * 4, 9.3762930073565e-6)
def _(x):
    n, a = 4, sqrt(1e-5)
    pairs = [
        a * (np.exp(x[i - 1] / 10) + np.exp(x[i - 2] / 10) - exp(i / 10) - exp((i - 1) / 10))
        for i in range(2, n + 1)
    ]
    singles = [a * (np.exp(x[i - n] / 10) - exp(-0.1)) for i in range(n + 1, 2 * n)]
    return [x[0] - 0.2, *pairs, *singles, sum((n - j) * x[j] ** 2 for j in range(n)) - 1]


@system("variably-dimensioned", 12, tuple(1 - np.arange(1, 11) / 10), 0.0)
def _(x):
    total = sum((j + 1) * (x[j] - 1) for j in range(10))
    return [*(v - 1 for v in x), total, total**2]


@system("trigonometric", 10, (0.1,) * 10, 0.0, 2.7950561219e-5)
def _(x):
    left = 10 - sum(np.cos(v) for v in x)
    return [left + (i + 1) * (1 - np.cos(x[i])) - np.sin(x[i]) for i in range(10)]


@system("brown-almost-linear", 10, (0.5,) * 10, 0.0, 1.0)
def _(x):
    total, product = sum(x), x[0]
    for v in x[1:]:
        product = product * v
    return [*(x[i] + total - 11 for i in range(9)), product - 1]


GRID = np.arange(1, 11) / 11


@system("discrete-boundary-value", 10, tuple(GRID * (GRID - 1)), 0.0)
def _(x):
    around = [0.0, *x, 0.0]
    return [
        2 * around[i] - around[i - 1] - around[i + 1] + (around[i] + i / 11 + 1) ** 3 / (2 * 121)
        for i in range(1, 11)
    ]


@system("discrete-integral", 10, tuple(GRID * (GRID - 1)), 0.0)
def _(x):
    t = GRID
    cubes = [(x[j] + t[j] + 1) ** 3 for j in range(10)]
    each = []
    for i in range(10):
        before = sum(t[j] * cubes[j] for j in range(i + 1))
        after = sum((1 - t[j]) * cubes[j] for j in range(i + 1, 10))
        each.append(x[i] + ((1 - t[i]) * before + t[i] * after) / 22)
    return each


@system("broyden-tridiagonal", 10, (-1.0,) * 10, 0.0)
def _(x):
    around = [0.0, *x, 0.0]
    return [
        (3 - 2 * around[i]) * around[i] - around[i - 1] - 2 * around[i + 1] + 1
        for i in range(1, 11)
    ]


@system("broyden-banded", 10, (-1.0,) * 10, 0.0)
def _(x):
    each = []
    for i in range(10):
        others = [j for j in range(max(0, i - 5), min(10, i + 2)) if j != i]
        each.append(x[i] * (2 + 5 * x[i] ** 2) + 1 - sum(x[j] * (1 + x[j]) for j in others))
    return each


@system("linear-full-rank", 10, (1.0,) * 5, 5.0)
def _(x):
    shift = 0.2 * sum(x) + 1
    return [*(v - shift for v in x), *(-1.0 * shift for _ in range(5))]


@system("linear-rank-1", 10, (1.0,) * 5, 90 / 42)
def _(x):
    total = sum((j + 1) * x[j] for j in range(5))
    return [i * total - 1 for i in range(1, 11)]


@system("linear-rank-1-zeros", 10, (1.0,) * 5, 124 / 34)
def _(x):
    total = sum((j + 1) * x[j] for j in range(1, 4)) + 0.0 * (x[0] + x[4])
    return [0.0 * total - 1, *((i - 1) * total - 1 for i in range(2, 10)), 0.0 * total - 1]


def chebyquad(n):
    def functions(x):
        sums = [0.0] * n
        for v in x:
            one, two = 1.0, 2 * v - 1
            for i in range(n):
                sums[i] = sums[i] + two
                one, two = two, 2 * (2 * v - 1) * two - one
        known = [0.0 if i % 2 else -1 / (i**2 - 1) for i in range(1, n + 1)]
        return [sums[i] / n - known[i] for i in range(n)]

    return functions


system("chebyquad-8", 8, np.arange(1, 9) / 9, 3.51687372568e-3)(chebyquad(8))
system("chebyquad-10", 10, np.arange(1, 11) / 11, 6.5039548010e-3)(chebyquad(10))

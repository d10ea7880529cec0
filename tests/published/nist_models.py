"""The 27 nonlinear models of NIST's Statistical Reference Datasets, as laws of our own kind."""

import csv
import json
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path

import numpy as np

from scalefit.core.observations import Observations
from scalefit.laws.base import Law, Parameter

FOLDER = Path(__file__).parent / "nist"
CERTIFIED = json.loads((FOLDER / "certified.json").read_text())


def _rational(top, bottom):
    def model(b, x):
        above = sum(b[i] * x**k for k, i in enumerate(top))
        return above / (1 + sum(b[i] * x ** (k + 1) for k, i in enumerate(bottom)))

    return model


def _exponentials(b, x):
    return b[1] * np.exp(-b[2] * x) + b[3] * np.exp(-b[4] * x) + b[5] * np.exp(-b[6] * x)


def _two_peaks(b, x):
    first = b[3] * np.exp(-((x - b[4]) ** 2) / b[5] ** 2)
    return b[1] * np.exp(-b[2] * x) + first + b[6] * np.exp(-((x - b[7]) ** 2) / b[8] ** 2)


def _enso(b, x):
    turn = 2 * np.pi * x
    year = b[2] * np.cos(turn / 12) + b[3] * np.sin(turn / 12)
    second = b[5] * np.cos(turn / b[4]) + b[6] * np.sin(turn / b[4])
    return b[1] + year + second + b[8] * np.cos(turn / b[7]) + b[9] * np.sin(turn / b[7])


def _chwirut(b, x):
    return np.exp(-b[1] * x) / (b[2] + b[3] * x)


MODELS = {
    "Bennett5": lambda b, x: b[1] * (b[2] + x) ** (-1 / b[3]),
    "BoxBOD": lambda b, x: b[1] * (1 - np.exp(-b[2] * x)),
    "Chwirut1": _chwirut,
    "Chwirut2": _chwirut,
    "DanWood": lambda b, x: b[1] * x ** b[2],
    "ENSO": _enso,
    "Eckerle4": lambda b, x: b[1] / b[2] * np.exp(-0.5 * ((x - b[3]) / b[2]) ** 2),
    "Gauss1": _two_peaks,
    "Gauss2": _two_peaks,
    "Gauss3": _two_peaks,
    "Hahn1": _rational((1, 2, 3, 4), (5, 6, 7)),
    "Kirby2": _rational((1, 2, 3), (4, 5)),
    "Lanczos1": _exponentials,
    "Lanczos2": _exponentials,
    "Lanczos3": _exponentials,
    "MGH09": lambda b, x: b[1] * (x**2 + x * b[2]) / (x**2 + x * b[3] + b[4]),
    "MGH10": lambda b, x: b[1] * np.exp(b[2] / (x + b[3])),
    "MGH17": lambda b, x: b[1] + b[2] * np.exp(-x * b[4]) + b[3] * np.exp(-x * b[5]),
    "Misra1a": lambda b, x: b[1] * (1 - np.exp(-b[2] * x)),
    "Misra1b": lambda b, x: b[1] * (1 - (1 + b[2] * x / 2) ** -2.0),
    "Misra1c": lambda b, x: b[1] * (1 - (1 + 2 * b[2] * x) ** -0.5),
    "Misra1d": lambda b, x: b[1] * b[2] * x / (1 + b[2] * x),
    "Nelson": lambda b, x1, x2: b[1] - b[2] * x1 * np.exp(-b[3] * x2),
    "Rat42": lambda b, x: b[1] / (1 + np.exp(b[2] - b[3] * x)),
    "Rat43": lambda b, x: b[1] / (1 + np.exp(b[2] - b[3] * x)) ** (1 / b[4]),
    "Roszman1": lambda b, x: b[1] - b[2] * x - np.arctan(b[3] / (x - b[4])) / np.pi,
    "Thurber": _rational((1, 2, 3, 4), (5, 6, 7)),
}


def law(name):
    """The model as a law with unbounded parameters b1, b2, ..."""
    certified = CERTIFIED[name]
    names = [f"b{i + 1}" for i in range(certified["n_params"])]

    def loss(*inputs, **p):
        return MODELS[name]({i + 1: p[n] for i, n in enumerate(names)}, *inputs)

    arguments = [Argument(x, Argument.POSITIONAL_OR_KEYWORD) for x in certified["predictors"]]
    arguments += [Argument(n, Argument.KEYWORD_ONLY) for n in names]
    loss.__signature__ = Signature(arguments)
    return Law(
        name=name,
        formula=certified["model"],
        source="NIST StRD, nonlinear regression",
        loss=loss,
        parameters=tuple(Parameter(n, -np.inf, np.inf, (1.0,)) for n in names),
        example=dict(zip(names, certified["certified"], strict=True)),
    )


def runs(name):
    """The data of the set."""
    certified = CERTIFIED[name]
    with (FOLDER / "csv" / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    y = np.array([float(row["y"]) for row in rows])
    inputs = {x: np.array([float(row[x]) for row in rows]) for x in certified["predictors"]}
    n = len(rows)
    return Observations(
        inputs=inputs,
        loss=np.log(y) if certified["response"] == "log(y)" else y,
        weight=np.ones(n),
        cluster=np.arange(n),
        row=np.arange(1, n + 1),
        scale=np.arange(1.0, n + 1),
        scale_name="x",
    )


def digits(found, certified):
    """Log relative error of the worst entry, from 0 to 11."""
    found, certified = np.asarray(found, dtype=float), np.asarray(certified, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(certified == 0, 1.0, np.abs(certified))
        lre = -np.log10(np.abs(found - certified) / size)
    return float(np.clip(np.nan_to_num(lre, nan=0.0, posinf=11.0), 0.0, 11.0).min())

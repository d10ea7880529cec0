"""What the scripts on the Chinchilla runs share: the table, the resamples, the objective."""

import csv
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

DELTA = 1e-3
START = (0.5, 6.0, 0.35, 7.0, 0.35)  # e, a, alpha, b, beta: logarithms of E, A and B


def read(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logarithms of N, D and the loss."""
    with Path(path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        np.log([float(row[name]) for row in rows]) for name in ("params", "tokens", "loss")
    )


def residual(v: np.ndarray, n: np.ndarray, d: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log loss less log(exp(e) + exp(a - alpha n) + exp(b - beta d))."""
    e, a, alpha, b, beta = v
    return y - np.log(np.exp(e) + np.exp(a - alpha * n) + np.exp(b - beta * d))


def slopes(v: np.ndarray, n: np.ndarray, d: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Exact derivative of the residual, shape (rows, 5)."""
    e, a, alpha, b, beta = v
    terms = np.stack([np.exp(e) + 0 * n, np.exp(a - alpha * n), np.exp(b - beta * d)])
    share = terms / terms.sum(axis=0)
    return -np.stack([share[0], share[1], -n * share[1], share[2], -d * share[2]], axis=1)


def huber(r: np.ndarray) -> np.ndarray:
    """Penalty of each residual."""
    size = np.abs(r)
    return np.where(size <= DELTA, r**2 / 2, DELTA * (size - DELTA / 2))


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def point_and_refits(point: Callable[..., np.ndarray], refit: Fit) -> None:
    """The whole script: table in, point fit, refits of resampled rows, quantiles, ends out.

    Called as SCRIPT RUNS COUNTS REFITS ENDS: how often each resample holds each row, how many of
    the resamples to fit, and the file for the ends, point first.
    """
    runs, counts, refits, ends = sys.argv[1:]
    data = read(runs)
    best = point(*data)
    rows = np.arange(data[0].size)
    found = []
    resamples = np.load(counts)[: int(refits)]
    begin = time.process_time()
    for count in resamples:
        at = np.repeat(rows, count)
        found.append(refit(best, *(column[at] for column in data)))
    loop = time.process_time() - begin
    if found:
        np.quantile(np.array(found), [0.025, 0.5, 0.975], axis=0)
    np.save(ends, np.array([best, *found]))
    print(json.dumps({"loop": loop}))

"""PyPI `chinchilla`: BFGS in 80-bit floats from every point of a grid, by its own interface.

Called as SCRIPT RUNS LEVELS ENDS: levels of each of the five parameters in the grid. Its mean
of the penalties is divided by delta squared, as its default tolerances need.
"""

import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ["MPLBACKEND"] = "agg"
from chinchilla import Chinchilla
from chinchilla._metrics import log_huber


def loss(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Log-Huber at 1e-3, in units of delta squared."""
    return log_huber(y_true, y_pred, 1e-3) / 1e-6


runs, levels, ends = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with tempfile.TemporaryDirectory() as folder:
    with Path(runs).open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (Path(folder) / "df.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["C", "N", "D", "loss"])
        for row in rows:
            n, d = float(row["params"]), float(row["tokens"])
            writer.writerow([6 * n * d, n, d, row["loss"]])
    fitter = Chinchilla(
        folder,
        param_grid={
            "e": np.linspace(-1, 1, levels),
            "a": np.linspace(0, 25, levels),
            "b": np.linspace(0, 25, levels),
            "alpha": np.linspace(0, 2, levels),
            "beta": np.linspace(0, 2, levels),
        },
        loss_fn=loss,
        log_level=60,
    )
    begin = time.perf_counter()
    fitter.fit(parallel=False)
    took = time.perf_counter() - begin
p = fitter.get_params()
best = [np.log(p["E"]), np.log(p["A"]), p["alpha"], np.log(p["B"]), p["beta"]]
np.save(ends, np.array([best]))
print(json.dumps({"loop": took, "starts": levels**5}))

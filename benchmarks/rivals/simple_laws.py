"""PyPI `simple-scaling-laws`: squared error of the raw loss, wild bootstrap, by its own interface.

Called as SCRIPT RUNS DRAWS ENDS; its exponents are the ends, and their best E, A and B are found
here, which can only flatter it.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
from scipy.optimize import nnls
from simple_scaling_laws import fit

with Path(sys.argv[1]).open(newline="") as file:
    rows = list(csv.DictReader(file))
n, d, y = (np.array([float(row[name]) for row in rows]) for name in ("params", "tokens", "loss"))
table = pl.DataFrame(
    {
        "training_run_id": [f"run-{i}" for i in range(len(rows))],
        "model_size__n": n,
        "dataset_size__d": d,
        "test_loss__l": y,
    }
)
model = fit(table, law="separable-power", n_draws=int(sys.argv[2]), seed=0)
found = model.params("test_loss__l")
alpha, beta = found["alpha"], found["beta"]
columns = np.stack([np.ones_like(y), (n / n.mean()) ** -alpha, (d / d.mean()) ** -beta], axis=1)
_, norm = nnls(columns, y)
Path(sys.argv[3]).write_text(json.dumps({"squares": float(norm) ** 2}))

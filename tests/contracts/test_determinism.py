"""The same seed gives the same bytes, however the work is cut up and whoever does it.

Each cell of the matrix is a process of its own: threads of the linear algebra, worker processes,
problems in one chunk of the solver, and the order of the rows in the file.
"""

import csv
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from simulated import runs_of

from scalefit.inference.fitting import fit
from scalefit.inference.objectives import Huber, StudentT
from scalefit.inference.solver import joined, solve
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.laws import LAWS

ROWS = 36
# Read by every process that starts with the folder of this file on its path, workers too.
CHUNKED = """
import os
import scalefit.inference.standing as standing
before = standing._BLOCK
standing._BLOCK = int(os.environ["TEST_CHUNK"])
"""
WORK = """
import hashlib, os, sys
import scalefit
# Python only mutters about a start-up file that fails.
standing = sys.modules["sitecustomize"].standing
assert standing._BLOCK == int(os.environ["TEST_CHUNK"]) != sys.modules["sitecustomize"].before
runs = scalefit.read(sys.argv[1])
seen = hashlib.sha256()
for law, interval in (("chinchilla", "bootstrap"), ("chinchilla", "jackknife")):
    found = scalefit.fit(runs, law, interval=interval, draws=1200, jobs=int(sys.argv[2]), seed=7)
    best = scalefit.allocate(found, [1e21, 1e22])
    told = scalefit.predict(found, {"N": [7e8], "D": [1.4e10]})
    ends = (best.N.low, best.N.high, told.band.headline.low)
    for array in (found.fit.theta, found.draws.theta, *ends):
        seen.update(array.tobytes())
print(seen.hexdigest())
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same runs in two orders, and a start-up file that sets the solver's chunk."""
    folder = tmp_path_factory.mktemp("determinism")
    (folder / "sitecustomize.py").write_text(CHUNKED)
    runs = runs_of(LAWS.get("chinchilla"), noise=0.004, side=6)
    rows = list(zip(runs.inputs["N"], runs.inputs["D"], runs.loss, strict=True))
    assert len(rows) == ROWS
    for name, order in (("given", rows), ("reversed", rows[::-1])):
        (folder / name).mkdir()
        with (folder / name / "runs.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("N", "D", "loss"))
            writer.writerows([repr(float(value)) for value in row] for row in order)
    return folder


def digest(files, *, threads, jobs, chunk, order, **variables):
    """SHA-256 of every number that a fit with draws, an allocation and a prediction give."""
    environment = {
        **os.environ,
        **{f"{name}_NUM_THREADS": str(threads) for name in ("OPENBLAS", "OMP", "MKL")},
        "TEST_CHUNK": str(ROWS * chunk),
        "PYTHONPATH": str(files),
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-c", WORK, files / order / "runs.csv", str(jobs)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["chinchilla", "broken-power", "kaplan"])
@pytest.mark.parametrize("objective", [StudentT(), Huber(1e-3)], ids=lambda o: o.name)
def test_a_problem_alone_has_the_bits_that_it_has_in_a_batch(name, objective):
    found = fit(LAWS.get(name), runs_of(LAWS.get(name), noise=0.004), objective=objective)
    weight = Bootstrap().weights(found.runs, 3, 0, 130)
    start = np.repeat(found.u[None], 130, axis=0)
    whole = solve(found.problem, objective, weight, start, cold=False)
    for size in (1, 7, 64):
        parts = [
            solve(found.problem, objective, weight[i : i + size], start[i : i + size], cold=False)
            for i in range(0, 130, size)
        ]
        apart = joined(parts)
        assert apart.u.tobytes() == whole.u.tobytes()
        assert apart.value.tobytes() == whole.value.tobytes()


def test_threads_workers_chunks_and_order_change_no_bit(files):
    plain = digest(files, threads=1, jobs=1, chunk=900, order="given")
    assert digest(files, threads=2, jobs=2, chunk=7, order="reversed") == plain


@pytest.mark.slow
def test_the_whole_matrix_has_one_hash(files, record_property):
    cells = itertools.product((1, 2, 4), (1, 2, 3), (1, 7, 64, 100_000), ("given", "reversed"))
    seen = {
        cell: digest(files, **dict(zip(("threads", "jobs", "chunk", "order"), cell, strict=True)))
        for cell in cells
    }
    for variables in (
        {"PYTHONHASHSEED": "0"},
        {"PYTHONHASHSEED": "1"},
        {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"},
        {"TZ": "America/St_Johns", "LC_ALL": "C"},
    ):
        name = tuple(variables.items())
        seen[name] = digest(files, threads=1, jobs=1, chunk=900, order="given", **variables)
    record_property("table", f"determinism: {len(seen)} processes, {len({*seen.values()})} hash")
    assert len({*seen.values()}) == 1, seen

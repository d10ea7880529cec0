"""Very many rows: nanoseconds per row-evaluation beside the floor, and memory beside the columns.

Called as SCRIPT ROWS OBJECTIVE. The floor is what two exponentials, a logarithm and a division
cost per double in this very process, in pieces that fit the cache.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from floor import floor_ns

from scalefit.core.observations import Observations
from scalefit.inference.fitting import fit
from scalefit.inference.objectives import parse_objective
from scalefit.inference.solver import solve
from scalefit.laws import LAWS


def resident_mb() -> float:
    """Memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


rows, objective = int(sys.argv[1]), parse_objective(sys.argv[2])
law = LAWS.get("chinchilla")
random = np.random.default_rng(0)
n, d = np.exp(random.uniform(16, 24, rows)), np.exp(random.uniform(20, 27, rows))
loss = 1.7 + 400 * n**-0.34 + 1200 * d**-0.36
loss *= np.exp(0.01 * random.standard_normal(rows))
every = np.arange(rows)
runs = Observations({"N": n, "D": d}, loss, np.ones(rows), every, every + 1, 6 * n * d, "C")
del random
columns = sum(a.nbytes for a in (n, d, loss)) / 2**20
before = resident_mb()
begin = time.process_time()
found = fit(law, runs, objective=objective)
took = time.process_time() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
start = found.u + 0.05 * np.random.default_rng(1).standard_normal(found.u.size)
begin = time.process_time()
again = solve(found.problem, found.objective, runs.weight[None], start[None], cold=False)
per = 1e9 * (time.process_time() - begin) / (rows * int(again.steps[0]))
print(
    json.dumps(
        {
            "fit": took, "floor": floor_ns(), "row_evaluation": per, "columns": columns,
            "extra": peak - before, "status": found.status,
            "above": float(again.value[0] - found.value) / abs(found.value), "peak": peak,
        }
    )
)  # fmt: skip

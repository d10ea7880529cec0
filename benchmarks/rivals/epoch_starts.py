"""The point fit of Hoffmann et al. 2022 as Besiroglu et al. 2024 repeat it: 4,500 starts.

L-BFGS-B at its default tolerances, gradient by differences, from every point of the published
grid; the best end is the answer. Called as SCRIPT RUNS EVERY ENDS: every how many-th start.
"""

import itertools
import json
import sys
import time

import numpy as np
from scipy.optimize import minimize
from shared import huber, read, residual

runs, every, ends = sys.argv[1:]
data = read(runs)
grid = [
    (e, a, alpha, b, beta)
    for alpha, beta, e, a, b in itertools.product(
        np.arange(0, 2.5, 0.5),
        np.arange(0, 2.5, 0.5),
        np.arange(-1, 1.5, 0.5),
        np.arange(0, 30, 5),
        np.arange(0, 30, 5),
    )
]
chosen = np.random.default_rng(0).permutation(len(grid))[:: int(every)]
begin = time.process_time()
found = [
    minimize(lambda v: huber(residual(v, *data)).sum(), grid[k], method="L-BFGS-B") for k in chosen
]
loop = time.process_time() - begin
best = min(found, key=lambda end: end.fun)
np.save(ends, np.array([best.x, *(end.x for end in found)]))
print(json.dumps({"loop": loop, "starts": len(found)}))

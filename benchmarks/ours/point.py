"""CSV to point fit and nothing else. Called as SCRIPT RUNS OBJECTIVE [ENDS]."""

import sys

import numpy as np

from scalefit.inference.fitting import fit
from scalefit.inference.objectives import parse_objective
from scalefit.laws import LAWS
from scalefit.tables.read import read
from scalefit.tables.select import select

law = LAWS.get("chinchilla")
runs = select(read(sys.argv[1]), {name: name for name in law.inputs})
found = fit(law, runs, objective=parse_objective(sys.argv[2]))
if len(sys.argv) > 3:
    np.save(sys.argv[3], found.theta)
print(f'{{"status": "{found.status}"}}')

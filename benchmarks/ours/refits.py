"""CSV to point, refits and quantiles. Called as SCRIPT RUNS OBJECTIVE REFITS [numpy].

With the last word the compiled part is left alone, as where it is not built.
"""

import json
import os
import sys

if sys.argv[4:] == ["numpy"]:
    os.environ["SCALEFIT_NATIVE"] = "0"

from scalefit.inference.fitting import fit
from scalefit.inference.objectives import parse_objective
from scalefit.inference.uncertainty.base import draw, interval
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.laws import LAWS
from scalefit.tables.read import read
from scalefit.tables.select import select

law = LAWS.get("chinchilla")
runs = select(read(sys.argv[1]), {name: name for name in law.inputs})
found = fit(law, runs, objective=parse_objective(sys.argv[2]))
drawn = draw(found, Bootstrap(draws=int(sys.argv[3])))
made = interval(drawn, found.theta, drawn.theta, 0.95, log=False)
print(
    json.dumps(
        {
            name: [float(value), float(low), float(high)]
            for name, value, low, high in zip(
                law.names, found.theta, made.low, made.high, strict=True
            )
        }
    )
)

"""`scalefit fit --by curve`. Called as SCRIPT RUNS OUT HOW LAW...

HOW is `together`, or `apart`: then no search shares a batch with one of another curve or law.
With `numpy` after it (`together-numpy`) the compiled part is left alone, as where it is not built.
"""

import os
import sys

if sys.argv[3].endswith("-numpy"):
    os.environ["SCALEFIT_NATIVE"] = "0"

from scalefit.cli import main
from scalefit.inference import batches

runs, out, how, *laws = sys.argv[1:]
if how.startswith("apart"):
    batches._SMALL = 0
named = [word for law in laws for word in ("--law", law)]
sys.argv = ["scalefit", "fit", runs, "--by", "curve", *named, "--objective", "huber:1e-3"]
sys.argv += ["-o", out]
main()

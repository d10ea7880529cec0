"""Measure every work and print the table; `make bench` calls this."""

import argparse
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

# Before numpy: everything here runs on one thread, as every process that is measured does.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from benchmarks import table
from benchmarks.data import ROOT
from benchmarks.kept import Kept
from benchmarks.plan import Plan
from benchmarks.works import broken, chinchilla, large, small
from scalefit.inference.native import engine

WORKS = {
    "refits": chinchilla.refits,
    "cold": chinchilla.cold,
    "raw": chinchilla.raw_loss,
    "startup": chinchilla.startup,
    "broken": broken.points,
    "breaks": broken.refits,
    "small": small.refits,
    "many": small.curves,
    "groups": small.groups,
    "large": large.rows,
}


def machine() -> str:
    """What it was measured on, without a name."""
    found = {name: version(name) for name in ("numpy", "scipy", "lmfit", "pyarrow")}
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        + ", ".join(f"{name} {number}" for name, number in found.items())
        + (", NumPy alone" if engine() == "NumPy" else f", compiled part with {engine()}")
    )


def main() -> None:
    """Measure what was asked for, and print and keep the table with what was measured before."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rivals", type=Path, required=True, help="Python with the rivals")
    parser.add_argument("--full", action="store_true", help="run every rival whole")
    parser.add_argument("--only", action="append", choices=WORKS, help="some of the works")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks", help="folder")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    kept = Kept(asked.out / "results.json")
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(asked.rivals.absolute(), Path(folder), asked.full)
        for name in asked.only or WORKS:
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            kept.put(name, WORKS[name](plan))
    blocks = [block for block in map(kept.get, WORKS) if block is not None]
    print(table.terminal(blocks))
    words = f"Measured by `make bench` on {machine()}."
    (asked.out / "results.md").write_text(f"{words}\n\n{table.markdown(blocks)}")


main()

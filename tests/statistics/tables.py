"""Real tables as runs, each as its source says it should be read."""

import csv
from pathlib import Path

import numpy as np
from simulated import observations

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def rows_of(name):
    """A CSV file as a list of dictionaries; empty where it is absent."""
    path = SHARED / name
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def joint(rows, n="params", d="tokens", loss="loss", run=None, scale=None):
    """Rows as runs of N and D."""
    cluster = None
    if run:
        cluster = np.unique([row[run] for row in rows], return_inverse=True)[1]
    budget = column(rows, scale) if scale else None
    return observations(
        {"N": column(rows, n), "D": column(rows, d)},
        column(rows, loss),
        cluster=cluster,
        scale=budget,
    )


def best_of(rows, keys, loss="loss"):
    """The row of least loss for each setting."""
    best = {}
    for row in rows:
        key = tuple(row[k] for k in keys)
        if key not in best or float(row[loss]) < float(best[key][loss]):
            best[key] = row
    return list(best.values())


def last_of(rows, key, clock):
    """The last row of each run."""
    last = {}
    for row in rows:
        if row[key] not in last or float(row[clock]) > float(last[row[key]][clock]):
            last[row[key]] = row
    return list(last.values())


def isoflop(source, dataset):
    rows = [
        row
        for row in rows_of(f"{source}/isoflop_points.csv")
        if row["dataset"] == dataset and row["flagged_outlier"] == "False"
    ]
    return joint(rows, scale="flops_budget") if rows else None


def misfitting():
    rows = best_of(rows_of("misfitting/runs_final.csv"), ("params", "tokens"))
    return joint(rows) if rows else None


def gemstones(subset):
    """Several lengths of each architecture: rows of one run are one cluster."""
    rows = [r for r in rows_of("gemstones/runs.csv") if r["subset"] == subset]
    return joint(rows, run="run_name") if rows else None


def porian(hparams, warmup, decay, split):
    wanted = {"hparams": hparams, "warmup": warmup, "decay": decay, "loss_split": split}
    rows = [
        row
        for row in rows_of("porian-isoflop-owt2/isoflop_points.csv")
        if all(row[key] == value for key, value in wanted.items())
    ]
    return joint(rows, scale="flops_budget") if rows else None


def muennighoff():
    rows = [r for r in rows_of("muennighoff-data-constrained/runs.csv") if r["loss"]]
    rows = [r for r in rows if float(r["epochs"]) <= 1.0]
    return joint(rows) if rows else None


def olmo_ladder():
    rows = [r for r in rows_of("olmo-ladder/curves.csv") if r["c4_loss"] and r["tokens"]]
    return joint(last_of(rows, "run", "tokens"), loss="c4_loss") if rows else None


# Chosen on (with simulated worlds), and reported on: how law error is estimated was settled on the
# first group before the second was looked at.
CHOSEN_ON = {
    "chinchilla": lambda: isoflop("isoflop-chinchilla", "massivetext"),
    "marin-comma": lambda: isoflop("isoflop-marin", "comma"),
    "marin-dclm": lambda: isoflop("isoflop-marin", "dclm"),
    "marin-nemotron": lambda: isoflop("isoflop-marin", "nemotron"),
    "misfitting": misfitting,
}
REPORTED_ON = {
    "gemstones-cooldown": lambda: gemstones("cooldown_end"),
    "gemstones-100b": lambda: gemstones("first_100b"),
    "porian-long": lambda: porian("base", "long", "kaplan", "val"),
    "porian-short": lambda: porian("base", "short", "kaplan", "val"),
    "porian-chinchilla": lambda: porian("base", "short", "chinchilla", "val"),
    "porian-tuned": lambda: porian("tuned", "short", "const", "val"),
    "muennighoff": muennighoff,
    "olmo-ladder": olmo_ladder,
}

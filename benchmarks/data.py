"""The rows that everybody is measured on."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalefit.core.observations import Array, Observations

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def chinchilla() -> tuple[str, list[dict[str, str]]]:
    """The Chinchilla runs and what they are: 240 where they lie beside the checkout, else 234."""
    extracted = SHARED / "chinchilla-besiroglu" / "runs.csv"
    if extracted.exists():
        rows = [row for row in _table(extracted) if row["outlier_in_paper"] == "False"]
        return f"{len(rows)} Chinchilla runs of Besiroglu et al. 2024", rows
    rows = _table(ROOT / "data" / "chinchilla-subset" / "runs.csv")
    return f"{len(rows)} Chinchilla runs as shipped", rows


def write_runs(rows: list[dict[str, str]], path: Path) -> None:
    """N, D and the loss as a CSV that every tool reads."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("params", "tokens", "loss"))
        writer.writerows((row["params"], row["tokens"], row["loss"]) for row in rows)


def curves() -> dict[str, tuple[Array, Array]]:
    """Learning curves by task, the part to fit: 46 beside the checkout, else the five shipped."""
    path = SHARED / "bnsl-benchmark-dev" / "curves.csv"
    if not path.exists():
        path = ROOT / "data" / "learning-curves" / "runs.csv"
    found: dict[str, list[tuple[float, float]]] = {}
    for row in _table(path):
        if row["split"] == "train":
            point = float(row["seen_examples"]), float(row["loss"])
            found.setdefault(row["task_id"], []).append(point)
    return {task: tuple(np.array(sorted(points)).T) for task, points in sorted(found.items())}


def observed(inputs: dict[str, Array], loss: Array, weight: Array | None = None) -> Observations:
    """Rows as the library's verbs take them, each a run of its own, in the order of `select`."""
    scale = 6 * inputs["N"] * inputs["D"] if len(inputs) > 1 else next(iter(inputs.values()))
    weight = np.ones(loss.size) if weight is None else weight
    order = np.lexsort((scale, weight, loss, *reversed(list(inputs.values()))))
    every = np.arange(loss.size)
    return Observations(
        inputs={name: values[order] for name, values in inputs.items()},
        loss=loss[order],
        weight=weight[order],
        cluster=every,
        row=every[order] + 1,
        scale=scale[order],
        scale_name="C" if len(inputs) > 1 else "x",
    )


@dataclass(frozen=True)
class Simulated:
    """A small problem with a known law.

    Attributes:
        law: Its name.
        inputs: By the name of the input.
        loss: With noise.
    """

    law: str
    inputs: dict[str, Array]
    loss: Array


def small(sizes: tuple[int, ...] = (10, 12, 15, 20)) -> list[Simulated]:
    """Problems of 10 to 20 rows, with a scatter far above Huber's delta of 1e-3."""
    found = []
    for k, rows in enumerate(sizes):
        random = np.random.default_rng(100 + k)
        x = np.geomspace(1e6, 1e10, rows)
        noise = np.exp(0.01 * random.standard_normal(rows))
        found.append(Simulated("power-floor", {"x": x}, (1.6 + 300 * x**-0.35) * noise))
        n, d = np.exp(random.uniform(17, 24, rows)), np.exp(random.uniform(20, 26, rows))
        loss = (1.7 + 400 * n**-0.34 + 1200 * d**-0.36) * noise
        found.append(Simulated("chinchilla", {"N": n, "D": d}, loss))
    return found


def many(count: int, rows: int = 20) -> list[tuple[Array, Array]]:
    """Curves of one input, each from a power law with a floor of its own."""
    found = []
    for k in range(count):
        random = np.random.default_rng(1000 + k)
        x = np.geomspace(1e5, 1e9, rows)
        floor, alpha = random.uniform(0.5, 2.5), random.uniform(0.1, 0.6)
        size = random.uniform(0.5, 3) * 1e7**alpha
        noise = np.exp(0.005 * random.standard_normal(rows))
        found.append((x, (floor + size * x**-alpha) * noise))
    return found

"""Broken power laws on learning curves: the cold fit, and refits against a full cold search."""

import json
import statistics
import time

import numpy as np

from benchmarks.clock import run
from benchmarks.data import curves, observed
from benchmarks.plan import Plan
from benchmarks.table import Block, Line, Promise, number
from scalefit.core.errors import ScalefitError
from scalefit.core.observations import Array, Observations
from scalefit.inference.fitting import Fit, fit
from scalefit.inference.objectives import Gaussian
from scalefit.inference.uncertainty import draw
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.laws import LAWS

DRAWS = 200
NEAR = 0.01
LAW_OF = {1: "broken-power", 2: "broken-power-2"}


def squares(found: Fit, theta: Array, runs: Observations, weight: Array) -> Array:
    """Weighted sum of squares of the log residuals, one for each theta and row of weights."""
    guess = found.law.predict(theta, [runs.inputs[name] for name in found.law.inputs])
    with np.errstate(all="ignore"):
        total = (weight * (np.log(guess) - np.log(runs.loss)) ** 2).sum(axis=1)
    return np.where(np.isfinite(total), total, np.inf)


def points(plan: Plan) -> Block:
    """One break, least squares of the log loss: every task, without a start."""
    tasks = curves()
    given, told = plan.folder / "curves.json", plan.folder / "recipe.json"
    given.write_text(json.dumps({name: [x.tolist(), y.tolist()] for name, (x, y) in tasks.items()}))
    took = run(plan.rival("bnsl_recipe", given, told))
    theirs = json.loads(told.read_text())
    law, objective = LAWS.get(LAW_OF[1]), Gaussian()
    cpu, values = {}, {}
    for name, (x, y) in tasks.items():
        runs = observed({"x": x}, y)
        fit(law, runs, objective=objective)
        begin = time.process_time()
        found = fit(law, runs, objective=objective)
        cpu[name] = time.process_time() - begin
        values[name] = float((found.residual**2).sum())
    ratios = {name: theirs[name]["cpu"] / cpu[name] for name in tasks}
    best = {name: min(values[name], theirs[name]["squares"]) for name in tasks}
    lost = [name for name in tasks if values[name] > best[name] * (1 + 1e-9)]
    alone = [theirs[name]["squares of the recipe alone"] / best[name] - 1 for name in tasks]
    lines = [
        Line(
            "scalefit",
            each=statistics.median(cpu.values()),
            above=max(values[name] / best[name] for name in tasks) - 1,
            worse=len(lost) / len(tasks),
        ),
        Line(
            "brute + curve_fit",
            each=statistics.median(theirs[name]["cpu"] for name in tasks),
            memory=took.memory,
            above=max(theirs[name]["squares"] / best[name] for name in tasks) - 1,
            worse=sum(theirs[n]["squares"] > best[n] * (1 + 1e-9) for n in tasks) / len(tasks),
            promise=Promise(
                min(ratios.values()), 50, at_least=True, of="the recipe to scalefit, worst task"
            ),
        ),
    ]
    notes = [
        f"ratio: of the task where it is least; its median is {number(_median(ratios))}",
        "the recipe fits log(1 + y); its end is polished on log y before it is scored here, or "
        f"it would lie {number(100 * statistics.median(alone))} % above the best in the median",
    ]
    notes += [f"worse than the recipe on {name}" for name in lost]
    title = f"One break, {len(tasks)} learning curves, squares of the log loss; gate 1e-09"
    return Block(title, lines, notes)


def _median(ratios: dict[str, float]) -> float:
    return statistics.median(ratios.values())


def refits(plan: Plan) -> Block:
    """Bootstrap refits of one and two breaks, each against a full cold search of its own."""
    tasks = list(curves().items())
    chosen = tasks if plan.full else tasks[:: max(1, len(tasks) // 6)]
    lines, notes = [], []
    for breaks, compared in ((1, 24), (2, 12)):
        warm, cold, near, failed, tried = [], [], [], 0, 0
        for _, (x, y) in chosen:
            runs = observed({"x": x}, y)
            law = LAWS.get(LAW_OF[breaks])
            if runs.n < 2 * len(law.parameters):
                continue
            told = _one(law.name, runs, compared if not plan.full else 4 * compared)
            warm.append(told[0])
            cold.append(told[1])
            near += told[2]
            failed += told[3]
            tried += len(told[2])
        share = float(np.mean(near))
        ratio = statistics.median(w / c for w, c in zip(warm, cold, strict=True))
        plural = "s" if breaks > 1 else ""
        lines += [
            Line(f"{breaks} break{plural}, cold search", each=statistics.median(cold)),
            Line(
                f"{breaks} break{plural}, refit",
                each=statistics.median(warm),
                worse=1 - share,
                promise=Promise(ratio, 1 / 20, at_least=False, of="a refit to a cold search"),
            ),
            Line(
                "  within 1 % of it",
                promise=Promise(100 * share, 97, at_least=True, of="the share within 1 %"),
            ),
        ]
        notes.append(
            f"{breaks} break{plural}: {tried} refits of {len(warm)} curves compared, {failed} of "
            "them did not converge and count as worse"
        )
    title = "Broken power laws: a bootstrap refit beside a cold search on its rows; gate 1 %"
    return Block(title, lines, notes)


def _one(name: str, runs: Observations, compared: int) -> tuple[float, float, list[bool], int]:
    """Seconds of a refit and of a cold search, which refits come near, how many failed."""
    found = fit(LAWS.get(name), runs, objective=Gaussian())
    method = Bootstrap(draws=DRAWS)
    begin = time.process_time()
    drawn = draw(found, method, seed=0)
    warm = (time.process_time() - begin) / DRAWS
    good = np.setdiff1d(np.arange(DRAWS), drawn.failed)
    theta = np.full((DRAWS, len(found.law.parameters)), np.nan)
    theta[good] = drawn.theta
    weight = method.weights(runs, 0, 0, compared)
    ours = squares(found, theta[:compared], runs, weight)
    near, spent = [], []
    for b in range(compared):
        begin = time.process_time()
        try:
            again = fit(found.law, _weighed(runs, weight[b]), objective=Gaussian())
        except ScalefitError:
            continue  # fewer different rows than parameters: there is nothing to find
        spent.append(time.process_time() - begin)
        best = float(squares(found, again.theta[None], runs, weight[b : b + 1])[0])
        near.append(bool(ours[b] <= best * (1 + NEAR)))
    failed = sum(1 for b in drawn.failed if b < compared)
    return warm, statistics.median(spent), near, failed


def _weighed(runs: Observations, weight: Array) -> Observations:
    return observed(dict(runs.inputs), runs.loss, weight)

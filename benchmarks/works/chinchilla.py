"""The Chinchilla law on the Chinchilla runs: refits with log-Huber, and the cold point fit."""

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.clock import Took, in_turn, median_ratio, run
from benchmarks.data import chinchilla, observed, write_runs
from benchmarks.plan import Plan
from benchmarks.table import Block, Line, Promise, number, seconds
from scalefit.core.observations import Array, Observations
from scalefit.inference.fitting import Fit, fit
from scalefit.inference.objectives import Huber
from scalefit.inference.uncertainty import draw
from scalefit.inference.uncertainty.base import Refit
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.laws import LAWS

REFITS = 4000
STARTS = 4500
DELTA = 1e-3
GATE = 1e-9
MODULES = "import scalefit.inference.fitting, scalefit.laws, scalefit.tables"
RIVALS = {
    # script: name, promised ratio of whole processes, one in how many refits is run unless full
    "lmfit_huber": ("lmfit least_squares", 50, 20),
    "scipy_jacobian": ("SciPy, exact Jacobian", 25, 10),
    "epoch_bootstrap": ("Epoch bootstrap", 250, 40),
}


def runs_file(plan: Plan) -> tuple[str, Path, Observations]:
    """The runs in words, as a file, and as the library takes them."""
    words, rows = chinchilla()
    path = plan.folder / "runs.csv"
    write_runs(rows, path)
    n, d, loss = (
        np.array([float(row[name]) for row in rows]) for name in ("params", "tokens", "loss")
    )
    return words, path, observed({"N": n, "D": d}, loss)


def objective(ends: Array, runs: Observations, counts: Array) -> Array:
    """Sum of Huber penalties of each end (e, a, alpha, b, beta) under its own row counts.

    Written out here, so that no tool is the judge of itself.
    """
    n, d, y = np.log(runs.inputs["N"]), np.log(runs.inputs["D"]), np.log(runs.loss)
    e, a, alpha, b, beta = (column[:, None] for column in ends.T)
    with np.errstate(all="ignore"):
        r = np.abs(y - np.log(np.exp(e) + np.exp(a - alpha * n) + np.exp(b - beta * d)))
        penalty = np.where(r <= DELTA, r**2 / 2, DELTA * (r - DELTA / 2))
        total = (counts * penalty).sum(axis=1)
    return np.where(np.isfinite(total), total, np.inf)


def as_ends(theta: Array) -> Array:
    """Parameters E, A, alpha, B, beta as the rivals hold them: E, A and B as logarithms."""
    with np.errstate(divide="ignore"):
        e, a, b = (np.log(theta[:, k]) for k in (0, 1, 3))
    return np.stack([e, a, theta[:, 2], b, theta[:, 4]], axis=1)


def our_refits(found: Fit, refits: int) -> Array:
    """What the command's refits end at, in order; infinite where one did not converge."""
    drawn = draw(found, Bootstrap(draws=refits), seed=0)
    ends = np.full((refits, 5), np.nan)
    good = np.setdiff1d(np.arange(refits), drawn.failed)
    ends[good] = as_ends(drawn.theta)
    return ends


def scaled(took: Took, whole: int, key: str, part: int) -> float:
    """Seconds of the whole work, from a process that did a part of it."""
    loop = took.said["loop"]
    return took.cpu + loop * (whole / part - 1)


def refits(plan: Plan) -> Block:
    """CSV to point, 4,000 refits and quantiles, every tool on the same resamples."""
    words, path, runs = runs_file(plan)
    method = Bootstrap(draws=REFITS)
    weight = method.weights(runs, 0, 0, REFITS)
    in_file = np.empty((REFITS, runs.n), np.uint8)
    in_file[:, runs.row - 1] = weight
    counts = plan.folder / "counts.npy"
    np.save(counts, in_file)
    found = fit(LAWS.get("chinchilla"), runs, objective=Huber(DELTA))
    ends = {"scalefit": our_refits(found, REFITS)}
    evaluations = int(Refit(found, method, 0)((0, REFITS)).steps.sum()) * runs.n
    ours = [
        plan.ours("refits", path, f"huber:{DELTA:g}", REFITS),
        plan.ours("point", path, f"huber:{DELTA:g}"),
        plan.python("import numpy, pyarrow.csv"),
        plan.scalefit(
            "fit", path, "--law", "chinchilla", "--objective", f"huber:{DELTA:g}",
            "--interval", "bootstrap", "--draws", REFITS,
        ),
        plan.ours("refits", path, f"huber:{DELTA:g}", REFITS, "numpy"),
    ]  # fmt: skip
    taken: list[list[Took]] = [[] for _ in ours]
    theirs: dict[str, tuple[list[Took], int, float, float]] = {}
    for script, (_, _, share) in RIVALS.items():
        part = plan.part(REFITS, share)
        out = plan.folder / f"{script}.npy"
        *we, they = in_turn([*ours, plan.rival(script, path, counts, part, out)], plan.repeats)
        whole = [scaled(t, REFITS, "refits", part) for t in they]
        ratios = [median_ratio(whole, [t.cpu for t in each]) for each in we]
        theirs[script] = they, part, ratios[0], ratios[3]
        ends[script] = np.load(out)[1:]
        taken = [before + now for before, now in zip(taken, we, strict=True)]
    mine, alone, bare, command, without = taken
    floor = run(plan.ours("floor")).said["floor"] * 1e-9 * evaluations
    best = np.full(REFITS, np.inf)
    values = {}
    for name, found in ends.items():
        values[name] = objective(found, runs, weight[: len(found)])
        best[: len(found)] = np.minimum(best[: len(found)], values[name])
    whole, point, start = (_cpu(took) for took in (mine, alone, bare))
    lines = [
        Line(
            "scalefit, library",
            whole=whole,
            each=(whole - point) / REFITS,
            memory=statistics.median(t.memory for t in mine),
            above=_above(values["scalefit"], best),
            worse=_worse(values["scalefit"], best),
        ),
        Line(
            "the same by NumPy alone",
            whole=_cpu(without),
            memory=statistics.median(t.memory for t in without),
        ),
        Line(
            "scalefit fit", whole=_cpu(command), memory=statistics.median(t.memory for t in command)
        ),
    ]
    why = (
        f"of our {seconds(whole)} the imports of numpy and pyarrow are {seconds(start)}, the point "
        f"fit {seconds(point - start)} and the refits {seconds(whole - point)}, which the floor of "
        f"their {evaluations / REFITS / runs.n:.3g} evaluations would do in {seconds(floor)}"
    )
    notes = ["above: of the worst refit of each tool, on the same resamples"]
    for script, (name, limit, _) in RIVALS.items():
        took, part, ratio, by_command = theirs[script]
        they = statistics.median(scaled(t, REFITS, "refits", part) for t in took)
        notes.append(f"{name} to scalefit fit, which also diagnoses: {number(by_command)}")
        lines.append(
            Line(
                name,
                whole=they,
                each=statistics.median(t.said["loop"] for t in took) / part,
                memory=statistics.median(t.memory for t in took),
                above=_above(values[script], best),
                worse=_worse(values[script], best),
                promise=Promise(
                    ratio,
                    limit,
                    at_least=True,
                    of=f"{name} to the library, whole",
                    best=they / (start + floor),
                    why=why,
                ),
                scaled=part < REFITS,
            )
        )
        why = ""  # once is enough
    title = f"{words}, log-Huber 1e-3: CSV to point, {REFITS:,} refits and quantiles; gate {GATE:g}"
    return Block(title, lines, notes)


def _cpu(took: list[Took]) -> float:
    return statistics.median(t.cpu for t in took)


def _above(values: Array, best: Array) -> float:
    return float((values / best[: len(values)]).max() - 1)


def _worse(values: Array, best: Array) -> float:
    return float((values > best[: len(values)] * (1 + GATE)).mean())


def cold(plan: Plan) -> Block:
    """CSV to the point fit, without a start."""
    words, path, runs = runs_file(plan)
    out = plan.folder / "theta.npy"
    ours = plan.ours("point", path, f"huber:{DELTA:g}", out)
    bare = plan.python("import numpy, pyarrow.csv")
    rivals: list[tuple[str, list[object], Callable[[Took], float], float | None]] = []
    every = 1 if plan.full else 60
    starts = plan.folder / "starts.npy"
    rivals.append(
        (
            f"{STARTS:,} starts L-BFGS-B",
            plan.rival("epoch_starts", path, every, starts),
            lambda t: scaled(t, STARTS, "starts", t.said["starts"]),
            300,
        )
    )
    package = plan.folder / "package.npy"
    levels = 4 if plan.full else 2
    rivals.append(
        (
            f"chinchilla 0.2.0, {levels**5:,}",
            plan.rival("chinchilla_package", path, levels, package),
            lambda t: t.cpu,
            None,
        )
    )
    ends = {rivals[0][0]: starts, rivals[1][0]: package}
    mine: list[Took] = []
    imports: list[Took] = []
    lines = []
    ones = np.ones((1, runs.n))
    ratios = {}
    theirs = {}
    for name, command, whole, _ in rivals:
        we, base, they = in_turn([ours, bare, command], plan.repeats)
        mine, imports = mine + we, imports + base
        theirs[name] = they
        ratios[name] = median_ratio([whole(t) for t in they], [t.cpu for t in we])
    found = {name: np.load(path)[:1] for name, path in ends.items()}
    found["scalefit"] = as_ends(np.load(out)[None])
    values = {name: float(objective(end, runs, ones)[0]) for name, end in found.items()}
    best = min(values.values())
    lines.append(
        Line(
            "scalefit, point alone",
            whole=statistics.median(t.cpu for t in mine),
            memory=statistics.median(t.memory for t in mine),
            above=values["scalefit"] / best - 1,
        )
    )
    for name, _, whole, limit in rivals:
        promise = None
        if limit is not None:
            start = _cpu(imports)
            promise = Promise(
                ratios[name],
                limit,
                at_least=True,
                of=f"{name} to scalefit, whole",
                best=statistics.median(whole(t) for t in theirs[name]) / start,
                why=f"of our {seconds(_cpu(mine))} the imports of numpy and pyarrow are "
                f"{seconds(start)}",
            )
        lines.append(
            Line(
                name,
                whole=statistics.median(whole(t) for t in theirs[name]),
                memory=statistics.median(t.memory for t in theirs[name]),
                above=values[name] / best - 1,
                promise=promise,
                scaled=limit is not None and every > 1,
            )
        )
    reached = objective(np.load(starts)[1:], runs, ones)
    share = float((reached <= best * (1 + 1e-6)).mean())
    notes = [
        f"of the starts of L-BFGS-B that were run, {100 * share:.3g} % end within 1e-6 of the "
        f"best; of ours all do (tests/published/test_chinchilla.py)"
    ]
    return Block(f"{words}, log-Huber 1e-3: CSV to the cold point fit", lines, notes)


def raw_loss(plan: Plan) -> Block:
    """The direct rival at its own objective, squared error of the raw loss, with 1,000 draws."""
    words, path, runs = runs_file(plan)
    out = plan.folder / "squares.json"
    ours = plan.scalefit(
        "fit", path, "--law", "chinchilla", "--objective", "mse", "--interval", "bootstrap",
        "--draws", 1000, "--json",
    )  # fmt: skip
    we, they = in_turn([ours, plan.rival("simple_laws", path, 1000, out)], plan.repeats)
    squares = json.loads(out.read_text())["squares"]
    value = fit_squares(runs)
    best = min(squares, value)
    ratio = median_ratio([t.cpu for t in they], [t.cpu for t in we])
    lines = [
        Line(
            "scalefit",
            statistics.median(t.cpu for t in we), math.nan,
            statistics.median(t.memory for t in we), value / best - 1,
        ),
        Line(
            "simple-scaling-laws",
            statistics.median(t.cpu for t in they), math.nan,
            statistics.median(t.memory for t in they), squares / best - 1,
            promise=Promise(ratio, 1, at_least=True, of="simple-scaling-laws to scalefit, whole"),
        ),
    ]  # fmt: skip
    return Block(f"{words}, squared error of the raw loss: CSV to point and 1,000 draws", lines)


def fit_squares(runs: Observations) -> float:
    """Our sum of squares of the raw loss."""
    found = fit(LAWS.get("chinchilla"), runs, objective=_mse())
    return float((found.residual**2).sum())


def _mse() -> object:
    from scalefit.inference.objectives import SquaredError

    return SquaredError()


def startup(plan: Plan) -> Block:
    """The default objective, and what starting costs, beside bare imports."""
    words, path, _ = runs_file(plan)
    bare = plan.python("import numpy, pyarrow.csv")
    fits = {
        "point alone": plan.ours("point", path, "t:4"),
        "jackknife (default)": plan.scalefit("fit", path, "--law", "chinchilla"),
        "2,000 draws": plan.scalefit(
            "fit", path, "--law", "chinchilla", "--interval", "bootstrap", "--draws", 2000
        ),
        "jackknife and draws": plan.scalefit(
            "fit", path, "--law", "chinchilla", "--interval", "calibrated", "--draws", 2000
        ),
    }
    rounds = max(5, plan.repeats)
    ours = plan.python("import numpy, pyarrow.csv; " + MODULES)
    base, loaded, *took = in_turn([bare, ours, *fits.values()], rounds)
    lines = [_base("import numpy, pyarrow", base)]
    why = f"with our own modules {seconds(_cpu(loaded))}, the rest is reading and fitting"
    for name, each in zip(fits, took, strict=True):
        limit = {"point alone": 1.7, "jackknife and draws": 8}.get(name)
        lines.append(_beside(name, each, base, limit, why))
    typer, door = in_turn(
        [plan.python("import typer"), plan.scalefit("--help")], max(11, plan.repeats)
    )
    lines += [_base("import typer", typer), _beside("scalefit --help", door, typer, 1.3)]
    status = run(fits["point alone"]).said["status"]
    notes = [
        f"the fit is {status}; jackknife and draws: --interval calibrated, each draw started cold"
    ]
    return Block(f"{words}, default objective (Student-t), beside bare imports", lines, notes)


def _base(name: str, took: list[Took]) -> Line:
    return Line(
        name,
        whole=statistics.median(t.cpu for t in took),
        memory=statistics.median(t.memory for t in took),
    )


def _beside(
    name: str, took: list[Took], base: list[Took], limit: float | None, why: str = ""
) -> Line:
    ratio = median_ratio([t.cpu for t in took], [t.cpu for t in base])
    bare = Promise(
        ratio, limit or math.inf, at_least=False, of=f"{name} to the bare import", best=1.0, why=why
    )
    return Line(
        name,
        whole=statistics.median(t.cpu for t in took),
        memory=statistics.median(t.memory for t in took),
        promise=bare,
    )

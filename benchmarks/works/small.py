"""Small problems, and many of them: refits of 10 to 20 rows, and curves by the hundred."""

import json
import math
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.clock import in_turn, median_ratio, run
from benchmarks.data import many, observed, small
from benchmarks.plan import Plan
from benchmarks.table import Block, Line, Promise
from scalefit.core.observations import Array, Observations
from scalefit.inference.fitting import Fit, fit
from scalefit.inference.objectives import Huber
from scalefit.inference.uncertainty import Method, draw
from scalefit.inference.uncertainty.bootstrap import Bootstrap
from scalefit.inference.uncertainty.jackknife import Jackknife
from scalefit.laws import LAWS

DELTA = 1e-3
DRAWS = 1000
GATE = 1e-6
CURVES, LAW_NAMES = 1000, ("power", "power-floor", "shifted-power-floor", "log-quadratic")

# Our centred parameters as lmfit's script holds them.
AS_LMFIT: dict[str, Callable[[Array], list[float]]] = {
    "power": lambda t: [np.log(t[0]), t[1]],
    "power-floor": lambda t: [t[0], np.log(t[1]), t[2]],
    "shifted-power-floor": lambda t: [t[0], np.log(t[1]), t[3], t[2]],
    "log-quadratic": lambda t: [t[0], t[1], np.log(t[2])],
    "chinchilla": lambda t: [t[0], np.log(t[1]), t[2], np.log(t[3]), t[4]],
}


def given(found: Fit, counts: Array) -> dict[str, object]:
    """The problem of a fit and its resamples, for lmfit's script."""
    return {
        "law": found.law.name,
        "inputs": [values.tolist() for values in found.problem.inputs],
        "loss": found.runs.loss.tolist(),
        "delta": DELTA,
        "counts": counts.astype(int).tolist(),
        "start": [
            float(v) for v in AS_LMFIT[found.law.name](found.problem.centred(found.u[None])[0])
        ],
    }


def by_lmfit(plan: Plan, problems: Sequence[dict[str, object]]) -> list[dict]:
    """What lmfit finds for every problem, and the seconds it takes."""
    path, told = plan.folder / "problems.json", plan.folder / "ends.json"
    path.write_text(json.dumps(problems))
    run(plan.rival("lmfit_many", path, told))
    return json.loads(told.read_text())


def timed_draw(found: Fit, draws: int) -> tuple[float, Array]:
    """Seconds of the refits, and their ends with nan where one did not converge."""
    begin = time.process_time()
    drawn = draw(found, Bootstrap(draws=draws), seed=0)
    took = time.process_time() - begin
    theta = np.full((draws, len(found.law.parameters)), np.nan)
    theta[np.setdiff1d(np.arange(draws), drawn.failed)] = drawn.theta
    return took, theta


def penalty(found: Fit, theta: Array, weight: Array) -> Array:
    """The objective of each theta under its own row weights."""
    runs = found.runs
    guess = found.law.predict(theta, [runs.inputs[name] for name in found.law.inputs])
    with np.errstate(all="ignore"):
        size = np.abs(np.log(guess) - np.log(runs.loss))
        each = np.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2))
        total = (weight * each).sum(axis=1)
    return np.where(np.isfinite(total), total, np.inf)


def refits(plan: Plan) -> Block:
    """Bootstrap refits of 10 to 20 rows against many starts of SciPy's exact least squares."""
    compared, starts = (100, 24) if plan.full else (15, 6)
    ours, problems, above = [], [], []
    for case in small():
        runs = observed(case.inputs, case.loss)
        found = fit(LAWS.get(case.law), runs, objective=Huber(DELTA))
        took, theta = timed_draw(found, DRAWS)
        ours.append(took / DRAWS)
        weight = Bootstrap(draws=DRAWS).weights(runs, 0, 0, compared)
        problems.append(given(found, weight))
        reached = penalty(found, theta[:compared], weight)
        for b in range(compared):
            best = min(reference(found, weight[b], starts, b), float(reached[b]))
            above.append(_over(float(reached[b]), best))
    theirs = [told["cpu"] / compared for told in by_lmfit(plan, problems)]
    ratio = statistics.median(t / o for t, o in zip(theirs, ours, strict=True))
    share = 100 * float(np.mean(np.array(above) <= GATE))
    lines = [
        Line(
            "scalefit",
            each=statistics.median(ours),
            above=float(np.max(above)),
            worse=1 - share / 100,
            promise=Promise(share, 99, at_least=True, of="the share within 1e-6"),
        ),
        Line(
            "lmfit least_squares",
            each=statistics.median(theirs),
            promise=Promise(ratio, 50, at_least=True, of="lmfit to scalefit, per refit"),
        ),
    ]
    title = f"{len(problems)} problems of 10 to 20 rows, log-Huber 1e-3, refits; gate {GATE:g}"
    notes = [
        f"scalefit's ratio: per cent of {len(above)} refits within the gate of the best of "
        f"{starts} starts of SciPy's least_squares with the exact Jacobian"
    ]
    return Block(title, lines, notes)


def _over(value: float, best: float) -> float:
    """How far above the best, relative; a resample of few different rows may be fitted exactly."""
    tiny = 1e-12 * DELTA**2
    return (value - best) / max(best, tiny)


def reference(found: Fit, weight: Array, starts: int, seed: int) -> float:
    """Best objective that SciPy reaches from the estimate and from starts around it."""
    from scipy.optimize import least_squares

    problem = found.problem
    at = np.repeat(np.arange(problem.n), weight.astype(int))
    random = np.random.default_rng(seed)
    spread = np.repeat([0.0, 0.3, 1.0, 3.0], -(-starts // 4))[:starts, None]
    begin = found.u + spread * random.standard_normal((starts, found.u.size))
    ends = []
    for u in np.clip(begin, problem.low + 1e-9, problem.high - 1e-9):
        with np.errstate(all="ignore"):
            end = least_squares(
                lambda v: problem.residual(v[None])[0][at], u,
                jac=lambda v: -problem.evaluate(v[None])[1][0].T[at],
                bounds=(problem.low, problem.high), x_scale="jac", loss="huber", f_scale=DELTA,
                ftol=1e-13, xtol=1e-13, gtol=1e-15, max_nfev=150,
            )  # fmt: skip
        ends.append(end.x)
    return float(penalty(found, problem.theta(np.array(ends)), weight[None]).min())


def curves(plan: Plan) -> Block:
    """A thousand curves of four laws with a thousand refits each, scaled from some of them."""
    count, counted, refitted = (100, 8, 100) if plan.full else (10, 3, 20)
    begin = time.process_time()
    fits = by_library(many(count), Bootstrap(draws=DRAWS))
    took = time.process_time() - begin
    each = took / (count * len(LAW_NAMES) * DRAWS)
    some = fits[: counted * len(LAW_NAMES)]
    problems = [
        given(found, Bootstrap(draws=refitted).weights(found.runs, 0, 0, refitted))
        for found in some
    ]
    theirs = statistics.fmean(told["cpu"] / refitted for told in by_lmfit(plan, problems))
    whole = CURVES * len(LAW_NAMES) * DRAWS
    lines = [
        Line("scalefit, one process", whole=whole * each, each=each, scaled=True),
        Line(
            "lmfit least_squares",
            whole=whole * theirs,
            each=theirs,
            promise=Promise(theirs / each, 40, at_least=True, of="lmfit to scalefit, per refit"),
            scaled=True,
        ),
    ]
    title = f"{CURVES:,} curves of 20 rows x {len(LAW_NAMES)} laws x {DRAWS:,} refits, log-Huber"
    notes = [
        f"from {count} curves, one after the other through the library, point fits and "
        "certificates included",
    ]
    return Block(title, lines, notes)


def groups(plan: Plan) -> Block:
    """Many small fits in one command: searches of all curves together, and each by itself."""
    count, counted = (1000, 8) if plan.full else (200, 2)
    path, some = plan.folder / "curves.csv", many(count)
    pairs = ((k, zip(x.tolist(), y.tolist(), strict=True)) for k, (x, y) in enumerate(some))
    rows = (f"c{k},{x!r},{y!r}" for k, curve in pairs for x, y in curve)
    path.write_text("\n".join(["curve,x,loss", *rows]))
    how = ("together", "apart", "together-numpy", "apart-numpy")
    outs = [plan.folder / f"{name}.json" for name in how]
    commands = [
        plan.ours("groups", path, out, name, *LAW_NAMES)
        for name, out in zip(how, outs, strict=True)
    ]
    took = in_turn(commands, plan.repeats)
    told = [out.read_bytes() for out in outs]
    problems = []
    for found in by_library(some[:counted], Jackknife()):
        left_out = Jackknife().weights(found.runs, 0, 0, found.runs.n)
        problems.append(given(found, np.concatenate([found.runs.weight[None], left_out])))
    theirs = sum(one["cpu"] for one in by_lmfit(plan, problems)) / counted
    cpu = [[one.cpu for one in each] for each in took]

    def line(tool: str, k: int, promise: Promise | None = None) -> Line:
        whole = statistics.median(cpu[k])
        each = whole / (count * len(LAW_NAMES))
        memory = max(one.memory for one in took[k])
        return Line(tool, whole, each, memory, promise=promise)

    def times(k: int, of: str) -> Promise:
        return Promise(median_ratio(cpu[k], cpu[k - 1]), math.inf, at_least=False, of=of)

    lines = [
        line("scalefit, together", 0),
        line("each by itself", 1, times(1, "by itself to together")),
        line("NumPy alone, together", 2),
        line("each by itself", 3, times(3, "by itself to together, by NumPy")),
        Line(
            "lmfit least_squares",
            whole=theirs * count,
            each=theirs / len(LAW_NAMES),
            promise=Promise(
                theirs * count / statistics.median(cpu[0]),
                math.inf,
                at_least=False,
                of="lmfit to scalefit, together",
            ),
            scaled=True,
        ),
    ]
    title = (
        f"{count:,} curves of 20 rows x {len(LAW_NAMES)} laws, point fits and their jackknives, "
        "log-Huber: one command"
    )
    same = told[0] == told[1] and told[2] == told[3]
    notes = [
        f"together and each by itself write {'the same' if same else 'OTHER'} bytes",
        "each: a point fit with its certificate and 20 refits; lmfit starts at our estimate, and "
        "searches, judges and writes nothing",
    ]
    return Block(title, lines, notes)


def by_library(some: Sequence[tuple[Array, Array]], method: Method) -> list[Fit]:
    """The work itself: every law fitted to every curve, and refitted."""
    fits = []
    for x, y in some:
        runs: Observations = observed({"x": x}, y)
        for name in LAW_NAMES:
            found = fit(LAWS.get(name), runs, objective=Huber(DELTA))
            draw(found, method, seed=0)
            fits.append(found)
    return fits

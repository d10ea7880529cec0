"""Every refusal and warning: one world that calls for it, one that does not, and words for it.

The codes of the specification (method.md, section 3) stand beside the words we give them.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import scalefit
from scalefit.core.errors import FitError
from scalefit.core.notes import DOUBTS
from scalefit.inference.certificate import certify
from scalefit.inference.fitting import fit
from scalefit.inference.residuals import examined
from scalefit.inference.solver import solve
from scalefit.laws import LAWS
from scalefit.laws.text import parse_law
from scalefit.pipeline import commands, contests
from scalefit.tables import read
from scalefit.tables.doctor import examine
from scalefit.tables.select import select

CHINCHILLA = LAWS.get("chinchilla")
TRUTH = np.array([1.8172, 482.01, 0.3478, 2085.43, 0.3658])
NEAR = {"N": 2e9, "D": 4e10}
TWO = ("power", "power-floor")


def world(
    *,
    budgets=7,
    sizes=7,
    width=8.0,
    noise=0.004,
    seed=1,
    law=CHINCHILLA,
    truth=TRUTH,
    spread=None,
    shared=0.0,
    **columns,
):
    """IsoFLOP sweeps from 1e18 to 1e21 with their noise, and further columns."""
    random = np.random.default_rng(seed)
    compute = np.repeat(np.geomspace(1e18, 1e21, budgets), sizes)
    best = 0.11963 * (compute / 6) ** 0.51261
    n = best * np.tile(np.geomspace(1 / width, width, sizes), budgets)
    if shared:
        n = np.tile(np.geomspace(3e7, 3e9, sizes), budgets)
    d = compute / 6 / n
    size = noise * (np.ones(n.size) if spread is None else spread(compute))
    luck = np.tile(random.normal(0, shared, sizes), budgets)
    loss = law.predict(truth, [n, d]) * np.exp(luck + size * random.standard_normal(n.size))
    table = {"params_total": n, "tokens": d, "loss": loss}
    return table | {name: make(n, d) for name, make in columns.items()}


def told(given, *, at=NEAR, law="chinchilla", i_know=True, **settings):
    """Every code that reading, looking, fitting and predicting gives."""
    table = read(pa.table(given), columns=settings.pop("columns", None))
    found = scalefit.fit(table, law, **settings)
    notes = [*table.notes, *examine(table), *found.notes]
    if found.status in ("converged", "at-bound", "weakly-identified", "multiple-minima"):
        said = scalefit.predict(found, at, i_know=i_know)
        notes += [n for row in said.notes for n in row]
        notes += commands._carried(found, said)
    return {note.code for note in notes}


def compared(given, laws):
    """Every code that a comparison gives."""
    return {n.code for n in scalefit.compare(read(pa.table(given)), laws).comparison.notes}


def contested(count):
    """Codes of a comparison of so many laws: floors of their own, the exponent given."""
    laws = [
        parse_law(
            f"""
            [law]
            name = "floor-{k}"
            formula = "E + A * x**-{0.1 + 0.02 * k:.2f}"
            inputs = ["x"]
            [law.parameters]
            E = {{ role = "irreducible" }}
            A = {{ low = 1e-9, high = 1e9, starts = [0.1, 1.0, 10.0], log = true }}
            [law.example]
            E = 1.5
            A = 3.0
            """
        )
        for k in range(count)
    ]
    table = read(pa.table(curve(1e6, 1.5, 0.002)))
    return {n.code for n in contests.caution(scalefit.compare(table, laws))}


def broken(x):
    """A power law that gives way to a slower one a decade before the end."""
    noise = np.exp(0.002 * np.random.default_rng(0).standard_normal(x.size))
    return {"x": x, "loss": 3 * x**-0.15 * np.maximum(1, x / 1e5) ** 0.1 * noise}


def doctored(**columns):
    return {note.code for note in examine(read(pa.table(columns)))}


def one_ray():
    n = np.geomspace(1e8, 1e10, 25)
    noise = 0.003 * np.random.default_rng(5).standard_normal(25)
    loss = CHINCHILLA.predict(TRUTH, [n, 20 * n]) * np.exp(noise)
    return {"params_total": n, "tokens": 20 * n, "loss": loss}


def checkpoints():
    n, d = np.repeat(np.geomspace(1e8, 1e10, 8), 15), np.tile(np.linspace(2e9, 6e10, 15), 8)
    random = np.random.default_rng(0)
    luck = np.repeat(random.normal(0, 0.01, 8), 15)
    return {"params_total": n, "tokens": d, "loss": CHINCHILLA.predict(TRUTH, [n, d]) * np.exp(
        luck + random.normal(0, 0.001, n.size))}  # fmt: skip


def moved_off(shift):
    """Codes of a certificate for an estimate moved by so many standard errors of noise."""
    found = scalefit.fit(read(pa.table(world())), "chinchilla").fit
    u = found.u + shift
    weight = found.runs.weight[None]
    ends = solve(found.problem, found.objective, weight, found.u[None], cold=False)
    value = float(found.objective.value(found.problem.residual(u[None]), weight)[0])
    judged = certify(found.problem, found.objective, u, solver_value=value, ends=ends, capped=False)
    return {note.code for note in judged.notes}


def with_odd_run(factor, **shape):
    columns = world(**shape)
    columns["loss"] = columns["loss"].copy()
    columns["loss"][-1] *= factor
    return columns


def with_lever(factor):
    """A small design in which one run stands alone far out."""
    n = np.append(np.tile(np.geomspace(1e8, 4e8, 4), 4), 2e10)
    d = np.append(np.repeat(np.geomspace(2e9, 8e9, 4), 4), 4e11)
    random = np.random.default_rng(2)
    loss = CHINCHILLA.predict(TRUTH, [n, d]) * np.exp(0.002 * random.standard_normal(n.size))
    loss[-1] *= factor
    return {"params_total": n, "tokens": d, "loss": loss}


def with_bad_rows(count):
    columns = world(noise=0.003)
    loss = columns["loss"].copy()
    loss[np.argsort(columns["tokens"])[:count]] *= 1.4
    return columns | {"loss": loss}


def coupled(k):
    """A surface that Chinchilla's form cannot draw: the sum of terms to a power."""

    def loss(n, d):
        return 1.8172 + ((482.01 * n**-0.3478) ** (1 / k) + (2085.43 * d**-0.3658) ** (1 / k)) ** k

    columns = world(noise=0.0)
    clean = loss(columns["params_total"], columns["tokens"])
    noise = 0.002 * np.random.default_rng(4).standard_normal(clean.size)
    return columns | {"loss": clean * np.exp(noise)}


def curve(span, floor, noise):
    x = np.geomspace(1, span, 20)
    random = np.random.default_rng(3)
    return {"x": x, "loss": (floor + 3 * x**-0.25) * np.exp(noise * random.standard_normal(20))}


def tries(n, d):
    return 1.0 + np.argsort(np.argsort(-n * d))


def failed_at(share):
    """Statuses of which so many at the largest scale are failed."""

    def make(n, d):
        status = np.array(["ok"] * n.size, object)
        status[np.argsort(n * d)[-share:] if share else []] = "diverged"
        return status

    return make


def budget_sweep(low):
    n = np.repeat([[1e8, 2e8, 4e8, 8e8, 1.6e9]], 3, axis=0) * np.array([[1], [3], [9]])
    n = n.ravel() * low
    d = np.repeat([1e19, 1e20, 1e21], 5) / 6 / n
    return {"params_total": n, "tokens": d, "loss": CHINCHILLA.predict(TRUTH, [n, d])}


# Of the specification, ours, a world that calls for it, one that does not.
WORLDS = [
    ("E-RANK", "collinear-design", lambda: told(one_ray()), lambda: told(world())),
    (
        "E-FEW",
        "too-few-runs",
        lambda: told(world(budgets=2, sizes=3, width=4.0), objective="gaussian"),
        lambda: told(world(budgets=3, sizes=3)),
    ),
    (
        "E-PSEUDO",
        "rows-are-not-runs",
        lambda: told(checkpoints()),
        lambda: told(checkpoints(), cluster="size"),
    ),
    ("E-NOCONV", "not-converged", lambda: moved_off(0.01), lambda: moved_off(0.0)),
    (
        "E-FAR",
        "too-far",
        lambda: told(world(), at={"N": 1e13, "D": 1e14}, i_know=False),
        lambda: told(world(), at={"N": 1e10, "D": 2e11}, i_know=False),
    ),
    (
        "E-TAU",
        "assumed-law-error",
        lambda: told(world(budgets=3, sizes=12), at={"N": 1e10, "D": 2e11}),
        lambda: told(world(), at={"N": 1e10, "D": 2e11}),
    ),
    (
        "E-NOLAW",
        "no-adequate-law",
        lambda: compared({k: v[:4] for k, v in curve(1e6, 1.5, 0.002).items()}, TWO),
        lambda: compared(curve(1e6, 1.5, 0.002), TWO),
    ),
    (
        "W-DISAGREE",
        "rankings-disagree",
        lambda: compared(broken(np.geomspace(1, 1e6, 20)), TWO),
        lambda: compared(curve(1e6, 1.5, 0.002), TWO),
    ),
    ("W-MULTI", "many-laws", lambda: contested(11), lambda: contested(10)),
    (
        "W-ILL",
        "parameters-trade-off",
        lambda: told(world(width=1.05, budgets=10)),
        lambda: told(world()),
    ),
    (
        "W-OPEN",
        "open-profile",
        lambda: told(curve(30, 0.1, 0.02), at={"x": 20.0}, law="power-floor"),
        lambda: told(curve(1e6, 1.5, 0.002), at={"x": 20.0}, law="power-floor"),
    ),
    (
        "W-INFL",
        "influential-run",
        lambda: told(with_lever(1.02)),
        lambda: told(world()),
    ),
    (
        "W-OBJ",
        "objectives-disagree",
        lambda: told(with_bad_rows(3)),
        lambda: told(world()),
    ),
    (
        "W-HET",
        "uneven-scatter",
        lambda: told(world(spread=lambda c: (c / 1e21) ** -0.35, sizes=9)),
        lambda: told(world()),
    ),
    (
        "W-CLUST",
        "clustered-residuals",
        lambda: told(world(sizes=9, shared=0.012)),
        lambda: told(world(sizes=9, shared=1e-6)),
    ),
    (
        "1.6 (iii)",
        "large-scatter",
        lambda: told(world(noise=0.03)),
        lambda: told(world(noise=0.01)),
    ),
    ("W-LOF", "lack-of-fit", lambda: told(coupled(0.6)), lambda: told(world())),
    (
        "W-TUNE",
        "tuning-varies",
        lambda: doctored(**world(tries=tries)),
        lambda: doctored(**world(tries=lambda n, d: np.full(n.size, 4.0))),
    ),
    (
        "W-EMB",
        "size-undefined",
        lambda: doctored(**{k.replace("_total", ""): v for k, v in world().items()}),
        lambda: doctored(**world()),
    ),
    (
        "W-CENSOR",
        "runs-censored",
        lambda: told(world(status=failed_at(5))),
        lambda: told(world(status=failed_at(0))),
    ),
    (
        "W-LR",
        "schedule-unfinished",
        lambda: told(world(schedule_done=lambda n, d: np.array(["yes", "no"] * 25)[: n.size])),
        lambda: told(world(schedule_done=lambda n, d: np.array(["yes"] * n.size))),
    ),
    (
        "W-XNOISE",
        "input-scatter",
        lambda: doctored(**world(flops=lambda n, d: 6 * n * d * np.exp(0.3 * np.sin(n)))),
        lambda: doctored(**world(flops=lambda n, d: 6.5 * n * d)),
    ),
    (
        "W-METRIC",
        "bounded-metric",
        lambda: told({"x": np.geomspace(1, 1e4, 20), "acc_err": np.geomspace(0.9, 0.1, 20)},
                     columns={"L": "acc_err"}, law="power", at={"x": 5.0}),
        lambda: told(curve(1e6, 1.5, 0.002), at={"x": 20.0}, law="power-floor"),
    ),
    (
        "W-ISO-EDGE",
        "isoflop-edge",
        lambda: doctored(**budget_sweep(1e-2)),
        lambda: doctored(**budget_sweep(1.0)),
    ),
    (
        "N-BREAK",
        "no-new-regime-assumed",
        lambda: told(world(), at={"N": 1e10, "D": 2e11}),
        lambda: told(world()),
    ),
]  # fmt: skip
IDS = [row[0] for row in WORLDS]
SPECIFICATION = Path(__file__).resolve().parents[3] / "shared" / "reference" / "method.md"


def test_every_code_of_the_specification_has_a_world():
    if not SPECIFICATION.exists():
        pytest.skip("the specification stands beside the repository only where it is developed")
    section = SPECIFICATION.read_text().split("\n## 3.")[1].split("\n## ")[0]
    codes = re.findall(r"^\| `([EWN]-[A-Z-]+)`", section, re.MULTILINE)
    assert len(codes) >= 20
    assert set(codes) <= set(IDS)


@pytest.mark.parametrize(("code", "calm"), [(w[1], w[3]) for w in WORLDS], ids=IDS)
def test_a_world_without_the_fault_does_not_call_for_it(code, calm):
    assert code not in calm()


@pytest.mark.parametrize(("code", "faulty"), [(w[1], w[2]) for w in WORLDS], ids=IDS)
def test_a_world_with_the_fault_calls_for_it(code, faulty):
    assert code in faulty()


@pytest.mark.parametrize("code", [w[1] for w in WORLDS], ids=IDS)
def test_every_code_has_a_trigger_a_meaning_and_a_remedy(code):
    section = commands.explain(code).sections[0]
    assert DOUBTS.get(code).severity in section.heading
    assert all(len(sentence) > 20 for sentence in section.lead)


@pytest.mark.parametrize(
    ("spec", "code"), [(w[0], w[1]) for w in WORLDS if w[0].startswith("E-") and w[0] != "E-TAU"]
)
def test_refusals_withhold_a_number(spec, code):
    assert DOUBTS.get(code).severity == "refusal"


def test_runs_on_one_ray_have_no_separate_exponents_and_no_split():
    found = scalefit.fit(read(pa.table(one_ray())), "chinchilla")
    assert np.isnan([found.parameters[name].low[0] for name in ("alpha", "beta")]).all()
    with pytest.raises(FitError, match="one line"):
        scalefit.allocate(found, 1e22)


def test_outliers_are_named_with_what_changes_without_them():
    table = read(pa.table(with_bad_rows(3)))
    found = scalefit.fit(table, "chinchilla")
    (note,) = [n for n in found.notes if n.code == "objectives-disagree"]
    bad = np.argsort(with_bad_rows(3)["tokens"])[:3] + 1
    named = {int(word.strip(",")) for word in note.message.split() if word.strip(",").isdigit()}
    assert named
    assert named <= set(bad.tolist())
    assert "tokens_per_parameter" in note.message


def test_the_run_that_decides_is_named():
    found = scalefit.fit(read(pa.table(with_lever(1.02))), "chinchilla")
    (note,) = [n for n in found.notes if n.code == "influential-run"]
    assert "without row 17 " in note.message


def test_influence_is_what_leaving_the_run_out_does():
    columns = world(budgets=4, sizes=5)
    found = scalefit.fit(read(pa.table(columns)), "chinchilla")
    for one in found.diagnostics.influence:
        if one.headline.name != "beta":
            continue
        pull = one.pulls[0]
        kept = np.arange(1, 21) != pull.rows[0]
        again = scalefit.fit(read(pa.table({k: v[kept] for k, v in columns.items()})), "chinchilla")
        assert pull.without == pytest.approx(again.fit.theta[4], rel=1e-5)
        assert one.se == pytest.approx(float(found.parameters["beta"].se[0]), rel=1e-9)


def test_an_interval_method_does_not_change_who_decides():
    table = read(pa.table(world(budgets=4, sizes=5)))
    first = scalefit.fit(table, "chinchilla").diagnostics.influence
    other = scalefit.fit(table, "chinchilla", interval="delta").diagnostics.influence
    assert [i.pulls for i in first] == [i.pulls for i in other]


def test_leaving_a_choice_as_it_is_moves_nothing():
    found = scalefit.fit(read(pa.table(world())), "chinchilla")
    same = found.diagnostics.box[0]
    assert same.name == "objective t:4"
    np.testing.assert_allclose(same.shifts, 0, atol=1e-4)


def test_more_parameters_per_model_make_the_best_model_larger_by_as_much():
    found = scalefit.fit(read(pa.table(world())), "chinchilla")
    names = [one.headline.name for one in found.diagnostics.influence]
    (larger,) = [v for v in found.diagnostics.box if v.name == "N 10 % larger"]
    alpha, beta = found.fit.theta[2], found.fit.theta[4]
    # N* = (alpha A / (beta B))^(1/(alpha+beta)) (C/6)^a, and A grows by 1.1^alpha.
    expected = found.diagnostics.influence[names.index("N*")].value * 1.1 ** (
        alpha / (alpha + beta)
    )
    assert larger.values[names.index("N*")] == pytest.approx(expected, rel=1e-6)


def test_lack_of_fit_is_rare_where_the_law_is_right():
    hits = 0
    for seed in range(60):
        runs = select(read(pa.table(world(seed=1000 + seed))), {"N": "N", "D": "D"})
        hits += examined(fit(CHINCHILLA, runs, starts=TRUTH[None])).structure.p_value < 0.05
    # 5 % of 60 is 3; nine or more would happen once in three hundred.
    assert hits <= 8


def test_inputs_that_act_together_are_told_in_most_sets_of_35_runs():
    compute = np.repeat(np.geomspace(1e18, 1e21, 7), 5)
    n = 0.11963 * (compute / 6) ** 0.51261 * np.tile(np.geomspace(0.25, 4, 5), 7)
    d = compute / 6 / n
    size, data = 482.01 * n**-0.3478, 2085.43 * d**-0.3658
    clean = 1.8172 + (size ** (1 / 0.8) + data ** (1 / 0.8)) ** 0.8
    hits = 0
    for seed in range(100):
        jitter = np.exp(0.007 * np.random.default_rng(seed).standard_normal(35))
        runs = select(read(pa.table({"N": n, "D": d, "L": clean * jitter})), {"N": "N", "D": "D"})
        hits += examined(fit(CHINCHILLA, runs, starts=TRUTH[None])).structure.p_value < 0.05
    # The F test of both squares and the product together tells 55 of these hundred.
    assert hits >= 60


def test_a_note_is_the_same_whatever_the_file_order(tmp_path):
    columns = world(budgets=4, sizes=5)
    turned = {k: v[::-1] for k, v in columns.items()}
    first, second = (scalefit.fit(read(pa.table(c)), "chinchilla") for c in (columns, turned))
    assert [n.code for n in first.notes] == [n.code for n in second.notes]


def test_clusters_do_not_count_twice_in_influence():
    columns = checkpoints() | {"run": [f"r{i // 15}" for i in range(120)]}
    found = scalefit.fit(read(pa.table(columns)), "chinchilla")
    assert all(len(p.rows) == 15 for one in found.diagnostics.influence for p in one.pulls)
    doubled = replace(found.fit, runs=replace(found.fit.runs, beside={}))
    assert doubled.runs.clusters == 8

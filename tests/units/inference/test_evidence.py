"""What one piece of evidence is: replicates, kinship of rows, checkpoints, known errors."""

import json
import shlex
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import f_oneway
from simulated import observations

import scalefit
from scalefit.core.errors import InputError
from scalefit.inference.evidence import groupings, kinship, pure_error
from scalefit.tables import read
from scalefit.tables.select import select

RNG = np.random.default_rng(11)


def curves(runs=12, rows=15, seed=0):
    """Checkpoints of runs of different size, each run with its own luck."""
    random = np.random.default_rng(seed)
    n = np.repeat(np.geomspace(1e8, 1e10, runs), rows)
    d = np.tile(np.linspace(2e9, 6e10, rows), runs)
    luck = np.repeat(random.normal(0, 0.01, runs), rows)
    loss = (1.7 + 400 * n**-0.34 + 1500 * d**-0.37) * np.exp(luck + random.normal(0, 1e-3, n.size))
    return {"N": n, "D": d, "loss": loss, "run": [f"r{i:02}" for i in np.arange(n.size) // rows]}


def test_replicates_give_the_noise_of_a_run():
    x = np.repeat([1.0, 10.0, 100.0], [2, 3, 1])
    loss = np.exp([0.1, 0.3, 0.0, 0.2, 0.4, 5.0])
    found = pure_error(observations({"x": x}, loss))
    assert (found.df, found.settings) == (3, 2)
    assert found.sd == pytest.approx(np.sqrt((2 * 0.1**2 + 2 * 0.2**2) / 3))


def test_two_readings_of_one_run_are_no_replicates():
    x = np.array([1.0, 1.0, 10.0, 10.0])
    found = pure_error(observations({"x": x}, [2, 2.1, 1.5, 1.6], cluster=[0, 0, 1, 1]))
    assert found.df == 0
    assert np.isnan(found.sd)


def test_the_intra_class_correlation_is_that_of_the_variance_components():
    random = np.random.default_rng(2)
    group = np.repeat(np.arange(400), 5)
    residual = random.normal(0, 0.5, 400)[group] + random.normal(0, 1, group.size)
    found = kinship("size", residual, group, np.empty((0, group.size)))
    assert found.correlation == pytest.approx(0.2, abs=0.03)
    assert found.p_value < 1e-6
    none = kinship("size", random.normal(0, 1, group.size), group, np.empty((0, group.size)))
    assert abs(none.correlation) < 0.04


def test_without_a_law_kinship_is_a_one_way_analysis_of_variance():
    group = np.repeat(np.arange(5), [2, 3, 4, 7, 9])
    residual = np.random.default_rng(3).normal(0, 1, 25) + 0.5 * (group == 1)
    found = kinship("size", residual, group, np.empty((0, 25)))
    tested = f_oneway(*(residual[group == k] for k in range(5)))
    assert found.p_value == pytest.approx(tested.pvalue, rel=1e-9)


def left_by_a_law(correlation, seed):
    """What a law with a term in each of two inputs leaves of errors on a grid of 6 x 7."""
    random = np.random.default_rng([seed, 17])
    size, tokens = np.repeat(np.arange(6), 7), np.tile(np.arange(7), 6)
    jacobian = np.stack([np.ones(42), *(np.exp(-k * v) * v**p for k, v in ((0.3, size),
                         (0.4, tokens)) for p in (0, 1))])  # fmt: skip
    shared = np.sqrt(correlation) * random.standard_normal(6)[size]
    error = shared + np.sqrt(1 - correlation) * random.standard_normal(42)
    return error - jacobian.T @ np.linalg.lstsq(jacobian.T, error, rcond=None)[0], size, jacobian


def test_kinship_is_that_of_the_errors_and_not_of_what_a_law_left_of_them():
    none, some = (
        [kinship("N", *left_by_a_law(share, seed)) for seed in range(500)] for share in (0, 0.3)
    )
    assert 0.03 <= np.mean([one.p_value < 0.05 for one in none]) <= 0.07
    assert np.mean([one.correlation for one in none]) == pytest.approx(0, abs=0.03)
    # Three degrees of freedom are left between the sizes.
    assert np.mean([one.p_value < 0.05 for one in some]) >= 0.45
    assert np.mean([one.correlation for one in some]) == pytest.approx(0.27, abs=0.04)
    assert np.mean([one.shown for one in none]) <= 0.07


def test_rows_alone_in_their_group_have_no_kin():
    assert kinship("run", RNG.normal(size=9), np.arange(9), np.empty((0, 9))) is None


def test_the_cluster_may_be_the_size():
    table = read(pa.table({k: v for k, v in curves(6, 8).items() if k != "run"}))
    found = select(table, {"N": "N", "D": "D"}, cluster="size")
    assert (found.clusters, found.cluster_name) == (6, "N")
    assert "N" in groupings(found)
    with pytest.raises(InputError, match="cluster by"):
        select(table, {"N": "N", "D": "D"}, cluster="moon")


def test_a_run_column_makes_clusters_and_none_makes_rows():
    with_runs, without = curves(), {k: v for k, v in curves().items() if k != "run"}
    one = select(read(pa.table(with_runs)), {"N": "N", "D": "D"})
    other = select(read(pa.table(without)), {"N": "N", "D": "D"})
    assert (one.clusters, one.cluster_name) == (12, "run")
    assert (other.clusters, other.cluster_name) == (180, "row")


@pytest.mark.parametrize("named", [True, False])
def test_checkpoints_taken_for_runs_have_no_interval(named):
    columns = {k: v for k, v in curves().items() if named or k != "run"}
    table = read(pa.table(columns))
    naive = scalefit.fit(table, "chinchilla", cluster="row")
    assert "rows-are-not-runs" in {n.code for n in naive.draws.notes}
    assert np.isnan(naive.parameters["alpha"].low[0])
    honest = scalefit.fit(table, "chinchilla", cluster="run" if named else "size")
    assert honest.draws.clusters == 12
    assert np.isfinite(honest.parameters["alpha"].low[0])


def test_true_runs_of_few_sizes_keep_their_intervals():
    n, d = np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(2e9, 2e11, 12), indexing="ij")
    n, d = n.ravel(), d.ravel()
    loss = (1.7 + 400 * n**-0.34 + 1500 * d**-0.37) * np.exp(RNG.normal(0, 0.005, n.size))
    found = scalefit.fit(read(pa.table({"N": n, "D": d, "loss": loss})), "chinchilla")
    assert not found.draws.refused


def test_rows_measured_badly_count_less():
    x = np.geomspace(1e18, 1e22, 40)
    clean = 1.7 + 5e3 * x**-0.2
    error = np.where(np.arange(40) % 2, 0.001, 0.2)
    loss = clean * np.exp(RNG.normal(0, 0.002, 40)) + RNG.normal(0, 1, 40) * error
    table = {"x": x, "loss": loss}
    plain = scalefit.fit(read(pa.table(table)), "power-floor", objective="gaussian")
    known = scalefit.fit(
        read(pa.table(table | {"loss_se": error})), "power-floor", objective="gaussian"
    )
    assert "weighed-by-loss-se" in {n.code for n in known.fit.notes}
    weight = known.fit.runs.weight
    order = np.argsort(known.fit.runs.inputs["x"])
    assert weight[order][1::2].min() > 5 * weight[order][0::2].max()
    assert weight.mean() == pytest.approx(1)
    at = [np.geomspace(1e18, 1e22, 9)]
    truth = 1.7 + 5e3 * at[0] ** -0.2
    error_of = [
        np.abs(np.log(e.law.predict(e.fit.theta[None], at)[0] / truth)).max()
        for e in (known, plain)
    ]
    assert error_of[0] < error_of[1]


def test_equal_errors_change_no_weight():
    x = np.geomspace(1e18, 1e22, 30)
    loss = (1.7 + 5e3 * x**-0.2) * np.exp(RNG.normal(0, 0.005, 30))
    table = read(pa.table({"x": x, "loss": loss, "loss_se": np.full(30, 0.001) * loss}))
    found = scalefit.fit(table, "power-floor")
    assert (found.fit.runs.weight == 1).all()


def test_part_of_the_runs_keeps_what_stands_beside_them():
    runs = replace(
        observations({"x": np.arange(1.0, 9)}, np.arange(9.0, 1, -1)),
        beside={"tries": np.arange(8.0)},
    )
    part = runs.take(np.arange(8) >= 5)
    assert part.beside["tries"].tolist() == [5, 6, 7]


def seeds(shared, seed=0):
    """Ten seeds of each of 24 settings, which share part of their error or none of it."""
    random = np.random.default_rng(seed)
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(2e7, 1.3e9, 6), np.geomspace(1e9, 4e10, 4)))
    error = np.repeat(random.normal(0, shared, n.size), 10) + random.normal(0, 0.004, 240)
    n, d = np.repeat(n, 10), np.repeat(d, 10)
    return read({"N": n, "D": d, "L": (1.75 + 420 * n**-0.34 + 400 * d**-0.29) * np.exp(error)})


def test_seeds_of_one_setting_that_err_alike_are_told_and_can_be_one_unit():
    table = seeds(0.003)
    said = [n for n in scalefit.fit(table, "chinchilla").notes if n.code == "clustered-residuals"]
    assert any("use --cluster setting" in n.message for n in said)
    honest = scalefit.fit(table, "chinchilla", cluster="setting")
    assert honest.fit.runs.clusters == 24
    assert not any("--cluster setting" in n.message for n in honest.notes)


def test_seeds_that_err_each_for_itself_are_not_accused():
    told = [
        any("--cluster setting" in n.message for n in scalefit.fit(seeds(0, s), "chinchilla").notes)
        for s in range(12)
    ]
    assert sum(told) <= 2


def test_intervals_by_setting_hold_the_truth_where_those_by_row_do_not():
    held = {"row": 0, "setting": 0}
    for seed in range(20):
        table = seeds(0.003, seed)
        for cluster in held:
            found = scalefit.fit(table, "chinchilla", cluster=cluster)
            low, high = found.parameters["E"].low[0], found.parameters["E"].high[0]
            held[cluster] += bool(low <= 1.75 <= high)
    assert held["setting"] >= 18
    assert held["row"] <= 16


def test_failed_runs_go_out_for_a_reason_and_unfinished_ones_are_told_of():
    status = ["ok"] * 6 + ["diverged", "early-stopped"]
    columns = {"x": np.geomspace(1, 100, 8), "loss": np.linspace(4, 3, 8), "status": status}
    columns["loss"][6] = np.nan
    table = read(pa.table(columns))
    assert [(e.row, e.reason) for e in table.excluded] == [(7, "status is diverged")]
    codes = {n.code for n in table.notes}
    assert codes == {"runs-censored", "schedule-unfinished"}


def _by_column(told):
    """A table of runs as JSON lines: what a cell spells is as it was written there."""
    rows = [
        {"x": float(k + 1), "loss": 4 - k / 10, **{name: cells[k] for name, cells in told.items()}}
        for k in range(8)
    ]
    return "\n".join(map(json.dumps, rows))


@pytest.mark.parametrize(
    "told",
    [
        {"run status": ["done"] * 5 + ["Running", "early-stopped", "Running"]},
        {"class": ["yes", "no"] * 4},
        {"annealed": [True, False] * 4},
        {"annealed": [1, 0] * 4},
        {"state": ["done"] * 7 + ["running"], "decay's done": ["y"] * 4 + ["n"] + ["y"] * 3},
    ],
    ids=lambda told: ", ".join(told),
)
def test_what_is_advised_leaves_out_exactly_the_losses_that_were_read_too_early(tmp_path, told):
    path = tmp_path / "runs.jsonl"
    path.write_text(_by_column(told))
    mapped = {"schedule_done": list(told)[-1]} if {"class", "decay's done"} & {*told} else {}
    said = [n for n in read(path, columns=mapped).notes if n.code == "schedule-unfinished"]
    early = int(said[0].message.split()[0])
    condition = shlex.split(said[0].message.partition("--where ")[2])[0]
    left = read(path, columns=mapped, where=condition)
    assert left.rows == 8 - early
    assert "schedule-unfinished" not in {n.code for n in left.notes}


def test_seeds_that_err_alike_do_not_rule_out_the_right_law():
    told = [
        next(
            one
            for one in scalefit.compare(
                seeds(0.003, seed), ["chinchilla", "coupled"]
            ).comparison.laws
            if one.fit.law.name == "chinchilla"
        )
        for seed in range(12)
    ]
    assert max(one.delta for one in told) < 6
    assert min(one.weight for one in told) > 0.05

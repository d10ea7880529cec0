import numpy as np
import pyarrow as pa
import pytest

from scalefit.core.notes import DOUBTS
from scalefit.tables import read
from scalefit.tables.doctor import examine

RNG = np.random.default_rng(3)
N, D = (
    axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(1e9, 3e11, 7))
)


def law(N, D):
    return 1.7 + 400 * N**-0.34 + 410 * D**-0.28


LOSS = law(N, D) * np.exp(0.002 * RNG.standard_normal(N.size))
HEALTHY = {"params_total": N, "tokens": D, "loss": LOSS}


def found(**columns):
    return {note.code: note for note in examine(read(pa.table(columns)))}


def changed(column, row, value):
    columns = {name: values.copy() for name, values in HEALTHY.items()}
    columns[column][row - 1] = value
    return columns


def with_copies(*rows):
    return {n: np.append(v, v[[r - 1 for r in rows]]) for n, v in HEALTHY.items()}


def with_replicates():
    again = LOSS[:5] * np.exp(np.array([0.01, -0.01, 0.01, -0.01, 0.01]))
    return {"params_total": np.append(N, N[:5]), "tokens": np.append(D, D[:5]),
            "loss": np.append(LOSS, again)}  # fmt: skip


def budgets(sizes, levels=(1e19, 1e20, 1e21)):
    C = np.repeat(levels, len(sizes))
    n = np.sqrt(C / 120) * np.tile(sizes, len(levels))
    d = C / (6 * n)
    return {"params_total": n, "tokens": d, "loss": law(n, d)}


def trajectories(run=True, rise=1.0):
    n, d = np.repeat(np.geomspace(1e8, 1e10, 5), 20), np.tile(np.geomspace(1e9, 1e11, 20), 5)
    loss = law(n, d)
    loss[39] *= rise
    columns = {"params_total": n, "tokens": d, "loss": loss}
    return columns | ({"run": [f"r{i // 20}" for i in range(100)]} if run else {})


def test_a_healthy_table_gives_no_note():
    assert found(**HEALTHY) == {}


SICK = {
    "no-input": ({"foo": N, "loss": LOSS}, "--col N=NAME"),
    "size-tied-to-data": (
        {"params_total": N[:6], "tokens": 20 * N[:6], "loss": law(N[:6], 20 * N[:6])},
        "20 to 20 tokens per parameter",
    ),
    "few-scales": (
        {k: v[np.isin(N, N[:3])] for k, v in HEALTHY.items()}, "N takes 3 distinct values"
    ),
    "isoflop-edge": (budgets([1, 1.5, 2, 4, 8, 16]), "smallest"),
    "isoflop-few": (budgets([0.25, 0.5, 1, 2]), "(4)"),
    "budget-gap": (
        budgets([0.06, 0.25, 0.5, 1, 2, 8], (1e18, 3e18, 1e19, 1e20, 3e20)), "1e19 and 1e20"
    ),
    "duplicate-rows": (with_copies(2, 5), "2 rows are the same"),
    "run-of-many-sizes": (HEALTHY | {"run": ["x"] * N.size}, "'x'"),
    "checkpoints": (trajectories(), "100 rows belong to 5 runs, up to 20 each"),
    "diverged-end": (trajectories(rise=1.5), "row 40"),
    "rounded-loss": (HEALTHY | {"loss": np.round(LOSS, 2)}, "2 decimals"),
    "outlying-loss": (changed("loss", 17, LOSS[16] * 1.2), "row 17"),
    "magnitude-gap": (changed("params_total", 9, 7.0), "row 9"),
    "out-of-range": (changed("tokens", 4, 2.5), "2.5 in row 4"),
    "size-undefined": ({"params": N, "tokens": D, "loss": LOSS}, "embeddings"),
    "replicates": (with_replicates(), "5 settings are run more than once (5 degrees of freedom)"),
    "loss-rises": (HEALTHY | {"loss": 1 / LOSS}, "+"),
    "no-signal": (HEALTHY | {"loss": 3 + 0.1 * RNG.standard_normal(N.size)}, "N and D explain"),
}  # fmt: skip


@pytest.mark.parametrize("code", SICK)
def test_what_is_wrong_is_found_with_its_numbers(code):
    columns, told = SICK[code]
    assert told in found(**columns)[code].message


def test_every_note_is_of_a_registered_kind():
    for columns, _ in SICK.values():
        for code, note in found(**columns).items():
            assert note.severity == DOUBTS.get(code).severity


def test_checkpoints_are_seen_without_a_run_column():
    assert (
        "look like checkpoints of 5 runs" in found(**trajectories(run=False))["checkpoints"].message
    )


def test_a_sorted_plan_of_sizes_and_tokens_is_no_set_of_checkpoints():
    rows = trajectories(run=False)
    for seed in range(5):
        random = np.random.default_rng(seed)
        noise = 0.002 * random.standard_normal((5, 20))
        each = rows["loss"] * np.exp(noise.ravel())
        assert "checkpoints" not in found(**rows | {"loss": each})
        # A run's luck drifts slowly; each checkpoint has its own small noise besides.
        luck = 0.005 * random.standard_normal((5, 1)) + noise
        drift = np.zeros(5)
        for k in range(20):
            drift = 0.9 * drift + 0.002 * random.standard_normal(5)
            luck[:, k] += drift
        assert "checkpoints" in found(**rows | {"loss": rows["loss"] * np.exp(luck.ravel())})


def test_repeats_that_differ_much_point_at_the_columns_that_are_not_read():
    rows = {"N": N, "D": D, "loss": LOSS, "optimizer": ["adamw"] * N.size}
    twice = {k: [*v, *v] for k, v in rows.items()}
    twice["loss"][N.size :] = 1.05 * LOSS
    twice["optimizer"][N.size :] = ["muon"] * N.size
    assert "(optimizer) tells them apart" in found(**twice)["replicates"].message
    parted = read(pa.table(twice), columns={"group": "optimizer"})
    assert "replicates" not in {note.code for note in examine(parted)}
    twice["loss"][N.size :] = 1.004 * LOSS
    assert "optimizer" not in found(**twice)["replicates"].message


def test_a_missing_input_is_looked_for_among_the_names():
    message = found(**{"model.n_params": N, "data.tokens": D, "loss": LOSS})["no-input"].message
    assert "--col N=model.n_params --col D=data.tokens" in message


def test_the_size_of_replicate_noise_is_that_of_the_runs():
    pair = {"params_total": [1e8, 1e8, 1e9], "tokens": [1e9, 1e9, 1e9], "loss": [3.0, 3.3, 2.5]}
    # Two runs that differ by d in log loss have a variance of d^2 / 2.
    expected = np.log(1.1) / np.sqrt(2)
    assert f"{expected:.2%}" in found(**pair)["replicates"].message


def test_bracketed_valleys_with_enough_sizes_are_in_order():
    codes = found(**budgets([0.06, 0.12, 0.25, 0.5, 1, 2, 4, 8], np.geomspace(1e18, 1e21, 7)))
    assert not {"isoflop-edge", "isoflop-few", "budget-gap"} & set(codes)


def test_a_grid_of_sizes_and_tokens_is_no_sweep_at_equal_compute():
    # Steps of one ratio on both axes give runs of equal compute that nobody planned.
    N, D = (v.ravel() for v in np.meshgrid(1e8 * 2.0 ** np.arange(6), 1e9 * 2.0 ** np.arange(6)))
    assert not {"isoflop-edge", "isoflop-few", "budget-gap"} & set(found(N=N, D=D, loss=law(N, D)))


def test_a_hundred_thousand_rows_of_many_budgets_are_looked_at_whole():
    C = np.repeat(np.geomspace(1e15, 1e25, 20_000), 5)
    n = np.sqrt(C / 120) * np.tile([0.25, 0.5, 1, 2, 4], 20_000)
    loss = law(n, C / (6 * n))
    loss[77_777] *= 1.5
    message = found(params_total=n, tokens=C / (6 * n), loss=loss)["outlying-loss"].message
    assert "row 77778" in message


def test_a_bare_curve_and_a_single_row_can_be_examined():
    assert "few-scales" in found(x=[1.0, 2.0, 3.0], y=[3.0, 2.0, 1.0])
    assert "few-scales" in found(N=[1e6], L=[3.0])


def test_the_order_of_rows_changes_no_finding():
    order = RNG.permutation(N.size + 2)
    columns = with_copies(2, 5)
    shuffled = {name: values[order] for name, values in columns.items()}
    assert set(found(**shuffled)) == set(found(**columns))


def test_a_size_that_falls_as_the_data_grow_is_tied_to_them_too():
    n = np.geomspace(1e8, 1e10, 6)
    d = 1e20 / n
    assert (
        "by -1.000" in found(params_total=n, tokens=d, loss=law(n, d))["size-tied-to-data"].message
    )


@pytest.mark.parametrize(("gap", "told"), [(2.4, False), (2.7, True)])
def test_a_gap_of_more_than_two_and_a_half_decades_is_told(gap, told):
    n = np.concatenate([np.geomspace(1e8, 3e8, 6), [3e8 * 10**gap]])
    d = np.geomspace(1e9, 1e11, 7)
    assert ("magnitude-gap" in found(params_total=n, tokens=d, loss=law(n, d))) is told


@pytest.mark.parametrize(("loss", "told"), [(19.0, False), (21.0, True)])
def test_a_loss_above_twenty_nats_makes_no_sense(loss, told):
    notes = found(**changed("loss", 3, loss))
    assert ("out-of-range" in notes and "21 in row 3" in notes["out-of-range"].message) is told


@pytest.mark.parametrize(("sizes", "end"), [([1, 2, 4, 8, 16], "smallest"),
                                            ([0.05, 0.1, 0.15, 0.2, 0.3], "largest")])  # fmt: skip
def test_a_sweep_is_bracketed_at_neither_end(sizes, end):
    message = found(**budgets(sizes))["isoflop-edge"].message
    assert f"({end}, " in message
    assert message.count(end) == 3


@pytest.mark.parametrize(("grid", "odd"), [((6, 4), 0.0), ((6, 4), 0.04), ((8, 8), 0.0)])
def test_few_runs_of_a_right_law_hold_no_outlier_and_a_real_one_is_found(grid, odd):
    told = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        axes = np.meshgrid(np.geomspace(2e7, 1.3e9, grid[0]), np.geomspace(1e9, 4e10, grid[1]))
        n, d = (v.ravel() for v in axes)
        error = random.normal(0, 0.003, n.size)
        error[random.integers(n.size)] += odd
        loss = (1.75 + 420 * n**-0.34 + 400 * d**-0.29) * np.exp(error)
        told += "outlying-loss" in {
            note.code for note in examine(read({"N": n, "D": d, "L": loss}))
        }
    assert told >= 36 if odd else told == 0

import numpy as np
import pyarrow as pa
import pytest

from scalefit.core.errors import InputError
from scalefit.tables import read, select

N = [1e6, 2e6, 4e6, 1e6, 2e6, 1e6]
D = [1e9, 1e9, 1e9, 3e9, 3e9, 1e9]
L = [4.0, 3.6, 3.3, 3.8, 3.4, 3.9]
BOTH = {"N": "N", "D": "D"}


def table(**more):
    return read(pa.table({"N": N, "D": D, "L": L, **more}))


def test_rows_come_ordered_by_inputs_then_loss_with_their_numbers():
    runs = select(table(), BOTH)
    assert runs.row.tolist() == [6, 1, 4, 2, 5, 3]
    assert runs.loss.tolist() == [3.9, 4.0, 3.8, 3.6, 3.4, 3.3]
    assert runs.inputs["N"].tolist() == [1e6, 1e6, 1e6, 2e6, 2e6, 4e6]
    assert runs.inputs["D"].tolist() == [1e9, 1e9, 3e9, 1e9, 3e9, 1e9]


def test_the_order_of_the_file_changes_no_bit():
    rng = np.random.default_rng(1)
    given = pa.table({
        "N": rng.choice([1e6, 2e6], 40), "D": rng.choice([1e9, 2e9], 40),
        "L": rng.choice([3.0, 3.1], 40), "run": rng.choice(["a", "b", "c", ""], 40),
        "weight": rng.choice([1.0, 2.0], 40),
    })  # fmt: skip
    first = select(read(given), BOTH)
    for _ in range(20):
        again = select(read(given.take(pa.array(rng.permutation(40).tolist()))), BOTH)
        for name in ("loss", "weight", "cluster", "scale"):
            assert getattr(again, name).tobytes() == getattr(first, name).tobytes()
        assert all(again.inputs[k].tobytes() == first.inputs[k].tobytes() for k in first.inputs)


def test_distance_is_measured_in_compute_where_it_is_known():
    runs = select(table(), BOTH)
    assert runs.scale_name == "C"
    assert runs.scale[0] == 6 * 1e6 * 1e9
    bare = select(read(pa.table({"x": [1.0, 2.0, 3.0], "y": [3.0, 2.0, 1.0]})), {"x": "x"})
    assert bare.scale_name == "x"
    assert bare.scale.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("name", "scaled", "nats"),
    [
        ("loss", 1, True), ("eval/val_loss", 1, True), ("L", 1, True), ("final_loss", 1, True),
        ("val_ppl", 10, True), ("train_loss", 1, False), ("train/CE_loss", 1, False),
        ("val_bpb", 1, False), ("loss", 0.2, False), ("loss", 5, False), ("test_error", 1, False),
    ],
)  # fmt: skip
def test_a_loss_is_in_nats_where_its_name_unit_and_values_say_so(name, scaled, nats):
    runs = read(pa.table({"N": N, "D": D, name: [scaled * v for v in L]}), columns={"L": name})
    assert select(runs, BOTH).nats is nats


def test_the_loss_of_a_bare_curve_may_be_anything():
    curve = read(pa.table({"x": N, "loss": L}), columns={"x": "x", "L": "loss"})
    assert not select(curve, {"x": "x"}).nats


@pytest.mark.parametrize("role", ["N", "D", "C"])
def test_a_law_of_one_input_is_measured_along_it(role):
    runs = select(table(), {"x": role})
    assert runs.scale_name == role
    np.testing.assert_array_equal(runs.scale, runs.inputs["x"])


def test_a_missing_role_says_which_column_would_do():
    runs = read(pa.table({"N": N, "seen examples": D, "L": L}))
    with pytest.raises(InputError, match="no column plays the role D") as caught:
        select(runs, BOTH)
    assert "--col 'D=seen examples'" in caught.value.hint


def test_rows_without_weights_weigh_one():
    assert select(table(), BOTH).weight.tolist() == [1.0] * 6


def test_weights_travel_with_their_rows():
    runs = select(table(weight=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), BOTH)
    np.testing.assert_allclose(3.5 * runs.weight, [6.0, 1.0, 4.0, 2.0, 5.0, 3.0])


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        ([1.0, 1.0, -2.0, 1.0, 1.0, 1.0], "row 3, column 'weight': the weight is -2"),
        ([1.0, 1.0, 1.0, 1.0, None, 1.0], "row 5, column 'weight': the weight is blank"),
        ([0.0] * 6, "every weight is 0"),
    ],
)
def test_unusable_weights_are_refused(weight, told):
    with pytest.raises(InputError, match=told):
        select(table(weight=weight), BOTH)


def test_rows_of_one_run_are_one_unit():
    runs = select(table(run=["a", "b", "b", "a", "c", "a"]), BOTH)
    assert runs.row.tolist() == [6, 1, 4, 2, 5, 3]
    assert runs.cluster.tolist() == [0, 0, 0, 1, 2, 1]


def test_rows_without_a_run_are_units_of_their_own():
    assert select(table(run=["a", "", "a", "", "a", "a"]), BOTH).clusters == 3
    assert select(table(), BOTH).clusters == 6


def test_units_may_be_rows_roles_or_kept_columns():
    given = pa.table({"N": N, "D": D, "L": L, "run": ["a"] * 6, "node": [1, 1, 2, 2, 3, 3]})
    runs = read(given, keep=["node"])
    assert select(runs, BOTH, cluster="row").clusters == 6
    assert select(runs, BOTH, cluster="run").clusters == 1
    assert select(runs, BOTH, cluster="N").clusters == 3
    assert select(runs, BOTH, cluster="node").clusters == 3
    with pytest.raises(InputError, match="no column 'rack'"):
        select(runs, BOTH, cluster="rack")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ({"N": [1e6], "D": [1e9], "L": [3.0]}, "one row"),
        ({"N": [1e6] * 3, "D": [1e9] * 3, "L": [3.0] * 3}, "all 3 rows in use are equal"),
        ({"N": [1e6] * 3, "D": [1e9, 2e9, 3e9], "L": [3.0, 2.9, 2.8]}, "N is 1M in all 3 rows"),
    ],
)
def test_tables_that_hold_nothing_to_fit_are_refused(rows, told):
    with pytest.raises(InputError, match=told):
        select(read(pa.table(rows)), BOTH)


@pytest.mark.parametrize(("rate", "what"), [(None, "blank"), (0.0, "0"), (-1.0, "-1")])
def test_an_input_that_is_not_positive_is_refused_with_its_row(rate, what):
    runs = table(lr=[1e-3, 1e-3, rate, 1e-3, 1e-3, 1e-3])
    with pytest.raises(InputError, match=f"row 3, column 'lr': {what}, must be positive"):
        select(runs, {"N": "N", "lr": "lr"})


def test_only_ratios_of_weights_mean_anything():
    plain = [1.0, 2.0, 0.0, 1.0, 3.0, 1.0]
    one = select(table(weight=plain), BOTH)
    other = select(table(weight=[1000 * w for w in plain]), BOTH)
    np.testing.assert_allclose(one.weight, other.weight, rtol=1e-14)
    assert one.weight.mean() == pytest.approx(1)
    assert one.row.tolist() == [6, 1, 4, 2, 5]

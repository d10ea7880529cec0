import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from scalefit.core.errors import InputError
from scalefit.tables import read
from scalefit.tables.arrays import floats
from scalefit.tables.histories import ends

losses = st.one_of(st.none(), st.floats(min_value=0.5, max_value=9.0))
histories = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9), losses), min_size=1, max_size=30
)


@settings(max_examples=300, deadline=None)
@given(
    rows=histories, last=st.booleans(), drop=st.booleans(), smooth=st.sampled_from([0, 2, 5]),
    where=st.sampled_from([None, "loss < 4", "run != 'b'"]),
)  # fmt: skip
def test_every_row_is_in_use_or_left_out_for_one_reason(rows, last, drop, smooth, where):
    run, step, loss = zip(*rows, strict=True)
    table = pa.table({
        "run": run, "step": pa.array(step, pa.int64()), "N": [1e6] * len(rows),
        "loss": pa.array(loss, pa.float64()),
    })  # fmt: skip
    try:
        runs = read(table, last=last, drop_diverged=drop, smooth=smooth, where=where)
    except InputError:
        # No row is left.
        reject()
    assert runs.rows_read == len(rows) == runs.rows + len(runs.excluded)
    used = [*runs.row.tolist(), *(left.row for left in runs.excluded)]
    assert sorted(used) == list(range(1, len(rows) + 1))
    assert all(left.reason for left in runs.excluded)
    kept = runs.row.tolist()
    names = [run[row - 1] for row in kept]
    if last:
        assert len(names) == len(set(names))
    if not smooth:
        assert floats(runs.table.column("L")).tolist() == [loss[row - 1] for row in kept]


def test_ends_are_found_by_the_clock_and_ties_by_place():
    run = np.array([1, 0, 1, 0, 1])
    clock = np.array([5.0, 1.0, np.nan, 2.0, 5.0])
    loss = np.array([3.0, 2.0, 9.0, np.nan, 4.0])
    found = ends(run, clock, loss)
    assert found.run.tolist() == [0, 1]
    assert found.final.tolist() == [3, 4]
    assert found.rows.tolist() == [2, 3]
    np.testing.assert_array_equal(found.last, [np.nan, 4.0])
    np.testing.assert_array_equal(found.lowest, [2.0, 3.0])
    assert found.diverged().tolist() == [True, False]


def test_a_short_run_is_not_called_diverged_for_a_rise():
    found = ends(np.zeros(4, np.int64), np.arange(4.0), np.array([3.0, 2.0, 2.0, 9.0]))
    assert found.diverged().tolist() == [False]


@pytest.mark.parametrize("option", [{"smooth": 3}, {"drop_diverged": True}, {"last": True}])
def test_without_runs_such_options_are_refused_with_what_to_type(option):
    with pytest.raises(InputError) as caught:
        read(pa.table({"N": [1.0, 2.0], "L": [3.0, 2.0]}), **option)
    assert "--col run=NAME" in caught.value.hint


def test_rows_of_a_diverged_run_are_told_in_a_note_and_one_by_one():
    table = pa.table({
        "run": ["x"] * 6 + ["y"] * 2, "step": [*range(6), 0, 1], "N": [1e6] * 8,
        "loss": [3.0, 2.9, 2.8, 2.7, 2.6, 7.0, 3.0, 2.9],
    })  # fmt: skip
    runs = read(table, drop_diverged=True)
    assert runs.row.tolist() == [7, 8]
    assert {left.reason for left in runs.excluded} == {
        "run 'x' diverged: 7 at its end, 2.6 at its lowest"
    }
    assert "1 of 2 runs" in next(n.message for n in runs.notes if n.code == "runs-diverged")

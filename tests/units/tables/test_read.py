import hashlib
import io
import os
import stat
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scalefit
from scalefit.core.errors import InputError
from scalefit.tables import read
from scalefit.tables.arrays import floats

LOGS = """run,step,params,tokens,loss,ended,cluster node
a,0,1e6,0,9.0,done,n1
a,10,1e6,1e9,4.0,done,n1
a,20,1e6,2e9,3.5,done,n1
b,10,2e6,1e9,3.8,done,n2
b,20,2e6,2e9,,done,n2
c,10,3e6,1e9,3.7,crashed,n1
"""


@pytest.fixture
def logs(tmp_path):
    path = tmp_path / "logs.csv"
    path.write_text(LOGS)
    return path


def column(runs, name):
    return floats(runs.table.column(name))


def test_roles_name_the_columns_and_carry_unit_and_source(logs):
    runs = read(logs, where="tokens > 0")
    field = runs.table.schema.field("D")
    assert field.type == pa.float64()
    assert field.metadata == {b"role": b"D", b"unit": b"tokens", b"source": b"tokens"}
    assert runs.table.schema.field("C").metadata[b"source"] == b"6ND"
    assert runs.columns["D"] == "tokens"
    assert runs.derived == {"C": "6ND"}
    np.testing.assert_array_equal(column(runs, "C"), 6 * column(runs, "N") * column(runs, "D"))


def test_only_roles_and_kept_columns_are_carried(logs):
    runs = read(logs, where="tokens > 0", keep=["cluster node"])
    assert set(runs.table.column_names) == {"N", "D", "C", "L", "run", "step", "cluster node"}


@pytest.mark.parametrize("name", ["status", "State", "run_state"])
def test_runs_that_failed_by_the_word_of_their_tracker_are_left_out(name, tmp_path):
    path = tmp_path / "export.csv"
    path.write_text(f"Name,{name},N,loss\na,finished,1e6,4\nb,crashed,2e6,5\nc,finished,3e6,3\n")
    assert [(one.row, one.reason) for one in read(path).excluded] == [(2, "status is crashed")]


def test_a_loss_whose_square_is_out_of_reach_is_refused_with_its_row(tmp_path):
    path = tmp_path / "huge.csv"
    path.write_text("N,loss\n1e6,4\n2e6,3e200\n")
    with pytest.raises(InputError, match=r"line 3 \(row 2\), column 'loss': '3e200' must be below"):
        read(path)
    assert read(path, where="loss < 1e150").rows == 1


def test_rows_of_weight_zero_are_left_out_with_that_reason(tmp_path):
    path = tmp_path / "weighed.csv"
    path.write_text("N,loss,w\n1e6,4,1\n2e6,0,0\n3e6,3,2\n")
    runs = read(path, columns={"weight": "w"})
    assert (runs.rows_read, runs.rows) == (3, 2)
    assert [(one.row, one.reason) for one in runs.excluded] == [(2, "column 'w' is 0")]


def test_the_record_says_what_was_read(logs):
    runs = read(logs, where="tokens > 0")
    assert runs.source == str(logs)
    assert runs.sha256 == hashlib.sha256(LOGS.encode()).hexdigest()


def test_every_row_is_used_or_excluded_for_a_reason(logs):
    runs = read(logs, where="tokens > 0 and ended == 'done'")
    assert runs.rows_read == 6
    assert runs.row.tolist() == [2, 3, 4]
    assert [(left.row, left.reason) for left in runs.excluded] == [
        (1, "--where tokens > 0 and ended == 'done'"),
        (5, "column 'loss' is blank or NaN"),
        (6, "--where tokens > 0 and ended == 'done'"),
    ]


def test_conditions_may_name_roles_and_derived_ones(logs):
    runs = read(logs, where="D >= 2e9 and C > 1")
    assert runs.row.tolist() == [3]


def test_an_unknown_name_in_a_condition_is_refused_with_the_nearest(logs):
    with pytest.raises(InputError, match="no column 'tokn'") as caught:
        read(logs, where="tokn > 0")
    assert "tokens" in caught.value.hint


def test_the_last_row_of_each_run_is_kept_and_a_missing_end_is_told(logs):
    runs = read(logs, last=True)
    assert runs.row.tolist() == [3, 4, 6]
    (told,) = (note.message for note in runs.notes if note.code == "last-row-missing")
    assert told == "an earlier row stands for the last, which has no loss, in 1 of 3 runs: b"
    assert [left.row for left in runs.excluded] == [1, 2, 5]
    assert runs.excluded[0].reason == "not the last row of run 'a'"


def test_the_last_row_goes_by_step_and_not_by_place(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("run,step,N,D,L\na,20,1,1,3.0\na,10,1,1,4.0\n")
    assert column(read(path, last=True), "L").tolist() == [3.0]


def test_last_without_runs_is_refused(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,D,L\n1,1,3\n")
    with pytest.raises(InputError) as caught:
        read(path, last=True)
    assert "--col run=" in caught.value.hint


def test_a_value_that_must_be_positive_is_refused_unless_its_row_is_left_out(logs):
    with pytest.raises(InputError, match=r"line 2 \(row 1\), column 'tokens': '0' must be pos"):
        read(logs)
    assert read(logs, where="tokens > 0").rows == 4


def test_words_for_missing_numbers_are_taken_when_named(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,L\n1,3\n2,n/a\n3,-\n")
    runs = read(path, na=["n/a", "-"])
    assert (runs.rows, len(runs.excluded)) == (1, 2)


def test_a_role_nobody_asked_for_gives_way_where_it_is_no_number(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,L,lr\n1,3,auto\n2,2,1e-3\n")
    runs = read(path)
    assert "lr" not in runs.columns
    assert [note.code for note in runs.notes] == ["column-unread"]
    with pytest.raises(InputError, match="'auto'"):
        read(path, columns={"lr": "lr"})


def test_a_blank_in_a_role_nobody_asked_for_leaves_no_row_out(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,L,lr\n1,3,\n2,2,1e-3\n")
    assert read(path).rows == 2
    assert read(path, columns={"lr": "lr"}).rows == 1


def test_compute_that_is_not_6nd_is_told_and_kept(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,D,C,L\n1e6,1e9,9e15,3\n2e6,1e9,18e15,2\n")
    runs = read(path)
    assert [note.code for note in runs.notes] == ["compute-not-6nd"]
    assert "1.5 times" in runs.notes[0].message
    assert column(runs, "C").tolist() == [9e15, 18e15]


def test_a_constant_loss_is_told(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,L\n1e6,3\n2e6,3\n")
    assert [note.code for note in read(path).notes] == ["loss-constant"]


def test_the_error_of_a_perplexity_becomes_that_of_its_logarithm(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("N,val_ppl,stderr\n1e6,20,1\n2e6,10,1\n")
    runs = read(path)
    np.testing.assert_allclose(column(runs, "L"), np.log([20, 10]))
    np.testing.assert_allclose(column(runs, "loss_se"), [0.05, 0.1])


def test_standard_input_reads_as_the_file_does(logs, monkeypatch):
    class Stdin:
        buffer = io.BytesIO(LOGS.encode())

    monkeypatch.setattr(sys, "stdin", Stdin)
    from_stdin, from_file = read("-", last=True), read(logs, last=True)
    assert from_stdin.table == from_file.table
    assert from_stdin.sha256 == from_file.sha256
    assert from_stdin.source == "-"


def test_arrow_tables_and_whatever_streams_as_one_are_read():
    class Frame:
        def __init__(self, table):
            self.table = table

        def __arrow_c_stream__(self, requested_schema=None):
            return self.table.__arrow_c_stream__(requested_schema)

    table = pa.table(
        {"N": pa.array([1, 2, 4], pa.int64()), "L": ["3", None, "2.5"], "run": [1, 2, 3]}
    )
    for source in (table, Frame(table)):
        runs = read(source)
        assert runs.source == "memory"
        assert column(runs, "L").tolist() == [3.0, 2.5]
        assert runs.table.column("run").to_pylist() == ["1", "3"]
        assert [left.row for left in runs.excluded] == [2]


def test_a_slice_of_a_table_is_read_as_its_own_rows():
    table = pa.table({"N": [1.0, 2.0, 4.0, 8.0], "L": [5.0, 4.0, 3.0, 2.0]}).slice(1, 2)
    assert column(read(table), "N").tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (pa.table({"N": [1.0, float("inf")], "L": [3.0, 2.0]}), "row 2, column 'N': inf"),
        (pa.table({"N": [1.0, -3.0], "L": [3.0, 2.0]}), "row 2, column 'N': '-3.0'"),
        (pa.table({"N": [[1.0]], "L": [3.0]}), "column 'N': list"),
        (pa.table([[1.0], [2.0]], names=["N", "N"]), "two columns are called 'N'"),
        (pa.table({"N": [True], "L": [3.0]}), "column 'N': bool"),
    ],
)
def test_bad_tables_in_memory_are_refused(table, told):
    with pytest.raises(InputError) as caught:
        read(table)
    assert told in str(caught.value)


@pytest.mark.parametrize("given", ["http://a.b/c.csv", "s3://a/b.csv", "file:///etc/passwd"])
def test_addresses_are_refused(given):
    with pytest.raises(InputError, match="is an address"):
        read(given)


def test_what_is_no_readable_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for source, told in [
        (tmp_path, "is a folder"),
        (tmp_path / "none.csv", "there is no file"),
        ("/dev/zero", "not a regular file"),
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path / "loop", "cannot be opened"),
        ("a\0b", "cannot be opened"),
        ("", "path is empty"),
    ]:
        with pytest.raises(InputError, match=told):
            read(source)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read anything")
def test_a_file_without_permission_is_refused(logs):
    logs.chmod(0)
    with pytest.raises(InputError, match="may not be read"):
        read(logs)
    logs.chmod(stat.S_IRUSR | stat.S_IWUSR)


def test_a_misspelt_path_offers_its_neighbour(logs):
    with pytest.raises(InputError) as caught:
        read(logs.with_name("logz.csv"))
    assert "logs.csv" in caught.value.hint


@pytest.mark.parametrize("name", ["-.csv", "ö b.csv", "a\nb.csv", "x;rm -rf.csv"])
def test_odd_file_names_are_read(tmp_path, name):
    (tmp_path / name).write_text("N,L\n1,3\n2,2\n")
    assert read(tmp_path / name).rows == 2


cells = st.one_of(
    st.floats(min_value=1e-300, max_value=1e149).map(repr),
    st.sampled_from(["", " ", "nan", "7B", "n/a"]),
)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=25))
def test_rows_read_are_rows_used_and_rows_left_out(rows):
    whole = [
        i for i, row in enumerate(rows, 1) if all(c.strip() not in ("", "nan", "n/a") for c in row)
    ]
    lines = ["N,L", *(",".join(row) for row in rows)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "runs.csv")
        path.write_text("\n".join(lines) + "\n")
        if not whole:
            with pytest.raises(InputError):
                read(path, na=["n/a"])
            return
        runs = read(path, na=["n/a"])
    assert runs.row.tolist() == whole
    assert runs.rows_read == len(rows) == runs.rows + len(runs.excluded)
    assert sorted([*whole, *(left.row for left in runs.excluded)]) == list(range(1, len(rows) + 1))


DATA = Path("/work/shared/data")
FILES = {
    "chinchilla-besiroglu/runs.csv": ({}, 245),
    "chinchilla-subset-apache/runs.csv": ({}, 234),
    "misfitting/runs_final.csv": ({"N": "params"}, 261),
    "misfitting/checkpoints.csv": ({"N": "params_non_embedding"}, 4852),
    "gemstones/runs.csv": ({}, 1389),
    "olmo-ladder/curves.csv": ({"N": "params", "L": "c4_loss"}, 1567),
    "muennighoff-data-constrained/runs.csv": ({}, 308),
    "porian-isoflop-owt2/isoflop_points.csv": ({}, 581),
    "bnsl-benchmark-dev/curves.csv": ({"x": "seen_examples"}, 9124),
}


@pytest.mark.skipif(not DATA.exists(), reason="some of these sets may not be passed on")
@pytest.mark.parametrize("name", FILES)
def test_published_tables_are_read_whole(name):
    columns, rows = FILES[name]
    runs = read(DATA / name, columns=columns)
    assert runs.rows == rows
    assert runs.rows_read == rows + len(runs.excluded)


WORDY = (
    "size_name,tokenizer,loss_kind,params,tokens,score\n"
    'tiny,gpt2,ce,1e8,2e9,3.1\nsmall,gpt2,ce,2e8,4e9,2.9\nbase,gpt2,ce,4e8,8e9,"1,000"\n'
)


def test_a_column_of_words_is_offered_for_no_role(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(WORDY)
    with pytest.raises(InputError, match="no column plays the role L") as caught:
        scalefit.fit(read(path), "chinchilla")
    # Numbers that are spelt with thousands marks are numbers, and what is wrong is told of them.
    assert caught.value.hint == "type columns={'L': 'NAME'} with one of: score"


def test_inputs_are_sought_among_numbers(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("tokenizer,dataset_gb,size_name,loss\ngpt2,10,tiny,3\nllama,20,base,2.8\n")
    with pytest.raises(InputError, match="no column plays N, D, C or x") as caught:
        scalefit.fit(read(path), "power-floor")
    assert "columns={'D': 'dataset_gb'}" in caught.value.hint
    assert "tokenizer" not in caught.value.hint
    assert "size_name" not in caught.value.hint


def test_where_nothing_is_left_to_be_a_loss_one_is_to_be_added(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("params,tokens\n1e8,2e9\n2e8,4e9\n")
    with pytest.raises(InputError, match="no column plays the role L") as caught:
        scalefit.fit(read(path), "chinchilla")
    assert caught.value.hint == "add one, and call it L"
